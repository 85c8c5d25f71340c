"""Test clips in noise and in rooms."""

import importlib
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RATE = 8000


@pytest.fixture
def noisy(monkeypatch):
    """The module, imported as a script would do it."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("_noisy")


def test_noise_is_at_ten_decibels(noisy, clips):
    noise = np.sign(np.sin(np.arange(4000) ** 2.0))
    for y, x in zip(noisy.heard(clips, "noise", RATE, noises=[noise]), clips, strict=True):
        assert len(y) == len(x)
        np.testing.assert_allclose(y @ y, x @ x, rtol=1e-4)
        # the clip and the noise have nothing in common: a ** 2 of the energy is the clip's
        share = (y @ x / (x @ x)) ** 2
        assert 10 * np.log10(share / (1 - share)) == pytest.approx(10, abs=1.5)


@pytest.mark.parametrize("condition", ["noise", "room"])
def test_a_clip_sounds_the_same_in_any_fold(noisy, clips, write_audio, condition):
    heard = noisy.heard(clips, condition, RATE)
    again = noisy.heard(clips[::-1][:3], condition, RATE)
    for y, x in zip(again, heard[::-1], strict=False):
        np.testing.assert_array_equal(y, x)
    paths = [write_audio("clip.wav", clips[1], RATE, subtype="FLOAT")]
    np.testing.assert_array_equal(noisy.heard(paths, condition, RATE)[0], heard[1])
    other = noisy.heard(clips, condition, RATE, seed=1)
    for y, x, clip in zip(other, heard, clips, strict=True):
        assert y.dtype == np.float32 and np.isfinite(y).all()
        assert not np.allclose(y, x, atol=1e-3) and not np.allclose(x, clip, atol=1e-3)


def test_clean_clips_stay_as_they_are(noisy, clips):
    for y, x in zip(noisy.heard(clips, "clean", RATE), clips, strict=True):
        np.testing.assert_array_equal(y, x.astype(np.float32))
    with pytest.raises(ValueError, match="condition='loud' is unknown; use one of"):
        noisy.heard(clips, "loud", RATE)
