"""Pictures of a comparison, and its winner."""

import sys
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skaudio import ELMClassifier, MFCCTransformer, RandomCNNTransformer, load
from skaudio.compare import ComparisonRow, TunedELM, TunedSVM, inner_folds, refit, standard_svm
from skaudio.compare._report import save_pictures, save_winner
from skaudio.compare._svm import CalibratedSVC
from skaudio.datasets import make_sounds
from tests.compare.spies import SpyClassifier

ROW = ComparisonRow(
    "dogs", "MFCC", "SVM", 0.7, 0.0, 0.6, 0.0, 0.5, 1, 120, 24.3, "", [[3, 1], [2, 4]]
)
MFCC = MFCCTransformer(n_mfcc=5)
SVM = TunedSVM(C=(2,), gamma=(2**-5, 2**-7))


@pytest.fixture(scope="module")
def notes():
    """Clips, names of their classes, and pitches."""
    sounds = make_sounds(40, min_seconds=0.1, max_seconds=0.1, random_state=0)
    return sounds.data, [sounds.target_names[label] for label in sounds.target], sounds.groups


# --- pictures ------------------------------------------------------------------------------------


def test_pictures(tmp_path):
    best, before = replace(ROW, extractor="vgg", accuracy=0.9), set(plt.get_fignums())
    text = save_pictures([ROW, best], best, ["bark", "howl"], tmp_path)
    assert text == f"{tmp_path / 'compare.png'}, {tmp_path / 'confusion.png'}"
    for name in ("compare.png", "confusion.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert not set(plt.get_fignums()) - before


def test_confusions_in_percent_of_the_true_class(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: figures.append(figure))
    save_pictures([ROW], ROW, ["bark", "howl"], tmp_path)
    ax, _ = figures[1].axes
    assert [text.get_text() for text in ax.texts] == ["75", "25", "33", "67"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["bark", "howl"]
    assert figures[1].get_suptitle() == "MFCC + SVM: percent of each class"


def test_classes_that_no_font_can_draw_are_named(tmp_path, monkeypatch):
    from matplotlib import font_manager

    manager = font_manager.fontManager
    usual = [font for font in manager.ttflist if font.name == "DejaVu Sans"]
    monkeypatch.setattr(manager, "ttflist", usual)
    text = save_pictures([ROW], ROW, ["bark", "狗"], tmp_path)
    assert "calls them otherwise: class 2 = 狗. Install a font" in text


def test_pictures_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    text = save_pictures([ROW], ROW, ["bark", "howl"], tmp_path)
    assert text == "none, matplotlib is not installed; run `pip install skaudio[plot]`"
    assert not [*tmp_path.iterdir()]


# --- the winner ----------------------------------------------------------------------------------


def test_refit_is_the_chosen_model_learnt_from_all_clips(notes):
    X, y, groups = notes
    pipeline = refit(MFCC, SVM, X, y, groups=groups)
    Z = MFCCTransformer(n_mfcc=5).fit_transform(X)
    tuned = TunedSVM(C=(2,), gamma=(2**-5, 2**-7), cv=inner_folds(y, groups)).fit(Z, y)
    plain = make_pipeline(StandardScaler(), SVC(**tuned.best_params_)).fit(Z, y)
    steps = [type(step) for _, step in pipeline.steps]
    assert steps == [MFCCTransformer, StandardScaler, CalibratedSVC]
    assert pipeline[-1].get_params().items() >= tuned.best_params_.items()
    new = make_sounds(16, min_seconds=0.1, max_seconds=0.1, random_state=1).data
    assert_array_equal(pipeline.predict(new), plain.predict(pipeline[0].transform(new)))
    assert {*pipeline.predict(X)} <= {*y}
    assert SVM.cv is None and not hasattr(MFCC, "n_features_out_")


def test_refit_keeps_the_groups_apart(notes, fits):
    X, y, groups = notes
    refit(MFCC, SpyClassifier(), X, y, groups=groups)
    for (train, valid), expected in zip(fits[0][3], inner_folds(y, groups), strict=True):
        assert_array_equal(train, expected[0])
        assert_array_equal(valid, expected[1])


def test_refit_takes_the_seed(notes):
    X, y, _ = notes
    cnn = RandomCNNTransformer("frame_level", n_filters=4)
    pipeline = refit(cnn, TunedELM(n_hidden=(10,)), X, y, random_state=5)
    assert pipeline[0].random_state == pipeline[-1].random_state == 5
    assert isinstance(pipeline[-1], ELMClassifier)
    again = refit(cnn, TunedELM(n_hidden=(10,)), X, y, random_state=5)
    assert_array_equal(again[:-1].transform(X), pipeline[:-1].transform(X))


def test_refit_of_a_classifier_without_settings(notes):
    X, y, _ = notes
    pipeline = refit(MFCC, SVC(), X, y)
    assert [name for name, _ in pipeline.steps] == ["extractor", "classifier"]
    steps = [type(step) for _, step in refit(MFCC, standard_svm(), X, y).steps]
    assert steps[1:] == [type(step) for _, step in standard_svm().steps]


@pytest.mark.parametrize("classifier", [SVM, TunedELM(n_hidden=(10,))], ids=["SVM", "ELM"])
def test_saved_winner(tmp_path, notes, classifier):
    X, y, groups = notes
    path = tmp_path / "winner.skops"
    text = save_winner(path, MFCC, classifier, X, y, groups=groups)
    assert [item.name for item in tmp_path.iterdir()] == ["winner.skops"]
    expected = refit(MFCC, classifier, X, y, groups=groups).predict(X)
    assert_array_equal(load(path).predict(X), expected)
    assert f"load({str(path)!r})" in text and text.startswith("use it:    from skaudio import load")


def test_winner_without_skops(tmp_path, notes, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops.io", None)
    text = save_winner(tmp_path / "winner.skops", MFCC, SVM, *notes[:2])
    assert text == "winner not saved, skops is not installed; run `pip install skaudio[save]`"
    assert not [*tmp_path.iterdir()]


def test_a_failing_save_keeps_the_earlier_winner(tmp_path, notes, monkeypatch):
    X, y, _ = notes
    path = tmp_path / "winner.skops"
    path.write_bytes(b"earlier")

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr("skops.io.dump", fail)
    with pytest.raises(OSError, match="no space"):
        save_winner(path, MFCC, SVM, X, np.array(y))
    assert path.read_bytes() == b"earlier"
