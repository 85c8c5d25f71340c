"""Trainings on sounds that teach little, and when a quantizer takes part."""

import warnings
from functools import partial

import numpy as np
import pytest
import sklearn
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skaudio.datasets import make_sounds
from skaudio.networks.ema import EMAQuantizer
from skaudio.training._train import train
from tests.training.helpers import CLIPS, equal_weights, noise, small, vq


def test_a_quantizer_takes_part_once_frames_mean_something(monkeypatch):
    quantize, seen = EMAQuantizer.forward, []

    def spy(quantizer, *args, **kwargs):
        if quantizer.training:
            seen.append(task.progress)
        return quantize(quantizer, *args, **kwargs)

    def catch(found, *args, **kwargs):
        nonlocal task
        task = found
        return train(found, *args, **kwargs)

    task = None
    monkeypatch.setattr(EMAQuantizer, "forward", spy)
    monkeypatch.setattr("skaudio.training._estimator.train", catch)
    words = vq(max_epochs=10).fit(CLIPS)
    assert 0.3 <= min(seen) < 0.5 and len(seen) > 0.5 * 10 * 2
    assert words.weights_["quantizer.counts"].any()
    seen.clear()
    words.partial_fit(CLIPS)  # it knows its frames already
    assert min(seen) == 0


def test_groups_come_by_metadata_routing(monkeypatch):
    seen = []

    def spy(task, data, *args, **kwargs):
        seen.append(data.groups)
        return train(task, data, *args, **kwargs)

    monkeypatch.setattr("skaudio.training._estimator.train", spy)
    sounds = make_sounds(24, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        extractor = small(max_epochs=1).set_fit_request(groups=True)
        pipe = make_pipeline(extractor, SVC())
        pipe.fit(sounds.data, sounds.target, groups=sounds.groups)
    assert list(seen[0]) == list(sounds.groups)


@pytest.mark.parametrize(
    "make",
    [small, vq, partial(vq, "kmeans"), partial(vq, "gumbel")],
    ids=["wav2vec", "ema", "kmeans", "gumbel"],
)
@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ([np.zeros(8000, np.float32)] * 4, "all clips are silent"),
        (noise(8000), None),
        (noise(40, 60, 100), "all clips are shorter than the"),
        ([noise(8000)[0]] * 6, None),
        (noise(*[400] * 50), None),
    ],
    ids=["silent", "one clip", "shorter than the offset", "equal clips", "many of 0.1 s"],
)
def test_poor_sounds_give_features(make, clips, message):
    rate = 4000 if len(clips) == 50 else 16000
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        extractor = make(max_epochs=2, sample_rate=rate).fit(clips)
        features = extractor.transform(clips)
    assert np.isfinite(features).all() and extractor.n_epochs_ == 2
    expected = ("were padded", "nothing was learnt")  # of noise
    texts = [str(warning.message) for warning in seen]
    if message is None:
        assert all(any(part in text for part in expected) for text in texts)
    else:
        assert message in " ".join(texts)


@pytest.mark.parametrize("make", [small, vq])
def test_nan_is_an_error_or_is_left_out(make):
    clips = noise(*[8000] * 5)
    clips[2][100] = np.nan
    with pytest.raises(ValueError, match="clip 2 "):
        make(max_epochs=1).fit(clips)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        skipped = make(max_epochs=1, on_error="skip").fit(clips)
    without = make(max_epochs=1).fit(clips[:2] + clips[3:])
    assert equal_weights(skipped, without)
