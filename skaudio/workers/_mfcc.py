"""A worker that predicts mel-frequency cepstral coefficients."""

from functools import partial

import torch

from .. import frontends
from ..utils.validation import check_number
from ._regression import Regression

__all__ = ["MFCC"]

_MELS = 128


class MFCC(Regression):
    """Predict the coefficients of `librosa.feature.mfcc`, of 128 mel bands.

    Parameters
    ----------
    n_channels, hop_length, sample_rate : int
        As for `Worker`.
    n_mfcc : int
        Number of coefficients.
    win_length : int
        Length of the window and of the transform, samples.
    **options : int
        ``n_deltas``, ``context`` and ``hidden`` of `Regression`.
    """

    def __init__(
        self, n_channels, hop_length, sample_rate, *, n_mfcc=20, win_length=400, **options
    ):
        check_number("n_mfcc", n_mfcc, 1, _MELS)
        check_number("win_length", win_length, 2)
        super().__init__(n_channels, hop_length, sample_rate, n_targets=n_mfcc, **options)
        self.frontend = frontends.Chain(
            frontends.LogMel(
                sample_rate, win_length, hop_length, _MELS, 0.0, None, 80.0, "constant"
            ),
            frontends.MFCC(_MELS, n_mfcc),
        )

    def target(self, wave):
        return self.frontend(wave, torch.full((len(wave),), wave.shape[1]))[0]


FORMS = {
    "mfcc": MFCC,
    "mfcc_long": partial(MFCC, win_length=2048),
    "mfcc+": partial(MFCC, n_mfcc=13, n_deltas=2, context=7),
    "mfcc_long+": partial(MFCC, win_length=2048, n_deltas=2, context=7),
}
