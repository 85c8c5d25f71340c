"""The steps of the sampler, compiled by numba; imported only where that is installed.

All that is compiled stands in this file, since compiled code on disk is renewed when the file of
the outermost function changes. Each number is a sum in one order, whatever the number of streams:
a stream comes out alike, to the bit, whatever runs beside it. The compiler may only fuse a product
with the sum it goes into ("contract").
"""

import math

import numpy as np
from numba import config, njit

__all__ = ["run"]

if config.DISABLE_JIT:
    raise ImportError("numba is told not to compile")


_TOGETHER = 16  # streams for which some rows of weights are read once; their sums stay in L1
_OPTIONS = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
# tanh x = x p(x^2) / q(x^2) for |x| <= 8, beyond which it is 1 to 2.3e-7: a fit of least largest
# error, 6e-9; in float32 the error is below 4e-7. It needs nothing but arithmetic, so that the
# compiler computes many values at once.
_P0, _P1, _P2, _P3, _P4 = np.float32([0.99999997, 0.134381877, 3.56415203e-3, 2.17731789e-5,
                                      1.50617174e-8])  # fmt: skip
_Q0, _Q1, _Q2, _Q3, _Q4 = np.float32([1.0, 0.467715085, 2.6136e-2, 3.39917272e-4, 8.45362398e-7])
_EIGHT, _HALF = np.float32(8), np.float32(0.5)


@njit(**_OPTIONS)
def _add_product(x, weight, total):
    """Add x weight to the total, (B, J) (J, I) -> (B, I), where J is a multiple of 4.

    Four rows of weights are read for two streams at a time, whose sums are loaded and stored once.
    """
    n = len(x)
    for begin in range(0, n, _TOGETHER):
        end = min(begin + _TOGETHER, n)
        for j in range(0, len(weight), 4):
            for b in range(begin, end - 1, 2):
                x0, x1, x2, x3 = x[b, j], x[b, j + 1], x[b, j + 2], x[b, j + 3]
                y0, y1, y2, y3 = x[b + 1, j], x[b + 1, j + 1], x[b + 1, j + 2], x[b + 1, j + 3]
                for i in range(weight.shape[1]):
                    w0, w1 = weight[j, i], weight[j + 1, i]
                    w2, w3 = weight[j + 2, i], weight[j + 3, i]
                    total[b, i] = total[b, i] + x0 * w0 + x1 * w1 + x2 * w2 + x3 * w3
                    total[b + 1, i] = total[b + 1, i] + y0 * w0 + y1 * w1 + y2 * w2 + y3 * w3
            if (end - begin) % 2:
                b = end - 1
                x0, x1, x2, x3 = x[b, j], x[b, j + 1], x[b, j + 2], x[b, j + 3]
                for i in range(weight.shape[1]):
                    w0, w1 = weight[j, i], weight[j + 1, i]
                    w2, w3 = weight[j + 2, i], weight[j + 3, i]
                    total[b, i] = total[b, i] + x0 * w0 + x1 * w1 + x2 * w2 + x3 * w3


@njit(**_OPTIONS)
def _gate(a, z):
    """Set z = tanh(first half of a) sigmoid(second half), where sigmoid x = (1 + tanh(x/2)) / 2."""
    width = a.shape[1] // 2
    for b in range(len(a)):
        if a.itemsize == 8:  # float64 is for those who want to be exact
            for i in range(width):
                z[b, i] = math.tanh(a[b, i]) / (1 + math.exp(-a[b, width + i]))
            continue
        for i in range(width):
            x = min(max(a[b, i], -_EIGHT), _EIGHT)
            y = min(max(_HALF * a[b, width + i], -_EIGHT), _EIGHT)
            u, v = x * x, y * y
            p = x * ((((_P4 * u + _P3) * u + _P2) * u + _P1) * u + _P0)
            q = (((_Q4 * u + _Q3) * u + _Q2) * u + _Q1) * u + _Q0
            r = y * ((((_P4 * v + _P3) * v + _P2) * v + _P1) * v + _P0)
            s = (((_Q4 * v + _Q3) * v + _Q2) * v + _Q1) * v + _Q0
            z[b, i] = _HALF * p * (s + r) / (q * s)


@njit(**_OPTIONS)
def _begin(weights, state, now):
    """Set the residual channels to the first convolution, the skips to what it adds to them."""
    inputs, sums, first, first_skip = state.inputs, state.sums, weights.first, weights.first_skip
    n_taps, n_inputs, width = first.shape
    for b in range(len(sums)):
        inputs[now % n_taps, b] = state.pending[b]
        for i in range(sums.shape[1]):
            sums[b, i] = weights.begin[i]
        for tap in range(n_taps):
            u = inputs[(now + 1 + tap) % n_taps, b]
            # a class selects a row, an amplitude multiplies the only one
            row, factor = (0, u) if n_inputs == 1 else (int(u), 1.0)
            for i in range(width):
                sums[b, i] += first.dtype.type(factor) * first[tap, row, i]
        for j in range(len(first_skip)):
            h = sums[b, j]
            for i in range(first_skip.shape[1]):
                sums[b, width + i] += h * first_skip[j, i]


@njit(**_OPTIONS)
def _gather(sums, ring, now, n_taps, x):
    """Store the residual channels in a layer's ring; set x to what its taps read from there."""
    size, _, width = ring.shape
    dilation = (size - 1) // max(n_taps - 1, 1)
    for tap in range(n_taps):
        slot = (now - (n_taps - 1 - tap) * dilation) % size
        for b in range(len(sums)):
            for i in range(width):
                if tap == n_taps - 1:
                    ring[slot, b, i] = sums[b, i]
                x[b, tap * width + i] = ring[slot, b, i]


@njit(**_OPTIONS)
def _pass_layers(weights, state, now, biases):
    """Pass the residual channels through all layers, which add to the skips beside them."""
    sums, a, width = state.sums, state.a, state.rings.shape[2]
    for layer in range(len(weights.gates)):
        ring = state.rings[weights.slots[layer] : weights.slots[layer + 1]]
        _gather(sums, ring, now, weights.n_taps, state.x)
        for b in range(len(a)):
            for i in range(a.shape[1]):
                bias = weights.gate_bias[layer, i]
                a[b, i] = bias + biases[b, layer, i] if len(biases) else bias
            for i in range(width):
                sums[b, i] = weights.scale * sums[b, i] + weights.residual_bias[layer, i]
        _add_product(state.x, weights.gates[layer], a)
        _gate(a, state.z)
        _add_product(state.z, weights.adds[layer], sums)


@njit(**_OPTIONS)
def _predict(weights, state, biases):
    """Set the prediction from the skips."""
    sums, skips, hidden, width = state.sums, state.skips, state.hidden, state.rings.shape[2]
    zero = sums.dtype.type(0)
    for b in range(len(sums)):
        for i in range(sums.shape[1] - width):
            skips[b, i] = max(sums[b, width + i], zero)
        for i in range(len(weights.head_bias)):
            bias = weights.head_bias[i]
            hidden[b, i] = bias + biases[b, i] if len(biases) else bias
        for i in range(len(weights.out_bias)):
            state.prediction[b, i] = weights.out_bias[i]
    _add_product(skips, weights.head, hidden)
    for b in range(len(sums)):
        for i in range(len(weights.head_bias)):
            hidden[b, i] = max(hidden[b, i], zero)
    _add_product(hidden, weights.out, state.prediction)


@njit(**_OPTIONS)
def _drawn_class(logits, uniform, temperature, below):
    """Inverse distribution function of softmax(logits / temperature) at a uniform number.

    With y = x / 256 in [-0.2, 0], exp x is the 256th power of the series of exp y, which after
    y^9 / 9! is wrong by less than 1e-11: only arithmetic, as in `_gate`. What is below -50 counts
    as that.
    """
    most = 0
    for i in range(len(logits)):
        if logits[i] > logits[most]:
            most = i
    if temperature == 0:
        return most
    top, factor = np.float64(logits[most]), 1 / (256 * temperature)
    for i in range(len(logits)):
        y, power = max((logits[i] - top) * factor, -50 / 256), 1.0
        for n in range(9, 0, -1):
            power = 1 + power * y / n
        for _ in range(8):
            power *= power
        below[i] = power
    for i in range(1, len(logits)):
        below[i] += below[i - 1]
    target, drawn = uniform * below[len(logits) - 1], 0
    for i in range(len(logits) - 1):
        drawn += below[i] <= target
    return drawn


@njit(**_OPTIONS)
def _drawn_amplitude(mixture, uniforms, how, below):
    """Draw a component, then from its logistic; the nearest of the levels in [-1, 1]."""
    temperature, n_levels, min_log_scale = how
    n = len(mixture) // 3
    component = _drawn_class(mixture[:n], uniforms[0], temperature, below)
    scale = temperature * math.exp(max(np.float64(mixture[2 * n + component]), min_log_scale))
    u = min(max(uniforms[1], 1e-5), 1 - 1e-5)
    x = mixture[n + component] + scale * (math.log(u) - math.log(1 - u))
    steps = n_levels - 1
    return 2 * math.floor((min(max(x, -1.0), 1.0) + 1) / 2 * steps + 0.5) / steps - 1


def _run(weights, state, now, codes, uniforms, biases, head_biases, offset, hop, how):
    """Take a step for each row of codes, in compiled code; see `run`."""
    for t in range(len(codes)):
        row = (offset + t) // hop
        _begin(weights, state, now + t)
        _pass_layers(weights, state, now + t, biases[row])
        if len(uniforms):
            _predict(weights, state, head_biases[row])
        for b in range(codes.shape[1]):
            if len(uniforms):
                prediction, u = state.prediction[b], uniforms[t, b]
                if how[1]:
                    codes[t, b] = _drawn_amplitude(prediction, u, how, state.below)
                else:
                    codes[t, b] = _drawn_class(prediction, u[0], how[0], state.below)
            state.pending[b] = codes[t, b]


try:
    _compiled = njit(cache=True, **_OPTIONS)(_run)
except RuntimeError:  # no folder can be written in which compiled code could be stored
    _compiled = njit(**_OPTIONS)(_run)


def run(*block):
    """Take a step for each row of codes.

    Parameters
    ----------
    *block : tuple
        See `generation_torch.run`, which does the same.
    """
    try:
        _compiled(*block)
    except OSError:  # the disk is full: the code is there all the same, but not stored
        _compiled(*block)
