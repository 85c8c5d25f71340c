"""What bfloat16 costs in accuracy: the default network on the six open sets, in both precisions.

    SKAUDIO_DATA=path/to/the/sets python benchmarks/precision.py

With ``make_pipeline(StandardScaler(), SVC(C=8))`` under the splits of benchmarks/compare.py, mean
of several seeds, the same for both.
"""

import argparse
from pathlib import Path

import _sets
import joblib
import numpy as np
from compare import about
from threadpoolctl import threadpool_limits

from skaudio import RandomCNNTransformer
from skaudio.compare import compare_extractors, standard_svm

PRECISIONS = ("float32", "bfloat16")


def main():
    """Score both precisions and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=_sets.SETS, default=[*_sets.SETS])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    jobs = (joblib.delayed(_accuracies)(data, args.draws) for data in args.sets)
    scores = 100 * np.array(joblib.Parallel(2)(jobs))  # (sets, precisions)
    lines = [*about(), f"Accuracy in percent, mean of {args.draws} draws.", ""]
    lines.append("| | " + " | ".join((*args.sets, "mean")) + " |")
    lines.append("|---|" + "---:|" * (len(args.sets) + 1))
    rows = dict(zip(PRECISIONS, scores.T, strict=True))
    rows["difference"] = scores[:, 1] - scores[:, 0]
    for name, row in rows.items():
        form = "+.2f" if name == "difference" else ".2f"
        cells = (f"{value:{form}}" for value in (*row, row.mean()))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    text = "\n".join(lines) + "\n"
    print(text)
    (args.out / "precision.md").write_text(text, encoding="utf-8")


def _accuracies(data, draws):
    """Accuracy in each precision on one set."""
    sounds = _sets.load(data)
    with threadpool_limits(1):
        rows = compare_extractors(
            {name: RandomCNNTransformer(precision=name) for name in PRECISIONS},
            sounds.data,
            sounds.labels,
            splits=sounds.splits,
            classifiers={"SVM": standard_svm()},
            draws=draws,
        )
        return [row.accuracy for row in rows]


if __name__ == "__main__":
    main()
