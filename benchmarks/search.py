"""What ``memory=`` saves: a grid search on ESC-10 with and without it.

    SKAUDIO_DATA=path/to/the/sets python benchmarks/search.py

Four values of C on four folds with the default RandomCNNTransformer. Each line is a process of
its own but "again", which is the same search once more in the process before. "extractions" are
the time beyond what the classifier takes on a ready matrix, in units of one extraction.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _sets
import numpy as np
from compare import about
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from skaudio import FeatureCache, RandomCNNTransformer

FOLDS = 4


def main():
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--step", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, default=3, help="of all, medians are shown")
    args = parser.parse_args()
    if args.step:
        print(*_step(*args.step))
        return
    runs = []
    for _ in range(args.repeats):
        with tempfile.TemporaryDirectory() as folder:
            times = {}
            for step in ("plain", "memory", "restart"):
                command = [sys.executable, __file__, "--step", step, folder]
                times[step] = subprocess.check_output(command, text=True).split()
            cache = FeatureCache(folder)
            size = f"{len(cache)} rows, {cache.size / 1e6:.1f} MB"
        runs.append([float(t) for step in times.values() for t in step])
    table = "\n".join(_table(np.median(runs, axis=0), size))
    print(table)
    (Path(__file__).parent / "results" / "search.txt").write_text(table + "\n", encoding="utf-8")


def _table(times, size):
    """Return the table, line by line."""
    extraction, classifier, plain, cold, again, restart, look_up = times
    yield from about()
    yield f"\none extraction of the 400 clips    {extraction:7.2f} s"
    yield f"classifier alone, whole search     {classifier:7.2f} s"
    for name, spent in (
        ("without memory", plain),
        ("with memory, first time", cold),
        ("with memory, again", again),
        ("with memory, new process", restart),
    ):
        beyond = spent - classifier
        yield f"search {name:26}  {spent:7.2f} s, {beyond / extraction:6.2f} extractions"
    yield f"a look-up                          {1e3 * look_up:7.3f} ms a clip; {size}"


def _step(name, folder):
    """Times of one process, in seconds."""
    sounds = _sets.load("esc10")
    cnn = RandomCNNTransformer(random_state=0).fit(sounds.data[:1])
    cnn.transform(sounds.data[:1])  # what is loaded at first use
    if name == "plain":
        begin = time.perf_counter()
        Z = cnn.transform(sounds.data)
        extraction = time.perf_counter() - begin
        ready = FunctionTransformer()  # passes the matrix on
        _search(ready, Z, sounds.labels)  # what is loaded at first use
        classifier = _search(ready, Z, sounds.labels)
        return extraction, classifier, _search(cnn, sounds.data, sounds.labels)
    cnn.set_params(memory=folder)
    first = _search(cnn, sounds.data, sounds.labels)
    if name == "memory":
        return first, _search(cnn, sounds.data, sounds.labels)
    begin = time.perf_counter()
    cnn.fit(sounds.data).transform(sounds.data)
    return first, (time.perf_counter() - begin) / len(sounds.data)


def _search(extractor, X, y):
    """Seconds of a grid search."""
    pipe = make_pipeline(extractor, StandardScaler(), SVC())
    search = GridSearchCV(pipe, {"svc__C": [0.1, 1, 8, 32]}, cv=FOLDS, error_score="raise")
    begin = time.perf_counter()
    search.fit(X, y)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
