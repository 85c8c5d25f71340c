"""What is lost of clips: peaks, pieces and bands."""

import numpy as np
import pytest
import torch
from scipy.signal import welch
from scipy.stats import norm

from skaudio.augment import (
    chop,
    clip_peaks,
    downsample,
    drop_band,
)
from tests.augment.helpers import RATE, energy, numbers, seeded, tones, white

# --- peaks and gaps ------------------------------------------------------------------------------


def test_peaks_are_clipped_at_a_share_of_the_smallest_and_of_the_largest():
    wave = white(300, 100) + 0.5
    clipped = clip_peaks(wave, seeded())
    low, high = (f(wave.numpy(), axis=1, keepdims=True) for f in (np.min, np.max))
    shares = clipped.amax(1).numpy() / high[:, 0]
    chosen = np.array([0.1, 0.3, 0.5])[np.abs(shares[:, None] - [0.1, 0.3, 0.5]).argmin(1)]
    expected = np.clip(wave.numpy(), *(chosen[:, None].astype(np.float32) * x for x in (low, high)))
    np.testing.assert_allclose(clipped, expected, rtol=1e-6)
    counts = np.unique(chosen, return_counts=True)[1]
    np.testing.assert_allclose(counts, 100, atol=35)


def bursts(n_bursts, loud=3200, pause=960):
    """A clip of bursts of noise and soft pauses between them, and where they are loud."""
    is_loud = (np.arange(n_bursts * (loud + pause)) % (loud + pause)) >= pause
    return torch.where(torch.from_numpy(is_loud), 1.0, 1e-3), is_loud


def gaps(chopped):
    """First and last sample (exclusive) of the stretches of zeros."""
    steps = np.diff(np.pad(np.asarray(chopped) == 0, 1).astype(int))
    return np.stack([np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)], axis=1)


def test_gaps_are_in_the_middle_of_sound():
    wave, _ = bursts(8, loud=320, pause=96)
    wave = wave.expand(2000, -1)
    chopped = chop(wave, seeded(), durations=[(0.05, 0.0)], sample_rate=1600)
    counts, places = [], []
    for row in chopped:
        found = gaps(row)
        np.testing.assert_array_equal(found[:, 1] - found[:, 0], 80)
        np.testing.assert_array_equal(found.mean(1) % 416, 96 + 160)
        counts.append(len(found))
        places += (found[:, 0] // 416).tolist()
    counts = np.bincount(counts)
    assert len(counts) == 6 and counts[0] == 0  # from 1 to 5, all equally likely
    np.testing.assert_allclose(counts[1:], 400, atol=72)
    np.testing.assert_allclose(np.bincount(places), len(places) / 8, rtol=0.15)  # anywhere
    kept = chopped != 0
    assert torch.equal(chopped[kept], wave[kept])


def test_durations_of_gaps_are_normal():
    wave = torch.ones(4000, 4000)
    lost = (chop(wave, seeded(), max_chops=1, durations=[(0.05, 0.01)]) == 0).sum(1) / RATE
    expected = norm(0.05, 0.01).ppf([0.1, 0.5, 0.9])
    np.testing.assert_allclose(np.quantile(lost, [0.1, 0.5, 0.9]), expected, atol=1e-3)
    default = (chop(wave, seeded(), max_chops=1) == 0).sum(1) / RATE
    assert default.mean() == pytest.approx(0.075, abs=0.003)
    assert (
        0.05 < np.mean(numbers(default) > 0.15) / norm.sf(1) < 0.75
    )  # half of them are N(0.1, 0.05)


def test_gaps_do_not_reach_beyond_the_sound():
    wave, is_loud = bursts(3)
    chopped = chop(wave[None], seeded(), durations=[(10.0, 0.0)], max_chops=50)[0]
    np.testing.assert_array_equal(chopped == 0, is_loud)
    half_rate = chop(wave[None, ::2], seeded(), durations=[(0.05, 0.0)], sample_rate=8000)[0]
    assert {*np.diff(gaps(half_rate)).ravel().tolist()} == {400}


def test_silence_and_clips_shorter_than_a_frame_have_no_gaps():
    for wave in (torch.zeros(2, 1000), torch.ones(2, 159)):
        assert torch.equal(chop(wave, seeded()), wave)


# --- bands ---------------------------------------------------------------------------------------


def decibels(changed, wave, rate=RATE):
    """How much louder each frequency, 4 Hz apart, is after a change."""
    frequencies, before = welch(numbers(wave), rate, "blackman", nperseg=rate // 4)
    _, after = welch(numbers(changed), rate, "blackman", nperseg=rate // 4)
    return frequencies, 10 * np.log10(after / before)


def test_a_band_is_dropped_and_nothing_else():
    wave = white(40, 4 * RATE)
    heard = drop_band(wave, seeded())
    drawn = torch.rand(3, 40, generator=seeded(), dtype=torch.float64).numpy()
    ranges = np.array([[0, 1000], [1000, 2000], [2000, 4000], [4000, 8000]])
    low, high = ranges[(4 * drawn[0]).astype(int)].T
    edges = np.sort(low + (high - low) * drawn[1:], axis=0)
    n_wide = 0
    for y, x, (first, last) in zip(heard, wave, edges.T, strict=True):
        frequencies, change = decibels(y, x)
        inside = (frequencies > first + 42) & (frequencies < last - 42)
        outside = (frequencies < first - 42) | (frequencies > last + 42)
        level = np.median(change[outside])
        assert np.abs(change[outside] - level).max() < 0.2
        assert level == pytest.approx(-10 * np.log10(1 - (last - first) / 8000), abs=0.15)
        if inside.any():
            n_wide += 1
            assert change[inside].max() < level - 48
    assert n_wide > 30
    np.testing.assert_allclose(energy(heard), energy(wave), rtol=1e-5)


def test_there_is_nothing_to_drop_above_half_the_rate():
    wave = white(5, 1000)
    heard = drop_band(wave, seeded(), ranges=[(4000.0, 8000.0)], sample_rate=8000)
    assert torch.equal(heard, wave)


@pytest.mark.parametrize(("rate", "lower"), [(16000, 8000), (44100, 16000)])
def test_a_lower_rate_limits_the_band(rate, lower):
    wave = white(1, 2 * rate)
    heard = downsample(wave, seeded(), rates=[lower], sample_rate=rate)
    frequencies, change = decibels(heard[0], wave[0], rate)
    level = 10 * np.log10(rate / lower)
    assert change[frequencies >= lower / 2 + 10].max() < level - 48
    below = change[frequencies < lower / 2 - 80]
    assert np.ptp(below) < 0.1 and below.mean() == pytest.approx(level, abs=0.2)
    np.testing.assert_allclose(energy(heard), energy(wave), rtol=1e-5)


def test_a_rate_that_is_not_lower_changes_nothing():
    wave = white(60, 500)
    changed = (downsample(wave, seeded(), rates=[4000, 16000, 48000]) != wave).any(1)
    assert 8 < changed.sum() < 32
    assert torch.equal(downsample(wave, seeded(), sample_rate=8000), wave)


@pytest.mark.parametrize("distortion", [drop_band, downsample])
def test_filters_do_not_delay(distortion):
    wave = tones(8000)[2:]  # 64 Hz, which is below all that is dropped
    params = {"ranges": [(1000.0, 2000.0)]} if distortion is drop_band else {"rates": [2000]}
    heard = distortion(wave, seeded(), **params)
    np.testing.assert_allclose(heard[0, 600:-600], wave[0, 600:-600], atol=0.01)
