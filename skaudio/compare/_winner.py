"""Which row of a comparison wins, by which score, and whether it is better than chance."""

from math import floor

import numpy as np
from scipy.stats import binom

UNEQUAL = 1.5  # clips of the largest class over those of the smallest
_LEVEL = 0.05  # how often luck alone may pass for better than chance, over all rows together


def winning_score(rows):
    """Say by which score the winner is chosen.

    Parameters
    ----------
    rows : list of ComparisonRow
        All rows of one set, with confusion matrices.

    Returns
    -------
    score : {"accuracy", "balanced_accuracy"}
        "balanced_accuracy" if the classes are unequal: if the largest has more than one and a
        half times as many test clips as the smallest. The accuracy would favour what knows
        the large ones.
    """
    counts = _counts(rows[0])
    return "balanced_accuracy" if counts.max() > UNEQUAL * counts.min() else "accuracy"


def choose_winner(rows):
    """Choose the best row, if it is better than chance.

    A binomial test, one-sided, asks how often a classifier that does not listen would have so
    many test clips right, with the chance level of the score. With n rows it may happen in one of
    20 n cases, so that the best of many is not taken for good because it is lucky. It takes clips
    for independent: where many come from one group, it is too lenient.

    For the balanced accuracy n clips count as ``n_classes**2 / sum(1 / n_clips_of_class)``, the
    number of clips in equal classes whose mean would vary as much.

    Parameters
    ----------
    rows : list of ComparisonRow
        All rows of one set, with confusion matrices.

    Returns
    -------
    best : ComparisonRow
        The one with the highest score; the first of equals.
    better : bool
        Whether it is better than chance.
    """
    score = winning_score(rows)
    best = max(rows, key=lambda row: getattr(row, score))
    # draws share the clips, so they add none
    counts = _counts(best) / best.draws
    n_clips = counts.sum() if score == "accuracy" else len(counts) ** 2 / np.sum(1 / counts)
    n_clips = floor(n_clips + 1e-6)
    hits = floor(getattr(best, score) * n_clips + 1e-6)
    return best, _tail(hits, n_clips, chance_level(best, score)) < _LEVEL / len(rows)


def chance_level(row, score):
    """Return what a classifier that does not listen can reach.

    Parameters
    ----------
    row : ComparisonRow
        With its confusion matrix.
    score : {"accuracy", "balanced_accuracy"}
        Which score.

    Returns
    -------
    chance : float
        Of the accuracy: the share of the largest class, even where, as with one test clip at a
        time, the largest class of the training part is never the right one. Of the balanced
        accuracy: one over the number of classes.
    """
    counts = _counts(row)
    if score == "balanced_accuracy":
        return 1 / len(counts)
    return max(row.chance, counts.max() / counts.sum())


def _counts(row):
    """Test clips of each class, over all draws; classes that are never tested do not count."""
    counts = np.sum(row.confusion, axis=1)
    return counts[counts > 0]


def _tail(hits, n_clips, chance):
    """Probability of at least so many hits."""
    return binom.sf(hits - 1, n_clips, chance)
