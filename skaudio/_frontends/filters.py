"""Waves less their mean, and below a frequency, each clip rounded as if it were alone."""

import math

import torch
import torch.nn.functional as F

from .._tensors import mask

__all__ = ["centred", "fast_size", "filtered", "low_pass", "means"]

_PART = 1 << 20  # samples worked on together


def means(wave, lengths):
    """Means (B, 1) of the clips in waves (B, T)."""
    # In float64: next to a large offset float32 would lose a quiet voice.
    total = sum(part.sum(1, dtype=torch.float64) for part in wave.split(_PART, 1))
    return (total / lengths.to(wave.device)).float()[:, None]


def centred(wave, lengths, mean, begin, end):
    """Samples begin to end of waves (B, T), less the means of the clips; zeros around these."""
    before, beyond = max(-begin, 0), max(end - wave.shape[1], 0)
    some = (wave[:, begin + before : end] - mean)[:, None]
    return F.pad(mask(some, lengths - begin - before)[:, 0], (before, beyond))


def filtered(wave, kernel, lengths, *, stride=1, mean=0.0):
    """Every stride-th sample of waves (B, T), less a mean, under a symmetric filter, not delayed.

    Long waves are filtered in parts, so that they are not copied whole.
    """
    n = -(-wave.shape[1] // stride)
    result = wave.new_empty(len(wave), n)
    part = max(1, _PART // (len(wave) * stride))
    for begin in range(0, n, part):
        end = min(begin + part, n)
        result[:, begin:end] = _filtered_part(wave, kernel, lengths, stride, mean, begin, end)
    # the filter has moved something beyond the end, which only a padded clip has room for
    return mask(result[:, None], -(-lengths // stride))[:, 0]


def _filtered_part(wave, kernel, lengths, stride, mean, begin, end):
    """Samples begin to end of the result."""
    half = len(kernel) // 2
    some = centred(wave, lengths, mean, begin * stride - half, (end - 1) * stride + half + 1)
    # As sums of delayed waves: convolutions round differently from one batch to another.
    span = (end - begin - 1) * stride + 1
    return sum(
        weight * some[:, delay : delay + span : stride] for delay, weight in enumerate(kernel)
    )


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
