"""Noise and voices, each beside an independent computation in float64."""

import numpy as np
import pytest
import torch
from scipy.signal import welch

from skaudio.augment import (
    add_noise,
    add_speech,
    reverberate,
)
from tests.augment.helpers import RATE, energy, numbers, parts, ratio, seeded, tones, white


def test_noise_of_the_user_has_the_ratio_that_was_asked_for():
    wave, noise = white(300, 4000), white(4000, seed=2).abs()  # the noise has a mean, too
    wave *= torch.logspace(-6, 6, 300)[:, None]
    noisy = add_noise(wave, seeded(), noises=[noise.numpy()])
    found = np.array([ratio(y, x, noise) for y, x in zip(noisy, wave, strict=True)])
    levels = np.array([0, 5, 10])
    chosen = levels[np.abs(found[:, None] - levels).argmin(1)]
    np.testing.assert_allclose(found, chosen, atol=0.01)
    counts = np.bincount(chosen)[levels]
    np.testing.assert_allclose(counts, 100, atol=35)  # 4 deviations
    np.testing.assert_allclose(energy(noisy), energy(wave), rtol=1e-5)
    assert all(parts(y, x, noise).min() > 0 for y, x in zip(noisy, wave, strict=True))


def test_made_noise_has_the_ratio_that_was_asked_for():
    wave = tones(RATE)
    noise = add_noise(wave, seeded(), snr=[-100])  # nearly nothing else
    noisy = add_noise(wave, seeded(), snr=[7.5])
    for y, x, n in zip(noisy, wave, noise, strict=True):
        assert ratio(y, x, n) == pytest.approx(7.5, abs=0.01)
    np.testing.assert_allclose(energy(noisy), energy(wave), rtol=1e-5)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_the_spectrum_of_coloured_noise_falls_as_asked_for(exponent, rate):
    wave = tones(2 * rate)[:1].repeat(16, 1)
    noise = add_noise(wave, seeded(), snr=[-100], exponent=(exponent, exponent), sample_rate=rate)
    frequencies, power = welch(numbers(noise), rate, nperseg=rate // 4)
    power = power.mean(0)
    inner = (frequencies >= 100) & (frequencies < 0.45 * rate)
    slope, _ = np.polyfit(np.log(frequencies[inner]), np.log(power[inner]), 1)
    assert slope == pytest.approx(-exponent, abs=0.05)
    # below 50 Hz it is as loud as at 50 Hz
    frequencies, power = welch(numbers(noise), rate, nperseg=rate)
    low, edge = power.mean(0)[[10, 20, 30]].mean(), power.mean(0)[45:55].mean()
    assert low / edge == pytest.approx(1.0, abs=0.35)


def test_exponents_are_uniform():
    wave = white(400, 4000)
    noise = numbers(add_noise(wave, seeded(), snr=[-100], exponent=(-1.0, 3.0)))
    frequencies, power = welch(noise, RATE, nperseg=400)
    inner = frequencies > 100
    slopes = np.polyfit(np.log(frequencies[inner]), np.log(power[:, inner]).T, 1)[0]
    np.testing.assert_allclose(np.quantile(-slopes, [0.25, 0.5, 0.75]), [0, 1, 2], atol=0.35)


def test_another_clip_of_the_batch_sets_in_at_a_random_moment():
    wave = white(200, 800)
    mixed = add_speech(wave, seeded(), snr=[5], room=None)
    begins, partners = [], []
    for i, (y, x) in enumerate(zip(numbers(mixed), numbers(wave), strict=True)):
        rest = y - y[0] / x[0] * x  # the first sample is before the other voice
        begin = np.flatnonzero(np.abs(rest) > 1e-4)[0]
        # what is heard is a piece of one of the other clips
        lags = np.abs(
            np.fft.irfft(np.fft.rfft(numbers(wave), 2048).conj() * np.fft.rfft(rest, 2048))
        )
        partner, lag = np.unravel_index(lags.argmax(), lags.shape)
        lag -= 2048 if lag > 1024 else 0
        other = np.zeros(800)
        other[begin:] = numbers(wave[partner])[begin - lag : 800 - lag]
        assert partner != i and 0 <= begin - lag <= begin
        assert ratio(y, x, other) == pytest.approx(5, abs=0.01)
        begins.append(begin)
        partners.append((partner - i) % 200)
    assert 0 <= min(begins) < 20 and 580 < max(begins) < 600  # of 800, three quarters
    assert np.mean(begins) == pytest.approx(300, abs=50)
    assert (
        min(partners) == 1
        and max(partners) > 190
        and np.mean(partners) == pytest.approx(100, abs=17)
    )


def test_a_voice_of_the_user_sounds_in_a_room():
    wave, voice = 1e-3 * white(50, 3000), np.ones(500)
    room = np.r_[np.zeros(20), 0.25, np.zeros(9), 1.0, np.zeros(9), -0.5]
    mixed = add_speech(
        wave, seeded(), speech=[voice], snr=[10], room=lambda w, g: reverberate(w, g, rooms=[room])
    )
    for y, x in zip(numbers(mixed), numbers(wave), strict=True):
        rest = y - y[0] / x[0] * x
        begin = np.flatnonzero(np.abs(rest) > 1e-6)[0]
        # 1 from the first sample on, and no sooner; its echo after 10 samples
        heard = np.convolve(np.r_[np.zeros(begin), np.ones(3000 - begin)], room)[30:3030]
        heard[:begin] = 0.0
        assert ratio(y, x, heard) == pytest.approx(10, abs=0.01)


def test_a_voice_in_a_made_room_does_not_begin_sooner():
    wave = white(20, 8000)
    dry, heard = (add_speech(wave, seeded(), snr=[-100], room=r) for r in (None, reverberate))
    begins = [(row.abs() > 1e-3).nonzero()[0].item() for row in dry]
    assert min(begins) < 1500 and max(begins) > 4500
    for row, begin in zip(heard, begins, strict=True):
        assert row[:begin].abs().max() < 1e-3 if begin else True
        assert row[begin].abs() > 1e-3
    assert not torch.allclose(dry, heard, atol=0.1)


def test_a_clip_alone_in_its_batch_has_nobody_to_talk_to():
    wave = white(1, 2000)
    assert torch.equal(add_speech(wave, seeded()), wave)
