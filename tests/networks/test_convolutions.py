"""Convolutions in fast layouts are convolutions, and maxima see each clip alone."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from skaudio._engine import weights
from skaudio.networks import convolutions
from skaudio.networks.convolutions import conv_band_max, conv_max_pool, max_pool, new_conv
from skaudio.networks.layers import initialise


@pytest.mark.parametrize(
    ("n_in", "stride", "padding"),
    [
        *[(1, 1, 0), (1, 3, 0), (1, 32, 0), (3, 1, 0), (3, 1, 1), (8, 1, 3)],
        *[(3, 2, 0), (3, 3, 2), (8, 4, 0), (8, 7, 1), (3, 9, 0), (3, 50, 0)],
    ],
)
@pytest.mark.parametrize("training", [False, True])
def test_time_convolution_is_conv1d(n_in, stride, padding, training):
    conv = new_conv(n_in, 5, 7, stride=stride, padding=padding)
    initialise(conv, torch.Generator().manual_seed(0))
    conv.bias.data += 0.5
    x = torch.randn(2, n_in, 100, generator=torch.Generator().manual_seed(1))
    with torch.set_grad_enabled(training):
        expected = F.conv1d(x, conv.weight, conv.bias, stride=stride, padding=padding)
        torch.testing.assert_close(conv(x), expected)


@pytest.mark.parametrize("n_in", [1, 3])
@pytest.mark.parametrize(("padding", "width"), [((1, 1), (2, 3)), ((1, 0), (4, 2)), (0, (1, 10))])
@pytest.mark.parametrize("n_steps", [41, 5, 3])  # the last has less than one window
def test_pieces_of_a_large_map_do_not_show(n_in, padding, width, n_steps, monkeypatch):
    conv = new_conv(n_in, 5, (3, 3), padding=padding)
    initialise(conv, torch.Generator().manual_seed(0))
    conv.bias.data += 0.5
    x = torch.randn(2, n_in, n_steps, 12, generator=torch.Generator().manual_seed(1))
    after = n_steps - 2 + 2 * conv.padding[0]
    expected = max_pool(conv(x), torch.tensor([after, after]), width)[0]
    for piece, filters in ((1, 5), (400, 2), (2000, 1)):
        monkeypatch.setattr(convolutions, "_PIECE", piece)
        monkeypatch.setattr(convolutions, "_FILTERS", filters)
        found, lengths = conv_max_pool(conv, x, torch.tensor([after, after]), width)
        assert lengths.tolist() == [max(1, after // width[0])] * 2
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("height", [12, 11, 4])
@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("many", [1, 100])
def test_maximum_over_all_places_in_frequency(height, padding, precision, many, monkeypatch):
    monkeypatch.setattr(convolutions, "_MANY_FILTERS", many)  # 7 are many, or few
    conv = new_conv(1, 7, (5, height), padding=(padding, 0))
    initialise(conv, torch.Generator().manual_seed(0))
    conv.bias.data += 0.5
    x = torch.randn(2, 12, 40, generator=torch.Generator().manual_seed(1))
    x[1, :, 30:] = 0.0
    expected = F.conv2d(x.transpose(1, 2)[:, None], conv.weight, conv.bias, padding=(padding, 0))
    lengths = torch.tensor([36, 26]) + 2 * padding
    lower = precision == torch.bfloat16
    with torch.inference_mode(), torch.autocast("cpu", precision, enabled=lower):
        found = conv_band_max(conv, x, lengths)
    assert found.dtype == precision
    rounding = {"rtol": 0.01, "atol": 0.02} if lower else {}
    torch.testing.assert_close(found.float(), expected.detach().amax(3), **rounding)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
def test_gradient_through_the_maximum_in_frequency(precision, monkeypatch):
    monkeypatch.setattr(convolutions, "_MANY_FILTERS", 1)
    conv = new_conv(1, 7, (5, 9), padding=(2, 0))
    initialise(conv, torch.Generator().manual_seed(0))
    x = torch.randn(2, 12, 40, generator=torch.Generator().manual_seed(1))
    lengths, towards = torch.tensor([40, 40]), torch.linspace(-1, 1, 40)
    weight = conv.weight.detach().double().requires_grad_()
    y = F.conv2d(x.double().transpose(1, 2)[:, None], weight, padding=(2, 0)).amax(3)
    (expected,) = torch.autograd.grad((y * towards).sum(), weight)
    with torch.autocast("cpu", precision, enabled=precision == torch.bfloat16):
        y = conv_band_max(conv, x, lengths)
    assert y.dtype == precision
    (found,) = torch.autograd.grad((y.float() * towards).sum(), conv.weight)
    error = float((found - expected).norm() / expected.norm())
    assert error < (1e-5 if precision == torch.float32 else 0.1)


def test_loaded_kernels_lie_channels_last():
    for conv, order in ((new_conv(4, 5, 3), (0, 2, 1)), (new_conv(4, 5, (3, 3)), (0, 2, 3, 1))):
        stored = {name: np.ones(p.shape, np.float32) for name, p in conv.named_parameters()}
        assert weights.load(conv, stored).weight.permute(order).is_contiguous()
        assert weights.to_numpy(conv)["weight"].flags.c_contiguous


@pytest.mark.parametrize("width", [1, 2, 3, 7])
@pytest.mark.parametrize("bands", [None, 4, 2], ids=["1d", "4 bands", "2 bands"])
def test_max_pool_sees_each_clip_alone(width, bands):
    lengths = torch.tensor([20, 1, 2, 13])
    generator = torch.Generator().manual_seed(0)
    shape = (4, 3, 20) if bands is None else (4, 3, 20, 4)
    x = torch.randn(shape, generator=generator) - 5  # so that zeros, were they seen, would win
    pooled, left = max_pool(x, lengths, width if bands is None else (width, bands))
    for clip, y, n, frames in zip(x.numpy(), pooled.numpy(), lengths.tolist(), left, strict=True):
        assert frames == max(1, n // width)
        for t in range(int(frames)):
            window = clip[:, t * width : min((t + 1) * width, n)]
            if bands is not None:
                window = window.reshape(3, -1, 4 // bands, bands).max(-1)
            np.testing.assert_array_equal(y[:, t], window.max(1))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", [(1, 9, 40), (8, 5, 16), (64, 4, 8), (64, 20, 24)])
def test_one_small_image_is_rounded_as_in_a_batch(shape, threads):
    torch.manual_seed(0)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    conv = new_conv(shape[0], 32, (3, 3), padding=1)
    conv.load_state_dict({k: torch.randn(w.shape) for k, w in conv.state_dict().items()})
    x = torch.randn(2, *shape).to(memory_format=torch.channels_last)
    lengths = torch.tensor([shape[1]])
    try:
        with torch.inference_mode():
            assert torch.equal(conv(x)[:1], conv(x[:1]))
            pair = conv_max_pool(conv, x, lengths.expand(2), (2, 2))[0]
            assert torch.equal(pair[:1], conv_max_pool(conv, x[:1], lengths, (2, 2))[0])
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("kernel", [2, 3, 8])
def test_one_short_series_is_rounded_as_in_a_batch(kernel):
    torch.manual_seed(0)
    conv = new_conv(64, 128, kernel)
    conv.load_state_dict({k: torch.randn(w.shape) for k, w in conv.state_dict().items()})
    x = torch.randn(2, 64, 50)
    with torch.inference_mode():
        assert torch.equal(conv(x)[:1], conv(x[:1]))
