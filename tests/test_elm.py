"""ELMClassifier and ELMRegressor against scikit-learn's ridge regression and pseudo-inverses."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
import sklearn.utils.estimator_checks as sklearn_checks
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import LinAlgWarning
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_array
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from skaudio.elm import ELMClassifier, ELMRegressor

BOTH = [ELMClassifier, ELMRegressor]
VARIANTS = [
    {},
    {"alpha": 0, "n_hidden": 12},  # one check extrapolates, which more without a penalty cannot
    {"activation": "tanh", "fit_intercept": True},
    {"activation": "sigmoid", "alpha": 0, "fit_intercept": True},
    # fewer do not fit one check's data; without an intercept the next are odd functions, nearly,
    # and cannot name one class everywhere, as the check of class_weight wants it
    {"activation": "sine", "alpha": 1.0, "n_hidden": 150, "fit_intercept": True},
    {"activation": np.arctan, "fit_intercept": True},
]
INSTANCES = [elm(**{"n_hidden": 20, **params}) for elm in BOTH for params in VARIANTS]


def hidden(elm, X):
    return np.maximum(X @ elm.hidden_coef_ + elm.hidden_intercept_, 0)


def assert_close(a, b):
    """Equal to 1e-8 of the largest value."""
    assert np.shape(a) == np.shape(b)
    assert_allclose(a, b, rtol=0, atol=1e-8 * np.abs(b).max())


def assert_like_ridge(elm, ridge, X, H, *, predicted):
    """Compare fitted models; squeezed, since some versions of ridge keep the axis of one target."""
    assert_close(elm.coef_, np.squeeze(ridge.coef_))
    assert np.shape(elm.intercept_) == np.shape(ridge.intercept_)
    assert_allclose(elm.intercept_, ridge.intercept_, rtol=1e-8, atol=1e-8)
    scores = (np.squeeze(getattr(model, predicted)(part)) for model, part in ((elm, X), (ridge, H)))
    assert_close(*scores)


@pytest.fixture
def table(rng):
    """300 rows of 8 features, a smooth target with noise, and weights."""
    X = rng.standard_normal((300, 8))
    y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 3.0 + 0.1 * rng.standard_normal(300)
    return X, y, rng.uniform(0, 2, 300)


def labels(y, n_classes):
    names = np.array(["cat", "dog", "owl", "rat"])
    return names[np.searchsorted([2.5, 3.0, 3.5][: n_classes - 1], y)]


# --- scikit-learn's checks -----------------------------------------------------------------------


@sklearn_checks.parametrize_with_checks(INSTANCES)
@pytest.mark.filterwarnings("ignore:A column-vector y:sklearn.exceptions.DataConversionWarning")
def test_sklearn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("elm", BOTH)
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")
def test_sklearn_uncalled(elm):
    for check in (
        sklearn_checks.check_dataframe_column_names_consistency,
        sklearn_checks.check_estimators_partial_fit_n_features,
    ):
        check(elm.__name__, elm(n_hidden=20))


# --- the papers' numbers, and scikit-learn's -----------------------------------------------------


def digits_accuracy(n_hidden, n_samples=None, **params):
    """Trained on every other digit, tested on the others; mean of five draws."""
    X, y = (part[:n_samples] for part in load_digits(return_X_y=True))
    draws = [ELMClassifier(n_hidden, random_state=seed, **params) for seed in range(5)]
    return np.mean([elm.fit(X[::2], y[::2]).score(X[1::2], y[1::2]) for elm in draws])


def test_digits_as_in_the_paper():
    # 0.966 to 0.971 is known, and a mean of five draws has a standard error of about 0.002
    assert 0.964 < digits_accuracy(500, alpha=0) < 0.973


def test_default_penalty_beats_none():
    assert digits_accuracy(500) > digits_accuracy(500, alpha=0)
    # with as many units as samples it takes a penalty to be a classifier at all
    assert digits_accuracy(300, 600) - digits_accuracy(300, 600, alpha=0) > 0.2


@pytest.mark.parametrize("elm", BOTH)
def test_hidden_layer_is_that_of_the_reference(elm, table):
    X, y, _ = table
    drawn = np.random.RandomState(3)
    biases, weights = drawn.normal(size=50), drawn.normal(size=(8, 50))
    for seed in (3, np.random.RandomState(3)):
        fitted = elm(50, random_state=seed).fit(X, y > 3)
        assert_array_equal(fitted.hidden_intercept_, biases)
        assert_array_equal(fitted.hidden_coef_, weights)
        assert fitted.hidden_coef_.dtype == np.float64


@pytest.mark.parametrize("n_hidden", [50, 400])  # fewer and more than rows
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("n_outputs", [0, 1, 3])
def test_regressor_is_ridge_on_the_hidden_layer(
    table, n_outputs, fit_intercept, weighted, n_hidden
):
    X, y, weight = table
    weight = weight if weighted else None
    y = y[:, None] + X[:, :n_outputs] if n_outputs else y
    params = {"alpha": 3.0, "fit_intercept": fit_intercept}
    elm = ELMRegressor(n_hidden, random_state=0, **params).fit(X, y, weight)
    H = hidden(elm, X)
    ridge = Ridge(**params, solver="svd").fit(H, y, weight)
    assert_like_ridge(elm, ridge, X, H, predicted="predict")


@pytest.mark.parametrize("n_hidden", [50, 400])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_classifier_is_ridge_on_the_hidden_layer(
    table, n_classes, fit_intercept, weighted, n_hidden
):
    X, y, weight = table
    weight = weight if weighted else None
    y = labels(y, n_classes)
    params = {"alpha": 3.0, "fit_intercept": fit_intercept}
    elm = ELMClassifier(n_hidden, random_state=0, **params).fit(X, y, weight)
    H = hidden(elm, X)
    ridge = RidgeClassifier(**params, solver="svd").fit(H, y, weight)
    assert_like_ridge(elm, ridge, X, H, predicted="decision_function")
    assert_array_equal(elm.predict(X), ridge.predict(H))
    assert_array_equal(elm.classes_, ridge.classes_)


@pytest.mark.parametrize("n_hidden", [50, 400])
@pytest.mark.parametrize("n_chunks", [1, 10])
def test_no_penalty_is_the_pseudo_inverse(table, n_hidden, n_chunks):
    X, y, weight = table
    Y = np.stack([y, X[:, 0]], 1)
    elm = ELMRegressor(n_hidden, alpha=0, fit_intercept=False, random_state=0)
    for part in np.array_split(np.arange(300), n_chunks):
        elm.partial_fit(X[part], Y[part], weight[part])
    root, H = np.sqrt(weight[:, None]), hidden(elm, X)
    assert_close(elm.coef_.T, np.linalg.pinv(root * H) @ (root * Y))

    elm.set_params(fit_intercept=True).fit(X, Y, weight)
    H_mean, Y_mean = (np.average(a, axis=0, weights=weight) for a in (H, Y))
    coef = np.linalg.pinv(root * (H - H_mean)) @ (root * (Y - Y_mean))
    assert_close(elm.coef_.T, coef)
    assert_close(elm.intercept_, Y_mean - H_mean @ coef)


def test_no_penalty_leaves_out_directions_within_rounding(table):
    X, y, _ = table
    elm = ELMRegressor(50, alpha=0, activation=lambda z: z, fit_intercept=False, random_state=0)
    elm.fit(X, y)
    H = X @ elm.hidden_coef_ + elm.hidden_intercept_  # 50 columns of rank 9
    assert_close(elm.coef_, np.linalg.pinv(H, rtol=1e-10) @ y)


def test_no_penalty_does_not_square_the_condition(table):
    X, y, _ = table
    scale = np.logspace(0, -9, 20)  # normal equations would lose what is below 1e-8
    elm = ELMRegressor(20, alpha=0, activation=lambda z: np.tanh(z) * scale, random_state=0)
    elm.set_params(fit_intercept=False)
    H = np.tanh(X @ elm.fit(X, y).hidden_coef_ + elm.hidden_intercept_)
    assert_allclose(elm.predict(X), H @ (np.linalg.pinv(H) @ y), rtol=1e-6)


def test_penalty_below_rounding_warns_and_stays_sane(table):
    X, y, _ = table
    X = np.vstack([X, X])  # more rows than units, but of lower rank
    elm = ELMRegressor(400, alpha=1e-12, random_state=0)
    with pytest.warns(LinAlgWarning, match="alpha is too small") as caught:
        elm.fit(1000 * X, np.hstack([y, y]))
    assert caught[0].filename == __file__
    assert elm.score(1000 * X[:300], y) > 0.9


def test_regressor_reaches_targets_far_from_zero(table):
    X, y, _ = table
    ridge = Ridge().fit(X[::2], y[::2] + 100)
    elm = ELMRegressor(random_state=0).fit(X[::2], y[::2] + 100)
    assert elm.score(X[1::2], y[1::2] + 100) > ridge.score(X[1::2], y[1::2] + 100) > 0.2


# --- weights of classes --------------------------------------------------------------------------


@pytest.mark.parametrize("n_hidden", [50, 400])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("class_weight", ["balanced", {"cat": 3.0, "owl": 0.5}])
def test_class_weights_are_sample_weights(table, class_weight, weighted, n_hidden):
    X, y, weight = table
    y, weight = labels(y, 4), weight if weighted else np.ones(300)
    if class_weight == "balanced":
        counts = {label: weight[y == label].sum() for label in np.unique(y)}
        each = {label: weight.sum() / 4 / count for label, count in counts.items()}
    else:
        each = {"cat": 3.0, "dog": 1.0, "owl": 0.5, "rat": 1.0}
    elm = ELMClassifier(n_hidden, random_state=0, class_weight=class_weight)
    expected = ELMClassifier(n_hidden, random_state=0)
    expected.fit(X, y, weight * [each[label] for label in y])
    assert_close(elm.fit(X, y, weight if weighted else None).coef_, expected.coef_)
    if class_weight != "balanced":
        parts = clone(elm)
        for part in np.array_split(np.arange(300), 3):
            parts.partial_fit(X[part], y[part], np.unique(y), weight[part])
        assert_close(parts.coef_, expected.coef_)


def test_balanced_classes_name_the_rare_one(rng):
    X = rng.standard_normal((1000, 2))
    y = np.arange(1000) < 50
    X[y] += 1.5
    recall = [
        ELMClassifier(random_state=0, class_weight=w).fit(X, y).predict(X)[y].mean()
        for w in (None, "balanced")
    ]
    assert recall[0] < 0.5 and recall[1] > 0.75


def test_wrong_class_weights(table):
    X, y, _ = table
    y = labels(y, 2)
    with pytest.raises(ValueError, match="class_weight='balanced' is not possible in partial_fit"):
        ELMClassifier(10, class_weight="balanced").partial_fit(X, y, ["cat", "dog"])
    with pytest.raises(ValueError, match=r"class_weight holds \['rat'\]"):
        ELMClassifier(10, class_weight={"rat": 2}).fit(X, y)
    with pytest.raises(ValueError, match="class_weight=-1 must be at least 0"):
        ELMClassifier(10, class_weight={"cat": -1}).fit(X, y)
    with pytest.raises(ValueError, match="class_weight='even' is unknown"):
        ELMClassifier(10, class_weight="even").fit(X, y)
    with pytest.raises(ValueError, match="class_weight is for one label per sample"):
        ELMClassifier(10, class_weight="balanced").fit(X, X[:, :3] > 0)
    with pytest.raises(ValueError, match="all class weights of these samples are zero"):
        ELMClassifier(10, class_weight={"cat": 0, "dog": 0}).fit(X, y)


# --- several labels per sample -------------------------------------------------------------------


@pytest.mark.parametrize("n_hidden", [50, 400])
@pytest.mark.parametrize("sparse", [False, True])
def test_several_labels_are_ridge_too(table, n_hidden, sparse):
    X, _, weight = table
    Y = (X[:, :3] + X[:, 3:6] > 0).astype(int)
    elm = ELMClassifier(n_hidden, alpha=3.0, random_state=0)
    elm.fit(X, csr_array(Y) if sparse else Y, weight)
    H = hidden(elm, X)
    ridge = RidgeClassifier(alpha=3.0, fit_intercept=False, solver="svd").fit(H, Y, weight)
    assert_like_ridge(elm, ridge, X, H, predicted="decision_function")
    assert_array_equal(elm.predict(X), ridge.predict(H), strict=True)
    assert_array_equal(elm.classes_, [0, 1, 2])
    P = elm.predict_proba(X)
    assert P.shape == (300, 3) and P.min() >= 0 and P.max() <= 1
    assert_array_equal(P > 0.5, elm.predict(X) > 0)
    parts = clone(elm)
    for part in np.array_split(np.arange(300), 3):
        parts.partial_fit(X[part], Y[part], sample_weight=weight[part])
    assert_close(parts.coef_, elm.coef_)
    copied = pickle.loads(pickle.dumps(elm))
    assert_array_equal(copied.predict_proba(X), P)


def test_wrong_shapes_of_labels(table):
    X, y, _ = table
    several = X[:, :3] > 0
    with pytest.raises(ValueError, match="each of which must hold 0 and 1 alone"):
        ELMClassifier(10).fit(X, np.round(X[:, :3]).astype(int))
    with pytest.raises(ValueError, match="one label per sample in one call and several"):
        ELMClassifier(10).fit(X, labels(y, 2)).partial_fit(X, several)
    with pytest.raises(ValueError, match="y has 2 targets, but had 3 before"):
        ELMClassifier(10).fit(X, several).partial_fit(X, several[:, :2])


# --- probabilities -------------------------------------------------------------------------------


def left_out_one_by_one(elm, X, y, weight, rows):
    """Outputs for rows of machines that did not see them, or saw them once less."""
    outputs = []
    for row in rows:
        rest = weight.copy()
        rest[row] -= min(rest[row], 1.0)
        outputs.append(clone(elm).fit(X, y, rest).decision_function(X[row : row + 1]))
    return np.concatenate(outputs)


@pytest.mark.parametrize(
    ("alpha", "n_hidden", "weighted"),  # of the 100 rows, fewer and more hidden units
    [(0, 20, False), (0, 20, True)]
    + [(30.0, n_hidden, weighted) for n_hidden in (20, 130) for weighted in (False, True)],
)
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_temperature_is_that_of_outputs_left_out(
    table, n_classes, fit_intercept, alpha, weighted, n_hidden
):
    X, y, weight = (part[:100] for part in table)
    y, weight = labels(y, n_classes), 2 * weight if weighted else np.ones(100)
    params = {"alpha": alpha, "fit_intercept": fit_intercept, "random_state": 0}
    elm = ELMClassifier(n_hidden, **params).fit(X, y, weight)
    outputs = left_out_one_by_one(elm, X, y, weight, range(100))
    truth = np.searchsorted(elm.classes_, y)
    if n_classes == 2:
        outputs = np.stack([np.zeros(100), outputs], axis=1)
    share = (weight.sum() * np.eye(n_classes)[truth] + 1) / (weight.sum() + n_classes)

    def loss(log_temperature):
        return -weight @ (share * log_softmax(outputs / np.exp(log_temperature), axis=1)).sum(1)

    best = np.exp(minimize_scalar(loss, bounds=(-7, 5), method="bounded").x)
    assert loss(np.log(elm.temperature_)) < 1.001 * loss(np.log(best))


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize(("n_classes", "gap"), [(2, 1), (4, 2)])  # between scores of classes
def test_temperature_of_an_exact_fit(table, n_classes, gap, fit_intercept):
    X, y, weight = (part[:100] for part in table)
    y, weight = labels(y, n_classes), 2 * weight
    params = {"alpha": 0, "fit_intercept": fit_intercept, "random_state": 0}
    elm = ELMClassifier(130, **params).fit(X, y, weight)
    # Rows that count more than once are still met exactly when one time is left out. The best
    # probability (n + 1) / (n + k) of the true class then means odds of n + 1 to each other one.
    n = weight[weight > 1].sum()
    assert elm.temperature_ == pytest.approx(gap / np.log(n + 1), rel=0.03)
    # of rows that count once, which alone determine their outputs, nothing is left
    assert ELMClassifier(130, **params).fit(X, y).temperature_ == 1.0


@pytest.mark.parametrize("n_classes", [2, 4])
def test_probabilities_agree_with_predict(table, n_classes):
    X, y, _ = table
    y = labels(y, n_classes)
    elm = ELMClassifier(50, random_state=0).fit(X[::2], y[::2])
    P = elm.predict_proba(X)
    assert_allclose(P.sum(axis=1), 1)
    assert P.shape == (300, n_classes) and P.min() >= 0
    assert_array_equal(elm.classes_[P.argmax(axis=1)], elm.predict(X))
    assert_array_equal(elm.set_params(temperature=1e9).predict_proba(X).round(6), 1 / n_classes)
    assert not hasattr(clone(elm).fit(X, y), "temperature_")  # it was given


def test_probabilities_are_calibrated():
    X, y = load_digits(return_X_y=True)
    X = X / 16
    own = ELMClassifier(300, alpha=1.0, random_state=0).fit(X[::2], y[::2])
    other = CalibratedClassifierCV(clone(own)).fit(X[::2], y[::2])
    P = own.predict_proba(X[1::2])
    assert log_loss(y[1::2], P) < log_loss(y[1::2], other.predict_proba(X[1::2]))
    assert P.max(axis=1).mean() == pytest.approx(own.score(X[1::2], y[1::2]), abs=0.03)


def test_temperature_in_parts(table):
    X, y, _ = table
    y = labels(y, 3)
    whole = ELMClassifier(20, random_state=0).fit(X, y)
    parts = clone(whole)
    for part in np.array_split(np.arange(300), 10):
        parts.partial_fit(X[part], y[part], np.unique(y))
    # the first parts were judged by machines that knew little
    assert parts.temperature_ == pytest.approx(whole.temperature_, rel=0.3)
    assert_array_equal(parts.losses_[-1], 300)


def test_large_sets_need_2000_rows_for_the_temperature(rng):
    X = rng.standard_normal((4001, 5))
    y = X[:, 0] + rng.standard_normal(4001) > 0
    elm = ELMClassifier(50, random_state=0).fit(X, y)
    assert elm.losses_[-1] == 2000
    few = clone(elm).fit(X[::2], y[::2])
    assert elm.temperature_ == pytest.approx(few.temperature_, rel=0.1)


def test_machines_of_old_have_no_temperature(table):
    X, y, _ = table
    elm = ELMClassifier(10, random_state=0).fit(X, y > 3)
    for name in ("temperature_", "losses_", "_multilabel"):
        delattr(elm, name)
    with pytest.raises(ValueError, match="no temperature was found when this was fitted"):
        elm.predict_proba(X)
    assert elm.partial_fit(X, y > 3).predict_proba(X).shape == (300, 2)


def test_wrong_temperature(table):
    X, y, _ = table
    for wrong, message in ((0, "must be more than 0"), (-1, "at least 0")):
        with pytest.raises(ValueError, match=f"temperature={wrong} must be {message}|{message}"):
            ELMClassifier(10, temperature=wrong).fit(X, y > 3)


# --- in parts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("params", VARIANTS)
def test_parts_are_as_good_as_the_whole(table, params):
    X, y, weight = table
    classes = labels(y, 3)
    number = ELMRegressor(**{"n_hidden": 50, "random_state": 0, **params})
    label = ELMClassifier(**{"n_hidden": 50, "random_state": 0, **params})
    for part in np.array_split(np.arange(300), 10):
        number.partial_fit(X[part], y[part], weight[part])
        label.partial_fit(X[part], classes[part], ["owl", "dog", "cat"], weight[part])
    assert_close(number.coef_, clone(number).fit(X, y, weight).coef_)
    assert_close(label.coef_, clone(label).fit(X, classes, weight).coef_)


@pytest.mark.parametrize("alpha", [0, 100.0])
def test_partial_fit_goes_on_from_fit_and_fit_starts_anew(table, alpha):
    X, y, _ = table
    elm = ELMRegressor(50, alpha=alpha, random_state=0).fit(X[:100], y[:100])
    first = copy.deepcopy(elm)
    assert_close(elm.partial_fit(X[100:], y[100:]).coef_, clone(elm).fit(X, y).coef_)
    assert_array_equal(elm.fit(X[:100], y[:100]).coef_, first.coef_)


def test_weights_count_rows(table):
    X, y, _ = table
    times = np.arange(300) % 4
    weighted = ELMRegressor(50, random_state=0).fit(X, y, times)
    repeated = ELMRegressor(50, random_state=0).fit(X.repeat(times, 0), y.repeat(times))
    assert_close(weighted.coef_, repeated.coef_)


def test_rows_in_float32_are_summed_in_float64(table):
    X, y, _ = table
    X = X.astype(np.float32)
    single, double = (ELMRegressor(50, random_state=0).fit(X.astype(t), y) for t in ("f4", "f8"))
    assert_array_equal(single.coef_, double.coef_)
    assert_array_equal(single.predict(X), double.predict(X.astype("f8")))


@pytest.mark.parametrize("alpha", [0, 100.0])
def test_memory_does_not_grow_with_the_rows(rng, alpha):
    X = rng.standard_normal((20_000, 50), dtype=np.float32)
    y = X[:, 0] > 0
    elm = ELMClassifier(300, alpha=alpha, random_state=0)
    peaks = []
    for n in (5_000, 20_000):
        tracemalloc.start()
        elm.fit(X[:n], y[:n]).predict(X[:n])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 10 * elm.sums_.nbytes
    assert peaks[1] - peaks[0] < 15_000 * 20  # labels and scores; hidden values would be 2400 each


# --- as an estimator -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [int, bool, str, object])
def test_labels_of_any_kind(dtype):
    X, y = load_iris(return_X_y=True)
    y = (np.array(["b", "a", "c"], dtype=object)[y] if dtype in (str, object) else y).astype(dtype)
    predicted = ELMClassifier(100, random_state=0).fit(X, y).predict(X)
    assert predicted.dtype == y.dtype
    assert np.mean(predicted == y) > 0.9


@pytest.mark.parametrize("elm", BOTH)
def test_seed_decides_and_the_global_generator_rests(elm, table):
    X, y, _ = table
    state = check_random_state(None)  # numpy's global generator
    before = pickle.dumps(state.get_state())
    a, b, c, d = (elm(50, random_state=s).fit(X, y > 3) for s in (1, 1, None, None))
    assert_array_equal(a.coef_, b.coef_)
    assert (c.hidden_coef_ != d.hidden_coef_).all()
    assert pickle.dumps(state.get_state()) == before


@pytest.mark.parametrize("elm", INSTANCES, ids=str)
def test_copies_go_on_alike(elm, table):
    X, y, _ = table
    y = np.round(y).clip(2, 4)
    elm = clone(elm).fit(X[:200], y[:200])
    copies = [pickle.loads(pickle.dumps(elm)), copy.deepcopy(elm)]
    predicted = elm.predict(X)
    coef = elm.partial_fit(X[200:], y[200:]).coef_
    for other in copies:
        assert_array_equal(other.predict(X), predicted)
        assert_array_equal(other.partial_fit(X[200:], y[200:]).coef_, coef)
    with pytest.raises(NotFittedError):
        clone(elm).predict(X)


@pytest.mark.parametrize("elm", BOTH)
def test_skops(elm, table):
    skops = pytest.importorskip("skops.io", reason="skops is an optional way to save")
    X, y, _ = table
    elm = elm(50, random_state=0).fit(X, y > 3)
    saved = skops.dumps(elm)
    name = f"skaudio.elm.{type(elm).__name__}"
    assert skops.get_untrusted_types(data=saved) == [name]
    loaded = skops.loads(saved, trusted=[name])
    assert_array_equal(loaded.predict(X), elm.predict(X))
    assert_array_equal(loaded.partial_fit(X, y > 3).coef_, elm.partial_fit(X, y > 3).coef_)


def test_grid_search_in_a_pipeline():
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), ELMClassifier(random_state=0))
    grid = {"elmclassifier__n_hidden": [1, 100], "elmclassifier__alpha": [0, 1.0]}
    search = GridSearchCV(model, grid, error_score="raise").fit(X, y)
    assert search.best_params_["elmclassifier__n_hidden"] == 100
    assert search.best_score_ > 0.9


@pytest.mark.parametrize("elm", BOTH)
def test_sparse_features_are_refused(elm, table):
    X, y, _ = table
    with pytest.raises(TypeError, match="Sparse data was passed"):
        elm(10).fit(csr_array(X), y > 3)


@pytest.mark.parametrize("elm", BOTH)
@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"n_hidden": 0}, ValueError, "n_hidden=0 must be at least 1"),
        ({"n_hidden": 2.0}, TypeError, "n_hidden=2.0 must be an integer"),
        ({"alpha": -1}, ValueError, "alpha=-1 must be at least 0"),
        ({"alpha": None}, TypeError, "alpha=None must be a number"),
        ({"fit_intercept": 1}, ValueError, "fit_intercept=1 is unknown"),
        ({"activation": "relu6"}, ValueError, "activation='relu6' is unknown"),
        ({"activation": np.sum}, ValueError, r"activation=.* made shape \(\) of \(256, 10\)"),
        ({"random_state": "seed"}, ValueError, "'seed' cannot be used to seed"),
    ],
)
def test_wrong_parameters(elm, wrong, error, message, table):
    X, y, _ = table
    with pytest.raises(error, match=message):
        elm(**{"n_hidden": 10, **wrong}).fit(X, y > 3)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(300), "zero everywhere"),
        (np.full(300, -1.0), "at least zero"),
        (np.ones(299), "inconsistent"),
        (np.ones((300, 1)), r"shape \(300, 1\)"),
        (np.full(300, np.nan), "sample_weight contains NaN"),
    ],
)
def test_wrong_weights(weight, message, table):
    X, y, _ = table
    with pytest.raises(ValueError, match=message):
        ELMRegressor(10).fit(X, y, weight)


def test_wrong_labels(table):
    X, y, _ = table
    y = labels(y, 2)
    with pytest.raises(ValueError, match="classes must be given in the first call"):
        ELMClassifier(10).partial_fit(X, y)
    with pytest.raises(ValueError, match="there is only 1 class, cat"):
        ELMClassifier(10).fit(X, ["cat"] * 300)
    elm = ELMClassifier(10).partial_fit(X, y, classes=["cat", "dog"])
    with pytest.raises(ValueError, match="not those of the first call"):
        elm.partial_fit(X, y, classes=["cat", "dog", "owl"])
    with pytest.raises(ValueError, match=r"y holds \['owl'\]"):
        elm.partial_fit(X, ["owl"] * 300)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, of the overflow
@pytest.mark.parametrize("alpha", [0, 100.0])
def test_failed_partial_fit_changes_no_sums(table, alpha):
    X, y, _ = table
    elm = ELMRegressor(10, alpha=alpha, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="y has 2 targets, but had 1 before"):
        elm.partial_fit(X, np.stack([y, y], 1))
    huge = X.copy()
    huge[-1] = np.finfo(float).max
    with pytest.raises(ValueError, match="hidden values overflow or hold NaN"):
        elm.partial_fit(huge, y)
    with pytest.raises(ValueError, match="cannot be reached by partial_fit"):
        clone(elm).fit(X, y).set_params(alpha=100.0 - alpha).partial_fit(X, y)
    twice = clone(elm).fit(np.vstack([X, X]), np.hstack([y, y]))
    assert_close(elm.partial_fit(X, y).coef_, twice.coef_)
