"""Value of poolings that depend on order in time, compared with means, deviations and maxima.

    SKAUDIO_DATA=path/to/the/sets python benchmarks/order.py

Every row is one extractor with one pooling, scored under the splits of benchmarks/compare.py with
its classifiers. Beside the poolings of skaudio there are three that it does not offer: means of
three equal parts, slope and curvature over the clip, and magnitudes of its first six Fourier
coefficients over time. Rows of an earlier run, or of benchmarks/compare.py, with the same
configuration are not computed again.
"""

import argparse
import math
import time
from functools import partial
from pathlib import Path

import _sets
import joblib
import numpy as np
import torch
from compare import CLASSIFIERS, about
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from skaudio import MFCCTransformer, RandomCNNTransformer, pooling
from skaudio.compare import compare_extractors, read_rows, write_rows

FAMILIES = {
    "MFCC": MFCCTransformer(n_deltas=0),
    "MFCC, delta": MFCCTransformer(n_deltas=1),
    "MFCC, 2 deltas": MFCCTransformer(n_deltas=2),
    "vgg": RandomCNNTransformer(),
    "vgg, 32 filters": RandomCNNTransformer(n_filters=32),
    "single": RandomCNNTransformer("single"),
    "single, 256 filters": RandomCNNTransformer("single", n_filters=256),
    "timbral_temporal": RandomCNNTransformer("timbral_temporal"),
    "temporal": RandomCNNTransformer("temporal"),
}
PLAIN = ("mean", "mean_std", "mean_std_max")
ORDERED = (
    *(f"dct{n}" for n in (2, 3, 4, 6, 8, 12)),
    "pyramid",
    "course",
    "thirds",
    "polynomial",
    "modulation",
)
POOLINGS = {name: name for name in (*PLAIN, *ORDERED)} | {
    f"{plain} + {name}": [plain, name]
    for plain in PLAIN
    for name in ORDERED
    if plain != "mean" or name in ("polynomial", "modulation")
}


def main():
    """Run the study and write its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=_sets.SETS, default=[*_sets.SETS])
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=[*FAMILIES])
    parser.add_argument("--poolings", nargs="+", choices=POOLINGS, default=[*POOLINGS])
    parser.add_argument("--classifiers", nargs="+", choices=CLASSIFIERS, default=["SVM"])
    parser.add_argument("--draws", type=int, default=3, help="number of seeds")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--n-jobs", type=int, default=2, help="extractors worked on at a time")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    csv_path = args.out / "order.csv"
    earlier = read_rows(csv_path) if csv_path.exists() else []
    rows = {(row.data, row.extractor, row.classifier): row for row in earlier}
    finished = earlier + read_rows(Path(__file__).parent / "results" / "compare.csv")
    begin = time.perf_counter()
    jobs = (
        joblib.delayed(_rows)(family, data, args, finished)
        for data in args.sets
        for family in args.families
    )
    for some in joblib.Parallel(args.n_jobs, return_as="generator_unordered")(jobs):
        rows |= {(row.data, row.extractor, row.classifier): row for row in some}
        write_rows(rows.values(), csv_path)
        print(f"{time.perf_counter() - begin:6.0f} s", some[0].data, some[0].extractor, flush=True)
    table = "\n".join(_markdown(rows))
    (args.out / "order.md").write_text(table, encoding="utf-8")
    print(table)


def _rows(family, data, args, finished):
    """Score poolings of one extractor on one set."""
    _offer_neighbours()
    sounds = _sets.load(data)
    compared = {
        f"{family}: {name}": clone(FAMILIES[family]).set_params(pooling=POOLINGS[name])
        for name in args.poolings
    }
    with threadpool_limits(1):
        rows = compare_extractors(
            compared,
            sounds.data,
            sounds.labels,
            splits=sounds.splits,
            classifiers={name: CLASSIFIERS[name] for name in args.classifiers},
            groups=sounds.groups,
            draws=args.draws,
            random_state=args.seed,
            data=data,
            finished=finished,
        )
        return list(rows)


# --- poolings that skaudio does not offer -----------------------------------------------------


def _offer_neighbours():
    """Register three more poolings for the extractors in this process."""
    parts = {
        "thirds": {f"third{i + 1}": partial(_weighted, partial(_third, i)) for i in range(3)},
        "polynomial": {"slope": partial(_weighted, _slope), "curve": partial(_weighted, _curve)},
        "modulation": {f"periods{k}": partial(_periods, k) for k in range(1, 7)},
    }
    for name, functions in parts.items():
        pooling.NAMED[name] = tuple(functions)
        pooling._POOLS |= functions


def _weighted(weight, x, lengths):
    """Mean of frames times weights, which are a function of the time from -1 to 1."""
    rows = []
    for clip, n in zip(x, lengths.tolist(), strict=True):
        weights = weight((2 * torch.arange(n).double() + 1) / max(n, 1) - 1) / max(n, 1)
        rows.append(clip[:, :n].double() @ weights)
    return torch.stack(rows).to(x.dtype)


def _periods(k, x, lengths):
    """Magnitude of the Fourier coefficient of k periods in a clip."""
    cosine, sine = (
        _weighted(lambda u, wave=wave: wave(math.pi * k * u), x, lengths)
        for wave in (torch.cos, torch.sin)
    )
    return torch.hypot(cosine, sine)


def _third(i, u):
    # the fraction of a frame, which lasts 2 / n, that is in the third
    begin, end, half = -1 + 2 * i / 3, -1 + 2 * (i + 1) / 3, 1 / max(len(u), 1)
    inside = (u + half).clamp(max=end) - (u - half).clamp(min=begin)
    return 3 * inside.clamp(min=0) / (2 * half)


def _slope(u):
    return math.sqrt(3) * u


def _curve(u):
    return math.sqrt(5) * (3 * u.square() - 1) / 2


# --- the table --------------------------------------------------------------------------------


def _markdown(rows):
    """Return the tables, line by line: accuracies, and the median gain over the plain pooling."""
    yield "# Poolings that know the order in time\n"
    yield "Accuracy in percent, mean ± deviation over the draws where there are several. Splits"
    yield "and classifiers as in compare.md. Last columns: median and mean, over the sets that have"
    yield "both, of the gain over `mean_std_max` (MFCC: `mean_std`). Made by"
    yield "`python benchmarks/order.py`.\n"
    yield from (f"- {line}" for line in about())
    for classifier in CLASSIFIERS:
        for family in FAMILIES:
            yield from _table(rows, family, classifier)
    yield ""


def _table(rows, family, classifier):
    """Return the table of one extractor with one classifier, if it has rows."""
    plain = "mean_std" if family.startswith("MFCC") else "mean_std_max"
    lines = []
    for name in POOLINGS:
        found = {data: rows.get((data, f"{family}: {name}", classifier)) for data in _sets.SETS}
        if not any(found.values()):
            continue
        base = {data: rows.get((data, f"{family}: {plain}", classifier)) for data in _sets.SETS}
        cells = [_percent(row) if row else "" for row in found.values()]
        gains = [
            100 * (found[data].accuracy - base[data].accuracy)
            for data in _sets.SETS
            if found[data] and base[data]
        ]
        n_features = next(row.n_features for row in found.values() if row)
        cells += [f"{np.median(gains):+.1f} | {np.mean(gains):+.1f}"] if gains else [" | "]
        lines.append(f"| {name} | {n_features} | " + " | ".join(cells) + " |")
    if lines:
        yield f"\n## {family}, {classifier}\n"
        yield "| pooling | features | " + " | ".join(_sets.SETS) + " | median | mean |"
        yield "|---|---:|" + "---:|" * (len(_sets.SETS) + 2)
        yield from lines


def _percent(row):
    """Return an accuracy as text."""
    spread = f" ± {100 * row.accuracy_std:.1f}" if row.draws > 1 else ""
    return f"{100 * row.accuracy:.1f}{spread}"


if __name__ == "__main__":
    main()
