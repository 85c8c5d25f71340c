"""A worker that predicts how something is said: pitch, voicing, energy and zero crossings."""

from functools import partial

import torch
import torch.nn.functional as F

from .. import frontends
from ..utils.validation import check_number
from ._regression import Regression

__all__ = ["Prosody"]

_SMALLEST = 1e-10  # smaller samples are taken for zeros, as librosa does


class Prosody(Regression):
    """Predict log F0, whether there is a voice, energy, and zero crossings, of centred windows.

    F0 is that of `skaudio.frontends.Pitch`; between voiced frames its logarithm goes on along a
    straight line, before the first and after the last one it stays, and without any it is that
    of ``fmin``. Energy is the root mean square, as of `librosa.feature.rms`; the share of samples
    with another sign than the one before, as of `librosa.feature.zero_crossing_rate`.

    Parameters
    ----------
    n_channels, hop_length, sample_rate : int
        As for `Worker`.
    fmin, fmax : float
        Lowest and highest F0, Hz.
    win_length : int
        Length of the windows of energy and zero crossings, samples.
    **options : int
        ``n_deltas``, ``context`` and ``hidden`` of `Regression`.
    """

    n_targets = 4

    def __init__(
        self,
        n_channels,
        hop_length,
        sample_rate,
        *,
        fmin=60.0,
        fmax=300.0,
        win_length=320,
        **options,
    ):
        check_number("win_length", win_length, 2)
        super().__init__(n_channels, hop_length, sample_rate, **options)
        self.pitch = frontends.Pitch(sample_rate, hop_length, fmin, fmax)
        self.win_length = win_length

    def target(self, wave):
        n_frames = wave.shape[1] // self.hop_length + 1
        lengths = torch.full((len(wave),), wave.shape[1])
        f0 = self.pitch(wave, lengths)[0][:, 0]
        energy = self._windows(wave, "constant").square().mean(2).sqrt()
        negative = self._windows(wave, "replicate") < -_SMALLEST
        crossings = (negative[..., 1:] != negative[..., :-1]).sum(2) / self.win_length
        contours = _log_f0(f0, self.pitch.fmin), (f0 > 0).float(), energy, crossings
        return torch.stack([contour[:, :n_frames] for contour in contours], dim=1)

    def _windows(self, wave, beyond):
        """Windows (P, N, win_length) centred on multiples of the hop."""
        side = self.win_length // 2
        wave = F.pad(wave[:, None], (side, side), beyond)[:, 0]
        return wave.unfold(1, self.win_length, self.hop_length)


def _log_f0(f0, fmin):
    """Logarithm of F0 (P, N), along straight lines where it is 0."""
    n_frames = f0.shape[1]
    at = torch.arange(n_frames, device=f0.device).expand(f0.shape)
    # the voiced frames before and after each; -1 and N where there is none
    before = at.where(f0 > 0, -1).cummax(1).values
    after = at.where(f0 > 0, n_frames).flip(1).cummin(1).values.flip(1)
    voiced = (f0 > 0).any(1, keepdim=True)
    log_f0 = f0.where(voiced, fmin).clamp(min=fmin).log()
    before, after = before.where(before >= 0, after), after.where(after < n_frames, before)
    before, after = (frame.clamp(0, n_frames - 1) for frame in (before, after))
    share = (at - before) / (after - before).clamp(min=1)
    return torch.lerp(log_f0.gather(1, before), log_f0.gather(1, after), share)


FORMS = {
    "prosody": Prosody,
    "prosody+": partial(Prosody, n_deltas=2, context=7),
}
