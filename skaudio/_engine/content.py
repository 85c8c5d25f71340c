"""Text that identifies the content of parameters: equal exactly where their content is equal."""

import copyreg
import hashlib
import sys
import sysconfig
import types
from functools import cached_property
from pathlib import PurePath

import numpy as np

__all__ = ["Unidentifiable", "content", "described"]

_PLAIN = (int, float, complex, str, bytes, bool, type(None), type(...), range)
_MODULES = ("numpy", "scipy.special._ufuncs", "torch")  # with functions that name no module
_INSTALLED = tuple(sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib"))


class Unidentifiable(ValueError):
    """A parameter, such as a lambda, whose content cannot be identified."""


def described(estimator, leave_out=frozenset()):
    """Class of an estimator and the parameters that determine its output.

    Parameters
    ----------
    estimator : estimator
        Its nested estimators are described as well.
    leave_out : set of str
        Names of parameters that are left out, nested ones (``step__name``) included. A
        ``batch_size`` is left out of extractors only.

    Returns
    -------
    described : list
        Of text, equal if and only if the parameters are.

    Raises
    ------
    Unidentifiable
        If a parameter, or the class, has no content that identifies it.
    """
    described, params = [_class_name(type(estimator))], estimator.get_params()
    nested = {id(value) for value in params.values() if _is_estimator(value)}
    for name, value in sorted(params.items()):
        owner, _, last = name.rpartition("__")
        owner = params[owner] if owner else estimator
        # other estimators than extractors may learn something else with another batch size
        counts = last == "batch_size" and not hasattr(owner, "transform_frames")
        if not counts and (name in leave_out or last in leave_out):
            continue
        if last == "steps" and hasattr(owner, "named_steps"):  # its steps are parameters as well
            value = [step for step, _ in value]
        try:
            described.append((name, content(value, leave_out, nested)))
        except Unidentifiable as error:
            raise Unidentifiable(f"parameter {name} {error}") from None
    return described


def _is_estimator(value):
    return hasattr(value, "get_params") and not isinstance(value, type)


def content(value, leave_out=frozenset(), nested=frozenset()):
    """Text for a value.

    Parameters
    ----------
    value : object
        Numbers, text, arrays, functions and classes that can be imported, containers of these,
        and objects that can be pickled.
    leave_out : set of str
        As for `described`.
    nested : set of int or None
        The `id` of estimators of which only the class is taken, since their parameters are
        described separately. None: estimators are identified by what they have learnt, too.

    Returns
    -------
    text : str
        The same for equal content; of plain values it is their ``repr``.

    Raises
    ------
    Unidentifiable
        If the content cannot be identified; the message says what the value is and what to do.
    """
    kind = type(value)
    if kind in _PLAIN or isinstance(value, np.dtype | PurePath):
        return repr(value)
    if kind in (list, tuple, set, frozenset, dict):
        try:
            return _container(value, lambda part: content(part, leave_out, nested))
        except RecursionError:
            raise _nothing_to_go_by(
                f"is a {kind.__name__} that holds itself", "a flat one"
            ) from None
    if isinstance(value, np.generic) and kind is not np.void:
        return repr(value)
    if kind in (np.ndarray, np.memmap):
        return _array(value)
    if isinstance(value, type):
        return _class_name(value)
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType | np.ufunc):
        return _function_name(value)
    if _is_estimator(value) and nested is not None and not _survives_clone(value):
        return repr(_class_name(kind)) if id(value) in nested else str(described(value, leave_out))
    return _reduced(value)


def _container(value, text):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text(k)}: {text(v)}" for k, v in value.items()) + "}"
    parts = [text(part) for part in value]
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__}({', '.join(sorted(parts))})"
    if isinstance(value, list):
        return f"[{', '.join(parts)}]"
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


def _array(array):
    if array.dtype.hasobject:
        return f"array({array.dtype}, {array.shape}, {content(array.ravel().tolist())})"
    data = np.ascontiguousarray(array) if array.dtype.kind in "biufc" else array.tobytes()
    return f"array({array.dtype.descr}, {array.shape}, {hashlib.sha256(data).hexdigest()[:32]})"


def _survives_clone(estimator):
    """Whether a clone has what the estimator has learnt, as that of a FrozenEstimator has."""
    from sklearn.base import BaseEstimator

    own = getattr(type(estimator), "__sklearn_clone__", None)
    return own not in (None, BaseEstimator.__sklearn_clone__)


def _reduced(value):
    """Text for an object: that of what a pickle of it would hold."""
    try:
        reduce = copyreg.dispatch_table.get(type(value))
        parts = reduce(value) if reduce else value.__reduce_ex__(4)
    except Exception:  # whatever the object raises, it cannot be pickled
        parts = None
    if isinstance(parts, str):
        return _function_name(value)  # pickled by name, as functions and singletons are
    if parts is None or type(value) is object:
        raise _nothing_to_go_by(f"is a {type(value).__name__}, an object without content")
    # the iterators run over the items of lists and dicts
    parts = [list(part) if hasattr(part, "__next__") else part for part in parts]
    return content(parts, nested=None)


def _nothing_to_go_by(what, instead="a function that can be imported by name"):
    return Unidentifiable(f"{what}, which cannot be identified by its content; pass {instead}")


def _function_name(function):
    """Module, name and code of a function that can be imported."""
    python = isinstance(function, types.FunctionType)
    name = function.__qualname__ if python else getattr(function, "__name__", "")
    if "<lambda>" in name:
        raise _nothing_to_go_by("is a lambda")
    for module in (getattr(function, "__module__", None), *_MODULES):
        if _found(module, name) is function:
            return f"{module}.{name}#{_code(function)}"
    raise _nothing_to_go_by(f"is {name or type(function).__name__}, defined on the spot")


def _class_name(cls):
    """Name of a class of skaudio or scikit-learn; module, name and code of any other class."""
    ours = [_library(base) for base in cls.__mro__]
    if ours[0]:
        return cls.__name__
    if _found(cls.__module__, cls.__qualname__) is not cls:
        what = f"is of class {cls.__qualname__}, which was defined on the spot"
        raise _nothing_to_go_by(what, "one of a class that can be imported by name")
    own = [base for base, known in zip(cls.__mro__, ours, strict=True) if not known]
    return f"{cls.__module__}.{cls.__qualname__}#{_digest(map(_class_code, own))}"


def _library(cls):
    return cls.__module__.partition(".")[0] in ("skaudio", "sklearn", "builtins")


def _found(module, name):
    found = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _class_code(cls, seen=()):
    """Code of the functions of a class, and its plain attributes, as text."""
    parts, seen = [cls.__qualname__], (*seen, cls)
    for name, value in sorted(vars(cls).items()):
        if isinstance(value, staticmethod | classmethod):
            value = value.__func__
        if isinstance(value, property):
            parts += [(name, _code(f, seen)) for f in (value.fget, value.fset) if f is not None]
        elif isinstance(value, types.FunctionType | cached_property):
            parts.append((name, _code(getattr(value, "func", value), seen)))
        elif type(value) in _PLAIN and name not in ("__doc__", "__firstlineno__"):
            parts.append((name, repr(value)))
    return str(parts)


def _code(function, seen=()):
    """Digest of the code of a function; empty if it is not written in Python."""
    function = function if _has_code(function) else getattr(function, "__wrapped__", None)
    if not _has_code(function) or function in seen:
        return ""
    closure = [cell.cell_contents for cell in function.__closure__ or ()]
    parts = [_code_text(function.__code__)]
    for value in (function.__defaults__, function.__kwdefaults__, *closure, *_globals(function)):
        if _has_code(value):
            parts.append(_code(value, (*seen, function)))
        elif isinstance(value, type):
            known = value in seen or _library(value) or _installed(value)
            parts.append(value.__qualname__ if known else _class_code(value, (*seen, function)))
        else:
            parts.append(content(value, nested=None))
    return _digest(parts)


def _globals(function):
    """Global values that a function uses, which an edit may change; none in installed modules."""
    if _installed(function):
        return []
    names = sorted(_names(function.__code__) & function.__globals__.keys())
    found = [function.__globals__[name] for name in names]
    return [value.__name__ if isinstance(value, types.ModuleType) else value for value in found]


def _names(code):
    inner = (_names(part) for part in code.co_consts if isinstance(part, types.CodeType))
    return {*code.co_names}.union(*inner)


def _installed(value):
    """Whether a function or class belongs to an installed library, whose code is not edited."""
    if value.__module__ and value.__module__.startswith("skaudio."):
        return True  # also in a checkout of this library
    file = getattr(sys.modules.get(value.__module__), "__file__", None)
    return file is not None and file.startswith(_INSTALLED)


def _has_code(function):
    return isinstance(getattr(function, "__code__", None), types.CodeType)


def _code_text(code):
    constants = [
        _code_text(part) if isinstance(part, types.CodeType) else content(part)
        for part in code.co_consts
    ]
    return str([code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants])


def _digest(parts):
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
