"""GTZAN and Extended Ballroom."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from skaudio.datasets import load_extended_ballroom, load_gtzan

GENRES = "blues classical country disco hiphop jazz metal pop reggae rock".split()
DANCES = (
    "Chacha Foxtrot Jive Pasodoble Quickstep Rumba Salsa Samba Slowwaltz Tango Viennesewaltz "
    "Waltz Wcswing"
).split()


@pytest.fixture
def gtzan(make_files):
    """Function that makes all thousand files; returns their folder."""

    def make(folder, suffix):
        return make_files(
            *(f"{folder}/{genre}/{genre}.{i:05d}.{suffix}" for genre in GENRES for i in range(100))
        )

    return make


@pytest.mark.parametrize(
    ("folder", "suffix"), [("genres", "au"), ("genres_original", "wav"), (".", "wav")]
)
def test_gtzan(gtzan, folder, suffix):
    path = gtzan(folder, suffix)
    sounds = load_gtzan(path)
    ((train, test),) = sounds.splits
    assert (len(train), len(sounds.validation), len(test)) == (443, 197, 290)
    rows = np.concatenate([train, sounds.validation, test])
    assert sorted(rows) == [*range(930)] and sounds.data == sorted(sounds.data)
    assert sounds.target_names == GENRES and sounds.groups is None
    for name, part in [
        ("blues.00029", train),
        ("jazz.00054", train),
        ("blues.00000", sounds.validation),
        ("blues.00012", test),
    ]:
        genre = name.split(".")[0]
        row = sounds.data.index(str(path / folder / genre / f"{name}.{suffix}"))
        assert row in part and sounds.target_names[sounds.target[row]] == genre
    assert sounds.sample_rate == 22050


def test_incomplete_gtzan(gtzan):
    path = gtzan("genres", "wav")
    for name in ("blues.00000", "rock.00000"):
        (path / "genres" / name.split(".")[0] / f"{name}.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"2 of the 930 .* the first is .*blues.00000"):
        load_gtzan(path)


def test_extended_ballroom(make_files):
    path = make_files("set.xml", *(f"{dance}/{i}.mp3" for dance in DANCES for i in range(4)))
    sounds = load_extended_ballroom(path, n_splits=4)
    assert sounds.target_names == DANCES and len(sounds.data) == 52 and sounds.groups is None
    expected = StratifiedKFold(4).split(sounds.data, sounds.target)
    for (train, test), (expected_train, expected_test) in zip(sounds.splits, expected, strict=True):
        assert np.array_equal(train, expected_train) and np.array_equal(test, expected_test)
    assert "52 excerpts" in sounds.DESCR and "4 stratified folds" in sounds.DESCR


def test_wrong_folders_of_extended_ballroom(make_files):
    path = make_files("Waltz/1.mp3", "Polka/1.mp3")
    with pytest.raises(ValueError, match=r"are Polka, Waltz; they should be Chacha, .*Wcswing"):
        load_extended_ballroom(path)
