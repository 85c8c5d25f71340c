"""Predict each sample of a sound from those before it: WaveNet.

van den Oord et al. 2016, arXiv:1609.03499. A stack of gated causal convolutions reads the samples
so far, and a head gives the distribution of the next one: probabilities of mu-law classes.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from .. import _mulaw
from .._tensors import within
from ._gated import GatedStack, delayed
from ._network import Network
from .convolutions import dilated_conv
from .layers import Map, numbered

__all__ = ["SIZES", "WaveNet"]


def _doubling(n_blocks, n_layers):
    return tuple(2**i for i in range(n_layers)) * n_blocks


SIZES = {
    "tiny": {"dilations": _doubling(2, 8), "skip_channels": 64},
}


class WaveNet(Network):
    """Causal network that gives the distribution of each sample, given those before it.

    Shape: (B, 1, T) -> (B, C, T') with T' = ceil(T / hop_length): means over ``hop_length`` samples
    of the skip sums, or of the input of a layer.

    Parameters
    ----------
    dilations : sequence of int
        Of the gated layers.
    kernel : int, default=2
        Width of their convolutions.
    residual_channels, gate_channels, skip_channels : int
        Channels of the layers' inputs, of their gated outputs, and of the skip sum.
    head_channels : int, default=None
        Channels between the two products of the head. None: ``skip_channels``.
    first_kernel : int, default=2
        Width of the causal convolution that reads the samples.
    n_classes : int, default=256
        Number of mu-law classes.
    n_labels : int, default=0
        Number of classes of sound that may condition the network.
    label_channels : int, default=16
        Length of the vector that stands for each.
    layer : int, default=None
        Layer whose input `forward` returns, counted from 0. None: the skip sum.
    hop_length : int, default=160
        Samples per frame of what `forward` returns.
    """

    handles_lengths = True

    def __init__(
        self,
        dilations,
        *,
        kernel=2,
        residual_channels=32,
        gate_channels=32,
        skip_channels=256,
        head_channels=None,
        first_kernel=2,
        n_classes=256,
        n_labels=0,
        label_channels=16,
        layer=None,
        hop_length=160,
    ):
        super().__init__()
        head_channels = head_channels or skip_channels
        self.n_classes, self.layer, self.hop_length = n_classes, layer, hop_length
        self.first = nn.Parameter(torch.empty(first_kernel, n_classes, residual_channels))
        self.gated = GatedStack(
            dilations,
            kernel=kernel,
            residual_channels=residual_channels,
            gate_channels=gate_channels,
            skip_channels=skip_channels,
        )
        self.head = nn.ParameterDict(
            {
                "hidden": nn.Parameter(torch.empty(head_channels, skip_channels)),
                "hidden_bias": nn.Parameter(torch.empty(head_channels)),
                "out": nn.Parameter(torch.empty(n_classes, head_channels)),
                "out_bias": nn.Parameter(torch.empty(n_classes)),
            }
        )
        self.n_labels = n_labels
        if n_labels:
            self.label_table = nn.Parameter(torch.empty(n_labels, label_channels))
            shape = len(self.gated.dilations), 2 * gate_channels, label_channels
            self.label_gates = nn.Parameter(torch.empty(shape))
        self.receptive_field = self.gated.span + first_kernel
        channels = skip_channels if layer is None else residual_channels
        name = "skip" if layer is None else f"layer{layer}"
        left, right = self.receptive_field - 1, hop_length - 1
        self.set_maps([Map(name, numbered(channels), hop_length, left, right)])
        self.floats_per_step = 6 * residual_channels + 8 * gate_channels

    @torch.no_grad()
    def initialise(self, generator):
        """Fill the network: tables uniform within 1, all else within 1 / sqrt(fan_in).

        Parameters
        ----------
        generator : torch.Generator
            Source of all randomness, on the CPU.
        """
        for name, p in self.named_parameters():
            if name in ("first", "label_table"):
                bound = 1.0
            elif name.endswith("bias"):
                bound = 0.0
            else:
                bound = math.prod(p.shape[p.ndim == 3 : -1]) ** -0.5
                if name.endswith("gates"):
                    bound = math.prod(p.shape[1:-1]) ** -0.5
            p.copy_(torch.empty(p.shape).uniform_(-bound, bound, generator=generator))

    def codes(self, wave):
        """What is predicted of each sample.

        Parameters
        ----------
        wave : Tensor of shape (B, T)
            Samples.

        Returns
        -------
        codes : Tensor of shape (B, T), int64
            Mu-law classes, variant A.
        """
        return _mulaw.encode(wave, self.n_classes)

    def predictions(self, codes, label=None):
        """Parameters of the distribution of each sample, given those before it.

        Parameters
        ----------
        codes : Tensor of shape (B, T)
            Of `codes`.
        label : Tensor of shape (B,), int64, or (B, n_labels), default=None
            Label of each clip, or weights of the labels. None: all labels weigh the same.

        Returns
        -------
        predictions : Tensor of shape (B, K, T)
            Of sample t from those before t: logits of its classes.
        """
        h = self._read(codes, shift=1)
        x = self.gated.skip_sum([z for _, z in self.gated(h, self._conditions(label, len(h)))])
        for name in ("hidden", "out"):
            x = dilated_conv(F.relu(x), self.head[name][..., None], self.head[f"{name}_bias"])
        return x

    def log_prob(self, predictions, codes):
        """Log probability of each sample.

        Parameters
        ----------
        predictions : Tensor of shape (B, K, T)
            Of `predictions`.
        codes : Tensor of shape (B, T)
            Of `codes`.

        Returns
        -------
        log_prob : Tensor of shape (B, T)
            Natural logarithm of the mass of what was heard.
        """
        logits = predictions.transpose(1, 2).flatten(0, 1)  # as they lie in memory
        return -F.cross_entropy(logits, codes.flatten(), reduction="none").view_as(codes)

    def output_lengths(self, lengths):
        return [-(-lengths // self.hop_length)]

    def forward(self, x, lengths, label=None):
        h = self._read(self.codes(x[:, 0]), shift=0)
        layers = self.gated(h, self._conditions(label, len(h)))
        if self.layer is not None:
            for _ in range(self.layer + 1):
                h, _ = next(layers)
            frames = self._means(h, lengths)
        else:  # the skip sum of means is the mean of the skip sums, and has fewer products
            frames = self.gated.skip_sum([self._means(z, lengths) for _, z in layers])
        return [(frames.float(), *self.output_lengths(lengths))]

    def _read(self, codes, shift):
        """Input of the first layer (B, R, T) from samples that lie ``shift`` earlier or more."""
        n_taps = len(self.first)
        taps = [
            delayed(F.embedding(codes, self.first[i]).transpose(1, 2), n_taps - 1 - i + shift)
            for i in range(n_taps)
        ]
        return sum(taps[1:], taps[0])

    def _conditions(self, label, n_clips):
        """What the gates are conditioned by: vectors, and weights for each layer."""
        if not self.n_labels:
            return []
        if label is None:
            vectors = self.label_table.mean(0).expand(n_clips, -1)
        elif label.is_floating_point():
            vectors = label @ self.label_table
        else:
            vectors = self.label_table[label]
        return [(vectors[:, None], self.label_gates)]

    def _means(self, x, lengths):
        """Means of (B, C, T) over frames of samples, the last one of those that there are."""
        hop = self.hop_length
        n_frames = -(-x.shape[2] // hop)
        valid = within(lengths, n_frames * hop, x.device).unflatten(1, (n_frames, hop))
        x = F.pad(x, (0, n_frames * hop - x.shape[2])).unflatten(2, (n_frames, hop))
        count = valid.sum(2).clamp(min=1)[:, None]
        return x.masked_fill(~valid[:, None], 0.0).sum(3) / count
