"""A training that is killed while it saves its state ends as if nothing had been."""

import os
import random
import subprocess
import sys
import time

import numpy as np
import pytest

from skaudio import SincNetTransformer
from tests.faults.test_damaged_checkpoints import CLIPS
from tests.faults.test_damaged_checkpoints import fit as fit_without_labels

pytestmark = pytest.mark.filterwarnings("ignore:nothing was learnt")
N_KILLS = 10 if os.environ.get("SKAUDIO_SOAK") else 2
N_EPOCHS = 4 * N_KILLS
SCRIPT = """
import os, sys, time
from skorch.callbacks import Callback
from tests.faults.test_killed_training import TRAININGS
sync = os.fsync
class Tells(Callback):
    def on_epoch_end(self, net, **kwargs):
        print(flush=True)  # the state is about to be written
def slow(descriptor):
    time.sleep(0.05)
    sync(descriptor)
    time.sleep(0.05)
os.fsync = slow
kind, folder, n_epochs = sys.argv[1:]
TRAININGS[kind](folder, max_epochs=int(n_epochs), callbacks=[Tells()], early_stopping=False)
"""


def fit_on_labels(folder, **params):
    training = {"chunk_seconds": 0.05, "batch_seconds": 0.2, "validation_fraction": 0.25}
    sincnet = SincNetTransformer(checkpoint=folder, random_state=0, **training, **params)
    return sincnet.fit(CLIPS * 2, [*"abababab"])


TRAININGS = {"without labels": fit_without_labels, "on labels": fit_on_labels}


def kill_while_it_saves(kind, folder, rng):
    command = [sys.executable, "-c", SCRIPT, kind, str(folder), str(N_EPOCHS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        for _ in range(rng.randint(1, 3)):
            assert process.stdout.readline(), "the training ended before it could be killed"
        time.sleep(rng.uniform(0, 0.12))
        process.kill()


@pytest.mark.parametrize("kind", TRAININGS)
def test_a_killed_training_ends_as_if_nothing_had_been(kind, tmp_path):
    fit, rng = TRAININGS[kind], random.Random(0)
    whole = fit(None, max_epochs=N_EPOCHS, early_stopping=False)
    for _ in range(N_KILLS):
        kill_while_it_saves(kind, tmp_path, rng)
    found = fit(tmp_path, max_epochs=N_EPOCHS, early_stopping=False)
    assert scores(found) == scores(whole)
    assert [*whole.task_weights_] == [*found.task_weights_]
    assert bool(whole.task_weights_) == (kind == "on labels")  # the head
    for learnt, wanted in (
        (found.weights_, whole.weights_),
        (found.task_weights_, whole.task_weights_),
    ):
        for name, w in wanted.items():
            assert np.asarray(w).tobytes() == np.asarray(learnt[name]).tobytes()
    assert len([*tmp_path.iterdir()]) == 1  # nothing half-written is left


def scores(extractor):
    """What the training noted, but for the time it took."""
    return [{**row, "seconds": 0} for row in extractor.history_]
