"""Convolutions in the layouts that are fast, and the maxima that follow them."""

import torch
import torch.nn.functional as F
from torch import nn

from .._tensors import within

__all__ = [
    "as_image",
    "channels_last",
    "conv_band_max",
    "conv_max_pool",
    "dilated_conv",
    "join_channels",
    "max_pool",
    "new_conv",
    "pooled_lengths",
    "time_conv",
]

# Numbers of a map of images that are worked out at a time. On a processor 16 MB: larger arrays come
# from the system anew each time, which costs more than to fill them. And for more filters than 128
# at a time torch may take a convolution that is three times slower.
_GPU_PIECE = 1 << 27
_PIECE = 1 << 22
_FILTERS = 128
_SMALL = 20480  # numbers of one image, up to which torch would not take oneDNN
_ONEDNN = torch.backends.mkldnn.is_available()
_MANY_FILTERS = 512  # of half the precision are faster with bands as channels, place by place


def _conv2d(x, weight, bias, padding, dilation=1):
    """Convolution of images whose rounding is the same for one small image and for many."""
    lone = len(x) == 1 and x.numel() <= _SMALL and x.is_cpu and _ONEDNN and x.dtype == torch.float32
    if lone and not torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu"):
        # left to itself torch would take another kernel than for a batch
        return torch.mkldnn_convolution(x, weight, bias, padding, (1, 1), (1, dilation), 1)
    return F.conv2d(x, weight, bias, padding=padding, dilation=(1, dilation))


class ImageConv(nn.Conv2d):
    """2-D convolution, channels last in memory."""

    def reset_parameters(self):
        """Lay the kernels out; `initialise` or stored weights will fill them."""
        self.to(memory_format=torch.channels_last)

    def forward(self, x):
        return _conv2d(x, self.weight, self.bias, self.padding)


class TimeConv(nn.Conv1d):
    """1-D convolution, channels last in memory: the fast layout on a processor.

    It is a 2-D convolution of height 1, whose stride s over C channels becomes a stride of 1 over
    s C; or, from a single channel, a matrix product of windows, where these do not overlap, or by
    single steps, or are to be trained.
    """

    def reset_parameters(self):
        """Lay the kernels out; `initialise` or stored weights will fill them."""
        n_out, n_in, kernel = self.weight.shape
        self.weight = nn.Parameter(torch.empty(n_out, kernel, n_in).transpose(1, 2))

    def forward(self, x):
        return time_conv(x, self.weight, self.bias, self.stride[0], self.padding[0])


def time_conv(x, weight, bias=None, stride=1, padding=0):
    """1-D convolution, in whichever way is fast, and rounds alike for one clip and for many.

    Parameters
    ----------
    x : Tensor of shape (B, C, T)
        Maps.
    weight : Tensor of shape (n_filters, C, kernel)
        Kernels.
    bias : Tensor of shape (n_filters,), default=None
        What is added.
    stride, padding : int
        Step, and zeros on either side.

    Returns
    -------
    x : Tensor of shape (B, n_filters, T')
        T' = (T + 2 padding - kernel) // stride + 1.
    """
    kernel = weight.shape[2]
    as_product = stride in (1, kernel) or torch.is_grad_enabled()
    if weight.shape[1] == 1 and as_product:
        windows = F.pad(x, (padding, padding))[:, 0].unfold(1, kernel, stride)
        # rows of taps: then the gradient of the kernels, too, is a product of the fast kind
        return F.linear(windows, weight[:, 0].t().contiguous().t(), bias).transpose(1, 2)
    if stride > 1:
        x, weight = _strides_as_channels(x, weight, stride, padding)
        padding = 0
    return _conv2d(channels_last(x), channels_last(weight), bias, (0, padding)).squeeze(2)


def dilated_conv(x, weight, bias=None, dilation=1):
    """1-D convolution without padding, its taps ``dilation`` steps apart.

    Parameters
    ----------
    x : Tensor of shape (B, C, T)
        Maps.
    weight : Tensor of shape (n_filters, C, kernel)
        Kernels.
    bias : Tensor of shape (n_filters,), default=None
        What is added.
    dilation : int, default=1
        Steps from one tap to the next.

    Returns
    -------
    x : Tensor of shape (B, n_filters, T')
        T' = T - (kernel - 1) * dilation; its channels lie last in memory.
    """
    if weight.shape[2] == 1:
        dilation = 2  # which one tap does not see, but with it torch takes oneDNN on one thread too
    return _conv2d(channels_last(x), weight.unsqueeze(2), bias, (0, 0), dilation).squeeze(2)


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
    """Convolution layer with uninitialised weights; no random generator is touched.

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
        To be filled by `initialise`, or with stored weights.
    """
    layer = TimeConv if isinstance(kernel, int) else ImageConv
    return layer(n_in, n_out, kernel, **options)


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
    windows = steps // time
    n_pieces = -(-windows // max(1, most // (frame * time)))
    piece = -(-windows // n_pieces) * time  # all alike: torch has a slow one for small images
    if pad and piece < steps:
        x, pad = _like_image(F.pad(x, (0, 0, pad, pad))), 0
    maps = []
    for filters in zip(conv.weight.split(n_filters), conv.bias.split(n_filters), strict=True):
        pieces = []
        for start in range(0, windows * time, piece):
            part = x[:, :, start : start + piece + kernel - 1]
            y = _conv2d(part, *filters, (pad, side))
            pieces.append(F.max_pool2d(y, (time, min(bands, rows))))
        maps.append(_joined(pieces, 2))
    return _joined(maps, 1), pooled_lengths(lengths, time)


def conv_band_max(conv, x, lengths):
    """Convolution of spectrograms, then the maximum over all places in frequency.

    Parameters
    ----------
    conv : ImageConv
        Of one input channel and stride 1, padded in time only.
    x : Tensor of shape (B, F, T)
        Spectrograms, zero beyond their lengths.
    lengths : Tensor of shape (B,), int64
        Number of valid frames of what the convolution returns.

    Returns
    -------
    x : Tensor of shape (B, n_filters, T')
        The maxima.
    """
    height = conv.kernel_size[1]
    places = x.shape[1] - height + 1
    lower = x.is_cpu and torch.is_autocast_enabled("cpu")
    if places > 1 and not (lower and conv.out_channels >= _MANY_FILTERS):
        return conv_max_pool(conv, as_image(x), lengths, (1, places))[0][..., 0]
    weight, x = channels_last(conv.weight[:, 0].transpose(1, 2)), channels_last(x)
    padding, top = (0, conv.padding[0]), None
    for place in range(places):
        y = _conv2d(x[:, place : place + height], weight, conv.bias, padding)
        if top is not None:
            y = torch.maximum(top, y, out=None if y.requires_grad else top)
        top = y
    return top.squeeze(2)


def join_channels(maps):
    """Maps one below the other, joined where they lie: channels last.

    Parameters
    ----------
    maps : list of Tensor of shape (B, C_i, T)
        As `TimeConv` returns them.

    Returns
    -------
    x : Tensor of shape (B, sum of C_i, T)
        All channels.
    """
    return torch.cat([x.transpose(1, 2) for x in maps], dim=2).transpose(1, 2)


def _joined(parts, dim):
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)
