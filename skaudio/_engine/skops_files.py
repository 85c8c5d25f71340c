"""Files of skops: pipelines and models, read as files of a stranger."""

import io
import json
import zipfile

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from .bounded import plain_archive, read_regular
from .loaded_models import check_model, trusted_names
from .loaded_state import check_sizes, hides_a_method, machine_defaults
from .saved_folder import Saveable

__all__ = ["read_skops", "untrusted"]

_MOST = 1 << 34  # bytes of a file
_FEW, _MOST_TIMES = 1 << 20, 50  # objects; how often each may be repeated, on average
_MOST_OF = {"schema.json": 1 << 28}  # its text grows to twenty times as much when it is read


def read_skops(path, skops_io, kinds, trusted):
    """Load an object that was saved by skops.

    Parameters
    ----------
    path : Path
        The file.
    skops_io : module
        The library.
    kinds : list of type
        Further classes of skaudio that may come out of it.
    trusted : dict
        Full names of what else the user trusts.

    Returns
    -------
    loaded : object
        Parameters that belong to a machine have their defaults.

    Raises
    ------
    ValueError, TypeError, OSError
        If it cannot be loaded, or holds a type that is not trusted.
    """
    content = plain_archive(read_regular(path, _MOST), _MOST, _MOST_OF)
    _check_repetitions(content)
    unknown = {*skops_io.get_untrusted_types(data=content)}
    known = {f"{kind.__module__}.{kind.__qualname__}" for kind in kinds} | {*trusted}
    if unknown - known:
        known |= trusted_names()
    if unknown - known:
        raise untrusted(unknown - known)
    loaded = skops_io.loads(content, trusted=sorted(unknown))
    for item in _inside(loaded):
        _make_safe(item)
    return loaded


def _check_repetitions(content):
    """Refuse a file whose objects hold each other so often that skops would never end."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        schema = json.loads(archive.read("schema.json"))
    objects, waiting = {}, [schema]
    while waiting:
        state = waiting.pop()
        if isinstance(state, dict):
            name = state.get("__id__")
            if name and not isinstance(name, list | dict):
                objects.setdefault(name, []).append([*state.values()])
            waiting += state.values()
        elif isinstance(state, list):
            waiting += state
    if _size(schema, objects, {}) > _FEW + _MOST_TIMES * len(objects):
        raise ValueError("its objects repeat each other without end")


def _size(state, objects, sizes):
    """Objects in a part of a schema, as often as they are repeated; each is counted once."""
    if isinstance(state, list):
        return sum(_size(item, objects, sizes) for item in state)
    if not isinstance(state, dict):
        return 0
    name = state.get("__id__")
    if not name or isinstance(name, list | dict):
        return 1 + _size([*state.values()], objects, sizes)
    if name not in sizes:
        sizes[name] = 1  # for those that hold themselves
        sizes[name] = 1 + _size(objects[name], objects, sizes)
    return sizes[name]


def untrusted(names):
    """Make the error for what nobody trusts.

    Parameters
    ----------
    names : collection of str
        Full names of classes and functions.

    Returns
    -------
    error : ValueError
        Its attribute ``advice`` tells what to do.
    """
    names = sorted(names)
    error = ValueError(f"it needs {', '.join(names)}, which skaudio does not trust")
    error.advice = f"if you know what that is, and who made the file, pass trusted={names}"
    return error


def _inside(loaded):
    """Yield a loaded object and all that it holds, each once."""
    waiting, seen = [loaded], {}
    while waiting:
        item = waiting.pop()
        if item is None or isinstance(item, bool | int | float | str | bytes) or id(item) in seen:
            continue
        seen[id(item)] = item
        yield item
        if isinstance(item, np.ndarray):
            waiting += np.ma.getdata(item).ravel().tolist() if item.dtype.hasobject else []
        elif isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list | tuple | set):
            waiting += item
        if not isinstance(item, type):
            waiting += getattr(item, "__dict__", {}).values()


def _make_safe(item):
    """Check what was loaded, and take away what belongs to the machine that it comes from."""
    if isinstance(item, Saveable):
        own, defaults = vars(item), machine_defaults(type(item))
        own.update({name: value for name, value in defaults.items() if name in own})
        _check_estimator(item)
    elif type(item).__module__.startswith("sklearn.") and hasattr(item, "memory"):
        item.memory = None  # a folder, whose content a later fit would unpickle
    check_model(item)


def _check_estimator(estimator):
    parameters = estimator.get_params(deep=False)
    state = {name: value for name, value in vars(estimator).items() if name not in parameters}
    hidden = sorted(name for name in state if hides_a_method(type(estimator), name))
    if hidden:
        raise ValueError(f"{type(estimator).__name__} has no {', '.join(hidden)}")
    arrays = [item for item in _inside(state) if isinstance(item, np.ndarray)]
    check_sizes(parameters, sum(array.size for array in arrays))
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return
    estimator._check_fitted_state()
