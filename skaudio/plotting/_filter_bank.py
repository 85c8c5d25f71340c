"""The filters of the first layer."""

import math

import numpy as np

from ..utils.validation import check_choice, check_number
from ._style import COLOURS, new_panels

_FEW = 16  # filters that can be looked at one by one
_FLOOR = -40.0  # dB
_ROW = 0.08  # inches
_TICKS = (0, 200, 500, 1000, 2000, 4000, 8000, 16000)  # Hz, on the mel scale


class FilterBankDisplay:
    """Filters of the first layer of an extractor, a panel for each length or shape.

    It is recommended to use `from_estimator` or `from_bands` to make one.

    Parameters
    ----------
    filters : list of ndarray of shape (n_filters, time) or (n_filters, time, mel)
        The kernels of each branch; with ``kind="bands"`` the weights (n_filters, n_bins) of
        frequencies from 0 Hz to half the rate, with ``kind="edges"`` the lower and upper edge
        (n_filters, 2) of each filter, Hz.

    rate : float
        Steps of a filter per second, Hz.

    kind : {"time", "frequency", "bands", "edges"}
        How to show filters without a mel axis.

    unit : str
        What a step of a filter is called, such as "samples".

    initial : ndarray of shape (n_filters, 2), default=None
        Edges of the filters before training, Hz, shown behind those of ``kind="edges"``.

    Attributes
    ----------
    axes_ : ndarray of shape (n_branches,), object
        The matplotlib Axes of each branch.

    ax_ : matplotlib Axes
        The first of them.

    figure_ : matplotlib Figure
        The figure around them.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio import RandomCNNTransformer
    >>> from skaudio.plotting import FilterBankDisplay
    >>> cnn = RandomCNNTransformer("frame_level", n_filters=8, random_state=0)
    >>> display = FilterBankDisplay.from_estimator(cnn.fit([np.zeros(16000)])).plot()
    >>> display.filters[0].shape, display.ax_.get_ylabel()
    ((8, 512), 'frequency (Hz)')
    """

    def __init__(self, *, filters, rate, kind, unit, initial=None):
        self.filters = filters
        self.rate = rate
        self.kind = kind
        self.unit = unit
        self.initial = initial

    @classmethod
    def from_estimator(cls, extractor, *, n_filters=None, kind=None):
        """Make a display from a fitted extractor.

        Parameters
        ----------
        extractor : RandomCNNTransformer, MFCCTransformer, or an extractor that learns bands
            Fitted. The filters of an `MFCCTransformer` are its mel bands. Any extractor that has
            ``bands_`` and ``initial_bands_``, edges in Hz, is shown as by `from_bands`.

        n_filters : int, default=None
            Show the first ones only. None: 16 of each branch, or all where they share a
            picture of frequencies.

        kind : {"time", "frequency"}, default=None
            Kernels as lines over time, or their magnitude responses, sorted by the frequency
            of the peak. None: "frequency" on the wave, "time" on the spectrogram. Kernels
            across mel bands are always images of time and mel band; mel bands are always
            curves over frequency, and learnt bands always bars.

        Returns
        -------
        display : FilterBankDisplay
            Not yet drawn; call `plot`.

        Raises
        ------
        TypeError
            If there is no filter bank to show for the estimator.
        NotFittedError
            If it is not fitted.
        ValueError
            If a parameter is not allowed.
        """
        from sklearn.utils.validation import check_is_fitted

        from ..extractors import MFCCTransformer
        from ..extractors._designs import DesignMixin
        from ..networks.designs import DESIGNS

        check_choice("kind", kind, (None, "time", "frequency"))
        check_number("n_filters", n_filters, 1, none=True)
        if _learns_bands(extractor):
            bands, initial = extractor.bands_[:n_filters], extractor.initial_bands_[:n_filters]
            return cls.from_bands(bands, initial=initial, rate=extractor.sample_rate)
        if not isinstance(extractor, MFCCTransformer | DesignMixin):
            raise TypeError(
                f"{type(extractor).__name__} has no filter bank to show; "
                "pass a RandomCNNTransformer, a CNNTransformer or an MFCCTransformer, or fit an "
                "extractor that learns bands_"
            )
        check_is_fitted(extractor)
        rate = float(extractor.sample_rate)
        if isinstance(extractor, MFCCTransformer):
            bands = extractor._ready(None).frontend.parts[0].mel.numpy()[:n_filters]
            # an odd n_fft has no bin at half the rate
            rate *= 2 * (bands.shape[1] - 1) / extractor.n_fft
            return cls(filters=[bands], rate=rate, kind="bands", unit="bins")
        unit, default = "samples", "frequency"
        design = DESIGNS[extractor.design]
        if not design.reads_wave:
            unit, default, rate = "frames", "time", rate / extractor.hop_length
        kind = default if kind is None else kind
        few = _FEW if n_filters is None else n_filters
        branches = [
            w[:, 0]
            for name, w in extractor.weights_.items()
            if name.startswith(design.first_layer) and w.ndim > 1
        ]
        filters = [
            w if n_filters is None and w.ndim == 2 and kind == "frequency" else w[:few]
            for w in branches
        ]
        return cls(filters=filters, rate=rate, kind=kind, unit=unit)

    @classmethod
    def from_bands(cls, bands, *, initial=None, rate):
        """Make a display of band-pass filters, such as learnt ones beside their start.

        Parameters
        ----------
        bands : array-like of shape (n_filters, 2)
            Lower and upper edge of each filter, Hz.

        initial : array-like of shape (n_filters, 2), default=None
            The same before training. None: nothing is shown behind the bands.

        rate : float
            Sample rate, Hz; the picture ends at half of it.

        Returns
        -------
        display : FilterBankDisplay
            Not yet drawn; call `plot`.

        Raises
        ------
        ValueError
            If the edges are of another shape, not finite, negative or in the wrong order.

        Examples
        --------
        >>> from skaudio.plotting import FilterBankDisplay
        >>> display = FilterBankDisplay.from_bands(
        ...     [[900, 1400], [100, 180]], initial=[[1000, 1500], [100, 200]], rate=16000
        ... ).plot()
        >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
        ['before training', 'learnt']
        """
        check_number("rate", rate, 1e-9, integer=False)
        bands = _checked_edges("bands", bands)
        if initial is not None:
            initial = _checked_edges("initial", initial)
            if len(initial) != len(bands):
                raise ValueError(
                    f"initial has {len(initial)} filters and bands has {len(bands)}; pass the "
                    "same filters before and after training"
                )
        return cls(filters=[bands], rate=float(rate), kind="edges", unit="Hz", initial=initial)

    def plot(self, ax=None):
        """Draw the filters.

        In images of time and mel band red is positive and blue negative.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw, for one branch. None: a new figure.

        Returns
        -------
        display : FilterBankDisplay
            Itself, with `axes_`, `ax_` and `figure_`.

        Raises
        ------
        ValueError
            If an axes is given and there are several branches.
        ImportError
            If matplotlib is missing.
        """
        n = len(self.filters)
        height = 3.6
        if self.kind == "edges":  # a row for each filter
            height = min(max(height, _ROW * len(self.filters[0])), 9.0)
        self.axes_ = new_panels(ax, n, most=5, width=2.6 if n > 1 else 6.5, height=height)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        draw = {"time": self._plot_lines, "frequency": self._plot_responses}
        for ax, filters in zip(self.axes_, self.filters, strict=True):
            if self.kind == "bands":
                self._plot_bands(ax, filters)
            elif self.kind == "edges":
                self._plot_edges(ax, filters)
            elif filters.ndim == 3:
                self._plot_images(ax, filters)
            else:
                ax.set_title(f"{filters.shape[1]} {self.unit}", fontsize="medium")
                draw[self.kind](ax, filters)
        if self.kind == "frequency" and filters.ndim == 2:
            places = [ax for ax, w in zip(self.axes_, self.filters, strict=True) if w.ndim == 2]
            bar = self.figure_.colorbar(places[0].images[0], ax=places, pad=0.01)
            bar.set_label("magnitude (dB of the maximum)")
        return self

    def _plot_lines(self, ax, filters):
        """Draw each filter as a line over time, the first on top."""
        n, steps = filters.shape
        time = 1000 * np.arange(steps) / self.rate
        height = 0.45 / np.abs(filters).max()
        marker = "." if steps <= 64 else ""
        for number, values in enumerate(filters):
            ax.axhline(number, color="0.85", linewidth=0.5)
            ax.plot(
                time,
                number - height * values,
                color=COLOURS[0],
                linewidth=0.8,
                marker=marker,
                markersize=3,
            )
        ax.set_ylim(n - 0.4, -0.6)
        ax.set(xlabel="time (ms)", ylabel="filter")
        ax.spines[["top", "right"]].set_visible(False)
        ax.yaxis.get_major_locator().set_params(integer=True)

    def _plot_responses(self, ax, filters):
        """Draw the magnitude responses as an image, sorted by the frequency of their peaks."""
        n, steps = filters.shape
        gain = np.abs(np.fft.rfft(filters, max(512, steps), axis=1))
        gain = gain[gain.argmax(axis=1).argsort(kind="stable")]
        decibels = 20 * np.log10(np.maximum(gain / gain.max(), 10 ** (_FLOOR / 20)))
        ax.imshow(
            decibels.T,
            origin="lower",
            aspect="auto",
            extent=(-0.5, n - 0.5, 0, self.rate / 2),
            vmin=_FLOOR,
            vmax=0,
        )
        ax.set(xlabel="filter, by its peak", ylabel="frequency (Hz)")
        ax.xaxis.get_major_locator().set_params(integer=True)

    def _plot_images(self, ax, filters):
        """Lay the filters out as tiles of time and mel band."""
        n, steps, bands = filters.shape
        rows = math.ceil(n / math.ceil(2 * math.sqrt(n)))  # most filters are tall
        columns = math.ceil(n / rows)
        limit = np.abs(filters).max()
        ax.imshow(
            _mosaic(filters.transpose(0, 2, 1)[:, ::-1], rows, columns),
            cmap="RdBu_r",
            vmin=-limit,
            vmax=limit,
            aspect="auto",
            interpolation="nearest",
        )
        ax.set_facecolor("0.4")
        ax.set_title(f"{steps} × {bands}", fontsize="medium")
        ax.set(xticks=[], yticks=[])
        ax.set(xlabel=f"time ({steps} × {1000 / self.rate:.3g} ms)", ylabel=f"mel ({bands} bands)")

    def _plot_bands(self, ax, filters):
        """Draw the weights of the mel bands over frequency."""
        frequency = np.linspace(0, self.rate / 2, filters.shape[1])
        for number, values in enumerate(filters):
            ax.plot(frequency, values, color=COLOURS[number % len(COLOURS)], linewidth=0.8)
        ax.set(xlabel="frequency (Hz)", ylabel="weight")
        ax.set_xlim(0, self.rate / 2)
        ax.set_ylim(0)
        ax.spines[["top", "right"]].set_visible(False)

    def _plot_edges(self, ax, bands):
        """Draw a bar from edge to edge for each filter, the lowest one at the bottom."""
        order = bands.mean(axis=1).argsort(kind="stable")
        rows = np.arange(len(bands))
        if self.initial is not None:
            low, high = self.initial[order].T
            look = {"height": 0.9, "color": "0.8", "label": "before training"}
            ax.barh(rows, high - low, left=low, **look)
        low, high = bands[order].T
        ax.barh(rows, high - low, left=low, height=0.45, color=COLOURS[0], label="learnt")
        # on the mel scale filters that start evenly spaced have bars of one length on a line
        ax.set_xscale("function", functions=(_to_mel, _from_mel))
        ax.set_xlim(0, self.rate / 2)
        ax.set_xticks([hertz for hertz in _TICKS if hertz <= self.rate / 2])
        ax.set_ylim(-0.8, len(bands) - 0.2)
        ax.set(xlabel="frequency (Hz, mel scale)", ylabel="filter, by its centre")
        ax.yaxis.get_major_locator().set_params(integer=True)
        ax.spines[["top", "right"]].set_visible(False)
        if self.initial is not None:
            ax.legend(loc="upper left", frameon=False)


def _learns_bands(extractor):
    """Whether a fitted extractor has ``bands_``, as an attribute or a property."""
    from sklearn.utils.validation import check_is_fitted

    if hasattr(type(extractor), "bands_"):
        check_is_fitted(extractor)
    return hasattr(extractor, "bands_")


def _checked_edges(name, edges):
    """Edges as an array (n_filters, 2); ValueError if they are not such."""
    edges = np.asarray(edges, dtype=float)
    if edges.ndim != 2 or edges.shape[1] != 2 or not len(edges):
        raise ValueError(f"{name} is of shape {edges.shape}; pass two edges for each filter")
    wrong = ~((edges[:, 0] >= 0) & (edges[:, 0] <= edges[:, 1]) & np.isfinite(edges[:, 1]))
    if wrong.any():
        first = int(wrong.argmax())
        raise ValueError(
            f"{name}[{first}] is {edges[first].tolist()}; pass a lower and an upper edge in Hz"
        )
    return edges


def _to_mel(hertz):
    return 2595 * np.log10(1 + np.maximum(hertz, 0) / 700)


def _from_mel(mel):
    return 700 * (10 ** (np.asarray(mel) / 2595) - 1)


def _mosaic(tiles, rows, columns):
    """Lay tiles (n, height, width) side by side, NaN between them and where there is none."""
    for axis in (1, 2):  # gaps of about a tenth of a tile
        tiles = tiles.repeat(math.ceil(10 / tiles.shape[axis]), axis)
    n, height, width = tiles.shape
    gaps = height // 10, width // 10
    missing = rows * columns - n
    tiles = np.pad(tiles, ((0, missing), (0, gaps[0]), (0, gaps[1])), constant_values=np.nan)
    tiles = tiles.reshape(rows, columns, *tiles.shape[1:]).transpose(0, 2, 1, 3)
    return tiles.reshape(rows * tiles.shape[1], -1)[: -gaps[0], : -gaps[1]]
