"""The decoded clips of a training, in a scratch file: memory holds none of them for long."""

import hashlib
import tempfile
from contextlib import contextmanager

import numpy as np
import torch

from .._engine.warn import warn
from ..audio import ClipError

__all__ = ["Waves"]


class Waves:
    """Decoded clips one after the other in a scratch file, mapped into memory.

    Parameters
    ----------
    clips : Clips
        The clips.
    shortest : int
        Clips of fewer samples are left out; if all are so short, they end in zeros instead.
    pad : bool
        Whether each of these ends in zeros: where clips have labels, none is left out.
    failures : list or None
        Takes the `ClipError` of each unusable clip. None: the first one is raised.

    Raises
    ------
    ValueError
        If no clip can be used.
    OSError
        If there is no room for the file.
    """

    def __init__(self, clips, shortest, pad=False, failures=None):
        self.rows, self.starts, self.loudest = [], [0], 0.0
        self._digest = hashlib.sha256()
        with _names_tmpdir():
            # unbuffered: what cannot be written is told here, not when the file is closed
            self._file = tempfile.TemporaryFile(buffering=0)
        with self._file:
            self._decode(clips, shortest, pad, failures)
            with _names_tmpdir():
                self.samples = np.memmap(self._file, np.float32, "r", shape=(self.starts[-1],))
        self.clip_rows = torch.tensor([clips.rows[i] for i in self.rows])  # in X

    def _decode(self, clips, shortest, pad, failures):
        short, problem = [], None
        for i in range(len(clips)):
            try:
                wave = clips[i]
            except ClipError as error:
                if failures is None:
                    raise
                failures.append(error)
                problem = problem or error
                continue
            if len(wave) >= shortest or pad:
                self._add(i, _padded(wave, shortest))
            elif not self.rows:
                short.append((i, _padded(wave, shortest)))
        if not self.rows and not short:
            raise ValueError(f"none of the {len(clips)} clips can be decoded: {problem}")
        if not self.rows:
            warn(
                f"all clips are shorter than the {shortest} samples that training needs, and were "
                "padded with zeros; there is little to learn from them"
            )
            for i, wave in short:
                self._add(i, wave)

    def _add(self, i, wave):
        self.rows.append(i)
        self.starts.append(self.starts[-1] + len(wave))
        # without a copy: the clip may be hours long
        self.loudest = max(self.loudest, float(wave.max()), -float(wave.min()))
        left = memoryview(np.ascontiguousarray(wave)).cast("B")
        self._digest.update(left)
        with _names_tmpdir():
            while left:
                left = left[self._file.write(left) :]

    def __len__(self):
        return len(self.rows)

    def lengths(self):
        """Samples of each clip."""
        return np.diff(self.starts)

    def digest(self):
        """What tells these samples from others."""
        return self._digest.hexdigest()[:32], self.starts[-1], len(self)


def _padded(wave, shortest):
    """A wave that ends in zeros if it is shorter; else itself, not a copy."""
    return wave if len(wave) >= shortest else np.pad(wave, (0, shortest - len(wave)))


@contextmanager
def _names_tmpdir():
    """Say what to do if there is no room for the scratch file."""
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno,
            f"{error.strerror}. Training writes the decoded clips to a scratch file, four bytes "
            "per sample; set the environment variable TMPDIR to a folder with room for it",
        ) from error
