"""SincNetTransformer with published checkpoints: vectors, frames, decisions against float64."""

import numpy as np
import pytest

from tests.extractors.published_sincnet import CHUNK, HOP, load
from tests.networks.test_sincnet_network import noise
from tests.pretrained.test_sincnet_files import SETTINGS

FORMS = pytest.mark.parametrize("old", [False, True], ids=["2019", "2018"])
PAPERS = pytest.mark.parametrize("size", SETTINGS)


def swelling(n, seed=0):
    """Noise whose second third is 60 dB below the rest."""
    clip = 0.3 * noise(n, seed=seed)
    clip[n // 3 : 2 * n // 3] *= 1e-3
    return clip


# the longest, then the fewest chunks: at 17 * 160 + 800 samples, rounding makes no difference
CLIPS = [swelling(n, seed=n) for n in (6000, 4801, 3520, CHUNK + 1, CHUNK, CHUNK + HOP)]


def softmax(x):
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


# --- published checkpoints -----------------------------------------------------------------------


@FORMS
@PAPERS
def test_d_vectors_are_those_of_float64(stored, size, old):
    path, wanted = stored(size, old)
    found = load(path, size).fit(CLIPS).transform(CLIPS)
    assert found.shape == (len(CLIPS), 7) and found.dtype == np.float32
    for clip, row in zip(CLIPS, found, strict=True):
        vector, n_loud = wanted.d_vector(clip, HOP)
        np.testing.assert_allclose(row, vector, atol=2e-5)
        # quiet chunks were there, and the mean of several is shorter than each
        assert (np.linalg.norm(row) < 0.999) == (n_loud > 1)
    assert wanted.d_vector(CLIPS[0], HOP)[1] < len(wanted.chunks(CLIPS[0], HOP, "floor"))


@FORMS
@PAPERS
def test_decisions_are_those_of_float64(stored, size, old):
    path, wanted = stored(size, old)
    sincnet = load(path, size).fit(CLIPS)
    assert sincnet.classes_.tolist() == [*range(9)]
    posteriors = [wanted.log_posteriors(clip, HOP) for clip in CLIPS]
    assert sincnet.predict(CLIPS).tolist() == [p.sum(0).argmax() for p in posteriors]
    expected = [softmax(p.mean(0)) for p in posteriors]
    np.testing.assert_allclose(sincnet.predict_proba(CLIPS), expected, rtol=1e-4, atol=1e-6)


def test_chunks_of_vectors_and_of_decisions_are_counted_as_published(stored):
    """At T = L + 10 hop both have ten, a sample later the decision has eleven."""
    path, wanted = stored()
    clip = noise(CHUNK + 10 * HOP + 1)
    for n, chunks in ((len(clip) - 1, (10, 10)), (len(clip), (10, 11))):
        counts = tuple(len(wanted.chunks(clip[:n], HOP, r)) for r in ("floor", "ceil"))
        assert counts == chunks
        sincnet = load(path).fit([clip])
        (row,) = sincnet.transform([clip[:n]])
        (probabilities,) = sincnet.predict_proba([clip[:n]])
        np.testing.assert_allclose(row, wanted.d_vector(clip[:n], HOP)[0], atol=2e-5)
        log_posteriors = wanted.log_posteriors(clip[:n], HOP)
        np.testing.assert_allclose(probabilities, softmax(log_posteriors.mean(0)), rtol=1e-4)
        # one chunk more or less would show
        others = log_posteriors[:10] if len(log_posteriors) > 10 else log_posteriors[:9]
        assert np.abs(probabilities - softmax(others.mean(0))).max() > 1e-3


def test_few_loud_chunks_are_enough(stored):
    """The published script stops where fewer than ten are left."""
    path, wanted = stored()
    clip = 1e-4 * noise(6000)
    clip[2000:2100] += noise(100, seed=1)
    vector, n_loud = wanted.d_vector(clip, 400)
    assert n_loud == 2
    sincnet = load(path, hop_seconds=400 / 16000).fit([clip])
    np.testing.assert_allclose(sincnet.transform([clip])[0], vector, atol=2e-5)
    assert len(sincnet.transform_frames([clip])[0]) == 13
    everything = sincnet.set_params(heard=None).fit([clip]).transform([clip])[0]
    np.testing.assert_allclose(everything, wanted.d_vector(clip, 400, heard=0)[0], atol=2e-5)
    assert np.abs(everything - vector).max() > 1e-2


def test_a_silent_clip_has_the_vector_of_silence(stored):
    path, wanted = stored()
    clip = np.zeros(4000)
    sincnet = load(path).fit([clip])
    vector, n_chunks = wanted.d_vector(clip, HOP)
    assert n_chunks == 1
    np.testing.assert_allclose(sincnet.transform([clip])[0], vector, atol=2e-5)
    expected = softmax(wanted.log_posteriors(clip, HOP).mean(0))
    np.testing.assert_allclose(sincnet.predict_proba([clip])[0], expected, rtol=1e-4)


def test_a_clip_shorter_than_a_chunk_is_repeated(stored):
    path, wanted = stored()
    clip = noise(300)
    with pytest.warns(UserWarning, match="shorter than the 800 samples"):
        found = load(path).fit([clip]).transform([clip])
    vector, _ = wanted.d_vector(np.resize(clip, CHUNK), HOP)
    np.testing.assert_allclose(found[0], vector, atol=2e-5)


def test_levels_do_not_matter(stored):
    path, _ = stored()
    sincnet = load(path).fit(CLIPS)
    quiet = sincnet.transform([2.0**-8 * clip for clip in CLIPS])
    np.testing.assert_array_equal(quiet, sincnet.transform(CLIPS))


# --- frames --------------------------------------------------------------------------------------


def test_frames_are_the_vectors_of_all_chunks(stored):
    path, wanted = stored()
    sincnet = load(path).fit(CLIPS)
    for clip, frames in zip(CLIPS, sincnet.transform_frames(CLIPS), strict=True):
        vectors = wanted.vectors(wanted.chunks(clip, HOP, "floor"))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        # quiet chunks too, so that each frame has its time
        np.testing.assert_allclose(frames, vectors, atol=2e-5)
        times = sincnet.frame_times(len(clip))
        middles = (np.arange(len(vectors)) * HOP + (CHUNK - 1) / 2) / 16000
        np.testing.assert_allclose(times, middles, rtol=1e-12)


# --- parameters ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"sample_rate": 8000}, "sample_rate=8000, but .*model_raw.pkl was trained on sound of 16"),
        ({"size": "tiny"}, "its chunks have 800 samples"),
        ({"size": "huge"}, "size='huge' is unknown"),
        ({"first": "fourier"}, "first='fourier' is unknown"),
        ({"optimizer": "sgd"}, "optimizer='sgd' is unknown"),
        ({"norm": "batch"}, "norm='batch' is unknown"),
        ({"hop_seconds": 1e-5}, "hop_seconds=1e-05 must be at least"),
        ({"heard": 1.5}, "heard=1.5 must be between 0 and 1"),
        ({"chunk_seconds": 0}, "chunk_seconds=0 must be between"),
        ({"pretrained": "nowhere.pkl"}, "nowhere.pkl does not exist"),
    ],
    ids=str,
)
def test_parameters_that_are_not_allowed(stored, params, message):
    extractor = load(stored()[0]).set_params(**params)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        extractor.fit(CLIPS)
    assert "weights_" not in vars(extractor)
