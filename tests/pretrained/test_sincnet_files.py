"""Checkpoints of SincNet, made here with the published names and shapes."""

import os

import numpy as np
import pytest
import torch
from torch import nn

from skaudio._engine import weights
from skaudio.networks.sincnet import SincHead, SincNet
from skaudio.pretrained import SincNetCheckpoint, read_sincnet
from tests.networks.test_sinc import taps
from tests.networks.test_sincnet_network import by_hand, noise, standardised

PARTS = ("CNN_model_par", "DNN1_model_par", "DNN2_model_par")
SMALL = {"chunk": 3200, "filters": (6, 5, 4), "kernels": (251, 5, 3), "pools": (3, 2, 4)}
DENSE = (12, 10, 7)
SETTINGS = {
    "timit": (3200, 16000, "leaky_relu", ("leaky_relu",) * 3),
    "librispeech": (3000, 8000, "relu", ("leaky_relu", "linear", "leaky_relu")),
}


class Norm(nn.Module):
    """The published layer norm has its numbers under these names."""

    def __init__(self, *shape):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(shape))


def convolutions(chunk, filters, kernels, pools, old, rate):
    """The published first network; torch gives its weights the published names."""
    root, steps = nn.Module(), chunk
    root.conv, root.bn, root.ln = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
    root.ln0 = Norm(chunk)
    for i, (width, kernel, pool) in enumerate(zip(filters, kernels, pools, strict=True)):
        steps = (steps - kernel + 1) // pool
        root.ln.append(Norm(width, steps))
        root.bn.append(nn.BatchNorm1d(width, steps, momentum=0.05))
        if i > 0:
            root.conv.append(nn.Conv1d(filters[i - 1], width, kernel))
            continue
        low, band = torch.linspace(30, 3000, width), torch.linspace(20, 700, width)
        layer = nn.Module()
        if old:
            layer.filt_b1 = nn.Parameter(low.double() / rate)
            layer.filt_band = nn.Parameter(band.double() / rate)
        else:
            layer.low_hz_, layer.band_hz_ = nn.Parameter(low[:, None]), nn.Parameter(band[:, None])
        root.conv.append(layer)
    return root, filters[-1] * steps


def dense(n_in, widths, input_norm):
    """The published second and third network."""
    root = nn.Module()
    root.wx, root.bn, root.ln = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
    if input_norm:
        root.ln0 = Norm(n_in)
    for width in widths:
        root.ln.append(Norm(width))
        root.bn.append(nn.BatchNorm1d(width, momentum=0.05))
        root.wx.append(nn.Linear(n_in, width))
        n_in = width
    return root


def content(size="timit", old=False, head_norm=False, n_classes=9, **changed):
    """Content of a file: as published but small, with random numbers where they are used."""
    chunk, rate, *_ = SETTINGS[size]
    cnn, flat = convolutions(**{**SMALL, "chunk": chunk, **changed}, old=old, rate=rate)
    parts = cnn, dense(flat, DENSE, True), dense(DENSE[-1], [n_classes], head_norm)
    generator = torch.Generator().manual_seed(0)
    states = [part.state_dict() for part in parts]
    with torch.no_grad():
        for i, state in enumerate(states):
            for name, tensor in state.items():
                change = 0.3 * torch.randn(tensor.shape, generator=generator)
                if name.startswith("bn" if i == 1 else "ln.") and i < 2:
                    if tensor.is_floating_point():
                        tensor.add_(change.abs())
                elif name.startswith(("ln0", "wx", "conv.1", "conv.2")):
                    tensor.add_(change)
                elif name == "conv.0.filt_b1":
                    tensor.mul_(1.03)
    return dict(zip(PARTS, states, strict=True))


@pytest.fixture
def write(tmp_path):
    """Function that saves an object as a checkpoint and returns its path."""

    def write(state, legacy=False):
        path = tmp_path / "model_raw.pkl"
        torch.save(state, path, _use_new_zipfile_serialization=not legacy)
        return path

    return write


def networks(checkpoint):
    """Network and head with the weights of a checkpoint, all of them."""
    pairs = (
        (SincNet(**checkpoint.arguments), checkpoint.weights),
        (SincHead(**checkpoint.head_arguments), checkpoint.head_weights),
    )
    for network, arrays in pairs:
        assert {*network.state_dict()} == {*arrays}
        for name, tensor in network.state_dict().items():
            assert arrays[name].dtype == tensor.numpy().dtype
        weights.load(network, arrays).eval()
    return [network for network, _ in pairs]


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("old", [False, True], ids=["2019", "2018"])
@pytest.mark.parametrize("size", SETTINGS)
def test_features_equal_float64(write, size, old, legacy):
    chunk, rate, conv, dense_activations = SETTINGS[size]
    state = content(size, old, head_norm=size == "librispeech")
    checkpoint = read_sincnet(write(state, legacy))
    assert isinstance(checkpoint, SincNetCheckpoint)
    assert (checkpoint.size, checkpoint.sample_rate) == (size, rate)
    assert checkpoint.arguments == {
        **SMALL,
        "chunk": chunk,
        "sample_rate": rate,
        "form": "2018" if old else "2019",
        "dense": DENSE,
        "conv_activation": conv,
        "dense_activations": dense_activations,
        "norm": "chunk",
        "dense_norm": "batch",
        "unused_norms": True,
    }
    network, head = networks(checkpoint)
    chunks = noise(3, chunk)
    with torch.inference_mode():
        vectors = network.vectors(torch.from_numpy(chunks))
        scores = head(vectors).numpy()
    named = theirs(state, old, rate)
    expected = by_hand(named, chunks, checkpoint.arguments)
    assert np.abs(vectors.numpy() - expected).max() <= 2e-5 * np.abs(expected).max()
    w = {name: tensor.double().numpy() for name, tensor in state["DNN2_model_par"].items()}
    x = standardised(expected, w["ln0.gamma"], w["ln0.beta"]) if "ln0.gamma" in w else expected
    x = x @ w["wx.0.weight"].T + w["wx.0.bias"]
    np.testing.assert_allclose(scores, x - np.log(np.exp(x).sum(1, keepdims=True)), atol=1e-4)


class Named:
    """Tensors of a file by the names that `by_hand` reads."""

    def __init__(self, tensors):
        self.tensors = tensors

    def state_dict(self):
        return self.tensors


def theirs(state, old, rate):
    cnn, mlp, _ = (state[part] for part in PARTS)
    named = {"input_norm.weight": cnn["ln0.gamma"], "input_norm.bias": cnn["ln0.beta"],
             "flat_norm.weight": mlp["ln0.gamma"], "flat_norm.bias": mlp["ln0.beta"]}  # fmt: skip
    edges = ("filt_b1", "filt_band") if old else ("low_hz_", "band_hz_")
    for ours, name in zip(("low_hz_", "band_hz_"), edges, strict=True):
        tensor = cnn[f"conv.0.{name}"]
        named[f"convs.0.{ours}"] = tensor[:, None] * rate if old else tensor
    for i in range(3):
        named[f"conv_norms.{i}.weight"] = cnn[f"ln.{i}.gamma"]
        named[f"conv_norms.{i}.bias"] = cnn[f"ln.{i}.beta"]
        for part in ("weight", "bias"):
            if i > 0:
                named[f"convs.{i}.{part}"] = cnn[f"conv.{i}.{part}"]
            named[f"dense.{i}.{part}"] = mlp[f"wx.{i}.{part}"]
        for part in ("weight", "bias", "running_mean", "running_var"):
            named[f"dense_norms.{i}.{part}"] = mlp[f"bn.{i}.{part}"]
    return Named(named)


def test_filters_of_the_form_of_2018(write):
    checkpoint = read_sincnet(write(content(old=True)))
    network, _ = networks(checkpoint)
    share = np.linspace(30, 3000, 6) / 16000 * 1.03, np.linspace(20, 700, 6) / 16000
    expected = [taps(16000 * a, 16000 * b, 251, 16000, "2018") for a, b in zip(*share, strict=True)]
    found = network.convs[0].filters().detach()
    np.testing.assert_allclose(found, expected, atol=2e-6)
    np.testing.assert_allclose(network.convs[0].bands()[0].detach(), [80.9, 150.9], rtol=1e-6)


def test_files_of_old_versions_of_torch_count_no_batches(write):
    state = content()
    counted = {part: dict(tensors) for part, tensors in state.items()}
    state["DNN1_model_par"]["bn.1.num_batches_tracked"].fill_(77)
    for tensors in counted.values():
        for name in [name for name in tensors if "num_batches" in name]:
            del tensors[name]
    assert read_sincnet(write(state)).weights["dense_norms.1.num_batches_tracked"] == 77
    assert read_sincnet(write(counted)).weights["dense_norms.1.num_batches_tracked"] == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_weights_become_float32(write, dtype):
    state = content()
    for tensors in state.values():
        for name, tensor in tensors.items():
            if tensor.is_floating_point():
                tensors[name] = tensor.to(dtype)
    arrays = read_sincnet(write(state)).weights
    kinds = {array.dtype.name for name, array in arrays.items() if "batches" not in name}
    assert kinds == {"float32"}
    expected = state["DNN1_model_par"]["wx.0.weight"].float().numpy()
    assert np.array_equal(arrays["dense.0.weight"], expected)


def test_chunks_of_another_length(write):
    state = content(chunk=1600)
    path = write(state)
    with pytest.raises(ValueError, match=r"its chunks have 1600 samples, .* pass size='timit'"):
        read_sincnet(path)
    checkpoint = read_sincnet(path, size="librispeech", sample_rate=8000)
    assert checkpoint.arguments["chunk"] == 1600 and checkpoint.sample_rate == 8000
    assert checkpoint.arguments["conv_activation"] == "relu"
    network, _ = networks(checkpoint)
    assert network.convs[0].sample_rate == 8000
    assert read_sincnet(path, size="timit").sample_rate == 16000
    with pytest.raises(ValueError, match=r"size='tiny' is unknown; use one of \['timit', 'libri"):
        read_sincnet(path, size="tiny")


# --- wrong files ---------------------------------------------------------------------------------


class Payload:
    """Its pickle calls a function."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("part", [*PARTS, "epoch"])
def test_payload_is_not_run(write, tmp_path, part, legacy):
    path = write({**content(), part: Payload(str(tmp_path / "made"))}, legacy)
    with pytest.raises(ValueError, match=r"model_raw.pkl cannot be read: .*could run code; pass"):
        read_sincnet(path)
    assert os.listdir(tmp_path) == ["model_raw.pkl"]
    torch.load(path, weights_only=False)  # what was kept from happening
    assert "made" in os.listdir(tmp_path)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_truncated_file(write, share, legacy):
    path = write(content(), legacy)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"cannot be read: it(s arrays claim| is damaged, or tor)"):
        read_sincnet(path)


def test_files_that_are_no_checkpoints(tmp_path, write):
    with pytest.raises(FileNotFoundError, match=r"none\.pkl does not exist"):
        read_sincnet(tmp_path / "none.pkl")
    with pytest.raises(ValueError, match=r"it is a folder; pass a complete model_raw\.pkl"):
        read_sincnet(tmp_path)
    foreign = {"model": {}}, [1], {**content(), "DNN2_model_par": {}}, {PARTS[0]: 3}
    for state in foreign:
        with pytest.raises(ValueError, match="it does not hold CNN_model_par, DNN1_model_par, D"):
            read_sincnet(write(state))


NAN = torch.full((12,), np.nan)


@pytest.mark.parametrize(
    ("part", "name", "wrong", "message"),
    [
        (0, "ln0.gamma", None, "CNN_model_par lacks ln0.gamma"),
        (0, "ln0.beta", None, "CNN_model_par lacks ln0.beta"),
        (0, "ln0.beta", torch.ones(3), r"ln0.beta in .* is \(3,\), not \(3200,\) as the other"),
        (0, "conv.0.low_hz_", None, "CNN_model_par lacks conv.0.low_hz_"),
        (0, "conv.0.band_hz_", torch.ones(6), r"band_hz_ in .* is \(6,\), not \(6, 1\)"),
        (0, "conv.1.weight", torch.ones(5, 7, 5), r"is \(5, 7, 5\), not \(5, 6, 5\)"),
        (0, "conv.1.weight", torch.ones(5, 6), r"conv.1.weight in .* has the shape \(5, 6\)"),
        (0, "conv.1.weight", torch.ones(5, 6, 0), r"has the shape \(5, 6, 0\)"),
        (0, "ln.0.gamma", torch.ones(6, 1999), "a map of 1999 frames after convolution 0 does n"),
        (0, "ln.0.gamma", None, "CNN_model_par lacks ln.0.gamma"),
        (0, "bn.1.running_mean", torch.ones(5), "bn.1 in CNN_model_par has been used, which no"),
        (0, "bn.1.running_var", 2 * torch.ones(5), "bn.1 in CNN_model_par has been used"),
        (0, "conv.3.weight", torch.ones(2), "layers do not account for conv.3.weight in CNN_"),
        (0, 3, torch.ones(2), "a weight in CNN_model_par has no name"),
        (1, "wx.0.weight", torch.ones(12, 8), r"is \(12, 8\), not \(12, 484\)"),
        (1, "wx.0.bias", NAN, "wx.0.bias in DNN1_model_par holds NaN or infinity"),
        (1, "wx.0.bias", torch.ones(12, dtype=torch.int64), "wx.0.bias in .* is no array of weig"),
        (1, "wx.0.bias", [1.0] * 12, "wx.0.bias in .* is no array of weig"),
        (1, "wx.0.bias", torch.ones(1).expand(12), "wx.0.bias in .* is no array of weig"),
        (1, "wx.2.weight", None, "layers do not account for bn.2.bias in DNN1_model_par"),
        (1, "ln.1.gamma", 2 * torch.ones(10), "ln.1 in DNN1_model_par has been used"),
        (1, "ln.1.beta", torch.ones(10), "ln.1 in DNN1_model_par has been used"),
        (1, "ln0.gamma", None, "DNN1_model_par lacks ln0.gamma"),
        (2, "wx.0.weight", torch.ones(9, 8), r"is \(9, 8\), not \(9, 7\)"),
        (2, "bn.0.running_mean", torch.ones(9), "bn.0 in DNN2_model_par has been used"),
        (2, "wx.1.weight", torch.ones(9, 9), "account for wx.1.weight in DNN2_model_par"),
    ],
)
def test_wrong_weights(write, part, name, wrong, message):
    state = content()
    tensors = state[PARTS[part]]
    if wrong is None:
        del tensors[name]
    else:
        tensors[name] = wrong
    with pytest.raises(ValueError, match=f"cannot be read: .*{message}.*; pass a complete mod"):
        read_sincnet(write(state))


def test_weights_that_share_their_memory(write):
    """A few bytes that claim to be many arrays."""
    state = content()
    mlp = state["DNN1_model_par"]
    large = torch.ones(12 * 484)
    for i in range(60):
        mlp[f"more.{i}"] = large
    with pytest.raises(ValueError, match="its weights claim to be larger than the file"):
        read_sincnet(write(state))


@pytest.mark.parametrize("n_layers", [1, 2])
def test_other_numbers_of_layers(write, n_layers):
    changed = {name: SMALL[name][:n_layers] for name in ("filters", "kernels", "pools")}
    checkpoint = read_sincnet(write(content(**changed)))
    network, _ = networks(checkpoint)
    assert len(network.convs) == n_layers
    with torch.inference_mode():
        assert network.vectors(torch.from_numpy(noise(2, 3200))).shape == (2, 7)
