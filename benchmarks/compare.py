"""Which features suit which sounds: MFCCs and every random network on the six open sets.

    SKAUDIO_DATA=path/to/the/sets python benchmarks/compare.py

Each row is an extractor with ``make_pipeline(StandardScaler(), SVC(C=8))`` behind it, under
the splits of the set. Rows that are in the result file for the same configuration are taken
over (an interrupted run goes on where it stopped); --fresh works everything out again.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import _sets
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skaudio import MFCCTransformer, __version__
from skaudio.compare import (
    compare_extractors,
    random_networks,
    read_rows,
    score_text,
    table_lines,
    write_rows,
)
from skaudio.plotting import ComparisonDisplay

DEFAULT = "vgg (default)"
BEST_MFCC = "best MFCC"
PACKAGES = ("numpy", "scikit-learn", "torch", "librosa", "soxr")


def main():
    """Run the comparison and write table, rows and picture."""
    args = _arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    csv_path = args.out / "compare.csv"
    table = {}
    if csv_path.exists() and not args.fresh:
        table = {(row.data, row.extractor): row for row in read_rows(csv_path)}
    lines = [*about(), f"Random draws: {args.draws}, seeds from {args.seed} on."]
    print("\n".join(lines))

    begin = time.perf_counter()
    for name in args.sets:
        sounds = _sets.load(name)
        compared = extractors(sounds.sample_rate)
        print(f"\n{name}: {len(sounds.paths)} clips, {sounds.protocol}", flush=True)
        running = compare_extractors(
            compared,
            sounds.paths,
            sounds.labels,
            splits=sounds.splits,
            draws=args.draws,
            random_state=args.seed,
            data=name,
            finished=list(table.values()),
            progress=_progress,
        )
        for line in table_lines(_kept(running, table, csv_path)):
            _progress("")
            print(line, flush=True)
        for key in [key for key in table if key[0] == name and key[1] not in compared]:
            del table[key]  # an extractor that is no longer compared
        _write(table, args.out, lines)
    print(f"\n{time.perf_counter() - begin:.0f} s; written to {args.out}")


def _arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = _sets.SETS + _sets.MORE_SETS
    parser.add_argument(
        "--sets", nargs="+", choices=known, default=_sets.SETS, metavar="SET", help=", ".join(known)
    )
    parser.add_argument("--draws", type=int, default=3, help="random draws of each network")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first draw")
    parser.add_argument("--fresh", action="store_true", help="take no row from an earlier run")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).parent / "results",
        help="folder of compare.csv, compare.md and compare.png",
    )
    return parser.parse_args()


def extractors(native_rate):
    """Return what is compared.

    Parameters
    ----------
    native_rate : int
        Sample rate of the files of the set in Hz.

    Returns
    -------
    extractors : dict of str to transformer
        Six MFCC variants, and all designs with plain defaults; the default one comes first.
    """
    compared = {}
    for title, rate in (("12 kHz", 12000), ("16 kHz", 16000), ("native", native_rate)):
        compared[f"MFCC-120 {title}"] = MFCCTransformer(sample_rate=rate)
        compared[f"MFCC-60 {title}"] = _mfcc_60(rate)
    networks = random_networks()
    compared[DEFAULT] = networks.pop("vgg")
    return compared | networks


def _mfcc_60(sample_rate):
    """Return mean and deviation of 20 MFCCs and the deviation of their differences."""
    mfcc = MFCCTransformer(sample_rate=sample_rate, n_deltas=1)
    names = mfcc.fit([np.zeros(sample_rate)]).get_feature_names_out()
    columns = [i for i, name in enumerate(names) if not name.endswith("_delta1_mean")]
    select = FunctionTransformer(np.take, kw_args={"indices": columns, "axis": 1})
    return make_pipeline(mfcc, select)


def _kept(running, table, csv_path) -> Iterable:
    """Hand rows on, each saved first."""
    for row in running:
        table[row.data, row.extractor] = row
        write_rows(table.values(), csv_path)
        yield row


def _progress(text):
    """Show what is being done in one passing line, on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text[:78]:78}\r{text[:78]}")
        sys.stderr.flush()


def about():
    """Return machine and versions as lines.

    Returns
    -------
    lines : list of str
        Two sentences for the head of a result file.
    """
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return [
        f"Machine: {_processor()}, {os.cpu_count()} cores; {platform.system()}.",
        f"Versions: skaudio {__version__}, Python {platform.python_version()}, {versions}.",
    ]


def _processor():
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _write(table, folder, head):
    """Write compare.md and compare.png, for the sets that are complete."""
    # Sets that an interrupted run left unfinished wait in the CSV file alone.
    compared = extractors(16000)
    done = [n for n in _sets.SETS + _sets.MORE_SETS if all((n, e) in table for e in compared)]
    rows = [table[name, extractor] for name in done for extractor in compared]
    (folder / "compare.md").write_text("\n".join(_markdown(rows, done, head)), encoding="utf-8")
    display = ComparisonDisplay.from_rows(_drawn(rows, done)).plot()
    display.figure_.savefig(folder / "compare.png", dpi=120)


def _best_mfcc(rows, name):
    """Return the row of the best MFCC variant on one set."""
    mfcc = [row for row in rows if row.data == name and row.extractor.startswith("MFCC")]
    return max(mfcc, key=lambda row: row.accuracy)


def _drawn(rows, order):
    """Return the rows of the picture: the MFCC variants make one bar, their best."""
    drawn = []
    for name in order:
        best = _best_mfcc(rows, name)
        drawn.append(replace(best, extractor=BEST_MFCC))
        drawn += [row for row in rows if row.data == name and not row.extractor.startswith("MFCC")]
    return drawn


def _markdown(rows, order, head):
    """Return the table of all sets, line by line."""
    cells = {(row.data, row.extractor): row for row in rows}
    names = list(dict.fromkeys(row.extractor for row in rows))
    yield "# MFCC and random networks on the open sets\n"
    yield "Accuracy, mean ± standard deviation over the draws; bold: the best of the set."
    yield "Classifier: `make_pipeline(StandardScaler(), SVC(C=8))`. Made by"
    yield "`python benchmarks/compare.py`, which also wrote the rows (compare.csv, with balanced"
    yield "accuracy, feature counts and seconds per hour of audio) and the picture (compare.png).\n"
    yield from (f"- {line}" for line in head)
    yield "\n| extractor | features | " + " | ".join(order) + " |"
    yield "|---|---:|" + "---|" * len(order)
    best = {name: max(row.accuracy for row in rows if row.data == name) for name in order}
    for extractor in names:
        line = []
        for name in order:
            row = cells[name, extractor]
            text = score_text(row.accuracy, row.accuracy_std, row.draws)
            line.append(f"**{text}**" if row.accuracy == best[name] else text)
        yield f"| {extractor} | {row.n_features} | " + " | ".join(line) + " |"
    chances = (f"{cells[name, DEFAULT].chance:.3f}" for name in order)
    yield "| (chance) | | " + " | ".join(chances) + " |"

    yield "\n| | " + " | ".join(order) + " | median |"
    yield "|---|" + "---|" * (len(order) + 1)
    mfcc = [_best_mfcc(rows, name) for name in order]
    default = [cells[name, DEFAULT] for name in order]
    gains = [100 * (d.accuracy - m.accuracy) for d, m in zip(default, mfcc, strict=True)]
    yield f"| {BEST_MFCC} | " + " | ".join(f"{row.accuracy:.3f}" for row in mfcc) + " | |"
    yield "| which | " + " | ".join(row.extractor[5:] for row in mfcc) + " | |"
    yield f"| {DEFAULT} | " + " | ".join(f"{row.accuracy:.3f}" for row in default) + " | |"
    median = f"**{np.median(gains):+.1f}**"
    yield "| advantage, points | " + " | ".join(f"{g:+.1f}" for g in gains) + f" | {median} |"
    yield f"\nThe default is ahead of the best MFCC on {sum(g > 0 for g in gains)} of {len(gains)}."
    yield ""


if __name__ == "__main__":
    main()
