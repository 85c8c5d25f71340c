"""Which features suit which sounds: skaudio's extractors and its rivals on the six open sets.

    SKAUDIO_DATA=path/to/the/sets python benchmarks/compare.py

Each row is an extractor followed by a classifier, under the splits of the set: the support vector
machine ``make_pipeline(StandardScaler(), SVC(C=8))``, and an extreme learning machine whose size
and penalty are chosen inside each training part. Both let the blocks of a union count alike, by
`skaudio.BlockScaler`. The rivals in requirements.txt are measured if
they are installed; rows of those that are not stay in the file. Rows of an earlier run with the
same configuration are not computed again, so an interrupted run continues where it stopped;
--fresh computes everything again.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import _rivals
import _sets
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skaudio import MFCCTransformer, __version__
from skaudio.compare import (
    TunedELM,
    compare_extractors,
    random_networks,
    read_rows,
    score_text,
    standard_extractors,
    standard_svm,
    table_lines,
    write_rows,
)
from skaudio.plotting import ComparisonDisplay

DEFAULT = "vgg (default)"
UNION = "prosody + MFCC + vgg"
BEST_MFCC = "best MFCC"
CLASSIFIERS = {"SVM": standard_svm(), "ELM": TunedELM()}
PACKAGES = ("numpy", "scikit-learn", "torch", "librosa", "soxr", *_rivals.PACKAGES)


def main():
    """Run the comparison and write table, rows and picture."""
    args = _arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    csv_path = args.out / "compare.csv"
    table = {}
    if csv_path.exists() and not args.fresh:
        table = {_key(row): row for row in read_rows(csv_path)}
    lines = [*about(), f"Random draws: {args.draws}, seeds from {args.seed} on."]
    print("\n".join(lines))

    begin = time.perf_counter()
    for name in args.sets:
        sounds = _sets.load(name)
        compared = extractors(sounds.sample_rate)
        print(f"\n{name}: {len(sounds.data)} clips, {sounds.protocol}", flush=True)
        running = compare_extractors(
            compared,
            sounds.data,
            sounds.labels,
            splits=sounds.splits,
            classifiers=CLASSIFIERS,
            groups=sounds.groups,
            draws=args.draws,
            random_state=args.seed,
            data=name,
            finished=list(table.values()),
            progress=_progress,
        )
        for line in table_lines(_saved(running, table, csv_path)):
            _progress("")
            print(line, flush=True)
        _write(table, args.out, lines)
    print(f"\n{time.perf_counter() - begin:.0f} s; written to {args.out}")


def _key(row):
    return row.data, row.extractor, row.classifier


def _arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=_sets.SETS, default=[*_sets.SETS])
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
    """Return the extractors to compare.

    Parameters
    ----------
    native_rate : int
        Sample rate of the files of the set in Hz.

    Returns
    -------
    extractors : dict of str to transformer
        Fifteen MFCC variants, all designs with plain defaults (the default one comes first), the
        union of prosody with both, and the rivals that are installed.
    """
    compared = {}
    for title, rate in (("12 kHz", 12000), ("16 kHz", 16000), ("native", native_rate)):
        compared[f"MFCC-120 {title}"] = MFCCTransformer(sample_rate=rate)
        compared[f"MFCC-60 {title}"] = _mfcc(rate)
        compared[f"MFCC-100 max {title}"] = _mfcc(rate, "mean_std_max")
        compared[f"MFCC-120 dct4 {title}"] = _mfcc(rate, ["mean_std", "dct4"])
        compared[f"MFCC-280 dct12 {title}"] = _mfcc(rate, ["mean_std", "dct12"])
    networks = random_networks()
    compared[DEFAULT] = networks.pop("vgg")
    union = {UNION: standard_extractors()[UNION]}
    return compared | networks | union | _rivals.rivals(native_rate)


def _mfcc(sample_rate, pooling="mean_std"):
    """Return 20 MFCCs, pooled, and the deviation (and maximum) of their differences."""
    mfcc = MFCCTransformer(sample_rate=sample_rate, n_deltas=1, pooling=pooling)
    names = mfcc.fit([np.zeros(sample_rate)]).get_feature_names_out()
    wanted = ("_std", "_max")  # of differences; their mean is about zero
    columns = [i for i, name in enumerate(names) if "delta" not in name or name.endswith(wanted)]
    select = FunctionTransformer(np.take, kw_args={"indices": columns, "axis": 1})
    return make_pipeline(mfcc, select)


def _saved(running, table, csv_path) -> Iterable:
    """Yield rows, each after it has been saved."""
    for row in running:
        table[_key(row)] = row
        write_rows(table.values(), csv_path)
        yield row


def _progress(text):
    """Show the current step in a status line, on a terminal only."""
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
    versions = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    return [
        f"Machine: {_processor()}, {os.cpu_count()} cores; {platform.system()}.",
        f"Versions: skaudio {__version__}, Python {platform.python_version()}, {versions}.",
    ]


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _processor():
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _write(table, folder, head):
    """Write compare.md and compare.png, for the sets that are complete."""
    # sets that an interrupted run has not finished are only in the CSV file
    compared = extractors(16000)
    done = [
        name
        for name in _sets.SETS
        if all((name, e, c) in table for e in compared for c in CLASSIFIERS)
    ]
    # rows of rivals that are not installed now are from an earlier run, and still valid
    names = list(dict.fromkeys([*compared, *(e for _, e, _ in table if _is_rival(e))]))
    rows = [
        table[name, e, c]
        for name in done
        for e in names
        for c in CLASSIFIERS
        if (name, e, c) in table
    ]
    (folder / "compare.md").write_text("\n".join(_markdown(rows, done, head)), encoding="utf-8")
    display = ComparisonDisplay.from_rows(_drawn(rows)).plot()
    display.figure_.savefig(folder / "compare.png", dpi=120)


def _is_rival(extractor):
    return extractor.startswith(("librosa", "openSMILE", "aeon"))


def _is_mfcc(extractor):
    return extractor.startswith("MFCC")


def _best(rows, name, wanted):
    """Return the row of the highest accuracy on one set among the wanted extractors."""
    return max(
        (row for row in rows if row.data == name and wanted(row.extractor)),
        key=lambda row: row.accuracy,
    )


def _drawn(rows):
    """Return the rows of the picture: the MFCC variants make one bar, their best."""
    best = {}
    for row in filter(lambda row: _is_mfcc(row.extractor), rows):
        key = row.data, row.classifier
        if key not in best or row.accuracy > best[key].accuracy:
            best[key] = replace(row, extractor=BEST_MFCC)
    return [*best.values(), *(row for row in rows if not _is_mfcc(row.extractor))]


def _markdown(rows, order, head):
    """Return the tables of all sets, line by line."""
    yield "# Random networks, MFCC and their rivals on the open sets\n"
    yield "Accuracy, mean ± standard deviation over the draws; bold: the best of the set in this"
    yield "table. Made by `python benchmarks/compare.py`, which also wrote the rows (compare.csv,"
    yield "with balanced accuracy and seconds per hour of audio) and the picture (compare.png)."
    yield "`BlockScaler` lets the eight blocks of the union count alike for both classifiers.\n"
    yield from (f"- {line}" for line in head)
    titles = {
        "SVM": "Support vector machine: `make_pipeline(StandardScaler(), SVC(C=8))`",
        "ELM": "Extreme learning machine: `TunedELM()`, settings chosen in the training parts",
    }
    for classifier, title in titles.items():
        yield f"\n## {title}\n"
        yield from _table([row for row in rows if row.classifier == classifier], order)
    yield "\n## The best of each\n"
    yield from _summary(rows, order)
    yield ""


def _table(rows, order):
    """Return one table, a line per extractor."""
    cells = {(row.data, row.extractor): row for row in rows}
    best = {name: _best(rows, name, lambda extractor: True).accuracy for name in order}
    yield "| extractor | features | " + " | ".join(order) + " |"
    yield "|---|---:|" + "---|" * len(order)
    for extractor in dict.fromkeys(row.extractor for row in rows):
        line, n_features = [], None
        for name in order:
            row = cells.get((name, extractor))
            text = "" if row is None else score_text(row.accuracy, row.accuracy_std, row.draws)
            line.append(f"**{text}**" if row and row.accuracy == best[name] else text)
            n_features = row.n_features if row else n_features
        yield f"| {extractor} | {n_features} | " + " | ".join(line) + " |"
    chances = (f"{next(r.chance for r in rows if r.data == name):.3f}" for name in order)
    yield "| (chance) | | " + " | ".join(chances) + " |"


def _summary(rows, order):
    """Return the best rows of skaudio, of its MFCC and of its rivals, with either classifier."""
    kinds = {
        "best of skaudio": lambda e: not _is_rival(e),
        DEFAULT: lambda e: e == DEFAULT,
        BEST_MFCC: _is_mfcc,
        "best rival": _is_rival,
    }
    best = {kind: [_best(rows, name, wanted) for name in order] for kind, wanted in kinds.items()}
    yield "| | " + " | ".join(order) + " |"
    yield "|---|" + "---|" * len(order)
    for kind, line in best.items():
        cells = (f"{row.accuracy:.3f} ({row.extractor}, {row.classifier})" for row in line)
        yield f"| {kind} | " + " | ".join(cells) + " |"
    for one, other in (("best of skaudio", "best rival"), (DEFAULT, BEST_MFCC)):
        pairs = zip(best[one], best[other], strict=True)
        gains = [100 * (a.accuracy - b.accuracy) for a, b in pairs]
        yield (
            f"| {one} over {other}, points | " + " | ".join(f"{gain:+.1f}" for gain in gains) + " |"
        )


if __name__ == "__main__":
    main()
