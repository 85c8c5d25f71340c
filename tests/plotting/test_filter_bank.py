"""The pictures of first-layer filters."""

import librosa
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from skaudio import CNNTransformer, MFCCTransformer, PASETransformer, RandomCNNTransformer
from skaudio.plotting import FilterBankDisplay

CLIPS = [np.zeros(16000)]
START = np.array([[3000.0, 4000.0], [100.0, 200.0], [1000.0, 1500.0]])
LEARNT = np.array([[500.0, 700.0], [110.0, 190.0], [400.0, 8000.0]])


class LearnsBands(BaseEstimator):
    """Tiny stand-in for an extractor that learns its filters."""

    sample_rate = 16000

    def fit(self, X):
        self.bands_, self.initial_bands_ = LEARNT, START
        return self


class ComputesBands(BaseEstimator):
    """The same with its bands as properties of its weights."""

    sample_rate = 16000
    initial_bands_ = property(lambda self: START)
    bands_ = property(lambda self: self.weights_ * LEARNT)

    def fit(self, X):
        self.weights_ = 1.0
        return self


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


def edges(bars):
    return [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars]


@pytest.mark.parametrize("extractor", [LearnsBands, ComputesBands])
def test_learnt_bands_before_their_start(extractor, check_texts):
    display = FilterBankDisplay.from_estimator(extractor().fit(CLIPS)).plot()
    start, learnt = display.ax_.containers
    np.testing.assert_allclose(edges(learnt), LEARNT[[1, 0, 2]])  # by the learnt centres
    np.testing.assert_allclose(edges(start), START[[1, 0, 2]])  # the same filters
    for row, (behind, bar) in enumerate(zip(start, learnt, strict=True)):
        assert behind.get_y() + behind.get_height() / 2 == pytest.approx(row)
        assert bar.get_y() + bar.get_height() / 2 == pytest.approx(row)
        assert behind.get_height() > bar.get_height()
        colour = behind.get_facecolor()[:3]
        assert len({*colour}) == 1 and colour != bar.get_facecolor()[:3]  # a grey
    assert display.ax_.get_xlim() == (0, 8000) and not display.ax_.yaxis.get_inverted()
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == [
        "before training",
        "learnt",
    ]
    check_texts(display.figure_)


def test_trained_network_shows_its_filters_or_its_bands():
    y = [0, 1] * 4
    params = {"n_filters": 4, "max_epochs": 1, "batch_seconds": 1.0, "random_state": 0}
    X = [np.random.default_rng(i).standard_normal(8000) for i in range(8)]
    cnn = CNNTransformer("frame_level", **params).fit(X, y)
    (filters,) = FilterBankDisplay.from_estimator(cnn).filters
    np.testing.assert_array_equal(filters, cnn.weights_["front.0.weight"][:, 0])
    cnn = CNNTransformer("frame_level", frontend="sinc", **params)
    with pytest.raises(NotFittedError):
        FilterBankDisplay.from_estimator(cnn)
    display = FilterBankDisplay.from_estimator(cnn.fit(X, y))
    np.testing.assert_array_equal(display.filters[0], cnn.bands_)
    np.testing.assert_array_equal(display.initial, cnn.initial_bands_)


@pytest.mark.filterwarnings("ignore:nothing was learnt:UserWarning")
def test_bands_of_an_encoder_with_many_teachers(check_texts):
    X = [np.random.default_rng(i).standard_normal(8000) for i in range(4)]
    pase = PASETransformer(workers=["mfcc"], crop_seconds=0.2, max_epochs=1, random_state=0)
    with pytest.raises(NotFittedError):
        FilterBankDisplay.from_estimator(pase)
    display = FilterBankDisplay.from_estimator(pase.fit(X)).plot()
    np.testing.assert_array_equal(display.initial, pase.initial_bands_)
    np.testing.assert_array_equal(display.filters[0], pase.bands_)
    start, learnt = display.ax_.containers
    assert len(start) == len(learnt) == len(pase.bands_)
    assert edges(learnt) != edges(start)
    check_texts(display.figure_)


def test_bands_that_are_evenly_spaced_on_the_mel_scale_stand_on_a_line():
    hertz = librosa.mel_to_hz(np.linspace(50, 2500, 21), htk=True)
    bands = np.stack([hertz[:-1], hertz[1:]], axis=1)
    ax = FilterBankDisplay.from_bands(bands, rate=16000).plot().ax_
    shown = ax.transData.transform([(hertz, 0) for hertz in bands[:, 0]])[:, 0]
    np.testing.assert_allclose(np.diff(shown), np.diff(shown).mean(), rtol=1e-3)
    ends = ax.transData.inverted().transform(np.stack([shown, 0 * shown], axis=1))[:, 0]
    np.testing.assert_allclose(ends, bands[:, 0], rtol=1e-6)  # what a cursor reads
    assert ax.get_legend() is None and len(ax.containers) == 1


@pytest.mark.parametrize("n_filters", [2, 80, 512])
def test_any_number_of_bands_has_room(n_filters, check_texts):
    low = np.linspace(30, 21_000, n_filters)
    bands = np.stack([low, low + 100], axis=1)
    display = FilterBankDisplay.from_bands(bands, initial=bands, rate=44_100).plot()
    check_texts(display.figure_)
    assert 3.6 <= display.figure_.get_figheight() <= 9
    assert len(display.ax_.containers[1]) == n_filters


def test_first_bands_only():
    fitted = LearnsBands().fit(CLIPS)
    display = FilterBankDisplay.from_estimator(fitted, n_filters=2)
    np.testing.assert_array_equal(display.filters[0], LEARNT[:2])
    np.testing.assert_array_equal(display.initial, START[:2])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"bands": [100.0, 200.0]}, r"bands is of shape \(2,\); pass two edges"),
        ({"bands": np.empty((0, 2))}, r"bands is of shape \(0, 2\)"),
        ({"bands": [[1, 2], [300, 200]]}, r"bands\[1\] is \[300.0, 200.0\]; pass a lower"),
        ({"bands": [[-1, 2]]}, r"bands\[0\] is \[-1.0, 2.0\]"),
        ({"bands": [[1, np.inf]]}, r"bands\[0\] is \[1.0, inf\]"),
        ({"bands": [[np.nan, 2]]}, r"bands\[0\] is \[nan, 2.0\]"),
        ({"bands": START, "initial": START[:2]}, "initial has 2 filters and bands has 3"),
        ({"bands": START, "initial": -START}, r"initial\[0\] is \[-3000.0, -4000.0\]"),
        ({"bands": START, "rate": 0}, "rate=0 must be at least"),
    ],
)
def test_wrong_bands(params, message):
    with pytest.raises(ValueError, match=message):
        FilterBankDisplay.from_bands(**{"rate": 16000, **params})


def test_axes_of_the_user(plt):
    _, ax = plt.subplots()
    assert FilterBankDisplay.from_estimator(fitted("vgg")).plot(ax=ax).ax_ is ax
    with pytest.raises(ValueError, match="cannot hold 5 panels"):
        FilterBankDisplay.from_estimator(fitted("frame_level_many")).plot(ax=ax)


def test_wrong_input():
    with pytest.raises(TypeError, match="PCA has no filter bank to show; pass a RandomCNN"):
        FilterBankDisplay.from_estimator(PCA())
    with pytest.raises(TypeError, match="or fit an extractor that learns bands_"):
        FilterBankDisplay.from_estimator(LearnsBands())
    for unfitted in (RandomCNNTransformer(), MFCCTransformer(), ComputesBands()):
        with pytest.raises(NotFittedError):
            FilterBankDisplay.from_estimator(unfitted)
    with pytest.raises(ValueError, match="kind='phase' is unknown"):
        FilterBankDisplay.from_estimator(fitted("vgg"), kind="phase")
    with pytest.raises(ValueError, match="n_filters=0 must be at least 1"):
        FilterBankDisplay.from_estimator(fitted("vgg"), n_filters=0)
