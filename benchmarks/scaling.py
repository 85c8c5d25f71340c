"""How time and memory grow, and the overhead of Dask.

    SKAUDIO_DATA=path/to/the/sets python benchmarks/scaling.py

clips    Clips of 0.2 s: 200 files, used repeatedly.
length   Of a clip; enough clips for ten minutes of sound, 10 files used repeatedly.
filters  Of the design vgg, over ten minutes of sound in clips of 5 s.
cores    Threads, or processes (n_jobs), on 100 minutes of sound in clips of 5 s.
dask     2000 clips as in ESC-10 (of noise if it is not there), MFCCs at 12 kHz, by two processes:
         joblib's own, those of a LocalCluster, and two workers started separately, in turn. In the
         last run one of these workers is killed half-way. The features must be bit-identical.

Each measurement is a process of its own, with one thread unless stated otherwise, that has
extracted features once before. Memory is the highest resident memory, minus that before and that
of the features (see `_fresh`).
"""

import argparse
import os
import tempfile
import time
from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path

import _sets
import joblib
import numpy as np
from _fresh import FatalPath, dask_processes, measure, write_noise
from _rows import other_rows, write_rows
from compare import about
from matplotlib.ticker import LogLocator

from skaudio import MFCCTransformer
from skaudio.plotting._style import COLOURS, MARKERS, new_panels

COLUMNS = ("question", "what", "x", "seconds", "megabytes")
FULL = {
    "clips": (100, 1000, 10_000, 100_000),
    "length": (0.1, 1, 10, 100, 1000, 7200),  # seconds
    "filters": (8, 16, 32, 64, 128, 256),
    "cores": [2**k for k in range(os.cpu_count().bit_length())],
    "seconds": 600,  # of sound, for length and filters
    "dask": (2000, 3),  # clips and runs
}
QUICK = {
    "clips": (5, 10),
    "length": (0.1, 0.2),
    "filters": (4, 8),
    "cores": (1, 2),
    "seconds": 10,
    "dask": (16, 1),
}
CNN = {"extractor": "RandomCNNTransformer", "random_state": 0}
EXTRACTORS = {"MFCC": {"extractor": "MFCCTransformer"}, "vgg, 8 filters": {**CNN, "n_filters": 8}}
OWN = "joblib's own processes"


def main():
    """Measure, and write table, rows and picture."""
    args = _arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "scaling.csv"
    rows = other_rows(path, args.only)
    for question in args.only:
        with tempfile.TemporaryDirectory() as folder:
            sizes = QUICK if args.quick else FULL
            for values in QUESTIONS[question](sizes, Path(folder)):
                rows.append(dict(zip(COLUMNS, (question, *values), strict=True)))
                print(*rows[-1].values(), flush=True)
    write_rows(path, COLUMNS, rows)
    text = "\n".join([*about(), "", *_growth(rows), "", *_shared(rows)]) + "\n"
    print(text)
    (args.out / "scaling.md").write_text(text, encoding="utf-8")
    _plot(rows).savefig(args.out / "scaling.png", dpi=120)


def _arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, default=[*QUESTIONS],
                        help="what to measure; other rows of an earlier run stay")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the script")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def _clips(sizes, folder):
    files = _noise(folder / "short", 200, 0.2)
    for n_clips in sizes["clips"]:
        for name, params in EXTRACTORS.items():
            yield name, n_clips, *_measure(folder=files, n_clips=n_clips, **params)


def _length(sizes, folder):
    for length in sizes["length"]:
        n_clips = max(1, round(sizes["seconds"] / length))
        files = _noise(folder / f"{length} s", min(n_clips, 10), length)
        for name, params in EXTRACTORS.items():
            seconds, megabytes = _measure(folder=files, n_clips=n_clips, **params)
            yield name, length, seconds / n_clips, megabytes


def _filters(sizes, folder):
    files, n_clips = _noise(folder / "clips", 10, 5), sizes["seconds"] // 5
    for n_filters in sizes["filters"]:
        job = {"folder": files, "n_clips": n_clips, "n_filters": n_filters, **CNN}
        yield "vgg", n_filters, *_measure(**job)


def _cores(sizes, folder):
    files, n_clips = _noise(folder / "clips", 10, 5), 2 * sizes["seconds"]
    for name, params in {"MFCC": EXTRACTORS["MFCC"], "vgg": CNN}.items():
        job = {"folder": files, "n_clips": n_clips, **params}
        for n in sizes["cores"]:
            yield f"{name}, threads", n, *_measure(threads=n, **job)
            seconds, _ = _measure(n_jobs=n, **job)
            yield f"{name}, processes", n, seconds, ""  # their memory is not measured


def _measure(**job):
    """Seconds and megabytes of an extraction."""
    seconds, n_bytes = measure("extraction", **job)
    return seconds, n_bytes / 1e6


def _noise(folder, n_files, seconds, sample_rate=16000):
    """Write sound files; returns their folder as text."""
    folder.mkdir()
    for seed in range(n_files):
        write_noise(folder / f"{seed}.wav", seconds, sample_rate, seed)
    return str(folder)


def _dask(sizes, folder):
    if not find_spec("distributed"):
        return
    from distributed import Client, LocalCluster

    if Path(os.environ.get("SKAUDIO_DATA", ""), "esc10").is_dir():
        files = _sets.load("esc10").data
    else:
        files = sorted(Path(_noise(folder / "esc10", 20, 5, 44100)).iterdir())
    n_clips, n_runs = sizes["dask"]
    clips = [*islice(cycle(files), n_clips)]
    mfcc = MFCCTransformer(sample_rate=12000, n_jobs=2).fit(clips[:1])
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as local, dask_processes(folder) as apart:
        backends = {
            OWN: {"backend": "loky", "inner_max_num_threads": 1},
            "Dask, LocalCluster": {"backend": "dask", "client": local},
            "Dask, scheduler and workers apart": {"backend": "dask", "client": apart},
        }
        for backend in backends.values():
            _timed(mfcc, clips[:16], backend)  # lets the workers import what they need
        expected = None
        for _ in range(n_runs):
            for name, backend in backends.items():
                found, seconds = _timed(mfcc, clips, backend)
                expected = found if expected is None else expected
                _check(found, expected, name)
                yield name, n_clips, seconds, ""
        clips[n_clips // 2] = FatalPath(clips[n_clips // 2], folder / "killed")
        found, seconds = _timed(mfcc, clips, backend)
        _check(found, expected, "one worker killed")
        if len(apart.ncores()) != 1:
            raise SystemExit("no worker was killed")
        yield "the same, one worker killed half-way", n_clips, seconds, ""


QUESTIONS = {
    "clips": _clips,
    "length": _length,
    "filters": _filters,
    "cores": _cores,
    "dask": _dask,
}


def _timed(extractor, clips, backend):
    """Features, and the time they took."""
    with joblib.parallel_config(**backend):
        begin = time.perf_counter()
        features = extractor.transform(clips)
        return features, time.perf_counter() - begin


def _check(found, expected, name):
    if not np.array_equal(found, expected):
        raise SystemExit(f"{name}: {(found != expected).any(axis=1).sum()} rows differ")


def _lines(rows, question):
    """The measurements of a question: {what: (sizes, seconds, megabytes)}."""
    lines = {}
    for row in rows:
        if row["question"] == question:
            line = lines.setdefault(row["what"], ([], [], []))
            for values, name in zip(line, COLUMNS[2:], strict=True):
                values.append(float(row[name] or "nan"))
    return lines


def _growth(rows):
    """Return the lines of a table of slopes."""
    yield "| what grows | extractor | from | to | slope of time | seconds at most | MB at most |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    for question in ("clips", "length", "filters", "cores"):
        for what, (sizes, seconds, megabytes) in _lines(rows, question).items():
            slope, _ = np.polyfit(np.log(sizes[-3:]), np.log(seconds[-3:]), 1)
            most = "" if np.isnan(megabytes).any() else f"{max(megabytes):.0f}"
            ends = f"{sizes[0]:.6g} | {sizes[-1]:.6g}"
            yield f"| {question} | {what} | {ends} | {slope:.2f} | {max(seconds):.2f} | {most} |"
    yield ""
    yield "The slope is that of log seconds over log size at the three largest sizes: 1 for time in"
    yield "proportion, 2 for filters that each read those of the layer below, -1 for cores of which"
    yield "none is wasted. For length, seconds are those of one clip. A clip is decoded whole, so"
    yield "memory grows with the longest clip (461 MB for two hours, and its spectrogram), but not"
    yield "with their number."


def _shared(rows):
    """Return the lines of a table of times against joblib's own processes."""
    times = {what: seconds for what, (_, seconds, _) in _lines(rows, "dask").items()}
    if not times:
        return
    n_clips = next(row["x"] for row in rows if row["question"] == "dask")
    yield f"| two processes, {n_clips} clips | seconds, median | range | over joblib's own |"
    yield "|---|---:|---:|---:|"
    own = np.median(times[OWN])
    for what, seconds in times.items():
        median, spread = np.median(seconds), f"{min(seconds):.2f} to {max(seconds):.2f}"
        yield f"| {what} | {median:.2f} | {spread} | {100 * (median / own - 1):+.0f} % |"


def _plot(rows):
    """Draw time, and below it memory, over each size."""
    axes = new_panels(None, 7, most=4, width=3.6, height=3.2)
    panels = (
        ("clips", "clips", "seconds"),
        ("length", "seconds of a clip", "seconds per clip"),
        ("filters", "filters", "seconds"),
        ("cores", "cores", "seconds"),
        ("clips", "clips", "MB"),
        ("length", "seconds of a clip", "MB"),
        ("filters", "filters", "MB"),
    )
    for ax, (question, x_name, y_name) in zip(axes, panels, strict=True):
        lines = _lines(rows, question)
        if not lines:
            continue  # not measured
        for k, (what, (sizes, seconds, megabytes)) in enumerate(lines.items()):
            y = megabytes if y_name == "MB" else seconds
            ax.plot(sizes, y, marker=MARKERS[k], color=COLOURS[k], label=what)
        ax.set(xlabel=x_name, ylabel=y_name, xscale="log", yscale="log")
        if y_name == "MB":
            ax.axhline(1000, color=COLOURS[-1], linestyle="--", label="1 GB")
        if question in ("filters", "cores"):
            ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
            ax.minorticks_off()
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.legend(fontsize=8)
    return axes[0].figure


if __name__ == "__main__":
    main()
