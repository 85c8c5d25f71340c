"""Shape of the power spectrum, frame by frame.

All functions take spectra (..., F) of the power, or of the level in dB, in bins that lie
``resolution`` Hz apart, the first at 0 Hz. They compute in the precision of what they are given.
"""

import math

import torch

__all__ = [
    "alpha_ratio",
    "entropy",
    "flux",
    "hammarberg",
    "harmonic_level",
    "levels",
    "moments",
    "power_spectrum",
    "rolloff",
    "slope",
    "tilt",
]

_FLOOR = 1e-16  # power of a bin below which its level stays, -160 dB: silence has no shape
_TINY = 1e-30  # instead of 0 in a denominator


def power_spectrum(frames, window):
    """Power of each bin, so that a sine of amplitude a at a bin's centre has a² there.

    Parameters
    ----------
    frames : Tensor of shape (..., n)
        Samples.
    window : Tensor of shape (n,)
        Its precision is that of the result.

    Returns
    -------
    power : Tensor of shape (..., n // 2 + 1)
    """
    # |X| is a/2 times the sum of the window
    parts = torch.view_as_real(torch.fft.rfft(frames * (window * (2 / window.sum()))))
    return parts[..., 0].square() + parts[..., 1].square()


def band(resolution, n_bins, low, high):
    """Bins from ``low`` up to, but without, ``high`` Hz; at least the one nearest to that band."""
    first = min(math.ceil(low / resolution - 1e-6), n_bins - 1)
    last = min(math.ceil(high / resolution - 1e-6), n_bins)
    return slice(first, max(first + 1, last))


def _hertz(spectrum, resolution):
    return torch.arange(spectrum.shape[-1], device=spectrum.device, dtype=spectrum.dtype).mul_(
        resolution
    )


def levels(power):
    """Level in dB, 10 log10(power), not under -160 dB."""
    return power.clamp(min=_FLOOR).log10().mul_(10.0)


def moments(power, resolution):
    """Centroid, spread, skewness and kurtosis of power p over frequency f.

    Parameters
    ----------
    power : Tensor of shape (..., F)
    resolution : float

    Returns
    -------
    centroid, spread : Tensor of shape (...)
        μ = Σ f p / Σ p and σ = sqrt(Σ (f - μ)² p / Σ p), in Hz; 0 in silence.
    skewness, kurtosis : Tensor of shape (...)
        Σ (f - μ)³ p / (σ³ Σ p) and Σ (f - μ)⁴ p / (σ⁴ Σ p).
    """
    # raw moments of f / f_max in one product; float64 leaves enough digits to centre them
    f = torch.linspace(0, 1, power.shape[-1], device=power.device, dtype=power.dtype)
    top = resolution * (power.shape[-1] - 1)
    total, m1, m2, m3, m4 = (power @ f[:, None] ** torch.arange(5, device=f.device)).unbind(-1)
    total = total + _TINY
    m1, m2, m3, m4 = m1 / total, m2 / total, m3 / total, m4 / total
    least = (1e-3 / power.shape[-1]) ** 2  # of the variance: a thousandth of a bin
    variance = (m2 - m1**2).clamp(min=least)
    third = m3 - 3 * m1 * m2 + 2 * m1**3
    fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
    silent = m2 == 0
    spread = variance.sqrt().masked_fill(silent, 0.0)
    return top * m1, top * spread, third / variance**1.5, fourth / variance**2


def rolloff(power, resolution, shares):
    """Frequency up to which a bin holds a share of the power: [(...)], Hz, for each share."""
    below = power.cumsum(-1)
    total = below[..., -1:]
    return [(below < share * total).sum(-1) * resolution for share in shares]


def entropy(power):
    """Entropy -Σ p log2 p of the shares p of the bins in the power, in bit; 0 in silence."""
    shares = power / (power.sum(-1, keepdim=True) + _TINY)
    return torch.special.entr(shares).sum(-1) / math.log(2)


def flux(power):
    """Change from one frame to the next: (..., N, F) -> (..., N), the first being 0.

    sqrt(mean over bins of (|X_t| - |X_{t-1}|)²), in units of amplitude.
    """
    change = power.sqrt().diff(dim=-2).square().mean(-1).sqrt()
    return torch.cat([torch.zeros_like(power[..., :1, 0]), change], dim=-1)


def alpha_ratio(power, resolution):
    """Power of 1 to 5 kHz over that below 1 kHz, in dB."""
    low, high = (
        power[..., band(resolution, power.shape[-1], *edges)].sum(-1)
        for edges in ((0, 1000), (1000, 5000))
    )
    return levels(high) - levels(low)


def hammarberg(level, resolution):
    """Highest level below 2 kHz less the highest from 2 to 5 kHz, in dB [1]_.

    References
    ----------
    .. [1] B. Hammarberg et al., "Perceptual and acoustic correlates of abnormal voice qualities",
       Acta Oto-Laryngologica 90, 1980, doi:10.3109/00016488009131746.
    """
    low, high = (
        level[..., band(resolution, level.shape[-1], *edges)].amax(-1)
        for edges in ((0, 2000), (2000, 5000))
    )
    return low - high


def slope(level, resolution, low, high):
    """Slope of the least-squares line through the levels from ``low`` to ``high``: dB per kHz."""
    bins = band(resolution, level.shape[-1], low, high)
    kilohertz = _hertz(level, resolution)[bins] / 1000
    return _regression(level[..., bins], kilohertz, torch.ones_like(kilohertz))


def tilt(level, resolution, low=100.0, high=5000.0):
    """Slope of the least-squares line through the levels over log2 f: dB per octave.

    A bin weighs 1/f, so that each octave counts the same.
    """
    bins = band(resolution, level.shape[-1], low, high)
    hertz = _hertz(level, resolution)[bins]
    return _regression(level[..., bins], hertz.log2(), 1 / hertz)


def _regression(y, x, weights):
    # Σ w (x - x̄) y / Σ w (x - x̄)²; any constant of y drops out, as Σ w (x - x̄) = 0, and is taken
    # off so that a level spectrum has a slope of exactly 0
    x = x - (weights * x).sum() / weights.sum()
    return (y - y[..., :1]) @ (weights * x / ((weights * x.square()).sum() + _TINY))


def harmonic_level(level, resolution, frequency):
    """Level of the partial at a frequency, by a parabola through the three bins around it.

    The peak of a sine under a Hann window is rounder at its top than that parabola, whose vertex
    is 4/3 d² dB too high if it lies d bins from the middle one, at most half a bin.

    Parameters
    ----------
    level : Tensor of shape (n, F)
        Levels, dB.
    resolution : float
        Distance of the bins, Hz.
    frequency : Tensor of shape (n,)
        Of the partial, Hz.

    Returns
    -------
    peak : Tensor of shape (n,)
        dB. Where the three bins form no peak, the highest of them.
    """
    nearest = (frequency / resolution).round().long().clamp(1, level.shape[-1] - 2)
    around = nearest[:, None] + torch.arange(-1, 2, device=level.device)
    below, at, above = level.gather(1, around).unbind(1)
    rise, curve = (above - below) / 2, 2 * at - below - above
    peaked = curve > 2 * rise.abs()  # the vertex is within half a bin of the middle one
    shift = rise / curve.masked_fill(~peaked, 1.0)
    vertex = at + rise * shift / 2 - 4 / 3 * shift.square()
    return torch.where(peaked, vertex, torch.maximum(at, torch.maximum(below, above)))
