"""The band-pass filters against the facts of the published code and float64 by their formulas."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from skaudio.networks.sinc import SincConv


def taps(low_hz, band_hz, kernel, rate, form="2019"):
    """One filter in float64, from what is learnt, by the difference of two low-passes."""
    low = 50 + abs(low_hz)
    high = low + 50 + abs(band_hz)
    half = kernel // 2
    if form == "2019":
        high = min(high, rate / 2)
        points = np.linspace(0, kernel / 2 - 1, half)
        window = 0.54 - 0.46 * np.cos(2 * np.pi * points / kernel)
    else:
        window = np.hamming(kernel)[:half]
    t = np.arange(-half, 0) / rate
    left = (np.sin(2 * np.pi * high * t) - np.sin(2 * np.pi * low * t)) / (np.pi * t)
    whole = np.concatenate([left, [2 * (high - low)], left[::-1]])
    whole /= whole.max() if form == "2018" else 2 * (high - low)
    return whole * np.concatenate([window, [1.0], window[::-1]])


def learnt(conv, k):
    """What filter k has learnt, Hz."""
    return conv.low_hz_[k].item(), conv.band_hz_[k].item()


def changed(conv, seed=0):
    """The filters moved by hundreds of Hz, some to negative numbers."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.add_(300 * torch.randn(parameter.shape, generator=generator))
    return conv


def test_start_on_the_mel_scale():
    conv = SincConv(80, 251, 16000)
    assert conv.low_hz_.shape == conv.band_hz_.shape == (80, 1)
    assert sum(p.numel() for p in conv.parameters()) == 160
    low, band = conv.low_hz_.detach()[:, 0], conv.band_hz_.detach()[:, 0]
    np.testing.assert_allclose(low[[0, 1, 2, 79]], [30, 52.857, 76.430, 7638.9], atol=1e-3)
    np.testing.assert_allclose(band[[0, 1, 79]], [22.857, 23.573, 261.100], atol=1e-3)


@pytest.mark.parametrize(
    ("n_filters", "rate", "first", "last"),
    [
        (80, 16000, (80, 152.857), (7688.9, 8000)),
        (80, 8000, (80, 146.992), (3845.36, 4000)),
        (64, 16000, (80, 158.682), (7624.87, 8000)),
    ],
)
def test_first_and_last_band(n_filters, rate, first, last):
    bands = SincConv(n_filters, 251, rate).bands().detach()
    assert bands.shape == (n_filters, 2)
    np.testing.assert_allclose(bands[0], first, rtol=1e-5)
    np.testing.assert_allclose(bands[-1], last, rtol=1e-5)


def test_published_taps():
    first, last = SincConv(80, 251, 16000).filters().detach().numpy()[[0, 79]]
    np.testing.assert_allclose(first[:3], [0.036825, 0.036176, 0.035551], atol=6e-7)
    np.testing.assert_allclose(first[124:127], [0.998777, 1, 0.998777], atol=6e-7)
    np.testing.assert_allclose(first.sum(dtype=np.float64), 7.4719, atol=6e-5)
    np.testing.assert_allclose(last[:3], [-0.002217, 0.002806, -0.003377], atol=6e-7)
    np.testing.assert_allclose(last[124], -0.997371, atol=6e-7)


@pytest.mark.parametrize("form", ["2019", "2018"])
@pytest.mark.parametrize(("kernel", "rate"), [(251, 16000), (129, 8000), (3, 8000)])
def test_taps_equal_float64(form, kernel, rate):
    conv = changed(SincConv(40, kernel, rate, form=form))
    filters = conv.filters().detach().numpy()
    expected = [
        taps(low, band, kernel, rate, form)
        for low, band in zip(
            conv.low_hz_.detach().double().numpy()[:, 0],
            conv.band_hz_.detach().double().numpy()[:, 0],
            strict=True,
        )
    ]
    np.testing.assert_allclose(filters, expected, atol=2e-7)
    assert (filters[:, kernel // 2] == 1).all()
    assert np.array_equal(filters, filters[:, ::-1])


def test_edges_of_the_form_of_2018_are_not_bounded():
    old, new = (SincConv(8, 251, 8000, form=form) for form in ("2018", "2019"))
    with torch.no_grad():
        for conv in (old, new):
            conv.low_hz_[-1] = 3900.0
    assert old.bands()[-1, 1] > 4000 and new.bands()[-1, 1] == 4000
    assert torch.equal(old.bands()[:-1], new.bands()[:-1])


def test_kernel_becomes_odd():
    assert SincConv(4, 250, 16000).filters().shape == (4, 251)
    assert SincConv(4, 251, 16000).filters().shape == (4, 251)


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize(("padding", "mode"), [(0, "constant"), (25, "constant"), (25, "reflect")])
def test_convolution(stride, padding, mode):
    conv = SincConv(5, 51, 8000, stride=stride, padding=padding, padding_mode=mode)
    wave = np.random.default_rng(0).standard_normal((2, 400))
    found = conv(torch.from_numpy(wave).float()[:, None]).detach().numpy()
    assert found.shape == (2, 5, (400 + 2 * padding - 51) // stride + 1)
    padded = np.pad(wave, ((0, 0), (padding, padding)), mode=mode)
    for clip, y in zip(padded, found, strict=True):
        for k in range(5):
            filter_ = taps(*learnt(conv, k), 51, 8000)
            expected = np.correlate(clip, filter_, mode="valid")[::stride]
            np.testing.assert_allclose(y[k], expected, atol=2e-5)


@pytest.mark.parametrize("form", ["2019", "2018"])
def test_gradient_of_the_edges(form):
    conv = changed(SincConv(6, 31, 16000, form=form))
    with torch.no_grad():
        conv.low_hz_[1:3] *= -1
        conv.band_hz_[2:4] *= -1
        conv.low_hz_[5] = 7800.0  # its upper edge is beyond the bound, where its width is not felt
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(6, 31, generator=generator)
    (conv.filters() * weight).sum().backward()
    for parameter, place in ((conv.low_hz_, 0), (conv.band_hz_, 1)):
        for k in range(6):
            start = learnt(conv, k)
            ends = []
            for change in (-0.01, 0.01):
                moved = [*start]
                moved[place] += change
                ends.append(taps(*moved, 31, 16000, form) @ weight[k].double().numpy())
            expected = (ends[1] - ends[0]) / 0.02
            # the upper edge of the last filter is at its bound, where its width is not felt
            np.testing.assert_allclose(parameter.grad[k, 0], expected, rtol=1e-3, atol=1e-7)
    assert (abs(conv.band_hz_.grad[5]) < 1e-12) == (form == "2019")


def test_gradient_of_the_wave():
    conv = changed(SincConv(6, 31, 16000))
    generator = torch.Generator().manual_seed(0)
    wave = torch.randn(1, 1, 60, generator=generator, requires_grad=True)
    conv(wave).square().sum().backward()
    filters = torch.from_numpy(np.stack([taps(*learnt(conv, k), 31, 16000) for k in range(6)]))[
        :, None
    ]
    exact = wave.detach().double().requires_grad_()
    F.conv1d(exact, filters).square().sum().backward()
    torch.testing.assert_close(wave.grad, exact.grad.float(), rtol=1e-4, atol=1e-4)


def test_a_band_without_width_is_finite():
    conv = SincConv(2, 51, 8000)
    with torch.no_grad():
        conv.low_hz_.fill_(3950.0)  # so that both edges are at half the rate
    filters = conv.filters()
    filters.sum().backward()
    t = np.arange(-25, 26)
    np.testing.assert_allclose(filters[0].detach(), np.cos(np.pi * t) * _window(51), atol=1e-6)
    assert all(torch.isfinite(p.grad).all() for p in conv.parameters())


def _window(kernel):
    points = np.linspace(0, kernel / 2 - 1, kernel // 2)
    half = 0.54 - 0.46 * np.cos(2 * np.pi * points / kernel)
    return np.concatenate([half, [1.0], half[::-1]])


def test_construction_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    SincConv(8, 51, 16000)
    assert torch.equal(torch.get_rng_state(), before)
