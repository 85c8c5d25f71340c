"""Arrays of samples -> float32 waves, checked."""

from numbers import Real

import numpy as np

__all__ = ["as_rate", "as_wave", "check_finite"]


def as_wave(clip):
    """Make a wave of one array-like clip.

    Parameters
    ----------
    clip : array-like of shape (n_samples,)
        Floats are taken as they are. Integers of 8 to 32 bits are scaled to [-1, 1) by their
        type, as those of a sound file are.

    Returns
    -------
    wave : ndarray of shape (n_samples,), float32
        The array itself if it already is such a wave.

    Raises
    ------
    ValueError
        If it is not an array of samples, or its type leaves their scale open.
    """
    if clip is None or isinstance(clip, Real):
        raise ValueError(f"is {'None' if clip is None else 'a single number'}, not a clip")
    if isinstance(clip, memoryview):
        raise ValueError("is a memoryview; pass bytes(clip) of a sound file, or an array")
    try:
        wave = np.asarray(clip)
        if wave.dtype == object and wave.ndim:
            wave = np.asarray(wave.tolist())  # with the type of its numbers
    except Exception as error:  # whatever the clip's own `__array__` raises
        raise ValueError(f"is no array of samples ({error})") from error
    _check_type(clip, wave)
    if wave.ndim != 1:
        raise ValueError(
            f"has shape {wave.shape}, but a clip is one channel of shape (n_samples,)"
            + ("; average its channels first" if wave.ndim == 2 else "")
        )
    if wave.size == 0:
        raise ValueError("holds 0 samples")
    if wave.dtype.kind in "iu":
        return _scaled(wave)
    with np.errstate(over="ignore"):
        return wave.astype(np.float32, copy=False)


def _check_type(clip, wave):
    """Raise unless all elements of an array are samples of known scale."""
    if np.ma.is_masked(clip):
        raise ValueError(
            f"has {np.ma.count_masked(clip)} masked samples; fill them, clip.filled(0), or cut "
            "them out"
        )
    if wave.dtype.kind == "c":
        raise ValueError("holds complex numbers. Complex data not supported")
    if wave.dtype.kind == "b":
        raise ValueError("holds truth values, not samples; a mask selects samples: clip[mask]")
    if wave.dtype.kind in "iu" and wave.dtype.itemsize > 4 and wave.ndim:
        raise ValueError(
            f"holds {wave.dtype} numbers, which do not say what full scale is; pass floats in "
            "[-1, 1], or the int16 array that the recorder gave"
        )
    if wave.dtype.kind not in "iuf":
        raise ValueError(
            f"is a {type(clip).__name__} of dtype {wave.dtype}, not an array of samples"
        )


def _scaled(wave):
    """Integers -> [-1, 1), as libsndfile scales those of a file."""
    half = 2.0 ** (8 * wave.dtype.itemsize - 1)
    if wave.dtype.kind == "u":  # silence is in the middle of its range
        wave = wave - half
    wave = wave.astype(np.float32)
    wave *= np.float32(1 / half)
    return wave


def as_rate(rate):
    """Check the sample rate that comes with an array.

    Parameters
    ----------
    rate : number
        In Hz.

    Returns
    -------
    rate : int
        The same.

    Raises
    ------
    ValueError
        If it is not a whole number above 0.
    """
    try:
        whole = int(rate)
        if whole == rate and 0 < whole < 2**31 and not isinstance(rate, bool):
            return whole
    except Exception as error:  # not even a number
        raise ValueError(
            f"has a {type(rate).__name__} for a sample rate, not a whole number of Hz"
        ) from error
    raise ValueError(f"has a sample rate of {rate!r:.20} Hz, which must be whole and above 0")


def check_finite(wave):
    """Raise unless all samples of a wave, and their energy, are finite.

    Parameters
    ----------
    wave : ndarray of shape (n_samples,), float32
        The wave.

    Raises
    ------
    ValueError
        If they are not.
    """
    # The energy is one pass over the samples without a temporary array. It is finite unless a
    # sample is not, or samples are so large that their features would overflow as well.
    with np.errstate(over="ignore", invalid="ignore"):
        energy = np.dot(wave, wave)
    if not np.isfinite(energy):
        bad = np.flatnonzero(~np.isfinite(wave))
        if len(bad):
            what = "NaN" if np.isnan(wave[bad[0]]) else "inf"
            raise ValueError(f"holds {what} at sample {bad[0]}")
        raise ValueError(f"holds samples as large as {np.abs(wave).max():g}; scale it down")
