"""Which row wins, by which score, and when none does."""

from dataclasses import replace

import numpy as np
import pytest

from skaudio.compare import ComparisonRow
from skaudio.compare._winner import chance_level, choose_winner, winning_score


def row_of(y, predicted, name="x", draws=1):
    """The row of a classifier that predicts the same in each draw."""
    confusion = np.zeros((max(y) + 1,) * 2, int)
    np.add.at(confusion, (y, predicted), draws)
    accuracy, balanced = np.mean(y == predicted), np.mean(np.diag(confusion) / confusion.sum(1))
    return ComparisonRow(
        data="set",
        extractor=name,
        classifier="SVM",
        accuracy=accuracy,
        accuracy_std=0.0,
        balanced_accuracy=balanced,
        balanced_accuracy_std=0.0,
        chance=np.bincount(y).max() / len(y),
        draws=draws,
        n_features=2,
        seconds_per_hour=1.0,
        confusion=confusion.tolist(),
    )


@pytest.mark.parametrize(
    ("counts", "score"),
    [
        ([40, 40], "accuracy"),
        ([60, 40], "accuracy"),  # one and a half times as many
        ([61, 40], "balanced_accuracy"),
        ([20, 20, 20, 5], "balanced_accuracy"),
    ],
)
def test_unequal_classes_are_won_by_balanced_accuracy(counts, score):
    y = np.repeat(np.arange(len(counts)), counts)
    assert winning_score([row_of(y, y, draws=3)]) == score


def test_knowing_the_large_class_alone_does_not_win():
    y = np.repeat([0, 1], [90, 10])
    lazy = row_of(y, np.zeros(100, int), "lazy")
    half = y.copy()
    half[:30] = 1
    fair = row_of(y, half, "fair")
    assert lazy.accuracy > fair.accuracy
    best, better = choose_winner([lazy, fair])
    assert best is fair and better
    assert choose_winner([lazy]) == (lazy, False)
    assert (chance_level(fair, "balanced_accuracy"), chance_level(fair, "accuracy")) == (0.5, 0.9)


def test_first_of_equals():
    y = np.repeat([0, 1], 20)
    rows = [row_of(y, y, name) for name in "ab"]
    assert choose_winner(rows)[0] is rows[0]


@pytest.mark.parametrize("counts", [[25, 25, 25, 25], [50, 25, 15, 10]])
@pytest.mark.parametrize("draws", [1, 3])
def test_luck_wins_seldom(counts, draws, rng):
    y, wins = np.repeat(np.arange(4), counts), 0
    for _ in range(400):
        # twenty classifiers that do not listen, some with a bias of their own
        rows = [
            row_of(y, rng.choice(4, len(y), p=rng.dirichlet([5] * 4)), draws=draws)
            for _ in range(20)
        ]
        wins += choose_winner(rows)[1]
    assert wins <= 0.05 * 400


def test_more_clips_are_better_evidence_and_more_draws_are_not():
    def better(n_clips, draws=1, n_rows=1):
        y = np.arange(n_clips) % 2
        predicted = np.where(np.arange(n_clips) % 10 < 3, 1 - y, y)  # seven of ten
        rows = [row_of(y, predicted, draws=draws)]
        rows += [replace(rows[0], accuracy=0.5)] * (n_rows - 1)
        return choose_winner(rows)[1]

    assert [better(n) for n in (10, 20, 40, 100)] == [False, False, True, True]
    assert not better(20, draws=50)
    assert better(30) and not better(30, n_rows=20)


def test_chance_where_training_has_the_other_classes():
    y = np.repeat([0, 1], 20)
    row = replace(row_of(y, 1 - y), accuracy=0.5, chance=0.0)  # one clip tested at a time
    assert chance_level(row, "accuracy") == 0.5 and not choose_winner([row])[1]
