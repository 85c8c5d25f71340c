"""Vector quantisers: each frame becomes one of a finite set of codes per group of channels.

Gumbel and k-means: vq-wav2vec (Baevski et al. 2020, arXiv:1910.05453). Moving averages: VQ-VAE
(van den Oord et al. 2017, arXiv:1711.00937, appendix A.1).

Every quantiser is called as ``quantizer(z, lengths, temperature=, generator=)`` with z (B, C, T)
and gives a `Quantized`. The channels are cut into G groups of D = C / G, and each group has its
own table of V vectors, or all share one. Frames beyond a clip's length are cut off before
anything is counted or drawn, so neither their values nor their number can matter.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from ._quantizer import (
    Quantized,
    Quantizer,
    _clips,
    _initialise_uniform,
    _look_up,
    _maps,
    _nearest,
    _needed,
    _straight_through,
    _valid,
    perplexity,
)
from .ema import EMAQuantizer
from .layers import ACTIVATIONS, Uninitialised, masked_group_norm

__all__ = [
    "EMAQuantizer",
    "GumbelQuantizer",
    "KMeansQuantizer",
    "joint_codes",
    "new_quantizer",
    "perplexity",
    "temperature",
]


def new_quantizer(kind, dim, n_codes, n_groups, **options):
    """Make a quantiser.

    Parameters
    ----------
    kind : {"gumbel", "kmeans", "ema"}
        Which.
    dim, n_codes, n_groups : int
        Channels, codes of a group, and groups.
    **options
        Of that kind.

    Returns
    -------
    quantizer : GumbelQuantizer, KMeansQuantizer or EMAQuantizer
        With uninitialised weights.
    """
    kinds = {"gumbel": GumbelQuantizer, "kmeans": KMeansQuantizer, "ema": EMAQuantizer}
    return kinds[kind](dim, n_codes, n_groups, **options)


def temperature(step, start=2.0, decay=0.999995, least=0.5):
    """Temperature of the Gumbel softmax after some updates.

    Parameters
    ----------
    step : int
        Number of updates so far.
    start, decay, least : float
        First value, factor per update, and the value that it never falls below.

    Returns
    -------
    temperature : float
        Maximum of start * decay^step and least.

    Examples
    --------
    >>> from skaudio.networks.vq import temperature
    >>> temperature(0), temperature(400_000)
    (2.0, 0.5)
    """
    return max(start * decay**step, least)


def joint_codes(codes, n_codes):
    """One number for the codes of all groups, the first group most significant.

    Parameters
    ----------
    codes : Tensor of shape (..., G), int64
        Codes from 0 to V - 1.
    n_codes : int
        Size V of the table; V^G must stay below 2^63.

    Returns
    -------
    joint : Tensor of shape (...), int64
        From 0 to V^G - 1.

    Examples
    --------
    >>> import torch
    >>> from skaudio.networks.vq import joint_codes
    >>> joint_codes(torch.tensor([3, 5]), 320)
    tensor(965)
    """
    joint = torch.zeros_like(codes[..., 0])
    for group in codes.unbind(-1):
        joint = joint * n_codes + group
    return joint


_SPREAD = 5.0  # standard deviation of logits


class _Linear(Uninitialised, nn.Linear):
    """Matrix and bias."""


class _GroupedConv(Uninitialised, nn.Conv1d):
    """Convolution, each group of channels by itself."""


class GumbelQuantizer(Quantizer):
    """Codes chosen by logits; training adds Gumbel noise and goes by the soft choice's gradient.

    In training z and codes are those of the noisy choice; code_perplexity never sees the noise.

    Parameters
    ----------
    dim, n_codes, n_groups : int
        Channels C, vectors V per table, groups G of channels.
    shared : bool
        Whether all groups have one table.
    depth, factor : int
        Layers from frame to logits; the inner ones are ``factor * dim`` wide.
    activation : {"relu", "gelu", "elu", "tanh"}
        What stands between the layers.

    Raises
    ------
    ValueError
        If C / G is not whole, the activation is unknown, or training lacks a generator.
    """

    def __init__(
        self, dim, n_codes, n_groups, *, shared=False, depth=1, factor=2, activation="relu"
    ):
        super().__init__(dim, n_codes, n_groups, shared)
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation={activation!r} is unknown; use one of {[*ACTIVATIONS]}")
        self.activation = ACTIVATIONS[activation]
        widths = [dim, *[factor * dim] * (depth - 1), n_groups * n_codes]
        self.projection = nn.ModuleList(_Linear(*pair) for pair in pairwise(widths))
        self.table = nn.Parameter(torch.empty(1, self.n_tables * n_codes, self.width))

    def _table(self):
        return self.table.view(self.n_tables, self.n_codes, self.width).transpose(0, 1)

    def _fill(self, generator):
        if len(self.projection) == 1:
            self.projection[0].weight.normal_(generator=generator)
            self.projection[0].bias.zero_()
        else:
            for layer in self.projection:
                for parameter in layer.parameters():
                    _initialise_uniform(parameter, layer.in_features, generator)
        self.table.uniform_(generator=generator)

    def forward(self, z, lengths=None, *, temperature=2.0, generator=None):
        valid = _valid(z, lengths)
        logits = self._logits(z, valid)
        table = self._table()
        codes = likeliest = logits.argmax(-1)
        if self.training:
            # Gumbel noise is -ln(-ln u), 0 <= u < 1; where u is 0 the code just cannot win
            u = torch.rand(logits.shape, generator=_needed(generator)).to(logits.device)
            noisy = logits - (-u.log()).log()
            codes, soft = noisy.argmax(-1), (noisy / temperature).softmax(-1)
            # exactly one-hot forwards, the gradient of the soft choice backwards
            choice = F.one_hot(codes, self.n_codes) + (soft - soft.detach())
            vectors = torch.einsum("ngv,vgd->ngd", choice, table.expand(-1, self.n_groups, -1))
        else:
            vectors = _look_up(table, codes)
        return Quantized(
            _maps(vectors, valid),
            _clips(codes, valid),
            z.new_zeros(()),
            self._usage(likeliest),
            perplexity(logits.softmax(-1).mean(0)),
        )

    def _begin(self, vectors, points):
        if len(self.projection) > 1:
            return
        # logits that are highest where a vector is nearest, as spread as those of initial weights
        logits = torch.einsum("ntd,vtd->ntv", points, vectors) - vectors.square().sum(-1).T / 2
        if logits.std() < 1e-6:
            return  # of equal frames there is nothing to choose
        scale = _SPREAD / logits.std()
        own = vectors.transpose(0, 1).expand(self.n_groups, -1, -1)  # (G, V, D)
        self.table.copy_(vectors.transpose(0, 1).reshape(self.table.shape))
        self.projection[0].weight.copy_(torch.block_diag(*(scale * own)))
        self.projection[0].bias.copy_(-scale / 2 * own.square().sum(-1).flatten())

    def _logits(self, z, valid):
        first, *others = self.projection
        logits = first(z.transpose(1, 2)[valid])
        for layer in others:
            logits = layer(self.activation(logits))
        return logits.unflatten(1, (self.n_groups, self.n_codes))

    def _codes(self, z, lengths, valid):
        return self._logits(z, valid).argmax(-1)


class KMeansQuantizer(Quantizer):
    """Codes of the nearest vectors; the loss draws the table to the frames and they to it.

    Its loss is mean((e - sg(z))^2) + gamma * mean((z - sg(e))^2) over frames and channels, with z
    after the projection and sg without gradient.

    Parameters
    ----------
    dim, n_codes, n_groups : int
        Channels C, vectors V per table, groups G of channels.
    shared : bool
        Whether all groups have one table.
    gamma : float
        Weight of the part that moves the frames.
    project : bool
        Whether each group is first projected and normalised over its channels and frames.

    Raises
    ------
    ValueError
        If C / G is not whole.
    """

    def __init__(self, dim, n_codes, n_groups, *, shared=False, gamma=0.25, project=True):
        super().__init__(dim, n_codes, n_groups, shared)
        self.gamma, self.projection = gamma, None
        if project:
            self.projection = _GroupedConv(dim, dim, 1, groups=n_groups, bias=False)
            self.norm = nn.GroupNorm(n_groups, dim)
        self.table = nn.Parameter(torch.empty(n_codes, self.n_tables, self.width))

    def _fill(self, generator):
        if self.projection is not None:
            _initialise_uniform(self.projection.weight, self.width, generator)
            self.norm.reset_parameters()
        self.table.normal_(std=0.01, generator=generator)

    def forward(self, z, lengths=None, *, temperature=2.0, generator=None):
        valid = _valid(z, lengths)
        frames = self._quantized_frames(z, lengths, valid)
        codes = _nearest(frames, self.table)
        chosen = _look_up(self.table, codes)
        to_frames = F.mse_loss(chosen, frames.detach())
        to_table = F.mse_loss(frames, chosen.detach())
        return Quantized(
            _maps(_straight_through(frames, chosen), valid),
            _clips(codes, valid),
            to_frames + self.gamma * to_table,
            self._usage(codes),
        )

    def _quantized_frames(self, z, lengths, valid):
        if self.projection is not None:
            # zeros first: NaN beyond a clip times its zero gradient would spoil the projection's
            z = self.projection(z.masked_fill(~valid[:, None], 0.0))
            norm = self.norm
            z = masked_group_norm(z, lengths, self.n_groups, norm.weight, norm.bias, norm.eps)
        return self._frames(z, valid)

    def _let_pass(self, frames):
        if self.projection is not None:
            frames = frames.transpose(0, 1).flatten(1)  # (G, N D)
            self.norm.weight.copy_(frames.std(1).repeat_interleave(self.width))
            self.norm.bias.copy_(frames.mean(1).repeat_interleave(self.width))
            self.projection.weight.copy_(torch.eye(self.width).repeat(self.n_groups, 1)[..., None])

    def _begin(self, vectors, points):
        self.table.copy_(vectors)

    def _codes(self, z, lengths, valid):
        return _nearest(self._quantized_frames(z, lengths, valid), self.table)
