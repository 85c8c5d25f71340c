"""A bank of gammatone filters, as the ear is thought to have."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from .._tensors import mask
from .base import Frontend

__all__ = ["Gammatone"]

# Width of the ear's filters [1]_, in Hz: erb(f) = f / Q + W
_Q, _W = 9.26449, 24.7
_WIDTH = 1.019  # of a gammatone filter of order 4, in erb
_DECAYED = 40.0  # time constants after which t³ exp(-t) is below 1e-12 of its highest value
_BLOCK = 20480  # samples filtered together, and a length for fast transforms
_CLIPS = 4  # clips filtered together


class Gammatone(Frontend):
    """Logarithm of the amplitudes behind gammatone filters: (B, T) -> (B, n_filters, N).

    Filters of order 4, each of gain 1 at its centre, which are equally spaced in the scale of
    equivalent rectangular bandwidths [1]_, lowest first; the discrete filters of [2]_. Behind each,
    log(r + 1e-10), r the root mean square over windows that begin at multiples of
    ``hop_length``: N = 1 + (T - win_length) // hop_length, and 1 for clips shorter than a window,
    which end in zeros. Clips of any length are filtered block by block, in float64.

    Parameters
    ----------
    sample_rate : int
        Rate of the wave, Hz.
    hop_length, win_length : int
        Step and length of the windows, samples.
    n_filters : int
        Number of filters.
    fmin, fmax : float
        Centre of the lowest filter, and what lies one step above that of the highest, Hz;
        ``fmax=None`` is half the sample rate.

    References
    ----------
    .. [1] B. R. Glasberg, B. C. J. Moore, "Derivation of auditory filter shapes from
       notched-noise data", Hearing Research 47, 1990, doi:10.1016/0378-5955(90)90170-T.
    .. [2] M. Slaney, "An efficient implementation of the Patterson-Holdsworth auditory filter
       bank", Apple Computer Technical Report 35, 1993.

    Examples
    --------
    >>> import torch
    >>> from skaudio.frontends import Gammatone
    >>> gammatone = Gammatone(16000, hop_length=160, win_length=400, n_filters=40, fmin=50.0)
    >>> tone = torch.sin(2 * torch.pi * 1000 / 16000 * torch.arange(16000))[None]
    >>> x, n_frames = gammatone(tone, torch.tensor([16000]))
    >>> x.shape, round(gammatone.centres[x[0, :, 50].argmax()])
    (torch.Size([1, 40, 98]), 1050)
    """

    def __init__(self, sample_rate, hop_length, win_length, n_filters, fmin, fmax=None):
        super().__init__()
        self.step, self.win_length, self.centre = hop_length, win_length, win_length / 2
        self.part = math.gcd(hop_length, win_length)
        high = sample_rate / 2 if fmax is None else fmax
        # equal steps of log(f + Q W), from the lowest centre to one step below the upper limit
        ends = np.log([fmin + _Q * _W, high + _Q * _W])
        self.centres = np.exp(np.linspace(*ends, n_filters + 1)[:-1]) - _Q * _W
        slowest = 2 * math.pi * _WIDTH * (fmin / _Q + _W)  # 1 / s
        self.tail = math.ceil(_DECAYED / slowest * sample_rate)  # samples that a filter rings
        self.n_fft = max(_BLOCK, 1 << (2 * (self.tail + win_length)).bit_length())
        response = _response(self.centres, sample_rate, self.n_fft)
        # as pairs of real numbers, which can be sent between processes
        response = torch.view_as_real(torch.from_numpy(response))
        self.register_buffer("response", response, persistent=False)

    def output_lengths(self, lengths):
        return 1 + (lengths - self.win_length).clamp(min=0) // self.step

    def forward(self, wave, lengths):
        lengths = self.output_lengths(lengths)
        n_frames = int(lengths.max())
        n_samples = (n_frames - 1) * self.step + self.win_length
        wave = F.pad(wave, (self.tail, n_samples - wave.shape[1]))
        x = torch.cat([self._frames(some, n_frames) for some in wave.split(_CLIPS)])
        return mask(x, lengths), lengths

    def _frames(self, wave, n_frames):
        """Frames of a few clips, which begin with as many zeros as the filters ring."""
        per_block = 1 + (self.n_fft - self.tail - self.win_length) // self.step
        response, blocks = torch.view_as_complex(self.response), []
        for first in range(0, n_frames, per_block):
            part = wave[:, first * self.step :][:, : self.n_fft].double()
            spectrum = torch.fft.rfft(part, n=self.n_fft)[:, None] * response
            # the product is a circular convolution: the tail of the end covers the beginning
            filtered = torch.fft.irfft(spectrum, n=self.n_fft)[..., self.tail :]
            # first of what windows have in common
            power = F.avg_pool1d(filtered.square(), self.part)
            power = F.avg_pool1d(power, self.win_length // self.part, self.step // self.part)
            blocks.append(power[..., : min(per_block, n_frames - first)].sqrt())
        return torch.cat(blocks, dim=2).add(1e-10).log().float()


def _response(centres, sample_rate, n_fft):
    """Response (n_filters, 1 + n_fft // 2) of each filter at the bins of a transform."""
    angle = 2 * np.pi * centres[:, None] / sample_rate
    radius = np.exp(-2 * np.pi * _WIDTH * (centres[:, None] / _Q + _W) / sample_rate)

    def at(z):
        # four times the same pair of poles, each time with another zero
        poles = 1 - 2 * radius * np.cos(angle) / z + radius**2 / z**2
        roots = [s * math.sqrt(3 + t * 2**1.5) for s in (1, -1) for t in (1, -1)]
        zeros = [1 - radius * (np.cos(angle) + r * np.sin(angle)) / z for r in roots]
        return np.prod(zeros, axis=0) / poles**4

    z = np.exp(2j * np.pi * np.arange(1 + n_fft // 2) / n_fft)
    return at(z) / np.abs(at(np.exp(1j * angle)))
