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
from pathlib import Path, PurePath
from uuid import uuid4

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import __version__
from ..utils.validation import check_number

__all__ = ["Saveable", "load", "save"]

_FORMAT = 1
_TEXT, _ARRAYS = "estimator.json", "arrays.safetensors"
_NOT_SAVED = {"callbacks", "checkpoint", "device", "memory"}  # code, and matters of a machine
_FEW = 1 << 12  # filters, bands or sizes of kernels that need no evidence in the file


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
            tuple or dict of such; or if the class is not one of skaudio.
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


def load(path):
    """Load an estimator that was saved by its ``save`` method, or by skops.

    Nothing is unpickled and no code of the file is run: only classes of skaudio come back, and
    only if arrays and parameters fit each other. A ``.skops`` file may hold more, for instance
    a pipeline, made of what skops itself trusts and of estimators of skaudio.

    Parameters
    ----------
    path : str or path-like
        The folder, or a file with suffix ``.skops``.

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
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; pass what `save` was given")
    if path.suffix == ".skops" and path.is_file():
        read, library = _read_skops, _library("skops.io")
        advice = "see skops.io.get_untrusted_types, or save the estimator again"
    else:
        read, library = _read_folder, _library("safetensors.numpy")
        advice = "update skaudio if a later version wrote it, else save the estimator again"
    try:
        return read(path, library)
    except Exception as error:  # of whatever kind a damaged file provokes
        reason = " ".join(f"{error}".split()).rstrip(".") or type(error).__name__
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
    if _known_classes().get(kind.__name__) is not kind:
        raise TypeError(f"{kind.__qualname__} is no class of skaudio; use skops or joblib")
    folder = Path(folder).resolve()
    _check_free(folder)
    arrays = {}
    document = {
        "format": _FORMAT,
        "class": kind.__name__,
        "versions": _versions(),
        **_encoded_parts(estimator, arrays),
    }
    try:
        _check_state(estimator)
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


# --- values in JSON ------------------------------------------------------------------------------
# Objects of JSON have one key, which tells what they stand for: "tuple", "dict", "array" or
# "transposed" (in the other file), "str" or "object" (arrays of text). All else means itself.


def _encoded_parts(estimator, arrays):
    """Parameters and fitted attributes for JSON; numeric arrays go to ``arrays``, by name."""
    parts = {"parameters": {}, "state": {}}
    parameters = estimator.get_params(deep=False)
    for name, value in vars(estimator).items():
        if name not in _NOT_SAVED:
            part = parts["parameters" if name in parameters else "state"]
            part[name] = _encode(value, name, arrays)
    return parts


def _encode(value, name, arrays):
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, list | tuple):
        items = [_encode(item, f"{name}/{i}", arrays) for i, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, dict) and _are_texts([*value]):
        return {"dict": {k: _encode(item, f"{name}/{k}", arrays) for k, item in value.items()}}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.itemsize <= 8:
        _check_finite(name, value)
        # products round differently with another order in memory, so it is kept
        transposed = value.flags.f_contiguous and not value.flags.c_contiguous
        rows = value.T if transposed else value
        arrays[name] = np.asarray(rows, value.dtype.newbyteorder("="), order="C")
        return {"transposed" if transposed else "array": _described(arrays[name])}
    if isinstance(value, np.ndarray) and value.dtype.kind in "UO" and _are_texts(value.tolist()):
        return {"str" if value.dtype.kind == "U" else "object": value.tolist()}
    raise TypeError(
        f"{name} holds a {type(value).__name__}, which is no number, text or array; "
        "set another value, or save with skops or joblib"
    )


def _decode(value, name, arrays):
    """What was encoded; arrays that are found are taken out of ``arrays``."""
    if isinstance(value, list):
        return [_decode(item, f"{name}/{i}", arrays) for i, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items() if len(value) == 1 else [(None, None)]
    if kind == "tuple" and isinstance(content, list):
        return tuple(_decode(content, name, arrays))
    if kind == "dict" and isinstance(content, dict):
        return {key: _decode(item, f"{name}/{key}", arrays) for key, item in content.items()}
    if kind in ("array", "transposed"):
        array = arrays.pop(name, None)
        if array is None or _described(array) != content:
            raise ValueError(f"the array {name} is {_described(array)}, not {content}")
        _check_finite(name, array)
        array = np.require(array, requirements="W")
        return array.T if kind == "transposed" else array
    if kind in ("str", "object") and _are_texts(content):
        return np.array(content, dtype=kind)
    raise ValueError(f"the value of {name} is written in an unknown way")


def _are_texts(items):
    return isinstance(items, list) and all(isinstance(item, str) for item in items)


def _described(array):
    """For instance "float32 (64, 1, 3, 3)"."""
    return f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else "missing"


def _check_finite(name, array):
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"the array {name} holds NaN or infinity")


# --- reading -------------------------------------------------------------------------------------


def _read_skops(path, skops_io):
    from ..compare import TunedELM, TunedSVM
    from ..compare._svm import RBFKernel

    kinds = [*_known_classes().values(), TunedELM, TunedSVM, RBFKernel]
    return skops_io.load(path, trusted=[f"{kind.__module__}.{kind.__qualname__}" for kind in kinds])


def _read_folder(path, safetensors):
    document = json.loads((path / _TEXT).read_bytes())
    found = document.get("format") if isinstance(document, dict) else None
    if found != _FORMAT:
        raise ValueError(f"its format is {found!r}, this version of skaudio reads {_FORMAT}")
    for key, kind in {"class": str, "parameters": dict, "state": dict}.items():
        if not isinstance(document.get(key), kind):
            raise ValueError(f"{_TEXT} lacks {key!r}")
    kind = _known_classes().get(document["class"])
    if kind is None:
        raise ValueError(f"{document['class']!r} is no estimator of this version of skaudio")
    data = (path / _ARRAYS).read_bytes()
    if hashlib.sha256(data).hexdigest() != document.get("sha256"):
        raise ValueError(f"{_ARRAYS} is not the one that was saved with {_TEXT}")
    arrays = safetensors.load(data)
    n_numbers = sum(array.size for array in arrays.values())
    parameters, state = (
        {name: _decode(value, name, arrays) for name, value in document[part].items()}
        for part in ("parameters", "state")
    )
    blank = kind()
    unknown = {*parameters} - ({*blank.get_params(deep=False)} - _NOT_SAVED)
    # what fit leaves hides neither a method nor a parameter
    unknown |= {name for name in state if hasattr(blank, name)} | {*arrays}
    if unknown:
        raise ValueError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    _check_sizes(parameters, n_numbers)
    estimator = kind(**parameters)
    vars(estimator).update(state)
    _check_state(estimator)
    return estimator


def _check_sizes(parameters, n_numbers):
    """Refuse widths that the file gives no evidence of, before a network is built of them."""
    for name, value in parameters.items():
        widths = value if isinstance(value, list | tuple) else [value]
        if widths is value or (name.startswith("n_") and name != "n_fft"):
            if any(isinstance(n, int) and n > max(_FEW, n_numbers) for n in widths):
                raise ValueError(f"{name}={value} is more than its arrays have room for")


def _check_state(estimator):
    """Raise unless the attributes are those that `fit` leaves with these parameters."""
    from ..base import BaseAudioTransformer

    check_is_fitted(estimator)
    if isinstance(estimator, BaseAudioTransformer):
        _check_extractor(estimator)
    else:
        estimator._check_parameters()
    wanted = {name: f"{kind} {shape}" for name, (kind, shape) in estimator._learnt_arrays().items()}
    if hasattr(estimator, "n_features_in_"):
        check_number("n_features_in_", estimator.n_features_in_, 1)
    if hasattr(estimator, "feature_names_in_"):
        wanted["feature_names_in_"] = f"object ({estimator.n_features_in_},)"
    for name, array in wanted.items():
        found = _described(getattr(estimator, name, None))
        if found != array:
            raise ValueError(f"the array {name} is {found}, not {array}")


def _check_extractor(extractor):
    extractor._check_running_parameters()
    check_number("sample_rate", extractor.sample_rate, 1)
    extractor._check_parameters()
    network = extractor._network(None)  # its weights take no memory until they are touched
    wanted = [(name, f"float32 {tuple(p.shape)}") for name, p in network.state_dict().items()]
    found = [(name, _described(w)) for name, w in getattr(extractor, "weights_", {}).items()]
    if found != wanted:
        differing = {*found} ^ {*wanted}
        what = ", ".join(sorted({name for name, _ in differing})[:3]) or "order"
        raise ValueError(f"weights_ does not fit the parameters: {what}")
    width = extractor._width()
    if getattr(extractor, "n_features_out_", None) != width:
        raise ValueError(f"n_features_out_ must be {width} with these parameters")
