"""The stack that all causal networks of waves are made of: gated, dilated convolutions."""

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["GatedStack", "delayed"]


class GatedStack(nn.Module):
    """Causal dilated convolutions, each gated, added to its input, and read by the skip sum.

    Layer l: z = tanh(a) * sigmoid(b), where a and b are the halves of a convolution of h with taps
    at t, t - d, ..., t - (k - 1) d, plus what conditions it; h <- s (h + W_r z + b_r). The skip sum
    is the sum of W_s z + b_s over layers (van den Oord et al., arXiv:1609.03499, sections 2.3-2.5).

    Steps come before channels here, (B, T, R): all products are then plain ones of matrices.

    Parameters
    ----------
    dilations : sequence of int
        d of each layer.
    kernel : int
        Width k of the convolutions.
    residual_channels, gate_channels, skip_channels : int
        Channels R of h, D of z, S of the skip sum.
    bias : bool
        Whether the gates have biases.
    last_residual : bool
        Whether the last layer has a W_r, which nothing reads; published networks have.
    residual_scale : float
        Factor s.
    """

    def __init__(
        self,
        dilations,
        *,
        kernel,
        residual_channels,
        gate_channels,
        skip_channels,
        bias=True,
        last_residual=False,
        residual_scale=1.0,
    ):
        super().__init__()
        self.dilations, self.kernel = tuple(dilations), kernel
        self.residual_scale = residual_scale
        n, n_residual = len(self.dilations), len(self.dilations) - (not last_residual)
        r, d, s = residual_channels, gate_channels, skip_channels
        self.gates = nn.Parameter(torch.empty(n, kernel, r, 2 * d))
        self.gate_bias = nn.Parameter(torch.empty(n, 2 * d)) if bias else None
        self.residual = nn.Parameter(torch.empty(n_residual, d, r))
        self.residual_bias = nn.Parameter(torch.empty(n_residual, r))
        self.skip = nn.Parameter(torch.empty(n, d, s))
        self.skip_bias = nn.Parameter(torch.empty(n, s))

    @property
    def span(self):
        """Earlier steps that an output depends on: (k - 1) times the sum of the dilations."""
        return (self.kernel - 1) * sum(self.dilations)

    def forward(self, h, conditions=()):
        """Run the layers one after the other.

        Parameters
        ----------
        h : Tensor of shape (B, T, R)
            Input of the first layer.
        conditions : sequence of (Tensor (B, F, C), Tensor (L, C, 2 D))
            What is added to the gates: vectors, each for T / F steps, and their weights.

        Yields
        ------
        h : Tensor of shape (B, T, R)
            Input of the layer.
        z : Tensor of shape (B, T, D)
            Its gated output.
        """
        gates, residuals = self.gates.flatten(1, 2).unbind(), self.residual.unbind()
        for layer, (dilation, gate) in enumerate(zip(self.dilations, gates, strict=True)):
            y = self._taps(h, dilation) @ gate
            if self.gate_bias is not None:
                y = y + self.gate_bias[layer]
            for vectors, weight in conditions:
                rows = (vectors @ weight[layer]).unsqueeze(2)  # (B, F, 1, 2 D)
                y = (y.unflatten(1, (rows.shape[1], -1)) + rows).flatten(1, 2)
            a, b = y.chunk(2, dim=2)
            z = torch.tanh(a) * torch.sigmoid(b)
            yield h, z
            if layer + 1 < len(gates):
                added = torch.addmm(
                    self.residual_bias[layer], z.flatten(0, 1), residuals[layer]
                ).view_as(h)
                h = h + added
                if self.residual_scale != 1:
                    h = h * self.residual_scale

    def _taps(self, h, dilation):
        """Steps that the kernel reads, side by side: (B, T, k R), the oldest first."""
        delays = range((self.kernel - 1) * dilation, -1, -dilation)
        return torch.cat([delayed(h, delay) for delay in delays], dim=2)

    def skip_sum(self, z):
        """Skip sum of gated outputs, or of their means: it is linear.

        Parameters
        ----------
        z : Tensor of shape (B, T, L D)
            Outputs of all layers, side by side.

        Returns
        -------
        skips : Tensor of shape (B, T, S)
            The sum.
        """
        return F.linear(z, self.skip.flatten(0, 1).t(), self.skip_bias.sum(0))


def delayed(x, n_steps):
    """What stood some steps before, zero before the first step.

    Parameters
    ----------
    x : Tensor of shape (B, T, C)
        Maps.
    n_steps : int
        How far to look back.

    Returns
    -------
    x : Tensor of shape (B, T, C)
        x[:, t - n_steps] at step t.
    """
    if n_steps == 0:
        return x
    return F.pad(x[:, : max(0, x.shape[1] - n_steps)], (0, 0, min(n_steps, x.shape[1]), 0))
