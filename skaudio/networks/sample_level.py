"""Sample-level CNN on the wave (Lee et al. 2017, arXiv:1703.01789) in Pons & Serra's size."""

from torch import nn

from .convolutions import max_pool, new_conv, pooled_lengths
from .layers import Map, halo_of, numbered, rectified

__all__ = ["SampleLevel"]


class SampleLevel(nn.Module):
    """Strided convolution 3/3, then blocks of [convolution 3 "same", max-pooling 3, ReLU].

    Shape: (B, 1, T) -> (B, n_filters, T / 3^l) for each kept layer l = 1 ... 7, rounded down
    layer by layer but never below one frame.

    Parameters
    ----------
    n_filters : int
        Channels of every layer.
    keep : sequence of int
        Layers whose maps are returned, counted from 0.
    """

    handles_lengths = True
    min_steps = 3

    def __init__(self, n_filters, keep):
        super().__init__()
        self.keep = keep
        self.convs = nn.ModuleList([new_conv(1, n_filters, 3, stride=3)])
        at = Map("conv1", numbered(n_filters)).then(3, stride=3)
        maps = [at]
        for layer in range(1, max(keep) + 1):
            self.convs.append(new_conv(n_filters, n_filters, 3, padding=1))
            at = at.then(3, pad=1, name=f"pool{layer}").then(3, stride=3)
            maps.append(at)
        self.maps = [maps[layer] for layer in keep]
        self.stride, self.halo = maps[-1].stride, halo_of(maps)
        self.floats_per_step = n_filters

    def output_lengths(self, lengths):
        every = [lengths // 3]
        while len(every) < len(self.convs):
            every.append(pooled_lengths(every[-1], 3))
        return [every[layer] for layer in self.keep]

    def forward(self, x, lengths):
        first, *others = self.convs
        lengths = lengths // 3
        every = [(rectified(first(x), lengths), lengths)]
        for conv in others:
            x, lengths = max_pool(conv(every[-1][0]), every[-1][1], 3)
            every.append((rectified(x, lengths), lengths))
        return [every[layer] for layer in self.keep]
