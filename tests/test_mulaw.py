"""Mu-law against published numbers, and against the formula in float64."""

import numpy as np
import pytest
import torch

from skaudio._mulaw import decode, encode, log_widths

EVERY = torch.arange(256)
BOTH = pytest.mark.parametrize("variant", ["A", "B"])
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def companded(x, mu=255):
    x = np.clip(np.asarray(x, np.float64), -1, 1)
    return np.sign(x) * np.log(1 + mu * np.abs(x)) / np.log(1 + mu)


@DTYPES
def test_published_vector(dtype):
    wave = torch.tensor([-1, 1, 0.6, -0.25, 0.01, 0.33, -0.9999, 0.42, 0.1, -0.45], dtype=dtype)
    assert encode(wave).tolist() == [0, 255, 243, 32, 157, 230, 0, 235, 203, 18]


@BOTH
@DTYPES
def test_every_class_is_a_fixed_point(variant, dtype):
    levels = decode(EVERY, variant=variant)
    assert levels.dtype == torch.float32
    assert torch.equal(encode(levels.to(dtype), variant=variant), EVERY)
    assert bool((levels.diff() > 0).all())


def test_levels():
    a, b = decode(EVERY).double(), decode(EVERY, variant="B").double()
    np.testing.assert_allclose(companded(a), 2 * np.arange(256) / 255 - 1, atol=1e-6)
    np.testing.assert_allclose(companded(b), (np.arange(256) - 127.5) / 128, atol=1e-6)
    assert a[[0, 255]].tolist() == [-1, 1]
    assert b[[0, 255]].tolist() == pytest.approx([-0.97849, 0.97849], abs=1e-5)
    assert float(a[128]) == pytest.approx(8.62e-5, abs=1e-7)
    assert float(b[128]) == pytest.approx(8.59e-5, abs=1e-7)


@BOTH
@DTYPES
def test_edge_cases(variant, dtype):
    edges = torch.tensor([0.0, -0.0, 1.0, -1.0, 100.0, -torch.inf], dtype=dtype)
    assert encode(edges, variant=variant).tolist() == [128, 128, 255, 0, 255, 0]


@BOTH
@pytest.mark.parametrize("n_classes", [2, 4, 16, 255, 1024])
def test_other_numbers_of_classes(variant, n_classes):
    every = torch.arange(n_classes)
    levels = decode(every, n_classes, variant).double()
    assert torch.equal(encode(levels, n_classes, variant), every)
    assert int(encode(torch.zeros(1), n_classes, variant)) == n_classes // 2


# largest error, and signal-to-noise ratio of a sine of these amplitudes
@pytest.mark.parametrize(
    ("variant", "error", "decibels"),
    [("A", 0.0216, (38.4, 37.6, 33.7)), ("B", 0.0215, (37.4, 38.3, 34.0))],
)
def test_errors(variant, error, decibels):
    x = torch.linspace(-1, 1, 200_001, dtype=torch.float64)
    largest = (decode(encode(x, variant=variant), variant=variant) - x).abs().max()
    assert float(largest) == pytest.approx(error, abs=5e-5)
    for amplitude, expected in zip((1, 0.1, 0.01), decibels, strict=True):
        sine = amplitude * torch.sin(2 * np.pi * 220 * torch.arange(16000).double() / 16000)
        noise = decode(encode(sine, variant=variant), variant=variant) - sine
        ratio = 10 * np.log10(float(sine.square().sum() / noise.square().sum()))
        assert ratio == pytest.approx(expected, abs=0.1)


def test_widths_are_those_of_the_classes():
    widths = np.exp(log_widths())
    assert widths.sum() == pytest.approx(2, abs=1e-14)
    assert widths[[127, 128]] == pytest.approx([1.743e-4] * 2, rel=1e-3)
    assert widths[[0, 1, 254, 255]] == pytest.approx([0.0216, 0.0418, 0.0418, 0.0216], rel=3e-3)
    # where a fine ramp changes class
    n = 1 << 21
    x = torch.linspace(-1, 1, n, dtype=torch.float64)
    counted = torch.bincount(encode(x), minlength=256).double() * 2 / n
    np.testing.assert_allclose(counted, widths, atol=3 / n)
