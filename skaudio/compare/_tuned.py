"""The classifiers of the comparisons, with their settings chosen by cross-validation."""

import numpy as np
from joblib import Parallel, delayed
from scipy.linalg import cho_factor, cho_solve, cholesky
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import check_cv
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ..elm import ELMClassifier

PAPER_C = (0.1, 2, 8, 32)
PAPER_GAMMA = (2**-3, 2**-5, 2**-7, 2**-9, 2**-11, 2**-13, "auto")
PAPER_SIZES = (100, 250, 500, 1200, 1800, 2500)


class _Tuned(ClassifierMixin, BaseEstimator):
    """Standardise, score every setting on the folds, keep the best: what both classifiers share.

    A subclass yields ``(setting, predicted labels of each fold)`` in ``_trials``, learns with one
    setting in ``_learn``, labels in ``_label``, and spells the result out in ``chosen``.
    """

    scale = True

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
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds 1 class, {self.classes_[0]}; at least 2 are needed")
        self.scaler_ = StandardScaler(with_std=self.scale).fit(X)
        Z = self.scaler_.transform(X)
        folds = list(check_cv(3 if self.cv is None else self.cv, y, classifier=True).split(Z, y))
        truth = np.concatenate([y[valid] for _, valid in folds])
        settings, self.scores_ = [], []
        for setting, predicted in self._trials(Z, y, folds):
            settings.append(setting)
            self.scores_.append(float(np.mean(np.concatenate(predicted) == truth)))
        best = int(np.argmax(self.scores_))  # the first of equals
        self.settings_, self.best_params_ = settings, settings[best]
        self.best_score_ = self.scores_[best]
        self._learn(Z, y, self.best_params_)
        return self

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
        return self._label(self.scaler_.transform(X))


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
        folds that keep groups apart.
    n_jobs : int, default=None
        Threads; None follows `joblib.parallel_config`.

    Attributes
    ----------
    best_params_ : dict
        The chosen setting, as parameters of `~sklearn.svm.SVC`.
    best_score_ : float
        Its accuracy over the folds.
    settings_, scores_ : list of dict, list of float
        All settings and their accuracies.
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
        self, *, C=PAPER_C, gamma=PAPER_GAMMA, linear=True, scale=True, cv=None, n_jobs=None
    ):
        self.C = C
        self.gamma = gamma
        self.linear = linear
        self.scale = scale
        self.cv = cv
        self.n_jobs = n_jobs

    def chosen(self):
        """Spell the chosen model out.

        Returns
        -------
        classifier : Pipeline
            Of scikit-learn's classes, not fitted.
        """
        check_is_fitted(self)
        scaler = [StandardScaler()] if self.scale else []
        return make_pipeline(*scaler, SVC(**self.best_params_))

    def _trials(self, Z, y, folds):
        kernels = [{"kernel": "rbf", "gamma": gamma} for gamma in self.gamma]
        kernels += [{"kernel": "linear"}] if self.linear else []
        products, parallel = _products(Z, Z), Parallel(n_jobs=self.n_jobs, prefer="threads")
        for kernel in kernels:
            K = _kernel(*products, kernel)
            tasks = (delayed(_svm_labels)(K, y, C, *fold) for C in self.C for fold in folds)
            labels = parallel(tasks)
            for i, C in enumerate(self.C):
                yield {"C": C, **kernel}, labels[i * len(folds) : (i + 1) * len(folds)]

    def _learn(self, Z, y, setting):
        self._Z = Z
        K = _kernel(*_products(Z, Z), setting)
        self._svm = SVC(kernel="precomputed", C=setting["C"]).fit(K, y)

    def _label(self, Z):
        return self._svm.predict(_kernel(*_products(Z, self._Z), self.best_params_))


def _products(A, B):
    """Inner products (n_a, n_b) and squared lengths (n_a,), (n_b,), and the number of features."""
    return A @ B.T, np.einsum("ij,ij->i", A, A), np.einsum("ij,ij->i", B, B), A.shape[1]


def _kernel(products, a, b, n_features, setting):
    """Kernel matrix; rows are centred, which no kernel here minds and float32 needs."""
    if setting["kernel"] == "linear":
        return products
    gamma = 1 / n_features if setting["gamma"] == "auto" else setting["gamma"]
    K = products * products.dtype.type(2 * gamma)
    K -= gamma * a[:, None]
    K -= gamma * b
    np.minimum(K, 0, out=K)  # a distance is not negative, its rounding may be
    return np.exp(K, out=K)


def _svm_labels(K, y, C, train, valid):
    if len(np.unique(y[train])) == 1:  # where groups or clips are few; SVC would refuse
        return np.repeat(y[train][:1], len(y[valid]))
    svm = SVC(kernel="precomputed", C=C).fit(K[np.ix_(train, train)], y[train])
    return svm.predict(K[np.ix_(valid, train)])


class TunedELM(_Tuned):
    """Extreme learning machine on standardised features, its size and penalty cross-validated.

    The sizes are those of [1]_. The paper has no penalty and fails where the size comes near the
    number of samples; here it is chosen too.

    Parameters
    ----------
    n_hidden : sequence of int, default=(100, 250, 500, 1200, 1800, 2500)
        Sizes of the hidden layer to try. For the trials, smaller layers are parts of the
        largest.
    alpha : sequence of float, default=(1.0, 10.0, 100.0)
        Penalties to try, times the number of features, with which the variance of the hidden
        values grows.
    cv : int, splitter or list of (train, test), default=None
        How to score a setting. None: three stratified folds. In a comparison, None becomes
        folds that keep groups apart.
    random_state : int, RandomState or None, default=0
        Determines the hidden layers.

    Attributes
    ----------
    best_params_ : dict
        The chosen setting, as parameters of `~skaudio.ELMClassifier`.
    best_score_ : float
        Its accuracy over the folds.
    settings_, scores_ : list of dict, list of float
        All settings and their accuracies.
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

    def __init__(self, *, n_hidden=PAPER_SIZES, alpha=(1.0, 10.0, 100.0), cv=None, random_state=0):
        self.n_hidden = n_hidden
        self.alpha = alpha
        self.cv = cv
        self.random_state = random_state

    def chosen(self):
        """Spell the chosen model out.

        Returns
        -------
        classifier : Pipeline
            Not fitted.
        """
        check_is_fitted(self)
        return make_pipeline(StandardScaler(), self._machine(self.best_params_))

    def _machine(self, setting):
        return ELMClassifier(**setting, random_state=self.random_state)

    def _trials(self, Z, y, folds):
        alphas = [alpha * Z.shape[1] for alpha in self.alpha]
        largest = self._machine({"n_hidden": max(self.n_hidden)})
        largest._draw(Z.shape[1])
        # the wide product in the precision of the features, all sums in float64
        largest.hidden_coef_ = largest.hidden_coef_.astype(Z.dtype)
        largest.hidden_intercept_ = largest.hidden_intercept_.astype(Z.dtype)
        H = largest._hidden(Z).astype(np.float64)
        T = np.where(y[:, None] == self.classes_, 1.0, -1.0)
        labels = {(n, alpha): [] for n in self.n_hidden for alpha in alphas}
        for train, valid in folds:
            scores = _ridge_scores(H[train], T[train], H[valid], self.n_hidden, alphas)
            for setting, score in scores:
                labels[setting].append(self.classes_[score.argmax(axis=1)])
        for (n, alpha), predicted in labels.items():
            yield {"n_hidden": n, "alpha": alpha}, predicted

    def _learn(self, Z, y, setting):
        self._elm = self._machine(setting).fit(Z, y)

    def _label(self, Z):
        return self._elm.predict(Z)


def _ridge_scores(H, T, valid, sizes, alphas):
    """Yield ((size, alpha), outputs): ridge regression on the first columns of H, size by size.

    coef = (H^T H + a I)^-1 H^T T = H^T (H H^T + a I)^-1 T, whichever matrix is the smaller. The
    Cholesky factor of the first columns is the corner of that of all columns.
    """
    n_samples = len(H)
    primal = [n for n in sizes if n <= n_samples]
    if primal:
        most = max(primal)
        gram, right = H[:, :most].T @ H[:, :most], H[:, :most].T @ T
        for alpha in alphas:
            factor = cholesky(_plus(gram, alpha), lower=True, overwrite_a=True)
            for n in primal:
                coef = cho_solve((factor[:n, :n], True), right[:n])
                yield (n, alpha), valid[:, :n] @ coef
    for n in sizes:
        if n > n_samples:
            gram = H[:, :n] @ H[:, :n].T
            for alpha in alphas:
                dual = cho_solve(cho_factor(_plus(gram, alpha), overwrite_a=True), T)
                yield (n, alpha), valid[:, :n] @ (H[:, :n].T @ dual)


def _plus(gram, alpha):
    regular = gram.copy()
    regular[np.diag_indices(len(gram))] += alpha
    return regular
