"""The comparison of extractors, and the command line before it."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

import skaudio.__main__
from skaudio import AudioFile, MFCCTransformer, RandomCNNTransformer
from skaudio.compare import (
    ComparisonRow,
    compare_extractors,
    random_networks,
    read_rows,
    standard_svm,
    table_lines,
    write_rows,
)
from skaudio.compare._run import _seconds as seconds
from skaudio.datasets import make_sounds


class Loudness(TransformerMixin, BaseEstimator):
    """Two columns per clip: its level, with noise of the draw, and how many clips fit saw."""

    learns_from_clips = False
    calls = None  # shared by the clones: [what, number of clips, random_state]

    def __init__(self, sample_rate=100, random_state=None, noise=0.0):
        self.sample_rate = sample_rate
        self.random_state = random_state
        self.noise = noise

    def fit(self, X, y=None):
        self.seen_ = len(X)
        self.calls.append(("fit", len(X), self.random_state))
        return self

    def transform(self, X):
        self.calls.append(("transform", len(X), self.random_state))
        level = np.array([np.abs(clip).mean() for clip in X])
        level += self.noise * np.random.default_rng(self.random_state).normal(size=len(X))
        return np.stack([level, np.full(len(X), self.seen_)], axis=1).astype(np.float32)


class LearntLoudness(Loudness):
    learns_from_clips = True


class UnknownLoudness(Loudness):
    learns_from_clips = None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        return tags


@pytest.fixture(autouse=True)
def calls(monkeypatch):
    monkeypatch.setattr(Loudness, "calls", [])
    return Loudness.calls


@pytest.fixture
def task():
    """Thirty clips of three loudness classes; the splits differ in size."""
    rng = np.random.default_rng(0)
    y = np.repeat(["soft", "medium", "loud"], [14, 8, 8])
    level = {"soft": 0.1, "medium": 0.2, "loud": 0.4}
    X = [level[name] * rng.uniform(-1, 1, rng.integers(80, 120)) for name in y]
    rows = rng.permutation(30)
    folds = np.split(rows, [5, 12, 20])
    return X, y, [(np.setdiff1d(rows, fold), fold) for fold in folds]


def compare(extractors, task, **params):
    X, y, splits = task
    params = {"classifier": KNeighborsClassifier(3), **params}
    return list(compare_extractors(extractors, X, y, splits=splits, **params))


def test_scores_are_those_of_cross_validation(task):
    X, y, splits = task
    (row,) = compare({"level": Loudness(noise=0.02)}, task, draws=3, random_state=5, data="levels")
    accuracies, balanced = [], []
    for seed in (5, 6, 7):
        Z = Loudness(noise=0.02, random_state=seed).fit(X).transform(X)
        predicted = cross_val_predict(KNeighborsClassifier(3), Z, y, cv=splits)
        accuracies.append(np.mean(predicted == y))
        balanced.append(np.mean([np.mean(predicted[y == name] == name) for name in set(y)]))
    assert np.std(accuracies) > 0
    np.testing.assert_allclose(
        [row.accuracy, row.accuracy_std, row.balanced_accuracy, row.balanced_accuracy_std],
        [np.mean(accuracies), np.std(accuracies), np.mean(balanced), np.std(balanced)],
    )
    dummy = cross_val_predict(DummyClassifier(), np.zeros((30, 1)), y, cv=splits)
    assert row.chance == np.mean(dummy == y)
    assert (row.data, row.extractor, row.draws, row.n_features) == ("levels", "level", 3, 2)
    assert row.seconds_per_hour > 0


def test_default_classifier(task):
    svm = make_pipeline(StandardScaler(), SVC(C=8, gamma="scale"))
    (default,) = compare({"level": Loudness(noise=0.2)}, task, classifier=None)
    (plain,) = compare({"level": Loudness(noise=0.2)}, task, classifier=svm)
    assert default.accuracy == plain.accuracy
    assert default.balanced_accuracy == plain.balanced_accuracy


def test_features_are_extracted_once_per_draw(task, calls):
    compare({"level": Loudness()}, task, draws=2)
    # the single clip comes before the clock starts
    once = ("fit", 30), ("transform", 1), ("transform", 30)
    assert calls == [(*call, seed) for seed in (0, 1) for call in once]


@pytest.mark.parametrize("kind", [LearntLoudness, UnknownLoudness])
def test_learning_extractors_never_see_a_test_clip(kind, task, calls):
    compare({"level": kind()}, task, draws=1)
    sizes = [(30 - n, n) for n in (5, 7, 8, 10)]
    assert [number for what, number, _ in calls if what == "fit"] == [train for train, _ in sizes]
    transformed = [number for what, number, _ in calls if what == "transform" and number > 1]
    assert transformed == [number for pair in sizes for number in pair]


def test_pipelines(task, calls):
    stateless = make_pipeline(Loudness(), FunctionTransformer(np.log1p))
    learning = make_pipeline(Loudness(), StandardScaler())
    first, second = compare({"log": stateless, "scaled": learning}, task, draws=2)
    assert (first.draws, second.draws) == (2, 2)
    fits = [call for call in calls if call[0] == "fit"]
    assert [seed for *_, seed in fits] == [0, 1] + 4 * [0] + 4 * [1]
    assert np.isfinite(first.seconds_per_hour)


@pytest.mark.parametrize(
    ("extractor", "learns"),
    [
        (MFCCTransformer(), False),
        (RandomCNNTransformer(), False),
        (RandomCNNTransformer(normalize="dataset"), True),
    ],
)
def test_which_extractors_learn(extractor, learns, task, monkeypatch):
    fitted = []

    def fit(self, X, y=None):
        fitted.append(len(X))
        return self

    def transform(self, X):
        return np.array([[np.abs(clip).mean()] for clip in X])

    monkeypatch.setattr(type(extractor), "fit", fit)
    monkeypatch.setattr(type(extractor), "transform", transform)
    compare({"some": extractor}, task, draws=1)
    assert fitted == ([25, 23, 22, 20] if learns else [30])


def test_extractors_without_random_state_run_once(task):
    levels = FunctionTransformer(lambda X: np.array([[np.abs(clip).mean()] for clip in X]))
    (row,) = compare({"level": levels}, task)
    assert row.draws == 1 and row.accuracy_std == 0
    assert np.isnan(row.seconds_per_hour)  # nobody says the sample rate of the arrays


def test_extractors_stay_as_they_are(task):
    extractor = Loudness(random_state=9)
    compare({"level": extractor}, task)
    assert extractor.random_state == 9 and not hasattr(extractor, "seen_")


def test_fresh_seeds(task, calls):
    compare({"level": Loudness()}, task, draws=2, random_state=None)
    compare({"level": Loudness()}, task, draws=2, random_state=None)
    assert len({seed for what, _, seed in calls if what == "fit"}) == 4


def test_rows_come_as_they_are_ready(task, calls):
    X, y, splits = task
    running = compare_extractors(
        {"one": Loudness(), "two": LearntLoudness()}, X, y, splits=splits, draws=1
    )
    assert not calls
    assert next(running).extractor == "one"
    assert len(calls) == 3
    assert next(running).extractor == "two"


def test_progress(task):
    texts = []
    compare({"level": Loudness()}, task, draws=2, progress=texts.append)
    assert texts[:2] == [
        "level, draw 1 of 2: features",
        "level, draw 1 of 2: classifier, split 1 of 4",
    ]
    assert texts[-1] == "level, draw 2 of 2: classifier, split 4 of 4"


def test_finished_rows_are_taken_over(task, calls):
    X, y, splits = task
    (row,) = compare({"level": Loudness(noise=0.1)}, task)
    del calls[:]
    (again,) = compare({"renamed": Loudness(noise=0.1, random_state=4)}, task, finished=[row])
    assert not calls and again == replace(row, extractor="renamed")

    changed = [
        ({"x": Loudness(noise=0.2)}, task, {}),
        ({"x": LearntLoudness(noise=0.1)}, task, {}),
        ({"x": Loudness(noise=0.1)}, task, {"draws": 2}),
        ({"x": Loudness(noise=0.1)}, task, {"random_state": 1}),
        ({"x": Loudness(noise=0.1)}, task, {"classifier": KNeighborsClassifier(5)}),
        ({"x": Loudness(noise=0.1)}, ([*X[:-1], X[-1] * 2], y, splits), {}),
        ({"x": Loudness(noise=0.1)}, (X, np.where(y == "loud", "LOUD", y), splits), {}),
        ({"x": Loudness(noise=0.1)}, (X, y, splits[::-1]), {}),
    ]
    for extractors, other_task, params in changed:
        del calls[:]
        compare(extractors, other_task, finished=[row], **params)
        assert calls, (extractors, params)


def test_running_parameters_leave_the_configuration(task):
    extractor = MFCCTransformer(sample_rate=100, n_fft=64, hop_length=32, n_mels=20)
    (row,) = compare({"mfcc": extractor}, task)
    other = clone(extractor).set_params(batch_size=5, verbose=0, on_error="skip", n_jobs=2)
    (again,) = compare({"mfcc": other}, task, finished=[row])
    assert again == row
    (changed,) = compare({"mfcc": extractor.set_params(n_mfcc=13)}, task, finished=[row])
    assert changed.configuration != row.configuration


def test_paths_and_segments(tmp_path, task):
    X, y, splits = task
    paths = [tmp_path / f"{number}.wav" for number in range(30)]
    for path, clip in zip(paths, X, strict=True):
        soundfile.write(path, clip, 100, subtype="FLOAT")
    segments = [AudioFile(path, 0.1, 0.5) for path in paths]
    mfcc = MFCCTransformer(sample_rate=100, n_fft=64, hop_length=32, n_mels=20)
    rows = {}
    for name, clips in (("arrays", X), ("paths", paths), ("segments", segments)):
        (rows[name],) = compare({"mfcc": mfcc}, (clips, y, splits))
    assert rows["paths"].accuracy == rows["arrays"].accuracy
    assert all(row.seconds_per_hour > 0 for row in rows.values())
    assert len({row.configuration for row in rows.values()}) == 3


def test_length_of_clips(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.zeros(150), 100)
    assert seconds(np.zeros(50), 100) == 0.5
    assert seconds(path, 16000) == seconds(str(path), None) == 1.5
    assert seconds(AudioFile(path, 0.5), 16000) == 1.0
    assert seconds(AudioFile(path, None, 0.25), 16000) == 0.25
    assert seconds(AudioFile(path, 1.0, 9.0), 16000) == 0.5


def test_wrong_input(task):
    X, y, splits = task
    one = {"level": Loudness()}
    with pytest.raises(ValueError, match="30 clips and y has shape"):
        compare_extractors(one, X, y[:-1], splits=splits)
    with pytest.raises(ValueError, match="splits is empty"):
        compare_extractors(one, X, y, splits=[])
    with pytest.raises(ValueError, match="Split 0 has 30 train and 0 test clips"):
        compare_extractors(one, X, y, splits=[(range(30), [])])
    with pytest.raises(ValueError, match="Split 1 has 2 clips on both sides, row 3 first"):
        compare_extractors(one, X, y, splits=[splits[0], ([1, 3, 4], [3, 4, 5])])
    with pytest.raises(ValueError, match="draws is 0"):
        compare_extractors(one, X, y, splits=splits, draws=0)
    with pytest.raises(ValueError, match="random_state is 'a'"):
        compare_extractors(one, X, y, splits=splits, random_state="a")


def test_csv_there_and_back(tmp_path, task):
    rows = compare({"a, with comma": Loudness(noise=0.1), "é": Loudness()}, task, data="x")
    rows.append(replace(rows[0], seconds_per_hour=float("inf")))
    write_rows(rows, tmp_path / "rows.csv")
    assert read_rows(tmp_path / "rows.csv") == rows
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_table_is_aligned_and_lazy():
    first = ComparisonRow("d", "MFCC", 0.5, 0.0, 0.25, 0.0, 0.1, 1, 120, 20.0)
    second = ComparisonRow("d", "vgg", 0.625, 0.01, 1.0, 0.0, 0.1, 3, 3585, 1234.56)
    lines = table_lines(iter([first, second]))
    assert next(lines).split() == ["extractor", "accuracy", "balanced", "features", "s/hour"]
    texts = list(lines)
    assert texts[0].split() == ["MFCC", "0.500", "0.250", "120", "20.0"]
    assert "0.625 ± 0.010" in texts[1] and "1.000 ± 0.000" in texts[1]
    assert len(texts[0]) == len(texts[1]) <= 80


def test_random_networks():
    networks = random_networks(sample_rate=8000, random_state=1)
    assert list(networks) == [
        "vgg",
        "single 7x86",
        "single 7x96",
        "timbral_temporal",
        "timbral",
        "temporal",
        "sample_level",
        "frame_level_many",
        "frame_level",
    ]
    assert networks["single 7x96"].kernel == (7, 96)
    assert {network.sample_rate for network in networks.values()} == {8000}


@pytest.fixture
def small_demo(monkeypatch):
    """The demonstration with few sounds and two quick extractors."""

    def few(random_state):
        return make_sounds(16, min_seconds=0.1, max_seconds=0.1, random_state=random_state)

    monkeypatch.setattr("skaudio.datasets.make_sounds", few)
    monkeypatch.setattr(
        "skaudio.__main__._demo_extractors",
        lambda rate: {"MFCC": MFCCTransformer(sample_rate=rate), "level": Loudness(rate)},
    )


def test_demo(small_demo, tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    assert skaudio.__main__.main(["compare", "--demo", "--out", str(out), "--draws", "2"]) == 0
    rows = read_rows(out / "compare.csv")
    assert [(row.data, row.extractor, row.draws) for row in rows] == [
        ("make_sounds", "MFCC", 1),
        ("make_sounds", "level", 2),
    ]
    text = capsys.readouterr().out
    for line in table_lines(rows):
        assert line in text
    assert str(out / "compare.csv") in text and str(out / "compare.png") in text
    assert (out / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_demo_without_matplotlib(small_demo, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    assert skaudio.__main__.main(["compare", "--demo", "--out", str(tmp_path)]) == 0
    assert "pip install skaudio[plot]" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["compare.csv"]


def test_interrupted_demo_keeps_its_rows(small_demo, tmp_path, capsys, monkeypatch):
    def transform(self, X):
        raise KeyboardInterrupt

    monkeypatch.setattr(Loudness, "transform", transform)
    assert skaudio.__main__.main(["compare", "--demo", "--out", str(tmp_path)]) == 130
    assert [row.extractor for row in read_rows(tmp_path / "compare.csv")] == ["MFCC"]
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "COMMAND"),
        (["compare"], "--demo"),
        (["compare", "--demo", "--draws", "0"], "0 is not at least 1"),
        (["dance"], "invalid choice"),
    ],
)
def test_wrong_words(words, message, capsys):
    with pytest.raises(SystemExit) as stop:
        skaudio.__main__.main(words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_help_loads_nothing_heavy():
    code = (
        "import sys, skaudio.__main__ as m\n"
        "try: m.main(['--version'])\n"
        "except SystemExit: pass\n"
        "print({'torch', 'sklearn', 'librosa', 'matplotlib'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines() == [f"skaudio {skaudio.__version__}", "set()"]


def test_python_m():
    words = [sys.executable, "-m", "skaudio", "compare", "--help"]
    out = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "--demo" in out.stdout and "--out DIR" in out.stdout


def test_standard_svm_is_the_model_it_names(rng):
    # predictions and decision values of the plain pipeline, on more classes than two
    X = rng.standard_normal((300, 700)).astype(np.float32)
    X[:, 3] = 1.0  # a constant feature: the variance that gamma="scale" takes is not 1
    y = rng.integers(5, size=300)
    X[:, :40] += y[:, None]
    train, test = np.arange(200), np.arange(200, 300)
    fast = standard_svm().fit(X[train], y[train])
    plain = make_pipeline(StandardScaler(), SVC(C=8)).fit(X[train], y[train])
    assert_array_equal(fast.predict(X[test]), plain.predict(X[test]))
    difference = fast.decision_function(X[test]) - plain.decision_function(X[test])
    assert np.abs(difference).max() < 1e-3
