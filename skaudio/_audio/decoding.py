"""Sound files -> mono float32 waves at the wanted rate."""

import errno
import io
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np

from .headers import check_complete
from .segments import check_segment

__all__ = ["as_path", "check_file", "read_audio", "resample", "sound_length"]

_BLOCK = 1 << 20  # samples decoded at a time, all channels together, which bounds memory
_HIGHEST_RATE = 10_000_000  # Hz; a higher one is taken for a damaged header
_HIGHEST_RATIO = 256  # of two sample rates; a wrong rate could turn a small file into a huge wave
_PATIENCE = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # s between attempts when too many files are open
_BAD_NAME = "has a name that no file can have ({})"
_KINDS = {
    stat.S_IFDIR: "directory",
    stat.S_IFIFO: "named pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}
# formats that libsndfile does not decode, recognised by their first bytes or their suffix
_OTHER_STARTS = {b"\x1a\x45\xdf\xa3": ".webm", b"\x30\x26\xb2\x75": ".wma", b"#!AM": ".amr"}
_OTHER_NAMES = (
    ".3gp", ".aac", ".ac3", ".amr", ".ape", ".avi", ".m4a", ".m4b", ".mka", ".mkv", ".mov", ".mp4",
    ".mpc", ".opus", ".ra", ".weba", ".webm", ".wma", ".wv",
)  # fmt: skip


def read_audio(path, sample_rate=None, *, start=None, stop=None):
    """Read a sound file as the extractors do: mono, float32, resampled.

    Channels are averaged. Where the file has another rate than the wanted one, it is resampled
    by soxr at its "HQ" setting. A segment is cut first and resampled afterwards.

    Parameters
    ----------
    path : str, path-like or bytes
        The file to read, "~" standing for the home folder; or, as bytes, its content.
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
        If the file is missing, a directory, a pipe, a device, empty, unreadable, truncated or no
        audio, if the segment lies outside of it, or if its rate is far from the wanted one.

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

    with _opened(path) as sound:
        rate = sound.samplerate
        _check_rates(rate, sample_rate)
        first, last = _segment(sound, start, stop)
        try:
            blocks = _mono_blocks(sound, first, last, _block(sound.channels, rate, sample_rate))
            return _joined(blocks, last - first, rate, sample_rate)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise ValueError(f"breaks off while decoding ({error})") from error


def sound_length(path, start=None, stop=None):
    """Length of a sound file, or of a segment, according to its header.

    Parameters
    ----------
    path, start, stop : object
        As for `read_audio`.

    Returns
    -------
    n_samples : int
        Samples of a channel.
    rate : int
        Their sample rate in Hz.

    Raises
    ------
    ValueError
        As in `read_audio`, except for faults that only decoding reveals.
    """
    with _opened(path) as sound:
        first, last = _segment(sound, start, stop)
        return last - first, sound.samplerate


@contextmanager
def _opened(path):
    """Open a path, or the content of a file, as a `soundfile.SoundFile`."""
    if isinstance(path, bytes):
        length, file = len(path), io.BytesIO(path)
    else:
        path = as_path(path)
        length, file = check_file(path), _open_file(path)
    with file, _decoder(file, length, path) as sound:
        yield sound


def resample(wave, rate, sample_rate):
    """Resample a wave in the same way as a file of that rate.

    Parameters
    ----------
    wave : ndarray of shape (n_samples,), float32
        The wave.
    rate : int
        Its sample rate in Hz.
    sample_rate : int or None
        Wanted rate in Hz. None: the same.

    Returns
    -------
    wave : ndarray of shape (n_samples,), float32
        At least one sample.

    Raises
    ------
    ValueError
        If one rate is far from the other.
    """
    _check_rates(rate, sample_rate)
    if sample_rate is None or rate == sample_rate:
        return wave
    step = _block(1, rate, sample_rate)
    blocks = (wave[begin : begin + step] for begin in range(0, len(wave), step))
    return _joined(blocks, len(wave), rate, sample_rate)


def _block(channels, rate, sample_rate):
    """Frames to decode at a time, bounded before resampling and after it."""
    return max(1, _BLOCK // max(channels, (sample_rate or rate) // rate))


def _check_rates(rate, sample_rate):
    if rate > _HIGHEST_RATE:
        raise ValueError(f"has a sample rate of {rate} Hz, which no sound has")
    if sample_rate and max(rate, sample_rate) > _HIGHEST_RATIO * min(rate, sample_rate):
        raise ValueError(
            f"has a sample rate of {rate} Hz, too far from the wanted {sample_rate} Hz to be "
            f"resampled (more than {_HIGHEST_RATIO} times); correct the one that is wrong"
        )


# --- opening -------------------------------------------------------------------------------------


def as_path(path):
    """Path that can be opened.

    Parameters
    ----------
    path : str or path-like
        "~" stands for the home folder.

    Returns
    -------
    path : str
        With "~" expanded.

    Raises
    ------
    ValueError
        If it is not a path.
    """
    if type(path) is not str:
        if not isinstance(path, str | os.PathLike):
            raise ValueError(f"has a {type(path).__name__} where its path should be")
        try:
            path = os.fsdecode(path)
        except Exception as error:  # whatever the path's own `__fspath__` raises
            raise ValueError(f"is no path ({error})") from error
    if not path.startswith("~"):
        return path
    try:
        return os.path.expanduser(path)
    except ValueError as error:
        raise ValueError(_BAD_NAME.format(error)) from error


def check_file(path):
    """Check, without opening it, that a path is a regular file that is not empty.

    Parameters
    ----------
    path : str
        As `as_path` gives it.

    Returns
    -------
    length : int
        Bytes of the file.

    Raises
    ------
    ValueError
        If it is not; the message says in plain words what it is instead.
    """
    try:
        entry = os.stat(path)
    except OSError as error:
        raise _in_words(error) from error
    except ValueError as error:
        raise ValueError(_BAD_NAME.format(error)) from error
    if not stat.S_ISREG(entry.st_mode):  # opening a pipe could block for ever
        kind = _KINDS.get(stat.S_IFMT(entry.st_mode), "special file")
        raise ValueError(f"is a {kind}, not a sound file")
    if entry.st_size == 0:
        raise ValueError("is an empty file (0 bytes)")
    return entry.st_size


def _in_words(error):
    if isinstance(error, FileNotFoundError):
        return ValueError("does not exist (strings are taken as paths)")
    if isinstance(error, PermissionError):
        return ValueError("cannot be read: permission denied")
    return ValueError(f"cannot be opened or read ({error.strerror})")


def _open_file(path):
    """Open a file; if too many are open, retry for a few seconds."""
    for pause in (*_PATIENCE, None):
        try:
            return open(path, "rb", buffering=0)
        except OSError as error:
            if pause is None or error.errno not in (errno.EMFILE, errno.ENFILE):
                raise _in_words(error) from error
        time.sleep(pause)


def _decoder(file, length, path):
    """`soundfile.SoundFile` of an open file, once it is known to be complete.

    The path serves error messages only.
    """
    import soundfile

    try:
        gap = check_complete(file, length)
        file.seek(0)
    except OSError as error:  # from a failing disk, for instance
        raise _in_words(error) from error
    if gap is None and os.name == "posix" and not isinstance(file, io.BytesIO):
        source = file.fileno()  # a descriptor has no suffix, so the format is found by content
    else:
        source = _Virtual(file, gap)
    try:
        return soundfile.SoundFile(source, closefd=False)
    except (soundfile.LibsndfileError, TypeError) as error:
        file.seek(0)
        raise ValueError(_undecodable(error, file.read(16), path)) from error


class _Virtual:
    """File object for `soundfile`, for content in memory and for headers that need a repair.

    No exception may leave these methods: libsndfile calls them from C, where it would only be
    printed.
    """

    def __init__(self, file, gap):
        self._file, self._gap = file, gap
        self.tell = file.tell

    def seek(self, offset, whence=os.SEEK_SET):
        with suppress(ValueError, OverflowError, OSError):  # offsets in damaged headers
            self._file.seek(offset, whence)
        return self._file.tell()

    def readinto(self, buffer):
        begin = self._file.tell()
        count = self._file.readinto(buffer)
        if self._gap is not None:  # the missing size of the samples: read to the end of the file
            for position in range(max(begin, self._gap), min(begin + count, self._gap + 4)):
                buffer[position - begin] = b"\xff"
        return count


def _undecodable(error, head, path):
    """Message for a file that could not be decoded, with a remedy if its format is known."""
    reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
    problem = f"is not audio that can be decoded ({reason})"
    in_memory = isinstance(path, bytes)
    if in_memory and len(path) < 256:
        problem += "; bytes are taken for the content of a sound file, not for its path"
    kind = "" if in_memory else os.path.splitext(path)[1].lower()
    if kind not in _OTHER_NAMES:
        kind = ".m4a" if head[4:8] == b"ftyp" else _OTHER_STARTS.get(head[:4])
    return f"{problem}; convert it: ffmpeg -i in{kind} out.wav" if kind else problem


# --- decoding ------------------------------------------------------------------------------------


def _segment(sound, start, stop):
    """First and last (exclusive) frame of a segment given in seconds."""
    rate, seconds = sound.samplerate, sound.frames / sound.samplerate
    if sound.frames == 0:
        raise ValueError("holds 0 samples")
    begin, end = check_segment(start, stop)
    if not 0 <= begin < min(end, seconds):
        raise ValueError(
            f"has no segment from {begin} s to {end} s: it lasts {seconds:g} s, "
            "and 0 <= start < stop is needed"
        )
    first, last = min(round(begin * rate), sound.frames - 1), round(min(end, seconds) * rate)
    return first, max(last, first + 1)


def _mono_blocks(sound, first, last, block) -> Iterator[np.ndarray]:
    """Decode frames first..last block by block, channels averaged."""
    sound.seek(first)
    while first < last:
        wave = sound.read(min(block, last - first), dtype="float32", always_2d=True)
        if not len(wave):
            if "MP" in sound.format and first > 0.9 * last:
                return  # an mp3 header only estimates the number of frames
            raise ValueError(
                f"is truncated: its header promises {last} samples, it ends after {first}"
            )
        first += len(wave)
        if wave.shape[1] > 1:
            with np.errstate(invalid="ignore", over="ignore"):  # `check_finite` reports it later
                wave = wave.mean(axis=1, keepdims=True)
        yield wave[:, 0]


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
    yield rest if seen + len(rest) else head  # at least one sample, also of a very short clip


def _joined(blocks, n_samples, rate, sample_rate):
    """Resample blocks into one array allocated beforehand: joining a list doubles the memory."""
    try:
        wave = np.empty(-(-n_samples * (sample_rate or rate) // rate) + 1, np.float32)
    except (MemoryError, ValueError, OverflowError) as error:
        raise ValueError(
            f"promises {n_samples} samples in its header, more than memory holds; if it is "
            "not damaged, cut it into AudioFile segments"
        ) from error
    end = 0
    for block in _resampled(blocks, rate, sample_rate):
        wave[end : end + len(block)] = block
        end += len(block)
    return wave[:end]
