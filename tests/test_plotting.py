"""The pictures."""

import itertools
import sys

import numpy as np
import pytest

from skaudio.compare import ComparisonRow
from skaudio.plotting import ComparisonDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

NAMES = ["MFCC", "RandomCNN (default)", *(f"timbral_temporal {i}" for i in range(9))]
SETS = ["fsdd", "folk_rhythm_rendered", "esc10"]


def make_rows(sets, names):
    rng = np.random.default_rng(0)
    return [
        ComparisonRow(
            data=data,
            extractor=name,
            accuracy=rng.uniform(0.2, 1.0),
            accuracy_std=rng.uniform(0.0, 0.03) if number else 0.0,
            balanced_accuracy=0.25,
            balanced_accuracy_std=0.01,
            chance=0.1 + 0.1 * sets.index(data),
            draws=3,
            n_features=120,
            seconds_per_hour=20.0,
        )
        for data in sets
        for number, name in enumerate(names)
    ]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def texts_overlap(figure):
    """Return pairs of visible texts whose boxes share more than a hair."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    texts = [
        text
        for text in figure.findobj(matplotlib.text.Text)
        if text.get_visible() and text.get_text().strip()
    ]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    for text, box in boxes:
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, f"{text!r} is cut off"
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1, f"{text!r} is cut off"
    return [
        (one, other)
        for (one, a), (other, b) in itertools.combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]


@pytest.mark.parametrize("n_names", [1, 2, 11])
def test_one_set(n_names):
    rows = make_rows(SETS[:1], NAMES[:n_names])
    display = ComparisonDisplay.from_rows(rows).plot()
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == NAMES[:n_names]
    (bars,) = display.bars_
    assert [bar.get_width() for bar in bars] == [row.accuracy for row in rows]
    assert display.ax_.yaxis.get_inverted()  # first row on top
    assert display.ax_.get_xlabel() == "accuracy" and display.ax_.get_title() == "fsdd"
    shown = [text.get_text() for text in display.ax_.texts]
    assert "chance 0.100" in shown and f"{rows[0].accuracy:.3f}" in shown
    assert not texts_overlap(display.figure_)


@pytest.mark.parametrize("n_names", [2, 11])
def test_several_sets(n_names):
    rows = make_rows(SETS, NAMES[:n_names])
    display = ComparisonDisplay.from_rows(rows).plot()
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == SETS
    assert len(display.bars_) == n_names and all(len(bars) == 3 for bars in display.bars_)
    assert display.bars_[1][2].get_width() == rows[2 * n_names + 1].accuracy
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["chance", *NAMES[:n_names]]
    chance = [line.get_xdata()[0] for line in display.ax_.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(chance, [0.1, 0.2, 0.3])
    looks = {(b[0].get_facecolor(), b[0].get_hatch()) for b in display.bars_}
    assert len(looks) == n_names  # each extractor can be told from the others
    assert not texts_overlap(display.figure_)


def test_error_bars_only_where_something_was_drawn():
    display = ComparisonDisplay.from_rows(make_rows(SETS[:1], NAMES[:3])).plot()
    _, _, (segments,) = display.bars_[0].errorbar.lines
    spans = np.array([segment[:, 0] for segment in segments.get_segments() if len(segment)])
    finite = spans[np.isfinite(spans).all(axis=1)]
    np.testing.assert_allclose(finite[:, 1] - finite[:, 0], 2 * display.std[0, 1:])


def test_axes_of_the_user():
    figure, (left, right) = plt.subplots(1, 2)
    display = ComparisonDisplay.from_rows(make_rows(SETS[:1], NAMES[:2])).plot(ax=right)
    assert display.ax_ is right and display.figure_ is figure
    assert not left.patches and len(right.patches) == 2


def test_rows_as_dicts_gaps_and_repeats():
    rows = [
        {"data": "a", "extractor": "x", "accuracy": 0.5, "accuracy_std": 0.0, "chance": 0.2},
        {"data": "b", "extractor": "y", "accuracy": 0.7, "accuracy_std": 0.1, "chance": 0.3},
        {"data": "a", "extractor": "x", "accuracy": 0.6, "accuracy_std": 0.0, "chance": 0.2},
    ]
    display = ComparisonDisplay.from_rows(rows)
    np.testing.assert_array_equal(display.mean, [[0.6, np.nan], [np.nan, 0.7]])
    assert "nan" not in [text.get_text() for text in display.plot().ax_.texts]


def test_balanced_accuracy():
    display = ComparisonDisplay.from_rows(make_rows(SETS[:1], NAMES[:2]), score="balanced_accuracy")
    np.testing.assert_array_equal(display.mean, [[0.25, 0.25]])
    ax = display.plot().ax_
    assert ax.get_xlabel() == "balanced accuracy"
    assert not any("chance" in text.get_text() for text in ax.texts)


def test_wrong_input():
    with pytest.raises(ValueError, match="no rows"):
        ComparisonDisplay.from_rows([])
    with pytest.raises(ValueError, match=r"score is 'f1'.*'balanced_accuracy'"):
        ComparisonDisplay.from_rows(make_rows(SETS, NAMES), score="f1")


def test_without_matplotlib(monkeypatch):
    display = ComparisonDisplay.from_rows(make_rows(SETS[:1], NAMES[:2]))
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install skaudio\[plot\]"):
        display.plot()
