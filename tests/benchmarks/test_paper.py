"""The protocol of Pons & Serra, on miniature copies of its data sets."""

import csv
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.svm import SVC
from sklearn.utils import Bunch

from skaudio import FeatureCache
from skaudio.compare import TunedSVM, inner_folds

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
GENRES = "blues classical country disco hiphop jazz metal pop reggae rock".split()
DANCES = (
    "Chacha Foxtrot Jive Pasodoble Quickstep Rumba Salsa Samba Slowwaltz Tango Viennesewaltz "
    "Waltz Wcswing"
).split()
GAMMAS = [2**-3, 2**-5, 2**-7, 2**-9, 2**-11, 2**-13, "auto"]
PENALTIES = [0.1, 2, 8, 32]


@pytest.fixture
def paper(monkeypatch):
    """The module, imported as a script would be, with layers that are quick to solve for."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import paper

    monkeypatch.setattr(paper, "ELM_SIZES", (5, 20))
    return paper


@pytest.fixture
def table(paper, monkeypatch, tmp_path, capsys):
    """Function that runs the script; returns the rows of its file, and what it printed."""

    def run(name, *arguments):
        command = ["paper.py", name, tmp_path / name, "--out", tmp_path / "out", *arguments]
        monkeypatch.setattr(sys, "argv", [str(word) for word in command])
        paper.main()
        (path,) = (tmp_path / "out").iterdir()
        with path.open(newline="") as file:
            return list(csv.DictReader(file)), capsys.readouterr().out

    return run


@pytest.fixture
def write_sounds(tmp_path, rng):
    """Function that writes noisy tones of a class: one file, and links to it by further names."""

    def write(pitch, *names):
        paths = [tmp_path / name for name in names]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        time = np.arange(6000) / 12000
        tone = np.sin(2 * np.pi * pitch * time) + rng.normal(size=6000)
        soundfile.write(paths[0], 0.1 * tone, 12000)
        for path in paths[1:]:
            path.hardlink_to(paths[0])

    return write


@pytest.fixture
def gtzan(write_sounds):
    for i, genre in enumerate(GENRES):
        for first in range(2):
            names = (f"gtzan/{genre}/{genre}.{j:05d}.wav" for j in range(first, 100, 2))
            write_sounds(200 * 1.3**i, *names)


@pytest.fixture
def extended_ballroom(write_sounds):
    for i, dance in enumerate(DANCES):
        for j in range(10):
            write_sounds(200 * 1.3**i, f"extended_ballroom/{dance}/{j}.wav")


@pytest.fixture
def urbansound8k(write_sounds, tmp_path):
    lines = ["slice_file_name,fsID,fold,class"]
    for fold in range(1, 11):
        for i, label in enumerate(["dog_bark", "siren", "drilling"]):
            name = f"{fold}{i}-0-0-0.wav"
            lines.append(f"{name},{fold}{i},{fold},{label}")
            write_sounds(300 * 2**i, f"urbansound8k/audio/fold{fold}/{name}")
    (tmp_path / "urbansound8k" / "metadata").mkdir()
    (tmp_path / "urbansound8k" / "metadata" / "UrbanSound8K.csv").write_text("\n".join(lines))


@pytest.fixture
def sounds(rng):
    """Three classes that overlap, far from standardised; the first feature is the row's number."""
    y = np.repeat([0, 1, 2], 30)
    Z = np.column_stack([np.arange(90), 50 + 3 * rng.normal(size=(90, 6)) + 2 * y[:, None]])
    splits = list(StratifiedKFold(4).split(Z, y))
    return Bunch(Z=Z, y=y, splits=splits, groups=np.arange(90) // 3)


def part(sounds):
    """The same with parts as GTZAN has."""
    train, validation, test = np.split(np.random.default_rng(1).permutation(90), [40, 65])
    return Bunch(splits=[(train, test)], validation=validation, groups=None)


def test_gtzan_with_kept_features(gtzan, table, tmp_path):
    memory = tmp_path / "memory"
    rows, printed = table("gtzan", "--designs", "mfcc", "--draws", "1", "--memory", memory)
    assert [(row["classifier"], row["n_features"]) for row in rows] == [
        ("SVM", "120"),
        ("ELM", "120"),
    ]
    assert all(float(row["accuracy"]) > 50 and not row["nested"] for row in rows)
    assert "gtzan: 930 clips" in printed and "flatters" not in printed
    assert len(FeatureCache(memory)) == 20  # different files


def test_extended_ballroom(extended_ballroom, table):
    rows, printed = table("extended_ballroom", "--designs", "mfcc", "--draws", "2", "--nested")
    assert [(row["classifier"], row["draws"]) for row in rows] == [("SVM", "1"), ("ELM", "2")]
    assert [row["published"] for row in rows] == ["63.3", ""]
    for row in rows:
        assert 30 < float(row["nested"]) and float(row["accuracy"]) <= 100
    assert "which flatters" in printed and f"{float(rows[0]['nested']):.1f}" in printed


def test_urbansound8k_keeps_the_rows_of_other_designs(urbansound8k, table):
    few = ("--features", "120", "--draws", "2")
    table("urbansound8k", "--designs", "timbral_temporal", *few)
    rows, printed = table("urbansound8k", "--designs", "mfcc", *few)
    assert [row["design"] for row in rows] == [
        "timbral_temporal",
        "timbral_temporal",
        "mfcc",
        "mfcc",
    ]
    assert "timbral_temporal" not in printed
    assert float(rows[2]["accuracy"]) > 80 and rows[2]["published"] == "65.4"
    assert [row["draws"] for row in rows] == ["2", "2", "1", "2"]
    assert rows[1]["n_features"] == "112" and not rows[1]["published"]


def test_extractors_are_those_of_the_paper(paper):
    widths = {}
    for design in paper.PUBLISHED:
        for n_features in paper.FEATURES:
            made = paper.extractor(design, "gtzan", n_features, seed=3)
            widths.setdefault(design, []).append(made.get_params().get("n_filters"))
    assert widths == {
        "vgg": [717, 24],
        "7x96": [3585, 120],
        "7x86": [3585, 120],
        "timbral": [256, 8],
        "temporal": [256, 8],
        "timbral_temporal": [128, 4],
        "sample_level": [512, 17],
        "frame_level": [896, 30],
        "frame_level_many": [448, 15],
        "mfcc": [None, None],
    }
    for design, data, expected in [
        ("vgg", "gtzan", {"fixed_length": 1404, "random_state": 3, "normalize": None}),
        ("7x86", "extended_ballroom", {"fixed_length": 1376, "kernel": (7, 86)}),
        ("7x96", "gtzan", {"design": "single", "kernel": (7, 96), "pooling": "mean"}),
        ("frame_level", "gtzan", {"fixed_length": 350_000, "reference": True}),
        ("sample_level", "urbansound8k", {"fixed_length": 350_000, "short": "repeat"}),
        ("temporal", "urbansound8k", {"temporal_kernels": (64, 32, 16, 8)}),
        ("temporal", "extended_ballroom", {"temporal_kernels": (165, 128, 64, 32)}),
        ("mfcc", "gtzan", {"sample_rate": 12000, "n_mfcc": 20, "n_deltas": 2}),
    ]:
        params = paper.extractor(design, data, 3500, seed=3).get_params()
        assert params | expected == params


def recording(cls, log):
    """The class, noting the rows (first feature) that it is fitted to and scored on."""

    class Recording(cls):
        def fit(self, X, y):
            log.append(("fit", sorted(X[:, 0])))
            return super().fit(X, y)

        def score(self, X, y):
            log.append(("score", sorted(X[:, 0])))
            return super().score(X, y)

    return Recording


def test_choice_on_gtzan_never_sees_the_test_part(paper, sounds, monkeypatch):
    log, parts = [], part(sounds)
    for name in ("TunedSVM", "SVC", "ELMClassifier"):
        monkeypatch.setattr(paper, name, recording(getattr(paper, name), log))
    ((train, test),) = parts.splits
    fit, chosen = ("fit", sorted(train)), ("score", sorted(parts.validation))
    last = [fit, ("score", sorted(test))]

    paper.evaluate(paper.search_svm, sounds.Z, sounds.y, parts)
    assert log == [("fit", sorted([*train, *parts.validation])), *last]
    log.clear()
    elm = partial(paper.search_elm, rng=np.random.RandomState(0))
    paper.evaluate(elm, sounds.Z, sounds.y, parts)
    assert log == [fit, chosen, fit, chosen, *last]


def grid_search(Z, y, folds):
    """What the published code calls."""
    grid = [
        {"kernel": ["rbf"], "gamma": GAMMAS, "C": PENALTIES},
        {"kernel": ["linear"], "C": PENALTIES},
    ]
    return GridSearchCV(SVC(), grid, cv=folds, refit=False).fit(Z, y)


def test_setting_on_gtzan_is_that_of_a_grid_search(paper, sounds):
    parts = part(sounds)
    ((train, test),) = parts.splits
    search = grid_search(sounds.Z, sounds.y, [(train, parts.validation)])
    expected = SVC(**search.best_params_).fit(sounds.Z[train], sounds.y[train])
    found = paper.evaluate(paper.search_svm, sounds.Z, sounds.y, parts)
    assert found == (expected.score(sounds.Z[test], sounds.y[test]), None)
    rows = np.concatenate([train, parts.validation])
    svm, accuracy = paper.search_svm(sounds.Z[rows], sounds.y[rows], [(range(40), range(40, 65))])
    assert accuracy == search.best_score_
    assert {name: svm.get_params()[name] for name in search.best_params_} == search.best_params_


def test_of_equal_settings_the_first_of_the_grid_is_taken(paper):
    rng, y = np.random.default_rng(2), np.repeat([0, 1], 20)
    Z = 0.3 * rng.normal(size=(40, 2)) + 0.9 * y[:, None]
    folds = list(StratifiedKFold(2).split(Z, y))
    expected = grid_search(Z, y, folds).best_params_
    assert TunedSVM(scale=False, cv=folds).fit(Z, y).best_params_ != expected  # its order differs
    svm, _ = paper.search_svm(Z, y, folds)
    assert {name: svm.get_params()[name] for name in expected} == expected


def test_best_of_the_grid_is_that_of_plain_svms(paper, sounds):
    # of unequal sizes, and each clip is to count once
    folds = [(np.delete(np.arange(90), rows), rows) for rows in np.split(np.arange(90), [7, 40])]
    kernels = [{"gamma": gamma} for gamma in GAMMAS] + [{"kernel": "linear"}]
    accuracies = [
        np.concatenate(
            [
                SVC(C=C, **kernel).fit(sounds.Z[a], sounds.y[a]).predict(sounds.Z[b]) == sounds.y[b]
                for a, b in folds
            ]
        ).mean()
        for kernel in kernels
        for C in PENALTIES
    ]
    assert 0.4 < max(accuracies) < 1 and len({*accuracies}) > 5
    found, nested = paper.evaluate(
        paper.search_svm, sounds.Z, sounds.y, Bunch(splits=folds, groups=None)
    )
    assert found == max(accuracies) and nested is None


def test_elm_is_the_pseudo_inverse(paper, sounds):
    """One stream: biases, then weights, anew in each fit; ReLU, targets of -1 and 1."""
    rng, Z, y, means = np.random.RandomState(5), sounds.Z, sounds.y, []
    for size in (5, 20):
        accuracies = []
        for train, test in sounds.splits:
            bias, weights = rng.normal(size=size), rng.normal(size=(7, size))
            H = np.maximum(Z @ weights + bias, 0)
            coef = np.linalg.pinv(H[train]) @ np.where(y[train, None] == [0, 1, 2], 1, -1)
            accuracies.append(np.mean((H[test] @ coef).argmax(axis=1) == y[test]))
        means.append(np.mean(accuracies))
    elm, accuracy = paper.search_elm(Z, y, sounds.splits, np.random.RandomState(5))
    assert means[0] != means[1] and accuracy == max(means)
    assert elm.n_hidden == (5, 20)[np.argmax(means)] and elm.alpha == 0


def test_nested_accuracy_chooses_inside_each_training_part(paper, sounds):
    right = []
    for train, test in sounds.splits:
        Z, y = sounds.Z[train], sounds.y[train]
        search = grid_search(Z, y, inner_folds(y, sounds.groups[train]))
        svm = SVC(**search.best_params_).fit(Z, y)
        right.extend(svm.predict(sounds.Z[test]) == sounds.y[test])
    found, nested = paper.evaluate(paper.search_svm, sounds.Z, sounds.y, sounds, nested=True)
    assert nested == np.mean(right) < found
