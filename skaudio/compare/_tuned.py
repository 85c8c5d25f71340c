"""The classifiers of the comparisons, with their settings chosen by cross-validation."""

from functools import lru_cache
from numbers import Integral

import numpy as np
from joblib import Parallel, delayed
from scipy.linalg import cho_solve, cholesky
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .._elm.base import random_layer
from .._elm.probability import best_temperature, loss_sums, probabilities
from ..elm import ELMClassifier
from ..scaling import BlockScaler
from ._svm import CalibratedSVC, svm_scores

PAPER_C = (0.1, 2, 8, 32)
PAPER_GAMMA = (2**-3, 2**-5, 2**-7, 2**-9, 2**-11, 2**-13, "auto")
PAPER_SIZES = (100, 250, 500, 1200, 1800, 2500)


class _Tuned(ClassifierMixin, BaseEstimator):
    """Base of both classifiers: standardise, score every setting on the folds, use the best.

    In the methods of a subclass, classes are numbers. ``_prepared`` computes what all settings
    have in common, ``_trials`` yields ``(setting, predicted classes of each fold)``, ``_held_out``
    the scores of held-out clips with one setting; ``_learn`` fits, ``_label`` predicts, and
    ``chosen`` returns the plain classifier with the best setting.
    """

    def fit(self, X, y):
        """Choose the setting, and learn with it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Class labels.

        Returns
        -------
        self : object
            Fitted.
        """
        X, y = validate_data(self, X, y, dtype=["float64", "float32"])
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds 1 class, {self.classes_[0]}; at least 2 are needed")
        self.scaler_ = self._scaler().fit(X)
        Z = self.scaler_.transform(X)
        folds = list(check_cv(3 if self.cv is None else self.cv, y, classifier=True).split(Z, y))
        rows = np.arange(len(y))
        folds = [(rows[train], rows[valid]) for train, valid in folds]  # masks become numbers
        truth = np.concatenate([codes[valid] for _, valid in folds])
        prepared = self._prepared(Z)
        settings, self.scores_ = [], []
        for setting, predicted in self._trials(prepared, codes, folds):
            settings.append(setting)
            self.scores_.append(float(np.mean(np.concatenate(predicted) == truth)))
        best = int(np.argmax(self.scores_))  # the first of equals
        self.settings_, self.best_params_ = settings, settings[best]
        self.best_score_ = self.scores_[best]
        held_out = np.concatenate([*self._held_out(prepared, codes, folds)])
        self.temperature_ = best_temperature(loss_sums(held_out, truth), len(self.classes_))
        self._learn(Z, prepared, codes, self.best_params_)
        return self

    def _scaler(self):
        return StandardScaler() if self.blocks is None else BlockScaler(self.blocks)

    def predict(self, X):
        """Label samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Class labels.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=["float64", "float32"], reset=False)
        return self.classes_[self._label(self.scaler_.transform(X))]

    def predict_proba(self, X):
        """Probability of each class.

        It is softmax(scores / ``temperature_``), or a sigmoid for two classes, with the
        temperature of the lowest log loss on the held-out clips of all folds. The most probable
        class is that of `predict`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Rows sum to 1.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=["float64", "float32"], reset=False)
        return probabilities(self._scores(self.scaler_.transform(X)), self.temperature_)


class TunedSVM(_Tuned):
    """Support vector machine on standardised features, its kernel and penalty cross-validated.

    The settings are those of [1]_: RBF kernels of several widths and a linear one, each with
    several penalties. All kernels come from one product of the features, which for thousands of
    features is tens of times faster than a grid search over
    ``make_pipeline(StandardScaler(), SVC())``; the model is the same.

    Parameters
    ----------
    C : sequence of float, default=(0.1, 2, 8, 32)
        Penalties to try.
    gamma : sequence of float or "auto", default=(2**-3, 2**-5, ..., 2**-13, "auto")
        Widths of RBF kernels to try; "auto" is 1 / n_features.
    linear : bool, default=True
        Whether to try the linear kernel too.
    scale : bool, default=True
        Whether to standardise. The paper does not.
    cv : int, splitter or list of (train, test), default=None
        How to score a setting. None: three stratified folds. In a comparison, None becomes
        folds in which no group is on both sides.
    n_jobs : int, default=None
        Threads; None follows `joblib.parallel_config`.
    blocks : array-like of shape (n_features,), default=None
        Block of each column; where columns are standardised, blocks count alike, by `BlockScaler`.
        In a comparison, None becomes the blocks that the extractor tells.

    Attributes
    ----------
    best_params_ : dict
        The chosen setting, as parameters of `~sklearn.svm.SVC`.
    best_score_ : float
        Its accuracy over the folds.
    settings_, scores_ : list of dict, list of float
        All settings and their accuracies.
    temperature_ : float
        What decision values are divided by in `predict_proba`, found on the same folds.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of features.

    References
    ----------
    .. [1] J. Pons, X. Serra, "Randomly weighted CNNs for (music) audio classification",
       ICASSP 2019, arXiv:1805.00237.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skaudio.compare import TunedSVM
    >>> X, y = load_wine(return_X_y=True)
    >>> svm = TunedSVM().fit(X[::2], y[::2])
    >>> svm.best_params_, round(svm.score(X[1::2], y[1::2]), 2)
    ({'C': 2, 'kernel': 'rbf', 'gamma': 0.03125}, 0.99)
    """

    def __init__(
        self,
        *,
        C=PAPER_C,
        gamma=PAPER_GAMMA,
        linear=True,
        scale=True,
        cv=None,
        n_jobs=None,
        blocks=None,
    ):
        self.C = C
        self.gamma = gamma
        self.linear = linear
        self.scale = scale
        self.cv = cv
        self.n_jobs = n_jobs
        self.blocks = blocks

    def _scaler(self):
        return super()._scaler() if self.scale else StandardScaler(with_std=False)

    def chosen(self):
        """Return the plain classifier with the chosen setting.

        Returns
        -------
        classifier : Pipeline
            Not fitted. Its last step is an `~sklearn.svm.SVC` with a `predict_proba` that uses
            the temperature found here.
        """
        check_is_fitted(self)
        svm = CalibratedSVC(**self.best_params_, temperature=self.temperature_)
        scaler = self._scaler()
        name = type(scaler).__name__.lower()
        return Pipeline([*[(name, scaler)] * self.scale, ("svc", svm)])

    def _prepared(self, Z):
        return _products(Z, Z)

    def _trials(self, products, y, folds):
        kernels = [{"kernel": "rbf", "gamma": gamma} for gamma in self.gamma]
        kernels += [{"kernel": "linear"}] if self.linear else []
        # the solver sorts by class; it is faster if that is already done
        folds = [(train[np.argsort(y[train], kind="stable")], valid) for train, valid in folds]
        matrices = (_kernel(*products, kernel) for kernel in kernels)
        tasks = (delayed(_svm_labels)(K, y, self.C, *fold) for K in matrices for fold in folds)
        labels = iter(Parallel(n_jobs=self.n_jobs, prefer="threads")(tasks))
        for kernel in kernels:
            of_folds = [next(labels) for _ in folds]
            for C, *predicted in zip(self.C, *of_folds, strict=True):
                yield {"C": C, **kernel}, predicted

    def _learn(self, Z, products, y, setting):
        self._Z = Z
        K = _kernel(*products, setting)
        self._svm = SVC(kernel="precomputed", C=setting["C"]).fit(K, y)

    def _held_out(self, products, y, folds):
        K = _kernel(*products, self.best_params_)
        svm = SVC(kernel="precomputed", C=self.best_params_["C"])
        for train, valid in folds:
            known = np.unique(y[train])
            scores = np.full((len(valid), len(self.classes_)), -np.inf)
            if len(known) > 1:
                svm.fit(K[np.ix_(train, train)], y[train])
                found = svm_scores(svm, K[np.ix_(valid, train)])
                scores[:, known] = found if found.ndim == 2 else np.stack([0 * found, found], 1)
            yield scores

    def _label(self, Z):
        return self._svm.predict(_kernel(*_products(Z, self._Z), self.best_params_))

    def _scores(self, Z):
        return svm_scores(self._svm, _kernel(*_products(Z, self._Z), self.best_params_))


def _products(A, B):
    """Inner products (n_a, n_b) and squared lengths (n_a,), (n_b,), and the number of features."""
    return A @ B.T, np.einsum("ij,ij->i", A, A), np.einsum("ij,ij->i", B, B), A.shape[1]


def _kernel(products, a, b, n_features, setting):
    """Kernel matrix of centred rows: centring does not change the SVM, and saves float32 digits."""
    if setting["kernel"] == "linear":
        return products
    gamma = 1 / n_features if setting["gamma"] == "auto" else setting["gamma"]
    K = products * products.dtype.type(2 * gamma)
    K -= gamma * a[:, None]
    K -= gamma * b
    np.minimum(K, 0, out=K)  # rounding may make a squared distance negative
    return np.exp(K, out=K)


def _svm_labels(K, y, penalties, train, valid):
    """Predicted classes of the rows held out, penalty by penalty."""
    if len(np.unique(y[train])) == 1:  # with few groups or clips; SVC would raise an error
        return [np.repeat(y[train][:1], len(valid))] * len(penalties)
    inner, outer = (K[np.ix_(rows, train)].astype(np.float64) for rows in (train, valid))
    labels, unbound = [], None
    for C in penalties:
        if unbound is not None and C >= unbound[0]:
            labels.append(unbound[1])
            continue
        with config_context(assume_finite=True, skip_parameter_validation=True):
            svm = SVC(kernel="precomputed", C=C).fit(inner, y[train])
            labels.append(svm.predict(outer))
        # If no multiplier is at its bound C, the solution is the same for every larger C.
        if np.abs(svm.dual_coef_).max() < C:
            unbound = C, labels[-1]
    return labels


class TunedELM(_Tuned):
    """Extreme learning machine on standardised features, its size and penalty cross-validated.

    The sizes are those of [1]_. The paper has no penalty and fails where the size comes near the
    number of samples; here it is chosen too.

    Parameters
    ----------
    n_hidden : sequence of int, default=(100, 250, 500, 1200, 1800, 2500)
        Sizes of the hidden layer to try. In the trials, smaller layers are parts of the largest.
    alpha : sequence of float, default=(1.0, 10.0, 100.0)
        Penalties to try, times the number of features, with which the variance of the hidden
        values grows.
    cv : int, splitter or list of (train, test), default=None
        How to score a setting. None: three stratified folds. In a comparison, None becomes
        folds in which no group is on both sides.
    random_state : int, RandomState or None, default=0
        Determines the hidden layers.
    blocks : array-like of shape (n_features,), default=None
        Block of each column; blocks count alike, by `BlockScaler`. In a comparison, None becomes
        the blocks that the extractor tells.

    Attributes
    ----------
    best_params_ : dict
        The chosen setting, as parameters of `~skaudio.ELMClassifier`.
    best_score_ : float
        Its accuracy over the folds.
    settings_, scores_ : list of dict, list of float
        All settings and their accuracies.
    temperature_ : float
        What decision values are divided by in `predict_proba`, found on the same folds.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of features.

    References
    ----------
    .. [1] J. Pons, X. Serra, "Randomly weighted CNNs for (music) audio classification",
       ICASSP 2019, arXiv:1805.00237.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skaudio.compare import TunedELM
    >>> X, y = load_wine(return_X_y=True)
    >>> elm = TunedELM(n_hidden=(20, 200)).fit(X[::2], y[::2])
    >>> elm.best_params_["n_hidden"], elm.score(X[1::2], y[1::2]) > 0.95
    (200, True)
    """

    def __init__(
        self,
        *,
        n_hidden=PAPER_SIZES,
        alpha=(1.0, 10.0, 100.0),
        cv=None,
        random_state=0,
        blocks=None,
    ):
        self.n_hidden = n_hidden
        self.alpha = alpha
        self.cv = cv
        self.random_state = random_state
        self.blocks = blocks

    def chosen(self):
        """Return the plain classifier with the chosen setting.

        Returns
        -------
        classifier : Pipeline
            Not fitted. The machine uses the temperature found here.
        """
        check_is_fitted(self)
        return make_pipeline(self._scaler(), self._machine(self._setting()))

    def _setting(self):
        return {**self.best_params_, "temperature": self.temperature_}

    def _machine(self, setting):
        return ELMClassifier(**setting, random_state=self.random_state)

    def _prepared(self, Z):
        """Hidden values of the largest layer."""
        largest = self._machine({"n_hidden": max(self.n_hidden)})
        largest.hidden_intercept_, largest.hidden_coef_ = (
            # the product with the features is in their precision, all sums are in float64
            part.astype(Z.dtype)
            for part in self._layer(Z.shape[1], largest.n_hidden)
        )
        return largest._hidden(Z).astype(np.float64)

    def _layer(self, n_features, n_hidden):
        """The layer that `random_layer` gives, from cached random numbers where possible."""
        if not isinstance(self.random_state, Integral):
            return random_layer(self.random_state, n_features, n_hidden)
        n_most = max(n_hidden, *self.n_hidden)
        values = _normals(int(self.random_state), (n_features + 1) * n_most)
        coef = values[n_hidden : n_hidden * (n_features + 1)].reshape(n_features, n_hidden)
        return values[:n_hidden], coef

    def _trials(self, H, y, folds):
        alphas = [alpha * self.n_features_in_ for alpha in self.alpha]
        scores = _ridge_scores(H, self._targets(y), folds, self.n_hidden, alphas)
        for n in self.n_hidden:
            for alpha in alphas:
                labels = [of_fold.argmax(axis=1) for of_fold in scores[n, alpha]]
                yield {"n_hidden": n, "alpha": alpha}, labels

    def _targets(self, y):
        return np.where(y[:, None] == np.arange(len(self.classes_)), 1.0, -1.0)

    def _held_out(self, H, y, folds):
        n, alpha = self.best_params_["n_hidden"], self.best_params_["alpha"]
        scores = _ridge_scores(H, self._targets(y), folds, [n], [alpha])[n, alpha]
        if len(self.classes_) > 2:
            return scores
        # for two classes the machine has only the second score; the first is minus that
        return [of_fold * [0, 1] for of_fold in scores]

    def _learn(self, Z, H, y, setting):
        elm = self._machine(self._setting())
        layer = [part.copy() for part in self._layer(Z.shape[1], elm.n_hidden)]
        self._elm = elm._fit(Z, y, layer=layer)

    def _label(self, Z):
        return self._elm.predict(Z)

    def _scores(self, Z):
        return self._elm.decision_function(Z)


@lru_cache(maxsize=1)  # seed and number of features are the same for all parts of a comparison
def _normals(seed, size):
    values = np.random.RandomState(seed).normal(size=size)
    values.flags.writeable = False
    return values


def _ridge_scores(H, T, folds, sizes, alphas):
    """Outputs of ridge regression on the first columns of H for the rows held out of each fold.

    coef = (H^T H + a I)^-1 H^T T = H^T (H H^T + a I)^-1 T, whichever matrix is the smaller.

    Returns
    -------
    scores : dict of (size, alpha) to list of ndarray of shape (n_valid, n_classes)
        One array for each fold.
    """
    scores = {(n, alpha): [None] * len(folds) for n in sizes for alpha in alphas}
    for i, (train, valid) in enumerate(folds):
        fitting = [n for n in sizes if n <= len(train)]
        if fitting:
            most = max(fitting)
            part, held_out = H[train, :most], H[valid, :most]
            gram, right = part.T @ part, part.T @ T[train]
            for alpha in alphas:
                factor = _factor(gram, alpha)
                for n in fitting:
                    # the Cholesky factor of the first n columns is a corner of the whole factor
                    coef = cho_solve((factor[:n, :n], True), right[:n], check_finite=False)
                    scores[n, alpha][i] = held_out[:, :n] @ coef
    products, done = 0.0, 0
    for n in sorted({n for n in sizes if any(n > len(train) for train, _ in folds)}):
        products = products + H[:, done:n] @ H[:, done:n].T
        done = n
        for i, (train, valid) in enumerate(folds):
            if n > len(train):
                inner, outer = products[np.ix_(train, train)], products[np.ix_(valid, train)]
                for alpha in alphas:
                    factor = _factor(inner, alpha), True
                    dual = cho_solve(factor, T[train], check_finite=False)
                    scores[n, alpha][i] = outer @ dual
    return scores


def _factor(gram, alpha):
    """Lower Cholesky factor of gram + alpha I."""
    regular = gram.copy()
    regular[np.diag_indices(len(gram))] += alpha
    return cholesky(regular, lower=True, overwrite_a=True, check_finite=False)
