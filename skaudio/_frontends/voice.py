"""Voice quality: periods one by one, how they differ, and harmonics-to-noise ratio.

The marks of all periods of all clips stand in flat tensors (M,), clip after clip in order of time;
so clips need no padding, and nothing loops over periods.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F

__all__ = [
    "Marks",
    "deviations",
    "harmonics_to_noise",
    "jitter_and_shimmer",
    "period_marks",
    "sections",
]

_REACH = 0.35  # periods on either side of where a mark is expected
_NEAR = 4  # marks on either side that say where the next one is expected
_BLOCK = 1 << 12  # marks whose surroundings are copied together
_TINY = 1e-30


class Marks(NamedTuple):
    """One mark for each period of the voice.

    Attributes
    ----------
    clip : Tensor of shape (M,), int64
        Which clip it is in.
    position : Tensor of shape (M,), float64
        Where it is, samples.
    amplitude : Tensor of shape (M,), float64
        Height of the wave there.
    run : Tensor of shape (M,), int64
        Number of the voiced section, rising; marks of one run follow each other without a gap.
    """

    clip: torch.Tensor
    position: torch.Tensor
    amplitude: torch.Tensor
    run: torch.Tensor


def harmonics_to_noise(periodicity):
    """10 log10(r / (1 - r)) in dB of the normalised autocorrelation r at the period [1]_.

    Limited to -20 and 60 dB.

    References
    ----------
    .. [1] P. Boersma, "Accurate short-term analysis of the fundamental frequency and the
       harmonics-to-noise ratio of a sampled sound", Proc. Institute of Phonetic Sciences 17, 1993.
    """
    return (torch.logit(periodicity.double(), 1e-7) * (10 / math.log(10))).clamp(-20.0, 60.0)


def period_marks(wave, f0, sample_rate, hop_length):
    """Find the periods of voiced sections: the highest peak of each, in parallel.

    The phase is the integral of f0 in a voiced section, and an integer of it is where a period is
    expected, but for the phase at the beginning of the section. The largest sample
    within half a period of each of these is a first guess; how far it lies from the expected place,
    averaged as an angle over nine periods, tells that phase and follows its slow drift. The mark is
    the largest sample within 0.35 periods of the place corrected in this way, refined by a
    parabola. Peaks point to the side on which those of the clip are higher.

    Parameters
    ----------
    wave : Tensor of shape (B, T), float32
        Low-passed, without a mean, zero beyond the clips. A peak is too narrow for a parabola where
        the wave holds much above an eighth of the sample rate.
    f0 : Tensor of shape (B, N)
        Hz, in frames centred on multiples of ``hop_length``; 0 where unvoiced.
    sample_rate : float
        Rate of the wave, Hz.
    hop_length : int
        Samples from frame to frame.

    Returns
    -------
    marks : Marks
    """
    clip, expected, period, run = _expected(f0.double(), sample_rate, hop_length)
    if not len(clip):
        return Marks(clip, expected, expected, run)
    up = torch.ones_like(expected)
    top, high = _highest(wave, up, clip, expected, 0.5 * period)
    bottom, low = _highest(wave, -up, clip, expected, 0.5 * period)
    # on the other side of the axis the highest peak may be a formant's, and change from period to
    # period
    balance = high.new_zeros(len(wave)).index_add_(0, clip, high - low)
    upward = balance[clip] >= 0
    first, height = torch.where(upward, top, bottom), torch.where(upward, high, low)
    shift = _drift((first - expected) / period, height.clamp(min=0), run)
    place = expected + shift * period
    position, amplitude = _highest(wave, 2 * upward - up, clip, place, _REACH * period)
    return Marks(clip, position, amplitude, run)


def _expected(f0, sample_rate, hop_length):
    """Clip, place (samples), period (samples) and run of each integer of the phase."""
    now, then = f0, F.pad(f0[:, 1:], (0, 1))
    voiced = (now > 0) & (then > 0)  # from one frame to the next
    advance = torch.where(voiced, (now + then) * (hop_length / 2 / sample_rate), 0.0)
    end = advance.cumsum(1)
    start = F.pad(end[:, :-1], (1, 0))
    count = (end.floor() - start.floor()).long().flatten()
    step = torch.repeat_interleave(torch.arange(len(count), device=f0.device), count)
    number = torch.arange(len(step), device=f0.device) - (count.cumsum(0) - count)[step]
    start, advance, now, then = (x.flatten()[step] for x in (start, advance, now, then))
    fraction = (start.floor() + 1 + number - start) / advance
    clip, frame = step // f0.shape[1], step % f0.shape[1]
    period = sample_rate / (now + fraction * (then - now))
    run = (~voiced).flatten().cumsum(0)[step]
    return clip, (frame + fraction) * hop_length, period, run


def _highest(wave, sign, clip, place, reach):
    """Where (samples, to a fraction) and how high ``sign`` times the wave is, near each place."""
    parts = [
        _highest_of_block(wave, *some)
        for some in zip(*(x.split(_BLOCK) for x in (sign, clip, place, reach)), strict=True)
    ]
    return tuple(torch.cat(x) for x in zip(*parts, strict=True))


def _highest_of_block(wave, sign, clip, place, reach):
    n_samples = wave.shape[1]
    side = math.ceil(float(reach.max())) + 1
    nearest = place.round().long()[:, None] + torch.arange(-side, side + 1, device=wave.device)
    inside = (nearest >= 0) & (nearest < n_samples)
    index = clip[:, None] * n_samples + nearest.clamp(0, n_samples - 1)
    around = wave.reshape(-1)[index].double() * (inside * sign[:, None])
    near = (nearest - place[:, None]).abs() <= reach[:, None]
    best = around.masked_fill(~near, -torch.inf).argmax(1, keepdim=True)
    best = best.clamp(1, 2 * side - 1)
    below, at, above = (around.gather(1, best + k)[:, 0] for k in (-1, 0, 1))
    rise, curve = (above - below) / 2, 2 * at - below - above
    peaked = curve > 2 * rise.abs()  # otherwise it stands on a slope, at the end of its range
    shift = torch.where(peaked, rise / curve.masked_fill(~peaked, 1.0), 0.0)
    return nearest.gather(1, best)[:, 0] + shift, at + rise * shift / 2


def _drift(shift, weight, run):
    """Smooth the shifts (M,), in periods, as angles, and undo their jumps by a whole period."""
    marks = torch.arange(len(run), device=run.device)
    arrow = torch.polar(weight + _TINY, 2 * math.pi * shift)
    total = torch.cat([_around(arrow, run, some) for some in marks.split(_BLOCK)])
    angle = total.angle() / (2 * math.pi)
    change = F.pad(angle.diff(), (1, 0))
    follows = F.pad(run.diff() == 0, (1, 0))
    jumps = torch.where(follows, change.round(), 0.0).cumsum(0)
    # jumps count from the beginning of the run
    first = marks.masked_fill(follows, 0).cummax(0).values
    return angle - (jumps - jumps[first])


def _around(values, run, marks):
    """Sum of the values (M,) from four marks before to four after each of some, in its run."""
    near = marks[:, None] + torch.arange(-_NEAR, _NEAR + 1, device=run.device)
    inside = (near >= 0) & (near < len(run))
    near = near.clamp(0, len(run) - 1)
    inside &= run[near] == run[marks, None]
    return values[near].mul(inside).sum(1)


def sections(values, run, limit):
    """Runs (M,) that end also where neighbours differ by a factor above ``limit``: mistakes."""
    if not len(values):
        return run
    ratio = values[1:] / values[:-1]
    broken = (run.diff() != 0) | (torch.maximum(ratio, 1 / ratio) > limit)
    return F.pad(broken.cumsum(0), (1, 0))


def deviations(values, run, points):
    """How far each value is from those around it.

    Parameters
    ----------
    values : Tensor of shape (M,)
        Periods, or amplitudes, or their levels.
    run : Tensor of shape (M,), int64
        Rising numbers; values of one run follow each other.
    points : {2, 3, 5, 11}
        2: |v_i - v_{i-1}|, which gives the *local* jitter or shimmer of Praat. Otherwise
        |v_i - mean of the ``points`` values around it|, which gives rap, ppq5 or apq3, apq5, apq11.

    Returns
    -------
    deviation : Tensor of shape (M,)
        0 where it is not valid.
    valid : Tensor of shape (M,), bool
        Whether there are that many values in the run.
    """
    if len(values) < points:
        return torch.zeros_like(values), torch.zeros_like(run, dtype=torch.bool)
    around, before = values.unfold(0, points, 1), points // 2
    centre = around[:, 0] if points == 2 else around.mean(1)
    valid = run[points - 1 :] == run[: len(around)]
    ends = before, points - 1 - before
    return F.pad((around[:, before] - centre).abs() * valid, ends), F.pad(valid, ends)


def jitter_and_shimmer(marks, shape, hop_length, side):
    """Contours of how periods and their amplitudes differ near each frame.

    Parameters
    ----------
    marks : Marks
        Of all clips.
    shape : (int, int)
        Clips B and frames N.
    hop_length : int
        Samples from frame to frame.
    side : int
        Frames before and after, whose periods count.

    Returns
    -------
    contours : dict of str to Tensor of shape (B, N), float64
        "jitter" and "jitter_ppq5", mean deviation of periods over mean period, with 2 and 5 points;
        "shimmer", mean difference of levels in dB; "shimmer_apq5", mean deviation of amplitudes
        over mean amplitude. 0 where too few periods are in a row.
    """

    def near(clip, position, values):
        """Sum of values (M,) near each frame (B, N), but for a factor."""
        frame = (position / hop_length).round().long().clamp(0, shape[1] - 1)
        total = torch.zeros(shape, dtype=torch.float64, device=values.device).flatten()
        total.index_add_(0, clip * shape[1] + frame, values.double())
        return F.avg_pool1d(total.view(shape), 2 * side + 1, 1, side)

    def mean(place, values, valid):
        return near(*place, values * valid) / (near(*place, valid) + _TINY)

    follows = marks.run.diff() == 0
    period, run = marks.position.diff()[follows], marks.run[1:][follows]
    at = marks.clip[1:][follows], marks.position[1:][follows] - period / 2
    height, place = marks.amplitude.clamp(min=_TINY), (marks.clip, marks.position)
    regular, even = sections(period, run, 1.3), sections(height, marks.run, 1.6)
    everywhere = torch.ones_like
    mean_period = mean(at, period, everywhere(run)) + _TINY
    mean_height = mean(place, height, everywhere(marks.run)) + _TINY
    return {
        "jitter": mean(at, *deviations(period, regular, 2)) / mean_period,
        "jitter_ppq5": mean(at, *deviations(period, regular, 5)) / mean_period,
        "shimmer": mean(place, *deviations(20 * height.log10(), even, 2)),
        "shimmer_apq5": mean(place, *deviations(height, even, 5)) / mean_height,
    }
