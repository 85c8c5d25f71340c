"""What the networks share: draws, maps, length-aware layers."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import truncnorm

from skaudio import RandomCNNTransformer
from skaudio.networks.convolutions import new_conv
from skaudio.networks.layers import Map, halo_of, initialise, masked_group_norm

CLIP = [np.zeros(4000, np.float32)]


def drawn(design, **params):
    extractor = RandomCNNTransformer(design, sample_rate=12000, random_state=0, **params)
    return extractor.fit(CLIP).weights_


@pytest.mark.parametrize(
    ("design", "params", "fan_in", "scale"),
    [
        ("vgg", {"n_filters": 2000, "layers": 0}, 9, 0.53748),
        ("frame_level", {"n_filters": 60}, 512, 0.07126),
        ("single", {"n_filters": 60, "kernel": (7, 96)}, 672, 0.06220),
    ],
)
def test_first_kernel_is_truncated_at_two_scales(design, params, fan_in, scale):
    first = next(iter(drawn(design, **params).values()))
    assert first[0].size == fan_in
    exact = np.sqrt(2.6 / fan_in)
    assert exact == pytest.approx(scale, abs=5e-6)
    # of 18,000 draws or more, the largest lies close under the limit
    assert 1.99 * exact < np.abs(first).max() <= 2 * exact * (1 + 1e-6)


def test_standard_deviation():
    # truncation at two sigma leaves 0.879626 of the deviation; sqrt(1.3) gives it back
    left = truncnorm.std(-2, 2)
    assert left == pytest.approx(0.879626, abs=5e-7)
    assert left * np.sqrt(1.3) == pytest.approx(1.002928, abs=5e-7)
    kernel = next(iter(drawn("single", n_filters=3585, kernel=(7, 96)).values()))
    # standard error of the deviation of 2.4 million draws: 4e-4
    assert kernel.std() == pytest.approx(1.002928 * np.sqrt(2 / 672), rel=1.5e-3)
    assert kernel.mean() == pytest.approx(0.0, abs=1.5e-4)


def test_inner_kernels_scale_with_their_own_fan_in():
    for name, kernel in drawn("vgg", n_filters=64).items():
        if kernel.ndim > 1:
            scale = np.sqrt(2.6 / kernel[0].size)
            assert np.abs(kernel).max() <= 2 * scale * (1 + 1e-6), name
            n = kernel.size
            assert kernel.std() == pytest.approx(0.879626 * scale, rel=4 * 0.6 / np.sqrt(n)), name


@pytest.mark.parametrize(
    "design",
    ["vgg", "single", "timbral_temporal", "sample_level", "frame_level", "frame_level_many"],
)
def test_biases_are_zero_and_kernels_come_first(design):
    weights = [*drawn(design, n_filters=8).values()]
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        assert kernel.ndim >= 3 and kernel.any()
        assert bias.shape == kernel.shape[:1] and not bias.any()
        assert kernel.dtype == bias.dtype == np.float32


def test_drawing_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    network = torch.nn.Sequential(new_conv(1, 4, 3), new_conv(4, 4, (3, 3)))
    initialise(network, torch.Generator().manual_seed(0))
    assert torch.equal(torch.rand(3), expected)


def test_map_knows_its_receptive_field():
    # conv 3 stride 3, then conv 3 padded 1, then pooling 3
    first = Map("conv").then(3, stride=3)
    assert (first.stride, first.left, first.right, first.centre) == (3, 0, 2, 1.0)
    second = first.then(3, pad=1, name="pool").then(3, stride=3)
    assert (second.name, second.stride, second.left, second.right) == ("pool", 9, 3, 11)
    assert second.centre == 4.0
    # frame 0 of the first is made of its own steps; that of the second, of 3 more on either side
    assert halo_of([first]) == (0, 0)
    assert halo_of([first, second]) == halo_of([second]) == (3, 3)
    assert halo_of([Map("causal").then(4, pad=3)]) == (3, 0)


@pytest.mark.parametrize("n_groups", [1, 2, 6])
@pytest.mark.parametrize("affine", [True, False])
def test_group_norm_sees_each_clip_alone(n_groups, affine):
    lengths = torch.tensor([20, 1, 2, 13])
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 6, 20, generator=generator, dtype=torch.float64) + 3
    weight, bias, upstream = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in (6, 6, (4, 6, 20))
    )
    affine = (weight.requires_grad_(), bias.requires_grad_()) if affine else (None, None)
    cuts = [clip[None, :, :n].clone().requires_grad_() for clip, n in zip(x, lengths, strict=True)]
    alone = [masked_group_norm(cut, None, n_groups, *affine) for cut in cuts]
    inputs = [p for p in affine if p is not None]
    loss = sum((y * u[:, : y.shape[2]]).sum() for y, u in zip(alone, upstream, strict=True))
    expected = torch.autograd.grad(loss, [*cuts, *inputs])

    beyond = torch.arange(20) >= lengths[:, None, None]
    x = x.masked_fill(beyond, torch.nan).requires_grad_()
    together = masked_group_norm(x, lengths, n_groups, *affine)
    loss = (together * upstream).masked_fill(beyond, 0.0).sum()
    slope, *others = torch.autograd.grad(loss, [x, *inputs])
    for i, n in enumerate(lengths):
        torch.testing.assert_close(together[i, :, :n], alone[i][0])
        torch.testing.assert_close(slope[i, :, :n], expected[i][0])
        assert not slope[i, :, n:].any()
    torch.testing.assert_close(others, [*expected[4:]])


def test_group_norm_of_whole_clips_is_that_of_torch():
    x = torch.randn(2, 6, 20, generator=torch.Generator().manual_seed(0))
    weight, bias = torch.arange(6.0), torch.ones(6)
    expected = F.group_norm(x.double(), 3, weight.double(), bias.double(), 0.1).float()
    for lengths in (None, torch.tensor([20, 20])):
        torch.testing.assert_close(masked_group_norm(x, lengths, 3, weight, bias, 0.1), expected)
