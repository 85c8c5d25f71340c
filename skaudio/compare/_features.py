"""Features for the splits of a comparison, and the time they took."""

import time
from contextlib import contextmanager

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import get_tags

from ..audio import ClipError, Clips
from ..scaling import feature_blocks
from ._checks import checked_features


def features(task, extractor, clock, label, *, allow_nan=False):
    """Extract the features of each split; only once if the extractor learns nothing from clips.

    Parameters
    ----------
    task : _Task
        Has the clips, the labels and the splits.
    extractor : transformer
        A clone, with its seed set.
    clock : Clock
        Measures the time.
    label : str
        Name of the extractor in progress messages.
    allow_nan : bool, default=False
        Whether all classifiers behind it accept NaN.

    Yields
    ------
    Z_train, Z_test : ndarray of shape (n_clips, n_features)
        Features of either part.
    blocks : ndarray of shape (n_features,) or None
        As `told_blocks` gives them.

    Raises
    ------
    ClipError
        If a clip cannot be used; its index is the row in `task.X`.
    ValueError
        If the extractor returns anything but a row of numbers for each clip.
    """

    def transformed(fitted, X, rows):
        with _rows_of(rows):
            Z = clock.transform(fitted, X)
        return checked_features(Z, task.X, rows, label, allow_nan)

    task.report(f"{label}: features")
    if not _learns(extractor):
        Z = transformed(extractor.fit(task.X), task.X, np.arange(len(task.X)))
        blocks = told_blocks(extractor, Z.shape[1])
        for train, test in task.splits:
            yield Z[train], Z[test], blocks
        return
    for number, (train, test) in enumerate(task.splits, start=1):
        task.report(f"{label}: features, split {number} of {len(task.splits)}")
        X_train, X_test = _take(task.X, train), _take(task.X, test)
        with _rows_of(train):
            fitted = clone(extractor).fit(X_train, task.y[train])
        Z_train, Z_test = transformed(fitted, X_train, train), transformed(fitted, X_test, test)
        yield Z_train, Z_test, told_blocks(fitted, Z_train.shape[1])


def told_blocks(extractor, n_features):
    """Blocks of columns that an extractor tells.

    Parameters
    ----------
    extractor : transformer
        A fitted one.
    n_features : int
        Number of columns that it gives.

    Returns
    -------
    blocks : ndarray of shape (n_features,) or None
        None if there is but one block, or a part that does not name its columns.
    """
    try:
        blocks = feature_blocks(extractor)
    except (AttributeError, ValueError):  # scikit-learn raises either where there are no names
        return None
    # a function that takes clips may say that its columns are those of its input
    return blocks if len({*blocks}) > 1 and len(blocks) == n_features else None


@contextmanager
def _rows_of(rows):
    """Make a `ClipError` name the row in the whole set instead of that in a part of it."""
    try:
        yield
    except ClipError as error:
        raise ClipError(int(rows[error.index]), error.name, error.problem) from error


def _learns(extractor):
    """Tell whether `fit` may learn from the clips; True if that is not known."""
    if isinstance(extractor, Pipeline):
        return any(_learns(step) for _, step in extractor.steps if hasattr(step, "fit"))
    if isinstance(extractor, FeatureUnion):
        return any(_learns(part) for _, part in extractor.transformer_list if hasattr(part, "fit"))
    stated = getattr(extractor, "learns_from_clips", None)
    return get_tags(extractor).requires_fit if stated is None else stated


class Clock:
    """Measures seconds of extraction per hour of audio.

    Attributes
    ----------
    per_hour : float
        Seconds per hour over all calls of `transform`; NaN if a length is not known.
    """

    def __init__(self):
        self._spent = self._heard = 0.0

    def transform(self, extractor, X):
        """Transform clips, and add the time that it takes.

        Parameters
        ----------
        extractor : transformer
            A fitted one.
        X : sequence of clips
            What to transform.

        Returns
        -------
        Z : object
            What the extractor returns.
        """
        extractor.transform(X[:1])  # imports and other preparations at first use do not count
        begin = time.perf_counter()
        Z = extractor.transform(X)
        self._spent += time.perf_counter() - begin
        clips = Clips(X, _sample_rate(extractor))
        self._heard += sum(_seconds(clips, i) for i in range(len(clips)))
        return Z

    @property
    def per_hour(self):  # numpydoc ignore=RT01
        """Seconds per hour of audio."""
        return 3600 * self._spent / self._heard


def _sample_rate(extractor):
    """Return the parameter ``sample_rate`` of an extractor, or of the first in a pipeline."""
    for key, value in extractor.get_params().items():
        if key == "sample_rate" or key.endswith("__sample_rate"):
            return value
    return None


def _seconds(clips, i):
    """Return the length of a clip in seconds, NaN if it is not known."""
    try:
        n_samples, rate = clips.length(i)
    except ClipError:  # `checked_features` reports skipped clips
        return np.nan
    return n_samples / rate if rate else np.nan


def _take(X, rows):
    """Return some clips of X, an array where X is one and a list otherwise."""
    return X[rows] if isinstance(X, np.ndarray) else [X[row] for row in rows]
