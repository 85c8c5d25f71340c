"""Stage 3: waves -> the input of a network. Modules ``(x, lengths) -> (x, lengths)``.

Every module takes and returns ``x`` of shape (B, C, T), zero beyond ``lengths`` (B,), and treats
each clip as if it were alone. ``output_lengths`` computes the lengths without the data. Whatever
the device of x, lengths are on the CPU, so that a branch on them does not wait for a GPU.
"""

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ._frontends.base import FitLength, Frontend
from ._frontends.chunks import Chunks
from ._frontends.gammatone import Gammatone
from ._frontends.pitch import Pitch
from ._tensors import mask, root, within

__all__ = [
    "MFCC",
    "Chain",
    "Chunks",
    "FitLength",
    "Frontend",
    "Gammatone",
    "LogMel",
    "Pitch",
    "Standardize",
    "Wave",
]

_CHUNK = 1 << 19  # samples of frames that a thread transforms together: 2 MB, to fit its cache
_GPU_CHUNK = 1 << 26  # the same for a GPU
_LONG = 1 << 20  # samples; longer clips are processed in parts instead of being copied whole
_BANDS = 16  # mel bands computed together
# Frames; a matrix product of fewer rows rounds differently, so that a short clip would have other
# features alone than in a batch.
_ROWS = 4
_LOG_STEP = math.log(6.4) / 27


class Chain(Frontend):
    """Front-ends one after the other.

    Parameters
    ----------
    *parts : Frontend
        The first one reads the wave.
    """

    def __init__(self, *parts):
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x, lengths):
        for part in self.parts:
            x, lengths = part(x, lengths)
        return x, lengths

    def output_lengths(self, lengths):
        for part in self.parts:
            lengths = part.output_lengths(lengths)
        return lengths

    @property
    def step(self):
        """Samples from one output step to the next."""
        return math.prod(part.step for part in self.parts)

    @property
    def centre(self):
        """Sample at the middle of output step 0."""
        centre = 0.0
        for part in reversed(self.parts):
            centre = part.centre + part.step * centre
        return centre


class Wave(Frontend):
    """The samples themselves: (B, T) -> (B, 1, T)."""

    def forward(self, wave, lengths):
        return wave[:, None], lengths


@lru_cache(maxsize=16)
def mel_filters(sample_rate, n_fft, n_mels, fmin=0.0, fmax=None):
    """Triangles on Slaney's mel scale, each of area 1 Hz [1]_: those of `librosa.filters.mel`.

    Parameters
    ----------
    sample_rate : int
        Rate of the wave, Hz.
    n_fft : int
        Length of the transform, samples.
    n_mels : int
        Number of bands.
    fmin, fmax : float
        Limits of the bands, Hz; ``fmax=None`` is half the sample rate.

    Returns
    -------
    filters : Tensor of shape (n_mels, 1 + n_fft // 2), float32
        Weights of the bins.

    References
    ----------
    .. [1] M. Slaney, "Auditory Toolbox, Version 2", Interval Research, 1998.
    """
    ends = _hz_to_mel(np.array([fmin, sample_rate / 2 if fmax is None else fmax]))
    edges = _mel_to_hz(np.linspace(*ends, n_mels + 2))[:, None]
    bins = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    return torch.from_numpy(2 / (high - low) * triangles.clip(min=0)).float()


def _hz_to_mel(hz):
    # linear to 1000 Hz, 15 mel; above, 27 mel for each factor of 6.4
    return np.where(hz < 1000, hz * 0.015, 15 + np.log(np.maximum(hz, 1000) / 1000) / _LOG_STEP)


def _mel_to_hz(mel):
    return np.where(mel < 15, mel / 0.015, 1000 * np.exp((mel - 15) * _LOG_STEP))


class LogMel(Frontend):
    """Mel power spectrogram in decibels: (B, T) -> (B, n_mels, 1 + T // hop_length).

    10 log10(max(S, 1e-10)), then floored ``top_db`` under the clip's own maximum. Frames
    are centred; beyond its ends a clip goes on as ``pad`` says.

    Parameters
    ----------
    sample_rate : int
        Rate of the wave, Hz.
    n_fft, hop_length : int
        Window (Hann, periodic) and step, samples.
    n_mels : int
        Number of mel bands.
    fmin, fmax : float
        Limits of the bands, Hz; ``fmax=None`` is half the sample rate.
    top_db : float or None
        Dynamic range, dB: lower values are raised to the maximum minus ``top_db``.
    pad : {"reflect", "constant"}
        Mirror image of the clip, or zeros.
    """

    def __init__(self, sample_rate, n_fft, hop_length, n_mels, fmin, fmax, top_db, pad):
        super().__init__()
        self.n_fft, self.step = n_fft, hop_length
        self.top_db, self.pad = top_db, pad
        self.register_buffer("window", torch.hann_window(n_fft))
        self.register_buffer("mel", mel_filters(sample_rate, n_fft, n_mels, fmin, fmax))
        self.spans = [*_spans(self.mel)]

    def output_lengths(self, lengths):
        return 1 + (lengths - self.n_fft % 2) // self.step

    def forward(self, wave, lengths):
        x = self._bands(wave, lengths).transpose(1, 2)
        x.clamp_(min=1e-10).log10_().mul_(10.0)
        lengths, n_frames = self.output_lengths(lengths), x.shape[2]
        if self.top_db is not None:
            heard = x
            if bool((lengths < n_frames).any()):
                beyond = ~within(lengths, n_frames, x.device)
                heard = x.masked_fill(beyond[:, None], -torch.inf)
            top = heard.amax((1, 2), keepdim=True)
            x = torch.maximum(x, top - self.top_db, out=None if x.requires_grad else x)
        return mask(x, lengths), lengths

    def _bands(self, wave, lengths):
        """Power (B, T, M) in each mel band."""
        if wave.requires_grad:  # a gradient cannot flow into memory that is there already
            frames = torch.cat([*self._frames(wave, lengths)], dim=1)
            power = self._mel_power(frames * self.window)
            return power.view(len(wave), frames.shape[1], len(self.mel))
        n_frames = int(self.output_lengths(torch.tensor(wave.shape[1])))
        x, done = wave.new_empty(len(wave), n_frames, len(self.mel)), 0
        for frames in self._frames(wave, lengths):
            if frames.shape[1]:
                self._fill(x[:, done : done + frames.shape[1]], frames)
            done += frames.shape[1]
        return x

    def _frames(self, wave, lengths):
        """Views (B, t, n_fft) of all frames, in order."""
        n_samples, n_fft, step = wave.shape[1], self.n_fft, self.step
        alone = len(wave) == 1 and int(lengths[0]) == n_samples
        if not alone or n_samples < max(_LONG, 4 * (n_fft + step)):
            yield self._centred(wave, lengths)
            return
        # a long clip is not copied: only its two ends are, to be padded
        first = -(-(n_fft // 2) // step)  # the first frame that is entirely within the clip
        last = (n_samples + n_fft // 2 - n_fft) // step + 1  # one after the last such frame
        head = wave[:, : first * step + n_fft]
        yield self._centred(head, torch.tensor([head.shape[1]]))[:, :first]
        yield wave[:, first * step - n_fft // 2 :].unfold(1, n_fft, step)[:, : last - first]
        skipped = last - 2 * -(-n_fft // step)
        tail = wave[:, skipped * step :]
        yield self._centred(tail, torch.tensor([tail.shape[1]]))[:, last - skipped :]

    def _centred(self, wave, lengths):
        """Views of the frames whose centres are multiples of the step."""
        side = self.n_fft // 2
        wave = F.pad(wave, (side, side))
        if self.pad == "reflect":
            _reflect(wave, lengths.to(wave.device), side)
        return wave.unfold(1, self.n_fft, self.step)

    def _fill(self, x, frames):
        """Write the mel bands of frames (B, t, n_fft) into x (B, t, M), few frames at a time."""
        chunk = _GPU_CHUNK if frames.is_cuda else _CHUNK * torch.get_num_threads()
        chunk = max(1, chunk // self.n_fft)
        clips = max(1, chunk // frames.shape[1])
        for part, out in zip(frames.split(clips), x.split(clips), strict=True):
            for some, bands in zip(part.split(chunk, 1), out.split(chunk, 1), strict=True):
                bands.copy_(self._mel_power(some * self.window).view_as(bands))

    def _mel_power(self, frames):
        """Mel bands (c t, M) of the power spectrum of windowed frames (c, t, n)."""
        parts = torch.view_as_real(torch.fft.rfft(frames)).square_()
        power = (parts[..., 0] + parts[..., 1]).flatten(0, 1)
        n_rows = len(power)
        if n_rows < _ROWS:
            power = F.pad(power, (0, 0, 0, _ROWS - n_rows))
        # a band hears few bins: those of some neighbours are multiplied, the others not
        if power.requires_grad:
            parts = [power[:, bins] @ self.mel[some, bins].T for some, bins in self.spans]
            return torch.cat(parts, dim=1)[:n_rows]
        bands = power.new_empty(len(power), len(self.mel))
        for some, bins in self.spans:
            torch.mm(power[:, bins], self.mel[some, bins].T, out=bands[:, some])
        return bands[:n_rows]


def _spans(mel):
    """Slices of neighbouring bands, and of the bins in which they have weights."""
    for first in range(0, len(mel), _BANDS):
        some = slice(first, first + _BANDS)
        bins = mel[some].any(0).nonzero()
        yield some, slice(int(bins[0]), int(bins[-1]) + 1) if len(bins) else slice(1)


def _reflect(wave, lengths, side):
    """Fill ``side`` samples before and after each clip with its mirror image, in place."""
    # Mirrored again and again, the indices of a clip form a triangular wave of period 2 (n - 1):
    # 0 1 .. n-1 .. 1 0 1 ..
    period = (2 * (lengths - 1)).clamp(min=1)[:, None]

    def mirrored(position):
        folded = position % period
        return side + torch.minimum(folded, period - folded) * (lengths[:, None] > 1)

    near = torch.arange(side, device=wave.device)
    ends = side + lengths[:, None]
    source = wave.clone() if wave.requires_grad else wave  # a gradient asks for it unchanged
    after = source.gather(1, mirrored(lengths[:, None] + near))
    wave[:, :side] = source.gather(1, mirrored((near - side)[None]))
    wave.scatter_(1, ends + near, after)


class MFCC(Frontend):
    """Mel-frequency cepstral coefficients: (B, n_mels, T) in dB -> (B, n_mfcc, T).

    Parameters
    ----------
    n_mels, n_mfcc : int
        Number of bands, and of coefficients: the first ones of an orthonormal DCT-II over the
        bands.
    """

    def __init__(self, n_mels, n_mfcc):
        super().__init__()
        # c_k = sqrt(2/N) sum_m x_m cos(pi k (2m + 1) / 2N), and c_0 divided by sqrt(2)
        k, m = torch.arange(n_mfcc).double()[:, None], torch.arange(n_mels).double()
        basis = torch.cos(math.pi / (2 * n_mels) * k * (2 * m + 1)) * math.sqrt(2 / n_mels)
        basis[0] /= math.sqrt(2)
        self.register_buffer("basis", basis)

    def forward(self, x, lengths):
        frames = x.transpose(1, 2).double() @ self.basis.T  # float32 would lose 1e-3 in c_0
        return frames.float().transpose(1, 2), lengths


class Standardize(Frontend):
    """Remove mean and scale: of each clip as a whole, or learnt ones of each channel.

    Shape: (B, C, T) -> (B, C, T).

    Parameters
    ----------
    mean, scale : array of shape (C,), default=None
        Learnt statistics. None: the mean and deviation of the clip over all its channels
        and steps; a constant clip becomes zero.
    """

    def __init__(self, mean=None, scale=None):
        super().__init__()
        for name, value in (("mean", mean), ("scale", scale)):
            value = None if value is None else torch.tensor(value, dtype=torch.float32)[:, None]
            self.register_buffer(name, value)

    def forward(self, x, lengths):
        if self.mean is not None:
            return mask((x - self.mean) / self.scale, lengths), lengths
        count = (lengths * x.shape[1]).to(x.device)[:, None, None]
        mean = (_total(x) / count).float()
        x = mask(x - mean, lengths)
        scale = root(_total(x, torch.square) / count).float()
        # what is left of a constant after its rounded mean is no signal to be blown up
        flat = scale <= 1e-6 * mean.abs()
        scale = scale.masked_fill(flat, torch.inf)
        return x / scale if x.requires_grad else x.div_(scale), lengths


def _total(x, change=torch.Tensor.float):
    """Sum over channels and steps (B, 1, 1)."""
    # In float64, since otherwise the padding of a batch would change the last digits. torch copies
    # for the conversion, hence in parts.
    parts = x.split(max(1, _LONG // x.shape[1]), 2)
    return sum(change(part).sum((1, 2), keepdim=True, dtype=torch.float64) for part in parts)
