"""Waves less their mean, and below a frequency, each clip rounded as if it were alone."""

import math

import torch
import torch.nn.functional as F

from .._tensors import mask

__all__ = ["centred", "fast_size", "filtered", "low_pass"]

_PART = 1 << 20  # samples converted to float64 together


def centred(wave, lengths):
    """Waves (B, T) less the means of the clips."""
    # The mean is taken in float64: next to a large offset float32 would lose a quiet voice.
    total = sum(part.sum(1, dtype=torch.float64) for part in wave.split(_PART, 1))
    mean = total / lengths.to(wave.device)
    return mask((wave - mean.float()[:, None])[:, None], lengths)[:, 0]


def filtered(wave, kernel, lengths, stride=1):
    """Every stride-th sample of waves (B, T) under a symmetric filter, delayed by nothing."""
    half = len(kernel) // 2
    n = -(-wave.shape[1] // stride)
    wave = F.pad(wave, (half, half + stride))
    # As sums of delayed waves: convolutions round differently from one batch to another.
    wave = sum(
        weight * wave[:, delay : delay + n * stride : stride] for delay, weight in enumerate(kernel)
    )
    # the filter has moved something beyond the end, which only a padded clip has room for
    return mask(wave[:, None], -(-lengths // stride))[:, 0]


def low_pass(sample_rate, cutoff):
    """Sinc of 2 ms under a Hann window; of one sample where nothing is to be removed."""
    half = round(1e-3 * sample_rate) if 2 * cutoff < sample_rate else 0
    t = torch.arange(-half, half + 1, dtype=torch.float64)
    kernel = (
        torch.sinc(2 * cutoff / sample_rate * t) * (math.pi / (2 * half + 2) * t).cos().square()
    )
    return (kernel / kernel.sum()).tolist()


def fast_size(n):
    """Return the first number from n on whose prime factors are 2, 3 and 5."""
    while 30**30 % n:
        n += 1
    return n
