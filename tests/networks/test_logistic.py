"""Mixtures of logistics: sums over all levels, and each mass by hand in float64."""

import numpy as np
import pytest
import torch

from skaudio.networks._logistic import levels, log_prob, log_widths, quantise

M = 4


def mixture(spread, n=3, seed=0, log_scale=-3.0):
    """Parameters (n, 3 M, 1) whose means go as far as ``spread``."""
    generator = torch.Generator().manual_seed(seed)
    logits, means, scales = torch.randn(3, n, M, generator=generator, dtype=torch.float64)
    means = means / means.abs().max() * spread
    return torch.cat([logits, means, log_scale + scales], dim=1)[..., None]


def masses(parameters, n_classes, reference=False):
    every = levels(n_classes, parameters)[None].expand(len(parameters), -1)
    predictions = parameters.expand(-1, -1, n_classes)
    return log_prob(predictions, every, n_classes, -16.0, reference).exp()


@pytest.mark.parametrize("n_classes", [2, 4, 256, 65536])
@pytest.mark.parametrize("spread", [0.5, 3.0])
@pytest.mark.parametrize("log_scale", [-12.0, -3.0, 2.0])
def test_masses_sum_to_one(n_classes, spread, log_scale):
    total = masses(mixture(spread, log_scale=log_scale), n_classes).sum(1)
    np.testing.assert_allclose(total, 1.0, atol=1e-10)
    in_float32 = masses(mixture(spread, log_scale=log_scale).float(), n_classes).double().sum(1)
    # scales as small as half a level: y - m has three digits
    np.testing.assert_allclose(in_float32, 1.0, atol=1e-4)


def test_reference_credits_many_levels_with_a_tail():
    inside, beyond = mixture(0.5, log_scale=-5.0), mixture(0.5, log_scale=-5.0)
    beyond[:, M : 2 * M] = torch.tensor([1.2, -1.3, 1.5, 0.2])[:, None]
    np.testing.assert_allclose(masses(inside, 256, reference=True).sum(1), 1.0, atol=1e-5)
    np.testing.assert_allclose(masses(beyond, 65536).sum(1), 1.0, atol=1e-10)
    # a mean beyond 1 leaves all its mass to 33 levels at an end
    weight = beyond[:, :M, 0].softmax(1)
    expected = 33 * weight[:, :3].sum(1) + weight[:, 3]
    np.testing.assert_allclose(masses(beyond, 65536, True).sum(1), expected, rtol=1e-3)


def test_masses_by_hand():
    def cdf(x):
        return 1 / (1 + np.exp(-x))

    parameters = mixture(0.9)
    found, y = masses(parameters, 16), np.linspace(-1, 1, 16)
    logits, means, scales = np.split(parameters[..., 0].numpy(), 3, axis=1)
    weights = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    upper = cdf((y[:, None, None] + 1 / 15 - means) / np.exp(scales))
    lower = cdf((y[:, None, None] - 1 / 15 - means) / np.exp(scales))
    upper[-1], lower[0] = 1, 0
    np.testing.assert_allclose(found, (weights * (upper - lower)).sum(2).T, rtol=1e-9, atol=1e-15)


def test_floor_of_scales():
    parameters = mixture(0.5, log_scale=-30.0)
    floored = parameters.clone()
    floored[:, 2 * M :] = -4.0
    y = levels(256, parameters)[None].expand(len(parameters), -1)
    args = y, 256, -4.0
    found = log_prob(parameters.expand(-1, -1, 256), *args)
    assert torch.equal(found, log_prob(floored.expand(-1, -1, 256), *args))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_classes", [4, 256, 65536])
def test_levels(n_classes, dtype):
    every = levels(n_classes, torch.zeros(1, dtype=dtype))
    assert every[[0, -1]].tolist() == [-1, 1]
    torch.testing.assert_close(quantise(every, n_classes), every, rtol=0, atol=1e-7)
    x = torch.linspace(-1.5, 1.5, 10_001, dtype=dtype)
    error = (quantise(x, n_classes) - x.clamp(-1, 1)).abs().max()
    assert float(error) <= 1 / (n_classes - 1) + 2e-7
    widths = log_widths(every.double(), n_classes).exp()
    assert float(widths.sum()) == pytest.approx(2, abs=1e-9)
    assert (widths[[0, -1]] / widths[1]).tolist() == pytest.approx([0.5, 0.5])


def test_gradients_are_those_of_finite_differences():
    parameters = mixture(0.5).expand(-1, -1, 5).clone().requires_grad_()
    y = levels(256, parameters)[[0, 3, 100, 254, 255]].expand(3, -1)
    assert torch.autograd.gradcheck(lambda p: log_prob(p, y, 256, -16.0), parameters)
