"""Clips that density.py trains on, and those that nobody has heard."""

from pathlib import Path

import _sets
import numpy as np
import soundfile

RECORDINGS = ", known speakers"
TEST_SECONDS = 240.0  # of unheard sound that bits are counted on, at most


def load(name):
    """Read one of the open sets, and the rate that all coders hear it at.

    Parameters
    ----------
    name : str
        As for `split`.

    Returns
    -------
    sounds : Bunch
        The set.
    rate : int
        Hz.
    """
    sounds = _sets.load(name.removesuffix(RECORDINGS))
    return sounds, min(sounds.sample_rate, 16000)


def split(sounds, name):
    """Training and test clips of a set.

    Parameters
    ----------
    sounds : Bunch
        The set.
    name : str
        One of `_sets.SETS`, whose first split is taken, or "fsdd, known speakers": `official`.

    Returns
    -------
    train, test : ndarray of int
        Rows.
    """
    return official(sounds) if name.endswith(RECORDINGS) else sounds.splits[0]


def unheard(sounds, test, seconds=TEST_SECONDS):
    """Choose test clips.

    Parameters
    ----------
    sounds : Bunch
        The set.
    test : ndarray of int
        Rows.
    seconds : float
        About as long are they together.

    Returns
    -------
    clips : list of str
        Paths, in an order that is always the same.
    """
    clips = [sounds.data[i] for i in np.random.default_rng(0).permutation(test)]
    lengths = np.cumsum([soundfile.info(str(clip)).duration for clip in clips])
    return clips[: np.searchsorted(lengths, seconds) + 1]


def official(sounds):
    """Split of FSDD by recordings: the first five of each digit and speaker are tested on.

    Parameters
    ----------
    sounds : Bunch
        The set.

    Returns
    -------
    train, test : ndarray of int
        Rows.
    """
    number = np.array([int(Path(clip).stem.rpartition("_")[2]) for clip in sounds.data])
    return np.flatnonzero(number >= 5), np.flatnonzero(number < 5)


def without(sounds, label):
    """Split of ESC-10 with a class held out of training.

    Parameters
    ----------
    sounds : Bunch
        The set.
    label : str
        The class.

    Returns
    -------
    train, test : ndarray of int
        Rows: the other classes in four of the folds; those in the fifth, and all of this class.
    """
    odd = np.asarray(sounds.labels) == label
    train, test = sounds.splits[-1]
    return train[~odd[train]], np.concatenate([test[~odd[test]], np.flatnonzero(odd)])


def training_parts(waves, n_samples):
    """Parts of training clips that are so long together, one of each clip at a random place.

    Parameters
    ----------
    waves : list of ndarray of shape (T_i,)
        The clips.
    n_samples : int
        Of all parts, about.

    Returns
    -------
    parts : list of ndarray
        The clips themselves, if they are no longer than that.
    """
    share = min(1.0, n_samples / sum(map(len, waves)))
    rng = np.random.default_rng(0)
    lengths = [max(1, round(share * len(wave))) for wave in waves]
    begins = [rng.integers(0, len(w) - n + 1) for w, n in zip(waves, lengths, strict=True)]
    return [w[i : i + n] for w, i, n in zip(waves, begins, lengths, strict=True)]
