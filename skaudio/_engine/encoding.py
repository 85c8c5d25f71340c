"""Parameters and fitted attributes as JSON, with the numeric arrays apart.

Objects of JSON have one key, which tells what they stand for: "tuple", "dict", "array" or
"transposed" (in the other file), "str" or "object" (arrays of text), "function" (or a class, by its
name) or "partial" (a function and its keywords). All else means itself.
"""

import sys
from functools import partial
from pathlib import PurePath
from types import FunctionType

import numpy as np

__all__ = ["check_finite", "decode", "described", "encode", "full_name", "written_name"]


def encode(value, name, arrays):
    """Encode a value.

    Parameters
    ----------
    value : object
        A number, text, array, path, function or class that can be imported, a partial of one with
        keywords, or a list, tuple or dict of such.
    name : str
        What it is called in the estimator.
    arrays : dict
        Takes the numeric arrays, by name.

    Returns
    -------
    encoded : object
        For JSON.

    Raises
    ------
    TypeError
        If it is anything else.
    ValueError
        If an array holds NaN or infinity.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, list | tuple):
        items = [encode(item, f"{name}/{i}", arrays) for i, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, dict) and _are_texts([*value]):
        return {"dict": {k: encode(item, f"{name}/{k}", arrays) for k, item in value.items()}}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.itemsize <= 8:
        check_finite(name, value)
        # products round differently with another order in memory, so it is kept
        transposed = value.flags.f_contiguous and not value.flags.c_contiguous
        rows = value.T if transposed else value
        arrays[name] = np.asarray(rows, value.dtype.newbyteorder("="), order="C")
        return {"transposed" if transposed else "array": described(arrays[name])}
    if isinstance(value, np.ndarray) and value.dtype.kind in "UO" and _are_texts(value.tolist()):
        return {"str" if value.dtype.kind == "U" else "object": value.tolist()}
    if isinstance(value, FunctionType | type) and _can_be_imported(value):
        return {"function": written_name(value)}
    if isinstance(value, partial) and not value.args:
        keywords = {k: encode(item, f"{name}/{k}", arrays) for k, item in value.keywords.items()}
        return {"partial": [encode(value.func, name, arrays), keywords]}
    raise TypeError(
        f"{name} holds a {type(value).__name__}, which is no number, text or array; "
        "set another value, or save with skops or joblib"
    )


def _can_be_imported(function):
    module = sys.modules.get(function.__module__)
    return getattr(module, function.__qualname__, None) is function


def full_name(kind):
    """Module and name of a class or function.

    Parameters
    ----------
    kind : type or callable
        The class, or the function.

    Returns
    -------
    name : str
        For instance "their.module.Extractor".
    """
    return f"{kind.__module__}.{kind.__qualname__}"


def written_name(kind):
    """Name that a class or function is saved under.

    Parameters
    ----------
    kind : type or callable
        The class, or the function.

    Returns
    -------
    name : str
        The plain one of what is public in skaudio, which may move; the full one of any other.
    """
    ours = kind.__module__.startswith("skaudio.") and not kind.__qualname__.startswith("_")
    return kind.__qualname__ if ours else full_name(kind)


def decode(value, name, arrays, function_named):
    """Decode what `encode` gave.

    Parameters
    ----------
    value : object
        From JSON.
    name : str
        What it is called in the estimator.
    arrays : dict
        The numeric arrays, by name; those that are found are taken out.
    function_named : callable
        Gives the function of a name.

    Returns
    -------
    decoded : object
        The value.

    Raises
    ------
    ValueError
        If it is written in an unknown way, or does not fit the arrays.
    """
    if isinstance(value, list):
        return [decode(item, f"{name}/{i}", arrays, function_named) for i, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items() if len(value) == 1 else [(None, None)]
    if kind == "tuple" and isinstance(content, list):
        return tuple(decode(content, name, arrays, function_named))
    if kind == "dict" and isinstance(content, dict):
        return _decoded(content, name, arrays, function_named)
    if kind == "function" and isinstance(content, str):
        return function_named(content)
    if kind == "partial" and [*map(type, content)] == [dict, dict]:
        function = decode(content[0], name, arrays, function_named)
        return partial(function, **_decoded(content[1], name, arrays, function_named))
    if kind in ("array", "transposed"):
        array = arrays.pop(name, None)
        if array is None or described(array) != content:
            raise ValueError(f"the array {name} is {described(array)}, not {content}")
        check_finite(name, array)
        array = np.require(array, requirements="W")
        return array.T if kind == "transposed" else array
    if kind in ("str", "object") and _are_texts(content):
        return np.array(content, dtype=kind)
    raise ValueError(f"the value of {name} is written in an unknown way")


def _decoded(items, name, arrays, function_named):
    return {k: decode(item, f"{name}/{k}", arrays, function_named) for k, item in items.items()}


def _are_texts(items):
    return isinstance(items, list) and all(isinstance(item, str) for item in items)


def described(array):
    """Type and shape of an array, for instance "float32 (64, 1, 3, 3)".

    Parameters
    ----------
    array : object
        Should be an array.

    Returns
    -------
    described : str
        "missing" if it is none.
    """
    return f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else "missing"


def check_finite(name, array):
    """Raise ValueError if an array holds NaN or infinity.

    Parameters
    ----------
    name : str
        What it is called.
    array : ndarray
        The array.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"the array {name} holds NaN or infinity")
