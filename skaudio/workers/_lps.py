"""A worker that predicts the log power spectrum."""

from functools import partial

import torch
import torch.nn.functional as F

from ..utils.validation import check_number
from ._regression import Regression

__all__ = ["LPS"]

_FLOOR = 1e-19  # of power: silence has -190 dB


class LPS(Regression):
    """Predict the log power spectrum, 10 log10(\\|X\\|² + 1e-19), of rectangular windows.

    Windows are centred; beyond its ends a chunk goes on as its mirror image.

    Parameters
    ----------
    n_channels, hop_length, sample_rate : int
        As for `Worker`.
    n_fft, win_length : int
        Length of the transform and of the window, samples.
    **options : int
        ``n_deltas``, ``context`` and ``hidden`` of `Regression`.
    """

    def __init__(
        self, n_channels, hop_length, sample_rate, *, n_fft=2048, win_length=400, **options
    ):
        check_number("n_fft", n_fft, 2)
        check_number("win_length", win_length, 1, n_fft)
        super().__init__(n_channels, hop_length, sample_rate, n_targets=1 + n_fft // 2, **options)
        self.n_fft, self.win_length = n_fft, win_length
        # samples of the window before its centre, when it stands in the middle of the transform
        self.side = n_fft // 2 - (n_fft - win_length) // 2
        self.min_frames = self.side // hop_length + 1  # the mirror image is shorter than the chunk

    def target(self, wave):
        # where a window stands in the transform changes the phase alone
        frames = F.pad(wave, (self.side, self.side), "reflect")
        frames = frames.unfold(1, self.win_length, self.hop_length)
        power = torch.view_as_real(torch.fft.rfft(frames, n=self.n_fft)).square_().sum(-1)
        return power.add_(_FLOOR).log10_().mul_(10.0).transpose(1, 2)


FORMS = {
    "lps": LPS,
    "lps_long": partial(LPS, win_length=512),
    "lps+": partial(LPS, n_deltas=2, context=7),
    "lps_long+": partial(LPS, win_length=512, n_deltas=2, context=7),
}
