"""Stage 1: every form of X, every file format, resampling and segments."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import soundfile
import soxr
import torch

from skaudio import AudioFile, MFCCTransformer, RandomCNNTransformer, audio, read_audio
from skaudio._audio import decoding

RATE = 16000


@pytest.fixture
def mfcc(clips):
    return MFCCTransformer(sample_rate=RATE, n_fft=512, hop_length=128, n_mels=20, n_mfcc=5).fit(
        clips
    )


def object_array(items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


# --- forms of X ----------------------------------------------------------------------------------

ARRAY_FORMS = {
    "list": list,
    "tuple": tuple,
    "object array": object_array,
    "lists of numbers": lambda clips: [clip.tolist() for clip in clips],
    "float32": lambda clips: [clip.astype(np.float32) for clip in clips],
    "pandas Series of arrays": lambda clips: pd.Series(clips),
}
PATH_FORMS = {
    "str": lambda paths: [*map(str, paths)],
    "Path": list,
    "tuple": tuple,
    "numpy str array": lambda paths: np.array([*map(str, paths)]),
    "object array of str": lambda paths: np.array([*map(str, paths)], dtype=object),
    "object array of Path": object_array,
    "pandas Series": lambda paths: pd.Series([*map(str, paths)], index=range(5, 5 + len(paths))),
    "AudioFile": lambda paths: [AudioFile(path) for path in paths],
    "mixed": lambda paths: [
        str(paths[0]), paths[1], read_audio(paths[2]), AudioFile(paths[3]),
        read_audio(paths[4]).tolist(), AudioFile(str(paths[5]), 0.0, 9.9),
    ],
}  # fmt: skip


@pytest.mark.parametrize("form", ARRAY_FORMS)
def test_forms_of_arrays(mfcc, clips, form):
    expected = mfcc.transform(clips)
    X = ARRAY_FORMS[form](clips)
    np.testing.assert_array_equal(mfcc.transform(X), expected)
    np.testing.assert_array_equal(mfcc.fit(X).transform(X), expected)


@pytest.mark.parametrize("form", PATH_FORMS)
def test_forms_of_paths_give_the_features_of_arrays_bit_for_bit(mfcc, audio_files, form):
    expected = mfcc.transform([read_audio(path) for path in audio_files])
    X = PATH_FORMS[form](audio_files)
    np.testing.assert_array_equal(mfcc.transform(X), expected)
    np.testing.assert_array_equal(mfcc.fit_transform(X), expected)


def test_matrix_has_a_clip_per_row(mfcc, rng):
    X = rng.standard_normal((4, 1000))
    expected = mfcc.transform([*X])
    for matrix in (X, X.tolist(), X.astype(np.float32), pd.DataFrame(X), np.asfortranarray(X)):
        np.testing.assert_array_equal(mfcc.transform(matrix), expected)
        np.testing.assert_array_equal(mfcc.fit_transform(matrix), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.longdouble, ">f4"])
def test_floats_are_taken_as_they_are(mfcc, rng, dtype):
    clip = rng.uniform(-100, 100, 1000).astype(dtype)
    expected = mfcc.transform([clip.astype(np.float32)])
    np.testing.assert_array_equal(mfcc.transform([clip]), expected)
    np.testing.assert_array_equal(mfcc.transform(clip[None]), expected)


@pytest.mark.parametrize(
    ("dtype", "silence", "full"),
    [
        (np.int8, 0, 2**7),
        (np.uint8, 2**7, 2**7),
        (np.int16, 0, 2**15),
        (">i2", 0, 2**15),
        (np.uint16, 2**15, 2**15),
        (np.int32, 0, 2**31),
        (np.uint32, 2**31, 2**31),
    ],
)
def test_integers_are_scaled_by_their_type(mfcc, rng, dtype, silence, full):
    limits = np.iinfo(dtype)
    clip = rng.integers(limits.min, limits.max, 1000, dtype=np.int64, endpoint=True)
    clip[:2] = limits.min, limits.max
    expected = ((clip - silence) / full).astype(np.float32)
    assert expected[0] == -1 and 0.99 < expected[1] <= 1
    clip = clip.astype(dtype)
    found = audio.Clips([clip, object_array(list(clip)), [*clip]], RATE)
    for wave in found:
        np.testing.assert_array_equal(wave, expected)
        assert wave.dtype == np.float32
    for X in ([clip], clip[None], pd.DataFrame(clip[None])):
        np.testing.assert_array_equal(mfcc.transform(X), mfcc.transform([expected]))


@pytest.mark.parametrize(
    ("suffix", "subtype", "dtype"),
    [("wav", "PCM_U8", "uint8"), ("aiff", "PCM_S8", "int8"), ("wav", "PCM_16", "int16"),
     ("wav", "PCM_32", "int32"), ("wav", "PCM_24", "int32")],
)  # fmt: skip
def test_integers_are_scaled_as_those_of_files(write_audio, rng, suffix, subtype, dtype):
    path = write_audio(f"a.{suffix}", rng.uniform(-1, 1, 5000), RATE, subtype=subtype)
    if dtype in ("int16", "int32"):
        samples, _ = soundfile.read(path, dtype=dtype)
    else:
        content = path.read_bytes()
        samples = np.frombuffer(content[-5000:], dtype)
    np.testing.assert_array_equal(audio.Clips([samples], RATE)[0], read_audio(path))


@pytest.mark.parametrize("kind", ["int64", "uint64", "list", "object"])
def test_integers_of_64_bits_have_no_scale(mfcc, kind):
    clip = np.array([0, 3000, 20_000])
    clip = clip.tolist() if kind == "list" else clip.astype(kind)
    with pytest.raises(ValueError, match=r"clip 1 .* holds u?int64 numbers, .*floats in \[-1, 1\]"):
        mfcc.transform([np.zeros(100), clip])


@pytest.mark.parametrize(
    "make",
    [
        np.array,
        pd.DataFrame,
        lambda X: np.array(X, dtype=object),
        lambda X: pd.DataFrame(X, dtype="Int32"),  # of numbers that may be missing
    ],
)
def test_a_matrix_of_int64_is_taken_for_16_bits_and_says_so(mfcc, rng, make):
    X = rng.integers(-(2**15), 2**15, (3, 500))
    expected = mfcc.transform(X.astype(np.int16))
    with pytest.warns(UserWarning, match="taken for 16-bit samples and divided by 32768"):
        found = mfcc.transform(make(X.tolist()))
    np.testing.assert_array_equal(found, expected)
    for value in (2**15, -(2**15) - 1):
        X[1, 7] = value
        with pytest.raises(ValueError, match="X is a matrix of int64 numbers beyond 16 bits"):
            mfcc.fit(make(X.tolist()))


def test_clips_are_not_changed(mfcc, clips):
    before = [clip.copy() for clip in clips]
    mfcc.fit(clips).transform(clips)
    for clip, copy in zip(clips, before, strict=True):
        np.testing.assert_array_equal(clip, copy)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: (p for p in [path]), "X is a generator; pass a list of clips"),
        (lambda path: {"a": path}, "X is a dict; pass a list of clips"),
        (lambda path: {path}, "X is a set; pass a list of clips"),
        (lambda path: map(str, [path]), "X is a map; pass a list of clips"),
        (lambda path: str(path), r"X is one file \(.*\); pass a list of clips"),
        (lambda path: path, r"X is one file \(.*\); pass a list of clips"),
        (lambda path: AudioFile(path), r"X is one file \(.*\); pass a list of clips"),
    ],
    ids=["generator", "dict", "set", "map", "str", "Path", "AudioFile"],
)
def test_no_list_of_clips(mfcc, audio_files, make, message):
    for method in (mfcc.transform, MFCCTransformer().fit):
        with pytest.raises(TypeError, match=message):
            method(make(audio_files[0]))


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x,
        lambda x: x.tolist(),
        lambda x: tuple(x),
        lambda x: x.astype(int),
        lambda x: x.astype(object),
        pd.Series,
        pl.Series,
        torch.from_numpy,
        lambda x: [10**400, *x[1:]],
    ],
)
def test_one_clip_is_no_list_of_clips(mfcc, make, rng):
    for method in (mfcc.transform, MFCCTransformer().fit):
        with pytest.raises(ValueError, match=r"the 50 samples of one clip.* list of one: \[X\]"):
            method(make(100 * rng.standard_normal(50)))


@pytest.mark.parametrize("X", [[], (), np.empty(0, dtype=object), np.empty((0, 10))], ids=repr)
def test_no_clip(mfcc, X):
    with pytest.raises(
        ValueError, match=r"(0 clips|0 sample\(s\)).* while a minimum of 1 is required"
    ):
        mfcc.transform(X)


# --- reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "options", "error"),
    [
        ("wav", {"subtype": "FLOAT"}, 0),
        ("wav", {"subtype": "PCM_16"}, 2**-15),
        ("wav", {"subtype": "PCM_U8"}, 2**-7),
        ("flac", {"subtype": "PCM_24"}, 2**-23),
        ("ogg", {}, None),
        ("mp3", {}, None),
    ],
)
def test_formats(write_audio, suffix, options, error):
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    found = read_audio(write_audio(f"a.{suffix}", wave, RATE, **options))
    assert found.dtype == np.float32 and found.ndim == 1
    if error is None:  # lossy, and an mp3 may begin and end with silence
        assert abs(len(found) - RATE) <= 2400
        assert np.abs(np.fft.rfft(found, RATE)).argmax() == 440
        assert found[4000:12_000].std() == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    else:
        np.testing.assert_allclose(found, wave, atol=error + 1e-7)


@pytest.mark.parametrize("channels", [2, 7])
def test_channels_are_averaged(write_audio, rng, channels):
    wave = 0.1 * rng.standard_normal((5000, channels)).astype(np.float32)
    path = write_audio("many.wav", wave, RATE, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(path), wave.astype(float).mean(1), atol=1e-7)


def test_averaging_goes_before_resampling(write_audio, rng):
    left = 0.1 * rng.standard_normal(9000).astype(np.float32)
    path = write_audio("opposed.wav", np.stack([left, -left], axis=1), 44_100, subtype="FLOAT")
    assert not read_audio(path, RATE).any()


@pytest.mark.parametrize("block", [1 << 20, 1000, 777])
@pytest.mark.parametrize("rate", [8000, 11_025, 44_100, 48_000])
def test_resampling_in_blocks_is_soxr_hq_in_one(write_audio, rng, monkeypatch, rate, block):
    monkeypatch.setattr(decoding, "_BLOCK", block)
    wave = 0.1 * rng.standard_normal(20_000).astype(np.float32)
    found = read_audio(write_audio("a.wav", wave, rate, subtype="FLOAT"), RATE)
    expected = soxr.resample(wave, rate, RATE, quality="HQ")
    assert len(found) == len(expected) and abs(len(found) - 20_000 * RATE / rate) <= 1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("block", [1000, 777])
def test_blocks_do_not_show(write_audio, rng, monkeypatch, block):
    wave = 0.1 * rng.standard_normal((5000, 3)).astype(np.float32)
    path = write_audio("a.wav", wave, RATE, subtype="FLOAT")
    whole = read_audio(path)
    monkeypatch.setattr(decoding, "_BLOCK", block)
    np.testing.assert_array_equal(read_audio(path), whole)


@pytest.mark.parametrize("rate", [8000, RATE, 44_100])
@pytest.mark.parametrize("design", ["vgg", "sample_level"])
def test_path_gives_the_features_of_the_array_read_from_it(write_audio, rng, design, rate):
    paths = [
        write_audio(f"{i}.flac", 0.1 * rng.standard_normal((n, 2)), rate)
        for i, n in enumerate([9000, 4001, 20_000])
    ]
    arrays = [read_audio(path, RATE) for path in paths]
    cnn = RandomCNNTransformer(design, n_filters=4, sample_rate=RATE, random_state=0).fit(paths)
    np.testing.assert_array_equal(cnn.transform(paths), cnn.transform(arrays))


def test_array_as_soundfile_reads_it(mfcc, audio_files):
    arrays = [soundfile.read(path, dtype="float32")[0] for path in audio_files]
    np.testing.assert_array_equal(mfcc.transform(audio_files), mfcc.transform(arrays))


# --- segments ------------------------------------------------------------------------------------


@pytest.fixture
def ramp(write_audio):
    """Two seconds at 1 kHz; each sample tells its place."""
    return write_audio("ramp.wav", np.arange(2000) / 2000, 1000, subtype="FLOAT")


@pytest.mark.parametrize(
    ("start", "stop", "first", "last"),
    [
        (None, None, 0, 2000),
        (None, 0.5, 0, 500),
        (0.5, None, 500, 2000),
        (0.25, 1.75, 250, 1750),
        (0, 2.0, 0, 2000),
        (1.5, 99.0, 1500, 2000),
        (0.1004, 0.1996, 100, 200),  # the nearest samples
        (1.0, 1.0001, 1000, 1001),  # never less than one
        (1.9999, None, 1999, 2000),
    ],
)
def test_segments(ramp, start, stop, first, last):
    found = read_audio(ramp, start=start, stop=stop)
    np.testing.assert_array_equal(np.round(found * 2000), np.arange(first, last))
    item = audio.Clips([AudioFile(ramp, start, stop)], 1000)[0]
    np.testing.assert_array_equal(item, found)


@pytest.mark.parametrize(
    ("start", "stop"), [(2.0, None), (3.0, 4.0), (-0.1, 1.0), (1.0, 1.0), (1.5, 0.5), (0, -1.0)]
)
def test_segments_outside_of_the_file(ramp, start, stop):
    with pytest.raises(ValueError, match=r"clip 0 \(.*ramp.wav.*has no segment .*lasts 2 s"):
        audio.Clips([AudioFile(ramp, start, stop)], 1000)[0]


def test_segment_is_cut_first_and_resampled_then(write_audio, rng):
    wave = 0.1 * rng.standard_normal(44_100).astype(np.float32)
    path = write_audio("a.wav", wave, 44_100, subtype="FLOAT")
    expected = soxr.resample(wave[4410:22_050], 44_100, RATE, quality="HQ")
    found = read_audio(path, RATE, start=0.1, stop=0.5)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("x/dog.wav",), "x/dog.wav"),
        ((Path("/x/dog.wav"), 1.5), "/x/dog.wav, 1.5 s to end"),
        (("dog.wav", None, 2), "dog.wav, 0 s to 2 s"),
        (("dog.wav", 1.5, np.nan), "dog.wav, 1.5 s to end"),
        (("dog.wav", None, pd.NA), "dog.wav"),
        (("dog.wav", "now", 10**400), "dog.wav, str to int"),
        (("na\u00efve.wav",), "na\u00efve.wav"),
        (("na\udcefve.wav",), r"na\udcefve.wav"),  # a name in Latin-1, as Python decodes it
        (("two\nlines\0.wav",), r"two\nlines\x00.wav"),
        ((np.zeros(3),), "ndarray"),
        ((b"RIFF",), "bytes"),
    ],
)
def test_segments_name_themselves(args, text):
    assert str(AudioFile(*args)) == text


def test_segments_are_values():
    first, second = AudioFile("a.wav", 0.0, 1.0), AudioFile("a.wav", 0.0, 1.0)
    assert first == second and len({first, second}) == 1
