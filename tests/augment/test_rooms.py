"""Reverberation: beside float64, and the decay of made rooms."""

import numpy as np
import pytest
import torch

from skaudio.augment import (
    reverberate,
)
from tests.augment.helpers import RATE, energy, numbers, seeded, white


def test_reverberation_is_aligned_and_as_loud_as_the_clip():
    rng = np.random.default_rng(0)
    rooms = [np.r_[0.3 * rng.standard_normal(k), -2.0, rng.uniform(-1, 1, 400)] for k in (0, 7, 90)]
    wave = white(40, 1000)
    heard = reverberate(wave, seeded(), rooms=rooms)
    found = []
    for y, x in zip(numbers(heard), numbers(wave), strict=True):
        expected = []
        for room in rooms:
            whole = np.convolve(x, room)
            aligned = whole[np.abs(room).argmax() :][:1000]
            # the largest value of a response is made positive or negative 1, its sign stays
            expected.append(aligned * np.sqrt(energy(x) / energy(whole)))
        differences = np.abs(np.array(expected) - y).max(1)
        found.append(differences.argmin())
        assert differences.min() < 1e-5
    assert {*found} == {0, 1, 2}


@pytest.mark.parametrize(("t60", "rate"), [(0.3, 16000), (0.9, 16000), (0.5, 8000)])
def test_sound_in_a_made_room_decays_as_asked_for(t60, rate):
    click = torch.zeros(32, int(t60 * rate))
    click[:, 0] = 1.0
    heard = numbers(
        reverberate(click, seeded(), t60=(t60, t60), drr=(-5.0, -5.0), sample_rate=rate)
    )
    np.testing.assert_allclose(energy(heard), 1.0, rtol=1e-3)
    ratios = 10 * np.log10(heard[:, 0] ** 2 / energy(heard[:, 1:]))
    np.testing.assert_allclose(ratios, -5.0, atol=0.01)
    # Schroeder: the energy that is still to come, in dB, falls on a line of 60 dB in t60
    left = 10 * np.log10(np.cumsum(heard[:, :0:-1] ** 2, axis=1)[:, ::-1])
    times = np.arange(left.shape[1]) / rate
    found = []
    for curve in left:
        inner = (curve < curve[0] - 5) & (curve > curve[0] - 35)
        found.append(-60 / np.polyfit(times[inner], curve[inner], 1)[0])
    np.testing.assert_allclose(found, t60, rtol=0.15)
    assert np.mean(found) == pytest.approx(t60, rel=0.03)


def test_times_and_ratios_of_rooms_are_uniform():
    click = torch.zeros(400, 8000)
    click[:, 0] = 1.0
    heard = numbers(reverberate(click, seeded(), t60=(0.1, 0.5), drr=(0.0, 10.0)))
    ratios = 10 * np.log10(heard[:, 0] ** 2 / energy(heard[:, 1:]))
    np.testing.assert_allclose(
        np.quantile(ratios, [0, 0.25, 0.5, 0.75, 1]), [0, 2.5, 5, 7.5, 10], atol=1
    )
    left = 10 * np.log10(np.cumsum(heard[:, :0:-1] ** 2, axis=1)[:, ::-1])
    seconds = 3 * np.argmax(left < left[:, :1] - 20, axis=1) / RATE
    np.testing.assert_allclose(
        np.quantile(seconds, [0, 0.25, 0.5, 0.75, 1]), [0.1, 0.2, 0.3, 0.4, 0.5], atol=0.06
    )


def test_a_silent_response_changes_nothing():
    wave = white(2, 500)
    assert torch.equal(reverberate(wave, seeded(), rooms=[np.zeros(10)]), wave)
