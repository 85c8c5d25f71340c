"""Musically motivated filters: tall ones for timbre, long ones for rhythm.

The front-end of Pons et al. 2017 (arXiv:1711.02520) with random weights, as in
Pons & Serra (arXiv:1805.00237).
"""

import torch.nn.functional as F
from torch import nn

from ._network import Network
from .convolutions import conv_band_max, join_channels, new_conv
from .layers import Map

__all__ = ["TimbralTemporal"]

PAPER_TEMPORAL_KERNELS = (165, 128, 64, 32)
TIMBRAL_WIDTHS = (7, 3, 1)  # frames; with n, 2n, 4n filters
TIMBRAL_HEIGHTS = (0.9, 0.4)  # of the mel bands


class TimbralTemporal(Network):
    """Six filter shapes across frequency, four filter lengths over time, or both.

    Timbral block: maximum over frequency of each filter. Temporal block: filters over the mean
    of all bands. Both with ReLU and "same" padding in time.

    Shape: (B, F, T) -> (B, 14 n_filters, T) for each block.

    Parameters
    ----------
    n_filters : int
        Multiple of 4: the temporal block leaves out n_filters / 4 filters of each length, so
        that both blocks are equally wide.
    n_mels : int
        Bands F of the input.
    temporal_kernels : sequence of 4 int
        Frames, longest first; with 1, 2, 4, 8 times n_filters.
    blocks : sequence of {"timbral", "temporal"}
        Which blocks to compute, in order.
    """

    handles_lengths = True

    def __init__(self, n_filters, n_mels, temporal_kernels, blocks):
        super().__init__()
        self.blocks = blocks
        bands = [int(height * n_mels) for height in TIMBRAL_HEIGHTS]
        shapes = [(width, height) for height in bands for width in TIMBRAL_WIDTHS]
        counts = [n_filters, 2 * n_filters, 4 * n_filters] * 2
        maps = {"timbral": _block_map("timbral", counts, [f"{w}x{h}" for w, h in shapes], 7)}
        if "timbral" in blocks:
            self.timbral = nn.ModuleList(
                new_conv(1, n, shape, padding=(shape[0] // 2, 0))
                for n, shape in zip(counts, shapes, strict=True)
            )
        counts = [n_filters * 2**i - n_filters // 4 for i in range(len(temporal_kernels))]
        maps["temporal"] = _block_map("temporal", counts, temporal_kernels, max(temporal_kernels))
        if "temporal" in blocks:
            self.temporal = nn.ModuleList(
                new_conv(1, n, width) for n, width in zip(counts, temporal_kernels, strict=True)
            )
        self.set_maps([maps[block] for block in blocks])
        # windows of the longest temporal filter, maps side by side and joined
        self.floats_per_step = n_mels + max(temporal_kernels) + 14.0 * n_filters * (len(blocks) + 1)

    def forward(self, x, lengths):
        run = {"timbral": self._timbre, "temporal": self._rhythm}
        return [(F.relu_(run[block](x, lengths)), lengths) for block in self.blocks]

    def _timbre(self, x, lengths):
        return join_channels([conv_band_max(conv, x, lengths) for conv in self.timbral])

    def _rhythm(self, x, lengths):
        series = x.mean(1, keepdim=True)
        maps = []
        for conv in self.temporal:
            before = (conv.kernel_size[0] - 1) // 2  # the odd one goes to the right
            maps.append(conv(F.pad(series, (before, conv.kernel_size[0] - 1 - before))))
        return join_channels(maps)


def _block_map(block, counts, shapes, width):
    channels = (f"{shape}_{i}" for n, shape in zip(counts, shapes, strict=True) for i in range(n))
    return Map(block, tuple(channels)).then(width, pad=(width - 1) // 2)
