"""Peaks of the spectral envelope, which in voiced speech are its formants, by linear prediction."""

import math

import torch

__all__ = ["autocorrelations", "formants"]

_BAND = 5500.0  # Hz, of five and a half formants; what lies above is left out
_PRE_EMPHASIS = 0.97
_TINY = 1e-30
_MARGIN = 50.0  # Hz; poles nearer to an end of the band describe its tilt
_WIDEST = 500.0  # Hz; a wider pole is a formant only where there are too few narrow ones


def autocorrelations(power, resolution, order=None, band=_BAND):
    """Autocorrelations of emphasised frames, band-limited, from their power spectra.

    Leaving out the bins above ``band`` is to resample each frame to a rate of twice the band;
    1 - 0.97 z⁻¹ is applied to the spectrum, and the sum over bins is the inverse transform.

    Parameters
    ----------
    power : Tensor of shape (n, F), float64
        Power of the bins.
    resolution : float
        Distance of the bins, Hz.
    order : int, default=None
        Last lag; one for each kHz of the new rate and one more.
    band : float
        Highest frequency, Hz.

    Returns
    -------
    r : Tensor of shape (n, order + 1)
        Lags 0, 1, ... in samples of the new rate.
    rate : float
        The new rate, Hz.
    """
    last = min(round(band / resolution), power.shape[-1] - 1)
    omega = math.pi / last * torch.arange(last + 1, dtype=power.dtype, device=power.device)
    emphasis = 1 + _PRE_EMPHASIS**2 - 2 * _PRE_EMPHASIS * omega.cos()
    emphasis[1:-1] *= 2  # all but the first and the last bin stand for two
    rate = 2 * last * resolution
    order = 1 + round(rate / 1000) if order is None else order
    lags = torch.arange(order + 1, device=power.device)
    basis = emphasis[:, None] * (omega[:, None] * lags).cos()
    return power[:, : last + 1] @ basis, rate


def formants(power, resolution, n_formants=3, order=None, band=_BAND):
    """Frequencies and bandwidths of the lowest peaks of the envelope.

    The roots z of the prediction polynomial 1 - Σ a_k z^-k [1]_ are poles at arg(z) rate / 2π of
    bandwidth -ln|z| rate / π.

    Parameters
    ----------
    power : Tensor of shape (n, F), float64
        Power of the bins.
    resolution : float
        Distance of the bins, Hz.
    n_formants : int
        How many.
    order : int, default=None
        Of the prediction, as in `autocorrelations`; half as many peaks can be found.
    band : float
        Highest frequency, Hz.

    Returns
    -------
    frequency, bandwidth : Tensor of shape (n, n_formants), float64
        Hz, by frequency; 0 where there are fewer poles than formants.

    References
    ----------
    .. [1] J. Makhoul, "Linear prediction: a tutorial review", Proc. IEEE 63, 1975,
       doi:10.1109/PROC.1975.9792.
    """
    r, rate = autocorrelations(power, resolution, order, band)
    roots = _roots(_prediction(r))
    frequency = roots.angle() * (rate / (2 * math.pi))
    bandwidth = roots.abs().clamp(min=_TINY).log() * (-rate / math.pi)
    # of each conjugate pair the upper one
    found = (frequency > _MARGIN) & (frequency < rate / 2 - _MARGIN)
    key = torch.where(bandwidth > _WIDEST, frequency + rate, frequency)
    lowest = key.masked_fill(~found, torch.inf).argsort(1)[:, :n_formants]
    found, frequency, bandwidth = (x.gather(1, lowest) for x in (found, frequency, bandwidth))
    # narrow ones come before wide ones so far
    key = frequency.masked_fill(~found, torch.inf).argsort(1)
    return tuple(x.masked_fill(~found, 0.0).gather(1, key) for x in (frequency, bandwidth))


def _prediction(r):
    """Coefficients a (n, p) of the best prediction, from the autocorrelations r (n, p + 1)."""
    p = r.shape[1] - 1
    # white noise 50 dB down keeps the matrix regular, and the poles within the circle
    r = torch.cat([r[:, :1] * (1 + 1e-5) + _TINY, r[:, 1:]], dim=1)
    lags = torch.arange(p, device=r.device)
    return torch.linalg.solve(r[:, (lags[:, None] - lags).abs()], r[:, 1:])


def _roots(a):
    """Roots (n, p) of z^p - Σ a_k z^(p-k): eigenvalues of its companion matrix."""
    n, p = a.shape
    companion = torch.zeros(n, p, p, dtype=a.dtype)  # few numbers, and processors are better at it
    companion[:, 0] = a.cpu()
    companion[:, range(1, p), range(p - 1)] = 1.0
    return torch.linalg.eigvals(companion).to(a.device)
