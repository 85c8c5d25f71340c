"""Listening by measure: how far a sound is from the nearest real one, and its picture."""

import numpy as np
from scipy.signal import stft

from skaudio.plotting._style import new_panels

FRAME = 0.032  # s, a new one every half of it
FLOOR = 1e-6  # of the loudest cell of a clip: what is 60 dB lower counts as silence


def log_spectra(clips, sample_rate):
    """Spectra of the beginnings of clips in dB below their loudest cell.

    Parameters
    ----------
    clips : sequence of ndarray of shape (T_i,)
        Waves; all are cut to the shortest.
    sample_rate : int
        Hz.

    Returns
    -------
    spectra : ndarray of shape (n_clips, n_frequencies, n_frames)
        dB, from -60 to 0.
    """
    n_samples = min(len(clip) for clip in clips)
    n = round(FRAME * sample_rate)
    waves = np.stack([clip[:n_samples] for clip in clips])
    power = np.abs(stft(waves, nperseg=n, noverlap=n // 2, padded=False)[2]) ** 2
    loudest = power.max(axis=(1, 2), keepdims=True)
    relative = power / np.where(loudest > 0, loudest, 1.0)
    return 10 * np.log10(np.maximum(relative, FLOOR))


def log_spectral_distance(one, other):
    """Root mean square difference of two spectra in each frame, averaged over the frames.

    Parameters
    ----------
    one, other : ndarray of shape (..., n_frequencies, n_frames)
        Of `log_spectra`.

    Returns
    -------
    distance : ndarray of shape (...)
        dB; 0 for equal clips, whatever their loudness.
    """
    return np.sqrt(((one - other) ** 2).mean(axis=-2)).mean(axis=-1)


def nearest(clips, real, sample_rate):
    """Distance of each clip to the real one that is nearest.

    Parameters
    ----------
    clips, real : sequence of ndarray of shape (T_i,)
        Waves.
    sample_rate : int
        Hz.

    Returns
    -------
    distances : ndarray of shape (n_clips,)
        dB.
    """
    spectra = log_spectra([*clips, *real], sample_rate)
    ours, theirs = spectra[: len(clips)], spectra[len(clips) :]
    return np.array([log_spectral_distance(clip, theirs).min() for clip in ours])


def picture(clips, titles, sample_rate):
    """Draw spectrograms.

    Parameters
    ----------
    clips : list of ndarray of shape (T_i,)
        Waves.
    titles : list of str
        One for each.
    sample_rate : int
        Hz.

    Returns
    -------
    figure : matplotlib Figure
        Five panels in a row.
    """
    axes = new_panels(None, len(clips), most=5, width=2.4, height=2.0)
    for ax, clip, title in zip(axes, clips, titles, strict=True):
        (spectrum,) = log_spectra([clip], sample_rate)
        extent = (0, len(clip) / sample_rate, 0, sample_rate / 2000)
        ax.imshow(spectrum, origin="lower", aspect="auto", cmap="Greys", extent=extent)
        ax.set_title(title, fontsize="medium")
    axes[0].set(xlabel="s", ylabel="kHz")
    return axes[0].figure
