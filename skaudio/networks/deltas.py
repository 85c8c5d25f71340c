"""Differences of a feature matrix over time."""

from math import factorial

import numpy as np
import torch
import torch.nn.functional as F

from ._network import Network
from .layers import Map

__all__ = ["Deltas"]

WIDTH = 9  # frames of the Savitzky-Golay window, librosa's default


class Deltas(Network):
    """The features and their differences of order 1 to n_deltas.

    Shape: (B, C, T) -> (B, C, T_k) for k = 0 ... n_deltas. "difference" takes plain differences
    of neighbouring frames, T_k = T - k (0 if negative); "savgol" the derivative of a polynomial
    of order k fitted to nine frames, as `librosa.feature.delta` does, T_k = T. A clip of fewer
    than nine frames is continued by its last frame for the fit.

    Parameters
    ----------
    channels : sequence of str
        Names of the channels.
    n_deltas : int
        Highest order.
    method : {"difference", "savgol"}
        How to differentiate.
    """

    handles_lengths = True

    def __init__(self, channels, n_deltas, method):
        super().__init__()
        self.method = method
        self.maps = [
            Map("", tuple(c + (f"_delta{k}" if k else "") for c in channels))
            for k in range(n_deltas + 1)
        ]
        self.floats_per_step = 4.0 * len(channels) * (n_deltas + 1)
        if method == "savgol":
            for k in range(1, n_deltas + 1):
                fit = torch.from_numpy(_savgol(k)).float()
                self.register_buffer(f"fit{k}", fit, persistent=False)

    def output_lengths(self, lengths):
        if self.method == "savgol":
            return super().output_lengths(lengths)
        return [(lengths - k).clamp(min=0) for k in range(len(self.maps))]

    def forward(self, x, lengths):
        maps = [x]
        for k in range(1, len(self.maps)):
            if self.method == "savgol":
                maps.append(self._fitted(x, lengths, getattr(self, f"fit{k}")))
            else:
                maps.append(maps[-1].diff(dim=-1))
        return [*zip(maps, self.output_lengths(lengths), strict=True)]

    def _fitted(self, x, lengths, fit):
        # the k-th derivative of a polynomial of order k is one number for the whole window,
        # so the first and last half window take that of the first and last whole one
        lengths = lengths.to(x.device)
        at = torch.arange(max(x.shape[-1], WIDTH), device=x.device)[None]
        inner = F.conv1d(
            _at(x, torch.minimum(at, (lengths - 1)[:, None])).flatten(0, 1)[:, None], fit
        )
        inner = inner.view(*x.shape[:2], -1)
        window = (at[:, : x.shape[-1]] - WIDTH // 2).clamp(min=0)
        return _at(inner, torch.minimum(window, (lengths - WIDTH).clamp(min=0)[:, None]))


def _at(x, places):
    """Frames of x (B, C, T) at places (B, T')."""
    return x.gather(2, places[:, None].expand(-1, x.shape[1], -1))


def _savgol(order):
    """Weights (1, 1, 9) that turn nine frames into the order-th derivative of their fit."""
    places = np.arange(WIDTH) - WIDTH // 2
    powers = places[:, None] ** np.arange(order + 1.0)
    coefficients = np.linalg.pinv(powers)  # frames -> coefficients of the polynomial
    return factorial(order) * coefficients[order][None, None]
