"""Reading what was saved: folders of ``save``, and files of skops.

This is the top floor of the library. It knows all classes that may come out of a file, so nothing
else imports it; what writes a folder is below, in ``_engine/saved_folder.py``.
"""

import hashlib
import importlib
import json
from functools import partial
from pathlib import Path
from types import FunctionType

from sklearn.frozen import FrozenEstimator

from . import augment
from ._engine.bounded import read_regular
from ._engine.encoding import decode, full_name
from ._engine.loaded_state import MACHINE_PARAMETERS, check_sizes, hides_a_method
from ._engine.saved_folder import ARRAYS, FORMAT, TEXT, Saveable, library
from ._engine.skops_files import read_skops, untrusted

__all__ = ["load"]

_MOST_TEXT, _MOST_ARRAYS = 1 << 25, 1 << 34  # bytes that are read


def load(path, trusted=()):
    """Load an estimator that was saved by its ``save`` method, or by skops.

    Nothing is unpickled and no code of the file is run: only classes of skaudio come back, and
    only if arrays and parameters fit each other. A ``.skops`` file may hold more, for instance
    a pipeline, made of estimators of scikit-learn and of skaudio.

    The parameters ``callbacks``, ``checkpoint``, ``device`` and ``memory`` of extractors, and
    ``memory`` of pipelines, come back as their defaults: they belong to another machine.

    Parameters
    ----------
    path : str or path-like
        The folder, or a file with suffix ``.skops``.
    trusted : list of type or str, default=()
        Further classes, or functions, that may come back: yours, or those of a library that
        you know. A full name, such as ``"their.module.Extractor"``, says what is meant without
        an import.

    Returns
    -------
    estimator : estimator
        Fitted; it gives the features that it gave when it was saved.

    Raises
    ------
    FileNotFoundError
        If nothing is there.
    ValueError
        If it cannot be loaded; the message tells why.
    TypeError
        If ``trusted`` is no list of classes or names.
    ImportError
        If safetensors, or skops, is not installed.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skaudio import RandomCNNTransformer, load
    >>> clips = [np.sin(np.arange(16000) / 9)]
    >>> cnn = RandomCNNTransformer(n_filters=4, random_state=0).fit(clips)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cnn.save(f"{folder}/cnn")
    ...     again = load(f"{folder}/cnn")
    >>> again
    RandomCNNTransformer(n_filters=4, random_state=0)
    >>> np.array_equal(again.transform(clips), cnn.transform(clips))
    True
    """
    path, trusted = Path(path), _names(trusted)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; pass what `save` was given")
    if path.suffix == ".skops" and not path.is_dir():
        read, reader = _read_skops, library("skops.io")
        advice = "save the estimator again"
    else:
        read, reader = _read_folder, library("safetensors.numpy")
        advice = "update skaudio if a later version wrote it, else save the estimator again"
    try:
        return read(path, reader, trusted)
    except Exception as error:  # of whatever kind a damaged file provokes
        deep = isinstance(error, RecursionError)
        reason = "it is nested too deeply" if deep else " ".join(f"{error}".split()).rstrip(".")
        reason, advice = reason or type(error).__name__, getattr(error, "advice", advice)
        raise ValueError(f"{path} cannot be loaded: {reason}; {advice}") from error


def _names(trusted):
    """Full name of each trusted class; the class itself, or None where only its name is given."""
    if isinstance(trusted, str | bool | type) or not hasattr(trusted, "__iter__"):
        raise TypeError(f"trusted={trusted!r} must be a list of classes or of their full names")
    names = {}
    for item in trusted:
        if isinstance(item, str):
            names.setdefault(item, None)
        elif hasattr(item, "__qualname__"):
            names[full_name(item)] = item
        else:
            raise TypeError(f"trusted holds {item!r}, which is neither a class nor its full name")
    return names


def _known_classes():
    """The classes that folders may name without a module, by name."""
    from . import elm
    from .utils.discovery import all_extractors

    return {**dict(all_extractors()), **{name: getattr(elm, name) for name in elm.__all__}}


def _known_functions():
    """The functions, and classes of workers, that parameters may hold, by name."""
    from . import workers

    functions = {name: getattr(augment, name) for name in augment.__all__}
    classes = {name: getattr(workers, name) for name in workers.__all__}
    found = {name: value for name, value in functions.items() if isinstance(value, FunctionType)}
    return found | {name: value for name, value in classes.items() if _is_worker(value)}


def _is_worker(value):
    from .workers import Worker

    return isinstance(value, type) and issubclass(value, Worker)


def _read_skops(path, skops_io, trusted):
    from .compare import TunedELM, TunedSVM
    from .compare._svm import CalibratedSVC, RBFKernel
    from .scaling import BlockScaler

    kinds = [
        *_known_classes().values(),
        *_known_functions().values(),
        TunedELM,
        TunedSVM,
        CalibratedSVC,
        RBFKernel,
        BlockScaler,
    ]
    return read_skops(path, skops_io, kinds, trusted)


def _read_folder(path, safetensors, trusted):
    document = json.loads(read_regular(path / TEXT, _MOST_TEXT))
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        raise ValueError(f"its format is {found!r}, this version of skaudio reads {FORMAT}")
    _check_parts(document)
    _class_named(document["class"], trusted)  # before anything large is read
    data = read_regular(path / ARRAYS, _MOST_ARRAYS)
    if hashlib.sha256(data).hexdigest() != document.get("sha256"):
        raise ValueError(f"{ARRAYS} is not the one that was saved with {TEXT}")
    arrays = safetensors.load(data)
    n_numbers = sum(array.size for array in arrays.values())
    estimator = _estimator(document, "", arrays, n_numbers, trusted)
    if arrays:
        raise ValueError(f"{document['class']} has no {', '.join(sorted(arrays))}")
    estimator._check_fitted_state()
    return estimator


def _check_parts(document):
    for key, kind in {"class": str, "parameters": dict, "state": dict}.items():
        if not isinstance(document.get(key), kind):
            raise ValueError(f"{TEXT} lacks {key!r}")


def _estimator(document, prefix, arrays, n_numbers, trusted):
    """The estimator of a document; the arrays it has are taken out of ``arrays``."""
    kind = _class_named(document["class"], trusted)
    parameters, state = (
        {
            name: _value(value, prefix + name, arrays, n_numbers, trusted)
            for name, value in document[part].items()
        }
        for part in ("parameters", "state")
    )
    known = {*kind().get_params(deep=False)}
    unknown = {*parameters} - (known - MACHINE_PARAMETERS)
    # what fit leaves hides neither a method nor a parameter
    unknown |= {name for name in state if name in known or hides_a_method(kind, name)}
    if unknown:
        raise ValueError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    check_sizes(parameters, n_numbers)
    estimator = kind(**parameters)
    vars(estimator).update(state)
    return estimator


def _value(value, name, arrays, n_numbers, trusted):
    """A parameter, or what was learnt; estimators inside others are built like these."""
    kind = next(iter(value)) if isinstance(value, dict) and len(value) == 1 else None
    if kind not in ("estimator", "frozen"):
        return decode(value, name, arrays, partial(_function_named, trusted=trusted))
    document = value[kind]
    if not isinstance(document, dict):
        raise ValueError(f"the value of {name} is written in an unknown way")
    _check_parts(document)
    inner = _estimator(document, f"{name}/", arrays, n_numbers, trusted)
    if document["state"]:
        inner._check_fitted_state()
    return inner if kind == "estimator" else FrozenEstimator(inner)


def _class_named(name, trusted):
    """The class that a folder names: one of skaudio, or one that the user trusts."""
    kind = _known_classes().get(name)
    if kind is not None:
        return kind
    kind = _trusted(name, trusted, "estimator")
    if not (isinstance(kind, type) and issubclass(kind, Saveable)):
        raise ValueError(f"{name} is no estimator with a method save")
    return kind


def _function_named(name, trusted):
    """The function or worker that a folder names: of skaudio, or one that the user trusts."""
    function = _known_functions().get(name)
    if function is None:
        function = _trusted(name, trusted, "function")
    if not isinstance(function, FunctionType) and not _is_worker(function):
        raise ValueError(f"{name} is no function, nor a worker")
    return function


def _trusted(name, trusted, what):
    """The class or function of a full name, if the user trusts it."""
    if "." not in name:
        raise ValueError(f"{name!r} is no {what} of this version of skaudio")
    if name not in trusted:
        raise untrusted([name])
    if trusted[name] is not None:
        return trusted[name]
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)
