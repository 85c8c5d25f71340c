"""Several processes that share a training."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile


def test_two_processes_learn_as_one_does(tmp_path):
    rng, time = np.random.default_rng(0), np.arange(8000) / 16000
    for i in range(20):
        low, high = rng.uniform(100, 7000, 2)
        sweep = 0.3 * np.sin(2 * np.pi * (low * time + (high - low) * time**2))
        soundfile.write(tmp_path / f"{i}.wav", sweep, 16000)
    params = {
        "encoder_layers": [[16, 10, 5], [16, 8, 4], [16, 4, 2]],
        "aggregator_layers": [[16, 2, 1], [16, 3, 1]],
        "n_steps": 3,
        "n_negatives": 500,  # so many that their draw, which processes do not share, hardly shows
        "crop_seconds": 0.25,
        "batch_seconds": 2,
        "max_epochs": 60,
        "early_stopping": False,
        "device": "cpu",
    }
    script = Path(__file__).parents[2] / "docs/examples/share_training.py"
    command = [str(script), str(tmp_path), "--params", json.dumps(params)]
    two = ["-m", "torch.distributed.run", "--nproc_per_node=2"]
    two += ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    curves = []
    for how in ([], two):
        text = subprocess.run(
            [sys.executable, *how, *command],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        curves.append([json.loads(line) for line in text.splitlines()])
    assert [len(curve) for curve in curves] == [60, 60]  # only one process speaks
    for name in ("train_loss", "valid_loss"):
        one, shared = np.array([[row[name] for row in curve] for curve in curves])
        assert one[-1] < 0.92 * one[0]
        np.testing.assert_allclose(shared, one, rtol=0.05)
        assert shared.mean() == pytest.approx(one.mean(), rel=0.02)
