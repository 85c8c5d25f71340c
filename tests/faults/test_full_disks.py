"""A disk that takes no state of a training, or none of its decoded clips."""

import errno
import os

import numpy as np
import pytest

from skaudio.training import _checkpoints
from tests.faults.test_damaged_checkpoints import CLIPS, fit

pytestmark = pytest.mark.filterwarnings("ignore:nothing was learnt")
limits = pytest.importorskip("resource", reason="this system limits no file's size")


@pytest.fixture
def small_disk(monkeypatch):
    """No file may be longer than a clip, as if there were no room for it."""
    n_bytes, hard = limits.getrlimit(limits.RLIMIT_FSIZE)
    limits.setrlimit(limits.RLIMIT_FSIZE, (4 * len(CLIPS[0]), hard))
    yield
    limits.setrlimit(limits.RLIMIT_FSIZE, (n_bytes, hard))


def test_a_state_that_cannot_be_written_stops_no_training(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    wanted = fit(None, max_epochs=3)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.warns(UserWarning) as seen:
        found = fit(tmp_path, max_epochs=3)
    texts = [str(w.message) for w in seen if "nothing was learnt" not in str(w.message)]
    assert len(texts) == 1 and seen[0].filename == fit.__code__.co_filename
    assert "is not saved: [Errno 28] No space left on device" in texts[0]
    assert f"make room in {tmp_path}" in texts[0]
    assert found.n_epochs_ == 3 and not [*tmp_path.iterdir()]
    for name, w in wanted.weights_.items():
        assert np.array_equal(w, found.weights_[name])


def test_once_there_is_room_again_the_state_is_saved(tmp_path, monkeypatch):
    failures, sync = [OSError(errno.ENOSPC, "full")], os.fsync

    def fail_once(descriptor):
        if failures:
            raise failures.pop()
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_once)
    with pytest.warns(UserWarning, match="is not saved"):
        fit(tmp_path, max_epochs=3)
    (file,) = tmp_path.iterdir()
    assert len(_checkpoints.load(file)["history"]) == 3


def test_a_failed_save_leaves_the_old_state(tmp_path, small_disk):
    file = tmp_path / "state.pt"
    _checkpoints.save(file, {"epoch": 1})
    with pytest.raises(OSError, match="File too large"):
        _checkpoints.save(file, {"epoch": 2, "text": "long" * 4 * len(CLIPS[0])})
    assert _checkpoints.load(file) == {"epoch": 1} and [*tmp_path.iterdir()] == [file]


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_folder_that_cannot_be_is_told_before_training(tmp_path, name):
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(ValueError, match=f"checkpoint='{tmp_path / name}' is no folder that can"):
        fit(tmp_path / name)


def test_what_a_killed_process_left_goes_away(tmp_path):
    file = tmp_path / "state.pt"
    others = {"other.pt.01.unfinished", "state.pt.copy"}  # of another training, and of the user
    for name in ("state.pt.01.unfinished", *others):
        (tmp_path / name).write_bytes(b"half")
    _checkpoints.save(file, {"epoch": 1})
    assert {path.name for path in tmp_path.iterdir()} == {"state.pt", *others}


def test_two_processes_may_save_the_same_state(tmp_path, monkeypatch):
    file, sync = tmp_path / "state.pt", os.fsync

    def other(descriptor):
        monkeypatch.setattr(os, "fsync", sync)
        _checkpoints.save(file, {"by": "the other"})

    monkeypatch.setattr(os, "fsync", other)
    _checkpoints.save(file, {"by": "this one"})
    assert _checkpoints.load(file) == {"by": "the other"} and [*tmp_path.iterdir()] == [file]


def test_no_room_for_the_decoded_clips_names_tmpdir(small_disk):
    with pytest.raises(OSError, match=r"File too large.*scratch file.*TMPDIR") as caught:
        fit(None)
    assert caught.value.errno == errno.EFBIG


def test_no_folder_for_the_decoded_clips_names_tmpdir(monkeypatch):
    def none(**options):
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.TemporaryFile", none)
    with pytest.raises(OSError, match=r"No usable temporary directory.*TMPDIR"):
        fit(None)
