"""Names of any script and length in the pictures."""

import warnings

import numpy as np
import pytest

from skaudio.plotting import ComparisonDisplay
from skaudio.plotting._style import readable, text_width

GREEK = "σκύλος"  # the usual font has it


def rows_of(data="set", extractors=("MFCC",)):
    row = {"data": data, "classifier": "SVM", "accuracy": 0.5, "accuracy_std": 0.0, "chance": 0.5}
    return [{**row, "extractor": name} for name in extractors]


@pytest.fixture
def no_fonts(monkeypatch):
    """Leave matplotlib no font but its usual one."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    usual = [font for font in manager.ttflist if font.name == "DejaVu Sans"]
    monkeypatch.setattr(manager, "ttflist", usual)


@pytest.fixture
def font(tmp_path, no_fonts):
    """Install a font that has the two characters of 日本, each a filled square."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen
    from matplotlib import font_manager

    pen = TTGlyphPen(None)
    for point, corner in enumerate([(0, 0), (0, 800), (800, 800), (800, 0)]):
        (pen.lineTo if point else pen.moveTo)(corner)
    pen.closePath()
    names, square = [".notdef", "one", "two"], pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord("日"): "one", ord("本"): "two"})
    builder.setupGlyf(dict.fromkeys(names, square))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Two Squares", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "squares.ttf")
    font_manager.fontManager.addfont(tmp_path / "squares.ttf")
    return "Two Squares"


def test_an_installed_font_that_has_the_glyphs_is_taken(font, check_texts):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of matplotlib too, for glyphs that are missing
        display = ComparisonDisplay.from_rows(rows_of("日本", ["MFCC", "日本 2"])).plot()
        check_texts(display.figure_)
    assert display.ax_.get_title() == "日本"
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["MFCC", "日本 2"]
    assert display.ax_.title.get_fontfamily()[-1] == font


def test_without_such_a_font_names_have_stand_ins(no_fonts, check_texts):
    display = ComparisonDisplay.from_rows(rows_of(extractors=["MFCC", "狗", "猫\ue123 2", GREEK]))
    with pytest.warns(
        UserWarning, match=r"extractor 2 = 狗, extractor 3 = 猫\ue123 2\. Install a font"
    ):
        display.plot()
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert names == ["MFCC", "extractor 2", "extractor 3", GREEK]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_texts(display.figure_)


def test_marks_and_invisible_characters(no_fonts):
    with readable(class_=["e\u0301", "a\u200db", "\ufeffc"]) as shown:
        assert [*shown.values()] == [*shown]


def test_dollars_are_no_formula(check_texts):
    display = ComparisonDisplay.from_rows(rows_of(extractors=[r"$\nothing$", "a_b"])).plot()
    check_texts(display.figure_)
    assert display.ax_.get_yticklabels()[0].get_text() == r"$\nothing$"


def test_long_names_lose_their_middle():
    names = [f"first {'x' * 80} {number:02}" for number in range(3)]
    with readable(class_=names) as shown:
        assert len({*shown.values()}) == 3
    assert all(text_width(name) <= 32 and "…" in name for name in shown.values())
    assert shown[names[2]].startswith("first xxx") and shown[names[2]].endswith("xx 02")
    assert text_width("語a") == 3


def test_balanced_accuracy_has_its_own_chance():
    row = {**rows_of()[0], "balanced_accuracy": 0.6, "balanced_accuracy_std": 0.0}
    row["confusion"] = [[3, 1, 0], [2, 2, 0], [0, 0, 0]]  # the third class is never tested
    display = ComparisonDisplay.from_rows([row], score="balanced_accuracy").plot()
    np.testing.assert_array_equal(display.chance, [0.5])
    assert "chance 0.500" in [text.get_text() for text in display.ax_.texts]
