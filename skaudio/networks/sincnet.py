"""Who is speaking, from the wave: SincNet (Ravanelli & Bengio 2018, arXiv:1808.00158).

A chunk of a few hundred milliseconds goes through band-pass filters that learn their edges, two
ordinary convolutions and some dense layers. The last of these is the vector of the chunk; a linear
head makes log-probabilities of classes from it.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ..frontends import within
from ._network import Network
from .convolutions import new_conv
from .layers import Map, Uninitialised, numbered
from .sinc import SincConv

__all__ = ["SIZES", "SincHead", "SincNet", "initialise"]

_ACTIVATIONS = {
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "linear": lambda x: x,
}
_EPSILON = 1e-6
_GROUP = 16  # chunks whose maps a processor works out at a time: they stay in its cache

_PAPER = {
    "filters": (80, 60, 60),
    "kernels": (251, 5, 5),
    "pools": (3, 3, 3),
    "dense": (2048, 2048, 2048),
    "unused_norms": True,
}
# arguments of the networks; those of the head stand beside them
SIZES = {
    "tiny": {
        "chunk": 3200,
        "sample_rate": 16000,
        "filters": (40, 40, 40),
        "kernels": (251, 5, 5),
        "pools": (3, 3, 3),
        "stride": 4,
        "dense": (256,),
        "norm": "channel",
    },
    "timit": {**_PAPER, "chunk": 3200, "sample_rate": 16000},
    "librispeech": {
        **_PAPER,
        "chunk": 3000,
        "sample_rate": 8000,
        "conv_activation": "relu",
        "dense_activations": ("leaky_relu", "linear", "leaky_relu"),
    },
}


class _Norm(nn.Module):
    """Zero mean and unit deviation over the last axis, then scale and shift.

    The deviation is that of a sample (n - 1), and what is added to it is not under its root.

    Parameters
    ----------
    *shape : int
        Of scale and shift: (..., n) ties them to one length of the last axis, (..., 1) does not.
    """

    def __init__(self, *shape):
        super().__init__()
        self.weight, self.bias = (nn.Parameter(torch.empty(shape)) for _ in range(2))

    def reset_parameters(self):
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x):
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        x = x - x.mean(-1, keepdim=True)
        # of silence this norm, unlike the root of a variance, has a gradient: zero
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        std = norm / math.sqrt(x.shape[-1] - 1)
        return torch.addcmul(self.bias, x * (std + _EPSILON).reciprocal(), self.weight)


class _Linear(Uninitialised, nn.Linear):
    """Dense layer."""


class _Conv(Uninitialised, nn.Conv1d):
    """Ordinary convolution of the wave."""

    def filters(self):
        """Taps of the filters (n_filters, kernel_size)."""
        return self.weight[:, 0]


def _batch_norm(n):
    return nn.BatchNorm1d(n, momentum=0.05)


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
        elif isinstance(layer, _Norm | nn.BatchNorm1d | SincConv):
            layer.reset_parameters()


def _uniform(parameter, bound, generator):
    # in the order of the axes, however the kernels lie in memory
    parameter.copy_(torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator))


class SincNet(Network):
    """Vectors of chunks.

    Shape: (B, chunk, N) -> (B, dense[-1], N'), a chunk per step. N' is N, or less where quiet
    chunks are left out.

    Each chunk is normalised, then for each convolution: the convolution itself, after the first
    one the absolute value, the maximum over windows side by side, a norm over time, the activation.
    All of that, flattened, is normalised and goes through the dense layers, each with a norm and
    an activation. Chunks beyond the lengths are not looked at.

    Parameters
    ----------
    chunk : int
        Samples of a chunk.
    sample_rate : int
        Of the wave, Hz.
    filters, kernels, pools : sequence of int
        Channels, width and width of the maximum that follows, of each convolution.
    dense : sequence of int
        Widths of the dense layers.
    stride : int, default=1
        Of the first convolution.
    first : {"sinc", "conv"}, default="sinc"
        The first convolution: band-pass filters, or an ordinary one of that shape without bias.
    form : {"2019", "2018"}, default="2019"
        Of the band-pass filters; see `SincConv`.
    norm : {"chunk", "channel"}, default="chunk"
        Whether scale and shift of the norms of the convolutions differ from sample to sample, as
        published, or are one for each channel.
    dense_norm : {"batch", "layer"}, default="batch"
        Norm of the dense layers: over the chunks of a batch, as published, or of each alone.
    conv_activation : {"leaky_relu", "relu", "linear"}, default="leaky_relu"
        After each convolution; the slope of the first is 0.2 below zero.
    dense_activations : sequence of str, default=None
        After each dense layer. None: all "leaky_relu".
    heard : float, default=None
        Chunks are left out whose energy is not above this share of the mean energy of the clip's
        chunks, 0.1 as published; of a silent clip the first one stays. None: all stay.
    unit_length : bool, default=False
        Whether each vector is divided by its Euclidean norm.
    unused_norms : bool, default=False
        Whether it also holds the norms that published networks hold and do not use.
    """

    halo = (0, 0)
    handles_lengths = True

    def __init__(
        self,
        chunk,
        sample_rate,
        filters,
        kernels,
        pools,
        dense,
        *,
        stride=1,
        first="sinc",
        form="2019",
        norm="chunk",
        dense_norm="batch",
        conv_activation="leaky_relu",
        dense_activations=None,
        heard=None,
        unit_length=False,
        unused_norms=False,
    ):
        super().__init__()
        self.pools, self.filter_stride = pools, stride
        self.heard, self.unit_length = heard, unit_length
        self.conv_activation = _ACTIVATIONS[conv_activation]
        names = dense_activations or ("leaky_relu",) * len(dense)
        self.dense_activations = [_ACTIVATIONS[name] for name in names]
        steps = _map_lengths(chunk, kernels, pools, stride)
        free = norm == "channel"
        self.input_norm = _Norm(1 if free else chunk)
        self.convs, self.conv_norms = nn.ModuleList(), nn.ModuleList()
        for i, (width, kernel) in enumerate(zip(filters, kernels, strict=True)):
            if i > 0:
                conv = new_conv(filters[i - 1], width, kernel)
            elif first == "sinc":
                conv = SincConv(width, kernel, sample_rate, stride=stride, form=form)
            else:
                conv = _Conv(1, width, kernel + 1 - kernel % 2, stride=stride, bias=False)
            self.convs.append(conv)
            self.conv_norms.append(_Norm(width, 1 if free else steps[i]))
        self.flat_norm = _Norm(filters[-1] * steps[-1])
        self.dense, self.dense_norms = nn.ModuleList(), nn.ModuleList()
        widths = (filters[-1] * steps[-1], *dense)
        new_norm, other_norm = _batch_norm, _Norm
        if dense_norm == "layer":
            new_norm, other_norm = _Norm, _batch_norm
        for n_in, n_out in zip(widths, dense, strict=False):
            self.dense.append(_Linear(n_in, n_out))
            self.dense_norms.append(new_norm(n_out))
        self.unused = nn.ModuleDict()
        if unused_norms:
            self.unused["conv_norms"] = nn.ModuleList(map(_batch_norm, filters))
            self.unused["dense_norms"] = nn.ModuleList(map(other_norm, dense))
            self.unused.requires_grad_(False)
        self.maps = [Map("chunk", numbered(dense[-1]))]
        first_map = filters[0] * ((chunk - kernels[0]) // stride + 1)
        self.floats_per_step = float(chunk + 2 * first_map + sum(dense))

    def initialise(self, generator):
        """Fill the network as published; see `initialise`.

        Parameters
        ----------
        generator : torch.Generator
            Source of all randomness, on the CPU.
        """
        initialise(self, generator)

    def vectors(self, chunks):
        """Vectors of chunks, each on its own.

        Parameters
        ----------
        chunks : Tensor of shape (M, chunk)
            The samples.

        Returns
        -------
        vectors : Tensor of shape (M, D)
            Output of the last dense layer.
        """
        group = _GROUP if chunks.is_cpu else max(1, len(chunks))
        x = torch.cat([self._maps(some) for some in chunks.split(group)])
        x = self.flat_norm(x)
        layers = zip(self.dense, self.dense_norms, self.dense_activations, strict=True)
        for linear, norm, activation in layers:
            x = activation(norm(linear(x)))
        if self.unit_length:
            x = F.normalize(x.float(), eps=torch.finfo(torch.float32).tiny)
        return x

    def _maps(self, chunks):
        """Maps of the last convolution, flattened: (M, C T)."""
        x = self.input_norm(chunks)[:, None]
        first, *others = self.convs
        x = _peaks(x, first.filters(), self.filter_stride, self.pools[0])
        x = self.conv_activation(self.conv_norms[0](x))
        for conv, pool, norm in zip(others, self.pools[1:], self.conv_norms[1:], strict=True):
            # as an image of height 1, which keeps the layout of the convolution
            x = F.max_pool2d(conv(x).unsqueeze(2), (1, pool)).squeeze(2)
            x = self.conv_activation(norm(x))
        return x.flatten(1)

    def forward(self, x, lengths):
        chosen = self._chosen(x, lengths)
        counts = chosen.sum(1)
        chunks = x.transpose(1, 2)  # (B, N, chunk)
        if bool(chosen.all()):
            y = self.vectors(chunks.flatten(0, 1)).unflatten(0, chosen.shape)
            return [(y.transpose(1, 2), counts)]
        vectors = self.vectors(chunks[chosen.to(x.device)])
        y = vectors.new_zeros(len(x), int(counts.max()), vectors.shape[1])
        y[within(counts, y.shape[1], x.device)] = vectors
        return [(y.transpose(1, 2), counts)]

    def _chosen(self, x, lengths):
        """Tell which chunks are looked at: (B, N), bool, on the processor."""
        valid = within(lengths, x.shape[2], torch.device("cpu"))
        if self.heard is None:
            return valid
        # a norm, unlike a sum of squares, makes no copy of chunks that overlap in memory
        energy = torch.linalg.vector_norm(x, dim=1).cpu().double().square()
        energy.masked_fill_(~valid, 0.0)
        mean = energy.sum(1, keepdim=True) / lengths.clamp(min=1)[:, None]
        chosen = (energy > self.heard * mean) & valid
        chosen[:, :1] |= ~chosen.any(1, keepdim=True) & valid[:, :1]
        return chosen

    def pieces(self, x, max_steps):
        chosen = self._chosen(x, torch.tensor([x.shape[2]]))[0].nonzero()[:, 0]
        for some in chosen.to(x.device).split(max_steps):
            yield 0, self.vectors(x[0].T[some]).T[None]


def _peaks(x, filters, stride, width):
    """Largest absolute values of a convolution (M, 1, T) -> (M, N, T'), in windows side by side."""
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


def _map_lengths(chunk, kernels, pools, stride):
    """Frames of the maps after each convolution and its maximum."""
    steps, lengths = chunk, []
    for i, (kernel, pool) in enumerate(zip(kernels, pools, strict=True)):
        if i == 0:
            steps = (steps - (kernel + 1 - kernel % 2)) // stride + 1
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


class SincHead(nn.Module):
    """Log-probabilities of classes, from the vectors of chunks.

    Shape: (..., n_in) -> (..., n_classes).

    Parameters
    ----------
    n_in : int
        Width of the vectors.
    n_classes : int
        Number of classes.
    input_norm : bool, default=False
        Whether each vector is normalised first.
    unused_norms : bool, default=False
        Whether it also holds the norms that published heads hold and do not use.
    """

    def __init__(self, n_in, n_classes, *, input_norm=False, unused_norms=False):
        super().__init__()
        self.input_norm = _Norm(n_in) if input_norm else None
        self.linear = _Linear(n_in, n_classes)
        self.unused = nn.ModuleDict()
        if unused_norms:
            self.unused["batch_norm"] = _batch_norm(n_classes)
            self.unused["layer_norm"] = _Norm(n_classes)
            self.unused.requires_grad_(False)

    def initialise(self, generator):
        """Fill the head as published; see `initialise`.

        Parameters
        ----------
        generator : torch.Generator
            Source of all randomness, on the CPU.
        """
        initialise(self, generator)

    def forward(self, x):
        if self.input_norm is not None:
            x = self.input_norm(x)
        return F.log_softmax(self.linear(x).float(), dim=-1)
