"""Learnable band-pass filters before a network: an energy of each, in place of mel bands."""

import math
from dataclasses import replace

import torch
import torch.nn.functional as F

from .._tensors import mask
from ._network import Network
from .convolutions import time_conv
from .sinc import SincConv, odd

__all__ = ["SincFront", "UnitSincConv"]

_FLOOR = 1e-8  # of energies: 80 dB below a wave of mean square 1
_MIDDLE, _SPREAD = -20.0, 20.0  # dB; about what speech and music have


class UnitSincConv(SincConv):
    """`SincConv` whose filters are all of one norm, and so let equally much of white noise through.

    Parameters
    ----------
    n_filters, kernel_size, sample_rate : int
        As for `SincConv`.
    stride : int, default=1
        Step from one output to the next, samples.
    norm : float, default=1.0
        Root of the sum of the squared taps.
    """

    def __init__(self, n_filters, kernel_size, sample_rate, *, stride=1, norm=1.0):
        super().__init__(n_filters, kernel_size, sample_rate, stride=stride)
        self.norm = norm

    def filters(self):
        """Taps of the filters, from the edges.

        Returns
        -------
        filters : Tensor of shape (n_filters, kernel_size)
            Each is symmetric.
        """
        return self.norm * F.normalize(super().filters(), dim=1)

    def forward(self, x):
        if torch.is_grad_enabled():  # products of windows would take twice as long
            return super().forward(x)
        return time_conv(x, self.filters()[:, None], stride=self.stride)


class SincFront(Network):
    """Energies of band-pass filters in decibels, and a network that reads them as a spectrogram.

    The energy is the mean of the squared output over about half of ``n_fft`` samples, after
    filters of the other half. Nothing depends on the clip as a whole, so that long ones are worked
    on in tiles; what is said in decibels supposes a wave of mean square 1.

    Shape: (B, 1, T) -> maps of the network for T' = (T - span) // hop_length + 1 steps, where
    span is about n_fft.

    Parameters
    ----------
    network : Network
        Reads (B, n_filters, T').
    n_filters : int
        Number of filters, the bands of the network.
    sample_rate : int
        Of the wave, Hz.
    n_fft : int
        Samples that an energy depends on, about.
    hop_length : int
        Step from one energy to the next, samples.
    """

    handles_lengths = True

    def __init__(self, network, n_filters, sample_rate, n_fft, hop_length):
        super().__init__()
        kernel = odd(max(n_fft // 2, 1))
        # a mean of squares needs no more than every second output
        self.every = 2 - hop_length % 2
        self.hop_length = hop_length
        self.n_outputs = max(1, (n_fft - kernel) // self.every + 1)  # in a mean
        self.span = kernel + (self.n_outputs - 1) * self.every
        self.sinc = UnitSincConv(n_filters, kernel, sample_rate, stride=self.every)
        self.network = network
        self.set_maps([self._in_samples(m) for m in network.maps])
        self.stride = network.stride * hop_length
        left, right = network.halo
        self.halo = left * hop_length, max(0, (right - 1) * hop_length + self.span)
        self.min_steps = (network.min_steps - 1) * hop_length + self.span
        self.floats_per_step = 2 * n_filters / self.every + network.floats_per_step / hop_length

    def _in_samples(self, m):
        """The same map of frames, told in samples of the wave."""
        changes = {name: getattr(m, name) * self.hop_length for name in ("stride", "left", "right")}
        return replace(m, **{**changes, "right": changes["right"] + self.span - 1})

    def output_lengths(self, lengths):
        return self.network.output_lengths(self._steps(lengths))

    def _steps(self, lengths):
        return (lengths - self.span) // self.hop_length + 1

    def forward(self, x, lengths):
        energy = self._energy(x)
        decibels = 10 / math.log(10) * torch.log(energy + _FLOOR)
        lengths = self._steps(lengths)
        return self.network(mask((decibels - _MIDDLE) / _SPREAD, lengths), lengths)

    def _energy(self, x):
        squares = self.sinc(x).float().square()
        return F.avg_pool1d(squares, self.n_outputs, self.hop_length // self.every)
