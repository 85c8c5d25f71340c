"""The stack of small filters."""

import numpy as np
import pytest
import torch

from skaudio import RandomCNNTransformer
from skaudio.networks import vgg
from skaudio.networks.vgg import PAPER_POOLS, VGG
from tests.by_hand import (
    RATE,
    assert_means,
    conv,
    elu,
    kernels_and_biases,
    log_mel,
    max_pool,
    noise,
)

GENTLE_POOLS = ((2, 2), (2, 3), (2, 2), (2, 2), (4, 4))


def by_hand(x, weights, pools):
    maps = []
    for pair, window in zip(weights, pools, strict=True):
        x = max_pool(elu(conv(x, pair, time=(1, 1), mel=(1, 1))), *window)
        maps.append(x)
    return maps


@pytest.mark.parametrize(
    ("pools", "n_bands", "lengths"),
    [
        (PAPER_POOLS, 1, (1280 * 256, 330_000)),
        (GENTLE_POOLS, 1, (64 * 256, 17_001, 30_000)),
        (GENTLE_POOLS, 8, (64 * 256, 17_001, 30_000)),
    ],
    ids=["paper", "gentle", "bands apart"],
)
def test_recomputed(pools, n_bands, lengths):
    clips = noise(*lengths)
    extractor = RandomCNNTransformer(
        "vgg",
        n_filters=4,
        pools=pools,
        n_bands=n_bands,
        normalize=None,
        pooling="mean",
        sample_rate=RATE,
        random_state=0,
    ).fit(clips)
    weights = kernels_and_biases(extractor)
    assert [kernel.shape for kernel, _ in weights] == [(4, 1, 3, 3)] + 4 * [(4, 4, 3, 3)]
    for clip, vector in zip(clips, extractor.transform(clips), strict=True):
        maps = by_hand(log_mel(clip), weights, pools)
        # equal parts of the mel axis one after the other, as far as there are bands
        bands = [np.split(x, min(n_bands, x.shape[2]), axis=2) for x in maps]
        assert_means(vector, [np.concatenate(parts) for parts in bands])


def run(n_frames, pools=PAPER_POOLS, layers=range(5)):
    network = VGG(2, 96, pools, [*layers])
    for parameter in network.parameters():
        parameter.data.fill_(0.1)
    return network, network(torch.ones(1, 96, n_frames), torch.tensor([n_frames]))


@pytest.mark.parametrize(
    ("n_frames", "times"), [(1376, (344, 86, 17, 4, 1)), (1404, (351, 87, 17, 4, 1))]
)
def test_paper_shapes(n_frames, times, monkeypatch):
    shapes = []

    def spy(*args):
        pooled = plain(*args)
        shapes.append(tuple(pooled[0].shape[2:]))
        return pooled

    plain = vgg.conv_max_pool
    monkeypatch.setattr(vgg, "conv_max_pool", spy)
    network, outputs = run(n_frames)
    assert shapes == [*zip(times, (48, 16, 8, 4, 1), strict=True)]
    assert [tuple(x.shape) for x, _ in outputs] == [(1, 2, t) for t in times]
    assert [int(n) for _, n in outputs] == [*times]
    assert [int(n) for n in network.output_lengths(torch.tensor([n_frames]))] == [*times]


@pytest.mark.parametrize(
    ("n_frames", "times"), [(1280, (320, 80, 16, 4, 1)), (1279, (319, 79, 15, 3, 1))]
)
def test_times_about_1280_frames(n_frames, times):
    assert [int(n) for _, n in run(n_frames)[1]] == [*times]


def test_full_windows_need_1280_frames():
    # the last block's window is 4 frames of the fourth: one frame less, and it is incomplete
    n_frames = torch.arange(1, 1400)
    (fourth,) = VGG(2, 96, PAPER_POOLS, [3]).output_lengths(n_frames)
    full = n_frames[fourth >= PAPER_POOLS[4][0]]
    assert full.tolist() == [*range(1280, 1400)]


@pytest.mark.parametrize("n_frames", [1, 3, 5, 79, 1279, 1280])
def test_incomplete_only_window_counts(n_frames):
    # a block with less than one window takes the maximum of what there is
    generator = torch.Generator().manual_seed(0)
    network = VGG(3, 96, PAPER_POOLS, [*range(5)])
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    x = torch.randn(1, 96, n_frames, generator=generator)
    outputs = network(x, torch.tensor([n_frames]))
    y = x[0].T[None].double().numpy()
    for block, (found, _), (time, mel) in zip(network.blocks, outputs, PAPER_POOLS, strict=True):
        pair = [p.detach().double().numpy() for p in (block.weight, block.bias)]
        y = elu(conv(y, pair, time=(1, 1), mel=(1, 1)))
        y = max_pool(y, min(time, y.shape[1]), mel)
        np.testing.assert_allclose(found[0].detach().numpy(), y.mean(-1), rtol=1e-4, atol=1e-5)


def test_keep_runs_only_what_is_needed():
    network, outputs = run(64, GENTLE_POOLS, layers=(2, 0))
    assert len(network.blocks) == 3
    assert [x.shape[-1] for x, _ in outputs] == [8, 32]
    assert [m.name for m in network.maps] == ["pool3", "pool1"]
    assert [m.stride for m in network.maps] == [8, 2]
