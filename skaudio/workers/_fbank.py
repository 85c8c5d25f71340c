"""A worker that predicts the energies of a mel filter bank as speech recognition has them."""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from ..utils.validation import check_number
from ._regression import Regression

__all__ = ["FBANK"]

_EMPHASIS = 0.97
_EMPTY = np.finfo(np.float64).eps  # what stands for an energy of 0


class FBANK(Regression):
    """Predict log mel energies with the conventions of the package python_speech_features.

    Pre-emphasis x_t - 0.97 x_{t-1}; rectangular windows that begin at multiples of the hop, the
    last one filled up with zeros; triangles on the scale 2595 log10(1 + f/700), their corners at
    bins of the transform and their tops at 1; natural logarithm.

    Parameters
    ----------
    n_channels, hop_length, sample_rate : int
        As for `Worker`.
    n_mels : int
        Number of filters.
    n_fft, win_length : int
        Length of the transform and of the window, samples.
    **options : int
        ``n_deltas``, ``context`` and ``hidden`` of `Regression`.
    """

    def __init__(
        self,
        n_channels,
        hop_length,
        sample_rate,
        *,
        n_mels=40,
        n_fft=512,
        win_length=400,
        **options,
    ):
        check_number("n_mels", n_mels, 1)
        check_number("n_fft", n_fft, 2)
        check_number("win_length", win_length, 1, n_fft)
        super().__init__(n_channels, hop_length, sample_rate, n_targets=n_mels, **options)
        self.n_fft, self.win_length = n_fft, win_length
        filters = _triangles(n_mels, n_fft, sample_rate)
        self.register_buffer("filters", torch.from_numpy(filters).float(), persistent=False)

    def target(self, wave):
        wave = torch.cat([wave[:, :1], wave[:, 1:] - _EMPHASIS * wave[:, :-1]], dim=1)
        beyond = max(wave.shape[1] - self.win_length, 0)  # samples after the first window
        n_frames = 1 + -(-beyond // self.hop_length)
        missing = (n_frames - 1) * self.hop_length + self.win_length - wave.shape[1]
        frames = F.pad(wave, (0, missing)).unfold(1, self.win_length, self.hop_length)
        power = torch.view_as_real(torch.fft.rfft(frames, n=self.n_fft)).square_().sum(-1)
        energy = power.div_(self.n_fft) @ self.filters.T
        return energy.masked_fill_(energy == 0, _EMPTY).log_().transpose(1, 2)


def _triangles(n_mels, n_fft, sample_rate):
    """Weights (n_mels, 1 + n_fft // 2) of the bins."""
    mel = np.linspace(0, 2595 * np.log10(1 + sample_rate / 2 / 700), n_mels + 2)
    hz = 700 * (10 ** (mel / 2595) - 1)
    corners = np.floor((n_fft + 1) * hz / sample_rate)[:, None]
    low, top, high = corners[:-2], corners[1:-1], corners[2:]
    bins = np.arange(1 + n_fft // 2)
    rising = (bins - low) / np.maximum(top - low, 1)
    falling = (high - bins) / np.maximum(high - top, 1)
    # where corners coincide a side has no bins
    return np.where(bins < top, rising, falling) * ((bins >= low) & (bins < high))


FORMS = {
    "fbank": FBANK,
    "fbank_long": partial(FBANK, n_fft=1024, win_length=1024),
    "fbank+": partial(FBANK, n_deltas=2, context=7),
    "fbank_long+": partial(FBANK, n_fft=1024, win_length=1024, n_deltas=2, context=7),
}
