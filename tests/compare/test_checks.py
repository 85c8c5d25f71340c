"""Input of a comparison that cannot be meant, and extractors that return something else."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import soundfile
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skaudio import MFCCTransformer
from skaudio.audio import ClipError
from skaudio.compare import compare_extractors, read_rows, write_rows
from tests.compare.spies import LearntLoudness, Loudness

NEAREST = {"nearest": KNeighborsClassifier(3)}


@pytest.fixture
def refused(task):
    """Function that starts a comparison with something changed, and returns what it says."""
    X, y, splits = task
    given = {"extractors": {"level": Loudness()}, "X": X, "y": y, "splits": splits}

    def refused(kind=ValueError, **changed):
        with pytest.raises(kind) as caught:
            compare_extractors(**{**given, **changed})  # at the call, not at the first row
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return refused


# --- splits --------------------------------------------------------------------------------------


def test_rows_counted_from_the_end_hide_no_leak(refused):
    train, test = np.arange(30), np.arange(-30, 0)  # the same clips
    text = refused(splits=[(train, test)])
    assert text.startswith("Split 0, test part, holds row -30; the 30 clips are rows 0 to 29")


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        ([0, 20, 30], [1], "train part, holds row 30; the 30 clips are rows 0 to 29"),
        ([0, 20, 20, 20], [1], "train part, holds row 20 3 times; name each clip once"),
        ([0, 20], [1.0, 2.0], "test part, holds 1.0, of dtype float64; row numbers are whole"),
        (["a", "b"], [1], "train part, holds a, of dtype"),
        ([[0, 20]], [1], r"train part, has shape (1, 2); pass a list of row numbers"),
        ([True, False], [1], "train part, is a mask of 2 entries, but there are 30 clips"),
        ([0, 1], [20], "has one class, soft, in its train part"),
    ],
)
def test_rows_that_name_no_clip_or_one_twice(refused, train, test, words):
    assert f"Split 1{',' * ('part,' in words)} {words}" in refused(
        splits=[([0, 20], [1]), (train, test)]
    )


def test_masks_are_row_numbers(task, compare):
    X, y, splits = task
    masks = [tuple(np.isin(np.arange(30), rows) for rows in split) for split in splits]
    ordered = [tuple(np.sort(rows) for rows in split) for split in splits]
    (row,) = compare({"level": Loudness()}, (X, y, masks))
    (again,) = compare({"level": Loudness()}, (X, y, ordered))
    assert (row.accuracy, row.configuration) == (again.accuracy, again.configuration)


def test_splits_that_are_no_pairs(refused):
    assert "list(splitter.split(X, y, groups))" in refused(TypeError, splits=KFold(5))
    assert "Split 0 has 3 parts" in refused(splits=[([0, 20], [1], [2])])


# --- labels and groups ---------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_clips_without_a_label_or_a_group(task, refused, missing):
    _, y, _ = task
    holes = [missing if row in (4, 9) else label for row, label in enumerate(y)]
    told = r"y\[4\] is .*; every clip needs a label, and 2 of 30 have none"
    for labels in (holes, pd.Series(holes), np.array(holes, dtype=object)):
        assert re.match(told, refused(y=labels))
    assert refused(groups=holes).startswith(f"groups[4] is {missing}; every clip needs a group")


def test_masked_labels(task, refused, compare):
    X, y, splits = task
    numbers = np.ma.masked_array(np.unique(y, return_inverse=True)[1], mask=np.arange(30) == 7)
    assert refused(y=numbers).startswith("y[7] is --; every clip needs a label, and 1 of 30")
    assert compare({"level": Loudness()}, (X, np.ma.masked_array(numbers.data), splits))


def test_numbers_among_names(task, refused):
    _, y, _ = task
    assert refused(y=[1, *y[1:]]).startswith(f"y mixes kinds: y[0] is 1 and y[1] is {y[1]!r}")


@pytest.mark.parametrize("n", [29, 31])
def test_groups_of_another_length(refused, n):
    text = refused(groups=np.arange(n))
    assert text == f"groups has {n} entries for 30 clips; pass one per clip"


def test_clips_are_found_by_place_and_not_by_index(task, compare):
    X, y, splits = task
    series = pd.Series(X, index=np.arange(30)[::-1])
    (row,) = compare({"level": LearntLoudness()}, (series, y, splits))
    (expected,) = compare({"level": LearntLoudness()}, task)
    assert (row.accuracy, row.configuration) == (expected.accuracy, expected.configuration)


# --- extractors, classifiers and rows ------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (ValueError, {"extractors": {}}, "extractors is empty"),
        (ValueError, {"classifiers": {}}, "classifiers is empty"),
        (TypeError, {"extractors": [Loudness()]}, "extractors is a list; pass a dict"),
        (TypeError, {"extractors": {"x": Loudness}}, "is a class; pass Loudness(...)"),
        (TypeError, {"extractors": {"x": "MFCC"}}, "extractors['x'], a str, has no fit"),
        (
            TypeError,
            {"classifiers": {"x": StandardScaler()}},
            "classifiers['x'], a StandardScaler, has no predict",
        ),
        (TypeError, {"classifiers": {1: NEAREST["nearest"]}}, "is not named by a text"),
        (TypeError, {"finished": [1]}, "finished holds a int at position 0; pass ComparisonRow"),
        (TypeError, {"X": "clip.wav"}, "X is one file"),
    ],
)
def test_what_is_no_extractor_classifier_or_row(refused, kind, given, words):
    assert words in refused(kind, **given)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (lambda X: np.zeros((len(X) + 1, 2)), "into an array of shape (31, 2)"),
        (lambda X: np.zeros(len(X)), "into an array of shape (30,)"),
        (lambda X: np.full((len(X), 1), "a"), "and dtype <U1; a row of numbers"),
    ],
)
def test_features_of_another_shape(task, compare, result, words):
    with pytest.raises(ValueError, match=r"^odd turned 30 clips into") as caught:
        compare({"odd": FunctionTransformer(result)}, task)
    assert words in str(caught.value)


def test_sparse_features_become_dense(task, compare):
    def level(X):
        return np.array([[np.abs(clip).mean()] for clip in X])

    def sparse(X):
        return scipy.sparse.csr_array(level(X))

    dense, same = (
        compare({"x": FunctionTransformer(f)}, task, classifiers=NEAREST)[0]
        for f in (level, sparse)
    )
    assert dense.accuracy == same.accuracy > dense.chance and same.n_features == 1


# --- clips that an extractor leaves out ----------------------------------------------------------


@pytest.fixture
def damaged(tmp_path, task):
    """The task in files, of which rows 3 and 17 are no sound."""
    X, y, splits = task
    paths = [tmp_path / f"{number}.wav" for number in range(30)]
    for path, clip in zip(paths, X, strict=True):
        soundfile.write(path, clip, 8000)
    for row in (3, 17):
        paths[row].write_text("no sound")
    return paths, y, splits


@pytest.mark.filterwarnings("ignore:skipped 2 of 30 clips:UserWarning")
@pytest.mark.parametrize("classifier", [KNeighborsClassifier(3), HistGradientBoostingClassifier()])
def test_no_extractor_is_scored_on_fewer_clips(damaged, compare, classifier):
    skipping = MFCCTransformer(sample_rate=8000, n_mfcc=3, on_error="skip")
    with pytest.raises(ValueError, match="no finite features for 2 of 30 clips: clip 3 ") as caught:
        compare({"mfcc": skipping}, damaged, classifiers={"any": classifier})
    assert re.search(r"clip 3 \(.*3\.wav\), clip 17 \(.*17\.wav\)", str(caught.value))
    assert "leave them out of X, y, groups and splits" in str(caught.value)


@pytest.mark.filterwarnings("ignore:skipped:UserWarning")
def test_nothing_but_bad_clips(damaged, compare):
    paths = damaged[0]
    for path in paths:
        path.write_text("no sound")
    skipping = MFCCTransformer(sample_rate=8000, on_error="skip")
    with pytest.raises(ValueError, match=r"for 30 of 30 clips: .* and 25 more"):
        compare({"mfcc": skipping}, damaged)


class Learning(MFCCTransformer):
    """MFCCs of which the comparison believes that they learn."""

    learns_from_clips = True


def test_a_bad_clip_is_numbered_as_in_the_whole_set(damaged, compare):
    with pytest.raises(ClipError, match=r"^clip \d+ \(.*\d+\.wav\)") as caught:
        compare({"mfcc": Learning(sample_rate=8000)}, damaged)
    assert Path(caught.value.name).name == f"{caught.value.index}.wav"


def test_nan_is_left_to_classifiers_that_take_it(task, compare):
    def level(X):
        Z = np.array([[np.abs(clip).mean(), 1.0] for clip in X])
        Z[::2, 1] = np.nan
        return Z

    extractors, trees = {"x": FunctionTransformer(level)}, HistGradientBoostingClassifier()
    assert compare(extractors, task, classifiers={"trees": trees})
    with pytest.raises(ValueError, match="no finite features for 15 of 30 clips"):
        compare(extractors, task, classifiers={"trees": trees, **NEAREST})


class Bare:
    """A classifier of nobody's classes, without tags."""

    def get_params(self, deep=True):
        return {}

    def set_params(self):
        return self

    def fit(self, Z, y):
        self.model = KNeighborsClassifier(3).fit(Z, y)
        return self

    def predict(self, Z):
        return self.model.predict(Z)


def test_classifiers_need_no_tags(task, compare):
    (row,) = compare({"level": Loudness()}, task, classifiers={"bare": Bare()})
    (same,) = compare({"level": Loudness()}, task, classifiers=NEAREST)
    assert row.accuracy == same.accuracy


# --- versions ------------------------------------------------------------------------------------


def test_rows_of_other_versions_are_worked_out_again(task, compare, calls, monkeypatch, tmp_path):
    extractors = {"level": Loudness()}
    with monkeypatch.context() as patch:
        patch.setattr("skaudio.compare._run.versions", lambda: "scikit-learn 1.0, torch 1.0")
        old = compare(extractors, task)
    assert old[0].versions == "scikit-learn 1.0, torch 1.0"
    del calls[:]
    (new,) = compare(extractors, task, finished=old)
    assert calls and new.versions.startswith("scikit-learn ") and "+" not in new.versions
    assert new.configuration == old[0].configuration
    del calls[:]
    path = tmp_path / "rows.csv"  # as written before rows knew their versions
    write_rows([new], path)
    path.write_text(path.read_text().replace(",versions", "").replace(f',"{new.versions}"', ""))
    assert compare(extractors, task, finished=read_rows(path))[0].versions == ""
    assert not calls
