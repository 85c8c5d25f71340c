"""Tall filters for timbre, long ones for rhythm."""

import numpy as np
import pytest
import torch

from skaudio import RandomCNNTransformer
from skaudio.networks.timbral_temporal import PAPER_TEMPORAL_KERNELS, TimbralTemporal
from tests.by_hand import RATE, assert_means, conv, kernels_and_biases, log_mel, noise, relu, same

N = 8
TIMBRAL = [(7, 86, N), (3, 86, 2 * N), (1, 86, 4 * N), (7, 38, N), (3, 38, 2 * N), (1, 38, 4 * N)]
US8K_KERNELS = (64, 32, 16, 8)
CLIPS = noise(12_000, 45_000, 300)  # longer and shorter than the longest kernel


def timbre(x, weights):
    maps = []
    for (width, height, n), (kernel, bias) in zip(TIMBRAL, weights, strict=True):
        assert kernel.shape == (n, 1, width, height)
        y = conv(x, (kernel, bias), time=(width // 2, width // 2))
        assert y.shape[2] == 97 - height
        maps.append(relu(y).max(2, keepdims=True))
    return np.concatenate(maps)


def rhythm(x, weights, widths):
    series = x.mean(2, keepdims=True)
    maps = []
    for width, times, (kernel, bias) in zip(widths, (1, 2, 4, 8), weights, strict=True):
        assert kernel.shape == (times * N - N // 4, 1, width)  # the remove rule
        maps.append(relu(conv(series, (kernel, bias), time=same(series.shape[1], width))))
    return np.concatenate(maps)


@pytest.mark.parametrize("kernels", [PAPER_TEMPORAL_KERNELS, US8K_KERNELS], ids=str)
@pytest.mark.parametrize("design", ["timbral_temporal", "timbral", "temporal"])
def test_recomputed(design, kernels):
    extractor = RandomCNNTransformer(
        design, n_filters=N, temporal_kernels=kernels, normalize=None, pooling="mean",
        sample_rate=RATE, random_state=0,
    ).fit(CLIPS)  # fmt: skip
    weights = kernels_and_biases(extractor)
    for clip, vector in zip(CLIPS, extractor.transform(CLIPS), strict=True):
        x, maps = log_mel(clip), []
        if "timbral" in design:
            maps.append(timbre(x, weights[:6]))
        if "temporal" in design:
            maps.append(rhythm(x, weights[-4:], kernels))
        assert_means(vector, maps)


def test_paper_kernels():
    assert PAPER_TEMPORAL_KERNELS == (165, 128, 64, 32)


@pytest.mark.parametrize(
    ("width", "pads"), [(165, (82, 82)), (128, (63, 64)), (64, (31, 32)), (32, (15, 16))]
)
def test_same_padding(width, pads):
    # the first and the last frame see exactly as much of the clip as the padding leaves them
    assert same(1376, width) == pads
    kernels = (width, 1, 1, 1)
    network = TimbralTemporal(4, 96, kernels, ["temporal"])
    for parameter in network.parameters():
        parameter.data.fill_(1.0 if parameter.ndim > 1 else 0.0)
    ((y, _),) = network(torch.ones(1, 96, 400), torch.tensor([400]))
    counts = y[0, 0]
    assert counts[0] == width - pads[0]
    assert counts[-1] == width - pads[1]
    assert counts.max() == width


@pytest.mark.parametrize("blocks", [["timbral"], ["temporal"], ["temporal", "timbral"]], ids=str)
def test_paper_shapes(blocks):
    network = TimbralTemporal(4, 96, PAPER_TEMPORAL_KERNELS, blocks)
    for parameter in network.parameters():
        parameter.data.fill_(0.1)
    outputs = network(torch.ones(1, 96, 1376), torch.tensor([1376]))
    assert [tuple(y.shape) for y, _ in outputs] == [(1, 14 * 4, 1376)] * len(blocks)
    assert [m.name for m in network.maps] == blocks
    assert [len(m.channels) for m in network.maps] == [14 * 4] * len(blocks)
