"""Distortions of batches: how wide, how often, and from which generator."""

import numpy as np
import pytest
import torch
from scipy.stats import beta, kstest, randint, uniform

from skaudio.augment import (
    PASE_PLUS,
    add_noise,
    add_speech,
    chop,
    clip_peaks,
    distort,
    downsample,
    drop_band,
    gain,
    mixup,
    reverberate,
    spec_augment,
)


def of_waves(function, **params):
    """A call of a distortion of waves on the rows (B, C * T) of a batch (B, C, T)."""
    return lambda x, generator: function(x.flatten(1), generator, **params).view_as(x)


CALLS = {
    "spec_augment": lambda x, generator: spec_augment(x, None, generator),
    "mixup": lambda x, generator: mixup(x, generator)[0],
    "gain": lambda x, generator: gain(x, generator),
    "reverberate": of_waves(reverberate),
    "add_noise": of_waves(add_noise),
    "add_noise of arrays": of_waves(add_noise, noises=[np.arange(99.0), np.ones(1000)]),
    "add_speech": of_waves(add_speech),
    "add_speech of arrays": of_waves(add_speech, speech=[np.arange(99.0), np.ones(1000)]),
    "clip_peaks": of_waves(clip_peaks),
    "chop": of_waves(chop, durations=[(0.005, 0.002)]),
    "drop_band": of_waves(drop_band),
    "downsample": of_waves(downsample, rates=[4000, 6000, 8000]),
    "distort": of_waves(distort, distortions=PASE_PLUS),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=CALLS)
def call(request):
    return CALLS[request.param]


@pytest.fixture
def x():
    return torch.randn(8, 12, 40, generator=seeded(1), dtype=torch.float64)


def runs(masked):
    """First place and number of masked places of each row, which has one mask or none."""
    width = masked.sum(1)
    start = masked.float().argmax(1)
    rebuilt = torch.arange(masked.shape[1])
    rebuilt = (rebuilt >= start[:, None]) & (rebuilt < (start + width)[:, None])
    assert torch.equal(rebuilt, masked)  # all in one piece
    return start, width


def test_draws_come_from_the_generator_alone(call, x):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - the global generator is what must stay as it is
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    generator, copy = seeded(), x.clone()
    first, second = call(x, generator), call(x, generator)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(x, copy)  # the batch itself stays as it is
    assert not torch.equal(first, second) and not torch.equal(first, x)
    torch.manual_seed(6)
    assert torch.equal(call(x, seeded()), first)


def test_draws_do_not_hang_on_the_values_or_their_dtype(call, x):
    generator, other = seeded(), seeded()
    call(x, generator)
    result = call(100 * x.float(), other)
    assert torch.equal(generator.get_state(), other.get_state())
    assert result.dtype == torch.float32 and result.shape == x.shape


@pytest.mark.parametrize("axis", ["time", "freq"])
def test_widths_and_places_are_uniform_up_to_the_ends(axis):
    size, most = 20, 6
    shape = (20_000, 2, size) if axis == "time" else (20_000, size, 2)
    other = {"time": "freq", "freq": "time"}[axis]
    masked = spec_augment(
        torch.ones(shape), None, seeded(), fill=0.0,
        **{f"n_{axis}": 1, f"{axis}_width": 0.34, f"n_{other}": 0},
    )  # fmt: skip
    masked = masked.transpose(1, 2) if axis == "freq" else masked
    assert torch.equal(masked[:, 0], masked[:, 1])  # a mask spans the other axis
    start, width = runs(masked[:, 0] == 0)
    counts = np.bincount(width)
    assert len(counts) == most + 1
    expected = len(masked) / (most + 1)
    np.testing.assert_allclose(counts, expected, atol=5 * expected**0.5)
    for n in range(1, most + 1):
        starts = np.bincount(start[width == n])
        assert len(starts) == size - n + 1  # the last one that leaves room
        expected = counts[n] / len(starts)
        np.testing.assert_allclose(starts, expected, atol=5 * expected**0.5)


def test_share_that_is_masked():
    size, n = 50, 40_000
    x = torch.ones(n, 1, size)
    masked = spec_augment(x, None, seeded(), n_freq=0, time_width=0.2, fill=0.0) == 0
    # a place is out of reach of one mask with probability 1 - p, of two with (1 - p) ** 2
    place, p = np.arange(size), np.zeros(size)
    for width in range(11):
        starts = randint(0, size - width + 1)
        p += (starts.cdf(place) - starts.cdf(place - width)) / 11
    np.testing.assert_allclose(masked.float().mean((0, 1)), 1 - (1 - p) ** 2, atol=0.0125)
    assert p.sum() == pytest.approx(5)  # the mean width of one mask
    assert masked.sum(2).max() == 20  # of two


def test_widths_follow_the_length_of_each_clip():
    lengths = torch.tensor([40, 10, 4, 1]).repeat(3000)
    x = torch.ones(len(lengths), 1, 40)
    masked = (spec_augment(x, lengths, seeded(), n_freq=0, n_time=1, fill=0.0) == 0)[:, 0]
    for length, most in ((40, 8), (10, 2), (4, 0), (1, 0)):
        start, width = runs(masked[lengths == length])
        assert width.max() == most and (start + width).max() == (length if most else 0)


@pytest.mark.parametrize(("width", "steps", "most"), [(0.2, 35, 7), (0.29, 100, 29), (1.0, 9, 9)])
def test_a_share_that_is_a_whole_number_of_steps(width, steps, most):
    x = torch.ones(3000, 1, steps)
    y = spec_augment(x, None, seeded(), n_time=1, n_freq=0, time_width=width, fill=0.0)
    assert (y == 0).sum((1, 2)).max() == most


def test_masks_hold_the_mean_of_their_clip(x):
    lengths = torch.tensor([40, 40, 31, 20, 11, 40, 25, 10])
    for row, length in zip(x, lengths, strict=True):
        row[:, length:] = 0.0
    y = spec_augment(x + 7, lengths, seeded(), time_width=0.4)
    zeros = spec_augment(x + 7, lengths, seeded(), time_width=0.4, fill=0.0)
    for clip, (found, zero, length) in enumerate(zip(y, zeros, lengths, strict=True)):
        whole = (x[clip] + 7).numpy()
        masked = (zero == 0).numpy()
        assert masked.any() and not masked[:, length:].any()
        expected = np.where(masked, whole[:, :length].mean(), whole)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_gradients_flow_where_nothing_is_masked(x):
    x.requires_grad_()
    y = spec_augment(x, None, seeded())
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), (y == x).numpy())
    assert 0 < x.grad.mean() < 1


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_shares_are_of_the_beta_distribution(alpha):
    x = torch.zeros(20_000, 1, dtype=torch.float64)
    _, partner, share = mixup(x, seeded(), alpha=alpha)
    assert kstest(share.numpy(), beta(alpha, alpha).cdf).pvalue > 0.01
    np.testing.assert_array_equal(np.sort(partner.numpy()), np.arange(len(x)))
    assert abs(np.corrcoef(partner, np.arange(len(x)))[0, 1]) < 0.03
    assert abs(np.corrcoef(partner, share)[0, 1]) < 0.03


@pytest.mark.parametrize("shape", [(6, 50), (6, 3, 20)])
def test_mixture_and_its_gradients(shape):
    x = torch.randn(shape, generator=seeded(2)).requires_grad_()
    mixed, partner, share = mixup(x, seeded(), alpha=0.5)
    assert share.dtype == x.dtype and share.shape == (6,)
    own = share.double().numpy().reshape(-1, *[1] * (len(shape) - 1))
    wave = x.detach().double().numpy()
    expected = own * wave + (1 - own) * wave[partner.numpy()]
    np.testing.assert_allclose(mixed.detach(), expected, rtol=1e-5, atol=1e-6)
    mixed.sum().backward()
    gradient = share.double().numpy() + (1 - share.double().numpy())[np.argsort(partner.numpy())]
    np.testing.assert_allclose(x.grad.flatten(1).mean(1), gradient, rtol=1e-5)


def test_gains_are_uniform_and_one_per_crop():
    x = torch.ones(20_000, 3, dtype=torch.float64, requires_grad=True)
    y = gain(x, seeded(), low=0.5, high=2.5)
    assert torch.equal(y, y[:, :1].expand(-1, 3))
    assert kstest(y[:, 0].detach().numpy(), uniform(0.5, 2.0).cdf).pvalue > 0.01
    y.sum().backward()
    assert torch.equal(x.grad, y)
    default = gain(torch.ones(20_000, 1), seeded())
    np.testing.assert_allclose([default.min(), default.max()], [0.8, 1.2], atol=1e-3)
    wave = torch.randn(4, 2, 30, generator=seeded(3))
    np.testing.assert_allclose(gain(wave, seeded(), low=2, high=2), 2 * wave)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"time_width": 1.5}, "time_width=1.5 must be between 0 and 1"),
        ({"freq_width": -0.1}, "freq_width=-0.1 must be between 0 and 1"),
        ({"n_time": -1}, "n_time=-1 must be at least 0"),
        ({"n_freq": -1}, "n_freq=-1 must be at least 0"),
    ],
)
def test_wrong_parameters_of_masks(x, params, message):
    with pytest.raises(ValueError, match=message):
        spec_augment(x, None, seeded(), **params)


def test_other_wrong_parameters(x):
    with pytest.raises(TypeError, match="fill='median' must be a number"):
        spec_augment(x, None, seeded(), fill="median")
    with pytest.raises(ValueError, match=r"alpha=0 must be at least 0\.001"):
        mixup(x, seeded(), alpha=0)
    with pytest.raises(ValueError, match=r"high=0.5 must be at least 0.8"):
        gain(x, seeded(), high=0.5)
    with pytest.raises(ValueError, match=r"low=-1 must be at least 0"):
        gain(x, seeded(), low=-1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_has_the_same_draws(call, x):
    result = call(x.cuda(), seeded())
    assert result.is_cuda
    np.testing.assert_allclose(result.cpu(), call(x, seeded()), rtol=1e-12, atol=1e-12)
