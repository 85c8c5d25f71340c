"""What the distortions of waves have in common: draws, levels, convolution, checks."""

import inspect
import math
from functools import partial

import numpy as np
import torch
from scipy.fft import next_fast_len

from ..utils.validation import check_number

__all__ = [
    "as_loud",
    "between",
    "bound",
    "check_range",
    "check_values",
    "chosen",
    "convolved",
    "rms",
    "uniform",
    "unit",
]


def uniform(generator, *shape):
    """Numbers in [0, 1), drawn on the processor.

    Parameters
    ----------
    generator : torch.Generator
        On the processor.
    *shape : int
        How many.

    Returns
    -------
    numbers : Tensor of that shape, float64
        The numbers.
    """
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def between(uniform, limits):
    """Scale numbers in [0, 1) to a range.

    Parameters
    ----------
    uniform : Tensor
        The numbers.
    limits : tuple of float
        Lowest and highest.

    Returns
    -------
    scaled : Tensor
        Of the same shape.
    """
    low, high = limits
    return low + (high - low) * uniform


def chosen(uniform, values):
    """Choose from some values, all of them equally likely.

    Parameters
    ----------
    uniform : Tensor
        Numbers in [0, 1).
    values : sequence
        Numbers, or tuples of numbers.

    Returns
    -------
    chosen : Tensor, float64
        Of the shape of ``uniform``; tuples make one more axis.
    """
    return torch.tensor(np.array(values), dtype=torch.float64)[(uniform * len(values)).long()]


def unit(wave):
    """Scale waves to a largest absolute value of 1, so that no square overflows or vanishes.

    Parameters
    ----------
    wave : Tensor of shape (B, T)
        Waves.

    Returns
    -------
    unit : Tensor of shape (B, T)
        The same, silent ones as they are.
    """
    peak = wave.abs().amax(1, keepdim=True)
    return wave / peak.masked_fill(peak == 0, 1.0)


def rms(wave):
    """Root mean square of each wave.

    Parameters
    ----------
    wave : Tensor of shape (B, T)
        Waves of any level.

    Returns
    -------
    rms : Tensor of shape (B, 1)
        Finite wherever the wave is.
    """
    peak = wave.abs().amax(1, keepdim=True)
    return peak * unit(wave).square().mean(1, keepdim=True).sqrt()


def as_loud(changed, wave, whole=None):
    """Scale changed waves to the energy of the ones they were made of.

    Parameters
    ----------
    changed : Tensor of shape (B, T)
        The changed waves, near 1.
    wave : Tensor of shape (B, T)
        What they were, at any level.
    whole : Tensor of shape (B, T'), default=None
        What is to have the energy of ``wave``. None: the changed waves.

    Returns
    -------
    wave : Tensor of shape (B, T)
        ``changed * sqrt(sum(wave ** 2) / sum(whole ** 2))``; the wave itself where nothing is
        left of it.
    """
    energy = (changed if whole is None else whole).square().sum(1, keepdim=True)
    factor = math.sqrt(wave.shape[1]) * energy.masked_fill(energy == 0, 1.0).rsqrt()
    return torch.where(energy > 0, changed * factor * rms(wave), wave)


def convolved(wave, taps):
    """Convolve each wave with taps of its own.

    Parameters
    ----------
    wave : Tensor of shape (B, T)
        Waves.
    taps : Tensor of shape (B, L) or (1, L)
        Impulse responses.

    Returns
    -------
    convolved : Tensor of shape (B, T + L - 1)
        All of it.
    """
    n = wave.shape[1] + taps.shape[1] - 1
    n_fft = next_fast_len(n, real=True)
    spectrum = torch.fft.rfft(wave, n_fft) * torch.fft.rfft(taps, n_fft)
    return torch.fft.irfft(spectrum, n_fft)[:, :n]


def bound(function, sample_rate):
    """Tell a distortion the sample rate, if it asks for one.

    Parameters
    ----------
    function : callable
        With a parameter ``sample_rate`` or without.
    sample_rate : int
        In Hz.

    Returns
    -------
    function : callable
        With this rate, unless a partial has set another one.
    """
    is_set = isinstance(function, partial) and "sample_rate" in function.keywords
    if is_set or "sample_rate" not in inspect.signature(function).parameters:
        return function
    return partial(function, sample_rate=sample_rate)


def check_range(name, limits, low, high=None):
    """Raise unless a parameter is a lower and an upper limit.

    Parameters
    ----------
    name : str
        Parameter, for the message.
    limits : object
        What the user passed.
    low, high : float or None
        Smallest and largest value allowed; None: no limit.

    Raises
    ------
    TypeError
        If it is no pair of numbers.
    ValueError
        If they are out of range or in the wrong order.
    """
    if not isinstance(limits, list | tuple) or len(limits) != 2:
        raise TypeError(f"{name}={limits!r} must be a lower and an upper limit")
    check_number(f"{name}[0]", limits[0], low, high, integer=False)
    check_number(f"{name}[1]", limits[1], limits[0], high, integer=False)


def check_values(name, values, low, high=None):
    """Raise unless a parameter is some numbers to choose from.

    Parameters
    ----------
    name : str
        Parameter, for the message.
    values : object
        What the user passed.
    low, high : float or None
        Smallest and largest value allowed; None: no limit.

    Raises
    ------
    TypeError
        If it is no list or tuple of numbers.
    ValueError
        If it is empty, or a number out of range.
    """
    if not isinstance(values, list | tuple):
        raise TypeError(f"{name}={values!r} must be a list of numbers to choose from")
    if not values:
        raise ValueError(f"{name}={values!r} is empty; pass at least one number")
    for i, value in enumerate(values):
        check_number(f"{name}[{i}]", value, low, high, integer=False)
