"""Whether what a file holds is what `fit` leaves: checks of loaded estimators of skaudio."""

import inspect

from ..utils.validation import check_number
from .encoding import check_finite, described

__all__ = [
    "MACHINE_PARAMETERS",
    "check_learnt",
    "check_sizes",
    "check_weights",
    "hides_a_method",
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


def hides_a_method(kind, name):
    """Whether an attribute of this name would stand before a method or property of its class.

    Parameters
    ----------
    kind : type
        The class.
    name : str
        Of the attribute.

    Returns
    -------
    hides : bool
        False where the class has nothing of this name, or a plain value.
    """
    own = inspect.getattr_static(kind, name, None)
    return callable(own) or inspect.isdatadescriptor(own) or isinstance(own, classmethod)


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


def check_weights(name, found, wanted):
    """Raise unless stored weights fit the module that they are for.

    Parameters
    ----------
    name : str
        What they are called, for the message.
    found : dict of str to ndarray
        The stored ones.
    wanted : dict of str to Tensor
        State of the module.

    Raises
    ------
    ValueError
        Which of them does not fit, or is not finite.
    """
    if not isinstance(found, dict):
        raise ValueError(f"{name} is no dict of arrays by name")
    wanted = [(n, f"{p.dtype} {tuple(p.shape)}".removeprefix("torch.")) for n, p in wanted.items()]
    kinds = [(n, described(w)) for n, w in found.items()]
    if kinds != wanted:
        differing = {*kinds} ^ {*wanted}
        what = ", ".join(sorted({str(n) for n, _ in differing})[:3]) or "order"
        raise ValueError(f"{name} does not fit the parameters: {what}")
    for part, array in found.items():
        check_finite(f"{name}/{part}", array)
