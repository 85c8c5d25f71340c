"""The maps of one clip in the layers of an extractor."""

import numpy as np

from ..utils.validation import check_number
from ._style import new_panels

_TICKS = 6  # named channels per panel


class FeatureMapDisplay:
    """Maps of one clip over time, a panel for each layer.

    It is recommended to use `from_estimator` to make one.

    Parameters
    ----------
    maps : list of ndarray of shape (n_channels_l, n_frames)
        Features of each layer over time.

    names : list of str
        Name of each layer.

    channels : list of sequence of str
        Names of each layer's channels.

    times : ndarray of shape (n_frames,)
        Centre of each frame, seconds.

    step : float
        From one frame to the next, seconds.

    Attributes
    ----------
    axes_ : ndarray of shape (n_layers,), object
        The matplotlib Axes of each layer.

    ax_ : matplotlib Axes
        The first of them.

    figure_ : matplotlib Figure
        The figure around them.

    images_ : list of matplotlib AxesImage
        The picture of each layer.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio import MFCCTransformer
    >>> from skaudio.plotting import FeatureMapDisplay
    >>> clip = np.random.default_rng(0).standard_normal(16000)
    >>> mfcc = MFCCTransformer(n_deltas=1).fit([clip])
    >>> display = FeatureMapDisplay.from_estimator(mfcc, clip).plot()
    >>> display.names, display.maps[0].shape
    (['mfcc0 to mfcc19', 'mfcc0_delta1 to mfcc19_delta1'], (20, 32))
    """

    def __init__(self, *, maps, names, channels, times, step):
        self.maps = maps
        self.names = names
        self.channels = channels
        self.times = times
        self.step = step

    @classmethod
    def from_estimator(cls, extractor, clip, *, layer=None, max_channels=64):
        """Make a display from an extractor and a clip.

        Parameters
        ----------
        extractor : BaseAudioTransformer
            Fitted.

        clip : array of shape (n_samples,), path or AudioFile
            The sound.

        layer : str or int, default=None
            Name or position of one layer. None: all.

        max_channels : int, default=64
            Of more channels, this many are shown, evenly spaced. None: all.

        Returns
        -------
        display : FeatureMapDisplay
            Not yet drawn; call `plot`.

        Raises
        ------
        TypeError
            If the estimator is no extractor of this library.
        NotFittedError
            If it is not fitted.
        ValueError
            If the clip cannot be used, or the layer is unknown.
        """
        from ..audio import Clips
        from ..base import BaseAudioTransformer

        if not isinstance(extractor, BaseAudioTransformer):
            raise TypeError(f"{type(extractor).__name__} is no BaseAudioTransformer of skaudio")
        check_number("max_channels", max_channels, 1, none=True)
        wave = Clips([clip], extractor.sample_rate)[0]
        (frames,) = extractor.transform_frames([wave])
        times = extractor.frame_times(len(wave))
        step = times[1] - times[0] if len(times) > 1 else len(wave) / extractor.sample_rate

        layers = extractor._network(None).maps
        names = [m.name or f"{m.channels[0]} to {m.channels[-1]}" for m in layers]
        shown = {"maps": [], "names": [], "channels": []}
        stops = np.cumsum([len(m.channels) for m in layers])
        for i in _positions(layer, names):
            n = len(layers[i].channels)
            chosen = np.linspace(0, n - 1, min(n, max_channels or n)).round().astype(int)
            shown["maps"].append(frames[:, stops[i] - n + chosen].T)
            shown["names"].append(names[i])
            shown["channels"].append([layers[i].channels[c] for c in chosen])
        return cls(**shown, times=times, step=step)

    def plot(self, ax=None):
        """Draw the maps.

        The colours of each layer span its values, but for the most extreme 1 % of the frames
        of each channel and 5 % of the channels.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw, for one layer. None: a new figure.

        Returns
        -------
        display : FeatureMapDisplay
            Itself, with `axes_`, `ax_`, `figure_` and `images_`.

        Raises
        ------
        ValueError
            If an axes is given and there are several layers.
        ImportError
            If matplotlib is missing.
        """
        height = 1.8 if len(self.maps) > 1 else 3.5
        self.axes_ = new_panels(ax, len(self.maps), most=1, width=8, height=height, sharex=True)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        self.images_ = [
            self._plot_map(*some)
            for some in zip(self.axes_, self.maps, self.names, self.channels, strict=True)
        ]
        self.axes_[-1].set_xlabel("time (s)")
        return self

    def _plot_map(self, ax, values, name, channels):
        """Draw one layer, the first channel at the bottom."""
        # quantiles, so that a quiet moment or a channel of another scale, such as mfcc0, does not
        # hide the others
        low, high = (
            np.percentile(np.percentile(values, within, axis=1), across)
            for within, across in ((1, 5), (99, 95))
        )
        if low == high:  # a layer that is rarely active
            low, high = values.min(), values.max()
        n = len(values)
        begin, end = self.times[0] - self.step / 2, self.times[-1] + self.step / 2
        image = ax.imshow(
            values,
            origin="lower",
            aspect="auto",
            extent=(begin, end, -0.5, n - 0.5),
            vmin=low,
            vmax=high,
        )
        ticks = np.linspace(0, n - 1, min(n, _TICKS)).round().astype(int)
        ax.set_yticks(ticks, [channels[tick] for tick in ticks], fontsize=8)
        ax.set_title(name, loc="left", fontsize="medium")
        ax.figure.colorbar(image, ax=ax, pad=0.01)
        return image


def _positions(layer, names):
    """Indices of the layers to show."""
    if layer is None:
        return range(len(names))
    if layer in names:
        return [names.index(layer)]
    try:
        return [range(len(names))[layer]]
    except (TypeError, IndexError):
        raise ValueError(
            f"layer={layer!r} is unknown; use one of {names} or its position"
        ) from None
