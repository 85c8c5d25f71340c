"""Downloads by a stranger: nothing of them is unpacked, inflated without end, or left behind."""

import gzip
import hashlib
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
import soundfile

from skaudio.datasets import _fetch, fetch_fsdd, load_audio_folder
from tests.web import serving

TOP = "free-spoken-digit-dataset-1.0.10"
CLIPS = {
    f"recordings/{digit}_ada_{take}.wav": b"%d" % digit * 999 for digit in (0, 1) for take in (0, 7)
}


@pytest.fixture
def host(tmp_path, monkeypatch):
    """Function that serves an archive under the address of the data set."""
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    lines = [f"{hashlib.sha256(clip).hexdigest()}  {name}\n" for name, clip in CLIPS.items()]
    (manifests / "fsdd.txt").write_text("".join(lines))
    monkeypatch.setattr(_fetch, "_MANIFESTS", manifests)
    monkeypatch.delenv("SKAUDIO_DATA", raising=False)
    with serving(b"", monkeypatch) as server:
        monkeypatch.setattr(_fetch, "_HOST", server.url)

        def serve(content):
            server.content = content

        yield serve


def zipped(members, method=zipfile.ZIP_DEFLATED):
    """A zip archive; a member is its content, or where a link points to."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, member in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            if isinstance(member, str):
                info.external_attr = 0o120777 << 16
            archive.writestr(info, member)
    return content.getvalue()


def tarred(members):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, member in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(member)
            archive.addfile(info, io.BytesIO(member))
    return content.getvalue()


WHOLE = {f"{TOP}/{name}": clip for name, clip in CLIPS.items()}
FIRST = next(iter(WHOLE))
ARCHIVES = {
    "links in place of clips": zipped({**WHOLE, FIRST: "/etc/passwd"}),
    "a link in place of the folder": zipped(
        {f"{TOP}/recordings": "/tmp", **dict([*WHOLE.items()][1:])}
    ),
    "another content": zipped({**WHOLE, FIRST: b"evil"}),
    "a clip that is missing": zipped(dict([*WHOLE.items()][1:])),
    "paths out of the folder": zipped({f"../{name}": clip for name, clip in WHOLE.items()}),
    "absolute paths": zipped({f"/{name}": clip for name, clip in WHOLE.items()}),
    "a bomb": zipped({**WHOLE, FIRST: bytes(1 << 26)}),
    "a tar archive": tarred(WHOLE),
    "a gzip bomb": gzip.compress(bytes(1 << 24)),
    "nothing": b"",
    "a page": b"<html>sign in</html>",
    "half of it": zipped(WHOLE)[:-40],
}


NOT_ZIP = ("a tar archive", "a gzip bomb", "nothing", "a page")


@pytest.mark.parametrize("kind", ARCHIVES)
def test_hostile_archives(tmp_path, host, kind):
    host(ARCHIVES[kind])
    before = {*tmp_path.rglob("*")}
    message = "what came is not a zip archive" if kind in NOT_ZIP else "^the downloaded "
    with pytest.raises(OSError, match=message) as caught:
        fetch_fsdd(data_home=tmp_path / "home")
    assert "\n" not in str(caught.value)
    left = {*tmp_path.rglob("*")} - before - {tmp_path / "home"}
    assert not left, left


def test_flipped_bits(tmp_path, host, rng, many):
    """An archive with any bit flipped is refused, or every clip is the published one."""
    whole, refused = zipped(WHOLE, zipfile.ZIP_STORED), 0
    n = many(25, 800)
    for turn in range(n):
        content = bytearray(whole)
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        host(bytes(content))
        home = tmp_path / f"{turn}"
        try:
            sounds = fetch_fsdd(data_home=home)
        except OSError as error:
            refused += 1
            assert "\n" not in str(error) and not [*home.iterdir()]
        else:
            found = {path: open(path, "rb").read() for path in sounds.data}
            assert {*found} == {str(home / "fsdd" / name) for name in CLIPS}
            assert all(found[str(home / "fsdd" / name)] == CLIPS[name] for name in CLIPS)
    assert refused > n // 3


BOMB = """
import json, resource, sys
from pathlib import Path
import pytest
from skaudio.datasets import _fetch, fetch_fsdd
from tests.web import serving
_fetch._MANIFESTS = Path(sys.argv[1])
content = Path(sys.argv[2]).read_bytes()
with pytest.MonkeyPatch.context() as patch, serving(content, patch) as server:
    _fetch._HOST = server.url
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    before = peak()
    try:
        fetch_fsdd(data_home=sys.argv[3])
    except OSError as error:
        print(json.dumps({"error": str(error), "grown": peak() - before}))
"""


def test_a_bomb_is_not_inflated(tmp_path, host, run_python):
    """A member that would fill 256 MiB takes no such memory; its name is one of the manifest."""
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, clip in WHOLE.items():
            if name != FIRST:
                archive.writestr(name, clip)
        with archive.open(FIRST, "w", force_zip64=True) as file:
            for _ in range(1 << 8):
                file.write(bytes(1 << 20))
    out = json.loads(run_python(BOMB, tmp_path / "manifests", path, tmp_path / "home"))
    assert "\n" not in out["error"] and out["grown"] < 1 << 17, out  # 128 MiB, in KiB


def test_folders_of_a_stranger(tmp_path, rng):
    """Links and pipes within a folder of clips are neither followed round and round nor opened."""
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(5):
            path = tmp_path / name / f"{i}.wav"
            soundfile.write(path, 0.1 * rng.standard_normal(800), 16000)
    (tmp_path / "cat" / "again").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "dog" / "pipe.wav")
    sounds = load_audio_folder(tmp_path)
    clips = [path for path in map(Path, sounds.data) if path.name != "pipe.wav"]
    assert len(clips) == 10 and all(path.parent.parent == tmp_path for path in clips)
