"""Downloads: checked file by file, put in place whole or not at all."""

import hashlib
import os
import stat
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from skaudio.datasets import _fetch, fetch_fsdd
from tests.web import serving

TOP = "free-spoken-digit-dataset-1.0.10"
CLIPS = {
    f"recordings/{digit}_{speaker}_{take}.wav": f"{digit}{speaker}{take}".encode() * 500
    for digit in (0, 1)
    for speaker in ("ada", "bob")
    for take in (0, 7)
}


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The host, with a small but right archive; the manifest is that of its clips."""
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    lines = [f"{hashlib.sha256(clip).hexdigest()}  {name}\n" for name, clip in CLIPS.items()]
    (manifests / "fsdd.txt").write_text("".join(lines))
    with serving(archive_of(tmp_path, CLIPS), monkeypatch) as server:
        monkeypatch.setattr(_fetch, "_MANIFESTS", manifests)
        monkeypatch.setattr(_fetch, "_HOST", server.url)
        monkeypatch.delenv("SKAUDIO_DATA", raising=False)
        yield server


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def archive_of(folder, clips):
    """Return the bytes of a zip archive with these clips below its top folder."""
    with zipfile.ZipFile(folder / "made.zip", "w") as archive:
        for name, clip in clips.items():
            archive.writestr(f"{TOP}/{name}", clip)
    return (folder / "made.zip").read_bytes()


def test_download(server, home):
    sounds = fetch_fsdd(data_home=home)
    assert sounds.data == sorted(str(home / "fsdd" / name) for name in CLIPS)
    assert [Path(path).read_bytes() for path in sounds.data] == [
        CLIPS[name] for name in sorted(CLIPS)
    ]
    assert os.listdir(home) == ["fsdd"]

    again = fetch_fsdd(data_home=home, download_if_missing=False)
    assert again.data == sounds.data and server.requests == 1


def test_an_empty_folder_is_filled(server, home):
    (home / "fsdd").mkdir(parents=True)
    assert len(fetch_fsdd(data_home=home).data) == len(CLIPS)


def wrong_content(clips):
    return {**clips, "recordings/1_bob_7.wav": b"another sound"}


def missing_member(clips):
    return {name: clip for name, clip in clips.items() if name != "recordings/1_bob_7.wav"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (wrong_content, "1_bob_7.wav is not the published one"),
        (missing_member, "lacks recordings/1_bob_7.wav"),
    ],
)
def test_wrong_archive_leaves_nothing(server, home, tmp_path, change, message):
    right, server.content = server.content, archive_of(tmp_path, change(CLIPS))
    with pytest.raises(OSError, match=message):
        fetch_fsdd(data_home=home)
    assert not os.listdir(home)

    server.content = right
    assert len(fetch_fsdd(data_home=home).data) == len(CLIPS)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"cut": 1000}, "could not be downloaded"),
        ({"status": 404}, "could not be downloaded .*404"),
        ({"content": b"no archive"}, "what came is not a zip archive"),
        ({"content": b"PK\3\4 no archive"}, "archive is damaged"),
        ({"headers": [("Content-Type", "text/html")]}, "HTML page.*by hand and unpack its folder"),
    ],
)
def test_broken_download_leaves_nothing(server, home, setting, message):
    right = {name: getattr(server, name) for name in setting}
    vars(server).update(setting)
    with pytest.raises(OSError, match=message):
        fetch_fsdd(data_home=home)
    assert not os.listdir(home)

    vars(server).update(right)
    assert len(fetch_fsdd(data_home=home).data) == len(CLIPS)


@pytest.mark.parametrize(("limit", "most"), [("_MAX_UNPACKED", 1 << 14), ("_MAX_MEMBERS", 7)])
def test_archive_that_unpacks_to_too_much(server, home, monkeypatch, limit, most):
    monkeypatch.setattr(_fetch, limit, most)
    with pytest.raises(OSError, match=r"archive claims 8 files and 20000 bytes, far more"):
        fetch_fsdd(data_home=home)
    assert not os.listdir(home)


def test_zip_bomb_is_not_unpacked(server, home, tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in CLIPS:
            with archive.open(f"{TOP}/{name}", "w") as member:
                for _ in range(32):
                    member.write(bytes(1 << 20))
    server.content = (tmp_path / "bomb.zip").read_bytes()
    tracemalloc.start()
    with pytest.raises(OSError, match=r"claims 8 files and 268435456 bytes, far more"):
        fetch_fsdd(data_home=home)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()
    assert not os.listdir(home)


def test_links_are_not_followed(server, home, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a secret")
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as archive:
        for name, clip in CLIPS.items():
            member = zipfile.ZipInfo(f"{TOP}/{name}")
            if name.endswith("1_bob_7.wav"):
                member.create_system, member.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
                clip = str(secret)
            archive.writestr(member, clip)
    server.content = (tmp_path / "made.zip").read_bytes()
    with pytest.raises(OSError, match=r"1_bob_7\.wav is not the published one"):
        fetch_fsdd(data_home=home)
    assert not os.listdir(home)


@pytest.mark.parametrize("where", [6, 8], ids=["encrypted", "unknown compression"])
def test_member_that_cannot_be_unpacked(server, home, where):
    content = bytearray(server.content)
    start = content.index(b"PK\1\2") + 2  # the directory, whose fields come two bytes later
    content[start + where : start + where + 2] = b"\x63\x00"
    server.content = bytes(content)
    with pytest.raises(OSError, match="archive is damaged"):
        fetch_fsdd(data_home=home)
    assert not os.listdir(home)


def test_damaged_member_leaves_nothing(server, home):
    clip = CLIPS["recordings/1_bob_7.wav"]
    assert server.content.count(clip) == 1
    server.content = server.content.replace(clip, clip[:-1] + b"?")
    with pytest.raises(OSError, match=r"archive is damaged .*1_bob_7.wav"):
        fetch_fsdd(data_home=home)
    assert not os.listdir(home)


def test_interrupt_leaves_nothing(server, home, monkeypatch):
    read, reads = zipfile.ZipFile.read, []

    def interrupted(archive, name):
        reads.append(name)
        if len(reads) == 5:
            assert len(list(home.rglob("*.wav"))) == 4
            raise KeyboardInterrupt
        return read(archive, name)

    monkeypatch.setattr(zipfile.ZipFile, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch_fsdd(data_home=home)
    assert not os.listdir(home)
    assert len(fetch_fsdd(data_home=home).data) == len(CLIPS)


def test_remains_of_a_killed_download_do_no_harm(server, home):
    remains = home / ".fsdd-x1y2z3" / "fsdd" / "recordings"
    remains.mkdir(parents=True)
    (remains / "0_ada_0.wav").write_bytes(b"half of a s")
    assert len(fetch_fsdd(data_home=home).data) == len(CLIPS)


def test_members_outside_of_the_manifest_are_not_unpacked(server, home, tmp_path):
    more = {"../../../escaped.wav": b"x", "/absolute.wav": b"x", "recordings/2_eve_0.wav": b"x"}
    server.content = archive_of(tmp_path, CLIPS | more)
    assert len(fetch_fsdd(data_home=home).data) == len(CLIPS)
    found = [path for path in tmp_path.rglob("*") if path.suffix == ".wav"]
    assert sorted(found) == sorted(home / "fsdd" / name for name in CLIPS)


def test_another_process_was_quicker(server, home, monkeypatch):
    def rename(path, target):
        for name, clip in CLIPS.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(clip)
        raise FileExistsError

    monkeypatch.setattr(Path, "rename", rename)
    assert len(fetch_fsdd(data_home=home).data) == len(CLIPS)


def test_home_from_argument_environment_and_cache(server, tmp_path, monkeypatch):
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache" / name)
    assert str(tmp_path / "cache" / "skaudio" / "fsdd") in fetch_fsdd().data[0]
    monkeypatch.setenv("SKAUDIO_DATA", str(tmp_path / "environment"))
    assert str(tmp_path / "environment" / "fsdd") in fetch_fsdd().data[0]
    assert (
        str(tmp_path / "argument" / "fsdd") in fetch_fsdd(data_home=tmp_path / "argument").data[0]
    )


def test_home_that_cannot_be_written(server, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SKAUDIO_DATA", str(tmp_path / "file" / "home"))
    with pytest.raises(OSError, match=r"cannot write into .*file/home .*as data_home"):
        fetch_fsdd()
    assert server.requests == 0


def test_no_download_unless_wanted(server, home):
    with pytest.raises(OSError, match=r"no recordings in .*fsdd; pass download_if_missing=True"):
        fetch_fsdd(data_home=home, download_if_missing=False)
    assert server.requests == 0 and not home.exists()


def test_incomplete_recordings_are_kept(server, home):
    (home / "fsdd" / "recordings").mkdir(parents=True)
    (home / "fsdd" / "recordings" / "0_ada_0.wav").touch()
    with pytest.raises(OSError, match=r"fsdd holds 1 clips .* has 8; repair it, or move it"):
        fetch_fsdd(data_home=home)
    assert server.requests == 0 and len(list(home.rglob("*.wav"))) == 1
