"""Is the ranking of designs by random networks that of trained ones?

    SKAUDIO_DATA=path/to/the/sets python benchmarks/random_vs_trained.py

Pons & Serra compare architectures by networks with random weights, which is fast, and doubt that
the ranking survives training. Here each of the eight designs is measured on the six open sets,
under splits with no group on both sides: random weights and a support vector machine, at the usual
width and at that of the trained network; the trained network's features and the same machine; and
the trained network alone. Each training has so many minutes of one core, an hour in all on two.
Rows of an earlier run are not computed again, so an interrupted run continues where it stopped;
--fresh computes everything again.
"""

import argparse
import csv
import time
from itertools import groupby
from pathlib import Path

import _sets
import numpy as np
import torch
from compare import about
from joblib import Parallel, delayed
from scipy.stats import rankdata, spearmanr
from threadpoolctl import threadpool_limits

from skaudio import CNNTransformer, RandomCNNTransformer
from skaudio.compare import standard_svm
from skaudio.networks.designs import DESIGNS
from skaudio.plotting._style import COLOURS, MARKERS, new_panels

USUAL, RANDOM, TRAINED, ALONE = (
    "random, usual width",
    "random + SVM",
    "trained + SVM",
    "trained end to end",
)
SYSTEMS = (USUAL, RANDOM, TRAINED, ALONE)
COLUMNS = ("set", "design", "split", "system", "accuracy", "minutes", "of_a_core")


def main():
    """Measure what is missing, and write rows, table and picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=_sets.SETS, default=[*_sets.SETS])
    parser.add_argument("--designs", nargs="+", choices=DESIGNS, default=[*DESIGNS])
    parser.add_argument("--splits", type=int, default=2, help="how many of each set")
    parser.add_argument("--minutes", type=float, default=0.9, help="of a training")
    parser.add_argument("--n-jobs", type=int, default=2, help="networks worked on at a time")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    path = args.out / "random_vs_trained.csv"
    rows = []
    if path.exists() and not args.fresh:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [_numbers(row) for row in csv.DictReader(file)]
    done = {(row["set"], row["design"], row["split"]) for row in rows}
    begin = time.perf_counter()
    jobs = [
        delayed(_measured)(data, design, split, args.minutes)
        for split in range(args.splits)
        for data in args.sets
        for design in args.designs
        if (data, design, split) not in done
    ]
    for some in Parallel(args.n_jobs, return_as="generator_unordered")(jobs):
        rows += some
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        scores = ", ".join(f"{row['accuracy']:.3f}" for row in some)
        print(f"{time.perf_counter() - begin:6.0f} s", *[*some[0].values()][:3], scores, flush=True)
    text = "\n".join(_report(rows, args))
    (args.out / "random_vs_trained.md").write_text(text, encoding="utf-8")
    print(text)
    _plot(rows).savefig(args.out / "random_vs_trained.png", dpi=120)


def _numbers(row):
    kinds = {"split": int, "accuracy": float, "minutes": float, "of_a_core": float}
    return {name: kinds.get(name, str)(value) for name, value in row.items()}


def _measured(data, design, split, minutes):
    """Rows of one design on one split."""
    sounds = _sets.load(data)
    y = np.array(sounds.labels)
    parts = [([sounds.data[i] for i in part], y[part]) for part in sounds.splits[split]]
    (train, y_train), (test, y_test) = parts
    rate = min(sounds.sample_rate, 16000)
    width = DESIGNS[design].n_trained
    with threadpool_limits(1):
        torch.set_num_threads(1)
        extractors = {
            USUAL: RandomCNNTransformer(design, sample_rate=rate, random_state=split),
            RANDOM: RandomCNNTransformer(
                design, n_filters=width, sample_rate=rate, random_state=split
            ),
            TRAINED: CNNTransformer(
                design, sample_rate=rate, max_minutes=minutes, random_state=split
            ),
        }
        rows = []
        for system, extractor in extractors.items():
            begin, cpu = time.perf_counter(), time.process_time()
            extractor.fit(train, y_train)
            spent = (time.perf_counter() - begin) / 60
            share = (time.process_time() - cpu) / 60 / spent
            svm = standard_svm().fit(extractor.transform(train), y_train)
            accuracy = svm.score(extractor.transform(test), y_test)
            about = {"set": data, "design": design, "split": split, "system": system}
            rows.append({**about, "accuracy": accuracy, "minutes": spent, "of_a_core": share})
        accuracy = (extractor.predict(test) == y_test).mean()
        return [*rows, {**rows[-1], "system": ALONE, "accuracy": accuracy}]


def _means(rows):
    """Accuracy by (set, design, system), the mean over the splits."""
    key = [(row["set"], row["design"], row["system"]) for row in rows]
    return {k: np.mean([r["accuracy"] for r, other in zip(rows, key, strict=True) if other == k])
            for k in dict.fromkeys(key)}  # fmt: skip


def _report(rows, args):
    means = _means(rows)
    spent = [row["minutes"] for row in rows if row["system"] == TRAINED]
    least = min(row["of_a_core"] for row in rows if row["system"] == TRAINED)
    yield "# Is the ranking of designs by random networks that of trained ones?"
    yield ""
    splits = len({row["split"] for row in rows})
    yield "Accuracy in percent under splits with no group on both sides, mean over"
    yield f"{splits} of each set. A training begins with the weights of `random + SVM` and takes"
    yield f"{np.mean(spent):.1f} minutes (at most {args.minutes:g} and 25 epochs), in which it has"
    yield f"{least:.0%} of a core at least. Made by `python benchmarks/random_vs_trained.py`."
    yield ""
    yield from about()
    for data, some in groupby(sorted({k[:2] for k in means}), lambda pair: pair[0]):
        designs = [design for _, design in some]
        yield ""
        yield f"## {data}"
        yield ""
        yield f"| design | {' | '.join(SYSTEMS)} |"
        yield f"|---|{'---:|' * len(SYSTEMS)}"
        designs.sort(key=lambda design: -means[data, design, TRAINED])
        for design in designs:
            scores = (f"{100 * means[data, design, system]:.1f}" for system in SYSTEMS)
            yield f"| {design} | {' | '.join(scores)} |"
    yield ""
    yield "## Rank correlation (Spearman) over the designs"
    yield ""
    yield f"| set | {RANDOM} with {TRAINED} | {RANDOM} with {ALONE} | {USUAL} with {TRAINED} |"
    yield "|---|---:|---:|---:|"
    for data, values in _correlations(means).items():
        yield f"| {data} | {' | '.join(f'{value:+.2f}' for value in values)} |"
    yield ""


PAIRS = ((RANDOM, TRAINED), (RANDOM, ALONE), (USUAL, TRAINED))


def _correlations(means):
    """Rank correlations of each pair of systems, by set, and of the mean ranks over all sets."""
    sets = dict.fromkeys(data for data, _, _ in means)
    designs = [*dict.fromkeys(design for _, design, _ in means)]
    scores = {
        (data, system): [means[data, design, system] for design in designs]
        for data in sets
        for system in SYSTEMS
    }
    found = {
        data: [spearmanr(scores[data, a], scores[data, b]).statistic for a, b in PAIRS]
        for data in sets
    }
    ranks = {
        system: np.mean([rankdata(scores[data, system]) for data in sets], axis=0)
        for system in SYSTEMS
    }
    found["mean ranks over all sets"] = [spearmanr(ranks[a], ranks[b]).statistic for a, b in PAIRS]
    return found


def _plot(rows):
    means, correlations = _means(rows), _correlations(_means(rows))
    sets = [*dict.fromkeys(data for data, _, _ in means)]
    designs = [design for design in DESIGNS if any(design in key for key in means)]
    axes = new_panels(None, len(sets), most=3, width=3.6, height=3.4)
    for ax, data in zip(axes, sets, strict=True):
        for i, design in enumerate(designs):
            pair = [100 * means[data, design, system] for system in (RANDOM, TRAINED)]
            style = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i]}
            ax.plot(*pair, linestyle="", label=design, **style)
        low, high = min(ax.get_xlim()[0], ax.get_ylim()[0]), max(ax.get_xlim()[1], ax.get_ylim()[1])
        ax.plot([low, high], [low, high], color="0.8", linewidth=0.8, zorder=0)
        ax.set_title(f"{data}, ρ = {correlations[data][0]:+.2f}", fontsize="medium")
        ax.set(xlabel="random + SVM (%)", ylabel="trained + SVM (%)")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    return axes[0].figure


if __name__ == "__main__":
    main()
