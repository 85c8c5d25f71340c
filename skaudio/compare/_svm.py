"""The support vector machines of the comparisons."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.validation import check_is_fitted, validate_data

from .._elm.probability import probabilities
from ..scaling import block_weights


class RBFKernel(TransformerMixin, BaseEstimator):
    """Similarity of each vector to each training vector, exp(-gamma |x - x_i|^2).

    gamma = 1 / (n_features * variance of the training matrix), which is what
    ``SVC(gamma="scale")`` takes.

    Parameters
    ----------
    blocks : array-like of shape (n_features,), default=None
        Block of each column; the columns are weighted so that standardised blocks count alike.

    Attributes
    ----------
    X_fit_ : ndarray of shape (n_train, n_features)
        The training vectors, weighted.
    gamma_ : float
        Width of the kernel.
    n_features_in_ : int
        Length of the vectors.
    """

    def __init__(self, blocks=None):
        self.blocks = blocks

    def fit(self, X, y=None):
        """Store the training vectors.

        Parameters
        ----------
        X : array-like of shape (n_train, n_features)
            The vectors.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : RBFKernel
            Fitted.
        """
        self.X_fit_ = self._weighted(validate_data(self, X, dtype=["float64", "float32"]))
        variance = self.X_fit_.var(dtype="float64")
        self.gamma_ = 1.0 / (X.shape[1] * variance) if variance else 1.0
        return self

    def transform(self, X):
        """Compute the kernel.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The vectors.

        Returns
        -------
        kernel : ndarray of shape (n_samples, n_train)
            The similarities.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=["float64", "float32"], reset=False)
        return rbf_kernel(self._weighted(X), self.X_fit_, gamma=self.gamma_)

    def _weighted(self, X):
        if self.blocks is None:
            return X
        return X * block_weights(self.blocks, X.shape[1]).astype(X.dtype)


def standard_svm(C=8, blocks=None):
    """Make the classifier of the comparisons.

    Parameters
    ----------
    C : float, default=8
        Penalty of the support vector machine.
    blocks : array-like of shape (n_features,), default=None
        Block of each column; blocks count alike. None: all columns do, unless the blocks are told
        by a comparison.

    Returns
    -------
    classifier : Pipeline
        The model of ``make_pipeline(StandardScaler(), SVC(C=C))``, or with blocks of
        ``make_pipeline(BlockScaler(blocks), SVC(C=C))``. Its kernel is computed by matrix
        products, which for thousands of features is tens of times faster.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skaudio.compare import standard_svm
    >>> X, y = load_wine(return_X_y=True)
    >>> round(standard_svm().fit(X[::2], y[::2]).score(X[1::2], y[1::2]), 2)
    0.98
    """
    return make_pipeline(StandardScaler(), RBFKernel(blocks), SVC(C=C, kernel="precomputed"))


class CalibratedSVC(SVC):
    """Support vector machine with probabilities that agree with an unchanged `predict`.

    Probabilities are softmax(scores / temperature), or a sigmoid for two classes. The scores are
    the values of `decision_function`, where the class with the most votes has the highest; if
    votes tie, the class that `predict` returns is given the highest value too. So the first of
    the most probable classes is always the predicted one.

    Parameters
    ----------
    C, kernel, gamma : object
        As for `~sklearn.svm.SVC`.
    temperature : float, default=1.0
        What scores are divided by; `~skaudio.compare.TunedSVM` finds it on held-out clips.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; with all other attributes of `~sklearn.svm.SVC`.
    """

    def __init__(self, *, C=1.0, kernel="rbf", gamma="scale", temperature=1.0):
        super().__init__(C=C, kernel=kernel, gamma=gamma)
        self.temperature = temperature

    def predict_proba(self, X):
        """Probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Rows sum to 1.
        """
        return probabilities(svm_scores(self, X), self.temperature)


def svm_scores(svm, X):
    """Decision values in which the predicted class has the highest.

    Parameters
    ----------
    svm : SVC
        Fitted.
    X : array-like of shape (n_samples, n_features)
        Features.

    Returns
    -------
    scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
        One column per class; if there are two classes, a vector for the second.
    """
    scores = svm.decision_function(X)
    if scores.ndim == 2:
        rows = np.arange(len(scores))
        scores[rows, np.searchsorted(svm.classes_, svm.predict(X))] = scores.max(axis=1)
    return scores
