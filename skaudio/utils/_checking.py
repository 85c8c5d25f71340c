"""What the audio estimator checks share: clips, comparisons, and how a failure is told."""

import functools
import random
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.utils import get_tags

__all__ = [
    "assert_close",
    "assert_same",
    "contract",
    "fit",
    "fitted",
    "generators_unmoved",
    "labels_for",
    "noise",
    "raised",
    "sound_folder",
]

TOLERANCE = 1e-5  # of the feature's scale; float32 sums in another order come to about 1e-6


def contract(check):
    """Make a check of what is given a clone, and tells every failure the same way.

    Parameters
    ----------
    check : callable
        Takes an unfitted estimator.

    Returns
    -------
    check : callable
        Leaves the estimator alone, is deterministic, and raises nothing but AssertionError.
    """

    @functools.wraps(check)
    def checked(estimator):
        # an estimator of its own for each check; a fixed draw, so that a failure is repeated
        probe = clone(estimator)
        if "random_state" in probe.get_params(deep=False):
            probe.set_params(random_state=0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of short clips, which many are
                check(probe)
        except Exception as error:
            kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            message = f"{estimator!r} fails {check.__name__}: {kind}{error}"
            raise AssertionError(message) from error

    return checked


def noise(*lengths, seed=0):
    """Clips of noise that swells and fades, no two alike in level.

    Parameters
    ----------
    *lengths : int
        Samples of each clip.
    seed : int
        Of the noise.

    Returns
    -------
    clips : list of ndarray of shape (n_samples,), float32
        The clips.
    """
    rng = np.random.default_rng(seed)
    clips = []
    for n in lengths:
        # steady noise would leave the deviation of most maps near zero, all of it rounding
        swell = np.exp(2 * np.sin(np.arange(n) * (2 * np.pi / 3700) + rng.uniform(0, 6)))
        clips.append((rng.uniform(0.01, 0.1) * swell * rng.standard_normal(n)).astype(np.float32))
    return clips


def labels_for(estimator, X):
    """Labels to fit an estimator with.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Its tags say whether it needs labels.
    X : list of clips, or array of shape (n_clips, n_samples)
        What it is fitted on.

    Returns
    -------
    y : ndarray of shape (n_clips,), int, or None
        Two classes in turn. None: it needs none.
    """
    return np.arange(len(X)) % 2 if get_tags(estimator).target_tags.required else None


def fit(estimator, X, y=None):
    """Fit an estimator, with labels if it needs some.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Itself, no clone.
    X : list of clips, or array of shape (n_clips, n_samples)
        To fit on.
    y : array-like of shape (n_clips,), default=None
        The labels. None: those of `labels_for`.

    Returns
    -------
    estimator : BaseAudioTransformer
        The same.
    """
    y = labels_for(estimator, X) if y is None else y
    return estimator.fit(X) if y is None else estimator.fit(X, y)


def fitted(estimator, X, y=None, **params):
    """Fit a clone with some parameters changed.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Left alone.
    X : list of clips
        To fit on.
    y : array-like of shape (n_clips,), default=None
        As in `fit`.
    **params
        Parameters to change.

    Returns
    -------
    estimator : BaseAudioTransformer
        The fitted clone.
    """
    return fit(clone(estimator).set_params(**params), X, y)


def assert_close(got, wanted, what, tolerance=TOLERANCE):
    """Require equal features, up to a share of each feature's scale.

    The scale is the largest value of the feature, but no less than a tenth of the largest of
    all: a small mean of large values is no more exact in float32 than these values are.

    Parameters
    ----------
    got, wanted : ndarray of shape (n, n_features), or lists of such
        To compare.
    what : str
        What was done to the clips, for the message.
    tolerance : float
        Share allowed.
    """
    if isinstance(wanted, list):
        assert len(got) == len(wanted), f"{what}: {len(got)} results for {len(wanted)} clips"
        for one, other in zip(got, wanted, strict=True):
            assert_close(one, other, what, tolerance)
        return
    assert got.shape == wanted.shape, f"{what}: shape {got.shape} instead of {wanted.shape}"
    largest = np.abs(wanted).max(axis=0, initial=0)
    scale = np.maximum(largest, 0.1 * largest.max(initial=0))
    good = np.abs(got - wanted) <= tolerance * scale  # false for NaN as well
    if not good.all():
        clip, column = np.argwhere(~good)[0]
        raise AssertionError(
            f"{what}: {np.count_nonzero(~good)} of {good.size} values differ by more than "
            f"{tolerance:g} of their feature's scale; the first, in row {clip}, column {column}, "
            f"is {got[clip, column]:.9g} instead of {wanted[clip, column]:.9g}"
        )


def assert_same(got, wanted, what):
    """Require bit-identical features.

    Parameters
    ----------
    got, wanted : ndarray
        To compare; NaN equals NaN.
    what : str
        What was compared, for the message.
    """
    assert got.shape == wanted.shape, f"{what}: shape {got.shape} instead of {wanted.shape}"
    differ = ~((got == wanted) | (np.isnan(got) & np.isnan(wanted)))
    assert not differ.any(), (
        f"{what}: {np.count_nonzero(differ)} of {differ.size} values differ, by up to "
        f"{np.abs(got - wanted)[differ].max():.3g}"
    )


def raised(action, what):
    """Do what must raise ValueError.

    Parameters
    ----------
    action : callable
        Takes nothing.
    what : str
        What is done, for the message.

    Returns
    -------
    error : ValueError
        What it raised.
    """
    try:
        action()
    except ValueError as error:
        return error
    raise AssertionError(f"{what} raised no ValueError")


@contextmanager
def generators_unmoved(what):
    """Require that the global generators of Python, numpy and torch stand still.

    Parameters
    ----------
    what : str
        What is done inside, for the message.

    Yields
    ------
    None
        The block runs in between.
    """
    import torch

    def states():
        numpy_state = np.random.get_state()  # noqa: NPY002
        return {
            "Python": str(random.getstate()),
            "numpy": (numpy_state[1].tobytes(), *numpy_state[2:]),
            "torch": torch.get_rng_state().numpy().tobytes(),
        }

    before = states()
    yield
    after = states()
    moved = [name for name in before if before[name] != after[name]]
    assert not moved, f"{what} moved the global random generator of {' and of '.join(moved)}"


@contextmanager
def sound_folder():
    """Folder for sound files, gone afterwards.

    Yields
    ------
    write : callable
        ``write(name, samples, rate)`` writes a file and returns its path; samples of shape
        (n_samples,) or (n_samples, n_channels).
    """
    import soundfile

    with tempfile.TemporaryDirectory() as folder:

        def write(name, samples, rate):
            path = Path(folder, name)
            soundfile.write(path, samples, rate)
            return path

        yield write
