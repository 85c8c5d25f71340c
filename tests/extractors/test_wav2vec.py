"""Wav2VecTransformer: features of checkpoints against float64, and what training leaves behind."""

import argparse
import warnings

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from skorch.callbacks import Callback

from skaudio import Wav2VecTransformer
from skaudio.datasets import make_sounds
from tests.networks.test_wav2vec_network import by_hand

LAYERS = {
    "encoder_layers": ((16, 10, 5), (16, 8, 4), (16, 4, 2)),
    "aggregator_layers": ((16, 2, 1), (16, 3, 1)),
}
OFFICIAL = {
    "conv_feature_layers": "[(16, 10, 5)] + [(16, 8, 4)] + [(16, 4, 2)] * 1",
    "conv_aggregator_layers": "[(16, 2, 1), (16, 3, 1)]",
    "log_compression": True,
    "skip_connections_agg": True,
    "activation": "relu",
}


def noise(*lengths):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(n).astype(np.float32) for n in lengths]


def official_weights():
    """The tensors of a checkpoint by their published names."""
    generator = torch.Generator().manual_seed(0)
    shapes, width = {}, 1
    for i, (dim, kernel, _) in enumerate(LAYERS["encoder_layers"]):
        shapes[f"feature_extractor.conv_layers.{i}.0.weight"] = (dim, width, kernel)
        shapes[f"feature_extractor.conv_layers.{i}.2.weight"] = (dim,)
        shapes[f"feature_extractor.conv_layers.{i}.2.bias"] = (dim,)
        width = dim
    for i, (dim, kernel, _) in enumerate(LAYERS["aggregator_layers"]):
        shapes[f"feature_aggregator.conv_layers.{i}.1.weight"] = (dim, width, kernel)
        for key in ("1.bias", "3.weight", "3.bias"):
            shapes[f"feature_aggregator.conv_layers.{i}.{key}"] = (dim,)
    shapes["wav2vec_predictions.project_to_steps.weight"] = (16, 16, 1, 12)
    shapes["wav2vec_predictions.project_to_steps.bias"] = (16,)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def write(path, kind):
    model = official_weights()
    if kind == "cfg":
        torch.save({"cfg": {"model": OFFICIAL}, "model": model}, path)
    elif kind == "s3prl":
        torch.save({"task_cfg": {}, "model_cfg": OFFICIAL, "model_weight": model}, path)
    else:
        args = argparse.Namespace(arch="wav2vec", **OFFICIAL)
        legacy = {"_use_new_zipfile_serialization": kind != "legacy"}
        torch.save({"args": args, "model": model}, path, **legacy)
    return path


@pytest.mark.parametrize("kind", ["args", "legacy", "cfg", "s3prl"])
@pytest.mark.parametrize("features", ["z", "c"])
def test_checkpoints_give_the_features_of_float64(tmp_path, kind, features):
    path = write(tmp_path / "wav2vec.pt", kind)
    X = noise(3000, 5000)
    wav2vec = Wav2VecTransformer(pretrained=path, features=features).fit(X)
    assert wav2vec.n_epochs_ == 0 and not wav2vec.learns_from_clips
    network = wav2vec._ready(None).network
    official = official_weights()
    first = wav2vec.weights_["encoder.0.conv.weight"]
    assert np.array_equal(first, official["feature_extractor.conv_layers.0.0.weight"])
    options = {"encoder": LAYERS["encoder_layers"], "aggregator": LAYERS["aggregator_layers"]}
    place = {"z": 0, "c": 2}[features]
    for wave, frames in zip(X, wav2vec.transform_frames(X), strict=True):
        (wanted,) = by_hand(network, wave, (place,), **options)
        assert np.abs(frames.T - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_what_contradicts_a_checkpoint_is_named(tmp_path):
    path = write(tmp_path / "wav2vec.pt", "args")
    X = noise(3000)
    with pytest.raises(ValueError, match=r"sample_rate=8000, but .*wav2vec\.pt"):
        Wav2VecTransformer(pretrained=path, sample_rate=8000).fit(X)
    with pytest.raises(ValueError, match=r"encoder_layers=.*, but .*wav2vec\.pt"):
        Wav2VecTransformer(pretrained=path, encoder_layers=((8, 10, 5),)).fit(X)
    with pytest.raises(FileNotFoundError, match=r"none\.pt"):
        Wav2VecTransformer(pretrained=tmp_path / "none.pt").fit(X)


def test_training_goes_on_from_a_checkpoint(tmp_path):
    path = write(tmp_path / "wav2vec.pt", "args")
    X = noise(*[8000] * 6)
    still = Wav2VecTransformer(pretrained=path, random_state=0).fit(X)
    moved = Wav2VecTransformer(pretrained=path, max_epochs=1, random_state=0).fit(X)
    assert moved.n_epochs_ == 1
    name = "aggregator.0.conv.weight"
    assert not np.array_equal(moved.weights_[name], still.weights_[name])
    assert np.abs(moved.weights_[name] - still.weights_[name]).max() < 0.1


def small(**params):
    defaults = {"crop_seconds": 0.3, "batch_seconds": 1.5, "max_epochs": 3, "random_state": 0}
    return Wav2VecTransformer(**{**LAYERS, **defaults, **params})


@pytest.fixture(scope="module")
def sounds():
    return make_sounds(48, random_state=0)


def test_training_learns_to_tell_the_future(sounds):
    wav2vec = small(max_epochs=12, n_steps=4).fit(sounds.data)
    first, last = wav2vec.history_[0], wav2vec.history_[-1]
    assert last["valid_loss"] < first["valid_loss"] < np.log(11) + 0.3
    assert last["valid_accuracy"] > 1.5 / 11  # of eleven moments one is the true one
    assert wav2vec.n_epochs_ == len(wav2vec.history_) == len(wav2vec.loss_curve_)
    expected = {"epoch", "seconds", "updates", "learning_rate", "train_loss", "train_accuracy"}
    assert {*first} == {*expected, "valid_loss", "valid_accuracy"}


def test_training_is_repeated_by_its_seed(sounds):
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    first, second = (small(max_epochs=2).fit(sounds.data) for _ in range(2))
    other = small(max_epochs=2, random_state=1).fit(sounds.data)
    for name, w in first.weights_.items():
        assert np.array_equal(w, second.weights_[name])
    assert not np.array_equal(first.weights_["head.weight"], other.weights_["head.weight"])
    assert np.array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


def test_the_best_epoch_is_kept(sounds):
    wav2vec = small(max_epochs=4, learning_rate=0.05).fit(sounds.data)
    losses = [row["valid_loss"] for row in wav2vec.history_]
    best = int(np.argmin(losses)) + 1
    again = small(max_epochs=4, learning_rate=0.05, callbacks=[_Stop(best)]).fit(sounds.data)
    for name, w in wav2vec.weights_.items():
        assert np.array_equal(w, again.weights_[name])


class _Stop(Callback):
    """Ends the training after some epochs, as Ctrl-C would."""

    def __init__(self, epochs):
        self.epochs = epochs

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epochs:
            raise KeyboardInterrupt


def test_time_ends_a_training_with_its_epoch_complete(sounds):
    wav2vec = small(max_epochs=10_000, max_minutes=0.02).fit(sounds.data)
    assert 1 <= wav2vec.n_epochs_ < 10_000
    assert "valid_loss" in wav2vec.history_[-1]
    assert wav2vec.history_[-1]["learning_rate"] < 1e-3


def test_warm_start_and_partial_fit_go_on(sounds):
    wav2vec = small(max_epochs=1, warm_start=True).fit(sounds.data)
    before = wav2vec.weights_["head.weight"].copy()
    wav2vec.fit(sounds.data)
    assert wav2vec.n_epochs_ == 2
    assert [row["epoch"] for row in wav2vec.history_] == [1, 2]
    assert not np.array_equal(wav2vec.weights_["head.weight"], before)
    wav2vec.partial_fit(sounds.data)
    assert wav2vec.n_epochs_ == 3
    assert small().partial_fit(sounds.data).n_epochs_ == 1


def test_untrained_weights_stay_as_they_were_drawn():
    X = noise(4000)
    first, second = (small(max_epochs=0).fit(X) for _ in range(2))
    for name, w in first.weights_.items():
        assert np.array_equal(w, second.weights_[name])
    assert first.history_ == []


def test_features_are_context_frames_or_both():
    X = noise(4000, 9000)
    c, z, both = (
        small(max_epochs=0, features=name).fit(X).transform(X) for name in ("c", "z", "cz")
    )
    assert np.allclose(both, np.concatenate([c, z], axis=1), rtol=1e-5, atol=1e-6)
    layer = small(max_epochs=0, layer=2).fit(X).transform(X)
    assert np.allclose(layer, c, rtol=1e-5, atol=1e-6)


def test_windows_are_clips_of_their_own():
    (wave,) = noise(10_000)
    cut = small(max_epochs=0, window_seconds=0.25).fit([wave])
    frames = cut.transform_frames([wave])[0]
    parts = cut.transform_frames([wave[:4000], wave[4000:8000], wave[8000:]])
    assert np.allclose(frames, np.concatenate(parts), rtol=1e-5, atol=1e-6)
    times = cut.frame_times(10_000)
    assert len(times) == len(frames) and (np.diff(times) > 0).all()
    wanted = np.concatenate(parts)
    pooled = np.concatenate([wanted.mean(axis=0), wanted.std(axis=0)])
    assert np.allclose(cut.transform([wave])[0], pooled, rtol=1e-4, atol=1e-5)


def test_a_clip_too_long_for_memory_names_the_window(monkeypatch):
    from skaudio._engine import forward

    wav2vec = small(max_epochs=0, batch_size=0.1).fit(noise(4000))
    monkeypatch.setattr(forward.os, "sysconf", lambda name: 10)
    with pytest.raises(ValueError, match="pass window_seconds"):
        wav2vec.transform(noise(9000))


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ([np.zeros(9000, np.float32)] * 4, "silent"),
        (noise(100, 150), "shorter than the"),
    ],
    ids=["silent", "short"],
)
def test_poor_corpora_are_warned_about(clips, message):
    with pytest.warns(UserWarning, match=message):
        wav2vec = small(max_epochs=1).fit(clips)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isfinite(wav2vec.transform(clips)).all()


def test_divergence_names_epoch_and_learning_rate(sounds):
    with pytest.raises(ValueError, match=r"diverged: .* epoch \d+ at learning rate .*lower"):
        small(learning_rate=1e30, max_epochs=20).fit(sounds.data)


def test_groups_are_not_on_both_sides(sounds, monkeypatch):
    from skaudio.training import _train as module

    seen = []
    crops = module.Crops

    def spy(waves, which, *args, **kwargs):
        seen.append({sounds.groups[waves.rows[i]] for i in which})
        return crops(waves, which, *args, **kwargs)

    monkeypatch.setattr(module, "Crops", spy)
    small(max_epochs=1).fit(sounds.data, groups=sounds.groups)
    training, held_out, prepared = seen
    assert training and held_out and not training & held_out
    assert prepared == training


def test_grid_search_in_processes(sounds):
    pipe = make_pipeline(small(max_epochs=1), SVC())
    grid = {"wav2vectransformer__features": ["c", "z"]}
    search = GridSearchCV(pipe, grid, cv=2, n_jobs=2, error_score="raise")
    search.fit(sounds.data, sounds.target)
    assert search.best_estimator_.predict(sounds.data[:3]).shape == (3,)
