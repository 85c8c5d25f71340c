"""The stack that all causal networks of waves are made of: gated, dilated convolutions."""

import torch
import torch.nn.functional as F
from torch import nn

from .._tensors import within
from .convolutions import dilated_conv, join_channels

__all__ = ["GatedStack", "placed", "step_means"]


class GatedStack(nn.Module):
    """Causal dilated convolutions, each gated, added to its input, and read by the skip sum.

    Layer l: z = tanh(a) * sigmoid(b), where a and b are the halves of a convolution of h with taps
    at t - (k - 1) d, ..., t - d, t, plus what conditions it; h <- s (h + W_r z + b_r). The skip sum
    is the sum of W_s z + b_s over layers (van den Oord et al., arXiv:1609.03499, sections 2.3-2.5).

    Parameters
    ----------
    dilations : sequence of int
        Step d between the taps of each of the L layers.
    kernel : int
        Width k of the convolutions.
    residual_channels, gate_channels, skip_channels : int
        Channels R of h, D of z, S of the skip sum.
    last_residual : bool
        Whether the last layer has a W_r, which nothing reads; published networks have.
    residual_scale, skip_scale : float
        Factor s, and that of the skip sum.
    """

    def __init__(
        self,
        dilations,
        *,
        kernel,
        residual_channels,
        gate_channels,
        skip_channels,
        last_residual=False,
        residual_scale=1.0,
        skip_scale=1.0,
    ):
        super().__init__()
        self.dilations, self.kernel = tuple(dilations), kernel
        self.residual_scale, self.skip_scale = residual_scale, skip_scale
        n_layers = len(self.dilations)
        n_residuals = n_layers if last_residual else n_layers - 1
        shapes = {
            "gates": (n_layers, 2 * gate_channels, residual_channels, kernel),
            "gate_bias": (n_layers, 2 * gate_channels),
            "residual": (n_residuals, residual_channels, gate_channels),
            "residual_bias": (n_residuals, residual_channels),
            "skip": (skip_channels, n_layers, gate_channels),
            "skip_bias": (n_layers, skip_channels),
        }
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape)))

    @property
    def span(self):  # numpydoc ignore=RT01
        """Earlier steps that an output depends on: (k - 1) times the sum of the dilations."""
        return (self.kernel - 1) * sum(self.dilations)

    def forward(self, h, conditions=()):
        """Run the layers one after the other.

        Parameters
        ----------
        h : Tensor of shape (B, R, T)
            Input of the first layer.
        conditions : sequence of Condition
            What is added to the gates.

        Yields
        ------
        h : Tensor of shape (B, R, T)
            Input of the layer.
        z : Tensor of shape (B, D, T)
            Its gated output.
        """
        gates = zip(self.dilations, self.gates, self.gate_bias, strict=True)
        residuals = zip(self.residual, self.residual_bias, strict=True)
        for layer, (dilation, weight, bias) in enumerate(gates):
            rows = [condition.rows(layer, h.shape[2]) for condition in conditions]
            z = _gated(h, weight, bias, dilation, rows)
            yield h, z
            weight, bias = next(residuals, (None, None))
            if weight is not None:
                h = h + dilated_conv(z, weight[..., None], bias)
                h = h * self.residual_scale if self.residual_scale != 1 else h

    def skip_sum(self, zs):
        """Skip sum of gated outputs, or of their means: it is linear.

        Parameters
        ----------
        zs : list of Tensor of shape (B, D, T)
            Outputs of all layers.

        Returns
        -------
        skips : Tensor of shape (B, S, T)
            The sum.
        """
        # one product of the outputs side by side: then no layer has to write S channels
        weight, bias = self.skip.flatten(1)[..., None], self.skip_bias.sum(0)
        if self.skip_scale != 1:
            weight, bias = weight * self.skip_scale, bias * self.skip_scale
        return dilated_conv(join_channels(zs), weight, bias)

    def arrays(self):
        """Weights as a `CausalStack` has them.

        Returns
        -------
        arrays : dict
            Its fields of the layers, in the dtype of the weights.
        """
        lack = len(self.dilations) - len(self.residual)
        weights = {
            "gates": self.gates.permute(0, 3, 2, 1),
            "gate_bias": self.gate_bias,
            "skip": self.skip.permute(1, 2, 0),
            "skip_bias": self.skip_bias,
            "residual": F.pad(self.residual.transpose(1, 2), (0, 0, 0, 0, 0, lack)),
            "residual_bias": F.pad(self.residual_bias, (0, 0, 0, lack)),
        }
        arrays = {name: w.detach().cpu().contiguous().numpy() for name, w in weights.items()}
        scales = {"residual_scale": self.residual_scale, "skip_scale": self.skip_scale}
        return {**arrays, **scales}


def _gated(h, weight, bias, dilation, rows):
    """tanh(a) sigmoid(b) of the halves of a causal convolution of h, to which rows are added."""
    # tanh(a) = 2 sigmoid(2 a) - 1, and torch computes a sigmoid ten times as fast as a tanh
    twice = torch.ones_like(bias)
    twice[: len(bias) // 2] = 2
    h = placed(h, (weight.shape[2] - 1) * dilation)
    y = dilated_conv(h, weight * twice[:, None, None], bias * twice, dilation).transpose(1, 2)
    for row in rows:  # (B, T, 2 D) or (B, 1, 2 D)
        y = y + row * twice
    a, b = torch.sigmoid(y).chunk(2, dim=2)
    return ((2 * a - 1) * b).transpose(1, 2)


def placed(x, before, n_steps=None):
    """Maps with zeros before their first step, as causal layers need it.

    Parameters
    ----------
    x : Tensor of shape (B, C, T)
        Maps.
    before : int
        Number of zeros.
    n_steps : int, default=None
        Steps to return: what is too much is cut, and what lacks is zero. None: before + T.

    Returns
    -------
    x : Tensor of shape (B, C, n_steps)
        Channels last in memory.
    """
    n_steps = before + x.shape[2] if n_steps is None else n_steps
    x, before = x.transpose(1, 2), min(before, n_steps)
    return F.pad(x, (0, 0, before, n_steps - before - x.shape[1])).transpose(1, 2)


def step_means(x, lengths, n_steps):
    """Means over frames of steps, that of the last frame over the steps that there are.

    Parameters
    ----------
    x : Tensor of shape (B, C, T)
        Maps.
    lengths : Tensor of shape (B,), int64
        Steps of each clip.
    n_steps : int
        Steps per frame.

    Returns
    -------
    means : Tensor of shape (B, C, ceil(T / n_steps))
        Zero beyond a clip.
    """
    n_frames = -(-x.shape[2] // n_steps)
    valid = within(lengths, n_frames * n_steps, x.device).unflatten(1, (n_frames, n_steps))
    x = F.pad(x, (0, n_frames * n_steps - x.shape[2])).unflatten(2, (n_frames, n_steps))
    count = valid.sum(2).clamp(min=1)[:, None]
    return x.masked_fill(~valid[:, None], 0.0).sum(3) / count
