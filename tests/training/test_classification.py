"""Trainings on labels: what the head learns, what it tells, and what is forgotten."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from skaudio.training import Classification, CropBatch, _train
from tests.training.helpers import Counts, Fails, Stop, equal_weights, noise
from tests.utils.training_examples import (
    QUICK,
    ClassifyingTransformer,
    Convolution,
    ReconstructingTransformer,
)

pytestmark = pytest.mark.filterwarnings("ignore:nothing was learnt")
X = noise(*[4000, 3000, 5000, 3500, 4500, 2500, 6000, 1000])
Y = np.array(list("abbababa"))


def tiny(**params):
    return ClassifyingTransformer(**{**QUICK, "random_state": 0, **params})


def bands(n, seed):
    """Noise of three classes: as it is, without its high tones, and without its low ones."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    clips = [0.1 * rng.standard_normal(4000 + 100 * i) for i in range(n)]
    filters = {0: lambda x: x, 1: lambda x: 0.1 * np.cumsum(x), 2: np.diff}
    return [filters[label](clip) for label, clip in zip(y, clips, strict=True)], y


def test_classes_of_sounds_are_learnt():
    (X, y), (others, wanted) = bands(60, 0), bands(40, 1)
    extractor = ClassifyingTransformer(8, max_epochs=25, learning_rate=1e-2, random_state=0)
    names = np.array(["all", "low", "high"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        extractor.set_params(crop_seconds=0.25, batch_seconds=2.0).fit(
            X, np.array(["all", "low", "high"])[y]
        )
    assert list(extractor.classes_) == ["all", "high", "low"]
    found = extractor.predict(others)
    assert (found == names[wanted]).mean() > 0.9
    assert extractor.history_[-1]["valid_accuracy"] > 0.7 > extractor.history_[0]["train_accuracy"]


def recomputed(task, wave):
    """Logits in float64, from the definition."""
    state = {name: w.double().numpy() for name, w in task.state_dict().items()}
    kernels, bias = state["network.conv.weight"][:, 0], state["network.conv.bias"]
    starts = range(0, wave.shape[1] - 63, 32)
    frames = np.stack([wave[:, i : i + 64] @ kernels.T + bias for i in starts], axis=-1)
    frames = np.abs(frames)

    def standardised(x, axes):
        mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
        return (x - mean) / np.sqrt(var + 1e-5)

    scale, shift = (state[f"network.norm.{part}"][:, None] for part in ("weight", "bias"))
    frames = standardised(frames, (0, 2)) * scale + shift
    vectors = standardised(np.hstack([frames.mean(-1), frames.std(-1)]), 0)
    vectors /= np.sqrt(vectors.shape[1])  # of length 1, whatever the width
    return vectors @ state["head.1.weight"].T + state["head.1.bias"]


def test_loss_and_accuracy_are_those_of_the_definition():
    torch.manual_seed(0)
    task = Classification(Convolution(3), 4, pooling="mean_std")
    nn.init.normal_(task.head[1].weight)
    rng = np.random.default_rng(0)
    wave, target = rng.standard_normal((6, 300)), rng.integers(0, 4, 6)
    batch = CropBatch(
        torch.from_numpy(wave).float(), torch.full((6,), 1 / 6), torch.arange(6),
        torch.from_numpy(target),
    )  # fmt: skip
    outcome = task(batch)
    logits = recomputed(task, wave)
    posteriors = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    loss = -posteriors[np.arange(6), target].sum()
    assert float(outcome.loss.detach()) == pytest.approx(loss, rel=1e-4) and outcome.n == 6
    assert int(outcome.scores["accuracy"]) == (logits.argmax(1) == target).sum()


def test_chance_is_what_the_frequencies_of_the_classes_tell():
    y = np.repeat([0, 1, 2], [5, 3, 2])
    shares = np.array([0.5, 0.3, 0.2])
    task = Classification(Convolution(3), 4, y=y)
    assert task.chance == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-12)


def test_one_crop_alone_is_standardised_by_earlier_batches():
    task = Classification(Convolution(3), 2)
    with torch.no_grad():
        for _ in range(3):
            task.head(torch.randn(8, 3, generator=torch.Generator().manual_seed(0)))
    before = task.head[0].running_mean.clone()
    one = torch.ones(1, 3)
    assert torch.equal(task.head(one), task.eval().head(one))
    assert torch.equal(task.head[0].running_mean, before)


def test_a_head_of_ones_own_may_be_cut_in_parts():
    assert not Classification(Convolution(3), 2).divisible
    assert Classification(Convolution(3), 2, head=torch.nn.Linear(3, 2)).divisible


def test_what_the_head_learnt_comes_back(tmp_path):
    fitted = tiny().fit(X, Y)
    assert {"head.0.running_var", "head.0.num_batches_tracked", "head.1.weight", "head.1.bias"} <= {
        *fitted.task_weights_
    }
    wanted = fitted.predict_proba(X)
    again = pickle.loads(pickle.dumps(fitted))
    assert equal_weights(again, fitted)
    np.testing.assert_array_equal(again.predict_proba(X), wanted)
    # what goes on from a copy goes on alike
    for go_on in (
        lambda extractor: extractor.partial_fit(X, Y),
        lambda extractor: extractor.set_params(warm_start=True).fit(X, Y),
    ):
        one, other = go_on(fitted), go_on(again)
        assert equal_weights(one, other)
        assert not np.array_equal(one.predict_proba(X), wanted)
    whole = tiny(max_epochs=4).fit(X, Y)
    with pytest.raises(Stop):
        tiny(max_epochs=4, checkpoint=tmp_path, callbacks=[Fails(3)]).fit(X, Y)
    rest = tiny(max_epochs=4, checkpoint=tmp_path).fit(X, Y)
    assert equal_weights(rest, whole)
    np.testing.assert_array_equal(rest.predict_proba(X), whole.predict_proba(X))


def test_a_lost_head_shows():
    fitted = tiny().fit(X, Y)
    wanted = fitted.predict_proba(X)
    fitted.task_weights_ = {n: np.zeros_like(w) for n, w in fitted.task_weights_.items()}
    assert not np.array_equal(fitted.predict_proba(X), wanted)


def trains_anew(folder, y=Y, **params):
    """Whether a training with these labels is another one than those in the folder."""
    counts = Counts()
    tiny(checkpoint=folder, callbacks=[counts], **params).fit(X, y)
    return counts.updates > 0


def test_a_checkpoint_is_of_these_labels(tmp_path):
    assert trains_anew(tmp_path)
    assert not trains_anew(tmp_path)
    assert not trains_anew(tmp_path, np.where(Y == "a", 3, 7))  # classes by other names
    other = Y.copy()
    other[[0, 1]] = other[[1, 0]]
    assert trains_anew(tmp_path, other)
    assert trains_anew(tmp_path, np.where(np.arange(8) == 2, "c", Y))


def test_a_checkpoint_is_of_the_pooling_that_the_head_is_trained_on(tmp_path):
    assert trains_anew(tmp_path, pooling="mean")
    assert trains_anew(tmp_path, pooling="max")  # features as many as before


def test_a_checkpoint_is_of_the_weights_that_it_began_with(tmp_path):
    before = pickle.dumps(tiny(warm_start=True).fit(X, Y).set_params(checkpoint=tmp_path))

    def updates(change=None):
        again, counts = pickle.loads(before), Counts()
        if change is not None:
            getattr(again, change)[CHANGED[change]] += 1
        again.set_params(callbacks=[counts]).fit(X, Y)
        return counts.updates

    assert updates() and not updates()
    assert updates("weights_") and updates("task_weights_")


CHANGED = {"weights_": "conv.weight", "task_weights_": "head.1.bias"}


def test_a_fit_without_training_knows_no_classes_of_an_earlier_one():
    extractor = tiny().fit(X, Y)
    extractor.set_params(max_epochs=0).fit(X)
    assert "classes_" not in vars(extractor) and "task_weights_" not in vars(extractor)
    assert not hasattr(extractor, "predict")
    with pytest.raises(AttributeError, match="predict_proba") as error:
        extractor.predict_proba(X)
    assert "knows no classes" in str(error.value.__cause__)
    assert extractor.transform(X).shape == (8, 8)


def test_partial_fit_after_a_fit_without_training_learns_classes():
    extractor = tiny(max_epochs=0).fit(X).partial_fit(X, Y)
    assert list(extractor.classes_) == ["a", "b"] and extractor.n_epochs_ == 1


def test_classes_that_were_not_fitted_are_named():
    extractor = tiny().fit(X, Y)
    before = dict(vars(extractor))
    with pytest.raises(ValueError, match="y has 'c', which is none of the 2 classes"):
        extractor.partial_fit(X, ["c", *Y[1:]])
    assert vars(extractor) == before
    extractor.partial_fit(X, ["a"] * 8)  # of those that are known one will do
    assert list(extractor.classes_) == ["a", "b"]


def test_other_classes_need_another_head():
    extractor = tiny(warm_start=True).fit(X, Y)
    extractor.classes_ = np.array(["a", "b", "c"])
    with pytest.raises(ValueError, match=r"does not fit this task.*warm_start=False"):
        extractor.fit(X, Y)


def test_skipped_clips_have_no_class():
    extractor = tiny(on_error="skip").fit(X, Y)
    clips = [X[0], np.full(100, np.nan), X[1]]
    with pytest.warns(UserWarning, match="skipped 1 of 3"):
        probabilities = extractor.predict_proba(clips)
    assert np.isnan(probabilities).tolist() == [[False] * 2, [True] * 2, [False] * 2]
    message = "1 of 3 clips cannot be used and have no class, clip 1 first"
    with pytest.raises(ValueError, match=message), pytest.warns(UserWarning):
        extractor.predict(clips)


def test_the_held_out_part_has_its_share_of_each_class(monkeypatch):
    seen, hold_out = [], _train.hold_out
    monkeypatch.setattr(_train, "hold_out", lambda *args: seen.append(hold_out(*args)) or seen[-1])
    y = np.repeat(["rare", "common"], [5, 25])
    tiny(validation_fraction=0.2, max_epochs=1).fit(noise(*[1000] * 30), y)
    ((training, held_out),) = seen
    assert sorted(y[held_out]) == ["common"] * 5 + ["rare"]
    assert len(training) == 24


def test_labels_of_a_task_that_needs_none_are_ignored():
    params = {**QUICK, "random_state": 0}
    without = ReconstructingTransformer(**params).fit(X)
    for y in (Y, [None] * 8, [0.5, np.nan]):
        assert equal_weights(ReconstructingTransformer(**params).fit(X, y), without)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["dog", 1, *Y[2:]], r"y mixes kinds: y\[0\] is 'dog' and y\[1\] is 1"),
        ([*Y[:7], None], r"y\[7\] is None; every clip needs a label"),
        ([*Y[:7], np.nan], r"y\[7\] is nan; every clip needs a label"),
        (Y[:7], "y has 7 entries for 8 clips"),
        (["a"] * 8, "y has one class, .*'a'"),
        ([["a", "b"]] * 8, "must be a sequence of one number or name per clip"),
        (np.stack([Y, Y], 1), "y should be a 1d array"),
        (np.linspace(0, 1, 8), "continuous"),
    ],
)
def test_labels_that_cannot_be_used_are_told_before_a_clip_is_read(y, message, monkeypatch):
    if "one class" not in message:  # which of them remain is known once clips are
        monkeypatch.setattr("skaudio.audio.Clips.check", None)
    extractor = tiny()
    for fit in (extractor.fit, extractor.partial_fit):
        with pytest.raises(ValueError, match=message):
            fit(X, y)
    assert not [name for name in vars(extractor) if name.endswith("_")]


def test_clips_are_standardised_by_what_clips_have_not_crops():
    """Crops of one frame have no deviation, clips have: what no crop told must not decide."""
    (clips, y), (others, wanted) = bands(60, 0), bands(40, 1)
    crop = {"crop_seconds": 90 / 16000, "batch_seconds": 0.2, "validation_fraction": 0.0}
    extractor = ClassifyingTransformer(
        8, **crop, pooling="mean_std_max", max_epochs=6, learning_rate=1e-2, random_state=0
    ).fit(clips, y)
    features = extractor.transform(clips).astype(float)
    state = extractor.task_weights_
    np.testing.assert_allclose(state["head.0.running_mean"], features.mean(0), rtol=1e-5)
    np.testing.assert_allclose(state["head.0.running_var"], features.var(0), rtol=1e-5)
    assert (extractor.predict(others) == wanted).mean() > 0.9


def test_constant_features_are_only_centred():
    extractor = tiny(max_epochs=1)
    extractor.fit([np.zeros(4000)] * 8, Y)
    assert (extractor.task_weights_["head.0.running_var"] == 1).all()
    assert np.isfinite(extractor.predict_proba([np.ones(3000)])).all()
