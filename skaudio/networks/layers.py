"""What the networks share: the description of a map, initial weights, length-aware layers."""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import nn

from .._tensors import mask, within
from .convolutions import channels_last
from .sinc import SincConv

__all__ = [
    "ACTIVATIONS",
    "BatchNorm",
    "Map",
    "halo_of",
    "initialise",
    "masked_group_norm",
    "numbered",
    "rectified",
]

_SMALL = 1 << 20  # weights of a network that is remembered once it is initialised


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
    """Receptive field beyond a tile: by how much tiles overlap for these maps to come out exact.

    Parameters
    ----------
    maps : list of Map
        The layers.

    Returns
    -------
    left, right : int
        Input steps that frames depend on before their own ``stride`` steps, and after them.

    Examples
    --------
    >>> from skaudio.networks.layers import Map, halo_of
    >>> causal, strided = Map("a").then(3, pad=2), Map("b").then(5, stride=4)
    >>> halo_of([causal]), halo_of([strided]), halo_of([causal, strided])
    ((2, 0), (0, 1), (2, 1))
    """
    left = max(m.left for m in maps)
    # the first of a frame's own steps is p * stride, the last one stride - 1 later
    right = max(m.right - m.stride + 1 for m in maps)
    return max(left, 0), max(right, 0)


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


class Uninitialised:
    """Makes a layer of torch leave its weights uninitialised, and the random generators alone."""

    def reset_parameters(self):
        """`initialise` or stored weights will fill them."""


class BatchNorm(nn.BatchNorm1d):
    """Batch norm; what is alone in its batch is normalised by what earlier batches had."""

    def forward(self, x):
        if len(x) > 1 or not self.training:
            return super().forward(x)
        statistics = self.running_mean, self.running_var
        return F.batch_norm(x, *statistics, self.weight, self.bias, False, 0.0, self.eps)


@torch.no_grad()
def initialise(network, generator):
    """Fill a network in the manner of Pons & Serra: zero biases, fan-in scaled kernels.

    w = s x, s = sqrt(1.3 * 2 / fan_in), x normal, drawn again where |x| > 2: TensorFlow 1's
    variance scaling. 1.3 restores the variance that truncation takes.

    Parameters
    ----------
    network : Module
        Its kernels are filled in the order of their registration; the edges of band-pass filters
        stay where these start.
    generator : torch.Generator
        Source of all randomness, on the CPU.
    """
    filled = [module for module in network.modules() if not isinstance(module, SincConv)]
    parameters = [parameter for module in filled for parameter in module.parameters(recurse=False)]
    shapes = tuple(tuple(parameter.shape) for parameter in parameters)
    # a search initialises the same small network for every setting and fold
    small = sum(parameter.numel() for parameter in parameters) <= _SMALL
    initialised = _remembered if small else _initialised
    tensors, state = initialised(shapes, generator.get_state().numpy().tobytes())
    for parameter, tensor in zip(parameters, tensors, strict=True):
        parameter.copy_(tensor)
    generator.set_state(state)


def _initialised(shapes, state):
    """Tensors of these shapes from a generator in this state, and its state afterwards."""
    generator = torch.Generator()
    generator.set_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))
    tensors = [torch.zeros(shape) for shape in shapes]
    for tensor in tensors:
        if tensor.ndim > 1:
            scale = (2.6 / tensor[0].numel()) ** 0.5
            nn.init.trunc_normal_(tensor, std=scale, a=-2 * scale, b=2 * scale, generator=generator)
    return tensors, generator.get_state()


_remembered = lru_cache(maxsize=4)(_initialised)


def rectified(x, lengths):
    """ReLU, then zeros beyond each clip so that "same" padding is what follows.

    Parameters
    ----------
    x : Tensor of shape (B, C, T) or (B, C, T, F)
        Maps, changed in place as far as gradients allow.
    lengths : Tensor of shape (B,), int64
        Valid frames.

    Returns
    -------
    x : Tensor
        The rectified maps.
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
