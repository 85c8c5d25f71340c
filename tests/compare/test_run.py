"""Extractors and classifiers under splits: scores, seeds, leaks, and what is taken over."""

import itertools
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import soundfile
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from skaudio import (
    AudioFile,
    ELMClassifier,
    MFCCTransformer,
    ProsodyTransformer,
    RandomCNNTransformer,
    Wav2VecTransformer,
    feature_blocks,
)
from skaudio.audio import Clips
from skaudio.compare import (
    TunedELM,
    TunedSVM,
    compare_extractors,
    fit_classifier,
    inner_folds,
    random_networks,
    standard_extractors,
    trained_networks,
)
from skaudio.compare._features import _seconds
from tests.compare.spies import LearntLoudness, Loudness, SpyClassifier, UnknownLoudness
from tests.pretrained.checkpoints import network, old

MFCC = MFCCTransformer(sample_rate=100, n_fft=64, hop_length=32, n_mels=20)


# --- scores --------------------------------------------------------------------------------------


def test_scores_are_those_of_cross_validation(task, compare):
    X, y, splits = task
    (row,) = compare({"level": Loudness(noise=0.02)}, task, draws=3, random_state=5, data="levels")
    accuracies, balanced, confusion = [], [], 0
    for seed in (5, 6, 7):
        Z = Loudness(noise=0.02, random_state=seed).fit(X).transform(X)
        predicted = cross_val_predict(KNeighborsClassifier(3), Z, y, cv=splits)
        accuracies.append(np.mean(predicted == y))
        balanced.append(np.mean([np.mean(predicted[y == name] == name) for name in set(y)]))
        confusion += confusion_matrix(y, predicted)
    assert np.std(accuracies) > 0
    assert_allclose(
        [row.accuracy, row.accuracy_std, row.balanced_accuracy, row.balanced_accuracy_std],
        [np.mean(accuracies), np.std(accuracies), np.mean(balanced), np.std(balanced)],
    )
    assert row.confusion == confusion.tolist()
    dummy = cross_val_predict(DummyClassifier(), np.zeros((30, 1)), y, cv=splits)
    assert row.chance == np.mean(dummy == y)
    assert (row.data, row.extractor, row.classifier) == ("levels", "level", "nearest")
    assert (row.draws, row.n_features) == (3, 2)
    assert row.seconds_per_hour > 0


def test_a_row_for_each_extractor_and_classifier(task, compare):
    classifiers = {"3": KNeighborsClassifier(3), "dummy": DummyClassifier()}
    extractors = {"a": Loudness(), "b": LearntLoudness()}
    rows = compare(extractors, task, classifiers=classifiers, draws=1)
    names = [(row.extractor, row.classifier) for row in rows]
    assert names == [("a", "3"), ("a", "dummy"), ("b", "3"), ("b", "dummy")]
    assert rows[1].accuracy == rows[1].chance < rows[0].accuracy


def test_default_classifiers_are_the_tuned_ones(task, compare):
    named = {"SVM": TunedSVM(), "ELM": TunedELM()}
    extractors = {"level": Loudness(noise=0.2)}
    default, given = (compare(extractors, task, classifiers=c, draws=1) for c in (None, named))
    assert [replace(row, seconds_per_hour=0) for row in default] == [
        replace(row, seconds_per_hour=0) for row in given
    ]


def test_rows_come_as_they_are_ready(task, calls):
    X, y, splits = task
    extractors = {"one": Loudness(), "two": LearntLoudness()}
    classifiers = {"nearest": KNeighborsClassifier(3)}
    running = compare_extractors(extractors, X, y, splits=splits, classifiers=classifiers, draws=1)
    assert not calls
    assert next(running).extractor == "one"
    assert len(calls) == 3
    assert next(running).extractor == "two"


def test_progress(task, compare):
    texts = []
    compare({"level": Loudness()}, task, draws=2, progress=texts.append)
    assert texts[:2] == [
        "level, draw 1 of 2: features",
        "level, draw 1 of 2: nearest, split 1 of 4",
    ]
    assert texts[-1] == "level, draw 2 of 2: nearest, split 4 of 4"


# --- features ------------------------------------------------------------------------------------


def test_features_are_extracted_once_per_draw_for_all_classifiers(task, compare, calls):
    classifiers = {"1": KNeighborsClassifier(1), "3": KNeighborsClassifier(3)}
    compare({"level": Loudness()}, task, classifiers=classifiers, draws=2)
    # the single clip comes before the clock starts
    once = ("fit", 30), ("transform", 1), ("transform", 30)
    assert calls == [(*call, seed) for seed in (0, 1) for call in once]


@pytest.mark.parametrize("kind", [LearntLoudness, UnknownLoudness])
def test_learning_extractors_never_see_a_test_clip(kind, task, compare, calls):
    classifiers = {"1": KNeighborsClassifier(1), "3": KNeighborsClassifier(3)}
    compare({"level": kind()}, task, classifiers=classifiers, draws=1)
    sizes = [(30 - n, n) for n in (5, 7, 8, 10)]
    assert [number for what, number, _ in calls if what == "fit"] == [train for train, _ in sizes]
    transformed = [number for what, number, _ in calls if what == "transform" and number > 1]
    assert transformed == [number for pair in sizes for number in pair]


def test_pipelines(task, compare, calls):
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
def test_which_extractors_learn(extractor, learns, task, compare, monkeypatch):
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


def test_extractors_and_classifiers_stay_as_they_are(task, compare):
    extractor, classifier = Loudness(random_state=9), TunedELM(n_hidden=(5,), random_state=9)
    compare({"level": extractor}, task, classifiers={"ELM": classifier})
    assert extractor.random_state == classifier.random_state == 9 and classifier.cv is None
    assert not hasattr(extractor, "seen_") and not hasattr(classifier, "classes_")


def test_paths_and_segments(tmp_path, task, compare):
    X, y, splits = task
    paths = [tmp_path / f"{number}.wav" for number in range(30)]
    for path, clip in zip(paths, X, strict=True):
        soundfile.write(path, clip, 100, subtype="FLOAT")
    segments = [AudioFile(path, 0.1, 0.5) for path in paths]
    rows = {}
    for name, clips in (("arrays", X), ("paths", paths), ("segments", segments)):
        (rows[name],) = compare({"mfcc": MFCC}, (clips, y, splits))
    assert rows["paths"].accuracy == rows["arrays"].accuracy
    assert all(row.seconds_per_hour > 0 for row in rows.values())
    assert len({row.configuration for row in rows.values()}) == 3


def test_length_of_clips(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.zeros(150), 100)

    def seconds(clip, sample_rate):
        return _seconds(Clips([clip], sample_rate), 0)

    assert seconds(np.zeros(50), 100) == 0.5
    assert seconds(path, 16000) == seconds(str(path), None) == 1.5
    assert seconds(AudioFile(path, 0.5), 16000) == 1.0
    assert seconds(AudioFile(path, None, 0.25), 16000) == 0.25
    assert seconds(AudioFile(path, 1.0, 9.0), 16000) == 0.5


# --- seeds ---------------------------------------------------------------------------------------


def test_what_is_not_random_runs_once(task, compare):
    levels = FunctionTransformer(lambda X: np.array([[np.abs(clip).mean()] for clip in X]))
    (row,) = compare({"level": levels}, task)
    assert row.draws == 1 and row.accuracy_std == 0
    assert np.isnan(row.seconds_per_hour)  # nobody says the sample rate of the arrays


def test_random_classifiers_are_drawn_behind_a_fixed_extractor(task, compare, fits, monkeypatch):
    extracted = []
    transform = MFCCTransformer.transform

    def counted(self, X):
        extracted.append(len(X))
        return transform(self, X)

    monkeypatch.setattr(MFCCTransformer, "transform", counted)
    classifiers = {"drawn": SpyClassifier(random_state=0), "fixed": SpyClassifier()}
    drawn, fixed = compare({"mfcc": MFCC}, task, classifiers=classifiers, random_state=4)
    assert (drawn.draws, fixed.draws) == (3, 1)
    seeds = [call[-1] for call in fits if call[0] == "fit"]
    assert seeds == 4 * [4, None] + 4 * [5] + 4 * [6]
    assert extracted == [1, 30]


def test_extractor_and_classifier_take_the_same_seed(task, compare, calls, fits):
    compare({"level": Loudness()}, task, classifiers={"spy": SpyClassifier(random_state=0)})
    assert [seed for what, _, seed in calls if what == "fit"] == [0, 1, 2]
    assert [call[-1] for call in fits if call[0] == "fit"] == 4 * [0] + 4 * [1] + 4 * [2]


def test_fresh_seeds(task, compare, calls):
    compare({"level": Loudness()}, task, draws=2, random_state=None)
    compare({"level": Loudness()}, task, draws=2, random_state=None)
    assert len({seed for what, _, seed in calls if what == "fit"}) == 4


# --- leaks ---------------------------------------------------------------------------------------


def level_task(task):
    """The task with clips whose level is their row, and groups of two clips or one."""
    _, y, _ = task
    X = [np.full(50, row + 1.0) for row in range(30)]
    groups = np.arange(30) // 2
    folds = [np.flatnonzero(groups % 4 == fold) for fold in range(4)]
    return X, y, [(np.setdiff1d(np.arange(30), fold), fold) for fold in folds], groups


@pytest.mark.parametrize("kind", [Loudness, LearntLoudness])
def test_no_test_clip_enters_a_fit_or_the_choice_of_settings(kind, task, compare, fits):
    X, y, splits, groups = level_task(task)
    classifiers = {"spy": SpyClassifier()}
    compare({"level": kind()}, (X, y, splits), classifiers=classifiers, groups=groups, draws=1)
    for (train, test), fit, predict in zip(splits, fits[::2], fits[1::2], strict=True):
        _, Z, labels, folds, _ = fit
        assert_array_equal(Z[:, 0], train + 1.0)
        assert_array_equal(labels, y[train])
        assert_array_equal(predict[1][:, 0], test + 1.0)
        # settings are chosen in folds of the training part, which keep the groups apart too
        assert len(folds) == 3
        assert sorted(np.concatenate([valid for _, valid in folds])) == [*range(len(train))]
        for inside, valid in folds:
            assert not {*groups[train[inside]]} & {*groups[train[valid]]}


def test_given_folds_are_kept(fits):
    Z, y = np.zeros((4, 1)), np.array([0, 1, 0, 1])
    assert fit_classifier(SpyClassifier(cv=7), Z, y) and fits[0][3] == 7
    assert fit_classifier(KNeighborsClassifier(1), Z, y).classes_.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("y", "groups", "n_folds"),
    [
        ([0, 1] * 9, None, 3),
        ([0, 1] * 9, [0, 1, 2, 3, 4, 5] * 3, 3),
        ([0, 1] * 9, [0, 0, 1, 1, 1, 1] * 3, 2),  # fewer groups than folds
        ([0, 1] * 9, [5] * 18, 3),  # one group
        ([0, 1] * 9 + [2], None, 3),  # a class with one clip
        ([0, 1] * 9 + [2], [0, 1, 2] * 6 + [3], 3),
        ([*"aabb"], None, 2),  # fewer clips of each class than folds
        ([*"aabb"], [0, 0, 1, 1], 2),  # one class in each training part
        ([*"aabbc"], [0, 1, 2, 3, 4], 2),
    ],
)
def test_inner_folds(y, groups, n_folds):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folds = inner_folds(np.array(y), groups)
        again = inner_folds(y, groups)  # lists will do
    assert len(folds) == n_folds
    assert sorted(np.concatenate([valid for _, valid in folds])) == [*range(len(y))]
    for (train, valid), (same, _) in zip(folds, again, strict=True):
        assert_array_equal(train, same)
        assert len(train) + len(valid) == len(y) and len(valid)
        if groups is not None and len({*groups}) > 1:
            assert not {*np.array(groups)[train]} & {*np.array(groups)[valid]}


def test_groups_of_any_shape_are_kept_apart(rng):
    for _ in range(100):
        n = rng.integers(6, 40)
        y, groups = rng.integers(2, size=n), rng.integers(rng.integers(2, 9), size=n)
        y[:4], groups[:2] = (0, 0, 1, 1), (0, 1)
        for train, valid in inner_folds(y, groups):
            assert len(valid) and not {*groups[train]} & {*groups[valid]}


def test_inner_folds_of_single_clips():
    with pytest.raises(ValueError, match="each class has 1 clip to learn from"):
        inner_folds(["a", "b", "c"])


# --- finished rows -------------------------------------------------------------------------------


def test_finished_rows_are_taken_over(task, compare, calls):
    (row,) = compare({"level": Loudness(noise=0.1)}, task)
    del calls[:]
    (again,) = compare({"renamed": Loudness(noise=0.1, random_state=4)}, task, finished=[row])
    assert not calls and again == replace(row, extractor="renamed")


def test_only_the_missing_classifier_runs(task, compare, calls, fits):
    classifiers = {"spy": SpyClassifier(random_state=0), "nearest": KNeighborsClassifier(3)}
    extractors = {"level": Loudness(noise=0.1), "learnt": LearntLoudness()}
    whole = compare(extractors, task, classifiers=classifiers)
    del calls[:], fits[:]
    rows = compare(extractors, task, classifiers=classifiers, finished=[whole[0], whole[3]])
    without = [replace(row, seconds_per_hour=0) for row in rows]
    assert without == [replace(row, seconds_per_hour=0) for row in whole]
    assert rows[0] is not rows[1] and (rows[0], rows[3]) == (whole[0], whole[3])
    assert len([call for call in calls if call[0] == "fit"]) == 3 + 3 * 4
    assert len([call for call in fits if call[0] == "fit"]) == 3 * 4  # behind "learnt" alone


def test_what_decides_about_a_row_makes_a_new_configuration(task, compare, calls):
    X, y, splits = task
    groups = np.arange(30)
    extractors = {"x": Loudness(noise=0.1)}
    rows = compare(extractors, task, groups=groups)
    changed = [
        ({"x": Loudness(noise=0.2)}, task, {}),
        ({"x": LearntLoudness(noise=0.1)}, task, {}),
        (extractors, task, {"draws": 2}),
        (extractors, task, {"random_state": 1}),
        (extractors, task, {"classifiers": {"nearest": KNeighborsClassifier(5)}}),
        (extractors, task, {"groups": None}),
        (extractors, task, {"groups": groups[::-1]}),
        (extractors, ([*X[:-1], X[-1] * 2], y, splits), {}),
        (extractors, (X, np.where(y == "loud", "LOUD", y), splits), {}),
        (extractors, (X, y, splits[::-1]), {}),
        (extractors, (X, y, [splits[0][::-1], *splits[1:]]), {}),
    ]
    for others, other_task, params in changed:
        del calls[:]
        rows += compare(others, other_task, finished=rows, **{"groups": groups, **params})
        assert calls, (others, params)
    assert len({row.configuration for row in rows}) == len(changed) + 1


def test_files_may_move_but_not_change(tmp_path, task, compare):
    X, y, splits = task

    def row_of(folder, names, clips):
        folder.mkdir()
        paths = [folder / name for name in names]
        for path, clip in zip(paths, clips, strict=True):
            soundfile.write(path, clip, 100, subtype="PCM_16")  # a float file tells its time
        return compare({"mfcc": MFCC}, (paths, y, splits))[0]

    first = row_of(tmp_path / "one", [f"{i}.wav" for i in range(30)], X)
    moved = row_of(tmp_path / "two", [f"new{i}.wav" for i in range(30)], X)
    other = row_of(tmp_path / "three", [f"{i}.wav" for i in range(30)], [*X[:-1], X[-1] / 2])
    assert first.configuration == moved.configuration != other.configuration


def test_running_parameters_leave_the_configuration(task, compare):
    svm = TunedSVM(C=(1,), gamma=("auto",))
    (row,) = compare({"mfcc": MFCC}, task, classifiers={"SVM": svm})
    other = clone(MFCC).set_params(batch_size=5, verbose=0, on_error="skip", n_jobs=2)
    threads = {"SVM": clone(svm).set_params(n_jobs=2)}
    (again,) = compare({"mfcc": other}, task, classifiers=threads, finished=[row])
    assert again == row


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning")
def test_batch_size_of_a_classifier_counts(task, compare):
    keys = set()
    for size in (5, 10):
        network = {"net": MLPClassifier((2,), batch_size=size, max_iter=1)}
        keys |= {compare({"x": MFCC}, task, classifiers=network)[0].configuration}
    assert len(keys) == 2


def long(middle):
    """An array that is shown without its middle."""
    array = np.zeros(2000)
    array[1000] = middle
    return array


def scaled(Z, by):
    """Features times a number, or times numbers that are zero for all but one."""
    return Z * np.mean(by)


def behind(extractor, function, **params):
    return make_pipeline(extractor, FunctionTransformer(function, **params))


SAME_NAMES = {
    "lambdas": [behind(MFCC, f) for f in (lambda Z: Z, lambda Z: 0 * Z)],
    "partials": [behind(MFCC, partial(scaled, by=by)) for by in (1, 0)],
    "keywords": [behind(MFCC, scaled, kw_args={"by": long(middle)}) for middle in (1, 0)],
}


@pytest.mark.parametrize("extractors", SAME_NAMES.values(), ids=SAME_NAMES)
def test_parameters_of_the_same_name_are_told_apart(extractors, task, compare):
    first, second = compare(dict(zip("ab", extractors, strict=True)), task)
    assert first.accuracy > second.accuracy == second.chance  # of features that are all zero
    (again,) = compare({"b": extractors[1]}, task, finished=[first])
    assert again.accuracy == second.accuracy
    assert first.configuration != second.configuration


def test_what_cannot_be_told_apart_is_never_taken_over(task, compare, fits):
    classifiers = {"elm": ELMClassifier(5, activation=lambda Z: np.tanh(Z), random_state=0)}
    extractors = {"level": behind(MFCC, lambda Z: Z)}
    rows = compare(extractors, task, classifiers={**classifiers, "spy": SpyClassifier()})
    again = compare(extractors, task, classifiers={"spy": SpyClassifier()}, finished=rows)
    assert len(fits) == 16  # twice four folds, fit and predict
    assert len({row.configuration for row in (*rows, *again)}) == 3
    machines = [{"elm": ELMClassifier(5, activation=f)} for f in (np.tanh, lambda Z: 0 * Z)]
    tanh, zero = (compare({"x": MFCC}, task, classifiers=c, draws=1)[0] for c in machines)
    assert tanh.configuration != zero.configuration


def test_functions_with_a_name_are_taken_over(task, compare, fits):
    extractors = {"level": behind(MFCC, partial(scaled, by=2))}
    rows = compare(extractors, task, classifiers={"spy": SpyClassifier()})
    del fits[:]
    extractors = {"level": behind(MFCC, partial(scaled, by=2))}
    assert compare(extractors, task, classifiers={"spy": SpyClassifier()}, finished=rows) == rows
    assert not fits


# --- words ---------------------------------------------------------------------------------------


def test_wrong_input(task):
    X, y, splits = task
    one = {"level": Loudness()}
    with pytest.raises(ValueError, match="y has 29 entries for 30 clips"):
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


def test_standard_extractors():
    networks = random_networks(sample_rate=8000, random_state=1)
    assert networks["single 7x86"].kernel == (7, 86)
    assert networks["single 7x96"].kernel == (7, 96)
    every = standard_extractors(sample_rate=8000)
    assert [*every] == ["MFCC", *networks, "prosody + MFCC + vgg"]
    parts = [part for _, part in every.pop("prosody + MFCC + vgg").transformer_list]
    kinds = [ProsodyTransformer, MFCCTransformer, RandomCNNTransformer]
    assert [type(part) for part in parts] == kinds and parts[2].design == "vgg"
    assert len({*feature_blocks(parts[0].fit([np.ones(8)]))}) == 6
    assert {extractor.sample_rate for extractor in [*parts, *every.values()]} == {8000}
    designs = [network.design for network in networks.values()]
    assert [key for key, _ in itertools.groupby(designs)] == [
        "vgg",
        "single",
        "timbral_temporal",
        "timbral",
        "temporal",
        "sample_level",
        "frame_level_many",
        "frame_level",
    ]


def test_trained_networks():
    random, trained = random_networks(), trained_networks(max_minutes=3, sample_rate=8000)
    assert [*trained] == [f"trained {name}" for name in random]
    for (name, twin), untrained in zip(trained.items(), random.values(), strict=True):
        assert (twin.design, twin.kernel) == (untrained.design, untrained.kernel), name
        assert (twin.max_minutes, twin.sample_rate) == (3, 8000) and twin.learns_from_clips


def test_arrays_of_another_rate_are_other_clips(rng):
    waves, y = [0.1 * rng.standard_normal(4000) for _ in range(8)], np.tile([0, 1], 4)
    keys = set()
    for rate in (8000, 16000):
        (row,) = compare_extractors(
            {"MFCC": MFCCTransformer(sample_rate=8000)},
            [(wave, rate) for wave in waves],
            y,
            splits=[(range(4), range(4, 8))],
            classifiers={"SVM": SVC()},
        )
        assert np.isfinite(row.seconds_per_hour)
        keys.add(row.configuration)
    assert len(keys) == 2


def test_checkpoints_are_told_by_their_content(rng, tmp_path):
    X, y = [0.1 * rng.standard_normal(4000) for _ in range(8)], np.tile([0, 1], 4)
    path, keys = tmp_path / "wav2vec.pt", []
    layers = {"conv_feature_layers": "[(4, 10, 5)]", "conv_aggregator_layers": "[(4, 2, 1)]"}
    for _ in range(2):  # another network under the same name
        tensors = network([(4, 10, 5)], [(4, 2, 1)], n_steps=2).state_dict()
        torch.save(old({**layers, "prediction_steps": 2}, tensors), path)
        for _ in range(2):
            (row,) = compare_extractors(
                {"wav2vec": Wav2VecTransformer(pretrained=str(path))},
                X,
                y,
                splits=[(range(4), range(4, 8))],
                classifiers={"SVM": SVC()},
                draws=1,
            )
            keys.append(row.configuration)
    assert keys[0] == keys[1] != keys[2] == keys[3]
