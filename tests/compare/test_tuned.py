"""Tuned classifiers against scikit-learn's grid search and ridge regression."""

import pickle
import warnings

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GridSearchCV,
    PredefinedSplit,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from skaudio import ELMClassifier
from skaudio.compare import TunedELM, TunedSVM, standard_svm
from skaudio.compare._svm import CalibratedSVC

SMALL = {
    "C": (0.1, 2, 8),
    "gamma": (2**-3, 2**-7, 2**-11, "auto"),
}
BOTH = [TunedSVM(C=(1, 8), gamma=(0.1, "auto")), TunedELM(n_hidden=(10, 30), alpha=(0.1, 1.0))]


@pytest.fixture
def table():
    """150 rows of 60 features, far from zero and unlike in scale; three classes that overlap."""
    rng = np.random.default_rng(1)  # no row is so near a boundary that the solver may take either
    y = np.array(["loud", "medium", "soft"])[rng.permutation(np.arange(150) % 3)]
    X = rng.standard_normal((150, 60))
    X[:, :8] += 0.9 * (y == "loud")[:, None] - 0.7 * (y == "soft")[:, None]
    return X * rng.permutation(np.logspace(-0.4, 0.4, 60)) + 20, y


@pytest.fixture
def folds(table):
    """Five folds of one size, so that the mean over folds is that over rows."""
    X, y = table
    return [*StratifiedKFold(5, shuffle=True, random_state=1).split(X, y)]


@parametrize_with_checks(BOTH)
def test_sklearn(estimator, check):
    check(estimator)


# --- support vector machine ----------------------------------------------------------------------


def grid_search(X, y, folds):
    """Search in the order in which TunedSVM tries: kernel by kernel, penalty by penalty."""
    kernels = [{"kernel": ["rbf"], "gamma": [gamma]} for gamma in SMALL["gamma"]]
    grid = [
        {name: [value] if name == "C" else value for name, value in {**kernel, "C": C}.items()}
        for kernel in [*kernels, {"kernel": ["linear"]}]
        for C in SMALL["C"]
    ]
    return GridSearchCV(SVC(), grid, cv=folds).fit(X, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [True, False])
def test_svm_is_a_grid_search_on_scaled_features(table, folds, rng, scale, dtype):
    X, y = table
    X = (X if scale else X / X.std()).astype(dtype)
    new = X[rng.permutation(150)] + (0.5 * X.std(axis=0) * rng.standard_normal((150, 60)))
    new = new.astype(dtype)
    svm = TunedSVM(**SMALL, scale=scale, cv=folds).fit(X, y)

    scaler = StandardScaler(with_mean=scale, with_std=scale).fit(X)
    search = grid_search(scaler.transform(X), y, folds)
    assert [search.cv_results_["params"][i] for i in range(15)] == svm.settings_
    assert_allclose(svm.scores_, search.cv_results_["mean_test_score"])
    assert svm.best_params_ == search.best_params_
    assert svm.best_score_ == pytest.approx(search.best_score_) and 0.5 < svm.best_score_ < 0.95
    predicted = search.predict(scaler.transform(new))
    assert_array_equal(svm.predict(new), predicted)
    assert_array_equal(svm.chosen().fit(X, y).predict(new), predicted)
    steps = ["standardscaler", "svc"] if scale else ["svc"]
    assert [name for name, _ in svm.chosen().steps] == steps


def test_scores_count_rows_not_folds(table):
    X, y = table
    folds = PredefinedSplit([0] * 100 + [1] * 30 + [2] * 20)
    svm = TunedSVM(C=(2,), gamma=("auto",), linear=False, cv=folds).fit(X, y)
    Z = StandardScaler().fit_transform(X)
    predicted = cross_val_predict(SVC(C=2, gamma="auto"), Z, y, cv=folds)
    assert svm.scores_ == [np.mean(predicted == y)]


@pytest.mark.parametrize("params", [{"C": (2,), "gamma": ()}, {"gamma": (), "linear": True}])
def test_linear_kernel_alone(table, folds, params):
    X, y = table
    svm = TunedSVM(**params, cv=folds).fit(X, y)
    assert {setting["kernel"] for setting in svm.settings_} == {"linear"}
    assert_array_equal(svm.chosen().fit(X, y).predict(X), svm.predict(X))


def test_default_settings_are_those_of_the_paper(table):
    X, y = table
    settings = TunedSVM(cv=2).fit(X[:40], y[:40]).settings_
    widths = [2**-3, 2**-5, 2**-7, 2**-9, 2**-11, 2**-13, "auto"]
    expected = [{"C": C, "kernel": "rbf", "gamma": g} for g in widths for C in (0.1, 2, 8, 32)]
    expected += [{"C": C, "kernel": "linear"} for C in (0.1, 2, 8, 32)]
    assert settings == expected


def test_threads_change_nothing(table, folds):
    X, y = table
    one, two, context = (TunedSVM(**SMALL, cv=folds, n_jobs=n) for n in (None, 2, None))
    one.fit(X, y), two.fit(X, y)
    with parallel_config(n_jobs=2):
        context.fit(X, y)
    assert one.scores_ == two.scores_ == context.scores_
    assert_array_equal(one.predict(X + 1), two.predict(X + 1))


def test_fits_that_can_change_nothing_are_left_out(table, folds, monkeypatch):
    X, y = table
    fits, fit = [], SVC.fit
    monkeypatch.setattr(SVC, "fit", lambda svm, K, y: fits.append(svm.C) or fit(svm, K, y))
    # of classes of one size, and with a kernel that is the identity, all multipliers are 1
    svm = TunedSVM(C=(8, 2, 32, 0.5, 4), gamma=(40.0,), linear=False, cv=folds).fit(X, y)
    assert sorted(fits[:15]) == [0.5] * 5 + [2] * 5 + [8] * 5  # then the chosen one
    monkeypatch.undo()
    Z = StandardScaler().fit_transform(X)
    for setting, score in zip(svm.settings_, svm.scores_, strict=True):
        assert score == np.mean(cross_val_predict(SVC(**setting), Z, y, cv=folds) == y)


# --- extreme learning machine --------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_elm_trials_are_ridge_on_the_first_hidden_units(table, folds, dtype):
    X, y = table
    X, sizes = X.astype(dtype), (20, 119, 120, 121, 300)  # 120 rows in the training part of a fold
    elm = TunedELM(n_hidden=sizes, alpha=(1.0, 10.0), cv=folds, random_state=3).fit(X, y)

    Z = StandardScaler().fit_transform(X.astype(np.float64))
    drawn = np.random.RandomState(3)
    biases, weights = drawn.normal(size=300), drawn.normal(size=(60, 300))
    H = np.maximum(Z @ weights + biases, 0)
    expected = [{"n_hidden": n, "alpha": 60.0 * a} for n in sizes for a in (1.0, 10.0)]
    assert elm.settings_ == expected
    scores = []
    for setting in expected:
        ridge = RidgeClassifier(alpha=setting["alpha"], fit_intercept=False, solver="svd")
        part = H[:, : setting["n_hidden"]]
        hits = [ridge.fit(part[a], y[a]).predict(part[b]) == y[b] for a, b in folds]
        scores.append(np.mean(np.concatenate(hits)))
    assert_allclose(elm.scores_, scores)
    assert elm.best_params_ == expected[int(np.argmax(scores))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_elm_is_the_machine_it_names(table, folds, dtype):
    X, y = table
    X = X.astype(dtype)
    elm = TunedELM(n_hidden=(50, 100), cv=folds, random_state=2).fit(X, y)
    scaler, machine = elm.chosen()
    assert isinstance(scaler, StandardScaler) and isinstance(machine, ELMClassifier)
    assert machine.get_params().items() >= {**elm.best_params_, "random_state": 2}.items()
    assert_array_equal(elm.chosen().fit(X, y).predict(X + 1), elm.predict(X + 1))


def test_one_draw_serves_all_parts_of_a_comparison(table, folds, monkeypatch):
    X, y = table
    drawn, normal = [], np.random.RandomState

    class Counted(normal):
        def normal(self, size):
            drawn.append(size)
            return super().normal(size=size)

    monkeypatch.setattr(np.random, "RandomState", Counted)
    elms = [TunedELM(n_hidden=(50, 100), cv=folds, random_state=77).fit(X, y) for _ in range(3)]
    assert drawn == [61 * 100]
    monkeypatch.undo()
    machine = ELMClassifier(**elms[0].best_params_, random_state=77).fit(X, y)
    assert_array_equal(elms[2]._elm.hidden_coef_, machine.hidden_coef_)
    assert_array_equal(elms[2]._elm.hidden_intercept_, machine.hidden_intercept_)


def test_seed_decides_about_the_hidden_layer(table, folds):
    X, y = table
    one, same, other = (
        TunedELM(n_hidden=(5, 10), cv=folds, random_state=seed).fit(X, y) for seed in (1, 1, 2)
    )
    assert one.scores_ == same.scores_ != other.scores_


def test_few_features_of_many_rows_in_float32(rng):
    # the trials' matrices are ill-conditioned for float32; no warning, and the scores of float64
    X = (rng.standard_normal((1200, 3)) @ rng.standard_normal((3, 5))).astype(np.float32)
    y = (X[:, 0] > 0) + (X[:, 1] > 0)
    folds = PredefinedSplit(np.arange(1200) % 2)
    for alpha in (1.0, 1e-4):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            single, double = (
                TunedELM(n_hidden=(1000,), alpha=(alpha,), cv=folds).fit(part, y)
                for part in (X, X.astype(np.float64))
            )
        assert_allclose(single.scores_, double.scores_, atol=0.002)


# --- both ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tuned", BOTH, ids=["SVM", "ELM"])
def test_ties_take_the_first_setting(tuned, table):
    X, y = table
    X = 100.0 * (y[:, None] == np.unique(y))  # nothing can go wrong here
    fitted = clone(tuned).fit(X, y)
    assert {*fitted.scores_} == {1.0} and len(fitted.settings_) > 1
    assert fitted.best_params_ == fitted.settings_[0]


@pytest.mark.parametrize("tuned", BOTH, ids=["SVM", "ELM"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distance_from_zero_and_constant_features_do_not_matter(tuned, table, dtype):
    X, y = table
    X[:, 0] = 7.0
    here, there = (clone(tuned).fit(part.astype(dtype), y) for part in (X, X + 500))
    assert here.scores_ == pytest.approx(there.scores_, abs=0.02)
    assert np.mean(here.predict(X) == there.predict(X + 500)) > 0.98


@pytest.mark.parametrize("tuned", BOTH, ids=["SVM", "ELM"])
def test_a_fold_may_leave_one_class_to_learn_from(tuned):
    X, y = load_wine(return_X_y=True)
    folds = [np.flatnonzero(y == label) for label in (0, 1)]
    for first, second in (folds, [y == 0, y == 1]):  # masks will do
        fitted = clone(tuned).set_params(cv=[(first, second), (second, first)]).fit(X, y)
        assert {*fitted.scores_} == {0.0}
        assert fitted.score(X, y) > 0.8


@pytest.mark.parametrize("tuned", BOTH, ids=["SVM", "ELM"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities_are_those_of_the_folds(tuned, table, folds, n_classes):
    X, y = table
    y = np.where(y == "medium", "soft", y) if n_classes == 2 else y
    fitted = clone(tuned).set_params(cv=folds).fit(X, y)
    P = fitted.predict_proba(X + 1)
    assert P.shape == (150, n_classes)
    assert_allclose(P.sum(axis=1), 1)
    assert_array_equal(fitted.classes_[P.argmax(axis=1)], fitted.predict(X + 1))

    model = clone(fitted.chosen())
    assert_allclose(model.fit(X, y).predict_proba(X + 1), P, atol=1e-6)
    assert_array_equal(model.predict(X + 1), fitted.predict(X + 1))
    # no other temperature is better for the clips that were held out
    truth = np.concatenate([y[valid] for _, valid in folds])
    losses = []
    for factor in (0.8, 1.0, 1.25):
        name = model.steps[-1][0]
        model.set_params(**{f"{name}__temperature": factor * fitted.temperature_})
        held_out = [model.fit(X[a], y[a]).predict_proba(X[b]) for a, b in folds]
        losses.append(log_loss(truth, np.concatenate(held_out)))
    assert losses[1] == min(losses)


def test_svm_predicts_as_without_probabilities_where_votes_tie(rng):
    X, y = rng.standard_normal((300, 2)), rng.integers(6, size=300)
    plain, ours = SVC(C=8).fit(X, y), CalibratedSVC(C=8).fit(X, y)
    new = rng.standard_normal((3000, 2))
    predicted = plain.predict(new)
    assert (plain.decision_function(new).argmax(axis=1) != predicted).any()
    assert_array_equal(ours.predict(new), predicted)
    assert_array_equal(ours.predict_proba(new).argmax(axis=1), predicted)


@pytest.mark.parametrize("tuned", BOTH, ids=["SVM", "ELM"])
def test_classes_that_no_fold_has_learnt_leave_the_temperature_at_one(tuned):
    X, y = load_wine(return_X_y=True)
    fitted = clone(tuned).set_params(cv=[(y == 0, y == 1), (y == 1, y == 0)]).fit(X, y)
    assert np.isfinite(fitted.temperature_)
    assert_allclose(fitted.predict_proba(X).sum(axis=1), 1)


def test_chosen_models_are_saved_without_pickle(table):
    skops = pytest.importorskip("skops.io", reason="skops is an optional way to save")
    X, y = table
    names = {"skaudio.compare._svm.CalibratedSVC", "skaudio.elm.ELMClassifier"}
    for tuned in BOTH:
        model = clone(tuned).fit(X, y).chosen().fit(X, y)
        saved = skops.dumps(model)
        assert {*skops.get_untrusted_types(data=saved)} < names
        loaded = skops.loads(saved, trusted=[*names])
        assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("tuned", BOTH, ids=["SVM", "ELM"])
def test_copies(tuned, table):
    X, y = table
    fitted = clone(tuned).fit(X, y)
    copied = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(copied.predict(X), fitted.predict(X))
    with pytest.raises(NotFittedError):
        clone(fitted).chosen()
    with pytest.raises(ValueError, match="y holds 1 class, soft; at least 2 are needed"):
        clone(tuned).fit(X, ["soft"] * 150)


# --- the fixed one -------------------------------------------------------------------------------


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
