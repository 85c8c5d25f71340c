"""States of trainings: of a damaged file nothing is used, and one clear error names it."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from skaudio import Wav2VecTransformer
from skaudio.training import _checkpoints

pytestmark = pytest.mark.filterwarnings("ignore:nothing was learnt")
N_TRIES = 1000 if os.environ.get("SKAUDIO_SOAK") else 40
CLIPS = [0.1 * np.random.default_rng(i).standard_normal(4000).astype(np.float32) for i in range(4)]


def fit(folder, **params):
    layers = {"encoder_layers": ((4, 10, 5), (4, 8, 4)), "aggregator_layers": ((4, 2, 1),)}
    training = {"n_steps": 2, "n_negatives": 2, "crop_seconds": 0.1, "max_epochs": 1}
    params = {**layers, **training, "checkpoint": folder, "random_state": 0, **params}
    return Wav2VecTransformer(**params).fit(CLIPS)


def message(file, reason="[^\n]+"):
    return f"{file} holds no state of a training that can be used: {reason}; delete it"


@pytest.fixture
def file(tmp_path):
    fit(tmp_path)
    (file,) = tmp_path.iterdir()
    return file


def assert_is_refused(file, reason="[^\n]+"):
    with pytest.raises(ValueError, match=message(file, reason)):
        fit(file.parent)
    assert [*file.parent.iterdir()] == [file]


def test_damage_anywhere_is_told(file):
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    for i in range(N_TRIES):
        damaged = bytearray(whole)
        if i % 4:
            damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        else:
            del damaged[rng.integers(len(whole)) :]
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=message(file)):
            _checkpoints.load(file)
    assert_is_refused(file)
    file.write_bytes(whole)
    assert fit(file.parent).n_epochs_ == 1


@pytest.mark.parametrize("content", [b"", b"no state", "mark alone", "longer", "without checksum"])
def test_what_is_no_state_is_told(file, content):
    whole = file.read_bytes()
    if content == "without checksum":
        torch.save({"done": True, "history": []}, file)
    else:
        file.write_bytes({"mark alone": whole[:19], "longer": whole + b"\0"}.get(content, content))
    assert_is_refused(file)


def test_the_state_of_another_training_is_refused(file):
    whole = file.read_bytes()
    file.unlink()
    fit(file.parent, learning_rate=1e-4)
    (other,) = file.parent.iterdir()
    other.write_bytes(whole)
    with pytest.raises(ValueError, match=message(other, "it is damaged, or was renamed")):
        fit(file.parent, learning_rate=1e-4)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["directory", "pipe"])
def test_what_is_no_file_is_not_opened(file, make):
    file.unlink()
    make(file)
    assert_is_refused(file, "it is no regular file")
