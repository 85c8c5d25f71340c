"""Stage 5: maps of any length -> one vector per clip; nothing beyond a clip's end is read.

Every pooling is a function ``(x, lengths) -> vector`` with

    x : Tensor of shape (B, C, T), lengths : Tensor of shape (B,) -> Tensor of shape (B, P * C)

where lengths are on the CPU, as in stage 3, and P is its number of parts. A clip without frames
gives zeros.
"""

import math
import re

import torch
import torch.nn.functional as F

from ._functionals import functional_names, functionals, interpolated
from ._tensors import root, within

__all__ = ["Accumulator", "part_names", "pool", "resolve", "streams"]

QUANTILES = (0.05, 0.25, 0.50, 0.75, 0.95)
PYRAMID = (1, 2, 4)
COURSE = ("regression", "thirds", "ranges", "positions", "deltas")
NAMED = {
    "mean": ("mean",),
    "std": ("std",),
    "max": ("max",),
    "mean_std": ("mean", "std"),
    "mean_max": ("mean", "max"),
    "mean_std_max": ("mean", "std", "max"),
    "quantiles": ("quantiles",),
    "pyramid": ("pyramid",),
    "course": ("course",),
}
ONLY = ("",)  # resolved: of maps that have one frame, that frame; it adds nothing to their names
MOST_COEFFICIENTS = 64
_CHUNK = 1 << 20  # numbers converted to float64 at a time


def resolve(pooling):
    """Resolve a pooling parameter into elementary poolings.

    Parameters
    ----------
    pooling : str or sequence of str
        Names among mean, std, max, mean_std, mean_max, mean_std_max, quantiles, pyramid, course,
        and dct1 to dct64, the first 1 to 64 coefficients of a cosine transform over time. "course"
        tells how each channel runs over the clip: slope, offset, error, curvature and curved error
        of a regression; means of thirds; ranges from the 20th to the 80th percentile and from the
        5th to the 95th; where its high and its low parts are, from 0 to 1; mean size and deviation
        of the change from frame to frame.

    Returns
    -------
    names : tuple of str
        The elementary poolings, in order; a cosine transform becomes one entry for each
        coefficient, from dct0 on. As dct0 is the mean, it is left out where that is present.

    Raises
    ------
    ValueError
        If a name is unknown, none is given, or a part occurs twice.

    Examples
    --------
    >>> from skaudio.pooling import resolve
    >>> resolve(["mean_std", "quantiles"])
    ('mean', 'std', 'quantiles')
    >>> resolve("dct3"), resolve(["mean", "dct3"])
    (('dct0', 'dct1', 'dct2'), ('mean', 'dct1', 'dct2'))
    """
    names = [pooling] if isinstance(pooling, str) else pooling
    try:
        resolved = [part for name in names for part in _parts(name)]
    except (KeyError, TypeError):
        resolved = []
    if not resolved:
        raise ValueError(
            f"pooling={pooling!r} is unknown; use one or a list of {sorted(NAMED)} and of dct1 "
            f"to dct{MOST_COEFFICIENTS}"
        )
    if len({*resolved}) < len(resolved):
        raise ValueError(f"pooling={pooling!r} names the same part twice")
    return tuple(part for part in resolved if part != "dct0" or "mean" not in resolved)


def _parts(name):
    """Elementary poolings of one name."""
    dct = re.fullmatch("dct([1-9][0-9]?)", name)
    if dct and int(dct[1]) <= MOST_COEFFICIENTS:
        return [f"dct{k}" for k in range(int(dct[1]))]
    return NAMED[name]


def _orders(names):
    """Orders of the coefficients of the cosine transform in a pooling, except 0, the mean."""
    dcts = (name.removeprefix("dct") for name in names if name.startswith("dct"))
    return [int(k) for k in dcts if k != "0"]


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
        "course": functional_names(COURSE),
    }
    return [part for name in names for part in parts.get(name, [name])]


def pool(x, lengths, names):
    """Pool each clip over its own frames.

    Parameters
    ----------
    x : Tensor of shape (B, C, T)
        Maps; values beyond a clip's length are ignored.
    lengths : Tensor of shape (B,), int64
        Number of frames of each clip, from 0 to T.
    names : tuple of str
        Result of `resolve`.

    Returns
    -------
    vector : Tensor of shape (B, P * C)
        The parts one after the other.
    """
    parts = {name: _POOLS[name](x, lengths) for name in names if name in _POOLS}
    if orders := _orders(names):
        # These coefficients do not depend on an added constant. Without it a steady clip gives
        # exact zeros; otherwise it would give rounding errors, which a scaler would magnify.
        moving = _masked(x - x[..., :1], lengths, 0.0)
        parts |= _named(_dct(moving, lengths, orders), orders)
    return torch.cat([parts[name].to(x.dtype) for name in names], dim=1)


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
    square = centred.square() if centred.requires_grad else centred.mul_(centred)
    return root(square.sum(-1) / _divisor(x, lengths))


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
        value = interpolated(ordered, q * (lengths - 1).clamp(min=0).double())
        parts.append(value.masked_fill(_without_frames(x, lengths), 0.0))
    return torch.cat(parts, dim=1)


def pyramid(x, lengths):
    # The mean over [a, b) is (S(b) - S(a)) / (b - a), where S is the running sum, linear between
    # frames. So all parts last equally long, even where a boundary cuts through a frame.
    running = F.pad(_masked(x, lengths, 0.0).double().cumsum(-1), (1, 0))

    parts = []
    for n in PYRAMID:
        width = lengths.double() / n
        for i in range(n):
            divisor = width.clamp(min=1 / n).to(x.device)[:, None]
            begin, end = (interpolated(running, width * edge) for edge in (i, i + 1))
            part = (end - begin) / divisor
            parts.append(part.to(x.dtype))
    return torch.cat(parts, dim=1)


def course(x, lengths):
    return functionals(x, within(lengths, x.shape[-1], x.device), COURSE)


def _dct(x, lengths, orders, start=0):
    """Contribution of the frames from ``start`` on to coefficients (B, C, K), k > 0, over sqrt(n).

    The orthonormal DCT-II is X_k = sqrt(2 / n) sum_t x_t cos(pi k (2 t + 1) / 2 n). A clip of n
    frames has n coefficients; further ones are 0.
    """
    if bool((lengths == lengths[:1]).all()):
        lengths = lengths[:1]
    n = lengths.to(x.device, torch.float64)[:, None, None]
    k = torch.tensor(orders, dtype=torch.float64, device=x.device)
    angle, scale = math.pi * k / (2 * n.clamp(min=1)), (k < n) * math.sqrt(2) / n.clamp(min=1)
    total = x.new_zeros(*x.shape[:2], len(orders), dtype=torch.float64)
    size = _CHUNK // (len(x) * (x.shape[1] + len(orders))) + 1
    for begin in range(0, x.shape[2], size):
        part = x[..., begin : begin + size].double()
        t = start + begin + torch.arange(part.shape[2], device=x.device)[:, None]
        total += part @ (torch.cos(angle * (2 * t + 1)) * scale)
    return total


def _named(coefficients, orders):
    """Coefficients (B, C, K) as a dict of (B, C) by name."""
    return {f"dct{k}": coefficients[..., i] for i, k in enumerate(orders)}


_POOLS = {
    "mean": mean,
    "std": std,
    "max": max,
    "quantiles": quantiles,
    "pyramid": pyramid,
    "course": course,
    "dct0": mean,
    ONLY[0]: mean,
}


def streams(names):
    """Whether a pooling can be computed tile by tile, without all frames in memory.

    Parameters
    ----------
    names : tuple of str
        Result of `resolve`.

    Returns
    -------
    possible : bool
        True for mean, std, max and the coefficients of a cosine transform.
    """
    return {name.rstrip("0123456789") for name in names} <= {"mean", "std", "max", "dct"}


class Accumulator:
    """Pools one long clip tile by tile, in float64.

    Parameters
    ----------
    names : tuple of str
        Elementary poolings that `streams`.
    n_frames : int, default=None
        Number of frames of all tiles; a cosine transform needs it beforehand.
    """

    def __init__(self, names, n_frames=None):
        self.names, self.orders, self.n_frames = names, _orders(names), n_frames
        self.count, self.square, self.dct, self.stats = 0, 0.0, 0.0, {}

    def append(self, x):
        """Add the next tile.

        Parameters
        ----------
        x : Tensor of shape (1, C, T)
            Its frames, T >= 1.
        """
        lengths = torch.tensor([x.shape[-1]])
        if "max" in self.names:
            top = max(x, lengths)
            self.stats["max"] = torch.maximum(top, self.stats.get("max", top))
        if self.orders:
            self._add_dct(x)
        if not {"mean", "std", "dct0"}.isdisjoint(self.names):
            self._add_moments(x, lengths)
        self.count += x.shape[-1]

    def _add_dct(self, x):
        if not self.count:
            self.first = x[..., :1].clone()
        n_frames = torch.tensor([self.n_frames])
        self.dct = self.dct + _dct(x - self.first, n_frames, self.orders, start=self.count)
        self.stats |= _named(self.dct, self.orders)

    def _add_moments(self, x, lengths):
        count, total = x.shape[-1], self.count + x.shape[-1]
        new_mean = mean(x, lengths).double()
        gap = new_mean - self.stats.get("mean", new_mean)
        self.stats["mean"] = self.stats["dct0"] = new_mean - gap * (self.count / total)
        if "std" in self.names:
            # Chan et al. 1983: the sum of squares about the common mean is that of both parts,
            # plus a term for the distance between their means
            square = std(x, lengths).double().square() * count
            self.square = self.square + square + gap.square() * (self.count * count / total)
            self.stats["std"] = (self.square / total).sqrt()

    def result(self):
        """Vector of all tiles added so far.

        Returns
        -------
        vector : Tensor of shape (1, P * C), float32
            The same as `pool` gives for the whole clip.
        """
        return torch.cat([self.stats[name].float() for name in self.names], dim=1)
