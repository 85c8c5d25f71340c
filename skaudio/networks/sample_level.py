"""Sample-level CNN on the wave (Lee et al. 2017, arXiv:1703.01789) in Pons & Serra's size."""

import torch
import torch.nn.functional as F
from torch import nn

from ._network import Network
from .convolutions import max_pool, new_conv, pooled_lengths
from .layers import Map, numbered, rectified

__all__ = ["SampleLevel"]

_PIECE = 1 << 21  # numbers of a map worked out at a time: 8 MB, which a processor keeps near


class SampleLevel(Network):
    """Strided convolution 3/3, then blocks of [convolution 3 "same", max-pooling 3, ReLU].

    Shape: (B, 1, T) -> (B, n_filters, T / 3^l) for each selected layer l = 1 ... 7, rounded down
    layer by layer but never below one frame.

    Parameters
    ----------
    n_filters : int
        Channels of every layer.
    layers : sequence of int
        Layers whose maps are returned, counted from 0.
    """

    handles_lengths = True
    min_steps = 3

    def __init__(self, n_filters, layers):
        super().__init__()
        self.layers = layers
        self.convs = nn.ModuleList([new_conv(1, n_filters, 3, stride=3)])
        at = Map("conv1", numbered(n_filters)).then(3, stride=3)
        maps = [at]
        for layer in range(1, max(layers) + 1):
            self.convs.append(new_conv(n_filters, n_filters, 3, padding=1))
            at = at.then(3, pad=1, name=f"pool{layer}").then(3, stride=3)
            maps.append(at)
        self.set_maps(maps, layers)
        self.floats_per_step = n_filters

    def output_lengths(self, lengths):
        every = [lengths // 3]
        while len(every) < len(self.convs):
            every.append(pooled_lengths(every[-1], 3))
        return [every[layer] for layer in self.layers]

    def forward(self, x, lengths):
        first, *others = self.convs
        lengths = lengths // 3
        every = [(rectified(first(x), lengths), lengths)]
        for conv in others:
            x, lengths = max_pool(conv(every[-1][0]), every[-1][1], 3)
            every.append((rectified(x, lengths), lengths))
        return [every[layer] for layer in self.layers]

    @torch.no_grad()
    def pieces(self, x, max_steps):
        """Maps of one clip, of which but a few frames are held at a time.

        Parameters
        ----------
        x : Tensor of shape (1, 1, T)
            The wave.
        max_steps : int
            Most samples to read at a time.

        Yields
        ------
        layer : int
            Index in ``layers``.
        frames : Tensor of shape (1, n_filters, t)
            The next ones of that layer.
        """
        size = max(3, max_steps // 3)
        if x.is_cpu:
            size = max(3, min(size, _PIECE // self.convs[0].out_channels))
        blocks, n_frames = [_Block(conv, size) for conv in self.convs[1:]], x.shape[2] // 3
        for start in range(0, n_frames, size):
            stop = min(start + size, n_frames)
            below, every = self.convs[0](x[:, :, 3 * start : 3 * stop]), []
            for block in blocks:
                frames, below = block(below, last=stop == n_frames)
                every.append(frames)
            every.append(F.relu_(below))
            for position, layer in enumerate(self.layers):
                if every[layer].shape[2]:
                    yield position, every[layer]


class _Block:
    """[ReLU, convolution, pooling] of frames that come piece by piece."""

    def __init__(self, conv, size):
        self.conv, self.size, self.waiting, self.silent = conv, size, None, True

    def __call__(self, x, last):
        """Rectified frames of this piece, and those above which are now known."""
        x = x.transpose(1, 2)  # as frames lie in memory: channels last
        if self.waiting is None:
            self.waiting = x.new_zeros(1, 1, x.shape[2])  # before the clip, as beyond it
        begin, end = self.waiting.shape[1], self.waiting.shape[1] + x.shape[1]
        known = x.new_empty(1, end + 1, x.shape[2])
        known[:, :begin], known[:, end:] = self.waiting, 0.0
        frames = torch.clamp_min(x, 0.0, out=known[:, begin:end]).transpose(1, 2)
        n = end - 2 + last  # frames with a neighbour on either side
        n = n if last and self.silent and n < 3 else n // 3 * 3  # in whole windows
        if n < (1 if last else max(3, self.size - 3)):  # small convolutions are slow ones
            self.waiting = known[:, :end]
            return frames, frames[:, :, :0]
        self.waiting, self.silent = known[:, n:end], False
        y = self.conv(known[:, : n + 2].transpose(1, 2))[:, :, 1:-1]
        return frames, max_pool(y, torch.tensor([n]), 3)[0]
