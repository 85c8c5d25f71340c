"""Extreme learning machines: one random hidden layer, an output layer in closed form."""

import warnings

import numpy as np
from scipy.linalg import LinAlgError, LinAlgWarning, cho_solve, cholesky, solve
from scipy.linalg.lapack import dpocon, dtpqrt
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.utils import check_array, check_consistent_length, check_random_state, gen_batches
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ._engine.saving import Saveable
from .utils.validation import check_choice, check_number

__all__ = ["ELMClassifier", "ELMRegressor"]

# in place, since a block of hidden values may be large
ACTIVATIONS = {
    "relu": lambda z: np.maximum(z, 0.0, out=z),
    "tanh": lambda z: np.tanh(z, out=z),
    "sigmoid": lambda z: expit(z, out=z),
    "sine": lambda z: np.sin(z, out=z),
}
FLOATS = [np.float64, np.float32]
QR_BLOCK = 64  # columns that LAPACK eliminates at a time


class _BaseELM(Saveable, BaseEstimator):
    """What both machines share; a subclass checks y and turns it into target columns.

    With H the hidden values of all rows seen, Y their targets and A = [1 H Y], each row times the
    root of its weight, all that is kept of the rows is ``sums_``, square and in float64: A^T A if
    alpha > 0, else R of A = QR, which does not square the condition of H.
    """

    def __init__(
        self,
        n_hidden=500,
        *,
        activation="relu",
        alpha=100.0,
        fit_intercept=False,
        random_state=None,
    ):
        self.n_hidden = n_hidden
        self.activation = activation
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        """Draw the hidden layer and solve for the output weights.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, taken as float64 or float32.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels of any kind, at least two; or the regressor's targets.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each sample counts; None: once.

        Returns
        -------
        self : object
            The fitted machine. What an earlier fit learnt is forgotten.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data cannot be used.
        """
        return self._fit(X, y, sample_weight)

    def _check_parameters(self):
        check_number("n_hidden", self.n_hidden, 1)
        check_number("alpha", self.alpha, 0, integer=False)
        check_choice("fit_intercept", self.fit_intercept, (True, False))
        if not callable(self.activation):
            check_choice("activation", self.activation, ACTIVATIONS)

    def _learnt_arrays(self):
        shape = (self.n_features_in_, self.n_hidden)
        return {"hidden_coef_": ("float64", shape), "hidden_intercept_": ("float64", shape[1:])}

    def _update(self, X, y, sample_weight, first, layer=None):
        """Draw the hidden layer if these are the first rows, add them to the sums, solve."""
        sample_weight = _check_weight(sample_weight, X)
        if first:
            drawn = layer or draw_layer(self.random_state, X.shape[1], self.n_hidden)
            self.hidden_intercept_, self.hidden_coef_ = drawn
            self._squares = bool(self.alpha > 0)
        elif self._squares != (self.alpha > 0):
            raise ValueError(
                f"alpha={self.alpha!r} cannot be reached by partial_fit: zero and other values "
                "need different sums; call fit"
            )
        coef = None
        if first and self.alpha > 0 and len(X) < self.n_hidden:
            A = self._rows(X, y, sample_weight)
            self.sums_ = _finite(A.T @ A)
            coef = self._solve_few(A)
        else:
            self.sums_ = self._add(X, y, sample_weight, first)
        if coef is None:
            coef = self._solve()
        n_hidden, top = self.hidden_intercept_.size, self.sums_[0]
        self.intercept_ = 0.0
        if self.fit_intercept:
            self.intercept_ = (top[n_hidden + 1 :] - top[1 : n_hidden + 1] @ coef) / top[0]
        self.coef_ = coef[:, 0] if coef.shape[1] == 1 else coef.T
        return self

    def _hidden(self, X, out=None):
        """Hidden values, (n_samples, n_hidden); where there is room for them, in there."""
        z = np.matmul(X, self.hidden_coef_, out=out)  # in float64, since the weights are
        z += self.hidden_intercept_
        if not callable(self.activation):
            return ACTIVATIONS[self.activation](z)
        shape, z = z.shape, np.asarray(self.activation(z))
        if z.shape != shape:
            raise ValueError(f"activation={self.activation!r} made shape {z.shape} of {shape}")
        return z

    def _blocks(self, X):
        """Slices of so many rows that their hidden values take no more room than the sums."""
        return gen_batches(len(X), max(256, self.hidden_intercept_.size))

    def _rows(self, X, y, sample_weight):
        """[1 H Y] of some rows, each times the root of its weight."""
        n_hidden = self.hidden_intercept_.size
        targets = self._targets(y)
        A = np.empty((len(targets), 1 + n_hidden + targets.shape[1]))
        A[:, 0] = 1.0
        room = A[:, 1 : n_hidden + 1]
        hidden = self._hidden(X, room)
        if hidden is not room:
            room[:] = hidden
        A[:, n_hidden + 1 :] = targets
        if sample_weight is not None:
            A *= np.sqrt(sample_weight[:, None])
        return A

    def _add(self, X, y, sample_weight, first):
        """Sums over the rows seen earlier and these."""
        sums = None if first else self.sums_.copy(order="F")  # whole even if a block fails
        for rows in self._blocks(X):
            A = self._rows(X[rows], y[rows], None if sample_weight is None else sample_weight[rows])
            if sums is None:
                sums = np.zeros((A.shape[1],) * 2, order="F")
            elif A.shape[1] != len(sums):
                before = 1 + self.hidden_intercept_.size
                raise ValueError(
                    f"y has {A.shape[1] - before} targets, but had {len(sums) - before} before"
                )
            if self.alpha > 0:
                sums += A.T @ A  # numpy sees that it is symmetric
            else:
                nb = min(QR_BLOCK, len(sums))
                sums = dtpqrt(0, nb, sums, np.asfortranarray(A), overwrite_a=1, overwrite_b=1)[0]
        return _finite(sums)

    def _solve_few(self, A):
        """Output weights from rows fewer than the hidden units; None if rounding forbids.

        They are H^T (H H^T + alpha I)^-1 Y.
        """
        n_hidden, ones = self.hidden_intercept_.size, A[:, :1]
        if self.fit_intercept:
            A = A - ones * (self.sums_[0] / self.sums_[0, 0])
        H = A[:, 1 : n_hidden + 1]
        gram = H @ H.T
        gram[np.diag_indices(len(gram))] += self.alpha
        norm = np.abs(gram).sum(axis=0).max()
        try:
            factor = cholesky(gram, lower=True, overwrite_a=True, check_finite=False)
        except LinAlgError:
            return None
        if dpocon(factor, norm, uplo="L")[0] < np.finfo(float).eps:
            return None
        return H.T @ cho_solve((factor, True), A[:, n_hidden + 1 :], check_finite=False)

    def _solve(self):
        """Output weights, one column per target."""
        n_hidden, top = self.hidden_intercept_.size, self.sums_[0]
        H, Y = slice(1, n_hidden + 1), slice(n_hidden + 1, None)
        # The first row belongs to the column of ones. What is left after it is eliminated are
        # the sums about the means, from which an intercept without penalty follows.
        if self.alpha > 0:
            sums = self.sums_[H, 1:].copy()
            if self.fit_intercept:
                sums -= np.outer(top[H], top[1:] / top[0])
            sums[np.diag_indices(n_hidden)] += self.alpha
            return _solve_positive(sums[:, :n_hidden], sums[:, n_hidden:])
        rows = slice(int(self.fit_intercept), n_hidden + 1)
        return np.linalg.lstsq(self.sums_[rows, H], self.sums_[rows, Y], rcond=None)[0]

    def _output(self, X):
        check_is_fitted(self, "coef_")
        X = validate_data(self, X, dtype=FLOATS, reset=False)
        parts = [self._hidden(X[rows]) @ self.coef_.T for rows in self._blocks(X)]
        return np.concatenate(parts) + self.intercept_


def draw_layer(random_state, n_features, n_hidden):
    """Draw a hidden layer.

    Parameters
    ----------
    random_state : int, RandomState or None
        None draws afresh.
    n_features, n_hidden : int
        Its size.

    Returns
    -------
    intercept, coef : ndarray of shape (n_hidden,) and (n_features, n_hidden), float64
        From N(0, 1), in this order.
    """
    # None would be numpy's global generator, which is not ours to move
    rng = np.random.RandomState() if random_state is None else check_random_state(random_state)
    return rng.normal(size=n_hidden), rng.normal(size=(n_features, n_hidden))


def _finite(sums):
    if not np.isfinite(sums).all():
        raise ValueError("the hidden values overflow or hold NaN; standardise the features")
    return sums


def _solve_positive(gram, right):
    """Solve for the upper triangle of a positive definite matrix."""
    try:
        return solve(gram, right, assume_a="pos")
    except LinAlgError:
        warnings.warn(
            "alpha is too small to be felt beside these hidden values, so that directions within "
            "rounding are left out; standardise the features, raise alpha, or pass alpha=0",
            LinAlgWarning,
            stacklevel=6,  # the line that calls fit or partial_fit
        )
        whole = np.triu(gram) + np.triu(gram, 1).T
        return np.linalg.lstsq(whole, right, rcond=None)[0]


def _check_weight(sample_weight, X):
    """Sample weights as a float64 vector, or None."""
    if sample_weight is None:
        return None
    weight = check_array(
        sample_weight, dtype=np.float64, ensure_2d=False, input_name="sample_weight"
    )
    if weight.ndim != 1:
        raise ValueError(f"sample_weight has shape {weight.shape}; it must be a vector")
    check_consistent_length(X, weight)
    if weight.min() < 0 or not weight.any():
        raise ValueError("sample_weight must be at least zero, and not zero everywhere")
    return weight


# The linter does not see that both are constructed as their base is.


class ELMClassifier(ClassifierMixin, _BaseELM):  # numpydoc ignore=PR02
    """Classifier with one random hidden layer and an output layer in closed form.

    The hidden layer is drawn once and never trained; the output weights are a ridge regression,
    or with ``alpha=0`` the pseudo-inverse, onto targets of +1 for the class and -1 for the others
    [1]_. It is the classifier, besides the support vector machine, with which randomly weighted
    CNNs were rated [2]_.

    Parameters
    ----------
    n_hidden : int, default=500
        Number of hidden units. Time and memory grow with its square.
    activation : {"relu", "tanh", "sigmoid", "sine"} or callable, default="relu"
        What a hidden unit makes of its input. A callable takes an array of shape (n, n_hidden),
        which it may overwrite, and returns one of the same shape.
    alpha : float, default=100.0
        Penalty on the squared output weights, as in `~sklearn.linear_model.RidgeClassifier`. 0 is
        the pseudo-inverse of the papers, which fails where ``n_hidden`` is near the number of
        samples; see Notes.
    fit_intercept : bool, default=False
        Whether the output layer has an intercept, which is not penalised. The papers have none.
    random_state : int, RandomState or None, default=None
        Determines the hidden layer. None draws a fresh one in every `fit`.

    Attributes
    ----------
    hidden_coef_ : ndarray of shape (n_features, n_hidden), float64
        Weights of the hidden layer, from N(0, 1).
    hidden_intercept_ : ndarray of shape (n_hidden,), float64
        Biases of the hidden layer, from N(0, 1), drawn before the weights.
    coef_ : ndarray of shape (n_hidden,) or (n_classes, n_hidden), float64
        Output weights; a vector if there are two classes.
    intercept_ : float or ndarray of shape (1,) or (n_classes,)
        Output intercepts, 0.0 without ``fit_intercept``.
    sums_ : ndarray of shape (n_sums, n_sums), float64
        What `partial_fit` goes on from; n_sums = 1 + n_hidden + number of outputs.
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, if `fit` saw a data frame.

    See Also
    --------
    ELMRegressor : The same for numbers.

    Notes
    -----
    Features should be standardised, since the hidden weights are as large for small features as
    for large ones. The inputs of the hidden units then have a variance of about the number of
    features, and ``alpha`` may grow with it. With 10 to 60 features the default did about as well
    as smaller values or, where ``n_hidden`` is near the number of samples, far better; with
    hundreds, 1000 and 10000 are worth a trial.

    Rows are taken in blocks, all sums are in float64, and memory beyond the input does not grow
    with the number of rows.

    References
    ----------
    .. [1] G.-B. Huang, Q.-Y. Zhu, C.-K. Siew, "Extreme learning machine: theory and
       applications", Neurocomputing 70, 2006, doi:10.1016/j.neucom.2005.12.126.
    .. [2] J. Pons, X. Serra, "Randomly weighted CNNs for (music) audio classification",
       ICASSP 2019, arXiv:1805.00237.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skaudio.elm import ELMClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> elm = ELMClassifier(n_hidden=300, random_state=0).fit(X[::2], y[::2])
    >>> elm.score(X[1::2], y[1::2]) > 0.94
    True
    """

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Add samples to those seen before, as if all had come at once.

        It goes on from the last `fit`, if there was one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, taken as float64 or float32.
        y : array-like of shape (n_samples,)
            Class labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will come; needed in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each sample counts; None: once.

        Returns
        -------
        self : ELMClassifier
            Fitted to all samples so far.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data cannot be used, or a label is not among the classes.
        """
        first = not hasattr(self, "coef_")
        if first and classes is None:
            raise ValueError("classes must be given in the first call of partial_fit")
        return self._fit(X, y, sample_weight, first, classes)

    def _fit(self, X, y, sample_weight=None, first=True, classes=None, layer=None):
        self._check_parameters()
        X, y = validate_data(self, X, y, dtype=FLOATS, reset=first)
        check_classification_targets(y)
        known = self.classes_ if not first else np.unique(y if classes is None else classes)
        if len(known) < 2:
            raise ValueError(f"there is only 1 class, {known[0]}; at least 2 are needed")
        if classes is not None and not np.array_equal(known, np.unique(classes)):
            raise ValueError(f"classes={classes!r} are not those of the first call, {known}")
        if not np.isin(y, known).all():
            raise ValueError(f"y holds {np.setdiff1d(y, known)}, not among the classes {known}")
        self.classes_ = known
        return self._update(X, y, sample_weight, first, layer)

    def _targets(self, y):
        # two classes need one column, in which the second is positive
        positive = self.classes_ if len(self.classes_) > 2 else self.classes_[1:]
        return np.where(y[:, None] == positive, 1.0, -1.0)

    def decision_function(self, X):
        """Output of the machine, near +1 for the class of a sample and -1 for the others.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes), float64
            One column per class; if there are two classes, a vector for the second.
        """
        return self._output(X)

    def predict(self, X):
        """Class of the highest output.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Class labels.
        """
        scores = self.decision_function(X)
        return self.classes_[scores.argmax(1) if scores.ndim == 2 else (scores > 0).astype(int)]


class ELMRegressor(MultiOutputMixin, RegressorMixin, _BaseELM):  # numpydoc ignore=PR02
    """Regressor with one random hidden layer and an output layer in closed form.

    The hidden layer is drawn once and never trained; the output weights are a ridge regression,
    or with ``alpha=0`` the pseudo-inverse [1]_.

    Parameters
    ----------
    n_hidden : int, default=500
        Number of hidden units.
    activation : {"relu", "tanh", "sigmoid", "sine"} or callable, default="relu"
        What a hidden unit makes of its input, as for `ELMClassifier`.
    alpha : float, default=100.0
        Penalty on the squared output weights, as in `~sklearn.linear_model.Ridge`; 0 is the
        pseudo-inverse of the paper. See Notes.
    fit_intercept : bool, default=False
        Whether the output layer has an intercept, which is not penalised. The paper has none.
    random_state : int, RandomState or None, default=None
        Determines the hidden layer. None draws a fresh one in every `fit`.

    Attributes
    ----------
    hidden_coef_ : ndarray of shape (n_features, n_hidden), float64
        Weights of the hidden layer, from N(0, 1).
    hidden_intercept_ : ndarray of shape (n_hidden,), float64
        Biases of the hidden layer, from N(0, 1), drawn before the weights.
    coef_ : ndarray of shape (n_hidden,) or (n_outputs, n_hidden), float64
        Output weights; a vector if there is one output.
    intercept_ : float or ndarray of shape (n_outputs,)
        Output intercepts, 0.0 without ``fit_intercept``.
    sums_ : ndarray of shape (n_sums, n_sums), float64
        What `partial_fit` goes on from; n_sums = 1 + n_hidden + number of outputs.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, if `fit` saw a data frame.

    See Also
    --------
    ELMClassifier : The same for classes.

    Notes
    -----
    As for `ELMClassifier`, but a smooth, noiseless function of a few features wants a much smaller
    ``alpha``.

    References
    ----------
    .. [1] G.-B. Huang, Q.-Y. Zhu, C.-K. Siew, "Extreme learning machine: theory and
       applications", Neurocomputing 70, 2006, doi:10.1016/j.neucom.2005.12.126.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.elm import ELMRegressor
    >>> X = np.linspace(-3, 3, 200)[:, None]
    >>> y = np.sin(2 * X[:, 0])
    >>> elm = ELMRegressor(n_hidden=100, activation="tanh", alpha=1e-6, random_state=0)
    >>> elm.fit(X[::2], y[::2]).score(X[1::2], y[1::2]) > 0.999
    True
    """

    def partial_fit(self, X, y, sample_weight=None):
        """Add samples to those seen before, as if all had come at once.

        It goes on from the last `fit`, if there was one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, taken as float64 or float32.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each sample counts; None: once.

        Returns
        -------
        self : ELMRegressor
            Fitted to all samples so far.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data cannot be used, or the number of outputs has changed.
        """
        return self._fit(X, y, sample_weight, first=not hasattr(self, "coef_"))

    def _fit(self, X, y, sample_weight=None, first=True):
        self._check_parameters()
        X, y = validate_data(
            self, X, y, dtype=FLOATS, multi_output=True, y_numeric=True, reset=first
        )
        self._update(X, y, sample_weight, first)
        if y.ndim == 1 and self.fit_intercept:
            self.intercept_ = self.intercept_[0]
        return self

    def _targets(self, y):
        return y.reshape(len(y), -1)

    def predict(self, X):
        """Output of the machine.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs), float64
            One column per output; a vector if there is one.
        """
        return self._output(X)
