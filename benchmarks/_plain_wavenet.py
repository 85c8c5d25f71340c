"""WaveNet as a user would write it from the paper, in plain modules of torch.

One-hot input, two convolutions for the two halves of a gate, and for generation a queue for each
layer, as in Paine et al. 2016 (arXiv 1611.09482). Of networks without conditions, that draw
classes and begin with a vector of zeros.
"""

from collections import deque

import torch
import torch.nn.functional as F
from torch import nn


class PlainWaveNet(nn.Module):
    """The network, with the weights of a `skaudio.networks.wavenet.WaveNet`.

    Parameters
    ----------
    network : WaveNet
        The other network.
    """

    def __init__(self, network):
        super().__init__()
        stack = network.stack()
        self.scales = stack.residual_scale, stack.skip_scale
        self.first = _conv(stack.first, stack.first_bias)
        self.layers = nn.ModuleList()
        half = stack.gates.shape[3] // 2
        for i, dilation in enumerate(stack.dilations):
            gates, bias = stack.gates[i], stack.gate_bias[i]
            convs = {
                "filter": _conv(gates[..., :half], bias[:half], dilation),
                "gate": _conv(gates[..., half:], bias[half:], dilation),
                "skip": _conv(stack.skip[i][None], stack.skip_bias[i]),
            }
            if i < len(stack.dilations) - 1:
                convs["residual"] = _conv(stack.residual[i][None], stack.residual_bias[i])
            self.layers.append(nn.ModuleDict(convs))
        self.head = _conv(stack.head[None], stack.head_bias)
        self.out = _conv(stack.out[None], stack.out_bias)

    def forward(self, codes):
        """Logits of each sample, given those before it: (B, T) -> (B, K, T)."""
        x = F.one_hot(codes, self.first.in_channels).float().transpose(1, 2)
        h = self.first(F.pad(x, (self.first.kernel_size[0], 0))[..., :-1])
        skips = 0
        for layer in self.layers:
            conv = layer["filter"]
            past = F.pad(h, ((conv.kernel_size[0] - 1) * conv.dilation[0], 0))
            z = torch.tanh(conv(past)) * torch.sigmoid(layer["gate"](past))
            skips = skips + layer["skip"](z)
            if "residual" in layer:
                h = (h + layer["residual"](z)) * self.scales[0]
        return self.out(F.relu(self.head(F.relu(skips * self.scales[1]))))

    @torch.inference_mode()
    def generate(self, uniforms):
        """Draw samples one after the other, each layer once for each.

        Parameters
        ----------
        uniforms : ndarray of shape (n, B, 1)
            Numbers in [0, 1).

        Returns
        -------
        codes : ndarray of shape (B, n), int64
            What was drawn.
        """
        n_streams, n_inputs = uniforms.shape[1], self.first.in_channels
        silence = torch.zeros(n_streams, n_inputs, 1)
        inputs = deque([silence] * self.first.kernel_size[0], self.first.kernel_size[0])
        queues = [self._queue(layer["filter"], n_streams) for layer in self.layers]
        codes = []
        for u in torch.from_numpy(uniforms):
            logits = self._step(torch.cat([*inputs], 2), queues)
            below = torch.softmax(logits, 1).cumsum(1)
            code = (below[:, :-1] <= u).sum(1)
            inputs.append(F.one_hot(code, n_inputs).float()[..., None])
            codes.append(code)
        return torch.stack(codes, 1).numpy()

    def _queue(self, conv, n_streams):
        n = (conv.kernel_size[0] - 1) * conv.dilation[0] + 1
        return deque([torch.zeros(n_streams, conv.in_channels, 1)] * n, n)

    def _step(self, inputs, queues):
        """Logits (B, K) from the last inputs (B, K, k)."""
        h, skips = self.first(inputs), 0
        for layer, queue in zip(self.layers, queues, strict=True):
            queue.append(h)
            conv = layer["filter"]
            taps = torch.cat([queue[i] for i in range(0, len(queue), conv.dilation[0])], 2)
            # the taps lie side by side here
            a, b = (F.conv1d(taps, c.weight, c.bias) for c in (conv, layer["gate"]))
            z = torch.tanh(a) * torch.sigmoid(b)
            skips = skips + layer["skip"](z)
            if "residual" in layer:
                h = (h + layer["residual"](z)) * self.scales[0]
        return self.out(F.relu(self.head(F.relu(skips * self.scales[1]))))[..., 0]


@torch.no_grad()
def _conv(taps, bias, dilation=1):
    """Convolution with given taps (k, in, out)."""
    kernel, n_in, n_out = taps.shape
    conv = nn.Conv1d(n_in, n_out, kernel, dilation=dilation)
    conv.weight.copy_(torch.from_numpy(taps).permute(2, 1, 0))
    conv.bias.copy_(torch.from_numpy(bias))
    return conv
