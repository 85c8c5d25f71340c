"""Extractors with a classifier behind them, scored under given splits."""

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from .. import __version__
from .._engine.digest import described
from ..audio import AudioFile
from ..base import RUNNING_PARAMETERS
from ._rows import ComparisonRow
from ._svm import standard_svm


def random_networks(**parameters):
    """Make one random convolutional network of each design.

    Parameters
    ----------
    **parameters
        Passed to each :class:`~skaudio.RandomCNNTransformer`.

    Returns
    -------
    extractors : dict of str to RandomCNNTransformer
        By the name of the design; "single" comes with either of its two kernels.

    Examples
    --------
    >>> from skaudio.compare import random_networks
    >>> list(random_networks(sample_rate=16000))[:4]
    ['vgg', 'single 7x86', 'single 7x96', 'timbral_temporal']
    """
    from ..extractors import RandomCNNTransformer

    chosen = {
        "vgg": {"design": "vgg"},
        "single 7x86": {"design": "single", "kernel": (7, 86)},
        "single 7x96": {"design": "single", "kernel": (7, 96)},
    }
    others = ("timbral_temporal", "timbral", "temporal")
    others += ("sample_level", "frame_level_many", "frame_level")
    chosen |= {design: {"design": design} for design in others}
    return {name: RandomCNNTransformer(**design, **parameters) for name, design in chosen.items()}


def compare_extractors(
    extractors,
    X,
    y,
    *,
    splits,
    classifier=None,
    draws=3,
    random_state=0,
    data="",
    finished=(),
    progress=None,
) -> Iterator[ComparisonRow]:
    """Score extractors with a classifier behind them, one row after the other.

    An extractor whose `fit` takes nothing from the clips runs over all of them once
    for each draw. One that learns from them, or of which nothing is known, is fitted
    anew on the training part of each split, so that no test clip ever enters a fit.

    Predictions for the test parts are pooled before they are scored: each test clip
    counts once, whatever the sizes of the parts.

    Parameters
    ----------
    extractors : dict of str to transformer
        What to compare; each transformer, or pipeline of them, turns clips into
        features. They are cloned and stay as they are.

    X : list or ndarray of length n_clips
        The clips, as the extractors take them.

    y : array-like of shape (n_clips,)
        The class of each clip.

    splits : iterable of (train, test), each array-like of int
        Pairs of row numbers. What must not leak (the speaker, the instrument, the
        recording) has to be on one side only in each pair.

    classifier : classifier, default=None
        Behind the features. None: `standard_svm`, the model of
        ``make_pipeline(StandardScaler(), SVC(C=8))``.

    draws : int, default=3
        How many times an extractor with a `random_state` is drawn. Others run once.

    random_state : int or None, default=0
        Draw number d sets ``random_state=random_state + d`` on the extractor, so each
        row can be had again with the extractor alone. None: fresh seeds.

    data : str, default=""
        Name of the data set, handed on to the rows.

    finished : iterable of ComparisonRow, default=()
        Rows of an earlier run, perhaps an interrupted one. Where one has the same
        configuration it is taken over instead of being worked out again.

    progress : callable, default=None
        Called with a short text at the start of each step.

    Returns
    -------
    rows : iterator of ComparisonRow
        One row per extractor, in the order given, as soon as it is ready.

    Examples
    --------
    >>> from skaudio import MFCCTransformer
    >>> from skaudio.compare import compare_extractors
    >>> from skaudio.datasets import make_sounds
    >>> sounds = make_sounds(80, random_state=0)
    >>> extractors = {"13 MFCC": MFCCTransformer(n_mfcc=13, n_deltas=0)}
    >>> for row in compare_extractors(
    ...     extractors, sounds.data, sounds.target, splits=sounds.splits
    ... ):
    ...     print(row.extractor, row.n_features, row.accuracy > row.chance)
    13 MFCC 26 True
    """
    y = np.asarray(y)
    splits = _checked_splits(splits, X, y)
    if not isinstance(draws, Integral) or draws < 1:
        raise ValueError(f"draws is {draws!r}; it must be a whole number of at least 1.")
    if not isinstance(random_state, Integral | None):
        raise ValueError(f"random_state is {random_state!r}; pass a whole number or None.")
    if classifier is None:
        classifier = standard_svm()
    if random_state is None:
        seeds = [int(seed) for seed in np.random.SeedSequence().generate_state(draws)]
    else:
        seeds = [int(random_state) + draw for draw in range(draws)]
    report = progress if progress is not None else lambda text: None

    # The checks above run at the call; the work starts when the first row is wanted.
    task = _Task(X, y, splits, classifier, seeds, data, report)
    return _rows(task, extractors, finished)


@dataclass(frozen=True)
class _Task:
    """What is the same for all extractors of a comparison."""

    X: object
    y: np.ndarray
    splits: list
    classifier: object
    seeds: list
    data: str
    report: object


def _rows(task, extractors, finished):
    """Yield the row of each extractor, from the finished ones where it is there."""
    known = {row.configuration: row for row in finished if row.configuration}
    digest = _task_digest(task)
    for name, extractor in extractors.items():
        seeded = _seed_parameters(extractor)
        seeds = task.seeds if seeded else task.seeds[:1]
        parameters = described(extractor, leave_out={*RUNNING_PARAMETERS, *seeded})
        parts = (digest, parameters, seeds if seeded else [], __version__)
        key = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
        if key not in known:
            known[key] = _row(task, name, extractor, seeded, seeds, key)
        yield replace(known[key], data=task.data, extractor=name)


def _checked_splits(splits, X, y):
    """Return the splits as pairs of arrays; raise ValueError where they cannot be meant."""
    if y.ndim != 1 or len(X) != y.size:
        raise ValueError(f"There are {len(X)} clips and y has shape {y.shape}; pass a label each.")
    pairs = [(np.asarray(train), np.asarray(test)) for train, test in splits]
    if not pairs:
        raise ValueError("splits is empty; pass at least one pair (train, test) of row numbers.")
    for number, (train, test) in enumerate(pairs):
        if not train.size or not test.size:
            raise ValueError(f"Split {number} has {train.size} train and {test.size} test clips.")
        shared = np.intersect1d(train, test)
        if shared.size:
            raise ValueError(
                f"Split {number} has {shared.size} clips on both sides, row {shared[0]} first; "
                "a clip may be in train or in test."
            )
    return pairs


def _row(task, name, extractor, seeded, seeds, configuration):
    """Run one extractor over all its draws."""
    truth = np.concatenate([task.y[test] for _, test in task.splits])
    accuracies, balanced, clock = [], [], _Clock()
    for number, seed in enumerate(seeds, start=1):
        of = f", draw {number} of {len(seeds)}" if len(seeds) > 1 else ""
        drawn = clone(extractor).set_params(**dict.fromkeys(seeded, seed))
        features = _features(task, drawn, clock, name + of)
        predicted = []
        for (train, _), (Z_train, Z_test) in zip(task.splits, features, strict=True):
            fitted = clone(task.classifier).fit(Z_train, task.y[train])
            predicted.append(fitted.predict(Z_test))
        predicted = np.concatenate(predicted)
        accuracies.append(accuracy_score(truth, predicted))
        balanced.append(balanced_accuracy_score(truth, predicted))
    return ComparisonRow(
        data=task.data,
        extractor=name,
        accuracy=float(np.mean(accuracies)),
        accuracy_std=float(np.std(accuracies)),
        balanced_accuracy=float(np.mean(balanced)),
        balanced_accuracy_std=float(np.std(balanced)),
        chance=_chance(task.y, task.splits),
        draws=len(seeds),
        n_features=Z_test.shape[1],
        seconds_per_hour=clock.per_hour,
        configuration=configuration,
    )


def _features(task, extractor, clock, label):
    """Yield (Z_train, Z_test) for each split; run once only where nothing is learnt."""
    of = f" of {len(task.splits)}"
    if not _learns(extractor):
        task.report(f"{label}: features")
        extractor.fit(task.X)
        Z = clock.transform(extractor, task.X)
        for number, (train, test) in enumerate(task.splits, start=1):
            task.report(f"{label}: classifier, split {number}{of}")
            yield Z[train], Z[test]
        return
    for number, (train, test) in enumerate(task.splits, start=1):
        task.report(f"{label}: features, split {number}{of}")
        X_train = _take(task.X, train)
        fitted = clone(extractor).fit(X_train, task.y[train])
        Z_train = clock.transform(fitted, X_train)
        Z_test = clock.transform(fitted, _take(task.X, test))
        task.report(f"{label}: classifier, split {number}{of}")
        yield Z_train, Z_test


def _learns(extractor):
    """Tell whether `fit` may take something from the clips; True where nothing is known."""
    if isinstance(extractor, Pipeline):
        return any(_learns(step) for _, step in extractor.steps if hasattr(step, "fit"))
    stated = getattr(extractor, "learns_from_clips", None)
    return get_tags(extractor).requires_fit if stated is None else stated


class _Clock:
    """Measures seconds of extraction per hour of audio.

    Attributes
    ----------
    per_hour : float
        Seconds per hour over all calls of `transform`; NaN if a length is not known.
    """

    def __init__(self):
        self._spent = self._heard = 0.0

    def transform(self, extractor, X):
        """Return ``extractor.transform(X)`` and add its time to the account."""
        extractor.transform(X[:1])  # what is loaded or prepared at first use is not counted
        begin = time.perf_counter()
        Z = np.asarray(extractor.transform(X))
        self._spent += time.perf_counter() - begin
        self._heard += sum(_seconds(clip, _sample_rate(extractor)) for clip in X)
        return Z

    @property
    def per_hour(self):
        return 3600 * self._spent / self._heard


def _sample_rate(extractor):
    """Return the rate that an extractor, or the first of a pipeline, takes arrays to have."""
    for key, value in extractor.get_params().items():
        if key == "sample_rate" or key.endswith("__sample_rate"):
            return value
    return None


def _seconds(clip, sample_rate):
    """Return the length of a clip in seconds, NaN if it cannot be told."""
    if isinstance(clip, str | os.PathLike | AudioFile):
        import soundfile

        segment = clip if isinstance(clip, AudioFile) else AudioFile(clip)
        whole = soundfile.info(os.fspath(segment.path)).duration
        stop = whole if segment.stop is None else min(segment.stop, whole)
        return stop - (segment.start or 0.0)
    return len(clip) / sample_rate if sample_rate else np.nan


def _seed_parameters(extractor):
    """Return the names of all `random_state` parameters, nested ones included."""
    names = extractor.get_params()
    return [name for name in names if name == "random_state" or name.endswith("__random_state")]


def _task_digest(task):
    """Return a digest of clips, labels, splits and classifier."""
    digest = hashlib.sha256()
    for clip in task.X:
        if isinstance(clip, np.ndarray):
            digest.update(np.ascontiguousarray(clip))
        elif isinstance(clip, str | os.PathLike | AudioFile):
            # Name and size, not the folder: the files may be moved.
            segment = clip if isinstance(clip, AudioFile) else AudioFile(clip)
            path = os.fspath(segment.path)
            size = os.path.getsize(path) if os.path.isfile(path) else None
            known = (os.path.basename(path), size, segment.start, segment.stop)
            digest.update(repr(known).encode())
        else:
            digest.update(repr(clip).encode())
    for part in (task.y, *(rows for split in task.splits for rows in split)):
        digest.update(repr(part.tolist()).encode())
    digest.update(repr(described(task.classifier)).encode())
    return digest.hexdigest()


def _take(X, rows):
    """Return some clips of X, an array where X is one and a list otherwise."""
    return X[rows] if isinstance(X, np.ndarray) else [X[row] for row in rows]


def _chance(y, splits):
    """Return the accuracy of always naming the most frequent training class."""
    hits = total = 0
    for train, test in splits:
        classes, counts = np.unique(y[train], return_counts=True)
        hits += np.count_nonzero(y[test] == classes[counts.argmax()])
        total += test.size
    return hits / total
