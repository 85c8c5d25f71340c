"""Labels and clips that a supervised training cannot use, and odd ones that it can.

Every extractor that learns classes is found by discovery and tested in the same list.
"""

import warnings

import numpy as np
import pytest
import soundfile
from sklearn.base import clone

from skaudio import WaveNetTransformer
from skaudio.training._classes import ClassesMixin
from skaudio.utils._checking import fit as fit_any
from skaudio.utils.discovery import all_extractors
from tests.utils.training_examples import QUICK, ClassifyingTransformer

pytestmark = [
    pytest.mark.filterwarnings("ignore:nothing was learnt:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*are shorter than:UserWarning"),
]


def first_of(kind):
    """An instance with few weights, from the variants for the common tests."""
    params = {"max_epochs": 1, "random_state": 0}
    extractor = kind(**kind._get_test_params()[0])
    return extractor.set_params(**{k: v for k, v in params.items() if k in extractor.get_params()})


ALL = [first_of(kind) for _, kind in all_extractors()]
SUPERVISED = [e for e in ALL if isinstance(e, ClassesMixin) and e._learns_classes()]
OTHERS = [e for e in ALL if e not in SUPERVISED]
assert SUPERVISED and OTHERS
SUPERVISED.append(first_of(WaveNetTransformer).set_params(conditions="label"))
SUPERVISED.append(ClassifyingTransformer(**{**QUICK, "max_epochs": 1, "random_state": 0}))
supervised = pytest.mark.parametrize("extractor", SUPERVISED, ids=lambda e: type(e).__name__)
Y = np.array(list("abbababa"))


@pytest.fixture
def X(rng):
    """Eight clips, all longer than a crop."""
    return [0.1 * rng.standard_normal(n) for n in (4000, 3500, 5000, 4500, 4200, 3800, 6000, 4100)]


def fitted(extractor, X, y, **params):
    return clone(extractor).set_params(**params).fit(X, y)


def same(one, other):
    """Whether two extractors have learnt the same, bit for bit."""
    a, b = ({**e.weights_, **e.task_weights_} for e in (one, other))
    return [*a] == [*b] and all(np.array_equal(a[name], b[name]) for name in a)


def assert_tells(extractor, X, classes):
    """Assert that probabilities are such, and that what is predicted are classes."""
    probabilities = extractor.predict_proba(X)
    assert probabilities.shape == (len(X), len(classes)) and np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert list(extractor.classes_) == list(classes)
    assert np.array_equal(extractor.predict(X), extractor.classes_[probabilities.argmax(1)])
    assert np.isfinite(extractor.transform(X)).all()


# --- one clear error -----------------------------------------------------------------------------


@supervised
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, r"requires y to be passed, but the target y is None"),
        (["a"] * 8, r"y has one class, 'a', and there is nothing to tell it from; pass clips of"),
        (["dog", 1, *Y[2:]], r"y mixes kinds: y\[0\] is 'dog' and y\[1\] is 1"),
        ([1, "dog", *Y[2:]], r"y mixes kinds: y\[0\] is 1 and y\[1\] is 'dog'"),
        ([*Y[:7], None], r"y\[7\] is None; every clip needs a label"),
        ([*Y[:7], np.nan], r"y\[7\] is nan; every clip needs a label"),
        (np.array([*Y[:7], None], object), r"y\[7\] is None; every clip needs a label"),
        (np.array([0, 1, 0, 1, np.nan, 0, 1, 0]), r"y\[4\] is nan; every clip needs a label"),
        (Y[:7], "y has 7 entries for 8 clips"),
        ([*Y, "a"], "y has 9 entries for 8 clips"),
        ([], "y has 0 entries for 8 clips"),
        (np.eye(8, dtype=int), r"y should be a 1d array"),
        (np.linspace(0, 1, 8), "continuous"),
    ],
)
def test_labels_that_cannot_be_used(extractor, X, y, message):
    extractor = clone(extractor)
    for fit in (extractor.fit, extractor.partial_fit, extractor.fit_transform):
        with pytest.raises(ValueError, match=message):
            fit(X, y)
    assert not [name for name in vars(extractor) if name.endswith("_")]


@supervised
def test_one_class_is_left_after_skipping(extractor, X):
    X[0] = np.full(4000, np.nan)
    with pytest.raises(ValueError, match="y has one class, 'b', and there is nothing to tell"):
        fitted(extractor, X, list("abbbbbbb"), on_error="skip")


# --- a right result ------------------------------------------------------------------------------


@supervised
@pytest.mark.parametrize("validation_fraction", [0.0, 0.1, 0.5])
def test_a_class_of_one_clip(extractor, X, validation_fraction):
    y = [*"abbabab0"]
    one = fitted(extractor, X, y, validation_fraction=validation_fraction)
    assert_tells(one, X, "0ab")
    # it is trained on, never held out
    other = [*X[:7], X[7][::-1].copy()]
    assert not same(fitted(extractor, other, y, validation_fraction=validation_fraction), one)


@supervised
def test_classes_that_all_have_one_clip(extractor, X):
    assert_tells(fitted(extractor, X, np.arange(8)), X, range(8))


@supervised
def test_classes_missing_from_a_batch_and_from_the_held_out_part(extractor, X):
    clips = [clip[:1700] for clip in X * 2]
    y = np.arange(16) // 2
    # a batch has two crops at most, and one or two clips are held out
    seconds = clone(extractor).crop_seconds
    found = fitted(extractor, clips, y, batch_seconds=2.1 * seconds, validation_fraction=0.1)
    assert_tells(found, clips, range(8))
    (row,) = found.history_
    assert row["updates"] >= 7 and np.isfinite(row["valid_loss"])


@supervised
@pytest.mark.parametrize("n_samples", [1, 100, 790])
def test_clips_shorter_than_a_crop(extractor, X, n_samples):
    clips = [clip[:n_samples] for clip in X]
    assert_tells(fitted(extractor, clips, Y), clips, "ab")


@supervised
def test_one_short_clip_among_long_ones(extractor, X):
    X[3] = X[3][:50]
    assert_tells(fitted(extractor, X, Y), X, "ab")


@supervised
def test_all_silent(extractor):
    silent = [np.zeros(4000)] * 8
    with pytest.warns(UserWarning, match="all clips are silent; there is nothing to learn from"):
        found = fitted(extractor, silent, Y)
    assert_tells(found, silent, "ab")
    assert len(np.unique(found.predict_proba(silent), axis=0)) == 1


@supervised
def test_one_silent_clip(extractor, X):
    X[2] = np.zeros(4000)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*silent.*")
        found = fitted(extractor, X, Y)
    assert_tells(found, X, "ab")


@supervised
def test_skipped_clips_take_their_labels_with_them(extractor, X):
    bad = [X[0], np.full(4000, np.nan), *X[1:4], np.empty(0), *X[4:]]
    y = ["a", "a", "b", "b", "a", "only here", "b", "a", "b", "a"]
    labels = [y[i] for i in (0, 2, 3, 4, 6, 7, 8, 9)]
    found = fitted(extractor, bad, y, on_error="skip")
    assert same(found, fitted(extractor, X, labels))
    assert not same(found, fitted(extractor, X, labels[::-1]))
    assert list(found.classes_) == ["a", "b"]
    with pytest.warns(UserWarning, match="skipped 2 of 10 clips"):
        probabilities = found.predict_proba(bad)
    assert np.flatnonzero(np.isnan(probabilities).all(1)).tolist() == [1, 5]


@supervised
def test_a_class_of_which_no_clip_can_be_decoded_is_told(extractor, X, tmp_path):
    bad = tmp_path / "bad.wav"  # which its header does not tell
    soundfile.write(bad, np.full(4000, np.nan, np.float32), extractor.sample_rate, "FLOAT")
    with pytest.warns(UserWarning, match="no clip of 1 of the classes can be used"):
        fitted(extractor, [*X, bad], [*Y, "only here"], on_error="skip")


@supervised
@pytest.mark.parametrize(
    "convert",
    [
        lambda y: [int(label == "b") for label in y],
        lambda y: y == "b",
        lambda y: np.where(y == "b", 2.0, -1.0),
        lambda y: y.astype(object),
        lambda y: np.where(y == "b", "zebra", "ant").tolist(),
    ],
    ids=["int", "bool", "whole float", "object", "text"],
)
def test_names_of_classes_change_nothing_else(extractor, X, convert):
    y = convert(Y)
    found = fitted(extractor, X, y)
    assert same(found, fitted(extractor, X, Y))
    assert found.classes_.tolist() == sorted({*np.asarray(y).tolist()})
    assert {*found.predict(X).tolist()} <= {*found.classes_.tolist()}


@pytest.mark.parametrize("extractor", OTHERS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("y", [Y, [None] * 8, np.linspace(0, np.nan, 8)], ids=["a", "None", "nan"])
def test_labels_that_nobody_asked_for_are_ignored(extractor, X, y):
    without = fit_any(clone(extractor), X).transform(X)
    assert np.array_equal(clone(extractor).fit(X, y).transform(X), without)
