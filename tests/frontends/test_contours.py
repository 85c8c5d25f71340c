"""The front-end of all contours: each clip as if alone, in blocks, of any length and rate."""

import math

import numpy as np
import pytest
import torch

from skaudio._frontends import contours as module
from skaudio.frontends import Contours
from tests.by_hand import noise
from tests.frontends.voices import RATE, perturbed_pulses, resonate

HOP = 160


def run(clips, **settings):
    """Contours (C, N) of clips that share one batch."""
    lengths = torch.tensor([len(clip) for clip in clips])
    wave = torch.zeros(len(clips), int(lengths.max()))
    for row, clip in zip(wave, clips, strict=True):
        row[: len(clip)] = torch.from_numpy(np.asarray(clip, np.float32))
    before = wave.clone()
    contours = Contours(**{"sample_rate": RATE, "hop_length": HOP} | settings)
    x, n = contours(wave, lengths)
    assert torch.equal(wave, before) and x.dtype == torch.float32
    assert torch.equal(n, contours.output_lengths(lengths))
    assert x.shape == (len(clips), len(contours.names), n.max())
    for y, m in zip(x, n, strict=True):
        assert not y[:, m:].any()
    return contours, [y[:, :m].numpy() for y, m in zip(x, n, strict=True)]


@pytest.fixture(scope="module")
def voices():
    """Three noisy voices with pauses, and clips of 50 ms, 64 samples and one."""
    rng = np.random.default_rng(0)
    clips = []
    for f0, seconds in ((110, 1.0), (190, 0.7), (260, 0.53)):
        wave = resonate(perturbed_pulses(rng, f0, seconds, 0.01, 0.05)[0], (600, 1500, 2500))
        wave[len(wave) // 3 : len(wave) // 2] *= 1e-3
        clips.append((wave + 1e-3 * rng.standard_normal(len(wave))).astype(np.float32))
    return [*clips, clips[0][1600:2400], clips[1][:64], clips[1][:1]]


def test_a_clip_does_not_depend_on_its_neighbours(voices):
    contours, together = run(voices)
    voiced = contours.names.index("voiced")
    assert together[0][voiced].sum() > 40 and together[3][voiced].sum() > 3
    for clip, found in zip(voices, together, strict=True):
        _, (alone,) = run([clip])
        scale = np.abs(alone).max(1, keepdims=True) + 1e-6
        np.testing.assert_allclose(found / scale, alone / scale, atol=1e-5)


def test_blocks_make_no_difference(voices, monkeypatch):
    _, whole = run(voices)
    monkeypatch.setattr(module, "_CHUNK", 3 * 512)
    for x, y in zip(whole, run(voices)[1], strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5)


def test_names_and_what_they_say(voices):
    contours, (x, *_) = run(voices)
    assert len({*contours.names}) == len(contours.names) == 38
    assert set(contours.group_of) == {"pitch", "voice", "energy", "spectrum", "formants"}
    named = dict(zip(contours.names, x, strict=True))
    silent = named["voiced"] == 0
    assert set(named["voiced"].tolist()) == {0.0, 1.0}
    for name, values, voiced_only in zip(contours.names, x, contours.voiced_only, strict=True):
        assert name in Contours.__doc__ or name[:2] in ("f2", "f3") or name[:7] == "rolloff"
        assert values[~silent].any(), name
        assert not (voiced_only and values[silent].any()), name
    assert contours.voiced_only[contours.names.index("hnr")]
    assert not contours.voiced_only[contours.names.index("voiced")]
    # 110 Hz is 24 semitones above 27.5 Hz
    assert np.median(named["f0_semitone"][~silent]) == pytest.approx(24, abs=0.1)
    assert named["hnr"][~silent].mean() > 5
    voiced = {name: np.median(values[~silent]) for name, values in named.items()}
    assert voiced["f1"] < voiced["f2"] < voiced["f3"] and voiced["f1"] == pytest.approx(600, abs=60)


@pytest.mark.parametrize("group", [*module.GROUPS])
def test_a_group_alone_is_the_same(voices, group):
    contours, whole = run(voices)
    rows = [i for i, other in enumerate(contours.group_of) if other == group]
    alone, found = run(voices, groups=[group])
    assert alone.names == [contours.names[i] for i in rows]
    assert alone.voiced_only == [contours.voiced_only[i] for i in rows]
    for x, y in zip(whole, found, strict=True):
        np.testing.assert_array_equal(x[rows], y)


def test_groups_come_in_the_order_given(voices):
    contours, _ = run(voices[:1], groups=("spectrum", "pitch"))
    assert contours.group_of == ["spectrum"] * 15 + ["pitch"] * 3


@pytest.mark.parametrize("groups", [(), "pitch", ("pitch", "rhythm"), ("voice", "voice")])
def test_unknown_groups_are_refused(groups):
    with pytest.raises(ValueError, match=r"groups=.* must hold one or more of pitch, voice"):
        Contours(RATE, HOP, groups=groups)


def test_gain_changes_levels_only(voices):
    contours, (loud,) = run(voices[:1])
    _, (quiet,) = run([0.125 * voices[0]])
    change = {"rms": 20 * math.log10(1 / 8)}
    change["band250_650"] = change["band1000_4000"] = change["rms"]
    factors = {"loudness": 0.125**0.66, "flux": 0.125}
    for name, x, y in zip(contours.names, loud, quiet, strict=True):
        expected = x * factors.get(name, 1) + change.get(name, 0)
        np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-3, err_msg=name)


def test_offset_changes_nothing(voices):
    contours, (x,) = run(voices[:1])
    _, (y,) = run([voices[0] - voices[0].mean() + 0.25])
    for name, a, b in zip(contours.names, x, y, strict=True):
        if name not in ("jitter_ppq5", "kurtosis"):
            np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-2 * np.abs(a).max(), err_msg=name)


@pytest.mark.parametrize("n_samples", [1, 2, 63, 64, 159, 160, 161, 511, 4000])
@pytest.mark.parametrize("kind", ["silence", "constant", "click", "noise", "loud", "tone"])
def test_odd_clips_are_finite(kind, n_samples):
    clip = {
        "silence": np.zeros(n_samples),
        "constant": np.full(n_samples, 0.5),
        "click": np.eye(1, n_samples, n_samples // 2)[0],
        "noise": noise(n_samples)[0],
        "loud": 1e4 * noise(n_samples)[0],
        "tone": np.sin(2 * np.pi * 150 * np.arange(n_samples) / RATE),
    }[kind]
    contours, (x,) = run([clip])
    assert x.shape == (38, n_samples // HOP + 1) and np.isfinite(x).all()
    named = dict(zip(contours.names, x, strict=True))
    if kind in ("silence", "constant"):
        levels = {"rms", "band250_650", "band1000_4000"}
        for name, values in named.items():
            np.testing.assert_array_equal(values, -100 if name in levels else 0, err_msg=name)
    if kind != "tone":
        assert not named["voiced"].any()


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 22050, 44100, 48000])
def test_other_rates(voices, rate):
    wave = resonate(perturbed_pulses(np.random.default_rng(1), 120, 1.0)[0], (500, 1500, 2500))
    n = rate  # one second
    spectrum = np.fft.rfft(wave)[: n // 2 + 1]
    spectrum = np.pad(spectrum, (0, n // 2 + 1 - len(spectrum)))
    clip = np.fft.irfft(spectrum, n) * n / len(wave)
    contours, (x,) = run([clip], sample_rate=rate, hop_length=rate // 100)
    assert np.isfinite(x).all()
    _, (expected,) = run([wave])
    middle = {
        name: (np.median(a[10:90]), np.median(b[10:90]))
        for name, a, b in zip(contours.names, x, expected, strict=True)
    }
    close = {"f0_semitone": 0.05, "rms": 0.6, "loudness": 0.1, "slope0_500": 4, "h1_h2": 0.5}
    if rate > 8000:
        close |= {"alpha": 0.5, "centroid": 30, "f1": 40, "f2": 40, "f3": 60, "tilt": 0.7}
    for name, tolerance in close.items():
        if rate > 4000 or name != "loudness":
            found, wanted = middle[name]
            assert found == pytest.approx(wanted, abs=tolerance), name
