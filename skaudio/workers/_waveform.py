"""A worker that gives the wave back, sample by sample."""

import math
from functools import partial

import torch.nn.functional as F
from torch import nn

from ..utils.validation import check_whole
from ._regression import Regression
from ._worker import mlp

__all__ = ["Waveform"]


class Waveform(Regression):
    """Predict the samples of the clean chunk, with the mean absolute error.

    The decoder is made of transposed convolutions, each of which has exactly its stride times as
    many steps as it is given, and a head that sees one sample at a time.

    Parameters
    ----------
    n_channels, hop_length, sample_rate : int
        As for `Worker`.
    channels : sequence of int
        Of each transposed convolution.
    kernels : sequence of int
        Their lengths: their strides, and an even number more.
    strides : sequence of int
        Their product is the hop length.
    hidden : int
        Channels of the hidden layer of the head.
    """

    n_targets = 1

    def __init__(
        self,
        n_channels,
        hop_length,
        sample_rate,
        *,
        channels=(512, 256, 128),
        kernels=(30, 30, 30),
        strides=(4, 4, 10),
        hidden=64,
    ):
        for name, value in (("channels", channels), ("kernels", kernels), ("strides", strides)):
            check_whole(name, value, (len(strides),))
        if math.prod(strides) != hop_length:
            raise ValueError(
                f"strides={tuple(strides)} of Waveform make {math.prod(strides)} samples of a "
                f"frame, which has {hop_length}; pass others, by functools.partial"
            )
        if any(k < s or (k - s) % 2 for k, s in zip(kernels, strides, strict=True)):
            raise ValueError(
                f"kernels={tuple(kernels)} of Waveform must be the strides {tuple(strides)}, and "
                "an even number more"
            )
        self.shape = [*zip(channels, kernels, strides, strict=True)]
        super().__init__(n_channels, hop_length, sample_rate, hidden=hidden)
        steps = 1
        for width, _, stride in self.shape:
            steps *= stride
            self.floats_per_frame += 2.0 * width * steps
        self.floats_per_frame += 2.0 * self.hidden * hop_length

    def _head(self, n_outputs):
        layers, n_inputs = [], self.n_channels
        for width, kernel, stride in self.shape:
            # (n - 1) s - 2 p + k = n s steps out of n
            padding = (kernel - stride) // 2
            layers += [
                nn.ConvTranspose1d(n_inputs, width, kernel, stride, padding),
                nn.PReLU(width, init=0.0),
            ]
            n_inputs = width
        return nn.Sequential(*layers, *mlp(n_inputs, n_outputs, self.hidden))

    def _n_steps(self, n_samples):
        return n_samples

    def target(self, wave):
        return wave[:, None]

    def error(self, prediction, target):
        return F.l1_loss(prediction, target)

    def prepare(self, waves, reference):
        if reference:  # the samples as they are
            self._measure_chance(waves)
        else:
            super().prepare(waves, reference)


FORMS = {
    "waveform": Waveform,
    "waveform_small": partial(Waveform, channels=(64, 32, 16), hidden=16),
}
