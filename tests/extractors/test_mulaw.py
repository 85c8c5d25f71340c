"""MuLawTransformer: list for list, matrix for matrix, and what is refused."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from skaudio import MuLawTransformer
from skaudio._mulaw import decode, encode

VARIANTS = [MuLawTransformer(), MuLawTransformer("B"), MuLawTransformer(n_classes=16)]


@parametrize_with_checks(VARIANTS)
def test_sklearn(estimator, check):
    check(estimator)


@pytest.fixture
def clips():
    rng = np.random.default_rng(0)
    return [rng.uniform(-1.2, 1.2, n).astype(np.float32) for n in (5, 1, 300)]


@pytest.mark.parametrize("mulaw", VARIANTS)
def test_list_for_list(mulaw, clips):
    how = mulaw.n_classes, mulaw.variant
    classes = mulaw.fit_transform(clips)
    assert isinstance(classes, list) and not hasattr(mulaw, "n_features_in_")
    waves = mulaw.inverse_transform(classes)
    for clip, found, wave in zip(clips, classes, waves, strict=True):
        assert found.dtype == np.int64 and wave.dtype == np.float32
        np.testing.assert_array_equal(found, encode(torch.from_numpy(clip), *how))
        np.testing.assert_array_equal(wave, decode(torch.from_numpy(found), *how))
    again = mulaw.transform(waves)
    assert all(np.array_equal(*pair) for pair in zip(again, classes, strict=True))


@pytest.mark.parametrize("mulaw", VARIANTS)
def test_matrix_for_matrix(mulaw, clips):
    X = np.tile(clips[2], (4, 1))
    classes = mulaw.fit_transform(X)
    assert classes.shape == X.shape and classes.dtype == np.int64
    np.testing.assert_array_equal(classes, np.stack(mulaw.transform(list(X))))
    waves = mulaw.inverse_transform(classes)
    assert waves.shape == X.shape and waves.dtype == np.float32
    np.testing.assert_array_equal(mulaw.transform(waves), classes)
    with pytest.raises(ValueError, match="X has 299 features, but MuLawTransformer is expecting"):
        mulaw.transform(X[:, 1:])


def test_lists_of_numbers_of_one_length_are_a_matrix():
    mulaw, X = MuLawTransformer(), [[0.0, 1.0], [-1.0, 0.1]]
    found = mulaw.fit_transform(X)
    assert found.tolist() == [[128, 255], [0, 203]] and mulaw.n_features_in_ == 2
    assert mulaw.inverse_transform(found.tolist()).shape == (2, 2)
    assert isinstance(mulaw.transform([np.zeros(2), np.zeros(2)]), list)


def test_largest_error():
    mulaw, X = MuLawTransformer(), np.linspace(-1, 1, 100_001)[None]
    restored = mulaw.inverse_transform(mulaw.fit_transform(X))
    assert np.abs(restored - X).max() <= 0.0216
    assert (np.abs(restored - X) / (np.abs(X) + 1 / 255)).max() <= 0.022


def test_integers_are_scaled_by_their_type():
    X = np.array([[0, 16384, -32768, 32767]], np.int16)
    mulaw = MuLawTransformer()
    expected = mulaw.fit_transform(X / 32768)
    np.testing.assert_array_equal(mulaw.fit_transform(X), expected)
    np.testing.assert_array_equal(mulaw.transform([X[0]])[0], expected[0])


def test_in_a_pipeline_and_pickled(clips):
    lengths = FunctionTransformer(lambda X: np.array([[len(clip)] for clip in X]))
    assert make_pipeline(MuLawTransformer(), lengths).fit_transform(clips).ravel().tolist() == [
        5,
        1,
        300,
    ]
    mulaw = pickle.loads(pickle.dumps(MuLawTransformer("B").fit(clips)))
    assert mulaw.transform(clips)[0].tolist() == MuLawTransformer("B").transform(clips)[0].tolist()


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([np.zeros(2), np.array([0.1, np.nan])], "clip 1 holds NaN at sample 1"),
        ([[0.0], []], "clip 1 holds 0 samples"),
        ([[0.0], None], "clip 1 is None, not a clip"),
        ([np.zeros((1, 2))], r"clip 0 has shape \(1, 2\), but a clip is one channel"),
        ([], "X holds no clip"),
        (np.array([[0.0, np.inf]]), "Input X contains infinity"),
    ],
)
def test_bad_clips(X, message):
    for method in (MuLawTransformer().fit, MuLawTransformer().transform):
        with pytest.raises(ValueError, match=message):
            method(X)


@pytest.mark.parametrize("bad", [-1, 256, 0.5, np.nan])
def test_bad_classes(bad):
    message = "holds what is no class from 0 to 255|Input X contains NaN"
    for X in ([np.ones(1), np.array([bad])], [[1.0, bad]], np.array([[1.0, bad]])):
        with pytest.raises(ValueError, match=message):
            MuLawTransformer().inverse_transform(X)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"variant": "C"}, ValueError, "variant='C' is unknown; use one of"),
        ({"n_classes": 1}, ValueError, "n_classes=1 must be between 2 and 65536"),
        ({"n_classes": 256.0}, TypeError, "n_classes=256.0 must be an integer"),
    ],
)
def test_bad_parameters(parameters, error, message):
    mulaw = MuLawTransformer(**parameters)
    for method in (mulaw.fit, mulaw.transform, mulaw.inverse_transform):
        with pytest.raises(error, match=message):
            method([[0.0]])
