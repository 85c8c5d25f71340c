"""Whether what a file holds is what `fit` leaves: checks of loaded estimators of skaudio."""

import inspect

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..utils.validation import check_number
from .encoding import check_finite, described

__all__ = ["MACHINE_PARAMETERS", "check_sizes", "check_state", "machine_defaults"]

MACHINE_PARAMETERS = {"callbacks", "checkpoint", "device", "memory"}  # or code: not loaded
_FEW = 1 << 12  # filters, bands or sizes of kernels that need no evidence in the file
_MOST_FFT, _LONGEST = 1 << 20, 1 << 26  # samples, of which there is no evidence at all


def machine_defaults(kind):
    """Defaults of the parameters that belong to a machine.

    Parameters
    ----------
    kind : type
        Class of an estimator.

    Returns
    -------
    defaults : dict
        By name, those that the class has.
    """
    known = inspect.signature(kind).parameters
    return {name: known[name].default for name in MACHINE_PARAMETERS & {*known}}


def check_sizes(parameters, n_numbers):
    """Refuse sizes that the file gives no evidence of, before memory is taken for them.

    Parameters
    ----------
    parameters : dict
        The parameters of an estimator.
    n_numbers : int
        Numbers that its arrays hold.
    """
    for name, value in parameters.items():
        numbers = [n for n in _flat(value) if isinstance(n, int)] if name != "random_state" else []
        evident = isinstance(value, list | tuple) or (name.startswith("n_") and name != "n_fft")
        most = max(_FEW, n_numbers) if evident else _MOST_FFT if name == "n_fft" else _LONGEST
        if any(n > most for n in numbers):
            raise ValueError(f"{name}={value} is more than its arrays have room for")


def _flat(value):
    """The items of nested lists and tuples."""
    if not isinstance(value, list | tuple):
        return [value]
    return [n for item in value for n in _flat(item)]


def check_state(estimator):
    """Raise unless the attributes are those that `fit` leaves with these parameters.

    Parameters
    ----------
    estimator : estimator
        A fitted one of skaudio, or a subclass.

    Raises
    ------
    NotFittedError, TypeError, ValueError
        Which of them does not fit.
    """
    from ..base import BaseAudioTransformer

    check_is_fitted(estimator)
    if isinstance(estimator, BaseAudioTransformer):
        _check_extractor(estimator)
    else:
        estimator._validate_parameters()
    wanted = {name: f"{kind} {shape}" for name, (kind, shape) in estimator._learnt_arrays().items()}
    if hasattr(estimator, "n_features_in_"):
        check_number("n_features_in_", estimator.n_features_in_, 1)
    if hasattr(estimator, "feature_names_in_"):
        wanted["feature_names_in_"] = f"object ({estimator.n_features_in_},)"
    for name, array in wanted.items():
        found = described(getattr(estimator, name, None))
        if found != array:
            raise ValueError(f"the array {name} is {found}, not {array}")


def _check_extractor(extractor):
    extractor._validate_running_parameters()
    check_number("sample_rate", extractor.sample_rate, 1)
    extractor._validate_parameters()
    network = extractor._network(None)  # its weights take no memory until they are touched
    weights = getattr(extractor, "weights_", {})
    wanted = [(name, f"float32 {tuple(p.shape)}") for name, p in network.state_dict().items()]
    found = [(name, described(w)) for name, w in weights.items()]
    if found != wanted:
        differing = {*found} ^ {*wanted}
        what = ", ".join(sorted({name for name, _ in differing})[:3]) or "order"
        raise ValueError(f"weights_ does not fit the parameters: {what}")
    for name, array in weights.items():
        check_finite(f"weights_/{name}", np.asarray(array))
    width = extractor._width(network)
    if getattr(extractor, "n_features_out_", None) != width:
        raise ValueError(f"n_features_out_ must be {width} with these parameters")
