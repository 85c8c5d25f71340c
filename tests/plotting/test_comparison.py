"""The bars of a comparison."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from skaudio.plotting import ComparisonDisplay

NAMES = ["MFCC", "RandomCNN (default)", *(f"timbral_temporal {i}" for i in range(18))]
SETS = ["fsdd", "folk_rhythm_rendered", "esc10", "emodb", "fsd_instruments10", "emotify"]


def make_rows(n_sets=1, n_names=2, classifiers=("",)):
    rng = np.random.default_rng(0)
    return [
        {
            "data": data,
            "extractor": name,
            "classifier": classifier,
            "accuracy": rng.uniform(0.2, 1.0),
            "accuracy_std": rng.uniform(0.0, 0.03) if number else 0.0,
            "balanced_accuracy": 0.25,
            "balanced_accuracy_std": 0.01,
            "chance": 0.1 + 0.1 * SETS.index(data),
            "draws": 3,
        }
        for data in SETS[:n_sets]
        for number, name in enumerate(NAMES[:n_names])
        for classifier in classifiers
    ]


def texts(artists):
    return [artist.get_text() for artist in artists]


@pytest.mark.parametrize("n_names", [1, 2, 11])
def test_one_set(n_names, check_texts):
    rows = make_rows(n_names=n_names)
    display = ComparisonDisplay.from_rows(rows).plot()
    assert texts(display.ax_.get_yticklabels()) == NAMES[:n_names]
    ((bars,),) = display.bars_
    assert [bar.get_width() for bar in bars] == [row["accuracy"] for row in rows]
    assert display.ax_.yaxis.get_inverted()  # first row on top
    assert display.ax_.get_xlabel() == "accuracy" and display.ax_.get_title() == "fsdd"
    assert {"chance 0.100", f"{rows[0]['accuracy']:.3f}"} <= {*texts(display.ax_.texts)}
    assert not display.figure_.legends
    check_texts(display.figure_)


def test_a_bar_for_each_classifier(check_texts):
    rows = make_rows(n_names=3, classifiers=["SVM", "ELM"])
    display = ComparisonDisplay.from_rows(rows).plot()
    assert display.classifiers == ["SVM", "ELM"] and display.mean.shape == (1, 3, 2)
    (svm, elm), (legend,) = *display.bars_, display.figure_.legends
    assert [bar.get_width() for bar in elm] == [row["accuracy"] for row in rows[1::2]]
    assert texts(legend.get_texts()) == ["SVM", "ELM"]
    assert svm[0].get_facecolor() != elm[0].get_facecolor()
    for above, below in zip(svm, elm, strict=True):  # the axis points downwards
        assert above.get_y() + above.get_height() == pytest.approx(below.get_y(), abs=1e-9)
    check_texts(display.figure_)


@pytest.mark.parametrize("n_sets", [2, 4, 5])
def test_a_panel_for_each_set(n_sets, check_texts):
    rows = make_rows(n_sets, 3, ["SVM", "ELM"])
    display = ComparisonDisplay.from_rows(rows).plot()
    assert [ax.get_title() for ax in display.axes_] == SETS[:n_sets]
    assert display.ax_ is display.axes_[0] and list(display.axes_) == display.figure_.axes
    n_columns = {2: 2, 4: 2, 5: 3}[n_sets]
    for number, ax in enumerate(display.axes_):
        assert len(ax.patches) == 6 and ax.get_legend() is None
        chance = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"]
        np.testing.assert_allclose(chance, [0.1 + 0.1 * number])
        shown = ax.yaxis.get_tick_params()["labelleft"], ax.xaxis.get_tick_params()["labelbottom"]
        assert shown == (number % n_columns == 0, number + n_columns >= n_sets)
    assert display.bars_[1][0][2].get_width() == rows[10]["accuracy"]
    assert len(display.figure_.legends) == 1
    check_texts(display.figure_)


def test_many_sets_extractors_and_classifiers_are_readable(check_texts):
    display = ComparisonDisplay.from_rows(make_rows(6, 20, ["SVM", "ELM"])).plot()
    assert len(display.axes_) == 6 and len(display.ax_.patches) == 40
    check_texts(display.figure_)


def test_many_classifiers_look_different():
    names = [f"classifier {i}" for i in range(10)]
    display = ComparisonDisplay.from_rows(make_rows(classifiers=names)).plot()
    looks = {(bars[0].get_facecolor(), bars[0].get_hatch()) for bars in display.bars_[0]}
    assert len(looks) == 10


def test_error_bars_only_where_something_was_drawn():
    display = ComparisonDisplay.from_rows(make_rows(n_names=3)).plot()
    _, _, (segments,) = display.bars_[0][0].errorbar.lines
    spans = np.array([segment[:, 0] for segment in segments.get_segments() if len(segment)])
    finite = spans[np.isfinite(spans).all(axis=1)]
    np.testing.assert_allclose(finite[:, 1] - finite[:, 0], 2 * display.std[0, 1:, 0])


def test_axes_of_the_user(plt, check_texts):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    display = ComparisonDisplay.from_rows(make_rows(classifiers=["SVM", "ELM"])).plot(ax=right)
    assert display.ax_ is right and display.figure_ is figure
    assert not left.patches and len(right.patches) == 4
    assert texts(right.get_legend().get_texts()) == ["SVM", "ELM"]
    check_texts(figure)
    with pytest.raises(ValueError, match=r"cannot hold 2 panels; pass ax=None"):
        ComparisonDisplay.from_rows(make_rows(2)).plot(ax=left)


def test_gaps_repeats_and_rows_without_classifier():
    rows = [
        {"data": "a", "extractor": "x", "accuracy": 0.5, "accuracy_std": 0.0, "chance": 0.2},
        {"data": "b", "extractor": "y", "accuracy": 0.7, "accuracy_std": 0.1, "chance": 0.3},
        {"data": "a", "extractor": "x", "accuracy": 0.6, "accuracy_std": 0.0, "chance": 0.2},
    ]
    display = ComparisonDisplay.from_rows(rows)
    np.testing.assert_array_equal(display.mean[..., 0], [[0.6, np.nan], [np.nan, 0.7]])
    assert display.classifiers == [""]
    display.plot()
    written = [text for ax in display.axes_ for text in texts(ax.texts)]
    assert "0.600" in written and not any("nan" in text for text in written)
    objects = ComparisonDisplay.from_rows(SimpleNamespace(**row) for row in rows)
    np.testing.assert_array_equal(objects.mean, display.mean)


def test_balanced_accuracy():
    display = ComparisonDisplay.from_rows(make_rows(), score="balanced_accuracy")
    np.testing.assert_array_equal(display.mean, [[[0.25], [0.25]]])
    ax = display.plot().ax_
    assert ax.get_xlabel() == "balanced accuracy"
    assert texts(ax.texts) == ["0.250", "0.250"]  # the chance level is that of the accuracy


def test_wrong_input():
    with pytest.raises(ValueError, match="no rows"):
        ComparisonDisplay.from_rows([])
    with pytest.raises(ValueError, match=r"score is 'f1'.*'balanced_accuracy'"):
        ComparisonDisplay.from_rows(make_rows(), score="f1")


def test_without_matplotlib(monkeypatch):
    display = ComparisonDisplay.from_rows(make_rows())
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install skaudio\[plot\]"):
        display.plot()
