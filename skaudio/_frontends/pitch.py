"""Fundamental frequency and periodicity of a voice, frame by frame."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F

from .._tensors import mask
from .base import Frontend
from .paths import best_path

__all__ = ["Pitch"]

_CHUNK = 1 << 18  # samples of frames computed together: 1 MB, to fit a cache
_GPU_CHUNK = 1 << 25  # the same for a GPU
_PART = 1 << 20  # samples converted to float64 together
_CUTOFF = 2000.0  # Hz
_CANDIDATES = 12
_BALLAST = 1e-9  # of the power of a sample at the clip's peak
_REACH = 8  # lags on either side that an interpolated value is made of
_KAISER = 12.0  # shape of its window
_FINE = 4  # interpolated values per lag
_FARTHEST = 0.06  # relative correction of a period that its multiples may make
_MULTIPLES = (3, 1 << 20)  # of the period: the third, and the last within reach
# Boersma's and Praat's; the last two for steps of 10 ms
_OCTAVE, _VOICING, _SILENCE, _LEAP, _CHANGE = 0.01, 0.45, 0.03, 0.35, 0.14
_LARGEST = 1 - 2**-24  # periodicity, the float32 before 1


class _Candidates(NamedTuple):
    """Periods that a frame may have: (n, K) frequencies (Hz), periodicities and strengths."""

    f0: torch.Tensor
    height: torch.Tensor
    strength: torch.Tensor


class Pitch(Frontend):
    r"""Fundamental frequency and periodicity: (B, T) -> (B, 2, 1 + T // hop_length).

    Channel 0 is the frequency in Hz, 0 in unvoiced frames; channel 1 the periodicity r in
    [0, 1), in unvoiced frames that of the most periodic lag. The ratio of harmonics to noise,
    below 2 kHz, is 10 log10(r / (1 - r)) dB. Frames are centred on multiples of the hop, and a
    clip is surrounded by zeros. The two are the same at any gain and offset. No gradient flows
    through them.

    Parameters
    ----------
    sample_rate : int
        Rate of the wave, Hz.
    hop_length : int
        Step from one frame to the next, samples.
    fmin, fmax : float, default=55, 600
        Lowest and highest frequency of a voice, Hz; at most a quarter of the sample rate. A
        frame lasts two periods of ``fmin``.

    Raises
    ------
    ValueError
        If the frequencies are not in order or too high.

    Notes
    -----
    The wave, less its mean, is low-passed at 2 kHz (or 2 ``fmax``, if that is more), since the
    peaks of a wide band are so narrow that the lags miss some and take their multiples, and
    decimated to at least four times that frequency. Of each frame x of F samples less its mean

    .. math:: n(\tau) = \frac{2 \sum_{j < F - \tau} x_j x_{j + \tau}}
        {\sum_{j < F - \tau} x_j^2 + \sum_{j \ge \tau} x_j^2}

    is computed, one minus the normalised difference function of YIN [1]_ in the form of McLeod
    and Wyvill [2]_: it is 1 at the periods of a periodic wave, centred on the middle of the frame at
    every lag, so that a rising pitch is not read too early or late. Its twelve strongest peaks
    are candidates, of strength n(τ) - 0.01 log2(fmin τ); that of "unvoiced" is 0.45, and more in
    frames of less than 3 % of the clip's peak. The path through the clip with the highest sum of
    strengths wins, where a change of voicing costs 0.14 and a leap 0.35 per octave in 10 ms; all
    these numbers are Boersma's [3]_. The values between the lags are interpolated by a windowed
    sinc, and the period is read where its multiple k τ has a peak, too, as errors are divided by k.

    References
    ----------
    .. [1] A. de Cheveigné and H. Kawahara, "YIN, a fundamental frequency estimator for speech and
       music", J. Acoust. Soc. Am. 111, 2002, https://doi.org/10.1121/1.1458024
    .. [2] P. McLeod and G. Wyvill, "A smarter way to find pitch", ICMC 2005.
    .. [3] P. Boersma, "Accurate short-term analysis of the fundamental frequency and the
       harmonics-to-noise ratio of a sampled sound", Proc. Institute of Phonetic Sciences 17,
       Amsterdam, 1993.

    Examples
    --------
    >>> import torch
    >>> from skaudio.frontends import Pitch
    >>> wave = torch.sin(2 * torch.pi * 220 * torch.arange(8000) / 16000)[None]
    >>> x, lengths = Pitch(16000, 160)(wave, torch.tensor([8000]))
    >>> x.shape, lengths, round(float(x[0, 0, 25]), 2)
    (torch.Size([1, 2, 51]), tensor([51]), 220.0)
    """

    names = ("f0", "periodicity")

    def __init__(self, sample_rate, hop_length, fmin=55.0, fmax=600.0):
        super().__init__()
        if not 0 < fmin < fmax <= sample_rate / 4:
            raise ValueError(
                f"fmin={fmin!r} and fmax={fmax!r} must be in order, above 0 and at most a quarter "
                f"of sample_rate={sample_rate!r}"
            )
        self.step, self.fmin, self.fmax = hop_length, fmin, fmax
        self.seconds = hop_length / sample_rate
        cutoff = max(_CUTOFF, 2 * fmax)
        self.stride = max(1, int(sample_rate / (4 * cutoff)))
        self.rate = sample_rate / self.stride
        self.first, self.last = math.floor(self.rate / fmax), math.ceil(self.rate / fmin)
        self.width = 2 * round(self.rate / fmin) + 1
        self.n_lags = self.last + _REACH + 2
        self.n_fft = _fast_size(self.width + self.n_lags)
        self.register_buffer("low_pass", _low_pass(sample_rate, cutoff), persistent=False)
        self.register_buffer("finer", _finer(), persistent=False)
        favour = _OCTAVE * torch.arange(self.first, self.last + 1).mul(fmin / self.rate).log2()
        self.register_buffer("favour", favour, persistent=False)

    def output_lengths(self, lengths):
        return 1 + lengths // self.step

    @torch.no_grad()
    def forward(self, wave, lengths):
        n_frames = self.output_lengths(lengths)
        wave = self._prepared(wave, lengths)
        shape = len(wave), int(n_frames.max())
        found = [wave.new_zeros(*shape, _CANDIDATES) for _ in range(2)]
        strength = wave.new_full((*shape, _CANDIDATES + 1), -torch.inf)
        frames = wave.unfold(1, self.width, 1)
        clip, frame = torch.meshgrid(*map(torch.arange, shape), indexing="ij")
        valid = frame < n_frames[:, None]
        chunk = max(1, (_GPU_CHUNK if wave.is_cuda else _CHUNK) // self.n_fft)
        for i, t in zip(clip[valid].split(chunk), frame[valid].split(chunk), strict=True):
            # the sample next to t hops; there are as many before it in the padded wave as in a side
            start = (2 * t * self.step + self.stride) // (2 * self.stride)
            values = self._candidates(frames[i.to(wave.device), start.to(wave.device)])
            for whole, some in zip((*found, strength), values, strict=True):
                whole[i, t] = some
        return self._chosen(*found, strength, n_frames), n_frames

    def _prepared(self, wave, lengths):
        """Low-passed and decimated waves with a peak of 1, half a frame of zeros on each side."""
        # The mean is taken in float64: next to a large offset float32 would lose a quiet voice.
        total = sum(part.sum(1, dtype=torch.float64) for part in wave.split(_PART, 1))
        mean = total / lengths.to(wave.device)
        wave = mask((wave - mean.float()[:, None])[:, None], lengths)
        kernel = self.low_pass
        wave = F.conv1d(wave, kernel[None, None], stride=self.stride, padding=len(kernel) // 2)
        # the filter has moved something beyond the end, which only a padded clip has room for
        wave = mask(wave, -(-lengths // self.stride))[:, 0]
        peak = wave.abs().amax(1, keepdim=True)
        side = self.width // 2
        return F.pad(wave / peak.masked_fill(peak == 0, 1.0), (side, side + 1))

    def _candidates(self, frames):
        """Candidates of frames (n, width)."""
        frames = frames - frames.mean(1, keepdim=True)
        n = self._periodicity(frames)
        before, here, after = (n[:, self.first + d : self.last + d + 1] for d in (-1, 0, 1))
        # the summit of a parabola through three values: ranking the values themselves, a period
        # between two lags would lose to its double
        bend = (2 * here - before - after).clamp(min=1e-9)
        height = here + (after - before).square() / (8 * bend)
        peak = (here > before) & (here >= after)  # of equal values, the first
        strength = (height - self.favour).masked_fill(~peak, -torch.inf)
        strength, lag = strength.topk(min(_CANDIDATES, strength.shape[1]), sorted=False)
        found = strength > -torch.inf
        lag = lag + self.first
        offset, height, _ = self._summit(n, lag)
        period = lag + offset
        for most in _MULTIPLES:
            k = (self.last / period).floor().clamp(1, most)
            lag = (k * period).round().long().clamp(max=self.last)
            offset, _, inside = self._summit(n, lag)
            better = (lag + offset) / k
            near = inside & ((better - period).abs() < _FARTHEST * period)
            period = torch.where(near, better, period)
        f0 = self.rate / period
        found &= (f0 > self.fmin * (1 - 1e-4)) & (f0 < self.fmax * (1 + 1e-4))
        voiced = height + _OCTAVE * (f0 / self.fmin).log2()
        loudest = frames.abs().amax(1, keepdim=True)
        unvoiced = _VOICING + (2 - loudest * (1 + _VOICING) / _SILENCE).clamp(min=0)
        strength = torch.cat([voiced.masked_fill(~found, -torch.inf), unvoiced], 1)
        height = height.clamp(0, _LARGEST).masked_fill(~found, 0.0)
        return _Candidates(f0.masked_fill(~found, 0.0), height, strength)

    def _periodicity(self, frames):
        """Normalised autocorrelation (n, n_lags) of frames (n, width) without a mean."""
        spectrum = torch.view_as_real(torch.fft.rfft(frames, self.n_fft)).square_()
        r = torch.fft.irfft(spectrum[..., 0] + spectrum[..., 1], self.n_fft)[:, : self.n_lags]
        # energy of the first and of the last F - lag samples, by sums from the first sample on
        sums = F.pad(frames.double().square_().cumsum(1), (1, 0))
        head = sums[:, self.width + 1 - self.n_lags :].flip(1)
        energy = head + (sums[:, -1:] - sums[:, : self.n_lags])
        return 2 * r / (energy + _BALLAST * self.width).float()

    def _summit(self, n, lag):
        """Offset and height (n, K) of the peak near each lag, and whether there is one."""
        taps = torch.arange(-_REACH, _REACH + 1, device=n.device)
        near = (lag[..., None] + taps).abs()  # n is even
        values = n.gather(1, near.flatten(1)).view(near.shape) @ self.finer
        top = values[..., 1:-1].argmax(-1, keepdim=True) + 1
        before, here, after = (values.gather(-1, top + d)[..., 0] for d in (-1, 0, 1))
        inside = (here >= before) & (here >= after) & (here > 0)
        bend = (2 * here - before - after).clamp(min=1e-9)
        move = ((after - before) / (2 * bend)).clamp(-1, 1).masked_fill(~inside, 0.0)
        height = here + (after - before) * move / 4
        return (top[..., 0] + move) / _FINE - 1, height, inside

    def _chosen(self, f0, height, strength, n_frames):
        """Channels (B, 2, N) of the best path."""
        octave = f0.clamp(min=self.fmin).log2()
        costs = (price * 0.01 / self.seconds for price in (_LEAP, _CHANGE))
        path = best_path(strength, octave, n_frames, *costs)[..., None]
        voiced = path < _CANDIDATES
        path = path.clamp(max=_CANDIDATES - 1)
        height = torch.where(voiced, height.gather(2, path), height.amax(2, keepdim=True))
        f0 = f0.gather(2, path).masked_fill(~voiced, 0.0)
        return mask(torch.cat([f0, height], 2).transpose(1, 2).contiguous(), n_frames)


def _low_pass(sample_rate, cutoff):
    """Sinc of 2 ms under a Hann window; of one sample where nothing is to be removed."""
    half = round(1e-3 * sample_rate) if 2 * cutoff < sample_rate else 0
    t = torch.arange(-half, half + 1, dtype=torch.float64)
    kernel = torch.sinc(2 * cutoff / sample_rate * t) * (math.pi / (2 * half + 2) * t).cos().square()
    return (kernel / kernel.sum()).float()


def _finer():
    """Weights (2 _REACH + 1, 2 _FINE + 1) of values from one lag before to one lag after."""
    place = torch.arange(-_FINE, _FINE + 1, dtype=torch.float64) / _FINE
    distance = place - torch.arange(-_REACH, _REACH + 1, dtype=torch.float64)[:, None]
    inside = (1 - (distance / (_REACH + 1)).square()).clamp(min=0)
    weights = distance.sinc() * torch.special.i0(_KAISER * inside.sqrt())
    return (weights / weights.sum(0)).float()


def _fast_size(n):
    """Return the first number from n on whose prime factors are 2, 3 and 5."""
    while 30**30 % n:
        n += 1
    return n
