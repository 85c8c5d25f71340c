"""Energy of frames: root mean square, bands, zero crossings, loudness."""

from functools import lru_cache

import torch

from .spectrum import band

__all__ = ["band_level", "loudness", "rms_level", "zero_crossings"]

_FLOOR = 1e-10  # mean square, -100 dB
_N_BANDS = 26


def rms_level(frames):
    """Root mean square of frames (..., n): 10 log10(mean of x²) in dB, not under -100 dB."""
    return frames.square().mean(-1).clamp(min=_FLOOR).log10() * 10.0


def band_level(power, resolution, low, high):
    """Level of a band of spectra (..., F): 10 log10 of its power in dB, not under -100 dB."""
    bins = band(resolution, power.shape[-1], low, high)
    return power[..., bins].sum(-1).clamp(min=_FLOOR).log10() * 10.0


def zero_crossings(frames):
    """Share of samples of frames (..., n) whose sign is not that of the sample before."""
    negative = frames < 0
    return (negative[..., 1:] != negative[..., :-1]).sum(-1) / frames.shape[-1]


def loudness(power, resolution):
    """Loudness: Σ over 26 mel bands of (E(f) · power of the band)^0.33, without a unit.

    The bands are triangles on the mel scale, 1127 ln(1 + f / 700 Hz), from 20 Hz to 8 kHz; E is the
    ear's sensitivity [1]_ in the form that openSMILE computes [2]_, about 1 at 1 kHz. A sound of
    half the amplitude is 0.25^0.33 = 0.633 times as loud.

    Parameters
    ----------
    power : Tensor of shape (..., F)
        Power of the bins.
    resolution : float
        Distance of the bins, Hz.

    Returns
    -------
    loudness : Tensor of shape (...)

    References
    ----------
    .. [1] H. Hermansky, "Perceptual linear predictive (PLP) analysis of speech", JASA 87, 1990,
       doi:10.1121/1.399423.
    .. [2] F. Eyben et al., "openSMILE: the Munich versatile and fast open-source audio feature
       extractor", ACM Multimedia 2010, doi:10.1145/1873951.1874246.
    """
    weights = _loudness_weights(power.shape[-1], resolution).to(power)
    return (power @ weights).pow(0.33).sum(-1)


@lru_cache(maxsize=16)
def _loudness_weights(n_bins, resolution):
    """Mel bands (F, 26), each times the sensitivity at its centre."""
    hertz = torch.arange(n_bins, dtype=torch.float64) * resolution
    low, high = _mel(torch.tensor([20.0, 8000.0], dtype=torch.float64))
    step = (high - low) / (_N_BANDS + 1)
    centres = low + step * torch.arange(1, _N_BANDS + 1)
    triangles = (1 - (_mel(hertz)[:, None] - centres).abs() / step).clamp(min=0)
    return triangles * _sensitivity(700 * torch.expm1(centres / 1127))


def _mel(hertz):
    return 1127 * torch.log1p(hertz / 700)


def _sensitivity(hertz):
    w = (2 * torch.pi * hertz) ** 2  # ω²
    return 1e32 * (w + 56.8e6) * w**2 / ((w + 6.3e6) ** 2 * (w + 0.38e9) * (w**3.5 + 1.7e31))
