"""Contours of energy and spectrum against librosa, and against sums over bins in float64."""

import librosa
import numpy as np
import pytest
import torch

from skaudio._frontends import energy, formants, spectrum
from skaudio.frontends import Contours
from tests.by_hand import noise
from tests.frontends.voices import RATE, perturbed_pulses, resonate

N_FFT, HOP = 512, 160
RESOLUTION = RATE / N_FFT
HERTZ = np.arange(257) * RESOLUTION


def contours(clip, *groups):
    """Contours of one clip by name."""
    module = Contours(RATE, HOP, groups=groups or ("energy", "spectrum"))
    clip = torch.from_numpy(np.asarray(clip, np.float32))
    x, lengths = module(clip[None], torch.tensor([len(clip)]))
    assert lengths.tolist() == [x.shape[2]] == [len(clip) // HOP + 1]
    return dict(zip(module.names, x[0].numpy().astype(float), strict=True))


@pytest.fixture(scope="module")
def clip():
    """Coloured noise that swells, without a mean: (4000,)."""
    (wave,) = noise(4000)
    wave = 0.1 * np.convolve(wave, [1, 0.9, 0.5], "same") * np.linspace(0.01, 1, 4000)
    return (wave - wave.mean()).astype(np.float32)


@pytest.fixture(scope="module")
def power(clip):
    """Power (F, N) of the clip's bins, a sine of amplitude a having a²."""
    magnitude = np.abs(librosa.stft(clip.astype(float), n_fft=N_FFT, hop_length=HOP))
    return (magnitude * 2 / N_FFT * 2) ** 2  # the sum of a Hann window is n / 2


def test_as_librosa(clip, power):
    found = contours(clip)
    settings = {"sr": RATE, "S": power}
    expected = {
        "centroid": librosa.feature.spectral_centroid(**settings),
        "spread": librosa.feature.spectral_bandwidth(**settings),
        "rms": 20 * np.log10(librosa.feature.rms(y=clip, frame_length=N_FFT, hop_length=HOP)),
    }
    for share in (25, 50, 75, 90):
        rolloff = librosa.feature.spectral_rolloff(**settings, roll_percent=share / 100)
        expected[f"rolloff{share}"] = rolloff
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values[0], rtol=1e-5, err_msg=name)
    padded = np.pad(clip, N_FFT // 2)
    crossings = librosa.feature.zero_crossing_rate(
        padded, frame_length=N_FFT, hop_length=HOP, center=False
    )
    np.testing.assert_allclose(found["zcr"], crossings[0], rtol=1e-6)


def test_as_sums_over_bins(clip, power):
    found = contours(clip)
    level = 10 * np.log10(power)
    shares = power / power.sum(0)
    mean = HERTZ @ shares
    distance = HERTZ[:, None] - mean
    deviation = np.sqrt((distance**2 * shares).sum(0))
    low, high = (HERTZ < 1000), (HERTZ >= 1000) & (HERTZ < 5000)
    change = np.diff(np.sqrt(power), axis=1)

    def line(x, bins, weights=None):
        return np.polyfit(x[bins], level[bins], 1, w=weights)[0]

    octaves = (HERTZ >= 100) & (HERTZ < 5000)
    with np.errstate(divide="ignore"):
        log = np.log2(HERTZ)
    expected = {
        "skewness": (distance**3 * shares).sum(0) / deviation**3,
        "kurtosis": (distance**4 * shares).sum(0) / deviation**4,
        "entropy": -(shares * np.log2(shares)).sum(0),
        "flux": np.append(0, np.sqrt((change**2).mean(0))),
        "slope0_500": line(HERTZ / 1000, HERTZ < 500),
        "slope500_1500": line(HERTZ / 1000, (HERTZ >= 500) & (HERTZ < 1500)),
        "tilt": line(log, octaves, HERTZ[octaves] ** -0.5),  # polyfit squares its weights
        "alpha": 10 * np.log10(power[high].sum(0) / power[low].sum(0)),
        "hammarberg": level[HERTZ < 2000].max(0) - level[(HERTZ >= 2000) & (HERTZ < 5000)].max(0),
        "band250_650": 10 * np.log10(power[(HERTZ >= 250) & (HERTZ < 650)].sum(0)),
        "band1000_4000": 10 * np.log10(power[(HERTZ >= 1000) & (HERTZ < 4000)].sum(0)),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


def test_loudness_is_its_formula(clip, power):
    def mel(f):
        return 1127 * np.log(1 + f / 700)

    edges = np.linspace(mel(20.0), mel(8000.0), 28)
    total = 0.0
    for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
        triangle = np.interp(mel(HERTZ), [low, middle, high], [0, 1, 0])
        w = 2 * np.pi * 700 * (np.exp(middle / 1127) - 1)
        ear = (w**2 + 56.8e6) * w**4
        ear *= 1e32 / ((w**2 + 6.3e6) ** 2 * (w**2 + 0.38e9) * (w**7 + 1.7e31))
        total = total + (triangle @ power * ear) ** 0.33
    np.testing.assert_allclose(contours(clip)["loudness"], total, rtol=1e-5)


def test_half_the_amplitude_is_0_6329_as_loud(clip):
    ratio = contours(clip / 2)["loudness"] / contours(clip)["loudness"]
    np.testing.assert_allclose(ratio, 0.25**0.33, rtol=1e-5)
    assert round(0.25**0.33, 4) == 0.6329


def test_white_noise():
    (wave,) = noise(160_000)
    found = {name: values[3:-4].mean() for name, values in contours(0.1 * wave).items()}
    assert found["zcr"] == pytest.approx(0.498, abs=0.005)
    assert found["entropy"] == pytest.approx(7.40, abs=0.01)
    assert 6.0 < found["alpha"] < 6.4
    assert found["centroid"] == pytest.approx(4000, abs=30)
    assert found["rms"] == pytest.approx(-20, abs=0.1)
    assert found["tilt"] == pytest.approx(0, abs=0.1)


def test_sine():
    sine = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    found = {name: values[3:-4] for name, values in contours(sine).items()}
    np.testing.assert_allclose(found["rms"], -9.031, atol=1e-3)
    np.testing.assert_allclose(found["centroid"], 1000, atol=0.1)
    np.testing.assert_allclose(found["zcr"], 2000 / RATE, atol=1 / N_FFT)
    np.testing.assert_allclose(found["rolloff90"], 1000 + RESOLUTION)
    assert found["spread"].max() < RESOLUTION and found["flux"].max() < 1e-6


@pytest.mark.parametrize("frequency", [150.0, 163.0, 171.9, 1003.0])
def test_levels_of_partials_between_bins(frequency):
    t = np.arange(N_FFT) / RATE
    wave = 0.3 * np.sin(2 * np.pi * frequency * t) + 0.1 * np.sin(2 * np.pi * 2 * frequency * t)
    window = torch.hann_window(N_FFT, dtype=torch.float64)
    level = spectrum.levels(spectrum.power_spectrum(torch.from_numpy(wave)[None], window))
    for partial, height in ((1, 0.3), (2, 0.1)):
        at = torch.tensor([partial * frequency], dtype=torch.float64)
        found = spectrum.harmonic_level(level, RESOLUTION, at).item()
        assert found == pytest.approx(20 * np.log10(height), abs=0.1)


def test_rms_and_zero_crossings_of_numbers():
    frames = torch.tensor([[0.1, -0.1, 0.1, -0.1], [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, -1.0, -1.0]])
    assert energy.rms_level(frames).tolist() == pytest.approx([-20.0, -100.0, 0.0], abs=1e-5)
    assert energy.zero_crossings(frames).tolist() == [0.75, 0.0, 0.25]


class TestFormants:
    def spectra(self, f0, frequencies):
        wave, *_ = perturbed_pulses(np.random.default_rng(0), f0, 0.5)
        frames = torch.from_numpy(resonate(wave, frequencies)).unfold(0, N_FFT, HOP)[4:-4]
        return spectrum.power_spectrum(frames, torch.hann_window(N_FFT, dtype=torch.float64))

    @pytest.mark.parametrize("f0", [100, 150, 220])
    def test_three_resonators(self, f0):
        power = self.spectra(f0, (500, 1500, 2500))
        # as first measured, with twelve poles below 8 kHz
        frequency, bandwidth = formants.formants(power, RESOLUTION, order=12, band=8000)
        (f1, f2, f3), width = frequency.median(0).values, bandwidth.median(0).values[0]
        assert 549 < f1 < 562 and 1502 < f2 < 1531 and 2456 < f3 < 2508 and 127 < width < 212
        # and nearer to the truth, with as many poles as a voice needs below 5.5 kHz
        frequency, bandwidth = formants.formants(power, RESOLUTION)
        error = frequency.median(0).values - torch.tensor([500.0, 1500.0, 2500.0])
        assert (error.abs() < torch.tensor([35.0, 35.0, 50.0])).all()
        assert 50 < bandwidth[:, 0].median() < 150

    @pytest.mark.parametrize("heard", [(700, 1200, 2600), (300, 2200, 3000), (350, 800, 2400)])
    def test_vowels_of_a_whole_vocal_tract(self, heard):
        wave, *_ = perturbed_pulses(np.random.default_rng(0), 120, 0.5, jitter=0.003)
        wave = np.convolve(wave, np.exp(-0.03 * np.arange(500)))[: len(wave)]  # -6 dB per octave
        wave = resonate(wave, (*heard, 3500, 4500, 5500, 6500, 7500)).astype(np.float32)
        found = contours(wave, "formants")
        for name, hertz in zip(("f1", "f2", "f3"), heard, strict=True):
            assert np.median(found[name][4:-4]) == pytest.approx(hertz, abs=40)

    def test_poles_are_those_of_float64_numpy(self):
        power = self.spectra(130, (500, 1500, 2500, 3500, 4500))[:1]
        bins = np.arange(177)  # up to 5500 Hz
        w = np.pi * bins / 176
        emphasised = power[0, :177].numpy() * np.abs(1 - 0.97 * np.exp(-1j * w)) ** 2
        r = np.fft.irfft(emphasised) * 352
        matrix = r[np.abs(np.subtract.outer(range(12), range(12)))] + 1e-5 * r[0] * np.eye(12)
        roots = np.roots(np.append(1, -np.linalg.solve(matrix, r[1:13])))
        roots = roots[roots.imag > 0]
        hertz, width = np.angle(roots) * 5500 / np.pi, -np.log(np.abs(roots)) * 11000 / np.pi
        narrow = np.argsort(hertz + 11000 * (width > 500))[:3]
        frequency, bandwidth = formants.formants(power, RESOLUTION)
        np.testing.assert_allclose(frequency[0], hertz[narrow], rtol=1e-6)
        np.testing.assert_allclose(bandwidth[0], width[narrow], rtol=1e-5)

    def test_white_spectrum_has_few_peaks(self):
        frequency, bandwidth = formants.formants(torch.ones(2, 257).double(), RESOLUTION)
        assert frequency.isfinite().all() and bandwidth.isfinite().all()
        assert ((frequency == 0) == (bandwidth == 0)).all()

    @pytest.mark.parametrize("power", [-4, 4])
    def test_a_falling_or_rising_band_is_no_peak(self, power):
        slope = torch.linspace(0.1, 1.0, 257, dtype=torch.float64)[None] ** power
        frequency, bandwidth = formants.formants(slope, RESOLUTION, n_formants=1, order=1)
        assert frequency.item() == bandwidth.item() == 0

    def test_level_is_that_of_the_nearest_harmonic(self):
        t = np.arange(8000) / RATE
        wave = sum(0.01 * np.sin(2 * np.pi * 125 * k * t) for k in range(1, 40))
        wave = wave + 0.09 * np.sin(2 * np.pi * 1000 * t)  # 20 dB over the first
        found = contours(wave, "formants")
        middle = {name: np.median(values) for name, values in found.items()}
        assert middle["f1"] == pytest.approx(1000, abs=15)
        assert middle["f1_level"] == pytest.approx(20, abs=0.3)
