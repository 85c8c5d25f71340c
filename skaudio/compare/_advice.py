"""Checks before a comparison: whatever would make its scores too good, or unfair."""

from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from .._engine.digest import clip_digest
from ..audio import ClipError, Clips

_FEW = 5  # clips; a class with fewer is warned about


def inspect(paths):
    """Decode every clip once, so that an unusable one is found before the comparison begins.

    Parameters
    ----------
    paths : sequence of str
        The clips.

    Returns
    -------
    clips : list of (int, float)
        Sample rate in Hz and length in seconds of each usable clip.
    errors : list of ClipError
        One for each clip that cannot be used.
    """
    waves, clips, errors = Clips(paths, None), [], []
    for i in range(len(paths)):
        try:
            n_samples = len(waves[i])
        except ClipError as error:
            errors.append(error)
        else:
            rate = waves.length(i)[1]
            clips.append((rate, n_samples / rate))
    return clips, errors


def usable(sounds, errors):
    """Leave clips out of a set.

    Parameters
    ----------
    sounds : Bunch
        As `skaudio.datasets` makes it.
    errors : list of ClipError
        Of the clips to leave out.

    Returns
    -------
    sounds : Bunch
        A new one; classes without clips are removed.
    """
    if not errors:
        return sounds
    rest = np.setdiff1d(np.arange(len(sounds.data)), [error.index for error in errors])
    new = np.full(len(sounds.data), -1)
    new[rest] = np.arange(len(rest))
    splits = [tuple(rows[rows >= 0] for rows in (new[a], new[b])) for a, b in sounds.splits]
    labels, target = np.unique(sounds.target[rest], return_inverse=True)
    return Bunch(
        data=[sounds.data[i] for i in rest],
        target=target,
        target_names=[sounds.target_names[label] for label in labels],
        groups=None if sounds.groups is None else sounds.groups[rest],
        splits=splits,
    )


def warnings_about(sounds, rates, *, folder=None):
    """Reasons to doubt the scores of a comparison.

    Parameters
    ----------
    sounds : Bunch
        As `skaudio.datasets` makes it.
    rates : list of int
        Sample rates of the clips, Hz.
    folder : path-like, default=None
        Folder of the class folders, if neither a table nor a reader describes the clips.

    Returns
    -------
    warnings : list of str
        One sentence or two each.
    """
    return [
        *_few_clips(sounds),
        *_sample_rates(rates),
        *_unused_folders(sounds, folder),
        *_copies(sounds),
    ]


def _few_clips(sounds):
    for label, count in enumerate(np.bincount(sounds.target)):
        if count < _FEW:
            yield (
                f"class {sounds.target_names[label]} has {count} clips, fewer than {_FEW}: its "
                "part of the score is a matter of luck"
            )


def _sample_rates(rates):
    counts = Counter(rates)
    if len(counts) > 1:
        listed = ", ".join(f"{count} at {rate} Hz" for rate, count in sorted(counts.items()))
        yield (
            f"the clips differ in sample rate ({listed}); if the rate depends on the class, the "
            "missing high frequencies give the class away"
        )


def _unused_folders(sounds, folder):
    """Warn if clips are in sub-folders of their class that were not declared as groups."""
    if sounds.groups is not None or folder is None:
        return
    below = {Path(path).relative_to(folder).parent.parts[:2] for path in sounds.data}
    below = {parts for parts in below if len(parts) == 2}
    if len(below) > 1:
        yield (
            f"the class folders have {len(below)} sub-folders, such as {Path(*min(below))}; if "
            "each is one speaker, place or recording, random splits put it into training and "
            "test, and the scores are too good: pass --groups 1"
        )


def _copies(sounds):
    """Warn of equal clips on both sides of a split."""
    clips = Clips(sounds.data, None)
    digests = np.array([clip_digest(clips, i) for i in range(len(clips))])
    leaking = set()
    for train, test in sounds.splits:
        leaking |= {test[i] for i in np.flatnonzero(np.isin(digests[test], digests[train]))}
    if leaking:
        first = min(leaking)
        yield (
            f"{len(leaking)} clips have a copy in the training part of the split that tests them, "
            f"{clips.name(first)} among them; the scores are too good: remove the copies, or put "
            "them into one group"
        )
