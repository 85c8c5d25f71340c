"""Synthetic instrument sounds, for demonstrations and tests without a download."""

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from scipy.signal import fftconvolve, lfilter
from sklearn.utils import Bunch

_N_FOLDS = 5
_N_PITCHES = 10
_LOWEST_PITCH = 130.8  # Hz, the C below middle C
_PITCH_STEP = 2  # semitones between neighbouring pitch groups
_MAX_PARTIALS = 40


@dataclass(frozen=True)
class _Instrument:
    """What makes the tone of one class.

    Attributes
    ----------
    rolloff : float
        Level of partial k is k ** -rolloff before everything else.
    even : float
        Level of the even partials relative to the odd ones.
    attack : float
        Rise time in seconds.
    decay : float
        Damping of the first partial, 1/s; 0 for a sustained tone.
    damping : float
        How much faster each higher partial dies, per partial number.
    stiffness : float
        Inharmonicity B of a stiff string, f_k = k f_0 sqrt(1 + B k^2).
    vibrato : float
        Depth of the vibrato in cents.
    breath : float
        Level of the noise that sounds with the tone.
    brightening : float
        How far the upper partials lag behind the first during the attack,
        in rise times per partial number.
    ratios : tuple of float
        Frequencies of the partials relative to the first; empty for a
        (nearly) harmonic tone.
    """

    rolloff: float
    even: float = 1.0
    attack: float = 0.03
    decay: float = 0.0
    damping: float = 0.0
    stiffness: float = 0.0
    vibrato: float = 0.0
    breath: float = 0.0
    brightening: float = 0.0
    ratios: tuple = ()


_INSTRUMENTS = {
    "bell": _Instrument(
        0.5, attack=0.003, decay=3.0, damping=0.5, ratios=(1, 2.0, 2.4, 3.0, 4.5, 5.33, 6.7)
    ),
    "brass": _Instrument(0.7, attack=0.06, vibrato=5.0, brightening=0.3),
    "flute": _Instrument(2.2, attack=0.08, vibrato=20.0, breath=0.15),
    "guitar": _Instrument(0.9, attack=0.004, decay=3.0, damping=0.3, stiffness=1e-4),
    "organ": _Instrument(1.3, attack=0.02),
    "piano": _Instrument(1.6, attack=0.006, decay=1.5, damping=0.1, stiffness=6e-4),
    "reed": _Instrument(1.0, even=0.1, attack=0.04, breath=0.03),
    "strings": _Instrument(1.0, attack=0.12, vibrato=40.0, breath=0.03),
}

_DESCR = """\
Synthetic instrument sounds
---------------------------

{n_samples} single notes of {n_classes} instrument-like classes ({names}),
mono float32 at {sample_rate} Hz, between {shortest:.2f} and {longest:.2f} s long.

Each note is a sum of partials with the envelope, damping, inharmonicity,
vibrato and breath of its class, all of them varied from note to note, heard
through a random microphone (spectral tilt) in a random room (short decaying
reverberation) above coloured noise, at a random level.

The groups are {n_groups} pitches, two semitones apart. No pitch is on both sides
of a split: a classifier is tested on pitches that it has never heard, so it has
to recognise the instrument by its timbre and its development in time. Nothing
is recorded; the sounds carry no licence.
"""


def make_sounds(
    n_samples=240,
    *,
    sample_rate=16000,
    min_seconds=0.4,
    max_seconds=1.0,
    snr=(10.0, 30.0),
    random_state=None,
):
    """Make a seeded set of instrument-like notes with pitch groups.

    Eight classes of single notes, each class at ten pitches. It stands in for
    recordings in demonstrations and tests: small, made in about a second, and
    neither trivial nor hopeless (20 MFCCs and a support vector machine reach an
    accuracy between 0.5 and 0.9 under its splits; chance is 0.125).

    Parameters
    ----------
    n_samples : int, default=240
        Number of clips, at least 16; classes and pitches are balanced as far as
        the number allows (exactly, at multiples of 80).

    sample_rate : int, default=16000
        Sample rate of the clips in Hz, at least 4000.

    min_seconds, max_seconds : float, default=0.4, 1.0
        Shortest and longest clip in seconds; lengths are distributed uniformly.

    snr : tuple of float, default=(10.0, 30.0)
        Lowest and highest ratio of tone to background noise in dB; each clip
        has its own.

    random_state : int, RandomState, Generator or None, default=None
        Where the random numbers come from. An int gives the same sounds at each
        call; None gives new ones. The global generator of numpy is not touched.

    Returns
    -------
    sounds : :class:`~sklearn.utils.Bunch`
        With these entries:

        data : list of ndarray of shape (n_samples_i,), float32
            The clips, of differing lengths, within [-1, 1].
        target : ndarray of shape (n_samples,), int
            Class of each clip, an index into `target_names`.
        target_names : list of str
            The names of the eight classes.
        groups : ndarray of shape (n_samples,), int
            Pitch group of each clip, 0 (lowest) to 9.
        splits : list of (train, test), each ndarray of int
            Five splits; no pitch is in the train and the test part of one.
        sample_rate : int
            Sample rate in Hz.
        DESCR : str
            Description of the set.

    Examples
    --------
    >>> from skaudio.datasets import make_sounds
    >>> sounds = make_sounds(n_samples=40, random_state=0)
    >>> len(sounds.data), sounds.data[0].dtype.name
    (40, 'float32')
    >>> sounds.target_names[:4]
    ['bell', 'brass', 'flute', 'guitar']
    >>> train, test = sounds.splits[0]
    >>> set(sounds.groups[train]) & set(sounds.groups[test])
    set()
    """
    _validate_parameters(n_samples, sample_rate, min_seconds, max_seconds, snr)
    rng = _generator(random_state)
    names = sorted(_INSTRUMENTS)
    number = np.arange(n_samples)
    target = number % len(names)
    # Each round over the classes shifts the pitches by one, so that class and
    # pitch stay independent and even a small set has each class at two pitches.
    groups = (target + number // len(names)) % _N_PITCHES
    order = rng.permutation(n_samples)
    target, groups = target[order], groups[order]

    data = []
    for label, group in zip(target, groups, strict=True):
        n = round(rng.uniform(min_seconds, max_seconds) * sample_rate)
        semitones = _PITCH_STEP * group + rng.uniform(-0.5, 0.5)
        frequency = _LOWEST_PITCH * 2 ** (semitones / 12)
        tone = _tone(_INSTRUMENTS[names[label]], frequency, n, sample_rate, rng)
        data.append(_record(tone, snr, sample_rate, rng))

    folds = groups % _N_FOLDS
    splits = [(np.flatnonzero(folds != f), np.flatnonzero(folds == f)) for f in range(_N_FOLDS)]
    seconds = [clip.size / sample_rate for clip in data]
    description = _DESCR.format(
        n_samples=n_samples,
        n_classes=len(names),
        names=", ".join(names),
        sample_rate=sample_rate,
        shortest=min(seconds),
        longest=max(seconds),
        n_groups=np.unique(groups).size,
    )
    return Bunch(
        data=data,
        target=target,
        target_names=names,
        groups=groups,
        splits=splits,
        sample_rate=sample_rate,
        DESCR=description,
    )


def _validate_parameters(n_samples, sample_rate, min_seconds, max_seconds, snr):
    """Raise ValueError for values that make no sounds."""
    smallest = 2 * len(_INSTRUMENTS)
    if not isinstance(n_samples, Integral) or n_samples < smallest:
        raise ValueError(
            f"n_samples is {n_samples!r}; it must be a whole number of at least {smallest}, "
            "so that each class is heard at two pitches."
        )
    if not isinstance(sample_rate, Integral) or sample_rate < 4000:
        raise ValueError(
            f"sample_rate is {sample_rate!r}; it must be a whole number of Hz, at least 4000, "
            "so that the highest pitch keeps some overtones."
        )
    if not 0.05 <= min_seconds <= max_seconds:
        raise ValueError(
            f"min_seconds is {min_seconds!r} and max_seconds is {max_seconds!r}; "
            "pass 0.05 <= min_seconds <= max_seconds."
        )
    numbers = [value for value in np.atleast_1d(snr) if isinstance(value, Real)]
    if len(numbers) != 2 or not numbers[0] <= numbers[1]:
        raise ValueError(f"snr is {snr!r}; pass (lowest, highest) in dB, such as (10.0, 30.0).")


def _generator(random_state):
    """Return a Generator of our own, whatever kind of seed was given."""
    if isinstance(random_state, np.random.RandomState):
        # Taking the seed from the caller's state advances it, so two calls with
        # one RandomState give different sounds, as in scikit-learn.
        return np.random.default_rng(random_state.randint(0, 2**31, size=4))
    if random_state is None or isinstance(random_state, Integral | np.random.Generator):
        return np.random.default_rng(random_state)
    raise ValueError(
        f"random_state is {random_state!r}; pass an int, a RandomState, a Generator or None."
    )


def _tone(instrument, frequency, n, sample_rate, rng):
    """Return one dry note.

    Parameters
    ----------
    instrument : _Instrument
        The class to play.
    frequency : float
        Fundamental frequency in Hz.
    n : int
        Length in samples.
    sample_rate : int
        In Hz.
    rng : numpy.random.Generator
        Varies the note.

    Returns
    -------
    tone : ndarray of shape (n,)
        The note, with a root mean square of 1.
    """
    time = np.arange(n) / sample_rate
    ratios, levels = _partials(instrument, frequency, sample_rate, rng)

    vary = 2.0 ** rng.uniform(-0.7, 0.7, size=4)  # each trait times 0.6 to 1.6
    swing = np.sin(2 * np.pi * (rng.uniform(4, 7) * time + rng.uniform()))
    cents = instrument.vibrato * vary[0] * swing
    cycles = np.cumsum(frequency * 2 ** (cents / 1200)) / sample_rate

    tone = np.zeros(n)
    for k, (ratio, level) in enumerate(zip(ratios, levels, strict=True)):
        rise = instrument.attack * vary[1] * (1 + instrument.brightening * k)
        fall = instrument.decay * vary[2] * (1 + instrument.damping * k)
        envelope = (1 - np.exp(-3 * time / rise)) * np.exp(-fall * time)
        tone += level * envelope * np.sin(2 * np.pi * (ratio * cycles + rng.uniform()))
    tone /= np.sqrt(np.mean(tone**2))

    envelope = 1 - np.exp(-3 * time / (instrument.attack * vary[1]))
    tone += instrument.breath * vary[3] * envelope * rng.standard_normal(n)
    return tone / np.sqrt(np.mean(tone**2))


def _partials(instrument, frequency, sample_rate, rng):
    """Return frequency ratios and levels of the partials below the Nyquist frequency."""
    k = np.arange(1, _MAX_PARTIALS + 1)
    ratios = k * np.sqrt(1 + instrument.stiffness * k**2)
    if instrument.ratios:
        ratios = np.asarray(instrument.ratios, dtype=float)
    ratios = ratios[ratios * frequency < 0.45 * sample_rate]
    k = k[: ratios.size]
    # Loud notes are bright and soft ones dark, in every instrument.
    levels = k ** -(instrument.rolloff + rng.uniform(-0.2, 0.2))
    levels[1::2] *= instrument.even
    return ratios, levels * 10 ** (rng.normal(0, 2.5, size=k.size) / 20)


def _record(tone, snr, sample_rate, rng):
    """Return the note as recorded by a random microphone in a random, noisy room.

    Parameters
    ----------
    tone : ndarray of shape (n,)
        Dry note with a root mean square of 1.
    snr : tuple of float
        Range of the ratio of tone to noise in dB.
    sample_rate : int
        In Hz.
    rng : numpy.random.Generator
        Determines room, microphone, noise and level.

    Returns
    -------
    clip : ndarray of shape (n,), float32
        Within [-1, 1].
    """
    n = tone.size
    reverberation = rng.uniform(0.02, 0.1)  # seconds until 1/e
    tail = np.arange(int(3 * reverberation * sample_rate)) / sample_rate
    room = rng.standard_normal(tail.size) * np.exp(-tail / reverberation)
    room *= rng.uniform(0.1, 0.5) / np.sqrt(np.sum(room**2))
    room[0] = 1.0
    wet = fftconvolve(tone, room)[:n]

    noise = lfilter([1.0], [1.0, -rng.uniform(0.3, 0.95)], rng.standard_normal(n))
    noise *= np.sqrt(np.mean(wet**2) / np.mean(noise**2)) * 10 ** (-rng.uniform(*snr) / 20)

    tilt = rng.uniform(-0.3, 0.3)
    clip = lfilter([1.0, tilt], [1.0], wet + noise)
    return (rng.uniform(0.1, 0.9) * clip / np.max(np.abs(clip))).astype(np.float32)
