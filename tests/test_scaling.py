"""BlockScaler: standardised columns, balanced by block."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skaudio import BlockScaler


@parametrize_with_checks([BlockScaler()])
def test_sklearn(estimator, check):
    check(estimator)


@pytest.fixture
def X(rng):
    return 3 + rng.standard_normal((40, 6)) * [1, 2, 3, 4, 5, 6]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_blocks_count_alike(X):
    blocks = np.array(["a", "b", "a", "b", "b", "c"])
    scaler = BlockScaler(blocks).fit(X)
    Z = scaler.transform(X)
    weights = np.sqrt([2 / 2, 2 / 3, 2 / 2, 2 / 3, 2 / 3, 2 / 1])  # two columns a block, on average
    np.testing.assert_allclose(Z, StandardScaler().fit_transform(X) * weights)
    for block in "abc":
        assert (Z[:, blocks == block] ** 2).sum(1).mean() == pytest.approx(2)
    np.testing.assert_allclose(scaler.inverse_transform(Z), X)


@pytest.mark.parametrize("blocks", [None, ["one"] * 6, [0, 1, 2, 3, 4, 5], [0, 0, 1, 1, 2, 2]])
def test_blocks_of_one_size_are_standardised_columns(X, blocks):
    scaler, standard = BlockScaler(blocks).fit(X), StandardScaler().fit(X)
    np.testing.assert_array_equal(scaler.transform(X), standard.transform(X))


def test_fitted_in_parts(X):
    blocks = [0, 0, 1, 1, 1, 1]
    parts = BlockScaler(blocks).partial_fit(X[:10]).partial_fit(X[10:])
    np.testing.assert_allclose(parts.transform(X), BlockScaler(blocks).fit_transform(X))


def test_wrong_number_of_labels(X):
    with pytest.raises(ValueError, match="blocks has 2 labels for 6 columns"):
        BlockScaler(["a", "b"]).fit(X)
