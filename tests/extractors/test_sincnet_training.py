"""Training of SincNetTransformer: its optimizers, the bands it learns, its heads, its sizes."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from skorch.callbacks import Callback

from skaudio import SincNetTransformer
from skaudio.networks.sinc import SincConv
from skaudio.plotting import FilterBankDisplay
from skaudio.training import _loop
from tests.extractors.published_sincnet import load
from tests.networks.test_sincnet_network import noise
from tests.training.helpers import equal_weights

pytestmark = pytest.mark.filterwarnings("ignore:nothing was learnt:UserWarning")
QUICK = {"chunk_seconds": 0.05, "batch_seconds": 0.4, "max_epochs": 2, "random_state": 0}


# --- optimizers and bands -------------------------------------------------------------------------


def sincnet(**params):
    return SincNetTransformer(**{**QUICK, **params})


@pytest.fixture(scope="module")
def task():
    """Noise of two colours, and its names."""
    white = [noise(3200, seed=i) for i in range(8)]
    y = np.array(["dull", "shrill"] * 4)
    return [np.cumsum(x) - x if i % 2 == 0 else np.diff(x) for i, x in enumerate(white)], y


class Optimizers(Callback):
    """Note the optimizers of a training, and the rates of their groups in each update."""

    def initialize(self):
        self.optimizers, self.rates = [], []
        return self

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.optimizers = net.optimizer_._optimizers
            self.rates.append([group["lr"] for group in net.optimizer_.param_groups])


def noted(X, y, **params):
    """The optimizers of a training, their rates (updates x groups), and the sizes of groups."""
    notes = Optimizers()
    fitted = sincnet(callbacks=[notes], learning_rate=2e-3, **params).fit(X, y)
    groups = [g["params"] for optimizer in notes.optimizers for g in optimizer.param_groups]
    sizes = [sum(p.numel() for p in group) for group in groups]
    return fitted, notes.optimizers, np.array(notes.rates), sizes


def size(weights, *starts):
    return sum(w.size for name, w in weights.items() if name.startswith(starts))


def test_optimizers_of_the_paper(task):
    fitted, optimizers, rates, sizes = noted(*task, optimizer="paper")
    assert [type(optimizer) for optimizer in optimizers] == [torch.optim.RMSprop] * 3
    for optimizer in optimizers:
        settings = {name: optimizer.defaults[name] for name in ("alpha", "eps", "momentum")}
        assert settings == {"alpha": 0.95, "eps": 1e-8, "momentum": 0}
        assert not optimizer.defaults["centered"] and not optimizer.defaults["weight_decay"]
    assert len(rates) > 3 and (rates == 2e-3).all()
    dense = size(fitted.weights_, "flat_norm", "dense")
    everything = size(fitted.weights_, "")
    assert sizes == [everything - dense, dense, size(fitted.task_weights_, "head")]


def test_default_optimizer(task):
    fitted, (optimizer,), rates, sizes = noted(*task)
    assert isinstance(optimizer, torch.optim.Adam)
    edges = size(fitted.weights_, "convs.0")
    assert edges == 2 * 40
    everything = size(fitted.weights_, "") + size(fitted.task_weights_, "head")
    assert sizes == [everything - edges, edges]
    # the edges are numbers of Hz, and learn faster by as much all the way
    np.testing.assert_allclose(rates[:, 1], 3000 * rates[:, 0], rtol=1e-12)
    assert len({*rates[:, 0]}) > 3 and rates[:, 0].max() <= 2e-3 and rates[-1, 0] < 1e-4


def test_an_ordinary_first_layer_has_no_edges_to_learn(task):
    _, (optimizer,), _, sizes = noted(*task, first="conv")
    assert isinstance(optimizer, torch.optim.Adam) and len(sizes) == 1


def test_edges_move_by_training(task):
    fitted = sincnet(max_epochs=4).fit(*task)
    start = SincConv(40, 251, 16000)
    np.testing.assert_allclose(fitted.initial_bands_, start.bands().detach(), rtol=1e-6)
    assert fitted.bands_.shape == (40, 2)
    moved = np.abs(fitted.bands_ - fitted.initial_bands_)
    assert moved.mean() > 1  # Hz
    low = 50 + np.abs(fitted.weights_["convs.0.low_hz_"][:, 0].astype(np.float64))
    high = low + 50 + np.abs(fitted.weights_["convs.0.band_hz_"][:, 0].astype(np.float64))
    expected = np.stack([low, np.minimum(high, 8000)], axis=1)
    np.testing.assert_allclose(fitted.bands_, expected, rtol=1e-12)
    display = FilterBankDisplay.from_estimator(fitted)
    np.testing.assert_array_equal(display.filters[0], fitted.bands_)
    np.testing.assert_array_equal(display.initial, fitted.initial_bands_)
    untrained = sincnet(max_epochs=0).fit(task[0])
    np.testing.assert_array_equal(untrained.bands_, untrained.initial_bands_)


def test_an_ordinary_first_layer_has_no_bands(task):
    fitted = sincnet(first="conv", max_epochs=1).fit(*task)
    for name in ("bands_", "initial_bands_"):
        with pytest.raises(AttributeError, match=r"no band-pass filters.*first='sinc'"):
            getattr(fitted, name)
    with pytest.raises(TypeError, match="SincNetTransformer has no filter bank to show"):
        FilterBankDisplay.from_estimator(fitted)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "params",
    [{"max_epochs": 8}, {"first": "conv", "max_epochs": 8}, {"norm": "chunk", "max_epochs": 16}],
    ids=str,
)
def test_voices_never_heard_are_told_apart(params):
    X, y = voices(48, seed=0)
    others, wanted = voices(48, seed=1)
    chunks = {"chunk_seconds": 0.1, "hop_seconds": 0.05, "batch_seconds": 1.6}
    tiny = sincnet(sample_rate=8000, **{**chunks, **params}).fit(X, y)
    assert (tiny.predict(others) == wanted).mean() > 0.7  # chance is 1/6
    classifier = LogisticRegression().fit(tiny.transform(X), y)
    assert classifier.score(tiny.transform(others), wanted) > 0.7


def voices(n, seed):
    """Vowels at changing pitches; each of six voices has resonances of its own at 8 kHz."""
    rng = np.random.default_rng(seed)
    y, clips, time = np.arange(n) % 6, [], np.arange(3200) / 8000
    for voice in y:
        pitch = rng.uniform(90, 220)
        phase = 2 * np.pi * (pitch * time + 0.5 * np.sin(2 * np.pi * 3 * time + rng.uniform(0, 6)))
        harmonics = np.arange(1, int(3900 / pitch))
        formants = np.array([500, 1500, 2500]) * (0.8 + 0.09 * voice) * rng.normal(1, 0.01, 3)
        hz = pitch * harmonics[:, None]
        gains = (1 / (1 + ((hz - formants) / 80) ** 2)).sum(1)
        clip = (gains[:, None] * np.sin(harmonics[:, None] * phase)).sum(0)
        clips.append(clip + 0.01 * rng.standard_normal(len(clip)))
    return clips, np.array([f"voice {voice}" for voice in y])


# --- checkpoints that are trained further --------------------------------------------------------


def test_a_checkpoint_needs_no_labels_unless_it_is_trained(stored, task):
    path, _ = stored()
    X, y = task
    loaded = load(path).fit(X)
    assert loaded.history_ == [] and loaded.n_epochs_ == 0
    assert equal_weights(load(path).fit(X, y), loaded)  # labels of no use are not used
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        load(path, max_epochs=1).fit(X)
    with pytest.raises(ValueError, match="requires y to be passed"):
        sincnet().fit(X)
    untrained = sincnet(max_epochs=0).fit(X)
    with pytest.raises(AttributeError, match="no attribute 'predict'") as caught:
        untrained.predict(X)
    assert "is not trained and knows no classes" in str(caught.value.__cause__)
    assert untrained.transform(X).shape == (8, 256)


def test_other_classes_get_a_new_head_on_the_network_of_the_file(stored, task):
    path, _ = stored()
    X, y = task
    loaded = load(path).fit(X)
    fine = load(path, max_epochs=1, batch_seconds=0.2, learning_rate=1e-9).fit(X, y)
    assert fine.classes_.tolist() == ["dull", "shrill"]
    assert fine.task_weights_["head.linear.weight"].shape == (2, 7)
    assert [*fine.weights_] == [*loaded.weights_]
    for name, array in loaded.weights_.items():
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked")):
            atol = 3e-5 if name.endswith("hz_") else 1e-8  # updates of a billionth each
            np.testing.assert_allclose(fine.weights_[name], array, rtol=0, atol=atol)
    assert fine.predict(X).dtype == y.dtype
    moved = load(path, max_epochs=1, batch_seconds=0.2).fit(X, y)
    assert np.abs(moved.weights_["dense.0.weight"] - loaded.weights_["dense.0.weight"]).max() > 1e-4
    assert np.abs(moved.bands_ - moved.initial_bands_).max() > 1


def test_bands_of_a_file_are_what_it_begins_with(stored, task):
    path, wanted = stored()
    loaded = load(path).fit(task[0])
    low = wanted.named.state_dict()["convs.0.low_hz_"].double().numpy()[:, 0]
    np.testing.assert_allclose(loaded.bands_[:, 0], 50 + low, rtol=1e-6)


def test_a_chunk_alone_in_its_batch(stored, task):
    """The norm of the published dense layers compares chunks of a batch."""
    path, _ = stored()
    X, y = task
    alone = {"batch_seconds": 0.05, "validation_fraction": 0.0, "max_epochs": 1}
    fine = load(path, **alone).fit(X, y)
    assert fine.history_[-1]["updates"] == 8 * 4
    # what earlier batches had stays: one chunk tells no deviation
    loaded = load(path).fit(X)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        name = f"dense_norms.1.{name}"
        np.testing.assert_array_equal(fine.weights_[name], loaded.weights_[name])
    assert np.isfinite(fine.transform(X)).all()


# --- sizes ---------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:The number of unique classes:UserWarning")
@pytest.mark.parametrize(
    ("size", "rate", "n_classes", "n_network", "n_head"),
    [
        ("timit", 16000, 462, 258_320 + 21_580_328, 948_486),
        ("librispeech", 8000, 2484, 243_720 + 20_719_328, 5_103_748),
    ],
)
def test_published_sizes(size, rate, n_classes, n_network, n_head):
    X = [noise(800, seed=i) for i in range(n_classes)]
    # the time is over after one update, of a few clips
    params = {"max_minutes": 1e-9, "batch_seconds": 0.4, "validation_fraction": 0.0}
    fitted = SincNetTransformer(size, sample_rate=rate, random_state=0, **params)
    fitted.fit(X, np.arange(n_classes))
    assert fitted.history_[-1]["updates"] == 1

    def count(arrays):
        kept = ("running_mean", "running_var", "num_batches_tracked")
        return sum(w.size for name, w in arrays.items() if not name.endswith(kept))

    assert (count(fitted.weights_), count(fitted.task_weights_)) == (n_network, n_head)
    assert fitted.n_features_out_ == 2048


def test_filters_last_as_long_at_any_rate():
    clip = noise(9000)
    fitted = {
        rate: SincNetTransformer(sample_rate=rate, max_epochs=0, random_state=0).fit([clip])
        for rate in (8000, 16000, 44100)
    }
    for rate, (taps, stride) in {8000: (127, 2), 16000: (251, 4), 44100: (693, 11)}.items():
        conv = fitted[rate]._built(None).convs[0]
        assert (conv.kernel_size, conv.stride) == (taps, stride)
        assert fitted[rate].bands_.max() == pytest.approx(rate / 2, rel=1e-6)
        assert fitted[rate].crop_seconds == pytest.approx(0.2)


@pytest.mark.parametrize(("given", "length"), [(None, 3200), (0.1, 1600)])
def test_length_of_a_chunk(given, length):
    fitted = SincNetTransformer(chunk_seconds=given, max_epochs=0).fit([noise(9000)])
    assert fitted.architecture_["network"]["chunk"] == length
    assert len(fitted.transform_frames([noise(9000)])[0]) == (9000 - length) // 160


# --- what does not belong to the training --------------------------------------------------------


def test_searching_the_best_pooling_trains_no_network_twice(task, tmp_path, monkeypatch):
    trained, go_on = [], _loop.Loop._go_on
    monkeypatch.setattr(_loop.Loop, "_go_on", lambda loop: trained.append(loop) or go_on(loop))
    X, y = task
    model = Pipeline([("net", sincnet(checkpoint=tmp_path)), ("classes", LogisticRegression())])
    grid = {"net__hop_seconds": [0.01, 0.03], "net__heard": [0.1, None],
            "net__pooling": ["mean", ["mean", "std"]]}  # fmt: skip
    search = GridSearchCV(model, grid, cv=2, refit=False, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 8
    assert len(trained) == len([*tmp_path.iterdir()]) == 2  # one for each split
    GridSearchCV(model, {"net__norm": ["chunk"]}, cv=2, refit=False).fit(X, y)
    assert len(trained) == 4


def test_they_change_the_features(task):
    X, y = task
    fitted = sincnet(max_epochs=0).fit(X, y)
    mean = fitted.transform(X)
    longer = sincnet(max_epochs=0, hop_seconds=0.02).fit(X).transform(X)
    assert mean.shape == longer.shape and np.abs(mean - longer).max() > 1e-4
    both = sincnet(max_epochs=0, pooling=["mean", "std"]).fit(X).transform(X)
    assert both.shape == (8, 512)
    np.testing.assert_allclose(both[:, :256], mean, atol=1e-6)
