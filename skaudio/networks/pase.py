"""The encoder that many small tasks train at once: PASE (Pascual et al. 2019) and PASE+.

Band-pass filters that learn their edges, strided convolutions down to a frame every 160 samples,
and, in PASE+ (Ravanelli et al. 2020), a recurrent layer and skip connections from every convolution
to the output.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ..batching import tiles
from ._network import Network
from .convolutions import TimeConv, channels_last, new_conv, time_conv
from .layers import Map, numbered
from .qrnn import QRNN
from .sinc import SincConv, odd

__all__ = ["PASE", "SIZES", "STRIDES"]

STRIDES = (1, 10, 2, 1, 2, 1, 2, 2)  # of the published convolutions
_LAYERS = tuple(
    (width, 251 if i == 0 else 20 if i == 1 else 11, stride)
    for i, (width, stride) in enumerate(
        zip((64, 64, 128, 128, 256, 256, 512, 512), STRIDES, strict=True)
    )
)
# arguments of the networks
SIZES = {
    "tiny": {
        "layers": (
            *((48, 251, 5), (64, 8, 4), (128, 5, 2)),
            *((128, 5, 2), (128, 11, 2), (128, 11, 1)),
        ),
        "n_features": 256,
        "n_hidden": 128,
        "skips": True,
        "compression": 30.0,
    },
    "pase": {"layers": _LAYERS, "n_features": 100},
    "pase+": {"layers": _LAYERS, "n_features": 256, "n_hidden": 512, "skips": True},
}


class _Sinc(SincConv):
    """Band-pass filters, for `_Block`."""

    bias = None

    def kernels(self):
        """Taps of the filters, as kernels of a convolution."""
        return self.filters()[:, None]


class _Conv(TimeConv):
    """Convolution, for `_Block`."""

    def kernels(self):
        """Its weights."""
        return self.weight


class _Block(nn.Module):
    """Mirrored ends, convolution, batch norm, and a rectifier with a slope for each channel.

    Shape: (B, n_in, T) -> (B, width, T'), T' = (T + left + right - kernel) // stride + 1.

    Parameters
    ----------
    conv : _Sinc or _Conv
        The convolution, without padding.
    width, kernel, stride : int
        Of it.
    """

    def __init__(self, conv, width, kernel, stride):
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.left, self.right = _padding(conv, kernel, stride)
        self.conv = conv
        self.norm = nn.BatchNorm2d(width)  # of images of height 1, channels last
        self.act = nn.PReLU(width, init=0.0)

    def forward(self, x):
        x = _mirrored(x, self.left, self.right)
        if self.training:
            y = self.norm(channels_last(self.conv(x))).squeeze(2)
        else:  # what does not change any more is one convolution
            scale = self.norm.weight * (self.norm.running_var + self.norm.eps).rsqrt()
            mean = self.norm.running_mean
            if self.conv.bias is not None:
                mean = mean - self.conv.bias
            kernels = self.conv.kernels() * scale[:, None, None]
            # of windows of the wave at each sample a matrix product would take three times as long
            convolve = F.conv1d if x.shape[1] == self.stride == 1 else time_conv
            y = convolve(x, kernels, self.norm.bias - mean * scale, self.stride)
        return F.prelu(y, self.act.weight.to(y.dtype))

    def steps(self, steps):
        """Length of the output, a number or a tensor of numbers."""
        return (steps + self.left + self.right - self.kernel) // self.stride + 1

    def steps_before(self, steps):
        """Shortest input with an output of so many steps; a mirror needs one more than it adds."""
        shortest = (steps - 1) * self.stride + self.kernel - self.left - self.right
        return max(shortest, self.left + 1, self.right + 1)


def _padding(conv, kernel, stride):
    """Steps that are mirrored at either end, as published: strides shift frames to the right."""
    side = kernel // 2
    if isinstance(conv, _Sinc) or (stride == 1 and kernel % 2 == 1):
        return side, side
    return max(side - 1, 0), side if kernel > 1 else 0


def _mirrored(x, left, right):
    """Reflect the ends of x (B, C, T) without repeating the last step; channels lie last."""
    steps = x.transpose(1, 2)
    before, after = steps[:, 1 : left + 1].flip(1), steps[:, -right - 1 : -1].flip(1)
    return torch.cat([before, steps, after], dim=1).transpose(1, 2)


class PASE(Network):
    """Encoder of the wave: convolutions, and optionally a recurrent layer and skip connections.

    Each block is a convolution with mirrored ends, a batch norm and a rectifier. The last one, or
    a `QRNN` of it, is projected to the features; with ``skips`` the means that every other block
    has in the time of a frame, projected too, are added. A batch norm without scale and shift
    ends it. In training, norms go by the batch, otherwise by what they remember.

    Shape: (B, 1, T) -> (B, n_features, T'); with the published layers T' = ceil(T / 10) // 16.

    Parameters
    ----------
    layers : sequence of (width, kernel, stride)
        Blocks; the first are band-pass filters, whose kernel is made odd.
    n_features : int
        Channels of the output.
    n_hidden : int, default=None
        Width of the recurrent layer. None: there is none.
    skips : bool, default=False
        Whether there are skip connections.
    compression : float, default=0.0
        Above 0, the first block ends with y = asinh(compression x), which is nearly a logarithm of
        what is loud, so that clips of different loudness are more alike. The published networks
        have none.
    sample_rate : int, default=16000
        Of the wave, Hz.
    reference : bool, default=False
        Whether skip connections take their means over floor(T_i / T') steps of a block of T_i
        steps, as the published code does. Where a length is no multiple of the stride this may
        be other than the time of a frame, and then means slide away from the frame they are
        added to, the further the longer the clip. So the whole clip is seen at once.
    """

    def __init__(
        self,
        layers,
        *,
        n_features,
        n_hidden=None,
        skips=False,
        compression=0.0,
        sample_rate=16000,
        reference=False,
    ):
        super().__init__()
        self.compression, self.reference = compression, reference
        self.blocks, n_in, at = nn.ModuleList(), 1, Map("pase", numbered(n_features))
        maps = []
        for width, kernel, stride in layers:
            if n_in == 1:
                kernel = odd(kernel)
                conv = _Sinc(width, kernel, sample_rate, stride=stride)
            else:
                conv = _Conv(n_in, width, kernel, stride=stride)
            block = _Block(conv, width, kernel, stride)
            self.blocks.append(block)
            at, n_in = at.then(kernel, stride=stride, pad=block.left), width
            maps.append(at)
        self.skips = None
        if skips:
            self.skips = nn.ModuleList(
                new_conv(width, n_features, 1, bias=False) for width, _, _ in layers[:-1]
            )
        self.rnn = None if n_hidden is None else QRNN(n_in, n_hidden)
        self.projection = new_conv(n_hidden or n_in, n_features, 1)
        self.norm_out = nn.BatchNorm2d(n_features, affine=False)
        # steps of each block in the time of a frame
        self.groups = [at.stride // m.stride for m in maps]
        seen = [m.then(n, stride=n) for m, n in zip(maps, self.groups, strict=True)]
        self.set_maps(seen)
        self.maps = [at]
        if skips and reference:
            self.halo = None
        self.min_steps = 2  # a norm of one frame would be zero
        for block in reversed(self.blocks):
            self.min_steps = block.steps_before(self.min_steps)
        # of a block its output, and a padded copy in the layout that the next one reads
        self.floats_per_step = max(
            3 * width / m.stride for (width, _, _), m in zip(layers, maps, strict=True)
        )

    @torch.no_grad()
    def initialise(self, generator):
        """Fill the network: uniform within 1 / sqrt(fan_in), filters on the mel scale.

        Norms change nothing, and rectifiers let nothing below zero through, at first.

        Parameters
        ----------
        generator : torch.Generator
            Source of all randomness, on the CPU.
        """
        for layer in self.modules():
            if isinstance(layer, nn.Conv1d | nn.Linear):
                bound = 1 / math.sqrt(layer.weight[0].numel())
                for p in layer.parameters():
                    # in the order of the axes, however the kernels lie in memory
                    p.copy_(torch.empty(p.shape).uniform_(-bound, bound, generator=generator))
            elif isinstance(layer, nn.BatchNorm2d | SincConv):
                layer.reset_parameters()
            elif isinstance(layer, nn.PReLU):
                layer.weight.zero_()

    def output_lengths(self, lengths):
        for block in self.blocks:
            lengths = block.steps(lengths)
        return [lengths]

    def forward(self, x, lengths):
        if x.shape[2] < self.min_steps:
            raise ValueError(
                f"{x.shape[2]} samples have no mirror image as long as the padding; this network "
                f"needs {self.min_steps}"
            )
        y, _ = self._projected(*self._encoded(x))
        return [(y, self.output_lengths(lengths)[0])]

    def _encoded(self, x):
        """Last block, and the sum of the skip connections, or None: (B, C, T')."""
        maps = []
        for block in self.blocks:
            x = block(x)
            if self.compression and block is self.blocks[0]:
                x = torch.asinh(self.compression * x)
            if self.skips is not None:
                maps.append(x)
        total = None
        for m, group, skip in zip(maps, self.groups, self.skips or (), strict=False):
            if self.reference:
                group = m.shape[2] // x.shape[2]
            # a projection of means is a mean of projections, and takes less time
            y = skip(_means(m, group, x.shape[2]))
            total = y if total is None else total + y
        return x, total

    def _projected(self, x, skipped, state=None):
        """Features of the last block and the skip connections, and the state at their end."""
        if self.rnn is not None:
            x, state = self.rnn(x, state)
        y = self.projection(x)
        if skipped is not None:
            y = y + skipped
        return self.norm_out(channels_last(y)).squeeze(2), state

    @torch.no_grad()
    def pieces(self, x, max_steps):
        """Frames of one clip piece by piece; the recurrent layer carries its state along.

        Parameters
        ----------
        x : Tensor of shape (1, 1, T)
            The whole wave.
        max_steps : int
            Most samples to work on at a time.

        Yields
        ------
        layer : int
            Always 0.
        frames : Tensor of shape (1, n_features, t)
            The next ones.
        """
        state = None
        for tile in tiles(x.shape[-1], max_steps, stride=self.stride, halo=self.halo):
            maps = self._encoded(x[..., tile.start : tile.stop])
            before = tile.start // self.stride
            stop = None if tile.last == x.shape[-1] else tile.last // self.stride - before
            frames = slice(tile.first // self.stride - before, stop)
            y, state = self._projected(*(m if m is None else m[..., frames] for m in maps), state)
            yield 0, y


def _means(x, width, n_groups):
    """Means (B, C, n_groups) of steps side by side; the last group may have fewer."""
    steps = x.transpose(1, 2)
    whole = min(n_groups, steps.shape[1] // width)
    means = steps[:, : whole * width].unflatten(1, (whole, width)).mean(2)
    if whole < n_groups:
        means = torch.cat([means, steps[:, whole * width :].mean(1, keepdim=True)], dim=1)
    return means.transpose(1, 2)
