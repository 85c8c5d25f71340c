"""The sample-level stack."""

import pytest
import torch

from skaudio import RandomCNNTransformer
from skaudio.networks.sample_level import SampleLevel
from tests.by_hand import RATE, assert_means, conv, kernels_and_biases, max_pool, noise, relu

PAPER_LENGTHS = {
    350_000: [116_666, 38_888, 12_962, 4320, 1440, 480, 160],
    48_000: [16_000, 5333, 1777, 592, 197, 65, 21],
    2187: [729, 243, 81, 27, 9, 3, 1],
}


def by_hand(clip, weights):
    x = relu(conv(clip.astype(float)[None, :, None], weights[0], stride=3))
    maps = [x]
    for pair in weights[1:]:
        x = max_pool(relu(conv(x, pair, time=(1, 1))), 3)
        maps.append(x)
    return maps


def test_recomputed():
    clips = noise(2187, 12_345, 30_000)
    extractor = RandomCNNTransformer(
        "sample_level",
        n_filters=4,
        normalize=None,
        pooling="mean",
        sample_rate=RATE,
        random_state=0,
    ).fit(clips)
    weights = kernels_and_biases(extractor)
    assert [kernel.shape for kernel, _ in weights] == [(4, 1, 3)] + 6 * [(4, 4, 3)]
    for clip, vector in zip(clips, extractor.transform(clips), strict=True):
        assert_means(vector, by_hand(clip, weights))


def run(n_samples, layers=range(7)):
    network = SampleLevel(2, [*layers])
    for parameter in network.parameters():
        parameter.data.fill_(0.1)
    return network, network(torch.ones(1, 1, n_samples), torch.tensor([n_samples]))


@pytest.mark.parametrize("n_samples", PAPER_LENGTHS)
def test_paper_shapes(n_samples):
    network, outputs = run(n_samples)
    expected = PAPER_LENGTHS[n_samples]
    assert [tuple(x.shape) for x, _ in outputs] == [(1, 2, t) for t in expected]
    assert [int(n) for _, n in outputs] == expected
    assert [int(n) for n in network.output_lengths(torch.tensor([n_samples]))] == expected


@pytest.mark.parametrize("n_samples", [3, 100, 2186])
def test_short_clips_keep_one_frame(n_samples):
    outputs = run(n_samples)[1]
    frames = [n_samples // 3]
    while len(frames) < 7:
        frames.append(max(1, frames[-1] // 3))
    assert frames[-1] == 1
    assert [int(n) for _, n in outputs] == frames
    assert all((x[..., : int(n)] > 0).all() for x, n in outputs)


def test_keep_runs_only_what_is_needed():
    network, outputs = run(729, layers=(2,))
    assert len(network.convs) == 3
    assert [x.shape[-1] for x, _ in outputs] == [27]


@pytest.mark.parametrize("layers", [range(7), (0,), (2, 5), (6, 1)])
@pytest.mark.parametrize("size", [3, 5, 27, 1000])
def test_pieces_are_those_of_the_whole(layers, size):
    # "same" padding at the two ends alone, pooling windows in step, a last window cut short
    network = SampleLevel(2, [*layers])
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data.normal_(generator=generator)
    for n_samples in (3, 8, 12, 26, 100, 729, 2186, 2187, 3000, 20_000):
        wave = torch.randn(1, 1, n_samples, generator=generator)
        expected = network(wave, torch.tensor([n_samples]))
        pieces = [[] for _ in layers]
        for layer, frames in network.pieces(wave, 3 * size):
            assert not frames.requires_grad
            pieces[layer].append(frames)
        assert max(len(some) for some in pieces) == 1 or n_samples > 3 * size
        for some, (frames, _) in zip(pieces, expected, strict=True):
            torch.testing.assert_close(torch.cat(some, dim=2), frames, rtol=1e-5, atol=1e-5)
