"""Time saved by ``memory=``: a grid search on ESC-10 with and without it.

    SKAUDIO_DATA=path/to/the/sets python benchmarks/search.py

Four values of C on four folds with the default RandomCNNTransformer. Each line is a process of
its own, except "again", which repeats the search in the same process. The time in `fit` and
`transform` of the extractor is measured separately from that of the classifier, and also given in
units of one extraction of all clips.
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
from sklearn.preprocessing import StandardScaler
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
    extraction, look_up, searches = times[0], times[-1], times[1:-1].reshape(-1, 2)
    yield from about()
    yield f"\none extraction of the 400 clips    {extraction:6.2f} s"
    names = ("without memory", "with memory, first time", "with memory, again")
    names += ("with memory, new process",)
    for name, (total, inside) in zip(names, searches, strict=True):
        yield (
            f"search {name:26}  {total:6.2f} s, of which the extractor {inside:6.2f} s = "
            f"{inside / extraction:5.2f} extractions"
        )
    yield f"a look-up                          {1e3 * look_up:6.3f} ms a clip; {size}"


class _Clocked(RandomCNNTransformer):
    """Measures the time spent in it, by all clones together."""

    spent = 0.0

    def fit(self, X, y=None):
        begin = time.perf_counter()
        super().fit(X)
        _Clocked.spent += time.perf_counter() - begin
        return self

    def transform(self, X):
        begin = time.perf_counter()
        Z = super().transform(X)
        _Clocked.spent += time.perf_counter() - begin
        return Z


def _step(name, folder):
    """Times of one process, in seconds."""
    sounds = _sets.load("esc10")
    cnn = _Clocked(random_state=0).fit(sounds.data[:1])
    cnn.transform(sounds.data[:1])  # imports at first use
    if name == "plain":
        begin = time.perf_counter()
        cnn.transform(sounds.data)
        return time.perf_counter() - begin, *_search(cnn, sounds)
    cnn.set_params(memory=folder)
    first = _search(cnn, sounds)
    if name == "memory":
        return *first, *_search(cnn, sounds)
    begin = time.perf_counter()
    cnn.fit(sounds.data).transform(sounds.data)
    return *first, (time.perf_counter() - begin) / len(sounds.data)


def _search(cnn, sounds):
    """Seconds of a grid search, and how many of them were spent in the extractor."""
    pipe = make_pipeline(cnn, StandardScaler(), SVC())
    grid = {"svc__C": [0.1, 1, 8, 32]}
    search = GridSearchCV(pipe, grid, cv=FOLDS, error_score="raise")
    _Clocked.spent, begin = 0.0, time.perf_counter()
    search.fit(sounds.data, sounds.labels)
    return time.perf_counter() - begin, _Clocked.spent


if __name__ == "__main__":
    main()
