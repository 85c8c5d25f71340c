"""Stage 1: files that were cut, by their headers; headers that leave the end open."""

import io
import struct

import numpy as np
import pytest
import soundfile

from skaudio import read_audio
from skaudio._audio.headers import check_complete, find_samples

RATE = 16000
FORMATS = {
    "wav": ("WAV", "PCM_16", "LITTLE"),
    "rifx": ("WAV", "PCM_16", "BIG"),
    "wavex": ("WAVEX", "FLOAT", "FILE"),
    "adpcm": ("WAV", "MS_ADPCM", "FILE"),
    "rf64": ("RF64", "PCM_24", "FILE"),
    "w64": ("W64", "PCM_16", "FILE"),
    "aiff": ("AIFF", "PCM_16", "FILE"),
    "aifc": ("AIFF", "FLOAT", "FILE"),
    "au": ("AU", "PCM_16", "BIG"),
    "au little": ("AU", "ULAW", "LITTLE"),
    "svx": ("SVX", "PCM_16", "FILE"),
}


def sound(kind="wav", n_samples=4000, channels=1):
    """Content of a file, and the wave in it."""
    form, subtype, endian = FORMATS[kind]
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (n_samples, channels))
    file = io.BytesIO()
    soundfile.write(file, wave, RATE, format=form, subtype=subtype, endian=endian)
    content = file.getvalue()
    return content, soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)[0].mean(1)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", FORMATS)
def test_files_cut_in_half(kind, channels, tmp_path):
    if kind == "svx" and channels == 2:
        channels = 1  # the format has no more
    content, wave = sound(kind, channels=channels)
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    np.testing.assert_array_equal(read_audio(path), wave)
    for share in (0.5, 0.1, 0.9):
        cut = content[: int(share * len(content))]
        path.write_bytes(cut)
        for item in (path, cut):
            with pytest.raises(ValueError, match=r"^is truncated: its header promises \d+ bytes"):
                read_audio(item)


@pytest.mark.parametrize("kind", ["wav", "rf64", "w64", "aiff"])
def test_chunks_around_the_samples(kind, tmp_path):
    content, wave = sound(kind)
    begin, size, _ = find_samples(io.BytesIO(content), len(content))
    tail = b"LIST" + struct.pack(">I" if kind == "aiff" else "<I", 2000) + bytes(2000)
    if kind != "w64":  # whose chunks are others
        np.testing.assert_array_equal(read_audio(content + tail), wave)
    with pytest.raises(ValueError, match="is truncated"):
        read_audio((content + tail)[: begin + size // 2])
    # a picture before the samples, longer than what is read of a file at first
    if kind in ("wav", "aiff"):
        order = ">" if kind == "aiff" else "<"
        extra = b"JUNK" + struct.pack(order + "I", 70_001) + bytes(70_002)
        long = content[:12] + extra + content[12:]
        long = long[:4] + struct.pack(order + "I", len(long) - 8) + long[8:]
        np.testing.assert_array_equal(read_audio(long), wave)
        with pytest.raises(ValueError, match="is truncated"):
            read_audio(long[: -len(wave)])


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0x7F000000])
@pytest.mark.parametrize("whole", [0, 36, 0xFFFFFFFF, 0x7FFFF024])
def test_wav_from_a_pipe(size, whole, tmp_path):
    content, wave = sound()
    if size == 0 and whole > len(content):
        whole = 0
    piped = content[:4] + struct.pack("<I", whole) + content[8:40] + struct.pack("<I", size)
    path = tmp_path / "piped.wav"
    path.write_bytes(piped + content[44:])
    for item in (path, path.read_bytes()):
        np.testing.assert_array_equal(read_audio(item), wave)
    assert path.read_bytes() == piped + content[44:]


def test_au_from_a_pipe():
    content, wave = sound("au")
    np.testing.assert_array_equal(read_audio(content[:8] + b"\xff" * 4 + content[12:]), wave)


@pytest.mark.parametrize("tail", [b"", b"LIST\x04\0\0\0abcd"])
def test_wav_without_samples_is_no_unfinished_one(tail):
    content = sound(n_samples=0)[0] + tail
    content = content[:4] + struct.pack("<I", len(content) - 8) + content[8:]
    with pytest.raises(ValueError, match="holds 0 samples"):
        read_audio(content)


def test_a_size_that_counts_the_header_is_forgiven():
    content, wave = sound()
    wrong = content[:40] + struct.pack("<I", len(content)) + content[44:]
    np.testing.assert_array_equal(read_audio(wrong), wave)


def test_rf64_longer_than_4_gb():
    content, _ = sound("rf64")
    place = content.index(b"ds64") + 16
    with pytest.raises(ValueError, match="promises 6000000000 bytes of samples, it holds 12000"):
        read_audio(content[:place] + struct.pack("<Q", 6_000_000_000) + content[place + 8 :])


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_headers_raise_nothing_else(kind):
    content, _ = sound(kind, 100)
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(
            content[: rng.integers(len(content))] if rng.random() < 0.3 else content
        )
        for place in rng.integers(0, 130, 4):
            damaged[place : place + 1] = rng.bytes(rng.integers(3))
        length = len(damaged)
        begin, promised, bits = find_samples(io.BytesIO(damaged), length)
        assert begin >= 0 <= promised < 2**bits
        try:
            check_complete(io.BytesIO(damaged), length)
        except ValueError as error:
            assert str(error).startswith("is truncated: ")


def test_chunks_without_end_are_given_up():
    content = b"RIFF\xff\xff\xff\xffWAVE" + b"JUNK\0\0\0\0" * 100_000
    reads = []

    class Counted(io.BytesIO):
        def read(self, n):
            reads.append(n)
            return super().read(n)

    assert find_samples(Counted(content), len(content)) == (len(content), 0, 32)
    assert len(reads) < 5000
