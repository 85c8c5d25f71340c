"""Checkpoints of fairseq, made here with its names and shapes, and downloads of published ones."""

import argparse
import hashlib
import io
import os
import pathlib
import sys
import types

import numpy as np
import pytest
import torch

from skaudio.datasets import _fetch
from skaudio.networks.vq import GumbelQuantizer, KMeansQuantizer
from skaudio.networks.wav2vec import Wav2Vec
from skaudio.pretrained import KNOWN, Release, fetch_checkpoint, parse_layers, read_checkpoint
from tests.pretrained.checkpoints import network, old
from tests.web import serving

ENCODER = ((4, 5, 3), (8, 2, 2))
AGGREGATOR = ((8, 2, 1), (6, 3, 1))
TINY = {
    "conv_feature_layers": str([*ENCODER]),
    "conv_aggregator_layers": "[(8, 2, 1)] + [(6, 3, 1)]",
    "prediction_steps": 3,
    "skip_connections_agg": True,
    "activation": "relu",
    "dropout": 0.1,
    "seed": 1,
}
BASE = "[(512, 10, 5), (512, 8, 4), (512, 4, 2), (512, 4, 2), (512, 4, 2)]"
LARGE = {
    "conv_feature_layers": f"{BASE} + [(512, 1, 1)] * 2",
    "conv_aggregator_layers": str([(512, kernel, 1) for kernel in range(2, 14)]),
    "skip_connections_agg": True,
    "log_compression": True,
}
VQ = {**LARGE, "conv_feature_layers": f"{BASE} + [(512, 1, 1)] * 3"}
GUMBEL = {"vq_type": "gumbel", "vq_vars": 5, "vq_groups": 2, "vq_depth": 1}
KMEANS = {"vq_type": "kmeans", "vq_vars": 5, "vq_groups": 2, "vq_gamma": 0.5}
PLAIN = {"encoder": ENCODER, "aggregator": AGGREGATOR, "skip": True}


@pytest.fixture
def write(tmp_path):
    """Function that saves an object as a checkpoint and returns its path."""

    def write(state, legacy=False):
        path = tmp_path / "model.pt"
        torch.save(state, path, _use_new_zipfile_serialization=not legacy)
        return path

    return write


@pytest.fixture
def read(write):
    """Function that reads a checkpoint with these arguments, and these modules as its weights."""

    def read(changed, **modules):
        tensors = network(**{**PLAIN, **modules}).state_dict()
        return read_checkpoint(write(old({**TINY, **changed}, tensors)))

    return read


def new(arguments, tensors):
    cfg = {"_name": "wav2vec", **arguments}
    return {"args": None, "cfg": {"model": cfg, "task": {"data": "x"}}, "model": tensors}


def flat(arguments, tensors):
    return {"cfg": arguments, "model": tensors}


def nested_namespace(arguments, tensors):
    return {"cfg": {"model": argparse.Namespace(**arguments)}, "model": tensors}


def converted(arguments, tensors):
    """A file of s3prl."""
    return {"task_cfg": {"normalize": False}, "model_cfg": arguments, "model_weight": tensors}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", [old, new, flat, nested_namespace, converted])
def test_every_kind_of_file(write, kind, legacy):
    tensors = network(**PLAIN).state_dict()
    checkpoint = read_checkpoint(write(kind({**TINY, "log_compression": True}, tensors), legacy))
    assert checkpoint.sample_rate == 16000
    assert checkpoint.arguments == {
        "encoder_layers": ENCODER,
        "aggregator_layers": AGGREGATOR,
        "activation": "relu",
        "log_compression": True,
        "skip_encoder": False,
        "skip_aggregator": True,
        "residual_scale": 0.5,
        "aggregator": "cnn",
        "gru_dim": 512,
        "gru_recurrent": False,
        "bias": True,
        "zero_pad": False,
        "affine": True,
        "n_steps": 3,
        "offset": "auto",
        "quantizer": None,
    }
    assert len(checkpoint.weights) == len(tensors)
    assert {array.dtype.name for array in checkpoint.weights.values()} == {"float32"}


PAIRS = {  # encoder, aggregator with a projection of its second input, head
    "encoder.0.conv.weight": "feature_extractor.conv_layers.0.0.weight",
    "encoder.0.norm.weight": "feature_extractor.conv_layers.0.2.weight",
    "encoder.0.norm.bias": "feature_extractor.conv_layers.0.2.bias",
    "encoder.1.conv.weight": "feature_extractor.conv_layers.1.0.weight",
    "encoder.1.norm.weight": "feature_extractor.conv_layers.1.2.weight",
    "encoder.1.norm.bias": "feature_extractor.conv_layers.1.2.bias",
    "aggregator.0.conv.weight": "feature_aggregator.conv_layers.0.1.weight",
    "aggregator.0.conv.bias": "feature_aggregator.conv_layers.0.1.bias",
    "aggregator.0.norm.weight": "feature_aggregator.conv_layers.0.3.weight",
    "aggregator.0.norm.bias": "feature_aggregator.conv_layers.0.3.bias",
    "aggregator.1.conv.weight": "feature_aggregator.conv_layers.1.1.weight",
    "aggregator.1.conv.bias": "feature_aggregator.conv_layers.1.1.bias",
    "aggregator.1.norm.weight": "feature_aggregator.conv_layers.1.3.weight",
    "aggregator.1.norm.bias": "feature_aggregator.conv_layers.1.3.bias",
    "aggregator.1.residual.weight": "feature_aggregator.residual_proj.1.weight",
    "head.weight": "wav2vec_predictions.project_to_steps.weight",
    "head.bias": "wav2vec_predictions.project_to_steps.bias",
}
RECURRENT = {
    f"aggregator.gru.{name}_l0": f"feature_aggregator.1.{name}_l0"
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
}
QUANTIZERS = {
    ("kmeans", 1): {
        "projection.weight": "projection.0.weight",
        "norm.weight": "projection.1.weight",
        "norm.bias": "projection.1.bias",
        "table": "embedding",
    },
    ("gumbel", 1): {
        "projection.0.weight": "weight_proj.weight",
        "projection.0.bias": "weight_proj.bias",
        "table": "vars",
    },
    ("gumbel", 3): {
        "projection.0.weight": "weight_proj.0.0.weight",
        "projection.0.bias": "weight_proj.0.0.bias",
        "projection.1.weight": "weight_proj.1.0.weight",
        "projection.1.bias": "weight_proj.1.0.bias",
        "projection.2.weight": "weight_proj.2.weight",
        "projection.2.bias": "weight_proj.2.bias",
        "table": "vars",
    },
}


def assert_renamed(weights, tensors, names):
    """The weights are the tensors, under these names and in this order."""
    assert [*weights] == [*names]
    for ours, theirs in names.items():
        assert np.array_equal(weights[ours], tensors[theirs].numpy())


def test_names_and_order_of_weights(write):
    tensors = network(**PLAIN).state_dict()
    assert_renamed(read_checkpoint(write(old(TINY, tensors))).weights, tensors, PAIRS)


def test_names_of_a_recurrent_aggregator(write):
    tensors = network(**PLAIN, gru=5).state_dict()
    checkpoint = read_checkpoint(write(old({**TINY, "aggregator": "gru", "gru_dim": 5}, tensors)))
    kept = [(ours, theirs) for ours, theirs in PAIRS.items() if not ours.startswith("aggregator")]
    names = dict([*kept[:6], *RECURRENT.items(), *kept[6:]])
    assert_renamed(checkpoint.weights, tensors, names)
    assert checkpoint.arguments["aggregator"] == "gru" and checkpoint.arguments["gru_dim"] == 5


@pytest.mark.parametrize(("kind", "depth"), QUANTIZERS)
def test_names_of_a_quantizer(write, kind, depth):
    tensors = network(**PLAIN, vq={"kind": kind, "n_codes": 5, "depth": depth}).state_dict()
    changed = {"vq_type": kind, "vq_vars": 5, "vq_depth": depth, "vq_dim": 8}
    checkpoint = read_checkpoint(write(old({**TINY, **changed}, tensors)))
    names = {
        f"quantizer.{ours}": f"vector_quantizer.{theirs}"
        for ours, theirs in QUANTIZERS[kind, depth].items()
    }
    pairs = [*PAIRS.items()]
    assert_renamed(checkpoint.weights, tensors, dict([*pairs[:6], *names.items(), *pairs[6:]]))


@pytest.mark.parametrize(
    ("changed", "modules"),
    [
        ({}, {}),
        ({"skip_connections_agg": False}, {"skip": False}),
        ({"no_conv_bias": True, "agg_zero_pad": True}, {"bias": False}),
        ({"non_affine_group_norm": True}, {"affine": False}),
        ({"aggregator": "gru", "gru_dim": 5, "offset": "2"}, {"gru": 5}),
        ({"prediction_steps": 7, "offset": 4}, {"n_steps": 7}),
        ({**GUMBEL, "vq_depth": 2}, {"vq": {"kind": "gumbel", "n_codes": 5, "depth": 2}}),
        (KMEANS, {"vq": {"kind": "kmeans", "n_codes": 5, "shared": True}}),
    ],
)
def test_network_takes_arguments_and_weights(read, changed, modules):
    checkpoint = read(changed, **modules)
    arguments = dict(checkpoint.arguments)
    if arguments["quantizer"]:
        kinds = {"gumbel": GumbelQuantizer, "kmeans": KMeansQuantizer}
        special = dict(arguments["quantizer"])
        arguments["quantizer"] = kinds[special.pop("kind")](8, **special)
    parameters = Wav2Vec(**arguments).named_parameters()
    assert {name: tuple(p.shape) for name, p in parameters} == {
        name: array.shape for name, array in checkpoint.weights.items()
    }


@pytest.mark.parametrize(
    ("theirs", "value", "ours", "expected"),
    [
        ("activation", "gelu", "activation", "gelu"),
        ("activation", None, "activation", "relu"),
        ("log_compression", True, "log_compression", True),
        ("skip_connections_feat", True, "skip_encoder", True),
        ("residual_scale", 1, "residual_scale", 1.0),
        ("agg_zero_pad", True, "zero_pad", True),
        ("offset", "auto", "offset", "auto"),
        ("offset", "3", "offset", 3),
        ("offset", 3, "offset", 3),
    ],
)
def test_translated_arguments(read, theirs, value, ours, expected):
    assert read({theirs: value}).arguments[ours] == expected


@pytest.mark.parametrize("kind", [old, new, converted])
def test_defaults_of_both_generations(write, kind):
    layers = {"conv_feature_layers": ENCODER, "conv_aggregator_layers": [(8, 2, 1)]}
    tensors = network(ENCODER, [(8, 2, 1)], n_steps=12).state_dict()
    arguments = read_checkpoint(write(kind(layers, tensors))).arguments
    assert arguments["log_compression"] == arguments["skip_aggregator"] == (kind is not old)
    assert arguments["n_steps"] == 12 and arguments["activation"] == "relu"


def wide(arguments, vq=None):
    """Tensors of a network with these layers, twelve steps, and half precision."""
    layers = (arguments[f"conv_{part}_layers"] for part in ("feature", "aggregator"))
    with torch.device("meta"):  # names and shapes only
        shapes = network(*map(parse_layers, layers), n_steps=12, vq=vq).state_dict()
    return {name: torch.ones(t.shape, dtype=torch.float16) for name, t in shapes.items()}


def test_layers_that_a_new_file_lacks(write):
    arguments = read_checkpoint(write(new({"seed": 1}, wide(VQ)))).arguments
    assert arguments["encoder_layers"] == parse_layers(VQ["conv_feature_layers"])
    assert arguments["aggregator_layers"] == parse_layers(VQ["conv_aggregator_layers"])


def n_weights(weights, part=""):
    return sum(array.size for name, array in weights.items() if name.startswith(part))


@pytest.mark.parametrize(
    ("arguments", "vq", "n_tensors", "counts"),
    [
        ({"seed": 1}, None, 53, (15_491_072, 5_253_120, 7_091_712, 0)),
        (LARGE, None, 71, (32_537_088, 5_779_456, 23_611_392, 0)),
        (
            {**VQ, "vq_type": "gumbel", "vq_dim": 512, "vq_depth": 2, "combine_groups": True},
            {"kind": "gumbel", "n_codes": 320, "depth": 2},
            79,
            (34_145_408, 6_042_624, 23_611_392, 1_345_152),
        ),
        (
            {**VQ, "vq_type": "kmeans", "combine_groups": True},
            {"kind": "kmeans", "n_codes": 320, "shared": True},
            78,
            (33_014_272, 6_042_624, 23_611_392, 214_016),
        ),
    ],
    ids=["base", "large", "gumbel", "kmeans"],
)
def test_published_sizes(write, arguments, vq, n_tensors, counts):
    base = {"conv_feature_layers": BASE, "conv_aggregator_layers": "[(512, 3, 1)] * 9"}
    checkpoint = read_checkpoint(write(old(arguments, wide(base | arguments, vq))))
    weights = checkpoint.weights
    assert len(weights) == n_tensors
    parts = ("", "encoder", "aggregator", "quantizer")
    assert tuple(n_weights(weights, part) for part in parts) == counts
    assert n_weights(weights, "head") == 3_146_240
    assert weights["head.weight"].shape == (512, 512, 1, 12)
    assert {array.dtype.name for array in weights.values()} == {"float32"}
    if vq:
        special = {"gumbel": {"depth": 2, "activation": "relu"}, "kmeans": {"gamma": 0.25}}
        special = special[vq["kind"]]
        shared = vq.get("shared", False)
        expected = {"kind": vq["kind"], "n_codes": 320, "n_groups": 2, "shared": shared}
        assert checkpoint.arguments["quantizer"] == expected | special


@pytest.mark.parametrize("combine", [False, True])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    ("arguments", "special"),
    [(GUMBEL, {"depth": 1, "activation": "relu"}), (KMEANS, {"gamma": 0.5})],
)
def test_shape_of_the_table_wins(read, arguments, special, shared, combine):
    vq = {"kind": arguments["vq_type"], "n_codes": 5, "shared": shared}
    checkpoint = read({**arguments, "combine_groups": combine}, vq=vq)
    expected = {**vq, "n_groups": 2, **special}
    assert checkpoint.arguments["quantizer"] == expected


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_become_float32(write, dtype):
    tensors = {name: t.to(dtype) for name, t in network(**PLAIN).state_dict().items()}
    weights = read_checkpoint(write(old(TINY, tensors))).weights
    for ours, theirs in PAIRS.items():
        assert weights[ours].dtype == np.float32
        assert np.array_equal(weights[ours], tensors[theirs].float().numpy())


def test_second_aggregator_is_left_out(write):
    tensors = network(**PLAIN).state_dict()
    second = {
        name.replace("feature_aggregator", "project_features"): tensor
        for name, tensor in tensors.items()
        if name.startswith("feature_aggregator")
    }
    assert second
    checkpoint = read_checkpoint(write(old({**TINY, "project_features": "new"}, tensors | second)))
    assert [*checkpoint.weights] == [*PAIRS]


def test_meters_of_the_training_are_skipped(write, monkeypatch):
    meters = types.ModuleType("fairseq.meters")
    meter = type("AverageMeter", (), {"__module__": "fairseq.meters"})
    meters.AverageMeter, measured = meter, meter()
    measured.sum = 3.0
    monkeypatch.setitem(sys.modules, "fairseq", types.ModuleType("fairseq"))
    monkeypatch.setitem(sys.modules, "fairseq.meters", meters)
    state = old(TINY, network(**PLAIN).state_dict())
    for legacy in (False, True):
        path = write({**state, "extra_state": {"train_meters": {"loss": measured}}}, legacy)
        assert [*read_checkpoint(path).weights] == [*PAIRS]


# --- wrong files ---------------------------------------------------------------------------------


class Payload:
    """Its pickle calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Config:
    """Stands for an object of another library."""


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("place", ["args", "model", "extra_state"])
@pytest.mark.parametrize(
    "function", [lambda path: (os.mkdir, path), lambda path: (open, path, "w")], ids=["os", "open"]
)
def test_payload_is_not_run(write, tmp_path, place, legacy, function):
    target = str(tmp_path / "made")
    state = old(TINY, network(**PLAIN).state_dict())
    path = write({**state, place: Payload(*function(target))}, legacy)
    with pytest.raises(ValueError, match="which could run code; if you trust its origin, convert"):
        read_checkpoint(path)
    assert os.listdir(tmp_path) == ["model.pt"]

    torch.load(path, weights_only=False)  # what was kept from happening
    assert "made" in os.listdir(tmp_path)


def test_object_of_another_library_is_refused_with_a_recipe(write):
    path = write({"cfg": Config(), "model": {}})
    with pytest.raises(ValueError, match=r"it holds \S*Config, .*OmegaConf.to_container"):
        read_checkpoint(path)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_truncated_file(write, share, legacy):
    path = write(old(TINY, network(**PLAIN).state_dict()), legacy)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"cannot be read: it is damaged, or torch\.save did"):
        read_checkpoint(path)


def test_files_that_are_no_checkpoints(tmp_path, write):
    text = tmp_path / "text.pt"
    text.write_text("no\ncheckpoint")
    with pytest.raises(ValueError, match=r"text.pt cannot be read: it is damaged, .*; pass a com"):
        read_checkpoint(text)
    with pytest.raises(ValueError, match="cannot be read: it is a folder; pass"):
        read_checkpoint(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none.pt does not exist; see .*fetch_checkpoint"):
        read_checkpoint(str(tmp_path / "none.pt"))


@pytest.mark.parametrize(
    "state", [[1], {}, {"model": {}}, {"args": argparse.Namespace(a=1)}, {"cfg": 3, "model": {}}]
)
def test_files_without_arguments_and_weights(write, state):
    with pytest.raises(ValueError, match="it holds no arguments with weights; pass"):
        read_checkpoint(write(state))


NORM = "feature_aggregator.conv_layers.1.3.weight"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, f"it lacks {NORM}"),
        ([1.0] * 6, "is no array of weights"),
        (torch.ones(6, dtype=torch.int64), "is no array of weights"),
        (torch.ones(1).expand(6), "is no array of weights"),
        (torch.ones(6).to_sparse(), r"it holds torch\._utils\._rebuild_sparse_tensor"),
        (torch.ones(7), r"is \(7,\), not \(6,\) as its arguments say"),
        (torch.ones(6, 1), r"is \(6, 1\), not \(6,\)"),
        (torch.tensor([1, 1, np.nan, 1, 1, 1]), "holds NaN or infinity"),
        (torch.tensor([1, 1, -np.inf, 1, 1, 1]), "holds NaN or infinity"),
    ],
)
def test_wrong_weights(write, wrong, message):
    tensors = network(**PLAIN).state_dict()
    assert NORM in tensors
    tensors[NORM] = wrong
    with pytest.raises(
        ValueError, match=f"cannot be read: .*{message}.*; (pass a complete|if you)"
    ):
        read_checkpoint(write(old(TINY, tensors)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"conv_feature_layers": "[(4, 5, 3)]"}, r"aggregator.* \(8, 8, 2\), not \(8, 4, 2\)"),
        ({"conv_aggregator_layers": "[(8, 2, 1)]"}, r"steps.weight is \(6, 8.*not \(8, 8, 1, 3"),
        ({"conv_feature_layers": "__import__('os')"}, "is no list of up to 100 layers"),
        ({"conv_aggregator_layers": 3}, "3 is no list of up to 100 layers"),
        ({"prediction_steps": 4}, "project_to_steps.weight is"),
        ({"prediction_steps": 10**9}, "its argument prediction_steps is 1000000000"),
        ({"skip_connections_agg": False}, "do not account for feature_aggregator.residual_proj.1"),
        ({"non_affine_group_norm": True}, "do not account for feature_aggregator.conv_layers.0.3"),
        ({"aggregator": "gru"}, "it lacks feature_aggregator.1.weight_ih_l0"),
        ({"aggregator": "lstm"}, "its argument aggregator is 'lstm'"),
        ({"activation": ["relu"]}, r"its argument activation is \['relu'\]"),
        ({"log_compression": "yes"}, "its argument log_compression is 'yes'"),
        ({"residual_scale": -1.0}, "its argument residual_scale is -1.0"),
        ({"residual_scale": float("nan")}, "its argument residual_scale is nan"),
        ({"offset": "soon"}, "its argument offset is 'soon'"),
        ({"offset": 0}, "its argument offset is 0"),
        (GUMBEL, "it lacks vector_quantizer.weight_proj.weight"),
        (KMEANS, "it lacks vector_quantizer.projection.0.weight"),
        ({**GUMBEL, "vq_groups": 3}, "3 groups of width 8 in all do not fit"),
        ({**GUMBEL, "vq_dim": 16}, "2 groups of width 16 in all do not fit"),
        ({**GUMBEL, "vq_depth": 0}, "its argument vq_depth is 0"),
        ({"vq_type": "pq"}, "its argument vq_type is 'pq'"),
    ],
)
def test_arguments_that_do_not_fit(read, changed, message):
    with pytest.raises(
        ValueError, match=f"model.pt cannot be read: .*{message}.*; pass a complete"
    ):
        read(changed)


def test_another_network_of_fairseq(write):
    tensors = network(**PLAIN).state_dict() | {"mask_emb": torch.ones(3)}
    with pytest.raises(ValueError, match="its arguments do not account for mask_emb; pass"):
        read_checkpoint(write(old(TINY, tensors)))


# --- layers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("[(512, 10, 5)] + [(512, 4, 2)] * 2", ((512, 10, 5), (512, 4, 2), (512, 4, 2))),
        ("2 * [(1, 2, 3)]", ((1, 2, 3), (1, 2, 3))),
        (" [(1, 2, 3),]\n", ((1, 2, 3),)),
        ("((1, 2, 3), [4, 5, 6])", ((1, 2, 3), (4, 5, 6))),
        ("([(1, 2, 3)] * 2 + [(4, 5, 6)]) * 2", ((1, 2, 3), (1, 2, 3), (4, 5, 6)) * 2),
        ([[1, 2, 3], (4, 5, 6)], ((1, 2, 3), (4, 5, 6))),
        (((1, 2, 3),), ((1, 2, 3),)),
        ("[(1, 1, 1)] * 100", ((1, 1, 1),) * 100),
    ],
)
def test_layers(layers, expected):
    assert parse_layers(layers) == expected


@pytest.mark.parametrize(
    "layers",
    [
        "",
        "[]",
        "[(1, 2, 3)] * 0",
        "[(1, 2)]",
        "[(1, 2, 3, 4)]",
        "[1, 2, 3]",
        "(1, 2, 3)",
        "[(1, 2, 0)]",
        "[(1, 2, -3)]",
        "[(1, 2, 3.0)]",
        "[(1, 2, True)]",
        "[(1, 2, '3')]",
        "[(1, 2, 10001)]",
        "[(1, 2, 1 + 2)]",
        "[(1, 2, 2 ** 3)]",
        "[(1, 2, 3)] * 101",
        "[(1, 2, 3)] * 10 * 10 * 10 * 10 * 10 * 10 * 10 * 10 * 10 * 10",
        "[(1, 2, 3)] * 10 ** 10",
        "[(1, 2, 3)] * 1" + "0" * 500,
        "[(1, 2, 3)] * -1",
        "[(1, 2, 3)] * [2]",
        "[(1, 2, 3)] + 1",
        "[(1, 2, 3)" + " " * 2000 + "]",
        "[] * 1" + "0" * 500 + " + [(1, 2, 3)]",
        "[]" + "*1" * 990,
        "-" * 1900 + "1",
        "(" * 900,
        "[" * 90 + "]" * 90,
        "+".join(["[(1,2,3)]"] * 180),
        "[(1, 2, 3)",
        "layers",
        "[(1, 2, 3) for i in range(3)]",
        "print(1)",
        "__import__('os').mkdir('made')",
        "(lambda: [(1, 2, 3)])()",
        "[(1, 2, 3)][0:1]",
        "\0",
        None,
        7,
        [(1, 2)],
        [(1, 2, 3.0)],
        [(1, 2, True)],
        ["abc"],
        [(1, 2, 3)] * 101,
    ],
    ids=lambda layers: f"{layers!r:.30}",
)
def test_absurd_layers(layers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"is no list of up to 100 layers .* from 1 to 10000$"):
        parse_layers(layers)
    assert not os.listdir(tmp_path)


# --- downloads -----------------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch):
    """The host, with a published file ``some.pt`` and its hash."""
    content = b"PK\3\4" + b"a checkpoint" * 1000
    with serving(content, monkeypatch) as server:
        release = Release(
            f"{server.url}/some.pt", hashlib.sha256(content).hexdigest(), 16000, "", "", "a test"
        )
        monkeypatch.setitem(KNOWN, "some.pt", release)
        monkeypatch.delenv("SKAUDIO_DATA", raising=False)
        yield server


def test_download(server, tmp_path):
    path = fetch_checkpoint("some.pt", data_home=tmp_path)
    assert path == tmp_path / "pretrained" / "some.pt"
    assert path.read_bytes() == server.content
    assert os.listdir(path.parent) == ["some.pt"]
    assert fetch_checkpoint("some.pt", data_home=str(tmp_path)) == path
    assert server.requests == 1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"cut": 1000}, "could not be downloaded .*; try again later"),
        ({"status": 404}, "could not be downloaded .*404"),
        (
            {"content": b"PK\3\4another"},
            "the downloaded some.pt is not the published one; nothing saved",
        ),
        ({"content": b""}, "what came is not a checkpoint"),
        ({"content": b"<!doctype html>"}, "what came is not a checkpoint"),
        ({"headers": [("Content-Type", "text/html; charset=utf-8")]}, "came is an HTML page"),
        ({"drip": 0.02}, "not complete after 0 minutes"),
    ],
)
def test_broken_download_leaves_nothing(server, tmp_path, setting, message, monkeypatch):
    right = {name: getattr(server, name) for name in setting}
    vars(server).update(setting)
    with monkeypatch.context() as patch, pytest.raises(OSError, match=message) as caught:
        if "drip" in setting:
            patch.setattr(_fetch, "_MAX_SECONDS", 0.3)
        fetch_checkpoint("some.pt", data_home=tmp_path)
    assert not os.listdir(tmp_path / "pretrained")
    if "published" not in message:
        assert f"{caught.value}".startswith(f"{server.url}/some.pt could not be downloaded (")
        assert f"{caught.value}".endswith("or download it by hand and pass its path")

    vars(server).update(right)
    assert fetch_checkpoint("some.pt", data_home=tmp_path).read_bytes() == server.content


def test_download_that_does_not_end(server, tmp_path, monkeypatch):
    monkeypatch.setattr("skaudio.pretrained.fairseq._MAX_BYTES", 10_000)
    with pytest.raises(OSError, match="it is larger than 10000 bytes"):
        fetch_checkpoint("some.pt", data_home=tmp_path)
    assert not os.listdir(tmp_path / "pretrained")


def test_interrupt_while_waiting_ends_the_download(server, tmp_path, monkeypatch):
    def interrupted(thread, seconds):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("threading.Thread.join", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch_checkpoint("some.pt", data_home=tmp_path)
    assert not os.listdir(tmp_path / "pretrained")


def test_download_of_the_format_of_2019(server, tmp_path, monkeypatch):
    written = io.BytesIO()
    torch.save({}, written, _use_new_zipfile_serialization=False)
    server.content = written.getvalue()
    published = KNOWN["some.pt"]
    monkeypatch.setitem(KNOWN, "some.pt", Release(published.url, None, 16000, "none", "none", ""))
    assert fetch_checkpoint("some.pt", data_home=tmp_path).read_bytes() == server.content


def test_interrupt_leaves_nothing(server, tmp_path, monkeypatch):
    def interrupted(path, target):
        assert path.read_bytes() == server.content
        raise KeyboardInterrupt

    monkeypatch.setattr(pathlib.Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch_checkpoint("some.pt", data_home=tmp_path)
    assert not os.listdir(tmp_path / "pretrained")


def test_download_without_a_known_hash(server, tmp_path, monkeypatch):
    published = KNOWN["some.pt"]
    monkeypatch.setitem(KNOWN, "some.pt", Release(published.url, None, 16000, "none", "none", ""))
    path = fetch_checkpoint("some.pt", data_home=tmp_path)
    assert path.read_bytes() == server.content


def test_home_from_environment_and_cache(server, tmp_path, monkeypatch):
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache" / name)
    assert fetch_checkpoint("some.pt") == tmp_path / "cache" / "skaudio" / "pretrained" / "some.pt"
    monkeypatch.setenv("SKAUDIO_DATA", str(tmp_path / "data"))
    assert fetch_checkpoint("some.pt") == tmp_path / "data" / "pretrained" / "some.pt"


def test_home_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write into .*file/pretrained .*as data_home"):
        fetch_checkpoint("some.pt", data_home=tmp_path / "file")
    assert server.requests == 0


def test_unknown_name():
    with pytest.raises(ValueError, match=r"name='wav2vec' is unknown; use one of \['vq-wav2vec.pt"):
        fetch_checkpoint("wav2vec")


def test_published_checkpoints():
    assert sorted(KNOWN) == ["vq-wav2vec.pt", "vq-wav2vec_kmeans.pt", "wav2vec_large.pt"]
    for name, release in KNOWN.items():
        assert release.url == f"https://dl.fbaipublicfiles.com/fairseq/wav2vec/{name}"
        assert release.sample_rate == 16000 and release.licence == "MIT"
        assert release.paper.startswith("arXiv:19") and "LibriSpeech" in release.description
