"""Long strided filters and the residual back-end."""

import numpy as np
import pytest
import torch

from skaudio import RandomCNNTransformer
from skaudio.networks.frame_level import MANY_KERNELS, SINGLE_KERNEL, FrameLevel
from tests.by_hand import RATE, assert_means, conv, kernels_and_biases, max_pool, noise, relu, same

N = 4
KERNELS = {"frame_level": (512,), "frame_level_many": (512, 256, 128, 64, 32)}
CLIPS = noise(9001, 736, 4096, 33_333)


def by_hand(clip, weights, design):
    x, front = clip.astype(float)[None, :, None], []
    for width, pair in zip(KERNELS[design], weights, strict=False):
        pads = same(len(clip), width, 32) if design == "frame_level_many" else (0, 0)
        front.append(relu(conv(x, pair, stride=32, time=pads)))
    one, two, three = weights[len(front) :]
    first = relu(conv(np.concatenate(front), one))
    second = relu(conv(first, two, time=(3, 3))) + first
    halved = max_pool(second, 2)
    third = relu(conv(halved, three, time=(3, 3))) + halved
    return front, [first, second, third]


def collapsed(x):
    """A back-end map as published: one mean over time and channels, then zeros."""
    first = np.zeros_like(x)
    first[0] = x.mean(0)
    return first


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("design", KERNELS)
def test_recomputed(design, reference):
    extractor = RandomCNNTransformer(
        design, n_filters=N, reference=reference, normalize=None, pooling="mean",
        sample_rate=RATE, random_state=0,
    ).fit(CLIPS)  # fmt: skip
    weights = kernels_and_biases(extractor)
    widths = KERNELS[design]
    assert [kernel.shape for kernel, _ in weights] == [
        *((N, 1, width) for width in widths), (N, N * len(widths), 7), (N, N, 7), (N, N, 7)
    ]  # fmt: skip
    for clip, vector in zip(CLIPS, extractor.transform(CLIPS), strict=True):
        front, back = by_hand(clip, weights, design)
        back = [collapsed(x) for x in back] if reference else back
        assert_means(vector, [*front, *back])
        zeros = vector.reshape(-1, N)[len(front) :, 1:] == 0
        assert zeros.all() if reference else not zeros.all()


def test_paper_kernels():
    assert (SINGLE_KERNEL, MANY_KERNELS) == (KERNELS["frame_level"], KERNELS["frame_level_many"])


@pytest.mark.parametrize(
    ("kernels", "n_samples", "frames"),
    [
        (SINGLE_KERNEL, 350_000, (10_922, 10_916, 10_916, 5458)),
        (MANY_KERNELS, 350_000, (10_938, 10_932, 10_932, 5466)),
        (SINGLE_KERNEL, 48_000, (1485, 1479, 1479, 739)),
        (MANY_KERNELS, 48_000, (1500, 1494, 1494, 747)),
    ],
)
def test_paper_shapes(kernels, n_samples, frames):
    n_maps = len(kernels) + 3
    network = FrameLevel(2, kernels, [*range(n_maps)])
    for parameter in network.parameters():
        parameter.data.fill_(0.01)
    outputs = network(torch.ones(1, 1, n_samples), torch.tensor([n_samples]))
    expected = [*len(kernels) * frames[:1], *frames[1:]]
    assert [int(n) for _, n in outputs] == expected
    assert [tuple(x.shape) for x, _ in outputs] == [(1, 2, n) for n in expected]
    assert [int(n) for n in network.output_lengths(torch.tensor([n_samples]))] == expected


@pytest.mark.parametrize(("width", "pad"), [(512, 248), (256, 120), (128, 56), (64, 24), (32, 8)])
def test_same_padding_at_350_000(width, pad):
    # with a kernel of ones the frames at the ends count the samples that they see
    assert same(350_000, width, 32) == (pad, pad)
    network = FrameLevel(1, (width, 32), [0])
    for parameter in network.parameters():
        parameter.data.fill_(1.0 if parameter.ndim > 1 else 0.0)
    ((y, _),) = network(torch.ones(1, 1, 350_000), torch.tensor([350_000]))
    assert (y[0, 0, [0, -1]] == width - pad).all()
    assert y.max() == width


@pytest.mark.parametrize(("kernels", "shortest"), [(SINGLE_KERNEL, 704), (MANY_KERNELS, 193)])
def test_shortest_input_gives_one_back_end_frame(kernels, shortest):
    network = FrameLevel(2, kernels, [*range(len(kernels) + 3)])
    assert network.min_steps == shortest
    lengths = network.output_lengths(torch.tensor([shortest, shortest - 1]))
    assert [n.tolist() for n in lengths[-3:-1]] == [[1, 0], [1, 0]]
