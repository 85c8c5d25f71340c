"""What the networks share: the description of a map, drawn convolutions, length-aware layers.

A network is a module called as ``network(x, lengths)`` with x (B, C, T) that returns one
``(x_l, lengths_l)`` per kept layer, x_l of shape (B, C_l, T_l); lengths are on the processor,
whatever the device of x. Beside that it has

    maps : list of Map, what each returned layer is
    min_steps : int, the shortest input it can read
    stride : int, input steps per step of its coarsest layer
    halo : int, input steps seen beyond that; None if it must see the whole clip at once
    handles_lengths : bool, whether clips of different length may share a batch
    floats_per_step : float, numbers held at once per input step, for the memory bound
    output_lengths(lengths) : the lengths_l without the data
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import nn

from ..frontends import mask, within

__all__ = [
    "ACTIVATIONS",
    "Map",
    "as_image",
    "channels_last",
    "conv_max_pool",
    "draw",
    "halo_of",
    "masked_group_norm",
    "max_pool",
    "new_conv",
    "numbered",
    "pooled_lengths",
    "rectified",
]

_SMALL = 1 << 20  # weights of a network that is remembered once it is drawn
# Numbers of a map of images that are worked out at a time. On a processor 16 MB: larger arrays come
# from the system anew each time, which costs more than to fill them. And for more filters than 128
# at a time torch may take a convolution that is three times slower.
_GPU_PIECE = 1 << 27
_PIECE = 1 << 22
_FILTERS = 128


def _relu(x):
    return F.relu(x, inplace=not torch.is_grad_enabled())


ACTIVATIONS = {"relu": _relu, "gelu": F.gelu, "elu": F.elu, "tanh": torch.tanh}


@dataclass(frozen=True)
class Map:
    """One layer's output, and where its frames lie in the input.

    Frame p depends on the input steps from ``p * stride - left`` to ``p * stride + right``.

    Parameters
    ----------
    name : str
        Used in feature names.
    channels : sequence of str
        Name of each channel.
    stride, left, right : int
        Input steps.
    """

    name: str
    channels: tuple = ()
    stride: int = 1
    left: int = 0
    right: int = 0

    def then(self, kernel, *, stride=1, pad=0, **changes):
        """Map after a convolution or pooling of this one.

        Parameters
        ----------
        kernel, stride, pad : int
            Width, step and left padding in frames of this map.
        **changes
            Other attributes to replace.

        Returns
        -------
        map : Map
            The new map.
        """
        return replace(
            self,
            stride=self.stride * stride,
            left=self.left + pad * self.stride,
            right=self.right + (kernel - 1 - pad) * self.stride,
            **changes,
        )

    @property
    def centre(self):
        """Input step at the middle of frame 0; may be negative or fractional."""
        return (self.right - self.left) / 2


def halo_of(maps):
    """Input steps that tiles must overlap for these maps to come out exact.

    Parameters
    ----------
    maps : list of Map
        The kept layers.

    Returns
    -------
    halo : int
        The farthest look to either side.
    """
    return max(max(m.left, m.right) for m in maps)


def numbered(n):
    """Channel names "0" to "n - 1".

    Parameters
    ----------
    n : int
        Number of channels.

    Returns
    -------
    names : tuple of str
        The names.
    """
    return tuple(str(i) for i in range(n))


class Undrawn:
    """Makes a layer of torch leave its weights undrawn, and the random generators alone."""

    def reset_parameters(self):
        """`draw` or stored weights will fill them."""


class ImageConv(nn.Conv2d):
    """2-D convolution, channels last in memory."""

    def reset_parameters(self):
        """Lay the kernels out; `draw` or stored weights will fill them."""
        self.to(memory_format=torch.channels_last)


class TimeConv(nn.Conv1d):
    """1-D convolution, channels last in memory: the fast layout on a processor.

    It is a 2-D convolution of height 1, whose stride s over C channels becomes a stride of 1 over
    s C; or, from a single channel, a matrix product of windows, where these do not overlap, or by
    single steps, or are to be trained.
    """

    def reset_parameters(self):
        """Lay the kernels out; `draw` or stored weights will fill them."""
        n_out, n_in, kernel = self.weight.shape
        self.weight = nn.Parameter(torch.empty(n_out, kernel, n_in).transpose(1, 2))

    def forward(self, x):
        (kernel,), (stride,), (padding,) = self.kernel_size, self.stride, self.padding
        windows = stride in (1, kernel) or torch.is_grad_enabled()
        if self.in_channels == 1 and windows:
            windows = F.pad(x, (padding, padding))[:, 0].unfold(1, kernel, stride)
            # rows of taps: then the gradient of the kernels, too, is a product of the fast kind
            weight = self.weight[:, 0].t().contiguous().t()
            return F.linear(windows, weight, self.bias).transpose(1, 2)
        weight = self.weight
        if stride > 1:
            x, weight = _strides_as_channels(x, weight, stride, padding)
            padding = 0
        x, weight = channels_last(x), channels_last(weight)
        return F.conv2d(x, weight, self.bias, padding=(0, padding)).squeeze(2)


def _strides_as_channels(x, weight, stride, padding):
    """Input and kernels of the convolution of stride 1 with the same output, without a copy."""
    kernel, taps = weight.shape[2], -(-weight.shape[2] // stride)
    steps = (x.shape[2] + 2 * padding - kernel) // stride + taps
    lack = stride * steps - x.shape[2] - padding
    if padding or lack > 0:
        x = F.pad(x, (padding, max(lack, 0)))
    x = x.transpose(1, 2)[:, : stride * steps].unflatten(1, (steps, stride)).flatten(2)
    weight = F.pad(weight, (0, taps * stride - kernel)).unflatten(2, (taps, stride))
    return x.transpose(1, 2), weight.permute(0, 3, 1, 2).flatten(1, 2)


def channels_last(x):
    """Maps as images of height 1 with the strides that make torch take its fast layout.

    Parameters
    ----------
    x : Tensor of shape (B, C, T)
        The maps; not copied if their channels lie last in memory.

    Returns
    -------
    image : Tensor of shape (B, C, 1, T)
        Where a size is 1 torch does not care for the stride, but goes by it to tell layouts.
    """
    return x.transpose(1, 2).contiguous().unsqueeze(1).permute(0, 3, 1, 2)


def as_image(x):
    """Spectrogram as the one channel of an image, with channels-last strides.

    Parameters
    ----------
    x : Tensor of shape (B, F, T)
        The spectrogram.

    Returns
    -------
    image : Tensor of shape (B, 1, T, F)
        As for `channels_last`.
    """
    return _like_image(x.transpose(1, 2).contiguous()[:, None])


def _like_image(x):
    """Images whose strides say channels last also where there is but one channel."""
    steps, bands = x.shape[2:]
    if x.shape[1] > 1:
        return x
    return x.as_strided(x.shape, (steps * bands, 1, bands, 1))


def new_conv(n_in, n_out, kernel, **options):
    """Convolution layer with undrawn weights; no random generator is touched.

    Parameters
    ----------
    n_in, n_out : int
        Channels.
    kernel : int or (int, int)
        Width in time, or (time, mel): 1-D or 2-D.
    **options
        For the layer, for instance ``stride=3``.

    Returns
    -------
    conv : TimeConv or ImageConv
        To be filled by `draw`, or with stored weights.
    """
    layer = TimeConv if isinstance(kernel, int) else ImageConv
    return layer(n_in, n_out, kernel, **options)


@torch.no_grad()
def draw(network, generator):
    """Fill a network in the manner of Pons & Serra: zero biases, fan-in scaled kernels.

    w = s x, s = sqrt(1.3 * 2 / fan_in), x normal, drawn again where |x| > 2: TensorFlow 1's
    variance scaling. 1.3 restores the variance that truncation takes.

    Parameters
    ----------
    network : Module
        Its kernels are drawn in the order of their registration.
    generator : torch.Generator
        Source of all randomness, on the CPU.
    """
    parameters = list(network.parameters())
    shapes = tuple(tuple(parameter.shape) for parameter in parameters)
    # a search draws the same small network for every setting and fold
    small = sum(parameter.numel() for parameter in parameters) <= _SMALL
    drawn = _remembered if small else _drawn
    tensors, state = drawn(shapes, generator.get_state().numpy().tobytes())
    for parameter, tensor in zip(parameters, tensors, strict=True):
        parameter.copy_(tensor)
    generator.set_state(state)


def _drawn(shapes, state):
    """Tensors of these shapes from a generator in this state, and its state afterwards."""
    generator = torch.Generator()
    generator.set_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))
    tensors = [torch.zeros(shape) for shape in shapes]
    for tensor in tensors:
        if tensor.ndim > 1:
            scale = (2.6 / tensor[0].numel()) ** 0.5
            nn.init.trunc_normal_(tensor, std=scale, a=-2 * scale, b=2 * scale, generator=generator)
    return tensors, generator.get_state()


_remembered = lru_cache(maxsize=4)(_drawn)


def pooled_lengths(lengths, width):
    """Frames left by `max_pool`: T -> max(1, T // width).

    Parameters
    ----------
    lengths : Tensor of shape (B,), int64
        Frames before.
    width : int
        Width of the window.

    Returns
    -------
    lengths : Tensor of shape (B,), int64
        Frames after.
    """
    return (lengths // width).clamp(min=1)


def max_pool(x, lengths, width):
    """Maximum over windows laid side by side; a map shorter than the window is one window.

    Shape: (B, C, T) -> (B, C, T // width), or (B, C, T, F) with ``width`` = (time, mel).
    An incomplete last window is dropped, except where it is the only one.

    Parameters
    ----------
    x : Tensor
        Maps.
    lengths : Tensor of shape (B,), int64
        Number of valid frames.
    width : int or (int, int)
        Window in time, or time and frequency.

    Returns
    -------
    x : Tensor
        Pooled maps; what stands beyond the new lengths is not defined.
    lengths : Tensor of shape (B,), int64
        Their lengths.
    """
    time = width if isinstance(width, int) else width[0]
    if bool((lengths < time).any()):
        beyond = ~within(lengths, x.shape[2], x.device)
        x = x.masked_fill(beyond.view(len(lengths), 1, -1, *[1] * (x.ndim - 3)), -torch.inf)
        lack = max(0, time - x.shape[2])
        x = F.pad(x, (0, lack) if x.ndim == 3 else (0, 0, 0, lack), value=-torch.inf)
    if x.ndim == 3:
        x = F.max_pool2d(channels_last(x), (1, time)).squeeze(2)
    else:
        x = F.max_pool2d(x, (time, min(width[1], x.shape[3])))
    return x, pooled_lengths(lengths, time)


def conv_max_pool(conv, x, lengths, width):
    """Convolution of images, then `max_pool`, piece by piece.

    Parameters
    ----------
    conv : ImageConv
        Its stride is 1.
    x : Tensor of shape (B, C, T, F)
        Images.
    lengths : Tensor of shape (B,), int64
        Number of valid frames of what the convolution returns.
    width : (int, int)
        Window of the pooling in time and frequency.

    Returns
    -------
    x : Tensor
        Pooled maps.
    lengths : Tensor of shape (B,), int64
        Their lengths.
    """
    (time, bands), (pad, side), (kernel, height) = width, conv.padding, conv.kernel_size
    if bool((lengths < time).any()):
        return max_pool(conv(x), lengths, width)
    most, n_filters = (_GPU_PIECE, conv.out_channels) if x.is_cuda else (_PIECE, _FILTERS)
    steps, rows = x.shape[2] + 2 * pad - kernel + 1, x.shape[3] + 2 * side - height + 1
    frame = len(x) * min(conv.out_channels, n_filters) * rows
    piece = max(1, most // (frame * time)) * time
    if pad and piece < steps:
        x, pad = _like_image(F.pad(x, (0, 0, pad, pad))), 0
    maps = []
    for filters in zip(conv.weight.split(n_filters), conv.bias.split(n_filters), strict=True):
        pieces = []
        for start in range(0, steps // time * time, piece):
            part = x[:, :, start : start + piece + kernel - 1]
            y = F.conv2d(part, *filters, padding=(pad, side))
            pieces.append(F.max_pool2d(y, (time, min(bands, rows))))
        maps.append(_joined(pieces, 2))
    return _joined(maps, 1), pooled_lengths(lengths, time)


def _joined(parts, dim):
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


def rectified(x, lengths):
    """ReLU in place, then zeros beyond each clip so that "same" padding is what follows.

    Parameters
    ----------
    x : Tensor of shape (B, C, T) or (B, C, T, F)
        Maps.
    lengths : Tensor of shape (B,), int64
        Valid frames.

    Returns
    -------
    x : Tensor
        The same tensor.
    """
    return mask(F.relu_(x), lengths)


def masked_group_norm(x, lengths, n_groups, weight, bias, eps=1e-5):
    """Group normalisation that sees each clip alone, as if it were cut to its length.

    Parameters
    ----------
    x : Tensor of shape (B, C, T)
        Maps.
    lengths : Tensor of shape (B,), int64, or None
        Valid frames; None if all T are.
    n_groups : int
        Groups of channels; each is normalised over its channels and the clip's frames.
    weight, bias : Tensor of shape (C,), or None
        Scale and shift that follow.
    eps : float
        Added to the variance.

    Returns
    -------
    x : Tensor of shape (B, C, T)
        Normalised maps; what stands beyond the lengths is not defined.
    """
    if lengths is None or bool((lengths == x.shape[2]).all()):
        # without the check of F.group_norm, which refuses one clip of one value per group
        return torch.group_norm(channels_last(x), n_groups, weight, bias, eps).squeeze(2)
    beyond = ~within(lengths, x.shape[2], x.device)[:, None, None]
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    grouped = x.unflatten(1, (n_groups, -1))  # (B, G, C / G, T)
    count = (grouped.shape[2] * lengths.clamp(min=1)).to(x.device)[:, None, None, None]
    mean = grouped.masked_fill(beyond, 0.0).sum((2, 3), keepdim=True) / count
    centred = (grouped - mean).masked_fill(beyond, 0.0)
    variance = centred.square().sum((2, 3), keepdim=True) / count
    x = (centred * (variance + eps).rsqrt()).flatten(1, 2)
    return x if weight is None else torch.addcmul(bias[:, None], x, weight[:, None])
