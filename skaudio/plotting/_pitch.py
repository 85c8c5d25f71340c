"""The pitch of one clip over its spectrogram."""

import numpy as np

from ..utils.validation import check_number
from ._style import COLOURS, new_panels

_WINDOW = 0.05  # s; long enough to tell the harmonics of a low voice from each other
_RANGE = 60.0  # dB
_HARMONICS = 6  # of the highest pitch, up to which the picture reaches


class PitchDisplay:
    """Fundamental frequency of one clip, drawn over its spectrogram.

    It is recommended to use `from_clip` to make one.

    Parameters
    ----------
    f0 : ndarray of shape (n_frames,)
        Fundamental frequency of each frame, Hz; 0 where it is unvoiced.

    periodicity : ndarray of shape (n_frames,)
        Normalised autocorrelation at the period, from 0 to 1.

    decibels : ndarray of shape (n_bins, n_frames)
        Power of each frame from 0 Hz on.

    bin_width : float
        From one bin to the next, Hz.

    times : ndarray of shape (n_frames,)
        Centre of each frame, seconds.

    step : float
        From one frame to the next, seconds.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.

    figure_ : matplotlib Figure
        The figure around it.

    image_ : matplotlib AxesImage
        The spectrogram.

    line_ : matplotlib Line2D
        The pitch, with gaps where the clip is unvoiced.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.plotting import PitchDisplay
    >>> clip = np.sin(2 * np.pi * 220 * np.arange(16000) / 16000)
    >>> display = PitchDisplay.from_clip(clip, 16000).plot()
    >>> display.f0.shape, round(float(display.f0[50]), 1), display.ax_.get_ylabel()
    ((101,), 220.0, 'frequency (Hz)')
    """

    def __init__(self, *, f0, periodicity, decibels, bin_width, times, step):
        self.f0 = f0
        self.periodicity = periodicity
        self.decibels = decibels
        self.bin_width = bin_width
        self.times = times
        self.step = step

    @classmethod
    def from_clip(cls, clip, sample_rate=16000, *, hop_seconds=0.01, fmin=55.0, fmax=600.0):
        """Make a display of a clip, whose pitch is found by `skaudio.frontends.Pitch`.

        Parameters
        ----------
        clip : array of shape (n_samples,), path or AudioFile
            The sound.

        sample_rate : int, default=16000
            Rate of an array, Hz; files are resampled to it.

        hop_seconds : float, default=0.01
            Step from one frame to the next, seconds; rounded to samples.

        fmin, fmax : float, default=55, 600
            Lowest and highest pitch, Hz.

        Returns
        -------
        display : PitchDisplay
            Not yet drawn; call `plot`.

        Raises
        ------
        ValueError
            If the clip cannot be used, or a parameter is not allowed.
        """
        import torch

        from ..audio import Clips
        from ..frontends import Pitch

        check_number("hop_seconds", hop_seconds, 1 / sample_rate, integer=False)
        hop = round(hop_seconds * sample_rate)
        pitch = Pitch(sample_rate, hop, fmin, fmax)
        wave = torch.from_numpy(Clips([clip], sample_rate)[0])[None]
        (x,), _ = pitch(wave, torch.tensor([wave.shape[1]]))

        window = torch.hann_window(round(_WINDOW * sample_rate))
        n_fft = 2 * len(window)
        spectrum = torch.stft(
            wave, n_fft, hop, len(window), window, pad_mode="constant", return_complex=True
        )
        bin_width = sample_rate / n_fft
        shown = spectrum[0, : int(_HARMONICS * fmax / bin_width) + 1]
        decibels = 20 * shown.abs().clamp(min=1e-10).log10()
        step = hop / sample_rate
        return cls(
            f0=x[0].numpy(),
            periodicity=x[1].numpy(),
            decibels=decibels.numpy(),
            bin_width=bin_width,
            times=np.arange(x.shape[1]) * step,
            step=step,
        )

    def plot(self, ax=None):
        """Draw the pitch over the spectrogram, whose colours span 60 dB.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.

        Returns
        -------
        display : PitchDisplay
            Itself, with `ax_`, `figure_`, `image_` and `line_`.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        (self.ax_,) = new_panels(ax, 1, most=1, width=8, height=3.5)
        self.figure_ = self.ax_.figure
        from matplotlib.patheffects import withStroke

        begin, end = self.times[0] - self.step / 2, self.times[-1] + self.step / 2
        top = (len(self.decibels) - 0.5) * self.bin_width
        loudest = self.decibels.max()
        self.image_ = self.ax_.imshow(
            self.decibels,
            origin="lower",
            aspect="auto",
            extent=(begin, end, -self.bin_width / 2, top),
            vmin=loudest - _RANGE,
            vmax=loudest,
            cmap="Greys",
        )
        # a point for each frame, since a line of a single one would not be seen
        (self.line_,) = self.ax_.plot(
            self.times,
            np.where(self.f0 > 0, self.f0, np.nan),
            color=COLOURS[3],
            marker=".",
            markersize=3,
            path_effects=[withStroke(linewidth=3.5, foreground="white")],
        )
        self.ax_.set(xlim=(begin, end), ylim=(0, top))
        self.ax_.set(xlabel="time (s)", ylabel="frequency (Hz)")
        self.figure_.colorbar(self.image_, ax=self.ax_, pad=0.01, label="dB")
        return self
