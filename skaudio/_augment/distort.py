"""Several distortions, one after the other, each of some of the clips."""

import torch

from ..utils.validation import check_number
from .additive import add_noise, add_speech
from .filters import downsample, drop_band
from .gaps import chop, clip_peaks
from .rooms import reverberate
from .shared import bound

__all__ = ["PASE_PLUS", "distort", "resolve_distortions"]

PASE_PLUS = (
    (reverberate, 0.5),
    (add_speech, 0.1),
    (add_noise, 0.4),
    (clip_peaks, 0.2),
    (chop, 0.2),
    (drop_band, 0.35),
    (downsample, 0.25),
)
_NAMED = {"pase+": PASE_PLUS}


def distort(wave, generator, distortions, sample_rate=16000):
    """Distort a batch: each distortion in turn, for each clip with its probability.

    From the generator come, for each distortion, a number per clip that decides, and the seed of
    a generator that the distortion draws from. So whatever a distortion does with it, the draws
    of the others are the same.

    Parameters
    ----------
    wave : Tensor of shape (B, T)
        Clips.

    generator : torch.Generator
        On the CPU.

    distortions : None, "pase+" or list
        As for `resolve_distortions`.

    sample_rate : int, default=16000
        Of the clips, in Hz.

    Returns
    -------
    wave : Tensor of shape (B, T)
        A new tensor. A clip that none of the distortions was chosen for has the same samples.

    Raises
    ------
    TypeError, ValueError
        If ``distortions`` is something else, or a distortion returns no waves of the same shape
        and dtype.

    Examples
    --------
    >>> from functools import partial
    >>> import torch
    >>> from skaudio.augment import add_noise, clip_peaks, distort
    >>> clips = torch.sin(torch.arange(8000.0) / torch.tensor([[9.0], [7.0], [5.0]]))
    >>> noisy = [(partial(add_noise, snr=[10]), 0.5), clip_peaks]
    >>> distort(clips, torch.Generator().manual_seed(0), noisy).shape
    torch.Size([3, 8000])
    """
    wave = wave.clone()
    for function, probability in resolve_distortions(distortions, sample_rate):
        decides = torch.rand(len(wave), generator=generator, dtype=torch.float64)
        seed = torch.randint(2**63 - 1, (), generator=generator)
        (rows,) = (decides < probability).nonzero(as_tuple=True)
        if not len(rows):
            continue
        n_chosen = len(rows)
        if n_chosen == 1 < len(wave):
            # a second clip, which stays as it is, for distortions that mix clips
            rows = torch.cat([rows, (rows + 1) % len(wave)])
        given = wave[rows.to(wave.device)]
        changed = function(given, torch.Generator().manual_seed(int(seed)))
        _check_result(function, changed, given)
        wave[rows[:n_chosen].to(wave.device)] = changed[:n_chosen]
    return wave


def resolve_distortions(distortions, sample_rate=16000):
    """Turn the parameter ``distortions`` of an estimator into functions with probabilities.

    Parameters
    ----------
    distortions : None, "pase+" or list
        None: no distortions. "pase+": those of PASE+ [1]_ in their order and with their
        probabilities, except for the codec. A list has functions
        ``(wave (B, T), generator) -> wave (B, T)``, or tuples of such a function and the
        probability that a clip is distorted, which is 1 where none is given. Parameters of a
        function are set by `functools.partial`.

    sample_rate : int, default=16000
        What functions with a parameter of this name get for it, unless a partial sets it.

    Returns
    -------
    distortions : tuple of tuple
        Of a function and a probability each.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If the name is unknown or a probability is not between 0 and 1.

    References
    ----------
    .. [1] M. Ravanelli et al., "Multi-Task Self-Supervised Learning for Robust Speech
       Recognition", ICASSP 2020, arXiv:2001.09239.

    Examples
    --------
    >>> from skaudio.augment import resolve_distortions
    >>> [function.func.__name__ for function, _ in resolve_distortions("pase+")[:2]]
    ['reverberate', 'add_speech']
    """
    if distortions is None:
        return ()
    if isinstance(distortions, str):
        if distortions not in _NAMED:
            raise ValueError(
                f"distortions={distortions!r} is unknown; use one of {[*_NAMED]}, or a list of "
                "functions"
            )
        distortions = _NAMED[distortions]
    if not isinstance(distortions, list | tuple):
        raise TypeError(
            f"distortions={distortions!r} must be None, one of {[*_NAMED]} or a list of functions"
        )
    return tuple(_pair(i, item, sample_rate) for i, item in enumerate(distortions))


def _pair(i, item, sample_rate):
    function, probability = item if isinstance(item, list | tuple) and len(item) == 2 else (item, 1)
    if not callable(function) or isinstance(function, type):
        raise TypeError(
            f"distortions[{i}]={item!r} must be a function, or a function and its probability"
        )
    check_number(f"probability of distortions[{i}]", probability, 0, 1, integer=False)
    return bound(function, sample_rate), probability


def _check_result(function, changed, given):
    if not isinstance(changed, torch.Tensor) or (
        (changed.shape, changed.dtype) != (given.shape, given.dtype)
    ):
        found = f"{type(changed).__name__} {getattr(changed, 'shape', '')}"
        raise ValueError(
            f"the distortion {function!r} returned a {found} for waves of shape "
            f"{tuple(given.shape)}; it must return waves of the same shape and dtype"
        )
