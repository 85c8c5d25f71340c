"""Missing frequencies: a band that is dropped, and the highest that a lower rate would have."""

import torch

from ..utils.validation import check_number
from .shared import as_loud, check_range, check_values, chosen, convolved, uniform, unit

__all__ = ["downsample", "drop_band"]

_HALF = 0.032  # seconds on either side of the centre of a filter
# Main lobe of a Hamming window of that length is 4 / (2 * _HALF) Hz wide: from an edge, a filter
# needs half of it to reach its full attenuation of 53 dB.
_TRANSITION = 1 / _HALF
_RANGES = ((0.0, 1000.0), (1000.0, 2000.0), (2000.0, 4000.0), (4000.0, 8000.0))


def drop_band(wave, generator, *, ranges=_RANGES, sample_rate=16000):
    """Take a random band of frequencies out of each clip, and scale the rest to its energy.

    Parameters
    ----------
    wave : Tensor of shape (B, T)
        Clips.

    generator : torch.Generator
        On the CPU.

    ranges : list of tuple of float
        Ranges in Hz. One of them is chosen, and the edges of the band are two uniform numbers
        within it. By default the lowest 1000 Hz and the octaves above, where the bands of
        PASE+ [1]_ lie as well. Above half the sample rate there is nothing to drop.

    sample_rate : int, default=16000
        Of the clips, in Hz.

    Returns
    -------
    wave : Tensor of shape (B, T)
        A new tensor, filtered without delay. Inside the band, 31 Hz from its edges and more, it
        is 50 dB softer; narrower bands are attenuated less.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If it is out of its range.

    References
    ----------
    .. [1] M. Ravanelli et al., "Multi-Task Self-Supervised Learning for Robust Speech
       Recognition", ICASSP 2020, arXiv:2001.09239.

    Examples
    --------
    >>> import torch
    >>> from skaudio.augment import drop_band
    >>> drop_band(torch.ones(2, 100), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 100])
    """
    check_number("sample_rate", sample_rate, 1)
    if not isinstance(ranges, list | tuple) or not ranges:
        raise ValueError(f"ranges={ranges!r} must be a list of ranges, at least one")
    for i, limits in enumerate(ranges):
        check_range(f"ranges[{i}]", limits, 0.0)
    drawn = uniform(generator, 3, len(wave))
    limits = chosen(drawn[0], ranges)
    low, width = limits[:, 0], limits[:, 1] - limits[:, 0]
    edges = (low + width * drawn[1:]).sort(0).values.clamp(max=sample_rate / 2)
    taps = _low_pass(edges[0], sample_rate) - _low_pass(edges[1], sample_rate)
    taps[:, taps.shape[1] // 2] += 1.0  # all frequencies, less those of the band
    return _filtered(wave, taps, edges[0] < edges[1])


def downsample(wave, generator, *, rates=(8000,), sample_rate=16000):
    """Limit each clip to the band of a lower sample rate, and scale it to its energy.

    Parameters
    ----------
    wave : Tensor of shape (B, T)
        Clips.

    generator : torch.Generator
        On the CPU.

    rates : list of float, default=(8000,)
        Sample rates in Hz to choose from; as in the training of PASE+ [1]_, that of telephones.
        Clips stay as they are where it is not below their own.

    sample_rate : int, default=16000
        Of the clips, in Hz, before and after.

    Returns
    -------
    wave : Tensor of shape (B, T)
        A new tensor, filtered without delay: as if it had been sampled at the lower rate and then
        at its own again. Above half the lower rate it is 50 dB softer.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If it is out of its range.

    References
    ----------
    .. [1] M. Ravanelli et al., "Multi-Task Self-Supervised Learning for Robust Speech
       Recognition", ICASSP 2020, arXiv:2001.09239.

    Examples
    --------
    >>> import torch
    >>> from skaudio.augment import downsample
    >>> clip = torch.sin(2 * torch.pi * 1000 * torch.arange(16000.0) / 16000)[None]
    >>> muffled = downsample(clip, torch.Generator().manual_seed(0), rates=[4000])
    >>> bool((muffled - clip)[:, 600:-600].abs().max() < 0.01)
    True
    """
    check_number("sample_rate", sample_rate, 1)
    check_values("rates", rates, 100.0)
    rate = chosen(uniform(generator, len(wave)), rates)
    taps = _low_pass(rate / 2 - _TRANSITION, sample_rate)
    return _filtered(wave, taps, rate < sample_rate)


def _low_pass(edge, sample_rate):
    """Taps (B, L) of low-pass filters: the ideal ones, through a Hamming window."""
    half = max(1, round(_HALF * sample_rate))
    share = 2 * edge[:, None] / sample_rate  # of all frequencies
    steps = torch.arange(-half, half + 1, dtype=torch.float64)
    window = torch.hamming_window(2 * half + 1, periodic=False, dtype=torch.float64)
    return share * torch.sinc(share * steps) * window


def _filtered(wave, taps, changes):
    """Waves (B, T) through symmetric filters, at the same level, where ``changes`` (B,) says so."""
    taps, changes = taps.to(wave.dtype).to(wave.device), changes.to(wave.device)
    half = taps.shape[1] // 2
    whole = convolved(unit(wave), taps)[:, half : half + wave.shape[1]]
    return torch.where(changes[:, None], as_loud(whole, wave), wave)
