"""Checks of estimators that know how likely a sound is, or make new ones.

They test the capabilities *density* and *generation* of CONTRIBUTING.md.
"""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from ._checking import (
    assert_close,
    assert_same,
    contract,
    fitted,
    generators_unmoved,
    noise,
    raised,
)

__all__ = ["check_density", "check_generation"]

LENGTHS = (900, 1, 3000, 3000, 40, 2800)  # samples; some share a batch
EXACT = 1e-9


@contract
def check_density(estimator):
    """Check that likelihoods are those of each clip by itself, and sum to 1 over all clips.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked. One without `score_samples` passes.
    """
    if not hasattr(estimator, "score_samples"):
        return
    X = noise(*LENGTHS)
    estimator = fitted(estimator, X)
    scores = estimator.score_samples(X)
    assert scores.dtype == np.float64, f"scores are {scores.dtype}, not float64"
    assert scores.shape == (len(X),), f"scores of {len(X)} clips have shape {scores.shape}"
    assert (scores <= 0).all(), f"logarithms of probabilities are above 0: {scores}"
    _check_independence(estimator, X, scores)
    mean, bits = estimator.score(X), -scores / np.log(2) / [len(clip) for clip in X]
    assert type(mean) is float and np.isclose(mean, scores.mean(), rtol=EXACT), (
        f"score is {mean!r}, not the mean of score_samples, {scores.mean()}"
    )
    assert np.allclose(estimator.bits_per_sample(X), bits, rtol=EXACT), (
        "bits_per_sample are not the scores over the lengths and ln 2"
    )
    if estimator.sums_to_one:
        _check_sum(estimator, X, scores)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spoilt = [X[0], np.full(50, np.nan, np.float32), *X[1:]]
        found = estimator.set_params(on_error="skip").score_samples(spoilt)
    assert np.isnan(found[1]) and np.allclose(np.delete(found, 1), scores, rtol=EXACT), (
        f"next to a skipped clip scores are {found}, not {scores}"
    )


def _check_independence(estimator, X, scores):
    """Neither batch, order nor processes matter, nor how often a long clip is cut."""
    order = np.random.default_rng(0).permutation(len(X))
    found = {
        "each clip alone": np.concatenate([estimator.score_samples([clip]) for clip in X]),
        "in another order": estimator.score_samples([X[i] for i in order])[np.argsort(order)],
    }
    for params in ({"batch_size": 0.01}, {"batch_size": 60}, {"batch_size": None, "n_jobs": 2}):
        found[str(params)] = estimator.set_params(**params).score_samples(X)
    estimator.set_params(n_jobs=None)
    for what, other in found.items():
        gap = np.abs(other / scores - 1).max()
        assert gap <= EXACT, f"{what}: scores differ by a fraction of {gap:.3g}"


def _check_sum(estimator, X, scores):
    """Clips that begin alike share the probability of their beginning."""
    begun = estimator.score_samples([clip[: len(clip) // 2 + 1] for clip in X])
    assert (begun >= scores).all(), "a clip is likelier than its own beginning"
    amplitudes, step = np.linspace(-1, 1, 4000, endpoint=False, retstep=True)
    clips = [*(amplitudes + step / 2)[:, None]]
    total = np.exp(estimator.score_samples(clips, density=True)).sum() * step
    assert abs(total - 1) < 0.02, f"the density of clips of one sample has the integral {total}"
    if hasattr(estimator, "predict_next"):
        following = estimator.predict_next(X)
        longer = [np.append(clip, np.float32(0.3)) for clip in X]
        ratio = np.exp(estimator.score_samples(longer) - scores)
        gap = np.abs(following - ratio[:, None]).min(axis=1).max()
        assert gap < EXACT, (
            f"no level of predict_next has the probability that score_samples gives a next sample; "
            f"the nearest is {gap:.3g} away"
        )


@contract
def check_generation(estimator):
    """Check that new clips are what was asked for, and a seed gives the same ones.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked. One without `sample` passes.
    """
    if not hasattr(estimator, "sample"):
        return
    try:
        clone(estimator).sample(length=10)
    except NotFittedError:
        pass
    else:
        raise AssertionError("sample before fit raises no NotFittedError")
    X = noise(*LENGTHS)
    estimator, n = fitted(estimator, X), 50

    def sample(n_samples=1, length=n, prime=None, **params):
        condition = _condition(estimator, length + (0 if prime is None else len(prime)))
        return estimator.sample(
            n_samples, length=length, prime=prime, condition=condition, **params
        )

    with generators_unmoved("sample"):
        clips = sample(3, random_state=0)
    assert isinstance(clips, list) and len(clips) == 3, f"{type(clips)} instead of 3 clips"
    for clip in clips:
        assert clip.dtype == np.float32 and clip.shape == (n,), f"{clip.dtype} of {clip.shape}"
        assert (np.abs(clip) <= 1).all(), "new samples lie beyond -1 and 1"
    assert_same(np.stack(sample(3, random_state=0)), np.stack(clips), "the same seed")
    assert not np.array_equal(sample(3, random_state=1), clips), "another seed, the same clips"
    assert not np.array_equal(clips[0], clips[1]), "two clips of one call are the same"
    assert not np.array_equal(sample(), sample()), "random_state=None gives the same clips again"
    whole, prime = sample(temperature=0)[0], np.tile([-1.0, 1.0], 50)
    rest = sample(length=n - 20, prime=whole[:20], temperature=0)[0]
    assert_same(rest, whole[20:], "a clip without chance, continued from its own beginning")
    # what a network has hardly learnt, a low temperature brings out
    cold = {"temperature": 0.01, "random_state": 0}
    assert not np.array_equal(sample(prime=prime, **cold), sample(**cold)), (
        "a prime changes nothing"
    )
    for what in ({"length": 0}, {"n_samples": 0}, {"temperature": -1.0}, {"temperature": np.nan}):
        raised(lambda what=what: sample(**what), f"sample with {what}")
    _check_next(estimator, X)


def _condition(estimator, n_samples):
    """Frames for so many samples, if some condition the estimator."""
    n_channels, hop_length = estimator._condition_grid()
    if not n_channels:
        return None
    n_frames = -(-n_samples // hop_length)
    return np.random.default_rng(0).standard_normal((n_frames, n_channels))


def _check_next(estimator, X):
    """Rows of probabilities, that depend on their own clip."""
    following = estimator.predict_next(X)
    assert following.dtype == np.float64 and following.shape[0] == len(X), (
        f"predict_next gives {following.dtype} of shape {following.shape}"
    )
    assert (following >= 0).all() and np.allclose(following.sum(axis=1), 1, rtol=0, atol=EXACT), (
        "probabilities of the next sample do not sum to 1"
    )
    alone = np.vstack([estimator.predict_next([clip]) for clip in X])
    assert_close(alone, following, "the next sample of each clip alone", EXACT)
