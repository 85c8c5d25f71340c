"""Rooms: waves as they sound at some distance from who speaks."""

import math

import torch

from ..utils.validation import check_number
from .shared import as_loud, between, check_range, convolved, uniform, unit
from .sources import beginnings

__all__ = ["reverberate"]

_LONGEST = 1.5  # seconds of a recorded response that are used, as published


def reverberate(wave, generator, *, rooms=None, t60=(0.3, 0.9), drr=(-3.0, 9.0), sample_rate=16000):
    """Let each clip sound in a room: convolve it with the impulse response of the room.

    The result is aligned with the clip, since the delay of the largest value of the response is
    taken off, and has its level: the clip with its whole reverberation has the energy of the
    clip, before what goes on beyond the end is cut, as in the training of PASE+ [1]_.

    Parameters
    ----------
    wave : Tensor of shape (B, T)
        Clips.

    generator : torch.Generator
        On the CPU.

    rooms : str, path-like, list of clips or None, default=None
        Impulse responses: a folder of sound files (wav, flac or ogg, sub-folders included), or a
        list of files or arrays; of each the first 1.5 s. None: they are made, each of the direct
        sound, a single 1, and of white noise that decays exponentially.

    t60 : tuple of float, default=(0.3, 0.9)
        Range of the reverberation times of made responses, in seconds: after it, sound has
        decayed by 60 dB.

    drr : tuple of float, default=(-3.0, 9.0)
        Range of the ratio of the energy of direct sound to that of the reverberation, in dB, of
        made responses.

    sample_rate : int, default=16000
        Of the clips, in Hz.

    Returns
    -------
    wave : Tensor of shape (B, T)
        A new tensor; silent clips stay silent.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If it is out of its range, or the folder is missing, empty or holds an unreadable file.

    References
    ----------
    .. [1] M. Ravanelli et al., "Multi-Task Self-Supervised Learning for Robust Speech
       Recognition", ICASSP 2020, arXiv:2001.09239.

    Examples
    --------
    >>> import torch
    >>> from skaudio.augment import reverberate
    >>> click = torch.zeros(1, 16000)
    >>> click[0, 100] = 1.0
    >>> heard = reverberate(click, torch.Generator().manual_seed(0))
    >>> bool(heard[0, :100].abs().max() < 1e-6), heard[0].argmax()
    (True, tensor(100))
    """
    check_number("sample_rate", sample_rate, 1)
    if rooms is None:
        responses = _made(len(wave), generator, t60, drr, sample_rate)
    else:
        which = uniform(generator, len(wave))
        responses = beginnings(rooms, "rooms", which, _LONGEST, sample_rate)
    responses = unit(responses.to(wave.dtype).to(wave.device))
    direct = responses.abs().argmax(1, keepdim=True)
    whole = convolved(unit(wave), responses)
    aligned = whole.gather(1, direct + torch.arange(wave.shape[1], device=wave.device))
    return as_loud(aligned, wave, whole)


def _made(n, generator, t60, drr, sample_rate):
    """Impulse responses (n, L): direct sound, then white noise that decays exponentially."""
    check_range("t60", t60, 1e-3, 10.0)
    check_range("drr", drr, -60.0, 60.0)
    drawn = uniform(generator, 2, n, 1)
    seconds, ratio = between(drawn[0], t60), between(drawn[1], drr)
    n_samples = max(2, math.ceil(t60[1] * sample_rate))
    noise = torch.randn(n, n_samples, generator=generator).double()
    noise[:, 0] = 0.0
    # 60 dB are a factor of 1000 in amplitude
    noise *= torch.exp(-math.log(1000) / seconds * torch.arange(n_samples) / sample_rate)
    noise *= 10 ** (-ratio / 20) / noise.square().sum(1, keepdim=True).sqrt()
    noise[:, 0] = 1.0
    return noise
