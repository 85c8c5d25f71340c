"""Layers of SincNet and its head, and how they are filled."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from .layers import BatchNorm, Uninitialised
from .sinc import SincConv, odd

__all__ = [
    "ACTIVATIONS",
    "Linear",
    "Norm",
    "WaveConv",
    "initialise",
    "map_lengths",
    "new_batch_norm",
    "peaks",
]

_EPSILON = 1e-6


def _leaky_relu(x):
    return F.leaky_relu(x, 0.2)


def _linear(x):
    return x


ACTIVATIONS = {"relu": F.relu, "leaky_relu": _leaky_relu, "linear": _linear}


class Norm(nn.Module):
    """Zero mean and unit deviation over the last axes, then scale and shift.

    The deviation is that of a sample (n - 1), and what is added to it is not under its root. What
    is constant becomes zero, whatever its rounding.

    Parameters
    ----------
    *shape : int
        Of scale and shift: (..., n) ties them to one length of the last axis, (..., 1) does not.
        Without any number there are none.
    n_axes : int, default=1
        How many axes are normalised together.
    """

    def __init__(self, *shape, n_axes=1):
        super().__init__()
        self.axes = tuple(range(-n_axes, 0))
        self.weight = nn.Parameter(torch.empty(shape)) if shape else None
        self.bias = nn.Parameter(torch.empty(shape)) if shape else None

    def reset_parameters(self):
        """Set scale and shift so that they change nothing."""
        if self.weight is not None:
            nn.init.ones_(self.weight)
            nn.init.zeros_(self.bias)

    def forward(self, x):
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        mean = x.mean(self.axes, keepdim=True)
        x = x - mean
        # of silence this norm, unlike the root of a variance, has a gradient: zero
        norm = torch.linalg.vector_norm(x, dim=self.axes, keepdim=True)
        std = norm / math.sqrt(math.prod(x.shape[axis] for axis in self.axes) - 1)
        # what is left of a constant after its rounded mean is no signal to be blown up
        scale = (std + _EPSILON).reciprocal().masked_fill(std <= 1e-6 * mean.abs(), 0.0)
        x = x * scale
        return x if self.weight is None else torch.addcmul(self.bias, x, self.weight)


class Linear(Uninitialised, nn.Linear):
    """Dense layer."""


class WaveConv(Uninitialised, nn.Conv1d):
    """Ordinary convolution of the wave."""

    def filters(self):
        """Taps of the filters.

        Returns
        -------
        filters : Tensor of shape (n_filters, kernel_size)
            Its weights.
        """
        return self.weight[:, 0]


def new_batch_norm(n):
    """Batch norm as published.

    Parameters
    ----------
    n : int
        Width of the layer.

    Returns
    -------
    norm : BatchNorm1d
        It remembers the statistics of about twenty batches, by which it normalises a chunk that is
        alone in its batch.
    """
    return BatchNorm(n, momentum=0.05)


@torch.no_grad()
def initialise(module, generator):
    """Fill a network or head as published.

    Dense layers are uniform within sqrt(0.01 / (inputs + outputs)), without biases; convolutions as
    torch does it, uniform within 1 / sqrt(fan_in); norms change nothing; filters lie on the mel
    scale.

    Parameters
    ----------
    module : Module
        What is filled, in the order of registration.
    generator : torch.Generator
        Source of all randomness, on the CPU.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            _uniform(layer.weight, 0.1 / math.sqrt(sum(layer.weight.shape)), generator)
            layer.bias.zero_()
        elif isinstance(layer, nn.Conv1d):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            for parameter in layer.parameters():
                _uniform(parameter, bound, generator)
        elif isinstance(layer, Norm | nn.BatchNorm1d | SincConv):
            layer.reset_parameters()


def _uniform(parameter, bound, generator):
    # in the order of the axes, however the kernels lie in memory
    parameter.copy_(torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator))


def peaks(x, filters, stride, width):
    """Largest absolute values of a convolution, in windows side by side.

    Parameters
    ----------
    x : Tensor of shape (M, 1, T)
        Waves.
    filters : Tensor of shape (N, kernel_size)
        Taps of the convolution.
    stride, width : int
        Step of the convolution, and number of its outputs in a window.

    Returns
    -------
    peaks : Tensor of shape (M, N, T')
        T' = ((T - kernel_size) // stride + 1) // width.
    """
    kernel = filters.shape[1]
    if torch.is_grad_enabled():
        # each place in the window is a filter of its own: the maximum is then one over whole maps,
        # and backwards the convolution is a quarter faster
        lack = (width - 1) * stride
        bank = F.pad(filters, (lack, lack)).unfold(1, kernel + lack, stride)
        bank = bank.transpose(0, 1).reshape(-1, 1, kernel + lack)
        y = F.conv1d(x, bank, stride=stride * width).unflatten(1, (width, len(filters)))
        return y.abs().amax(1)
    y = F.conv1d(x, filters[:, None], stride=stride).abs_()
    windows = y.shape[2] // width
    return y[..., : windows * width].unflatten(2, (windows, width)).amax(3)


def map_lengths(chunk, kernels, pools, stride):
    """Frames of the maps after each convolution and its maximum.

    Parameters
    ----------
    chunk : int
        Samples of a chunk.
    kernels, pools : sequence of int
        Width of each convolution and of the maximum that follows.
    stride : int
        Of the first convolution.

    Returns
    -------
    lengths : list of int
        One for each convolution.

    Raises
    ------
    ValueError
        If one is below 2.
    """
    steps, lengths = chunk, []
    for i, (kernel, pool) in enumerate(zip(kernels, pools, strict=True)):
        if i == 0:
            steps = (steps - odd(kernel)) // stride + 1
        else:
            steps = steps - kernel + 1
        steps //= pool
        lengths.append(steps)
    if min(lengths) < 2:  # one frame has no deviation
        raise ValueError(
            f"chunks of {chunk} samples are too short for this network: its maps would have "
            f"{lengths} frames, and each needs 2; use longer chunks"
        )
    return lengths
