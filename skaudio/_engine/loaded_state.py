"""Whether what a file holds is what `fit` leaves: checks of loaded estimators of skaudio."""

import inspect

import numpy as np

from ..utils.validation import check_number
from .encoding import check_finite, described

__all__ = [
    "MACHINE_PARAMETERS",
    "check_extractor",
    "check_learnt",
    "check_sizes",
    "machine_defaults",
]

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


def check_learnt(estimator, arrays):
    """Raise unless the columns and the arrays are those that `fit` leaves.

    Parameters
    ----------
    estimator : Saveable
        A fitted one.
    arrays : dict of str to (str, tuple of int)
        Type and shape of the arrays that it must have, by name.

    Raises
    ------
    TypeError, ValueError
        Which of them does not fit.
    """
    state = vars(estimator)
    # sizes may be integers of numpy, which are written in another way
    wanted = {name: f"{kind} {(*map(int, shape),)}" for name, (kind, shape) in arrays.items()}
    if "n_features_in_" in state:
        check_number("n_features_in_", state["n_features_in_"], 1)
    if "feature_names_in_" in state:
        wanted["feature_names_in_"] = f"object ({estimator.n_features_in_},)"
    for name, array in wanted.items():
        found = described(state.get(name))
        if found != array:
            raise ValueError(f"the array {name} is {found}, not {array}")


def check_extractor(extractor):
    """Raise unless parameters, weights and columns of an extractor fit each other.

    Parameters
    ----------
    extractor : BaseAudioTransformer
        A fitted one.

    Raises
    ------
    TypeError, ValueError
        Which of them does not fit.
    """
    extractor._validate_running_parameters()
    check_number("sample_rate", extractor.sample_rate, 1)
    extractor._validate_parameters()
    network = extractor._network(None)  # its weights take no memory until they are touched
    state = vars(extractor)
    weights = _weights(state, "weights_")
    # batch normalisation counts batches, for instance: not every weight is a float32
    wanted = [(name, f"{p.dtype} {tuple(p.shape)}") for name, p in network.state_dict().items()]
    wanted = [(name, text.removeprefix("torch.")) for name, text in wanted]
    found = [(name, described(w)) for name, w in weights.items()]
    if found != wanted:
        differing = {*found} ^ {*wanted}
        what = ", ".join(sorted({name for name, _ in differing})[:3]) or "order"
        raise ValueError(f"weights_ does not fit the parameters: {what}")
    for name, array in weights.items():
        check_finite(f"weights_/{name}", array)
    for name, array in _weights(state, "task_weights_").items():
        _check_numeric(f"task_weights_/{name}", array)
    width = extractor._width()
    if state.get("n_features_out_") != width:
        raise ValueError(f"n_features_out_ must be {width} with these parameters")


def _weights(state, name):
    """A dict of arrays, which may be absent: there are extractors without weights, or heads."""
    weights = state.get(name, {})
    if not isinstance(weights, dict) or not all(isinstance(key, str) for key in weights):
        raise ValueError(f"{name} is no dict of arrays by name")
    return weights


def _check_numeric(name, array):
    """Raise unless this is an array of finite numbers; only its task knows which shape it has."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise ValueError(f"the array {name} is {described(array)}, not one of numbers")
    check_finite(name, array)
