"""The pictures of maps over time."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from skaudio import AudioFile, ClipError, MFCCTransformer, RandomCNNTransformer
from skaudio.plotting import FeatureMapDisplay


@pytest.fixture
def clip(rng):
    return (0.1 * rng.standard_normal(8000)).astype(np.float32)


def fitted(design, clip, **params):
    return RandomCNNTransformer(design, n_filters=4, random_state=0, **params).fit([clip])


@pytest.mark.parametrize("design", ["vgg", "timbral_temporal", "sample_level", "frame_level_many"])
def test_a_panel_for_each_layer(design, clip, check_texts):
    cnn = fitted(design, clip)
    display = FeatureMapDisplay.from_estimator(cnn, clip, max_channels=None).plot()
    (frames,) = cnn.transform_frames([clip])
    np.testing.assert_array_equal(np.concatenate(display.maps).T, frames)
    names = [
        f"{layer}_{channel}_mean"
        for layer, channels in zip(display.names, display.channels, strict=True)
        for channel in channels
    ]
    assert names == [*cnn.set_params(pooling="mean").get_feature_names_out()]
    assert [ax.get_title(loc="left") for ax in display.axes_] == display.names
    np.testing.assert_array_equal(display.times, cnn.frame_times(len(clip)))
    check_texts(display.figure_)


def test_frames_stand_at_their_times(clip):
    mfcc = MFCCTransformer(n_deltas=0).fit([clip])
    (image,) = FeatureMapDisplay.from_estimator(mfcc, clip).plot().images_
    begin, end, bottom, top = image.get_extent()
    step = 512 / 16000
    np.testing.assert_allclose([begin, end], [-step / 2, 15.5 * step])
    assert (bottom, top) == (-0.5, 19.5) and image.origin == "lower"


def test_layers_of_mfcc_are_named_after_their_channels(clip, check_texts):
    mfcc = MFCCTransformer().fit([clip])
    display = FeatureMapDisplay.from_estimator(mfcc, clip).plot()
    assert display.names[1] == "mfcc0_delta1 to mfcc19_delta1"
    labels = [label.get_text() for label in display.axes_[1].get_yticklabels()]
    assert labels[0] == "mfcc0_delta1" and labels[-1] == "mfcc19_delta1"
    check_texts(display.figure_)


@pytest.mark.parametrize("layer", ["pool3", 2, -3])
def test_one_layer(layer, clip, plt):
    display = FeatureMapDisplay.from_estimator(fitted("vgg", clip), clip, layer=layer)
    assert display.names == ["pool3"]
    _, ax = plt.subplots()
    assert display.plot(ax=ax).ax_ is ax and ax.get_xlabel() == "time (s)"


def test_many_channels_are_thinned_out_evenly(clip):
    cnn = fitted("vgg", clip)
    whole, few = (
        FeatureMapDisplay.from_estimator(cnn, clip, layer=0, max_channels=n) for n in (None, 5)
    )
    kept = [0, 8, 16, 23, 31]
    assert few.channels == [[whole.channels[0][c] for c in kept]]
    np.testing.assert_array_equal(few.maps[0], whole.maps[0][kept])


def test_the_clip_may_be_a_file(clip, write_audio):
    path = write_audio("clip.wav", clip, subtype="FLOAT")
    mfcc = MFCCTransformer().fit([clip])
    array, file, part = (
        FeatureMapDisplay.from_estimator(mfcc, some)
        for some in (clip, path, AudioFile(path, stop=0.25))
    )
    np.testing.assert_array_equal(file.maps[0], array.maps[0])
    assert part.maps[0].shape == (20, 8) and part.times.shape == (8,)


def test_colours_ignore_a_channel_and_a_moment_out_of_scale(rng):
    values = rng.uniform(-1, 1, (40, 500))
    values[0], values[:, 7] = -1e6, 1e6
    display = FeatureMapDisplay(
        maps=[values], names=["a"], channels=[["c"] * 40], times=np.arange(500.0), step=1.0
    )
    low, high = display.plot().images_[0].get_clim()
    assert -1 < low < -0.9 and 0.9 < high < 1


def test_rare_activity_is_seen():
    values = np.zeros((40, 500))
    values[3, 100] = 2.0
    display = FeatureMapDisplay(
        maps=[values], names=["a"], channels=[["c"] * 40], times=np.arange(500.0), step=1.0
    )
    assert display.plot().images_[0].get_clim() == (0, 2)


def test_a_single_frame_fills_the_clip():
    clip = np.ones(100)
    mfcc = MFCCTransformer(n_deltas=0).fit([clip])
    display = FeatureMapDisplay.from_estimator(mfcc, clip).plot()
    assert display.maps[0].shape == (20, 1) and display.step == 100 / 16000
    begin, end, *_ = display.images_[0].get_extent()
    assert end - begin == pytest.approx(100 / 16000)


def test_wrong_input(clip, plt):
    mfcc = MFCCTransformer().fit([clip])
    with pytest.raises(TypeError, match="PCA is no BaseAudioTransformer"):
        FeatureMapDisplay.from_estimator(PCA(), clip)
    with pytest.raises(NotFittedError):
        FeatureMapDisplay.from_estimator(MFCCTransformer(), clip)
    with pytest.raises(ClipError, match=r"no\.wav.*does not exist"):
        FeatureMapDisplay.from_estimator(mfcc, "no.wav")
    with pytest.raises(ValueError, match="max_channels=0 must be at least 1"):
        FeatureMapDisplay.from_estimator(mfcc, clip, max_channels=0)
    for layer in ("pool9", 3, 1.5):
        with pytest.raises(ValueError, match=r"is unknown; use one of \['mfcc0 to mfcc19'"):
            FeatureMapDisplay.from_estimator(mfcc, clip, layer=layer)
    with pytest.raises(ValueError, match="cannot hold 3 panels"):
        FeatureMapDisplay.from_estimator(mfcc, clip).plot(ax=plt.subplots()[1])
