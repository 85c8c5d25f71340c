"""Clips that cannot be used: one clear error each, or one warning. Odd ones that can."""

import contextlib
import os
import re
import warnings

import joblib
import numpy as np
import pytest
import soundfile

from skaudio import AudioFile, ClipError, MFCCTransformer, RandomCNNTransformer, read_audio

RATE = 8000
ADVICE = "; remove or repair it, or pass on_error='skip'"


def mfcc(**params):
    return MFCCTransformer(
        sample_rate=RATE, n_fft=512, hop_length=128, n_mels=20, n_mfcc=5, **params
    )


def cnn(design, **params):
    return RandomCNNTransformer(design, n_filters=4, sample_rate=RATE, random_state=0, **params)


EXTRACTORS = {
    "mfcc": mfcc,
    **{
        design: lambda design=design, **params: cnn(design, **params)
        for design in (
            "vgg", "single", "timbral_temporal", "sample_level", "frame_level", "frame_level_many"
        )
    },
}  # fmt: skip
any_extractor = pytest.mark.parametrize("make", EXTRACTORS.values(), ids=EXTRACTORS)
short_clips_are_padded = pytest.mark.filterwarnings("ignore:.* clips are shorter than:UserWarning")


@contextlib.contextmanager
def unprivileged():
    """Be somebody who may not read everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def good(rng):
    return [0.1 * rng.standard_normal(n) for n in (3000, 1500, 4000, 2000)]


# --- broken clips: what a factory leaves in a folder, its name, and what is said of it -----------


def missing(folder):
    return folder / "missing.wav"


def directory(folder):
    (folder / "songs.wav").mkdir()
    return folder / "songs.wav"


def zero_bytes(folder):
    (folder / "nothing.wav").touch()
    return folder / "nothing.wav"


def write(folder, name, wave, rate=RATE, **options):
    soundfile.write(folder / name, wave, rate, **options)
    return folder / name


def loud_noise(*shape):
    return np.random.default_rng(1).uniform(-1, 1, shape)


def truncated_flac(folder):
    path = write(folder, "cut.flac", loud_noise(40_000))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def boasting_flac(folder):
    path = write(folder, "long.flac", loud_noise(4000))
    data = bytearray(path.read_bytes())
    data[21] |= 0x0F  # the number of samples, 36 bits of STREAMINFO: 256 GB of float32
    data[22:26] = b"\xff" * 4
    path.write_bytes(data)
    return path


def text(folder):
    (folder / "poem.wav").write_text("to be or not to be\n" * 100)
    return folder / "poem.wav"


def header_only(folder):
    return write(folder, "header.wav", np.zeros(0))


def nan_in_file(folder):
    wave = loud_noise(500)
    wave[311] = np.nan
    return write(folder, "nan.wav", wave, subtype="FLOAT")


def outside(folder):
    return AudioFile(write(folder, "short.wav", loud_noise(RATE)), 2.0, 3.0)


def with_value(value):
    return lambda folder: np.array([0.0, 1.0, value, value])


BROKEN = {
    "missing": (missing, "missing.wav", "does not exist"),
    "directory": (directory, "songs.wav", "is a directory, not a sound file"),
    "zero bytes": (zero_bytes, "nothing.wav", "is an empty file"),
    "truncated flac": (truncated_flac, "cut.flac", "breaks off while decoding|is truncated"),
    "boasting flac": (boasting_flac, "long.flac", "promises 68719476735 samples|is truncated"),
    "text": (text, "poem.wav", "is not audio that can be decoded"),
    "no samples in a file": (header_only, "header.wav", "holds 0 samples"),
    "NaN in a file": (nan_in_file, "nan.wav", "holds NaN at sample 311"),
    "segment outside": (outside, "short.wav, 2 s to 3 s", "it lasts 1 s"),
    "0 samples": (lambda folder: np.empty(0), "array", "holds 0 samples"),
    "NaN": (with_value(np.nan), "array", "holds NaN at sample 2"),
    "inf": (with_value(np.inf), "array", "holds inf at sample 2"),
    "minus inf": (with_value(-np.inf), "array", "holds inf at sample 2"),
    "too large": (with_value(1e30), "array", "scale it down"),
    "too large for float32": (with_value(1e300), "array", "holds inf at sample 2"),
    "2-D": (lambda folder: loud_noise(2, 5), "array", r"has shape \(2, 5\).*average its channels"),
    "3-D": (lambda folder: loud_noise(2, 3, 5), "array", r"has shape \(2, 3, 5\), but a clip is"),
    "0-D": (lambda folder: np.array(3.0), "array", r"has shape \(\), but a clip is one"),
    "complex": (lambda folder: 1j * loud_noise(500), "array", "holds complex numbers"),
    "no path": (lambda folder: "hello world", "hello world", "strings are taken as paths"),
    "array of strings": (lambda folder: np.array(["a", "b"]), "array", "not an array of samples"),
    "uneven list": (lambda folder: [[1.0], [2.0, 3.0]], "array", "is no array of samples"),
    "None": (lambda folder: None, "array", "is None, not a clip"),
    "object": (lambda folder: object(), "array", "not an array of samples"),
}  # fmt: skip


def whole(name, folder):
    """Name of a clip in messages: the whole path of a file."""
    return f"{folder / name}" if ".wav" in name or ".flac" in name else name


@pytest.mark.parametrize("kind", BROKEN)
def test_error_names_the_clip_the_problem_and_the_way_out(kind, tmp_path, good):
    make, name, problem = BROKEN[kind]
    name = whole(name, tmp_path)
    extractor, X = mfcc().fit(good), [good[0], good[1], make(tmp_path)]
    with pytest.raises(ClipError, match=problem) as caught:
        extractor.transform(X)
    assert str(caught.value).startswith(f"clip 2 ({name}) ")
    assert str(caught.value).endswith(ADVICE)
    assert (caught.value.index, caught.value.name) == (2, name)
    with pytest.raises(ClipError, match=problem):
        mfcc().fit_transform(X)


def test_no_permission(tmp_path, good):
    path = write(tmp_path, "secret.wav", loud_noise(1000))
    path.chmod(0)
    extractor = mfcc().fit(good)
    extractor.transform([good[0]])  # imports what it needs
    with (
        unprivileged(),
        pytest.raises(
            ClipError, match=r"clip 1 \(.*/secret.wav\) cannot be read: permission denied"
        ),
    ):
        extractor.transform([good[0], path])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_error_crosses_processes(n_jobs, good):
    with (
        joblib.parallel_config(n_jobs=n_jobs),
        pytest.raises(ClipError, match=r"^clip 3 \(nowhere.wav\) does not exist.*skip'$") as caught,
    ):
        mfcc().fit(good).transform([*good[:3], "nowhere.wav"])
    assert caught.value.index == 3


@pytest.mark.parametrize("method", ["transform", "transform_frames"])
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_skip_survives_a_list_of_which_a_third_is_broken(method, n_jobs, tmp_path, good):
    good = [clip * (i + 1) for i in range(12) for clip in good][: 2 * len(BROKEN)]
    X, names = [], {}
    for i, (make, name, _) in enumerate(BROKEN.values()):
        names[len(X) + 1] = whole(name, tmp_path)
        X += [good[2 * i], make(tmp_path), good[2 * i + 1]]
    extractor = mfcc(on_error="skip", n_jobs=n_jobs).fit(X)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = getattr(extractor, method)(X)
    (message,) = [str(w.message) for w in caught if "skipped" in str(w.message)]
    head, *lines = message.splitlines()
    assert head == f"skipped {len(names)} of {len(X)} clips:"
    for line, (row, name), (_, _, problem) in zip(
        lines, names.items(), BROKEN.values(), strict=True
    ):
        assert line.strip().startswith(f"clip {row} ({name}) ")
        assert re.search(problem, line)
    usable = [i for i in range(len(X)) if i not in names]
    expected = getattr(mfcc().fit(good), method)(good)
    # batches of the same clips give the same bits; other processes make other batches
    error = 1e-5 if n_jobs else 0
    for i, row in zip(usable, expected, strict=True):
        np.testing.assert_allclose(found[i], row, rtol=0, atol=error * np.abs(row).max())
    for i in names:
        assert np.isnan(found[i]).all() and (method == "transform" or len(found[i]) == 0)


@short_clips_are_padded
@pytest.mark.parametrize("design", ["single", "sample_level"])
def test_skipped_clips_stay_out_of_the_statistics(design, tmp_path, good):
    X = [good[0], nan_in_file(tmp_path), good[1], missing(tmp_path), good[2], text(tmp_path)]
    found = cnn(design, normalize="dataset", on_error="skip").fit(X)
    expected = cnn(design, normalize="dataset").fit(good[:3])
    np.testing.assert_array_equal(found.input_mean_, expected.input_mean_)
    np.testing.assert_array_equal(found.input_scale_, expected.input_scale_)
    np.testing.assert_array_equal(found.transform(good), expected.transform(good))


def test_matrix_with_a_broken_row(good):
    X = np.array([clip[:1000] for clip in good])
    X[2, 7] = np.nan
    with pytest.raises(ClipError, match=r"clip 2 \(array\) holds NaN at sample 7"):
        mfcc().fit(X)
    with pytest.warns(UserWarning, match=r"skipped 1 of 4 clips:\n +clip 2 \(array\) holds NaN"):
        rows = mfcc(on_error="skip").fit(X).transform(X)
    assert np.isnan(rows).all(1).tolist() == [False, False, True, False]


@pytest.mark.parametrize("normalize", [None, "dataset"])
def test_nothing_usable(normalize, tmp_path):
    X = [missing(tmp_path), nan_in_file(tmp_path) if normalize else None]
    with pytest.raises(ValueError, match=r"none of the \d clips can be used; the first: clip \d "):
        cnn("single", normalize=normalize, on_error="skip").fit(X)


def test_overflowing_features_are_no_silent_inf(good):
    # the sum of squares fits into float32, the power of a coherent sum does not
    X = [good[0], 7e17 * np.sin(np.arange(1000))]
    with pytest.raises(ClipError, match=r"clip 1 \(array\) has samples so large .*scale it down"):
        mfcc().fit(X).transform(X)
    with pytest.warns(
        UserWarning, match=r"skipped 1 of 2 clips:\n +clip 1 \(array\) has samples so"
    ):
        rows = mfcc(on_error="skip").fit(X).transform(X)
    assert np.isnan(rows).all(1).tolist() == [False, True]


def test_overflowing_clips_stay_out_of_the_statistics(good):
    X = [good[0], 7e17 * np.sin(np.arange(1000))]
    with pytest.raises(ClipError, match=r"clip 1 .*scale it down"):
        cnn("single", normalize="dataset").fit(X)
    found = cnn("single", normalize="dataset", on_error="skip").fit(X)
    expected = cnn("single", normalize="dataset").fit(good[:1])
    np.testing.assert_array_equal(found.input_mean_, expected.input_mean_)


# --- valid clips ---------------------------------------------------------------------------------


def assert_finite(extractor, clip):
    rows = extractor.fit([clip]).transform([clip])
    assert rows.shape == (1, len(extractor.get_feature_names_out()))
    assert np.isfinite(rows).all()


@short_clips_are_padded
@any_extractor
@pytest.mark.parametrize("n_samples", [1, 2, 3, 100])
def test_tiny_clip(make, n_samples, good):
    assert_finite(make(), good[0][:n_samples])


@any_extractor
def test_all_zero_clip(make):
    assert_finite(make(), np.zeros(2000))


@pytest.mark.parametrize("normalize", [None, "clip", "dataset"])
@pytest.mark.parametrize("design", ["vgg", "single", "sample_level"])
def test_all_zero_clip_normalized(design, normalize):
    assert_finite(cnn(design, normalize=normalize), np.zeros(2000))


@any_extractor
def test_high_rate_and_many_channels(make, tmp_path):
    path = write(tmp_path, "hall.wav", loud_noise(192_000 // 4, 7), 192_000)
    assert read_audio(path, RATE).shape == (RATE // 4,)
    assert_finite(make(), path)


@pytest.mark.parametrize("design", [None, "vgg", "sample_level"])
def test_half_an_hour(design, tmp_path, rng):
    minute = (3000 * rng.standard_normal(60 * RATE)).astype(np.int16)
    path = tmp_path / "concert.wav"
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for _ in range(30):
            file.write(minute)
    extractor = mfcc() if design is None else cnn(design, layers=(0, 1), normalize=None)
    assert_finite(extractor, path)
