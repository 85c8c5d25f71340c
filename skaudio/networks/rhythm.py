"""Rhythm of a clip: modulation of its loudness, onsets, voiced and unvoiced segments."""

import itertools
import math

import torch
import torch.nn.functional as F

from .._tensors import within

__all__ = ["NAMES", "modulation_spectrum", "rhythm"]

EDGES = (1, 2, 3, 4, 6, 8, 12, 16)  # Hz, of the bands of modulation
SECONDS = 4.0  # of a window; its lobe is 1 Hz wide
FLOOR = 1e-6  # power of a modulation by a thousandth: less is none
RISE = 0.01  # smallest rise of log loudness in a frame that may be an onset
REACH = 0.05  # seconds on either side in which an onset rises fastest
_LOUD = 0.01  # of the mean loudness: silence, to the logarithm

NAMES = (
    *(f"modulation{low}to{high}" for low, high in itertools.pairwise(EDGES)),
    "modulation_depth",
    "modulation_centroid",
    "modulation_peak",
    "onset_rate",
    "onset_rise_mean",
    "voiced_segment_rate",
    "voiced_length_mean",
    "voiced_length_std",
    "unvoiced_length_mean",
    "unvoiced_length_std",
)


def rhythm(loudness, voiced, lengths, rate):
    """Numbers that tell how speech or music is paced.

    Parameters
    ----------
    loudness : Tensor of shape (B, T)
        Loudness, not negative.
    voiced : Tensor of shape (B, T), bool
        Voiced frames.
    lengths : Tensor of shape (B,), int64
        Frames of each clip.
    rate : float
        Frames per second.

    Returns
    -------
    features : Tensor of shape (B, len(NAMES)), float64
        Shares of the bands of modulation in what is between 1 and 16 Hz, its root mean square
        relative to the mean loudness, centroid and peak in Hz; onsets per second, and by how much
        the logarithm of loudness rises there in a frame; voiced segments per second, mean and
        deviation of the lengths of voiced and of unvoiced segments in seconds.
    """
    valid = within(lengths, loudness.shape[1], loudness.device)
    loudness = loudness.double().masked_fill(~valid, 0.0)
    count = valid.sum(1, keepdim=True).clamp(min=1)
    mean = loudness.sum(1, keepdim=True) / count
    relative = loudness / mean.masked_fill(mean <= 0, 1.0)
    seconds = count / rate
    parts = [
        _modulation(relative, lengths, rate),
        _onsets(relative, valid, seconds, rate),
        _segments(voiced & valid, seconds, rate),
        _segments(~voiced & valid, seconds, rate)[:, 1:],
    ]
    return torch.cat(parts, dim=1)


def modulation_spectrum(relative, lengths, rate):
    """Mean power spectrum of the loudness, from Hann windows that cover the clip evenly.

    Parameters
    ----------
    relative : Tensor of shape (B, T), float64
        Loudness over its mean, 0 beyond the lengths.
    lengths : Tensor of shape (B,), int64
        Frames of each clip.
    rate : float
        Frames per second.

    Returns
    -------
    power : Tensor of shape (B, F), float64
        Power of the modulation at each frequency: a sinusoid of depth m has m^2 / 2 in all.
    hz : Tensor of shape (F,), float64
        The frequencies.
    """
    # a clip shorter than a window has one of its own length; longer ones as many as overlap by
    # half or more, the last of which ends with the clip
    width = max(1, round(SECONDS * rate))
    lengths = lengths.clamp(min=1).to(relative.device)[:, None]
    own = lengths.clamp(max=width)
    spare = lengths - own
    number = 1 + -(-spare // max(1, width // 2))
    k = torch.arange(int(number.max()), device=relative.device)
    starts = k * spare // (number - 1).clamp(min=1)
    t = torch.arange(width, device=relative.device)
    at = (starts[..., None] + t).clamp(max=relative.shape[1] - 1)
    windows = relative.gather(1, at.flatten(1)).view(at.shape)
    hann = 0.5 - 0.5 * torch.cos(2 * math.pi * (t + 0.5) / own[..., None])
    hann = hann.masked_fill(t >= own[..., None], 0.0)
    level = (windows * hann).sum(-1, keepdim=True) / hann.sum(-1, keepdim=True)
    n_fft = 1 << math.ceil(math.log2(5 * width))
    spectra = torch.fft.rfft((windows - level) * hann, n_fft).abs().square()
    spectra = spectra.masked_fill((k >= number)[..., None], 0.0).sum(1) / number
    # Parseval: two sides, over the length of the transform and the energy of the window
    power = 2 * spectra / (n_fft * hann.square().sum(-1))
    hz = torch.arange(power.shape[1], device=power.device) * (rate / n_fft)
    return power, hz.double()


def _modulation(relative, lengths, rate):
    power, hz = modulation_spectrum(relative, lengths, rate)
    power = power * ((hz >= EDGES[0]) & (hz < EDGES[-1]))
    total = power.sum(1, keepdim=True)
    shares = [
        (power * ((hz >= low) & (hz < high))).sum(1, keepdim=True)
        for low, high in itertools.pairwise(EDGES)
    ]
    shares.append((power * hz).sum(1, keepdim=True))
    peak = hz[power.argmax(1)][:, None].masked_fill(total < FLOOR, 0.0)
    *shares, centroid = (share / (total + FLOOR) for share in shares)
    return torch.cat([*shares, total.sqrt(), centroid, peak], dim=1)


def _onsets(relative, valid, seconds, rate):
    # where log loudness rises faster than at any other time within REACH, and clearly faster than
    # on average
    rise = F.pad((relative + _LOUD).log().diff(dim=1), (1, 0)).clamp(min=0)
    rise = rise.masked_fill(~valid, 0.0)
    number = valid.sum(1, keepdim=True).clamp(min=1)
    mean = rise.sum(1, keepdim=True) / number
    square = (rise - mean).masked_fill(~valid, 0.0).square().sum(1, keepdim=True)
    reach = max(1, round(REACH * rate))
    ends = F.pad(rise, (reach, reach))[:, None]
    before, after = ends[..., : -reach - 1], ends[..., reach + 1 :]
    before, after = (F.max_pool1d(x, reach, stride=1)[:, 0] for x in (before, after))
    onset = (rise > before) & (rise >= after) & (rise > mean + (square / number).sqrt() + RISE)
    count = onset.sum(1, keepdim=True)
    height = (rise * onset).sum(1, keepdim=True) / count.clamp(min=1)
    return torch.cat([count / seconds, height], dim=1)


def _segments(inside, seconds, rate):
    """Stretches of frames: number per second, mean and deviation of their lengths in seconds."""
    begins = inside & ~F.pad(inside, (1, 0))[:, :-1]
    number = begins.sum(1, keepdim=True)
    which = (begins.cumsum(1) - 1).clamp(min=0)
    length = torch.zeros(inside.shape, dtype=torch.float64, device=inside.device)
    length.scatter_add_(1, which, inside.double())
    mean = length.sum(1, keepdim=True) / number.clamp(min=1)
    away = (length - mean) * (torch.arange(inside.shape[1], device=inside.device) < number)
    deviation = (away.square().sum(1, keepdim=True) / number.clamp(min=1)).sqrt()
    return torch.cat([number / seconds, mean / rate, deviation / rate], dim=1)
