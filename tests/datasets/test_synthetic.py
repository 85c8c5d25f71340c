"""The synthetic instrument sounds."""

import numpy as np
import pytest
from scipy.signal import fftconvolve
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skaudio import MFCCTransformer
from skaudio.datasets import make_sounds


@pytest.fixture(scope="module")
def sounds():
    return make_sounds(random_state=0)


def test_entries(sounds):
    assert len(sounds.data) == len(sounds.target) == len(sounds.groups) == 240
    assert sounds.sample_rate == 16000
    for clip in sounds.data:
        assert clip.dtype == np.float32 and clip.ndim == 1
        assert 0.4 * 16000 <= clip.size <= 1.0 * 16000
        assert np.isfinite(clip).all() and 0.05 < np.abs(clip).max() <= 1
    assert len({clip.size for clip in sounds.data}) > 100
    assert sounds.target_names == sorted(sounds.target_names) and len(sounds.target_names) == 8
    for name in (*sounds.target_names, "240 single notes", "16000 Hz", "10 pitches"):
        assert name in sounds.DESCR


def test_classes_and_pitches_are_balanced_and_independent(sounds):
    counts = np.zeros((8, 10), dtype=int)
    np.add.at(counts, (sounds.target, sounds.groups), 1)
    assert (counts == 3).all()


@pytest.mark.parametrize("n_samples", [16, 37, 240])
def test_splits_do_not_leak(n_samples):
    sounds = make_sounds(n_samples, random_state=1)
    tested = np.concatenate([test for _, test in sounds.splits])
    assert sorted(tested) == list(range(n_samples))
    for train, test in sounds.splits:
        assert np.intersect1d(train, test).size == 0
        assert train.size + test.size == n_samples
        assert not set(sounds.groups[train]) & set(sounds.groups[test])
        assert set(sounds.target[train]) == set(range(8))


def test_pitch_rises_with_the_group(sounds):
    """The strongest autocorrelation of the (steady) organ lies at the period of its group."""
    organ = sounds.target_names.index("organ")
    for row in np.flatnonzero(sounds.target == organ):
        clip = sounds.data[row].astype(float)
        correlation = fftconvolve(clip, clip[::-1])[clip.size - 1 :]
        shortest, longest = 16000 // 400, 16000 // 120
        period = shortest + correlation[shortest:longest].argmax()
        semitones = 12 * np.log2(16000 / period / 130.8) - 2 * sounds.groups[row]
        octave_free = (semitones + 6) % 12 - 6
        assert abs(octave_free) < 1


def test_seeds():
    first, again, other = (make_sounds(16, random_state=seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first.data, again.data, strict=True))
    assert np.array_equal(first.target, again.target)
    assert not np.array_equal(first.data[0], other.data[0])

    for seed in (np.random.RandomState, np.random.default_rng):
        first, again = (make_sounds(16, random_state=seed(5)) for _ in range(2))
        assert np.array_equal(first.data[3], again.data[3])
    state = np.random.RandomState(5)
    first, second = (make_sounds(16, random_state=state) for _ in range(2))
    assert not np.array_equal(first.data[3], second.data[3])


def test_none_leaves_the_global_generator_alone():
    np.random.seed(7)  # noqa: NPY002
    before = np.random.get_state()  # noqa: NPY002
    first, second = make_sounds(16), make_sounds(16)
    after = np.random.get_state()  # noqa: NPY002
    assert not np.array_equal(first.data[0], second.data[0])
    assert np.array_equal(before[1], after[1]) and before[2] == after[2]


def test_other_rate_and_length():
    sounds = make_sounds(
        16, sample_rate=8000, min_seconds=0.1, max_seconds=0.1, snr=(60, 60), random_state=0
    )
    assert {clip.size for clip in sounds.data} == {800}
    assert "8000 Hz" in sounds.DESCR


@pytest.mark.parametrize("sample_rate", [12000, 16000])
def test_neither_trivial_nor_hopeless(sounds, sample_rate):
    import soxr

    clips = [soxr.resample(clip, 16000, sample_rate) for clip in sounds.data]
    Z = MFCCTransformer(sample_rate=sample_rate).fit_transform(clips)
    model = make_pipeline(StandardScaler(), SVC(C=8))
    accuracy = cross_val_score(model, Z, sounds.target, cv=sounds.splits).mean()
    assert 0.5 < accuracy < 0.9


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_samples": 15}, "n_samples is 15.*at least 16"),
        ({"n_samples": 20.0}, "n_samples is 20.0"),
        ({"sample_rate": 3000}, "sample_rate is 3000.*at least 4000"),
        ({"min_seconds": 0.0}, "min_seconds is 0.0"),
        ({"min_seconds": 2.0}, "min_seconds is 2.0 and max_seconds is 1.0"),
        ({"snr": (5, 0)}, r"snr is \(5, 0\).*lowest, highest"),
        ({"snr": 5}, "snr is 5"),
        ({"random_state": "seed"}, "random_state is 'seed'.*RandomState"),
    ],
)
def test_wrong_parameters(wrong, message):
    with pytest.raises(ValueError, match=message):
        make_sounds(**wrong)
