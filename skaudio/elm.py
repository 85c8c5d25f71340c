"""Extreme learning machines: one random hidden layer, an output layer in closed form."""

import numpy as np
from sklearn.base import ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import validate_data

from ._elm.base import FLOATS, BaseELM, check_classes, check_labels, check_weight, class_weights
from ._elm.probability import best_temperature, loss_sums, probabilities
from .utils.validation import check_number

__all__ = ["ELMClassifier", "ELMRegressor"]


class ELMClassifier(ClassifierMixin, BaseELM):
    """Classifier with one random hidden layer and an output layer in closed form.

    The hidden layer is initialised at random and never trained; the output weights are a ridge
    regression, or with ``alpha=0`` the pseudo-inverse, onto targets of +1 for the class and -1
    for the others [1]_. Beside the support vector machine, it is the classifier with which
    randomly weighted CNNs were evaluated [2]_.

    Parameters
    ----------
    n_hidden : int, default=500
        Number of hidden units. Time and memory grow with its square.
    activation : {"relu", "tanh", "sigmoid", "sine"} or callable, default="relu"
        Activation function of the hidden units. A callable takes an array of shape
        (n, n_hidden), which it may overwrite, and returns one of the same shape.
    alpha : float, default=100.0
        Penalty on the squared output weights, as in `~sklearn.linear_model.RidgeClassifier`. 0 is
        the pseudo-inverse of the papers, which generalises badly if ``n_hidden`` is near the
        number of samples; see Notes.
    fit_intercept : bool, default=False
        Whether the output layer has an intercept, which is not penalised. The papers have none.
    class_weight : dict or "balanced", default=None
        How often each sample of a class counts: a number for each label, 1 for those left out.
        "balanced" is n_samples / (n_classes * samples of the class), so that rare classes count
        as much as frequent ones. It is for one label per sample, and "balanced" is for `fit`.
    temperature : float, default=None
        What outputs are divided by in `predict_proba`; the smaller, the more confident the
        probabilities. None determines it from leave-one-out outputs. If rows belong together,
        such as the clips of one speaker, this is too confident about new speakers: pass the value
        that `~skaudio.compare.TunedELM` finds in folds that separate speakers.
    random_state : int, RandomState or None, default=None
        Determines the hidden layer. None: another one in every `fit`.

    Attributes
    ----------
    hidden_coef_ : ndarray of shape (n_features, n_hidden), float64
        Weights of the hidden layer, from N(0, 1).
    hidden_intercept_ : ndarray of shape (n_hidden,), float64
        Biases of the hidden layer, from N(0, 1), generated before the weights.
    coef_ : ndarray of shape (n_hidden,) or (n_classes, n_hidden), float64
        Output weights; a vector if there are two classes.
    intercept_ : float or ndarray of shape (1,) or (n_classes,)
        Output intercepts, 0.0 without ``fit_intercept``.
    temperature_ : float
        The temperature that was found, if ``temperature`` is None.
    sums_ : ndarray of shape (n_sums, n_sums), float64
        Sums over all rows seen, from which `partial_fit` continues;
        n_sums = 1 + n_hidden + number of outputs.
    losses_ : ndarray, float64
        Sums that determine the temperature, for the same purpose.
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted; the numbers of the columns if samples have several labels.
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
    features, and ``alpha`` may grow with it. With 10 to 60 features the default was about as good
    as smaller values or, where ``n_hidden`` is near the number of samples, far better; with
    hundreds of features, 1000 and 10000 are worth a trial.

    Rows are processed in blocks, all sums are in float64, and memory beyond the input does not
    grow with the number of rows.

    Probabilities are softmax(outputs / temperature) [3]_, or a sigmoid for two classes, so that
    the most probable class is always that of `predict`. The temperature is the one with the
    lowest log loss on leave-one-out outputs, which ridge regression gives without further fits
    [4]_; at most 2000 rows, evenly spaced, are used. In `partial_fit` the rows of each call are
    left out of the machine as it is after that call, and the losses of all calls are added.

    References
    ----------
    .. [1] G.-B. Huang, Q.-Y. Zhu, C.-K. Siew, "Extreme learning machine: theory and
       applications", Neurocomputing 70, 2006, doi:10.1016/j.neucom.2005.12.126.
    .. [2] J. Pons, X. Serra, "Randomly weighted CNNs for (music) audio classification",
       ICASSP 2019, arXiv:1805.00237.
    .. [3] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural
       networks", ICML 2017, arXiv:1706.04599.
    .. [4] D. M. Allen, "The relationship between variable selection and data augmentation and a
       method for prediction", Technometrics 16, 1974, doi:10.1080/00401706.1974.10489157.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skaudio.elm import ELMClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> elm = ELMClassifier(n_hidden=300, random_state=0).fit(X[::2], y[::2])
    >>> elm.score(X[1::2], y[1::2]) > 0.94
    True
    >>> elm.predict_proba(X[1::2]).shape
    (898, 10)
    """

    def __init__(
        self,
        n_hidden=500,
        *,
        activation="relu",
        alpha=100.0,
        fit_intercept=False,
        class_weight=None,
        temperature=None,
        random_state=None,
    ):
        self.n_hidden = n_hidden
        self.activation = activation
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.temperature = temperature
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _validate_parameters(self):
        super()._validate_parameters()
        if self.temperature is not None:
            check_number("temperature", self.temperature, 0, integer=False)
            if self.temperature == 0:
                raise ValueError("temperature=0 must be more than 0")

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Add samples to those seen before; the result is that of one fit to all of them.

        It continues from the last `fit`, if there was one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, used as float64 or float32.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or for each label 0 or 1.
        classes : array-like of shape (n_classes,), default=None
            All labels that will come; needed in the first call unless samples have several labels.
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
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} is not possible in partial_fit, which does "
                "not know the samples to come; pass the weights as a dict, for instance those that "
                "sklearn.utils.class_weight.compute_class_weight finds in a sample of them"
            )
        return self._fit(X, y, sample_weight, not hasattr(self, "coef_"), classes, parts=True)

    def _fit(self, X, y, sample_weight=None, first=True, classes=None, parts=False, layer=None):
        self._validate_parameters()
        X, y = validate_data(self, X, y, dtype=FLOATS, multi_output=True, reset=first)
        y = self._checked_labels(y, first, classes, parts)
        sample_weight, of_class = check_weight(sample_weight, X), None
        if self.class_weight is not None:
            if self._multilabel:
                raise ValueError("class_weight is for one label per sample; pass sample_weight")
            codes = np.searchsorted(self.classes_, y)
            of_class = class_weights(self.class_weight, codes, self.classes_, sample_weight)
        weight = sample_weight
        if of_class is not None:
            weight = of_class if weight is None else of_class * weight
            if not weight.any():
                raise ValueError("all class weights of these samples are zero; raise one")
        leverage = self._update(X, y, weight, first, layer)
        if self.temperature is None:
            losses = [] if first or not hasattr(self, "losses_") else [self.losses_]
            for outputs, targets, weight in self._left_out(X, y, sample_weight, of_class, leverage):
                losses.append(self._losses(outputs, targets, weight))
            self.losses_ = sum(losses)
            n_classes = 2 if self._multilabel else len(self.classes_)
            self.temperature_ = best_temperature(self.losses_, n_classes)
        return self

    def _check_fitted_state(self):
        super()._check_fitted_state()
        n = np.size(self.classes_)
        wanted = 1 if n == 2 and not getattr(self, "_multilabel", False) else n
        if np.shape(self.classes_) != (n,) or self._n_outputs() != wanted:
            raise ValueError(f"classes_={self.classes_!r} does not fit coef_")

    def _losses(self, outputs, targets, weight):
        if not self._multilabel and targets.shape[1] > 1:
            return loss_sums(outputs, targets.argmax(axis=1), weight)
        # each column is a binary problem of its own
        scores = np.stack([np.zeros(outputs.size), outputs.ravel()], axis=1)
        return loss_sums(scores, (targets > 0).ravel().astype(int), weight.repeat(targets.shape[1]))

    def _checked_labels(self, y, first, classes, parts):
        """Check labels and classes; return an array."""
        y, multilabel = check_labels(y)
        if not first and multilabel != getattr(self, "_multilabel", False):
            raise ValueError(
                "y has one label per sample in one call and several in another; call fit"
            )
        self._multilabel = multilabel
        if multilabel:
            self.classes_ = np.arange(y.shape[1]) if first else self.classes_
            return y
        if first and parts and classes is None:
            raise ValueError("classes must be given in the first call of partial_fit")
        known = self.classes_ if not first else np.unique(y if classes is None else classes)
        check_classes(y, known, classes)
        self.classes_ = known
        return y

    def _targets(self, y):
        if self._multilabel:
            return np.where(y > 0, 1.0, -1.0)
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
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Class labels; for several labels per sample 1 where an output is positive, else 0.
        """
        scores = self.decision_function(X)
        if getattr(self, "_multilabel", False):
            return (scores > 0).astype(int)
        return self.classes_[scores.argmax(1) if scores.ndim == 2 else (scores > 0).astype(int)]

    def predict_proba(self, X):
        """Probability of each class; see Notes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
            Rows sum to 1, unless samples have several labels.

        Raises
        ------
        ValueError
            If the machine was fitted by a version of skaudio that had no probabilities.
        """
        scores = self.decision_function(X)
        temperature = self.temperature
        if temperature is None:
            temperature = getattr(self, "temperature_", None)
        if temperature is None:
            raise ValueError("no temperature was found when this was fitted; call fit, or set one")
        return probabilities(scores, temperature, getattr(self, "_multilabel", False))


class ELMRegressor(MultiOutputMixin, RegressorMixin, BaseELM):
    """Regressor with one random hidden layer and an output layer in closed form.

    The hidden layer is initialised at random and never trained; the output weights are a ridge
    regression, or with ``alpha=0`` the pseudo-inverse [1]_.

    Parameters
    ----------
    n_hidden : int, default=500
        Number of hidden units.
    activation : {"relu", "tanh", "sigmoid", "sine"} or callable, default="relu"
        Activation function of the hidden units, as in `ELMClassifier`.
    alpha : float, default=100.0
        Penalty on the squared output weights, as in `~sklearn.linear_model.Ridge`; 0 is the
        pseudo-inverse of the paper. See Notes.
    fit_intercept : bool, default=True
        Whether the output layer has an intercept, which is not penalised. The paper has none;
        without it, a machine with a penalty cannot reach targets far from zero.
    random_state : int, RandomState or None, default=None
        Determines the hidden layer. None: another one in every `fit`.

    Attributes
    ----------
    hidden_coef_ : ndarray of shape (n_features, n_hidden), float64
        Weights of the hidden layer, from N(0, 1).
    hidden_intercept_ : ndarray of shape (n_hidden,), float64
        Biases of the hidden layer, from N(0, 1), generated before the weights.
    coef_ : ndarray of shape (n_hidden,) or (n_outputs, n_hidden), float64
        Output weights; a vector if there is one output.
    intercept_ : float or ndarray of shape (n_outputs,)
        Output intercepts, 0.0 without ``fit_intercept``.
    sums_ : ndarray of shape (n_sums, n_sums), float64
        Sums over all rows seen, from which `partial_fit` continues;
        n_sums = 1 + n_hidden + number of outputs.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, if `fit` saw a data frame.

    See Also
    --------
    ELMClassifier : The same for classes.

    Notes
    -----
    Those of `ELMClassifier` apply, but a smooth, noiseless function of a few features needs a much
    smaller ``alpha``.

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

    def __init__(
        self,
        n_hidden=500,
        *,
        activation="relu",
        alpha=100.0,
        fit_intercept=True,
        random_state=None,
    ):
        self.n_hidden = n_hidden
        self.activation = activation
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.random_state = random_state

    def partial_fit(self, X, y, sample_weight=None):
        """Add samples to those seen before; the result is that of one fit to all of them.

        It continues from the last `fit`, if there was one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, used as float64 or float32.
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
        self._validate_parameters()
        X, y = validate_data(
            self, X, y, dtype=FLOATS, multi_output=True, y_numeric=True, reset=first
        )
        self._update(X, y, check_weight(sample_weight, X), first)
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
