"""The spoken digits."""

import hashlib

import numpy as np
import pytest

from skaudio.datasets import _fetch, fetch_fsdd


@pytest.fixture
def small_home(make_files, monkeypatch):
    """Home of a set of two digits, two speakers and two takes."""
    names = [f"{d}_{s}_{t}.wav" for d in (3, 8) for s in ("ada", "bob") for t in (4, 10)]
    home = make_files(*(f"fsdd/recordings/{name}" for name in names))
    (home / "fsdd.txt").write_text("".join(f"00  {name}\n" for name in names))
    monkeypatch.setattr(_fetch, "_MANIFESTS", home)
    return home


def test_names_give_digits_and_speakers(small_home, names_of):
    sounds = fetch_fsdd(data_home=small_home)
    assert names_of(sounds) == ([*"33338888"], ["ada", "ada", "bob", "bob"] * 2)
    assert sounds.sample_rate == 8000
    for train, test in sounds.splits:
        assert set(sounds.groups[train]).isdisjoint(sounds.groups[test])
    assert [sounds.groups[test[0]] for _, test in sounds.splits] == [0, 1]
    assert "8 recordings" in sounds.DESCR and "one per speaker" in sounds.DESCR


def test_official_split_tests_the_first_five_takes(small_home):
    sounds = fetch_fsdd(data_home=str(small_home), split="official")
    ((train, test),) = sounds.splits
    assert all(sounds.data[row].endswith("_4.wav") for row in test)
    assert all(sounds.data[row].endswith("_10.wav") for row in train)
    assert len(train) == len(test) == 4 and "first five takes" in sounds.DESCR


def test_unknown_split():
    with pytest.raises(
        ValueError, match='split=\'random\' is unknown; use "speaker" or "official"'
    ):
        fetch_fsdd(split="random")


def test_real_digits(data_dir):
    sounds = fetch_fsdd(data_home=data_dir, download_if_missing=False)
    assert len(sounds.data) == 3000 and sounds.target_names == [*"0123456789"]
    assert (np.bincount(sounds.target * 6 + sounds.groups) == 50).all()
    assert len(sounds.splits) == len(sounds.group_names) == 6
    ((train, test),) = fetch_fsdd(data_home=data_dir, split="official").splits
    assert (len(train), len(test)) == (2700, 300)


def test_manifest(data_dir, rng):
    hashes = _fetch.hashes("fsdd")
    assert len(hashes) == 3000
    for name in rng.choice(sorted(hashes), 10, replace=False):
        content = (data_dir / "fsdd" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == hashes[name]
