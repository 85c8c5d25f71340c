"""Features cached on disk, clip by clip, so that none is computed twice."""

import os
import re
import stat
import struct
import threading
import time
import warnings
import zlib
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..audio import ClipError
from .content import Unidentifiable
from .digest import clip_digest, clip_mark, state_digest

__all__ = ["CachedRows", "FeatureCache", "rows_of"]

_HEADER = struct.Struct("<8s32sQQI")  # mark, digest, samples of the clip, columns, checksum
_MARK = b"skaudio1"
_TICK = 20_000_000  # ns; the time stamps of file systems have a resolution of some ms
_DIGEST = re.compile("[0-9a-f]{32}")  # names of folders (extractors), and of the rows in them
_UNFINISHED = re.compile(_DIGEST.pattern + r"\.\d+\.\d+")  # rows being written, or left behind


class FeatureCache:
    """The features that extractors with this ``memory`` have cached on disk.

    There is one row for each clip, under a digest of the extractor (its class, its identity
    parameters, what it learnt, the version of skaudio) and a digest of the clip's content,
    whatever its file is called. If the content of a parameter cannot be identified, as that of
    a lambda, nothing is cached and a warning says so. Each row is a file of its own that is
    written in one step, so processes may share a cache; a damaged row is computed again.

    Parameters
    ----------
    memory : str, path-like or joblib.Memory
        What is given to extractors as ``memory``: a folder, made when first needed, or a
        `joblib.Memory`, whose ``clear`` and ``reduce_size`` then act upon features too.

    Attributes
    ----------
    folder : Path or None
        Where the features are. None: memory is ``joblib.Memory(None)``, which stores nothing.

    Examples
    --------
    >>> import tempfile
    >>> from skaudio import FeatureCache, MFCCTransformer
    >>> from skaudio.datasets import make_sounds
    >>> sounds = make_sounds(16, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     features = MFCCTransformer(memory=folder).fit_transform(sounds.data)
    ...     cache = FeatureCache(folder)
    ...     before = len(cache), cache.size
    ...     cache.clear()
    ...     before, len(cache)
    ((16, 8640), 0)
    """

    def __init__(self, memory):
        self.folder = _folder(memory)

    def __len__(self):
        """Number of rows."""
        return sum(1 for _ in self._rows())

    @property
    def size(self):
        """Bytes on disk."""
        total = 0
        for row in self._rows():
            with suppress(FileNotFoundError):  # another process has just deleted this row
                total += row.stat(follow_symlinks=False).st_size
        return total

    def clear(self):
        """Delete all rows, and unfinished ones that killed processes left; nothing else."""
        for row in (*self._rows(), *self._rows(_UNFINISHED)):
            with suppress(OSError):
                os.unlink(row.path)
        for folder in (*self._folders(), self.folder):
            if folder is not None:
                with suppress(OSError):  # it holds other files as well
                    os.rmdir(folder)

    def _rows(self, name=_DIGEST):
        for folder in self._folders():
            for entry in _entries(folder):
                if name.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    yield entry

    def _folders(self):
        folders = () if self.folder is None else _entries(self.folder)
        return [e.path for e in folders if _DIGEST.fullmatch(e.name) and e.is_dir()]


def _entries(folder):
    """Entries of a folder; none if it does not exist."""
    with suppress(OSError), os.scandir(folder) as entries:
        return list(entries)
    return []


def _folder(memory):
    """Folder of the rows; TypeError for anything that cannot be a ``memory``."""
    if isinstance(memory, str | os.PathLike):
        return Path(memory) / "skaudio"
    if not hasattr(memory, "store_backend"):
        raise TypeError(f"memory={memory!r} must be None, a folder or a joblib.Memory")
    backend = memory.store_backend
    return None if backend is None else Path(backend.location) / "skaudio"


class _Recent:
    """The rows that were read last, in memory: a grid search reads the same ones repeatedly."""

    def __init__(self, most_bytes):
        self._most, self._bytes, self._rows = most_bytes, 0, OrderedDict()
        self._lock = threading.Lock()  # searches may run in threads

    def get(self, key):
        """Row, or None."""
        with self._lock:
            if key in self._rows:
                self._rows.move_to_end(key)
            return self._rows.get(key)

    def put(self, key, row):
        """Add a row, and remove those that were used longest ago if there are too many bytes."""
        with self._lock:
            if row is None or key in self._rows:
                return
            self._rows[key] = row
            self._bytes += row[0].nbytes
            while self._bytes > self._most:
                self._bytes -= self._rows.popitem(last=False)[1][0].nbytes


_recent = _Recent(64 << 20)


class CachedRows:
    """The rows of one fitted extractor.

    Parameters
    ----------
    folder : Path
        Their folder.
    width : int
        Columns.
    """

    def __init__(self, folder, width):
        self.folder, self.width = folder, width
        self._warned = False

    def find(self, clips):
        """Look up clips.

        Parameters
        ----------
        clips : Clips
            The clips.

        Yields
        ------
        i : int
            Position of a clip.
        identity : object
            What identifies its content; None if it cannot be read.
        row : (ndarray of shape (n_features,), int) or None
            Its features and its length in samples, if they are cached.
        """
        for i in range(len(clips)):
            identity = _identity(clips, i)
            row = identity and self._read(identity[1])
            yield i, identity if row else _stable(identity, clips, i), row

    def _read(self, digest):
        path = os.path.join(self.folder, digest)
        try:
            found = os.stat(path)
            if not stat.S_ISREG(found.st_mode):
                return None  # opening a pipe would wait for someone to write into it
            key = (path, found.st_ino, found.st_size, found.st_mtime_ns)
            row = _recent.get(key)
            if row is None:
                with open(path, "rb", buffering=0) as file:
                    row = self._parsed(file.read(_HEADER.size + 4 * self.width + 1), digest)
                _recent.put(key, row)
        except OSError:
            return None
        return row

    def _parsed(self, content, digest):
        if len(content) != _HEADER.size + 4 * self.width:
            return None
        mark, name, n_samples, width, checksum = _HEADER.unpack_from(content)
        values = content[_HEADER.size :]
        expected = (_MARK, digest.encode(), self.width, zlib.crc32(values))
        if (mark, name, width, checksum) != expected:
            return None
        return np.frombuffer(values, "<f4"), n_samples

    def store(self, clips, i, identity, values, n_samples):
        """Write a row; where that fails, warn once and write no more.

        Parameters
        ----------
        clips : Clips
            The clips.
        i : int
            Position of the clip.
        identity : object
            What identified the clip before it was decoded. If that has changed meanwhile, it is
            not known which content was decoded, and nothing is stored.
        values : ndarray of shape (n_features,), float32
            The features.
        n_samples : int
            Length of the clip.
        """
        if self._warned or identity is None or identity != _identity(clips, i):
            return
        digest, values = identity[1], np.ascontiguousarray(values, "<f4").tobytes()
        header = _HEADER.pack(
            _MARK, digest.encode(), n_samples, len(values) // 4, zlib.crc32(values)
        )
        unfinished = self.folder / f"{digest}.{os.getpid()}.{threading.get_ident()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                unfinished.write_bytes(header + values)
                os.replace(unfinished, self.folder / digest)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise
        except IsADirectoryError:
            return  # a folder has the name of this row; others can still be written
        except OSError as error:
            self._warned = True
            warnings.warn(
                f"features are not cached: {error}; make room or pass another memory", stacklevel=2
            )


def rows_of(extractor, width, leave_out):
    """The rows of a fitted extractor in its cache.

    Parameters
    ----------
    extractor : BaseAudioTransformer
        A fitted one.
    width : int
        Columns.
    leave_out : set of str
        Names of parameters that change no feature.

    Returns
    -------
    rows : CachedRows or None
        None: it has no cache, or cannot be identified by its content, which a warning says.
    """
    folder = None if extractor.memory is None else FeatureCache(extractor.memory).folder
    if folder is None:
        return None
    try:
        return CachedRows(folder / state_digest(extractor, leave_out), width)
    except Unidentifiable as error:
        warnings.warn(f"features are not cached: {error}", stacklevel=6)
        return None


def _stable(identity, clips, i):
    """Identity that any later change of the file will alter; None if it keeps changing."""
    for wait in (_TICK, 0):
        if identity is None or identity[0] is None:
            return identity
        # a change within the same tick as the last one might leave the time stamp as it is
        if not 0 <= time.time_ns() - identity[0][-1] < _TICK:
            return identity
        time.sleep(wait / 1e9)
        identity = _identity(clips, i)
    return None


def _identity(clips, i):
    """What identifies the content of a clip: its file's mark and a digest; None if unreadable."""
    try:
        return clip_mark(clips, i), clip_digest(clips, i)
    except (OSError, ClipError):
        return None  # decoding the clip will raise the clear error
