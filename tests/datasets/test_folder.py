"""Folders of one's own recordings, with and without a table."""

import csv
import re

import numpy as np
import pytest
import soundfile
from sklearn.model_selection import PredefinedSplit, StratifiedGroupKFold, StratifiedKFold

from skaudio import MFCCTransformer
from skaudio.datasets import load_audio_folder


@pytest.fixture
def table(make_files):
    """Function that writes metadata.csv and empty files for its clips; returns the folder."""

    def write(text):
        folder = make_files(*(line.split(",")[0] for line in text.split()[1:]))
        (folder / "metadata.csv").write_text(text)
        return folder

    return write


def assert_same_splits(splits, expected):
    for pair, expected_pair in zip(splits, expected, strict=True):
        for rows, expected_rows in zip(pair, expected_pair, strict=True):
            assert np.array_equal(rows, expected_rows)


# --- class folders -------------------------------------------------------------------------------


def test_class_folders(make_files):
    folder = make_files("b/2.wav", "b/deep/er/1.FLAC", "a/x.ogg", "a/y.mp3", "stray.wav")
    make_files("a/notes.txt", "a/.hidden.wav", "b/._2.wav", ".git/x.wav", "b/x.raw")
    sounds = load_audio_folder(folder, n_splits=2)
    names = ["a/x.ogg", "a/y.mp3", "b/2.wav", "b/deep/er/1.FLAC"]
    assert sounds.data == [str(folder / name) for name in names]
    assert sounds.target_names == ["a", "b"] and sounds.target.tolist() == [0, 0, 1, 1]
    assert sounds.groups is None and "group_names" not in sounds
    expected = StratifiedKFold(2, shuffle=True, random_state=0).split(sounds.data, sounds.target)
    assert_same_splits(sounds.splits, expected)
    for words in ("4 clips of 2 classes", "- a: 2", "2, stratified, without groups"):
        assert words in sounds.DESCR


def test_extractors_take_the_data(tmp_path, clips):
    for number, clip in enumerate(clips):
        path = tmp_path / "set" / "ab"[number % 2] / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, clip, 16000)
    sounds = load_audio_folder(str(tmp_path / "set"), n_splits=3)
    Z = MFCCTransformer(sample_rate=16000).fit_transform(sounds.data)
    assert Z.shape[0] == len(sounds.target) == 6


@pytest.mark.parametrize(("level", "groups"), [(1, ["s", "t", "s", "t"]), (2, [*"1234"])])
def test_group_from_a_folder_level(make_files, names_of, level, groups):
    folder = make_files("a/s/1/x.wav", "a/t/2/x.wav", "b/s/3/x.wav", "b/t/4/deep/x.wav")
    sounds = load_audio_folder(folder, groups=level, n_splits=2, random_state=3)
    assert names_of(sounds) == ([*"aabb"], groups)
    assert "no group on both sides" in sounds.DESCR
    splitter = StratifiedGroupKFold(2, shuffle=True, random_state=3)
    assert_same_splits(sounds.splits, splitter.split(sounds.data, sounds.target, sounds.groups))


def test_links_are_followed_but_not_upwards(make_files):
    folder = make_files("set/a/1.wav", "set/b/1.wav", "elsewhere/2.wav")
    (folder / "set" / "a" / "2.wav").symlink_to(folder / "elsewhere" / "2.wav")
    (folder / "set" / "b" / "more").symlink_to(folder / "elsewhere")
    (folder / "set" / "a" / "up").symlink_to(folder / "set")
    (folder / "elsewhere" / "loop").symlink_to(folder / "elsewhere")
    sounds = load_audio_folder(folder / "set", n_splits=2)
    names = ["a/1.wav", "a/2.wav", "b/1.wav", "b/more/2.wav"]
    assert sounds.data == [str(folder / "set" / name) for name in names]


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        (["a.wav"], {}, "has no sub-folder; put the clips of each class into one"),
        (["a/1.wav", "b/1.m4a"], {}, "class folder .*b holds no audio; .*wav"),
        (["a/s/1.wav", "a/1.wav"], {"groups": 1}, "a/1.wav has 0 folder levels.*groups=1"),
        (["a/1.wav"], {"groups": 0}, "groups=0, but there is no table"),
        (["a/1.wav"], {"groups": "artist"}, "groups='artist', but there is no table"),
        (["a/1.wav", "a/2.wav", "b/1.wav"], {"n_splits": 2}, "class b has 1 clips, fewer than"),
        (
            ["a/s/1.wav", "a/t/1.wav", "b/s/1.wav", "b/s/2.wav"],
            {"groups": 1, "n_splits": 2},
            "class b has 1 groups, fewer than n_splits=2; lower n_splits .*add groups",
        ),
    ],
)
def test_wrong_folders(make_files, files, options, message):
    with pytest.raises(ValueError, match=message):
        load_audio_folder(make_files(*files), **options)


def test_missing_folder():
    with pytest.raises(FileNotFoundError, match="there is no folder nowhere"):
        load_audio_folder("nowhere")


# --- tables --------------------------------------------------------------------------------------


def test_table_gives_order_classes_and_groups(table, names_of):
    folder = table("filename,label,group\nz.wav,b,s\ny.wav,a,t\nx.wav,b,t\nw.wav,a,s\n")
    sounds = load_audio_folder(folder, n_splits=2)
    assert sounds.data == [str(folder / f"{name}.wav") for name in "zyxw"]
    assert names_of(sounds) == ([*"baba"], [*"stts"])


def test_table_elsewhere_and_another_column_of_groups(table, names_of):
    folder = table("filename,label,group,artist\nx.wav,a,s,Bach\ny.wav,a,t,Cage\n")
    elsewhere = folder / "other.csv"
    (folder / "metadata.csv").rename(elsewhere)
    # with the mark that spreadsheets put at the beginning
    elsewhere.write_text(elsewhere.read_text(), encoding="utf-8-sig")
    sounds = load_audio_folder(folder, metadata=str(elsewhere), groups="artist", n_splits=2)
    assert names_of(sounds)[1] == ["Bach", "Cage"]


def test_empty_columns_count_as_absent(table):
    folder = table("filename,label,group,split\nx.wav,a,,\ny.wav,a,,\n")
    sounds = load_audio_folder(folder, n_splits=2)
    assert sounds.groups is None and "stratified" in sounds.DESCR


def test_split_column(table):
    folder = table("filename,label,split\nx.wav,a,f2\ny.wav,a,f1\nz.wav,b,f2\n")
    sounds = load_audio_folder(folder)
    assert_same_splits(sounds.splits, [([0, 2], [1]), ([1], [0, 2])])
    assert "the 2 of the table" in sounds.DESCR


def test_split_column_that_leaks(table):
    folder = table("filename,label,group,split\nx.wav,a,s,1\ny.wav,a,t,1\nz.wav,b,t,2\n")
    with pytest.warns(UserWarning, match=r"splits\[0\] trains and tests on the same group, t"):
        load_audio_folder(folder)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("file,label\nx.wav,a", {}, "has no column filename; its columns are file, label"),
        ("filename,label", {}, "no row below it"),
        ("filename,label\nx.wav,a", {"groups": "artist"}, "has no column artist"),
        ("filename,label\nx.wav,a", {"groups": 1}, "groups=1, but there is the table"),
        ("filename,label\nx.wav,a\ny.wav,", {}, "column label .* is empty in row 3"),
        ("filename,label\nx.wav,", {}, "column label .* is empty$"),
        ("filename,label,group\nx.wav,a,s\ny.wav,a,", {}, "column group .* is empty in row 3"),
        ("filename,label,split\nx.wav,a,1\ny.wav,a,", {}, "column split .* is empty in row 3"),
        ("filename,label,split\nx.wav,a,1\ny.wav,a,1", {}, "column split .* is 1 in all rows"),
        ("filename,label\nx.wav,a,b", {}, "row 2 .* has more cells than the header"),
        ("filename,label\nx.wav,a\n./x.wav,a", {}, "rows 2 and 3 .* both name .*x.wav"),
        ("filename,label\nx.wav,a\ny.wav,a", {}, "class a has 2 clips, fewer than n_splits=5"),
    ],
)
def test_wrong_tables(table, text, options, message):
    with pytest.raises(ValueError, match=message):
        load_audio_folder(table(text), **options)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "filename,label\nx.wav,\u00e9\n".encode("latin-1"),
            "metadata.csv is not encoded in UTF-8",
        ),
        ("filename,label\nx.wav,a\n".encode("utf-16"), "is not encoded in UTF-8; save it so"),
        (b'filename,label\n"' + b"x" * 200_000, "is no CSV file, field larger than .*, after line"),
        (b"filename,label,label\nx.wav,a,b\n", "more than one column label; rename or remove one"),
    ],
)
def test_files_that_are_no_tables(tmp_path, content, message):
    (tmp_path / "metadata.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_audio_folder(tmp_path)
    assert type(caught.value) is ValueError


@pytest.mark.parametrize("name", ["none.csv", "folder"])
def test_missing_table(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileNotFoundError, match=f"there is no table .*{name}$"):
        load_audio_folder(tmp_path, metadata=tmp_path / name)


def test_table_names_a_missing_file(table):
    folder = table("filename,label\nx.wav,a\ny.wav,a\n")
    (folder / "y.wav").unlink()
    with pytest.raises(
        FileNotFoundError, match=re.escape(f"names y.wav, but there is no file {folder}")
    ):
        load_audio_folder(folder)


# --- the open sets -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "n_clips", "n_classes"),
    [
        ("esc10", 400, 10),
        ("emodb_2s", 535, 7),
        ("fsd_instruments10", 300, 10),
        ("emotify_genres", 400, 4),
        ("folk_rhythm_rendered", 208, 4),
    ],
)
def test_protocols_of_the_open_sets(data_dir, name, n_clips, n_classes):
    sounds = load_audio_folder(data_dir / name)
    assert len(sounds.data) == n_clips and len(sounds.target_names) == n_classes
    for train, test in sounds.splits:
        assert not np.intersect1d(sounds.groups[train], sounds.groups[test]).size

    with open(data_dir / name / "metadata.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    labels, groups, folds = (
        np.array([row[column] for row in rows]) for column in ("label", "group", "split")
    )
    expected = StratifiedGroupKFold(5, shuffle=True, random_state=0).split(rows, labels, groups)
    if name == "esc10":
        expected = PredefinedSplit([int(fold[-1]) - 1 for fold in folds]).split()
    assert_same_splits(sounds.splits, expected)
    assert np.array_equal(np.array(sounds.target_names)[sounds.target], labels)
