"""MFCCTransformer against the installed librosa."""

import librosa
import numpy as np
import pytest
import scipy

from skaudio import MFCCTransformer, read_audio
from tests.by_hand import noise

pytestmark = pytest.mark.filterwarnings("ignore:n_fft=:UserWarning")  # librosa's

SETS = ["emodb_2s", "emotify_genres", "esc10", "folk_rhythm_rendered", "fsd_instruments10", "fsdd"]


def some_paths(folder, n=8):
    paths = sorted(p for p in folder.rglob("*") if p.suffix in {".wav", ".ogg", ".flac"})
    assert len(paths) >= n
    return [paths[i] for i in np.linspace(0, len(paths) - 1, n).astype(int)]


def expected_frames(wave, sample_rate, top_db=80.0, n_deltas=2, **params):
    """The coefficients and their plain differences, each (T - k, n_mfcc), float64."""
    power = librosa.feature.melspectrogram(y=wave, sr=sample_rate, **params)
    decibels = librosa.power_to_db(power, top_db=top_db)
    m = librosa.feature.mfcc(S=decibels, n_mfcc=20).T.astype(float)
    return [np.diff(m, n=k, axis=0) for k in range(n_deltas + 1)]


def expected_vector(parts):
    return np.concatenate([stat for part in parts for stat in (part.mean(0), part.std(0))])


def aligned(parts):
    """Differences side by side, the missing last rows repeating the last one."""
    n = len(parts[0])
    return np.hstack([np.pad(part, ((0, n - len(part)), (0, 0)), mode="edge") for part in parts])


@pytest.mark.parametrize("sample_rate", [16000, 12000])
@pytest.mark.parametrize("name", SETS)
def test_equals_librosa_on_real_clips(data_dir, name, sample_rate):
    paths = some_paths(data_dir / name)
    mfcc = MFCCTransformer(sample_rate=sample_rate).fit(paths)
    vectors, frames = mfcc.transform(paths), mfcc.transform_frames(paths)
    for path, vector, matrix in zip(paths, vectors, frames, strict=True):
        wave = read_audio(path, sample_rate)
        parts = expected_frames(wave, sample_rate)
        defaults = librosa.feature.mfcc(y=wave, sr=sample_rate).T
        assert matrix.shape == (len(defaults), 60) and vector.shape == (120,)
        np.testing.assert_allclose(matrix[:, :20], defaults, rtol=0, atol=1e-3)
        # librosa has no plain differences: they are those of the coefficients before them
        own = [np.diff(matrix[:, :20].astype(float), n=k, axis=0) for k in range(3)]
        np.testing.assert_allclose(matrix, aligned(own), rtol=0, atol=1e-4)
        np.testing.assert_allclose(vector, expected_vector(parts), rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", SETS)
def test_without_floor_on_real_clips(data_dir, name):
    paths = some_paths(data_dir / name)
    mfcc = MFCCTransformer(top_db=None).fit(paths)
    for path, vector in zip(paths, mfcc.transform(paths), strict=True):
        parts = expected_frames(read_audio(path, 16000), 16000, top_db=None)
        np.testing.assert_allclose(vector, expected_vector(parts), rtol=0, atol=5e-2)


def test_paper_vector_and_its_order():
    clips = noise(350_000, 30_000)
    mfcc = MFCCTransformer(sample_rate=12000).fit(clips)
    assert [len(frames) for frames in mfcc.transform_frames(clips)] == [684, 59]
    for clip, vector in zip(clips, mfcc.transform(clips), strict=True):
        m, d1, d2 = expected_frames(clip, 12000)
        stats = m.mean(0), m.std(0), d1.mean(0), d1.std(0), d2.mean(0), d2.std(0)
        np.testing.assert_allclose(vector, np.concatenate(stats), rtol=0, atol=1e-3)


def test_2048_samples_are_5_frames():
    (frames,) = MFCCTransformer(sample_rate=12000).fit(noise(2048)).transform_frames(noise(2048))
    assert frames.shape == (5, 60)


def test_names():
    names = MFCCTransformer().fit(noise(4000)).get_feature_names_out()
    expected = [
        f"mfcc{i}{delta}_{stat}"
        for delta in ("", "_delta1", "_delta2")
        for stat in ("mean", "std")
        for i in range(20)
    ]
    assert names.tolist() == expected


@pytest.mark.parametrize(
    "params",
    [
        {"n_fft": 512, "hop_length": 160, "n_mels": 40},
        {"fmin": 100.0, "fmax": 5000.0},
        {"top_db": 30.0},
        {"n_deltas": 0},
        {"n_deltas": 3},
    ],
    ids=str,
)
def test_parameters_mean_what_they_mean_in_librosa(params):
    clips = noise(12_345, 5_000)
    mfcc = MFCCTransformer(**params).fit(clips)
    for clip, vector in zip(clips, mfcc.transform(clips), strict=True):
        expected = expected_vector(expected_frames(clip, 16000, **params))
        np.testing.assert_allclose(vector, expected, rtol=0, atol=1e-3)


def test_n_mfcc_keeps_the_first():
    clips = noise(12_345)
    few = MFCCTransformer(n_mfcc=13, n_deltas=0).fit(clips).transform_frames(clips)[0]
    more = MFCCTransformer(n_mfcc=20, n_deltas=0).fit(clips).transform_frames(clips)[0]
    np.testing.assert_allclose(few, more[:, :13], atol=1e-4)


@pytest.mark.parametrize("n_samples", [20_000, 8 * 512])
def test_savgol_is_the_delta_of_librosa(n_samples):
    clips = noise(n_samples, 30_000)
    mfcc = MFCCTransformer(delta="savgol").fit(clips)
    frames, vectors = mfcc.transform_frames(clips), mfcc.transform(clips)
    for clip, matrix, vector in zip(clips, frames, vectors, strict=True):
        m = librosa.feature.mfcc(y=clip, sr=16000)
        parts = [m.T, librosa.feature.delta(m).T, librosa.feature.delta(m, order=2).T]
        np.testing.assert_allclose(matrix, np.hstack(parts), rtol=0, atol=1e-3)
        np.testing.assert_allclose(vector, expected_vector(parts), rtol=0, atol=1e-3)


def test_differences_are_left_aligned_and_repeat_their_last_row():
    clips = noise(5 * 512)
    (frames,) = MFCCTransformer().fit(clips).transform_frames(clips)
    m, d1, d2 = frames[:, :20], frames[:, 20:40], frames[:, 40:]
    np.testing.assert_allclose(d1[:5], m[1:] - m[:-1], atol=1e-4)
    np.testing.assert_allclose(d2[:4], d1[1:5] - d1[:4], atol=1e-4)
    np.testing.assert_array_equal(d1[5], d1[4])
    np.testing.assert_array_equal(d2[4:], d2[[3, 3]])


@pytest.mark.parametrize("n_samples", [1, 300, 511])
def test_clip_of_one_frame_has_no_differences(n_samples):
    clips = noise(n_samples)
    mfcc = MFCCTransformer().fit(clips)
    (frames,), (vector,) = mfcc.transform_frames(clips), mfcc.transform(clips)
    assert frames.shape == (1, 60)
    assert not frames[:, 20:].any() and not vector[20:].any()
    np.testing.assert_allclose(vector[:20], frames[0, :20], atol=1e-5)


def test_clip_of_two_frames_has_one_difference():
    clips = noise(600)
    mfcc = MFCCTransformer().fit(clips)
    (frames,), (vector,) = mfcc.transform_frames(clips), mfcc.transform(clips)
    difference = frames[1, :20] - frames[0, :20]
    assert np.abs(difference).max() > 1
    np.testing.assert_allclose(frames[:, 20:40], [difference] * 2, atol=1e-4)
    assert not frames[:, 40:].any()
    # pooled over the one difference there is, not over its repetition; no deviation
    np.testing.assert_allclose(vector[40:60], difference, atol=1e-4)
    assert not vector[60:].any()


def test_order_in_time_is_a_cosine_transform_of_the_frames():
    clips = noise(9000, 3000)
    mfcc = MFCCTransformer(n_mfcc=4, pooling="dct8").fit(clips)
    names = [*mfcc.get_feature_names_out()]
    assert names[:4] == [f"mfcc{i}_dct0" for i in range(4)]
    for row, clip in zip(mfcc.transform(clips), clips, strict=True):
        wave = librosa.feature.mfcc(y=clip, sr=16000, n_mfcc=4)
        expected = scipy.fft.dct(wave, norm="ortho") / np.sqrt(wave.shape[1])
        for k in range(8):  # the shorter clip has six frames
            value = expected[3, k] if k < wave.shape[1] else 0.0
            assert row[names.index(f"mfcc3_dct{k}")] == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize("n_samples", [1, 2, 100, 1023, 2047])
def test_clip_shorter_than_the_window_is_centred_in_zeros(n_samples):
    clips = noise(n_samples)
    (frames,) = MFCCTransformer(n_deltas=0).fit(clips).transform_frames(clips)
    assert len(frames) == 1 + n_samples // 512
    np.testing.assert_allclose(
        frames, librosa.feature.mfcc(y=clips[0], sr=16000).T, rtol=0, atol=1e-3
    )


def test_loud_neighbour_does_not_raise_the_floor():
    quiet, loud = noise(8000, 8000)
    quiet[:4000] *= np.float32(1e-4)
    mfcc = MFCCTransformer().fit([quiet])
    beside, alone = mfcc.transform([1e4 * loud, quiet, 1e4 * loud])[1], mfcc.transform([quiet])[0]
    np.testing.assert_allclose(beside, alone, rtol=0, atol=1e-5 * np.abs(alone).max())


@pytest.mark.parametrize("n_samples", [1, 511, 512, 16_000])
def test_frame_times(n_samples):
    clips = noise(n_samples)
    mfcc = MFCCTransformer(sample_rate=16000, hop_length=512).fit(clips)
    times = mfcc.frame_times(n_samples)
    assert times.dtype == np.float64
    np.testing.assert_allclose(
        times, librosa.times_like(mfcc.transform_frames(clips)[0].T, sr=16000)
    )


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"n_mfcc": 0}, ValueError),
        ({"n_mfcc": 129}, ValueError),
        ({"n_fft": 0}, ValueError),
        ({"hop_length": 0}, ValueError),
        ({"hop_length": 1.5}, TypeError),
        ({"n_mels": None}, TypeError),
        ({"fmin": -1.0}, ValueError),
        ({"fmax": 8001.0}, ValueError),
        ({"fmin": 500.0, "fmax": 400.0}, ValueError),
        ({"top_db": -1.0}, ValueError),
        ({"n_deltas": -1}, ValueError),
        ({"delta": "plain"}, ValueError),
        ({"pooling": "median"}, ValueError),
        ({"sample_rate": 0}, ValueError),
    ],
    ids=str,
)
def test_bad_parameters_are_named(params, error):
    with pytest.raises(error, match=f"{[*params][-1]}="):
        MFCCTransformer(**params).fit(noise(1000))
