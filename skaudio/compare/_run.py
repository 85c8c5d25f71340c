"""Extractors followed by classifiers, scored under given splits."""

import hashlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from numbers import Integral
from uuid import uuid4

import numpy as np
from sklearn.base import clone
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils import get_tags

from .._engine.content import Unidentifiable, described
from .._engine.digest import clip_digest, file_digest
from .._version import __version__
from ..audio import ClipError, Clips
from ..base import RUNNING_PARAMETERS
from ..utils.validation import one_per_clip
from ._checks import (
    checked_clips,
    checked_estimators,
    checked_finished,
    checked_splits,
)
from ._features import Clock, features
from ._rows import ComparisonRow, versions
from ._tuned import TunedELM, TunedSVM


def compare_extractors(
    extractors,
    X,
    y,
    *,
    splits,
    classifiers=None,
    groups=None,
    draws=3,
    random_state=0,
    data="",
    finished=(),
    progress=None,
) -> Iterator[ComparisonRow]:
    """Score extractors followed by classifiers, one row after the other.

    An extractor whose `fit` learns nothing from the clips transforms all of them once for each
    seed, and all classifiers use the same features. One that learns from them, or may do so, is
    fitted anew on the training part of each split, so that no test clip ever enters a fit.

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

    splits : iterable of (train, test), each array-like of int or bool
        Pairs of row numbers, counted from 0, or of masks. What must not leak (the speaker, the
        instrument, the recording) has to be on one side only in each pair.

    classifiers : dict of str to classifier, default=None
        What to apply to the features. One with a parameter ``cv=None`` chooses its settings in
        `inner_folds` of each training part. One with a parameter ``blocks=None``, its own or that
        of a step such as `~skaudio.BlockScaler`, is told those of the extractor, if it is a union
        or has groups of columns. None: ``{"SVM": TunedSVM(), "ELM": TunedELM()}``.

    groups : array-like of shape (n_clips,), default=None
        Groups that must not be on both sides of such a fold, nor of a split.

    draws : int, default=3
        With how many seeds to repeat whatever is random: an extractor with a parameter
        `random_state`, a classifier whose `random_state` is not None. Others run once.

    random_state : int or None, default=0
        Draw number d sets ``random_state=random_state + d`` on extractor and classifier, so each
        row can be reproduced without the others. None: fresh seeds.

    data : str, default=""
        Name of the data set, for the rows.

    finished : iterable of ComparisonRow, default=()
        Rows of an earlier run, perhaps an interrupted one. One with the same configuration is
        returned instead of being computed again. A configuration with parameters whose content
        cannot be identified, such as lambdas, equals no other.

    progress : callable, default=None
        Called with a short text at the start of each step.

    Returns
    -------
    rows : iterator of ComparisonRow
        One row per extractor and classifier, in the order given, as soon as the extractor has
        been evaluated.

    Raises
    ------
    ValueError, TypeError
        At the call, if clips, labels, groups, splits, extractors, classifiers or finished rows
        do not fit together; the message says which and why. From the iterator, if an extractor
        does not return a row of finite numbers for each clip (NaN is passed to classifiers that
        accept it): with ``on_error="skip"`` it would be scored on fewer clips than the others.
    ClipError
        (a ValueError) From the iterator, if a clip cannot be used.

    Examples
    --------
    >>> from skaudio import MFCCTransformer
    >>> from skaudio.compare import compare_extractors
    >>> from skaudio.datasets import make_sounds
    >>> sounds = make_sounds(80, random_state=0)
    >>> extractors = {"13 MFCC": MFCCTransformer(n_mfcc=13, n_deltas=0)}
    >>> for row in compare_extractors(
    ...     extractors, sounds.data, sounds.target, splits=sounds.splits, groups=sounds.groups
    ... ):
    ...     print(row.extractor, row.classifier, row.n_features, row.accuracy > row.chance)
    13 MFCC SVM 26 True
    13 MFCC ELM 26 True
    """
    X = checked_clips(X)
    y = one_per_clip("y", y, len(X))
    splits = checked_splits(splits, y)
    groups = None if groups is None else one_per_clip("groups", groups, len(X))
    extractors = checked_estimators(extractors, "extractors", "transform")
    if classifiers is None:
        classifiers = {"SVM": TunedSVM(), "ELM": TunedELM()}
    classifiers = checked_estimators(classifiers, "classifiers", "predict")
    finished = [row for row in checked_finished(finished) if row.versions in ("", versions())]
    if not isinstance(draws, Integral) or draws < 1:
        raise ValueError(f"draws is {draws!r}; it must be a whole number of at least 1.")
    if not isinstance(random_state, Integral | None):
        raise ValueError(f"random_state is {random_state!r}; pass a whole number or None.")
    if random_state is None:
        seeds = [int(seed) for seed in np.random.SeedSequence().generate_state(draws)]
    else:
        seeds = [int(random_state) + draw for draw in range(draws)]
    report = progress if progress is not None else lambda text: None

    # The checks above run at the call; the computation starts when the first row is requested.
    task = _Task(X, y, groups, splits, seeds, data, report)
    return _rows(task, extractors, classifiers, finished)


def inner_folds(y, groups=None, n_folds=3):
    """Folds of a training part in which classifiers choose their settings.

    Parameters
    ----------
    y : array-like of shape (n_clips,)
        The class of each clip of the training part.
    groups : array-like of shape (n_clips,), default=None
        What must not be on both sides of a fold. With fewer than two groups, the folds are
        stratified only.
    n_folds : int, default=3
        Number of folds; fewer if there are fewer groups, or fewer clips of the largest class.

    Returns
    -------
    folds : list of (train, test), each ndarray of int
        Row numbers; shuffled by a fixed seed.

    Raises
    ------
    ValueError
        If each class has one clip.
    """
    n_folds = min(n_folds, np.unique(y, return_counts=True)[1].max())
    if n_folds < 2:
        raise ValueError(
            "each class has 1 clip to learn from, which leaves none to choose settings by; add "
            "clips, or pass classifiers without settings to choose"
        )
    n_groups = 0 if groups is None else len(np.unique(groups))
    with warnings.catch_warnings():
        # a class of fewer clips than folds is missing in some of them, which lowers its score
        warnings.filterwarnings("ignore", message="The least populated class")
        if n_groups >= 2:
            splitter = StratifiedGroupKFold(min(n_folds, n_groups), shuffle=True, random_state=0)
            return list(splitter.split(y, y, groups))
        return list(StratifiedKFold(n_folds, shuffle=True, random_state=0).split(y, y))


@dataclass(frozen=True)
class _Task:
    """The part of a comparison that is the same for all of its rows."""

    X: object
    y: np.ndarray
    groups: np.ndarray | None
    splits: list
    seeds: list
    data: str
    report: object


@dataclass
class _Job:
    """The computation of one row: a classifier applied to the features of an extractor."""

    name: str
    classifier: object
    seeded: list  # names of its parameters that are set to the seed
    seeds: list
    key: str
    predicted: list = field(default_factory=list)  # labels of the test clips, for each seed


def _rows(task, extractors, classifiers, finished):
    """Yield the rows of each extractor, taken from the finished ones where possible."""
    known = {row.configuration: row for row in finished if row.configuration}
    digest = _task_digest(task)
    for name, extractor in extractors.items():
        seeded = seed_parameters(extractor)
        jobs = [_job(task, digest, extractor, seeded, *item) for item in classifiers.items()]
        missing = [job for job in jobs if job.key not in known]
        if missing:
            known |= {row.configuration: row for row in _work(task, name, extractor, missing)}
        for job in jobs:
            yield replace(known[job.key], data=task.data, extractor=name, classifier=job.name)


def _job(task, digest, extractor, seeded, name, classifier):
    own = [key for key in seed_parameters(classifier) if classifier.get_params()[key] is not None]
    seeds = task.seeds if seeded or own else task.seeds[:1]
    try:
        parts = (
            digest,
            described(extractor, leave_out={*RUNNING_PARAMETERS, *seeded}) + _files(extractor),
            # blocks that the comparison tells follow from the extractor
            described(classifier, leave_out={*RUNNING_PARAMETERS, *own, *_untold(classifier)}),
            seeds if seeded or own else [],
            __version__,
        )
        key = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    except Unidentifiable:
        key = uuid4().hex[:16]  # equal to no other
    return _Job(name, classifier, own, seeds, key)


def _work(task, name, extractor, jobs):
    """Yield the row of each job; features are extracted once for all of them."""
    seeded, clock = seed_parameters(extractor), Clock()
    n_draws = max(len(job.seeds) for job in jobs)
    allow_nan = all(_takes_nan(job.classifier) for job in jobs)
    for draw, seed in enumerate(task.seeds[:n_draws]):
        of = f", draw {draw + 1} of {n_draws}" if n_draws > 1 else ""
        if seeded or draw == 0:
            probe = clone(extractor).set_params(**dict.fromkeys(seeded, seed))
            parts = features(task, probe, clock, name + of, allow_nan=allow_nan)
            if not seeded:
                parts = list(parts)  # used again for each seed of the classifiers
        running = [job for job in jobs if draw < len(job.seeds)]
        for job in running:
            job.predicted.append([])
        for number, (Z_train, Z_test, blocks) in enumerate(parts):
            train, _ = task.splits[number]
            for job in running:
                task.report(f"{name}{of}: {job.name}, split {number + 1} of {len(task.splits)}")
                fitted = fit_classifier(
                    clone(job.classifier).set_params(**dict.fromkeys(job.seeded, seed)),
                    Z_train,
                    task.y[train],
                    None if task.groups is None else task.groups[train],
                    blocks,
                )
                job.predicted[-1].append(fitted.predict(Z_test))
    for job in jobs:
        yield _row(task, name, job, Z_test.shape[1], clock.per_hour)


def fit_classifier(classifier, Z, y, groups=None, blocks=None):
    """Fit a classifier; one with ``cv=None`` chooses its settings in `inner_folds`.

    One with a parameter ``blocks=None``, its own or a step's, is told the blocks.

    Parameters
    ----------
    classifier : classifier
        Fitted in place, not cloned.
    Z : ndarray of shape (n_clips, n_features)
        Features.
    y : ndarray of shape (n_clips,)
        Classes.
    groups : ndarray of shape (n_clips,), default=None
        Groups that must not be on both sides of a fold.
    blocks : array-like of shape (n_features,), default=None
        Block of each column, as `~skaudio.feature_blocks` gives them. None: there are none.

    Returns
    -------
    classifier : classifier
        Fitted.
    """
    if classifier.get_params(deep=False).get("cv", 0) is None:
        classifier.set_params(cv=inner_folds(y, groups))
    if blocks is not None:
        classifier.set_params(**dict.fromkeys(_untold(classifier), blocks))
    return classifier.fit(Z, y)


def _row(task, name, job, n_features, seconds_per_hour):
    """Score the predictions of a job."""
    truth = np.concatenate([task.y[test] for _, test in task.splits])
    of_draws = [np.concatenate(predicted) for predicted in job.predicted]
    accuracies = [accuracy_score(truth, predicted) for predicted in of_draws]
    balanced = [balanced_accuracy_score(truth, predicted) for predicted in of_draws]
    confusion = sum(confusion_matrix(truth, p, labels=np.unique(task.y)) for p in of_draws)
    return ComparisonRow(
        data=task.data,
        extractor=name,
        classifier=job.name,
        accuracy=float(np.mean(accuracies)),
        accuracy_std=float(np.std(accuracies)),
        balanced_accuracy=float(np.mean(balanced)),
        balanced_accuracy_std=float(np.std(balanced)),
        chance=_chance(task.y, task.splits),
        draws=len(of_draws),
        n_features=n_features,
        seconds_per_hour=seconds_per_hour,
        configuration=job.key,
        confusion=confusion.tolist(),
        versions=versions(),
    )


def seed_parameters(extractor):
    """Return the names of all `random_state` parameters, nested ones included.

    Parameters
    ----------
    extractor : estimator
        An extractor or a classifier.

    Returns
    -------
    names : list of str
        For instance ``vgg__random_state``.
    """
    names = extractor.get_params()
    return [name for name in names if name == "random_state" or name.endswith("__random_state")]


def _untold(classifier):
    """Return the names of all parameters ``blocks`` that are None, nested ones included."""
    params = classifier.get_params().items()
    return [
        name for name, value in params if name.rpartition("__")[2] == "blocks" and value is None
    ]


def _files(extractor):
    """Digests of the checkpoint files in use, since a file of the same name may be another one."""
    checkpoints = (
        value
        for name, value in sorted(extractor.get_params().items())
        if name.rpartition("__")[2] == "pretrained" and isinstance(value, str | os.PathLike)
    )
    return [file_digest(path) for path in checkpoints if os.path.isfile(path)]


def _task_digest(task):
    """Return a digest of the content of all clips (not their paths), of labels and of splits."""
    digest, clips = hashlib.sha256(), Clips(task.X, None)
    for i in range(len(clips)):
        try:
            digest.update(clip_digest(clips, i).encode())
        except (OSError, ClipError):  # the extractor will raise the clear error
            digest.update(repr(task.X[i]).encode())
    parts = [task.y, *(rows for split in task.splits for rows in split)]
    if task.groups is not None:
        parts.append(task.groups)
    for part in parts:
        digest.update(repr(part.tolist()).encode())
    return digest.hexdigest()


def _takes_nan(classifier):
    """Tell whether a classifier's tags say that it accepts NaN."""
    has_tags = hasattr(classifier, "__sklearn_tags__")
    return has_tags and get_tags(classifier).input_tags.allow_nan


def _chance(y, splits):
    """Return the accuracy of always naming the most frequent training class."""
    hits = total = 0
    for train, test in splits:
        classes, counts = np.unique(y[train], return_counts=True)
        hits += np.count_nonzero(y[test] == classes[counts.argmax()])
        total += test.size
    return hits / total
