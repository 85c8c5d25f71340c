"""SincNet against the facts of the published code, and against float64 numpy."""

import copy
import pickle

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from skaudio.frontends import Chunks
from skaudio.networks._sinc_layers import Norm
from skaudio.networks.sincnet import SIZES, SincHead, SincNet
from tests.networks.test_sinc import taps

SMALL = {
    "chunk": 400,
    "sample_rate": 8000,
    "filters": (6, 5, 4),
    "kernels": (31, 5, 3),
    "pools": (3, 2, 3),
    "dense": (12, 10, 7),
}


def randomised(module, seed=0):
    """Every weight and statistic different from where it starts."""
    generator = torch.Generator().manual_seed(seed)
    module.initialise(generator)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("hz_"):
                tensor.add_(100 * noise)
            elif name.endswith("running_var"):
                tensor.add_(noise.abs())
            elif tensor.is_floating_point():
                tensor.add_(0.3 * noise)
    return module.eval()


def standardised(x, gamma, beta, axes=-1):
    mean, std = x.mean(axes, keepdims=True), x.std(axes, ddof=1, keepdims=True)
    return gamma * (x - mean) / (std + 1e-6) + beta


def activated(x, name):
    slope = {"leaky_relu": 0.2, "relu": 0.0, "linear": 1.0}[name]
    return np.where(x > 0, x, slope * x)


def by_hand(network, chunks, arguments):
    """Vectors of chunks (M, L), in float64."""
    w = {k: v.double().numpy() for k, v in network.state_dict().items()}
    ends = w.get("input_norm.weight", 1.0), w.get("input_norm.bias", 0.0)
    x = standardised(chunks.astype(np.float64), *ends)[:, None]
    for i, (kernel, pool) in enumerate(zip(arguments["kernels"], arguments["pools"], strict=True)):
        stride = arguments.get("stride", 1) if i == 0 else 1
        if i == 0 and arguments.get("first") != "conv":
            learnt = w["convs.0.low_hz_"][:, 0], w["convs.0.band_hz_"][:, 0]
            rate, form = arguments["sample_rate"], arguments.get("form", "2019")
            weight = [taps(*pair, kernel, rate, form) for pair in zip(*learnt, strict=True)]
            weight = np.stack(weight)[:, None]
        else:
            weight = w[f"convs.{i}.weight"]
        windows = sliding_window_view(x, kernel, axis=2)[:, :, ::stride]
        x = np.einsum("mctk,nck->mnt", windows, weight)
        x = np.abs(x) if i == 0 else x + w[f"convs.{i}.bias"][:, None]
        steps = x.shape[2] // pool
        x = x[:, :, : steps * pool].reshape(*x.shape[:2], steps, pool).max(3)
        axes = (1, 2) if arguments.get("norm") == "channel" else 2
        x = standardised(x, w[f"conv_norms.{i}.weight"], w[f"conv_norms.{i}.bias"], axes)
        x = activated(x, arguments.get("conv_activation", "leaky_relu"))
    free = arguments.get("norm") == "channel"
    x = np.hstack([x.mean(2), x.std(2)]) if free else x.reshape(len(x), -1)
    x = standardised(x, w["flat_norm.weight"], w["flat_norm.bias"])
    names = arguments.get("dense_activations") or ("leaky_relu",) * len(arguments["dense"])
    for i, name in enumerate(names):
        x = x @ w[f"dense.{i}.weight"].T + w[f"dense.{i}.bias"]
        gamma, beta = w[f"dense_norms.{i}.weight"], w[f"dense_norms.{i}.bias"]
        if arguments.get("dense_norm") == "layer":
            x = standardised(x, gamma, beta)
        else:
            mean, variance = (w[f"dense_norms.{i}.running_{s}"] for s in ("mean", "var"))
            x = gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta
        x = activated(x, name)
    return x


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def run(network, x, lengths=None):
    """Output (B, D, N) and lengths for chunks (B, L, N)."""
    x = torch.as_tensor(x)
    lengths = torch.full((len(x),), x.shape[2]) if lengths is None else torch.tensor(lengths)
    with torch.inference_mode():
        ((y, n),) = network(x, lengths)
    return y.numpy(), n.tolist()


def count(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


# --- published facts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "maps", "n_cnn", "n_dnn", "n_head", "head"),
    [
        ("timit", (983, 326, 107), 258_320, 21_580_328, 948_486, (462, False)),
        ("librispeech", (916, 304, 100), 243_720, 20_719_328, 5_103_748, (2484, True)),
    ],
)
def test_published_sizes(size, maps, n_cnn, n_dnn, n_head, head):
    with torch.device("meta"):
        network = SincNet(**SIZES[size])
        head = SincHead(2048, head[0], input_norm=head[1], unused_norms=True)
    shapes = [tuple(norm.weight.shape) for norm in network.conv_norms]
    assert shapes == [*zip((80, 60, 60), maps, strict=True)]
    assert network.dense[0].in_features == 60 * maps[-1]
    unused = network.unused
    dense = (network.flat_norm, network.dense, network.dense_norms, unused["dense_norms"])
    assert count(*dense) == n_dnn
    assert count(network) - n_dnn == n_cnn
    assert count(head) == n_head
    assert len(network.maps[0].channels) == 2048


def test_first_layers_of_the_paper():
    with torch.device("meta"):
        sinc = SincNet(**SIZES["timit"])
        conv = SincNet(**SIZES["timit"], first="conv")
    assert (count(sinc.convs[0]), count(conv.convs[0])) == (160, 20_080)
    rest = [count(network) - count(network.convs[0]) for network in (sinc, conv)]
    assert rest[0] == rest[1]


def test_which_weights_are_tied_to_the_length_of_a_chunk():
    def shapes(chunk, norm):
        with torch.device("meta"):
            network = SincNet(**{**SIZES["tiny"], "chunk": chunk, "norm": norm})
        return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}

    assert shapes(3200, "channel") == shapes(4000, "channel")
    assert shapes(3200, "chunk") != shapes(4000, "chunk")


def test_activations_of_the_published_sizes():
    # the middle dense layer of Librispeech lets negative numbers pass as they are
    with torch.device("meta"):
        timit, librispeech = (SincNet(**SIZES[size]) for size in ("timit", "librispeech"))
    x = torch.tensor([-1.0, 2.0])

    def values(network):
        activations = (network.conv_activation, *network.dense_activations)
        return [activation(x).tolist()[0] for activation in activations]

    assert values(timit) == pytest.approx([-0.2] * 4)
    assert values(librispeech) == pytest.approx([0.0, -0.2, -1.0, -0.2])


# --- against float64 -----------------------------------------------------------------------------

VARIANTS = [
    {},
    {"norm": "channel"},
    {"first": "conv"},
    {"form": "2018"},
    {"stride": 3, "kernels": (21, 3, 3), "pools": (2, 2, 2)},
    {"dense_norm": "layer", "conv_activation": "relu"},
    {"dense_activations": ("relu", "linear", "leaky_relu"), "unused_norms": True},
    {"pools": (1, 1, 1), "filters": (3, 2, 20), "dense": (9,)},
]


@pytest.mark.parametrize("grad", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_vectors_equal_float64(variant, grad):
    arguments = {**SMALL, **variant}
    network = randomised(SincNet(**arguments))
    x = noise(2, 400, 19) * np.logspace(-3, 0, 19, dtype=np.float32)
    x[0, :, 3] = 0.0  # silence
    with torch.set_grad_enabled(grad):
        ((y, lengths),) = network(torch.from_numpy(x), torch.tensor([19, 19]))
    assert lengths.tolist() == [19, 19]
    for i in range(2):
        expected = by_hand(network, x[i].T, arguments)
        error = np.abs(y[i].detach().numpy().T - expected).max()
        assert error <= 2e-5 * np.abs(expected).max()


@pytest.mark.parametrize("size", ["timit", "librispeech"])
def test_published_networks_equal_float64(size):
    network = randomised(SincNet(**SIZES[size]))
    x = noise(1, SIZES[size]["chunk"], 2)
    y, _ = run(network, x)
    expected = by_hand(network, x[0].T, SIZES[size])
    assert np.abs(y[0].T - expected).max() <= 2e-5 * np.abs(expected).max()


@pytest.mark.parametrize("input_norm", [False, True])
def test_head_equals_float64(input_norm):
    head = randomised(SincHead(7, 5, input_norm=input_norm, unused_norms=True))
    w = {k: v.double().numpy() for k, v in head.state_dict().items()}
    x = noise(4, 7)
    with torch.no_grad():
        found = head(torch.from_numpy(x)).numpy()
    if input_norm:
        x = standardised(x.astype(np.float64), w["input_norm.weight"], w["input_norm.bias"])
    scores = x @ w["linear.weight"].T + w["linear.bias"]
    expected = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(np.exp(found).sum(1), 1, atol=1e-5)


def test_gradient_of_the_network():
    network = randomised(SincNet(**SMALL))
    x, direction = noise(1, 400, 3), noise(3, 7, seed=1)
    ((y, _),) = network(torch.from_numpy(x), torch.tensor([3]))
    (y[0].T * torch.from_numpy(direction)).sum().backward()

    def total():
        return float((by_hand(network, x[0].T, SMALL) * direction).sum())

    names = ("input_norm.weight", "convs.0.low_hz_", "convs.0.band_hz_", "convs.1.weight",
             "conv_norms.0.bias", "flat_norm.weight", "dense.0.weight")  # fmt: skip
    for name in names:
        parameter = network.get_parameter(name)
        place = (1,) * parameter.ndim if parameter.shape[-1] > 1 else (1, 0)
        step, ends = 2.0**-6 if "hz" in name else 2.0**-12, []
        start = float(parameter[place].detach())
        for change in (-step, step):
            with torch.no_grad():
                parameter[place] = start + change
            ends.append((total(), float(parameter[place].detach())))
        with torch.no_grad():
            parameter[place] = start
        (low, before), (high, after) = ends
        expected = (high - low) / (after - before)
        np.testing.assert_allclose(parameter.grad[place], expected, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("variant", [{}, {"norm": "channel", "dense_norm": "layer"}], ids=str)
def test_silence_has_a_gradient(variant):
    network = SincNet(**{**SMALL, **variant})
    network.initialise(torch.Generator().manual_seed(0))
    x = torch.from_numpy(noise(1, 400, 4))
    x[0, :, :2] = 0.0
    network(x, torch.tensor([4]))[0][0].square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())
    assert network.convs[0].low_hz_.grad.abs().max() > 0


# --- as a network of the library -----------------------------------------------------------------


def test_contract():
    network = SincNet(**SMALL)
    assert network.handles_lengths and network.stride == network.min_steps == 1
    assert network.halo == (0, 0)
    lengths = torch.tensor([3, 8])
    assert [n.tolist() for n in network.output_lengths(lengths)] == [[3, 8]]
    assert network.maps[0].channels == tuple("0123456") and network.maps[0].centre == 0
    first_map, flat = 6 * 370, 4 * 18  # (400 - 30) samples; 123 -> 59 -> 19 frames
    assert network.floats_per_step >= 400 + first_map + flat


@pytest.mark.parametrize("training", [False, True])
def test_chunks_beyond_the_lengths_disturb_nobody(training):
    network, twin = (randomised(SincNet(**SMALL)).train(training) for _ in range(2))
    x, lengths = noise(3, 400, 5), [5, 2, 3]
    y, n = run(network, x, lengths)
    assert n == lengths
    other = np.where(np.arange(5) < np.array(lengths)[:, None, None], x, 1e3)
    z, _ = run(twin, other.astype(np.float32), lengths)
    assert np.array_equal(y, z)
    for name, tensor in network.state_dict().items():  # the running statistics are as good
        assert torch.equal(tensor, twin.state_dict()[name]), name
    if not training:
        for i, length in enumerate(lengths):
            alone, _ = run(network, x[i : i + 1, :, :length])
            np.testing.assert_allclose(y[i, :, :length], alone[0], rtol=1e-5, atol=1e-5)
            assert not y[i, :, length:].any()


def test_pieces_are_the_whole():
    network = randomised(SincNet(**SMALL))
    x = torch.from_numpy(noise(1, 400, 11))
    whole, _ = run(network, x)
    with torch.inference_mode():
        pieces = [*network.pieces(x, 4)]
    assert [(i, y.shape[-1]) for i, y in pieces] == [(0, 4), (0, 4), (0, 3)]
    np.testing.assert_allclose(torch.cat([y for _, y in pieces], -1), whole, rtol=1e-5, atol=1e-5)


def test_lower_precision():
    network = randomised(SincNet(**SMALL, unit_length=True))
    x = torch.from_numpy(noise(1, 400, 6))
    whole, _ = run(network, x)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        ((y, _),) = network(x, torch.tensor([6]))
    difference = np.abs(y.float().numpy() - whole).max()
    assert 0 < difference < 0.05


@pytest.mark.parametrize("shared", [pickle.dumps, copy.deepcopy], ids=["pickle", "deepcopy"])
def test_travels_to_other_processes(shared):
    network = randomised(SincNet(**SMALL))
    there = shared(network)
    there = pickle.loads(there) if isinstance(there, bytes) else there
    x = noise(1, 400, 2)
    assert np.array_equal(run(there, x)[0], run(network, x)[0])


# --- quiet chunks --------------------------------------------------------------------------------


def test_quiet_chunks_are_left_out():
    network = randomised(SincNet(**SMALL, heard=0.1))
    plain = randomised(SincNet(**SMALL))
    x = noise(3, 400, 6)
    x[0, :, [1, 4]] *= 0.01
    x[1] = 0.0  # silent all through: the first one stays
    x[2, :, 3:] = 0.0  # beyond its length
    x[2, :, 0] *= 0.01
    lengths = [6, 6, 3]
    y, n = run(network, x, lengths)
    whole, _ = run(plain, x, lengths)
    assert n == [4, 1, 2]
    for i, places in enumerate(([0, 2, 3, 5], [0], [1, 2])):
        np.testing.assert_allclose(y[i, :, : n[i]], whole[i][:, places], rtol=1e-5, atol=1e-5)
    with torch.inference_mode():
        pieces = [piece for _, piece in network.pieces(torch.from_numpy(x[:1]), 3)]
    assert [piece.shape[-1] for piece in pieces] == [3, 1]
    np.testing.assert_allclose(torch.cat(pieces, -1)[0], y[0], rtol=1e-5, atol=1e-5)


def test_threshold_of_quiet_chunks():
    """Energies 1, 1 and e have the mean (2 + e) / 3, and e stays above a tenth of that."""
    network = randomised(SincNet(**SMALL, heard=0.1))
    for share, expected in ((2 / 29 * 1.01, 3), (2 / 29 * 0.99, 2)):
        x = np.ones((1, 400, 3), np.float32)
        x[:, ::2] *= -1
        x[:, :, 1] *= np.sqrt(share, dtype=np.float32)
        assert run(network, x)[1] == [expected]


def test_mean_energy_is_that_of_the_clip_alone():
    network = randomised(SincNet(**SMALL, heard=0.1))
    x = np.ones((2, 400, 4), np.float32)
    x[:, ::2] *= -1
    x[:, :, 1] *= 0.2  # 0.04 of the others: above a tenth of a quarter of the sum, not of the half
    x[0, :, 2:] = 1e3  # what is beyond a clip is not looked at
    assert run(network, x, [2, 4])[1] == [1, 3]
    x[:, :, 1] *= 1.2
    assert run(network, x, [2, 4])[1] == [2, 3]


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e4])
def test_a_constant_is_no_signal(value):
    norm = Norm(1001)
    norm.reset_parameters()
    constant = torch.full((2, 1001), value)
    assert not norm(constant).any()
    constant[1, ::2] *= 1.01
    assert norm(constant)[1].std().item() == pytest.approx(1, rel=0.05)


def test_unit_length():
    network, plain = (randomised(SincNet(**SMALL, unit_length=u)) for u in (True, False))
    x = noise(1, 400, 5)
    y, z = run(network, x)[0], run(plain, x)[0]
    np.testing.assert_allclose(y, z / np.linalg.norm(z, axis=1, keepdims=True), rtol=1e-5)
    with torch.no_grad():
        for n in (network.dense_norms[-1].weight, network.dense_norms[-1].bias):
            n.zero_()
    assert not run(network, x)[0].any()  # a vector of zeros stays one


def test_published_d_vector():
    """Chunks, network and mean as in the published script, in float64."""
    arguments = {**SMALL, "heard": 0.1, "unit_length": True}
    network = randomised(SincNet(**arguments))
    clip = noise(3000) * np.repeat([1.0, 0.001, 0.5], 1000).astype(np.float32)
    x, lengths = Chunks(400, 80)(torch.from_numpy(clip)[None], torch.tensor([3000]))
    y, n = run(network, x, lengths.tolist())
    scaled = clip.astype(np.float64) / np.abs(clip).max()
    chunks = np.stack([scaled[i * 80 : i * 80 + 400] for i in range((3000 - 400) // 80)])
    energy = (chunks**2).sum(1)
    loud = chunks[energy > 0.1 * energy.mean()]
    assert n == [len(loud)] and len(loud) < len(chunks)
    vectors = by_hand(network, loud, SMALL)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(y[0].mean(1), vectors.mean(0), atol=1e-5)


# --- how weights start ---------------------------------------------------------------------------


def test_weights_start_as_published():
    network = SincNet(**{**SMALL, "filters": (60, 50, 40), "dense": (300, 200)}, unused_norms=True)
    head = SincHead(200, 30, input_norm=True)
    generator = torch.Generator().manual_seed(0)
    network.initialise(generator)
    head.initialise(generator)
    for linear in (*network.dense, head.linear):
        bound = np.sqrt(0.01 / sum(linear.weight.shape))
        assert 0.99 * bound < linear.weight.abs().max() <= bound
        assert abs(linear.weight.std().item() - bound / np.sqrt(3)) < 0.02 * bound
        assert not linear.bias.any()
    for conv in network.convs[1:]:
        bound = 1 / np.sqrt(conv.weight[0].numel())
        assert 0.99 * bound < conv.weight.abs().max() <= bound
        assert 0.8 * bound < conv.bias.abs().max() <= bound
    state = network.state_dict() | head.state_dict()
    for name, tensor in state.items():
        if "norm" in name:
            assert (tensor == (name.endswith(("weight", "running_var")))).all(), name
    assert float(network.convs[0].low_hz_[0]) == pytest.approx(30)


def test_an_ordinary_first_layer_starts_as_convolutions_do():
    network = SincNet(**SMALL, first="conv")
    network.initialise(torch.Generator().manual_seed(0))
    weight = network.convs[0].weight
    assert weight.shape == (6, 1, 31) and network.convs[0].bias is None
    assert 0.95 / np.sqrt(31) < weight.abs().max() <= 1 / np.sqrt(31)


def test_same_seed_same_weights_and_no_global_randomness():
    before = torch.get_rng_state()
    networks = [SincNet(**SMALL), SincNet(**SMALL)]
    for network in networks:
        network.initialise(torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), before)
    first, second = (network.state_dict() for network in networks)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_chunks_that_are_too_short():
    with pytest.raises(ValueError, match=r"chunks of 60 samples .* \[10, 3, 0\] frames.*longer"):
        SincNet(**{**SMALL, "chunk": 60})


def test_unused_norms_are_not_trained():
    network = randomised(SincNet(**SMALL, unused_norms=True)).train()
    network(torch.from_numpy(noise(1, 400, 4)), torch.tensor([4]))[0][0].sum().backward()
    trained = {name for name, p in network.named_parameters() if p.grad is not None}
    wanted = {name for name, p in network.named_parameters() if p.requires_grad}
    assert trained == wanted and not any("unused" in name for name in trained)


def test_it_learns_pitch():
    """Two pitches in noise: the tiny network tells them apart after a few updates."""
    generator = torch.Generator().manual_seed(0)
    arguments = {**SIZES["tiny"], "sample_rate": 8000, "chunk": 1600, "kernels": (129, 5, 5)}
    network, head = SincNet(**arguments), SincHead(arguments["dense"][-1], 2)
    network.initialise(generator)
    head.initialise(generator)
    parameters = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)
    t = torch.arange(1600) / 8000

    def batch(n):
        label = torch.randint(2, (n,), generator=generator)
        phase = torch.rand(n, 1, generator=generator)
        tone = torch.sin(2 * torch.pi * (torch.tensor([500.0, 600.0])[label, None] * t + phase))
        return (tone + torch.randn(n, 1600, generator=generator))[..., None], label

    one = torch.ones(16, dtype=torch.int64)
    for _ in range(30):
        x, label = batch(16)
        loss = torch.nn.functional.nll_loss(head(network(x, one)[0][0][..., 0]), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    x, label = batch(64)
    with torch.no_grad():
        found = head(network(x, torch.ones(64, dtype=torch.int64))[0][0][..., 0]).argmax(1)
    assert (found == label).float().mean() > 0.9
