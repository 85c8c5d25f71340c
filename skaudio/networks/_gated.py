"""The stack that all causal networks of waves are made of: gated, dilated convolutions."""

import torch
import torch.nn.functional as F
from torch import nn

from .convolutions import dilated_conv, join_channels

__all__ = ["GatedStack", "delayed"]


class GatedStack(nn.Module):
    """Causal dilated convolutions, each gated, added to its input, and read by the skip sum.

    Layer l: z = tanh(a) * sigmoid(b), where a and b are the halves of a convolution of h with taps
    at t - (k - 1) d, ..., t - d, t, plus what conditions it; h <- s (h + W_r z + b_r). The skip sum
    is the sum of W_s z + b_s over layers (van den Oord et al., arXiv:1609.03499, sections 2.3-2.5).

    Parameters
    ----------
    dilations : sequence of int
        d of each of the L layers.
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
    def span(self):
        """Earlier steps that an output depends on: (k - 1) times the sum of the dilations."""
        return (self.kernel - 1) * sum(self.dilations)

    def forward(self, h, conditions=()):
        """Run the layers one after the other.

        Parameters
        ----------
        h : Tensor of shape (B, R, T)
            Input of the first layer.
        conditions : sequence of (Tensor (B, F, C), Tensor (L, 2 D, C))
            What is added to the gates: vectors, each for T / F steps, and their weights.

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
            rows = [F.linear(vectors, weights[layer]) for vectors, weights in conditions]
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


def _gated(h, weight, bias, dilation, rows):
    """tanh(a) sigmoid(b) of the halves of a causal convolution of h, to which rows are added."""
    # tanh(a) = 2 sigmoid(2 a) - 1, and torch computes a sigmoid ten times as fast as a tanh
    twice = torch.ones_like(bias)
    twice[: len(bias) // 2] = 2
    h = delayed(h, 0, before=(weight.shape[2] - 1) * dilation)
    y = dilated_conv(h, weight * twice[:, None, None], bias * twice, dilation).transpose(1, 2)
    for row in rows:  # (B, F, 2 D)
        y = (y.unflatten(1, (row.shape[1], -1)) + (row * twice)[:, :, None]).flatten(1, 2)
    a, b = torch.sigmoid(y).chunk(2, dim=2)
    return ((2 * a - 1) * b).transpose(1, 2)


def delayed(h, n_steps, before=0):
    """What stood some steps before; zero before the first step.

    Parameters
    ----------
    h : Tensor of shape (B, C, T)
        Maps.
    n_steps : int
        How far to look back.
    before : int, default=0
        Steps before the first one that are returned too.

    Returns
    -------
    h : Tensor of shape (B, C, before + T)
        h[..., t - n_steps] at step t.
    """
    n_kept = max(0, h.shape[2] - n_steps)
    h = h.transpose(1, 2)  # as they lie in memory
    return F.pad(h[:, :n_kept], (0, 0, before + h.shape[1] - n_kept, 0)).transpose(1, 2)
