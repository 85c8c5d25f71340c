"""A training that is killed while it saves its state ends as if nothing had been."""

import os
import random
import subprocess
import sys
import time

import pytest

from tests.faults.test_damaged_checkpoints import fit

pytestmark = pytest.mark.filterwarnings("ignore:nothing was learnt")
N_KILLS = 10 if os.environ.get("SKAUDIO_SOAK") else 2
N_EPOCHS = 4 * N_KILLS
SCRIPT = """
import os, sys, time
from skorch.callbacks import Callback
from tests.faults.test_damaged_checkpoints import fit
sync = os.fsync
class Tells(Callback):
    def on_epoch_end(self, net, **kwargs):
        print(flush=True)  # the state is about to be written
def slow(descriptor):
    time.sleep(0.05)
    sync(descriptor)
    time.sleep(0.05)
os.fsync = slow
fit(sys.argv[1], max_epochs=int(sys.argv[2]), callbacks=[Tells()], early_stopping=False)
"""


@pytest.fixture(scope="module")
def whole():
    return fit(None, max_epochs=N_EPOCHS, early_stopping=False)


def kill_while_it_saves(folder, rng):
    command = [sys.executable, "-c", SCRIPT, str(folder), str(N_EPOCHS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        for _ in range(rng.randint(1, 3)):
            assert process.stdout.readline(), "the training ended before it could be killed"
        time.sleep(rng.uniform(0, 0.12))
        process.kill()


def test_a_killed_training_ends_as_if_nothing_had_been(whole, tmp_path):
    rng = random.Random(0)
    for _ in range(N_KILLS):
        kill_while_it_saves(tmp_path, rng)
    found = fit(tmp_path, max_epochs=N_EPOCHS, early_stopping=False)
    assert losses(found) == losses(whole)
    for name, w in whole.weights_.items():
        assert w.tobytes() == found.weights_[name].tobytes()
    assert len([*tmp_path.iterdir()]) == 1  # nothing half-written is left


def losses(extractor):
    return [(row["epoch"], row["train_loss"], row["valid_loss"]) for row in extractor.history_]
