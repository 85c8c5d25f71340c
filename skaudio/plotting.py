"""Pictures in the manner of scikit-learn's Display classes."""

from dataclasses import asdict, is_dataclass

import numpy as np

# Okabe and Ito's colours (without yellow, which is faint on white): told apart with any
# common kind of colour vision. Hatches double them.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#999999")
_HATCHES = ("", "////", "....", "xxxx")
_BAR = 0.22  # inches per bar


class ComparisonDisplay:
    """Bars of a comparison of extractors, with error bars and the chance level.

    One data set gives one bar for each extractor, labelled at the axis. Several give a
    group of bars for each data set and a legend of the extractors.

    It is recommended to use `from_rows` to make one.

    Parameters
    ----------
    data : list of str
        Names of the data sets, in order.

    extractors : list of str
        Names of the extractors, in order.

    mean, std : ndarray of shape (n_data, n_extractors)
        Score and its standard deviation over the draws; NaN where there is none.

    chance : ndarray of shape (n_data,)
        Chance level of each data set.

    score_name : str
        Written at the axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the picture is.

    figure_ : matplotlib Figure
        The figure around it.

    bars_ : list of matplotlib BarContainer
        One for each extractor, or one in all for a single data set.

    See Also
    --------
    skaudio.compare.compare_extractors : Makes the rows.

    Examples
    --------
    >>> from skaudio.compare import ComparisonRow
    >>> from skaudio.plotting import ComparisonDisplay
    >>> rows = [
    ...     ComparisonRow("dogs", "MFCC", 0.71, 0.0, 0.69, 0.0, 0.5, 1, 120, 24.3),
    ...     ComparisonRow("dogs", "vgg", 0.78, 0.01, 0.77, 0.01, 0.5, 3, 1280, 80.1),
    ... ]
    >>> display = ComparisonDisplay.from_rows(rows).plot()
    >>> display.ax_.get_xlabel(), [label.get_text() for label in display.ax_.get_yticklabels()]
    ('accuracy', ['MFCC', 'vgg'])
    """

    def __init__(self, *, data, extractors, mean, std, chance, score_name):
        self.data = data
        self.extractors = extractors
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
            Finished rows, of one data set or several. Of two rows with the same
            data set and extractor the later one counts.

        score : {"accuracy", "balanced_accuracy"}, default="accuracy"
            Which score to show. The chance level of the balanced accuracy is not in
            the rows, so the level of the accuracy is marked only with the accuracy.

        Returns
        -------
        display : ComparisonDisplay
            Not yet drawn; call `plot`.
        """
        if score not in ("accuracy", "balanced_accuracy"):
            raise ValueError(f"score is {score!r}; pass 'accuracy' or 'balanced_accuracy'.")
        rows = [asdict(row) if is_dataclass(row) else row for row in rows]
        if not rows:
            raise ValueError("There are no rows to show; pass the rows of a comparison.")
        data = list(dict.fromkeys(row["data"] for row in rows))
        extractors = list(dict.fromkeys(row["extractor"] for row in rows))
        mean = np.full((len(data), len(extractors)), np.nan)
        std, chance = mean.copy(), np.full(len(data), np.nan)
        for row in rows:
            place = data.index(row["data"]), extractors.index(row["extractor"])
            mean[place], std[place] = row[score], row[score + "_std"]
            if score == "accuracy":
                chance[place[0]] = row["chance"]
        return cls(
            data=data,
            extractors=extractors,
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
            Where to draw. None: a new figure, as high as the bars need.

        Returns
        -------
        display : ComparisonDisplay
            Itself, with `ax_`, `figure_` and `bars_`.
        """
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(
                "Plotting needs matplotlib, which is not installed; "
                "run `pip install skaudio[plot]`."
            ) from error

        several = len(self.data) > 1
        if ax is None:
            n_slots = self.mean.size + len(self.data) if several else 1.4 * self.mean.size
            size = (8.5 if several else 7.0, max(2.4, 1.0 + _BAR * n_slots))
            _, ax = plt.subplots(figsize=size, layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.bars_ = self._plot_groups(ax) if several else self._plot_single(ax)

        ax.set_xlim(0, 1.0 if np.nanmax(self.mean + self.std) < 0.87 else 1.14)
        ax.set_xticks(np.linspace(0, 1, 6))
        ends = (-0.6, (len(self.data) if several else len(self.extractors)) - 0.4)
        ax.set_ylim(*reversed(ends))  # the first row on top
        ax.set_xlabel(self.score_name)
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
        ax.xaxis.grid(True, color="0.9")
        ax.set_axisbelow(True)
        if several:
            ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
        return self

    def _plot_single(self, ax):
        """Draw one bar per extractor, named at the axis."""
        position = np.arange(len(self.extractors))
        bars = self._bars(ax, position, self.mean[0], self.std[0], 0.72, _COLOURS[0], "", 9)
        ax.set_yticks(position, self.extractors)
        if self.data[0]:
            ax.set_title(self.data[0], pad=18)
        if np.isfinite(self.chance[0]):
            ax.axvline(self.chance[0], color="black", linestyle="--")
            ax.annotate(
                f"chance {self.chance[0]:.3f}",
                (self.chance[0], 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=9,
            )
        return [bars]

    def _plot_groups(self, ax):
        """Draw a group of bars per data set, the extractors told apart by colour."""
        n = len(self.extractors)
        height = 1 / (n + 1)  # a bar's width is left free between the groups
        centre = np.arange(len(self.data))
        bars = []
        for number, name in enumerate(self.extractors):
            position = centre + height * (number - (n - 1) / 2)
            colour = _COLOURS[number % len(_COLOURS)]
            hatch = _HATCHES[number // len(_COLOURS) % len(_HATCHES)]
            mean, std = self.mean[:, number], self.std[:, number]
            bars.append(self._bars(ax, position, mean, std, height, colour, hatch, 7))
            bars[-1].set_label(name)
        ax.set_yticks(centre, self.data)
        half = height * n / 2
        for group in np.flatnonzero(np.isfinite(self.chance)):
            label = "chance" if group == 0 else None
            ends = (group - half, group + half)
            ax.plot([self.chance[group]] * 2, ends, color="black", linestyle="--", label=label)
        return bars

    @staticmethod
    def _bars(ax, position, mean, std, height, colour, hatch, size):
        """Draw horizontal bars with error bars and the score written behind them."""
        bars = ax.barh(
            position,
            mean,
            height=height,
            xerr=np.where(std > 0, std, np.nan),
            color=colour,
            hatch=hatch,
            edgecolor="white",
            linewidth=0.5,
            error_kw={"elinewidth": 1.2, "capsize": 2},
        )
        for place, value, spread in zip(position, mean, std, strict=True):
            if np.isfinite(value):
                ax.annotate(
                    f"{value:.3f}",
                    (value + spread, place),
                    xytext=(4, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=size,
                )
        return bars
