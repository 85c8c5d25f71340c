"""Rhythm against loops in float64, and on loudness whose rhythm is known."""

import itertools

import numpy as np
import pytest
import torch

from skaudio.networks.rhythm import EDGES, NAMES, modulation_spectrum, rhythm

RATE = 100.0
LENGTHS = (700, 1, 3, 400, 55, 1030, 399)


@pytest.fixture
def clips():
    """Loudness of ragged clips with large values beyond their ends, and voiced frames."""
    rng = np.random.default_rng(0)
    loudness = np.exp(0.3 * rng.standard_normal((len(LENGTHS), max(LENGTHS))).cumsum(1))
    voiced = rng.random(loudness.shape) < 0.5
    voiced = voiced.repeat(8, axis=1)[:, : max(LENGTHS)]
    for row, frames, n in zip(loudness, voiced, LENGTHS, strict=True):
        row[n:], frames[n:] = 1e6, True
    return loudness.astype(np.float32), voiced


def computed(loudness, voiced, lengths):
    rows = rhythm(torch.tensor(loudness), torch.tensor(voiced), torch.tensor(lengths), RATE)
    return [dict(zip(NAMES, row, strict=True)) for row in rows.tolist()]


def spectrum_of(x):
    """Mean power spectrum of one clip, window by window, by numpy."""
    width = min(len(x), 400)
    number = 1 + int(np.ceil((len(x) - width) / 200))
    total, hann = 0, 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(width) + 0.5) / width)
    for k in range(number):
        start = k * (len(x) - width) // max(number - 1, 1)
        part = x[start : start + width]
        part = part - (part * hann).sum() / hann.sum()
        total = total + np.abs(np.fft.rfft(part * hann, 2048)) ** 2 / number
    return 2 * total / (2048 * (hann**2).sum()), np.arange(1025) * RATE / 2048


def modulation(x):
    power, hz = spectrum_of(x / x.mean())
    inside = (hz >= 1) & (hz < 16)
    total = power[inside].sum()
    found = {"modulation_depth": np.sqrt(total), "modulation_peak": 0.0}
    for low, high in itertools.pairwise(EDGES):
        share = power[(hz >= low) & (hz < high)].sum() / (total + 1e-6)
        found[f"modulation{low}to{high}"] = share
    found["modulation_centroid"] = (power * hz)[inside].sum() / (total + 1e-6)
    if total >= 1e-6:
        found["modulation_peak"] = hz[inside][power[inside].argmax()]
    return found


def onsets(x):
    rise = np.r_[0, np.diff(np.log(x / x.mean() + 0.01))].clip(0)
    least = rise.mean() + rise.std() + 0.01
    at = []
    for i, value in enumerate(rise):
        before, after = rise[max(i - 5, 0) : i], rise[i + 1 : i + 6]
        if value > max([*before, 0]) and value >= max([*after, 0]) and value > least:
            at.append(i)
    mean = rise[at].mean() if at else 0.0
    return {"onset_rate": len(at) / len(x) * RATE, "onset_rise_mean": mean}


def segments(voiced):
    lengths = {True: [], False: []}
    for i, value in enumerate(voiced.tolist()):
        if i and value == voiced[i - 1]:
            lengths[value][-1] += 1
        else:
            lengths[value].append(1)
    found = {"voiced_segment_rate": len(lengths[True]) / len(voiced) * RATE}
    for kind, name in ((True, "voiced"), (False, "unvoiced")):
        some = np.array(lengths[kind] or [0]) / RATE
        found |= {f"{name}_length_mean": some.mean(), f"{name}_length_std": some.std()}
    return found


def test_against_loops(clips):
    for found, x, voiced, n in zip(computed(*clips, LENGTHS), *clips, LENGTHS, strict=True):
        x = x[:n].astype(float)
        expected = modulation(x) | onsets(x) | segments(voiced[:n])
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-6, abs=1e-9), (n, name)


def test_each_clip_alone(clips):
    together = computed(*clips, LENGTHS)
    for found, x, voiced, n in zip(together, *clips, LENGTHS, strict=True):
        (alone,) = computed(x[None, :n], voiced[None, :n], [n])
        assert alone == pytest.approx(found, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("hz", [2, 4, 8])
@pytest.mark.parametrize("seconds", [4, 11.3])
def test_modulation_of_known_frequency(hz, seconds):
    n = round(seconds * RATE)
    x = (
        1
        + 0.5 * torch.cos(2 * torch.pi * hz * torch.arange(n, dtype=torch.float64) / RATE + 1)[None]
    )
    power, frequencies = modulation_spectrum(x, torch.tensor([n]), RATE)
    assert float(frequencies[power[0].argmax()]) == pytest.approx(hz, abs=0.05)
    near = (frequencies - hz).abs() < 0.5
    assert float(power[0, near].sum() / power.sum()) > 0.988
    assert float(power.sum()) == pytest.approx(0.5**2 / 2, rel=0.02)


def test_onsets_of_beats():
    # 3 beats per second, each dying away
    x = np.exp(-(np.arange(600) % 33) / 8)
    (found,) = computed(x[None], np.zeros((1, 600), bool), [600])
    assert found["onset_rate"] == pytest.approx(3, abs=0.05)


@pytest.mark.parametrize("level", [0.0, 1e-9, 0.3, 1e4])
@pytest.mark.parametrize("n", [1, 2, 500])
def test_steady_loudness_has_no_rhythm(level, n):
    x = level * (1 + 1e-7 * np.random.default_rng(0).standard_normal((1, n)))
    (found,) = computed(x, np.zeros((1, n), bool), [n])
    for name, value in found.items():
        if not name.startswith("unvoiced"):
            assert abs(value) < 1e-6, name
    assert found["unvoiced_length_mean"] == pytest.approx(n / RATE)
