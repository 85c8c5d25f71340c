"""Stage 1: clips with a rate of their own, the content of files, tables, odd names."""

import errno
import io
import os
import socket
import subprocess
import sys
import textwrap
import tracemalloc
from unittest import mock

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
def mfcc(**params):
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


# --- files ---------------------------------------------------------------------------------------


def test_home_folder(files, monkeypatch):
    monkeypatch.setenv("HOME", str(files[0].parent))
    expected = read_audio(files[0])
    for item in (f"~/{files[0].name}", AudioFile(f"~/{files[0].name}")):
        clips = Clips([item, files[0]], RATE)
        clips.check(0)
        np.testing.assert_array_equal(clips[0], expected)
        assert clip_digest(clips, 0) == clip_digest(clips, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are text")
def test_name_that_is_no_utf8(files, mfcc, tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/na\xefve.wav")
    os.rename(files[0], name)
    np.testing.assert_array_equal(Clips([name], RATE)[0], read_audio(name))
    with open(name, "wb") as file:
        file.write(b"RIFF")
    with pytest.raises(ClipError, match=r"na\\udcefve.wav\) is not audio") as caught:
        mfcc.fit([name]).transform([name])
    str(caught.value).encode()  # it can be printed


def fifo(folder):
    os.mkfifo(folder / "pipe.wav")
    return folder / "pipe.wav", "named pipe"


def unix_socket(folder):
    here = os.getcwd()
    os.chdir(folder)  # the names of sockets are short
    with socket.socket(socket.AF_UNIX) as end:
        end.bind("s.wav")
    os.chdir(here)
    return folder / "s.wav", "socket"


@pytest.mark.skipif(os.name != "posix", reason="there are no such files")
@pytest.mark.parametrize(
    "make",
    [fifo, unix_socket, lambda folder: ("/dev/zero", "device")],
    ids=["fifo", "socket", "zero"],
)
def test_special_files_are_refused_before_they_are_opened(make, tmp_path, mfcc, rng, monkeypatch):
    path, kind = make(tmp_path)
    x = rng.standard_normal(500)
    monkeypatch.setattr("skaudio._audio.decoding._open_file", None)
    with pytest.raises(ClipError, match=f"is a {kind}, not a sound file"):
        mfcc.fit([x, path])
    mfcc.set_params(on_error="skip", memory=tmp_path / "memory").fit([x, path])
    with pytest.warns(UserWarning, match=f"clip 1 .* is a {kind}, not a sound file"):
        assert np.isnan(mfcc.transform([x, path])).any(1).tolist() == [False, True]


def test_links_to_files_are_followed(files, tmp_path):
    (tmp_path / "link.wav").symlink_to(files[0])
    np.testing.assert_array_equal(read_audio(tmp_path / "link.wav"), read_audio(files[0]))


@pytest.mark.parametrize(
    ("name", "head"),
    [("a.m4a", b"\0\0\0\x20ftypM4A "), ("a.wma", b""), ("a.AAC", b""), ("a.webm", b"")],
)
def test_other_formats_come_with_a_remedy(tmp_path, name, head):
    path = tmp_path / name
    path.write_bytes(head + b"\x1b" * 500)
    suffix = path.suffix.lower()
    with pytest.raises(ValueError, match=f"; convert it: ffmpeg -i in{suffix} out.wav"):
        read_audio(path)


@pytest.mark.parametrize(
    ("head", "suffix"),
    [
        (b"\0\0\0\x20ftypmp42", ".m4a"),
        (b"\x1a\x45\xdf\xa3", ".webm"),
        (b"\x30\x26\xb2\x75", ".wma"),
    ],
)
def test_other_formats_are_known_by_their_content(head, suffix):
    with pytest.raises(ClipError, match=f"convert it: ffmpeg -i in{suffix} out.wav"):
        Clips([head + bytes(500)], RATE)[0]


def test_samples_without_a_header(tmp_path):
    (tmp_path / "x.raw").write_bytes(bytes(1000))
    with pytest.raises(ClipError, match=r"x\.raw\) is not audio that can be decoded"):
        Clips([tmp_path / "x.raw"], RATE)[0]


@pytest.mark.parametrize(
    "stop", [None, np.nan, np.float32("nan"), pd.NA, pd.NaT, "", " ", np.inf, 99]
)
def test_a_blank_stop_is_the_end(files, stop):
    expected = read_audio(files[0], start=0.1)
    clips = Clips([AudioFile(files[0], 0.1, stop)], RATE)
    clips.check(0)
    np.testing.assert_array_equal(clips[0], expected)


@pytest.mark.parametrize(
    ("ends", "problem"),
    [
        (("0.1",), "has start='0.1', which is no number of seconds"),
        (("",), "has start='', which is no number"),
        ((np.nan,), "has start=nan, which is no number"),
        ((pd.NA,), "has start=<NA>, which is no number"),
        ((True,), "has start=True, which is no number"),
        ((1j,), "has start=1j, which is no number"),
        ((0, "0.2"), "has stop='0.2', which is no number"),
        ((0, False), "has stop=False, which is no number"),
        ((0, [0.2]), r"has stop=\[0.2\], which is no number"),
    ],
)
def test_ends_that_are_no_moments(files, ends, problem, mfcc):
    item = AudioFile(files[0], *ends)
    for method in ("__getitem__", "check"):
        with pytest.raises(ClipError, match=rf"^clip 0 \(.*16000.wav, .*\) {problem}"):
            getattr(Clips([item], RATE), method)(0)


@pytest.mark.parametrize("start", [np.inf, -np.inf, 10**400, -(10**400)])
def test_ends_beyond_all_files(files, start):
    with pytest.raises(ClipError, match=r"has no segment from -?inf s to inf s: it lasts 0.3125 s"):
        Clips([AudioFile(files[0], start)], RATE)[0]


# --- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [1, 62, 4_100_000])
def test_a_rate_far_from_the_wanted_one(write_audio, rate):
    path = write_audio("a.wav", np.zeros(20_000), rate, subtype="PCM_16")
    tracemalloc.start()
    with pytest.raises(ValueError, match=f"{rate} Hz, too far from the wanted 16000 Hz"):
        read_audio(path, RATE)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()
    assert len(read_audio(path)) == 20_000


def test_rates_that_are_not_so_far(write_audio):
    assert len(read_audio(write_audio("a.wav", np.zeros(100), 63), RATE)) == 25_397
    assert len(read_audio(write_audio("b.wav", np.zeros(51_200), 4_096_000), RATE)) == 200


def test_a_rate_that_no_sound_has(write_audio):
    with pytest.raises(ValueError, match="2000000000 Hz, which no sound has"):
        read_audio(write_audio("a.wav", np.zeros(100), 2_000_000_000))


@pytest.mark.parametrize("rate", [RATE, 8000])
def test_memory_is_flat_in_the_number_of_channels(tmp_path, rate):
    path = tmp_path / "many.wav"
    with soundfile.SoundFile(path, "w", rate, 1000, "PCM_U8") as file:
        for _ in range(20):
            file.write(np.full((1000, 1000), 0.5, np.float32))
    read_audio(path, RATE, stop=0.01)  # imports what it needs
    tracemalloc.start()
    wave = read_audio(path, RATE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(wave) == 20_000 * RATE // rate and abs(wave[5000] - 0.5) < 0.01
    assert peak < 12e6, f"{peak / 1e6:.0f} MB for a wave of {wave.nbytes / 1e6:.1f} MB"


OUT_OF_DESCRIPTORS = """
    import os, resource, threading, time
    from skaudio import read_audio
    path = {path!r}
    read_audio(path)  # imports what it needs
    spare = os.open(os.devnull, os.O_RDONLY)
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare + 8, spare + 8))
    held = []
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    begin = time.monotonic()
    try:
        read_audio(path)
    except ValueError as error:
        assert "(Too many open files)" in str(error), error
    else:
        raise AssertionError("it was opened")
    assert 1 < time.monotonic() - begin < 30
    threading.Timer(0.5, lambda: [os.close(one) for one in held]).start()
    read_audio(path)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs limits of POSIX")
def test_a_good_clip_waits_for_a_descriptor(files):
    code = textwrap.dedent(OUT_OF_DESCRIPTORS).format(path=str(files[0]))
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_failing_disk(files, monkeypatch):
    error = OSError(errno.EIO, "Input/output error")
    monkeypatch.setattr("skaudio._audio.decoding.check_complete", mock.Mock(side_effect=error))
    with pytest.raises(ClipError, match=r"cannot be opened or read \(Input/output error\)"):
        Clips(files, RATE)[0]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_all_clips_undecodable(mfcc, tmp_path, n_jobs):
    paths = [tmp_path / f"{i}.wav" for i in range(3)]
    for path in paths:
        path.write_bytes(b"RIFF" + bytes(100))
    mfcc.set_params(on_error="skip", n_jobs=n_jobs).fit(paths)
    with pytest.warns(UserWarning, match="skipped 3 of 3 clips"):
        assert np.isnan(mfcc.transform(paths)).all()
    with pytest.warns(UserWarning, match="skipped 3 of 3 clips"):
        assert [len(frames) for frames in mfcc.transform_frames(paths)] == [0, 0, 0]
