"""Checks that every extractor passes in every variant: scikit-learn's, and ours.

Nothing here names an extractor: the instances are found by discovery. Two examples that train,
one of them on labels, stand beside them.
"""

import numpy as np
import pandas as pd
import pytest
import sklearn.utils.estimator_checks as sklearn_checks
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from skaudio.utils._checking import fit, fitted, labels_for
from skaudio.utils.discovery import all_extractors
from skaudio.utils.estimator_checks import audio_checks, check_instances
from tests.utils.training_examples import examples

# many checks have clips of a few samples; that they are told of is an audio check of its own
pytestmark = [
    pytest.mark.filterwarnings("ignore:nothing was learnt:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*and were padded:UserWarning"),
    # scikit-learn's check of column names provokes these
    pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning"),
]

INSTANCES = [*check_instances(), *examples()]
NAMES = [f"{i}-{type(extractor).__name__}" for i, extractor in enumerate(INSTANCES)]
ONE_OF_EACH = {type(extractor).__name__: extractor for extractor in reversed(INSTANCES)}

# scikit-learn has these, but check_estimator calls none of them. The one left out is
# check_param_validation: it needs `_parameter_constraints`, a private way of scikit-learn's own
# estimators to word their errors. Ours are tested beside each extractor.
UNCALLED_CHECKS = [
    sklearn_checks.check_get_feature_names_out_error,
    sklearn_checks.check_transformer_get_feature_names_out,
    sklearn_checks.check_transformer_get_feature_names_out_pandas,
    sklearn_checks.check_dataframe_column_names_consistency,
    sklearn_checks.check_set_output_transform,
    sklearn_checks.check_set_output_transform_pandas,
    sklearn_checks.check_set_output_transform_polars,
    sklearn_checks.check_global_output_transform_pandas,
    sklearn_checks.check_global_set_output_transform_polars,
    sklearn_checks.check_inplace_ensure_writeable,
    sklearn_checks.check_estimators_partial_fit_n_features,
]


@sklearn_checks.parametrize_with_checks(INSTANCES)
def test_sklearn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", UNCALLED_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("extractor", INSTANCES, ids=NAMES)
def test_sklearn_uncalled(extractor, check):
    check(type(extractor).__name__, clone(extractor))


@pytest.mark.parametrize("check", audio_checks(), ids=lambda check: check.__name__)
@pytest.mark.parametrize("extractor", INSTANCES, ids=NAMES)
def test_audio(extractor, check):
    check(extractor)


def test_every_extractor_has_instances():
    of_library = {*ONE_OF_EACH} - {type(example).__name__ for example in examples()}
    assert sorted(of_library) == [name for name, _ in all_extractors()]


@pytest.fixture
def labelled():
    """Sixteen clips of two classes, dull and bright, and of five lengths."""
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 8)
    X = []
    for i, bright in enumerate(y):
        clip = 0.1 * rng.standard_normal(4000 + 250 * (i % 5))
        X.append(clip if bright else np.cumsum(clip))
    return X, y


@pytest.fixture(params=ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def extractor(request):
    """One instance of each class, with a fixed draw."""
    extractor = clone(request.param)
    if "random_state" in extractor.get_params(deep=False):
        extractor.set_params(random_state=0)
    return extractor


def test_pipeline_and_cross_validation_in_processes(extractor, labelled):
    X, y = labelled
    model = make_pipeline(extractor, StandardScaler(), LogisticRegression())
    scores = cross_val_score(model, X, y, cv=2, n_jobs=2)
    np.testing.assert_array_equal(scores, cross_val_score(model, X, y, cv=2))
    assert scores.min() > 0.8  # chance is 0.5; noise and its running sum are easily told apart


def test_grid_search_over_two_parameters(extractor, labelled):
    X, y = labelled
    model = Pipeline([("features", extractor), ("classify", LogisticRegression(max_iter=2000))])
    grid = {"features__pooling": ["mean", "std", "max"], "features__sample_rate": [8000, 16000]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 6
    best = search.best_estimator_["features"]
    assert best.get_params()["pooling"] == search.best_params_["features__pooling"]
    np.testing.assert_array_equal(search.predict(X), search.best_estimator_.predict(X))


def test_union_of_two(extractor, labelled):
    X, y = labelled
    other = clone(extractor).set_params(pooling="max")
    union = make_union(extractor, other).fit(X, y)
    both = np.hstack([extractor.fit_transform(X, y), other.fit_transform(X, y)])
    np.testing.assert_array_equal(union.transform(X), both)
    names = union.get_feature_names_out()
    assert len({*names}) == both.shape[1]


def test_column_transformer_cuts_a_matrix(extractor, rng):
    X = rng.standard_normal((5, 1200)).astype(np.float32)
    other = clone(extractor)
    columns = make_column_transformer((extractor, slice(0, 700)), (other, slice(700, 1200)))
    y = labels_for(extractor, X)
    Z = columns.fit_transform(X, y)
    halves = [
        clone(extractor).fit_transform(np.ascontiguousarray(X[:, part]), y)
        for part in (slice(0, 700), slice(700, 1200))
    ]
    np.testing.assert_array_equal(Z, np.hstack(halves))
    frame = columns.set_output(transform="pandas").fit_transform(
        pd.DataFrame(X, columns=[f"s{i}" for i in range(1200)]), y
    )
    assert list(frame.columns) == list(columns.get_feature_names_out())
    np.testing.assert_array_equal(frame, Z)


def test_clone_of_a_fitted_one_is_unfitted(extractor, labelled):
    X, _ = labelled
    copy = clone(fit(extractor, X))
    with pytest.raises(NotFittedError):
        copy.transform(X)
    np.testing.assert_array_equal(fitted(copy, X).transform(X), extractor.transform(X))


def test_unfitted(extractor, labelled):
    for method in (extractor.transform_frames, extractor.get_feature_names_out):
        with pytest.raises(NotFittedError):
            method(labelled[0])
    with pytest.raises(NotFittedError):
        extractor.frame_times(1000)
