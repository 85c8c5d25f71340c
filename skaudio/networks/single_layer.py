"""One layer of tall filters over a spectrogram (Pons & Serra's 7 x 96 and 7 x 86)."""

import torch.nn.functional as F

from ._network import Network
from .convolutions import conv_band_max, new_conv
from .layers import Map, numbered

__all__ = ["SingleLayer"]


class SingleLayer(Network):
    """Convolution, maximum over the places the filter can take in frequency, ReLU.

    Shape: (B, F, T) -> (B, n_filters, T - kernel[0] + 1).

    Parameters
    ----------
    n_filters : int
        Number of filters.
    n_mels : int
        Bands F of the input.
    kernel : (int, int)
        Filter size, (time, mel).
    """

    handles_lengths = True

    def __init__(self, n_filters, n_mels, kernel):
        super().__init__()
        self.conv = new_conv(1, n_filters, kernel)
        self.min_steps = kernel[0]
        self.set_maps([Map("conv", numbered(n_filters)).then(kernel[0])])
        self.floats_per_step = n_mels + 2.0 * n_filters

    def output_lengths(self, lengths):
        return [lengths - self.min_steps + 1]

    def forward(self, x, lengths):
        (lengths,) = self.output_lengths(lengths)
        return [(F.relu_(conv_band_max(self.conv, x, lengths)), lengths)]
