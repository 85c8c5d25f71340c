"""Trainings where memory is short: batches in parts, and clips that never are in memory whole."""

import os
import subprocess
import sys

import pytest
import torch

from skaudio.audio import Clips
from skaudio.training import Classification
from skaudio.training._train import Data, train
from tests.training.helpers import noise
from tests.training.toys import RECIPE, Sum
from tests.utils.training_examples import QUICK, ClassifyingTransformer


def test_little_memory_gives_the_same_weights_in_parts():
    clips = Clips(noise(*[1000] * 5), 1000)
    plenty, little = Sum(most=8), Sum(most=3)
    expected = train(plenty, Data(clips), RECIPE, 0, "")
    with pytest.warns(
        UserWarning, match="memory of the device is too small for batches of 8"
    ) as seen:
        found = train(little, Data(clips), RECIPE, 0, "")
    assert len(seen) == 1 and little.asked[:4] == [8, 4, 2, 2]
    torch.testing.assert_close(little.network.scale, plenty.network.scale)
    assert found[-1]["train_loss"] == pytest.approx(expected[-1]["train_loss"], rel=1e-6)
    assert found[-1]["train_accuracy"] == expected[-1]["train_accuracy"]


def test_memory_for_not_even_one_crop_is_an_error():
    with pytest.raises(torch.OutOfMemoryError), pytest.warns(UserWarning, match="too small"):
        train(Sum(most=0), Data(Clips(noise(1000), 1000)), RECIPE, 0, "")


class Compares(Sum):
    """A task that compares the crops of a batch with each other."""

    divisible = False


def test_what_compares_crops_is_never_cut():
    task = Compares(most=3)
    text = "too small for a batch of 8 crops of 100 samples, and Compares compares.*lower batch_sec"
    with pytest.raises(torch.OutOfMemoryError, match=text):
        train(task, Data(Clips(noise(*[1000] * 5), 1000)), RECIPE, 0, "")
    assert task.asked == [8]


def test_classes_by_the_standard_head_are_never_cut(monkeypatch):
    forward, asked = Classification.forward, []

    def little(task, batch):
        asked.append(len(batch.wave))
        if task.training and len(batch.wave) > 1:
            raise torch.OutOfMemoryError("too many crops")
        return forward(task, batch)

    monkeypatch.setattr(Classification, "forward", little)
    probe = ClassifyingTransformer(**QUICK, random_state=0)
    with pytest.raises(torch.OutOfMemoryError, match="Classification compares the crops"):
        probe.fit(noise(*[4000] * 8), [0, 1] * 4)
    assert len(asked) == 1 and asked[0] > 1 and not hasattr(probe, "weights_")


# in a process whose memory, beyond what it has, is limited to a share of two hours of samples
LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
import soundfile
from tests.training.helpers import small

RATE, MINUTES = 4000, 120
limit, n_clips = float(sys.argv[2]), int(sys.argv[3])

def write(name, minutes):
    path, noise = Path(sys.argv[1], f"{name}.wav"), np.random.default_rng(0)
    minute = 0.1 * noise.standard_normal(60 * RATE)
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(minutes):
            file.write(minute)
    return path

def wav2vec():
    return small(
        sample_rate=RATE, max_epochs=1, max_minutes=0.03, crop_seconds=1.0, batch_seconds=30.0,
        window_seconds=10.0, batch_size=30.0,
    )

paths = [write(i, MINUTES // n_clips) for i in range(n_clips)]
short = write("short", 2)
wav2vec().fit([short]).transform([short])  # whatever is allocated once
lines = Path("/proc/self/status").read_text().splitlines()
now = 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmData"))
more = int(limit * 4 * 60 * MINUTES * RATE)
before = resource.getrlimit(resource.RLIMIT_DATA)
resource.setrlimit(resource.RLIMIT_DATA, (now + more, before[1]))
learnt = wav2vec().fit(paths)
resource.setrlimit(resource.RLIMIT_DATA, before)
Z = learnt.transform(paths[:1])
assert Z.shape == (1, 16) and np.isfinite(Z).all()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
@pytest.mark.parametrize(
    ("n_clips", "copies", "enough"),
    [(1, 1.2, True), (1, 0.4, False), (120, 0.4, True)],
    ids=["one clip", "less than the clip", "many clips"],
)
def test_memory_holds_one_clip_and_no_more(tmp_path, n_clips, copies, enough):
    """Two hours of sound are learnt from in crops, and their samples stand on disk meanwhile."""
    command = [sys.executable, "-c", LIMITED, str(tmp_path), str(copies), str(n_clips)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (run.returncode == 0) is enough, run.stderr
    assert enough or "MemoryError" in run.stderr or "allocate memory" in run.stderr, run.stderr
