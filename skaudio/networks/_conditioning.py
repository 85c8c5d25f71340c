"""What conditions the gates of a causal stack: labels, frames, and contexts of long ago."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from ._gated import GatedStack, placed

__all__ = ["Condition", "Conditioning"]

_WINDOW = 4  # hops that a frame reaches when upsampling is learnt, as in nv-wavenet


class Condition(NamedTuple):
    """Vectors along the steps of a stack, and what each layer's gates make of them.

    Attributes
    ----------
    vectors : Tensor of shape (B, F, C)
        One for every ``hop`` samples.
    weights : Tensor of shape (L, 2 D, C)
        Of the layers.
    hop : int or None
        None: the only vector is for all steps.
    first : int
        Sample that the stack's first step precedes; those before the clip have its first vector.
    """

    vectors: torch.Tensor
    weights: torch.Tensor
    hop: int | None = None
    first: int = 0

    def rows(self, layer, n_steps):
        """What is added to the gates of a layer.

        Parameters
        ----------
        layer : int
            Which one.
        n_steps : int
            Its steps T.

        Returns
        -------
        rows : Tensor of shape (B, T, 2 D), or (B, 1, 2 D)
            For each step, or for all.
        """
        rows = F.linear(self.vectors, self.weights[layer])
        if self.hop is None:
            return rows
        if self.hop > 1:
            rows = rows[:, :, None].expand(-1, -1, self.hop, -1).flatten(1, 2)
        rows = rows[:, max(self.first, 0) : self.first + n_steps]
        before = max(-self.first, 0)
        after = n_steps - before - rows.shape[1]  # the sample after a clip belongs to its last one
        ends = rows[:, :1].expand(-1, before, -1), rows[:, -1:].expand(-1, after, -1)
        return torch.cat([ends[0], rows, ends[1]], dim=1) if before or after else rows

    def all_rows(self):
        """What is added to the gates of all layers.

        Returns
        -------
        rows : Tensor of shape (F, B, L, 2 D)
            For each vector.
        """
        rows = F.linear(self.vectors, self.weights.flatten(0, 1))
        return rows.unflatten(2, self.weights.shape[:2]).transpose(0, 1)


class Conditioning(nn.Module):
    """Vectors of labels, frames and contexts, and their weights in the gates; without biases.

    Parameters
    ----------
    shape : (int, int)
        Layers L of the stack, and the channels 2 D of its gates.
    n_labels, label_channels : int
        Number of labels, and the length of the vector of each.
    n_conditions, hop : int
        Channels of the frames, and samples per frame.
    upsampling : {"repeat", "learnt"}
        Frames are repeated; or a transposed convolution of 4 hops makes a vector for each sample.
    contexts : sequence of (dilations, hop, channels)
        Of each `Context`.
    """

    def __init__(self, shape, n_labels, label_channels, n_conditions, hop, upsampling, contexts):
        super().__init__()
        self.n_labels, self.n_conditions, self.hop = n_labels, n_conditions, hop
        self.upsampling = upsampling
        if n_labels:
            self.label_table = nn.Parameter(torch.empty(n_labels, label_channels))
            self.label_gates = nn.Parameter(torch.empty(*shape, label_channels))
        if n_conditions:
            self.frame_gates = nn.Parameter(torch.empty(*shape, n_conditions))
            if upsampling == "learnt":
                kernel = n_conditions, n_conditions, _WINDOW * hop
                self.upsample = nn.Parameter(torch.empty(kernel))
                self.upsample_bias = nn.Parameter(torch.empty(n_conditions))
        self.contexts = nn.ModuleList(_Context(*context, shape) for context in contexts)

    def forward(self, amplitudes, label, frames, first):
        """Conditions of the gates.

        Parameters
        ----------
        amplitudes : Tensor of shape (B, T)
            The clips, from -1 to 1.
        label : Tensor of shape (B,), int64, or (B, n_labels), or None
            Label of each clip, or weights of the labels. None: all labels weigh the same.
        frames : Tensor of shape (B, n_conditions, F), or None
            Frames of each clip. None: zeros.
        first : int
            As of `Condition`.

        Returns
        -------
        conditions : list of Condition
            They add up.
        """
        found = []
        if self.n_labels:
            vectors = self._of_labels(label, len(amplitudes))
            found.append(Condition(vectors[:, None], self.label_gates))
        if self.n_conditions and frames is not None:
            found.append(Condition(*self._of_frames(frames), first))
        for context in self.contexts:
            found.append(Condition(context(amplitudes), context.gates, context.hop, first))
        return found

    def check(self, frames, n_samples):
        """Raise unless there are frames for all samples.

        Parameters
        ----------
        frames : Tensor of shape (B, n_conditions, F), or None
            Frames of each clip.
        n_samples : int
            Their samples.

        Raises
        ------
        ValueError
            If there are fewer.
        """
        if frames is not None and frames.shape[2] * self.hop < n_samples:
            raise ValueError(
                f"{frames.shape[2]} frames of {self.hop} samples each condition "
                f"{frames.shape[2] * self.hop} samples, but there are {n_samples}"
            )

    def _of_labels(self, label, n_clips):
        if label is None:
            return self.label_table.mean(0).expand(n_clips, -1)
        if label.is_floating_point():
            return label @ self.label_table
        return self.label_table[label]

    def _of_frames(self, frames):
        """Vectors, their weights, and samples per vector."""
        if self.upsampling == "repeat":
            return frames.transpose(1, 2), self.frame_gates, self.hop
        y = F.conv_transpose1d(frames, self.upsample, self.upsample_bias, stride=self.hop)
        return y[..., : frames.shape[2] * self.hop].transpose(1, 2), self.frame_gates, 1


class _Context(nn.Module):
    """A smaller stack over windows of samples, which reaches further back than the main one.

    Vector f is for the samples from f hop on, and is made of those before; the first of nothing.

    Parameters
    ----------
    dilations : sequence of int
        Of its layers, in windows; their kernels are 2 wide.
    hop, channels : int
        Samples per window, and channels of all its layers.
    shape : (int, int)
        As for `Conditioning`.
    """

    def __init__(self, dilations, hop, channels, shape):
        super().__init__()
        self.hop = hop
        self.windows = nn.Parameter(torch.empty(channels, hop))
        self.stack = GatedStack(
            dilations,
            kernel=2,
            residual_channels=channels,
            gate_channels=channels,
            skip_channels=channels,
        )
        self.gates = nn.Parameter(torch.empty(*shape, channels))

    @property
    def receptive_field(self):
        """Samples before the last one that a vector is for, of which it is made."""
        return (self.stack.span + 2) * self.hop - 1

    def forward(self, amplitudes):
        """Vectors (B, T // hop + 1, C) of clips (B, T)."""
        n_windows = amplitudes.shape[1] // self.hop
        windows = amplitudes[:, : n_windows * self.hop].unflatten(1, (n_windows, self.hop))
        h = placed(F.linear(windows, self.windows).transpose(1, 2), 1)
        skips = self.stack.skip_sum([z for _, z in self.stack(h)])
        return F.relu(skips).transpose(1, 2)
