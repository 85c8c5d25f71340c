"""A worker that predicts what the ear might pass on: amplitudes behind gammatone filters."""

from functools import partial

import torch

from .. import frontends
from ..utils.validation import check_number
from ._regression import Regression

__all__ = ["Gammatone"]


class Gammatone(Regression):
    """Predict what `skaudio.frontends.Gammatone` gives.

    Parameters
    ----------
    n_channels, hop_length, sample_rate : int
        As for `Worker`.
    n_filters : int
        Number of filters.
    fmin : float
        Centre of the lowest one, Hz.
    win_length : int
        Length of the windows, samples.
    **options : int
        ``n_deltas``, ``context`` and ``hidden`` of `Regression`.
    """

    def __init__(
        self,
        n_channels,
        hop_length,
        sample_rate,
        *,
        n_filters=40,
        fmin=500.0,
        win_length=400,
        **options,
    ):
        check_number("n_filters", n_filters, 1)
        check_number("fmin", fmin, 0, sample_rate / 2, integer=False)
        check_number("win_length", win_length, 1)
        super().__init__(n_channels, hop_length, sample_rate, n_targets=n_filters, **options)
        self.frontend = frontends.Gammatone(sample_rate, hop_length, win_length, n_filters, fmin)

    def target(self, wave):
        return self.frontend(wave, torch.full((len(wave),), wave.shape[1]))[0]


FORMS = {
    "gammatone": Gammatone,
    "gammatone_long": partial(Gammatone, win_length=2048),
    "gammatone+": partial(Gammatone, n_deltas=2, context=7),
    "gammatone_long+": partial(Gammatone, win_length=2048, n_deltas=2, context=7),
}
