"""Sounds of the user to distort with: noises, voices and room responses, decoded on demand."""

import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from ..audio import AudioFile, ClipError, Clips

__all__ = ["beginnings", "crops"]

_SUFFIXES = {".wav", ".flac", ".ogg"}
_PART = 20.0  # seconds; longer files are decoded in parts, so that memory is bounded
_REMEMBERED = 64  # parts: 80 MB at 16 kHz


def crops(source, name, uniform, n_samples, sample_rate):
    """Crops of random sounds at random places, repeated where a sound is too short.

    Parameters
    ----------
    source : str, path-like or list of clips
        Folder of sound files, those in its sub-folders included, or the sounds.
    name : str
        Parameter that the source was passed as, for messages.
    uniform : Tensor of shape (2, B)
        Numbers in [0, 1): which sound, and where in it.
    n_samples : int
        Samples of each crop.
    sample_rate : int
        Rate in Hz to decode at.

    Returns
    -------
    wave : Tensor of shape (B, n_samples), float32
        On the processor.

    Raises
    ------
    ValueError
        If there are no sounds, or one of them cannot be used; the message names it.
    """
    clips = _clips(source, name, sample_rate)
    rows = np.empty((uniform.shape[1], n_samples), dtype=np.float32)
    for row, (which, where) in zip(rows, uniform.T.tolist(), strict=True):
        wave, where = _part(clips, int(which * len(clips)), where, n_samples, name)
        # one that is too short begins anywhere and goes on from its beginning
        n_places = len(wave) - n_samples + 1 if len(wave) >= n_samples else len(wave)
        begin = int(where * n_places)
        row[:] = wave.take(range(begin, begin + n_samples), mode="wrap")
    return torch.from_numpy(rows)


def beginnings(source, name, uniform, seconds, sample_rate):
    """Beginnings of random sounds, padded with zeros to the longest.

    Parameters
    ----------
    source, name, sample_rate : object
        As for `crops`.
    uniform : Tensor of shape (B,)
        Numbers in [0, 1): which sound.
    seconds : float
        What is taken of each at most.

    Returns
    -------
    wave : Tensor of shape (B, T), float32
        On the processor.

    Raises
    ------
    ValueError
        As in `crops`.
    """
    clips = _clips(source, name, sample_rate)
    longest = round(seconds * sample_rate)
    waves = [
        _sound(clips, int(which * len(clips)), 0.0, seconds, name)[:longest]
        for which in uniform.tolist()
    ]
    rows = np.zeros((len(waves), max(map(len, waves))), dtype=np.float32)
    for row, wave in zip(rows, waves, strict=True):
        row[: len(wave)] = wave
    return torch.from_numpy(rows)


def _clips(source, name, sample_rate):
    """The sounds of a source, not decoded."""
    if isinstance(source, str | os.PathLike):
        folder = Path(source).expanduser()
        if not folder.is_dir():
            raise ValueError(
                f"{name}={str(source)!r} is no folder; pass a folder of sound files, a list of "
                "clips, or None"
            )
        # its time stamp changes when a file is added
        source = _files(folder, folder.stat().st_mtime_ns)
        wanted = ", ".join(sorted(_SUFFIXES))
    else:
        folder, source, wanted = "the list", list(source), "one sound at least"
    if not source:
        raise ValueError(f"{name}: {folder} holds no sounds; it should hold {wanted}, or pass None")
    return Clips(source, sample_rate)


@lru_cache(maxsize=16)
def _files(folder, stamp):
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)


def _part(clips, i, where, n_samples, name):
    """A part of sound i that is long enough if the sound is, and where in it to cut."""
    if _usable(clips.file, i, clips, name) is None:
        return _sound(clips, i, None, None, name), where
    n, rate = _usable(clips.length, i, clips, name)
    seconds = max(_PART, n_samples / clips.sample_rate)
    n_parts = max(1, int(n / rate / seconds))
    part = int(where * n_parts)
    # the last one has what is left over
    stop = None if part == n_parts - 1 else (part + 1) * seconds
    return _sound(clips, i, part * seconds, stop, name), where * n_parts - part


def _sound(clips, i, start, stop, name):
    """Sound i, of a file from ``start`` to ``stop``, as samples that must not be changed."""
    file = _usable(clips.file, i, clips, name)
    if not isinstance(file, AudioFile):
        return _usable(clips.__getitem__, i, clips, name)
    begin, end = file.start or 0.0, np.inf if file.stop is None else file.stop
    stop = end if stop is None else min(begin + stop, end)
    segment = AudioFile(file.path, begin + start, None if stop == np.inf else stop)
    stamp = os.stat(file.path).st_mtime_ns
    return _usable(lambda _: _decoded(segment, stamp, clips.sample_rate), i, clips, name)


@lru_cache(maxsize=_REMEMBERED)
def _decoded(segment, stamp, sample_rate):
    return Clips([segment], sample_rate)[0]


def _usable(read, i, clips, name):
    """What ``read(i)`` gives, with an error that names the parameter and sound i."""
    try:
        return read(i)
    except ClipError as error:
        raise ValueError(f"{name}: {clips.name(i)} {error.problem}; remove or repair it") from error
