"""Synthetic voices whose pitch is known at every sample, and pitch trackers to be tried on them."""

from importlib.util import find_spec
from typing import NamedTuple

import librosa
import numpy as np
import torch

from skaudio.frontends import Pitch

RATE, HOP = 16000, 160
FMIN, FMAX = 55.0, 600.0  # Hz; openSMILE's own range, 55 to 1000, is fixed


class Voice(NamedTuple):
    """A voice made by adding harmonics.

    Attributes
    ----------
    wave : ndarray of shape (n_samples,), float32
        The samples.
    f0 : ndarray of shape (n_samples,)
        Fundamental frequency, Hz, in pauses too.
    voiced : ndarray of shape (n_samples,), bool
        Where the voice sounds.
    """

    wave: np.ndarray
    f0: np.ndarray
    voiced: np.ndarray


def speech_like(rng, seconds=3.0, decibels=50.0):
    """Make a voice with the course of speech.

    Pitch moves by about one octave per second (median), vowels glide from one set of formants to
    another, and between stretches of 0.12 to 0.6 s there is hiss or nothing, for 0.04 to 0.3 s.

    Parameters
    ----------
    rng : numpy Generator
        What the voice is drawn from.
    seconds : float
        Duration.
    decibels : float
        Level of the voice above white noise.

    Returns
    -------
    voice : Voice
        With noise.
    """
    n = round(seconds * RATE)
    t = np.arange(n) / RATE
    knots = np.arange(0, seconds + 0.3, 0.15)
    octaves = np.log2(rng.uniform(85, 280)) + rng.normal(0, 0.2, len(knots))
    f0 = np.clip(2 ** _smooth(t, knots, octaves), 65, 550)
    level, hiss, formants = _course(rng, n)
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    voice = np.zeros(n)
    for k in range(1, int(7500 / f0.min()) + 1):
        voice += np.cos(k * phase) * _gain(k * f0, formants) * (k * f0 < 7500)
    voice *= level / np.sqrt(np.mean(voice**2))
    voiced = level > 0.5
    power = np.mean(voice[voiced] ** 2)
    fricative = np.diff(rng.standard_normal(n + 1)) * hiss * 0.3 * np.sqrt(power)
    noise = rng.standard_normal(n) * np.sqrt(power) * 10 ** (-decibels / 20)
    wave = 0.1 * (voice + fricative + noise)
    return Voice(wave.astype(np.float32), f0, voiced)


def _smooth(t, knots, values):
    """Cosine interpolation between values at knots."""
    i = np.minimum((t / knots[1]).astype(int), len(knots) - 2)
    part = (1 - np.cos(np.pi * (t - knots[i]) / knots[1])) / 2
    return values[i] * (1 - part) + values[i + 1] * part


def _course(rng, n):
    """Levels of voice and hiss, and three formants (3, n) in Hz, over time."""
    level, hiss, formants = np.zeros(n), np.zeros(n), np.ones((3, n))
    low, high = np.array([[300, 900, 2400], [800, 2200, 3000]])[..., None]
    ramp = round(0.02 * RATE)
    begin = round(rng.uniform(0.05, 0.2) * RATE)
    while begin < n:
        end = min(begin + round(rng.uniform(0.12, 0.6) * RATE), n)
        rise = np.minimum(np.arange(end - begin) + 1, ramp) / ramp
        level[begin:end] = (1 - np.cos(np.pi * np.minimum(rise, rise[::-1]))) / 2
        pause = min(end + round(rng.uniform(0.04, 0.3) * RATE), n)
        formants[:, begin:pause] = np.linspace(*rng.uniform(low, high, (2, 3, 1)), pause - begin).T
        hiss[end:pause] = rng.integers(2)
        begin = pause
    return level, hiss, formants


def _gain(frequency, formants):
    """Amplitude of partials: resonances of quality 7, and 6 dB less per octave."""
    ratio = frequency / formants
    return np.prod(1 / np.hypot(1 - ratio**2, ratio / 7), axis=0) / frequency


def trackers():
    """Return the trackers whose packages are installed.

    Returns
    -------
    trackers : dict of str to callable
        Of a wave: times (s) of the frames, and their frequency in Hz, 0 where unvoiced.
    """
    found = {"skaudio": _skaudio, "librosa.pyin": _pyin, "librosa.yin": _yin}
    if find_spec("opensmile"):
        found["openSMILE F0"] = _opensmile()
    return found


def _skaudio(wave):
    pitch = Pitch(RATE, HOP, FMIN, FMAX)
    (x,), _ = pitch(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))
    return np.arange(x.shape[1]) * HOP / RATE, x[0].numpy()


def _librosa(method, wave):
    found = method(y=wave, fmin=FMIN, fmax=FMAX, sr=RATE, frame_length=1024, hop_length=HOP)
    f0 = found[0] if isinstance(found, tuple) else found
    return np.arange(len(f0)) * HOP / RATE, np.nan_to_num(f0)


def _pyin(wave):
    return _librosa(librosa.pyin, wave)


def _yin(wave):
    return _librosa(librosa.yin, wave)


def _opensmile():
    import opensmile

    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02,
        feature_level=opensmile.FeatureLevel.LowLevelDescriptors,
    )

    def track(wave):
        semitones = smile.process_signal(wave, RATE)["F0semitoneFrom27.5Hz_sma3nz"].to_numpy()
        f0 = np.where(semitones > 0, 27.5 * 2 ** (semitones / 12), 0.0)
        return np.arange(len(f0)) * HOP / RATE, f0

    return track


def delay(track):
    """Measure how much later than its time stamps a tracker looks.

    Parameters
    ----------
    track : callable
        A value of `trackers`.

    Returns
    -------
    seconds : float
        By a pulse train that rises by one octave per second.
    """
    t = np.arange(2 * RATE) / RATE
    f0 = 120 * 2**t
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    wave = sum(np.cos(k * phase) for k in range(1, 16)).astype(np.float32)
    times, found = track(0.05 * wave)
    inner = (times > 0.3) & (times < 1.7) & (found > 0)
    return float(np.median(np.log2(found[inner] / 120) - times[inner]))
