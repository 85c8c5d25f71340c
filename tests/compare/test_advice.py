"""What is found out about a set before it is compared."""

import numpy as np
import pytest
import soundfile
from sklearn.utils import Bunch

from skaudio.audio import ClipError
from skaudio.compare._advice import inspect, usable, warnings_about

FLAT = [f"{'ab'[i % 2]}/{i}.wav" for i in range(12)]
HALVES = np.arange(6), np.arange(6, 12)


@pytest.fixture
def make_set(tmp_path, rng):
    """Function that writes clips, each another, under the names given; the folder is the class."""

    def make(names, groups=None):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, rng.uniform(-1, 1, 400), 8000)
        target_names, target = np.unique(
            [name.split("/")[0] for name in names], return_inverse=True
        )
        return Bunch(
            data=[str(tmp_path / name) for name in names],
            target=target,
            target_names=target_names.tolist(),
            groups=groups,
            splits=[HALVES, HALVES[::-1]],
        )

    return make


# --- warnings ------------------------------------------------------------------------------------


def test_nothing_to_say(make_set, tmp_path):
    assert warnings_about(make_set(FLAT), [8000] * 12, folder=tmp_path) == []


def test_small_classes(make_set, tmp_path):
    sounds = make_set(["few/1.wav", "few/2.wav", *FLAT[2:]])
    (text,) = warnings_about(sounds, [8000] * 12, folder=tmp_path)
    assert text.startswith("class few has 2 clips, fewer than 5")


def test_differing_sample_rates(make_set):
    (text,) = warnings_about(make_set(FLAT), [44100] * 3 + [8000] * 9)
    assert "(9 at 8000 Hz, 3 at 44100 Hz)" in text


@pytest.mark.parametrize(
    ("names", "warned"),
    [
        ([name.replace("/", f"/s{i % 3}/") for i, name in enumerate(FLAT)], True),
        ([name.replace("/", "/s/t/") for name in FLAT], True),  # a/s and b/s
        ([FLAT[0].replace("/", "/deep/er/"), *FLAT[1:]], False),  # one alone groups nothing
    ],
)
def test_folders_that_nobody_named(make_set, tmp_path, names, warned):
    texts = warnings_about(make_set(names), [8000] * 12, folder=tmp_path)
    assert [("sub-folders" in text, "--groups 1" in text) for text in texts] == [
        (True, True)
    ] * warned
    # with groups, or where a table or a reader knows the set, there is nothing to ask
    assert not warnings_about(make_set(names, groups=np.arange(12)), [8000] * 12, folder=tmp_path)
    assert not warnings_about(make_set(names), [8000] * 12)


def test_copies_count_where_they_leak(make_set):
    sounds = make_set(FLAT)
    for original, copy in ((0, 1), (2, 7), (7, 8)):  # the first pair is on one side
        with open(sounds.data[original], "rb") as source, open(sounds.data[copy], "wb") as target:
            target.write(source.read())
    (text,) = warnings_about(sounds, [8000] * 12)
    assert text.startswith("3 clips have a copy in the training part")
    assert "2.wav among them" in text
    sounds.splits = [(np.array([0, 1, 3, 4]), np.array([2, 7, 8]))]
    assert warnings_about(sounds, [8000] * 12) == []


# --- clips that cannot be used -------------------------------------------------------------------


def test_inspect(make_set, tmp_path):
    paths = make_set(FLAT[:4]).data
    soundfile.write(paths[0], np.zeros((22050, 2)), 44100)
    (tmp_path / "a" / "2.wav").write_bytes(b"")
    (tmp_path / "b" / "3.wav").write_text("no sound")
    clips, errors = inspect([*paths, "nowhere.wav"])
    assert clips == [(44100, 0.5), (8000, 0.05)]
    assert [error.index for error in errors] == [2, 3, 4]
    assert [error.name for error in errors] == [*paths[2:], "nowhere.wav"]
    assert "empty file" in errors[0].problem


def test_usable_numbers_the_rest_anew(make_set):
    sounds = make_set(FLAT, groups=np.arange(12) // 3)
    left = usable(sounds, [ClipError(row, "", "") for row in (0, 4, 11)])
    kept = [1, 2, 3, 5, 6, 7, 8, 9, 10]
    assert left.data == [sounds.data[row] for row in kept]
    assert left.groups.tolist() == [row // 3 for row in kept]
    for old, new in zip(sounds.splits, left.splits, strict=True):
        for rows, left_rows in zip(old, new, strict=True):
            names = {sounds.data[row] for row in rows if row in kept}
            assert {left.data[row] for row in left_rows} == names
    classes = [left.target_names[label] for label in left.target]
    assert classes == ["ab"[row % 2] for row in kept]
    assert len(sounds.data) == 12 and usable(sounds, []) is sounds


def test_usable_forgets_a_class_that_has_gone(make_set):
    sounds = make_set(["gone/0.wav", *FLAT[1:], "more/12.wav"])
    left = usable(sounds, [ClipError(0, "", "")])
    assert left.groups is None
    assert left.target_names == ["a", "b", "more"]
    assert [left.target_names[label] for label in left.target] == [*"bababababab", "more"]
