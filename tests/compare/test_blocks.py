"""Blocks of columns: extractors tell them, and classifiers let them count alike."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import confusion_matrix
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from skaudio import (
    BlockScaler,
    MFCCTransformer,
    ProsodyTransformer,
    RandomCNNTransformer,
    feature_blocks,
    load,
)
from skaudio._engine.content import described
from skaudio.compare import TunedELM, TunedSVM, _run, compare_extractors, refit, standard_svm
from skaudio.compare._report import save_winner
from tests.compare.spies import LearntLoudness, Loudness, SpyClassifier

SVM = {"C": (2, 8), "gamma": (2**-7, "auto"), "cv": 3}
ELM = {"n_hidden": (20, 60), "cv": 3}


class Told(SpyClassifier):
    """A spy that writes down the blocks that it is told."""

    told = None

    def __init__(self, cv=None, random_state=None, blocks=None):
        super().__init__(cv, random_state)
        self.blocks = blocks

    def fit(self, X, y):
        self.told.append(self.blocks)
        return super().fit(X, y)


@pytest.fixture
def told(monkeypatch, fits):
    monkeypatch.setattr(Told, "told", [])
    return Told.told


@pytest.fixture(scope="module")
def noises():
    """Noises, louder or darker in one class than in the others, but not always."""
    rng, y = np.random.default_rng(0), np.arange(48) % 3
    clips = []
    for label in y:
        noise = rng.standard_normal(2400)
        noise[1:] += rng.normal(0.1 * (label == 1), 0.2) * noise[:-1]
        clips.append(noise * np.exp(rng.normal(0.7 * (label == 2), 0.5)) / 20)
    folds = [np.flatnonzero(np.arange(48) // 3 % 3 == i) for i in range(3)]
    return clips, y, [(np.setdiff1d(np.arange(48), fold), fold) for fold in folds]


@pytest.fixture
def union():
    return make_union(ProsodyTransformer(["pitch", "energy"], ["moments"]), MFCCTransformer())


@pytest.fixture
def table(rng):
    """Two columns that tell three classes apart, beside sixty that do not."""
    y = np.arange(90) % 3
    X = 5 + 3 * rng.standard_normal((90, 62))
    X[:, 0] += 9 * (y == 0)
    X[:, 1] += 9 * (y == 1)
    return X, y, ["few"] * 2 + ["many"] * 60


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def _means(X):
    return np.array([[clip.mean(), clip.std()] for clip in X])


# --- machines ------------------------------------------------------------------------------------


def test_standard_svm_balances_blocks(table):
    X, y, blocks = table
    found, expected, plain = (
        machine.fit(X[::2], y[::2]).decision_function(X[1::2])
        for machine in (
            standard_svm(blocks=blocks),
            make_pipeline(BlockScaler(blocks), SVC(C=8)),
            standard_svm(),
        )
    )
    assert_allclose(found, expected, atol=1e-6)
    assert np.abs(found - plain).max() > 0.1


@pytest.mark.parametrize("kind", [TunedSVM, TunedELM])
def test_tuned_machine_balances_blocks(table, kind):
    X, y, blocks = table
    params = SVM if kind is TunedSVM else ELM
    balanced, plain = (kind(**params, blocks=b).fit(X[::2], y[::2]) for b in (blocks, None))
    assert balanced.score(X[1::2], y[1::2]) > plain.score(X[1::2], y[1::2])
    scaler = balanced.chosen()[0]
    assert type(scaler) is BlockScaler and scaler.blocks is blocks
    found = balanced.chosen().fit(X[::2], y[::2]).predict(X[1::2])
    assert_array_equal(found, balanced.predict(X[1::2]))
    assert type(plain.chosen()[0]) is StandardScaler


def test_without_standardising_blocks_are_not_used(table):
    X, y, blocks = table
    one, other = (TunedSVM(**SVM, scale=False, blocks=b).fit(X, y) for b in (blocks, None))
    assert one.scores_ == other.scores_


# --- comparisons ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classifier", "name"),
    [
        (standard_svm(), "rbfkernel__blocks"),
        (make_pipeline(BlockScaler(), SVC(C=8)), "blockscaler__blocks"),
        (TunedSVM(**SVM), "blocks"),
        (TunedELM(**ELM), "blocks"),
    ],
    ids=["standard", "own", "SVM", "ELM"],
)
def test_comparison_tells_the_blocks(noises, union, classifier, name):
    X, y, splits = noises
    (row,) = compare_extractors(
        {"u": union}, X, y, splits=splits, classifiers={"c": classifier}, draws=1
    )
    Z, blocks = union.fit(X).transform(X), feature_blocks(union)

    def confusion(blocks):
        machines = [clone(classifier).set_params(**{name: blocks}) for _ in splits]
        parts = zip(machines, splits, strict=True)
        return sum(
            confusion_matrix(y[test], machine.fit(Z[train], y[train]).predict(Z[test]))
            for machine, (train, test) in parts
        ).tolist()

    assert row.confusion == confusion(blocks) != confusion(None)
    assert classifier.get_params()[name] is None  # clones are told


def test_what_is_told(noises, union, told, calls):
    X, y, splits = noises
    own = ["mine"] * 8
    extractors = {
        "union": union,
        "one block": MFCCTransformer(n_mfcc=4, n_deltas=0),
        "a part without names": make_union(MFCCTransformer(), Loudness()),
        "names of other columns": make_union(
            MFCCTransformer(), FunctionTransformer(_means, feature_names_out="one-to-one")
        ),
    }
    classifiers = {"spy": Told(), "given": Told(blocks=own)}
    rows = compare_extractors(extractors, X, y, splits=splits[:1], classifiers=classifiers, draws=1)
    assert len([*rows]) == 8
    assert told[1::2] == [own] * 4 and told[2::2] == [None] * 3
    assert_array_equal(told[0], feature_blocks(union.fit(X)))


def test_union_is_extracted_once_unless_a_part_learns(noises, calls):
    X, y, splits = noises
    params = {"splits": splits, "draws": 1, "classifiers": {"nearest": KNeighborsClassifier()}}
    assert len([*compare_extractors({"u": make_union(Loudness())}, X, y, **params)]) == 1
    assert [call[:2] for call in calls] == [("fit", 48), ("transform", 1), ("transform", 48)]
    calls.clear()
    learning = make_union(Loudness(), LearntLoudness())
    assert len([*compare_extractors({"u": learning}, X, y, **params)]) == 1
    assert [n for what, n, _ in calls if what == "fit"] == [n for n in (30, 33, 33) for _ in "ab"]


def test_only_given_blocks_are_in_the_configuration(noises, monkeypatch):
    # so that rows of machines that had no such parameter yet are still found
    X, y, splits = noises
    texts = []

    def spy(*args, **kwargs):
        texts.append(str(described(*args, **kwargs)))
        return texts

    monkeypatch.setattr(_run, "described", spy)
    task = _run._Task(X, y, None, splits, [0], "", None)
    for machine in (standard_svm(), TunedSVM(), TunedELM()):
        (name,) = _run._untold(machine)
        given = clone(machine).set_params(**{name: [0, 1]})
        for classifier in (machine, given):
            _run._job(task, "", MFCCTransformer(), [], "c", classifier)
        assert "blocks" not in texts[-3] and "blocks', '[0, 1]'" in texts[-1]


# --- the winner ----------------------------------------------------------------------------------


@pytest.mark.parametrize("classifier", [TunedSVM(**SVM), TunedELM(**ELM)], ids=["SVM", "ELM"])
def test_saved_winner_is_a_balanced_union(tmp_path, noises, classifier):
    X, y, _ = noises
    cnn = RandomCNNTransformer("timbral", n_filters=4)
    union = make_union(ProsodyTransformer(["pitch", "energy"], ["moments"]), cnn)
    pipeline = refit(union, classifier, X, y, random_state=3)
    seeds = {k: v for k, v in pipeline[0].get_params().items() if k.endswith("random_state")}
    assert seeds == {"randomcnntransformer__random_state": 3}
    assert type(pipeline[1]) is BlockScaler
    assert_array_equal(pipeline[1].blocks, feature_blocks(pipeline[0]))
    save_winner(tmp_path / "winner.skops", union, classifier, X, y, random_state=3)
    assert_array_equal(load(tmp_path / "winner.skops").predict(X), pipeline.predict(X))
