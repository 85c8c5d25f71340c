"""Stage 1: clips with a rate of their own, the content of files, tables; what is no clip."""

import io
import os
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
import soundfile
import torch

from skaudio import AudioFile, ClipError, FeatureCache, MFCCTransformer, read_audio
from skaudio._engine.digest import clip_digest
from skaudio.audio import Clips, clip_items

RATE = 16000


@pytest.fixture
def mfcc():
    return MFCCTransformer(sample_rate=RATE, n_fft=512, hop_length=128, n_mels=20, n_mfcc=5)


@pytest.fixture
def files(write_audio, rng):
    """Two 16-bit files, one of which is at another rate."""
    return [
        write_audio(f"{rate}.wav", 0.1 * rng.standard_normal(5000), rate, subtype="PCM_16")
        for rate in (RATE, 44_100)
    ]


def arrays(paths, dtype="float32"):
    return [soundfile.read(path, dtype=dtype) for path in paths]


def contents(paths):
    return [path.read_bytes() for path in paths]


def texts(paths):
    return [*map(str, paths)]


def objects(items):
    column = np.empty((len(items), 1), dtype=object)
    column[:, 0] = items
    return column


FORMS = {
    "(samples, rate)": arrays,
    "(rate, samples)": lambda paths: [pair[::-1] for pair in arrays(paths)],
    "(rate, int16)": lambda paths: [(np.int64(r), x) for x, r in arrays(paths, "int16")],
    "(list, rate)": lambda paths: [(x.tolist(), float(r)) for x, r in arrays(paths)],
    "(tensor, rate)": lambda paths: [(torch.from_numpy(x), r) for x, r in arrays(paths)],
    "dict of an array": lambda paths: [
        {"path": "gone.wav", "array": x, "sampling_rate": r} for x, r in arrays(paths)
    ],
    "dict of bytes": lambda paths: [{"bytes": b, "path": "gone.wav"} for b in contents(paths)],
    "dict of a path": lambda paths: [{"bytes": None, "path": p} for p in texts(paths)],
    "bytes": contents,
    "bytearray": lambda paths: [*map(bytearray, contents(paths))],
    "BytesIO": lambda paths: [*map(io.BytesIO, contents(paths))],
    "string array": lambda paths: np.array(texts(paths), dtype=np.dtypes.StringDType()),
    "column of str": lambda paths: np.array(texts(paths))[:, None],
    "column of objects": lambda paths: objects([paths[0], AudioFile(paths[1])]),
    "column of bytes": lambda paths: objects(contents(paths)),
    "data frame": lambda paths: pd.DataFrame({"path": texts(paths)}),
    "data frame of objects": lambda paths: pd.DataFrame({"path": paths}),
    "data frame of bytes": lambda paths: pd.DataFrame({"audio": contents(paths)}),
    "series of categories": lambda paths: pd.Series(texts(paths), dtype="category"),
    "polars series": lambda paths: pl.Series(texts(paths)),
    "polars series of lists": lambda paths: pl.Series([read_audio(path, RATE) for path in paths]),
    "polars series of bytes": lambda paths: pl.Series(contents(paths)),
    "polars frame": lambda paths: pl.DataFrame({"path": texts(paths)}),
    "polars frame of structs": lambda paths: pl.DataFrame(
        {"audio": [{"bytes": b, "path": "gone.wav"} for b in contents(paths)]}
    ),
    "mixed": lambda paths: (contents(paths)[0], arrays(paths)[1]),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_give_the_features_of_files_bit_for_bit(mfcc, files, form):
    X = FORMS[form](files)
    expected = mfcc.fit(files).transform(files)
    np.testing.assert_array_equal(mfcc.transform(X), expected)
    np.testing.assert_array_equal(mfcc.fit_transform(X), expected)
    assert not hasattr(mfcc, "n_features_in_")


@pytest.mark.parametrize("form", FORMS)
def test_forms_with_memory_and_processes(mfcc, files, form, tmp_path):
    expected = mfcc.fit(files).transform(files)
    mfcc.set_params(memory=tmp_path / "memory", n_jobs=2)
    for _ in range(2):
        np.testing.assert_array_equal(mfcc.transform(FORMS[form](files)), expected)
    assert len(FeatureCache(tmp_path / "memory")) == 2


def test_the_content_of_a_file_has_the_digest_of_the_file(files):
    clips = Clips([files[1], contents(files)[1], {"bytes": contents(files)[1]}], RATE)
    assert len({clip_digest(clips, i) for i in range(3)}) == 1


def test_a_segment_has_one_digest_however_it_is_written(files):
    ends = [(0, 0.25), (0.0, np.float32(0.25)), (None, 0.25)]
    clips = Clips([AudioFile(files[0], *end) for end in ends], RATE)
    assert len({clip_digest(clips, i) for i in range(3)}) == 1
    whole = Clips([files[0], AudioFile(files[0], 0, np.nan)], RATE)
    assert clip_digest(whole, 0) == clip_digest(whole, 1) != clip_digest(clips, 0)


def test_a_long_array_is_resampled_in_the_blocks_of_a_file(write_audio, rng, monkeypatch):
    monkeypatch.setattr("skaudio._audio.decoding._BLOCK", 777)
    wave = rng.uniform(-1, 1, 5000).astype(np.float32)
    path = write_audio("a.wav", wave, 8000, subtype="FLOAT")
    np.testing.assert_array_equal(Clips([(wave, 8000)], RATE)[0], read_audio(path, RATE))


def test_arrays_at_the_rate_of_the_extractor_are_not_copied(rng):
    wave = rng.standard_normal(1000).astype(np.float32)
    for item in (wave, (wave, RATE), {"array": wave, "sampling_rate": RATE}):
        assert np.shares_memory(Clips([item], RATE)[0], wave)
    assert len(Clips([(wave, 8000)], None)[0]) == 1000


def test_bytes_io_is_read_whole_and_left_alone(files):
    item = io.BytesIO(contents(files)[0])
    item.seek(700)
    np.testing.assert_array_equal(Clips([item], RATE)[0], read_audio(files[0]))
    assert item.tell() == 700


def test_two_samples_are_no_pair():
    np.testing.assert_array_equal(Clips([(0.25, 0.5)], RATE)[0], np.float32([0.25, 0.5]))


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda x: (x[None], RATE), r"has shape \(1, 100\).*average its channels first"),
        (lambda x: {"array": x[:, None], "sampling_rate": RATE}, "average its channels first"),
        (lambda x: (x, 0), "has a sample rate of 0 Hz, which must be whole and above 0"),
        (lambda x: (x, True), "has a sample rate of True Hz"),
        (lambda x: (x, 22050.5), "has a sample rate of 22050.5 Hz"),
        (lambda x: (x, np.nan), "has a float for a sample rate"),
        (lambda x: (x, 10**400), "has a sample rate of 1000"),
        (lambda x: (x, 10), "too far from the wanted 16000 Hz .*correct the one that is wrong"),
        (lambda x: (x, 5_000_000), "too far from the wanted 16000 Hz"),
        (lambda x: (x, 50_000_000), "sample rate of 50000000 Hz, which no sound has"),
        (lambda x: (np.full(100, np.nan), RATE), "holds NaN at sample 0"),
        (lambda x: {"array": x}, "without its 'sampling_rate'"),
        (lambda x: {"bytes": None, "path": None}, "has neither"),
        (lambda x: {"path": {}}, "has neither"),
        (lambda x: b"", "is not audio that can be decoded"),
        (lambda x: b"dog.wav", "bytes are taken for the content of a sound file, not for its path"),
        (lambda x: memoryview(b"RIFF"), r"is a memoryview; pass bytes\(clip\)"),
        (lambda x: 10**400, "is a single number, not a clip"),
        (lambda x: np.nan, "is a single number, not a clip"),
        (lambda x: [10**400, 1], "not an array of samples"),
        (lambda x: np.array(["1", "2"]), "of dtype <U1, not an array of samples"),
        (lambda x: ["1", "2"], "is a list of dtype <U1, not an array of samples"),
        (lambda x: np.array(["1", 2], object), "not an array of samples"),
        (lambda x: x.astype("M8[s]"), r"of dtype datetime64\[s\], not an array"),
        (lambda x: x.astype("m8[ms]"), r"of dtype timedelta64\[ms\], not an array"),
        (lambda x: x > 0, r"holds truth values, not samples; a mask selects samples: clip\[mask\]"),
        (lambda x: np.ma.masked_less(x, 0.5), "has 50 masked samples; fill them"),
        (lambda x: Raises(), r"is no array of samples \('broken'\)"),
        (lambda x: AudioFile(x), "has a ndarray where its path should be"),
        (lambda x: AudioFile(b"dog.wav"), "has a bytes where its path should be"),
        (lambda x: PathRaises(), r"is no path \('broken'\)"),
        (lambda x: "a\0b.wav", "has a name that no file can have"),
        (lambda x: "\ud800.wav", "has a name that no file can have"),
        (lambda x: "~nobody\0/a.wav", "has a name that no file can have"),
        (lambda x: "~/no such file.wav", "does not exist"),
    ],
)
def test_what_is_no_clip_is_named_or_skipped(mfcc, rng, make, problem, tmp_path):
    x = np.linspace(0, 1, 100)
    X = [make(x), x, x[:50]]
    mfcc.fit([x])
    for method in (mfcc.transform, MFCCTransformer(sample_rate=RATE).fit_transform):
        with pytest.raises(
            ClipError, match=rf"^clip 0 \(.*\) .*{problem}.*or pass on_error='skip'$"
        ):
            method(X)
    expected = mfcc.transform(X[1:])
    mfcc.set_params(on_error="skip", batch_size=1e-3)
    for memory in (None, tmp_path):
        mfcc.set_params(memory=memory)
        with pytest.warns(UserWarning, match=r"skipped 1 of 3 clips:\n  clip 0 "):
            found = mfcc.fit(X).transform(X)
        assert np.isnan(found[0]).all()
        np.testing.assert_array_equal(found[1:], expected)


class Raises:
    def __array__(self, *args, **kwargs):
        raise KeyError("broken")


class PathRaises(os.PathLike):
    def __fspath__(self):
        raise KeyError("broken")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda files: contents(files)[0], TypeError, r"bytes of one file; .* list of one: \[X\]"),
        (lambda files: io.BytesIO(), TypeError, "the bytes of one file; one clip is a list"),
        (lambda files: arrays(files)[0], TypeError, "one array and its sample rate; one clip is"),
        (lambda files: {"path": files[0]}, TypeError, r"X is a dict; pass .* for instance \[X\]"),
        (
            lambda files: pd.DataFrame({"path": texts(files), "label": ["cat", "dog"]}),
            ValueError,
            "pass the column of the paths alone",
        ),
    ],
)
def test_one_clip_is_no_list_of_clips(mfcc, files, make, error, message):
    with pytest.raises(error, match=message):
        mfcc.fit(make(files))


@pytest.mark.parametrize(
    "make",
    [
        lambda X: np.ma.masked_less(X, 0.5),
        lambda X: X > 0.5,
        lambda X: X.astype("m8[s]"),
        lambda X: X.astype(str).astype(object),
        lambda X: pd.DataFrame(X.astype(str)),
    ],
)
def test_matrix_whose_rows_are_no_clips(mfcc, make):
    with pytest.raises(ClipError, match=r"masked|truth values|not an array of samples"):
        mfcc.fit(make(np.linspace(0, 1, 200).reshape(2, 100)))


def test_matrix_without_a_masked_sample_is_sound(mfcc, rng):
    X = rng.standard_normal((2, 500))
    np.testing.assert_array_equal(mfcc.fit_transform(np.ma.array(X)), mfcc.fit_transform(X))


@pytest.mark.parametrize("form", [form for form in FORMS if "frame" in form or "series" in form])
def test_tables_need_no_import(files, form, monkeypatch):
    X = FORMS[form](files)
    for name in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, name, None)  # to import it is an error
    waves = [*Clips(clip_items(X), RATE)]
    monkeypatch.undo()
    for wave, path in zip(waves, files, strict=True):
        np.testing.assert_array_equal(wave, read_audio(path, RATE))
