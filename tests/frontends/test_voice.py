"""Periods, jitter, shimmer and harmonics-to-noise ratio against what the voices were made of."""

import numpy as np
import pytest
import torch

from skaudio._frontends import voice
from skaudio._frontends.filters import filtered, low_pass
from skaudio._tensors import mask
from skaudio.frontends import Contours, Pitch
from tests.by_hand import noise
from tests.frontends.voices import RATE, perturbed_pulses, pulses, resonate

HOP = 160
VOWEL = (500, 1500, 2500)


def voice_contours(wave, **settings):
    """Contours of pitch and voice where voiced, but for the ends."""
    module = Contours(RATE, HOP, groups=("pitch", "voice"), **settings)
    wave = torch.from_numpy(wave.astype(np.float32))
    x, _ = module(wave[None], torch.tensor([len(wave)]))
    inner = x[0, :, 8:-8]
    assert inner[1].mean() > 0.95
    return dict(zip(module.names, inner[:, inner[1] > 0].double().numpy(), strict=True))


def low_passed(wave):
    """What `Pitch` leaves of a wave (T,): (1, T)."""
    wave = torch.from_numpy(wave.astype(np.float32))[None]
    return filtered(wave, low_pass(RATE, 2000.0), torch.tensor([wave.shape[1]]))


def perturbation(values, points):
    """Mean deviation over mean of a row of values."""
    deviation, valid = voice.deviations(values, torch.zeros(len(values), dtype=torch.long), points)
    assert valid.sum() == len(values) - points + 1 and not deviation[~valid].any()
    return float(deviation.sum() / valid.sum() / values.mean())


@pytest.mark.parametrize(("points", "factor"), [(2, 1.128), (3, 0.651), (5, 0.714), (11, 0.761)])
def test_perturbation_of_gaussian_values(points, factor):
    sigma = 0.01
    values = 1 + sigma * torch.from_numpy(np.random.default_rng(0).standard_normal(200_000))
    assert perturbation(values, points) / sigma == pytest.approx(factor, rel=0.01)
    if points == 2:  # shimmer in dB
        levels = 20 * values.log10()
        difference = perturbation(levels + 1, 2) * float((levels + 1).mean())
        assert difference / sigma == pytest.approx(9.80, rel=0.01)
    if points == 3:  # ddp
        assert 3 * perturbation(values, points) / sigma == pytest.approx(1.954, rel=0.01)


@pytest.mark.parametrize("points", [2, 3, 5, 11])
def test_deviations_are_within_runs(points, rng):
    lengths = [7, 1, 12, 3, 30]
    values = 1 + 0.01 * rng.standard_normal(sum(lengths))
    run = np.repeat([1, 2, 5, 6, 9], lengths)
    deviation, valid = voice.deviations(torch.from_numpy(values), torch.from_numpy(run), points)
    before = points // 2
    for i in range(len(values)):
        around = slice(i - before, i - before + points)
        same = around.start >= 0 and around.stop <= len(run) and len({*run[around]}) == 1
        assert bool(valid[i]) == same
        mean = values[i - 1] if points == 2 else values[around].mean() if same else 0
        assert float(deviation[i]) == pytest.approx(abs(values[i] - mean) if same else 0)


def test_leaps_end_a_section():
    values = torch.tensor([1.0, 1.2, 1.0, 1.4, 1.4, 1.0])
    run = torch.tensor([0, 0, 0, 0, 1, 1])
    assert voice.sections(values, run, 1.3).tolist() == [0, 0, 0, 1, 2, 3]
    assert voice.sections(values, run, 1.6).tolist() == [0, 0, 0, 0, 1, 1]


def matched(marks, starts):
    """Deviation of the distances of marks from those of pulses (samples), as a fraction."""
    inner = (marks.position > 0.05 * RATE) & (marks.position < 0.95 * RATE)
    found = marks.position[inner].numpy()
    assert (marks.run == marks.run[0]).all() and (marks.amplitude[inner] > 0).all()
    # as many marks as pulses, each as much later as a vowel delays its peak
    first = np.argmin(np.abs(starts - found[0]))
    expected = np.diff(starts)[first : first + len(found) - 1]
    assert len(expected) == len(found) - 1 > 50
    return np.abs(np.diff(found) / expected - 1)


@pytest.mark.parametrize("heard", [(), VOWEL], ids=["pulses", "vowel"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("f0", [80, 150, 320])
def test_one_mark_for_each_period(f0, sign, heard):
    wave, starts, _ = perturbed_pulses(np.random.default_rng(1), f0, 1.0, 0.005)
    wave = sign * (resonate(wave, heard) if heard else wave)
    marks = voice.period_marks(low_passed(wave), torch.full((1, 101), float(f0)), RATE, HOP)
    deviation = matched(marks, starts * RATE)
    assert np.median(deviation) < (0.005 if heard else 0.001)
    assert deviation.max() < 0.03


def test_marks_of_a_rough_voice():
    wave, starts, _ = perturbed_pulses(np.random.default_rng(1), 150, 1.0, 0.05)
    marks = voice.period_marks(low_passed(wave), torch.full((1, 101), 150.0), RATE, HOP)
    assert matched(marks, starts * RATE).max() < 0.01


def test_marks_keep_to_one_peak_of_the_period():
    rng = np.random.default_rng(1)
    wave, starts, _ = perturbed_pulses(rng, 150, 1.0, 0.005)
    others = rng.uniform(0.0, 1.2, len(starts) - 1)  # one in six is higher
    wave += pulses((starts[1:] + starts[:-1]) / 2, others, len(wave))
    marks = voice.period_marks(low_passed(wave), torch.full((1, 101), 150.0), RATE, HOP)
    assert matched(marks, starts * RATE).max() < 0.01


def test_missed_and_doubled_periods_do_not_count():
    position = torch.arange(0, 16000, 100).double()
    position = torch.cat([position[:60], position[61:]])  # one missed
    height = torch.ones(159, dtype=torch.float64)
    height[100:] = 2.0
    zeros = torch.zeros(159, dtype=torch.long)
    marks = voice.Marks(zeros, position, height, zeros)
    contours = voice.jitter_and_shimmer(marks, (1, 101), HOP, 3)
    assert all(not x.any() for x in contours.values())


def test_low_pass_ends_with_the_clip():
    wave, lengths = torch.zeros(2, 500), torch.tensor([500, 300])
    wave[0], wave[1, :300] = torch.from_numpy(noise(500)[0]), 1.0
    found = filtered(wave, low_pass(RATE, 2000.0), lengths)
    assert found[1, :300].all() and not found[1, 300:].any()
    np.testing.assert_allclose(found[1, 20:280], 1.0, rtol=1e-6)


@pytest.mark.parametrize(("sigma", "f0"), [(0.005, 110), (0.01, 150), (0.02, 220)])
def test_jitter_of_pulses(sigma, f0):
    wave, starts, _ = perturbed_pulses(np.random.default_rng(2), f0, 2.0, jitter=sigma)
    periods = np.diff(starts)
    true = np.abs(np.diff(periods)).mean() / periods.mean()
    found = voice_contours(wave)
    assert found["jitter"].mean() == pytest.approx(true, rel=0.06)
    five = np.abs(periods[2:-2] - np.convolve(periods, np.full(5, 0.2), "valid"))
    assert found["jitter_ppq5"].mean() == pytest.approx(five.mean() / periods.mean(), rel=0.1)
    # peaks that fall between samples are not taken for lower ones
    assert found["shimmer"].mean() < 0.01


@pytest.mark.parametrize("f0", [110, 150, 220])
def test_jitter_of_a_vowel(f0):
    wave, starts, _ = perturbed_pulses(np.random.default_rng(3), f0, 2.0, jitter=0.01)
    periods = np.diff(starts)
    true = np.abs(np.diff(periods)).mean() / periods.mean()
    assert voice_contours(resonate(wave, VOWEL))["jitter"].mean() == pytest.approx(true, rel=0.2)


@pytest.mark.parametrize("f0", [110, 150, 220])
def test_shimmer_of_pulses(f0):
    wave, _, heights = perturbed_pulses(np.random.default_rng(4), f0, 2.0, shimmer=0.03)
    found = voice_contours(wave)
    decibels = np.abs(np.diff(20 * np.log10(heights))).mean()
    assert found["shimmer"].mean() == pytest.approx(decibels, rel=0.1)
    five = np.abs(heights[2:-2] - np.convolve(heights, np.full(5, 0.2), "valid")).mean()
    assert found["shimmer_apq5"].mean() == pytest.approx(five / heights.mean(), rel=0.1)
    assert found["jitter"].mean() < 3e-4


def test_steady_voice_has_neither():
    wave, *_ = perturbed_pulses(np.random.default_rng(5), 150, 1.0)
    found = voice_contours(resonate(wave, VOWEL))
    assert found["jitter"].max() < 5e-4 and found["shimmer"].max() < 0.02


def test_glide_is_no_jitter():
    t = np.arange(RATE) / RATE
    found = voice_contours(np.sin(2 * np.pi * 100 * (2**t - 1) / np.log(2)))  # an octave
    assert found["jitter"].mean() == pytest.approx(np.log(2) / 145, rel=0.2)  # T' = T ln 2


def test_perturbations_are_those_near_the_frame():
    rng = np.random.default_rng(6)
    rough, *_ = perturbed_pulses(rng, 150, 1.0, jitter=0.02)
    even, *_ = perturbed_pulses(rng, 150, 1.0)
    module = Contours(RATE, HOP, groups=("voice",))
    wave = torch.from_numpy(np.concatenate([even, rough]).astype(np.float32))
    x, _ = module(wave[None], torch.tensor([len(wave)]))
    jitter = x[0, module.names.index("jitter")]
    assert jitter[10:90].max() < 1e-3 and jitter[110:190].mean() > 0.015


@pytest.mark.parametrize(
    ("snr", "expected"), [(5, 5.4), (10, 10.2), (20, 20.0), (30, 29.9), (40, 39.9)]
)
def test_harmonics_to_noise_of_a_tone(snr, expected):
    (white,) = noise(2 * RATE)
    disturbance = low_passed(white)[0].numpy()
    # of the power that `Pitch` hears
    disturbance *= np.sqrt(0.5 / 10 ** (snr / 10) / low_passed(disturbance).square().mean().item())
    tone = np.sin(2 * np.pi * 150 * np.arange(2 * RATE) / RATE)
    found = voice_contours(tone + disturbance)["hnr"]
    assert found.mean() == pytest.approx(expected, abs=0.6)


@pytest.mark.parametrize("snr", [0.0, 10.1, 20.1, 30.2])
def test_harmonics_to_noise_of_pulses(snr):
    train = low_passed(perturbed_pulses(np.random.default_rng(8), 150, 2.0)[0])[0].numpy()
    (white,) = noise(2 * RATE)
    disturbance = low_passed(white)[0].numpy()
    powers = [low_passed(wave).square().mean().item() for wave in (train, disturbance)]
    wave = train + disturbance * np.sqrt(powers[0] / powers[1] / 10 ** (snr / 10))
    x, _ = Pitch(RATE, HOP)(torch.from_numpy(wave)[None].float(), torch.tensor([2 * RATE]))
    found = voice.harmonics_to_noise(x[0, 1, 8:-8]).mean().item()
    assert found == pytest.approx(snr, abs=0.8)


def test_harmonics_to_noise_is_limited():
    r = torch.tensor([0.0, 0.5, 10 / 11, 1 - 2**-24])
    expected = [-20.0, 0.0, 10.0, 60.0]
    assert voice.harmonics_to_noise(r).tolist() == pytest.approx(expected, abs=1e-4)


def test_h1_h2_of_two_partials():
    t = np.arange(RATE) / RATE
    wave = 0.4 * np.sin(2 * np.pi * 170 * t) + 0.2 * np.sin(2 * np.pi * 340 * t)
    np.testing.assert_allclose(voice_contours(wave)["h1_h2"], 6.02, atol=0.15)


def test_unvoiced_clips_have_no_marks():
    marks = voice.period_marks(torch.ones(2, 800), torch.zeros(2, 6), RATE, HOP)
    assert [len(x) for x in marks] == [0] * 4
    contours = voice.jitter_and_shimmer(marks, (2, 6), HOP, 3)
    assert all(x.shape == (2, 6) and not x.any() for x in contours.values())


def test_marks_do_not_depend_on_other_clips_or_blocks(monkeypatch):
    rng = np.random.default_rng(7)
    waves = [perturbed_pulses(rng, f0, 0.5, 0.01)[0] for f0 in (90, 230)]
    lengths = torch.tensor([8000, 5001])
    wave = mask(torch.from_numpy(np.stack(waves)).float()[:, None], lengths)[:, 0]
    f0, n_frames = Pitch(RATE, HOP)(wave, lengths)
    f0 = 1.04 * f0  # so that phases drift by whole periods
    together = voice.period_marks(wave, f0[:, 0], RATE, HOP)
    monkeypatch.setattr(voice, "_BLOCK", 7)
    for i in range(2):
        alone = wave[i : i + 1, : lengths[i]], f0[i : i + 1, 0, : n_frames[i]]
        marks = voice.period_marks(*alone, RATE, HOP)
        mine = together.clip == i
        assert len(marks.position) > 30
        np.testing.assert_allclose(marks.position, together.position[mine], rtol=1e-6)
        np.testing.assert_allclose(marks.amplitude, together.amplitude[mine], rtol=1e-6)
