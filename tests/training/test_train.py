"""Training: crops, checkpoints, little memory, several processes, and poor sounds to learn from."""

import json
import os
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import sklearn
import soundfile
import torch
from skaudio._engine.train import Crops, Recipe, Waves, train
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from skorch.callbacks import Callback
from torch import nn

import skaudio
from skaudio import AudioFile, VQTransformer, Wav2VecTransformer
from skaudio._engine import checkpoint
from skaudio._engine import train as module
from skaudio.audio import Clips
from skaudio.datasets import make_sounds
from skaudio.networks.contrastive import Contrast
from skaudio.networks.ema import EMAQuantizer

SMALL = {
    "encoder_layers": ((8, 10, 5), (8, 8, 4)),
    "aggregator_layers": ((8, 2, 1), (8, 3, 1)),
    "n_steps": 3,
    "n_negatives": 3,
    "crop_seconds": 0.1,
    "batch_seconds": 0.5,
    "early_stopping": False,
    "random_state": 0,
}


def small(**params):
    return Wav2VecTransformer(**{**SMALL, **params})


def noise(*lengths):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(n).astype(np.float32) for n in lengths]


CLIPS = noise(*[8000] * 8)


class Stop(Exception):
    """The power fails."""


class Fails(Callback):
    """Fail when an epoch begins."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise Stop


class Counts(Callback):
    """Count the updates."""

    def initialize(self):
        self.updates = 0
        return self

    def on_batch_end(self, net, training=False, **kwargs):
        self.updates += training


def losses(wav2vec):
    return [(row["train_loss"], row["valid_loss"]) for row in wav2vec.history_]


def equal_weights(a, b):
    return all(np.array_equal(a.weights_[name], b.weights_[name]) for name in a.weights_)


def test_a_stopped_training_goes_on_as_if_nothing_had_been(tmp_path):
    whole = small(max_epochs=4).fit(CLIPS)
    with pytest.raises(Stop):
        small(max_epochs=4, checkpoint=tmp_path, callbacks=[Fails(3)]).fit(CLIPS)
    (file,) = tmp_path.iterdir()
    counts = Counts()
    rest = small(max_epochs=4, checkpoint=tmp_path, callbacks=[counts]).fit(CLIPS)
    assert losses(rest) == losses(whole) and equal_weights(rest, whole)
    assert [row["epoch"] for row in rest.history_] == [1, 2, 3, 4]
    assert 0 < counts.updates < 4 * 10
    assert [*tmp_path.iterdir()] == [file]


def test_without_a_seed_it_goes_on_as_well(tmp_path):
    with pytest.raises(Stop):
        small(
            max_epochs=3, checkpoint=tmp_path, random_state=None, callbacks=[Fails(2)]
        ).fit(CLIPS)  # fmt: skip
    rest = small(max_epochs=3, checkpoint=tmp_path, random_state=None).fit(CLIPS)
    assert rest.n_epochs_ == 3 and len([*tmp_path.iterdir()]) == 1


def test_a_finished_training_is_not_done_again(tmp_path):
    first = small(max_epochs=2, checkpoint=tmp_path).fit(CLIPS)
    counts = Counts()
    # what only concerns the features is another question to the same network
    again = small(max_epochs=2, checkpoint=tmp_path, features="z", callbacks=[counts]).fit(CLIPS)
    assert counts.updates == 0
    assert again.history_ == first.history_ and equal_weights(again, first)
    again.set_params(features="c")
    np.testing.assert_array_equal(again.transform(CLIPS), first.transform(CLIPS))


@pytest.mark.parametrize(
    "other",
    [
        {"clips": CLIPS[1:]},
        {"learning_rate": 1e-3},
        {"random_state": 1},
        {"groups": [0, 0, 1, 1, 2, 2, 3, 3]},
        {"objective": "bce"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_training_has_its_own_checkpoint(tmp_path, other):
    small(max_epochs=1, checkpoint=tmp_path).fit(CLIPS)
    clips, groups = other.pop("clips", CLIPS), other.pop("groups", None)
    counts = Counts()
    new = small(max_epochs=1, checkpoint=tmp_path, callbacks=[counts], **other)
    new.fit(clips, groups=groups)
    assert counts.updates and len([*tmp_path.iterdir()]) == 2


def test_time_spent_counts_when_a_training_goes_on(tmp_path):
    first = small(max_epochs=10_000, max_minutes=0.02, checkpoint=tmp_path).fit(CLIPS)
    again = small(max_epochs=10_000, max_minutes=0.02, checkpoint=tmp_path).fit(CLIPS)
    assert again.history_ == first.history_


def test_partial_fit_with_a_checkpoint_goes_on(tmp_path):
    wav2vec = small(checkpoint=tmp_path)
    for epochs in (1, 2, 3):
        before = dict(getattr(wav2vec, "weights_", {}))
        wav2vec.partial_fit(CLIPS)
        assert wav2vec.n_epochs_ == epochs
        assert not before or not np.array_equal(
            before["head.weight"], wav2vec.weights_["head.weight"]
        )


class Touches:
    """Pickled, it makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def test_a_malicious_checkpoint_runs_nothing(tmp_path):
    small(max_epochs=1, checkpoint=tmp_path / "states").fit(CLIPS)
    (file,) = (tmp_path / "states").iterdir()
    checkpoint.save(file, {"done": True, "history": [], "best": Touches(tmp_path / "touched")})
    with pytest.raises(ValueError, match="holds no state of a training"):
        small(max_epochs=1, checkpoint=tmp_path / "states").fit(CLIPS)
    assert not (tmp_path / "touched").exists()


def test_divergence_names_the_last_good_checkpoint(tmp_path):
    class Explodes(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                with torch.no_grad():
                    next(net.module_.parameters()).fill_(torch.nan)

    pattern = (
        r"diverged: the loss is nan in epoch 3 at learning rate .*; epoch 2 was the last good one "
        rf"and is saved in {tmp_path}.*\.pt; pass a lower learning_rate"
    )
    with pytest.raises(ValueError, match=pattern):
        small(max_epochs=5, checkpoint=tmp_path, callbacks=[Explodes()]).fit(CLIPS)


class Sum(nn.Module):
    """A task without chance, on a device that takes few crops at a time."""

    shortest, progress, settles, chance = 10, 0.0, 0.0, float("inf")

    def __init__(self, most):
        super().__init__()
        self.scale, self.most, self.asked = nn.Parameter(torch.ones(10)), most, []

    def reseed(self, seed):
        """Draw nothing."""

    def memory(self, n_crops, n_samples):
        """Ask for little."""
        return n_crops * n_samples

    def forward(self, wave):
        self.asked.append(len(wave))
        if len(wave) > self.most:
            raise torch.OutOfMemoryError("too many crops")
        loss = (wave[:, :10] * self.scale - 1).square().sum()
        return Contrast(loss, len(wave), (wave[:, 0] > 0).sum())


RECIPE = Recipe(
    sample_rate=1000, crop_seconds=0.1, batch_seconds=0.8, max_epochs=2, max_minutes=None,
    learning_rate=1e-2, validation_fraction=0.0, early_stopping=False, callbacks=None,
    checkpoint=None, precision="float32", device="cpu", verbose=0,
)  # fmt: skip


def test_little_memory_gives_the_same_weights_in_parts():
    clips = Clips(noise(*[1000] * 5), 1000)
    plenty, little = Sum(most=8), Sum(most=3)
    expected = train(plenty, clips, RECIPE, 0, "")
    with pytest.warns(UserWarning, match="cpu memory is too small for batches of 8 crops") as seen:
        found = train(little, clips, RECIPE, 0, "")
    assert len(seen) == 1 and little.asked[:4] == [8, 4, 2, 2]
    torch.testing.assert_close(little.scale, plenty.scale)
    assert found[-1]["train_loss"] == pytest.approx(expected[-1]["train_loss"], rel=1e-6)
    assert found[-1]["train_accuracy"] == expected[-1]["train_accuracy"]


def test_a_quantizer_takes_part_once_frames_mean_something(monkeypatch):
    quantize, seen = EMAQuantizer.forward, []

    def spy(quantizer, *args, **kwargs):
        if quantizer.training:
            seen.append(task.progress)
        return quantize(quantizer, *args, **kwargs)

    def catch(found, *args, **kwargs):
        nonlocal task
        task = found
        return train(found, *args, **kwargs)

    task = None
    monkeypatch.setattr(EMAQuantizer, "forward", spy)
    monkeypatch.setattr("skaudio.extractors._predictive.train", catch)
    words = vq(max_epochs=10).fit(CLIPS)
    assert 0.3 <= min(seen) < 0.5 and len(seen) > 0.5 * 10 * 2
    assert words.weights_["quantizer.counts"].any()
    seen.clear()
    words.partial_fit(CLIPS)  # it knows its frames already
    assert min(seen) == 0


def test_memory_for_not_even_one_crop_is_an_error():
    with pytest.raises(torch.OutOfMemoryError), pytest.warns(UserWarning, match="too small"):
        train(Sum(most=0), Clips(noise(1000), 1000), RECIPE, 0, "")


def crops_of(lengths, crop, *, groups=None, batch=400, seed=0, **options):
    """Crops of clips whose samples are all different."""
    ends = np.cumsum([n + 1 for n in lengths])  # a number between clips is missing
    clips = [np.arange(b - 1 - n, b - 1.0) for n, b in zip(lengths, ends, strict=True)]
    waves = Waves(Clips(clips, 1000), 1)
    groups = np.zeros(len(clips), int) if groups is None else np.asarray(groups)
    which = np.arange(len(clips))
    return Crops(waves, which, groups, crop, batch, seed, **{"fixed": False, **options})


def test_processes_share_every_batch():
    lengths = (1000, 700, 100, 60)
    whole = [*crops_of(lengths, 100)]
    shares = [[*crops_of(lengths, 100, share=(i, 3))] for i in range(3)]
    for (wave, weights), *parts in zip(whole, *shares, strict=True):
        together = torch.cat([part for part, _ in parts])
        assert {*map(bytes, together.numpy())} == {*map(bytes, wave.numpy())}
        # gradients are averaged over the processes: each crop then counts alike
        assert sum(w.sum() for _, w in parts) / 3 == pytest.approx(float(weights.sum()))
        assert weights.sum() == pytest.approx(1)


def test_long_clips_give_crops_by_their_length():
    crops = crops_of((1000, 100), 100, batch=100)
    assert len(crops) == 11
    waves = [wave[0].numpy() for wave, _ in crops]
    assert all((np.diff(wave) == 1).all() for wave in waves)  # from one place of one clip
    assert sum(wave[0] >= 1000 for wave in waves) == 1


def test_short_clips_are_joined_anew_in_each_epoch():
    crops = crops_of([30] * 20, 100)
    epochs = [np.concatenate([wave.numpy() for wave, _ in crops]) for _ in range(2)]
    for epoch in epochs:
        assert epoch.shape == (6, 100)
        assert len(np.unique(epoch)) == 600  # nothing is heard twice
        joints = np.diff(epoch, axis=1) != 1
        assert (joints.sum(axis=1) >= 3).all() and (joints.sum(axis=1) <= 4).all()
    assert not np.array_equal(*epochs)


def test_only_clips_of_a_group_are_joined():
    crops = crops_of([30] * 20 + [20], 100, groups=[0, 1] * 10 + [2])
    groups = []
    for wave, _ in crops:
        clips = (wave.numpy() // 31).astype(int)
        groups += [{2 if clip == 20 else clip % 2 for clip in row} for row in clips]
    assert all(len(group) == 1 for group in groups)
    # of a group too short for a crop all is heard, cut to by what shares its batch
    assert [*map(sum, groups)].count(2) == 1


def test_a_fixed_epoch_is_always_the_same():
    crops = crops_of([30] * 20 + [250], 100, fixed=True)
    first, second = ([wave.numpy() for wave, _ in crops] for _ in range(2))
    assert all(map(np.array_equal, first, second))


def test_two_processes_learn_as_one_does(tmp_path):
    rng, time = np.random.default_rng(0), np.arange(8000) / 16000
    for i in range(20):
        low, high = rng.uniform(100, 7000, 2)
        sweep = 0.3 * np.sin(2 * np.pi * (low * time + (high - low) * time**2))
        soundfile.write(tmp_path / f"{i}.wav", sweep, 16000)
    params = {
        "encoder_layers": [[16, 10, 5], [16, 8, 4], [16, 4, 2]],
        "aggregator_layers": [[16, 2, 1], [16, 3, 1]],
        "n_steps": 3,
        "n_negatives": 500,  # so many that their draw, which processes do not share, hardly shows
        "crop_seconds": 0.25,
        "batch_seconds": 2,
        "max_epochs": 60,
        "early_stopping": False,
        "device": "cpu",
    }
    script = Path(__file__).parents[2] / "docs/examples/share_training.py"
    command = [str(script), str(tmp_path), "--params", json.dumps(params)]
    two = ["-m", "torch.distributed.run", "--nproc_per_node=2"]
    two += ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    curves = []
    for how in ([], two):
        text = subprocess.run(
            [sys.executable, *how, *command],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        curves.append([json.loads(line) for line in text.splitlines()])
    assert [len(curve) for curve in curves] == [60, 60]  # only one process speaks
    for name in ("train_loss", "valid_loss"):
        one, shared = np.array([[row[name] for row in curve] for curve in curves])
        assert one[-1] < 0.92 * one[0]
        np.testing.assert_allclose(shared, one, rtol=0.05)
        assert shared.mean() == pytest.approx(one.mean(), rel=0.02)


def test_callbacks_are_not_saved(tmp_path):
    wav2vec = small(max_epochs=1, callbacks=[Counts()]).fit(CLIPS)
    wav2vec.save(tmp_path / "saved")
    again = skaudio.load(tmp_path / "saved")
    assert again.callbacks is None
    np.testing.assert_array_equal(again.transform(CLIPS), wav2vec.transform(CLIPS))


def test_groups_come_by_metadata_routing(monkeypatch):
    seen = []

    def spy(*args, groups=None, **kwargs):
        seen.append(groups)
        return train(*args, groups=groups, **kwargs)

    monkeypatch.setattr("skaudio.extractors._predictive.train", spy)
    sounds = make_sounds(24, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        extractor = small(max_epochs=1).set_fit_request(groups=True)
        pipe = make_pipeline(extractor, SVC())
        pipe.fit(sounds.data, sounds.target, groups=sounds.groups)
    assert list(seen[0]) == list(sounds.groups)


def vq(quantizer="ema", **params):
    return VQTransformer(quantizer, n_codes=4, **{**SMALL, **params})


@pytest.mark.parametrize(
    "make",
    [small, vq, partial(vq, "kmeans"), partial(vq, "gumbel")],
    ids=["wav2vec", "ema", "kmeans", "gumbel"],
)
@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ([np.zeros(8000, np.float32)] * 4, "all clips are silent"),
        (noise(8000), None),
        (noise(40, 60, 100), "all clips are shorter than the"),
        ([noise(8000)[0]] * 6, None),
        (noise(*[400] * 50), None),
    ],
    ids=["silent", "one clip", "shorter than the offset", "equal clips", "many of 0.1 s"],
)
def test_poor_sounds_give_features(make, clips, message):
    rate = 4000 if len(clips) == 50 else 16000
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        extractor = make(max_epochs=2, sample_rate=rate).fit(clips)
        features = extractor.transform(clips)
    assert np.isfinite(features).all() and extractor.n_epochs_ == 2
    expected = ("were padded", "nothing was learnt")  # of noise
    texts = [str(warning.message) for warning in seen]
    if message is None:
        assert all(any(part in text for part in expected) for text in texts)
    else:
        assert message in " ".join(texts)


@pytest.mark.parametrize("make", [small, vq])
def test_nan_is_an_error_or_is_left_out(make):
    clips = noise(*[8000] * 5)
    clips[2][100] = np.nan
    with pytest.raises(ValueError, match="clip 2 "):
        make(max_epochs=1).fit(clips)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        skipped = make(max_epochs=1, on_error="skip").fit(clips)
    without = make(max_epochs=1).fit(clips[:2] + clips[3:])
    assert equal_weights(skipped, without)


def test_one_clip_of_two_hours(tmp_path):
    """It is learnt from in crops, and read in windows: memory holds one copy of its samples."""
    rate, path = 1000, tmp_path / "long.wav"
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", rate, 1) as file:
        for _ in range(120):
            file.write(0.1 * rng.standard_normal(60 * rate))
    wav2vec = small(sample_rate=rate, max_epochs=1, batch_seconds=8.0, window_seconds=30.0)
    assert wav2vec.fit([path]).transform([path]).shape == (1, 16)
    part = wav2vec.transform([AudioFile(path, start=0, stop=60)])
    assert np.isfinite(part).all()


def test_the_share_that_is_held_out():
    training, held_out = module._split(10, 0.1, None, np.random.default_rng(0))
    assert len(training) == 9 and len(held_out) == 1
