"""Distortions of waves, each beside an independent computation in float64."""

import numpy as np
import pytest
import torch
from scipy.signal import welch
from scipy.stats import norm

from skaudio.augment import (
    add_noise,
    add_speech,
    chop,
    clip_peaks,
    downsample,
    drop_band,
    gain,
    reverberate,
)

RATE = 16000
ALL = [reverberate, add_noise, add_speech, clip_peaks, chop, drop_band, downsample, gain]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def white(*shape, seed=1):
    return torch.randn(*shape, generator=seeded(seed))


def numbers(wave):
    return np.asarray(wave, dtype=np.float64)


def parts(mixture, wave, other):
    """Factors of a wave and of another in their mixture, which must be made of nothing else."""
    made_of = np.stack([numbers(wave), numbers(other)], axis=1)
    factors, *_ = np.linalg.lstsq(made_of, numbers(mixture), rcond=None)
    mixture = numbers(mixture)
    np.testing.assert_allclose(made_of @ factors, mixture, atol=1e-5 * np.abs(mixture).max())
    return factors


def ratio(mixture, wave, other):
    """Decibels of the energy of a wave over that of another, as they are in a mixture."""
    a, b = parts(mixture, wave, other)
    wave, other = numbers(wave), numbers(other)
    return 10 * np.log10((a**2 * wave @ wave) / (b**2 * other @ other))


def energy(wave):
    return (numbers(wave) ** 2).sum(-1)


# --- whatever the distortion ---------------------------------------------------------------------


def tones(n):
    return torch.sin(torch.arange(n) / torch.tensor([[9.0], [2.0], [40.0]]))


@pytest.mark.parametrize("n_samples", [1, 2, 3, 159, 161, 16000])
@pytest.mark.parametrize("distortion", ALL, ids=lambda f: f.__name__)
def test_clips_of_any_length_and_level_stay_finite(distortion, n_samples):
    levels = torch.tensor([0.0, 1e-42, 1e-30, 1e-3, 1.0, 1e4, 1e30, 3e37, -1e30])[:, None]
    kinds = {
        "noise": white(1, n_samples),
        "tone": tones(n_samples)[:1],
        "DC": torch.ones(1, n_samples),
        "click": torch.eye(1, n_samples),
    }
    for kind, wave in kinds.items():
        # noise of a normal distribution reaches 4, and mixtures have higher peaks than clips
        given = levels * wave / wave.abs().max().clamp(min=1.0)
        for seed in range(3):
            heard = distortion(given, seeded(seed))
            assert heard.shape == given.shape and heard.dtype == torch.float32
            assert heard.isfinite().all(), kind
            assert not heard[0].any()  # silence stays silent


@pytest.mark.parametrize(
    ("distortion", "params"),
    [
        (clip_peaks, {"factors": [0.3]}),
        (downsample, {}),
        (add_noise, {"noises": [np.arange(2000.0) % 7], "snr": [5]}),
        (reverberate, {"rooms": [np.r_[0.1, 1, -0.5]]}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_clip_alone_is_distorted_like_in_a_batch(distortion, params):
    batch = torch.tensor([[1e3], [1.0], [1e-3]]) * white(3, 2000)
    together = distortion(batch, seeded(), **params)
    for i in range(3):
        (alone,) = distortion(batch[i : i + 1], seeded(), **params)
        np.testing.assert_allclose(together[i], alone, atol=1e-6 * float(alone.abs().max()))
        assert not torch.equal(alone, batch[i])


# --- noise and voices ----------------------------------------------------------------------------


def test_noise_of_the_user_has_the_ratio_that_was_asked_for():
    wave, noise = white(300, 4000), white(4000, seed=2).abs()  # the noise has a mean, too
    wave *= torch.logspace(-6, 6, 300)[:, None]
    noisy = add_noise(wave, seeded(), noises=[noise.numpy()])
    found = np.array([ratio(y, x, noise) for y, x in zip(noisy, wave, strict=True)])
    levels = np.array([0, 5, 10])
    chosen = levels[np.abs(found[:, None] - levels).argmin(1)]
    np.testing.assert_allclose(found, chosen, atol=0.01)
    counts = np.bincount(chosen)[levels]
    np.testing.assert_allclose(counts, 100, atol=35)  # 4 deviations
    np.testing.assert_allclose(energy(noisy), energy(wave), rtol=1e-5)
    assert all(parts(y, x, noise).min() > 0 for y, x in zip(noisy, wave, strict=True))


def test_made_noise_has_the_ratio_that_was_asked_for():
    wave = tones(RATE)
    noise = add_noise(wave, seeded(), snr=[-100])  # nearly nothing else
    noisy = add_noise(wave, seeded(), snr=[7.5])
    for y, x, n in zip(noisy, wave, noise, strict=True):
        assert ratio(y, x, n) == pytest.approx(7.5, abs=0.01)
    np.testing.assert_allclose(energy(noisy), energy(wave), rtol=1e-5)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_the_spectrum_of_coloured_noise_falls_as_asked_for(exponent, rate):
    wave = tones(2 * rate)[:1].repeat(16, 1)
    noise = add_noise(wave, seeded(), snr=[-100], exponent=(exponent, exponent), sample_rate=rate)
    frequencies, power = welch(numbers(noise), rate, nperseg=rate // 4)
    power = power.mean(0)
    inner = (frequencies >= 100) & (frequencies < 0.45 * rate)
    slope, _ = np.polyfit(np.log(frequencies[inner]), np.log(power[inner]), 1)
    assert slope == pytest.approx(-exponent, abs=0.05)
    # below 50 Hz it is as loud as at 50 Hz
    frequencies, power = welch(numbers(noise), rate, nperseg=rate)
    low, edge = power.mean(0)[[10, 20, 30]].mean(), power.mean(0)[45:55].mean()
    assert low / edge == pytest.approx(1.0, abs=0.35)


def test_exponents_are_uniform():
    wave = white(400, 4000)
    noise = numbers(add_noise(wave, seeded(), snr=[-100], exponent=(-1.0, 3.0)))
    frequencies, power = welch(noise, RATE, nperseg=400)
    inner = frequencies > 100
    slopes = np.polyfit(np.log(frequencies[inner]), np.log(power[:, inner]).T, 1)[0]
    np.testing.assert_allclose(np.quantile(-slopes, [0.25, 0.5, 0.75]), [0, 1, 2], atol=0.35)


def test_another_clip_of_the_batch_sets_in_at_a_random_moment():
    wave = white(200, 800)
    mixed = add_speech(wave, seeded(), snr=[5], room=None)
    begins, partners = [], []
    for i, (y, x) in enumerate(zip(numbers(mixed), numbers(wave), strict=True)):
        rest = y - y[0] / x[0] * x  # the first sample is before the other voice
        begin = np.flatnonzero(np.abs(rest) > 1e-4)[0]
        # what is heard is a piece of one of the other clips
        lags = np.abs(
            np.fft.irfft(np.fft.rfft(numbers(wave), 2048).conj() * np.fft.rfft(rest, 2048))
        )
        partner, lag = np.unravel_index(lags.argmax(), lags.shape)
        lag -= 2048 if lag > 1024 else 0
        other = np.zeros(800)
        other[begin:] = numbers(wave[partner])[begin - lag : 800 - lag]
        assert partner != i and 0 <= begin - lag <= begin
        assert ratio(y, x, other) == pytest.approx(5, abs=0.01)
        begins.append(begin)
        partners.append((partner - i) % 200)
    assert 0 <= min(begins) < 20 and 580 < max(begins) < 600  # of 800, three quarters
    assert np.mean(begins) == pytest.approx(300, abs=50)
    assert (
        min(partners) == 1
        and max(partners) > 190
        and np.mean(partners) == pytest.approx(100, abs=17)
    )


def test_a_voice_of_the_user_sounds_in_a_room():
    wave, voice = 1e-3 * white(50, 3000), np.ones(500)
    room = np.r_[np.zeros(20), 0.25, np.zeros(9), 1.0, np.zeros(9), -0.5]
    mixed = add_speech(
        wave, seeded(), speech=[voice], snr=[10], room=lambda w, g: reverberate(w, g, rooms=[room])
    )
    for y, x in zip(numbers(mixed), numbers(wave), strict=True):
        rest = y - y[0] / x[0] * x
        begin = np.flatnonzero(np.abs(rest) > 1e-6)[0]
        # 1 from the first sample on, and no sooner; its echo after 10 samples
        heard = np.convolve(np.r_[np.zeros(begin), np.ones(3000 - begin)], room)[30:3030]
        heard[:begin] = 0.0
        assert ratio(y, x, heard) == pytest.approx(10, abs=0.01)


def test_a_voice_in_a_made_room_does_not_begin_sooner():
    wave = white(20, 8000)
    dry, heard = (add_speech(wave, seeded(), snr=[-100], room=r) for r in (None, reverberate))
    begins = [(row.abs() > 1e-3).nonzero()[0].item() for row in dry]
    assert min(begins) < 1500 and max(begins) > 4500
    for row, begin in zip(heard, begins, strict=True):
        assert row[:begin].abs().max() < 1e-3 if begin else True
        assert row[begin].abs() > 1e-3
    assert not torch.allclose(dry, heard, atol=0.1)


def test_a_clip_alone_in_its_batch_has_nobody_to_talk_to():
    wave = white(1, 2000)
    assert torch.equal(add_speech(wave, seeded()), wave)


# --- rooms ---------------------------------------------------------------------------------------


def test_reverberation_is_aligned_and_as_loud_as_the_clip():
    rng = np.random.default_rng(0)
    rooms = [np.r_[0.3 * rng.standard_normal(k), -2.0, rng.uniform(-1, 1, 400)] for k in (0, 7, 90)]
    wave = white(40, 1000)
    heard = reverberate(wave, seeded(), rooms=rooms)
    found = []
    for y, x in zip(numbers(heard), numbers(wave), strict=True):
        expected = []
        for room in rooms:
            whole = np.convolve(x, room)
            aligned = whole[np.abs(room).argmax() :][:1000]
            # the largest value of a response is made positive or negative 1, its sign stays
            expected.append(aligned * np.sqrt(energy(x) / energy(whole)))
        differences = np.abs(np.array(expected) - y).max(1)
        found.append(differences.argmin())
        assert differences.min() < 1e-5
    assert {*found} == {0, 1, 2}


@pytest.mark.parametrize(("t60", "rate"), [(0.3, 16000), (0.9, 16000), (0.5, 8000)])
def test_sound_in_a_made_room_decays_as_asked_for(t60, rate):
    click = torch.zeros(32, int(t60 * rate))
    click[:, 0] = 1.0
    heard = numbers(
        reverberate(click, seeded(), t60=(t60, t60), drr=(-5.0, -5.0), sample_rate=rate)
    )
    np.testing.assert_allclose(energy(heard), 1.0, rtol=1e-3)
    ratios = 10 * np.log10(heard[:, 0] ** 2 / energy(heard[:, 1:]))
    np.testing.assert_allclose(ratios, -5.0, atol=0.01)
    # Schroeder: the energy that is still to come, in dB, falls on a line of 60 dB in t60
    left = 10 * np.log10(np.cumsum(heard[:, :0:-1] ** 2, axis=1)[:, ::-1])
    times = np.arange(left.shape[1]) / rate
    found = []
    for curve in left:
        inner = (curve < curve[0] - 5) & (curve > curve[0] - 35)
        found.append(-60 / np.polyfit(times[inner], curve[inner], 1)[0])
    np.testing.assert_allclose(found, t60, rtol=0.15)
    assert np.mean(found) == pytest.approx(t60, rel=0.03)


def test_times_and_ratios_of_rooms_are_uniform():
    click = torch.zeros(400, 8000)
    click[:, 0] = 1.0
    heard = numbers(reverberate(click, seeded(), t60=(0.1, 0.5), drr=(0.0, 10.0)))
    ratios = 10 * np.log10(heard[:, 0] ** 2 / energy(heard[:, 1:]))
    np.testing.assert_allclose(
        np.quantile(ratios, [0, 0.25, 0.5, 0.75, 1]), [0, 2.5, 5, 7.5, 10], atol=1
    )
    left = 10 * np.log10(np.cumsum(heard[:, :0:-1] ** 2, axis=1)[:, ::-1])
    seconds = 3 * np.argmax(left < left[:, :1] - 20, axis=1) / RATE
    np.testing.assert_allclose(
        np.quantile(seconds, [0, 0.25, 0.5, 0.75, 1]), [0.1, 0.2, 0.3, 0.4, 0.5], atol=0.06
    )


def test_a_silent_response_changes_nothing():
    wave = white(2, 500)
    assert torch.equal(reverberate(wave, seeded(), rooms=[np.zeros(10)]), wave)


# --- peaks and gaps ------------------------------------------------------------------------------


def test_peaks_are_clipped_at_a_share_of_the_smallest_and_of_the_largest():
    wave = white(300, 100) + 0.5
    clipped = clip_peaks(wave, seeded())
    low, high = (f(wave.numpy(), axis=1, keepdims=True) for f in (np.min, np.max))
    shares = clipped.amax(1).numpy() / high[:, 0]
    chosen = np.array([0.1, 0.3, 0.5])[np.abs(shares[:, None] - [0.1, 0.3, 0.5]).argmin(1)]
    expected = np.clip(wave.numpy(), *(chosen[:, None].astype(np.float32) * x for x in (low, high)))
    np.testing.assert_allclose(clipped, expected, rtol=1e-6)
    counts = np.unique(chosen, return_counts=True)[1]
    np.testing.assert_allclose(counts, 100, atol=35)


def bursts(n_bursts, loud=3200, pause=960):
    """A clip of bursts of noise and soft pauses between them, and where they are loud."""
    is_loud = (np.arange(n_bursts * (loud + pause)) % (loud + pause)) >= pause
    return torch.where(torch.from_numpy(is_loud), 1.0, 1e-3), is_loud


def gaps(chopped):
    """First and last sample (exclusive) of the stretches of zeros."""
    steps = np.diff(np.pad(np.asarray(chopped) == 0, 1).astype(int))
    return np.stack([np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)], axis=1)


def test_gaps_are_in_the_middle_of_sound():
    wave, _ = bursts(8, loud=320, pause=96)
    wave = wave.expand(2000, -1)
    chopped = chop(wave, seeded(), durations=[(0.05, 0.0)], sample_rate=1600)
    counts, places = [], []
    for row in chopped:
        found = gaps(row)
        np.testing.assert_array_equal(found[:, 1] - found[:, 0], 80)
        np.testing.assert_array_equal(found.mean(1) % 416, 96 + 160)
        counts.append(len(found))
        places += (found[:, 0] // 416).tolist()
    counts = np.bincount(counts)
    assert len(counts) == 6 and counts[0] == 0  # from 1 to 5, all equally likely
    np.testing.assert_allclose(counts[1:], 400, atol=72)
    np.testing.assert_allclose(np.bincount(places), len(places) / 8, rtol=0.15)  # anywhere
    kept = chopped != 0
    assert torch.equal(chopped[kept], wave[kept])


def test_durations_of_gaps_are_normal():
    wave = torch.ones(4000, 4000)
    lost = (chop(wave, seeded(), max_chops=1, durations=[(0.05, 0.01)]) == 0).sum(1) / RATE
    expected = norm(0.05, 0.01).ppf([0.1, 0.5, 0.9])
    np.testing.assert_allclose(np.quantile(lost, [0.1, 0.5, 0.9]), expected, atol=1e-3)
    default = (chop(wave, seeded(), max_chops=1) == 0).sum(1) / RATE
    assert default.mean() == pytest.approx(0.075, abs=0.003)
    assert (
        0.05 < np.mean(numbers(default) > 0.15) / norm.sf(1) < 0.75
    )  # half of them are N(0.1, 0.05)


def test_gaps_do_not_reach_beyond_the_sound():
    wave, is_loud = bursts(3)
    chopped = chop(wave[None], seeded(), durations=[(10.0, 0.0)], max_chops=50)[0]
    np.testing.assert_array_equal(chopped == 0, is_loud)
    half_rate = chop(wave[None, ::2], seeded(), durations=[(0.05, 0.0)], sample_rate=8000)[0]
    assert {*np.diff(gaps(half_rate)).ravel().tolist()} == {400}


def test_silence_and_clips_shorter_than_a_frame_have_no_gaps():
    for wave in (torch.zeros(2, 1000), torch.ones(2, 159)):
        assert torch.equal(chop(wave, seeded()), wave)


# --- bands ---------------------------------------------------------------------------------------


def decibels(changed, wave, rate=RATE):
    """How much louder each frequency, 4 Hz apart, is after a change."""
    frequencies, before = welch(numbers(wave), rate, "blackman", nperseg=rate // 4)
    _, after = welch(numbers(changed), rate, "blackman", nperseg=rate // 4)
    return frequencies, 10 * np.log10(after / before)


def test_a_band_is_dropped_and_nothing_else():
    wave = white(40, 4 * RATE)
    heard = drop_band(wave, seeded())
    drawn = torch.rand(3, 40, generator=seeded(), dtype=torch.float64).numpy()
    ranges = np.array([[0, 1000], [1000, 2000], [2000, 4000], [4000, 8000]])
    low, high = ranges[(4 * drawn[0]).astype(int)].T
    edges = np.sort(low + (high - low) * drawn[1:], axis=0)
    n_wide = 0
    for y, x, (first, last) in zip(heard, wave, edges.T, strict=True):
        frequencies, change = decibels(y, x)
        inside = (frequencies > first + 42) & (frequencies < last - 42)
        outside = (frequencies < first - 42) | (frequencies > last + 42)
        level = np.median(change[outside])
        assert np.abs(change[outside] - level).max() < 0.2
        assert level == pytest.approx(-10 * np.log10(1 - (last - first) / 8000), abs=0.15)
        if inside.any():
            n_wide += 1
            assert change[inside].max() < level - 48
    assert n_wide > 30
    np.testing.assert_allclose(energy(heard), energy(wave), rtol=1e-5)


def test_there_is_nothing_to_drop_above_half_the_rate():
    wave = white(5, 1000)
    heard = drop_band(wave, seeded(), ranges=[(4000.0, 8000.0)], sample_rate=8000)
    assert torch.equal(heard, wave)


@pytest.mark.parametrize(("rate", "lower"), [(16000, 8000), (44100, 16000)])
def test_a_lower_rate_limits_the_band(rate, lower):
    wave = white(1, 2 * rate)
    heard = downsample(wave, seeded(), rates=[lower], sample_rate=rate)
    frequencies, change = decibels(heard[0], wave[0], rate)
    level = 10 * np.log10(rate / lower)
    assert change[frequencies >= lower / 2 + 10].max() < level - 48
    below = change[frequencies < lower / 2 - 80]
    assert np.ptp(below) < 0.1 and below.mean() == pytest.approx(level, abs=0.2)
    np.testing.assert_allclose(energy(heard), energy(wave), rtol=1e-5)


def test_a_rate_that_is_not_lower_changes_nothing():
    wave = white(60, 500)
    changed = (downsample(wave, seeded(), rates=[4000, 16000, 48000]) != wave).any(1)
    assert 8 < changed.sum() < 32
    assert torch.equal(downsample(wave, seeded(), sample_rate=8000), wave)


@pytest.mark.parametrize("distortion", [drop_band, downsample])
def test_filters_do_not_delay(distortion):
    wave = tones(8000)[2:]  # 64 Hz, which is below all that is dropped
    params = {"ranges": [(1000.0, 2000.0)]} if distortion is drop_band else {"rates": [2000]}
    heard = distortion(wave, seeded(), **params)
    np.testing.assert_allclose(heard[0, 600:-600], wave[0, 600:-600], atol=0.01)


# --- bad parameters ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distortion", "params", "error", "message"),
    [
        (add_noise, {"snr": 5}, TypeError, "snr=5 must be a list of numbers"),
        (add_noise, {"snr": []}, ValueError, r"snr=\[\] is empty"),
        (add_noise, {"snr": ["5"]}, TypeError, r"snr\[0\]='5' must be a number"),
        (add_noise, {"snr": [float("nan")]}, ValueError, r"snr\[0\]=nan must be between"),
        (add_noise, {"exponent": 1.0}, TypeError, "exponent=1.0 must be a lower and an upper"),
        (add_noise, {"exponent": (2, 1)}, ValueError, r"exponent\[1\]=1 must be between 2"),
        (add_noise, {"sample_rate": 0}, ValueError, "sample_rate=0 must be at least 1"),
        (add_speech, {"snr": [1e9]}, ValueError, r"snr\[0\]=1000000000.0 must be between"),
        (reverberate, {"t60": (0, 1)}, ValueError, r"t60\[0\]=0 must be between 0.001"),
        (reverberate, {"drr": (0, 100)}, ValueError, r"drr\[1\]=100 must be between 0"),
        (clip_peaks, {"factors": [1.5]}, ValueError, r"factors\[0\]=1.5 must be between 0"),
        (chop, {"max_chops": 0}, ValueError, "max_chops=0 must be at least 1"),
        (chop, {"durations": [(1, 2, 3)]}, ValueError, "must be a mean and a deviation"),
        (chop, {"durations": 0.1}, ValueError, "durations=0.1 must be a list of means"),
        (drop_band, {"ranges": []}, ValueError, r"ranges=\[\] must be a list of ranges"),
        (drop_band, {"ranges": [(3, 2)]}, ValueError, r"ranges\[0\]\[1\]=2 must be at least 3"),
        (downsample, {"rates": [8]}, ValueError, r"rates\[0\]=8 must be at least 100"),
    ],
)  # fmt: skip
def test_bad_parameters(distortion, params, error, message):
    with pytest.raises(error, match=message):
        distortion(white(2, 100), seeded(), **params)
