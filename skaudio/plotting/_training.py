"""How a training went."""

import math

import numpy as np

from ..utils.validation import check_choice
from ._style import COLOURS, MARKERS, new_panels, readable, text_width

_PARTS = {"train": ("training", "--"), "valid": ("held out", "-")}
_AXES = {"epoch": "epoch", "minutes": "minutes of training", "updates": "updates"}
_FEW = 25  # epochs that can be marked one by one
_LINE = 0.21  # height of a line of the legend, inches


class TrainingDisplay:
    """Loss and scores of trainings, a panel for each, with the best epoch marked.

    It is recommended to use `from_estimator` or `from_estimators` to make one.

    Parameters
    ----------
    histories : dict of str to list of dict
        By the name of the training, a row for each epoch, as in ``history_`` of an extractor.

    scores : list of str
        The panels, in order; "accuracy" shows the columns ``train_accuracy`` and
        ``valid_accuracy``, or the one that is there.

    x : {"epoch", "minutes", "updates"}
        What the curves run over.

    Attributes
    ----------
    axes_ : ndarray of shape (n_scores,), object
        The matplotlib Axes of each score.

    ax_ : matplotlib Axes
        The first of them.

    figure_ : matplotlib Figure
        The figure around them.

    lines_ : list of dict
        For each score the matplotlib Line2D of each (name, part), where part is "train" or
        "valid".

    best_ : dict of str to int
        Of each training the index of the row that is marked: the one of the lowest
        ``valid_loss``, or ``train_loss`` if nothing was held out; the last one of equals. A
        training that has no such number is left out, and nothing is marked.

    Examples
    --------
    >>> from skaudio.plotting import TrainingDisplay
    >>> losses = [(2.4, 2.3), (1.9, 2.0), (1.6, 2.1)]
    >>> history = [
    ...     {"epoch": i, "seconds": 30.0, "train_loss": train, "valid_loss": valid}
    ...     for i, (train, valid) in enumerate(losses, start=1)
    ... ]
    >>> display = TrainingDisplay.from_histories({"": history}, x="minutes").plot()
    >>> display.ax_.get_title(), display.lines_[0]["", "valid"].get_xdata()
    ('loss', array([0.5, 1. , 1.5]))
    >>> display.best_  # the second epoch
    {'': 1}
    """

    def __init__(self, *, histories, scores, x):
        self.histories = histories
        self.scores = scores
        self.x = x

    @classmethod
    def from_estimator(cls, extractor, *, x="epoch", scores=None):
        """Make a display of the training of one extractor.

        Parameters
        ----------
        extractor : estimator
            Fitted, with ``history_``.

        x : {"epoch", "minutes", "updates"}, default="epoch"
            As for `from_histories`.

        scores : sequence of str, default=None
            As for `from_histories`.

        Returns
        -------
        display : TrainingDisplay
            Not yet drawn; call `plot`.
        """
        return cls.from_estimators({"": extractor}, x=x, scores=scores)

    @classmethod
    def from_estimators(cls, extractors, *, x="epoch", scores=None):
        """Make a display of several trainings in one picture.

        Parameters
        ----------
        extractors : dict of str to estimator
            Fitted, with ``history_``; by the names for the legend.

        x : {"epoch", "minutes", "updates"}, default="epoch"
            As for `from_histories`.

        scores : sequence of str, default=None
            As for `from_histories`.

        Returns
        -------
        display : TrainingDisplay
            Not yet drawn; call `plot`.

        Raises
        ------
        TypeError
            If an extractor does not learn.
        NotFittedError
            If one is not fitted.
        ValueError
            If one was fitted without training, or a parameter is not allowed.
        """
        from sklearn.utils.validation import check_is_fitted

        for extractor in extractors.values():
            check_is_fitted(extractor)
            if "history_" not in vars(extractor):
                raise TypeError(
                    f"{type(extractor).__name__} has no history_, it is not trained; pass an "
                    "extractor that learns, such as a Wav2VecTransformer"
                )
        histories = {name: extractor.history_ for name, extractor in extractors.items()}
        return cls.from_histories(histories, x=x, scores=scores)

    @classmethod
    def from_histories(cls, histories, *, x="epoch", scores=None):
        """Make a display of the rows that trainings left.

        Parameters
        ----------
        histories : dict of str to list of dict
            By the name of the training, a row for each epoch: ``epoch``, ``seconds`` of that
            epoch, ``updates`` so far, ``train_loss``, and ``valid_loss`` if clips were held out;
            other ``train_*`` and ``valid_*`` are scores.

        x : {"epoch", "minutes", "updates"}, default="epoch"
            What the curves run over.

        scores : sequence of str, default=None
            What to show, such as ``["loss", "accuracy"]``. None: the loss and all others, in the
            order of the rows.

        Returns
        -------
        display : TrainingDisplay
            Not yet drawn; call `plot`.

        Raises
        ------
        ValueError
            If there are no rows, they lack what is to be shown, or a parameter is not allowed.
        """
        check_choice("x", x, tuple(_AXES))
        if not histories:
            raise ValueError("There is no training to show; pass at least one.")
        histories = {name: [*rows] for name, rows in histories.items()}
        column = {"minutes": "seconds"}.get(x, x)
        for name, rows in histories.items():
            which = f"The training {name!r}" if name else "The training"
            if not rows:
                raise ValueError(
                    f"{which} has no epochs to show: nothing is trained with max_epochs=0 or "
                    "with pretrained weights"
                )
            if any(column not in row for row in rows):
                others = " or ".join(repr(other) for other in _AXES if other != x)
                raise ValueError(
                    f"{which} has rows without {column!r}, which x={x!r} needs; pass x={others}"
                )
        known = _scores(histories)
        scores = known if scores is None else [*scores]
        for score in scores:
            if score not in known:
                raise ValueError(f"score {score!r} is unknown; the rows have {known}")
        return cls(histories=histories, scores=scores, x=x)

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw, for one score. None: a new figure.

        Returns
        -------
        display : TrainingDisplay
            Itself, with `axes_`, `ax_`, `figure_`, `lines_` and `best_`.

        Raises
        ------
        ValueError
            If an axes is given and there are several scores.
        ImportError
            If matplotlib is missing.
        """
        best = {name: _best(rows) for name, rows in self.histories.items()}
        self.best_ = {name: row for name, row in best.items() if row is not None}
        with readable(training=[*self.histories]) as shown:
            n = len(self.scores)
            self.axes_ = new_panels(ax, n, most=3, width=5.5 if n == 1 else 3.8, height=3.4)
            self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
            self.lines_ = [
                self._plot_score(panel, score)
                for panel, score in zip(self.axes_, self.scores, strict=True)
            ]
            self._plot_legend(ax, shown)
        return self

    def _plot_score(self, ax, score):
        """Draw the curves of one score; return them by training and part."""
        lines = {}
        for number, (name, rows) in enumerate(self.histories.items()):
            places = _places(rows, self.x)
            for part in _PARTS:
                values = _column(rows, f"{part}_{score}")
                if np.isnan(values).all():
                    continue
                look = self._look(number, part)
                marker = "." if len(rows) <= _FEW else ""
                (line,) = ax.plot(places, values, **look, marker=marker, markersize=4)
                lines[name, part] = line
            shown = [part for part in ("valid", "train") if (name, part) in lines]
            if shown and name in self.best_:
                line, row = lines[name, shown[0]], self.best_[name]
                ax.plot(places[row], line.get_ydata()[row], **_mark(number, line.get_color()))
        ax.set(xlabel=_AXES[self.x], title=score.replace("_", " "))
        if self.x != "minutes":
            ax.xaxis.get_major_locator().set_params(integer=True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(True, color="0.9")
        ax.set_axisbelow(True)
        return lines

    def _look(self, number, part):
        """Colour and style of a curve: a single training has a colour for each part."""
        if len(self.histories) == 1:
            colour = COLOURS[1 if part == "train" else 0]
        else:
            colour = COLOURS[number % len(COLOURS)]
        width = 1.0 if part == "train" else 1.5  # the held-out clips are what counts
        return {"color": colour, "linestyle": _PARTS[part][1], "linewidth": width}

    def _handles(self, shown):
        """Entries of the legend: which training has which colour, what is dashed or marked."""
        from matplotlib.lines import Line2D

        several = len(self.histories) > 1
        handles = []
        if several:
            for number, name in enumerate(self.histories):
                look = self._look(number, "valid")
                mark = _mark(number, look["color"]) if name in self.best_ else {}
                handles.append(Line2D([], [], **{**mark, **look}, label=shown[name]))
        for part, (label, _) in _PARTS.items():
            if any((name, part) in lines for lines in self.lines_ for name in self.histories):
                look = self._look(0, part)
                colour = "0.4" if several else look["color"]
                handles.append(Line2D([], [], **{**look, "color": colour}, label=label))
        if self.best_:
            mark = _mark(0, "0.4" if several else self._look(0, "valid")["color"])
            handles.append(Line2D([], [], **mark, label="best epoch"))
        return handles

    def _plot_legend(self, ax, shown):
        """Put the legend into the user's axes, or above all panels of a figure that grows by it."""
        handles = self._handles(shown)
        if ax is not None:
            ax.legend(handles=handles, frameon=False)
            return
        widest = 0.7 + 0.08 * max(text_width(handle.get_label()) for handle in handles)  # inches
        most = max(1, int(self.figure_.get_figwidth() // widest))
        n_rows = math.ceil(len(handles) / most)
        where = {"loc": "outside upper center", "ncols": math.ceil(len(handles) / n_rows)}
        self.figure_.set_figheight(self.figure_.get_figheight() + _LINE * n_rows)
        self.figure_.legend(handles=handles, frameon=False, **where)


def _scores(histories):
    """Names of all scores, the loss first, then as they come."""
    columns = (column for rows in histories.values() for row in rows for column in row)
    parts = (column.partition("_") for column in columns)
    names = dict.fromkeys(name for part, _, name in parts if part in _PARTS and name)
    return sorted(names, key=lambda name: name != "loss")


def _column(rows, column):
    """Values (n_epochs,) of a column; NaN where a row has none."""
    return np.array([row.get(column, np.nan) for row in rows], dtype=float)


def _places(rows, x):
    """Where each epoch stands on the axis: at its end."""
    if x == "minutes":
        return np.cumsum(_column(rows, "seconds")) / 60
    return _column(rows, x)


def _best(rows):
    """Index of the best epoch, or None if there is no loss to tell it by."""
    for part in ("valid", "train"):
        loss = _column(rows, f"{part}_loss")
        if not np.isnan(loss).all():
            return int(np.flatnonzero(loss == np.nanmin(loss))[-1])
    return None


def _mark(number, colour):
    """Look of the marker of a best epoch."""
    return {
        "color": colour,
        "marker": MARKERS[number % len(MARKERS)],
        "markersize": 8,
        "markeredgecolor": "white",
        "linestyle": "none",
        "zorder": 3,
    }
