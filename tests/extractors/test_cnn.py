"""CNNTransformer: what training adds to the networks of RandomCNNTransformer."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skaudio import CNNTransformer, RandomCNNTransformer
from skaudio.datasets import make_sounds
from skaudio.networks.designs import DESIGNS

SMALL = {
    "n_filters": 8,
    "n_mels": 24,
    "n_fft": 256,
    "hop_length": 128,
    "kernel": (3, 20),
    "temporal_kernels": (15, 8, 5, 2),
    "sample_rate": 8000,
    "crop_seconds": 0.3,
    "batch_seconds": 2.4,
    "max_epochs": 1,
    "random_state": 0,
}
SINC = ("vgg", "single", "timbral_temporal", "frame_level", "frame_level_many")


def small(design="vgg", **params):
    return CNNTransformer(design, **{**SMALL, **params})


@pytest.fixture(scope="module")
def sounds():
    """Short notes of eight instruments; those to test on are of other pitches."""
    return make_sounds(
        80, sample_rate=8000, min_seconds=0.25, max_seconds=0.3, snr=(20, 30), random_state=0
    )


@pytest.fixture(scope="module")
def noises():
    """White and brown noise, two classes."""
    rng = np.random.default_rng(0)
    white = [rng.standard_normal(n).astype(np.float32) for n in (2400, 2000, 3000, 2700) * 3]
    return [*white, *(np.cumsum(wave) / 50 for wave in white)], np.repeat(["white", "brown"], 12)


def test_classes_of_clips_that_were_not_trained_on(sounds):
    train, test = sounds.splits[0]
    X, y = sounds.data, sounds.target
    cnn = small(max_epochs=8, mixup=0.0, learning_rate=1e-2)
    cnn.fit([X[i] for i in train], y[train])
    held_out = [X[i] for i in test]
    accuracy = np.mean(cnn.predict(held_out) == y[test])
    assert accuracy > 0.5, f"{accuracy:.2f} of eight classes"
    assert cnn.history_[-1]["train_loss"] < 0.5 * cnn.history_[0]["train_loss"]
    assert cnn.n_epochs_ == 8


@pytest.mark.parametrize("design", DESIGNS)
def test_without_training_it_is_the_random_network(design, noises):
    shared = {name: SMALL[name] for name in SMALL if name in RandomCNNTransformer().get_params()}
    random = RandomCNNTransformer(design, **shared).fit(noises[0])
    untrained = small(design, max_epochs=0).fit(noises[0])
    assert np.array_equal(untrained.transform(noises[0]), random.transform(noises[0]))
    assert not untrained.learns_from_clips and untrained.n_epochs_ == 0
    assert np.array_equal(untrained.get_feature_names_out(), random.get_feature_names_out())


@pytest.mark.parametrize("frontend", [None, "sinc"])
@pytest.mark.parametrize("design", DESIGNS)
def test_training_moves_every_weight(design, frontend, noises):
    if frontend == "sinc" and design not in SINC:
        frontends = (None,) if design == "sample_level" else (None, "mel", "sinc")
        assert DESIGNS[design].frontends == frontends
        return
    X, y = noises
    params = {"frontend": frontend, "max_epochs": 2, "learning_rate": 1e-2}
    before = small(design, **{**params, "max_epochs": 0}).fit(X).weights_
    cnn = small(design, **params).fit(X, y)
    assert [*cnn.weights_] == [*before]
    unmoved = [name for name, w in cnn.weights_.items() if np.array_equal(w, before[name])]
    assert not unmoved
    assert np.isfinite(cnn.transform(X)).all()


def test_the_same_seed_gives_the_same_training(noises):
    X, y = noises
    params = {"mixup": 0.4, "spec_augment": 0.3, "max_epochs": 2}
    one, other = (small(**params).fit(X, y) for _ in range(2))
    assert np.array_equal(one.predict_proba(X), other.predict_proba(X))
    assert np.array_equal(one.transform(X), other.transform(X))
    another = small(**{**params, "random_state": 1}).fit(X, y)
    assert not np.allclose(one.transform(X), another.transform(X))


@pytest.mark.parametrize("augmentation", [{"mixup": 0.5}, {"spec_augment": 0.5}])
def test_augmentation_changes_the_training_alone(augmentation, noises):
    X, y = noises
    off = {"mixup": 0.0, "spec_augment": 0.0}
    plain, augmented = small(**off).fit(X, y), small(**{**off, **augmentation}).fit(X, y)
    assert plain.history_[0]["train_loss"] != augmented.history_[0]["train_loss"]
    # with the weights of the other one it gives the features of the other one
    augmented.weights_ = plain.weights_
    assert np.array_equal(clone_fitted(augmented).transform(X), plain.transform(X))


def clone_fitted(extractor):
    """A new one with the fitted state."""
    copy = clone(extractor)
    vars(copy).update(vars(extractor))
    return copy


def test_probabilities(noises):
    X, y = noises
    cnn = small(max_epochs=3).fit(X, y)
    probabilities = cnn.predict_proba(X)
    assert probabilities.shape == (24, 2) and probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-12)
    assert cnn.classes_.tolist() == ["brown", "white"]
    assert np.array_equal(cnn.predict(X), cnn.classes_[probabilities.argmax(1)])
    # the head on the features, in float64
    head = {name: w.astype(np.float64) for name, w in cnn.task_weights_.items()}
    z = (cnn.transform(X) - head["head.0.running_mean"]) / np.sqrt(
        head["head.0.running_var"] + 1e-5
    )
    logits = z @ head["head.1.weight"].T / np.sqrt(z.shape[1]) + head["head.1.bias"]
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


def test_classes_are_not_those_of_an_earlier_training(noises):
    X, y = noises
    cnn = small()
    with pytest.raises(NotFittedError):
        cnn.predict(X)
    assert hasattr(cnn.fit(X, y), "predict")
    cnn.set_params(max_epochs=0).fit(X)
    assert not hasattr(cnn, "predict") and not hasattr(cnn, "classes_")
    with pytest.raises(AttributeError) as error:
        cnn.predict_proba(X)
    assert "max_epochs other than 0" in str(error.value.__cause__)
    cnn.partial_fit(X, y)
    assert cnn.predict(X).shape == (24,)


def test_frames_and_names(noises):
    X, y = noises
    cnn = small("timbral_temporal").fit(X, y)
    frames = cnn.transform_frames(X[:2])
    assert [len(f) for f in frames] == [1 + len(x) // 128 for x in X[:2]]
    assert frames[0].shape[1] == 2 * 14 * 8
    np.testing.assert_allclose(cnn.frame_times(2400)[:2], [0, 128 / 8000], atol=1e-12)
    names = cnn.get_feature_names_out()
    assert len(names) == cnn.n_features_out_ == cnn.transform(X[:1]).shape[1]


def test_clips_shorter_than_the_network_reads(noises):
    X, y = noises
    cnn = small("frame_level").fit(X, y)
    with pytest.warns(UserWarning, match="were padded"):
        probabilities = cnn.predict_proba([X[0][:10], X[1][:1]])
    assert np.isfinite(probabilities).all()


def test_bands_are_learnt(noises):
    X, y = noises
    cnn = small(frontend="sinc", max_epochs=2).fit(X, y)
    assert cnn.bands_.shape == cnn.initial_bands_.shape == (24, 2)
    moved = np.abs(cnn.bands_ - cnn.initial_bands_).max()
    assert 1 < moved < 4000  # Hz
    random = RandomCNNTransformer(
        "frame_level", frontend="sinc", n_filters=5, sample_rate=8000, random_state=1
    ).fit(X)
    assert np.array_equal(random.bands_, random.initial_bands_) and len(random.bands_) == 5
    with pytest.raises(AttributeError, match="no band-pass filters"):
        small().fit(X, y).bands_  # noqa: B018


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"frontend": "gammatone"}, "frontend"),
        ({"design": "sample_level", "frontend": "sinc"}, "frontend"),
        ({"design": "frame_level", "frontend": "mel"}, "frontend"),
        ({"design": "resnet"}, "design"),
        ({"mixup": -1.0}, "mixup"),
        ({"spec_augment": 1.5}, "spec_augment"),
        ({"normalize": "dataset"}, "normalize"),
        ({"learning_rate": 0}, "learning_rate"),
    ],
)
def test_parameters_that_are_not_allowed(params, message, noises):
    with pytest.raises(ValueError, match=message):
        small(**params).fit(*noises)


def test_mel_is_what_spectrogram_designs_read_anyway(noises):
    X, y = noises
    by_design, mel = small().fit(X, y), small(frontend="mel").fit(X, y)
    assert np.array_equal(by_design.transform(X), mel.transform(X))
    sinc = small(frontend="sinc").fit(X, y)
    assert sinc.transform(X).shape == mel.transform(X).shape
    assert not np.allclose(sinc.transform(X), mel.transform(X))


def test_search(noises):
    X, y = noises
    search = GridSearchCV(
        make_pipeline(small(n_filters=4), SVC()), {"cnntransformer__mixup": [0.0, 0.3]}, cv=2
    )
    search.fit(X, y)
    assert search.best_score_ > 0.8
