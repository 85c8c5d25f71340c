"""What parameters are told apart by."""

import enum
import functools
import math
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import scipy.special
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, f1_score, make_scorer
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from skaudio import ELMClassifier, MFCCTransformer, RandomCNNTransformer
from skaudio._engine.content import Unidentifiable, content, described
from skaudio.base import RUNNING_PARAMETERS
from skaudio.compare import TunedELM, standard_svm


class Colour(enum.Enum):
    RED, BLUE = 1, 2


class Doubler:
    """An object with content."""

    def __init__(self, times=2):
        self.times = times

    def __call__(self, x):
        return self.times * x


class Holder(BaseEstimator):
    """Takes anything."""

    def __init__(self, some=None, steps=None, batch_size=None):
        self.some = some
        self.steps = steps
        self.batch_size = batch_size


def double(x):
    return 2 * x


def triple(x):
    return 3 * x


def local(times):
    def scale(x):
        return times * x

    return scale


def fitted(scale):
    return StandardScaler().fit(scale * np.arange(6.0).reshape(3, 2))


def long(middle):
    array = np.zeros(10_000)
    array[5000] = middle
    return array


DIFFERENT = {
    "numbers": (1, 1.0, True, np.float32(1), np.float64(1), "1", b"1", 1j),
    "long arrays": (long(0), long(1), long(0).astype("f4"), long(0).reshape(2, -1), [*long(0)]),
    "arrays of objects": (np.array([1, "a"], object), np.array([1, "b"], object)),
    "containers": ([1], (1,), {1}, frozenset({1}), {1: 1}, [[1]], [1, 1]),
    "slices": (slice(1), slice(2), range(1), range(2)),
    "functions": (double, triple, math.sqrt, np.sin, np.cos, np.take, scipy.special.erf, len),
    "methods": (Doubler().__call__, Doubler(3).__call__, str.upper, str.lower),
    "fitted methods": (fitted(1).transform, fitted(2).transform),
    "partials": tuple(functools.partial(*args) for args in ((pow, 2), (pow, 3), (double, 2))),
    "keywords of partials": tuple(functools.partial(np.take, axis=axis) for axis in (0, 1)),
    "classes": (int, float, Doubler, Colour, SVC, np.float32),
    "enums": (Colour.RED, Colour.BLUE),
    "dtypes": (np.dtype("f4"), np.dtype("f8"), np.dtype([("a", "f4")])),
    "paths": (Path("a"), Path("b"), "a"),
    "objects": (Doubler(2), Doubler(3), KFold(3), StratifiedKFold(3), StratifiedKFold(4)),
    "scorers": (make_scorer(accuracy_score), make_scorer(f1_score)),
    "states": tuple(np.random.RandomState(seed) for seed in (0, 1)),
    "generators": tuple(np.random.default_rng(seed) for seed in (0, 1)),
    "sparse": tuple(scipy.sparse.csr_matrix([[0, value]]) for value in (1, 2)),
    "estimators": (StandardScaler(), StandardScaler(with_std=False), MinMaxScaler()),
    "frozen estimators": (FrozenEstimator(fitted(1)), FrozenEstimator(fitted(2))),
    "lists of estimators": tuple([("a", kind)] for kind in (StandardScaler(), MinMaxScaler())),
}


@pytest.mark.parametrize("values", DIFFERENT.values(), ids=DIFFERENT)
def test_different_content_has_different_text(values):
    texts = [content(value) for value in values]
    assert len({*texts}) == len(texts), texts
    assert texts == [content(value) for value in values]
    texts = [str(described(Holder(value))) for value in values]
    assert len({*texts}) == len(texts), texts


def test_another_process_finds_the_same_text():
    program = "from tests.engine.test_content import *; print(text())"
    seeds = [{"PYTHONHASHSEED": seed} for seed in "12"]
    run = functools.partial(subprocess.run, check=True, capture_output=True, text=True)
    texts = {run([sys.executable, "-c", program], env={**os.environ, **s}).stdout for s in seeds}
    assert texts == {text() + "\n"}


def text():
    some = [
        {*"abcdef"},
        double,
        Doubler,
        np.arange(5),
        KFold(3),
        is_vowel,
        np.random.RandomState(0),
    ]
    return content(some)


def is_vowel(letter):
    return letter in {"a", "e", "i", "o", "u"}


def test_an_edited_function_is_another_one(monkeypatch):
    def edited(x):
        return 5 * x

    def with_default(x, y=1):
        return 2 * x

    texts = {content(double)}
    for new in (edited, with_default):
        monkeypatch.setattr(double, "__code__", new.__code__)
        monkeypatch.setattr(double, "__defaults__", new.__defaults__)
        texts |= {content(double)}
    assert len(texts) == 3


TIMES = 2


def helper(x):
    return TIMES * x


def helped(x):
    return [helper(part) for part in x]


class Helped(BaseEstimator):
    def transform(self, X):
        return helped(X)


@pytest.mark.parametrize("value", [helped, Helped, Helped()], ids=["function", "class", "object"])
def test_what_a_function_finds_in_its_module_counts(monkeypatch, value):
    texts = {content(value)}
    monkeypatch.setattr(sys.modules[__name__], "TIMES", 3)
    texts |= {content(value)}
    monkeypatch.setattr(sys.modules[__name__], "helper", triple)
    texts |= {content(value)}
    assert len(texts) == 3


def test_an_edited_class_is_another_one(monkeypatch):
    before = content(Doubler())
    monkeypatch.setattr(Doubler, "__call__", lambda self, x: x)
    assert content(Doubler()) != before


def test_classes_of_one_name_in_two_modules(monkeypatch):
    assert described(SVC())[0] == "SVC"
    other = type("SVC", (BaseEstimator,), {"__module__": __name__})
    monkeypatch.setattr(sys.modules[__name__], "SVC", other)
    assert described(other())[0].startswith(f"{__name__}.SVC#")


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (lambda x: x, "is a lambda"),
        (local(2), "is local.<locals>.scale, defined on the spot"),
        (functools.partial(local(2)), "is local.<locals>.scale"),
        (functools.partial(pow, key=lambda x: x), "is a lambda"),
        ([{"a": (lambda x: x,)}], "is a lambda"),
        (np.array([lambda x: x], object), "is a lambda"),
        (np.frompyfunc(double, 1, 1), r"is double \(vectorized\), defined on the spot"),
        (np.vectorize(lambda x: x), "is a lambda"),
        (type("Local", (), {}), "is of class Local"),
        (type("Local", (), {})(), "is of class Local"),
        (object(), "is a object, an object without content"),
        (threading.Lock(), "is a lock, an object without content"),
        ((x for x in ()), "is a generator, an object without content"),
        (sys, "is a module, an object without content"),
        (make_scorer(lambda *args: 0), "is a lambda"),
    ],
)
def test_what_has_no_content_is_refused(value, what):
    with pytest.raises(
        Unidentifiable, match=f"^parameter some {what}.*, which cannot be identified"
    ):
        described(Holder(value))


def test_what_holds_itself_is_refused():
    loop = []
    loop.append(loop)
    ring = Doubler()
    ring.times = ring
    for value in (loop, ring):
        with pytest.raises(Unidentifiable, match="holds itself"):
            described(Holder(value))


def test_a_redefined_function_is_refused(monkeypatch):
    old = double
    monkeypatch.setattr(sys.modules[__name__], "double", triple)
    with pytest.raises(Unidentifiable, match="double, defined on the spot"):
        content(old)


def test_parameters_of_estimators_within_estimators():
    def kinds(scaler):
        yield make_pipeline(scaler, SVC())
        yield make_union(scaler)
        yield FeatureUnion([("a", scaler)], transformer_weights={"a": 2})
        yield ColumnTransformer([("a", scaler, slice(2))])
        yield Holder([scaler])
        yield Holder({"a": make_pipeline(scaler)})

    texts = [str(described(k)) for s in (StandardScaler(), MinMaxScaler()) for k in kinds(s)]
    texts += [str(described(k)) for k in kinds(StandardScaler(with_mean=False))]
    assert len({*texts}) == len(texts)


def test_columns_of_a_transformer_count():
    columns = ([0, 1], slice(2), ["a"], np.arange(2))
    texts = [str(described(ColumnTransformer([("a", SVC(), some)]))) for some in columns]
    assert len({*texts}) == len(texts)


def test_the_order_of_steps_counts():
    one, other = StandardScaler(), MinMaxScaler()
    assert described(make_pipeline(one, other)) != described(make_pipeline(other, one))
    svm = standard_svm()
    turned = make_pipeline(*(step for _, step in [svm.steps[1], svm.steps[0], svm.steps[2]]))
    assert described(svm) != described(turned)


def test_a_parameter_named_steps_counts():
    assert described(Holder(steps=1)) != described(Holder(steps=2))


def test_running_parameters_are_left_out():
    def text(estimator):
        return described(estimator, {*RUNNING_PARAMETERS})

    for kind in (MFCCTransformer, lambda **params: make_pipeline(MFCCTransformer(**params))):
        assert text(kind(batch_size=3, n_jobs=2, memory=object())) == text(kind())
    assert text(Holder([MFCCTransformer(n_jobs=2)])) == text(Holder([MFCCTransformer()]))
    # what a network learns depends on the size of its batches
    for kind in (lambda size: Holder(batch_size=size), lambda size: MLPClassifier(batch_size=size)):
        assert text(kind(1)) != text(kind(2))
        assert text(make_pipeline(kind(1))) != text(make_pipeline(kind(2)))


def test_keys_of_earlier_runs_are_found():
    assert described(MFCCTransformer(pooling=("mean", "std")), {*RUNNING_PARAMETERS}) == [
        "MFCCTransformer",
        ("delta", "'difference'"),
        ("fmax", "None"),
        ("fmin", "0.0"),
        ("hop_length", "512"),
        ("n_deltas", "2"),
        ("n_fft", "2048"),
        ("n_mels", "128"),
        ("n_mfcc", "20"),
        ("pooling", "('mean', 'std')"),
        ("sample_rate", "16000"),
        ("top_db", "80.0"),
    ]
    wanted = {"kernel": "(7, 86)", "temporal_kernels": "(165, 128, 64, 32)"}
    wanted["pools"] = "((2, 2), (2, 3), (2, 2), (2, 2), (4, 4))"
    cnn = described(RandomCNNTransformer())
    assert cnn[0] == "RandomCNNTransformer" and wanted.items() <= dict(cnn[1:]).items()
    # blocks are left out by a comparison, which tells them
    assert described(TunedELM(), {"random_state", "blocks"}) == [
        "TunedELM",
        ("alpha", "(1.0, 10.0, 100.0)"),
        ("cv", "None"),
        ("n_hidden", "(100, 250, 500, 1200, 1800, 2500)"),
    ]
    svm = described(standard_svm(), {*RUNNING_PARAMETERS})
    assert svm[:2] == ["Pipeline", ("rbfkernel", "'RBFKernel'")]
    assert ("standardscaler", "'StandardScaler'") in svm
    assert dict(svm[1:])["steps"] == "['standardscaler', 'rbfkernel', 'svc']"


def test_activations_of_machines_are_told_apart():
    assert described(ELMClassifier(activation=np.tanh)) != described(
        ELMClassifier(activation=np.sin)
    )
    with pytest.raises(Unidentifiable, match="parameter activation is a lambda"):
        described(ELMClassifier(activation=lambda x: x))
