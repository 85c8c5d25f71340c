"""Stage 1: odd names, special files, formats that are not decoded, segments, limits."""

import errno
import os
import socket
import subprocess
import sys
import textwrap
import tracemalloc
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import soundfile

from skaudio import AudioFile, ClipError, MFCCTransformer, read_audio
from skaudio._engine.digest import clip_digest
from skaudio.audio import Clips

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
