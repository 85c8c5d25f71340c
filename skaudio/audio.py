"""Room 1: whatever holds the user's clips -> mono float32 waves, checked.

A clip is a 1-D array (taken to be at the extractor's sample rate), a path, or an
`AudioFile` segment of a path. Files carry their own rate and are resampled.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["AudioFile", "ClipError", "Clips", "clip_items", "read_audio"]

_BLOCK = 1 << 20  # frames decoded at a time: a long many-channel file never lies in memory whole


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
        Last moment (exclusive), in seconds. None, or later than the end: the end.

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
        name = os.path.basename(os.fspath(self.path))
        if self.start is None and self.stop is None:
            return name
        begin = 0 if self.start is None else self.start
        end = "end" if self.stop is None else f"{self.stop:g} s"
        return f"{name}, {begin:g} s to {end}"


class ClipError(ValueError):
    """A clip that cannot be used; the message names it and says what to do.

    Attributes
    ----------
    index : int
        Row of the clip in X.
    name : str
        File name of the clip, or "array".
    problem : str
        What is wrong with it.
    """

    def __init__(self, index, name, problem):
        self.index, self.name, self.problem = index, name, problem
        super().__init__(index, name, problem)  # the three arguments let it cross processes

    def __str__(self):
        return (
            f"clip {self.index} ({self.name}) {self.problem}; "
            "remove or repair it, or pass on_error='skip'"
        )


def read_audio(path, sample_rate=None, *, start=None, stop=None):
    """Read a sound file as the extractors do: mono, float32, resampled.

    Channels are averaged. Another rate than the wanted one is resampled by soxr at its
    "HQ" setting. A segment is cut first and resampled then.

    Parameters
    ----------
    path : str or path-like
        The file to read.
    sample_rate : int, default=None
        Wanted rate in Hz. None: the rate of the file.
    start, stop : float, default=None
        Segment to read, in seconds, as in `AudioFile`.

    Returns
    -------
    wave : ndarray of shape (n_samples,), float32
        At least one sample; integer formats are scaled to [-1, 1).

    Raises
    ------
    ValueError
        If the file is missing, a directory, empty, unreadable, truncated or no audio, or
        if the segment lies outside of it.

    Examples
    --------
    >>> import tempfile, os, numpy as np, soundfile
    >>> from skaudio import read_audio
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "stereo.wav")
    ...     soundfile.write(path, np.full((44100, 2), [0.25, 0.75]), 44100)
    ...     read_audio(path, 16000).shape
    (16000,)
    """
    import soundfile

    _check_readable(path)
    try:
        file = soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.strip().rstrip(".")
        raise ValueError(f"is not audio that can be decoded ({reason})") from error
    with file:
        first, last = _segment(file, start, stop)
        try:
            rate = sample_rate or file.samplerate
            n_samples = -(-(last - first) * rate // file.samplerate) + 1
            blocks = _mono_blocks(file, first, last)
            wave = _joined(_resampled(blocks, file.samplerate, sample_rate), n_samples)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise ValueError(f"breaks off while decoding ({error})") from error
        except MemoryError as error:
            raise ValueError(
                f"promises {last - first} samples in its header, more than memory holds; if it is "
                "not damaged, cut it into AudioFile segments"
            ) from error
    return wave


def _looks_readable(path):
    """Whether a path is a file that is not empty and may be read, as far as its entry tells."""
    try:
        entry = os.stat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(entry.st_mode) and entry.st_size > 0 and os.access(path, os.R_OK)


def _check_readable(path):
    """Say in plain words what keeps a path from being opened."""
    try:
        with open(path, "rb") as file:
            if not file.read(1):
                raise ValueError("is an empty file (0 bytes)")
    except FileNotFoundError as error:
        raise ValueError("does not exist (strings are taken as paths)") from error
    except IsADirectoryError as error:
        raise ValueError("is a directory, not a sound file") from error
    except PermissionError as error:
        raise ValueError("cannot be read: permission denied") from error
    except OSError as error:
        raise ValueError(f"cannot be opened ({error.strerror})") from error


def _segment(file, start, stop):
    """First and last (exclusive) frame of a segment given in seconds."""
    rate, seconds = file.samplerate, file.frames / file.samplerate
    begin = 0.0 if start is None else start
    end = seconds if stop is None else min(stop, seconds)
    if file.frames == 0:
        raise ValueError("holds 0 samples")
    if not 0 <= begin < end:
        raise ValueError(
            f"has no segment from {start} s to {stop} s: it lasts {seconds:g} s, "
            "and 0 <= start < stop is needed"
        )
    first, last = min(round(begin * rate), file.frames - 1), round(end * rate)
    return first, max(last, first + 1)


def _mono_blocks(file, first, last) -> Iterator[np.ndarray]:
    """Decode frames first..last block by block, channels averaged."""
    file.seek(first)
    while first < last:
        block = file.read(min(_BLOCK, last - first), dtype="float32", always_2d=True)
        if not len(block):
            if "MP" in file.format and first > 0.9 * last:
                return  # an mp3 header only estimates the number of frames
            raise ValueError(
                f"is truncated: its header promises {last} samples, it ends after {first}"
            )
        first += len(block)
        yield block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)


def _resampled(blocks, rate, sample_rate) -> Iterator[np.ndarray]:
    """Blocks at ``sample_rate``, streaming."""
    if sample_rate is None or rate == sample_rate:
        yield from blocks
        return
    import soxr

    stream = soxr.ResampleStream(rate, sample_rate, num_channels=1, dtype="float32", quality="HQ")
    head, seen = np.zeros(1, np.float32), 0
    for index, block in enumerate(blocks):
        if index == 0:
            head = block[:1]
        wave = stream.resample_chunk(np.ascontiguousarray(block))
        seen += len(wave)
        yield wave
    rest = stream.resample_chunk(np.empty(0, np.float32), last=True)
    yield rest if seen + len(rest) else head  # a clip of less than one output sample keeps one


def _joined(blocks, n_samples):
    """Join blocks of at most ``n_samples`` in place: blocks and their joint would be twice that."""
    wave, end = np.empty(n_samples, np.float32), 0
    for block in blocks:
        wave[end : end + len(block)] = block
        end += len(block)
    return wave[:end]


def clip_items(X):
    """Recognise a collection of single clips.

    Parameters
    ----------
    X : object
        What the user passed as X.

    Returns
    -------
    items : list or None
        The clips, if X is a list, a tuple, a 1-D array (or column) of objects or strings.
        None if X is something else: a matrix with a clip per row, to be checked as such.

    Raises
    ------
    TypeError
        If X is one clip instead of a list of clips, or has no order.
    """
    if isinstance(X, str | os.PathLike | AudioFile):
        raise TypeError(f"X is one file ({X}); pass a list of clips: [{X!r}]")
    if isinstance(X, Iterator | dict | set | frozenset) and not hasattr(X, "ndim"):
        raise TypeError(f"X is a {type(X).__name__}; pass a list of clips, for instance list(X)")
    if not isinstance(X, list | tuple):
        if getattr(X, "ndim", None) != 1 or not hasattr(X, "dtype") or _numeric(X.dtype):
            return None
        X = list(np.asarray(X, dtype=object))
    if len(X) and all(isinstance(item, int | float | np.number) for item in X):
        return None  # one clip, not a list of clips: the check of matrices says so
    return list(X)


def _numeric(dtype):
    return getattr(dtype, "kind", "O") in "biufc"


class Clips(Sequence):
    """A checked view of X: ``clips[i]`` is the i-th clip as a wave, decoded when asked for.

    Parameters
    ----------
    items : sequence
        Arrays, paths and `AudioFile` segments in any mixture, or the rows of a matrix.
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
        """Some of these clips alone, cheap to send to a worker.

        Parameters
        ----------
        indices : sequence of int
            Positions of the clips.

        Returns
        -------
        clips : Clips
            They keep their row numbers.
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
            File name (and segment), or "array".
        """
        file = self.file(i)
        return "array" if file is None else str(file)

    def file(self, i):
        """File of a clip.

        Parameters
        ----------
        i : int
            Position of the clip.

        Returns
        -------
        file : AudioFile or None
            None: the clip is an array.
        """
        item = self.items[i]
        if isinstance(item, str | os.PathLike):
            item = AudioFile(item)
        return item if isinstance(item, AudioFile) else None

    def __getitem__(self, i):
        file = self.file(i)
        try:
            if file is None:
                wave = _as_wave(self.items[i])
            else:
                wave = read_audio(file.path, self.sample_rate, start=file.start, stop=file.stop)
            _check_finite(wave)
        except ValueError as error:
            raise ClipError(self.rows[i], self.name(i), str(error)) from error
        return wave

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
        item = self.items[i]
        if isinstance(item, str | os.PathLike) and _looks_readable(item):
            return  # most clips, in a third of the time it takes to open them
        file = self.file(i)
        if file is None:
            self[i]
            return
        try:
            _check_readable(file.path)
        except ValueError as error:
            raise ClipError(self.rows[i], self.name(i), str(error)) from error


def _as_wave(item):
    """One array-like clip -> float32 (n_samples,), whatever real dtype it came in."""
    if item is None:
        raise ValueError("is None, not a clip")
    try:
        wave = np.asarray(item)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"is no array of samples ({error})") from error
    if wave.dtype.kind == "c":
        raise ValueError("holds complex numbers. Complex data not supported")
    if wave.dtype.kind not in "biuf":
        try:
            wave = wave.astype(np.float32)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"is a {type(item).__name__} of dtype {wave.dtype}, not an array of samples"
            ) from error
    if wave.ndim != 1:
        raise ValueError(
            f"has shape {wave.shape}, but a clip is one channel of shape (n_samples,)"
            + ("; average its channels first" if wave.ndim == 2 else "")
        )
    if wave.size == 0:
        raise ValueError("holds 0 samples")
    with np.errstate(over="ignore"):
        return wave.astype(np.float32, copy=False)


def _check_finite(wave):
    # one pass, no temporary: a sum is finite unless a term is not, or the terms are so
    # large that no feature of them would be
    with np.errstate(over="ignore", invalid="ignore"):
        energy = np.dot(wave, wave)
    if not np.isfinite(energy):
        bad = np.flatnonzero(~np.isfinite(wave))
        if len(bad):
            what = "NaN" if np.isnan(wave[bad[0]]) else "inf"
            raise ValueError(f"holds {what} at sample {bad[0]}")
        raise ValueError(f"holds samples as large as {np.abs(wave).max():g}; scale it down")
