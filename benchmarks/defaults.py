"""How the defaults of RandomCNNTransformer were chosen: one parameter changed at a time.

    SKAUDIO_DATA=path/to/the/sets python benchmarks/defaults.py

Every row is the default network with one change, scored on the six open sets with
``make_pipeline(StandardScaler(), SVC(C=8))`` under the splits of benchmarks/compare.py, mean of
several seeds. Rows of an earlier run with the same configuration are not computed again.
"""

import argparse
import time
from pathlib import Path

import _sets
import joblib
import numpy as np
from compare import about
from threadpoolctl import threadpool_limits

from skaudio import RandomCNNTransformer
from skaudio.compare import compare_extractors, read_rows, standard_svm, write_rows
from skaudio.networks.vgg import PAPER_POOLS

DEFAULT = "default"
CHANGES = {
    DEFAULT: {},
    "n_bands=1": {"n_bands": 1},
    "n_bands=4": {"n_bands": 4},
    "n_bands=16": {"n_bands": 16},
    "n_filters=32": {"n_filters": 32},
    "n_filters=128": {"n_filters": 128},
    "pools of the paper": {"pools": PAPER_POOLS},
    "normalize=None": {"normalize": None},
    "normalize='dataset'": {"normalize": "dataset"},
    "pooling='mean'": {"pooling": "mean"},
    "pooling='mean_std'": {"pooling": "mean_std"},
    "sample_rate=22050": {"sample_rate": 22050},
    "sample_rate=44100, n_fft=1024, hop_length=512": {
        "sample_rate": 44100,
        "n_fft": 1024,
        "hop_length": 512,
    },
    "design='single'": {"design": "single"},
    "design='timbral_temporal'": {"design": "timbral_temporal"},
}


def main():
    """Run the study and write its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=_sets.SETS, default=[*_sets.SETS])
    parser.add_argument("--draws", type=int, default=3, help="number of seeds")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--n-jobs", type=int, default=2, help="rows worked out at a time")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    csv_path = args.out / "defaults.csv"
    finished = read_rows(csv_path) if csv_path.exists() else []
    begin = time.perf_counter()
    jobs = (
        joblib.delayed(_row)(name, change, data, args.draws, args.seed, finished)
        for name, change in CHANGES.items()
        for data in args.sets
    )
    rows = []
    for row in joblib.Parallel(args.n_jobs, return_as="generator")(jobs):
        rows.append(row)
        print(f"{row.extractor:48}{row.data:22}{row.accuracy:.3f}", flush=True)
        write_rows(rows + [old for old in finished if old not in rows], csv_path)
    write_rows(rows, csv_path)
    table = [*_markdown(rows, args)]
    (args.out / "defaults.md").write_text("\n".join(table), encoding="utf-8")
    print("\n".join(table), f"\n{time.perf_counter() - begin:.0f} s")


def _row(name, change, data, draws, seed, finished):
    """Score one change on one set."""
    sounds = _sets.load(data)
    with threadpool_limits(1):
        rows = compare_extractors(
            {name: RandomCNNTransformer(**change)},
            sounds.data,
            sounds.labels,
            splits=sounds.splits,
            classifiers={"SVM": standard_svm()},
            draws=draws,
            random_state=seed,
            data=data,
            finished=finished,
        )
        return next(iter(rows))


def _markdown(rows, args):
    """Return the table, line by line: accuracies, and the median gain of the default."""
    accuracy = {(row.extractor, row.data): 100 * row.accuracy for row in rows}
    spread = {(row.extractor, row.data): 100 * row.accuracy_std for row in rows}
    n_features = {row.extractor: row.n_features for row in rows}
    yield "# The defaults of RandomCNNTransformer, one change at a time\n"
    yield f"Accuracy in percent, mean ± deviation of {args.draws} draws, seeds from {args.seed} on."
    yield "Last column: what the change costs (-) or gains (+) against the default, median over the"
    yield "sets. Classifier and splits as in compare.md. Made by `python benchmarks/defaults.py`.\n"
    yield from (f"- {line}" for line in about())
    yield "\n| change | features | " + " | ".join(args.sets) + " | median |"
    yield "|---|---:|" + "---:|" * (len(args.sets) + 1)
    for name in CHANGES:
        gain = np.median([accuracy[name, data] - accuracy[DEFAULT, data] for data in args.sets])
        cells = " | ".join(
            f"{accuracy[name, data]:.1f} ± {spread[name, data]:.1f}" for data in args.sets
        )
        yield f"| {name} | {n_features[name]} | {cells} | {gain:+.1f} |"
    yield ""


if __name__ == "__main__":
    main()
