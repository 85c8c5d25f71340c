"""Which row of a comparison wins, by which score, and whether it is better than chance."""

from math import floor

import numpy as np
from scipy.stats import binom

UNEQUAL = 1.5  # clips of the largest class over those of the smallest
_LEVEL = 0.05  # significance level, over all rows together


def winning_score(rows):
    """Return the score by which the winner is chosen.

    Parameters
    ----------
    rows : list of ComparisonRow
        All rows of one set, with confusion matrices.

    Returns
    -------
    score : {"accuracy", "balanced_accuracy"}
        "balanced_accuracy" if the classes are unequal: if the largest has more than one and a
        half times as many test clips as the smallest. The accuracy would favour rows that
        recognise only the large classes.
    """
    counts = _counts(rows[0])
    return "balanced_accuracy" if counts.max() > UNEQUAL * counts.min() else "accuracy"


def choose_winner(rows):
    """Choose the best row, if it is better than chance.

    A one-sided binomial test: how often would a classifier that ignores the features recognise so
    many test clips, given the chance level of the score? With n rows the level is 0.05 / n, which
    corrects for choosing the best of them. Clips are assumed to be independent, so the test is
    too lenient if many of them come from one group.

    For the balanced accuracy the number of clips is ``n_classes**2 / sum(1 / n_clips_of_class)``:
    so many clips in classes of equal size would give a mean of the same variance.

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
    # all draws have the same test clips, so they do not count as further ones
    counts = _counts(best) / best.draws
    n_clips = counts.sum() if score == "accuracy" else len(counts) ** 2 / np.sum(1 / counts)
    n_clips = floor(n_clips + 1e-6)
    hits = floor(getattr(best, score) * n_clips + 1e-6)
    return best, _tail(hits, n_clips, chance_level(best, score)) < _LEVEL / len(rows)


def chance_level(row, score):
    """Return the score that a classifier can reach without looking at the features.

    Parameters
    ----------
    row : ComparisonRow
        With its confusion matrix.
    score : {"accuracy", "balanced_accuracy"}
        Which score.

    Returns
    -------
    chance : float
        For the accuracy, at least the fraction of the largest class: ``row.chance`` can be lower,
        for instance 0 where each test part is a single clip. For the balanced accuracy, one over
        the number of classes.
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
    """Probability of at least so many hits by chance."""
    return binom.sf(hits - 1, n_clips, chance)
