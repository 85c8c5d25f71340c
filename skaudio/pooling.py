"""Room 5: maps of any length -> one vector per clip, never looking past a clip's end.

Every pooling is a function ``(x, lengths) -> vector`` with

    x : Tensor of shape (B, C, T), lengths : Tensor of shape (B,) -> Tensor of shape (B, P * C)

with lengths on the processor, as in room 3, and P its number of parts. A clip without any frame
gives zeros.
"""

import torch
import torch.nn.functional as F

from .frontends import within

__all__ = ["Accumulator", "part_names", "pool", "resolve", "streams"]

QUANTILES = (0.05, 0.25, 0.50, 0.75, 0.95)
PYRAMID = (1, 2, 4)
NAMED = {
    "mean": ("mean",),
    "std": ("std",),
    "max": ("max",),
    "mean_std": ("mean", "std"),
    "mean_max": ("mean", "max"),
    "mean_std_max": ("mean", "std", "max"),
    "quantiles": ("quantiles",),
    "pyramid": ("pyramid",),
}


def resolve(pooling):
    """Spell out a pooling parameter.

    Parameters
    ----------
    pooling : str or sequence of str
        Names among mean, std, max, mean_std, mean_max, mean_std_max, quantiles, pyramid.

    Returns
    -------
    names : tuple of str
        The elementary poolings, in order.

    Raises
    ------
    ValueError
        If a name is unknown, none is given, or a part comes twice.

    Examples
    --------
    >>> from skaudio.pooling import resolve
    >>> resolve(["mean_std", "quantiles"])
    ('mean', 'std', 'quantiles')
    """
    names = [pooling] if isinstance(pooling, str) else pooling
    try:
        resolved = tuple(part for name in names for part in NAMED[name])
    except (KeyError, TypeError):
        resolved = ()
    if not resolved:
        raise ValueError(f"pooling={pooling!r} is unknown; use one or a list of {sorted(NAMED)}")
    if len({*resolved}) < len(resolved):
        raise ValueError(f"pooling={pooling!r} asks for the same part twice")
    return resolved


def part_names(names):
    """Suffix of each part of a resolved pooling, as used in feature names.

    Parameters
    ----------
    names : tuple of str
        Result of `resolve`.

    Returns
    -------
    parts : list of str
        For instance ``["mean", "q05", "q25", ...]``.
    """
    parts = {
        "quantiles": [f"q{round(100 * q):02d}" for q in QUANTILES],
        "pyramid": [f"part{i + 1}of{n}" for n in PYRAMID for i in range(n)],
    }
    return [part for name in names for part in parts.get(name, [name])]


def pool(x, lengths, names):
    """Pool each clip over its own frames.

    Parameters
    ----------
    x : Tensor of shape (B, C, T)
        Maps; what stands beyond a clip's length is ignored.
    lengths : Tensor of shape (B,), int64
        Number of frames of each clip, from 0 to T.
    names : tuple of str
        Result of `resolve`.

    Returns
    -------
    vector : Tensor of shape (B, P * C)
        The parts one after the other.
    """
    return torch.cat([_POOLS[name](x, lengths) for name in names], dim=1)


def _masked(x, lengths, value):
    if bool((lengths == x.shape[-1]).all()):
        return x
    return x.masked_fill(~within(lengths, x.shape[-1], x.device)[:, None], value)


def _without_frames(x, lengths):
    return (lengths == 0).to(x.device)[:, None]


def _divisor(x, lengths):
    return lengths.clamp(min=1).to(x.device)[:, None]


def mean(x, lengths):
    return _masked(x, lengths, 0.0).sum(-1) / _divisor(x, lengths)


def std(x, lengths):
    # population form; centred first, since E[x^2] - E[x]^2 cancels in float32
    centred = _masked(x - mean(x, lengths)[..., None], lengths, 0.0)
    return (centred.mul_(centred).sum(-1) / _divisor(x, lengths)).sqrt()


def max(x, lengths):
    if x.shape[-1] == 0:
        return x.new_zeros(x.shape[:2])
    return _masked(x, lengths, -torch.inf).amax(-1).masked_fill(_without_frames(x, lengths), 0.0)


def quantiles(x, lengths):
    # linear interpolation between order statistics, as numpy.quantile does by default
    if x.shape[-1] == 0:
        return x.new_zeros(x.shape[0], len(QUANTILES) * x.shape[1])
    ordered = _masked(x, lengths, torch.inf).sort(-1).values
    parts = []
    for q in QUANTILES:
        place = q * (lengths - 1).clamp(min=0).double()
        low = place.floor().long()
        high = torch.minimum(low + 1, (lengths - 1).clamp(min=0))
        low, high = (_everywhere(i, x) for i in (low, high))
        weight = place.frac().to(x)[:, None]
        pair = ordered.gather(-1, low)[..., 0], ordered.gather(-1, high)[..., 0]
        parts.append(torch.lerp(*pair, weight).masked_fill(_without_frames(x, lengths), 0.0))
    return torch.cat(parts, dim=1)


def _everywhere(places, x):
    """One place (B,) per clip, for each channel of x: (B, C, 1)."""
    return places.to(x.device)[:, None, None].expand(-1, x.shape[1], 1)


def pyramid(x, lengths):
    # mean over [a, b) = (S(b) - S(a)) / (b - a), S the running sum, linear between frames:
    # the parts are exactly equal in time even where they cut through a frame
    running = F.pad(_masked(x, lengths, 0.0).double().cumsum(-1), (1, 0))

    def total(place):
        low = place.floor().long()
        high = torch.minimum(low + 1, lengths)
        low, high = (_everywhere(i, x) for i in (low, high))
        pair = running.gather(-1, low)[..., 0], running.gather(-1, high)[..., 0]
        return torch.lerp(*pair, place.frac().to(x.device)[:, None])

    parts = []
    for n in PYRAMID:
        width = lengths.double() / n
        for i in range(n):
            divisor = width.clamp(min=1 / n).to(x.device)[:, None]
            part = (total(width * (i + 1)) - total(width * i)) / divisor
            parts.append(part.to(x.dtype))
    return torch.cat(parts, dim=1)


_POOLS = {"mean": mean, "std": std, "max": max, "quantiles": quantiles, "pyramid": pyramid}


def streams(names):
    """Whether a pooling can be merged from tiles without keeping every frame.

    Parameters
    ----------
    names : tuple of str
        Result of `resolve`.

    Returns
    -------
    possible : bool
        True for mean, std and max.
    """
    return {*names} <= {"mean", "std", "max"}


class Accumulator:
    """Mean, deviation and maximum of one long clip from its tiles, merged in float64.

    Parameters
    ----------
    names : tuple of str
        Elementary poolings among mean, std, max.
    """

    def __init__(self, names):
        self.names, self.count, self.square, self.stats = names, 0, 0.0, {}

    def append(self, x):
        """Take the next tile.

        Parameters
        ----------
        x : Tensor of shape (1, C, T)
            Its frames, T >= 1.
        """
        count, lengths = x.shape[-1], torch.tensor([x.shape[-1]])
        if "max" in self.names:
            top = max(x, lengths)
            self.stats["max"] = torch.maximum(top, self.stats.get("max", top))
        if {"mean", "std"}.isdisjoint(self.names):
            return
        new_mean, total = mean(x, lengths).double(), self.count + count
        gap = new_mean - self.stats.get("mean", new_mean)
        self.stats["mean"] = new_mean - gap * (self.count / total)
        if "std" in self.names:
            # Chan et al. 1983: squares about the joint mean gain the distance of the means
            square = std(x, lengths).double().square() * count
            self.square = self.square + square + gap.square() * (self.count * count / total)
            self.stats["std"] = (self.square / total).sqrt()
        self.count = total

    def result(self):
        """Vector of all tiles seen.

        Returns
        -------
        vector : Tensor of shape (1, P * C), float32
            As `pool` gives it for the whole clip.
        """
        return torch.cat([self.stats[name].float() for name in self.names], dim=1)
