"""Features of checkpoints against float64 numpy, from the published formulas and names."""

from ast import literal_eval

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import erf, expit

from skaudio import VQTransformer, Wav2VecTransformer, load
from tests.pretrained.checkpoints import network, old

ENCODER = ((12, 10, 5), (12, 8, 4), (16, 4, 2))
AGGREGATOR = ((16, 2, 1), (16, 3, 1), (16, 4, 1))
STANDARD = {
    "conv_feature_layers": str([*ENCODER]),
    "conv_aggregator_layers": str([*AGGREGATOR]),
    "prediction_steps": 3,
    "activation": "relu",
    "log_compression": True,
    "skip_connections_agg": True,
    "residual_scale": 0.5,
}
WIDER = "[(16, 2, 1), (20, 3, 1), (20, 5, 1)]"
GUMBEL = {"vq_type": "gumbel", "vq_vars": 24, "vq_groups": 2, "vq_depth": 1}
KMEANS = {"vq_type": "kmeans", "vq_vars": 24, "vq_groups": 2}
GELU = {"activation": "gelu"}
CONFIGURATIONS = {
    "standard": {},
    "2019": {"log_compression": False, "skip_connections_agg": False},
    "gelu": {**GELU, "residual_scale": 0.9},
    "zero pad, no bias": {"agg_zero_pad": True, "no_conv_bias": True},
    "not affine": {"non_affine_group_norm": True},
    "encoder skips": {"skip_connections_feat": True, "residual_scale": 0.3},
    "projected skips": {"conv_aggregator_layers": WIDER},
    "gru": {"aggregator": "gru", "gru_dim": 10},
    "gumbel 1": GUMBEL,
    "gumbel 1 gelu": {**GUMBEL, **GELU},
    "gumbel 2": {**GUMBEL, "vq_depth": 2},
    "gumbel 2 gelu": {**GUMBEL, **GELU, "vq_depth": 2},
    "gumbel 3": {**GUMBEL, "vq_depth": 3, "vq_dim": 16},
    "gumbel 3 gelu shared": {**GUMBEL, **GELU, "vq_depth": 3, "combine_groups": True},
    "gumbel 4 groups gelu": {**GUMBEL, **GELU, "vq_depth": 2, "vq_groups": 4},
    "gumbel gru gelu": {**GUMBEL, **GELU, "vq_depth": 2, "aggregator": "gru", "gru_dim": 10},
    "kmeans": KMEANS,
    "kmeans shared gelu": {**KMEANS, **GELU, "combine_groups": True},
    "kmeans 4 groups gru": {**KMEANS, "vq_groups": 4, "aggregator": "gru", "gru_dim": 10},
}


def checkpoint(changes, seed=0):
    """Arguments of fairseq, and tensors that leave nothing at its neutral value."""
    arguments = STANDARD | changes
    vq, skip = None, arguments["skip_connections_agg"]
    if "vq_type" in changes:
        vq = {"kind": changes["vq_type"], "n_codes": changes["vq_vars"]}
        vq |= {"n_groups": changes["vq_groups"], "depth": changes.get("vq_depth", 1)}
        vq["shared"] = changes.get("combine_groups", False)
    modules = network(
        ENCODER,
        literal_eval(arguments["conv_aggregator_layers"]),
        skip,
        gru=changes.get("gru_dim"),
        bias=not changes.get("no_conv_bias"),
        affine=not changes.get("non_affine_group_norm"),
        vq=vq,
    )
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, tensor in modules.state_dict().items():
        drawn = torch.randn(tensor.shape, generator=generator)
        fan_in = tensor[0].numel() if tensor.ndim > 1 and "vector_quantizer.v" not in name else 1
        # small biases: frames that differ more than their mean is large take different codes
        tensors[name] = drawn * (0.1 if name.endswith("bias") else (3 / fan_in) ** 0.5)
    return arguments, tensors


class ByHand:
    """One clip through a network, in float64, from the arguments and tensors of its file."""

    def __init__(self, arguments, tensors):
        self.arguments = arguments
        self.w = {name: tensor.double().numpy() for name, tensor in tensors.items()}

    def activation(self, x):
        if self.arguments["activation"] == "gelu":
            return x * (1 + erf(x / 2**0.5)) / 2
        return np.maximum(x, 0)

    def norm(self, x, name, groups=1):
        y = x.reshape(groups, -1)
        y = y - y.mean(1, keepdims=True)
        y = (y / np.sqrt((y**2).mean(1, keepdims=True) + 1e-5)).reshape(x.shape)
        if f"{name}.weight" not in self.w:
            return y
        return y * self.w[f"{name}.weight"][:, None] + self.w[f"{name}.bias"][:, None]

    def conv(self, x, name, stride=1):
        kernel = self.w[f"{name}.weight"]
        windows = sliding_window_view(x, kernel.shape[2], axis=1)[:, ::stride]
        y = np.einsum("ctk,dck->dt", windows, kernel)
        return y + self.w[f"{name}.bias"][:, None] if f"{name}.bias" in self.w else y

    def encode(self, wave):
        x, scale = wave.astype(np.float64)[None], self.arguments["residual_scale"] ** 0.5
        for i, (_, _, stride) in enumerate(ENCODER):
            name = f"feature_extractor.conv_layers.{i}"
            y = self.activation(self.norm(self.conv(x, f"{name}.0", stride), f"{name}.2"))
            if self.arguments.get("skip_connections_feat") and len(x) == len(y):
                every = x.shape[1] // y.shape[1]
                y = (y + x[:, ::every][:, : y.shape[1]]) * scale
            x = y
        return np.log(np.abs(x) + 1) if self.arguments["log_compression"] else x

    def quantize(self, z):
        """Vectors (C, T) and codes (T, G)."""
        kind, groups = self.arguments["vq_type"], self.arguments["vq_groups"]
        name, size = "vector_quantizer", self.arguments["vq_vars"]
        if kind == "gumbel":
            table = self.w[f"{name}.vars"].reshape(-1, size, len(z) // groups)
            codes = self.logits(z).reshape(-1, groups, size).argmax(-1)
        else:
            kernels = self.w[f"{name}.projection.0.weight"][..., 0]
            parts = zip(np.split(kernels, groups), np.split(z, groups), strict=True)
            projected = np.concatenate([kernel @ part for kernel, part in parts])
            projected = self.norm(projected, f"{name}.projection.1", groups)
            table = self.w[f"{name}.embedding"].swapaxes(0, 1)
            frames = projected.T.reshape(-1, groups, 1, len(z) // groups)
            codes = ((frames - table) ** 2).sum(-1).argmin(-1)
        table = np.broadcast_to(table, (groups, *table.shape[1:]))
        return np.concatenate([table[g][codes[:, g]].T for g in range(groups)]), codes

    def logits(self, z):
        """The weight projection, with the network's activation between its layers."""
        x, depth = z.T, self.arguments["vq_depth"]
        for i in range(depth):
            last = i == depth - 1
            layer = f".{i}" if last else f".{i}.0"
            layer = f"vector_quantizer.weight_proj{layer if depth > 1 else ''}"
            x = x @ self.w[f"{layer}.weight"].T + self.w[f"{layer}.bias"]
            x = x if last else self.activation(x)
        return x

    def aggregate(self, x):
        if self.arguments.get("aggregator") == "gru":
            return np.stack([self.gru(frame) for frame in x.T], axis=1)
        scale = self.arguments["residual_scale"] ** 0.5
        for i, (_, width, _) in enumerate(literal_eval(self.arguments["conv_aggregator_layers"])):
            name = f"feature_aggregator.conv_layers.{i}"
            mode = "constant" if self.arguments.get("agg_zero_pad") else "edge"
            y = np.pad(x, ((0, 0), (width - 1, 0)), mode)
            y = self.activation(self.norm(self.conv(y, f"{name}.1"), f"{name}.3"))
            if self.arguments["skip_connections_agg"]:
                projection = f"feature_aggregator.residual_proj.{i}"
                y = y + (self.conv(x, projection) if f"{projection}.weight" in self.w else x)
                y = y * scale
            x = y
        return x

    def gru(self, frame, state=0.0):
        """One step."""
        w = {name: self.w[f"feature_aggregator.1.{name}_l0"] for name in ("weight_ih", "bias_ih")}
        given = np.split(w["weight_ih"] @ frame + w["bias_ih"], 3)
        w = {name: self.w[f"feature_aggregator.1.{name}_l0"] for name in ("weight_hh", "bias_hh")}
        width = len(w["bias_hh"]) // 3
        kept = np.split(w["weight_hh"] @ np.broadcast_to(state, width) + w["bias_hh"], 3)
        reset, update = expit(given[0] + kept[0]), expit(given[1] + kept[1])
        return (1 - update) * np.tanh(given[2] + reset * kept[2]) + update * state


@pytest.fixture
def waves(rng):
    return [0.3 * rng.standard_normal(n).astype(np.float32) for n in (4000, 2500, 3001)]


def save(path, arguments, tensors):
    torch.save(old(arguments, tensors), path)
    return path


def agree(found, wanted):
    return np.abs(found.T - wanted).max() <= 1e-5 * np.abs(wanted).max()


def assert_agree(found, wanted):
    assert len(found) == len(wanted) > 0
    assert all(map(agree, found, wanted))


def configurations(quantized):
    chosen = {n: c for n, c in CONFIGURATIONS.items() if ("vq_type" in c) is quantized}
    return pytest.mark.parametrize("changes", chosen.values(), ids=chosen)


@configurations(quantized=False)
def test_every_wav2vec_equals_float64(changes, tmp_path, waves):
    arguments, tensors = checkpoint(changes)
    path, hand = save(tmp_path / "model.pt", arguments, tensors), ByHand(arguments, tensors)
    encoded = [hand.encode(wave) for wave in waves]
    for features, wanted in (("z", encoded), ("c", [hand.aggregate(z) for z in encoded])):
        found = Wav2VecTransformer(pretrained=path, features=features).fit(waves)
        assert_agree(found.transform_frames(waves), wanted)


@configurations(quantized=True)
def test_every_vq_wav2vec_equals_float64(changes, tmp_path, waves):
    arguments, tensors = checkpoint(changes)
    path, hand = save(tmp_path / "model.pt", arguments, tensors), ByHand(arguments, tensors)
    encoded = [hand.encode(wave) for wave in waves]
    words = VQTransformer(changes["vq_type"], pretrained=path).fit(waves)
    quantized, codes = zip(*map(hand.quantize, encoded), strict=True)
    found = words.encode(waves)
    assert len(found) == len(codes) and all(map(np.array_equal, found, codes))
    assert len(np.unique(np.concatenate(codes), axis=0)) > 8
    assert_agree(words.transform_frames(waves), [*map(hand.aggregate, quantized)])
    words = VQTransformer(changes["vq_type"], pretrained=path, output="embedding").fit(waves)
    assert_agree(words.transform_frames(waves), quantized)


def test_a_read_gru_stays_without_memory_when_saved_and_trained(tmp_path, waves):
    arguments, tensors = checkpoint(CONFIGURATIONS["gru"])
    path = save(tmp_path / "model.pt", arguments, tensors)
    read = Wav2VecTransformer(pretrained=path, random_state=0).fit(waves)
    assert read.architecture_["gru_recurrent"] is False
    read.save(tmp_path / "saved")
    again = load(tmp_path / "saved")
    assert np.array_equal(again.transform(waves), read.transform(waves))

    trained = Wav2VecTransformer(
        pretrained=path, max_epochs=1, crop_seconds=0.1, batch_seconds=0.3, random_state=0
    ).fit(waves)
    names = {"weight_ih": False, "weight_hh": True}  # whose gradient is zero without a state
    for name, same in names.items():
        name = f"aggregator.gru.{name}_l0"
        assert np.array_equal(trained.weights_[name], read.weights_[name]) is same


def test_a_gru_saved_before_the_argument_existed_keeps_its_memory(tmp_path, waves):
    arguments, tensors = checkpoint(CONFIGURATIONS["gru"])
    read = Wav2VecTransformer(pretrained=save(tmp_path / "model.pt", arguments, tensors)).fit(waves)
    del read.architecture_["gru_recurrent"]
    read.save(tmp_path / "saved")
    hand = ByHand(arguments, tensors)
    for wave, found in zip(waves, load(tmp_path / "saved").transform_frames(waves), strict=True):
        state, wanted = np.zeros(10), []
        for frame in hand.encode(wave).T:
            state = hand.gru(frame, state)
            wanted.append(state)
        assert agree(found, np.stack(wanted, axis=1))
