"""Lost samples: peaks that are clipped, and gaps."""

import numpy as np
import torch

from ..utils.validation import check_number
from .shared import check_values, chosen, uniform, unit

__all__ = ["chop", "clip_peaks"]

_FRAME = 0.01  # seconds
_SOFT = 1e-3  # energy of a frame, relative to the loudest, up to which it counts as a pause


def clip_peaks(wave, generator, *, factors=(0.1, 0.3, 0.5)):
    """Clip the peaks of each clip, as an overloaded recorder does.

    Parameters
    ----------
    wave : Tensor of shape (B, T)
        Clips.

    generator : torch.Generator
        On the CPU.

    factors : list of float, default=(0.1, 0.3, 0.5)
        To choose from: samples are limited to this share of the smallest and of the largest
        sample of the clip, as in the training of PASE+ [1]_.

    Returns
    -------
    wave : Tensor of shape (B, T)
        A new tensor. It is softer, since nothing makes up for what is lost.

    Raises
    ------
    TypeError
        If ``factors`` is no list of numbers.
    ValueError
        If it is empty, or one of them is not between 0 and 1.

    References
    ----------
    .. [1] M. Ravanelli et al., "Multi-Task Self-Supervised Learning for Robust Speech
       Recognition", ICASSP 2020, arXiv:2001.09239.

    Examples
    --------
    >>> import torch
    >>> from skaudio.augment import clip_peaks
    >>> clip = torch.tensor([[-2.0, 0.1, 1.0]])
    >>> clip_peaks(clip, torch.Generator().manual_seed(0), factors=[0.5])
    tensor([[-1.0000,  0.1000,  0.5000]])
    """
    check_values("factors", factors, 0.0, 1.0)
    factor = chosen(uniform(generator, len(wave), 1), factors).to(wave.dtype).to(wave.device)
    lowest, highest = wave.amin(1, keepdim=True), wave.amax(1, keepdim=True)
    return wave.clamp(factor * lowest, factor * highest)


def chop(
    wave,
    generator,
    *,
    durations=((0.05, 0.025), (0.1, 0.05)),
    max_chops=5,
    sample_rate=16000,
):
    """Chop pieces out of each clip: zeros in the middle of stretches of sound.

    The published code [1]_ looks for speech with a detector. Here a stretch of sound is a run of
    frames of 10 ms that are less than 30 dB below the loudest one. Each has at most one gap,
    which lies in its middle and not beyond its ends.

    Parameters
    ----------
    wave : Tensor of shape (B, T)
        Clips.

    generator : torch.Generator
        On the CPU.

    durations : list of tuple of float, default=((0.05, 0.025), (0.1, 0.05))
        Means and standard deviations in seconds to choose from; the duration of a gap is normal.

    max_chops : int, default=5
        The number of gaps is uniform between 1 and this; it is lower where there are fewer
        stretches of sound.

    sample_rate : int, default=16000
        Of the clips, in Hz.

    Returns
    -------
    wave : Tensor of shape (B, T)
        A new tensor.

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
    >>> from skaudio.augment import chop
    >>> gaps = chop(torch.ones(1, 1600), torch.Generator().manual_seed(0)) == 0
    >>> gaps.nonzero()[:, 1].double().mean()
    tensor(799.5000, dtype=torch.float64)
    """
    check_number("sample_rate", sample_rate, 1)
    check_number("max_chops", max_chops, 1)
    if not isinstance(durations, list | tuple) or not durations:
        raise ValueError(f"durations={durations!r} must be a list of means and deviations")
    for i, pair in enumerate(durations):
        check_values(f"durations[{i}]", pair, 0.0)
        if len(pair) != 2:
            raise ValueError(f"durations[{i}]={pair!r} must be a mean and a deviation")
    drawn = uniform(generator, 2 * max_chops + 1, len(wave))
    normal = torch.randn(max_chops, len(wave), generator=generator).double()
    n_chops = 1 + (drawn[0] * max_chops).long()
    means = chosen(drawn[1 : max_chops + 1], durations)
    seconds = (means[..., 0] + means[..., 1] * normal).clamp(min=0.0)
    n_samples = (seconds * sample_rate).long().T.tolist()
    picks = drawn[max_chops + 1 :].T.tolist()
    lost = torch.zeros(wave.shape, dtype=torch.bool)
    regions = _regions(wave, max(1, round(_FRAME * sample_rate)))
    for row, found, n, sizes, which in zip(
        lost, regions, n_chops.tolist(), n_samples, picks, strict=True
    ):
        for size, pick in zip(sizes[:n], which[:n], strict=True):
            if found:
                begin, end = found.pop(int(pick * len(found)))
                first = (begin + end - size) // 2
                row[max(begin, first) : min(end, first + size)] = True
    return wave.masked_fill(lost.to(wave.device), 0.0)


def _regions(wave, hop):
    """First and last sample (exclusive) of the stretches of sound of each clip (B, T)."""
    n_frames = wave.shape[1] // hop
    if n_frames == 0:
        return [[] for _ in wave]
    energy = unit(wave)[:, : n_frames * hop].view(len(wave), n_frames, hop).square().mean(2)
    loud = (energy > _SOFT * energy.amax(1, keepdim=True)).cpu().numpy()
    steps = np.diff(np.pad(loud, ((0, 0), (1, 1))).astype(np.int8))
    return [
        [
            (hop * begin, hop * end)
            for begin, end in zip(*map(np.flatnonzero, (row == 1, row == -1)), strict=True)
        ]
        for row in steps
    ]
