"""Safe reading of files of torch.save: no code is run, and memory is bounded by the file size.

torch's restricted unpickler runs no code from the file, but it trusts the sizes in it: a record
may claim to unpack to a thousand times the size of the file. So all sizes are checked first.
"""

import argparse
import io
import pickletools
import re
import struct
import zipfile

import torch

__all__ = ["MAGIC", "CheckpointError", "RefusedError", "load"]

_ZIP = b"PK\3\4"
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # first bytes of files of 2019
MAGIC = (_ZIP, _LEGACY)

# Limit for everything but weights. A network with a hundred layers, optimizer included, needs a
# tenth of it. The objects of a pickle may take a hundred times its own size.
_MAX_BYTES = 1 << 20
_N_LEGACY_PICKLES = 5  # magic number, version, machine, contents, order of the arrays
# Names that a pickle may use; torch admits further ones that copy or allocate without bound.
_PLAIN = re.compile(
    r"argparse Namespace|collections (OrderedDict|Counter)|fairseq\.meters \w+Meter"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|parameter)"
    r"|torch (\w+Storage|Size|device|b?float\d+|u?int\d+|bool)"
    r"|_codecs encode|(builtins|__builtin__) (set|complex)"
)
_METERS = [  # running means of the training in files of 2019; read as empty objects
    type(name, (), {"__module__": "fairseq.meters"})
    for name in ("AverageMeter", "StopwatchMeter", "TimeMeter")
]
_DAMAGED = "it is damaged, or torch.save did not write it"


class CheckpointError(ValueError):
    """What is wrong with a file."""


class RefusedError(CheckpointError):
    """The file holds objects that only an unrestricted pickle could make."""


def load(path):
    """Load a file of torch.save on the CPU.

    Parameters
    ----------
    path : Path
        The file, in torch's format of today or in that of 2019.

    Returns
    -------
    state : object
        What was saved. Arrays of today's format stay in the file until they are copied.

    Raises
    ------
    RefusedError
        If it holds more than plain values and arrays.
    CheckpointError
        If it is not such a file, is damaged, or has records larger than the file.
    """
    if not path.is_file():  # opening a pipe could wait forever
        raise CheckpointError("it is a folder" if path.is_dir() else "it is a device or a pipe")
    try:
        return _loaded(path)
    except CheckpointError:
        raise
    except Exception as error:  # damaged files cause exceptions of many kinds
        raise CheckpointError(_DAMAGED) from error


def _loaded(path):
    n_bytes = path.stat().st_size
    with open(path, "rb") as file:
        magic = file.read(len(_LEGACY))
        is_zip = magic.startswith(_ZIP)
        if is_zip:
            _check_names(_pickle_of_zip(file, n_bytes), 1)
        elif magic == _LEGACY:
            _check_names(magic + file.read(_MAX_BYTES), _N_LEGACY_PICKLES)
        else:
            raise CheckpointError(_DAMAGED)
    with torch.serialization.safe_globals([argparse.Namespace, *_METERS]):
        return torch.load(path, _on_cpu_within(n_bytes), weights_only=True, mmap=is_zip)


def _on_cpu_within(n_bytes):
    """Function for ``map_location``: arrays stay on the CPU, with at most so many bytes in all."""
    claimed = 0

    def place(storage, location):
        nonlocal claimed
        claimed += storage.nbytes()
        if claimed > n_bytes:
            raise CheckpointError("its arrays claim to be larger than the file")
        return storage

    return place


def _check_names(content, n_pickles):
    """Raise RefusedError if pickles would make anything but plain values and arrays."""
    stream = io.BytesIO(content)
    for _ in range(n_pickles):
        for opcode, name, _ in pickletools.genops(stream):
            if opcode.name == "GLOBAL" and not _PLAIN.fullmatch(name):
                raise RefusedError(f"it holds {name.replace(' ', '.'):.80}, which could run code")


# --- zip files -----------------------------------------------------------------------------------


def _pickle_of_zip(file, n_bytes):
    """Content of data.pkl, if the directory of records is as torch.save writes it."""
    start, length = _directory(file, n_bytes)
    if length > _MAX_BYTES:
        raise CheckpointError(f"the list of its records takes more than {_MAX_BYTES} bytes")
    with zipfile.ZipFile(file) as archive:
        if archive.start_dir != start:
            raise zipfile.BadZipFile
        return archive.read(_checked_pickle(archive.infolist(), n_bytes))


def _directory(file, n_bytes):
    """Start and length of the directory, found as the C++ code in torch finds it.

    torch looks where the record at the end of the file points to, Python just before that record.
    If these differed, Python could check one directory while torch reads another.
    """
    end, locator, large = map(struct.Struct, ("<4s4H2LH", "<4sLQL", "<4sQ2H2L4Q"))
    file.seek(n_bytes - end.size - locator.size)
    found, last = locator.unpack(file.read(locator.size)), end.unpack(file.read(end.size))
    if last[0] != b"PK\5\6" or last[-1]:
        raise zipfile.BadZipFile
    if found[0] != b"PK\6\7":
        return last[6], last[5]
    if found[2] != n_bytes - end.size - locator.size - large.size:
        raise zipfile.BadZipFile
    file.seek(found[2])
    record = large.unpack(file.read(large.size))
    return record[9], record[8]


def _checked_pickle(records, n_bytes):
    """The record data.pkl, after a check that no record claims to be larger than the file."""
    # torch ignores case in names, and Python cuts names at a null character
    names = [record.orig_filename.lower() for record in records]
    if len({*names}) < len(names) or "\0" in "".join(names):
        raise zipfile.BadZipFile
    if any(r.compress_type or r.compress_size != r.file_size for r in records):
        raise CheckpointError("its records are compressed, as torch.save never leaves them")
    if sum(record.file_size for record in records) > n_bytes:
        raise CheckpointError("its records claim to be larger than the file")
    values = [r for n, r in zip(names, records, strict=True) if "/data/" not in n]
    if any(record.file_size > _MAX_BYTES for record in values):
        raise CheckpointError(f"it holds more than {_MAX_BYTES} bytes that are no weights")
    (pickle,) = (r for r in values if r.orig_filename.lower().endswith("data.pkl"))
    return pickle
