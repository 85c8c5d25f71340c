"""Who is speaking, from the wave: SincNet (Ravanelli & Bengio 2018, arXiv:1808.00158).

A chunk of a few hundred milliseconds goes through band-pass filters that learn their edges, two
ordinary convolutions and some dense layers. The last of these is the vector of the chunk; a linear
head makes log-probabilities of classes from it.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

from .._tensors import within
from ._network import Network
from ._sinc_layers import (
    ACTIVATIONS,
    Linear,
    Norm,
    WaveConv,
    initialise,
    map_lengths,
    new_batch_norm,
    peaks,
)
from .convolutions import new_conv
from .layers import Map, numbered
from .sinc import SincConv, odd

__all__ = ["HEADS", "SIZES", "ChunkClassifier", "SincHead", "SincNet"]

_GROUP = 16  # chunks whose maps a processor works out at a time: they stay in its cache
_PAPER = {
    "filters": (80, 60, 60),
    "kernels": (251, 5, 5),
    "pools": (3, 3, 3),
    "dense": (2048, 2048, 2048),
    "unused_norms": True,
}
# arguments of the networks
SIZES = {
    "tiny": {
        "chunk": 3200,
        "sample_rate": 16000,
        "filters": (40, 64, 128),
        "kernels": (251, 5, 5),
        "pools": (3, 3, 3),
        "stride": 4,
        "dense": (256,),
        "norm": "channel",
        "dense_norm": "layer",
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
# and of their heads
HEADS = {
    "tiny": {},
    "timit": {"unused_norms": True},
    "librispeech": {"input_norm": True, "unused_norms": True},
}


class SincNet(Network):
    """Vectors of chunks.

    Shape: (B, chunk, N) -> (B, dense[-1], N'), a chunk per step. N' is N, or less where quiet
    chunks are left out.

    Each chunk is normalised, then for each convolution: the convolution itself, after the first
    one the absolute value, the maximum over windows side by side, a norm, the activation.
    All of that, flattened or summed up over time, is normalised and goes through the dense layers,
    each with a norm and an activation. Chunks beyond the lengths are not looked at.

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
        Norm of each map. "chunk", as published: each channel over time, with a scale and shift for
        each of its frames; what remains of a channel is its course, not its loudness. "channel":
        all channels together, with a scale and shift for each channel; mean and deviation of each
        channel over time go to the dense layers, so that no weight is tied to a length or place.
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
        self.chunk, self.heard, self.unit_length = chunk, heard, unit_length
        self.conv_activation = ACTIVATIONS[conv_activation]
        names = dense_activations or ("leaky_relu",) * len(dense)
        self.dense_activations = [ACTIVATIONS[name] for name in names]
        steps, free = map_lengths(chunk, kernels, pools, stride), norm == "channel"
        # one scale and shift for the whole wave would be undone by the norm of the first maps
        self.input_norm = Norm() if free else Norm(chunk)
        if first == "sinc":
            conv = SincConv(filters[0], kernels[0], sample_rate, stride=stride, form=form)
        else:
            conv = WaveConv(1, filters[0], odd(kernels[0]), stride=stride, bias=False)
        pairs = zip(filters, filters[1:], kernels[1:], strict=False)
        self.convs = nn.ModuleList([conv, *(new_conv(*sizes) for sizes in pairs)])
        self.conv_norms = nn.ModuleList(
            Norm(width, 1, n_axes=2) if free else Norm(width, n)
            for width, n in zip(filters, steps, strict=True)
        )
        self.over_time = free
        widths = (filters[-1] * (2 if free else steps[-1]), *dense)
        self.flat_norm = Norm(widths[0])
        self.dense = nn.ModuleList(Linear(*pair) for pair in itertools.pairwise(widths))
        dense_norms = [new_batch_norm, Norm] if dense_norm == "batch" else [Norm, new_batch_norm]
        self.dense_norms = nn.ModuleList(map(dense_norms[0], dense))
        self.unused = nn.ModuleDict()
        if unused_norms:
            self.unused["conv_norms"] = nn.ModuleList(map(new_batch_norm, filters))
            self.unused["dense_norms"] = nn.ModuleList(map(dense_norms[1], dense))
            self.unused.requires_grad_(False)
        self.maps = [Map("chunk", numbered(dense[-1]))]
        first_map = filters[0] * ((chunk - odd(kernels[0])) // stride + 1)
        flat = filters[-1] * steps[-1]
        self.floats_per_step = float(chunk + 2 * first_map + flat + sum(dense))

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
            Output of the last dense layer, of whatever length.
        """
        n_chunks = len(chunks)
        if not torch.is_grad_enabled():
            # products of few rows round otherwise, which norms of faint maps would blow up
            chunks = F.pad(chunks, (0, 0, 0, -n_chunks % _GROUP))
        group = _GROUP if chunks.is_cpu else max(1, len(chunks))
        filters = self.convs[0].filters()
        x = torch.cat([self._flat_maps(some, filters) for some in chunks.split(group)])
        x = self.flat_norm(x)
        layers = zip(self.dense, self.dense_norms, self.dense_activations, strict=True)
        for linear, norm, activation in layers:
            x = activation(norm(linear(x)))
        return x[:n_chunks]

    def _scaled(self, vectors):
        if not self.unit_length:
            return vectors
        return F.normalize(vectors.float(), eps=torch.finfo(torch.float32).tiny)

    def _flat_maps(self, chunks, filters):
        """Maps of the last convolution: flattened (M, C T), or summed up over time (M, 2 C)."""
        x = self.input_norm(chunks)[:, None]
        x = peaks(x, filters, self.filter_stride, self.pools[0])
        x = self.conv_activation(self.conv_norms[0](x))
        for conv, pool, norm in zip(
            self.convs[1:], self.pools[1:], self.conv_norms[1:], strict=True
        ):
            # as an image of height 1, which keeps the layout of the convolution
            x = F.max_pool2d(conv(x).unsqueeze(2), (1, pool)).squeeze(2)
            x = self.conv_activation(norm(x))
        if not self.over_time:
            return x.flatten(1)
        mean = x.mean(2)
        # of a constant this norm, unlike the root of a variance, has a gradient: zero
        deviation = torch.linalg.vector_norm(x - mean[..., None], dim=2) / math.sqrt(x.shape[2])
        return torch.cat([mean, deviation], dim=1)

    def forward(self, x, lengths):
        chosen = self._chosen(x, lengths)
        counts = chosen.sum(1)
        chunks = x.transpose(1, 2)  # (B, N, chunk)
        if bool(chosen.all()):
            y = self._scaled(self.vectors(chunks.flatten(0, 1))).unflatten(0, chosen.shape)
            return [(y.transpose(1, 2), counts)]
        clips, places = (index.to(x.device) for index in chosen.nonzero(as_tuple=True))
        vectors = self._scaled(self.vectors(chunks[clips, places]))
        y = vectors.new_zeros(len(x), int(counts.max()), vectors.shape[1])
        frames = (chosen.cumsum(1) - 1)[chosen].to(x.device)  # chunks that are left move up
        y[clips, frames] = vectors
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
        chosen = energy > self.heard * mean
        chosen[:, :1] |= ~chosen.any(1, keepdim=True) & valid[:, :1]
        return chosen

    def pieces(self, x, max_steps):
        """Vectors of one long clip, so many chunks at a time.

        Parameters
        ----------
        x : Tensor of shape (1, chunk, N)
            The whole input, usually a view of the wave: only a few chunks at a time are copied.
        max_steps : int
            Most chunks to work on at a time.

        Yields
        ------
        layer : int
            Always 0.
        vectors : Tensor of shape (1, D, n)
            The next ones.
        """
        chosen = self._chosen(x, torch.tensor([x.shape[2]]))[0].nonzero()[:, 0]
        for some in chosen.to(x.device).split(max_steps):
            yield 0, self._scaled(self.vectors(x[0].T[some])).T[None]


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
        self.input_norm = Norm(n_in) if input_norm else None
        self.linear = Linear(n_in, n_classes)
        self.unused = nn.ModuleDict()
        if unused_norms:
            self.unused["batch_norm"] = new_batch_norm(n_classes)
            self.unused["layer_norm"] = Norm(n_classes)
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


class ChunkClassifier(Network):
    """Log-probabilities of classes for each chunk.

    Shape: (B, chunk, N) -> (B, n_classes, N).

    Parameters
    ----------
    network : SincNet
        Leaves no chunk out and scales no vector.
    head : SincHead
        Vectors of chunks -> log-probabilities.
    classes : sequence of str
        Names of the channels.
    """

    halo = (0, 0)
    handles_lengths = True

    def __init__(self, network, head, classes):
        super().__init__()
        self.network, self.head = network, head
        self.maps = [Map("", classes)]
        self.floats_per_step = network.floats_per_step

    def forward(self, x, lengths):
        ((vectors, lengths),) = self.network(x, lengths)
        return [(self.head(vectors.transpose(1, 2)).transpose(1, 2), lengths)]
