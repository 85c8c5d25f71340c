"""benchmarks/speed.py, in tiny sizes."""

import csv
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "speed.py"


def run(folder, *only):
    options = ["--quick", "--threads", "1", "--out", folder, "--gpu", "cpu", "--only", *only]
    subprocess.run([sys.executable, SCRIPT, *options], check=True)
    with (folder / "speed.csv").open(newline="", encoding="utf-8") as file:
        return [*csv.DictReader(file)]


def test_questions_are_answered_one_after_the_other(data_dir, tmp_path):
    first = run(tmp_path, "overhead")
    assert {row["way"] for row in first} == {"skaudio"}
    rows = run(tmp_path, "machine", "mfcc")
    assert rows[: len(first)] == first  # those of the other question stay
    ways = [row["way"] for row in rows if row["question"] == "mfcc"]
    assert ways[:2] == ["skaudio", "librosa, loop"]
    assert all(float(row["low"]) <= float(row["median"]) <= float(row["high"]) for row in first)
    report = (tmp_path / "speed.md").read_text()
    assert "librosa, one array / skaudio" in report
    assert "float32 product, GFLOP/s" in report
    assert (tmp_path / "speed.png").stat().st_size > 0


WAYS = {  # and how many works each question is about
    "networks": (["skaudio", "skaudio, bfloat16", "plain torch"], 10),
    "gpu": (["skaudio", "skaudio, bfloat16"], 2),  # the processor stands in
    "training": (["skaudio", "plain torch"], 1),
    "elm": (["skaudio", "numpy, all rows at once"], 1),
    "latency": (["skaudio"], 12),
}


def test_ways_to_the_same_have_one_limit(data_dir, tmp_path):
    found = run(tmp_path, *WAYS)  # in one process: to start one takes seconds
    assert [*dict.fromkeys(row["question"] for row in found)] == [*WAYS]
    for question, (ways, n_works) in WAYS.items():
        rows = [row for row in found if row["question"] == question]
        assert [row["way"] for row in rows] == ways * n_works
        limits = {row["work"]: float(row["limit"]) for row in rows}
        assert len(limits) == n_works
        assert all(limits[row["work"]] == float(row["limit"]) > 0 for row in rows)
