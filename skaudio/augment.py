"""What training does to its batches so that no crop is heard twice alike.

Each function takes a `torch.Generator` on the CPU and draws from nothing else, always the same
number of values for a batch of one size. The same generator therefore gives the same distortions
whatever device the batch is on, and the global generators of torch and numpy stay as they are.
"""

import torch
from scipy.special import betaincinv

from ._augment.additive import add_noise, add_speech
from ._augment.distort import PASE_PLUS, distort, resolve_distortions
from ._augment.filters import downsample, drop_band
from ._augment.gaps import chop, clip_peaks
from ._augment.rooms import reverberate
from .utils.validation import check_number

__all__ = [
    "PASE_PLUS",
    "add_noise",
    "add_speech",
    "chop",
    "clip_peaks",
    "distort",
    "downsample",
    "drop_band",
    "gain",
    "mixup",
    "resolve_distortions",
    "reverberate",
    "spec_augment",
]


def spec_augment(
    x, lengths, generator, *, n_time=2, n_freq=2, time_width=0.2, freq_width=0.34, fill="mean"
):
    """Mask random stretches of time and of frequency in each spectrogram [1]_.

    The width of each mask is uniform from 0 to its limit, and so is its place within the clip;
    masks may overlap. The paper states its limits in frames and bands. Here they are shares of
    the clip and of the spectrum, so that they suit crops of any length and any number of bands.

    Parameters
    ----------
    x : Tensor of shape (B, C, T)
        Spectrograms of C bands.

    lengths : Tensor of shape (B,), int64, or None
        Number of valid steps of each clip. None: all T.

    generator : torch.Generator
        On the CPU.

    n_time, n_freq : int, default=2
        Number of masks of each kind per clip; two as in the paper's policy "LD".

    time_width : float, default=0.2
        Longest mask of time, as a share of the steps of the clip.

    freq_width : float, default=0.34
        Widest mask of frequency, as a share of the bands; the paper's is 27 of 80.

    fill : "mean" or float, default="mean"
        What stands in the masks: the mean of the clip's spectrogram before it is masked, or a
        value, such as 0.0 for spectrograms that are standardised.

    Returns
    -------
    x : Tensor of shape (B, C, T)
        A new tensor. Gradients flow through what is not masked; what lies beyond a clip's length
        is as before.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If it is out of its range.

    References
    ----------
    .. [1] D. Park et al., "SpecAugment: A Simple Data Augmentation Method for Automatic Speech
       Recognition", Interspeech 2019, arXiv:1904.08779.

    Examples
    --------
    >>> import torch
    >>> from skaudio.augment import spec_augment
    >>> generator = torch.Generator().manual_seed(0)
    >>> x = torch.ones(1, 4, 10)
    >>> spec_augment(x, None, generator, n_time=0, n_freq=1, freq_width=0.8, fill=0.0)[0, :, 0]
    tensor([1., 0., 0., 0.])
    """
    check_number("n_time", n_time, 0)
    check_number("n_freq", n_freq, 0)
    check_number("time_width", time_width, 0, 1, integer=False)
    check_number("freq_width", freq_width, 0, 1, integer=False)
    if fill != "mean":
        check_number("fill", fill, None, integer=False)
    n_clips, n_bands, n_steps = x.shape
    if lengths is None:
        lengths = torch.full((n_clips,), n_steps)
    bands = torch.full((n_clips,), n_bands)
    in_time = _masks(lengths, n_steps, n_time, time_width, generator).to(x.device)
    in_freq = _masks(bands, n_bands, n_freq, freq_width, generator).to(x.device)
    valid = (torch.arange(n_steps) < lengths[:, None]).to(x.device)[:, None]
    masked = (in_time[:, None] | in_freq[:, :, None]) & valid
    if fill == "mean":
        n_valid = (n_bands * lengths).to(x.device)
        sums = x.detach().masked_fill(~valid, 0.0).sum((1, 2))
        fill = (sums / n_valid)[:, None, None]
    return torch.where(masked, fill, x)


def _masks(sizes, longest, n_masks, width, generator):
    """Tell which of the first ``sizes`` places (B, longest) lie in any of the masks."""
    # rounding must not take a place off: as floats, 0.29 * 100 is a little less than 29
    limits = (sizes[:, None] * torch.tensor(width, dtype=torch.float64) + 1e-9).long()
    uniform = torch.rand(2, len(sizes), n_masks, generator=generator, dtype=torch.float64)
    widths = _whole(uniform[0], limits)
    starts = _whole(uniform[1], sizes[:, None] - widths)[..., None]
    places = torch.arange(longest)
    return ((places >= starts) & (places < starts + widths[..., None])).any(1)


def _whole(uniform, highest):
    """Integers from 0 to ``highest``, both included, of numbers in [0, 1)."""
    # a number next to 1 may be rounded up to highest + 1
    return torch.minimum((uniform * (highest + 1)).long(), highest)


def mixup(x, generator, *, alpha=0.2):
    """Mix each item of a batch with another one [1]_.

    With targets y, train the outputs for the mixed items on
    ``share * loss(y) + (1 - share) * loss(y[partner])``.

    Parameters
    ----------
    x : Tensor of shape (B, ...)
        Waves or spectrograms of one length.

    generator : torch.Generator
        On the CPU.

    alpha : float, default=0.2
        Shares are of the distribution Beta(alpha, alpha): mostly near 0 or 1 if it is small,
        uniform if it is 1.

    Returns
    -------
    mixed : Tensor of shape (B, ...)
        Item i is ``share[i] * x[i] + (1 - share[i]) * x[partner[i]]``.

    partner : Tensor of shape (B,), int64
        A permutation, on the device of x; an item may be its own partner.

    share : Tensor of shape (B,)
        What each item has of itself, between 0 and 1, in the dtype and on the device of x.

    Raises
    ------
    ValueError
        If alpha is below 0.001.

    References
    ----------
    .. [1] H. Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018,
       arXiv:1710.09412.

    Examples
    --------
    >>> import torch
    >>> from skaudio.augment import mixup
    >>> x = torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    >>> mixed, partner, share = mixup(x, torch.Generator().manual_seed(0), alpha=1.0)
    >>> partner
    tensor([2, 0, 1])
    >>> bool(torch.allclose(mixed[1], share[1] * x[1] + (1 - share[1]) * x[0]))
    True
    """
    check_number("alpha", alpha, 1e-3, integer=False)
    n = len(x)
    partner = torch.randperm(n, generator=generator).to(x.device)
    # by the inverse of the distribution function, one uniform number each: torch's own Beta
    # distribution draws from the global generator only
    uniform = torch.rand(n, generator=generator, dtype=torch.float64)
    share = torch.from_numpy(betaincinv(alpha, alpha, uniform.numpy()))
    share = share.to(x.dtype).to(x.device)
    mixed = torch.lerp(x[partner], x, share.view(-1, *[1] * (x.ndim - 1)))
    return mixed, partner, share


def gain(wave, generator, *, low=0.8, high=1.2):
    """Make each crop louder or softer by a random factor.

    Parameters
    ----------
    wave : Tensor of shape (B, ...)
        Crops.

    generator : torch.Generator
        On the CPU.

    low, high : float, default=0.8, 1.2
        The factors are uniform between them; by default as in the training of SincNet [1]_.

    Returns
    -------
    wave : Tensor of shape (B, ...)
        A new tensor. It is not limited to [-1, 1].

    Raises
    ------
    ValueError
        If the limits are negative or in the wrong order.

    References
    ----------
    .. [1] M. Ravanelli, Y. Bengio, "Speaker Recognition from Raw Waveform with SincNet",
       SLT 2018, arXiv:1808.00158.

    Examples
    --------
    >>> import torch
    >>> from skaudio.augment import gain
    >>> gain(torch.ones(2, 3), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 3])
    """
    check_number("low", low, 0, integer=False)
    check_number("high", high, low, integer=False)
    uniform = torch.rand(len(wave), generator=generator, dtype=torch.float64)
    factors = (low + (high - low) * uniform).to(wave.dtype).to(wave.device)
    return wave * factors.view(-1, *[1] * (wave.ndim - 1))
