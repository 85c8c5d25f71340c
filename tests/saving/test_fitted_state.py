"""What `fit` leaves, of any type and of any class: the estimators say themselves what it is."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import skops.io
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from torch import nn

from skaudio import ELMClassifier, ELMRegressor, RandomCNNTransformer, load
from skaudio._engine import weights
from skaudio.training import Classification, ClassificationMixin
from tests.saving.helpers import SMALL, assert_refused, assert_same_value, rewrite

pytestmark = pytest.mark.filterwarnings("ignore:.*and were padded:UserWarning")


class Counting(RandomCNNTransformer):
    """An extractor of somebody else, whose network holds more than float32."""

    def __init__(self, n_filters=2, random_state=0, device="cpu"):
        super().__init__(**SMALL, n_filters=n_filters, random_state=random_state, device=device)

    def _network(self, generator):
        network = super()._network(generator)
        network.norm = nn.BatchNorm1d(3)
        network.register_buffer("used", torch.tensor([[True, False]]))
        network.register_buffer("steps", torch.arange(2.0, dtype=torch.float64))
        return network


class Strict(Counting):
    """One that is fitted only with an even count."""

    def _check_fitted_state(self):
        super()._check_fitted_state()
        if self.weights_["norm.num_batches_tracked"] % 2:
            raise ValueError("the count is odd")


COUNT = "norm.num_batches_tracked"
HEAD = "head.1.weight"


class Naming(ClassificationMixin, Counting):
    """One that is trained on labels, and has a head beside its network."""

    max_epochs = 1

    def _task(self, network, y):
        front = self._frontend(network)
        return Classification(network, len(self.classes_), front, pooling=self.pooling, y=y)


def in_folder(path, estimator):
    estimator.save(path)
    return path


def in_file(path, estimator):
    skops.io.dump(estimator, path.with_suffix(".skops"))
    return path.with_suffix(".skops")


both_ways = pytest.mark.parametrize("write", [in_folder, in_file])


@pytest.fixture
def counting(clips):
    extractor = Counting().fit(clips)
    extractor.weights_[COUNT] = np.array(8)
    return extractor


@both_ways
def test_weights_of_any_type_come_back(tmp_path, clips, counting, write):
    back = load(write(tmp_path / "saved", counting), trusted=[Counting])
    assert_same_value(back.weights_, counting.weights_)
    found = [(str(back.weights_[name].dtype), back.weights_[name].shape) for name in
             (COUNT, "used", "steps")]  # fmt: skip
    assert found == [("int64", ()), ("bool", (1, 2)), ("float64", (2,))]
    network = weights.load(back._network(None), back.weights_)
    assert network.norm.num_batches_tracked == 8
    np.testing.assert_array_equal(back.transform(clips), counting.transform(clips), strict=True)


@pytest.fixture
def naming(clips):
    return Naming().fit(clips, np.arange(len(clips)) % 2)


@both_ways
def test_weights_beside_the_network_come_back(tmp_path, clips, naming, write):
    back = load(write(tmp_path / "saved", naming), trusted=[Naming])
    assert_same_value(back.task_weights_, naming.task_weights_)
    counts = {name: w for name, w in back.task_weights_.items() if w.dtype == "int64"}
    assert [*counts] == ["head.0.num_batches_tracked"] and all(counts.values())
    np.testing.assert_array_equal(back.predict_proba(clips), naming.predict_proba(clips))


@both_ways
@pytest.mark.parametrize(
    ("name", "value"),
    [(COUNT, np.array(8.0, np.float32)), (COUNT, np.array([8])), ("steps", np.zeros(2, "f4"))],
)
def test_weights_of_another_type_are_refused(tmp_path, counting, write, name, value):
    def change(document, arrays):
        arrays[f"weights_/{name}"] = value
        described = {"array": f"{value.dtype} {value.shape}"}
        document["state"]["weights_"]["dict"][name] = described

    if write is in_folder:
        path = in_folder(tmp_path / "saved", counting)
        rewrite(path, change)
    counting.weights_[name] = value
    if write is in_file:
        path = in_file(tmp_path / "saved", counting)
    with pytest.raises(ValueError, match=rf"weights_ does not fit the parameters: {name}"):
        load(path, trusted=[Counting])
    with pytest.raises(ValueError, match=rf"cannot be saved: weights_ does not fit .* {name}"):
        counting.save(tmp_path / "again")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda heads: [*heads.values()], "task_weights_ is no dict of arrays by name"),
        (lambda heads: {}, "task_weights_ does not fit the parameters: head"),
        (lambda heads: {**heads, HEAD: 3}, f"task_weights_ does not fit the parameters: {HEAD}"),
        (lambda heads: {**heads, HEAD: heads[HEAD][:1]}, f"task_weights_ does not fit .*{HEAD}"),
        (lambda heads: {**heads, HEAD: heads[HEAD] * np.nan}, f"{HEAD} holds NaN or infinity"),
    ],
)
def test_what_are_no_weights_is_refused(tmp_path, naming, change, reason):
    naming.task_weights_ = change(naming.task_weights_)
    with pytest.raises(ValueError, match=reason):
        load(in_file(tmp_path / "saved", naming), trusted=[Naming])
    with pytest.raises(ValueError, match=reason):
        naming.save(tmp_path / "saved")


# --- classes of others ---------------------------------------------------------------------------


@both_ways
def test_a_class_is_asked_whether_it_is_fitted(tmp_path, clips, write):
    strict = Strict().fit(clips)
    path = write(tmp_path / "even", strict)
    assert load(path, trusted=[Strict]).weights_[COUNT] == 0
    strict.weights_[COUNT] = np.array(1)
    with pytest.raises(ValueError, match="Strict cannot be saved: the count is odd; "):
        strict.save(tmp_path / "odd")
    if write is in_folder:
        rewrite(path, lambda document, arrays: arrays[f"weights_/{COUNT}"].fill(1))
    else:
        in_file(path, strict)
    with pytest.raises(ValueError, match="cannot be loaded: the count is odd; "):
        load(path, trusted=[Strict])


class Lookalike(BaseEstimator):
    """No estimator of skaudio, though an attribute is called as one of theirs."""

    _learnt_arrays = _check_fitted_state = None


def test_nobody_else_is_asked(tmp_path):
    other = Lookalike()
    other.coef_ = 3
    path = in_file(tmp_path / "saved", other)
    assert load(path, trusted=[Lookalike]).coef_ == 3


THEIRS = """
from skaudio import MFCCTransformer

class Theirs(MFCCTransformer):
    def __init__(self, gain=2.0, sample_rate=8000, n_mfcc=5, device="cpu"):
        super().__init__(sample_rate=sample_rate, n_mfcc=n_mfcc, device=device)
        self.gain = gain
"""
REFUSED_THEN_TRUSTED = """
import sys
import numpy as np, skops.io
from skaudio import load
name, saved = sys.argv[1], sys.argv[2]
try:
    load(saved)
except ValueError as error:
    print(error)
print("their_module" in sys.modules)
trusted = name
if name == "class":
    import their_module
    trusted = their_module.Theirs
back = load(saved, trusted=[trusted])
print(type(back).__module__, type(back).__name__, back.gain, back.n_features_out_)
"""


@both_ways
@pytest.mark.parametrize("trusted", ["class", "their_module.Theirs"])
def test_a_module_of_others_in_another_process(tmp_path, monkeypatch, clips, write, trusted):
    (tmp_path / "their_module.py").write_text(textwrap.dedent(THEIRS))
    monkeypatch.syspath_prepend(tmp_path)
    from their_module import Theirs

    path = write(tmp_path / "saved", Theirs(gain=3.0).fit(clips))
    monkeypatch.delitem(sys.modules, "their_module")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    run = [sys.executable, "-c", REFUSED_THEN_TRUSTED, trusted, str(path)]
    printed = subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()
    advice = "if you know what that is, and who made the file, pass trusted=['their_module.Theirs']"
    assert printed == [
        f"{path} cannot be loaded: it needs their_module.Theirs, which skaudio does not trust; "
        f"{advice}",
        "False",  # to refuse it, nothing of it was run
        "their_module Theirs 3.0 30",  # 5 coefficients and their deltas, 2 statistics of each
    ]


def test_a_trusted_module_that_is_not_there(folder):
    rewrite(folder, lambda document, arrays: document.update({"class": "no_module.Theirs"}))
    with pytest.raises(ValueError, match="cannot be loaded: No module named 'no_module'; "):
        load(folder, trusted=["no_module.Theirs"])


# --- extreme learning machines -------------------------------------------------------------------


@pytest.fixture
def rows(rng):
    return rng.standard_normal((30, 4)), np.repeat([0, 1, 2], 10)


def machines(X, y):
    options = {"n_hidden": 8, "random_state": 0}
    return [
        ELMClassifier(**options).fit(X, y),
        ELMClassifier(**options).fit(X, y > 0),
        ELMClassifier(**options).fit(X, (X[:, :2] > 0).astype(int)),
        ELMRegressor(**options, fit_intercept=True).fit(X, X[:, 0]),
        ELMRegressor(**options, fit_intercept=True).fit(X, X[:, :2]),
        ELMRegressor(n_hidden=np.int64(8), alpha=np.float32(2), random_state=0).fit(X, X[:, :1]),
    ]


@both_ways
def test_machines_of_every_kind_come_back(tmp_path, rows, write):
    for i, machine in enumerate(machines(*rows)):
        back = load(write(tmp_path / f"saved{i}", machine))
        np.testing.assert_array_equal(back.predict(rows[0]), machine.predict(rows[0]))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("coef_", np.ones((3, 7)), r"coef_ is float64 \(3, 7\), not float64 \(3, 8\)"),
        ("coef_", np.ones((4, 8)), r"sums_ is float64 \(12, 12\), not float64 \(13, 13\)"),
        ("coef_", np.ones((3, 8), np.float32), r"coef_ is float32 \(3, 8\), not float64"),
        ("coef_", None, "the array coef_ is missing"),
        ("sums_", np.ones((12, 11)), r"sums_ is float64 \(12, 11\), not float64 \(12, 12\)"),
        ("hidden_coef_", np.ones((5, 8)), r"hidden_coef_ is .* \(5, 8\), not float64 \(4, 8\)"),
        ("n_hidden", 9, r"hidden_coef_ is float64 \(4, 8\), not float64 \(4, 9\)"),
        ("intercept_", np.ones(2), r"intercept_=array\(\[1., 1.\]\) does not fit coef_"),
        ("intercept_", 3, "intercept_=3 does not fit coef_"),
        ("classes_", np.arange(4), r"classes_=array\(\[0, 1, 2, 3\]\) does not fit coef_"),
        ("classes_", np.arange(2), r"classes_=array\(\[0, 1\]\) does not fit coef_"),
        ("classes_", 3, "classes_=3 does not fit coef_"),
    ],
)  # fmt: skip
def test_damaged_machines_are_refused(tmp_path, rows, name, value, reason):
    machine = machines(*rows)[0]
    setattr(machine, name, value)
    with pytest.raises(ValueError, match=reason):
        machine.save(tmp_path / "saved")
    assert_refused(in_file(tmp_path / "saved", machine), reason)


def test_unfitted_estimators_say_so():
    for estimator in (RandomCNNTransformer(), ELMClassifier(), ELMRegressor()):
        with pytest.raises(NotFittedError):
            estimator._check_fitted_state()
