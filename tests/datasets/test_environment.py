"""ESC-10 in its three layouts, and UrbanSound8K."""

import hashlib

import numpy as np
import pytest

from skaudio.datasets import _fetch, fetch_esc10, load_urbansound8k

FOLDER_LAYOUT = ["001 - Dog bark/2-7-A.ogg", "004 - Baby cry/1-33-B.ogg", "002 - Rain/1-33-A.ogg"]
ESC50 = """\
filename,fold,target,category,esc10,src_file,take
1-33-A-10.wav,1,10,rain,True,33,A
1-33-B-20.wav,1,20,crying_baby,True,33,B
2-5-A-4.wav,2,4,frog,False,5,A
2-7-A-0.wav,2,0,dog,True,7,A
"""
TABLE = """\
filename,label
audio/2-7-A.ogg,dog_bark
audio/1-33-A.ogg,rain
audio/1-33-B.ogg,baby_cry
"""


@pytest.fixture
def small_manifest(tmp_path, monkeypatch):
    (tmp_path / "esc10.txt").write_text("".join(f"00  {name}\n" for name in FOLDER_LAYOUT))
    monkeypatch.setattr(_fetch, "_MANIFESTS", tmp_path)


@pytest.fixture(params=["folders", "ESC-50", "table"])
def esc10_home(request, make_files, small_manifest):
    if request.param == "folders":
        return make_files("esc10/README.md", *(f"esc10/{name}" for name in FOLDER_LAYOUT))
    folder, text, name = {
        "ESC-50": ("ESC-50-master", ESC50, "meta/esc50.csv"),
        "table": ("esc10", TABLE, "metadata.csv"),
    }[request.param]
    clips = [line.split(",")[0].removeprefix("audio/") for line in text.split()[1:]]
    home = make_files(f"{folder}/{name}", *(f"{folder}/audio/{clip}" for clip in clips))
    (home / folder / name).write_text(text)
    return home


def test_layouts_of_esc10_agree(esc10_home, names_of):
    sounds = fetch_esc10(data_home=esc10_home, download_if_missing=False)
    assert sounds.target_names == ["crying_baby", "dog", "rain"]
    assert names_of(sounds) == (["rain", "crying_baby", "dog"], ["33", "33", "7"])
    stems = [path.rsplit("/", 1)[1].split(".")[0] for path in sounds.data]
    assert [stem[:6].rstrip("-") for stem in stems] == ["1-33-A", "1-33-B", "2-7-A"]
    assert [(train.tolist(), test.tolist()) for train, test in sounds.splits] == [
        ([2], [0, 1]),
        ([0, 1], [2]),
    ]
    assert sounds.sample_rate == 44100 and "3 clips" in sounds.DESCR


def test_incomplete_esc10(make_files, small_manifest):
    home = make_files(*(f"esc50/{name}" for name in FOLDER_LAYOUT[:2]))
    with pytest.raises(OSError, match="esc50 holds 2 clips of this data set, which has 3"):
        fetch_esc10(data_home=home)


def test_esc10_says_where_it_looked(tmp_path):
    with pytest.raises(OSError, match=r"esc10 or .*ESC-50-master or .*esc50; pass"):
        fetch_esc10(data_home=tmp_path, download_if_missing=False)


def test_real_esc10(data_dir):
    sounds = fetch_esc10(data_home=data_dir, download_if_missing=False)
    assert len(sounds.data) == 400 and len(sounds.splits) == 5
    assert np.bincount(sounds.target).tolist() == [40] * 10
    assert sounds.target_names == [
        "chainsaw",
        "clock_tick",
        "crackling_fire",
        "crying_baby",
        "dog",
        "helicopter",
        "rain",
        "rooster",
        "sea_waves",
        "sneezing",
    ]
    for train, test in sounds.splits:
        assert not np.intersect1d(sounds.groups[train], sounds.groups[test]).size
        assert np.bincount(sounds.target[test]).tolist() == [8] * 10


def test_both_layouts_of_the_real_esc10_agree(data_dir, tmp_path):
    for name in _fetch.hashes("esc10"):
        link = tmp_path / "esc10" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(data_dir / "esc10" / "audio" / link.name)
    folders, table = (fetch_esc10(data_home=home) for home in (tmp_path, data_dir))
    assert folders.target_names == table.target_names
    assert folders.group_names == table.group_names
    assert np.array_equal(folders.target, table.target)
    assert np.array_equal(folders.groups, table.groups)


def test_manifest(data_dir, rng):
    hashes = _fetch.hashes("esc10")
    assert len(hashes) == 400
    for name in rng.choice(sorted(hashes), 10, replace=False):
        content = (data_dir / "esc10" / "audio" / name.split("/")[1]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == hashes[name]


# --- UrbanSound8K --------------------------------------------------------------------------------


@pytest.fixture
def urban(make_files):
    rows = [("7-3-0-0.wav", 7, 10, "dog_bark"), ("7-3-0-1.wav", 7, 10, "dog_bark")]
    rows += [("9-8-0-0.wav", 9, 2, "siren"), ("8-8-0-0.wav", 8, 1, "siren")]
    folder = make_files(*(f"audio/fold{fold}/{name}" for name, _, fold, _ in rows))
    (folder / "metadata").mkdir()
    lines = [f"{name},{source},0,4,1,{fold},0,{label}" for name, source, fold, label in rows]
    header = "slice_file_name,fsID,start,end,salience,fold,classID,class"
    (folder / "metadata" / "UrbanSound8K.csv").write_text("\n".join([header, *lines]))
    return folder


def test_urbansound8k(urban, names_of):
    sounds = load_urbansound8k(urban)
    assert sounds.data[0] == str(urban / "audio" / "fold10" / "7-3-0-0.wav")
    assert names_of(sounds) == (["dog_bark", "dog_bark", "siren", "siren"], [*"7798"])
    # fold 10 comes after fold 2
    assert [test.tolist() for _, test in sounds.splits] == [[3], [2], [0, 1]]
    assert "4 clips (8732 in the full set)" in sounds.DESCR


def test_incomplete_urbansound8k(urban):
    (urban / "audio" / "fold2" / "9-8-0-0.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of the 4 clips .* the first is .*9-8-0-0.wav"):
        load_urbansound8k(urban)
    with pytest.raises(FileNotFoundError, match=r"UrbanSound8K\.csv"):
        load_urbansound8k(urban / "audio")
