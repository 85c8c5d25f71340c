"""Checkpoints of PASE and PASE+, made here with the published names and shapes."""

import os

import numpy as np
import pytest
import torch
from torch import nn

from skaudio._engine import weights
from skaudio.networks.pase import PASE, SIZES
from skaudio.pretrained import PASECheckpoint, read_pase
from tests.networks.test_pase_network import (
    KERNELS,
    STRIDES,
    assert_equal_float64,
    by_hand,
    noise,
    run,
)
from tests.pretrained.test_sincnet_files import Payload

WIDTHS = (5, 4, 6, 3, 4, 5, 6, 7)
KINDS = {"pase": (6, None), "pase+": (8, 5)}


def published(plus, widths, n_features, n_hidden=None):
    """The published front-end; torch gives its weights the published names."""
    root, n_in = nn.Module(), 1
    if plus:
        root.denseskips = nn.ModuleList(
            nn.Conv1d(width, n_features, 1, bias=False) for width in widths[:-1]
        )
    root.blocks = nn.ModuleList()
    for i, (width, kernel) in enumerate(zip(widths, KERNELS, strict=True)):
        block = nn.Module()
        if i == 0:
            block.conv = nn.Module()
            block.conv.low_hz_ = nn.Parameter(torch.linspace(30, 3000, width)[:, None])
            block.conv.band_hz_ = nn.Parameter(torch.linspace(20, 700, width)[:, None])
        else:
            block.conv = nn.Conv1d(n_in, width, kernel)
        block.norm, block.act = nn.BatchNorm1d(width), nn.PReLU(width)
        root.blocks.append(block)
        n_in = width
    if plus:
        layer, root.rnn = nn.Module(), nn.Module()
        layer.linear = nn.Linear(2 * n_in, 3 * n_hidden)
        root.rnn.layers = nn.ModuleList([layer])
        n_in = n_hidden
    root.W = nn.Conv1d(n_in, n_features, 1)
    root.norm_out = nn.BatchNorm1d(n_features, affine=False)
    return root


def content(kind="pase+", widths=WIDTHS, dims=None):
    """Content of a file: as published but small, with random numbers."""
    state = published(kind == "pase+", widths, *(dims or KINDS[kind])).state_dict()
    generator = torch.Generator().manual_seed(0)
    for name, tensor in state.items():
        change = torch.randn(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            tensor.add_(change.abs())
        elif name.endswith("num_batches_tracked"):
            tensor.fill_(77)
        elif not name.endswith("hz_"):
            tensor.copy_(0.3 * change + (1.0 if name.endswith("norm.weight") else 0.0))
    return state


@pytest.fixture
def write(tmp_path):
    """Function that saves an object as a checkpoint and returns its path."""

    def write(state, legacy=False):
        path = tmp_path / "FE.ckpt"
        torch.save(state, path, _use_new_zipfile_serialization=not legacy)
        return path

    return write


def network(checkpoint):
    """Network with the weights of a checkpoint, all of them."""
    made = PASE(**checkpoint.arguments)
    assert {*made.state_dict()} == {*checkpoint.weights}
    for name, tensor in made.state_dict().items():
        assert checkpoint.weights[name].dtype == tensor.numpy().dtype
    return weights.load(made, checkpoint.weights).eval()


def ours(state):
    """Tensors of a file by the names that `by_hand` reads."""
    pairs = (("denseskips.", "skips."), ("rnn.layers.0.", "rnn."), ("W.", "projection."))
    named = {}
    for name, tensor in state.items():
        for theirs, new in pairs:
            name = name.replace(theirs, new)
        named[name] = tensor.double().numpy()
    return named


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_features_equal_float64(write, kind, inside, legacy):
    state = content(kind)
    path = write({"step": 3, "state_dict": state} if inside else state, legacy)
    checkpoint = read_pase(path)
    assert isinstance(checkpoint, PASECheckpoint)
    n_features, n_hidden = KINDS[kind]
    arguments = {
        "layers": tuple(zip(WIDTHS, KERNELS, STRIDES, strict=True)),
        "n_features": n_features,
        "sample_rate": 16000,
    }
    if kind == "pase+":
        arguments |= {"skips": True, "n_hidden": n_hidden}
    assert checkpoint.arguments == arguments and checkpoint.sample_rate == 16000
    x = noise(1, 3200)
    expected, _ = by_hand(ours(state), x[0])
    assert_equal_float64(run(network(checkpoint), x)[0], expected)


@pytest.mark.parametrize(("kind", "dims"), [("pase", (100, None)), ("pase+", (256, 512))])
def test_published_sizes(write, kind, dims):
    state = content(kind, [width for width, _, _ in SIZES[kind]["layers"]], dims)
    assert len(state) == {"pase": 69, "pase+": 78}[kind]
    checkpoint = read_pase(write(state))
    assert checkpoint.arguments == {**SIZES[kind], "sample_rate": 16000}
    assert checkpoint.weights["norm_out.num_batches_tracked"] == 77


def test_kernels_are_those_of_the_shapes(write):
    state = content("pase")
    state["blocks.2.conv.weight"] = torch.ones(6, 4, 5)
    assert read_pase(write(state)).arguments["layers"][2] == (6, 5, 2)


def test_weights_become_float32(write):
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in content().items()
        if not name.endswith("num_batches_tracked")  # files of old versions of torch lack it
    }
    arrays = read_pase(write(state)).weights
    kinds = {array.dtype.name for name, array in arrays.items() if "batches" not in name}
    assert kinds == {"float32"}
    assert np.array_equal(arrays["projection.bias"], state["W.bias"].float().numpy())
    assert arrays["norm_out.num_batches_tracked"] == 0


# --- wrong files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("legacy", [False, True])
def test_payload_is_not_run(write, tmp_path, legacy):
    path = write({**content(), "epoch": Payload(str(tmp_path / "made"))}, legacy)
    with pytest.raises(ValueError, match=r"FE.ckpt cannot be read: .*could run code; pass the FE"):
        read_pase(path)
    assert os.listdir(tmp_path) == ["FE.ckpt"]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_truncated_file(write, share):
    path = write(content())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="cannot be read: it is damaged, or tor"):
        read_pase(path)


def test_files_that_are_no_checkpoints(tmp_path, write):
    with pytest.raises(FileNotFoundError, match=r"none\.ckpt does not exist"):
        read_pase(tmp_path / "none.ckpt")
    with pytest.raises(ValueError, match=r"it is a folder; pass the FE_e199\.ckpt"):
        read_pase(tmp_path)
    for state in ({"model": {}}, [1], {}, {"state_dict": {"a": torch.ones(1)}}):
        with pytest.raises(ValueError, match="it does not hold the state of an encoder; pass"):
            read_pase(write(state))
    whole = {f"frontend.{name}": tensor for name, tensor in content().items()}
    with pytest.raises(ValueError, match="state of an encoder, but that of encoder and workers"):
        read_pase(write(whole))


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("blocks.7.act.weight", None, "it has 7 blocks, and published encoders have 8"),
        ("blocks.8.act.weight", torch.ones(3), "it has 9 blocks"),
        ("blocks.3.act.weight", torch.ones(4), r"is \(4,\), not \(3,\) as the other weights say"),
        ("blocks.0.conv.band_hz_", torch.ones(5), r"band_hz_ in .* is \(5,\), not \(5, 1\)"),
        ("blocks.2.conv.weight", torch.ones(6, 5, 11), r"is \(6, 5, 11\), not \(6, 4, 11\)"),
        ("blocks.2.conv.bias", None, "the encoder lacks blocks.2.conv.bias"),
        ("blocks.2.conv.bias", torch.full((6,), np.nan), "bias in the encoder holds NaN or inf"),
        ("blocks.2.norm.running_var", torch.ones(2), r"is \(2,\), not \(6,\)"),
        ("denseskips.5.weight", None, "the encoder lacks denseskips.5.weight"),
        ("denseskips.0.weight", torch.ones(8, 4, 1), r"is \(8, 4, 1\), not \(8, 5, 1\)"),
        ("rnn.layers.0.linear.weight", torch.ones(15, 7), r"is \(15, 7\), not \(15, 14\)"),
        ("rnn.layers.1.linear.weight", torch.ones(15, 14), "do not account for rnn.layers.1.lin"),
        ("rnn.weight_ih_l0", torch.ones(15, 7), "layers do not account for rnn.weight_ih_l0"),
        ("W.weight", torch.ones(8, 5), r"W.weight in the encoder has the shape \(8, 5\)"),
        ("norm_out.running_mean", None, "the encoder lacks norm_out.running_mean"),
        (3, torch.ones(1), "a weight in the encoder has no name"),
    ],
)
def test_wrong_weights(write, name, wrong, message):
    state = content()
    if wrong is None:
        del state[name]
    else:
        state[name] = wrong
    with pytest.raises(ValueError, match=f"cannot be read: .*{message}.*; pass the FE_e199"):
        read_pase(write(state))


def test_weights_that_share_their_memory(write):
    state = content()
    large = torch.ones(5000)
    for i in range(60):
        state[f"more.{i}"] = large
    with pytest.raises(ValueError, match="its weights claim to be larger than the file"):
        read_pase(write(state))
