"""VGG-like stack of small filters over a spectrogram (Pons & Serra, arXiv:1805.00237)."""

from dataclasses import replace
from functools import cache

import torch.nn.functional as F
from torch import nn

from .._tensors import mask
from ._network import Network
from .convolutions import as_image, conv_max_pool, new_conv, pooled_lengths
from .layers import Map, numbered

__all__ = ["VGG"]

PAPER_POOLS = ((4, 2), (4, 3), (5, 2), (4, 2), (4, 4))


class VGG(Network):
    """Blocks of [3 x 3 convolution, max-pooling, ELU]; every block's map is averaged over mel.

    Shape: (B, F, T) -> (B, n_filters * b_l, T / (p_1 ... p_l)) for each selected block l, rounded
    down block by block but never below one frame; b_l is ``n_bands``, or the height of the map
    if that is less.

    Parameters
    ----------
    n_filters : int
        Channels of every block.
    n_mels : int
        Bands F of the input.
    pools : sequence of (int, int)
        Pooling window of each block, (time, mel).
    layers : sequence of int
        Blocks whose maps are returned.
    n_bands : int
        Equal parts of the mel axis that are averaged apart; 1 in the paper.
    """

    handles_lengths = True

    def __init__(self, n_filters, n_mels, pools, layers, n_bands=1):
        super().__init__()
        self.pools, self.layers = pools, layers
        time, mel = pools[0]
        # pieces of the first pooled map, these joined, and what the next block makes of it
        self.floats_per_step = n_mels + 4 * n_filters * max(1, n_mels // mel) / time
        at, maps, self.heights = Map("input"), [], []
        self.blocks = nn.ModuleList()
        for block, (time, mel) in enumerate(pools[: max(layers) + 1]):
            n_in = n_filters if block else 1
            self.blocks.append(new_conv(n_in, n_filters, (3, 3), padding=1))
            n_mels = max(1, n_mels // mel)
            self.heights.append(min(n_bands, n_mels))
            at = at.then(3, pad=1, name=f"pool{block + 1}").then(time, stride=time)
            maps.append(replace(at, channels=_channels(n_filters, self.heights[-1])))
        self.set_maps(maps, layers)

    def output_lengths(self, lengths):
        every = []
        for time, _ in self.pools[: len(self.blocks)]:
            lengths = pooled_lengths(lengths, time)
            every.append(lengths)
        return [every[block] for block in self.layers]

    def forward(self, x, lengths):
        x = as_image(x)
        every = []
        for conv, width, height in zip(self.blocks, self.pools, self.heights, strict=False):
            # ELU rises, so it commutes with the maximum: pooling first leaves it less to do
            x, lengths = conv_max_pool(conv, x, lengths, width)
            x = mask(F.elu_(x), lengths)
            bands = F.adaptive_avg_pool2d(x, (x.shape[2], height))
            every.append((bands.permute(0, 3, 1, 2).flatten(1, 2), lengths))
        return [every[block] for block in self.layers]


@cache
def _channels(n_filters, n_bands):
    if n_bands == 1:
        return numbered(n_filters)
    return tuple(f"{i}_band{band}" for band in range(n_bands) for i in range(n_filters))
