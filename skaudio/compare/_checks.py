"""Checks of the input of a comparison and of the features, with one clear error each."""

from collections.abc import Mapping

import numpy as np
from scipy.sparse import issparse

from ..audio import Clips, clip_items
from ._rows import ComparisonRow

_LISTED = 5  # clips that an error message names


def checked_clips(X):
    """Return the clips as a list, or as a matrix with a clip per row.

    Parameters
    ----------
    X : list, Series or ndarray
        The clips.

    Returns
    -------
    X : list or ndarray
        Numbered from 0, whatever index a Series has.
    """
    items = clip_items(X)
    return np.asarray(X) if items is None else items


def checked_splits(splits, y):
    """Return the splits as pairs of row numbers.

    Parameters
    ----------
    splits : iterable of (train, test)
        Row numbers, or masks.
    y : ndarray of shape (n_clips,)
        The class of each clip.

    Returns
    -------
    splits : list of (train, test), each ndarray of int
        Row numbers.

    Raises
    ------
    ValueError
        If they must be a mistake: row numbers that are negative, too large, repeated or on both
        sides, a part without clips, or a training part of one class.
    TypeError
        If they are not pairs.
    """
    try:
        pairs = [tuple(pair) for pair in splits]
    except TypeError as error:
        raise TypeError(
            f"splits is a {type(splits).__name__}, not a list of pairs (train, test) of row "
            "numbers; a splitter makes them: list(splitter.split(X, y, groups))"
        ) from error
    if not pairs:
        raise ValueError("splits is empty; pass at least one pair (train, test) of row numbers.")
    return [_checked_split(number, pair, y) for number, pair in enumerate(pairs)]


def _checked_split(number, pair, y):
    if len(pair) != 2:
        raise ValueError(f"Split {number} has {len(pair)} parts; pass pairs (train, test).")
    train, test = (
        _row_numbers(rows, f"Split {number}, {part} part,", len(y))
        for rows, part in zip(pair, ("train", "test"), strict=True)
    )
    if not train.size or not test.size:
        raise ValueError(f"Split {number} has {train.size} train and {test.size} test clips.")
    shared = np.intersect1d(train, test)
    if shared.size:
        raise ValueError(
            f"Split {number} has {shared.size} clips on both sides, row {shared[0]} first; "
            "a clip may be in train or in test."
        )
    if len(np.unique(y[train])) < 2:
        raise ValueError(
            f"Split {number} has one class, {y[train[0]]}, in its train part; at least 2 are "
            "needed to learn a difference."
        )
    return train, test


def _row_numbers(rows, what, n_clips):
    """Return row numbers, also for a mask; each must be given once, from 0 to n_clips - 1."""
    rows = np.asarray(rows)
    if rows.ndim != 1:
        raise ValueError(f"{what} has shape {rows.shape}; pass a list of row numbers.")
    if not rows.size:
        return np.empty(0, int)
    if rows.dtype == bool:
        if len(rows) != n_clips:
            raise ValueError(
                f"{what} is a mask of {len(rows)} entries, but there are {n_clips} clips."
            )
        return np.flatnonzero(rows)
    if rows.dtype.kind not in "iu":
        raise ValueError(
            f"{what} holds {rows[0]!s}, of dtype {rows.dtype}; row numbers are whole numbers."
        )
    outside = rows[(rows < 0) | (rows >= n_clips)]
    if outside.size:
        # a clip that is -1 in one part and n - 1 in the other would be on both sides unnoticed
        raise ValueError(
            f"{what} holds row {outside[0]}; the {n_clips} clips are rows 0 to {n_clips - 1}, "
            "and counting from the end is not allowed."
        )
    unique, counts = np.unique(rows, return_counts=True)
    if len(unique) < len(rows):
        row = unique[counts.argmax()]
        raise ValueError(f"{what} holds row {row} {counts.max()} times; name each clip once.")
    return rows


def checked_estimators(estimators, name, method):
    """Return named extractors or classifiers.

    Parameters
    ----------
    estimators : dict of str to estimator
        What the user passed.
    name : {"extractors", "classifiers"}
        What they are, for the messages.
    method : {"transform", "predict"}
        What they must have beside ``fit``.

    Returns
    -------
    estimators : dict
        A copy.

    Raises
    ------
    ValueError
        If there are none.
    TypeError
        If they are not a dict, or one of them is not such an estimator.
    """
    if not isinstance(estimators, Mapping):
        raise TypeError(
            f"{name} is a {type(estimators).__name__}; pass a dict, such as {{'a name': ...}}."
        )
    if not estimators:
        raise ValueError(f"{name} is empty; pass at least one, by name.")
    for key, estimator in estimators.items():
        lacking = [
            needed
            for needed in ("fit", method, "get_params")
            if not callable(getattr(estimator, needed, None))
        ]
        if isinstance(estimator, type):
            raise TypeError(f"{name}[{key!r}] is a class; pass {estimator.__name__}(...).")
        if lacking or not isinstance(key, str):
            what = f"has no {lacking[0]}" if lacking else "is not named by a text"
            raise TypeError(f"{name}[{key!r}], a {type(estimator).__name__}, {what}.")
    return dict(estimators)


def checked_finished(finished):
    """Return the rows of an earlier run.

    Parameters
    ----------
    finished : iterable of ComparisonRow
        What the user passed.

    Returns
    -------
    finished : list of ComparisonRow
        The same.

    Raises
    ------
    TypeError
        If there is anything else among them.
    """
    finished = list(finished)
    for position, row in enumerate(finished):
        if not isinstance(row, ComparisonRow):
            raise TypeError(
                f"finished holds a {type(row).__name__} at position {position}; pass ComparisonRow "
                "objects, as read_rows returns them."
            )
    return finished


def checked_features(Z, X, rows, name, allow_nan):
    """Return the output of an extractor as a matrix with a row for each clip.

    Parameters
    ----------
    Z : array-like or sparse matrix of shape (n_clips, n_features)
        The output.
    X : list or ndarray
        All clips.
    rows : ndarray of shape (n_clips,)
        Which of them were transformed.
    name : str
        Name of the extractor.
    allow_nan : bool
        Whether all classifiers accept NaN. A row of nothing but NaN is refused all the same: it is
        a skipped clip, and all extractors must be scored on the same clips.

    Returns
    -------
    Z : ndarray of shape (n_clips, n_features)
        Dense.

    Raises
    ------
    ValueError
        If it has another shape, or does not have a row of numbers for each clip.
    """
    Z = np.asarray(Z.toarray() if issparse(Z) else Z)
    if Z.ndim != 2 or len(Z) != len(rows) or Z.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} turned {len(rows)} clips into an array of shape {Z.shape} and dtype "
            f"{Z.dtype}; a row of numbers for each clip is needed, (n_clips, n_features)."
        )
    bad = np.isnan(Z).all(axis=1) if allow_nan else ~np.isfinite(Z).all(axis=1)
    if bad.any():
        clips = Clips(X, None)
        named = [f"clip {row} ({clips.name(row)})" for row in rows[bad][:_LISTED]]
        more = f" and {bad.sum() - _LISTED} more" if bad.sum() > _LISTED else ""
        raise ValueError(
            f"{name} has no finite features for {bad.sum()} of {len(rows)} clips: "
            f"{', '.join(named)}{more}. With on_error='skip' these are clips that cannot be used. "
            "All extractors have to be scored on the same clips, so leave them out of X, y, "
            "groups and splits."
        )
    return Z
