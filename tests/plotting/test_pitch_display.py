"""The picture of a pitch."""

import numpy as np
import pytest
import torch

from skaudio import ClipError
from skaudio.frontends import Pitch
from skaudio.plotting import PitchDisplay

RATE = 16000


@pytest.fixture
def clip():
    """A gliding voice of three harmonics between two pauses."""
    f0 = np.geomspace(150, 300, RATE)
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    voice = sum(np.cos(k * phase) for k in (1, 2, 3))
    voice[:3000] = voice[12_000:] = 0
    return (0.1 * voice).astype(np.float32)


def test_line_is_the_pitch_with_gaps(clip, check_texts):
    display = PitchDisplay.from_clip(clip, RATE).plot()
    x, _ = Pitch(RATE, 160)(torch.from_numpy(clip)[None], torch.tensor([RATE]))
    np.testing.assert_array_equal([display.f0, display.periodicity], x[0].numpy())
    times, drawn = display.line_.get_data()
    np.testing.assert_allclose(times, np.arange(101) / 100)
    np.testing.assert_array_equal(np.isnan(drawn), display.f0 == 0)
    assert 50 <= np.isfinite(drawn).sum() <= 60
    np.testing.assert_allclose(drawn[50], 150 * 2**0.5, rtol=1e-3)
    check_texts(display.figure_)


def test_spectrogram_has_its_ridges_at_the_harmonics(clip):
    display = PitchDisplay.from_clip(clip, RATE).plot()
    low, high = display.image_.get_clim()
    assert high == display.decibels.max() and high - low == 60
    left, right, bottom, top = display.image_.get_extent()
    assert (left, right) == pytest.approx((-0.005, 1.005))
    n_bins, n_frames = display.decibels.shape
    assert n_frames == 101 and top - bottom == pytest.approx(n_bins * display.bin_width)
    assert top > 3000
    for frame in (30, 50, 65):
        column = display.decibels[:, frame]
        for k in (1, 2, 3):
            at = k * display.f0[frame] / display.bin_width
            near = slice(round(at - 6), round(at + 7))
            assert abs(near.start + column[near].argmax() - at) < 1.5


def test_hop_range_and_file(clip, write_audio):
    path = write_audio("clip.wav", clip, subtype="FLOAT")
    display = PitchDisplay.from_clip(path, hop_seconds=0.02, fmin=100, fmax=200)
    assert display.step == 0.02 and display.f0.shape == (51,) and display.f0.max() <= 200
    assert len(display.decibels) * display.bin_width == pytest.approx(1200, abs=11)
    array = PitchDisplay.from_clip(clip, hop_seconds=0.02, fmin=100, fmax=200)
    np.testing.assert_array_equal(array.f0, display.f0)


@pytest.mark.parametrize("n_samples", [1, 100, 400])
def test_short_and_silent_clips(n_samples, check_texts):
    display = PitchDisplay.from_clip(np.zeros(n_samples)).plot()
    assert not display.f0.any() and np.isnan(display.line_.get_ydata()).all()
    assert np.isfinite(display.decibels).all()
    check_texts(display.figure_)


def test_axes_of_the_user(clip, plt):
    _, ax = plt.subplots()
    display = PitchDisplay.from_clip(clip).plot(ax=ax)
    assert display.ax_ is ax and display.figure_ is ax.figure
    assert ax.get_xlabel() == "time (s)"


def test_wrong_input(clip):
    with pytest.raises(ClipError, match=r"no\.wav.*does not exist"):
        PitchDisplay.from_clip("no.wav")
    with pytest.raises(ValueError, match="hop_seconds=0 must be at least"):
        PitchDisplay.from_clip(clip, hop_seconds=0)
    with pytest.raises(ValueError, match="fmin=300 and fmax=200 must be in order"):
        PitchDisplay.from_clip(clip, fmin=300, fmax=200)
