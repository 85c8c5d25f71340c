"""What all distortions of waves have in common: any clip, any level, clear errors."""

import numpy as np
import pytest
import torch

from skaudio.augment import (
    add_noise,
    add_speech,
    chop,
    clip_peaks,
    downsample,
    drop_band,
    gain,
    reverberate,
)
from tests.augment.helpers import seeded, tones, white

ALL = [reverberate, add_noise, add_speech, clip_peaks, chop, drop_band, downsample, gain]


@pytest.mark.parametrize("n_samples", [1, 2, 3, 159, 161, 16000])
@pytest.mark.parametrize("distortion", ALL, ids=lambda f: f.__name__)
def test_clips_of_any_length_and_level_stay_finite(distortion, n_samples):
    levels = torch.tensor([0.0, 1e-42, 1e-30, 1e-3, 1.0, 1e4, 1e30, 3e37, -1e30])[:, None]
    kinds = {
        "noise": white(1, n_samples),
        "tone": tones(n_samples)[:1],
        "DC": torch.ones(1, n_samples),
        "click": torch.eye(1, n_samples),
    }
    for kind, wave in kinds.items():
        # noise of a normal distribution reaches 4, and mixtures have higher peaks than clips
        given = levels * wave / wave.abs().max().clamp(min=1.0)
        for seed in range(3):
            heard = distortion(given, seeded(seed))
            assert heard.shape == given.shape and heard.dtype == torch.float32
            assert heard.isfinite().all(), kind
            assert not heard[0].any()  # silence stays silent


@pytest.mark.parametrize(
    ("distortion", "params"),
    [
        (clip_peaks, {"factors": [0.3]}),
        (downsample, {}),
        (add_noise, {"noises": [np.arange(2000.0) % 7], "snr": [5]}),
        (reverberate, {"rooms": [np.r_[0.1, 1, -0.5]]}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_clip_alone_is_distorted_like_in_a_batch(distortion, params):
    batch = torch.tensor([[1e3], [1.0], [1e-3]]) * white(3, 2000)
    together = distortion(batch, seeded(), **params)
    for i in range(3):
        (alone,) = distortion(batch[i : i + 1], seeded(), **params)
        np.testing.assert_allclose(together[i], alone, atol=1e-6 * float(alone.abs().max()))
        assert not torch.equal(alone, batch[i])


@pytest.mark.parametrize(
    ("distortion", "params", "error", "message"),
    [
        (add_noise, {"snr": 5}, TypeError, "snr=5 must be a list of numbers"),
        (add_noise, {"snr": []}, ValueError, r"snr=\[\] is empty"),
        (add_noise, {"snr": ["5"]}, TypeError, r"snr\[0\]='5' must be a number"),
        (add_noise, {"snr": [float("nan")]}, ValueError, r"snr\[0\]=nan must be between"),
        (add_noise, {"exponent": 1.0}, TypeError, "exponent=1.0 must be a lower and an upper"),
        (add_noise, {"exponent": (2, 1)}, ValueError, r"exponent\[1\]=1 must be between 2"),
        (add_noise, {"sample_rate": 0}, ValueError, "sample_rate=0 must be at least 1"),
        (add_speech, {"snr": [1e9]}, ValueError, r"snr\[0\]=1000000000.0 must be between"),
        (reverberate, {"t60": (0, 1)}, ValueError, r"t60\[0\]=0 must be between 0.001"),
        (reverberate, {"drr": (0, 100)}, ValueError, r"drr\[1\]=100 must be between 0"),
        (clip_peaks, {"factors": [1.5]}, ValueError, r"factors\[0\]=1.5 must be between 0"),
        (chop, {"max_chops": 0}, ValueError, "max_chops=0 must be at least 1"),
        (chop, {"durations": [(1, 2, 3)]}, ValueError, "must be a mean and a deviation"),
        (chop, {"durations": 0.1}, ValueError, "durations=0.1 must be a list of means"),
        (drop_band, {"ranges": []}, ValueError, r"ranges=\[\] must be a list of ranges"),
        (drop_band, {"ranges": [(3, 2)]}, ValueError, r"ranges\[0\]\[1\]=2 must be at least 3"),
        (downsample, {"rates": [8]}, ValueError, r"rates\[0\]=8 must be at least 100"),
    ],
)  # fmt: skip
def test_bad_parameters(distortion, params, error, message):
    with pytest.raises(error, match=message):
        distortion(white(2, 100), seeded(), **params)
