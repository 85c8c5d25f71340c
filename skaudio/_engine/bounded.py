"""Reading files that anybody may have written: only regular ones, never more than was allowed."""

import io
import os
import stat
import zipfile

__all__ = ["plain_archive", "read_regular"]

_SMALL = 1 << 26  # bytes of content that an archive may hold, however small it is
_MOST_RATIO = 100  # weights hardly shrink at all; deflate can reach 1000
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others inflate without a bound


def read_regular(path, most):
    """Content of a regular file.

    Opening a pipe would wait for ever and a device has no end, so both are refused unopened.

    Parameters
    ----------
    path : str or path-like
        The file.
    most : int
        Bytes that it may hold.

    Returns
    -------
    content : bytes
        All of it.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is no regular file, or holds more.
    """
    name = os.path.basename(path)
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError(f"{name} is no regular file")
    # a pipe that takes the place of the file just now does not make the process wait either
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise ValueError(f"{name} holds {size} bytes, at most {most} are read")
        return file.read(size)


def plain_archive(content, most, most_of):
    """Open a zip archive whose members were inflated, within bounds.

    Parameters
    ----------
    content : bytes
        The archive.
    most : int
        Bytes that all members may hold together.
    most_of : dict of str to int
        Bytes that single members may hold, by name.

    Returns
    -------
    archive : bytes
        The archive, its members not compressed.

    Raises
    ------
    ValueError
        If it would grow out of proportion, or is compressed in an unusual way.
    BadZipFile
        If it is damaged.
    """
    most = min(most, max(_SMALL, _MOST_RATIO * len(content)))
    plain = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        _check_sizes(members, most, most_of)
        with zipfile.ZipFile(plain, "w") as copy:
            for member in members:
                # bounded: a member that understates its size is not inflated any further
                with archive.open(member) as file:
                    inner = file.read(member.file_size)
                if inner.startswith(b"PK"):  # the sparse matrices of scipy are archives, too
                    inner = plain_archive(inner, most, {})
                copy.writestr(zipfile.ZipInfo(member.filename), inner)
    return plain.getvalue()


def _check_sizes(members, most, most_of):
    if any(member.compress_type not in _METHODS for member in members):
        raise ValueError("it is compressed in another way than with deflate")
    total = sum(member.file_size for member in members)
    if total > most:
        raise ValueError(f"it would grow to {total} bytes, at most {most} are read")
    for member in members:
        if member.file_size > most_of.get(member.filename, most):
            raise ValueError(f"its {member.filename} would grow to {member.file_size} bytes")
