"""Bars of a comparison of extractors."""

import numpy as np

from ._style import COLOURS, HATCHES, new_panels, readable, text_width

_BAR = 0.16  # inches, height of a bar
_SCORE = 0.45  # inches, width of a written score


class ComparisonDisplay:
    """Bars of a comparison of extractors, with error bars and the chance level.

    The extractors stand along the axis, with one bar for each classifier. Several data sets
    give a panel each.

    It is recommended to use `from_rows` to make one.

    Parameters
    ----------
    data, extractors, classifiers : list of str
        Names of the data sets, of the extractors and of the classifiers, in order.

    mean, std : ndarray of shape (n_data, n_extractors, n_classifiers)
        Score and its standard deviation over the draws; NaN where there is none.

    chance : ndarray of shape (n_data,)
        Chance level of each data set; NaN: not marked.

    score_name : str
        Written at the axis.

    Attributes
    ----------
    axes_ : ndarray of shape (n_data,), object
        The matplotlib Axes of each data set.

    ax_ : matplotlib Axes
        The first of them.

    figure_ : matplotlib Figure
        The figure around them.

    bars_ : list of list of matplotlib BarContainer
        For each data set the bars of each classifier.

    See Also
    --------
    skaudio.compare.compare_extractors : Makes the rows.

    Examples
    --------
    >>> from skaudio.plotting import ComparisonDisplay
    >>> rows = [
    ...     {"data": "dogs", "extractor": "MFCC", "accuracy": 0.71, "accuracy_std": 0.0},
    ...     {"data": "dogs", "extractor": "vgg", "accuracy": 0.78, "accuracy_std": 0.01},
    ... ]
    >>> rows = [{**row, "classifier": "SVM", "chance": 0.5} for row in rows]
    >>> display = ComparisonDisplay.from_rows(rows).plot()
    >>> display.ax_.get_xlabel(), [label.get_text() for label in display.ax_.get_yticklabels()]
    ('accuracy', ['MFCC', 'vgg'])
    """

    def __init__(self, *, data, extractors, classifiers, mean, std, chance, score_name):
        self.data = data
        self.extractors = extractors
        self.classifiers = classifiers
        self.mean = mean
        self.std = std
        self.chance = chance
        self.score_name = score_name

    @classmethod
    def from_rows(cls, rows, *, score="accuracy"):
        """Make a display from the rows of a comparison.

        Parameters
        ----------
        rows : iterable of ComparisonRow or dict
            Finished rows, of one data set or several. Of two rows with the same data set,
            extractor and classifier the later one counts. The classifier may be missing.

        score : {"accuracy", "balanced_accuracy"}, default="accuracy"
            Which score to show. The chance level of the balanced accuracy is marked where the
            rows have confusion matrices: one over the number of classes tested.

        Returns
        -------
        display : ComparisonDisplay
            Not yet drawn; call `plot`.

        Raises
        ------
        ValueError
            If there are no rows, or the score is unknown.
        """
        if score not in ("accuracy", "balanced_accuracy"):
            raise ValueError(f"score is {score!r}; pass 'accuracy' or 'balanced_accuracy'.")
        rows = [{"classifier": "", **(r if isinstance(r, dict) else vars(r))} for r in rows]
        if not rows:
            raise ValueError("There are no rows to show; pass the rows of a comparison.")
        data, extractors, classifiers = names = [
            list(dict.fromkeys(row[field] for row in rows))
            for field in ("data", "extractor", "classifier")
        ]
        mean = np.full([len(some) for some in names], np.nan)
        std, chance = mean.copy(), np.full(len(data), np.nan)
        for row in rows:
            place = (
                data.index(row["data"]),
                extractors.index(row["extractor"]),
                classifiers.index(row["classifier"]),
            )
            mean[place], std[place] = row[score], row[score + "_std"]
            if score == "accuracy":
                chance[place[0]] = row["chance"]
            elif row.get("confusion"):
                chance[place[0]] = 1 / np.count_nonzero(np.sum(row["confusion"], axis=1))
        return cls(
            data=data,
            extractors=extractors,
            classifiers=classifiers,
            mean=mean,
            std=std,
            chance=chance,
            score_name=score.replace("_", " "),
        )

    def plot(self, ax=None):
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw, for one data set. None: a new figure, as high as the bars need.

        Returns
        -------
        display : ComparisonDisplay
            Itself, with `axes_`, `ax_`, `figure_` and `bars_`.

        Raises
        ------
        ValueError
            If an axes is given and there are several data sets.
        ImportError
            If matplotlib is missing.

        Notes
        -----
        Names in other scripts are drawn with any installed font that has them. Where none has, a
        warning lists the names that replace them in the picture.
        """
        names = {"set": self.data, "extractor": self.extractors, "classifier": self.classifiers}
        with readable(**names) as shown:
            self._plot(ax, shown)
        return self

    def _plot(self, ax, shown):
        """Draw all sets; `shown` says how to write each name."""
        n_data, n_extractors, n_classifiers = self.mean.shape
        self.axes_ = new_panels(
            ax,
            n_data,
            most=3,
            width=2.7 if n_data > 1 else 5.5,
            height=1.2 + _BAR * n_extractors * (n_classifiers + 0.5),
            margin=0.08 * max(text_width(shown[name]) for name in self.extractors),
            sharex=True,
            sharey=True,
        )
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        self.bars_ = [self._plot_set(number, ax, shown) for number, ax in enumerate(self.axes_)]
        if n_data > 1:
            self.figure_.supxlabel(self.score_name, fontsize="medium")
        else:
            self.ax_.set_xlabel(self.score_name)
        if n_classifiers > 1:
            names = [shown[name] for name in self.classifiers]
            if ax is None:
                where = {"loc": "outside upper center", "ncols": min(n_classifiers, 4)}
                self.figure_.legend(self.bars_[0], names, frameon=False, **where)
            else:
                where = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0)}
                ax.legend(self.bars_[0], names, frameon=False, **where)

    def _plot_set(self, number, ax, shown):
        """Draw one data set; return the bars of each classifier."""
        _, n_extractors, n_classifiers = self.mean.shape
        centre = np.arange(n_extractors)
        height = 1 / (n_classifiers + 0.5)  # a gap of half a bar between extractors
        bars = []
        for k in range(n_classifiers):
            position = centre + height * (k - (n_classifiers - 1) / 2)
            bars.append(self._plot_bars(number, k, ax, position, height))
        ax.set_yticks(centre, [shown[name] for name in self.extractors])
        ax.set_ylim(n_extractors - 0.4, -0.6)  # the first extractor on top

        # space for the score of the longest bar
        width = ax.get_window_extent().width / ax.figure.dpi
        longest = np.nanmax(self.mean + self.std)
        ax.set_xlim(0, max(1.0, longest / (1 - min(0.5, _SCORE / width))))
        ax.set_xticks(np.linspace(0, 1, 6))
        size = "large" if len(self.data) == 1 else "medium"  # panels side by side are narrow
        ax.set_title(shown[self.data[number]], pad=18, fontsize=size)
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
        ax.xaxis.grid(True, color="0.9")
        ax.set_axisbelow(True)
        chance = self.chance[number]
        if np.isfinite(chance):
            ax.axvline(chance, color="black", linestyle="--")
            ax.annotate(
                f"chance {chance:.3f}",
                (chance, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
        return bars

    def _plot_bars(self, number, k, ax, position, height):
        """Draw the bars of one classifier, with error bars and scores behind them."""
        mean, std = self.mean[number, :, k], self.std[number, :, k]
        bars = ax.barh(
            position,
            mean,
            height=height,
            xerr=np.where(std > 0, std, np.nan),
            color=COLOURS[k % len(COLOURS)],
            hatch=HATCHES[k // len(COLOURS) % len(HATCHES)],
            edgecolor="white",
            linewidth=0.5,
            error_kw={"elinewidth": 1.0, "capsize": 2},
        )
        for place, value, spread in zip(position, mean, std, strict=True):
            if np.isfinite(value):
                ax.annotate(
                    f"{value:.3f}",
                    (value + spread, place),
                    xytext=(4, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=8 if len(self.classifiers) == 1 else 7,
                )
        return bars
