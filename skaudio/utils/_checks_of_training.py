"""Checks of estimators that train: they go on after whatever stopped them, and learn classes."""

import re
import tempfile
import warnings
from unittest import mock

import numpy as np
from sklearn.base import clone

from .._engine.weights import to_numpy
from ..training import TrainingMixin, _estimator
from ._checking import assert_close, assert_same, contract, fit, noise, raised

__all__ = [
    "check_classification",
    "check_labels",
    "check_training_resumes",
    "check_warm_start",
]

LENGTHS = (4000, 3000, 5000, 3500, 4500, 2500, 6000, 1000)  # samples
LABELS = np.array([0, 1, 1, 0, 1, 0, 1, 0])
N_EPOCHS = 4


class _Interruption(Exception):
    """The power fails."""


def _trainee(estimator, **params):
    """A clone that trains for some epochs; what is no parameter of it is set all the same."""
    probe = clone(estimator)
    for name, value in {"max_epochs": N_EPOCHS, "early_stopping": False, **params}.items():
        setattr(probe, name, value)
    return probe


def _counter(stop=None):
    """Callback of skorch that counts epochs, and fails before the one numbered ``stop``."""
    from skorch.callbacks import Callback

    class Counter(Callback):
        n_epochs = 0

        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == stop:
                raise _Interruption
            self.n_epochs += 1

    return Counter()


def _columns(history):
    """History without the times, which no two trainings have in common."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def _assert_same_training(one, other, what):
    for name in ("weights_", "task_weights_"):
        arrays, wanted = getattr(one, name), getattr(other, name)
        assert [*arrays] == [*wanted], f"{what}: {name} has other names"
        for key, array in arrays.items():
            assert_same(array, wanted[key], f"{what}: {name}[{key!r}]")
    same = _columns(one.history_) == _columns(other.history_)
    assert same, f"{what}: history_ differs in more than its seconds"


@contract
def check_training_resumes(estimator):
    """Check that with ``checkpoint`` an interrupted training goes on as if nothing had been.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked. One without `skaudio.training.TrainingMixin` passes.
    """
    if not isinstance(estimator, TrainingMixin):
        return
    X = noise(*LENGTHS)
    whole = fit(_trainee(estimator), X)
    with tempfile.TemporaryDirectory() as folder:
        try:
            fit(_trainee(estimator, checkpoint=folder, callbacks=[_counter(stop=3)]), X)
        except _Interruption:
            pass
        else:
            raise AssertionError(f"no callback was told that epoch 3 of {N_EPOCHS} begins")
        for what, n_epochs in {"resumed": N_EPOCHS - 2, "finished": 0}.items():
            counter = _counter()
            rest = fit(_trainee(estimator, checkpoint=folder, callbacks=[counter]), X)
            _assert_same_training(rest, whole, f"a {what} training, against one of a piece")
            assert_same(rest.transform(X), whole.transform(X), f"features of a {what} training")
            assert counter.n_epochs == n_epochs, (
                f"a {what} training took {counter.n_epochs} epochs, not the {n_epochs} left"
            )


@contract
def check_warm_start(estimator):
    """Check that ``warm_start`` and `partial_fit` go on from all that was learnt.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked. One without `skaudio.training.TrainingMixin` passes.
    """
    if not isinstance(estimator, TrainingMixin):
        return
    X = noise(*LENGTHS)
    fresh = _trainee(estimator)
    _partial_fit(fresh, X)
    assert fresh.n_epochs_ == 1, f"after one partial_fit n_epochs_ is {fresh.n_epochs_}"
    trained = fit(_trainee(estimator, warm_start=True), X)
    for what, go_on, n_epochs in (
        ("warm_start", fit, 2 * N_EPOCHS),
        ("partial_fit", _partial_fit, 2 * N_EPOCHS + 1),
    ):
        before = trained.transform(X)
        stored = {f"network.{name}": w for name, w in trained.weights_.items()}
        stored |= trained.task_weights_
        found = _first_weights(go_on, trained, X)
        lost = sorted(n for n, w in stored.items() if not np.array_equal(found.get(n), w))
        assert not lost, f"{what} does not begin with what was learnt: {lost[0]} differs"
        epochs = [row["epoch"] for row in trained.history_]
        assert trained.n_epochs_ == n_epochs and epochs == [*range(1, n_epochs + 1)], (
            f"after {what} n_epochs_ is {trained.n_epochs_} and history_ has epochs {epochs}, "
            f"where {n_epochs} were trained"
        )
        assert not np.array_equal(trained.transform(X), before), f"{what} changes no feature"


def _partial_fit(estimator, X):
    # labels are wanted here whatever ``max_epochs`` says
    return estimator.partial_fit(X, LABELS[: len(X)])


def _first_weights(go_on, estimator, X):
    """Weights of the task, by name, with which a training begins."""
    train, found = _estimator.train, {}

    def spy(task, *args, **kwargs):
        found.update(to_numpy(task))
        return train(task, *args, **kwargs)

    with mock.patch.object(_estimator, "train", spy):
        go_on(estimator, X)
    return found


def _tells_classes(estimator):
    return isinstance(estimator, TrainingMixin) and hasattr(estimator, "predict_proba")


@contract
def check_classification(estimator):
    """Check that the classes of a trained estimator are those of its labels, with probabilities.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked. One that trains no `predict_proba` passes.
    """
    if not _tells_classes(estimator):
        return
    X = noise(*LENGTHS)
    wanted = fit(_trainee(estimator), X, LABELS).predict_proba(X)
    codes = {"text": ["dog", "dog barks"], "whole": [-3, 40], "truth": [False, True]}
    for what, classes in codes.items():
        probe = fit(_trainee(estimator), X, np.array(classes)[LABELS])
        assert [*probe.classes_] == classes, f"classes_ of labels {classes} are {probe.classes_}"
        probabilities = probe.predict_proba(X)
        assert_same(probabilities, wanted, f"probabilities with labels of {what}, against 0 and 1")
        likeliest = [classes[i] for i in probabilities.argmax(axis=1)]
        assert [*probe.predict(X)] == likeliest, "predict does not give the likeliest class"
    assert wanted.dtype == np.float64, f"probabilities are {wanted.dtype}, not float64"
    assert wanted.shape == (len(X), 2), f"of {len(X)} clips and 2 classes, shape {wanted.shape}"
    assert (wanted >= 0).all() and np.allclose(wanted.sum(axis=1), 1, rtol=0, atol=1e-9), (
        "probabilities of a clip do not sum to 1"
    )
    if hasattr(probe, "predict_log_proba"):
        logarithms = probe.predict_log_proba(X)
        assert_close(np.exp(logarithms), wanted, "exponentials of predict_log_proba", 1e-9)
    alone = np.vstack([probe.predict_proba([clip]) for clip in X])
    assert_close(alone, wanted, "probabilities of each clip alone")
    names = np.array(["b", "c", "a"])[np.arange(len(X)) % 3]
    probe = fit(_trainee(estimator), X, names)
    assert [*probe.classes_] == ["a", "b", "c"], f"classes_ are not sorted: {probe.classes_}"
    assert probe.predict_proba(X).shape == (len(X), 3), "not one probability for each of 3 classes"
    other = fit(_trainee(estimator), X, np.roll(LABELS, 3)).predict_proba(X)
    assert not np.array_equal(other, wanted), "other labels change no probability"


# what is wrong with the labels, and what the error must name
_BAD = {
    "no labels": (lambda y: None, r"\by\b.*None"),
    "NaN among labels": (lambda y: np.where(np.arange(len(y)) == 3, np.nan, y), r"(?i)\bnan\b"),
    "None among labels": (lambda y: [*y[:-1], None], r"\bNone\b"),
    "one class": (lambda y: 0 * y, r"(?i)\b(1|one) class\b"),
    "numbers and text": (lambda y: ["dog", *y[1:].tolist()], r"(?i)\bmix"),
    "a label less than clips": (lambda y: y[1:], rf"{len(LABELS) - 1}\D.*{len(LABELS)}"),
    "a label more than clips": (lambda y: [0, *y], rf"{len(LABELS) + 1}\D.*{len(LABELS)}"),
    "two columns": (lambda y: np.stack([y, y], axis=1), r"\by\b"),
    "fractions": (lambda y: y + 0.5, r"(?i)\bcontinuous\b"),
}


@contract
def check_labels(estimator):
    """Check that labels which no training can use are named, and the others used as they stand.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked. One that trains no `predict_proba` passes.
    """
    if not _tells_classes(estimator):
        return
    X = noise(*LENGTHS)
    for what, (make, pattern) in _BAD.items():
        probe, y = _trainee(estimator), make(LABELS)
        message = str(raised(lambda probe=probe, y=y: probe.fit(X, y), what))
        assert re.search(pattern, message), f"the error about {what} does not name it: {message!r}"
        assert not hasattr(probe, "classes_"), f"{what} raised an error, but left classes_"
    single = np.where(np.arange(len(X)) == 2, "rare", "common")
    probe = fit(_trainee(estimator), X, single)
    assert [*probe.classes_] == ["common", "rare"], "a class of one clip is left out"
    _check_skipped(estimator, X)


def _check_skipped(estimator, X):
    """An unusable clip takes its label with it."""
    rest, y = [0, *range(2, len(X))], LABELS.copy()
    y[1] = 7  # no other clip has it
    wanted = fit(_trainee(estimator), [X[i] for i in rest], y[rest])
    spoilt = [X[0], np.full(500, np.nan, np.float32), *X[2:]]
    probe = fit(_trainee(estimator, on_error="skip"), spoilt, y)
    assert [*probe.classes_] == [0, 1], f"with the only clip of 7 skipped, {probe.classes_}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        probabilities = probe.predict_proba(spoilt)
    assert np.isnan(probabilities[1]).all(), "the probabilities of a skipped clip are not NaN"
    assert_same(probabilities[rest], wanted.predict_proba(X)[rest], "next to a skipped clip")
