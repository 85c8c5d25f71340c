"""Loading: no file makes anything else happen than that the saved comes back."""

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone

from skaudio._engine.saved_folder import save
from skaudio.saving import load
from tests.saving.helpers import SAMPLES, Payload, assert_refused, rewrite, seal

pytestmark = pytest.mark.filterwarnings("ignore:.*and were padded:UserWarning")


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        load(tmp_path / "nowhere")


def test_neither_a_folder_nor_complete(tmp_path, folder):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(1))
    assert_refused(tmp_path / "model.pkl", "Not a directory")
    assert_refused(tmp_path, "No such file")
    (folder / "arrays.safetensors").unlink()
    assert_refused(folder, "No such file")


@pytest.mark.parametrize("name", ["BaseAudioTransformer", "", "_BaseELM", "MFCC2Transformer"])
def test_unknown_classes(folder, name):
    rewrite(folder, lambda document, arrays: document.update({"class": name}))
    assert_refused(folder, f"{name}' is no estimator of this version of skaudio")


@pytest.mark.parametrize(
    "name",
    ["os.system", "builtins.eval", "sklearn.svm.SVC", "skaudio.MFCCTransformer", "../MFCC"],
)
def test_foreign_classes(folder, name):
    rewrite(folder, lambda document, arrays: document.update({"class": name}))
    with pytest.raises(ValueError, match=f"needs {name}, which skaudio does not trust; "):
        load(folder)


@pytest.mark.parametrize("name", ["os.system", "builtins.dict", "sklearn.svm.SVC"])
def test_trusted_classes_must_be_extractors_all_the_same(folder, name):
    rewrite(folder, lambda document, arrays: document.update({"class": name}))
    with pytest.raises(ValueError, match=f"{name} is no estimator with a method save"):
        load(folder, trusted=[name])


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
            ("pools", [{"tuple": [2, 2**31]}] * 5, "pools=.* is more than its arrays"),
            ("fixed_length", 2**31, "fixed_length=2147483648 is more than"),
            ("n_fft", 2**25, "n_fft=33554432 is more than"),
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


@pytest.mark.parametrize(
    ("file", "reason"),
    [("estimator.json", "utf-8"), ("arrays.safetensors", "header")],
)
def test_pickles_are_not_unpickled(folder, mark, file, reason):
    (folder / file).write_bytes(pickle.dumps(Payload(mark)))
    if file == "arrays.safetensors":
        seal(folder)
    assert_refused(folder, reason)


# --- what is no file -----------------------------------------------------------------------------


def in_time(path, seconds=60):
    """What a process says that loads a path; it would wait for ever if it opened a pipe."""
    code = "import sys, skaudio\ntry: skaudio.load(sys.argv[1])\nexcept Exception as e: print(e)"
    run = [sys.executable, "-c", code, str(path)]
    return subprocess.run(run, capture_output=True, text=True, timeout=seconds).stdout


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
@pytest.mark.parametrize("name", ["estimator.json", "arrays.safetensors", "pipe.skops"])
def test_pipes_are_not_opened(folder, name):
    path = folder / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    said = in_time(path if name == "pipe.skops" else folder)
    assert f"cannot be loaded: {name} is no regular file; " in said and said.count("\n") == 1


@pytest.mark.parametrize("name", ["estimator.json", "arrays.safetensors", "zero.skops"])
@pytest.mark.parametrize("kind", ["device", "folder"])
def test_devices_and_folders_are_not_read(folder, name, kind):
    path = folder / name
    path.unlink(missing_ok=True)
    path.mkdir() if kind == "folder" else path.symlink_to("/dev/zero")
    if name != "zero.skops":
        assert_refused(folder, f"{name} is no regular file")
    elif kind == "device":
        assert_refused(path, f"{name} is no regular file")
    else:
        assert_refused(path, "No such file")


@pytest.mark.parametrize("name", ["estimator.json", "arrays.safetensors", "giant.skops"])
def test_giant_files_are_not_read(folder, name):
    path = folder / name
    with open(path, "ab") as file:
        file.truncate(1 << 40)  # a hole, which takes no room on the disk
    assert_refused(path if name == "giant.skops" else folder, f"{name} holds 1099511627776 bytes")


@pytest.mark.parametrize("opened", ["[", '{"dict":'])
def test_deep_nesting(folder, opened):
    document = json.loads((folder / "estimator.json").read_text())
    document["parameters"]["pools"] = "HERE"
    closed = {"[": "]", '{"dict":': "}"}[opened]
    for depth in (900, 50_000):
        nested = opened * depth + "3" + closed * depth
        text = json.dumps(document).replace('"HERE"', nested)
        (folder / "estimator.json").write_text(text)
        assert_refused(folder, "")
    assert_refused(folder, "it is nested too deeply")
