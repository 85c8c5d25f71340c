"""Functionals of contours, each against a loop over clips and frames in float64."""

import numpy as np
import pytest
import torch

from skaudio._functionals import FAMILIES, functional_names, functionals

RATE = 100.0
LENGTHS = (60, 1, 2, 90, 7, 0, 3)


@pytest.fixture
def contours():
    """Ragged batch (B, C, T) and which frames count; the others are large and must not be seen."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((len(LENGTHS), 4, max(LENGTHS))).cumsum(-1) + 5.0
    x[:, 1] = np.round(x[:, 1])  # frames that are exactly equal
    valid = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]
    gaps = rng.random(valid.shape) < 0.3
    gaps[:, 20:30] = True
    valid[3:] &= ~gaps[3:]
    valid[4, :2] = True
    x[~np.broadcast_to(valid[:, None], x.shape)] = 1e6
    return x.astype(np.float32), valid


# --- one contour at a time: values x at frames t --------------------------------------------------


def moments(x, t):
    return x.mean(), x.std()


def shape(x, t):
    z = (x - x.mean()) / max(x.std(), grain(x))
    return (z**3).mean(), (z**4).mean()


def percentiles(x, t):
    return np.percentile(x, [5, 20, 50, 80, 95])


def ranges(x, t):
    return np.percentile(x, 80) - np.percentile(x, 20), np.percentile(x, 95) - np.percentile(x, 5)


def time(t):
    return (t - t[0]) / max(t[-1] - t[0], 1)


def regression(x, t):
    u, fits = time(t), []
    for degree in (1, 2):
        if len(x) <= degree:
            fits.append((np.zeros(3), x - x.mean() if len(x) < 2 else x - fits[0][2]))
            continue
        powers = np.vander(u, degree + 1, increasing=True)
        factors = np.linalg.lstsq(powers, x, rcond=None)[0]
        fits.append((factors, x - powers @ factors, powers @ factors))
    slope, offset = (fits[0][0][1], fits[0][0][0]) if len(x) > 1 else (0.0, x[0])
    curvature = fits[1][0][2]
    errors = [np.sqrt((fit[1] ** 2).mean()) for fit in fits]
    return slope, offset, errors[0], curvature, errors[1]


def thirds(x, t):
    extent = t[-1] - t[0] + 1
    fine = np.full(3 * extent, np.nan)  # each frame cut into three
    for value, place in zip(x, t - t[0], strict=True):
        fine[3 * place : 3 * place + 3] = value
    parts = [part[~np.isnan(part)] for part in np.split(fine, 3)]
    return [part.mean() if len(part) else x.mean() for part in parts]


def grain(x):
    return max(1e-4 * np.abs(x).max(), 1e-9)


def positions(x, t):
    found = []
    for y in (x, -x):
        width = 0.1 * (y.max() - y.min()) + grain(x)
        weight = np.maximum(0, 1 - (y.max() - y) / width)
        found.append((weight * time(t)).sum() / weight.sum())
    return found


def peaks(x, t):
    unit, heights = grain(x), []
    enough = 0.1 * (x.max() - x.min()) + unit
    rounded = np.round((x - x[0]) / unit) * unit
    at = dict(zip(t.tolist(), rounded, strict=True))
    for (i, value), height in zip(at.items(), x - x.mean(), strict=True):
        before = [at[j] for j in range(i - 5, i) if j in at]
        after = [at[j] for j in range(i + 1, i + 6) if j in at]
        if not before or not after or value <= max(before) or value < max(after):
            continue
        if value - min(before) > enough and value - min(after) > enough:
            heights.append(height)
    if not heights:
        return 0, 0, 0
    return len(heights) / len(x) * RATE, np.mean(heights), np.std(heights)


def steps(x, t):
    return np.diff(x)[np.diff(t) == 1] * RATE


def slopes(x, t):
    found = []
    for sign in (1, -1):
        part = np.array([sign * d for d in steps(x, t) if sign * d > 0])
        if len(part) == 0:
            found += [0, 0]
            continue
        mean = np.average(part, weights=part)
        found += [mean, np.sqrt(np.average((part - mean) ** 2, weights=part))]
    return found


def deltas(x, t):
    d = steps(x, t)
    return (np.abs(d).mean(), d.std()) if len(d) else (0, 0)


def segments(x, t):
    above = x > (x.min() + x.max()) / 2 + grain(x)
    at, number = {*t[above].tolist()}, 0
    for i in at:
        number += i - 1 not in at
    return number / len(x) * RATE, len(at) / max(number, 1) / RATE


LOOPS = {
    "moments": moments,
    "shape": shape,
    "percentiles": percentiles,
    "ranges": ranges,
    "regression": regression,
    "thirds": thirds,
    "positions": positions,
    "peaks": peaks,
    "slopes": slopes,
    "deltas": deltas,
    "segments": segments,
}


def looped(x, valid, family):
    """The functionals of a batch, (B, P, C)."""
    found = np.zeros((len(x), len(FAMILIES[family][1]), x.shape[1]))
    for clip, rows, frames in zip(found, x.astype(float), valid, strict=True):
        if frames.any():
            for c, row in enumerate(rows):
                clip[:, c] = LOOPS[family](row[frames], np.flatnonzero(frames))
    return found


def computed(x, valid, *families):
    vector = functionals(torch.tensor(x), torch.tensor(valid), families, RATE)
    assert vector.dtype == torch.tensor(x).dtype
    return vector.numpy().reshape(len(x), -1, x.shape[1])


# --------------------------------------------------------------------------------------------------


def test_every_family_has_a_loop():
    assert LOOPS.keys() == FAMILIES.keys()
    names = functional_names(FAMILIES)
    assert len({*names}) == len(names)


@pytest.mark.parametrize("family", FAMILIES)
def test_against_a_loop(contours, family):
    expected = looped(*contours, family)
    assert np.abs(expected).max(axis=(0, 2)).all()  # each of them was put to the test
    np.testing.assert_allclose(computed(*contours, family), expected, rtol=2e-5, atol=2e-5)


def test_families_follow_each_other(contours):
    together = computed(*contours, *FAMILIES)
    apart = [computed(*contours, family) for family in FAMILIES]
    np.testing.assert_array_equal(together, np.concatenate(apart, axis=1))
    assert together.shape[1] == len(functional_names(FAMILIES))


def test_each_clip_alone(contours):
    x, valid = contours
    together = computed(x, valid, *FAMILIES)
    for row, clip, frames in zip(together, x, valid, strict=True):
        n = np.flatnonzero(frames)[-1] + 1 if frames.any() else 0
        alone = computed(clip[None, :, :n], frames[None, :n], *FAMILIES)
        np.testing.assert_allclose(alone[0], row, rtol=1e-6, atol=1e-9)


def test_in_blocks_of_channels(contours, monkeypatch):
    whole = computed(*contours, *FAMILIES)
    monkeypatch.setattr("skaudio._functionals._BLOCK", 1)
    np.testing.assert_array_equal(computed(*contours, *FAMILIES), whole)


@pytest.mark.parametrize("n_frames", [0, 1, 2, 50])
def test_what_is_constant_has_exact_zeros(n_frames):
    # a scaler would blow up rounding errors
    x = np.full((2, 3, n_frames), -1234.567, np.float32)
    valid = np.ones((2, n_frames), bool)
    valid[1, 10:40] = False
    levels = {"mean", "offset", *(f"p{q:02d}" for q in (5, 20, 50, 80, 95))}
    levels |= {f"third{k}" for k in (1, 2, 3)}
    for name, row in zip(functional_names(FAMILIES), computed(x, valid, *FAMILIES)[0], strict=True):
        if n_frames and name in levels:
            np.testing.assert_allclose(row, -1234.567, rtol=1e-6)
        elif not name.endswith("position"):
            assert not row.any(), name
        else:
            np.testing.assert_allclose(row, 0.5 if n_frames > 1 else 0.0, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_rounding_moves_nothing_far(seed):
    # stretches of equal frames, which in another batch differ in their last digits
    rng = np.random.default_rng(seed)
    x = np.repeat(rng.standard_normal((3, 4, 12)), 8, axis=2)
    x = np.concatenate([x, np.zeros((1, 4, 96)), np.full((1, 4, 96), -3.3)])
    valid = np.ones((5, 96), bool)
    rounded = x * (1 + 1e-7 * rng.standard_normal(x.shape))
    rounded[3] = 1e-14 * rng.standard_normal((4, 96))
    difference = computed(rounded, valid, *FAMILIES) - computed(x, valid, *FAMILIES)
    np.testing.assert_allclose(difference, 0, atol=1e-3)


def test_time_runs_from_the_first_to_the_last_valid_frame():
    x = np.array([9.0, 1, 2, 3, 4, 9, 9], np.float32)[None, None]
    valid = np.array([0, 1, 1, 1, 1, 0, 0], bool)[None]
    names = functional_names(["regression", "positions"])
    found = dict(zip(names, computed(x, valid, "regression", "positions")[0, :, 0], strict=True))
    assert found["slope"] == pytest.approx(3) and found["offset"] == pytest.approx(1)
    assert found["error"] == pytest.approx(0, abs=1e-6) and abs(found["curvature"]) < 1e-6
    assert found["high_position"] == 1 and found["low_position"] == 0


def test_slope_of_a_rise_and_a_fall():
    # up by 2 in 0.2 s, down by 2 in 0.5 s
    x = np.concatenate([np.linspace(0, 2, 21), np.linspace(2, 0, 51)[1:]])[None, None]
    valid = np.ones((1, x.shape[2]), bool)
    np.testing.assert_allclose(computed(x, valid, "slopes")[0, :, 0], [10, 0, 4, 0], atol=1e-6)


def test_peaks_of_a_wave():
    # 4 Hz for 2 s
    x = np.sin(2 * np.pi * 4 * np.arange(200) / RATE)[None, None]
    rate, height, deviation = computed(x, np.ones((1, 200), bool), "peaks")[0, :, 0]
    assert rate == 4 and height == pytest.approx(1, abs=0.01) and deviation < 0.01
