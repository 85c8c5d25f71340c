"""The benchmarks of time and memory, at tiny sizes."""

import csv
import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
EXTRACTORS = ("MFCC", "vgg, 8 filters")
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the benchmarks read memory from Linux"
)


@pytest.fixture
def scaling(monkeypatch):
    """The module, imported as a script would be."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("scaling")


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Function that runs a script; returns the rows and the table that it wrote."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.delenv("SKAUDIO_DATA", raising=False)

    def run(name, *arguments):
        command = [name, "--quick", "--out", str(tmp_path), *arguments]
        monkeypatch.setattr(sys, "argv", command)
        importlib.import_module(name).main()
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
        with (tmp_path / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert all(float(row["seconds"]) > 0 for row in rows)
        return rows, (tmp_path / f"{name}.md").read_text()

    return run


def names(rows):
    return [(row["question"], row["what"], float(row["x"])) for row in rows]


def test_time_and_memory_are_measured_and_other_rows_stay(run, scaling, monkeypatch):
    filters = [("filters", "vgg", 4), ("filters", "vgg", 8)]
    rows, _ = run("scaling", "--only", "filters")
    assert names(rows) == filters
    assert all(0.1 < float(row["megabytes"]) < 100 for row in rows)
    jobs = []
    monkeypatch.setattr(scaling, "_measure", lambda **job: (jobs.append(job) or len(jobs), 50.0))
    others = [("clips", name, x) for x in (5, 10) for name in EXTRACTORS]
    others += [("length", name, x) for x in (0.1, 0.2) for name in EXTRACTORS]
    cores = [(n, kind) for n in (1, 2) for kind in ("threads", "processes")]
    others += [("cores", f"{name}, {kind}", n) for name in ("MFCC", "vgg") for n, kind in cores]
    rows, table = run("scaling", "--only", "clips", "length", "cores")
    assert names(rows) == [*filters, *others]
    assert [job["n_clips"] for job in jobs] == [5, 5, 10, 10, 100, 100, 50, 50, *8 * [20]]
    assert "| filters | vgg | 4 | 8 |" in table and "| length | MFCC | 0.1 | 0.2 |" in table


def test_dask_is_measured_and_loses_no_row(run, scaling):
    pytest.importorskip("distributed", reason="Dask is an extra: skaudio[dask]")
    rows, table = run("scaling", "--only", "dask")
    local, apart = "Dask, LocalCluster", "Dask, scheduler and workers apart"
    killed = "the same, one worker killed half-way"
    assert names(rows) == [("dask", name, 16) for name in (scaling.OWN, local, apart, killed)]
    assert "two processes, 16 clips" in table and f"| {scaling.OWN} |" in table


def test_rows_that_differ_are_counted(scaling):
    with pytest.raises(SystemExit, match="Dask: 1 rows differ"):
        scaling._check(np.array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 5]]), "Dask")


def test_slope_is_that_of_the_largest_sizes(scaling):
    values = [(1, 9), (10, 9), (100, 0.1), (1000, 1), (10_000, 10)]
    rows = [dict(zip(scaling.COLUMNS, ("clips", "MFCC", *v, 70), strict=True)) for v in values]
    line = [*scaling._growth(rows)][2]
    assert line == "| clips | MFCC | 1 | 10000 | 1.00 | 10.00 | 70 |"


def test_memory_is_measured_beside_the_rivals(run):
    rows, table = run("memory", "--only", "MFCC")
    assert [row["name"] for row in rows] == ["MFCC", "librosa MFCC"]
    assert all(0.1 < float(row["megabytes"]) < 100 for row in rows)
    assert "| librosa MFCC |" in table


# The preparation leaves a peak of 200 MB and 50 MB of freed small blocks below one in use. The job
# needs 30 MB in blocks of that size, and returns 10 MB.
JOB = """
import sys
from functools import partial
import numpy as np
import _fresh

def prepared():
    np.ones(200 << 20, np.uint8)
    blocks = [np.ones(50_000, np.uint8) for _ in range(1000)]
    return partial(job, blocks.pop())

def job(last):
    blocks = [np.ones(50_000, np.uint8) for _ in range(600)]
    return np.ones(10_000_000, np.uint8)

_fresh.prepared = prepared
sys.argv = ["_fresh", "prepared", "{}"]
_fresh.main()
"""


def test_memory_of_a_job_is_independent_of_its_preparation():
    printed = subprocess.check_output([sys.executable, "-c", JOB], text=True, cwd=BENCHMARKS)
    _, n_bytes = json.loads(printed)
    assert 29e6 < n_bytes < 33e6


def test_memory_of_learning_is_measured(run):
    rows, _ = run("memory", "--only", "learning")
    assert [row["name"] for row in rows] == ["extreme learning machine"]
