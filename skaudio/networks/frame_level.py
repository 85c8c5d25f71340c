"""Frame-level CNNs on the wave: long strided filters and a residual back-end.

Pons & Serra (arXiv:1805.00237): one filter length, or five side by side.
"""

import math

import torch
from torch import nn

from .._tensors import mask
from ._network import Network
from .convolutions import join_channels, max_pool, new_conv, pooled_lengths
from .layers import Map, numbered, rectified
from .sinc import odd
from .sinc_front import UnitSincConv

__all__ = ["FrameLevel", "shortest_input"]

STRIDE = 32  # samples
SINGLE_KERNEL = (512,)
MANY_KERNELS = (512, 256, 128, 64, 32)


class FrameLevel(Network):
    """Front-end of strided convolutions, back-end of three convolutions 7 with two shortcuts.

    Shape: (B, 1, T) -> (B, n_filters, T_l) for each selected layer. With one kernel the front-end
    is "valid", T_1 = (T - 512) // 32 + 1; with several it is "same", T_1 = ceil(T / 32). The
    back-end maps have T_1 - 6, T_1 - 6 and (T_1 - 6) // 2 frames.

    Parameters
    ----------
    n_filters : int
        Channels of every layer.
    kernels : sequence of int
        Filter lengths of the front-end, samples.
    layers : sequence of int
        Layers whose maps are returned: one per kernel, then the three of the back-end.
    reference : bool
        Collapse each back-end map as the published code does: its mean over channels in
        channel 0, zeros elsewhere.
    sinc_rate : int, default=None
        Sample rate, Hz, for a front-end of band-pass filters with learnable edges, of an odd
        number of taps: one more where ``kernels`` has an even number. None: free filters.
    """

    handles_lengths = True

    def __init__(self, n_filters, kernels, layers, reference=False, sinc_rate=None):
        super().__init__()
        self.layers, self.reference, self.same = layers, reference, _is_same(kernels)
        if sinc_rate is None:
            front = (new_conv(1, n_filters, k, stride=STRIDE) for k in kernels)
        else:
            kernels = [odd(k) for k in kernels]
            norm = math.sqrt(2)  # of the rectified output, as for free filters at first
            front = (
                UnitSincConv(n_filters, k, sinc_rate, stride=STRIDE, norm=norm) for k in kernels
            )
        self.front, self.kernels = nn.ModuleList(front), kernels
        self.back = nn.ModuleList(
            new_conv(n_in, n_filters, 7, padding=padding)
            for n_in, padding in ((len(kernels) * n_filters, 0), (n_filters, 3), (n_filters, 3))
        )
        self.min_steps = shortest_input(kernels)
        names = numbered(n_filters)
        maps = [
            Map(f"conv{k}", names).then(k, stride=STRIDE, pad=(k - 1) // 2 if self.same else 0)
            for k in kernels
        ]
        first = maps[0].then(7, name="back1")
        second = first.then(7, pad=3, name="back2")
        third = second.then(2, stride=2).then(7, pad=3, name="back3")
        maps += [first, second, third]
        self.set_maps(maps, layers)
        if self.same:  # where frames lie later than the maps say, they also see farther
            left, right = self.halo
            self.halo = left, right + STRIDE // 2
        # front maps, these joined, and what the back-end makes of them
        self.floats_per_step = 2 * n_filters * (len(kernels) + 2) / STRIDE

    def output_lengths(self, lengths):
        if self.same:
            front = -(-lengths // STRIDE)
        else:
            front = (lengths - self.kernels[0]) // STRIDE + 1
        first = front - 6
        every = [*[front] * len(self.front), first, first, pooled_lengths(first, 2)]
        return [every[layer] for layer in self.layers]

    def frame_offset(self, n_steps):
        """Samples by which frames lie later than their `Map` says.

        Parameters
        ----------
        n_steps : int
            Length of the clip, samples.

        Returns
        -------
        frame_offset : int
            "Same" padding hangs on the length: the maps state the most there can be on the
            left, the multiple of the stride has the least.
        """
        if not self.same:
            return 0
        kernel = self.kernels[0]
        total = kernel - STRIDE + -n_steps % STRIDE
        return (kernel - 1) // 2 - total // 2

    def forward(self, x, lengths):
        convs = zip(self.front, self.kernels, strict=True)
        front = [self._front(conv, kernel, x, lengths) for conv, kernel in convs]
        lengths = front[0][1]
        one, two, three = self.back
        x = one(join_channels([x for x, _ in front]))
        lengths = lengths - 6
        first = rectified(x, lengths)
        second = rectified(two(first), lengths) + first
        pooled, halved = max_pool(second, lengths, 2)
        pooled = mask(pooled, halved)
        third = rectified(three(pooled), halved) + pooled
        back = [(first, lengths), (second, lengths), (third, halved)]
        if self.reference:
            back = [(_collapsed(x), n) for x, n in back]
        every = [*front, *back]
        return [every[layer] for layer in self.layers]

    def _front(self, conv, kernel, x, lengths):
        if self.same:
            out = -(-lengths // STRIDE)
            total = ((out - 1) * STRIDE + kernel - lengths).clamp(min=0)
            # the left padding hangs on each clip's own length: shift every clip by its own
            steps = (int(out.max()) - 1) * STRIDE + kernel
            shifted = x.new_zeros(len(x), 1, steps)
            for i, (n, pad) in enumerate(zip(lengths.tolist(), (total // 2).tolist(), strict=True)):
                shifted[i, :, pad : pad + n] = x[i, :, :n]
            x = shifted
        else:
            out = (lengths - kernel) // STRIDE + 1
        return rectified(conv(x), out), out


def shortest_input(kernels):
    """Samples of which the first layer of the back-end makes one frame.

    Parameters
    ----------
    kernels : sequence of int
        Filter lengths of the front-end, samples.

    Returns
    -------
    n_samples : int
        704 with one filter length, 193 with several.
    """
    return 6 * STRIDE + (1 if _is_same(kernels) else kernels[0])


def _is_same(kernels):
    """Whether the front-end is padded, so that maps of several kernels are of one length."""
    return len(kernels) > 1


def _collapsed(x):
    collapsed = torch.zeros_like(x)
    collapsed[:, 0] = x.mean(1)
    return collapsed
