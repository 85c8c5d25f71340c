"""Contours of a voice over time: pitch, voice quality, energy, spectrum, formants."""

import torch

from .._tensors import mask
from . import energy, formants, spectrum, voice
from .base import Frontend
from .filters import centred, fast_size, filtered, low_pass, means
from .pitch import Pitch

__all__ = ["GROUPS", "Contours"]

GROUPS = {
    "pitch": ("f0_semitone", "voiced", "periodicity"),
    "voice": ("hnr", "jitter", "jitter_ppq5", "shimmer", "shimmer_apq5", "h1_h2"),
    "energy": ("loudness", "rms", "zcr", "band250_650", "band1000_4000"),
    "spectrum": (
        *("centroid", "spread", "skewness", "kurtosis"),
        *("rolloff25", "rolloff50", "rolloff75", "rolloff90", "flux", "entropy"),
        *("slope0_500", "slope500_1500", "tilt", "alpha", "hammarberg"),
    ),
    "formants": (
        *("f1", "f2", "f3", "f1_bandwidth", "f2_bandwidth", "f3_bandwidth"),
        *("f1_level", "f2_level", "f3_level"),
    ),
}
_VOICED_ONLY = {"f0_semitone", *GROUPS["voice"], *GROUPS["formants"]}
_NEED_PITCH = {"pitch", "voice", "formants"}
_SHARES = (0.25, 0.5, 0.75, 0.9)
_CUTOFF = 2000.0  # Hz; periods are found below
_TOP = 5000.0  # Hz; levels above are not asked for
_REFERENCE = 27.5  # Hz, the lowest A of a piano: semitone 0
_PERIODS = 0.03  # seconds before and after a frame whose periods are compared
_CHUNK = 1 << 18  # samples of frames computed together: their spectra should fit a cache
_GPU_CHUNK = 1 << 25  # the same for a GPU


class Contours(Frontend):
    """Contours of pitch, voice and spectrum: (B, T) -> (B, C, 1 + T // hop_length).

    Frame i is centred on sample i * hop_length of a clip surrounded by zeros; the clip's mean is
    removed first. All spectra are those of one 32 ms Hann window, in float64.

    ================= ========== =================================================================
    contour           unit       definition
    ================= ========== =================================================================
    *pitch*
    f0_semitone  (v)  semitones  12 log2(F0 / 27.5 Hz), of `Pitch`
    voiced            0 or 1     whether `Pitch` found a frequency
    periodicity       1          its normalised autocorrelation r, at the period if voiced
    *voice*
    hnr          (v)  dB         harmonics to noise below 2 kHz, 10 log10(r / (1 - r)) [1]_
    jitter       (v)  1          mean of \\|T_i - T_{i-1}\\| over mean of T: *local* of Praat
    jitter_ppq5  (v)  1          mean of \\|T_i - mean of the five around it\\| over mean of T
    shimmer      (v)  dB         mean of \\|20 log10(A_i / A_{i-1})\\|
    shimmer_apq5 (v)  1          mean of \\|A_i - mean of the five around it\\| over mean of A
    h1_h2        (v)  dB         level at F0 less level at 2 F0
    *energy*
    loudness          1          Σ (sensitivity · power)^0.33 over 26 mel bands [2]_, [3]_
    rms               dB         10 log10(mean of x²); a full sine has -3.01, silence -100
    zcr               1          sign changes per sample
    band250_650       dB         10 log10 of the power from 250 to 650 Hz, silence -100
    band1000_4000     dB         the same from 1 to 4 kHz
    *spectrum*
    centroid          Hz         mean μ of the frequency, weighted by power
    spread            Hz         its standard deviation σ
    skewness          1          mean of (f - μ)³ / σ³
    kurtosis          1          mean of (f - μ)⁴ / σ⁴
    rolloff25 ... 90  Hz         frequency below which 25, 50, 75, 90 % of the power lie
    flux              amplitude  sqrt(mean over bins of (\\|X_t\\| - \\|X_{t-1}\\|)²)
    entropy           bit        -Σ p log2 p of the shares p of the bins in the power
    slope0_500        dB / kHz   slope of the levels of the bins, least squares [4]_
    slope500_1500     dB / kHz   the same from 500 to 1500 Hz
    tilt              dB / oct.  the same over log2 f, 100 Hz to 5 kHz, octaves weighing the same
    alpha             dB         power of 1 to 5 kHz over that below 1 kHz [4]_
    hammarberg        dB         highest level below 2 kHz less the highest of 2 to 5 kHz [4]_
    *formants*
    f1 ... f3    (v)  Hz         peaks of the envelope to 5.5 kHz by linear prediction [5]_, or 0
    f1_bandwidth (v)  Hz         width of that peak
    f1_level     (v)  dB         level of the harmonic nearest to it less level at F0
    ================= ========== =================================================================

    Those marked (v) mean something in voiced frames only (`voiced_only`) and are 0 in others.
    T and A are the periods and the heights of their peaks within 30 ms of the frame, in the wave
    below 2 kHz; where there are fewer than two, or five, in a row, the contour is 0. Neighbours
    whose ratio exceeds 1.3, of heights 1.6, are not compared, since one of them is a mistake. No
    bin is taken to be under -160 dB. No gradient flows back to the wave.

    Parameters
    ----------
    sample_rate : int
        Rate of the wave, Hz.
    hop_length : int
        Step from one frame to the next, samples.
    fmin, fmax : float, default=55, 600
        Lowest and highest frequency of a voice, Hz.
    groups : sequence of str, default=all
        Of "pitch", "voice", "energy", "spectrum", "formants": which contours, in this order.

    Attributes
    ----------
    names : list of str
        The contours.
    group_of : list of str
        Group of each contour.
    voiced_only : list of bool
        Whether the contour means something in voiced frames only.

    Raises
    ------
    ValueError
        If a group is unknown, or as `Pitch` does.

    References
    ----------
    .. [1] P. Boersma, "Accurate short-term analysis of the fundamental frequency and the
       harmonics-to-noise ratio of a sampled sound", Proc. Institute of Phonetic Sciences 17, 1993.
    .. [2] H. Hermansky, "Perceptual linear predictive (PLP) analysis of speech", JASA 87, 1990,
       doi:10.1121/1.399423.
    .. [3] F. Eyben et al., "openSMILE: the Munich versatile and fast open-source audio feature
       extractor", ACM Multimedia 2010, doi:10.1145/1873951.1874246.
    .. [4] F. Eyben et al., "The Geneva minimalistic acoustic parameter set (GeMAPS) for voice
       research and affective computing", IEEE Trans. Affective Computing 7, 2016,
       doi:10.1109/TAFFC.2015.2457417.
    .. [5] J. Makhoul, "Linear prediction: a tutorial review", Proc. IEEE 63, 1975,
       doi:10.1109/PROC.1975.9792.

    Examples
    --------
    >>> import torch
    >>> from skaudio.frontends import Contours
    >>> wave = 0.5 * torch.sin(2 * torch.pi * 220 * torch.arange(8000) / 16000)[None]
    >>> contours = Contours(16000, 160, groups=("pitch", "energy"))
    >>> x, lengths = contours(wave, torch.tensor([8000]))
    >>> for name, value in zip(contours.names[:5], x[0, :5, 25].tolist()):
    ...     print(f"{name} {value:.2f}")
    f0_semitone 36.00
    voiced 1.00
    periodicity 1.00
    loudness 0.45
    rms -9.06
    """

    def __init__(self, sample_rate, hop_length, fmin=55.0, fmax=600.0, groups=tuple(GROUPS)):
        super().__init__()
        once = len({*groups} & {*GROUPS}) == len(groups) > 0
        if not once or isinstance(groups, str):
            raise ValueError(
                f"groups={groups!r} must hold one or more of {', '.join(GROUPS)}, each once"
            )
        self.sample_rate, self.step, self.groups = sample_rate, hop_length, tuple(groups)
        contours = [(name, group) for group in groups for name in GROUPS[group]]
        self.names, self.group_of = ([*column] for column in zip(*contours, strict=True))
        self.voiced_only = [name in _VOICED_ONLY for name in self.names]
        self.pitch = None
        if _NEED_PITCH & {*groups}:
            self.pitch = Pitch(sample_rate, hop_length, fmin, fmax)
        self.low_pass = low_pass(sample_rate, _CUTOFF)
        # even, and quickly transformed
        self.n_fft = 2 * fast_size(round(0.016 * sample_rate))
        self.resolution = sample_rate / self.n_fft
        window = torch.hann_window(self.n_fft, dtype=torch.float64)
        self.register_buffer("window", window, persistent=False)

    def output_lengths(self, lengths):
        return 1 + lengths // self.step

    @torch.no_grad()
    def forward(self, wave, lengths):
        n_frames = self.output_lengths(lengths)
        mean = means(wave, lengths)
        x = wave.new_zeros(len(wave), len(self.names), int(n_frames.max()))
        f0 = wave.new_zeros(len(wave), x.shape[2])
        if self.pitch is not None:
            f0, periodicity = self.pitch(wave, lengths)[0].unbind(1)
        if "pitch" in self.groups:
            self._put(x, _of_pitch(f0, periodicity))
        if "voice" in self.groups:
            self._put(x, self._of_periods(wave, lengths, mean, f0, periodicity))
        if {*self.groups} != {"pitch"}:
            for block, columns in self._blocks(wave, lengths, mean, f0):
                self._put(x[block], columns)
        return mask(x, n_frames), n_frames

    def _put(self, x, columns):
        for name, values in columns.items():
            x[:, self.names.index(name)] = values

    def _of_periods(self, wave, lengths, mean, f0, periodicity):
        """Harmonics-to-noise ratio, jitter and shimmer."""
        smooth = filtered(wave, self.low_pass, lengths, mean=mean)
        marks = voice.period_marks(smooth, f0, self.sample_rate, self.step)
        side = max(1, round(_PERIODS * self.sample_rate / self.step))
        columns = voice.jitter_and_shimmer(marks, f0.shape, self.step, side)
        columns["hnr"] = voice.harmonics_to_noise(periodicity)
        return {name: values * (f0 > 0) for name, values in columns.items()}

    def _blocks(self, wave, lengths, mean, f0):
        """Columns from the spectra of some frames of some clips, with their slices of x."""
        n_clips, n_frames = f0.shape
        side = self.n_fft // 2
        chunk = max(1, (_GPU_CHUNK if wave.is_cuda else _CHUNK) // self.n_fft)
        for first in range(0, n_clips, max(1, chunk // n_frames)):
            clips = slice(first, first + max(1, chunk // n_frames))
            for begin in range(0, n_frames, chunk):
                end = min(begin + chunk, n_frames)
                before = max(0, begin - 1)  # the flux needs one frame more
                place = before * self.step - side, (end - 1) * self.step + side
                samples = centred(wave[clips], lengths[clips], mean[clips], *place)
                frames = samples.unfold(1, self.n_fft, self.step)
                columns = self._of_frames(frames, f0[clips, begin:end])
                yield (clips, slice(None), slice(begin, end)), columns

    def _of_frames(self, frames, f0):
        """Columns of frames (b, n or n + 1, n_fft), from f0 (b, n)."""
        n, columns = f0.shape[1], {}
        power = spectrum.power_spectrum(frames, self.window)
        if "spectrum" in self.groups:
            columns["flux"] = spectrum.flux(power)[:, -n:]
        frames, power = frames[:, -n:], power[:, -n:]
        top = spectrum.band(self.resolution, power.shape[-1], 0.0, _TOP)
        level = spectrum.levels(power[..., top])
        if "energy" in self.groups:
            columns |= self._of_energy(frames, power)
        if "spectrum" in self.groups:
            columns |= self._of_shape(power, level)
        voiced = f0 > 0
        if {"voice", "formants"} & {*self.groups} and voiced.any():
            found = self._of_harmonics(power[voiced], level[voiced], f0[voiced].double())
            for name, values in found.items():
                columns[name] = level.new_zeros(f0.shape).masked_scatter_(voiced, values)
        return columns

    def _of_energy(self, frames, power):
        return {
            "loudness": energy.loudness(power, self.resolution),
            "rms": energy.rms_level(frames),
            "zcr": energy.zero_crossings(frames),
            "band250_650": energy.band_level(power, self.resolution, 250.0, 650.0),
            "band1000_4000": energy.band_level(power, self.resolution, 1000.0, 4000.0),
        }

    def _of_shape(self, power, level):
        moments = spectrum.moments(power, self.resolution)
        columns = dict(zip(("centroid", "spread", "skewness", "kurtosis"), moments, strict=True))
        for share, hertz in zip(
            _SHARES, spectrum.rolloff(power, self.resolution, _SHARES), strict=True
        ):
            columns[f"rolloff{share:.0%}".rstrip("%")] = hertz
        return columns | {
            "entropy": spectrum.entropy(power),
            "slope0_500": spectrum.slope(level, self.resolution, 0.0, 500.0),
            "slope500_1500": spectrum.slope(level, self.resolution, 500.0, 1500.0),
            "tilt": spectrum.tilt(level, self.resolution),
            "alpha": spectrum.alpha_ratio(power, self.resolution),
            "hammarberg": spectrum.hammarberg(level, self.resolution),
        }

    def _of_harmonics(self, power, level, f0):
        """Columns of voiced frames (n, F) and (n,): levels of harmonics, formants."""
        columns, first = {}, spectrum.harmonic_level(level, self.resolution, f0)
        if "voice" in self.groups:
            columns["h1_h2"] = first - spectrum.harmonic_level(level, self.resolution, 2 * f0)
        if "formants" in self.groups:
            found = (x.unbind(1) for x in formants.formants(power, self.resolution))
            for name, hertz, width in zip(("f1", "f2", "f3"), *found, strict=True):
                nearest = f0 * (hertz / f0).round().clamp(min=1)
                other = spectrum.harmonic_level(level, self.resolution, nearest)
                columns[name], columns[f"{name}_bandwidth"] = hertz, width
                columns[f"{name}_level"] = other - first
        return columns


def _of_pitch(f0, periodicity):
    voiced = f0 > 0
    octaves = (f0 / _REFERENCE).masked_fill(~voiced, 1.0).log2()
    return {"f0_semitone": 12 * octaves, "voiced": voiced, "periodicity": periodicity}
