"""Common base of the extreme learning machines: hidden layer, sums over blocks of rows."""

import numpy as np
from scipy.sparse import issparse
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.utils import (
    check_array,
    check_consistent_length,
    check_random_state,
    column_or_1d,
    gen_batches,
)
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from .._engine.saved_folder import Saveable
from ..utils.validation import check_choice, check_number
from .closed_form import add_rows, left_out, solve_rows, solve_sums

# computed in place, since a block of hidden values may be large
ACTIVATIONS = {
    "relu": lambda z: np.maximum(z, 0.0, out=z),
    "tanh": lambda z: np.tanh(z, out=z),
    "sigmoid": lambda z: expit(z, out=z),
    "sine": lambda z: np.sin(z, out=z),
}
FLOATS = [np.float64, np.float32]
ROWS_TO_CALIBRATE = 2000  # at most, per call; they give the temperature to a few percent


class BaseELM(Saveable, BaseEstimator):
    """Base of both machines; a subclass checks y and turns it into target columns.

    Of the rows only ``sums_`` is stored, a square matrix in float64: see `closed_form`.
    """

    def fit(self, X, y, sample_weight=None):
        """Initialise the hidden layer and solve for the output weights.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, used as float64 or float32.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels of any kind, at least two; for several labels per sample a column of 0 and
            1 for each; or the regressor's targets.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each sample counts; None: once.

        Returns
        -------
        self : object
            The fitted machine; nothing of an earlier fit remains.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data cannot be used.
        """
        return self._fit(X, y, sample_weight)

    def _validate_parameters(self):
        check_number("n_hidden", self.n_hidden, 1)
        check_number("alpha", self.alpha, 0, integer=False)
        check_choice("fit_intercept", self.fit_intercept, (True, False))
        if not callable(self.activation):
            check_choice("activation", self.activation, ACTIVATIONS)

    def _learnt_arrays(self):
        shape, n_outputs = (self.n_features_in_, self.n_hidden), self._n_outputs()
        n_sums = 1 + self.n_hidden + n_outputs
        return {
            "hidden_coef_": ("float64", shape),
            "hidden_intercept_": ("float64", shape[1:]),
            "coef_": ("float64", shape[1:] if n_outputs == 1 else (n_outputs, self.n_hidden)),
            "sums_": ("float64", (n_sums, n_sums)),
        }

    def _n_outputs(self):
        """Columns of the targets; a machine with one has a vector for ``coef_``."""
        shape = np.shape(self.coef_)
        return shape[0] if len(shape) == 2 else 1

    def _check_fitted_state(self):
        check_is_fitted(self, "coef_")
        self._validate_parameters()
        super()._check_fitted_state()
        intercept = np.asarray(self.intercept_)
        if intercept.dtype.kind != "f" or intercept.shape not in ((), (self._n_outputs(),)):
            raise ValueError(f"intercept_={self.intercept_!r} does not fit coef_")

    def _update(self, X, y, weight, first, layer=None):
        """Initialise the hidden layer if these are the first rows, add them to the sums, solve.

        Returns
        -------
        leverage : callable
            Function of row numbers and hidden values that gives the leverages, that is, the
            derivative of each output by its own target.
        """
        if first:
            layer = layer or random_layer(self.random_state, X.shape[1], self.n_hidden)
            self.hidden_intercept_, self.hidden_coef_ = layer
            self._squares = bool(self.alpha > 0)
        elif self._squares != (self.alpha > 0):
            raise ValueError(
                f"alpha={self.alpha!r} cannot be reached by partial_fit: zero and other values "
                "need different sums; call fit"
            )
        n_hidden, coef = self.hidden_intercept_.size, None
        if first and self.alpha > 0 and len(X) < n_hidden:
            A = self._rows(X, y, weight)
            self.sums_ = _finite(A.T @ A)
            coef, of_rows = solve_rows(A, self.sums_[0], n_hidden, self.alpha, self.fit_intercept)
        else:
            self.sums_ = self._add(X, y, weight, first)
        if coef is None:
            coef, root = solve_sums(self.sums_, n_hidden, self.alpha, self.fit_intercept)
            of_rows = None
        top = self.sums_[0]
        ones, sums_h, sums_y = top[0], top[1 : n_hidden + 1], top[n_hidden + 1 :]
        self.intercept_ = (sums_y - sums_h @ coef) / ones if self.fit_intercept else 0.0
        self.coef_ = coef[:, 0] if coef.shape[1] == 1 else coef.T

        def leverage(rows, hidden):
            if of_rows is not None:
                of_row = of_rows()[rows]
                if weight is not None:
                    of_row /= np.where(weight[rows] > 0, weight[rows], 1.0)
            else:
                z = root(hidden - sums_h / ones if self.fit_intercept else hidden)
                of_row = np.einsum("ij,ij->i", z, z)
            total = ones if self._squares else ones**2  # R holds the root of the sum
            return of_row + 1 / total if self.fit_intercept else of_row

        return leverage

    def _hidden(self, X, out=None):
        """Hidden values (n_samples, n_hidden), written into ``out`` if that is given."""
        z = np.matmul(X, self.hidden_coef_, out=out)  # in float64, as the weights are
        z += self.hidden_intercept_
        if not callable(self.activation):
            return ACTIVATIONS[self.activation](z)
        shape, z = z.shape, np.asarray(self.activation(z))
        if z.shape != shape:
            raise ValueError(f"activation={self.activation!r} made shape {z.shape} of {shape}")
        return z

    def _blocks(self, X):
        """Slices of rows whose hidden values take no more memory than the sums."""
        return gen_batches(len(X), max(256, self.hidden_intercept_.size))

    def _rows(self, X, y, sample_weight):
        """[1 H Y] of some rows, each times the root of its weight."""
        n_hidden = self.hidden_intercept_.size
        targets = self._targets(y)
        A = np.empty((len(targets), 1 + n_hidden + targets.shape[1]))
        A[:, 0] = 1.0
        columns = A[:, 1 : n_hidden + 1]
        hidden = self._hidden(X, columns)
        if hidden is not columns:
            columns[:] = hidden
        A[:, n_hidden + 1 :] = targets
        if sample_weight is not None:
            A *= np.sqrt(sample_weight[:, None])
        return A

    def _add(self, X, y, weight, first):
        """Sums over the rows seen earlier and these."""
        sums = None if first else self.sums_.copy(order="F")  # so a failure leaves `sums_` intact
        for rows in self._blocks(X):
            A = self._rows(X[rows], y[rows], None if weight is None else weight[rows])
            if sums is None:
                sums = np.zeros((A.shape[1],) * 2, order="F")
            elif A.shape[1] != len(sums):
                before = 1 + self.hidden_intercept_.size
                raise ValueError(
                    f"y has {A.shape[1] - before} targets, but had {len(sums) - before} before"
                )
            sums = add_rows(sums, A, self.alpha)
        return _finite(sums)

    def _left_out(self, X, y, sample_weight, of_class, leverage):
        """Yield leave-one-out outputs, targets and weights.

        A row of weight n counts as n equal rows, of which one is left out.
        """
        chosen = np.arange(len(X))
        if len(X) > ROWS_TO_CALIBRATE:
            chosen = np.linspace(0, len(X) - 1, ROWS_TO_CALIBRATE).astype(int)
        for block in self._blocks(chosen):
            rows = chosen[block]
            weight = np.ones(len(rows)) if sample_weight is None else sample_weight[rows]
            once = np.minimum(weight, 1)
            if of_class is not None:
                once, weight = once * of_class[rows], weight * of_class[rows]
            hidden, targets = self._hidden(X[rows]), self._targets(y[rows])
            outputs = self._from_hidden(hidden).reshape(targets.shape)
            outputs, free = left_out(outputs, targets, once * leverage(rows, hidden))
            yield outputs, targets[free], weight[free]

    def _output(self, X):
        check_is_fitted(self, "coef_")
        X = validate_data(self, X, dtype=FLOATS, reset=False)
        return np.concatenate([self._from_hidden(self._hidden(X[b])) for b in self._blocks(X)])

    def _from_hidden(self, hidden):
        return hidden @ self.coef_.T + self.intercept_


def random_layer(random_state, n_features, n_hidden):
    """Initialise a hidden layer.

    Parameters
    ----------
    random_state : int, RandomState or None
        None: another layer each time.
    n_features, n_hidden : int
        Its size.

    Returns
    -------
    intercept, coef : ndarray of shape (n_hidden,) and (n_features, n_hidden), float64
        From N(0, 1), generated in this order.
    """
    # `check_random_state(None)` would be numpy's global generator, which must not be advanced
    rng = np.random.RandomState() if random_state is None else check_random_state(random_state)
    return rng.normal(size=n_hidden), rng.normal(size=(n_features, n_hidden))


def _finite(sums):
    if not np.isfinite(sums).all():
        raise ValueError("the hidden values overflow or hold NaN; standardise the features")
    return sums


def check_weight(sample_weight, X):
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


def check_labels(y):
    """Labels as an array, and whether it has a column of 0 and 1 for each of several labels."""
    y = y.toarray() if issparse(y) else y
    y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
    check_classification_targets(y)
    kind = type_of_target(y)
    if kind == "multiclass-multioutput":
        raise ValueError("y has several columns, each of which must hold 0 and 1 alone")
    return y, kind == "multilabel-indicator"


def check_classes(y, known, classes):
    """Raise unless all labels are known classes, and ``classes``, if given, are the known ones."""
    if len(known) < 2:
        raise ValueError(f"there is only 1 class, {known[0]}; at least 2 are needed")
    if classes is not None and not np.array_equal(known, np.unique(classes)):
        raise ValueError(f"classes={classes!r} are not those of the first call, {known}")
    if not np.isin(y, known).all():
        raise ValueError(f"y holds {np.setdiff1d(y, known)}, not among the classes {known}")


def class_weights(class_weight, codes, classes, sample_weight):
    """Weight of each sample's class.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        As for `ELMClassifier`.
    codes : ndarray of shape (n_samples,), int
        Number of each sample's class.
    classes : ndarray of shape (n_classes,)
        Labels.
    sample_weight : ndarray of shape (n_samples,) or None
        How often each sample counts.

    Returns
    -------
    weights : ndarray of shape (n_samples,), float64, or None
        None if there is no class weight.
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, dict):
        unknown = [label for label in class_weight if label not in classes]
        if unknown:
            raise ValueError(f"class_weight holds {unknown}, not among the classes {classes}")
        values = [class_weight.get(label, 1.0) for label in classes.tolist()]
        for value in values:
            check_number("class_weight", value, 0, integer=False)
        return np.array(values, dtype=np.float64)[codes]
    check_choice("class_weight", class_weight, (None, "balanced"))
    counts = np.bincount(codes, sample_weight, len(classes))
    return (counts.sum() / len(classes) / np.where(counts > 0, counts, 1.0))[codes]
