"""One layer of tall filters."""

import pytest
import torch

from skaudio import RandomCNNTransformer
from skaudio.networks.single_layer import SingleLayer
from tests.by_hand import (
    RATE,
    assert_means,
    conv,
    kernels_and_biases,
    log_mel,
    max_pool,
    noise,
    relu,
)


@pytest.mark.parametrize(("kernel", "places"), [((7, 86), 11), ((7, 96), 1)], ids=str)
def test_recomputed(kernel, places):
    clips = noise(9_000, 6 * 256, 20_001)
    extractor = RandomCNNTransformer(
        "single", kernel=kernel, n_filters=8, normalize=None, pooling="mean",
        sample_rate=RATE, random_state=0,
    ).fit(clips)  # fmt: skip
    (weights,) = kernels_and_biases(extractor)
    assert weights[0].shape == (8, 1, *kernel)
    for clip, vector in zip(clips, extractor.transform(clips), strict=True):
        y = conv(log_mel(clip), weights)
        assert y.shape[2] == places
        assert_means(vector, [max_pool(relu(y), 1, places)])


@pytest.mark.parametrize("kernel", [(7, 86), (7, 96)], ids=str)
def test_paper_shapes(kernel):
    network = SingleLayer(3, 96, kernel)
    for parameter in network.parameters():
        parameter.data.fill_(0.1)
    x = torch.ones(1, 96, 1376)
    assert network.conv(x.transpose(1, 2)[:, None]).shape == (1, 3, 1370, 97 - kernel[1])
    ((y, lengths),) = network(x, torch.tensor([1376]))
    assert y.shape == (1, 3, 1370)
    assert lengths.tolist() == [1370] == network.output_lengths(torch.tensor([1376]))[0].tolist()
    assert network.min_steps == 7


def test_what_follows_a_clip_is_not_seen():
    generator = torch.Generator().manual_seed(0)
    network = SingleLayer(4, 96, (7, 86))
    torch.nn.init.normal_(network.conv.weight, generator=generator)
    torch.nn.init.zeros_(network.conv.bias)
    x = torch.randn(2, 96, 50, generator=generator)
    ((y, lengths),) = network(x, torch.tensor([50, 20]))
    ((z, _),) = network(x[1:, :, :20], torch.tensor([20]))
    assert lengths.tolist() == [44, 14]
    torch.testing.assert_close(y[1, :, :14], z[0])
