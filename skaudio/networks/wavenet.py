"""Predict each sample of a sound from those before it: WaveNet.

van den Oord et al. 2016, arXiv:1609.03499. A stack of gated causal convolutions reads the samples
so far, and a head gives the distribution of the next one: probabilities of mu-law classes, or a
mixture of logistics.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from .. import _mulaw
from ._causal import CausalStack
from ._coded import CodedNetwork
from ._conditioning import Conditioning
from ._gated import GatedStack, placed, step_means
from .convolutions import dilated_conv
from .layers import Map, numbered

__all__ = ["LAYOUTS", "SIZES", "WaveNet"]

LAYOUTS = ("shift-in", "shift-target", "primed")


def _doubling(n_blocks, n_layers):
    return tuple(2**i for i in range(n_layers)) * n_blocks


# "r9y9" and "r9y9-mol" have no scales of weight norm, and "nv" no biases of the conditions beside
# those of the gates: both are part of the weights here
_R9Y9 = {
    "kernel": 3,
    "residual_channels": 128,
    "gate_channels": 128,
    "skip_channels": 128,
    "first_kernel": 1,
    "first_bias": True,
    "last_residual": True,
    "residual_scale": 0.5**0.5,
}
SIZES = {
    "tiny": {"dilations": _doubling(1, 10), "skip_channels": 64},
    "ibab": {"dilations": _doubling(5, 10), "skip_channels": 512, "last_residual": True},
    "r9y9": {"dilations": _doubling(3, 10), "skip_scale": 30**-0.5, **_R9Y9},
    "r9y9-mol": {
        "dilations": _doubling(4, 6),
        "skip_scale": 24**-0.5,
        "output": "logistic",
        **_R9Y9,
    },
    "nv": {
        "dilations": _doubling(2, 8),
        "residual_channels": 64,
        "gate_channels": 64,
        "first_kernel": 1,
        "head_bias": False,
    },
}


class WaveNet(CodedNetwork):
    """Causal network that gives the distribution of each sample, given those before it.

    Shape: (B, 1, T) -> (B, C, T') with T' = ceil(T / hop_length): means over ``hop_length`` samples
    of the skip sums, or of the input of a layer, as they are once a sample has been heard.

    `SIZES` has the published ones. "r9y9" has 4,029,952 parameters; the 4,699,944 of the published
    code are these, and 614,400 that project 80 mel bands into the gates of its layers, 32,036 that
    smooth these bands and bring them to the sample rate, and 23,556 scales of weight norm, which
    are part of the weights here.

    Parameters
    ----------
    dilations : sequence of int
        Of the gated layers.
    kernel : int, default=2
        Width of their convolutions.
    residual_channels, gate_channels, skip_channels : int, default=32, 32, 256
        Channels of the layers' inputs, of their gated outputs, and of the skip sum.
    head_channels : int, default=None
        Channels between the two products of the head. None: ``skip_channels``.
    first_kernel : int, default=2
        Width of the causal convolution that reads the samples.
    first_bias, head_bias : bool, default=False, True
        Whether this convolution, and the products of the head, have biases.
    last_residual : bool, default=False
        Whether the last layer has weights for an output that nothing reads.
    residual_scale, skip_scale : float, default=1.0
        Factors of each layer's sum with its input, and of the skip sum.
    output : {"mulaw", "logistic"}, default="mulaw"
        What is predicted: mu-law classes; or amplitudes, by a mixture of logistics.
    n_classes : int, default=None
        Number of classes, or of levels of amplitude. None: 256, or 65536.
    n_mixtures : int, default=10
        Components of a mixture.
    min_log_scale : float, default=-16.0
        Floor of the logarithm of the scale of a logistic.
    reference : bool, default=False
        Whether the rule of the published code holds for the ends of a mixture, whose
        probabilities do not sum to 1.
    n_labels, label_channels : int, default=0, 16
        Number of labels that condition the gates, and length of the vector of each.
    n_conditions, condition_hop : int, default=0, 1
        Channels of the frames that condition the gates, and samples per frame.
    upsampling : {"repeat", "learnt"}, default="repeat"
        Frames are repeated; or a transposed convolution of 4 hops makes a vector for each sample.
    contexts : sequence of (dilations, hop, channels), default=()
        Smaller stacks over windows of ``hop`` samples that condition the gates, and reach further
        back; ``hop_length`` is a multiple of each hop.
    layout : {"shift-in", "shift-target", "primed"}, default="shift-in"
        What stands before the first sample. "shift-in": a vector of zeros. "shift-target": nothing,
        so that the first sample has a distribution of its own: the uniform one, or that of a
        mixture whose parameters are zero. "primed": a receptive field of silence.
    layer : int, default=None
        Layer whose input `forward` returns, counted from 0. None: the skip sum.
    hop_length : int, default=160
        Samples per frame of what `forward` returns.

    Attributes
    ----------
    receptive_field : int
        Samples that a prediction depends on: first_kernel + (kernel - 1) times the sum of the
        dilations; a context reaches further.
    grid : int
        Tiles that are to give the same predictions begin at multiples of this.
    floats_per_prediction : float
        Numbers held at once per sample by `predictions` and `log_prob`, without gradient.

    Raises
    ------
    ValueError
        If there is no such layer, layout, output or upsampling, or the hops do not fit.
    """

    handles_lengths = True

    def __init__(
        self,
        dilations,
        *,
        kernel=2,
        residual_channels=32,
        gate_channels=32,
        skip_channels=256,
        head_channels=None,
        first_kernel=2,
        first_bias=False,
        head_bias=True,
        last_residual=False,
        residual_scale=1.0,
        skip_scale=1.0,
        output="mulaw",
        n_classes=None,
        n_mixtures=10,
        min_log_scale=-16.0,
        reference=False,
        n_labels=0,
        label_channels=16,
        n_conditions=0,
        condition_hop=1,
        upsampling="repeat",
        contexts=(),
        layout="shift-in",
        layer=None,
        hop_length=160,
    ):
        super().__init__(output, n_classes, n_mixtures, min_log_scale, reference)
        _check_options(len(dilations), layer, layout, upsampling, contexts, hop_length)
        self.layout, self.layer, self.hop_length = layout, layer, hop_length
        self.n_labels, self.n_conditions, self.condition_hop = n_labels, n_conditions, condition_hop
        n_inputs = self.n_classes if output == "mulaw" else 1
        head_channels = head_channels or skip_channels
        self.first = _weight(first_kernel, n_inputs, residual_channels)
        self.first_bias = _weight(residual_channels) if first_bias else None
        self.gated = GatedStack(
            dilations,
            kernel=kernel,
            residual_channels=residual_channels,
            gate_channels=gate_channels,
            skip_channels=skip_channels,
            last_residual=last_residual,
            residual_scale=residual_scale,
            skip_scale=skip_scale,
        )
        self.hidden = _weight(head_channels, skip_channels)
        self.hidden_bias = _weight(head_channels) if head_bias else None
        self.out = _weight(self.n_outputs, head_channels)
        self.out_bias = _weight(self.n_outputs) if head_bias else None
        shape, frames = self.gated.gate_bias.shape, (n_conditions, condition_hop, upsampling)
        self.conditioning = Conditioning(shape, n_labels, label_channels, *frames, contexts)
        reach = [context.receptive_field for context in self.conditioning.contexts]
        self.receptive_field = self.gated.span + max(first_kernel, *reach, 0)
        self.grid = math.lcm(condition_hop, *(hop for _, hop, _ in contexts))
        channels = skip_channels if layer is None else residual_channels
        name = "skip" if layer is None else f"layer{layer}"
        left = self.receptive_field - 1
        self.set_maps([Map(name, numbered(channels), hop_length, left, hop_length - 1)])
        self.floats_per_step = 4 * residual_channels + 8 * gate_channels
        self.floats_per_prediction = float(
            4 * residual_channels
            + (2 * len(dilations) + 8) * gate_channels
            + 2 * (skip_channels + head_channels)
            + (3 if output == "mulaw" else 4) * self.n_outputs
        )

    @torch.no_grad()
    def initialise(self, generator):
        """Fill the network: biases zero, weights uniform within 1 / sqrt(fan_in).

        The table of classes begins so that classes near each other are near each other in it, too:
        with y_q the class from -1 to 1 and x_q its amplitude, 0.1 n + y_q a + x_q b, where n, a and
        b are normal.

        Parameters
        ----------
        generator : torch.Generator
            Source of all randomness, on the CPU.
        """
        for name, p in self.named_parameters():
            fan_in = math.prod(p.shape[1:])
            if "gates" in name or name.endswith(("gated.residual", "stack.residual")):
                fan_in = math.prod(p.shape[2:])
            elif name.endswith(".skip"):
                fan_in = p.shape[2]
            elif name in ("first", "conditioning.label_table"):
                fan_in = 1
            bound = 0.0 if name.endswith("bias") else fan_in**-0.5
            p.copy_(torch.empty(p.shape).uniform_(-bound, bound, generator=generator))
        if self.output == "mulaw":
            kernel, n, width = self.first.shape
            y, x = torch.linspace(-1, 1, n)[:, None], _mulaw.decode(torch.arange(n), n)[:, None]
            noise = torch.randn(kernel, n + 2, width, generator=generator)
            a, b = noise[:, n, None], noise[:, n + 1, None]
            self.first.copy_(0.1 * noise[:, :n] + y * a + x * b)

    def predictions(self, codes, label=None, frames=None):
        """Parameters of the distribution of each sample, given those before it.

        Parameters
        ----------
        codes : Tensor of shape (B, T)
            As of `codes`.
        label : Tensor of shape (B,), int64, or (B, n_labels), default=None
            Label of each clip, or weights of the labels. None: all labels weigh the same.
        frames : Tensor of shape (B, n_conditions, F), default=None
            Frame t // condition_hop conditions sample t. None: zeros.

        Returns
        -------
        predictions : Tensor of shape (B, K, T)
            Of sample t from those before: logits of its classes; or of a mixture of M logistics the
            logits, the means and the logarithms of the scales.

        Raises
        ------
        ValueError
            If there are frames for fewer samples.
        """
        h, conditions, first = self._inputs(codes, label, frames, codes.shape[1])
        if not h.shape[2]:  # nothing is known of a single sample
            return h.new_zeros(len(h), self.n_outputs, codes.shape[1])
        zs = [z[..., max(0, -first) :] for _, z in self.gated(h, conditions)]
        x = F.relu(self.gated.skip_sum(zs))
        x = F.relu(dilated_conv(x, self.hidden[..., None], self.hidden_bias))
        x = dilated_conv(x, self.out[..., None], self.out_bias)
        return placed(x, first) if first > 0 else x

    def output_lengths(self, lengths):
        return [-(-lengths // self.hop_length)]

    def forward(self, x, lengths, label=None, frames=None):
        # one step more than there are samples: the first has heard none of them yet
        h, conditions, first = self._inputs(self.codes(x[:, 0]), label, frames, x.shape[2] + 1)
        layers, heard = self.gated(h, conditions), 1 - first
        if self.layer is not None:
            for _ in range(self.layer + 1):
                h, _ = next(layers)
            y = step_means(h[..., heard:], lengths, self.hop_length)
        else:  # the skip sum of means is the mean of the skip sums, and has fewer products
            zs = [step_means(z[..., heard:], lengths, self.hop_length) for _, z in layers]
            y = self.gated.skip_sum(zs)
        return [(y.float(), *self.output_lengths(lengths))]

    def _inputs(self, codes, label, frames, n_steps):
        """Input of the first layer (B, R, N), conditions, and the sample that its step 0 precedes.

        Its last step precedes sample ``n_steps - 1``.
        """
        self.conditioning.check(frames, codes.shape[1])
        first, shift = {"shift-in": (0, 1), "shift-target": (1, 0)}.get(self.layout, (0, 0))
        conditions = self._amplitudes(codes), label, frames
        if self.layout == "primed":
            n_before = self.gated.span + len(self.first)
            first = 1 - n_before
            codes = F.pad(codes, (n_before, 0), value=self._silence())
        h = self._read(codes, shift, n_steps - first)
        return h, self.conditioning(*conditions, first), first

    def _read(self, codes, shift, n_steps):
        """Input of the first layer (B, R, n_steps), whose step t reads codes up to t - shift."""
        h = 0.0
        for before, weight in enumerate(self.first.flip(0), start=shift):
            if self.output == "mulaw":
                x = F.embedding(codes, weight)
            else:
                x = codes.to(weight)[..., None] * weight
            h = h + placed(x.transpose(1, 2), before, n_steps)
        return h if self.first_bias is None else h + self.first_bias[:, None]

    def stack(self):
        """Weights as the sampler reads them.

        Returns
        -------
        stack : CausalStack
            Arrays in the dtype of the weights.

        Raises
        ------
        ValueError
            If the layout gives the first sample a distribution of its own.
        """
        if self.layout == "shift-target":
            raise ValueError("layout='shift-target' has no start to sample from")
        primed = self.layout == "primed"
        width, n_hidden = self.first.shape[2], len(self.hidden)
        return CausalStack(
            first=_array(self.first),
            first_bias=_array(self.first_bias, self.first.new_zeros(width)),
            dilations=self.gated.dilations,
            **self.gated.arrays(),
            head=_array(self.hidden.t()),
            head_bias=_array(self.hidden_bias, self.first.new_zeros(n_hidden)),
            out=_array(self.out.t()),
            out_bias=_array(self.out_bias, self.first.new_zeros(self.n_outputs)),
            draws=self.output,
            start=self._silence() if primed else None,
            n_starts=self.gated.span + len(self.first) if primed else 1,
            n_classes=self.n_classes,
            min_log_scale=self.min_log_scale,
        )

    @torch.no_grad()
    def biases(self, label=None, frames=None, codes=None):
        """What labels, frames and contexts add to the gates.

        Parameters
        ----------
        label, frames : Tensor or None
            As for `predictions`; the frames of the samples to come.
        codes : Tensor of shape (B, n), default=None
            What was drawn before, which contexts need: n a multiple of `grid`. The rows then hold
            for as many samples as the shortest hop of a context.

        Returns
        -------
        gate_biases : Tensor of shape (n_rows, B, L, 2 D), or None
            A row for each frame, or for each sample if upsampling is learnt; one row if there are
            no frames; None if there is no condition.
        head_biases : None
            Nothing is added to the head.
        """
        given = next((x for x in (codes, label, frames) if x is not None), None)
        n_clips = 1 if given is None else len(given)
        heard = self.first.new_zeros(n_clips, 0) if codes is None else self._amplitudes(codes)
        contexts = self.conditioning.contexts
        found = self.conditioning(heard, label, frames, 0)
        rows = [condition.all_rows() for condition in found]
        for i in range(1, len(contexts) + 1):
            rows[-i] = rows[-i][-1:]  # what the samples to come have
        return (sum(rows[1:], rows[0]) if rows else None), None


def _weight(*shape):
    return nn.Parameter(torch.empty(shape))


def _array(weight, default=None):
    weight = default if weight is None else weight
    return weight.detach().cpu().contiguous().numpy()


def _check_options(n_layers, layer, layout, upsampling, contexts, hop_length):
    for name, value, allowed in (
        ("layout", layout, LAYOUTS),
        ("upsampling", upsampling, ("repeat", "learnt")),
    ):
        if value not in allowed:
            raise ValueError(f"{name}={value!r} must be one of {', '.join(map(repr, allowed))}")
    if layer is not None and not 0 <= layer < n_layers:
        raise ValueError(f"layer={layer} must be from 0 to {n_layers - 1}, or None")
    wrong = [hop for _, hop, _ in contexts if hop_length % hop]
    if wrong:
        raise ValueError(f"hop_length={hop_length} must be a multiple of the context's {wrong[0]}")
