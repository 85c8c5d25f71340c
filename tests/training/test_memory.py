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
from tests.utils.example_extractors import QUICK, ClassifyingTransformer


def test_little_memory_gives_the_same_weights_in_parts():
    clips = Clips(noise(*[1000] * 5), 1000)
    plenty, little = Sum(most=8), Sum(most=3)
    expected = train(plenty, Data(clips), RECIPE, 0, "")
    with pytest.warns(UserWarning, match="cpu memory is too small for batches of 8 crops") as seen:
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
        if task.training and len(batch.wave) > 2:
            raise torch.OutOfMemoryError("too many crops")
        return forward(task, batch)

    monkeypatch.setattr(Classification, "forward", little)
    probe = ClassifyingTransformer(**QUICK, random_state=0)
    with pytest.raises(torch.OutOfMemoryError, match="Classification compares the crops"):
        probe.fit(noise(*[4000] * 8), [0, 1] * 4)
    assert len(asked) == 1 and asked[0] > 2 and not hasattr(probe, "weights_")


# the most memory that is the process's own, while something runs, less what it had before
GROWTH = """
import sys, threading, time
from pathlib import Path
import numpy as np
import soundfile
from tests.training.helpers import small

RATE = 4000

def own():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

def grown(action):
    before, most, over = own(), 0, threading.Event()
    def watch():
        nonlocal most
        while not over.is_set():
            most = max(most, own())
            time.sleep(0.002)
    watcher = threading.Thread(target=watch)
    watcher.start()
    action()
    over.set()
    watcher.join()
    return most - before

def write(name, minutes):
    rng = np.random.default_rng(0)
    path = Path(sys.argv[1], f"{name}.wav")
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(minutes):
            file.write(0.1 * rng.standard_normal(60 * RATE))
    return path

def wav2vec():
    return small(
        sample_rate=RATE, max_epochs=1, crop_seconds=1.0, batch_seconds=60.0, window_seconds=30.0
    )

short = write("short", 1)
learnt = wav2vec().fit([short])
learnt.transform([short])
if sys.argv[2] == "one":
    paths = [write("long", 120)]
else:
    paths = [write(i, 1) for i in range(120)]
fit = grown(lambda: wav2vec().fit(paths))
transform = grown(lambda: learnt.transform(paths))
print(fit / (4 * 7200 * RATE), transform / (4 * 7200 * RATE))
"""


def growth(folder, clips):
    """Memory for two hours of sound, in `fit` and `transform`, as a share of its samples."""
    command = [sys.executable, "-c", GROWTH, str(folder), clips]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [float(share) for share in run.stdout.split()]


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@needs_proc
def test_of_one_clip_of_two_hours_memory_holds_few_copies(tmp_path):
    fit, transform = growth(tmp_path, "one")
    print(fit, transform)


@needs_proc
def test_of_two_hours_in_many_clips_memory_holds_little(tmp_path):
    fit, transform = growth(tmp_path, "many")
    print(fit, transform)
