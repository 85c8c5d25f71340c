"""Truncated sound files: the number of samples in the header against the length of the file.

libsndfile does not report them: it reads what is there as if the header had said so.
"""

import struct
from typing import NamedTuple

__all__ = ["check_complete", "find_samples"]

_SLACK = 64  # bytes; some programs include the header in the size of the samples
_MOST_CHUNKS = 4096
_HEAD = 512  # bytes read first; the samples usually begin within them
_W64 = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # last bytes of the names of Wave64 chunks


class _Chunks(NamedTuple):
    """How a format writes its chunks."""

    begin: int  # of the first one, in bytes
    head: struct.Struct  # name and size
    own: int  # bytes of its own head that are part of the size of a chunk
    align: int  # chunks begin at multiples of so many bytes
    samples: bytes  # name of the chunk that holds the samples


_LITTLE, _BIG, _LONG = struct.Struct("<4sI"), struct.Struct(">4sI"), struct.Struct("<16sQ")
_FORMATS = {
    b"RIFF": _Chunks(12, _LITTLE, 0, 2, b"data"),
    b"RF64": _Chunks(12, _LITTLE, 0, 2, b"data"),
    b"RIFX": _Chunks(12, _BIG, 0, 2, b"data"),
    b"AIFF": _Chunks(12, _BIG, 0, 2, b"SSND"),
    b"AIFC": _Chunks(12, _BIG, 0, 2, b"SSND"),
    b"8SVX": _Chunks(12, _BIG, 0, 2, b"BODY"),
    b"16SV": _Chunks(12, _BIG, 0, 2, b"BODY"),
    b"riff": _Chunks(40, _LONG, 24, 8, b"data" + _W64),
}


def check_complete(file, length):
    """Raise unless a file holds all the samples that its header promises.

    Parameters
    ----------
    file : file object
        Opened to read bytes, at its beginning; its position afterwards is undefined.
    length : int
        Its length in bytes.

    Returns
    -------
    gap : int or None
        Position of the 32-bit size of the samples in a WAV file whose writer left it at 0, as
        one does that writes to a pipe. None for all other files.

    Raises
    ------
    ValueError
        If samples are missing.
    """
    begin, promised, bits = find_samples(file, length)
    if not _left_open(promised, bits):
        if begin + promised > length + _SLACK:
            raise ValueError(
                f"is truncated: its header promises {promised} bytes of samples, it holds "
                f"{max(0, length - begin)}"
            )
        return None
    if promised or begin == length:
        return None
    file.seek(0)
    mark, size = struct.unpack("<4sI", file.read(8))
    # if the size of the whole file is right, the file is meant to hold no samples
    return begin - 4 if mark == b"RIFF" and size + 8 < length else None


def _left_open(promised, bits):
    """Whether a size is a placeholder, written before the number of samples was known."""
    if promised == 0 or promised >= 2**bits - 2**16:
        return True
    return bits == 32 and 2**31 - 2**24 - 2**16 <= promised <= 2**31


def find_samples(file, length):
    """Find the samples of a WAV, RF64, Wave64, AIFF, SVX or AU file by its header.

    Parameters
    ----------
    file : file object
        Opened to read bytes, at its beginning.
    length : int
        Its length in bytes.

    Returns
    -------
    begin : int
        Position of the first one.
    promised : int
        How many bytes of samples the header announces.
    bits : int
        Width of that number in the header. For other formats and for damaged headers, which are
        left to the decoder, the three are ``(length, 0, 32)``.
    """
    unknown = length, 0, 32
    head = file.read(_HEAD)
    if len(head) < 40:
        return unknown
    if head[:4] in (b".snd", b"dns."):
        return *struct.unpack_from("<II" if head[:1] == b"d" else ">II", head, 4), 32
    chunks = _FORMATS.get(head[8:12] if head[:4] == b"FORM" else head[:4])
    if chunks is None:
        return unknown
    place, entry, long = chunks.begin, chunks.head, None
    for _ in range(_MOST_CHUNKS):
        if place + entry.size > length:
            break
        found = head[place : place + entry.size + 16]  # 16 bytes more, for the sizes in ds64
        if len(found) < entry.size + 16:
            file.seek(place)
            found = file.read(entry.size + 16)
        if len(found) < entry.size:
            break
        name, size = entry.unpack_from(found)
        place, size = place + entry.size, max(0, size - chunks.own)
        if name == b"ds64" and len(found) == entry.size + 16:
            long = struct.unpack_from("<Q", found, entry.size + 8)[0]
        if name == chunks.samples:
            if long is not None and size == 0xFFFFFFFF:
                return place, long, 64
            return place, size, 64 if entry is _LONG else 32
        place += size + -size % chunks.align
    return unknown
