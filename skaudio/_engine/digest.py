"""Digests: short names for the content of clips and for all that decides about a feature."""

import hashlib
import os
import time
from operator import itemgetter

import numpy as np

from .._version import __version__
from ..audio import AudioFile
from .content import Unidentifiable, content, described

__all__ = ["DECIDES_NOTHING", "clip_digest", "clip_mark", "file_digest", "state_digest"]

# attributes that tell of a fit, and decide about no feature
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
    mark = _file_mark(path)
    digest = _known_files.get(mark)
    if digest is None:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
        # a file that was written a moment ago may change again within one tick of its clock
        if time.time_ns() - max(mark[-2:]) > _SETTLED:
            if len(_known_files) >= _MOST_KNOWN:
                _known_files.clear()
            _known_files[mark] = digest
    return digest


def _file_mark(path):
    stat = os.stat(path)
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def clip_mark(clips, i):
    """What tells, beside the content, that the file of a clip is the one of before.

    Parameters
    ----------
    clips : Clips
        The clips.
    i : int
        Position of the clip.

    Returns
    -------
    mark : tuple of int or None
        Place, size and time stamps of its file. None: it comes from no file.

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
        If an array is no clip, or there is no such file.
    """
    file = clips.file(i)
    if file is None:
        digest = hashlib.sha256(np.ascontiguousarray(clips[i]))
        if clips.sample_rate is None and (rate := clips.length(i)[1]) is not None:
            digest.update(repr(rate).encode())  # not yet resampled, samples do not tell the sound
        return digest.hexdigest()[:32]
    if isinstance(file, bytes):
        return hashlib.sha256(file).hexdigest()[:32]
    digest = file_digest(file.path)
    if file.start is None and file.stop is None:
        return digest
    return hashlib.sha256(repr((digest, file.start, file.stop)).encode()).hexdigest()[:32]


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

    Raises
    ------
    Unidentifiable
        If a parameter or an attribute has no content to be known by.
    """
    parts = [__version__, described(estimator, leave_out)]
    nested = ((n, v) for n, v in estimator.get_params().items() if hasattr(v, "get_params"))
    for owner, part in [("", estimator), *sorted(nested, key=itemgetter(0))]:
        for name, value in sorted(vars(part).items()):
            if not name.endswith("_") or name in DECIDES_NOTHING:
                continue
            try:
                parts.append((owner, name, content(value, nested=None)))
            except Unidentifiable as error:
                raise Unidentifiable(f"attribute {name} {error}") from None
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
