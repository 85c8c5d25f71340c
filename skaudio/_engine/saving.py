"""Fitted estimators as a folder of text and arrays: nothing in it is run when it is loaded."""

import errno
import hashlib
import importlib
import json
import os
import platform
import shutil
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from sklearn.utils.validation import check_is_fitted

from .. import __version__
from .bounded import read_regular
from .encoding import decode, encode
from .loaded_state import MACHINE_PARAMETERS, check_sizes, check_state
from .skops_files import read_skops, untrusted

__all__ = ["Saveable", "load", "save"]

_FORMAT = 1
_TEXT, _ARRAYS = "estimator.json", "arrays.safetensors"
_MOST_TEXT, _MOST_ARRAYS = 1 << 25, 1 << 34  # bytes that are read


class Saveable:
    """Mixin of the estimators that can be saved without pickle."""

    def save(self, folder):
        """Save the fitted estimator for `skaudio.load`, as text and plain arrays.

        Unlike a pickle, the folder runs no code when it is loaded, can be read by people, and
        outlives changes of the library's inside. ``estimator.json`` holds the class, the
        parameters, what was learnt and the versions in use, ``arrays.safetensors`` the arrays.

        The parameters ``checkpoint``, ``device`` and ``memory`` belong to a machine, and
        ``callbacks`` are code. They are not saved and come back as their defaults; paths among
        the others come back as text.

        Parameters
        ----------
        folder : str or path-like
            Where to save. A folder that holds nothing but a saved estimator is replaced, and
            only once the new one is complete; several processes may save there.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        FileExistsError
            If there is anything else under this name.
        TypeError
            If a parameter or an attribute is neither a number, text or array, nor a list,
            tuple or dict of such.
        ValueError
            If an array holds NaN or infinity, or does not fit parameters changed since `fit`.
        ImportError
            If safetensors is not installed.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> from skaudio import MFCCTransformer, load
        >>> clips = [np.sin(np.arange(16000) / 9)]
        >>> mfcc = MFCCTransformer(n_mfcc=13).fit(clips)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     mfcc.save(f"{folder}/mfcc")
        ...     sorted(os.listdir(f"{folder}/mfcc"))
        ['arrays.safetensors', 'estimator.json']
        """
        save(self, folder)


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
        read, library = _read_skops, _library("skops.io")
        advice = "save the estimator again"
    else:
        read, library = _read_folder, _library("safetensors.numpy")
        advice = "update skaudio if a later version wrote it, else save the estimator again"
    try:
        return read(path, library, trusted)
    except Exception as error:  # of whatever kind a damaged file provokes
        deep = isinstance(error, RecursionError)
        reason = "it is nested too deeply" if deep else " ".join(f"{error}".split()).rstrip(".")
        reason, advice = reason or type(error).__name__, getattr(error, "advice", advice)
        raise ValueError(f"{path} cannot be loaded: {reason}; {advice}") from error


def save(estimator, folder):
    """Save a fitted estimator of skaudio; see `Saveable.save`.

    Parameters
    ----------
    estimator : estimator
        A fitted one.
    folder : str or path-like
        Where to save.
    """
    safetensors = _library("safetensors.numpy")
    check_is_fitted(estimator)
    kind = type(estimator)
    if not isinstance(estimator, Saveable):
        raise TypeError(f"{kind.__qualname__} is no extractor of audio; use skops or joblib")
    ours = _known_classes().get(kind.__name__) is kind
    folder = Path(folder).resolve()
    _check_free(folder)
    arrays = {}
    document = {
        "format": _FORMAT,
        "class": kind.__name__ if ours else _full_name(kind),
        "versions": _versions(),
        **_encoded_parts(estimator, arrays),
    }
    try:
        check_state(estimator)
    except ValueError as error:
        raise ValueError(
            f"{kind.__name__} cannot be saved: {error}; if parameters changed after fit, fit again"
        ) from error
    data = safetensors.save(arrays)
    document["sha256"] = hashlib.sha256(data).hexdigest()
    new = folder.with_name(f".{folder.name}.{uuid4().hex}")
    try:
        new.mkdir()
        (new / _ARRAYS).write_bytes(data)
        (new / _TEXT).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        _put(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _encoded_parts(estimator, arrays):
    """Parameters and fitted attributes for JSON; numeric arrays go to ``arrays``, by name."""
    parts = {"parameters": {}, "state": {}}
    parameters = estimator.get_params(deep=False)
    for name, value in vars(estimator).items():
        if name not in MACHINE_PARAMETERS:
            part = parts["parameters" if name in parameters else "state"]
            part[name] = encode(value, name, arrays)
    return parts


def _library(name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"Saving and loading need {name.partition('.')[0]}, which is not installed; "
            "run `pip install skaudio[save]`."
        ) from error


def _known_classes():
    """The classes that may be saved and loaded, by name."""
    from .. import elm
    from ..utils.discovery import all_extractors

    return {**dict(all_extractors()), **{name: getattr(elm, name) for name in elm.__all__}}


def _versions():
    packages = ("numpy", "torch", "scikit-learn", "safetensors")
    return {
        "skaudio": __version__,
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


# --- the folder ----------------------------------------------------------------------------------


def _check_free(folder):
    """Raise unless a folder may be written: it is not there, or holds a saved estimator."""
    whole = {_TEXT, _ARRAYS}
    for _ in range(20):
        try:
            names = {*os.listdir(folder)}
        except FileNotFoundError:
            return
        except NotADirectoryError:
            break
        if names == whole:
            return
        if not names < whole:
            break
        time.sleep(0.005)  # another process may be taking it away while it is listed
    raise FileExistsError(
        f"{folder} is there and is no saved estimator; choose another name, or remove it"
    )


def _put(new, folder):
    """Rename a finished folder to its final name, in place of an earlier one."""
    old = new.with_name(f"{new.name}.old")
    while True:
        _check_free(folder)
        with suppress(FileNotFoundError):
            folder.rename(old)
        try:
            new.rename(folder)
        except BaseException as error:
            if getattr(error, "errno", None) not in (errno.ENOTEMPTY, errno.EEXIST):
                with suppress(FileNotFoundError):
                    old.rename(folder)
                raise
        shutil.rmtree(old, ignore_errors=True)
        if not new.exists():
            return
        # else another process has put its own there meanwhile


# --- reading -------------------------------------------------------------------------------------


def _names(trusted):
    """Full name of each trusted class; the class itself, or None where only its name is given."""
    if isinstance(trusted, str | bool | type) or not hasattr(trusted, "__iter__"):
        raise TypeError(f"trusted={trusted!r} must be a list of classes or of their full names")
    names = {}
    for item in trusted:
        if isinstance(item, str):
            names.setdefault(item, None)
        elif hasattr(item, "__qualname__"):
            names[_full_name(item)] = item
        else:
            raise TypeError(f"trusted holds {item!r}, which is neither a class nor its full name")
    return names


def _full_name(kind):
    return f"{kind.__module__}.{kind.__qualname__}"


def _read_skops(path, skops_io, trusted):
    from ..compare import TunedELM, TunedSVM
    from ..compare._svm import CalibratedSVC, RBFKernel

    kinds = [*_known_classes().values(), TunedELM, TunedSVM, CalibratedSVC, RBFKernel]
    return read_skops(path, skops_io, kinds, trusted)


def _read_folder(path, safetensors, trusted):
    document = json.loads(read_regular(path / _TEXT, _MOST_TEXT))
    found = document.get("format") if isinstance(document, dict) else None
    if found != _FORMAT:
        raise ValueError(f"its format is {found!r}, this version of skaudio reads {_FORMAT}")
    for key, kind in {"class": str, "parameters": dict, "state": dict}.items():
        if not isinstance(document.get(key), kind):
            raise ValueError(f"{_TEXT} lacks {key!r}")
    kind = _class_named(document["class"], trusted)
    data = read_regular(path / _ARRAYS, _MOST_ARRAYS)
    if hashlib.sha256(data).hexdigest() != document.get("sha256"):
        raise ValueError(f"{_ARRAYS} is not the one that was saved with {_TEXT}")
    arrays = safetensors.load(data)
    n_numbers = sum(array.size for array in arrays.values())
    parameters, state = (
        {name: decode(value, name, arrays) for name, value in document[part].items()}
        for part in ("parameters", "state")
    )
    known = {*kind().get_params(deep=False)}
    unknown = ({*parameters} - (known - MACHINE_PARAMETERS)) | {*arrays}
    # what fit leaves hides neither a method nor a parameter
    unknown |= {name for name in state if name in known or hasattr(kind, name)}
    if unknown:
        raise ValueError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    check_sizes(parameters, n_numbers)
    estimator = kind(**parameters)
    vars(estimator).update(state)
    check_state(estimator)
    return estimator


def _class_named(name, trusted):
    """The class that a folder names: one of skaudio, or one that the user trusts."""
    kind = _known_classes().get(name)
    if kind is not None:
        return kind
    if "." not in name:
        raise ValueError(f"{name!r} is no estimator of this version of skaudio")
    if name not in trusted:
        raise untrusted([name])
    kind = trusted[name]
    if kind is None:
        module, _, last = name.rpartition(".")
        kind = getattr(importlib.import_module(module), last)
    if not (isinstance(kind, type) and issubclass(kind, Saveable)):
        raise ValueError(f"{name} is no estimator with a method save")
    return kind
