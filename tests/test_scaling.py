"""BlockScaler: standardised columns, balanced by block."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.pipeline import FeatureUnion, make_union
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skaudio import BlockScaler, MFCCTransformer, ProsodyTransformer, feature_blocks


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


def test_blocks_are_those_of_the_columns():
    clips = [np.random.default_rng(0).standard_normal(4000)]
    prosody = ProsodyTransformer(["rhythm", "pitch"], ["moments"])
    union = FeatureUnion([("a", MFCCTransformer(n_mfcc=2)), ("no", "drop"), ("b", prosody)])
    blocks = feature_blocks(union.fit(clips))
    names = union.get_feature_names_out()
    found = {block: [*names[blocks == block]] for block in dict.fromkeys(blocks)}
    assert [*found] == ["a__all", "b__rhythm", "b__pitch"]
    assert found["a__all"] == [name for name in names if name.startswith("a__")]
    assert "b__onset_rate" in found["b__rhythm"] and "b__f0_semitone_mean" in found["b__pitch"]
    assert sum(map(len, found.values())) == union.transform(clips).shape[1]
    assert {*feature_blocks(MFCCTransformer().fit(clips))} == {"all"}


def test_blocks_of_others(X):
    union = make_union(StandardScaler(), PCA(2)).fit(X)
    assert [*feature_blocks(union)] == ["standardscaler__all"] * 6 + ["pca__all"] * 2
