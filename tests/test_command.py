"""The command line: what it asks, prints and leaves behind."""

import csv
import io
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from shutil import which

import joblib
import numpy as np
import pytest
import soundfile

import skaudio
from skaudio import CNNTransformer, RandomCNNTransformer, load
from skaudio.__main__ import main
from skaudio._cli._shared import Status
from skaudio._cli.compare import EXTRACTORS, SETS
from skaudio.base import BaseAudioTransformer
from skaudio.compare import (
    TunedELM,
    TunedSVM,
    compare_extractors,
    read_rows,
    refit,
    standard_extractors,
    table_lines,
    write_rows,
)
from skaudio.datasets import load_audio_folder, make_sounds

FILES = ["compare.csv", "compare.json", "compare.png", "confusion.png", "winner.skops"]
QUICK = ["--extractors", "mfcc", "--draws", "1"]


@pytest.fixture(scope="module")
def sounds():
    return make_sounds(48, min_seconds=0.1, max_seconds=0.1, random_state=0)


@pytest.fixture
def notes(sounds, tmp_path):
    """Folder of three classes of short notes, each at six pitches: class/pitch/number.wav."""
    for i in np.flatnonzero(sounds.target < 3):
        name = sounds.target_names[sounds.target[i]]
        path = tmp_path / "notes" / name / f"pitch{sounds.groups[i]}" / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, sounds.data[i], 16000)
    return tmp_path / "notes"


@pytest.fixture
def flat(notes):
    """The notes without the folders of the pitches."""
    for path in sorted(notes.glob("*/*/*.wav")):
        path.rename(path.parents[1] / path.name)
    for path in notes.glob("*/pitch*"):
        path.rmdir()
    return notes


@pytest.fixture
def esc10(tmp_path, data_dir):
    """Links to eighteen clips of ESC-10: class/recording/clip.ogg."""
    with open(data_dir / "esc10" / "metadata.csv", newline="", encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    for label in ("dog_bark", "rain", "rooster"):
        # the first clip of six recordings
        recordings = {row["group"]: row for row in reversed(rows) if row["label"] == label}
        for group, row in [*recordings.items()][:6]:
            folder = tmp_path / "esc" / label / group
            folder.mkdir(parents=True)
            target = data_dir / "esc10" / row["filename"]
            (folder / target.name).symlink_to(target)
    return tmp_path / "esc"


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Function that runs the command with small classifiers: its code and what it prints."""
    svm, elm = TunedSVM(C=(2,), gamma=(2**-7,)), TunedELM(n_hidden=(20,), alpha=(1.0,))
    monkeypatch.setattr("skaudio.compare.TunedSVM", lambda: svm)
    monkeypatch.setattr("skaudio.compare.TunedELM", lambda: elm)

    def run(*words):
        code = main(["compare", *map(str, words), "--out", str(tmp_path / "out")])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def plan(run, monkeypatch):
    """Function that runs the command up to the comparison: what that is given, what is printed."""
    given = {}

    def compare_extractors(extractors, X, y, **params):
        given.update(params, extractors=extractors, X=X, y=y)
        given["n_jobs"] = joblib.parallel.get_active_backend()[1]
        raise KeyboardInterrupt

    monkeypatch.setattr("skaudio.compare.compare_extractors", compare_extractors)

    def plan(*words):
        code, out, err = run(*words)
        assert (code, err) == (130, "\ninterrupted\n")
        return given, out

    return plan


@pytest.fixture
def extracted(monkeypatch):
    """Name and number of clips of each extraction."""
    calls, transform = [], BaseAudioTransformer.transform

    def counted(self, X):
        calls.append((type(self).__name__, len(X)))
        return transform(self, X)

    monkeypatch.setattr(BaseAudioTransformer, "transform", counted)
    return calls


# --- from beginning to end -----------------------------------------------------------------------


@pytest.mark.parametrize("which", ["notes", "esc10"])
def test_folder(which, request, run, tmp_path):
    folder, out = request.getfixturevalue(which), tmp_path / "out"
    code, text, err = run(folder, "--groups", "1", *QUICK)
    assert (code, err) == (0, "") and "warning" not in text
    assert sorted(path.name for path in out.iterdir()) == FILES
    rows = read_rows(out / "compare.json")
    assert [(row.data, row.extractor, row.classifier) for row in rows] == [
        (folder.name, "MFCC", "SVM"),
        (folder.name, "MFCC", "ELM"),
    ]
    best = max(rows, key=lambda row: row.accuracy)
    assert best.accuracy > best.chance and np.sum(best.confusion) == 18
    assert [row.configuration for row in read_rows(out / "compare.csv")] == [
        row.configuration for row in rows
    ]
    for line in table_lines(rows, width=4):
        assert line in text
    for name in FILES:
        assert str(out / name) in text
    assert f"18 clips in {folder.name}, 3 classes, " in text
    assert f"(chance)                 {best.chance:<13.3f}  0.333\n" in text
    assert "5 splits with no group on both sides" in text
    for name in ("compare.png", "confusion.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    clips = sorted(map(str, folder.glob("*/*/*")))
    predicted = load(out / "winner.skops").predict(clips)
    assert (
        np.mean([f"/{label}/" in clip for label, clip in zip(predicted, clips, strict=True)]) > 0.8
    )


def test_winner_predicts_names_in_a_new_process(notes, run, tmp_path, monkeypatch):
    given = {}

    def noted(*args, **params):
        given.update(params)
        return refit(*args, **params)

    monkeypatch.setattr("skaudio.compare._report.refit", noted)
    run(notes, "--groups", 1, "--seed", 3, *QUICK)
    assert len(given["groups"]) == 18 and given["random_state"] == 3
    clip = next(notes.glob("brass/*/*.wav"))
    code = "import sys, skaudio; print(*skaudio.load(sys.argv[1]).predict(sys.argv[2:]))"
    words = [sys.executable, "-c", code, str(tmp_path / "out" / "winner.skops"), str(clip)]
    out = subprocess.run(words, capture_output=True, text=True, check=True)
    assert out.stdout.strip() in {"bell", "brass", "flute"}


def test_second_run_takes_everything_over(notes, run, extracted, tmp_path):
    words = [notes, "--groups", 1, "--extractors", "mfcc", "frame_level", "--draws", 1]
    _, first, _ = run(*words)
    files = {name: (tmp_path / "out" / name).read_bytes() for name in FILES[:2]}
    del extracted[:]
    _, second, _ = run(*words)
    assert [n for _, n in extracted] == [18]  # for the winner
    assert first.splitlines()[:-1] == second.splitlines()[:-1]  # but for the seconds in all
    assert files == {name: (tmp_path / "out" / name).read_bytes() for name in files}

    del extracted[:]
    run(*words, "--fresh")
    assert [n for _, n in extracted] == 2 * [1, 18] + [18]


def test_other_settings_leave_the_rows_of_an_earlier_run(notes, run, tmp_path):
    run(notes, *QUICK, "--groups", 1)
    run(notes, *QUICK, "--groups", 1, "--seed", 1)
    rows = read_rows(tmp_path / "out" / "compare.json")
    assert len({row.configuration for row in rows}) == 4
    assert read_rows(tmp_path / "out" / "compare.csv")[0].configuration == rows[0].configuration


def test_interrupted_run_goes_on_where_it_stopped(notes, run, extracted, tmp_path, monkeypatch):
    words = [notes, "--groups", 1, "--extractors", "mfcc", "frame_level", "--draws", 2]

    def interrupt(self, X):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RandomCNNTransformer, "transform", interrupt)
        code, text, err = run(*words)
    assert code == 130 and "interrupted" in err and "MFCC" in text
    for name in FILES[:2]:
        assert [row.extractor for row in read_rows(tmp_path / "out" / name)] == ["MFCC", "MFCC"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES[:2]

    del extracted[:]
    assert run(*words)[0] == 0
    assert extracted[:-1] == 2 * [("RandomCNNTransformer", 1), ("RandomCNNTransformer", 18)]
    rows = read_rows(tmp_path / "out" / "compare.csv")
    assert [(row.extractor, row.draws) for row in rows] == [
        ("MFCC", 1),
        ("MFCC", 2),
        ("frame_level", 2),
        ("frame_level", 2),
    ]


def test_demo_without_optional_packages(run, tmp_path, monkeypatch):
    monkeypatch.setattr("skaudio.datasets.make_sounds", short_notes)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    code, text, _ = run("--demo", *QUICK)
    assert code == 0 and text.startswith("160 synthetic notes, 8 classes, 0.00 h, 5 splits with")
    assert text.count("pip install skaudio[plot]") == text.count("pip install skaudio[save]") == 1
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [*FILES[:2], "new_note.wav"]


def short_notes(*args, **params):
    """The notes of the demo, short."""
    return make_sounds(*args, **{**params, "min_seconds": 0.1, "max_seconds": 0.1})


def test_what_the_demo_prints_runs_as_it_stands(run, tmp_path, monkeypatch):
    monkeypatch.setattr("skaudio.datasets.make_sounds", short_notes)
    code, text, _ = run("--demo", *QUICK)
    assert code == 0
    first, *others = text.partition("use it:")[2].partition("\n\n")[0].splitlines()
    lines = [line.strip() for line in (first, *others)]
    assert len(lines) == 3 and lines[0] == "from skaudio import load"
    names, notes = {}, make_sounds(16, random_state=0)
    exec("\n".join([*lines[:2], f"answer = {lines[2]}"]), names)
    assert names["answer"].tolist()[0] in notes.target_names


@pytest.mark.skipif(which("make") is None, reason="there is no make to ask")
def test_make_demo_installs_what_the_demo_leaves_behind(tmp_path):
    root = Path(__file__).parents[1]
    words = ["make", "-n", "-C", str(root), "demo", f"VENV={tmp_path / 'venv'}"]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    (install,) = [line for line in out.splitlines() if "pip install" in line]
    extras = install.partition("[")[2].partition("]")[0].split(",")
    assert sorted(extras) == ["plot", "save"] and "skaudio compare --demo" in out


# --- winners -------------------------------------------------------------------------------------


@pytest.fixture
def noise(tmp_path, rng):
    """Folder of two classes between which there is no difference."""
    for i in range(24):
        path = tmp_path / "noise" / "ab"[i % 2] / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal(800), 16000)
    return tmp_path / "noise"


def test_nothing_wins_at_chance(noise, run, tmp_path):
    out = tmp_path / "out"
    code, text, _ = run(noise, *QUICK)
    assert code == 0 and "winner:    none, no extractor is better than chance\n" in text
    assert "chance is 0.500)\n" in text and "saved:     no winner\n" in text
    assert sorted(path.name for path in out.iterdir()) == FILES[:-1]
    (out / "winner.skops").write_bytes(b"earlier")
    assert "winner.skops is from an earlier run" in run(noise, *QUICK)[1]
    assert (out / "winner.skops").read_bytes() == b"earlier"


def test_unequal_classes_are_won_by_balanced_accuracy(notes, run, tmp_path):
    for path in [*notes.glob("bell/*/*.wav")][:3]:
        path.unlink()
    code, text, _ = run(notes, "--cv", 3, *QUICK)
    rows = read_rows(tmp_path / "out" / "compare.json")
    best = max(rows, key=lambda row: row.balanced_accuracy)
    assert code == 0 and np.sum(best.confusion, axis=1).tolist() == [3, 6, 6]
    score = f"balanced accuracy {best.balanced_accuracy:.3f}"
    assert f"winner:    MFCC + {best.classifier}, {score}\n" in text
    assert "(by balanced accuracy, since the classes are of unequal size)" in text


# --- several at once, narrow, interrupted --------------------------------------------------------


def test_rows_of_another_process_stay(notes, run, tmp_path, monkeypatch):
    path = tmp_path / "out" / "compare.json"

    def beside(*args, **params):
        for number, row in enumerate(compare_extractors(*args, **params)):
            if number == 1:  # another process has finished a row after our first
                other = replace(row, extractor="other", configuration="another")
                write_rows([*read_rows(path), other], path)
            yield row

    monkeypatch.setattr("skaudio.compare.compare_extractors", beside)
    for words in ([], ["--fresh"]):
        path.unlink(missing_ok=True)
        assert run(notes, *QUICK, *words)[0] == 0
        assert [row.extractor for row in read_rows(path)] == ["MFCC", "MFCC", "other"]


def test_table_fits_a_narrow_terminal(notes, run, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    _, text, _ = run(notes, *QUICK)
    (heading,) = [line for line in text.splitlines() if line.startswith("extractor")]
    assert heading.split() == ["extractor", "classifier", "accuracy"]
    assert all(len(line) <= 40 for line in text.splitlines() if line.startswith("MFCC "))


def test_interrupted_says_where_it_goes_on(notes, run, tmp_path, monkeypatch):
    def interrupt(self, X):
        raise KeyboardInterrupt

    monkeypatch.setattr(RandomCNNTransformer, "transform", interrupt)
    code, _, err = run(notes, "--extractors", "mfcc", "vgg", "--draws", 1)
    where = tmp_path / "out" / "compare.json"
    assert code == 130
    assert f"2 of 4 rows are in {where}; run the same command to continue" in err


def test_names_that_a_terminal_cannot_write(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", out)
    with pytest.raises(SystemExit):
        main(["--version"])
    print("狗", flush=True)
    assert out.buffer.getvalue().endswith(b"\n\\u72d7\n")


# --- sets ----------------------------------------------------------------------------------------


def test_fetched_set(notes, plan, monkeypatch):
    homes = []

    def fetch(data_home):
        homes.append(data_home)
        return load_audio_folder(notes, groups=1, n_splits=2)

    monkeypatch.setattr("skaudio.datasets.fetch_fsdd", fetch)
    given, text = plan("--data", "fsdd")
    assert given["data"] == "fsdd" and len(given["splits"]) == 2
    assert text.startswith("18 clips in fsdd, 3 classes")
    plan("--data", "fsdd", "somewhere")
    assert homes == [None, "somewhere"]


def test_set_that_lies_there(notes, plan, monkeypatch):
    homes = []

    def read(path):
        homes.append(path)
        return load_audio_folder(notes, n_splits=2)  # no groups, yet the reader knows the folders

    monkeypatch.setattr("skaudio.datasets.load_gtzan", read)
    monkeypatch.setenv("SKAUDIO_DATA", "home")
    assert "warning" not in plan("--data", "gtzan")[1]
    plan("--data", "gtzan", "there")
    assert homes == ["home/gtzan", "there"]


def test_every_set_has_a_loader():
    for loader in SETS.values():
        assert callable(getattr(skaudio.datasets, loader))


def test_table(notes, plan, tmp_path):
    table = tmp_path / "table.csv"
    lines = [
        f"{path.relative_to(notes)},{path.parts[-3]},{path.parts[-2]}"
        for path in sorted(notes.glob("*/*/*.wav"))
    ]
    table.write_text("\n".join(["filename,label,pitch", *lines]))
    given, text = plan(notes, "--metadata", table, "--groups", "pitch")
    assert "5 splits with no group on both sides" in text and "warning" not in text
    for train, test in given["splits"]:
        assert not {*given["groups"][train]} & {*given["groups"][test]}
    assert {*given["y"]} == {"bell", "brass", "flute"}
    given, text = plan(notes, "--metadata", table)  # it says what the folders are
    assert given["groups"] is None and "warning" not in text

    table.rename(notes / "metadata.csv")  # found by itself
    given, text = plan(notes)
    assert given["groups"] is None and "warning" not in text


@pytest.mark.parametrize(
    ("n_clips", "words", "n_splits"),
    [(6, [], 5), (3, [], 3), (2, [], 2), (6, ["--cv", 3], 3), (6, ["--cv", 6], 6)],
)
def test_number_of_splits(flat, plan, n_clips, words, n_splits):
    for path in sorted(flat.glob("bell/*.wav"))[n_clips:]:
        path.unlink()
    given, text = plan(flat, *words)
    assert len(given["splits"]) == n_splits and f", {n_splits} splits\n" in text


def test_number_of_splits_of_few_groups(notes, plan):
    first, *others, _ = sorted(notes.glob("bell/*/*.wav"))
    for path in others:
        path.rename(first.parent / path.name)
    given, _ = plan(notes, "--groups", 1)
    assert len(given["splits"]) == 2


# --- warnings and bad files ----------------------------------------------------------------------


def test_no_warning_without_a_cause(flat, plan):
    assert "warning" not in plan(flat)[1]


def test_warnings(notes, plan, monkeypatch):
    first, second, *_, last = sorted(notes.glob("bell/*/*.wav"))
    second.unlink()
    last.unlink()
    copy = next(notes.glob("brass/*/*.wav"))
    for place in ("x", "y", "z", "w"):
        (notes / "brass" / place).mkdir()
        (notes / "brass" / place / "copy.wav").write_bytes(copy.read_bytes())
    wave, _ = soundfile.read(first)
    soundfile.write(first, wave, 8000)
    monkeypatch.setenv("HOME", str(notes.parent))
    _, text = plan("~/notes")
    warnings = [line for line in text.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 4
    for words, line in zip(
        ["class bell has 4 clips", "1 at 8000 Hz", "--groups 1", "copy in the training part"],
        warnings,
        strict=True,
    ):
        assert words in line


@pytest.fixture
def damaged(flat):
    """The flat notes with two files that are no sound."""
    (flat / "bell" / "bad.wav").write_text("no sound")
    (flat / "flute" / "empty.wav").write_bytes(b"")
    return flat


def test_bad_files_are_listed_and_nothing_is_written(damaged, run, tmp_path):
    code, text, err = run(damaged)
    assert (code, text) == (1, "") and not (tmp_path / "out").exists()
    assert "skaudio compare: 2 of 20 clips cannot be used:\n" in err and "--skip-bad" in err
    assert re.search(r"\n  /.*/bad\.wav is not audio", err)
    assert re.search(r"\n  /.*/empty\.wav is an empty file", err)


def test_skip_bad(damaged, plan, tmp_path):
    given, text = plan(damaged, "--skip-bad")
    path = tmp_path / "out" / "left_out.txt"
    assert f"warning: 2 clips that cannot be used are left out, see {path}:\n" in text
    first, second = path.read_text().splitlines()
    assert first.startswith(f"{damaged / 'bell' / 'bad.wav'} is not audio that can be decoded")
    assert second == f"{damaged / 'flute' / 'empty.wav'} is an empty file (0 bytes)"
    assert f"  {first}\n  {second}\n" in text
    assert len(given["X"]) == len(given["y"]) == 18
    assert sorted(np.concatenate([test for _, test in given["splits"]])) == [*range(18)]
    for name in ("bell/bad.wav", "flute/empty.wav"):
        (damaged / name).unlink()
    plan(damaged, "--skip-bad")
    assert not path.exists()  # nothing is left out this time


def test_nothing_but_bad_files(tmp_path, run):
    for i in range(24):
        path = tmp_path / "set" / "ab"[i % 2] / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    code, _, err = run(tmp_path / "set", "--skip-bad")
    assert code == 1 and "24 of 24 clips cannot be used" in err and "\n  and 4 more\n" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "there is no folder nowhere"),
        ([".", "--groups", "speaker"], "groups='speaker', but there is no table"),
        ([".", "--cv", "9"], "class bell has 6 clips, fewer than n_splits=9"),
    ],
)
def test_what_can_be_mended_is_one_line(flat, run, monkeypatch, words, message):
    monkeypatch.chdir(flat)
    code, text, err = run(*words)
    assert code == 1 and text == "" and message in err and "Traceback" not in err


def test_results_of_something_else(flat, run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "compare.json").write_text("[1]")
    code, _, err = run(flat, *QUICK)
    assert code == 1 and "compare.json holds no rows of a comparison" in err


# --- words ---------------------------------------------------------------------------------------


def test_defaults(flat, plan):
    given, text = plan(flat)
    assert tuple(given["extractors"]) == EXTRACTORS == tuple(standard_extractors())
    assert list(given["classifiers"]) == ["SVM", "ELM"]
    assert (given["draws"], given["random_state"], given["data"]) == (3, 0, "notes")
    assert given["n_jobs"] is None and given["finished"] == []
    parameters = [extractor.get_params() for extractor in given["extractors"].values()]
    assert {rate for p in parameters for name, rate in p.items() if "sample_rate" in name} == {
        16000
    }
    assert "mean ± std over 3 random draws" in text


def test_choices(flat, plan):
    words = "--draws 1 --seed 7 --sample-rate 8000 --n-jobs 2".split()
    given, text = plan(flat, *words, "--extractors", "mfcc", "--classifiers", "elm")
    assert (given["draws"], given["random_state"], given["n_jobs"]) == (1, 7, 2)
    assert given["extractors"]["MFCC"].sample_rate == 8000 and "one random draw" in text
    seeded = load_audio_folder(flat, random_state=7).splits
    assert [test.tolist() for _, test in given["splits"]] == [test.tolist() for _, test in seeded]


def test_name_of_the_union(flat, plan):
    given, _ = plan(flat, "--extractors", "prosody_mfcc_vgg")
    assert [*given["extractors"]] == ["prosody + MFCC + vgg"]


def test_quick(flat, plan):
    assert [*plan(flat, "--quick")[0]["extractors"]] == ["MFCC", "vgg", "timbral_temporal"]


def test_trained(flat, plan):
    given, _ = plan(flat, "--quick", "--trained", "3", "--sample-rate", "8000")
    extractors = given["extractors"]
    twins = ["trained vgg", "trained timbral_temporal"]
    assert [*extractors] == ["MFCC", "vgg", "timbral_temporal", *twins]
    for name in twins:
        twin = extractors[name]
        assert isinstance(twin, CNNTransformer) and f"trained {twin.design}" == name
        assert (twin.max_minutes, twin.sample_rate) == (3, 8000)
    # last of all, the word takes no number: the folder comes before it
    assert plan(flat, "--quick", "--trained")[0]["extractors"]["trained vgg"].max_minutes == 2


def test_trained_network_is_compared(flat, run, tmp_path):
    words = "--extractors temporal --classifiers svm --draws 1 --cv 2 --sample-rate 8000".split()
    code, text, err = run(flat, *words, "--trained", "1")
    assert code == 0, err
    assert re.search(r"^temporal +\S+ +\d", text, re.M), text
    assert re.search(r"^trained temporal +\S+ +\d", text, re.M), text


def test_demo_is_small_but_has_all_extractors(plan, monkeypatch):
    monkeypatch.setattr("skaudio.datasets.make_sounds", short_notes)
    given, text = plan("--demo")
    assert (len(given["X"]), given["draws"], tuple(given["extractors"])) == (160, 2, EXTRACTORS)
    assert "mean ± std over 2 random draws" in text
    assert plan("--demo", "--draws", 4)[0]["draws"] == 4


@pytest.mark.parametrize(
    ("words", "extractors", "classifiers"),
    [
        (["--extractors", "MFCC", "VGG"], ["MFCC", "vgg"], ["SVM", "ELM"]),
        (["--extractors", "mfcc", "Mfcc", "--classifiers", "SVM"], ["MFCC"], ["SVM"]),
        (
            ["--classifiers", "Elm", "--extractors", "single_7x86", "single 7X96", "Frame-Level"],
            ["single 7x86", "single 7x96", "frame_level"],
            ["ELM"],
        ),
    ],
)
def test_names_in_any_spelling(flat, plan, words, extractors, classifiers):
    given, _ = plan(flat, *words)
    assert (list(given["extractors"]), list(given["classifiers"])) == (extractors, classifiers)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "COMMAND"),
        (["dance"], "invalid choice"),
        (["compare"], "name a FOLDER, a set with --data, or --demo"),
        (["compare", "folder", "--demo"], "name a FOLDER, a set with --data, or --demo"),
        (["compare", "--data", "fsdd", "--demo"], "name a FOLDER, a set with --data, or --demo"),
        (["compare", "--data", "fdss"], "invalid choice"),
        (["compare", "--data", "fsdd", "--groups", "1"], "are for a FOLDER"),
        (["compare", "--demo", "--cv", "3"], "are for a FOLDER"),
        (["compare", "--demo", "--draws", "0"], "0 is not at least 1"),
        (["compare", ".", "--quick", "--extractors", "vgg"], "leave out --quick or --extractors"),
        (["compare", ".", "--cv", "1"], "1 is not at least 2"),
        (["compare", ".", "--cv", "x"], "invalid number value: 'x'"),
        (["compare", ".", "--extractors", "loud"], "loud is unknown; there are mfcc, vgg, single_"),
        (["compare", ".", "--classifiers", "knn"], "knn is unknown; there are svm, elm"),
    ],
)
def test_wrong_words(words, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["compare", "--help"]])
def test_help_loads_nothing_heavy(words):
    code = (
        "import sys, skaudio.__main__ as m\n"
        "try: m.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print({'torch', 'sklearn', 'librosa', 'matplotlib', 'numpy'} & set(sys.modules))"
    )
    words = [sys.executable, "-c", code, *words]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    assert out[-1] == "set()"
    assert out[0] == f"skaudio {skaudio.__version__}" or out[0].startswith("usage: skaudio")


def test_python_m():
    words = [sys.executable, "-m", "skaudio", "compare", "--help"]
    out = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "--demo" in out.stdout and "--out DIR" in out.stdout


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_status_line_replaces_itself(monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "8")
    status = Status()
    status.show("a long line")
    status.show("short")
    status.clear()
    assert sys.stderr.getvalue() == "\ra long " + "\rshort  " + "\r     \r"


def test_status_line_spares_logs(capsys):
    status = Status()
    status.show("working")
    status.clear()
    assert capsys.readouterr() == ("", "")
