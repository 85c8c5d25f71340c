"""Samples as the classes that WaveNet predicts."""

import numpy as np
import torch
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import validate_data

from .. import _mulaw
from .._audio.samples import as_wave, check_finite
from ..utils.validation import check_choice, check_number

__all__ = ["MuLawTransformer"]


class MuLawTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Mu-law: samples as classes 0 to 255, evenly spaced by loudness, and back again.

    F(x) = sign(x) ln(1 + mu abs(x)) / ln(1 + mu), mu = ``n_classes`` - 1 (ITU-T G.711), is rounded
    to ``n_classes`` levels. With 256, what comes back differs from a sample x by at most
    0.022 (abs(x) + 1 / 255).

    There is nothing to fit, and clips may differ in length: for a list of clips there is a list of
    arrays, for a matrix a matrix. Lists of numbers that are all of one length are a matrix, too.

    Parameters
    ----------
    variant : {"A", "B"}, default="A"
        "A" rounds F to levels from -1 to 1, as most WaveNets do. "B" takes the middles of equal
        intervals of F, as NSynth does. No class of either is exactly zero.
    n_classes : int, default=256
        Number of classes.

    Attributes
    ----------
    n_features_in_ : int
        Samples per clip, if `fit` got a matrix.

    See Also
    --------
    skaudio.extractors : What makes features of clips.

    References
    ----------
    A. van den Oord et al., "WaveNet: A generative model for raw audio", arXiv:1609.03499, section
    2.2.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio import MuLawTransformer
    >>> mulaw = MuLawTransformer()
    >>> classes = mulaw.fit_transform([[0.0, 0.01, -0.25, 1.0], [0.6]])
    >>> classes
    [array([128, 157,  32, 255]), array([243])]
    >>> mulaw.inverse_transform(classes)[0].round(3)
    array([ 0.   ,  0.01 , -0.246,  1.   ], dtype=float32)
    """

    def __init__(self, variant="A", n_classes=256):
        self.variant = variant
        self.n_classes = n_classes

    def fit(self, X, y=None):
        """Check X; there is nothing to learn.

        Parameters
        ----------
        X : list of array-like of shape (n_samples_i,), or matrix (n_clips, n_samples)
            Clips.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : MuLawTransformer
            Fitted.

        Raises
        ------
        ValueError
            If a parameter or a clip is not what it must be.
        """
        self._check_parameters()
        if _is_list(X):
            vars(self).pop("n_features_in_", None)
            _each(X, _wave)
        else:
            validate_data(self, X)
        return self

    def transform(self, X):
        """Classes of samples.

        Parameters
        ----------
        X : list of array-like of shape (n_samples_i,), or matrix (n_clips, n_samples)
            Clips; what lies beyond -1 and 1 is clipped. Integers of 8 to 32 bits are scaled to
            [-1, 1) by their type.

        Returns
        -------
        classes : list of ndarray, or ndarray of shape (n_clips, n_samples), int64
            List for list, matrix for matrix.

        Raises
        ------
        ValueError
            If a clip holds what is no sample.
        """
        self._check_parameters()
        if _is_list(X):
            return _each(X, lambda clip: self._classes(_wave(clip)))
        X = validate_data(self, X, reset=False)
        narrow = X.dtype.kind in "iu" and X.dtype.itemsize <= 4
        return self._classes(as_wave(X.ravel()).reshape(X.shape) if narrow else X)

    def inverse_transform(self, X):
        """Samples that classes stand for.

        Parameters
        ----------
        X : list of array-like of shape (n_samples_i,), or matrix (n_clips, n_samples)
            Classes.

        Returns
        -------
        waves : list of ndarray, or ndarray of shape (n_clips, n_samples), float32
            Samples from -1 to 1; their classes are those of X.

        Raises
        ------
        ValueError
            If X holds what is no class.
        """
        self._check_parameters()
        if _is_list(X):
            return _each(X, self._samples)
        return self._samples(validate_data(self, X, reset=False))

    def _check_parameters(self):
        check_choice("variant", self.variant, _mulaw.VARIANTS)
        check_number("n_classes", self.n_classes, 2, 1 << 16)

    def _classes(self, wave):
        wave = torch.from_numpy(np.require(wave, np.result_type(wave, np.float32), "W"))
        return _mulaw.encode(wave, self.n_classes, self.variant).numpy()

    def _samples(self, classes):
        found = np.asarray(classes)
        allowed = found.dtype.kind in "iuf" and found.size
        if not allowed or not np.all(
            (found == found // 1) & (found >= 0) & (found < self.n_classes)
        ):
            raise ValueError(f"holds what is no class from 0 to {self.n_classes - 1}")
        classes = torch.from_numpy(found.astype(np.int64))
        return _mulaw.decode(classes, self.n_classes, self.variant).numpy()

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _is_list(X):
    """Whether X is clips, and not a matrix, which may be written as lists of numbers."""
    if not isinstance(X, list | tuple):
        return False
    return not all(isinstance(clip, list | tuple) and len(clip) == len(X[0]) for clip in X) or not X


def _each(X, function):
    """What a function makes of each clip; errors say which one they are about."""
    if not len(X):
        raise ValueError("X holds no clip")
    found = []
    for i, clip in enumerate(X):
        try:
            found.append(function(clip))
        except ValueError as error:
            raise ValueError(f"clip {i} {error}") from error
    return found


def _wave(clip):
    wave = as_wave(clip)
    check_finite(wave)
    return wave
