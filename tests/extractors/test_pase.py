"""PASETransformer: published encoders against float64, and what teachers leave behind."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skops import io as skops_io

from skaudio import PASETransformer, augment, load, workers
from skaudio.datasets import make_sounds
from skaudio.networks.pase import SIZES
from tests.networks.test_pase_network import by_hand, state
from tests.pretrained.test_pase_files import content, ours

# what a few updates teach is nothing
pytestmark = pytest.mark.filterwarnings("ignore:nothing was learnt:UserWarning")

LAYERS = ((8, 31, 5), (8, 8, 4), (12, 5, 2), (12, 11, 2), (16, 11, 2))


def noise(*lengths):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(n).astype(np.float32) for n in lengths]


class Loudness(workers.Regression):
    """A worker that the library does not have."""

    n_targets = 1

    def target(self, wave):
        power = wave.unfold(1, self.hop_length, self.hop_length).square().mean(2)
        return power.add(1e-10).log()[:, None]


def upside_down(wave, generator):
    """A distortion that the library does not have."""
    return -wave


def small(**params):
    defaults = {
        "layers": LAYERS,
        "n_features": 8,
        "workers": ["mfcc", Loudness],
        "crop_seconds": 0.4,
        "batch_seconds": 1.6,
        "max_epochs": 2,
        "random_state": 0,
    }
    return PASETransformer(**{**defaults, **params})


@pytest.fixture(scope="module")
def sounds():
    return make_sounds(24, random_state=0).data


# --- published encoders --------------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path):
    """Function that writes a checkpoint; it gives its path, and what is in it by hand."""

    def stored(kind):
        torch.save(content(kind), tmp_path / "FE.ckpt")
        return tmp_path / "FE.ckpt", ours(content(kind))

    return stored


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize(("kind", "n_features"), [("pase", 6), ("pase+", 8)])
def test_checkpoints_give_the_features_of_float64(stored, kind, n_features, reference):
    path, weights = stored(kind)
    X = noise(3200, 5000)
    pase = PASETransformer(pretrained=path, reference=reference).fit(X)
    assert pase.n_epochs_ == 0 and not pase.learns_from_clips and pase.history_ == []
    assert pase.n_features_out_ == 2 * n_features
    for wave, frames in zip(X, pase.transform_frames(X), strict=True):
        expected, _ = by_hand(weights, wave, reference=reference)
        assert np.abs(frames.T - expected).max() <= 1e-5 * np.abs(expected).max()


def test_what_contradicts_a_checkpoint_is_named(stored, tmp_path):
    path, _ = stored("pase+")
    X = noise(3200)
    with pytest.raises(ValueError, match=r"sample_rate=8000, but .*FE\.ckpt .* 16000 Hz; pass"):
        PASETransformer(pretrained=path, sample_rate=8000).fit(X)
    with pytest.raises(ValueError, match=r"n_features=9, but .*FE\.ckpt has 8; leave it out"):
        PASETransformer(pretrained=path, n_features=9).fit(X)
    with pytest.raises(ValueError, match=r"layers=.*, but .*FE\.ckpt has .*; leave it out"):
        PASETransformer(pretrained=path, layers=LAYERS).fit(X)
    with pytest.raises(FileNotFoundError, match=r"none\.ckpt"):
        PASETransformer(pretrained=tmp_path / "none.ckpt").fit(X)


def test_training_goes_on_from_a_checkpoint(stored):
    path, weights = stored("pase+")
    X = noise(*[8000] * 6)
    teaching = {"workers": ["mfcc"], "crop_seconds": 0.2, "random_state": 0}
    moved = PASETransformer(pretrained=path, max_epochs=1, **teaching).fit(X)
    assert moved.n_epochs_ == 1
    step = np.abs(moved.weights_["projection.weight"] - weights["projection.weight"])
    assert 0 < step.max() < 0.1


# --- training ------------------------------------------------------------------------------------


def test_history_has_a_column_for_each_worker(sounds):
    pase = small().fit(sounds)
    columns = {
        f"{part}_loss{of}" for part in ("train", "valid") for of in ("", "_mfcc", "_loudness")
    }
    assert {*pase.history_[0]} == {"epoch", "seconds", "updates", "learning_rate", *columns}
    for row in pase.history_:
        for part in ("train", "valid"):
            total = row[f"{part}_loss_mfcc"] + row[f"{part}_loss_loudness"]
            assert row[f"{part}_loss"] == pytest.approx(total, rel=1e-5)


def test_workers_learn_their_tasks():
    sounds = make_sounds(48, random_state=0).data
    pase = small(max_epochs=15, learning_rate=3e-3).fit(sounds)
    first, last = pase.history_[0], min(pase.history_, key=lambda row: row["valid_loss"])
    for worker in ("mfcc", "loudness"):
        assert last[f"valid_loss_{worker}"] < 0.7 * first[f"valid_loss_{worker}"]


def test_training_is_repeated_by_its_seed(sounds):
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    options = {"workers": ["mfcc", "lim"], "distortions": "pase+"}
    first, second = (small(**options).fit(sounds) for _ in range(2))
    other = small(**options, random_state=1).fit(sounds)
    for name, w in {**first.weights_, **first.task_weights_}.items():
        assert np.array_equal(w, {**second.weights_, **second.task_weights_}[name]), name
    name = "projection.weight"
    assert not np.array_equal(first.weights_[name], other.weights_[name])
    assert np.array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


def test_an_own_distortion_is_heard_in_training_alone(sounds):
    chosen = (None, [(upside_down, 0.0)], [upside_down])
    plain, never, always = (small(distortions=d, max_epochs=1).fit(sounds) for d in chosen)
    for name, w in plain.weights_.items():
        np.testing.assert_allclose(never.weights_[name], w, rtol=1e-5, atol=1e-6)
    moved = np.abs(plain.weights_["projection.bias"] - always.weights_["projection.bias"])
    assert moved.max() > 1e-4
    # in use nothing is distorted
    features = always.transform(sounds)
    assert np.array_equal(always.set_params(distortions=None).transform(sounds), features)


def test_random_scales_are_what_the_teachers_ask_about(sounds):
    asked = []

    class Notes(Loudness):
        def target(self, wave):
            asked.append(wave.abs().amax(1))
            return super().target(wave)

    peaks = []
    for scale in (False, True):
        small(workers=[Notes], random_scale=scale, max_epochs=1).fit([x / 100 for x in sounds])
        peaks.append(torch.cat(asked))
        asked.clear()
    plain, scaled = peaks
    assert plain.max() <= 0.01
    assert 0.3 < scaled.mean() < 0.7 and 0.9 < scaled.max() <= 1  # uniform


def test_what_teaches_is_the_lesson_of_the_size():
    chosen = {size: small(size=size, workers=None)._chosen_workers() for size in SIZES}
    assert chosen == {size: size for size in SIZES}
    assert {*workers.resolve("pase")} >= {"waveform", "lps", "mfcc", "prosody", "lim", "gim", "spc"}


def test_unknown_teachers_and_distortions_are_refused(sounds):
    for params, pattern in (
        ({"workers": ["pitch"]}, r"worker .pitch. is unknown"),
        ({"workers": []}, "workers"),
        ({"workers": "all"}, r"workers.*all"),
        ({"distortions": "loud"}, r"distortions.*loud"),
        ({"distortions": [3]}, "distortions"),
        ({"size": "huge"}, r"size='huge'"),
        ({"layers": ((8, 31),)}, "layers"),
        ({"n_features": 0}, "n_features=0"),
        ({"reference": "yes"}, "reference='yes'"),
        ({"random_scale": 1}, "random_scale=1"),
    ):
        with pytest.raises((ValueError, TypeError), match=pattern):
            small(**params).fit(sounds)


ODD = {
    "silence": np.zeros(8000),
    "constant": np.full(8000, 0.5),
    "noise": noise(8000)[0],
    "constant pitch": np.arange(8000) % 128 == 0,
    "shorter than a period": np.sin(np.arange(60) / 30),
    "one sample": np.ones(1),
    "loud": 32768 * noise(8000)[0],
}


@pytest.mark.filterwarnings("ignore:.*shorter than:UserWarning", "ignore:all clips are silent")
@pytest.mark.parametrize("alone", [False, True])
def test_odd_sounds_teach_finite_numbers(alone, sounds):
    clips = [np.asarray(clip, np.float32) for clip in ODD.values()]
    heard = [clips[0]] * 4 if alone else [*clips, *sounds[:4]]  # nothing but silence, or a mixture
    chosen = ["lps", "fbank", "mfcc", "prosody"]
    pase = small(workers=chosen, max_epochs=1, validation_fraction=0.0).fit(heard)
    assert np.isfinite([*pase.history_[0].values()]).all()
    for name, w in {**pase.weights_, **pase.task_weights_}.items():
        assert np.isfinite(w).all(), name
    assert np.isfinite(pase.transform(clips)).all()


def test_noises_of_the_user_or_one_clear_error(sounds, tmp_path, write_audio):
    def trained(folder):
        noisy = partial(augment.add_noise, noises=folder)
        return small(workers=["mfcc"], distortions=[(noisy, 1.0)], max_epochs=1).fit(sounds)

    for folder, message in (("missing", "is no folder; pass"), (".", "holds no sounds")):
        with pytest.raises(ValueError, match=rf"noises.*{message}"):
            trained(tmp_path / folder)
    write_audio("short.wav", 0.1 * noise(500)[0])  # a crop has 6400 samples
    plain = small(workers=["mfcc"], max_epochs=1).fit(sounds)
    assert not np.array_equal(trained(tmp_path).transform(sounds), plain.transform(sounds))


def test_a_sound_whose_targets_overflow_is_told(sounds):
    loud = np.zeros(8000)
    loud[4000:4100] = 1e18  # its energy is a number yet, that of its sum is not
    with pytest.raises(ValueError, match=r"what LPS is to predict is not finite"):
        small(workers=["lps"]).fit([*sounds, loud])


def test_a_worker_with_arguments_survives_a_clone(sounds):
    pase = small(workers=[("loud", partial(Loudness, context=3))])
    again = clone(pase).fit(sounds)
    assert "train_loss_loud" in again.history_[0]


# --- use -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_a_long_clip_is_worked_on_in_parts(size):
    (wave,) = noise(70_000)
    pase = PASETransformer(size, max_epochs=0, random_state=0).fit([wave])
    parts = clone(pase).set_params(batch_size=0.1).fit([wave])
    whole, cut = (p.transform_frames([wave])[0] for p in (pase.set_params(batch_size=60), parts))
    assert whole.shape == ({"pase": 437, "pase+": 437, "tiny": 437}[size], len(whole[0]))
    assert np.abs(whole - cut).max() <= 1e-5 * np.abs(whole).max()


def test_frames_lie_in_the_middle_of_what_they_hear():
    pase = PASETransformer("pase", max_epochs=0).fit(noise(3200))
    times = pase.frame_times(16000)
    assert len(times) == 100
    np.testing.assert_allclose(times[:2], [150.5 / 16000, 310.5 / 16000])


def test_bands_start_on_the_mel_scale_and_move(sounds):
    pase = small().fit(sounds)
    assert pase.bands_.shape == pase.initial_bands_.shape == (8, 2)
    assert (pase.bands_ != pase.initial_bands_).any()
    np.testing.assert_allclose(pase.initial_bands_[0, 0], 80, rtol=1e-6)


def test_names_of_features():
    pase = small(max_epochs=0).fit(noise(3200))
    assert [*pase.get_feature_names_out()[[0, 8]]] == ["pase_0_mean", "pase_0_std"]


@pytest.mark.parametrize("n_samples", [1, 100, 470])
def test_clips_shorter_than_the_mirror_get_zeros(n_samples):
    (wave,) = noise(n_samples)
    pase = PASETransformer("pase+", max_epochs=0, random_state=0).fit([np.ones(500)])
    with pytest.warns(UserWarning, match=r"shorter than the 471 samples"):
        (frames,) = pase.transform_frames([wave])
    expected, _ = by_hand(state(pase._ready(None).network), np.pad(wave, (0, 471 - n_samples)))
    assert np.abs(frames.T - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("form", ["pase", "pase.skops"])
def test_own_teachers_and_distortions_are_saved(sounds, tmp_path, form):
    options = {
        "workers": ["mfcc", workers.GIM, ("loud", partial(Loudness, context=3))],
        "distortions": [(upside_down, 0.5)],
    }
    pase = small(**options, max_epochs=1).fit(sounds)
    if form.endswith(".skops"):
        skops_io.dump(pase, tmp_path / form)
    else:
        pase.save(tmp_path / form)
    again = load(tmp_path / form, trusted=[Loudness, upside_down, partial])
    assert [type(item) for item in again.workers] == [str, type, tuple]
    assert np.array_equal(again.transform(sounds), pase.transform(sounds))
    assert again.partial_fit(sounds).n_epochs_ == 2
    with pytest.raises(ValueError, match=r"Loudness|upside_down"):
        load(tmp_path / form)


def test_a_class_that_is_no_worker_is_not_loaded(sounds, tmp_path):
    pase = small(max_epochs=0).fit(sounds).set_params(workers=[("loud", Loudness)])
    pase.save(tmp_path / "pase")
    text = next((tmp_path / "pase").glob("*.json"))
    text.write_text(text.read_text().replace(f"{__name__}.Loudness", "pathlib.Path"))
    with pytest.raises(ValueError, match=r"pathlib.Path is no function, nor a worker"):
        load(tmp_path / "pase", trusted=[Path])
