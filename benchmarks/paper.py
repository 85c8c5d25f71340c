"""The protocol of Pons & Serra (arXiv:1805.00237) on your copies of its three data sets.

    python benchmarks/paper.py gtzan FOLDER
    python benchmarks/paper.py extended_ballroom FOLDER --designs temporal mfcc
    python benchmarks/paper.py urbansound8k FOLDER --features 120 --memory build/features

Random networks and MFCCs, a support vector machine (SVM) and an extreme learning machine (ELM) on
the unscaled features. Each row is printed as soon as it is known, in percent beside the published
accuracy, and saved in paper_SET_FEATURES.csv. With --memory an interrupted run reuses its features.

GTZAN, fault-filtered: the setting is chosen on the validation part; the model with it is fitted to
the train part only and scored on the test part. The others: the best accuracy of the grid, on the
same folds that chose it. That is too optimistic; --nested adds the accuracy with settings chosen
inside each training part, in three folds of its own.

Where the paper does not say, its code is followed (github.com/jordipons/elmarc):

- Log-mel inputs have 1404 frames on GTZAN and 1376 elsewhere, waves 350 000 samples. Shorter
  clips are repeated. UrbanSound8K gets this length too: VGG cannot read its 4 s otherwise.
- SVM: each clip counts once, whatever the sizes of the folds. ELM: the mean over the folds. Of
  equal settings the first of the grid is taken, for the SVM with C as the outer loop.
- Every fit of an ELM has a new hidden layer; here all of them follow from the seed of the row.
- Frame-level vectors are the collapsed ones of the published code (``reference=True``).
"""

import argparse
import csv
import time
from functools import partial
from pathlib import Path

import numpy as np
from compare import about
from sklearn.svm import SVC

from skaudio import ELMClassifier, MFCCTransformer, RandomCNNTransformer
from skaudio.compare import TunedSVM, inner_folds
from skaudio.datasets import load_extended_ballroom, load_gtzan, load_urbansound8k

LOADERS = {
    "gtzan": load_gtzan,
    "extended_ballroom": load_extended_ballroom,
    "urbansound8k": load_urbansound8k,
}
MFCC = "mfcc"
# Percent, SVM and ELM on each of the three sets, with about 3500 features (MFCC: 120); most are
# read off the charts, to a quarter of a point.
PUBLISHED = {
    "vgg": (59.65, 43.7, 71.4, 69.7, 70.74, 66.8),
    "7x96": (45.1, 43.0, 60.6, 56.2, 57.0, 57.8),
    "7x86": (53.2, 42.2, 65.3, 57.6, 63.1, 59.7),
    "timbral": (52.4, 46.8, 64.3, 56.9, 62.6, 60.7),
    "temporal": (43.9, 36.5, 89.82, 89.9, None, None),
    "timbral_temporal": (56.7, 50.1, 81.5, 78.5, 64.2, 62.8),
    "sample_level": (50.5, 47.9, 71.0, 65.7, 58.6, 57.6),
    "frame_level": (39.9, 37.7, 38.7, 38.7, 38.6, 42.0),
    "frame_level_many": (44.4, 39.2, 41.4, 40.7, 45.2, 46.7),
    MFCC: (53.4, None, 63.3, None, 65.4, None),
}
KERNELS = {"7x96": (7, 96), "7x86": (7, 86)}
FEATURES = {3500: 3585, 120: 120}  # `n_features` that gives `from_paper` the published widths
ELM_SIZES = (100, 250, 500, 1200, 1800, 2500)


def main():
    """Run the protocol and write its table."""
    args = _arguments()
    sounds = LOADERS[args.set](args.folder)
    y = np.array(sounds.target)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"paper_{args.set}_{args.features}.csv"
    rows = _read(path)
    print("\n".join(about()))
    print(f"\n{args.set}: {len(y)} clips; accuracy in percent, mean ± deviation of the draws")
    if args.set != "gtzan":
        print("accuracy: of the best setting on the very folds that chose it, which flatters")
    print(f"{'design':18}{'features':>8}  {'classifier':12}{'accuracy':14}{'nested':14}published")
    begin = time.perf_counter()
    for design in args.designs:
        for row in design_rows(design, sounds, y, args):
            rows[row["design"], row["classifier"]] = row
            _write([*rows.values()], path)
            print(_line(row), flush=True)
    print(f"\n{time.perf_counter() - begin:.0f} s; written to {path}")


def _arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=LOADERS)
    parser.add_argument("folder", type=Path, help="where the set was unpacked")
    parser.add_argument("--designs", nargs="+", choices=PUBLISHED, default=[*PUBLISHED])
    parser.add_argument("--features", type=int, choices=FEATURES, default=3500)
    parser.add_argument("--draws", type=int, default=3, help="random draws, seeds from 0 on")
    parser.add_argument("--nested", action="store_true", help="about four times the classifiers")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--memory", type=Path, help="folder to cache features in")
    parser.add_argument("--n-jobs", type=int, help="processes of extractors, threads of the SVM")
    args = parser.parse_args()
    if args.draws < 1:
        parser.error(f"--draws is {args.draws}; at least 1 is needed")
    return args


def design_rows(design, sounds, y, args):
    """Score both classifiers on the features of one design.

    Parameters
    ----------
    design : str
        One of `PUBLISHED`.
    sounds : Bunch
        As its loader makes it.
    y : ndarray of shape (n_clips,)
        Classes.
    args : Namespace
        The command line.

    Returns
    -------
    rows : list of dict
        One for the SVM and one for the ELM.
    """
    scores = {"SVM": [], "ELM": []}
    for seed in range(args.draws):
        if seed == 0 or design != MFCC:  # nothing is random about MFCCs and their SVM
            made = extractor(design, args.set, args.features, seed)
            made.set_params(memory=args.memory, n_jobs=args.n_jobs)
            # in float64, as in SVC: unscaled squares are large, and their differences matter
            Z = made.fit_transform(sounds.data).astype(np.float64)
            svm = partial(search_svm, n_jobs=args.n_jobs)
            scores["SVM"].append(evaluate(svm, Z, y, sounds, args.nested))
        elm = partial(search_elm, rng=np.random.RandomState(seed))
        scores["ELM"].append(evaluate(elm, Z, y, sounds, args.nested))
    place = 2 * [*LOADERS].index(args.set)
    published = dict(zip(scores, PUBLISHED[design][place : place + 2], strict=True))
    if args.features != 3500 and design != MFCC:
        published = {}
    return [
        {
            "design": design,
            "n_features": Z.shape[1],
            "classifier": name,
            "draws": len(drawn),
            **_moments("accuracy", [reported for reported, _ in drawn]),
            **_moments("nested", [nested for _, nested in drawn]),
            "published": published.get(name),
        }
        for name, drawn in scores.items()
    ]


def extractor(design, data, n_features, seed):
    """Make the extractor of the paper for a set.

    Parameters
    ----------
    design : str
        One of `PUBLISHED`.
    data : str
        One of `LOADERS`.
    n_features : int
        One of `FEATURES`; the MFCCs are always 120.
    seed : int
        Determines the weights.

    Returns
    -------
    extractor : transformer
        Not fitted.
    """
    if design == MFCC:
        return MFCCTransformer(sample_rate=12000)
    settings = {"random_state": seed, "reference": True}
    if data == "gtzan" and not design.endswith(("_level", "_many")):
        settings["fixed_length"] = 1404
    if data == "urbansound8k":
        settings["temporal_kernels"] = (64, 32, 16, 8)
    if design in KERNELS:
        design, settings["kernel"] = "single", KERNELS[design]
    return RandomCNNTransformer.from_paper(design, FEATURES[n_features], **settings)


def evaluate(search, Z, y, sounds, nested=False):
    """Choose a setting and score it as the paper did on this set.

    Parameters
    ----------
    search : callable
        Takes features, classes and folds; returns a classifier that is not fitted, and its
        accuracy over the folds.
    Z : ndarray of shape (n_clips, n_features)
        Features.
    y : ndarray of shape (n_clips,)
        Classes.
    sounds : Bunch
        ``splits``, ``groups`` and, for GTZAN, ``validation``.
    nested : bool, default=False
        Whether each training part is to choose for itself too.

    Returns
    -------
    reported, nested : float, float or None
        The accuracy as in the paper, and that of the settings chosen inside the training parts.
    """
    if "validation" in sounds:
        ((train, test),) = sounds.splits
        rows = np.concatenate([train, sounds.validation])
        fold = np.split(np.arange(len(rows)), [len(train)])
        best, _ = search(Z[rows], y[rows], [fold])
        return best.fit(Z[train], y[train]).score(Z[test], y[test]), None
    _, reported = search(Z, y, sounds.splits)
    if not nested:
        return reported, None
    right = []
    for train, test in sounds.splits:
        groups = None if sounds.groups is None else sounds.groups[train]
        best, _ = search(Z[train], y[train], inner_folds(y[train], groups))
        right.append(best.fit(Z[train], y[train]).predict(Z[test]) == y[test])
    return reported, np.concatenate(right).mean()


def search_svm(Z, y, folds, n_jobs=None):
    """Find the best support vector machine of the paper's grid, on unscaled features.

    Parameters
    ----------
    Z : ndarray of shape (n_clips, n_features)
        Features.
    y : ndarray of shape (n_clips,)
        Classes.
    folds : list of (train, test)
        Folds that settings are scored on.
    n_jobs : int, default=None
        Threads.

    Returns
    -------
    classifier : SVC
        Not fitted.
    accuracy : float
        Its accuracy over the folds; each clip counts once.
    """
    tuned = TunedSVM(scale=False, cv=folds, n_jobs=n_jobs).fit(Z, y)
    # of equals: RBF kernels first, then the smallest C, then the first width
    accuracy, setting = max(
        zip(tuned.scores_, tuned.settings_, strict=True),
        key=lambda pair: (pair[0], pair[1]["kernel"] == "rbf", -pair[1]["C"]),
    )
    return SVC(**setting), accuracy


def search_elm(Z, y, folds, rng):
    """Find the best size of an extreme learning machine with the pseudo-inverse.

    Parameters
    ----------
    Z : ndarray of shape (n_clips, n_features)
        Features.
    y : ndarray of shape (n_clips,)
        Classes.
    folds : list of (train, test)
        Folds that sizes are scored on.
    rng : RandomState
        Generates the hidden layers, fit by fit.

    Returns
    -------
    classifier : ELMClassifier
        Not fitted.
    accuracy : float
        Its mean accuracy over the folds.
    """
    accuracies = []
    for size in ELM_SIZES:
        elm = ELMClassifier(size, alpha=0, random_state=rng)
        scores = [elm.fit(Z[a], y[a]).score(Z[b], y[b]) for a, b in folds]
        accuracies.append(np.mean(scores))
    best = ELM_SIZES[np.argmax(accuracies)]
    return ELMClassifier(best, alpha=0, random_state=rng), max(accuracies)


def _moments(name, accuracies):
    """Mean and deviation over the draws in percent; nothing if there are no accuracies."""
    if None in accuracies:
        return {name: None, f"{name}_std": None}
    mean, std = 100 * np.mean(accuracies), 100 * np.std(accuracies)
    return {name: round(float(mean), 2), f"{name}_std": round(float(std), 2)}


def _line(row):
    """Format a row for the terminal."""
    cells = [_cell(row, name) for name in ("accuracy", "nested")]
    published = "–" if row["published"] is None else row["published"]
    return (
        f"{row['design']:18}{row['n_features']:8}  {row['classifier']:12}"
        f"{cells[0]:14}{cells[1]:14}{published}"
    )


def _cell(row, name):
    if row[name] is None:
        return "–"
    return f"{row[name]:.1f}" + (f" ± {row[name + '_std']:.1f}" if row["draws"] > 1 else "")


def _read(path):
    """Rows of an earlier run, by design and classifier."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {(row["design"], row["classifier"]): row for row in csv.DictReader(file)}


def _write(rows, path):
    """Write all rows, in one step."""
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    unfinished.replace(path)


if __name__ == "__main__":
    main()
