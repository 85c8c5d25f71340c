"""Stage 1: whatever holds the user's clips -> mono float32 waves, checked.

A clip is a 1-D array (taken to be at the extractor's sample rate), an array together with a
sample rate of its own, a path, an `AudioFile` segment of a path, or the content of a sound
file. Whatever has its own rate is resampled.
"""

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from ._audio.decoding import as_path, check_file, read_audio, resample, sound_length
from ._audio.samples import as_rate, as_wave, check_finite
from ._audio.segments import check_segment, is_blank

__all__ = ["AudioFile", "ClipError", "Clips", "clip_items", "matrix_rows", "read_audio"]


@dataclass(frozen=True)
class AudioFile:
    """A sound file, or the part of it between two times.

    Parameters
    ----------
    path : str or path-like
        The file: wav, flac, ogg, mp3 or whatever else libsndfile decodes.
    start : float, default=None
        First moment, in seconds from the beginning of the file. None: the beginning.
    stop : float, default=None
        Last moment (exclusive), in seconds. None, an empty cell of a table (NaN, NA, ""), or
        later than the end: the end.

    Examples
    --------
    >>> from skaudio import AudioFile
    >>> AudioFile("field_recording.wav", start=12.5, stop=14.0)
    AudioFile(path='field_recording.wav', start=12.5, stop=14.0)
    """

    path: str | os.PathLike
    start: float | None = None
    stop: float | None = None

    def __str__(self):
        name = _printable(self.path)
        if self.start is None and is_blank(self.stop):
            return name
        begin = "0 s" if self.start is None else _seconds(self.start)
        end = "end" if is_blank(self.stop) else _seconds(self.stop)
        return f"{name}, {begin} to {end}"


def _printable(path):
    """A path as one line of printable characters."""
    try:
        name = str(path) if isinstance(path, str) else os.fsdecode(path.__fspath__())
    except Exception:  # not a path; opening it raises the clear error
        return type(path).__name__
    return name if name.isprintable() else repr(name)[1:-1]


def _seconds(moment):
    try:
        return f"{float(moment):g} s"
    except Exception:  # not a number; cutting the segment raises the clear error
        return type(moment).__name__


class ClipError(ValueError):
    """A clip that cannot be used; the message names it and says what to do.

    Attributes
    ----------
    index : int
        Row of the clip in X.
    name : str
        Path of the clip and its segment, or "array", or "bytes".
    problem : str
        What is wrong with it.
    """

    def __init__(self, index, name, problem):
        self.index, self.name, self.problem = index, name, problem
        super().__init__(index, name, problem)  # all three, so that it can be pickled

    def __str__(self):
        return (
            f"clip {self.index} ({self.name}) {self.problem}; "
            "remove or repair it, or pass on_error='skip'"
        )


# --- clips ---------------------------------------------------------------------------------------


class _Samples(NamedTuple):
    """An array of samples and its sample rate; None means the rate of the extractor."""

    array: Any
    rate: Any = None


def _source(item):
    """A clip in one of three forms: `AudioFile`, the content of a file as bytes, `_Samples`."""
    if isinstance(item, str | os.PathLike):
        return AudioFile(item)
    if isinstance(item, np.ndarray):
        return _Samples(item)
    if isinstance(item, bytes | bytearray):
        return bytes(item)
    if isinstance(item, io.BytesIO):
        return item.getvalue()
    if _is_pair(item):
        return _Samples(*(item if _is_number(item[1]) else reversed(item)))
    if isinstance(item, dict):
        return _source_of_dict(item)
    return item if isinstance(item, AudioFile) else _Samples(item)


def _is_number(item):
    zero_d = getattr(item, "ndim", None) == 0 and not isinstance(item, str | bytes)
    return zero_d or isinstance(item, Real)


def _is_pair(item):
    """Whether an item is (samples, sample rate) or (sample rate, samples)."""
    if not isinstance(item, tuple) or len(item) != 2:
        return False
    first, second = map(_is_number, item)
    samples = item[0] if second else item[1]
    return first != second and (isinstance(samples, list) or hasattr(samples, "__array__"))


def _source_of_dict(item):
    """`_source` for a dict as Hugging Face's ``datasets`` yields it, decoded or not."""
    if item.get("array") is not None:
        if item.get("sampling_rate") is None:
            raise ValueError("is a dict with an 'array', but without its 'sampling_rate'")
        return _Samples(item["array"], item["sampling_rate"])
    for key, kinds in (("bytes", bytes | bytearray), ("path", str | os.PathLike)):
        if isinstance(item.get(key), kinds):
            return _source(item[key])
    raise ValueError("is a dict, but has neither 'array' and 'sampling_rate', 'bytes' nor 'path'")


class Clips(Sequence):
    """A checked view of X: ``clips[i]`` decodes the i-th clip and returns it as a wave.

    Parameters
    ----------
    items : sequence
        Clips of all kinds in any mixture, or the rows of a matrix.
    sample_rate : int
        Rate in Hz that files are resampled to, and that arrays are taken to be at.
    rows : sequence of int, default=None
        Row of each item in the user's X, for messages. None: 0, 1, 2, ...
    """

    def __init__(self, items, sample_rate, rows=None):
        self.items, self.sample_rate = items, sample_rate
        self.rows = range(len(items)) if rows is None else rows

    def __len__(self):
        return len(self.items)

    def take(self, indices):
        """Subset of the clips, without decoding them: cheap to send to a worker.

        Parameters
        ----------
        indices : sequence of int
            Positions of the clips.

        Returns
        -------
        clips : Clips
            With the row numbers they have in X.
        """
        rows = [self.rows[i] for i in indices]
        return Clips([self.items[i] for i in indices], self.sample_rate, rows)

    def name(self, i):
        """Name of a clip for messages.

        Parameters
        ----------
        i : int
            Position of the clip.

        Returns
        -------
        name : str
            Path (and segment), "bytes" for the content of a file, or "array".
        """
        item = self.items[i]
        if isinstance(item, dict):
            item = item.get("bytes") if item.get("path") is None else item["path"]
        if isinstance(item, str | os.PathLike):
            item = AudioFile(item)
        if isinstance(item, AudioFile):
            return str(item)
        return "bytes" if isinstance(item, bytes | bytearray | io.BytesIO) else "array"

    def file(self, i):
        """Sound file of a clip.

        Parameters
        ----------
        i : int
            Position of the clip.

        Returns
        -------
        file : AudioFile, bytes or None
            A file that exists and is not empty, with "~" expanded in its path; or the content of
            a file as bytes. None: the clip is an array.

        Raises
        ------
        ClipError
            If there is no such file.
        """
        try:
            source = _source(self.items[i])
            if isinstance(source, AudioFile):
                path = as_path(source.path)
                check_file(path)
                if source.start is None and source.stop is None and path is source.path:
                    return source
                start, stop = check_segment(source.start, source.stop)
                # one form for equal segments, whether an end is left out or written as 0 or inf
                return AudioFile(path, start or None, None if stop == np.inf else stop)
        except ValueError as error:
            raise ClipError(self.rows[i], self.name(i), str(error)) from error
        return source if isinstance(source, bytes) else None

    def __getitem__(self, i):
        rate = self.sample_rate
        try:
            source = _source(self.items[i])
            if isinstance(source, AudioFile):
                path = as_path(source.path)
                wave = read_audio(path, rate, start=source.start, stop=source.stop)
            elif isinstance(source, bytes):
                wave = read_audio(source, rate)
            else:
                wave = as_wave(source.array)
                if source.rate is not None:
                    wave = resample(wave, as_rate(source.rate), rate)
            check_finite(wave)
        except ValueError as error:
            raise ClipError(self.rows[i], self.name(i), str(error)) from error
        return wave

    def length(self, i):
        """Length of a clip before it is resampled, from the header of a file.

        Parameters
        ----------
        i : int
            Position of the clip.

        Returns
        -------
        n_samples : int
            Samples of the clip.
        rate : int or None
            Their sample rate in Hz. None: an array without one, and ``sample_rate`` is None.

        Raises
        ------
        ClipError
            If the clip cannot be used.
        """
        try:
            source = _source(self.items[i])
            if isinstance(source, AudioFile):
                return sound_length(source.path, source.start, source.stop)
            if isinstance(source, bytes):
                return sound_length(source)
            rate = self.sample_rate if source.rate is None else as_rate(source.rate)
            return len(as_wave(source.array)), rate
        except ValueError as error:
            raise ClipError(self.rows[i], self.name(i), str(error)) from error

    def check(self, i):
        """Check what can be checked of a clip without decoding it.

        Parameters
        ----------
        i : int
            Position of the clip.

        Raises
        ------
        ClipError
            If a file cannot be opened, or an array is no clip or not finite.
        """
        file = self.file(i)
        if file is None:
            self[i]
        elif isinstance(file, AudioFile) and not os.access(file.path, os.R_OK):
            raise ClipError(self.rows[i], self.name(i), "cannot be read: permission denied")


# --- collections of clips ------------------------------------------------------------------------


def clip_items(X):
    """Recognise a collection of single clips.

    Parameters
    ----------
    X : object
        What the user passed as X.

    Returns
    -------
    items : list or None
        The clips, if X is a list, a tuple or another sequence, or an array, a column or a table
        of one column of objects or strings. None if X is something else: a matrix with a clip
        per row, to be checked as such.

    Raises
    ------
    TypeError
        If X is one clip instead of a list of clips, or has no order.
    ValueError
        If X is the samples of one clip.
    """
    if isinstance(X, str | os.PathLike | AudioFile):
        raise TypeError(f"X is one file ({X}); pass a list of clips: [{X!r}]")
    if isinstance(X, bytes | bytearray | io.BytesIO) or _is_pair(X):
        what = "one array and its sample rate" if isinstance(X, tuple) else "the bytes of one file"
        raise TypeError(f"X is {what}; one clip is a list of one: [X]")
    if isinstance(X, Iterator | dict | set | frozenset) and not hasattr(X, "ndim"):
        clips = "[X] or list(X.values())" if isinstance(X, dict) else "list(X)"
        raise TypeError(f"X is a {type(X).__name__}; pass a list of clips, for instance {clips}")
    column = X if isinstance(X, Sequence) else _column(X)
    if column is None:
        return None
    if len(column) and _only_numbers(column):
        raise ValueError(
            f"Expected 2D array, got 1D array instead: X is the {len(column)} samples of one clip. "
            "One clip is a list of one: [X]. Reshape your data with X.reshape(1, -1) for a matrix "
            "of one row"
        )
    return list(column)


def _column(X):
    """X if it is one-dimensional; its only column, if it has one and that is not numeric."""
    shape = getattr(X, "shape", ())
    if len(shape) == 1:
        return X
    if len(shape) != 2 or shape[1] != 1:
        return None
    # iterating over a data frame's column yields the clips unchanged, in pandas and in polars
    column = X[X.columns[0]] if hasattr(X, "columns") else np.asarray(X)[:, 0]
    return None if _only_numbers(column) else column


def _only_numbers(column):
    kind = getattr(getattr(column, "dtype", None), "kind", "O")
    return kind in "biufc" or all(map(_is_number, column))


def matrix_rows(given, checked):
    """Rows of a matrix as clips, with the type and mask that scikit-learn's check removes.

    Parameters
    ----------
    given : array-like of shape (n_clips, n_samples)
        What the user passed as X.
    checked : ndarray of shape (n_clips, n_samples)
        The same after scikit-learn's check.

    Returns
    -------
    rows : sequence of ndarray of shape (n_samples,)
        One for each clip.

    Raises
    ------
    ValueError
        If they are whole numbers of 64 bits that cannot be 16-bit samples.
    """
    if isinstance(given, np.ma.MaskedArray):
        return list(given)
    given = given.to_numpy() if hasattr(given, "columns") else given
    if getattr(getattr(given, "dtype", None), "kind", "") == "O":  # the check made floats of these
        exact = np.asarray(given.tolist())
        checked = checked if exact.dtype.kind == "O" else exact
    if checked.dtype != np.int64:
        return checked
    # int64 is what numpy and pandas give whole numbers of unknown type, such as those of a text
    # table; scikit-learn requires that estimators accept such matrices
    if not -(2**15) <= checked.min() <= checked.max() < 2**15:
        raise ValueError(
            "X is a matrix of int64 numbers beyond 16 bits, which do not say what full scale is; "
            "pass floats in [-1, 1], or integers of the type that the recorder gave"
        )
    warnings.warn(
        "X is a matrix of int64 numbers; they are taken for 16-bit samples and divided by 32768. "
        "Pass X.astype('int16') if they are, and floats in [-1, 1] otherwise",
        stacklevel=5,
    )
    return checked.astype(np.int16)
