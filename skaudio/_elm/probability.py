"""From class scores to probabilities: a temperature, found on held-out scores."""

import numpy as np
from scipy.special import expit, logsumexp, softmax

# inverse temperatures to try; between neighbours the loss is close to a parabola
_STEP = 0.25
_INVERSE = np.exp(np.arange(-6, 8, _STEP))


def probabilities(scores, temperature, multilabel=False):
    """Divide scores by a temperature and normalise them.

    softmax(scores / temperature), as in C. Guo et al., "On calibration of modern neural networks",
    ICML 2017, arXiv:1706.04599. Of two classes, with one score s that is positive for the second,
    this is the sigmoid of J. Platt, "Probabilistic outputs for support vector machines", 1999,
    without its shift. So the most probable class is that of the highest score.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
        As of ``decision_function``.
    temperature : float
        More than 0; the larger, the more alike the probabilities of all classes.
    multilabel : bool, default=False
        Whether each column is a binary problem of its own.

    Returns
    -------
    probabilities : ndarray of shape (n_samples, n_classes)
        Rows sum to 1, unless ``multilabel``.
    """
    scores = scores / temperature
    if multilabel:
        return expit(scores)
    if scores.ndim == 1:
        return np.stack([expit(-scores), expit(scores)], axis=1)
    return softmax(scores, axis=1)


def loss_sums(scores, truth, weight=None):
    """Sums that determine `best_temperature`; those of several sets of rows can be added.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_classes)
        Of held-out samples; -inf for a class that was not in the training part.
    truth : ndarray of shape (n_samples,), int
        Column of the true class.
    weight : ndarray of shape (n_samples,), default=None
        How often each sample counts.

    Returns
    -------
    sums : ndarray of shape (n_sums,)
        Weighted sums of the log of the softmax's denominator at each temperature, of the score
        of the true class, of the mean score, and of the weights themselves.
    """
    weight = np.ones(len(scores)) if weight is None else weight
    true = scores[np.arange(len(scores)), truth]
    rows = np.isfinite(true) & (weight > 0)  # without those of classes that were not learnt
    scores, true, weight = scores[rows], true[rows], weight[rows]
    mean = np.mean(scores, axis=1, where=np.isfinite(scores)) if len(scores) else true
    log = [weight @ logsumexp(beta * scores, axis=1) for beta in _INVERSE]
    return np.array([*log, weight @ true, weight @ mean, weight.sum()])


def best_temperature(sums, n_classes):
    """Temperature of the lowest log loss.

    As in Platt's method, the target probability of the true class is not 1 but (n + 1) / (n + k),
    so that the temperature stays above zero if every sample is classified correctly.

    Parameters
    ----------
    sums : ndarray of shape (n_sums,)
        From `loss_sums`.
    n_classes : int
        The number k of classes.

    Returns
    -------
    temperature : float
        1.0 if there were no samples.
    """
    *log, true, mean, n = sums
    if n <= 0:
        return 1.0
    loss = np.array(log) - _INVERSE * (n * true + n_classes * mean) / (n + n_classes)
    best = int(np.clip(np.argmin(loss), 1, len(loss) - 2))
    before, here, after = loss[best - 1 : best + 2]
    bend = before - 2 * here + after
    shift = np.clip(0.5 * (before - after) / bend, -1, 1) if bend > 0 else 0.0
    return float(np.exp(-shift * _STEP) / _INVERSE[best])
