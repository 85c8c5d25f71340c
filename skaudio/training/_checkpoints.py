"""The state of a training on disk, so that it can go on after whatever stopped it.

A file is a mark, the SHA-256 of its name and content, and the content as torch writes it.
"""

import hashlib
import io
import os
import stat
import tempfile
from contextlib import suppress
from uuid import uuid4

import torch

__all__ = ["check_folder", "load", "save"]

_MARK = b"skaudio training 2\n"


def check_folder(folder):
    """Make the folder of the states, before hours of training turn out not to be saved.

    Parameters
    ----------
    folder : Path
        Where files will be written.

    Raises
    ------
    ValueError
        If they cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(
            f"checkpoint={str(folder)!r} is no folder that can be written to ({error}); "
            "pass another one"
        ) from error


def save(file, state):
    """Write a state; a reader sees the old one or the new one, never half of one.

    Parameters
    ----------
    file : Path
        Its folder is made if it is not there.
    state : dict
        Of numbers, text and tensors.

    Raises
    ------
    OSError
        If it cannot be written; the old state is still there then.
    """
    content = io.BytesIO()
    torch.save(state, content)
    file.parent.mkdir(parents=True, exist_ok=True)
    for left_over in file.parent.glob(f"{file.name}.*.unfinished"):  # by a process that was killed
        with suppress(OSError):
            left_over.unlink()
    unfinished = file.with_name(f"{file.name}.{uuid4().hex}.unfinished")
    try:
        with open(unfinished, "xb") as stream:
            stream.write(_MARK + _checksum(file, content.getbuffer()))
            stream.write(content.getbuffer())
            stream.flush()
            os.fsync(stream.fileno())  # else a power cut may leave the new name without content
        # it is gone if another process saves the same training just now; its state serves as well
        with suppress(FileNotFoundError):
            unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def load(file):
    """Read a state.

    Parameters
    ----------
    file : Path
        Written by `save`; nothing in it is executed.

    Returns
    -------
    state : dict or None
        None if there is no such file.

    Raises
    ------
    ValueError
        If the file is not what `save` wrote.
    """
    try:
        # to open a pipe would wait for whoever writes to it
        if not stat.S_ISREG(file.stat().st_mode):
            raise ValueError("it is no regular file")
        with open(file, "rb") as stream:
            if stream.read(len(_MARK)) != _MARK:
                raise ValueError("it was written by something else, or by another version")
            checksum, content = stream.read(32), stream.read()
        if checksum != _checksum(file, content):
            raise ValueError("it is damaged, or was renamed")
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # torch raises a dozen kinds, at great length
        reason = f"{error}".partition("\n")[0] or type(error).__name__
        raise ValueError(
            f"{file} holds no state of a training that can be used: {reason}; delete it, and the "
            "training begins anew"
        ) from error


def _checksum(file, content):
    """Digest of a content under this name: that of another training is no good here."""
    digest = hashlib.sha256(file.name.encode())
    digest.update(content)
    return digest.digest()
