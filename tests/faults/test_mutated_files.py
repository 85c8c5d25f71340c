"""Sound files with bytes changed, cut out or put in: a wave, or one clear error."""

import io
import os
import re
import resource
import sys

import numpy as np
import pytest
import soundfile

from skaudio.audio import ClipError, Clips

RATE = 16000
SEEDS = [
    ("wav", "PCM_16", 1), ("wav", "FLOAT", 2), ("wav", "MS_ADPCM", 1), ("aiff", "PCM_24", 1),
    ("au", "ULAW", 1), ("w64", "PCM_16", 2), ("rf64", "PCM_16", 1), ("flac", "PCM_16", 2),
    ("ogg", "VORBIS", 1), ("ogg", "OPUS", 1), ("mp3", "MPEG_LAYER_III", 1),
]  # fmt: skip
FORM = r"clip 7 \(.+\) [a-z].+; remove or repair it, or pass on_error='skip'"
NUMBERS = [
    b"\0" * 4,
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x80\0\0\0",
    b"\1\0\0\0",
]
MEGABYTES = 100  # that the process may grow by, for files of a few kilobytes


@pytest.fixture
def many():
    """Number of mutants."""
    return 16_000 if os.environ.get("SKAUDIO_SOAK") else 200


def seeds():
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 3000)
    for form, subtype, channels in SEEDS:
        file = io.BytesIO()
        samples = np.stack([wave] * channels, axis=1)
        soundfile.write(file, samples, RATE, format=form, subtype=subtype)
        yield file.getvalue()


def mutant(content, rng):
    """The content with up to six changes, most of them in the header."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 7)):
        place = rng.integers(min(len(content), 100) if rng.random() < 0.8 else len(content))
        match rng.integers(6):
            case 0:
                content[place] ^= 1 << rng.integers(8)
            case 1:
                content[place : place + 4] = NUMBERS[rng.integers(len(NUMBERS))]
            case 2:
                content[place : place + 4] = rng.bytes(4)
            case 3:
                del content[place : place + rng.integers(1, 16)]
            case 4:
                content[place:place] = rng.bytes(rng.integers(1, 16))
            case 5:
                del content[rng.integers(len(content)) :]
        if not content:
            break
    return bytes(content)


def megabytes():
    """Most memory that this process ever had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def outcome(clips):
    """The wave, or the error if it is of the form that all have."""
    try:
        wave = clips[0]
    except ClipError as error:
        assert re.fullmatch(FORM, str(error)), str(error)
        assert error.index == 7
        return None
    assert wave.dtype == np.float32 and wave.ndim == 1 and len(wave)
    assert np.isfinite(wave).all()
    return wave


def test_mutants_give_a_wave_or_a_clip_error(many, tmp_path):
    rng, contents, path = np.random.default_rng(1), [*seeds()], tmp_path / "mutant"
    before, waves = megabytes(), 0
    for number in range(many):
        content = mutant(contents[number % len(contents)], rng)
        path.write_bytes(content)
        wave = outcome(Clips([path], RATE, [7]))
        again = outcome(Clips([content], RATE, [7])) if content else None
        assert (wave is None) == (again is None), f"mutant {number}: bytes differ from the file"
        if wave is not None:
            np.testing.assert_array_equal(wave, again)
            waves += 1
    assert 0.05 * many < waves < 0.95 * many  # else the mutants test little
    assert megabytes() - before < MEGABYTES
