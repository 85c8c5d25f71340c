"""What a training holds out to tell which epoch was the best."""

import math

import numpy as np

__all__ = ["hold_out"]


def hold_out(n_clips, fraction, groups, labels, rng):
    """Split the clips into those to train on and those held out, whole groups at a time.

    Parameters
    ----------
    n_clips : int
        Number of clips.
    fraction : float
        Share of the clips, or of the groups if there are no labels, that is held out.
    groups : ndarray of shape (n_clips,), int, or None
        Numbers from 0 on; clips with the same one stay together. None: each clip is alone.
    labels : ndarray of shape (n_clips,), int, or None
        Each class has the same share held out, as nearly as the groups allow, but never all of
        its clips.
    rng : numpy.random.Generator
        Source of the choice.

    Returns
    -------
    training, held_out : ndarray of int
        Numbers of the clips, in order. None is held out where there is no group to spare.
    """
    groups = np.arange(n_clips) if groups is None else groups
    n_groups = groups.max() + 1
    order = rng.permutation(n_groups)
    if labels is None:
        n_held = min(math.ceil(fraction * n_groups), n_groups - 1) if fraction else 0
        chosen = order[:n_held]
    else:
        chosen = _stratified(order, fraction, groups, labels) if fraction else []
    held = np.isin(groups, chosen)
    return np.flatnonzero(~held), np.flatnonzero(held)


def _stratified(order, fraction, groups, labels):
    """Groups which together come near to the wanted number of clips of each class."""
    counts = np.zeros((len(order), labels.max() + 1), int)  # clips of each group and class
    np.add.at(counts, (groups, labels), 1)
    total = counts.sum(0)
    wanted, held, chosen = _quotas(total, fraction), np.zeros_like(total), []
    for group in order:
        with_it = held + counts[group]
        nearer = np.square(wanted - with_it).sum() < np.square(wanted - held).sum()
        if nearer and _leaves_some(with_it, total):
            held = with_it
            chosen.append(group)
    # groups too large for their share: one of them all the same
    return chosen or [group for group in order if _leaves_some(counts[group], total)][:1]


def _leaves_some(held, total):
    """Whether every class keeps a clip to train on."""
    return ((held < total) | (held == 0)).all()


def _quotas(total, fraction):
    """Whole numbers of clips of each class, less than all, which sum to the wanted share."""
    exact, most = fraction * total, np.maximum(total - 1, 0)
    quotas = np.floor(exact).astype(int)
    n_more = math.ceil(exact.sum() - 1e-9) - quotas.sum()
    largest = np.argsort(quotas - exact, kind="stable")
    quotas[largest[(quotas < most)[largest]][:n_more]] += 1
    return quotas
