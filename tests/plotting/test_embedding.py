"""The pictures of clips in a plane."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skaudio import MFCCTransformer
from skaudio.datasets import make_sounds
from skaudio.plotting import EmbeddingDisplay


@pytest.fixture
def features(rng):
    y = np.arange(60) % 12
    return 1000 * rng.standard_normal((12, 5))[y] + rng.standard_normal((60, 5)), y


def test_components_of_the_standardised_features(features):
    Z, y = features
    display = EmbeddingDisplay.from_features(Z * [1, 10, 100, 1000, 1e4], y)
    expected = PCA(2).fit_transform(StandardScaler().fit_transform(Z))
    np.testing.assert_allclose(np.abs(display.points), np.abs(expected), rtol=1e-6, atol=1e-6)
    assert display.axis_names[0].startswith("component 1 (")
    assert display.axis_names[0].endswith("% of the variance)")


def test_from_estimator_extracts():
    sounds = make_sounds(16, random_state=0)
    mfcc = MFCCTransformer().fit(sounds.data)
    display = EmbeddingDisplay.from_estimator(
        mfcc, sounds.data, sounds.target, target_names=sounds.target_names
    )
    expected = EmbeddingDisplay.from_features(mfcc.transform(sounds.data), sounds.target)
    np.testing.assert_array_equal(display.points, expected.points)
    assert display.target_names == sounds.target_names


def test_neighbours_stay_together(features):
    Z, y = features
    points, again = (EmbeddingDisplay.from_features(Z, y, method="tsne").points for _ in range(2))
    np.testing.assert_array_equal(points, again)
    distance = np.linalg.norm(points[:, None] - points, axis=-1)
    np.fill_diagonal(distance, np.inf)
    assert (y[distance.argmin(axis=1)] == y).all()


def test_each_class_has_its_points_and_its_look(features, check_texts):
    Z, y = features
    names = [f"a rather long name of class {i}" for i in range(12)]
    display = EmbeddingDisplay.from_features(Z, y, target_names=names).plot()
    for k, scatter in enumerate(display.scatters_):
        np.testing.assert_array_equal(scatter.get_offsets(), display.points[y == k])
    looks = {
        (tuple(scatter.get_facecolor()[0]), scatter.get_paths()[0].vertices.tobytes())
        for scatter in display.scatters_
    }
    assert len(looks) == 12
    legend = display.ax_.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == names
    check_texts(display.figure_)
    assert legend.get_window_extent().x0 > display.ax_.get_window_extent().x1  # outside


def test_names_of_the_classes(features):
    Z, y = features
    labels = np.where(y > 5, "high", "low")
    display = EmbeddingDisplay.from_features(Z, labels)
    assert display.target_names == ["high", "low"]
    np.testing.assert_array_equal(display.target, labels == "low")
    # labels index the names, also where a class is missing
    display = EmbeddingDisplay.from_features(Z[y > 0], y[y > 0] % 2 + 1, target_names="abc")
    assert display.target_names == ["b", "c"]


def test_axes_of_the_user(features, plt):
    _, ax = plt.subplots()
    assert EmbeddingDisplay.from_features(*features).plot(ax=ax).ax_ is ax


def test_wrong_input(features):
    Z, y = features
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        EmbeddingDisplay.from_features(Z, y[1:])
    with pytest.raises(ValueError, match="contains NaN"):
        EmbeddingDisplay.from_features(np.where(Z > 0, Z, np.nan), y)
    with pytest.raises(ValueError, match="minimum of 3 is required"):
        EmbeddingDisplay.from_features(Z[:2], y[:2])
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        EmbeddingDisplay.from_features(Z[:, :1], y)
    with pytest.raises(ValueError, match="method='umap' is unknown"):
        EmbeddingDisplay.from_features(Z, y, method="umap")
    for labels, names in ((y, ["a", "b"]), (y - 1, [*"abcdefghijkl"]), (y.astype(str), ["a"])):
        with pytest.raises(ValueError, match="do not number the"):
            EmbeddingDisplay.from_features(Z, labels, target_names=names)
