"""Damaged and malicious checkpoints: one clear error each, nothing run, no memory wasted."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from skaudio import Wav2VecTransformer
from skaudio.pretrained import read_checkpoint
from tests.faults import hostile

ROOT = Path(__file__).parents[2]
N_MUTANTS = 1000 if os.environ.get("SKAUDIO_SOAK") else 60


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """What a process of its own tells that read all files."""
    pytest.importorskip("resource", reason="memory is counted as Unix does")
    folder = tmp_path_factory.mktemp("hostile")
    hostile.write(folder, N_MUTANTS)
    command = [sys.executable, "-m", "tests.faults.hostile", str(folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout)


def assert_clear(error):
    """One line: the file, the reason, the remedy."""
    kind, _, text = error.partition(": ")
    assert kind == "ValueError" and "\n" not in text and len(text) < 700
    assert ".pt cannot be read: " in text
    assert "; pass a complete wav2vec or vq-wav2vec" in text or "; if you trust its origin" in text


def test_mutants_give_one_clear_error_or_can_be_read(report):
    errors = [told for name, (told, _) in report["told"].items() if name.startswith("mutant")]
    assert len(errors) == N_MUTANTS
    assert sum(error is not None for error in errors) > N_MUTANTS / 2
    for error in errors:
        if error is not None:
            assert_clear(error)


def test_bombs_give_one_clear_error(report):
    for name, (_, message) in hostile.bombs().items():
        error = report["told"][f"bomb {name}.pt"][0]
        if message is None:  # its claim is cut to the file
            assert error is None
        else:
            assert_clear(error)
            assert message in error, name


def test_nothing_is_run_or_written(report):
    assert report["events"] == []


def test_memory_stays_small(report):
    worst = max(report["told"], key=lambda name: report["told"][name][1])
    assert report["told"][worst][1] < 200, worst


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("folder", "it is a folder"),
        *((kind, "it is a dev") for kind in ("pipe", "device")),
    ],
)
def test_what_is_no_file_is_not_opened(tmp_path, kind, message):
    path = tmp_path / "model.pt"
    {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),  # opening it would wait for a writer
        "device": lambda: path.symlink_to("/dev/zero"),
    }[kind]()
    with pytest.raises(ValueError, match=f"model.pt cannot be read: {message}.*; pass a complete"):
        read_checkpoint(path)
    with pytest.raises(ValueError, match=message):
        Wav2VecTransformer(pretrained=str(path)).fit([[0.0] * 800])


@pytest.mark.parametrize("legacy", [False, True])
def test_weights_outlive_their_file(tmp_path, legacy):
    path = tmp_path / "model.pt"
    path.write_bytes(hostile.intact(legacy=legacy))
    weights = read_checkpoint(path).weights
    before = {name: array.copy() for name, array in weights.items()}
    path.write_bytes(bytes(path.stat().st_size))  # in place
    assert all((array == before[name]).all() for name, array in weights.items())
