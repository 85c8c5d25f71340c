"""Vector quantisers: each frame becomes one of a finite set of codes per group of channels.

Gumbel and k-means: vq-wav2vec (Baevski et al. 2020, arXiv:1910.05453). Moving averages: VQ-VAE
(van den Oord et al. 2017, arXiv:1711.00937, appendix A.1).

Every quantiser is called as ``quantizer(z, lengths, temperature=, generator=)`` with z (B, C, T)
and gives a `Quantized`. The channels are cut into G groups of D = C / G, and each group has its
own table of V vectors, or all share one. Frames beyond a clip's length are cut off before
anything is counted or drawn, so neither their values nor their number can matter.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from .layers import _Undrawn, masked_group_norm

__all__ = [
    "EMAQuantizer",
    "GumbelQuantizer",
    "KMeansQuantizer",
    "Quantized",
    "joint_codes",
    "new_quantizer",
    "perplexity",
    "temperature",
]

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}
EPSILON = 1e-5  # share of a vector that every code of a moving average is granted


class Quantized(NamedTuple):
    """Frames in the words of a table.

    Attributes
    ----------
    z : Tensor of shape (B, C, T)
        The chosen vectors, zeros beyond the lengths. Gradients pass through the choice, except
        that of a Gumbel quantiser outside training.
    codes : Tensor of shape (B, T, G), int64
        Their places in the table, zeros beyond the lengths.
    loss : Tensor of shape ()
        What the quantiser asks to be added to a loss per frame; 0 for Gumbel.
    code_perplexity : Tensor of shape (G,)
        How many codes are in use, 1 to V, from the share of frames nearest to each.
    prob_perplexity : Tensor of shape (G,), or None
        The same from the mean probabilities of a Gumbel quantiser; has a gradient.
    """

    z: torch.Tensor
    codes: torch.Tensor
    loss: torch.Tensor
    code_perplexity: torch.Tensor
    prob_perplexity: torch.Tensor | None = None


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
        With undrawn weights.
    """
    kinds = {"gumbel": GumbelQuantizer, "kmeans": KMeansQuantizer, "ema": EMAQuantizer}
    return kinds[kind](dim, n_codes, n_groups, **options)


def perplexity(probabilities):
    """Effective number of codes, exp(-sum p ln(p + 1e-7)).

    Parameters
    ----------
    probabilities : Tensor of shape (..., V)
        Mean probability of each code.

    Returns
    -------
    perplexity : Tensor of shape (...)
        From 1, one code only, to V, all alike.
    """
    return torch.exp(-(probabilities * (probabilities + 1e-7).log()).sum(-1))


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


class _Linear(_Undrawn, nn.Linear):
    """Matrix and bias."""


class _GroupedConv(_Undrawn, nn.Conv1d):
    """Convolution, each group of channels by itself."""


class _Quantizer(nn.Module):
    """What the quantisers share; each brings its own ``_codes`` and ``_fill``."""

    def __init__(self, dim, n_codes, n_groups, shared):
        super().__init__()
        if dim % n_groups:
            raise ValueError(
                f"dim={dim} channels cannot be cut into n_groups={n_groups} equal groups; "
                "choose a number of groups that divides them"
            )
        self.n_codes, self.n_groups = n_codes, n_groups
        self.n_tables, self.width = 1 if shared else n_groups, dim // n_groups

    @torch.no_grad()
    def draw(self, generator):
        """Fill the weights as the published code starts them, and forget what was learnt.

        Parameters
        ----------
        generator : torch.Generator
            Source of all randomness, on the CPU.
        """
        self._fill(generator)

    @torch.no_grad()
    def encode(self, z, lengths=None):
        """Codes of the frames, without noise.

        Parameters
        ----------
        z : Tensor of shape (B, C, T)
            Frames.
        lengths : Tensor of shape (B,), int64, or None
            Valid frames of each clip; None if all T are.

        Returns
        -------
        codes : Tensor of shape (B, T, G), int64
            From 0 to V - 1; zeros beyond the lengths.
        """
        valid = _valid(z, lengths)
        return _clips(self._codes(z, lengths, valid), valid)

    def codebook(self):
        """Vectors of the codes.

        Returns
        -------
        table : Tensor of shape (G, V, D)
            Group by group; a shared table is repeated.
        """
        return self._table().transpose(0, 1).expand(self.n_groups, -1, -1)

    def _table(self):
        """Vectors (V, 1 or G, D)."""
        return self.table

    def _frames(self, z, valid):
        """Valid frames (N, G, D) of z (B, C, T), clip after clip."""
        return z.transpose(1, 2)[valid].unflatten(1, (self.n_groups, self.width))

    def _usage(self, codes):
        """Perplexity (G,) of codes (N, G)."""
        first = self.n_codes * torch.arange(self.n_groups, device=codes.device)
        counts = (codes + first).flatten().bincount(minlength=self.n_groups * self.n_codes)
        return perplexity(counts.view(self.n_groups, -1) / len(codes))


class GumbelQuantizer(_Quantizer):
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
    activation : {"relu", "gelu"}
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
                    _draw_uniform(parameter, layer.in_features, generator)
        self.table.uniform_(generator=generator)

    def forward(self, z, lengths=None, *, temperature=2.0, generator=None):
        valid = _valid(z, lengths)
        logits = self._logits(z, valid)
        table = self._table()
        codes = nearest = logits.argmax(-1)
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
            self._usage(nearest),
            perplexity(logits.softmax(-1).mean(0)),
        )

    def _logits(self, z, valid):
        first, *others = self.projection
        logits = first(z.transpose(1, 2)[valid])
        for layer in others:
            logits = layer(self.activation(logits))
        return logits.unflatten(1, (self.n_groups, self.n_codes))

    def _codes(self, z, lengths, valid):
        return self._logits(z, valid).argmax(-1)


class KMeansQuantizer(_Quantizer):
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
            _draw_uniform(self.projection.weight, self.width, generator)
            self.norm.reset_parameters()
        self.table.normal_(std=0.01, generator=generator)

    def forward(self, z, lengths=None, *, temperature=2.0, generator=None):
        valid = _valid(z, lengths)
        frames = self._projected(z, lengths, valid)
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

    def _projected(self, z, lengths, valid):
        if self.projection is not None:
            # zeros first: NaN beyond a clip times its zero gradient would spoil the projection's
            z = self.projection(z.masked_fill(~valid[:, None], 0.0))
            norm = self.norm
            z = masked_group_norm(z, lengths, self.n_groups, norm.weight, norm.bias, norm.eps)
        return self._frames(z, valid)

    def _codes(self, z, lengths, valid):
        return _nearest(self._projected(z, lengths, valid), self.table)


class EMAQuantizer(_Quantizer):
    """Codes of the nearest vectors; these are moving averages of the frames that chose them.

    Its loss is beta * mean((z - sg(e))^2). The first training batch gives the first table, its
    vectors drawn far from each other (Arthur & Vassilvitskii 2007). Each later one moves count
    and sum of a code by 1 - decay towards the batch's; a code whose count falls below
    ``least_count`` starts again from a frame drawn from the batch. z comes from the table as it
    was before the batch moved it.

    Parameters
    ----------
    dim, n_codes, n_groups : int
        Channels C, vectors V per table, groups G of channels.
    shared : bool
        Whether all groups have one table.
    decay : float
        Share of the old count and sum kept per batch.
    beta : float
        Weight of the loss.
    least_count : float
        Average of frames per batch below which a code is dead; 0 revives none. It should lie well
        below N G / V, or N / V if not shared, for batches of N frames.

    Raises
    ------
    ValueError
        If C / G is not whole, or training lacks a generator.
    """

    def __init__(
        self, dim, n_codes, n_groups, *, shared=False, decay=0.99, beta=0.25, least_count=1.0
    ):
        super().__init__(dim, n_codes, n_groups, shared)
        self.decay, self.beta, self.least_count = decay, beta, least_count
        shape = n_codes, self.n_tables
        self.register_buffer("table", torch.zeros(*shape, self.width))
        self.register_buffer("counts", torch.zeros(shape))
        self.register_buffer("sums", torch.zeros(*shape, self.width))

    def _fill(self, generator):
        self.table.normal_(generator=generator)
        self.counts.zero_()
        self.sums.zero_()

    def forward(self, z, lengths=None, *, temperature=2.0, generator=None):
        valid = _valid(z, lengths)
        frames = self._frames(z, valid)
        if self.training and not self.counts.any():
            self._start(frames, _needed(generator))
        codes = _nearest(frames, self.table)
        chosen = _look_up(self.table, codes)
        if self.training:
            self._update(frames, codes, _needed(generator))
        return Quantized(
            _maps(_straight_through(frames, chosen), valid),
            _clips(codes, valid),
            self.beta * F.mse_loss(frames, chosen),
            self._usage(codes),
        )

    @torch.no_grad()
    def _start(self, frames, generator):
        tables = frames.reshape(-1, self.n_tables, self.width).unbind(1)
        vectors = torch.stack([_spread(p, self.n_codes, generator) for p in tables], dim=1)
        self._renew(torch.ones_like(self.counts, dtype=torch.bool), vectors)

    @torch.no_grad()
    def _update(self, frames, codes, generator):
        points = frames.reshape(-1, self.n_tables, self.width)
        choice = F.one_hot(codes.reshape(-1, self.n_tables), self.n_codes).to(points)
        self.counts.lerp_(choice.sum(0).T, 1 - self.decay)
        # as a product: sums by index come out in any order on a GPU
        self.sums.lerp_(torch.einsum("ptv,ptd->vtd", choice, points), 1 - self.decay)
        total = self.counts.sum(0)
        smooth = (self.counts + EPSILON) / (total + self.n_codes * EPSILON) * total
        self.table.copy_(self.sums / smooth[..., None])
        # one draw for every code, dead or not, so that what follows does not hang on rounding
        drawn = torch.randint(len(points), self.counts.shape, generator=generator)
        self._renew(self.counts < self.least_count, points[drawn, torch.arange(self.n_tables)])

    def _renew(self, which, vectors):
        """Start codes (V, tables) again from vectors (V, tables, D), with a count that lives."""
        count = max(1.0, self.least_count)
        self.counts.masked_fill_(which, count)
        self.table.copy_(torch.where(which[..., None], vectors, self.table))
        self.sums.copy_(torch.where(which[..., None], count * vectors, self.sums))

    def _codes(self, z, lengths, valid):
        return _nearest(self._frames(z, valid), self.table)


def _valid(z, lengths):
    """Which frames (B, T) of z (B, C, T) are within their clips."""
    steps = torch.arange(z.shape[2], device=z.device)
    return (steps >= 0).expand(len(z), -1) if lengths is None else steps < lengths[:, None]


def _clips(rows, valid):
    """Rows (N, ...) of the valid frames back at their places (B, T, ...), zeros elsewhere."""
    clips = rows.new_zeros(*valid.shape, *rows.shape[1:])
    clips[valid] = rows
    return clips


def _maps(vectors, valid):
    """Vectors (N, G, D) of the valid frames as maps (B, C, T)."""
    return _clips(vectors.flatten(1), valid).transpose(1, 2)


def _straight_through(frames, chosen):
    """Exactly the chosen vectors, with the gradient of the frames."""
    return chosen.detach() + (frames - frames.detach())


@torch.no_grad()
def _nearest(frames, table):
    """Codes (N, G) of the vectors of table (V, G or 1, D) nearest to frames (N, G, D)."""
    # |z - e|^2 / 2 = |z|^2 / 2 + |e|^2 / 2 - z e, of which the first is alike for all codes; far
    # from zero the others would drown the difference in rounding, so measure from the middle
    middle = table.mean(0)
    frames, table = frames - middle, table - middle
    products = torch.einsum("ngd,vgd->ngv", frames, table.expand(-1, frames.shape[1], -1))
    return (table.square().sum(-1).T / 2 - products).argmin(-1)


def _look_up(table, codes):
    """Vectors (N, G, D) of codes (N, G) in a table (V, G or 1, D)."""
    groups = torch.arange(codes.shape[1], device=codes.device)
    return table.expand(-1, len(groups), -1)[codes, groups]


def _spread(points, n, generator):
    """Draw n of the points (P, D), each with odds of its squared distance to those before."""
    draws = torch.rand(n, dtype=torch.float64, generator=generator).to(points.device)
    odds = points.new_ones(len(points), dtype=torch.float64)
    nearest, chosen = odds * torch.inf, []
    for draw in draws:
        running = odds.cumsum(0)
        # fewer different points than n leave no odds: the last point fills the rest
        place = torch.searchsorted(running, draw * running[-1], right=True)
        chosen.append(points[place.clamp(max=len(points) - 1)])
        distance = (points - chosen[-1]).square().sum(-1).double()
        odds = nearest = torch.minimum(nearest, distance)
    return torch.stack(chosen)


def _draw_uniform(parameter, fan_in, generator):
    """As torch draws by default."""
    bound = 1 / math.sqrt(fan_in)
    parameter.uniform_(-bound, bound, generator=generator)


def _needed(generator):
    if generator is None:
        raise ValueError("training draws at random; pass generator, a torch.Generator on the CPU")
    return generator
