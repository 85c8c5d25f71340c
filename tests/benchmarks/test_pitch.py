"""The voices and the tables of benchmarks/pitch.py."""

import importlib
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def module(monkeypatch):
    """Function that imports a module as a script would."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def test_voices_have_the_pitch_they_say(module):
    voices = module("_voices")
    found = [voices.speech_like(np.random.default_rng(seed), 2.0) for seed in (0, 0, 1)]
    assert np.array_equal(found[0].wave, found[1].wave)
    assert not np.array_equal(found[0].wave, found[2].wave)
    for voice in found:
        assert 65 <= voice.f0.min() and voice.f0.max() <= 550
        slopes = np.abs(np.diff(np.log2(voice.f0[:: voices.HOP]))) * 100
        assert 0.5 < np.median(slopes) < 2
        assert 0.5 < voice.voiced.mean() < 0.9
        power = [np.mean(voice.wave[where] ** 2) for where in (voice.voiced, ~voice.voiced)]
        assert power[0] > 5 * power[1]
        # one period later, the wave is nearly the same
        inside = np.flatnonzero(voice.voiced)[2000:-2000:50]
        inside = inside[voice.voiced[inside + 800] & voice.voiced[inside - 800]]
        later = inside + voices.RATE / voice.f0[inside]
        wave = np.interp(later, np.arange(len(voice.wave)), voice.wave)
        assert np.corrcoef(voice.wave[inside], wave)[0, 1] > 0.9


@pytest.mark.parametrize("late", [0.0, 0.032, -0.01])
def test_delay_of_a_tracker(module, late):
    times = np.arange(0, 2, 0.01)

    def track(wave):
        assert wave.shape == (32_000,)
        return times, np.where(times < 1.9, 120 * 2 ** (times + late), 0.0)

    assert module("_voices").delay(track) == pytest.approx(late)


def test_trackers_of_a_known_voice(module):
    voices = module("_voices")
    wave = np.sin(2 * np.pi * 200 * np.arange(16_000) / voices.RATE).astype(np.float32)
    trackers = voices.trackers()
    for name in ("skaudio", "librosa.yin"):
        times, f0 = trackers[name](wave)
        assert times.shape == f0.shape and times[50] == pytest.approx(0.5)
        assert f0[50] == pytest.approx(200, rel=0.01)


def test_errors_of_a_table(module):
    pitch = module("pitch")
    true = np.array([100.0] * 8 + [0.0] * 2)
    found = true.copy()
    found[:5] = 100 * 2 ** (np.array([0, 10, 20, 30, 1200]) / 1200)
    found[7], found[8] = 0, 90
    *_, row, _ = pitch._table("title", {"ours": np.stack([found, true])}, {"ours": 0.0012})
    # 7 frames are voiced for both, one of them gross; the others are off by 0 0 0 10 20 30
    assert row == "| ours | 1.2 | 5.0 | 27.5 | 14.29 % | 20.0 % |"


def test_voices_are_read_at_the_delayed_times(module):
    pitch, voices = module("pitch"), module("_voices")
    f0 = np.linspace(100, 200, 16_000)
    voice = voices.Voice(np.zeros(16_000, np.float32), f0, f0 > 150.5)
    times = np.arange(0, 1, 0.01)
    found, true = pitch._on_voices(lambda wave: (times, times), 0.02, [voice])
    inside = times + 0.02 < 1
    np.testing.assert_array_equal(found, times[inside])
    expected = 100 + 100 * (times[inside] + 0.02)
    np.testing.assert_allclose(true, np.where(expected > 150.5, expected, 0), atol=0.02)


def test_median_of_the_judges(module):
    pitch = module("pitch")
    times = np.arange(0, 1, 0.01)
    told = {"skaudio": (100, 100, 0, 0), "librosa.pyin": (110, 0, 0, 90), "other": (7, 7, 7, 7)}
    told["openSMILE F0"] = (300, 120, 0, 0)

    def tracker(values):
        return lambda clip: (times, np.repeat(values, 25).astype(float))

    trackers = {name: tracker(values) for name, values in told.items()}
    pairs = pitch._on_speech(trackers, dict.fromkeys(told, 0.0), [np.zeros(16_000)])
    # of each quarter of a second, without ten frames at the beginning and at the end
    for name, values in told.items():
        found, true = pairs[name]
        assert [*found[[0, 20, 50, 75]]] == [*values]
        assert [*true[[0, 20, 50, 75]]] == [110, 110, 0, 0]


def test_profile_adds_up(module):
    rows = [*module("pitch")._profile([np.random.default_rng(0).standard_normal(8000)])][4:]
    shares = [float(row.split("|")[2].strip(" %")) for row in rows]
    assert len(shares) == 6 and min(shares) >= 0 and abs(sum(shares) - 100) < 4
