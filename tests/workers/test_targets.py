"""What workers predict, against librosa, scipy and the definitions, in float64."""

import warnings

import librosa
import numpy as np
import pytest
import torch

from skaudio import workers
from skaudio.workers import FBANK, LPS, MFCC, Gammatone, Prosody, Waveform
from skaudio.workers._names import forms

RNG = np.random.default_rng(0)
# noise of a level that changes by 60 dB, and a sum of tones
NOISE = RNG.standard_normal(16000) * np.repeat(10 ** RNG.uniform(-3, 0, 10), 1600)
TIME = np.arange(16000) / 16000
TONES = sum(np.sin(2 * np.pi * f * TIME) / f for f in (150, 300, 1234, 4000))
CLIPS = np.stack([NOISE, 100 * TONES]).astype(np.float32)


def made(kind, **options):
    return kind(4, 160, 16000, **options)


def targets(worker, waves=CLIPS):
    return worker._targets(torch.from_numpy(waves)).numpy()


@pytest.mark.parametrize("win", [400, 512])
def test_lps_is_of_rectangular_windows_around_multiples_of_the_hop(win):
    found = targets(made(LPS, win_length=win))
    assert found.shape == (2, 1025, 100)
    for wave, x in zip(CLIPS.astype(np.float64), found, strict=True):
        padded = np.pad(wave, 1024, mode="reflect")
        first = 1024 - win // 2
        frames = [padded[160 * i + first : 160 * i + first + win] for i in range(100)]
        power = np.abs(np.fft.rfft(frames, 2048)) ** 2
        exact = 10 * np.log10(power + 1e-19)
        # float32 errs by a share of the strongest bin's amplitude: in dB, by that over the bin's
        bound = 1e-4 + 3e-6 * np.sqrt(power.max(axis=1, keepdims=True) / power)
        assert (bound < 0.1).mean() > 0.5
        assert (np.abs(x.T - exact) < bound).all()
    silence = targets(made(LPS), np.zeros((1, 1600), np.float32))
    np.testing.assert_allclose(silence, -190, rtol=1e-6)


@pytest.mark.parametrize(("win", "n_mfcc"), [(400, 13), (400, 20), (2048, 20)])
def test_mfcc_is_that_of_librosa(win, n_mfcc):
    found = targets(made(MFCC, win_length=win, n_mfcc=n_mfcc))
    for wave, x in zip(CLIPS.astype(np.float64), found, strict=True):
        with warnings.catch_warnings(action="ignore"):  # some of 128 bands hear no bin of 400
            exact = librosa.feature.mfcc(y=wave, sr=16000, n_mfcc=n_mfcc, n_fft=win, hop_length=160)
        np.testing.assert_allclose(x, exact[:, :100], atol=2e-3)


def mel_energies(wave, n_fft, win, n_mels=40):
    """As python_speech_features has them, filter by filter and bin by bin."""
    wave = np.append(wave[0], wave[1:] - 0.97 * wave[:-1])
    n_frames = 1 + int(np.ceil((len(wave) - win) / 160))
    wave = np.append(wave, np.zeros(160 * n_frames + win))
    power = [np.abs(np.fft.fft(wave[160 * i :][:win], n_fft)) ** 2 / n_fft for i in range(n_frames)]
    top = 2595 * np.log10(1 + 8000 / 700)
    corner = [
        int((n_fft + 1) * 700 * (10 ** (top * k / (n_mels + 1) / 2595) - 1) / 16000)
        for k in range(n_mels + 2)
    ]
    corner[-1] = (n_fft + 1) * 8000 // 16000
    weights = np.zeros((n_mels, n_fft))
    for m, (low, mid, high) in enumerate(zip(corner, corner[1:], corner[2:])):  # noqa: B905
        for k in range(low, mid):
            weights[m, k] = (k - low) / (mid - low)
        for k in range(mid, high):
            weights[m, k] = (high - k) / (high - mid)
    return np.log(weights @ np.array(power).T)


@pytest.mark.parametrize(("n_fft", "win"), [(512, 400), (1024, 1024)])
def test_fbank_is_that_of_python_speech_features(n_fft, win):
    found = targets(made(FBANK, n_fft=n_fft, win_length=win))
    n_frames = {400: 99, 1024: 95}[win]
    for wave, x in zip(CLIPS.astype(np.float64), found, strict=True):
        exact = mel_energies(wave, n_fft, win)
        assert exact.shape == (40, n_frames)
        np.testing.assert_allclose(x[:, :n_frames], exact, atol=2e-3)
        np.testing.assert_array_equal(
            x[:, n_frames:], x[:, [n_frames - 1]] + np.zeros(100 - n_frames)
        )
    silence = targets(made(FBANK), np.zeros((1, 1600), np.float32))
    np.testing.assert_allclose(silence, np.log(np.finfo(float).eps), rtol=1e-6)


@pytest.mark.parametrize(("win", "n_frames"), [(400, 98), (2048, 88)])
def test_gammatone_is_that_of_the_front_end(win, n_frames):
    worker = made(Gammatone, win_length=win)
    found = targets(worker)
    # 500 Hz, and 40 steps of log(f + 228.83) from there to half the sample rate
    centres = worker.frontend.centres
    assert centres[0] == pytest.approx(500) and len(centres) == 40
    assert centres[-1] == pytest.approx(
        (8228.83 / (8228.83 / 728.83) ** (1 / 40)) - 228.83, abs=0.1
    )
    exact, _ = worker.frontend(torch.from_numpy(CLIPS), torch.tensor([16000] * 2))
    assert exact.shape == (2, 40, n_frames)
    np.testing.assert_array_equal(found[..., :n_frames], exact.numpy())
    assert (found[..., n_frames:] == found[..., [n_frames - 1]]).all()


def test_waveform_is_the_clean_wave():
    np.testing.assert_array_equal(targets(made(Waveform))[:, 0], CLIPS)


@pytest.mark.parametrize(("kind", "options", "n"), [
    (LPS, {"n_fft": 512}, 257), (MFCC, {"n_mfcc": 13}, 13), (Prosody, {}, 4),
])  # fmt: skip
def test_deltas_are_those_of_librosa(kind, options, n):
    found = targets(made(kind, n_deltas=2, **options)).astype(np.float64)
    assert found.shape == (2, 3 * n, 100)
    for x in found:
        for order in (1, 2):
            exact = librosa.feature.delta(x[:n], order=order)
            np.testing.assert_allclose(x[order * n :][:n], exact, atol=1e-4)


def test_deltas_of_windows_that_end_before_the_chunk_are_of_the_windows_alone():
    found = targets(made(FBANK, n_deltas=1)).astype(np.float64)
    for x in found:
        np.testing.assert_allclose(x[40:, :99], librosa.feature.delta(x[:40, :99]), atol=1e-5)
        np.testing.assert_array_equal(x[:, 99], x[:, 98])


def voice(f0, unvoiced=()):
    """Pulses of a frequency (n_samples,), with stretches of soft noise."""
    phase = np.cumsum(f0) / 16000
    wave = sum(np.cos(2 * np.pi * k * phase) / k for k in range(1, 11))
    for stretch in unvoiced:
        wave[stretch] = 0.05 * RNG.standard_normal(stretch.stop - stretch.start)
    return wave.astype(np.float32)


def test_prosody_is_pitch_along_straight_lines_energy_and_crossings():
    f0 = np.linspace(120, 180, 16000)
    unvoiced = slice(0, 2400), slice(6400, 9600), slice(13600, 16000)
    wave = voice(f0, unvoiced)
    log_f0, voiced, energy, crossings = targets(made(Prosody), wave[None])[0].astype(np.float64)
    times = 160 * np.arange(100)
    for stretch in unvoiced:  # away from where they begin and end
        inside = (times > stretch.start + 500) & (times < stretch.stop - 500)
        assert not voiced[inside].any()
    heard = np.flatnonzero(voiced)
    np.testing.assert_allclose(log_f0[heard], np.log(f0[times[heard]]), atol=0.02)
    exact = np.interp(np.arange(100), heard, log_f0[heard])  # which stays at its ends
    np.testing.assert_allclose(log_f0, exact, atol=1e-5)
    wave = wave.astype(np.float64)
    rms = librosa.feature.rms(y=wave, frame_length=320, hop_length=160)[0, :100]
    np.testing.assert_allclose(energy, rms, rtol=1e-5)
    rate = librosa.feature.zero_crossing_rate(wave, frame_length=320, hop_length=160)[0, :100]
    np.testing.assert_allclose(crossings, rate, atol=1e-6)


def test_prosody_of_what_has_no_voice_is_the_lowest_pitch():
    waves = np.stack([np.zeros(4000), 0.1 * RNG.standard_normal(4000)]).astype(np.float32)
    log_f0, voiced, energy, crossings = targets(made(Prosody), waves).swapaxes(0, 1)
    assert not voiced.any()
    np.testing.assert_allclose(log_f0, np.log(60), rtol=1e-6)
    assert (energy[0] == 0).all() and (crossings[0] == 0).all() and (energy[1] > 0.05).all()


@pytest.mark.parametrize(
    "name", sorted(n for n in forms() if n not in ("spc", "lim", "gim", "gim+"))
)
def test_every_target_of_every_chunk_is_finite(name):
    (worker,) = workers.build([name], 4, 160, 16000).values()
    shortest = 160 * worker.min_frames
    for n in (shortest, shortest + 160, 1600):
        time = np.arange(n)
        waves = [np.zeros(n), np.ones(n), 1e-30 * RNG.standard_normal(n), time == n // 2,
                 32768 * np.sin(time), 1e15 * np.sin(time)]  # fmt: skip
        found = targets(worker, np.stack(waves).astype(np.float32))
        assert np.isfinite(found).all()
        assert found.shape[2] == (n if name.startswith("waveform") else n // 160)


@pytest.mark.parametrize(
    "name", ["lps+", "mfcc", "fbank", "gammatone", "prosody+", "waveform_small"]
)
def test_targets_of_a_chunk_do_not_depend_on_the_others(name):
    (worker,) = workers.build([name], 4, 160, 16000).values()
    together = targets(worker, np.stack([*CLIPS, np.zeros_like(NOISE, np.float32)]))
    for wave, x in zip(CLIPS, together, strict=False):
        np.testing.assert_allclose(targets(worker, wave[None])[0], x, rtol=1e-5, atol=1e-4)
