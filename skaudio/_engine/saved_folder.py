"""Fitted estimators as a folder of text and arrays: nothing in it is run when it is loaded.

Here such a folder is written, for which nothing but the estimator is needed. Reading it needs the
classes that may come out of it: see `skaudio.saving`.

An estimator inside another, as a parameter or as what it has learnt, is an object of JSON with one
key, "estimator", or "frozen" if it is in a `FrozenEstimator`: its class, parameters and state.
"""

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

from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from .._version import __version__
from .encoding import encode, written_name
from .loaded_state import MACHINE_PARAMETERS, check_learnt

__all__ = [
    "ARRAYS",
    "FORMAT",
    "TEXT",
    "Saveable",
    "library",
    "save",
]

FORMAT = 1
TEXT, ARRAYS = "estimator.json", "arrays.safetensors"


class Saveable:
    """Mixin of the estimators that can be saved without pickle.

    A subclass says in ``_learnt_arrays()`` which arrays `fit` leaves, as (dtype, shape) by name,
    and overrides `_check_fitted_state` where there is more to check.
    """

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
            If a parameter or an attribute is neither a number, text, array or function that can
            be imported, nor a list, tuple or dict of such, nor an estimator of skaudio.
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

    def _check_fitted_state(self):
        """Raise unless the attributes are those that `fit` leaves with these parameters.

        Raises
        ------
        NotFittedError, TypeError, ValueError
            Which of them does not fit.
        """
        check_is_fitted(self)
        check_learnt(self, self._learnt_arrays())


def save(estimator, folder):
    """Save a fitted estimator of skaudio; see `Saveable.save`.

    Parameters
    ----------
    estimator : estimator
        A fitted one.
    folder : str or path-like
        Where to save.
    """
    safetensors = library("safetensors.numpy")
    check_is_fitted(estimator)
    kind = type(estimator)
    if not isinstance(estimator, Saveable):
        raise TypeError(f"{kind.__qualname__} is no extractor of audio; use skops or joblib")
    folder = Path(folder).resolve()
    _check_free(folder)
    arrays = {}
    document = {
        "format": FORMAT,
        "versions": _versions(),
        **_encoded(estimator, arrays),
    }
    try:
        estimator._check_fitted_state()
    except ValueError as error:
        raise ValueError(
            f"{kind.__name__} cannot be saved: {error}; if parameters changed after fit, fit again"
        ) from error
    data = safetensors.save(arrays)
    document["sha256"] = hashlib.sha256(data).hexdigest()
    new = folder.with_name(f".{folder.name}.{uuid4().hex}")
    try:
        new.mkdir()
        (new / ARRAYS).write_bytes(data)
        (new / TEXT).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        _put(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _encoded(estimator, arrays, prefix=""):
    """Class, parameters and fitted attributes for JSON; arrays go to ``arrays``, by name."""
    parts = {"class": written_name(type(estimator)), "parameters": {}, "state": {}}
    parameters = estimator.get_params(deep=False)
    for name, value in vars(estimator).items():
        if name not in MACHINE_PARAMETERS:
            part = parts["parameters" if name in parameters else "state"]
            part[name] = _encoded_value(value, prefix + name, arrays)
    return parts


def _encoded_value(value, name, arrays):
    if isinstance(value, Saveable):
        return {"estimator": _encoded(value, arrays, f"{name}/")}
    if isinstance(value, FrozenEstimator) and isinstance(value.estimator, Saveable):
        return {"frozen": _encoded(value.estimator, arrays, f"{name}/")}
    return encode(value, name, arrays)


def library(name):
    """Import a library that only saving and loading need.

    Parameters
    ----------
    name : str
        Its module.

    Returns
    -------
    module : module
        Imported.

    Raises
    ------
    ImportError
        If it is not installed; the message tells how to get it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"Saving and loading need {name.partition('.')[0]}, which is not installed; "
            "run `pip install skaudio[save]`."
        ) from error


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
    whole = {TEXT, ARRAYS}
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
