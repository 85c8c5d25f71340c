"""Functionals: numbers that tell how a contour runs over a clip. Stages 4 and 5 use them.

A contour is a channel of frames of which some are valid: those of the clip, or the voiced ones
among them. Nothing else is read. Time u runs from 0 at the first valid frame to 1 at the last one.
What would not change if a constant were added is 0, no rounding error, for a constant contour.

None of them hangs on which of several nearly equal frames is the largest, since rounding decides
that: values closer together than 1e-4 of the largest one, or 1e-9, count as equal (``grain``).
"""

from functools import cached_property

import torch
import torch.nn.functional as F

from ._tensors import root

__all__ = ["FAMILIES", "functional_names", "functionals", "interpolated"]

PERCENTILES = (5, 20, 50, 80, 95)
RANGES = ((20, 80), (5, 95))
REACH = 5  # frames on either side that a peak is higher than
_LEAST = 1e-9  # less is rounding where 0 is meant
_TINY = 1e-30  # in place of a divisor of 0
_BLOCK = 1 << 20  # numbers converted to float64 at a time


def interpolated(x, position):
    """Values between frames, linear from one frame to the next.

    Parameters
    ----------
    x : Tensor of shape (B, C, T)
        Frames.
    position : Tensor of shape (B,), float64
        Place in each clip, from 0 to T - 1.

    Returns
    -------
    values : Tensor of shape (B, C)
        In between.
    """
    position = position.to(x.device)
    low, high = position.floor().long(), position.ceil().long()
    pair = (x.gather(-1, at[:, None, None].expand(-1, x.shape[1], 1))[..., 0] for at in (low, high))
    return torch.lerp(*pair, position.frac().to(x)[:, None])


class _Course:
    """Contours of a batch, and what several functionals need of them.

    Parameters
    ----------
    x : Tensor of shape (B, C, T)
        Contours, T >= 1.
    valid : Tensor of shape (B, T), bool
        Frames that count, on the device of x.
    rate : float
        Frames per second.

    Attributes
    ----------
    x : Tensor of shape (B, C, T), float64
        The contours less their first valid frame, 0 where they are not valid.
    first : Tensor of shape (B, C), float64
        The first valid frame.
    count : Tensor of shape (B, 1), float64
        Number of valid frames.
    """

    def __init__(self, x, valid, rate):
        self.rate, self.valid = rate, valid[:, None]
        self.count = self.valid.sum(-1).double()
        x, begin = x.double(), self._begin.expand(-1, x.shape[1], 1)
        self.first = x.gather(-1, begin)[..., 0].masked_fill(self.count == 0, 0.0)
        self.x = self.only(x - self.first[..., None])

    def only(self, x, value=0.0):
        """Set what is not valid to a value."""
        return x.masked_fill(~self.valid, value)

    def mean(self, x):
        """Mean (B, C) over the valid frames of x (B, C, T), which is 0 elsewhere."""
        return x.sum(-1) / self.count.clamp(min=1)

    @cached_property
    def _begin(self):
        """First valid frame (B, 1, 1)."""
        return self.valid.int().argmax(-1, keepdim=True)

    @cached_property
    def extent(self):
        """Frames (B, 1, 1) from the first valid one to the last one."""
        end = self.valid.shape[-1] - self.valid.flip(-1).int().argmax(-1, keepdim=True)
        return end - self._begin

    @cached_property
    def places(self):
        """Frames (B, 1, T) after the first valid one."""
        return torch.arange(self.x.shape[-1], device=self.x.device) - self._begin

    @cached_property
    def time(self):
        """Time u (B, 1, T), 0 where it is not valid."""
        return self.only(self.places / (self.extent - 1).clamp(min=1).double())

    @cached_property
    def centred(self):
        return self.only(self.x - self.mean(self.x)[..., None])

    @cached_property
    def deviation(self):
        return root(self.mean(self.centred.square()))

    @cached_property
    def grain(self):
        """What counts as no difference (B, C)."""
        largest = self.only(self.x + self.first[..., None]).abs().amax(-1)
        return (1e-4 * largest).clamp(min=_LEAST)

    @cached_property
    def span(self):
        """Lowest and highest value, each (B, C)."""
        low = self.only(self.x, torch.inf).amin(-1)
        high = self.only(self.x, -torch.inf).amax(-1)
        return [end.masked_fill(self.count == 0, 0.0) for end in (low, high)]

    @cached_property
    def percentiles(self):
        """Of each of `PERCENTILES`, (B, C)."""
        ordered = self.only(self.x, torch.inf).sort(-1).values
        last = (self.count[:, 0] - 1).clamp(min=0)
        found = {q: interpolated(ordered, q / 100 * last) for q in PERCENTILES}
        return {q: x.masked_fill(self.count == 0, 0.0) for q, x in found.items()}

    @cached_property
    def steps(self):
        """Change per second from each frame to the next (B, C, T - 1), and which are valid."""
        both = self.valid[..., 1:] & self.valid[..., :-1]
        return (self.x.diff(dim=-1) * self.rate).masked_fill(~both, 0.0), both


def _moments(course):
    return course.mean(course.x) + course.first, course.deviation


def _shape(course):
    # skewness and kurtosis
    scale = torch.maximum(course.deviation, course.grain)
    z = course.centred / scale[..., None]
    return course.mean(z**3), course.mean(z**4)


def _percentiles(course):
    return [x + course.first for x in course.percentiles.values()]


def _ranges(course):
    return [course.percentiles[high] - course.percentiles[low] for low, high in RANGES]


def _regression(course):
    # x = offset + slope u and x = ... + curvature u^2, least squares: u and u^2 are made orthogonal
    # to what is before them, so that each coefficient is a projection
    u = course.time
    line = course.only(u - course.mean(u)[..., None])
    bend = line.square()
    bend = course.only(bend - course.mean(bend)[..., None])
    bend = bend - _projection(bend, line, course.count > 1)[..., None] * line
    slope = _projection(course.x, line, course.count > 1)
    curvature = _projection(course.x, bend, course.count > 2)
    offset = course.mean(course.x) - slope * course.mean(u) + course.first
    rest = course.centred - slope[..., None] * line
    curved_rest = rest - curvature[..., None] * bend
    errors = [root(course.mean(r.square())) for r in (rest, curved_rest)]
    return slope, offset, errors[0], curvature, errors[1]


def _projection(x, direction, defined):
    """How much of a direction (B, 1, T) there is in x (B, C, T): (B, C)."""
    square = direction.square().sum(-1)
    return ((x * direction).sum(-1) / square.clamp(min=_TINY)).masked_fill(~defined, 0.0)


def _thirds(course):
    # A frame that lies in two thirds counts in both, by its parts. A third without a valid frame
    # tells nothing, and gets the mean of all.
    edges = course.extent.double() / 3 * torch.arange(4, device=course.x.device)
    means = []
    for k in range(3):
        begin = torch.maximum(course.places, edges[..., k : k + 1])
        end = torch.minimum(course.places + 1, edges[..., k + 1 : k + 2])
        weight = course.only((end - begin).clamp(min=0).double())
        total = weight.sum(-1)
        mean = (course.x * weight).sum(-1) / total.clamp(min=_TINY)
        means.append(torch.where(total > 0, mean, course.mean(course.x)) + course.first)
    return means


def _positions(course):
    # the centre of what stands out of the upper, or lower, tenth of the range: unlike the place of
    # the one largest frame it moves but little if the frames do
    low, high = course.span
    width = (0.1 * (high - low) + course.grain)[..., None]

    def centre(depth):
        weight = course.only((1 - depth / width).clamp(min=0))
        return (weight * course.time).sum(-1) / weight.sum(-1).clamp(min=_TINY)

    return centre(high[..., None] - course.x), centre(course.x - low[..., None])


def _peaks(course):
    # A peak is the highest frame within REACH, and stands out on both sides by a tenth of the
    # range. Its height is over the mean.
    low, high = course.span
    grain = course.grain[..., None]
    x = course.only((course.x / grain).round() * grain)  # of a flat top, the first frame counts
    before, after = (_beside(course, x, side) for side in (0, 1))
    prominent = x - (0.1 * (high - low))[..., None] - grain
    peak = course.valid & (x > before[0]) & (x >= after[0])
    peak = peak & (prominent > before[1]) & (prominent > after[1])
    number = peak.sum(-1)
    height = course.centred.masked_fill(~peak, 0.0).sum(-1) / number.clamp(min=1)
    away = (course.centred - height[..., None]).masked_fill(~peak, 0.0)
    deviation = root(away.square().sum(-1) / number.clamp(min=1))
    return number * course.rate / course.count.clamp(min=1), height, deviation


def _beside(course, x, side):
    """Highest and lowest valid one of the REACH frames before (side 0) or after (1) each frame."""
    pad = (0, REACH) if side else (REACH, 0)
    cut = slice(1, None) if side else slice(0, -1)

    def highest(x):
        return F.max_pool1d(F.pad(x, pad, value=-torch.inf)[..., cut], REACH, stride=1)

    return highest(course.only(x, -torch.inf)), -highest(course.only(-x, -torch.inf))


def _slopes(course):
    # Rising and falling parts each: mean and deviation of the slope, a step counting by how far it
    # goes. With equal weights a rest that rounding makes rise and fall would lower the mean.
    steps, _ = course.steps
    found = []
    for part in (steps.clamp(min=0), (-steps).clamp(min=0)):
        way = part.sum(-1).clamp(min=_TINY)
        mean = part.square().sum(-1) / way
        square = (part * (part - mean[..., None]).square()).sum(-1) / way
        found += [mean, root(square)]
    return found


def _deltas(course):
    steps, both = course.steps
    count = both.sum(-1).clamp(min=1)
    mean = steps.sum(-1) / count
    away = (steps - mean[..., None]).masked_fill(~both, 0.0)
    return steps.abs().sum(-1) / count, root(away.square().sum(-1) / count)


def _segments(course):
    # stretches above the middle of the range: how many per second, their mean length in seconds
    low, high = course.span
    above = course.valid & (course.x > ((low + high) / 2 + course.grain)[..., None])
    number = (above & ~F.pad(above, (1, 0))[..., :-1]).sum(-1)
    length = above.sum(-1) / number.clamp(min=1) / course.rate
    return number * course.rate / course.count.clamp(min=1), length


# name of each family: (function of a course, names of its functionals)
FAMILIES = {
    "moments": (_moments, ("mean", "std")),
    "shape": (_shape, ("skewness", "kurtosis")),
    "percentiles": (_percentiles, tuple(f"p{q:02d}" for q in PERCENTILES)),
    "ranges": (_ranges, tuple(f"range{low:02d}to{high:02d}" for low, high in RANGES)),
    "regression": (_regression, ("slope", "offset", "error", "curvature", "curved_error")),
    "thirds": (_thirds, ("third1", "third2", "third3")),
    "positions": (_positions, ("high_position", "low_position")),
    "peaks": (_peaks, ("peak_rate", "peak_height_mean", "peak_height_std")),
    "slopes": (
        _slopes,
        ("rise_slope_mean", "rise_slope_std", "fall_slope_mean", "fall_slope_std"),
    ),
    "deltas": (_deltas, ("delta_abs", "delta_std")),
    "segments": (_segments, ("segment_rate", "segment_length")),
}


def functional_names(families):
    """Names of the functionals of some families.

    Parameters
    ----------
    families : sequence of str
        Keys of `FAMILIES`.

    Returns
    -------
    names : list of str
        In order.
    """
    return [name for family in families for name in FAMILIES[family][1]]


def functionals(x, valid, families, rate=1.0):
    """Functionals of contours.

    Parameters
    ----------
    x : Tensor of shape (B, C, T)
        Contours.
    valid : Tensor of shape (B, T), bool
        Frames that count. A clip without any gives zeros.
    families : sequence of str
        Keys of `FAMILIES`.
    rate : float, default=1.0
        Frames per second. 1: rates, changes and lengths are per frame, and in frames.

    Returns
    -------
    vector : Tensor of shape (B, P * C)
        All contours for each of `functional_names`.
    """
    n_clips, n_channels, n_frames = x.shape
    names = functional_names(families)
    if n_frames == 0:
        return x.new_zeros(n_clips, len(names) * n_channels)
    blocks = []
    for block in x.split(max(1, _BLOCK // (n_clips * n_frames)), dim=1):
        course = _Course(block, valid, rate)
        found = [values for family in families for values in FAMILIES[family][0](course)]
        blocks.append(torch.stack(found, dim=1).to(x.dtype))
    return torch.cat(blocks, dim=2).flatten(1)
