"""A recurrent layer without matrix products in its recurrence: QRNN (Bradbury et al. 2016)."""

import torch
from torch import nn

from .layers import Uninitialised

__all__ = ["QRNN", "forget_mult"]


class _Linear(Uninitialised, nn.Linear):
    """Dense layer."""


class QRNN(nn.Module):
    """Quasi-recurrent layer with gates of forgetting and output [1]_.

    With W_1 x_t + W_2 x_(t-1) + b = (z, f, o), where x_(-1) = 0,

        h_t = sigmoid(f_t) tanh(z_t) + (1 - sigmoid(f_t)) h_(t-1)
        y_t = sigmoid(o_t) h_t

    from h_(-1) = 0: [1]_, equations 3 to 5, for a window of two. All products are made at once;
    only the first line goes from frame to frame. A frame depends on all earlier ones.

    Shape: (B, n_in, T) -> (B, n_out, T).

    Parameters
    ----------
    n_in, n_out : int
        Channels.

    References
    ----------
    .. [1] J. Bradbury, S. Merity, C. Xiong, R. Socher, "Quasi-recurrent neural networks", ICLR
       2017, arXiv:1611.01576.
    """

    def __init__(self, n_in, n_out):
        super().__init__()
        self.linear = _Linear(2 * n_in, 3 * n_out)

    def forward(self, x, state=None):
        x = x.permute(2, 0, 1)  # (T, B, C): what the recurrence reads at a time lies together
        before, h = (torch.zeros_like(x[0]), None) if state is None else state
        source = torch.cat([x, torch.cat([before[None], x[:-1]])], dim=2)
        z, f, o = self.linear(source).chunk(3, dim=2)
        wide = torch.promote_types(z.dtype, torch.float32)  # rounding would add up over time
        h = forget_mult(torch.tanh(z).to(wide), torch.sigmoid(f).to(wide), h)
        y = torch.sigmoid(o) * h
        return y.permute(1, 2, 0), (x[-1], h[-1])


def forget_mult(z, f, h=None):
    """Mix each step with what was before: h_t = f_t z_t + (1 - f_t) h_(t-1).

    Parameters
    ----------
    z : Tensor of shape (T, B, C)
        What is new.
    f : Tensor of shape (T, B, C)
        How much of it is taken, from 0 to 1.
    h : Tensor of shape (B, C), default=None
        State before the first step. None: zero.

    Returns
    -------
    h : Tensor of shape (T, B, C)
        State at each step.
    """
    return _ForgetMult.apply(z, f, torch.zeros_like(z[0]) if h is None else h)


class _ForgetMult(torch.autograd.Function):
    """One operation per step, there and back, where autograd would take four and hold each."""

    @staticmethod
    def forward(ctx, z, f, start):
        states, h = torch.empty_like(z, memory_format=torch.contiguous_format), start
        for state, new, gate in zip(states, z, f, strict=True):
            h = torch.lerp(h, new, gate, out=state)
        ctx.save_for_backward(z, f, start, states)
        return states

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        z, f, start, states = ctx.saved_tensors
        # of each state: its own gradient, and what comes back from the one after it
        kept, total = 1 - f, gradient.contiguous().clone()
        for t in range(len(total) - 2, -1, -1):
            total[t].addcmul_(kept[t + 1], total[t + 1])
        before = torch.cat([start[None], states[:-1]])
        return total * f, total * (z - before), total[0] * kept[0]
