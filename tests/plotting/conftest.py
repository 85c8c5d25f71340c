"""What the tests of the pictures share."""

import itertools

import pytest


@pytest.fixture(autouse=True)
def plt():
    """Give pyplot without a screen; all figures are closed afterwards."""
    matplotlib = pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    matplotlib.use("Agg")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    yield pyplot
    pyplot.close("all")


@pytest.fixture
def check_texts(monkeypatch):
    """Function that checks that no text of a figure is cut off or covers another."""
    from matplotlib.text import Text

    drawn, draw = {}, Text.draw

    def record(text, renderer):
        if text.get_visible() and text.get_text().strip():
            drawn[text] = text.get_window_extent(renderer)
        draw(text, renderer)

    monkeypatch.setattr(Text, "draw", record)  # an axis also has labels that it never draws

    def check(figure):
        drawn.clear()
        figure.canvas.draw()
        assert drawn
        boxes = [(text.get_text(), box) for text, box in drawn.items()]
        for text, box in boxes:
            assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, f"{text!r} is cut off"
            assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1, f"{text!r} is cut off"
        for (one, a), (other, b) in itertools.combinations(boxes, 2):
            shared = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
            assert min(shared) <= 1, f"{one!r} and {other!r} share more than a hair"

    return check
