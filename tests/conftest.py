"""What the tests share."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile


def pytest_configure(config):
    # scipy reads it when it is imported, so setting it here would come too late for some
    if os.environ.get("SCIPY_ARRAY_API") != "1":
        raise pytest.UsageError(
            "set SCIPY_ARRAY_API=1 before Python starts, as `make test` does: without it "
            "scikit-learn skips one of its checks"
        )


@pytest.fixture
def rng():
    """Generator that starts anew in each test."""
    return np.random.default_rng(0)


@pytest.fixture
def write_audio(tmp_path):
    """Function that writes a sound file into the test's folder and returns its path."""

    def write(name, samples, sample_rate=16000, **options):
        path = tmp_path / name
        soundfile.write(path, samples, sample_rate, **options)
        return path

    return write


@pytest.fixture
def clips(rng):
    """Six short clips of different lengths."""
    return [0.1 * rng.standard_normal(n) for n in (900, 2500, 1700, 3100, 800, 2000)]


@pytest.fixture
def audio_files(clips, write_audio):
    """The clips as wav files at 16 kHz."""
    return [write_audio(f"clip{i}.wav", clip) for i, clip in enumerate(clips)]


@pytest.fixture(scope="session")
def data_dir():
    """Folder of the open sets of real recordings."""
    folder = os.environ.get("SKAUDIO_DATA")
    if not folder:
        pytest.skip("needs real recordings: set SKAUDIO_DATA to the folder of the open sets")
    if not Path(folder).is_dir():
        pytest.fail(f"SKAUDIO_DATA={folder} is no folder")
    return Path(folder)
