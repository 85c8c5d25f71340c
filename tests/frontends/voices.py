"""Synthetic voices: trains of band-limited pulses through resonators."""

import numpy as np
from scipy.signal import lfilter

RATE = 16000


def pulses(starts, heights, n_samples):
    """Pulse train (n_samples,) with a windowed sinc at each start (seconds)."""
    wave, side = np.zeros(n_samples), 64
    for start, height in zip(starts, heights, strict=True):
        n = int(start * RATE) + np.arange(-side, side + 2)
        n = n[(n >= 0) & (n < n_samples)]
        distance = n - start * RATE
        wave[n] += height * np.sinc(distance) * np.cos(np.pi / 2 * distance / (side + 2)) ** 2
    return wave


def perturbed_pulses(rng, f0, seconds, jitter=0.0, shimmer=0.0):
    """Pulse train, its starts (seconds) and heights, with normally distributed deviations."""
    n = int(f0 * seconds * 1.5)
    periods = (1 + jitter * rng.standard_normal(n)) / f0
    starts = 0.01 + np.cumsum(periods)
    starts = starts[starts < seconds - 0.01]
    heights = 1 + shimmer * rng.standard_normal(len(starts))
    wave = pulses(starts, heights, int(seconds * RATE))
    return wave, starts, heights


def resonate(wave, frequencies, bandwidth=80.0):
    """The wave through one resonator (Hz) after the other, with a peak of 0.5."""
    radius = np.exp(-np.pi * bandwidth / RATE)
    for frequency in frequencies:
        angle = 2 * np.pi * frequency / RATE
        wave = lfilter([1.0], [1.0, -2 * radius * np.cos(angle), radius**2], wave)
    return 0.5 * wave / np.abs(wave).max()
