"""The pictures of trainings."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skaudio import MFCCTransformer, Wav2VecTransformer
from skaudio.datasets import make_sounds
from skaudio.plotting import TrainingDisplay

VALID = [2.0, 1.5, 1.0, 1.0, 1.25]  # the best is the last of equals


def history(n_epochs=5, valid=VALID, scores=("accuracy",)):
    """Rows as an extractor has them."""
    rows = []
    for i in range(n_epochs):
        row = {"epoch": i + 1, "seconds": 30.0 + 6 * i, "updates": 10 * (i + 1)}
        row |= {"learning_rate": 1e-3, "train_loss": 2.0 - 0.3 * i}
        row |= {f"train_{score}": 0.1 * i for score in scores}
        if valid is not None:
            row |= {f"valid_{score}": 0.08 * i for score in scores}
            row["valid_loss"] = valid[i % len(valid)]
        rows.append(row)
    return rows


def marked(ax):
    """Points that stand alone, as the best epochs do."""
    return [tuple(*line.get_xydata()) for line in ax.lines if line.get_linestyle() == "None"]


def legend(figure):
    (found,) = figure.legends
    return [text.get_text() for text in found.get_texts()]


def test_curves_of_one_training(check_texts):
    rows = history()
    display = TrainingDisplay.from_histories({"": rows}).plot()
    assert display.scores == ["loss", "accuracy"]
    assert [ax.get_title() for ax in display.axes_] == ["loss", "accuracy"]
    assert display.ax_ is display.axes_[0] and display.ax_.get_xlabel() == "epoch"
    for score, lines in zip(display.scores, display.lines_, strict=True):
        assert [*lines] == [("", "train"), ("", "valid")]
        for (_, part), line in lines.items():
            expected = [(row["epoch"], row[f"{part}_{score}"]) for row in rows]
            np.testing.assert_array_equal(line.get_xydata(), expected)
        train, valid = lines.values()
        assert train.get_linestyle() == "--" and valid.get_linestyle() == "-"
        assert train.get_color() != valid.get_color()
    assert legend(display.figure_) == ["training", "held out", "best epoch"]
    check_texts(display.figure_)


def test_best_epoch_is_marked_on_each_curve():
    display = TrainingDisplay.from_histories({"": history()}).plot()
    assert display.best_ == {"": 3}
    loss, accuracy = display.axes_
    assert marked(loss) == [(4, 1.0)] and marked(accuracy) == [(4, pytest.approx(0.24))]
    # what was trained on counts only if nothing was held out
    display = TrainingDisplay.from_histories({"": history(valid=None)}).plot()
    assert display.best_ == {"": 4}
    assert marked(display.ax_) == [(5, pytest.approx(0.8))]
    assert legend(display.figure_) == ["training", "best epoch"]


@pytest.mark.parametrize(
    ("x", "places", "label"),
    [
        ("epoch", [1, 2, 3, 4, 5], "epoch"),
        ("minutes", [0.5, 1.1, 1.8, 2.6, 3.5], "minutes of training"),
        ("updates", [10, 20, 30, 40, 50], "updates"),
    ],
)
def test_what_the_curves_run_over(x, places, label):
    display = TrainingDisplay.from_histories({"": history()}, x=x).plot()
    for ax, lines in zip(display.axes_, display.lines_, strict=True):
        for line in lines.values():
            np.testing.assert_allclose(line.get_xdata(), places)
        assert ax.get_xlabel() == label
        assert marked(ax)[0][0] == pytest.approx(places[3])


@pytest.mark.parametrize("n", [2, 5, 9])
def test_several_trainings_in_one_picture(n, check_texts):
    names = [f"a long name of the training {number}" for number in range(n)]
    rows = [history(3 + number, valid=[3, 2, 1 + number]) for number in range(n)]
    display = TrainingDisplay.from_histories(dict(zip(names, rows, strict=True))).plot()
    assert legend(display.figure_) == [*names, "training", "held out", "best epoch"]
    lines = display.lines_[0]
    points = [line for line in display.ax_.lines if line.get_linestyle() == "None"]
    for name, own, point in zip(names, rows, points, strict=True):
        train, valid = lines[name, "train"], lines[name, "valid"]
        assert train.get_color() == valid.get_color() == point.get_color()
        assert len(valid.get_xdata()) == len(own)
        (best,) = point.get_xydata()
        np.testing.assert_array_equal(best, valid.get_xydata()[display.best_[name]])
    looks = {(point.get_color(), point.get_marker()) for point in points}
    assert len(looks) == n
    check_texts(display.figure_)


def test_the_legend_leaves_the_panels_their_room(check_texts):
    def height(n):
        rows = {f"a long name of the training {number}": history() for number in range(n)}
        display = TrainingDisplay.from_histories(rows, scores=["loss"]).plot()
        check_texts(display.figure_)
        return display.ax_.get_window_extent().height / display.figure_.dpi

    assert height(12) == pytest.approx(height(1), abs=0.4)  # inches


def test_trainings_that_differ_in_what_they_have(check_texts):
    rows = {"PASE": history(scores=("loss_mfcc", "loss_lps")), "SincNet": history(valid=None)}
    del rows["PASE"][0]["valid_loss_lps"]  # not known in the first epoch
    display = TrainingDisplay.from_histories(rows).plot()
    assert display.scores == ["loss", "loss_mfcc", "loss_lps", "accuracy"]
    assert display.axes_[1].get_title() == "loss mfcc"
    assert [*display.lines_[3]] == [("SincNet", "train")]
    valid = display.lines_[2]["PASE", "valid"].get_ydata()
    np.testing.assert_array_equal(valid, [np.nan, *(0.08 * np.arange(1, 5))])
    assert display.best_ == {"PASE": 3, "SincNet": 4}
    check_texts(display.figure_)
    some = TrainingDisplay.from_histories(rows, scores=["accuracy", "loss"]).plot()
    assert [ax.get_title() for ax in some.axes_] == ["accuracy", "loss"]


def test_without_any_loss_nothing_is_marked():
    rows = [{"epoch": i, "train_perplexity": 2.0 * i} for i in (1, 2)]
    display = TrainingDisplay.from_histories({"": rows}).plot()
    assert display.best_ == {} and marked(display.ax_) == []
    assert legend(display.figure_) == ["training"]


def test_an_epoch_without_a_number_is_not_the_best():
    display = TrainingDisplay.from_histories({"": history(valid=[np.nan, 2, 1, 1.5, np.nan])})
    assert display.plot().best_ == {"": 2}


def test_a_single_epoch_is_a_point():
    display = TrainingDisplay.from_histories({"": history(1)}).plot()
    train = display.lines_[0]["", "train"]
    assert train.get_marker() == "." and len(display.axes_) == 2


@pytest.mark.filterwarnings("ignore:nothing was learnt")
def test_training_of_an_extractor(check_texts):
    sounds = make_sounds(16, max_seconds=0.5, random_state=0)
    small = {"encoder_layers": ((8, 10, 5), (8, 8, 4)), "aggregator_layers": ((8, 2, 1),)}
    wav2vec = Wav2VecTransformer(
        **small, n_steps=2, max_epochs=2, crop_seconds=0.3, batch_seconds=1.0, random_state=0
    ).fit(sounds.data)
    display = TrainingDisplay.from_estimator(wav2vec, x="minutes").plot()
    assert {"loss", "accuracy"} <= {*display.scores} and "learning_rate" not in display.scores
    minutes = sum(row["seconds"] for row in wav2vec.history_) / 60
    valid = display.lines_[0]["", "valid"]
    assert valid.get_xdata()[-1] == pytest.approx(minutes)
    losses = [row["valid_loss"] for row in wav2vec.history_]
    np.testing.assert_array_equal(valid.get_ydata(), losses)
    check_texts(display.figure_)
    pair = TrainingDisplay.from_estimators({"one": wav2vec, "other": wav2vec}, scores=["loss"])
    assert pair.histories == {"one": wav2vec.history_, "other": wav2vec.history_}
    assert pair.x == "epoch" and pair.scores == ["loss"]


def test_axes_of_the_user(plt):
    _, ax = plt.subplots()
    display = TrainingDisplay.from_histories({"": history()}, scores=["loss"]).plot(ax=ax)
    assert display.ax_ is ax and not display.figure_.legends
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["training", "held out", "best epoch"]
    with pytest.raises(ValueError, match="cannot hold 2 panels"):
        TrainingDisplay.from_histories({"": history()}).plot(ax=ax)


@pytest.mark.parametrize(
    ("histories", "params", "message"),
    [
        ({}, {}, "There is no training to show"),
        ({"": []}, {}, "The training has no epochs to show: nothing is trained with max_epochs=0"),
        ({"a": history(), "b": []}, {}, "The training 'b' has no epochs"),
        ({"": history()}, {"x": "hours"}, "x='hours' is unknown"),
        ({"": history()}, {"scores": ["loss", "f1"]}, r"'f1' is unknown; the rows have \['loss',"),
    ],
)
def test_wrong_input(histories, params, message):
    with pytest.raises(ValueError, match=message):
        TrainingDisplay.from_histories(histories, **params)


def test_rows_that_lack_the_axis():
    rows = history()
    del rows[2]["updates"]
    with pytest.raises(
        ValueError, match=r"training 'a' has rows without 'updates'.*pass x='epoch' or 'minutes'"
    ):
        TrainingDisplay.from_histories({"a": rows}, x="updates")
    del rows[0]["seconds"]
    with pytest.raises(ValueError, match="rows without 'seconds', which x='minutes' needs"):
        TrainingDisplay.from_histories({"": rows}, x="minutes")


def test_wrong_extractors():
    with pytest.raises(TypeError, match="MFCCTransformer has no history_, it is not trained"):
        TrainingDisplay.from_estimator(MFCCTransformer().fit([np.zeros(16000)]))
    with pytest.raises(NotFittedError):
        TrainingDisplay.from_estimator(Wav2VecTransformer())
