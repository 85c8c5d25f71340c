"""Fundamental frequency and periodicity of a voice, frame by frame."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F

from .._tensors import mask
from .base import Frontend
from .filters import fast_size, filtered, low_pass, means
from .paths import best_path

__all__ = ["Pitch"]

_CHUNK = 1 << 18  # samples that a thread computes together: 1 MB, to fit its cache
_GPU_CHUNK = 1 << 24  # the same for a GPU
_CUTOFF = 2000.0  # Hz
_CANDIDATES = 8, 24  # at least, at most
_BALLAST = 1e-9  # of the power of a sample at the clip's peak
_REACH = 8  # lags on either side that an interpolated value is made of
_KAISER = 12.0  # shape of its window
_FINE = 4  # interpolated values per lag
_WIDE = (
    2  # of them, from the highest to its neighbours on a parabola; nearer ones differ too little
)
_FAITHFUL = 0.8  # height of a multiple of the period, relative to that of the period
_MULTIPLES = (3, 1 << 20)  # of the period: the third, and the last within reach
# Boersma's and Praat's, the last two for steps of 10 ms. Their second is 0.45; with 0.5 there are
# fewer errors of voicing in synthetic voices and in EmoDB.
_OCTAVE, _VOICING, _SILENCE, _LEAP, _CHANGE = 0.01, 0.5, 0.03, 0.35, 0.14
_LARGEST = 1 - 2**-24  # periodicity, the float32 before 1


class _Candidates(NamedTuple):
    """What frames may be: K frequencies (Hz), their periodicities, K + 1 strengths.

    The last strength is that of "unvoiced". It is -inf where there is no candidate.
    """

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
    The wave, less its mean, is low-passed at 2 kHz (or 1.5 ``fmax``, if that is more) and decimated
    to at least four times that frequency. In a wider band the peaks of an autocorrelation are
    narrower than the step from one lag to the next, and a period would often lose to its multiples.
    Of each frame x of F samples, less its mean,

    .. math:: n(\tau) = \frac{2 \sum_{j < F - \tau} x_j x_{j + \tau}}
        {\sum_{j < F - \tau} x_j^2 + \sum_{j \ge \tau} x_j^2}

    is computed, which is 1 at the periods of a periodic wave. It is one minus the difference
    function of YIN [1]_, normalised as by McLeod and Wyvill [2]_; at every lag it is centred on
    the middle of the frame, so that a rising pitch is read neither early nor late.

    The strongest peaks of n, one more than fmax / fmin but 8 to 24, are candidates, of strength
    n(τ) - 0.01 log2(fmin τ). That of "unvoiced" is 0.5, and more in frames whose middle stays below
    3 % of the clip's peak. The path through the clip with the highest sum of strengths is chosen,
    where a change of voicing costs 0.14 and a leap 0.35 per octave, for steps of 10 ms. These
    numbers are Boersma's [3]_, save that his 0.45 became 0.5, which tells voiced from unvoiced
    frames better, in real speech as well.

    Values between the lags are interpolated by a sinc under a Kaiser window. Where n has a peak at
    a multiple k τ of the period, too, the period is that peak's lag divided by k, which divides
    the error that noise makes; first k = 3, then the largest within reach.

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
        self.prices = [price * 0.01 * sample_rate / hop_length for price in (_LEAP, _CHANGE)]
        cutoff = max(_CUTOFF, 1.5 * fmax)
        self.stride = max(1, int(sample_rate / (4 * cutoff)))
        self.rate = sample_rate / self.stride
        self.first, self.last = math.floor(self.rate / fmax), math.ceil(self.rate / fmin)
        self.n_lags = self.last + _REACH + 2
        self.width = 2 * max(round(self.rate / fmin), self.n_lags // 2) + 1
        self.n_fft = fast_size(self.width + self.n_lags)
        # of a voice of fmax, all multiples of the period have their peaks, which noise may raise
        least, most = _CANDIDATES
        wanted = min(max(math.ceil(fmax / fmin) + 1, least), most)
        self.n_candidates = min(wanted, self.last - self.first + 1)
        self.low_pass = low_pass(sample_rate, cutoff)
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
        n = self.n_candidates
        found = _Candidates(*(wave.new_zeros(*shape, k) for k in (n, n, n + 1)))
        frames = wave.unfold(1, self.width, 1)
        clip, frame = torch.meshgrid(*map(torch.arange, shape), indexing="ij")
        valid = frame < n_frames[:, None]
        chunk = max(1, _chunk(wave) // self.n_fft)
        for i, t in zip(clip[valid].split(chunk), frame[valid].split(chunk), strict=True):
            # The sample nearest to the middle, t hops; as the padded wave begins half a frame
            # earlier, this is where the frame begins in it.
            start = (2 * t * self.step + self.stride) // (2 * self.stride)
            values = self._candidates(frames[i.to(wave.device), start.to(wave.device)])
            for whole, some in zip(found, values, strict=True):
                whole[i, t] = some
        return self._chosen(found, n_frames), n_frames

    def _prepared(self, wave, lengths):
        """Low-passed and decimated waves with a peak of 1, half a frame of zeros on each side."""
        mean = means(wave, lengths)
        wave = filtered(wave, self.low_pass, lengths, stride=self.stride, mean=mean)
        peak = torch.maximum(wave.amax(1, keepdim=True), -wave.amin(1, keepdim=True))
        side = self.width // 2
        return F.pad(wave, (side, side + 1)).div_(peak.masked_fill(peak == 0, 1.0))

    def _candidates(self, frames):
        """Candidates of frames (n, width)."""
        frames = frames - frames.mean(1, keepdim=True)
        n = self._periodicity(frames)
        before, here, after = (n[:, self.first + d : self.last + d + 1] for d in (-1, 0, 1))
        peak = (here > before) & (here >= after)  # of equal values, the first
        strength = (here - self.favour).masked_fill(~peak, -torch.inf)
        strength, lag = strength.topk(self.n_candidates, sorted=False)
        found = strength > -torch.inf
        lag = lag + self.first
        offset, height, _ = self._summit(n, lag)
        period = lag + offset
        for most in _MULTIPLES:
            k = (self.last / period).floor().clamp(1, most)
            lag = (k * period).round().long().clamp(max=self.last)
            offset, far, inside = self._summit(n, lag)
            better = (lag + offset) / k
            period = torch.where(inside & (far > _FAITHFUL * height), better, period)
        f0 = self.rate / period
        found &= (f0 > self.fmin * (1 - 1e-4)) & (f0 < self.fmax * (1 + 1e-4))
        voiced = height + _OCTAVE * (f0 / self.fmin).log2()
        # of the period in the middle, so that a voice does not seem to begin early and end late
        side = self.width // 4
        loudest = frames[:, side:-side].abs().amax(1, keepdim=True)
        unvoiced = _VOICING + (2 - loudest * (1 + _VOICING) / _SILENCE).clamp(min=0)
        strength = torch.cat([voiced.masked_fill(~found, -torch.inf), unvoiced], 1)
        height = height.clamp(0, _LARGEST).masked_fill(~found, 0.0)
        return _Candidates(f0.clamp(self.fmin, self.fmax), height, strength)

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
        top = values[..., _WIDE:-_WIDE].argmax(-1, keepdim=True) + _WIDE
        before, here, after = (values.gather(-1, top + d)[..., 0] for d in (-_WIDE, 0, _WIDE))
        inside = (here >= before) & (here >= after) & (here > 0)
        bend = (2 * here - before - after).clamp(min=1e-9)
        move = ((after - before) / (2 * bend)).clamp(-1, 1).masked_fill(~inside, 0.0)
        height = here + (after - before) * move / 4
        return (top[..., 0] + _WIDE * move) / _FINE - 1 - _WIDE / _FINE, height, inside

    def _chosen(self, found, n_frames):
        """Channels (B, 2, N) of the best path."""
        path = best_path(found.strength, found.f0.log2(), n_frames, *self.prices)[..., None]
        voiced = path < self.n_candidates
        path = path.clamp(max=self.n_candidates - 1)
        f0 = found.f0.gather(2, path).masked_fill(~voiced, 0.0)
        height = found.height.gather(2, path)
        height = torch.where(voiced, height, found.height.amax(2, keepdim=True))
        return mask(torch.cat([f0, height], 2).transpose(1, 2), n_frames)


def _chunk(wave):
    """Samples that are computed together."""
    return _GPU_CHUNK if wave.is_cuda else _CHUNK * torch.get_num_threads()


def _finer():
    """Weights of values in the neighbourhood of a lag: one column for each quarter of a lag.

    Peaks are sought within one lag, and a parabola through them reaches half a lag farther.
    """
    place = torch.arange(-_FINE - _WIDE, _FINE + _WIDE + 1, dtype=torch.float64) / _FINE
    distance = place - torch.arange(-_REACH, _REACH + 1, dtype=torch.float64)[:, None]
    inside = (1 - (distance / (_REACH + 1)).square()).clamp(min=0)
    weights = distance.sinc() * torch.special.i0(_KAISER * inside.sqrt())
    return (weights / weights.sum(0)).float()
