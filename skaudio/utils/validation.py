"""Checks of constructor parameters, called when the parameters are used, and of labels."""

from collections.abc import Iterable
from numbers import Integral, Real

import numpy as np

__all__ = ["check_choice", "check_number", "check_whole", "one_per_clip"]


def check_choice(name, value, allowed):
    """Raise unless a parameter is one of a few values.

    Parameters
    ----------
    name : str
        Parameter, for the message.
    value : object
        What the user passed.
    allowed : collection
        The values it may have.

    Raises
    ------
    ValueError
        If it has another one.
    """
    if not any(
        value is choice or (type(value) is type(choice) and value == choice) for choice in allowed
    ):
        raise ValueError(f"{name}={value!r} is unknown; use one of {list(allowed)}")


def check_number(name, value, low, high=None, *, integer=True, none=False):
    """Raise unless a parameter is a number in a range.

    Parameters
    ----------
    name : str
        Parameter, for the message.
    value : object
        What the user passed.
    low, high : number
        Smallest and largest value allowed; None: no limit.
    integer : bool
        Whether it must be whole.
    none : bool
        Whether None is allowed.

    Raises
    ------
    TypeError
        If it is no number of that kind.
    ValueError
        If it is outside the range.
    """
    if none and value is None:
        return
    kind = Integral if integer else Real
    if not isinstance(value, kind) or isinstance(value, bool):
        wanted = "an integer" if integer else "a number"
        raise TypeError(f"{name}={value!r} must be {wanted}{' or None' if none else ''}")
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        limits = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{name}={value!r} must be {limits}")


def check_whole(name, value, shape):
    """Raise unless a parameter is an array of positive integers of a given shape.

    Parameters
    ----------
    name : str
        Parameter, for the message.
    value : object
        What the user passed.
    shape : tuple of int
        The shape, also of nested tuples.

    Raises
    ------
    ValueError
        If it is something else.
    """
    try:
        array = np.array(value)
    except ValueError:  # rows of different length
        array = np.array(None)
    if array.shape != shape or array.dtype.kind not in "iu" or (array < 1).any():
        wanted = " x ".join(map(str, shape))
        raise ValueError(f"{name}={value!r} must hold {wanted} positive integers")


def one_per_clip(name, values, n_clips):
    """Check labels or groups.

    Parameters
    ----------
    name : {"groups", "y"}
        What they are, for the messages.
    values : sequence of numbers or text
        One for each clip.
    n_clips : int
        Number of clips.

    Returns
    -------
    values : ndarray of shape (n_clips,)
        The same.

    Raises
    ------
    ValueError
        If they are something else, one is missing, or numbers and text are mixed.
    """
    noun = {"groups": "group", "y": "label"}[name]
    wanted = "must be a sequence of one number or name per clip"
    if not isinstance(values, Iterable) or isinstance(values, str):
        raise ValueError(f"{name}={values!r} {wanted}")
    items = [*values]
    for i, item in enumerate(items):
        if np.shape(item):
            raise ValueError(f"{name} {wanted}; {name}[{i}] is {item!r}")
    if len(items) != n_clips:
        raise ValueError(f"{name} has {len(items)} entries for {n_clips} clips; pass one per clip")
    missing = [i for i, item in enumerate(items) if _is_missing(item)]
    if missing:
        raise ValueError(
            f"{name}[{missing[0]}] is {items[missing[0]]}; every clip needs a {noun}, and "
            f"{len(missing)} of {n_clips} have none: give them one, or leave them out"
        )
    kinds = {}
    for i, item in enumerate(items):
        kind = next((k for k in (str, Real, np.bool_) if isinstance(item, k)), type(item))
        kinds.setdefault(kind, i)
    if len(kinds) > 1:
        i, k = [*kinds.values()][:2]
        raise ValueError(
            f"{name} mixes kinds: {name}[{i}] is {items[i]!r} and {name}[{k}] is {items[k]!r}; "
            "pass numbers or names throughout"
        )
    return np.array(items)


def _is_missing(item):
    # as text, too: numpy turns a NaN among strings into "nan"
    return item is None or item is np.ma.masked or str(item) in ("nan", "NaT", "<NA>")
