"""WaveNetTransformer: parameters, features, likelihoods, classes."""

import itertools
import pickle
import shutil
import warnings

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, logsumexp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_val_score

from skaudio import CNNTransformer, MFCCTransformer, WaveNetTransformer, load
from skaudio._engine import likelihood
from skaudio.networks.wavenet import SIZES, WaveNet
from tests.saving.helpers import rewrite

TINY = {
    "dilations": (1, 2, 4),
    "residual_channels": 4,
    "skip_channels": 8,
    "n_classes": 16,
    "crop_seconds": 0.05,
    "batch_seconds": 0.4,
    "max_epochs": 0,
    "random_state": 0,
}
FRAMES = MFCCTransformer(n_fft=256, hop_length=80, n_mels=8, n_mfcc=4)
Y = ["b", "a", "b", "b", "a", "b"]
nothing_learnt = pytest.mark.filterwarnings("ignore:nothing was learnt:UserWarning")
padded = pytest.mark.filterwarnings("ignore:.*and were padded:UserWarning")


def wavenet(**params):
    return WaveNetTransformer(**{**TINY, **params})


def double(fitted):
    """Its network in float64."""
    return fitted._fitted_network().double()


@pytest.fixture
def labelled(clips):
    return wavenet(conditions="label").fit(clips, Y)


@pytest.fixture
def framed(clips):
    return wavenet(conditions=FRAMES).fit(clips)


# --- likelihoods ---------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "params", [{}, {"kernel": 3}, {"output": "logistic"}, {"conditions": "label"}], ids=str
)
def test_probabilities_of_all_sequences_sum_to_one(params, length, clips):
    network = wavenet(n_classes=4, **params).fit(clips, Y)
    # amplitudes amid the four levels, whichever way these are spaced
    levels = np.unique(double(network).decode(double(network).levels()).numpy())
    assert len(levels) == 4
    sequences = [np.array(s, np.float32) for s in itertools.product(levels, repeat=length)]
    total = np.exp(network.score_samples(sequences)).sum()
    assert total == pytest.approx(1, abs=1e-12)


def test_score_is_the_sum_over_all_samples(clips):
    fitted = wavenet().fit(clips)
    network = double(fitted)
    for clip, score in zip(clips, fitted.score_samples(clips), strict=True):
        codes = network.codes(torch.from_numpy(clip)[None])
        log_p = network.predictions(codes).log_softmax(dim=1)
        expected = log_p.gather(1, codes[:, None]).sum().item()
        assert score == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("conditions", [None, "label", FRAMES], ids=["alone", "label", "frames"])
def test_long_clips_are_scored_in_tiles_that_give_the_same(conditions, rng, monkeypatch):
    clips = [0.2 * rng.standard_normal(n) for n in (9000, 100)]
    fitted = wavenet(conditions=conditions).fit(clips, [0, 1])
    whole = fitted.score_samples(clips)
    seen, predictions = [], WaveNet.predictions

    def spy(self, codes, *args):
        seen.append(codes.shape)
        return predictions(self, codes, *args)

    monkeypatch.setattr(WaveNet, "predictions", spy)
    cut = fitted.set_params(batch_size=600 / 16000).score_samples(clips)
    np.testing.assert_allclose(cut, whole, rtol=1e-12)
    assert max(n * length for n, length in seen) <= 800 and len(seen) > 12


def test_memory_of_a_long_clip_is_that_of_a_batch(rng, monkeypatch):
    monkeypatch.setattr(likelihood, "_BUDGET", 1 << 20)
    fitted = wavenet().fit([np.zeros(10)])
    floats, most = double(fitted).floats_per_prediction, 0
    predictions = WaveNet.predictions

    def spy(self, codes, *args):
        nonlocal most
        most = max(most, codes.numel())
        return predictions(self, codes, *args)

    monkeypatch.setattr(WaveNet, "predictions", spy)
    fitted.score_samples([0.1 * rng.standard_normal(60_000)])
    assert 1000 < most <= (1 << 20) / floats


def test_untrained_networks_know_next_to_nothing(rng):
    # acceptance fact: 5.545 nats, 8 bits, of 256 classes
    clips = [0.2 * rng.standard_normal(8000) for _ in range(3)]
    fitted = WaveNetTransformer(max_epochs=0, random_state=0).fit(clips)
    nats = -fitted.score_samples(clips) / 8000
    np.testing.assert_allclose(nats, np.log(256), atol=0.02)
    np.testing.assert_allclose(fitted.bits_per_sample(clips), nats / np.log(2), rtol=1e-12)


def test_density_is_the_mass_over_the_widths_of_levels(clips):
    fitted = wavenet(n_classes=256).fit(clips)
    clip = np.array([-1.0, 1.0, 0.6, 0.01, 0.0, -0.45, 3.0])
    classes = np.array([0, 255, 243, 157, 128, 18, 255])
    edges = (2 * np.arange(257) - 1) / 255 - 1
    edges = (np.sign(edges) * (256.0 ** np.abs(edges) - 1) / 255).clip(-1, 1)
    widths = np.diff(edges)[classes]
    (mass,), (density,) = fitted.score_samples([clip]), fitted.score_samples([clip], density=True)
    assert density == pytest.approx(mass - np.log(widths).sum(), rel=1e-12)
    (bits,) = fitted.bits_per_sample([clip], density=True)
    assert bits == pytest.approx(-density / 7 / np.log(2), rel=1e-12)


def test_mean_score_leaves_out_skipped_clips(clips):
    fitted = wavenet(on_error="skip").fit(clips)
    with pytest.warns(UserWarning, match="skipped 1 of 7"):
        scores = fitted.score_samples([*clips, "nowhere.wav"])
    assert np.isnan(scores[6])
    with pytest.warns(UserWarning, match="skipped 1 of 7"):
        assert fitted.score([*clips, "nowhere.wav"]) == pytest.approx(scores[:6].mean(), rel=1e-12)


@nothing_learnt
def test_cross_validation_uses_the_score(clips):
    scores = cross_val_score(wavenet(max_epochs=1), clips, cv=2, error_score="raise")
    assert scores.shape == (2,) and (scores < 0).all()


@padded
@pytest.mark.parametrize("conditions", [None, "label", FRAMES], ids=["alone", "label", "frames"])
@pytest.mark.parametrize("output", ["mulaw", "logistic"])
def test_odd_clips_have_finite_scores(conditions, output, rng):
    odd = {
        "one sample": [0.1],
        "shorter than the receptive field": [0.1, -0.2, 0.3],
        "silence": np.zeros(500),
        "minus zero": -np.zeros(500),
        "DC": np.full(500, 0.7),
        "full scale": np.tile([-1.0, 1.0], 250),
        "clipped": 100 * rng.standard_normal(500),
        "loud": np.full(500, 1e6),
    }
    clips = [np.array(clip) for clip in odd.values()]
    fitted = wavenet(conditions=conditions, output=output).fit(clips, np.arange(8) % 2)
    scores = fitted.score_samples(clips)
    assert np.isfinite(scores).all() and (scores < 0).all()
    assert scores[2] == scores[3]
    assert np.isfinite(fitted.transform(clips)).all()
    assert np.isfinite(fitted.predict_next(clips)).all()


@nothing_learnt
def test_one_clip_is_enough(rng):
    clip = [0.1 * rng.standard_normal(2000)]
    fitted = wavenet(max_epochs=2).fit(clip)
    assert fitted.n_epochs_ == 2 and np.isfinite(fitted.score_samples(clip)).all()


# --- what training brings ------------------------------------------------------------------------


def tone(hertz, n, rng):
    phase = rng.uniform(0, 6) + 2 * np.pi * hertz / 16000 * np.arange(n)
    return 0.5 * np.sin(phase) + 0.01 * rng.standard_normal(n)


def test_training_makes_clips_likelier_and_strangers_stand_out(rng):
    tones = [tone(500, 3000, rng) for _ in range(6)]
    fitted = wavenet(max_epochs=20, crop_seconds=0.1, learning_rate=0.02).fit(tones[:4])
    heard = fitted.bits_per_sample(tones[4:])
    assert (heard < 2.5).all()  # of 4
    noise = [0.5 * rng.standard_normal(3000) for _ in range(3)]
    assert fitted.bits_per_sample(noise).min() > heard.max() + 1
    row = fitted.history_[-1]
    assert row["train_bits"] == pytest.approx(row["train_loss"] / np.log(2), rel=1e-6)
    assert fitted.loss_curve_[-1] < fitted.loss_curve_[0]


def test_classes_are_told_by_how_likely_they_make_a_clip(rng):
    kinds = {"low": 300, "high": 3000}
    X = [tone(kinds[y], 2000, rng) for y in ["low", "high"] * 6]
    y = np.array(["low", "high"] * 6)
    params = {"max_epochs": 20, "crop_seconds": 0.1, "learning_rate": 0.02}
    fitted = wavenet(conditions="label", **params).fit(X[:8], y[:8])
    assert (fitted.predict(X[8:]) == y[8:]).all()
    # the label is heard: each class makes its own clips likelier than the other does
    assert np.exp(fitted.predict_log_proba(X[8:]))[range(4), [1, 0, 1, 0]].min() > 0.99


# --- Bayes' rule ---------------------------------------------------------------------------------


def by_hand(fitted, clips):
    """Log-likelihood of clips under each label, one clip and one label at a time."""
    network, rows = double(fitted), []
    for clip in clips:
        codes = network.codes(torch.from_numpy(clip)[None])
        row = []
        for label in range(network.n_labels):
            log_p = network.predictions(codes, torch.tensor([label])).log_softmax(dim=1)
            row.append(log_p.gather(1, codes[:, None]).sum().item())
        rows.append(row)
    return np.array(rows)


def test_classes_follow_from_scoring_by_hand_under_each(labelled, clips):
    assert labelled.classes_.tolist() == ["a", "b"]
    assert labelled.class_count_.tolist() == [2.0, 4.0]
    joint = by_hand(labelled, clips) + np.log([2 / 6, 4 / 6])
    np.testing.assert_allclose(
        labelled.predict_log_proba(clips), log_softmax(joint, axis=1), atol=1e-9
    )
    np.testing.assert_allclose(labelled.score_samples(clips), logsumexp(joint, 1), rtol=1e-12)
    assert labelled.predict(clips).tolist() == [["a", "b"][i] for i in joint.argmax(1)]
    probabilities = labelled.predict_proba(clips)
    np.testing.assert_allclose(probabilities, np.exp(labelled.predict_log_proba(clips)), atol=1e-12)


def test_all_classes_are_scored_in_one_pass_while_memory_lasts(labelled, clips, monkeypatch):
    seen, predictions = [], WaveNet.predictions

    def spy(self, codes, *args):
        seen.append(len(codes))
        return predictions(self, codes, *args)

    monkeypatch.setattr(WaveNet, "predictions", spy)
    wanted = labelled.predict_log_proba(clips[:1])
    assert seen == [2]
    seen.clear()
    found = labelled.set_params(batch_size=len(clips[0]) / 16000).predict_log_proba(clips[:1])
    assert seen == [1, 1]
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_logarithms_are_finite_where_probabilities_are_not_told_apart(rng):
    X = [tone(hertz, 2000, rng) for hertz in (300, 3000) * 4]
    params = {"max_epochs": 20, "crop_seconds": 0.1, "learning_rate": 0.02}
    fitted = wavenet(conditions="label", **params).fit(X, [0, 1] * 4)
    long = [np.tile(X[0], 5)]
    assert fitted.predict_proba(long).tolist() == [[1.0, 0.0]]
    assert -np.inf < fitted.predict_log_proba(long)[0, 1] < -700


def test_next_sample_weighs_classes_by_what_was_heard(labelled, clips):
    posterior = np.exp(labelled.predict_log_proba(clips))
    network, expected = double(labelled), []
    for clip, weights in zip(clips, posterior, strict=True):
        codes = network.codes(torch.from_numpy(np.append(clip, 0.0))[None])
        after = [
            network.predictions(codes, torch.tensor([c]))[0, :, -1].softmax(0).detach().numpy()
            for c in range(2)
        ]
        expected.append(weights @ after)
    np.testing.assert_allclose(labelled.predict_next(clips), expected, atol=1e-12)


@nothing_learnt
def test_partial_fits_count_all_clips(clips):
    fitted = wavenet(conditions="label", max_epochs=1).partial_fit(clips, Y).partial_fit(clips, Y)
    assert fitted.class_count_.tolist() == [4.0, 8.0] and fitted.n_epochs_ == 2
    with pytest.raises(ValueError, match="y has 'c', which is none of the 2 classes"):
        fitted.partial_fit(clips, [*Y[:5], "c"])
    assert fitted.class_count_.tolist() == [4.0, 8.0]
    assert fitted.fit(clips, Y).class_count_.tolist() == [2.0, 4.0]


def test_without_labels_there_are_no_classes(clips):
    fitted = wavenet().fit(clips, Y)
    for name in ("predict", "predict_proba", "predict_log_proba", "classes_"):
        assert not hasattr(fitted, name)
    with pytest.raises(AttributeError) as caught:
        fitted.predict(clips)
    assert "conditions='label'" in str(caught.value.__cause__)
    again = wavenet(conditions="label").fit(clips, Y).set_params(conditions=None).fit(clips)
    assert not hasattr(again, "predict")


@pytest.mark.parametrize("max_epochs", [0, 1])
def test_labels_are_needed_whatever_the_number_of_epochs(max_epochs, clips):
    with pytest.raises(ValueError, match="requires y to be passed"):
        wavenet(conditions="label", max_epochs=max_epochs).fit(clips)


def test_features_without_a_label_are_those_of_the_mean_vector(labelled, clips):
    network = labelled._fitted_network()
    network.conditioning.label_table.data[:] = network.conditioning.label_table.data.mean(0)
    x = torch.from_numpy(clips[0].astype(np.float32))[None, None]
    lengths = torch.tensor([len(clips[0])])
    ((frames, _),) = network(x, lengths, torch.tensor([0]))
    (found,) = labelled.transform_frames(clips[:1])
    np.testing.assert_allclose(found, frames[0].T.detach(), atol=1e-6)


# --- frames of an extractor ----------------------------------------------------------------------


def test_frames_are_those_of_the_extractor_standardised(framed, clips):
    alone = clone(FRAMES).fit(clips)
    frames = np.concatenate([alone.transform_frames([clip])[0] for clip in clips])
    conditions = framed._conditions()
    wave = torch.from_numpy(clips[1].astype(np.float32))[None]
    found = conditions(wave)[0].T.numpy()
    assert found.shape == (-(-len(clips[1]) // 80), 12)
    mean, scale = framed.condition_mean_, framed.condition_scale_
    expected = (alone.transform_frames([clips[1]])[0] - mean) / scale
    np.testing.assert_allclose(found, expected[: len(found)], atol=1e-4)
    # all clips alike, so that the moments of all frames are near
    assert np.abs(frames.mean(0) - mean).max() < 0.3 * scale.max()
    np.testing.assert_allclose(scale, frames.std(0), rtol=0.3)


def test_a_fitted_extractor_is_used_as_it_is(clips, rng):
    learnt = WaveNetTransformer(**TINY).fit(clips)
    fitted = wavenet(conditions=learnt).fit(clips)
    assert fitted.condition_ is not learnt
    for name, w in learnt.weights_.items():
        np.testing.assert_array_equal(fitted.condition_.weights_[name], w)
    wanted = fitted.score_samples(clips)
    learnt.set_params(random_state=1).fit(clips)  # later, which is of no concern
    np.testing.assert_array_equal(fitted.score_samples(clips), wanted)


def test_an_unfitted_extractor_is_cloned(clips):
    extractor = clone(FRAMES)
    fitted = wavenet(conditions=extractor).fit(clips)
    assert "n_features_out_" not in vars(extractor)
    assert "n_features_out_" in vars(fitted.condition_)


def test_a_clone_forgets_what_an_extractor_has_learnt_unless_it_is_frozen(clips):
    learnt = wavenet(random_state=7).fit(clips)
    frozen = clone(wavenet(conditions=FrozenEstimator(learnt))).fit(clips)
    plain = clone(wavenet(conditions=learnt)).set_params(conditions__random_state=8).fit(clips)
    w = learnt.weights_["out"]
    assert np.array_equal(frozen.condition_.weights_["out"], w)
    assert not np.array_equal(plain.condition_.weights_["out"], w)


def test_an_extractor_that_needs_labels_must_be_fitted(clips):
    cnn = CNNTransformer(n_filters=2, max_epochs=1)
    with pytest.raises(ValueError, match="CNNTransformer in conditions learns from labels; fit it"):
        wavenet(conditions=cnn).fit(clips)


@nothing_learnt
def test_crops_and_clips_are_told_their_frames(clips):
    others = wavenet(conditions=FRAMES, max_epochs=2, random_state=0).fit(clips)
    before = others.weights_["out"]
    quiet = [0.1 * clip for clip in clips]
    again = wavenet(conditions=FRAMES, max_epochs=2, random_state=0)
    assert not np.array_equal(again.fit(quiet).weights_["out"], before)
    shifted = clone(others).fit(clips)
    shifted.condition_mean_ = shifted.condition_mean_ + 1
    assert not np.array_equal(shifted.transform(clips), others.transform(clips))
    assert not np.array_equal(shifted.score_samples(clips), others.score_samples(clips))


def test_frames_of_the_extractor_that_has_none_are_zero():
    conditions = wavenet(conditions=FRAMES).fit([np.zeros(500)])._conditions()
    found = conditions._on_grid(torch.empty(2, 12, 0), torch.zeros(2, dtype=torch.int64), 5)
    assert found.shape == (2, 12, 5) and not found.any()


def test_checkpoints_know_the_extractor(clips, tmp_path):
    def fitted(frames, folder):
        return wavenet(conditions=frames, max_epochs=1, checkpoint=folder).fit(clips)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = wavenet(random_state=1).fit(clips)
        other = wavenet(random_state=1).fit(clips)
        other.weights_ = {name: 2 * w for name, w in other.weights_.items()}
        fitted(one, tmp_path)
        fitted(other, tmp_path)
        assert len([*tmp_path.glob("*.pt")]) == 2
        fitted(one, tmp_path)
    assert len([*tmp_path.glob("*.pt")]) == 2


def test_cached_features_are_those_of_the_extractor(clips, tmp_path):
    rows = []
    for scale in (1, 2):
        inner = wavenet(random_state=1).fit(clips)
        inner.weights_ = {name: scale * w for name, w in inner.weights_.items()}
        outer = wavenet(conditions=inner, memory=tmp_path).fit(clips)
        # the same standardisation, so that only the weights of the inner one differ
        outer.condition_mean_ = np.zeros_like(outer.condition_mean_)
        outer.condition_scale_ = np.ones_like(outer.condition_scale_)
        rows.append(outer.transform(clips))
    assert not np.array_equal(*rows)


# --- saving --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["label", "fitted", "unfitted", "frozen"])
def test_saved_ones_come_back(kind, clips, tmp_path):
    learnt = wavenet(random_state=7).fit(clips)
    conditions = {
        "label": "label", "fitted": learnt, "unfitted": FRAMES, "frozen": FrozenEstimator(learnt)
    }[kind]  # fmt: skip
    fitted = wavenet(conditions=conditions).fit(clips, Y)
    fitted.save(tmp_path / "saved")
    back = load(tmp_path / "saved")
    copied = pickle.loads(pickle.dumps(fitted))
    for other in (back, copied):
        assert type(other.conditions) is type(conditions)
        np.testing.assert_array_equal(other.transform(clips), fitted.transform(clips))
        np.testing.assert_array_equal(other.score_samples(clips), fitted.score_samples(clips))
    if kind == "frozen":
        assert np.array_equal(
            clone(back).conditions.estimator.weights_["out"], learnt.weights_["out"]
        )


# --- parameters ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_sizes_are_those_of_the_networks(size):
    extractor = WaveNetTransformer(size, max_epochs=0)
    extractor._validate()
    extractor._learn([], extractor._run())
    assert extractor.architecture_ == SIZES[size]
    assert extractor.receptive_field_ == WaveNet(**SIZES[size]).receptive_field


def test_parameters_change_the_network(clips):
    fitted = wavenet(kernel=3, dilations=(1, 5), residual_channels=6, skip_channels=10).fit(clips)
    network = fitted._fitted_network()
    assert fitted.receptive_field_ == network.receptive_field
    assert network.receptive_field == len(network.first) + 2 * 6
    assert fitted.transform(clips).shape == (6, 20)
    layer = wavenet(layer=2, hop_length=100, pooling="max").fit(clips)
    assert layer.transform(clips).shape == (6, 4)
    assert layer.transform_frames(clips[:1])[0].shape == (9, 4)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"size": "huge"}, ValueError, "size='huge' is unknown"),
        ({"output": "gauss"}, ValueError, "output='gauss' is unknown"),
        ({"dilations": ()}, ValueError, "dilations"),
        ({"dilations": (1, 0)}, ValueError, "must hold 2 positive integers"),
        ({"kernel": 0}, ValueError, "kernel=0 must be at least 1"),
        ({"kernel": 2.0}, TypeError, "kernel=2.0 must be an integer or None"),
        ({"residual_channels": 0}, ValueError, "residual_channels=0"),
        ({"skip_channels": -1}, ValueError, "skip_channels=-1"),
        ({"n_classes": 1}, ValueError, "n_classes=1 must be between 2 and 65536"),
        ({"layer": 3}, ValueError, "layer=3 must be between 0 and 2"),
        ({"hop_length": 0}, ValueError, "hop_length=0"),
        ({"conditions": "speaker"}, ValueError, "conditions='speaker' is unknown"),
        ({"conditions": 3}, TypeError, "conditions=3 must be None, 'label' or an extractor"),
        (
            {"conditions": MFCCTransformer(sample_rate=8000)},
            ValueError, "sample_rate=16000, but that of conditions is 8000",
        ),
        (
            {"conditions": FRAMES, "hop_length": 100},
            ValueError, "hop_length=100 must be a multiple of 80",
        ),
    ],
)  # fmt: skip
def test_wrong_parameters(params, error, message, clips):
    extractor = wavenet(**params)
    with pytest.raises(error, match=message):
        extractor.fit(clips)
    assert not [name for name in vars(extractor) if name.endswith("_")]


def test_unfitted_ones_say_so(clips):
    extractor = wavenet()
    for method in (extractor.score_samples, extractor.bits_per_sample, extractor.predict_next):
        with pytest.raises(NotFittedError):
            method(clips)
    with pytest.raises(NotFittedError):
        wavenet(conditions="label").predict(clips)


def test_what_stands_in_a_file_for_the_extractor_is_checked(framed, tmp_path):
    framed.save(tmp_path / "saved")

    def changed(change):
        shutil.copytree(tmp_path / "saved", tmp_path / "other", dirs_exist_ok=True)
        rewrite(tmp_path / "other", change)
        return tmp_path / "other"

    def inner(document):
        return document["state"]["condition_"]["estimator"]

    stranger = {"class": "os.system"}
    changes = {
        "os.system, which skaudio does not trust": lambda d, _: inner(d).update(stranger),
        "lacks 'class'": lambda d, _: inner(d).pop("class"),
        "MFCCTransformer has no fit": lambda d, _: inner(d)["state"].update(fit=1),
        "MFCCTransformer has no colour": lambda d, _: inner(d)["parameters"].update(colour=1),
        "n_mfcc=5000 is more than": lambda d, _: inner(d)["parameters"].update(n_mfcc=5000),
        "condition_ is not the one of": lambda d, _: inner(d)["parameters"].update(hop_length=90),
        "condition_ is no extractor": lambda d, _: d["state"].update(condition_=3),
        "n_features_out_ must be": lambda d, _: inner(d)["state"].update(n_features_out_=7),
        "condition_mean_ is": lambda d, arrays: arrays.update(condition_mean_=np.zeros(3, "f4")),
    }  # fmt: skip
    for reason, change in changes.items():
        with pytest.raises(ValueError, match=f"cannot be loaded: .*{reason}"):
            load(changed(change))
    load(tmp_path / "saved")
