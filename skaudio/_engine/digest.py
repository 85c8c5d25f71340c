"""Digests of the content of clips, and of everything in an extractor that changes a feature."""

import hashlib
import os
import time
from operator import itemgetter

import numpy as np

from .._version import __version__
from ..audio import AudioFile
from .content import Unidentifiable, content, described

__all__ = ["DECIDES_NOTHING", "clip_digest", "clip_mark", "file_digest", "state_digest"]

# fitted attributes that report on a fit and change no feature
DECIDES_NOTHING = {
    "_parent_callback_ctx",
    "feature_names_in_",
    "history_",
    "loss_curve_",
    "n_codes_used_",
    "n_epochs_",
    "n_features_in_",
    "n_features_out_",
    "perplexity_",
    "task_weights_",
}
_SAFE_AGE = 2_000_000_000  # ns; any change of a file this old alters its time stamps
_MOST_KNOWN = 1 << 17
_known_files = {}


def file_digest(path):
    """Digest of a file's content.

    It is cached in memory for as long as the file's time stamps and size are the same.

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
    mark = _file_mark(path)
    digest = _known_files.get(mark)
    if digest is None:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
        # a file written a moment ago could change again without a change of its time stamps
        if time.time_ns() - max(mark[-2:]) > _SAFE_AGE:
            if len(_known_files) >= _MOST_KNOWN:
                _known_files.clear()
            _known_files[mark] = digest
    return digest


def _file_mark(path):
    stat = os.stat(path)
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def clip_mark(clips, i):
    """What identifies the file of a clip, without reading its content.

    Parameters
    ----------
    clips : Clips
        The clips.
    i : int
        Position of the clip.

    Returns
    -------
    mark : tuple of int or None
        Device, inode, size and time stamps of its file. None: the clip is not a file.

    Raises
    ------
    OSError
        If there is no such file.
    """
    file = clips.file(i)
    return _file_mark(file.path) if isinstance(file, AudioFile) else None


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
        If an array is not a clip, or a file does not exist.
    """
    file = clips.file(i)
    if file is None:
        digest = hashlib.sha256(np.ascontiguousarray(clips[i]))
        if clips.sample_rate is None and (rate := clips.length(i)[1]) is not None:
            digest.update(repr(rate).encode())  # not resampled: the sound depends on the rate too
        return digest.hexdigest()[:32]
    if isinstance(file, bytes):
        return hashlib.sha256(file).hexdigest()[:32]
    digest = file_digest(file.path)
    if file.start is None and file.stop is None:
        return digest
    return hashlib.sha256(repr((digest, file.start, file.stop)).encode()).hexdigest()[:32]


def state_digest(estimator, leave_out):
    """Digest of a fitted extractor: its class, its parameters and its fitted attributes.

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

    Raises
    ------
    Unidentifiable
        If a parameter or an attribute has no content that identifies it.
    """
    parts = [__version__, described(estimator, leave_out)]
    nested = ((n, v) for n, v in estimator.get_params().items() if hasattr(v, "get_params"))
    for owner, part in [("", estimator), *sorted(nested, key=itemgetter(0))]:
        for name, value in sorted(vars(part).items()):
            if not name.endswith("_") or name in DECIDES_NOTHING:
                continue
            try:
                inner = hasattr(value, "get_params") and not isinstance(value, type)
                text = state_digest(value, leave_out) if inner else content(value, nested=None)
                parts.append((owner, name, text))
            except Unidentifiable as error:
                raise Unidentifiable(f"attribute {name} {error}") from None
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
