"""PASE and PASE+ against the facts of the published code, and against float64 numpy."""

import copy

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from skaudio.batching import tiles
from skaudio.networks.pase import PASE, SIZES, STRIDES
from tests.networks.test_sinc import taps

KERNELS = (251, 20, *(11,) * 6)
SMALL = {
    "layers": tuple(zip((5, 4, 6, 3, 4, 5, 6, 7), KERNELS, STRIDES, strict=True)),
    "n_features": 6,
}
PLUS = {**SMALL, "n_hidden": 5, "skips": True}
# T: frames of PASE+
FRAMES = {16000: 100, 32000: 200, 100_000: 625, 1600: 10, 15999: 100, 16001: 100, 471: 3,
          640: 4, 800: 5}  # fmt: skip


def randomised(network, seed=0):
    """Every weight and statistic different from where it starts."""
    generator = torch.Generator().manual_seed(seed)
    network.initialise(generator)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("hz_"):
                tensor.add_(30 * noise)
            elif name.endswith("running_var"):
                tensor.add_(noise.abs())
            elif name.endswith(("running_mean", "norm.weight", "norm.bias", "act.weight")):
                tensor.add_(0.3 * noise)
    return network.eval()


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def run(network, x):
    """Frames (B, C, T') of waves (B, T)."""
    x = torch.as_tensor(x)
    with torch.inference_mode():
        ((y, lengths),) = network(x[:, None], torch.full((len(x),), x.shape[1]))
    assert lengths.tolist() == [y.shape[2]] * len(x)
    return y.float().numpy()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normed(x, w, name, affine=True):
    x = (x - w[f"{name}.running_mean"][:, None]) / np.sqrt(w[f"{name}.running_var"] + 1e-5)[:, None]
    return w[f"{name}.weight"][:, None] * x + w[f"{name}.bias"][:, None] if affine else x


def convolved(x, kernels, bias, stride, first):
    """Convolution of x (C, T) with mirrored ends."""
    k = kernels.shape[2]
    pad = (k // 2, k // 2) if first or (stride == 1 and k % 2) else (k // 2 - 1, k // 2)
    windows = sliding_window_view(np.pad(x, ((0, 0), pad), mode="reflect"), k, axis=1)
    return np.einsum("ctk,nck->nt", windows[:, ::stride], kernels, optimize=True) + bias


def recurrent(x, w):
    """QRNN of x (C, T), frame by frame."""
    weight, bias = w["rnn.linear.weight"], w["rnn.linear.bias"]
    before, h, frames = np.zeros(len(x)), 0.0, []
    for frame in x.T:
        z, f, o = np.split(weight @ np.concatenate([frame, before]) + bias, 3)
        h = sigmoid(f) * np.tanh(z) + (1 - sigmoid(f)) * h
        frames.append(sigmoid(o) * h)
        before = frame
    return np.stack(frames, axis=1)


def by_hand(weights, wave, strides=STRIDES, reference=False, compression=0.0):
    """Frames (C, T') of a wave, in float64, and the lengths of all maps."""
    w = {name: np.asarray(array, np.float64) for name, array in weights.items()}
    x, maps = wave[None].astype(np.float64), []
    for i, stride in enumerate(strides):
        if i == 0:
            learnt = zip(w["blocks.0.conv.low_hz_"], w["blocks.0.conv.band_hz_"], strict=True)
            kernels = np.stack([taps(*a, *b, 251, 16000) for a, b in learnt])[:, None]
            bias = np.zeros(len(kernels))
        else:
            kernels, bias = w[f"blocks.{i}.conv.weight"], w[f"blocks.{i}.conv.bias"]
        x = normed(convolved(x, kernels, bias[:, None], stride, i == 0), w, f"blocks.{i}.norm")
        x = np.where(x > 0, x, w[f"blocks.{i}.act.weight"][:, None] * x)
        if i == 0 and compression:
            x = np.arcsinh(compression * x)
        maps.append(x)
    h = recurrent(x, w) if "rnn.linear.weight" in w else x
    y = w["projection.weight"][:, :, 0] @ h + w["projection.bias"][:, None]
    n = x.shape[1]
    for i, m in enumerate(maps[:-1]):
        if f"skips.{i}.weight" in w:
            m = w[f"skips.{i}.weight"][:, :, 0] @ m
            width = m.shape[1] // n if reference else int(np.prod(strides[i + 1 :]))
            y = y + np.stack([m[:, p * width : (p + 1) * width].mean(1) for p in range(n)], 1)
    return normed(y, w, "norm_out", affine=False), [m.shape[1] for m in maps]


def state(network):
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def assert_equal_float64(found, expected):
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


# --- published facts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "n_parameters", "n_tensors", "dim"),
    [("pase", 5_818_020, 69, 100), ("pase+", 7_832_896, 78, 256)],
)
def test_published_sizes(size, n_parameters, n_tensors, dim):
    with torch.device("meta"):
        network = PASE(**SIZES[size])
    assert sum(p.numel() for p in network.parameters()) == n_parameters
    assert len(network.state_dict()) == n_tensors
    assert len(network.maps[0].channels) == dim
    assert network.stride == network.maps[0].stride == 160
    assert network.maps[0].left + network.maps[0].right + 1 == 2370
    assert network.min_steps == 471


@pytest.mark.parametrize("n_samples", FRAMES)
def test_frames(n_samples):
    network = randomised(PASE(**PLUS))
    assert run(network, noise(1, n_samples)).shape == (1, 6, FRAMES[n_samples])
    for size in ("pase", "pase+"):
        with torch.device("meta"):
            published = PASE(**SIZES[size])
        assert [int(n) for n in published.output_lengths(torch.tensor(n_samples))] == [
            FRAMES[n_samples]
        ]


def test_one_sample_less_than_the_shortest_has_no_mirror_image():
    network = randomised(PASE(**SMALL))
    with pytest.raises(ValueError, match=r"470 samples have no mirror image .* needs 471"):
        run(network, noise(1, 470))


def test_lengths_of_blocks():
    network = randomised(PASE(**SMALL))
    x, found = torch.zeros(1, 1, 16000), []
    with torch.inference_mode():
        for block in network.blocks:
            x = block(x)
            found.append(x.shape[2])
    assert found == [16000, 1600, 800, 800, 400, 400, 200, 100]


def test_receptive_field():
    network = randomised(PASE(**SMALL)).double()
    m, at = network.maps[0], np.arange(50) * 160
    x = torch.from_numpy(noise(1, 8000)).double()

    def frames_of(x):
        return network(x[:, None], torch.tensor([8000]))[0][0].detach().numpy()

    before = frames_of(x)
    for t in (0, 1033, 2000, 2015, 2016, 3333, 4664, 5000, 7999):
        changed = x.clone()
        changed[0, t] += 1000
        frames = np.flatnonzero((frames_of(changed) != before).any((0, 1)))
        inside = (at - m.left <= t) & (t <= at + m.right)
        # mirrors bring samples near the ends to frames that lie further off
        near = (t < m.left) & (at <= m.left) | (t > 7999 - m.right) & (at >= 7999 - m.right)
        assert inside.any() and {*np.flatnonzero(inside)} <= {*frames}, t
        assert {*frames} <= {*np.flatnonzero(inside | near)}, t


# --- against float64 -----------------------------------------------------------------------------


@pytest.mark.parametrize("n_samples", [471, 1600, 3999, 4001, 4130])
@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("arguments", [SMALL, PLUS], ids=["pase", "pase+"])
def test_frames_equal_float64(arguments, reference, n_samples):
    network = randomised(PASE(**arguments, reference=reference))
    x = noise(2, n_samples)
    for wave, y in zip(x, run(network, x), strict=True):
        expected, _ = by_hand(state(network), wave, reference=reference)
        assert_equal_float64(y, expected)


def test_lengths_at_which_the_published_means_slide():
    network = randomised(PASE(**PLUS))
    published = copy.copy(network)
    published.reference = True
    for n_samples, alike in ((3200, True), (3999, False), (4001, True), (4130, False)):
        x = noise(1, n_samples)
        assert np.allclose(run(network, x), run(published, x), atol=1e-5) == alike


@pytest.mark.parametrize("size", ["pase", "pase+"])
def test_published_networks_equal_float64(size):
    network = randomised(PASE(**SIZES[size]))
    x = noise(1, 3200)
    expected, lengths = by_hand(state(network), x[0])
    assert lengths == [3200, 320, 160, 160, 80, 80, 40, 20]
    assert_equal_float64(run(network, x)[0], expected)


def test_tiny_equals_float64():
    network = randomised(PASE(**SIZES["tiny"]))
    strides = [stride for _, _, stride in SIZES["tiny"]["layers"]]
    assert network.stride == 160 and run(network, noise(1, 16000)).shape == (1, 256, 100)
    for n_samples in (network.min_steps, 1999, 2000, 2011):
        x = noise(1, n_samples)
        expected, _ = by_hand(state(network), x[0], strides, compression=30.0)
        assert_equal_float64(run(network, x)[0], expected)


def test_a_training_normalises_by_the_batch():
    network = randomised(PASE(**PLUS)).train()
    ((y, _),) = network(torch.from_numpy(noise(3, 1, 3200)), torch.full((3,), 3200))
    y = y.detach()
    torch.testing.assert_close(y.mean((0, 2)), torch.zeros(6), rtol=0, atol=1e-5)
    torch.testing.assert_close(y.var((0, 2), correction=0), torch.ones(6), rtol=0, atol=1e-3)
    assert int(network.blocks[3].norm.num_batches_tracked) == 1


@pytest.mark.parametrize("arguments", [SMALL, PLUS], ids=["pase", "pase+"])
def test_gradients_are_those_of_finite_differences(arguments):
    network = randomised(PASE(**arguments)).double().train()
    x = torch.from_numpy(noise(2, 1, 800)).double()
    towards = torch.from_numpy(noise(2, 6, 5, seed=1)).double()

    def loss():
        ((y, _),) = network(x, torch.tensor([800, 800]))
        return (y * towards).sum()

    loss().backward()
    generator = torch.Generator().manual_seed(0)
    for name, p in network.named_parameters():
        direction = torch.randn(p.shape, generator=generator, dtype=torch.float64)
        step = 1e-6 * (1000 if name.endswith("hz_") else 1)
        with torch.no_grad():
            p.add_(step * direction)
            up = loss()
            p.sub_(2 * step * direction)
            slope = (up - loss()) / (2 * step)
            p.add_(step * direction)
        expected = (p.grad * direction).sum()
        tolerance = 1e-4 * (p.grad.norm() * direction.norm()) + 1e-6
        assert abs(slope - expected) <= tolerance, name


def test_start_of_a_training():
    network = PASE(**PLUS)
    network.initialise(torch.Generator().manual_seed(0))
    for block in network.blocks:
        assert not block.act.weight.any()
        assert (block.norm.weight == 1).all() and not block.norm.bias.any()
    bound = 1 / np.sqrt(5 * 20)
    kernels = network.blocks[1].conv.weight.abs()
    assert 0.9 * bound < kernels.max() <= bound
    other = PASE(**PLUS)
    other.initialise(torch.Generator().manual_seed(0))
    for name, array in state(network).items():
        assert np.array_equal(array, state(other)[name]), name


# --- tiles, batches ------------------------------------------------------------------------------


@pytest.mark.parametrize("n_samples", [40_000, 40_151, 40_159])
@pytest.mark.parametrize("arguments", [SMALL, PLUS], ids=["pase", "pase+"])
def test_pieces_are_the_whole(arguments, n_samples):
    network = randomised(PASE(**arguments))
    x = torch.from_numpy(noise(1, n_samples))
    cut = tiles(n_samples, 1, stride=160, halo=network.halo)
    assert len(cut) >= 2
    pieces = [y for _, y in network.pieces(x[None], 1)]
    assert len(pieces) == len(cut)
    expected = run(network, x)
    found = torch.cat(pieces, dim=2).numpy()
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_the_published_means_need_the_whole_clip():
    assert PASE(**PLUS, reference=True).halo is None
    assert PASE(**SMALL, reference=True).halo == PASE(**SMALL).halo == (1034, 1176)


@pytest.mark.parametrize("size", ["tiny", "pase+"])
def test_batch_equals_alone(size):
    network = randomised(PASE(**SIZES[size]))
    x = noise(3, 1600) * np.array([1, 1e-3, 30], np.float32)[:, None]
    together = run(network, x)
    for i in range(3):
        alone = run(network, x[i : i + 1])[0]
        assert np.abs(alone - together[i]).max() <= 1e-5 * np.abs(alone).max()


def test_lower_precision():
    network = randomised(PASE(**PLUS))
    x = noise(2, 3200)
    expected = run(network, x)
    with torch.autocast("cpu", torch.bfloat16):
        found = run(network, x)
    assert 0 < np.abs(found - expected).max() < 0.2 * np.abs(expected).max()
