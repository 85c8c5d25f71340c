"""The pictures of first-layer filters."""

import librosa
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from skaudio import MFCCTransformer, RandomCNNTransformer
from skaudio.plotting import FilterBankDisplay

CLIPS = [np.zeros(16000)]


def fitted(design, **params):
    return RandomCNNTransformer(design, n_filters=20, random_state=0, **params).fit(CLIPS)


@pytest.mark.parametrize(
    ("design", "shapes"),
    [
        ("vgg", [(16, 3, 3)]),
        ("single", [(16, 7, 86)]),
        ("timbral", [(16, time, mel) for mel in (86, 38) for time in (7, 3, 1)]),
        ("temporal", [(15, 165), (16, 128), (16, 64), (16, 32)]),
        ("sample_level", [(20, 3)]),
        ("frame_level", [(20, 512)]),
        ("frame_level_many", [(20, steps) for steps in (512, 256, 128, 64, 32)]),
    ],
)
def test_first_layer_of_each_design(design, shapes, check_texts):
    display = FilterBankDisplay.from_estimator(fitted(design)).plot()
    assert [filters.shape for filters in display.filters] == shapes
    assert len(display.axes_) == len(shapes)
    check_texts(display.figure_)


def test_filters_are_the_fitted_weights():
    cnn = fitted("frame_level_many", layers=[0, 7])
    display = FilterBankDisplay.from_estimator(cnn, n_filters=3)
    for i, filters in enumerate(display.filters):
        np.testing.assert_array_equal(filters, cnn.weights_[f"front.{i}.weight"][:3, 0])
    cnn = fitted("timbral_temporal")
    display = FilterBankDisplay.from_estimator(cnn, kind="frequency")
    assert len(display.filters) == 10
    # a picture of frequencies holds all, tiles are looked at one by one
    assert len(display.filters[5]) == 16
    np.testing.assert_array_equal(display.filters[9], cnn.weights_["temporal.3.weight"][:, 0])


def test_lines_over_time(check_texts):
    cnn = fitted("frame_level", sample_rate=8000)
    display = FilterBankDisplay.from_estimator(cnn, n_filters=4, kind="time").plot()
    lines = [line for line in display.ax_.lines if len(line.get_xdata()) == 512]
    assert len(lines) == 4 and display.ax_.get_xlabel() == "time (ms)"
    np.testing.assert_allclose(lines[2].get_xdata(), np.arange(512) / 8)
    drawn, weights = 2 - lines[2].get_ydata(), cnn.weights_["front.0.weight"][2, 0]
    np.testing.assert_allclose(drawn / drawn.max(), weights / weights.max(), rtol=1e-5, atol=1e-5)
    assert np.abs(drawn).max() < 0.5  # neighbours do not touch
    check_texts(display.figure_)


def test_responses_are_sorted_by_their_peaks():
    frequencies = np.array([3000.0, 500.0, 6000.0, 1500.0])
    sines = np.sin(2 * np.pi * frequencies[:, None] * np.arange(256) / 16000) * np.hanning(256)
    display = FilterBankDisplay(filters=[sines], rate=16000.0, kind="frequency", unit="samples")
    (image,) = display.plot().ax_.images
    decibels = image.get_array()
    peaks = decibels.argmax(axis=0) * 8000 / (len(decibels) - 1)
    np.testing.assert_allclose(peaks, np.sort(frequencies), atol=16)
    assert decibels.max() == 0 and decibels.min() == -40
    assert image.get_extent() == [-0.5, 3.5, 0, 8000]


def test_tiles_show_each_filter_once_low_bands_below():
    cnn = fitted("single", kernel=(12, 30))
    (image,) = FilterBankDisplay.from_estimator(cnn, n_filters=5).plot().ax_.images
    mosaic, kernels = image.get_array(), cnn.weights_["conv.weight"]
    assert mosaic.shape == (30, 5 * 13 - 1)
    for number in range(5):
        tile = mosaic[:, 13 * number : 13 * number + 12]
        np.testing.assert_array_equal(tile, kernels[number, 0].T[::-1])
    assert np.ma.getmaskarray(mosaic)[:, 12::13].all()


@pytest.mark.parametrize("n_fft", [2048, 301])
def test_mel_bands_peak_at_their_frequencies(n_fft, check_texts):
    mfcc = MFCCTransformer(n_mels=20, n_fft=n_fft).fit(CLIPS)
    display = FilterBankDisplay.from_estimator(mfcc).plot()
    assert display.ax_.get_xlabel() == "frequency (Hz)"
    peaks = [line.get_xdata()[line.get_ydata().argmax()] for line in display.ax_.lines]
    expected = librosa.mel_frequencies(22, fmax=8000)[1:-1]
    np.testing.assert_allclose(peaks, expected, atol=0.51 * 16000 / n_fft)
    check_texts(display.figure_)


def test_axes_of_the_user(plt):
    _, ax = plt.subplots()
    assert FilterBankDisplay.from_estimator(fitted("vgg")).plot(ax=ax).ax_ is ax
    with pytest.raises(ValueError, match="cannot hold 5 panels"):
        FilterBankDisplay.from_estimator(fitted("frame_level_many")).plot(ax=ax)


def test_wrong_input():
    with pytest.raises(TypeError, match="PCA has no filter bank to show; pass a RandomCNN"):
        FilterBankDisplay.from_estimator(PCA())
    for unfitted in (RandomCNNTransformer(), MFCCTransformer()):
        with pytest.raises(NotFittedError):
            FilterBankDisplay.from_estimator(unfitted)
    with pytest.raises(ValueError, match="kind='phase' is unknown"):
        FilterBankDisplay.from_estimator(fitted("vgg"), kind="phase")
    with pytest.raises(ValueError, match="n_filters=0 must be at least 1"):
        FilterBankDisplay.from_estimator(fitted("vgg"), n_filters=0)
