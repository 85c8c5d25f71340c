"""Digests: short names for the content of clips and for all that decides about a feature."""

import hashlib
import os
import time

import numpy as np

__all__ = ["clip_digest", "described", "file_digest", "state_digest"]

_SETTLED = 2_000_000_000  # ns after which a further change of a file shows in its time stamps
_MOST_KNOWN = 1 << 17
_known_files = {}


def file_digest(path):
    """Digest of a file's content.

    It is remembered for as long as the file's time stamps and size stay as they are.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    digest : str
        32 hexadecimal digits.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    stat = os.stat(path)
    mark = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    digest = _known_files.get(mark)
    if digest is None:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
        # a file that was written a moment ago may change again within one tick of its clock
        if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > _SETTLED:
            if len(_known_files) >= _MOST_KNOWN:
                _known_files.clear()
            _known_files[mark] = digest
    return digest


def clip_digest(clips, i):
    """Digest of the content of a clip: the bytes of its file and its segment, or its samples.

    Parameters
    ----------
    clips : Clips
        The clips.
    i : int
        Position of the clip.

    Returns
    -------
    digest : str
        32 hexadecimal digits.

    Raises
    ------
    OSError
        If a file cannot be read.
    ClipError
        If an array is no clip, or there is no such file.
    """
    file = clips.file(i)
    if file is None:
        return hashlib.sha256(np.ascontiguousarray(clips[i])).hexdigest()[:32]
    if isinstance(file, bytes):
        return hashlib.sha256(file).hexdigest()[:32]
    digest = file_digest(file.path)
    if file.start is None and file.stop is None:
        return digest
    return hashlib.sha256(repr((digest, file.start, file.stop)).encode()).hexdigest()[:32]


def described(estimator, leave_out=frozenset()):
    """Class of an estimator and the parameters that decide about its output.

    Parameters
    ----------
    estimator : estimator
        Its nested estimators are described as well.
    leave_out : set of str
        Names of parameters that do not count, nested ones (``step__name``) included.

    Returns
    -------
    described : list
        Of text, always the same for equal parameters.
    """
    described = [type(estimator).__name__]
    for name, value in sorted(estimator.get_params().items()):
        last = name.rpartition("__")[2]
        if last == "steps" or name in leave_out or last in leave_out:
            continue  # the steps of a pipeline come one by one as well
        if hasattr(value, "get_params"):
            value = type(value).__name__
        elif callable(value):
            value = getattr(value, "__qualname__", type(value).__name__)
        described.append((name, repr(value)))
    return described


def state_digest(estimator, leave_out):
    """Digest of a fitted extractor: its class, its parameters and what it drew or learnt.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        A fitted one.
    leave_out : set of str
        Names of parameters that do not count.

    Returns
    -------
    digest : str
        32 hexadecimal digits.
    """
    from .. import __version__

    digest = hashlib.sha256(repr((__version__, described(estimator, leave_out))).encode())
    for name, value in sorted(vars(estimator).items()):
        if not name.endswith("_"):
            continue
        for key, array in value.items() if isinstance(value, dict) else [("", value)]:
            if isinstance(array, np.ndarray) and array.dtype.kind == "f":
                digest.update(repr((name, key, array.shape)).encode())
                digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()[:32]
