"""Predict the future of a sound from its past: wav2vec (Schneider et al., arXiv:1904.05862).

An encoder turns the wave into frames z, a causal aggregator turns these into context c, and a
linear head predicts from c_t, for each of several steps ahead, the z that will follow, to be told
from z of other moments. Features are z, c, or any layer of the aggregator.
"""

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from ._network import Network
from .contrastive import contrastive_loss
from .convolutions import new_conv
from .layers import ACTIVATIONS, Map, Uninitialised, masked_group_norm, numbered

__all__ = ["SIZES", "Wav2Vec", "contrastive_loss", "receptive_field"]

BASE_ENCODER = ((512, 10, 5), (512, 8, 4), (512, 4, 2), (512, 4, 2), (512, 4, 2))

# encoder layers, aggregator layers (dim, kernel, stride), skip connections of the aggregator
SIZES = {
    "tiny": (
        tuple((128, kernel, stride) for _, kernel, stride in BASE_ENCODER),
        tuple((128, kernel, 1) for kernel in range(2, 8)),
        True,
    ),
    "base": (BASE_ENCODER, ((512, 3, 1),) * 9, False),
    "large": (
        (*BASE_ENCODER, (512, 1, 1), (512, 1, 1)),
        tuple((512, kernel, 1) for kernel in range(2, 14)),
        True,
    ),
}
EPSILON = 1e-5


class _Norm(nn.Module):
    """Group normalisation of a whole clip, channels and time together, one group."""

    def __init__(self, dim, affine):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim)) if affine else None
        self.bias = nn.Parameter(torch.empty(dim)) if affine else None

    def forward(self, x, lengths):
        return masked_group_norm(x, lengths, 1, self.weight, self.bias, EPSILON)


class _Block(nn.Module):
    """Convolution, normalisation, activation; causal if ``pad`` says what stands before frame 0.

    Shape: (B, n_in, T) -> (B, dim, T'), T' = (T - kernel) // stride + 1, or T if padded.

    Parameters
    ----------
    n_in, dim, kernel, stride : int
        Of the convolution.
    activation : str
        In `ACTIVATIONS`.
    bias, affine : bool
        Whether the convolution has a bias, and the normalisation scale and shift.
    pad : {None, "constant", "replicate"}
        None: no padding.
    skip : float or None
        (output + input) times this factor. None: no skip connection.
    """

    def __init__(self, n_in, dim, kernel, stride, activation, bias, affine, pad=None, skip=None):
        super().__init__()
        self.conv = new_conv(n_in, dim, kernel, stride=stride, bias=bias)
        self.norm = _Norm(dim, affine)
        self.activation, self.pad, self.skip = ACTIVATIONS[activation], pad, skip
        self.residual = None
        if skip is not None and n_in != dim:
            if pad is None:
                self.skip = None  # as published, an encoder layer adds only what fits
            else:
                self.residual = new_conv(n_in, dim, 1, bias=False)

    def forward(self, x, lengths):
        padded = x
        if self.pad:
            padded = F.pad(x, (self.conv.kernel_size[0] - 1, 0), mode=self.pad)
            if padded.shape[-1] == 0:
                return x.new_zeros(len(x), self.conv.out_channels, 0), lengths
        else:
            lengths = _conv_lengths(lengths, self.conv)
        y = self.activation(self.norm(self.conv(padded), lengths))
        if self.skip is None or y.shape[-1] == 0:
            return y, lengths
        if self.residual is not None:
            x = self.residual(x)
        every = x.shape[-1] // y.shape[-1]
        return (y + x[..., ::every][..., : y.shape[-1]]) * self.skip, lengths


def _conv_lengths(lengths, conv):
    return ((lengths - conv.kernel_size[0]).div(conv.stride[0], rounding_mode="floor") + 1).clamp(0)


class _GRU(Uninitialised, nn.GRU):
    """Recurrent aggregator."""


class Wav2Vec(Network):
    """Encoder, aggregator and prediction head.

    Shape: (B, 1, T) -> (B, C, T') for each selected layer; T' is T after every encoder layer's
    floor((T - kernel) / stride) + 1, which for the published encoders is about T / 160.

    Parameters
    ----------
    encoder_layers, aggregator_layers : sequence of (dim, kernel, stride)
        Convolutions.
    layers : sequence of str or int
        What is returned: "z", "c", or the number of an aggregator layer (0 is z, the last is c).
        With a quantiser also, alone, "codes": their numbers, a channel for each group; or
        "one_hot": a channel for each code of each group, 1 where it is.
    activation : str
        "relu", "gelu", "elu" or "tanh".
    log_compression : bool
        Whether z becomes log(|z| + 1).
    skip_encoder, skip_aggregator : bool
        Whether layers add their input, where it is as long as their output.
    residual_scale : float
        A sum is multiplied by the root of this.
    aggregator : {"cnn", "gru"}
        Kind of aggregator.
    gru_dim : int
        Width of the recurrent one.
    gru_recurrent : bool
        Whether it carries its state from frame to frame. False: every frame starts from a zero
        state, so that c depends on one frame of z; published networks with a GRU are run so.
    bias : bool
        Whether the aggregator's convolutions have one.
    zero_pad : bool
        Whether zeros stand before the first frame of an aggregator layer, not copies of it.
    affine : bool
        Whether normalisations have scale and shift.
    n_steps : int
        Steps that the head predicts.
    offset : int or "auto"
        How many frames ahead the first of them is. "auto": so many that context and target share
        no sample.
    quantizer : Module or None
        Stands between encoder and aggregator; see `skaudio.networks.vq`.
    """

    def __init__(
        self,
        encoder_layers,
        aggregator_layers,
        *,
        layers=("c",),
        activation="relu",
        log_compression=True,
        skip_encoder=False,
        skip_aggregator=True,
        residual_scale=0.5,
        aggregator="cnn",
        gru_dim=512,
        gru_recurrent=True,
        bias=True,
        zero_pad=False,
        affine=True,
        n_steps=12,
        offset="auto",
        quantizer=None,
    ):
        super().__init__()
        scale = math.sqrt(residual_scale)
        self.log_compression, self.gru_recurrent = log_compression, gru_recurrent
        at, dim = Map("z"), 1
        # what an encoder layer adds then depends on the length of the whole batch
        self.handles_lengths = not skip_encoder
        self.encoder = nn.ModuleList()
        for width, kernel, stride in encoder_layers:
            skip = scale if skip_encoder else None
            block = _Block(dim, width, kernel, stride, activation, False, affine, skip=skip)
            self.encoder.append(block)
            at = at.then(kernel, stride=stride, channels=numbered(width))
            dim = width
        maps = [at]
        self.quantizer = quantizer
        if aggregator == "gru":
            self.aggregator = nn.ModuleDict({"gru": _GRU(dim, gru_dim, batch_first=True)})
            maps.append(Map("c", numbered(gru_dim), at.stride, 0, at.right))
            dim = gru_dim
        else:
            self.aggregator = nn.ModuleList()
            pad = "constant" if zero_pad else "replicate"
            for layer, (width, kernel, stride) in enumerate(aggregator_layers, start=1):
                skip = scale if skip_aggregator else None
                block = _Block(dim, width, kernel, stride, activation, bias, affine, pad, skip)
                self.aggregator.append(block)
                name = "c" if layer == len(aggregator_layers) else f"c{layer}"
                at = at.then(kernel, pad=kernel - 1, channels=numbered(width), name=name)
                maps.append(at)
                dim = width
        target = maps[0].channels
        self.head = nn.ParameterDict(
            {
                "weight": nn.Parameter(torch.empty(dim, len(target), 1, n_steps)),
                "bias": nn.Parameter(torch.empty(len(target))),
            }
        )
        receptive, self.stride = receptive_field(encoder_layers), maps[0].stride
        self.offset = -(-receptive // self.stride) if offset == "auto" else offset
        self.min_steps = receptive
        self.floats_per_step = 4 * max(
            width / math.prod(s for _, _, s in encoder_layers[: i + 1])
            for i, (width, _, _) in enumerate(encoder_layers)
        )
        self.code_output = layers[0] if layers[0] in ("codes", "one_hot") else None
        self.layer_indices = [
            {"z": 0, "c": len(maps) - 1, self.code_output: 0}.get(name, name) for name in layers
        ]
        self.maps = [maps[i] for i in self.layer_indices]
        if self.code_output:
            self.maps = [replace(self.maps[0], name="", channels=self._code_channels())]

    def _code_channels(self):
        n_groups, n_codes = self.quantizer.n_groups, self.quantizer.n_codes
        if self.code_output == "codes":
            return tuple(f"group{g}" for g in range(n_groups))
        return tuple(f"group{g}_code{v}" for g in range(n_groups) for v in range(n_codes))

    @torch.no_grad()
    def initialise(self, generator):
        """Fill the network as torch does by default: uniform within 1 / sqrt(fan_in).

        Parameters
        ----------
        generator : torch.Generator
            Source of all randomness, on the CPU.
        """
        for name, p in self.named_parameters():
            if name.startswith("quantizer."):
                continue
            if ".norm." in name:
                p.fill_(1.0 if name.endswith("weight") else 0.0)
            else:
                bound = 1 / math.sqrt(self._fan_in(name))
                # in the order of the axes, however the kernels lie in memory
                p.copy_(torch.empty(p.shape).uniform_(-bound, bound, generator=generator))
        if self.quantizer is not None:
            self.quantizer.initialise(generator)

    def _fan_in(self, name):
        """Inputs of a unit, which bound the weights and biases of its layer."""
        if "gru" in name:
            return self.aggregator["gru"].hidden_size
        if name.startswith("head."):
            return self.head["weight"].shape[1] * self.head["weight"].shape[3]
        weight = self.get_parameter(f"{name.rpartition('.')[0]}.weight")
        return weight[0].numel()

    def output_lengths(self, lengths):
        for block in self.encoder:
            lengths = _conv_lengths(lengths, block.conv)
        return [lengths] * len(self.layer_indices)

    def encode(self, wave, lengths):
        """Frames of waves.

        Parameters
        ----------
        wave : Tensor of shape (B, 1, T)
            The waves.
        lengths : Tensor of shape (B,), int64
            Their lengths.

        Returns
        -------
        z : Tensor of shape (B, C, T')
            The frames.
        lengths : Tensor of shape (B,), int64
            How many each clip has.
        """
        x = wave
        for block in self.encoder:
            x, lengths = block(x, lengths)
        return (torch.log(x.abs() + 1) if self.log_compression else x), lengths

    def aggregate(self, z, lengths):
        """Context of frames.

        Parameters
        ----------
        z : Tensor of shape (B, C, T)
            Frames.
        lengths : Tensor of shape (B,), int64
            Their numbers.

        Returns
        -------
        layers : list of Tensor of shape (B, C, T)
            Output of each layer; the last is c.
        """
        if "gru" in self.aggregator:
            frames = z.transpose(1, 2)
            # a state starts at zero, so frames that must not know each other are sequences of one
            steps = frames if self.gru_recurrent else frames.reshape(-1, 1, frames.shape[-1])
            c, _ = self.aggregator["gru"](steps)
            return [c.reshape(*frames.shape[:2], c.shape[-1]).transpose(1, 2)]
        layers = []
        for block in self.aggregator:
            z, _ = block(z, lengths)
            layers.append(z)
        return layers

    def predict(self, c):
        """What follows each frame, step by step.

        Parameters
        ----------
        c : Tensor of shape (B, C, T)
            Context.

        Returns
        -------
        steps : Tensor of shape (B, C', T, S)
            Step i is to resemble z after ``offset + i`` frames.
        """
        weight = self.head["weight"][:, :, 0]  # (C, C', S)
        n_out, n_steps = weight.shape[1:]
        flat = weight.permute(2, 1, 0).flatten(0, 1)
        steps = F.linear(c.transpose(1, 2), flat, self.head["bias"].repeat(n_steps))
        return steps.unflatten(2, (n_steps, n_out)).permute(0, 3, 1, 2)

    def forward(self, x, lengths):
        z, lengths = self.encode(x, lengths)
        if self.code_output:
            codes = self.quantizer.encode(z, lengths)
            if self.code_output == "one_hot":
                codes = F.one_hot(codes, self.quantizer.n_codes).flatten(2)
            return [(codes.transpose(1, 2).float(), lengths)]
        if self.quantizer is not None:
            z = self.quantizer(z, lengths).z
        every = [z, *(self.aggregate(z, lengths) if max(self.layer_indices) else ())]
        return [(every[i], lengths) for i in self.layer_indices]


def receptive_field(layers):
    """Samples that one frame is made of.

    Parameters
    ----------
    layers : sequence of (dim, kernel, stride)
        Of the encoder.

    Returns
    -------
    n_samples : int
        465 for the published encoders.
    """
    n_samples = 1
    for _, kernel, stride in reversed(layers):
        n_samples = (n_samples - 1) * stride + kernel
    return n_samples
