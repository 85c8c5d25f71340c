"""What makes a comparison on somebody's recordings flatter or unfair, found before it starts."""

from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from .._engine.digest import clip_digest
from ..audio import ClipError, Clips

_FEW = 5  # clips of a class


def inspect(paths):
    """Read every clip once, so that a bad one shows itself before the work begins.

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
        A new one; a class without clips is gone.
    """
    if not errors:
        return sounds
    kept = np.setdiff1d(np.arange(len(sounds.data)), [error.index for error in errors])
    place = np.full(len(sounds.data), -1)
    place[kept] = np.arange(len(kept))
    splits = [tuple(rows[rows >= 0] for rows in (place[a], place[b])) for a, b in sounds.splits]
    labels, target = np.unique(sounds.target[kept], return_inverse=True)
    return Bunch(
        data=[sounds.data[i] for i in kept],
        target=target,
        target_names=[sounds.target_names[label] for label in labels],
        groups=None if sounds.groups is None else sounds.groups[kept],
        splits=splits,
    )


def warnings_about(sounds, rates, *, folder=None):
    """Say what to know before believing a score.

    Parameters
    ----------
    sounds : Bunch
        As `skaudio.datasets` makes it.
    rates : list of int
        Sample rates of the clips, Hz.
    folder : path-like, default=None
        Where the class folders lie, if no table or reader says what lies in them.

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
                "share of the score is a matter of luck"
            )


def _sample_rates(rates):
    counts = Counter(rates)
    if len(counts) > 1:
        listed = ", ".join(f"{count} at {rate} Hz" for rate, count in sorted(counts.items()))
        yield (
            f"the clips differ in sample rate ({listed}); where the rate goes with the class, the "
            "missing treble gives the class away"
        )


def _unused_folders(sounds, folder):
    """Warn where clips lie in sub-folders of their class and nobody said what these are."""
    if sounds.groups is not None or folder is None:
        return
    below = {Path(path).relative_to(folder).parent.parts[:2] for path in sounds.data}
    below = {parts for parts in below if len(parts) == 2}
    if len(below) > 1:
        yield (
            f"the class folders have {len(below)} sub-folders, such as {Path(*min(below))}; if "
            "each is one speaker, place or recording, random splits put it into training and "
            "test, and the scores flatter: pass --groups 1"
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
            f"{clips.name(first)} among them; the scores flatter: remove the copies, or give them "
            "one group"
        )
