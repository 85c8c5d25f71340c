"""What the vector quantisers share: tables of codes, and frames in their words."""

import math
from typing import NamedTuple

import torch
from torch import nn

from .._tensors import within

__all__ = ["Quantized", "Quantizer", "perplexity"]


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


class Quantizer(nn.Module):
    """What the quantisers share; each brings its own ``_codes``, ``_fill`` and ``_begin``.

    Parameters
    ----------
    dim, n_codes, n_groups : int
        Channels C, vectors V per table, groups G of channels.
    shared : bool
        Whether all groups have one table.

    Raises
    ------
    ValueError
        If C / G is not whole.
    """

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
    def initialise(self, generator):
        """Fill the weights as the published code starts them, and forget what was learnt.

        Parameters
        ----------
        generator : torch.Generator
            Source of all randomness, on the CPU.
        """
        self._fill(generator)

    @torch.no_grad()
    def start(self, z, lengths, generator):
        """Begin with a table of frames that are far from each other.

        Drawn with odds of their squared distance, as k-means++ does (Arthur & Vassilvitskii 2007).

        Parameters
        ----------
        z : Tensor of shape (B, C, T)
            Frames that mean something.
        lengths : Tensor of shape (B,), int64, or None
            Valid frames of each clip; None if all T are.
        generator : torch.Generator
            Source of the draws, on the CPU.
        """
        valid = _valid(z, lengths)
        self._let_pass(self._frames(z, valid))
        frames = self._quantized_frames(z, lengths, valid)
        points = frames.reshape(-1, self.n_tables, self.width)
        vectors = [_spread(p, self.n_codes, _needed(generator)) for p in points.unbind(1)]
        self._begin(torch.stack(vectors, dim=1), points)

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

    def _let_pass(self, frames):
        """Let frames pass a projection, where there is one, as what follows knows them."""

    def _quantized_frames(self, z, lengths, valid):
        """What is to be near the table's vectors, (N, G, D)."""
        return self._frames(z, valid)

    def _frames(self, z, valid):
        """Valid frames (N, G, D) of z (B, C, T), clip after clip."""
        return z.transpose(1, 2)[valid].unflatten(1, (self.n_groups, self.width))

    def _usage(self, codes):
        """Perplexity (G,) of codes (N, G)."""
        first = self.n_codes * torch.arange(self.n_groups, device=codes.device)
        counts = (codes + first).flatten().bincount(minlength=self.n_groups * self.n_codes)
        return perplexity(counts.view(self.n_groups, -1) / len(codes))


def _valid(z, lengths):
    """Which frames (B, T) of z (B, C, T) are within their clips."""
    lengths = torch.full((len(z),), z.shape[2]) if lengths is None else lengths
    return within(lengths, z.shape[2], z.device)


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


def _initialise_uniform(parameter, fan_in, generator):
    """As torch initialises layers by default."""
    bound = 1 / math.sqrt(fan_in)
    parameter.uniform_(-bound, bound, generator=generator)


def _needed(generator):
    if generator is None:
        raise ValueError("training draws at random; pass generator, a torch.Generator on the CPU")
    return generator


def _spread(points, n, generator):
    """Draw n of the points (P, D), each with odds of its squared distance to those before."""
    draws = torch.rand(n, dtype=torch.float64, generator=generator).to(points.device)
    odds = points.new_ones(len(points), dtype=torch.float64)
    closest, chosen = odds * torch.inf, []
    for draw in draws:
        running = odds.cumsum(0)
        # fewer different points than n leave no odds: the last point fills the rest
        place = torch.searchsorted(running, draw * running[-1], right=True)
        chosen.append(points[place.clamp(max=len(points) - 1)])
        distance = (points - chosen[-1]).square().sum(-1).double()
        odds = closest = torch.minimum(closest, distance)
    return torch.stack(chosen)
