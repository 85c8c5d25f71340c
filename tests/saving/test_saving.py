"""Saving: what comes back is the same to the bit, and no file makes anything else happen."""

import copy
import json
import multiprocessing
import pickle
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from skaudio import MFCCTransformer, RandomCNNTransformer, __version__, saving
from skaudio._engine.saved_folder import save
from skaudio.elm import ELMClassifier, ELMRegressor
from skaudio.saving import load
from skaudio.utils._checking import fit
from skaudio.utils.estimator_checks import check_instances
from tests.saving.helpers import SAMPLES, SMALL, assert_same_value, load_skops

pytestmark = pytest.mark.filterwarnings("ignore:.*and were padded:UserWarning")

INSTANCES = check_instances()
SAVED = Path(__file__).parent.parent / "data" / "saved"


def sines():
    """Two clips by formula, so that they are the same with any version of numpy."""
    t = np.arange(8000) / 8000
    chirp = 0.5 * np.sin(2 * np.pi * (200 + 800 * t) * t)
    chord = sum(0.2 * np.sin(2 * np.pi * f * t) for f in (220, 277, 330)) * np.exp(-3 * t)
    return [chirp, chord[:5000]]


def write_samples(folder):
    """Make the files of a new version: call it once, with tests/data/saved, and commit them."""
    for name in SAMPLES:
        sample = Path(folder, __version__, name)
        sample.parent.mkdir(parents=True, exist_ok=True)
        extractor = clone(SAMPLES[name]).set_params(device="cpu")
        features = extractor.fit_transform(sines())
        save(extractor, sample)
        np.save(sample / "features.npy", features)


# --- round trips ---------------------------------------------------------------------------------


@pytest.mark.parametrize("instance", INSTANCES, ids=lambda instance: type(instance).__name__)
def test_extractors_come_back_the_same_to_the_bit(tmp_path, clips, instance):
    extractor = fit(clone(instance), clips)
    save(extractor, tmp_path / "saved")
    back = load(tmp_path / "saved")
    assert_same_value(vars(back), vars(extractor))
    np.testing.assert_array_equal(back.transform(clips), extractor.transform(clips), strict=True)
    names = [e.get_feature_names_out().tolist() for e in (back, extractor)]
    assert names[0] == names[1]


@pytest.mark.parametrize(
    "again",
    [
        lambda path, extractor: pickle.loads(pickle.dumps(extractor)),
        lambda path, extractor: joblib.load(*joblib.dump(extractor, path)),
        lambda path, extractor: copy.deepcopy(extractor),
        load_skops,
        lambda path, extractor: save(extractor, path) or load(path),
    ],
    ids=["pickle", "joblib", "deepcopy", "skops", "saved again"],
)
@pytest.mark.parametrize("name", SAMPLES)
def test_what_was_loaded_goes_every_other_way(tmp_path, clips, name, again):
    extractor = clone(SAMPLES[name]).fit(clips)
    save(extractor, tmp_path / "saved")
    back = again(tmp_path / "again", load(tmp_path / "saved"))
    np.testing.assert_array_equal(back.transform(clips), extractor.transform(clips), strict=True)


@pytest.mark.parametrize(
    "labels",
    [[3, 5, 9], ["é", "dog", "no"], [False, True, False], np.array(["é", "dog", ""], object)],
    ids=["int", "str", "bool", "object"],
)
def test_classifiers_come_back(tmp_path, rng, labels):
    X, y = rng.standard_normal((30, 4)), np.repeat(labels, 10)
    elm = ELMClassifier(20, alpha=0.5, random_state=0).partial_fit(X, y, classes=np.unique(y))
    save(elm, tmp_path / "elm")
    back = load(tmp_path / "elm")
    assert_same_value(vars(back), vars(elm))
    np.testing.assert_array_equal(back.decision_function(X), elm.decision_function(X))
    np.testing.assert_array_equal(back.predict(X), elm.predict(X), strict=True)
    for machine in (back, elm):
        machine.partial_fit(X[::2], y[::2])
    np.testing.assert_array_equal(back.predict(X), elm.predict(X))


def test_regressors_come_back(tmp_path, rng):
    X = rng.standard_normal((30, 4))
    elm = ELMRegressor(20, alpha=0.0, random_state=0).fit(X, X[:, :2])
    save(elm, tmp_path / "elm")
    np.testing.assert_array_equal(load(tmp_path / "elm").predict(X), elm.predict(X))


def test_columns_and_output_of_data_frames_come_back(tmp_path, rng):
    X = pd.DataFrame(rng.standard_normal((3, 500))).rename(columns="t{}".format)
    mfcc = clone(SAMPLES["mfcc"]).set_output(transform="pandas").fit(X)
    save(mfcc, tmp_path / "mfcc")
    back = load(tmp_path / "mfcc")
    assert_same_value(back.feature_names_in_, mfcc.feature_names_in_)
    pd.testing.assert_frame_equal(back.transform(X), mfcc.transform(X))


def test_parameters_keep_their_values_as_plain_python(tmp_path, clips):
    given = {
        "pools": [(2, 2), [1, 2], (np.int64(2), 2), (1, 2), (2, 1)],
        "n_filters": np.int32(4),
        "layers": (0, -1),
        "pooling": ["max", "mean"],
        "top_db": float("inf"),
        "fmin": np.float32(0.1),
        "n_mels": np.uint8(16),
        "reference": np.True_,
    }
    cnn = RandomCNNTransformer(**{**SMALL, **given}).set_params(reference=True).fit(clips)
    save(cnn, tmp_path / "cnn")
    found = load(tmp_path / "cnn").get_params()
    plain = {
        **given,
        "pools": [(2, 2), [1, 2], (2, 2), (1, 2), (2, 1)],
        "n_filters": 4,
        "fmin": float(np.float32(0.1)),
        "n_mels": 16,
        "reference": True,
    }
    for name, value in plain.items():
        assert_same_value(found[name], value)


def test_attributes_of_every_kind_come_back(tmp_path, cnn):
    cnn.odd_ = {
        "nested": {"": (1, [None, {}], ()), "text": "\ud800 \"'"},
        "numbers": [-0.0, 1e-310, 2**70, True],
        "arrays": [np.zeros((0, 3), bool), np.array(7, np.uint8), np.arange(3, dtype=np.int16)],
        "order": np.asfortranarray(np.ones((2, 3))),
    }
    cnn.path_ = Path("some", "where")
    cnn.swapped_ = np.arange(3, dtype=">f8")
    cnn.strided_ = np.arange(12.0).reshape(3, 4)[::2, ::-1]
    save(cnn, tmp_path / "cnn")
    back = load(tmp_path / "cnn")
    assert_same_value(back.odd_, cnn.odd_)
    assert back.path_ == str(cnn.path_)
    np.testing.assert_array_equal(back.swapped_, cnn.swapped_)
    np.testing.assert_array_equal(back.strided_, cnn.strided_)


def test_what_belongs_to_the_machine_stays_there(tmp_path, clips):
    mfcc = MFCCTransformer(**SMALL, n_mfcc=5, memory=tmp_path / "cache").fit(clips)
    save(mfcc.set_params(device="cuda:7", n_jobs=2), tmp_path / "mfcc")
    assert "cuda" not in (tmp_path / "mfcc" / "estimator.json").read_text()
    back = load(tmp_path / "mfcc")
    assert (back.device, back.memory, back.n_jobs) == ("auto", None, 2)


class Louder(MFCCTransformer):
    """An extractor of somebody else: one file, no word to this library."""

    def __init__(self, n_mfcc=5, gain=2.0, sample_rate=8000, device="cpu", memory=None):
        super().__init__(n_mfcc=n_mfcc, sample_rate=sample_rate, device=device, memory=memory)
        self.gain = gain

    def transform(self, X):
        """Features, times the gain."""
        return self.gain * super().transform(X)


@pytest.mark.parametrize("by_name", [False, True])
def test_extractors_of_others_come_back_to_those_who_trust_them(tmp_path, clips, by_name):
    louder = Louder(gain=3.0, memory=tmp_path / "cache").fit(clips)
    louder.save(tmp_path / "louder")
    name = f"{Louder.__module__}.Louder"
    with pytest.raises(ValueError, match=rf"needs {name}, which .*, pass trusted=\['{name}'\]"):
        load(tmp_path / "louder")
    with pytest.raises(ValueError, match=f"needs {name}"):
        load(tmp_path / "louder", trusted=[MFCCTransformer, "os.system"])
    back = load(tmp_path / "louder", trusted=[name if by_name else Louder])
    assert type(back) is Louder and back.gain == 3.0 and back.memory is None
    np.testing.assert_array_equal(back.transform(clips), louder.transform(clips), strict=True)


def test_a_namesake_is_not_taken_for_the_one_of_skaudio(tmp_path, clips):
    class Namesake(Louder):
        pass

    Namesake.__name__ = Namesake.__qualname__ = "MFCCTransformer"
    Namesake().fit(clips).save(tmp_path / "saved")
    with pytest.raises(
        ValueError, match=r"needs .*\.MFCCTransformer, which skaudio does not trust"
    ):
        load(tmp_path / "saved")
    assert type(load(tmp_path / "saved", trusted=[Namesake])) is Namesake


@pytest.mark.parametrize("trusted", [True, Louder, "tests.Louder", [3], [None]], ids=repr)
def test_what_trusted_may_be(folder, trusted):
    with pytest.raises(TypeError, match="trusted"):
        load(folder, trusted=trusted)


def test_people_can_read_it(folder):
    text = (folder / "estimator.json").read_text()
    document = json.loads(text)
    assert text.count("\n") > 50 and document["format"] == 1
    assert document["class"] == "RandomCNNTransformer"
    assert document["parameters"]["n_filters"] == 2
    assert document["state"]["weights_"]["dict"]["blocks.0.weight"] == {
        "array": "float32 (2, 1, 3, 3)"
    }
    assert [*document["versions"]] == [
        "skaudio", "python", "numpy", "torch", "scikit-learn", "safetensors"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "sample", sorted(SAVED.glob("*/*")), ids=lambda path: "-".join(path.relative_to(SAVED).parts)
)
def test_files_of_every_version_load(sample):
    expected = np.load(sample / "features.npy")
    found = load(sample).set_params(device="cpu").transform(sines())
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-6 * np.abs(expected).max()


def test_this_version_left_its_files():
    assert {path.name for path in (SAVED / __version__).iterdir()} == {*SAMPLES}


# --- what cannot be saved ------------------------------------------------------------------------


def test_only_fitted_extractors_and_machines_are_saved(tmp_path):
    with pytest.raises(NotFittedError):
        save(MFCCTransformer(), tmp_path / "saved")
    with pytest.raises(TypeError, match="is no extractor of audio; use skops or joblib"):
        save(StandardScaler().fit(np.eye(2)), tmp_path / "saved")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("random_state", np.random.RandomState(0)),
        ("pooling", len),
        ("odd_", object()),
        ("odd_", {"a": {1: 2}}),
        ("odd_", {3, 4}),
        ("odd_", np.array([1 + 2j])),
        ("odd_", np.array(["a", 1], dtype=object)),
        ("odd_", np.array([["a"]])),
        ("odd_", np.longdouble(1)),
        ("odd_", np.ones(2, np.longdouble)),
        ("odd_", b"bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_data_is_refused(tmp_path, cnn, name, value):
    setattr(cnn, name, value)
    with pytest.raises(TypeError, match=rf"^{name}.* no number, text or array.*skops or joblib"):
        save(cnn, tmp_path / "cnn")
    assert not any(tmp_path.iterdir())


def test_a_random_state_can_be_replaced_after_fit(tmp_path, clips):
    cnn = RandomCNNTransformer(**SMALL, n_filters=4, random_state=np.random.RandomState(3))
    expected = cnn.fit_transform(clips)
    save(cnn.set_params(random_state=None), tmp_path / "cnn")
    np.testing.assert_array_equal(load(tmp_path / "cnn").transform(clips), expected)


def test_weights_that_are_not_finite_are_refused(tmp_path, cnn):
    cnn.weights_["blocks.1.bias"][1] = np.nan
    with pytest.raises(ValueError, match=r"weights_/blocks\.1\.bias holds NaN or infinity"):
        save(cnn, tmp_path / "cnn")


# --- the folder ----------------------------------------------------------------------------------


def test_parameters_changed_since_fit_are_refused(tmp_path, clips):
    cnn = clone(SAMPLES["vgg"]).fit(clips)
    for change in ({"pooling": "max"}, {"n_filters": 5}, {"design": "frame_level"}):
        changed = copy.deepcopy(cnn).set_params(**change)
        with pytest.raises(ValueError, match=r"cannot be saved: .* changed after fit, fit again"):
            changed.save(tmp_path / "cnn")
    assert not [*tmp_path.iterdir()]
    cnn.set_params(n_jobs=2, batch_size=3.0).save(tmp_path / "cnn")


def test_an_earlier_one_is_replaced(folder, cnn, clips):
    cnn.set_params(random_state=1).fit(clips)
    save(cnn, folder)
    assert_same_value(load(folder).weights_, cnn.weights_)
    assert [*folder.parent.iterdir()] == [folder]


def test_anything_else_is_left_alone(tmp_path, folder, cnn):
    empty, file = tmp_path / "empty", tmp_path / "file"
    empty.mkdir()
    file.write_text("mine")
    (folder / "notes.txt").write_text("mine")
    for path in (empty, file, folder, tmp_path):
        with pytest.raises(FileExistsError, match="choose another name, or remove it"):
            save(cnn, path)
    assert file.read_text() == (folder / "notes.txt").read_text() == "mine"
    assert not any(empty.iterdir()) and len([*tmp_path.iterdir()]) == 3


def test_a_link_keeps_pointing_at_the_latest(tmp_path, folder, cnn, clips):
    (tmp_path / "latest").symlink_to(folder)
    cnn.set_params(random_state=1).fit(clips)
    save(cnn, tmp_path / "latest")
    assert (tmp_path / "latest").is_symlink()
    assert_same_value(load(folder).weights_, cnn.weights_)


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("step", ["write_bytes", "write_text", "rename"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=repr)
def test_a_failure_leaves_no_trace(tmp_path, folder, cnn, monkeypatch, there, step, error):
    target = folder if there else folder.with_name("new")
    before = {path: path.read_bytes() for path in folder.iterdir()}

    def fail(*args, **options):
        raise error

    monkeypatch.setattr(Path, step, fail)
    with pytest.raises(type(error)):
        save(cnn, target)
    monkeypatch.undo()
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert [*folder.parent.iterdir()] == [folder]


@pytest.mark.parametrize("error", [PermissionError("not now"), KeyboardInterrupt()], ids=repr)
def test_the_earlier_one_comes_back_where_the_new_one_fails(folder, cnn, monkeypatch, error):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    intact = Path.rename

    def fail(path, target):
        if target == folder and path.suffix != ".old":
            raise error
        return intact(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(type(error)):
        save(cnn, folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert [*folder.parent.iterdir()] == [folder]


def save_often(extractor, folder):
    for _ in range(50):
        save(extractor, folder)


@pytest.mark.parametrize("there", [True, False])
def test_two_processes_may_save_to_one_folder(folder, cnn, clips, there):
    other = copy.deepcopy(cnn).set_params(random_state=1).fit(clips)
    target = folder if there else folder.with_name("new")
    context = multiprocessing.get_context("fork")  # a fresh process would import for seconds
    processes = [context.Process(target=save_often, args=(e, target)) for e in (cnn, other)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    back = load(target)
    assert_same_value(vars(back), vars(cnn if back.random_state == 0 else other))
    assert {*folder.parent.iterdir()} == {folder, target}


# --- the libraries -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["safetensors", "skops"])
def test_a_missing_library_is_named(tmp_path, folder, cnn, monkeypatch, name):
    (tmp_path / "winner.skops").touch()
    for module in ("safetensors.numpy", "skops.io"):
        if module.startswith(name):
            monkeypatch.setitem(sys.modules, module, None)
    uses = {
        "safetensors": [lambda: save(cnn, folder), lambda: load(folder)],
        "skops": [lambda: load(tmp_path / "winner.skops")],
    }
    for use in uses[name]:
        with pytest.raises(ImportError, match=rf"need {name}.*pip install skaudio\[save\]"):
            use()


def test_all_classes_are_known():
    assert {"MFCCTransformer", "RandomCNNTransformer", "ELMClassifier", "ELMRegressor"} <= {
        *saving._known_classes()
    }
