"""Archives of public recordings: downloaded once, checked file by file, installed in one step."""

import hashlib
import os
import tempfile
import threading
import zipfile
import zlib
from pathlib import Path

import pooch

_HOST = "https://github.com"
_MANIFESTS = Path(__file__).with_name("manifests")
# Limits for an archive; the largest has 42 MB and 3100 files.
_MAX_ARCHIVE, _MAX_UNPACKED, _MAX_MEMBERS = 100 << 20, 200 << 20, 10_000
_MAX_SECONDS = 2 * 60 * 60  # of a download


def fetch(name, archive, top, *, data_home, download_if_missing, also=()):
    """Return the folder of a data set, after a download if need be.

    Parameters
    ----------
    name : str
        Name of the manifest and of the folder in the data home.
    archive : str
        Path of the zip archive on the host.
    top : str
        Folder of the archive that the names in the manifest are relative to.
    data_home : path-like or None
        Folder of all data sets. None: the value of the environment variable SKAUDIO_DATA,
        otherwise a cache folder of the user.
    download_if_missing : bool
        Whether to download what is not there.
    also : tuple of str
        Other names that the folder may have.

    Returns
    -------
    folder : Path
        The first of the folders that is not empty.
    """
    folders = [home(data_home) / folder for folder in (name, *also)]
    for folder in folders:
        if folder.is_dir() and any(folder.iterdir()):
            return folder
    if not download_if_missing:
        raise OSError(
            f"there are no recordings in {' or '.join(map(str, folders))}; "
            "pass download_if_missing=True, or the folder that they are in as data_home"
        )
    _download(f"{_HOST}/{archive}", top, hashes(name), folders[0])
    return folders[0]


def hashes(name):
    """Read a manifest.

    Parameters
    ----------
    name : str
        Name of the data set.

    Returns
    -------
    hashes : dict of str to str
        SHA-256 of each file. The manifest is in the format of the program sha256sum.
    """
    lines = (_MANIFESTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return {file: digest for digest, file in (line.split("  ", 1) for line in lines)}


def check_count(paths, name, folder):
    """Raise OSError unless there are as many clips as in the manifest; none is opened.

    Parameters
    ----------
    paths : list
        One entry per clip that was found.
    name : str
        Name of the manifest.
    folder : Path
        Where they were found.
    """
    expected = len(hashes(name))
    if len(paths) != expected:
        raise OSError(
            f"{folder} holds {len(paths)} clips of this data set, which has {expected}; repair "
            "it, or move it away to have it downloaded"
        )


def home(data_home):
    """Return the folder of everything that is downloaded.

    Parameters
    ----------
    data_home : path-like or None
        The folder. None: as in `fetch`.

    Returns
    -------
    home : Path
        It need not exist.
    """
    folder = data_home or os.environ.get("SKAUDIO_DATA") or pooch.os_cache("skaudio")
    return Path(folder).expanduser()


def scratch(target):
    """Make a hidden folder next to a target, to prepare it in before it is renamed.

    A killed process leaves this folder behind; it is never read.

    Parameters
    ----------
    target : Path
        Final name.

    Returns
    -------
    folder : TemporaryDirectory
        Context manager that gives the name of the folder.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent)
    except OSError as error:
        raise OSError(
            f"cannot write into {target.parent} ({error.strerror}); "
            "pass a folder that you may write to as data_home"
        ) from error


def save(url, path, *, magic, max_bytes, what, remedy):
    """Download one file, with a progress bar.

    Parameters
    ----------
    url : str
        Its address.
    path : Path
        Where to write it, in a folder that is removed if this fails.
    magic : tuple of bytes
        Possible first bytes of such a file.
    max_bytes : int
        Upper limit of its size.
    what : str
        What the file should be, for messages.
    remedy : str
        What a user can do if this fails, for messages.

    Raises
    ------
    OSError
        If it does not arrive complete within two hours, or is something else.
    """
    failures = []

    def receive():
        try:
            _receive(url, file, max_bytes)
            file.seek(0)
            if not file.read(32).startswith(magic):
                raise OSError(f"what came is not {what}")
        except Exception as error:
            failures.append(error)

    # A server that sends a byte now and then never times out. After the deadline the thread is
    # left alone; it ends when it finds the file closed.
    thread = threading.Thread(target=receive, daemon=True)
    with open(path, "w+b") as file:
        thread.start()
        thread.join(_MAX_SECONDS)
        if thread.is_alive():
            failures.append(TimeoutError(f"not complete after {_MAX_SECONDS / 60:.0f} minutes"))
    if failures:
        reason = " ".join(f"{failures[0]}".split())
        raise OSError(
            f"{url} could not be downloaded ({reason}); try again later, or {remedy}"
        ) from failures[0]


def _receive(url, file, max_bytes):
    import requests
    from tqdm import tqdm

    # uncompressed, so that Content-Length is the number of bytes to write
    plain = {"Accept-Encoding": "identity"}
    with requests.get(url, stream=True, timeout=30, headers=plain) as response:
        response.raise_for_status()
        kind, promised = (response.headers.get(f"Content-{x}") for x in ("Type", "Length"))
        if kind and "html" in kind.lower():
            raise OSError("what came is an HTML page")
        total = None if promised is None else int(promised)
        with tqdm(total=total, unit="B", unit_scale=True) as bar:
            for chunk in response.iter_content(1 << 16):
                file.write(chunk)
                bar.update(len(chunk))
                if bar.n > max_bytes:
                    raise OSError(f"it is larger than {max_bytes} bytes")
        arrived = response.raw.tell()
        if total is not None and arrived != total:
            raise OSError(f"{arrived} of {total} bytes arrived")


def _download(url, top, expected, folder):
    """Download and unpack next to `folder`; the finished folder is renamed in one step."""
    with scratch(folder) as name:
        archive, unpacked = Path(name, "archive.zip"), Path(name, folder.name)
        save(
            url,
            archive,
            magic=(b"PK\3\4",),
            max_bytes=_MAX_ARCHIVE,
            what="a zip archive",
            remedy=f"download it by hand and unpack its folder {top} as {folder}",
        )
        _unpack(archive, top, expected, unpacked)
        try:
            unpacked.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process was quicker
                raise


def _unpack(archive, top, expected, folder):
    """Unpack the members that the manifest names, and no other, if their hashes are right.

    The archives have no stable hash of their own, since the server generates them on request.
    """
    try:
        with zipfile.ZipFile(archive) as members:
            _check_size(members.infolist())
            for name, digest in expected.items():
                content = members.read(f"{top}/{name}")
                if hashlib.sha256(content).hexdigest() != digest:
                    raise OSError(f"the downloaded {name} is not the published one; nothing saved")
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    except KeyError:
        raise OSError(f"the downloaded archive lacks {name}; nothing saved") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise OSError(f"the downloaded archive is damaged ({error}); try again") from error


def _check_size(members):
    """Raise OSError if an archive would fill the disk or the memory, without unpacking it."""
    n_bytes = sum(member.file_size for member in members)
    if len(members) > _MAX_MEMBERS or n_bytes > _MAX_UNPACKED:
        raise OSError(
            f"the downloaded archive claims {len(members)} files and {n_bytes} bytes, far more "
            "than was published; nothing saved"
        )
