"""Saving: what comes back is the same to the bit, and no file makes anything else happen."""

import copy
import functools
import hashlib
import json
import multiprocessing
import os
import pickle
import re
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import skops.io
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaudio import MFCCTransformer, RandomCNNTransformer, __version__
from skaudio._engine import saving
from skaudio._engine.saving import load, save
from skaudio.elm import ELMClassifier, ELMRegressor
from skaudio.utils.estimator_checks import check_instances

pytestmark = pytest.mark.filterwarnings("ignore:.*and were padded:UserWarning")

INSTANCES = check_instances()
SAVED = Path(__file__).parent.parent / "data" / "saved"
SMALL = {"n_fft": 256, "hop_length": 64, "n_mels": 16, "sample_rate": 8000}
SAMPLES = {
    "mfcc": MFCCTransformer(**SMALL, n_mfcc=5),
    "vgg": RandomCNNTransformer(**SMALL, n_filters=4, random_state=0),
    "single": RandomCNNTransformer(
        "single", **SMALL, n_filters=4, kernel=(3, 12), normalize="dataset", random_state=0
    ),
}


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


@pytest.fixture
def clips(rng):
    return [0.1 * rng.standard_normal(n) for n in (3000, 700)]


@pytest.fixture
def cnn(clips):
    return RandomCNNTransformer(**SMALL, n_filters=2, random_state=0).fit(clips)


@pytest.fixture
def folder(tmp_path, cnn):
    """Folder of a saved extractor, the only one in its parent."""
    (tmp_path / "parent").mkdir()
    save(cnn, tmp_path / "parent" / "cnn")
    return tmp_path / "parent" / "cnn"


def assert_same_value(found, expected):
    """Equal in value and type, within containers too; dicts also in order."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert [*found] == [*expected]
        found, expected = [*found.values()], [*expected.values()]
    if isinstance(expected, list | tuple):
        for a, b in zip(found, expected, strict=True):
            assert_same_value(a, b)
    elif isinstance(expected, np.ndarray):
        assert found.flags.c_contiguous == expected.flags.c_contiguous
        np.testing.assert_array_equal(found, expected, strict=True)
    else:
        assert found == expected


def assert_refused(path, reason):
    """One error of one line: what, why, and what to do."""
    with pytest.raises(ValueError) as caught:
        load(path)
    text = str(caught.value)
    pattern = rf"{re.escape(str(path))} cannot be loaded: .*{reason}.*; [^;]* again"
    assert type(caught.value) is ValueError and re.fullmatch(pattern, text), text


# --- round trips ---------------------------------------------------------------------------------


@pytest.mark.parametrize("instance", INSTANCES, ids=lambda instance: type(instance).__name__)
def test_extractors_come_back_the_same_to_the_bit(tmp_path, clips, instance):
    extractor = clone(instance).fit(clips)
    save(extractor, tmp_path / "saved")
    back = load(tmp_path / "saved")
    assert_same_value(vars(back), vars(extractor))
    np.testing.assert_array_equal(back.transform(clips), extractor.transform(clips), strict=True)
    names = [e.get_feature_names_out().tolist() for e in (back, extractor)]
    assert names[0] == names[1]


def load_skops(path, extractor):
    skops.io.dump(extractor, path.with_suffix(".skops"))
    return load(path.with_suffix(".skops"))


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


def test_pipelines_come_back_through_skops(tmp_path, clips):
    pipeline = make_pipeline(clone(SAMPLES["mfcc"]), StandardScaler()).fit(clips)
    back = load_skops(tmp_path / "winner", pipeline)
    np.testing.assert_array_equal(back.transform(clips), pipeline.transform(clips))


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


def test_only_fitted_estimators_of_skaudio_are_saved(tmp_path, clips):
    with pytest.raises(NotFittedError):
        save(MFCCTransformer(), tmp_path / "saved")
    namesake = type("MFCCTransformer", (MFCCTransformer,), {"__init__": MFCCTransformer.__init__})
    for foreign in (namesake().fit(clips), StandardScaler().fit(np.eye(2))):
        with pytest.raises(TypeError, match="is no class of skaudio; use skops or joblib"):
            save(foreign, tmp_path / "saved")
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


# --- what cannot be loaded -----------------------------------------------------------------------


def rewrite(folder, change):
    """Save again after a change, with everything else in order, the check sum included."""
    text, data = folder / "estimator.json", folder / "arrays.safetensors"
    document, arrays = json.loads(text.read_text()), safetensors.numpy.load(data.read_bytes())
    change(document, arrays)
    data.write_bytes(safetensors.numpy.save(arrays))
    text.write_text(json.dumps(document))
    seal(folder)


def seal(folder):
    text, data = folder / "estimator.json", folder / "arrays.safetensors"
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    text.write_text(re.sub('"sha256": "[0-9a-f]*"', f'"sha256": "{digest}"', text.read_text()))


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        load(tmp_path / "nowhere")


def test_neither_a_folder_nor_complete(tmp_path, folder):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(1))
    assert_refused(tmp_path / "model.pkl", "Not a directory")
    assert_refused(tmp_path, "No such file")
    (folder / "arrays.safetensors").unlink()
    assert_refused(folder, "No such file")


@pytest.mark.parametrize(
    "name",
    [
        "os.system", "builtins.eval", "__import__", "sklearn.svm.SVC", "BaseAudioTransformer",
        "skaudio.MFCCTransformer", "../MFCCTransformer", "", "_BaseELM",
    ],
)  # fmt: skip
def test_foreign_classes(folder, name):
    rewrite(folder, lambda document, arrays: document.update({"class": name}))
    assert_refused(folder, f"{name}' is no estimator of this version of skaudio")


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("format", 2, "its format is 2, this version of skaudio reads 1"),
        ("format", None, "its format is None"),
        ("class", ["MFCCTransformer"], "estimator.json lacks 'class'"),
        ("parameters", [], "lacks 'parameters'"),
        ("state", None, "lacks 'state'"),
    ],
)
def test_wrong_documents(folder, key, value, reason):
    rewrite(folder, lambda document, arrays: document.update({key: value}))
    assert_refused(folder, reason)


@pytest.mark.parametrize(
    ("part", "name", "value", "reason"),
    [
        ("parameters", *case)
        for case in [
            ("volume", 11, "RandomCNNTransformer has no volume"),
            ("device", "cuda", "has no device"),
            ("n_filters", "four", "n_filters='four' must be an integer"),
            ("n_filters", 0, "n_filters=0 must be at least 1"),
            ("n_filters", 5, r"weights_ does not fit the parameters: blocks\.0\.bias, "),
            ("n_filters", 10**9, "n_filters=1000000000 is more than its arrays have room for"),
            ("n_mels", 10**12, "n_mels=1000000000000 is more than"),
            ("kernel", {"tuple": [10**12, 16]}, r"kernel=\(1000000000000, 16\) is more than"),
            ("design", "sample_level", r"weights_ does not fit the parameters: blocks\.0\.bias, "),
            ("layers", 1, r"weights_ does not fit the parameters: blocks\.2\.bias, "),
            ("layers", [0, 4], "n_features_out_ must be 54 with these parameters"),
            ("pooling", "evil", "pooling='evil' is unknown"),
            ("sample_rate", None, "sample_rate=None must be an integer"),
            ("batch_size", -1, "batch_size=-1 must be at least 0"),
            ("on_error", "eval", "on_error='eval' is unknown"),
            ("top_db", float("nan"), "top_db=nan must be at least 0"),
            ("pools", {"call": ["os.system"]}, "the value of pools is written in an unknown way"),
            ("pools", {"tuple": 3}, "the value of pools is written in an unknown way"),
            ("pools", {"object": [1, 2]}, "the value of pools is written in an unknown way"),
            ("pools", {"array": "float32 (5, 2)"}, "the array pools is missing"),
            ("pools", {"array": "missing"}, "the array pools is missing"),
        ]
    ]
    + [
        ("state", *case)
        for case in [
            ("transform", 1, "RandomCNNTransformer has no transform"),
            ("__class__", 1, "has no __class__"),
            ("n_filters", 8, "has no n_filters"),
            ("n_features_out_", 3, "n_features_out_ must be "),
            ("n_features_in_", -1, "n_features_in_=-1 must be at least 1"),
            ("n_features_in_", "5", "n_features_in_='5' must be an integer"),
            ("feature_names_in_", {"object": ["a"]}, "n_features_in_"),
            ("weights_", 5, r"blocks\.0\.bias"),
            ("weights_", {"dict": {}}, r"blocks\.0\.bias"),
        ]
    ],
)
def test_wrong_values(folder, part, name, value, reason):
    rewrite(folder, lambda document, arrays: document[part].update({name: value}))
    assert_refused(folder, reason)


BIAS = "weights_/blocks.1.bias"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda arrays: arrays.pop(BIAS), "is missing, not float32"),
        (lambda arrays: arrays.update(extra=np.ones(2)), "has no extra"),
        (lambda arrays: arrays.update({"../../evil": np.ones(2)}), r"has no \.\./\.\./evil"),
        (lambda arrays: arrays.update({BIAS: np.ones(5, "f4")}), r"\(5,\), not float32 \(2,\)"),
        (lambda arrays: arrays.update({BIAS: np.ones(2)}), r"float64 \(2,\), not float32"),
        (lambda arrays: arrays[BIAS].fill(np.nan), "holds NaN or infinity"),
        (lambda arrays: arrays[BIAS].fill(np.inf), "holds NaN or infinity"),
    ],
)
def test_wrong_arrays(folder, change, reason):
    rewrite(folder, lambda document, arrays: change(arrays))
    assert_refused(folder, reason)


def change_weights(document, arrays):
    arrays[BIAS] = np.ones(2)
    document["state"]["weights_"]["dict"]["blocks.1.bias"] = {"array": "float64 (2,)"}


def change_order(document, arrays):
    weights = document["state"]["weights_"]["dict"]
    weights["blocks.0.weight"] = weights.pop("blocks.0.weight")


def change_columns(document, arrays):
    document["state"].update(n_features_in_=5, feature_names_in_={"object": ["a"]})


def forget_all(document, arrays):
    document["state"].clear()
    arrays.clear()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_weights, r"weights_ does not fit the parameters: blocks\.1\.bias"),
        (change_order, "weights_ does not fit the parameters: order"),
        (change_columns, r"feature_names_in_ is object \(1,\), not object \(5,\)"),
        (forget_all, "not fitted yet"),
    ],
)
def test_files_that_only_agree_with_each_other(folder, change, reason):
    rewrite(folder, change)
    assert_refused(folder, reason)


@pytest.mark.parametrize("name", ["input_mean_", "input_scale_"])
@pytest.mark.parametrize("n_channels", [0, 1])
def test_learnt_statistics_that_do_not_fit(tmp_path, clips, name, n_channels):
    def change(document, arrays):
        arrays[name] = arrays[name][:n_channels]
        document["state"][name] = {"array": f"float32 ({n_channels},)"}
        if not n_channels:
            del document["state"][name], arrays[name]

    folder = tmp_path / "single"
    save(clone(SAMPLES["single"]).fit(clips), folder)
    rewrite(folder, change)
    assert_refused(folder, rf"{name} is .*, not float32 \(16,\)")


@pytest.mark.parametrize(
    ("file", "sealed"),
    [("estimator.json", False), ("arrays.safetensors", False), ("arrays.safetensors", True)],
)
def test_truncated_at_every_tenth_byte(folder, file, sealed):
    path = folder / file
    whole = path.read_bytes()
    for size in range(0, len(whole) - 1, 10):
        path.write_bytes(whole[:size])
        if sealed:
            seal(folder)
        assert_refused(folder, "")


def test_any_changed_byte_of_the_arrays(folder):
    path = folder / "arrays.safetensors"
    whole = path.read_bytes()
    for place in range(0, len(whole), 10):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert_refused(folder, "is not the one that was saved with estimator.json")


@pytest.mark.parametrize(
    "header",
    [
        (2**62).to_bytes(8, "little"),
        (2**40).to_bytes(8, "little") + b"{}",
        (8).to_bytes(8, "little") + b"[[[[[[[[",
    ],
)
def test_absurd_headers(folder, header):
    path = folder / "arrays.safetensors"
    path.write_bytes(header + path.read_bytes())
    seal(folder)
    assert_refused(folder, "header")


@pytest.mark.parametrize("text", ["3", "[]", "null", "[" * 100_000, "\x00", '{"a": \ud800}'])
def test_broken_json(folder, text):
    (folder / "estimator.json").write_text(text, errors="surrogatepass")
    assert_refused(folder, "")


# --- attacks -------------------------------------------------------------------------------------


class Payload:
    """Leaves a mark wherever it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (Path(self.mark),)


@pytest.fixture
def mark(tmp_path):
    """Path that a payload would make; it must not be there afterwards."""
    mark = tmp_path / "mark"
    pickle.loads(pickle.dumps(Payload(str(mark))))
    mark.unlink()  # so the payload works
    yield str(mark)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("file", "reason"),
    [("estimator.json", "utf-8"), ("arrays.safetensors", "header")],
)
def test_pickles_are_not_unpickled(folder, mark, file, reason):
    (folder / file).write_bytes(pickle.dumps(Payload(mark)))
    if file == "arrays.safetensors":
        seal(folder)
    assert_refused(folder, reason)


def test_a_pickle_called_skops(tmp_path, mark):
    path = tmp_path / "winner.skops"
    path.write_bytes(pickle.dumps(Payload(mark)))
    assert_refused(path, "not a zip file")


@pytest.mark.parametrize("wrap", [lambda foreign: foreign, lambda foreign: {"a": [foreign]}])
def test_foreign_classes_in_skops(tmp_path, mark, wrap):
    path = tmp_path / "winner.skops"
    skops.io.dump(wrap(Payload(mark)), path)
    assert_refused(path, r"Untrusted types.*test_saving\.Payload")


def test_foreign_functions_in_skops(tmp_path, mark, clips):
    path = tmp_path / "winner.skops"
    mfcc = clone(SAMPLES["mfcc"]).fit(clips)
    mfcc.odd_ = functools.partial(os.system, f"touch {mark}")
    skops.io.dump(mfcc, path)
    assert_refused(path, r"Untrusted types.*\.system")


def test_a_broken_skops_file(tmp_path, clips):
    path = tmp_path / "winner.skops"
    skops.io.dump(clone(SAMPLES["mfcc"]).fit(clips), path)
    whole = path.read_bytes()
    for size in range(0, len(whole) - 1, max(1, len(whole) // 50)):
        path.write_bytes(whole[:size])
        assert_refused(path, "zip")


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
