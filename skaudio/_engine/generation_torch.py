"""The steps of the sampler, made by torch: for a few samples, and where no compiler is."""

import numpy as np
import torch

__all__ = ["run"]


@torch.inference_mode()
def run(weights, state, now, codes, uniforms, biases, head_biases, offset, hop, how):
    """Take a step for each row of codes.

    Parameters
    ----------
    weights : Weights
        Of the network.
    state : State
        Of the streams; changed.
    now : int
        Steps taken before.
    codes : ndarray of shape (n, B), float64
        What the streams are to go on with; set to what was drawn if there are uniforms.
    uniforms : ndarray of shape (n or 0, B, n_u), float64
        In [0, 1).
    biases : ndarray of shape (n_rows, B or 0, L, 2 D)
        Of the gates; those of row r belong to the steps t with (offset + t) // hop = r.
    head_biases : ndarray of shape (n_rows, B or 0, H)
        Of the head.
    offset, hop : int
        As above.
    how : (float, int, float)
        Temperature; levels of amplitude, or 0 for classes; floor of the logarithms of scales.
    """
    step = _Step(weights, state)
    for t in range(len(codes)):
        row = (offset + t) // hop
        step.pass_layers(now + t, torch.from_numpy(biases[row]))
        if len(uniforms):
            prediction = step.predict(torch.from_numpy(head_biases[row]))
            codes[t] = _drawn(prediction, uniforms[t], *how)
        state.pending[:] = codes[t]


class _Step:
    """One step of all streams; its tensors are views of the arrays, so it writes the state."""

    def __init__(self, weights, state):
        self.weights = weights._replace(**_tensors(weights))
        self.state = state._replace(**_tensors(state))
        width, n_gates = state.rings.shape[2], state.a.shape[1] // 2
        self.h, self.skip_sum = self.state.sums.tensor_split([width], 1)
        self.rings = self.state.rings.split(np.diff(weights.slots).tolist())
        self.reads = self.state.x[:, : weights.n_taps * width].split(width, 1)
        self.halves, self.z = self.state.a.split(n_gates, 1), self.state.z[:, :n_gates]
        self.skips = self.state.skips[:, : self.skip_sum.shape[1]]
        self.hidden = self.state.hidden[:, : len(weights.head_bias)]

    def pass_layers(self, now, biases):
        """Pass the residual channels through all layers, which add to the skips beside them."""
        weights, state = self.weights, self.state
        self._begin(now)
        for layer, ring in enumerate(self.rings):
            size = len(ring)
            ring[now % size] = self.h
            # the oldest input is in the slot after the present one, all others d slots apart
            dilation = (size - 1) // max(weights.n_taps - 1, 1)
            for tap, read in enumerate(self.reads):
                read.copy_(ring[(now + 1 + tap * dilation) % size])
            torch.addmm(weights.gate_bias[layer], state.x, weights.gates[layer], out=state.a)
            if len(biases):
                state.a.add_(biases[:, layer])
            torch.mul(self.halves[0].tanh_(), self.halves[1].sigmoid_(), out=self.z)
            if weights.scale != 1:
                self.h.mul_(weights.scale)
            self.h.add_(weights.residual_bias[layer])
            state.sums.addmm_(state.z, weights.adds[layer])

    def _begin(self, now):
        """Set the residual channels to the first convolution, the skips to what it adds to them."""
        weights, state = self.weights, self.state
        n_taps = len(weights.first)
        state.inputs[now % n_taps] = state.pending
        state.sums.copy_(weights.begin.expand_as(state.sums))
        for tap, first in enumerate(weights.first):
            u = state.inputs[(now + 1 + tap) % n_taps]
            self.h.add_(first[u.long()] if len(first) > 1 else u[:, None].to(first.dtype) * first)
        if len(weights.first_skip):
            self.skip_sum.addmm_(self.h, weights.first_skip)

    def predict(self, biases):
        """Set the prediction from the skips."""
        weights, state = self.weights, self.state
        torch.clamp(self.skip_sum, min=0, out=self.skips)
        torch.addmm(weights.head_bias, state.skips, weights.head, out=self.hidden)
        if len(biases):
            self.hidden.add_(biases)
        self.hidden.relu_()
        return torch.addmm(weights.out_bias, state.hidden, weights.out, out=state.prediction)


def _tensors(arrays):
    """Tensors that share the memory of the arrays among some fields."""
    return {
        n: torch.from_numpy(a) for n, a in arrays._asdict().items() if isinstance(a, np.ndarray)
    }


def _drawn(prediction, uniforms, temperature, n_levels, min_log_scale):
    """Draw from the predicted distributions, (B, K) and (B, n_u) -> (B,)."""
    prediction = prediction.numpy().astype(np.float64)
    if not n_levels:
        return _drawn_class(prediction, uniforms[:, 0], temperature)
    logits, means, scales = np.split(prediction, 3, 1)
    component = _drawn_class(logits, uniforms[:, 0], temperature)[:, None]
    mean, scale = (np.take_along_axis(a, component, 1)[:, 0] for a in (means, scales))
    u = np.clip(uniforms[:, 1], 1e-5, 1 - 1e-5)
    scale = temperature * np.exp(np.maximum(scale, min_log_scale))
    x = np.clip(mean + scale * (np.log(u) - np.log(1 - u)), -1, 1)
    steps = n_levels - 1
    return 2 * np.floor((x + 1) / 2 * steps + 0.5) / steps - 1


def _drawn_class(logits, uniforms, temperature):
    """Inverse distribution functions of softmax(logits / temperature) at uniform numbers."""
    if temperature == 0:
        return logits.argmax(1)
    below = np.exp((logits - logits.max(1, keepdims=True)) / temperature).cumsum(1)
    # the first class below whose upper end the number lies
    return (below[:, :-1] <= uniforms[:, None] * below[:, -1:]).sum(1)
