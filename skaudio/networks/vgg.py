"""VGG-like stack of small filters over a spectrogram (Pons & Serra, arXiv:1805.00237)."""

import torch
import torch.nn.functional as F
from torch import nn

from ..frontends import mask
from .layers import Map, halo_of, max_pool, new_conv, numbered, pooled_lengths

__all__ = ["VGG"]

PAPER_POOLS = ((4, 2), (4, 3), (5, 2), (4, 2), (4, 4))


class VGG(nn.Module):
    """Blocks of [3 x 3 convolution, max-pooling, ELU]; every block's map is averaged over mel.

    Shape: (B, F, T) -> (B, n_filters, T / (p_1 ... p_l)) for each kept block l, rounded down
    block by block but never below one frame.

    Parameters
    ----------
    n_filters : int
        Channels of every block.
    n_mels : int
        Bands F of the input.
    pools : sequence of (int, int)
        Pooling window of each block, (time, mel).
    keep : sequence of int
        Blocks whose maps are returned.
    """

    handles_lengths = True
    min_steps = 1

    def __init__(self, n_filters, n_mels, pools, keep):
        super().__init__()
        self.pools, self.keep = pools, keep
        at, maps = Map("input", numbered(n_filters)), []
        self.blocks = nn.ModuleList()
        for block, (time, _) in enumerate(pools[: max(keep) + 1]):
            n_in = n_filters if block else 1
            self.blocks.append(new_conv(n_in, n_filters, (3, 3), padding=1))
            at = at.then(3, pad=1, name=f"pool{block + 1}").then(time, stride=time)
            maps.append(at)
        self.maps = [maps[block] for block in keep]
        self.stride, self.halo = maps[-1].stride, halo_of(maps)
        self.floats_per_step = 2.0 * n_filters * n_mels

    def output_lengths(self, lengths):
        every = []
        for time, _ in self.pools[: len(self.blocks)]:
            lengths = pooled_lengths(lengths, time)
            every.append(lengths)
        return [every[block] for block in self.keep]

    def forward(self, x, lengths):
        x = x.transpose(1, 2)[:, None].contiguous(memory_format=torch.channels_last)
        every = []
        for conv, width in zip(self.blocks, self.pools, strict=False):
            # ELU rises, so it commutes with the maximum: pooling first leaves it less to do
            x, lengths = max_pool(conv(x), lengths, width)
            x = mask(F.elu_(x), lengths)
            every.append((x.mean(-1), lengths))
        return [every[block] for block in self.keep]
