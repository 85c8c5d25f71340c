"""What a causal network is to the sampler: its weights as arrays, whatever modules made them."""

from dataclasses import dataclass

import numpy as np

__all__ = ["CausalStack"]


@dataclass(frozen=True, kw_only=True)
class CausalStack:
    """Weights of a causal network of dilated, gated layers.

    With u_t the input before sample t (the one drawn last, or the start value) and all that lies
    before the first input zero, in the input of every layer too::

        h    = first_bias + sum_i first[i]' u_{t-(k1-1-i)}          residual channels
        s    = first_skip_bias + first_skip' h                      skip channels
        a    = gate_bias_l + bias + sum_i gates_l[i]' h_{t-(k-1-i)d_l}     for l = 1, 2, ..., L
        z    = tanh(first half of a) * sigmoid(second half of a)
        s   <- s + skip_bias_l + skip_l' z
        h   <- residual_scale (h + residual_bias_l + residual_l' z)
        y    = ReLU(head_bias + head bias + head' ReLU(skip_scale s))
        prediction = out_bias + out' y                              K parameters of sample t

    where ``bias`` and ``head bias`` stand for the conditioning, which comes from outside. Taps
    run from the oldest to the present one, products from input to output channels. The arrays may
    be of float32 or float64.

    Attributes
    ----------
    first : ndarray of shape (k1, n_inputs, R)
        First convolution. Where classes are drawn a look-up: ``n_inputs`` is their number, and u_t
        selects one row of each tap. Where amplitudes are drawn, n_inputs = 1.
    first_bias : ndarray of shape (R,)
        Its bias.
    dilations : sequence of int
        Of the layers, d_l >= 1.
    gates : ndarray of shape (L, k, R, 2 D)
        Dilated convolutions: the first D outputs pass through tanh, the last D through a sigmoid.
    gate_bias : ndarray of shape (L, 2 D)
        Their biases.
    skip, skip_bias : ndarray of shape (L, D, S), (L, S)
        What the layers add to the sum that is read by the head.
    residual, residual_bias : ndarray of shape (L, D, R), (L, R)
        What they add to their own input. The last layer's has no effect.
    head, head_bias : ndarray of shape (S, H), (H,)
        Hidden layer of the head.
    out, out_bias : ndarray of shape (H, K), (K,)
        Last layer of the head.
    first_skip, first_skip_bias : ndarray of shape (R, S), (S,), or None
        What the first convolution adds to that sum. None: nothing.
    residual_scale, skip_scale : float
        Factors of residual sums and of the skip sum.
    draws : "mulaw" or "logistic"
        What is predicted. "mulaw": the logits of K classes. "logistic": a mixture of M = K / 3
        discretised logistics: M logits, M means, M logarithms of scales.
    start : int, float or None
        Class or amplitude that stands before the first sample. None: a vector of zeros.
    n_starts : int
        How often it does: 1, or the receptive field for networks trained without padding.
    n_classes : int
        Levels of amplitude in [-1, 1] that "logistic" draws; not read for "mulaw".
    min_log_scale : float
        Floor of the logarithms of scales.
    """

    first: np.ndarray
    first_bias: np.ndarray
    dilations: tuple[int, ...]
    gates: np.ndarray
    gate_bias: np.ndarray
    skip: np.ndarray
    skip_bias: np.ndarray
    residual: np.ndarray
    residual_bias: np.ndarray
    head: np.ndarray
    head_bias: np.ndarray
    out: np.ndarray
    out_bias: np.ndarray
    first_skip: np.ndarray | None = None
    first_skip_bias: np.ndarray | None = None
    residual_scale: float = 1.0
    skip_scale: float = 1.0
    draws: str = "mulaw"
    start: float | None = None
    n_starts: int = 1
    n_classes: int = 65536
    min_log_scale: float = -16.0
