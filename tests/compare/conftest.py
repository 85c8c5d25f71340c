"""What the tests of the comparison share."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from skaudio.compare import compare_extractors
from tests.compare.spies import Loudness, SpyClassifier


@pytest.fixture(autouse=True)
def calls(monkeypatch):
    """What the extractors were asked for."""
    monkeypatch.setattr(Loudness, "calls", [])
    return Loudness.calls


@pytest.fixture
def fits(monkeypatch):
    """What the spy classifiers were given."""
    monkeypatch.setattr(SpyClassifier, "calls", [])
    return SpyClassifier.calls


@pytest.fixture
def task():
    """Thirty clips of three loudness classes; the splits differ in size."""
    rng = np.random.default_rng(0)
    y = np.repeat(["soft", "medium", "loud"], [14, 8, 8])
    level = {"soft": 0.1, "medium": 0.2, "loud": 0.4}
    X = [level[name] * rng.uniform(-1, 1, rng.integers(80, 120)) for name in y]
    rows = rng.permutation(30)
    folds = np.split(rows, [5, 12, 20])
    return X, y, [(np.setdiff1d(rows, fold), fold) for fold in folds]


@pytest.fixture
def compare():
    """Function that compares extractors on a task, as a list of rows."""

    def compare(extractors, task, **params):
        X, y, splits = task
        params = {"classifiers": {"nearest": KNeighborsClassifier(3)}, **params}
        return list(compare_extractors(extractors, X, y, splits=splits, **params))

    return compare
