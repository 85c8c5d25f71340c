"""The rivals, the splits and the tables of benchmarks/density.py."""

import csv
import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.utils import Bunch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def module(monkeypatch):
    """Function that imports a module as a script would."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def tone(rng, n_samples, level=0.3, noise=0.01):
    """Two partials in noise, as mu-law classes."""
    t = np.arange(n_samples)
    wave = level * (np.sin(0.1 * t + rng.uniform(0, 6)) + 0.5 * np.sin(0.37 * t))
    return wave + noise * rng.standard_normal(n_samples)


@pytest.fixture
def clips(module, rng):
    coders = module("_coders")
    return [coders.classes_of(tone(rng, n).astype(np.float32)) for n in (3000, 5000, 1, 700)]


def test_families(module):
    u = np.array([-np.inf, -30.0, -1.0, -1e-3, 0.0, 0.2, 3.0, np.inf])
    named = {"Laplace": stats.laplace, "Gaussian": stats.norm, "logistic": stats.logistic}
    families = module("_coders").FAMILIES
    assert {*families} == {*named}
    for family, cdf in families.items():
        np.testing.assert_allclose(cdf(u), named[family].cdf(u), rtol=1e-12)


@pytest.mark.parametrize("family", ["Laplace", "Gaussian", "logistic"])
@pytest.mark.parametrize("domain", ["amplitude", "companded"])
def test_mass_of_all_classes_is_one(module, rng, domain, family):
    coder = module("_coders").Linear(domain, own=False)
    # the middle of the range, exactly an edge, an end, and predictions beyond it
    centres = np.array([*rng.uniform(-1, 1, 20), 0.0, 1.0, -1.0, 1.7, -30.0])
    for scale in (1e-9, 1e-4, 0.02, 1.0, 50.0):
        mass = coder.mass(np.arange(256), centres[:, None], scale, family)
        assert mass.shape == (25, 256) and mass.min() > 0
        np.testing.assert_allclose(mass.sum(axis=1), 1, rtol=0, atol=1e-12)
        # a narrow distribution stands where the prediction is
        if scale == 1e-9:
            likely = mass[:20].argmax(axis=1)
            assert np.abs(coder.levels[likely] - centres[:20]).max() < 0.023


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("domain", ["amplitude", "companded"])
def test_code_length_is_that_of_a_decodable_code(module, clips, domain, own):
    """The distribution of a class depends on the classes before it only, and sums to 1."""
    coder = module("_coders").Linear(domain, own).fit(clips)
    clip = clips[1]
    for memory in module("_coders").MEMORIES:
        _, family, spread = coder.found[memory]
        prediction, residual, side = coder._residual(clip)
        scale = spread * coder._sizes(residual, memory)
        mass = coder.mass(np.arange(256)[:, None], prediction, scale, family)
        np.testing.assert_allclose(mass.sum(axis=0), 1, rtol=0, atol=1e-12)
        expected = -np.log2(mass[clip, np.arange(len(clip))]).sum() + side
        assert coder.bits(clip, memory) == pytest.approx(expected)
        changed = clip.copy()
        changed[2000] = 255 - changed[2000]
        if not own:  # the coefficients of a block know all of it, and are paid for
            m, e, _ = coder._residual(changed)
            np.testing.assert_allclose(m[:2001], prediction[:2001])
            assert np.abs(m[2001:] - prediction[2001:]).max() > 1e-3
            np.testing.assert_allclose(coder._sizes(e, memory)[:2001], scale[:2001] / spread)
    assert coder._residual(clip)[2] == (2 * 32 * 13 if own else 0)
    assert coder._residual(clips[2])[2] == (32 * 13 if own else 0)


def test_coefficients_are_written_in_the_bits_that_are_counted(module, clips):
    coders = module("_coders")
    prediction, _, _ = coders.Linear("companded", own=True)._residual(clips[0])
    past = coders._past(2 * clips[0] / 255 - 1)
    a, *_ = np.linalg.lstsq(past, prediction, rcond=None)
    whole = a / coders.STEP
    assert np.abs(whole - np.round(whole)).max() < 1e-3
    assert np.abs(whole).max() <= 2 ** (coders.BITS - 1) and np.abs(whole).max() > 100


def test_linear_prediction_of_a_known_process(module, rng):
    """Of an autoregression no more than the entropy of what drives it is paid."""
    coders = module("_coders")
    noise = 0.02 * rng.standard_normal((6, 20_000))
    waves = [np.convolve(e, 0.95 ** np.arange(200))[:20_000] for e in noise]
    clips = [coders.classes_of(wave.astype(np.float32)) for wave in waves]
    chosen = coders.strongest(clips[:4])
    assert {*chosen} == {"one scale", "scale that follows"}
    coder, memory = chosen["one scale"]
    found = sum(coder.bits(clip, memory) for clip in clips[4:]) / 40_000
    family = coder.found[memory][1]
    # entropy of the classes, given the amplitudes before
    exact = coders.Linear("amplitude", own=False)
    ideal = [
        -np.log2(exact.mass(clip[1:], 0.95 * wave[:-1], 0.02, "Gaussian")).mean()
        for clip, wave in zip(clips[4:], waves[4:], strict=True)
    ]
    assert (coder.domain, coder.own, memory, family) == ("amplitude", False, None, "Gaussian")
    assert np.mean(ideal) < found < np.mean(ideal) + 0.1
    assert coder.coefficients[0] == pytest.approx(0.95, abs=0.05)


def test_scale_follows_the_sound(module, rng):
    coders = module("_coders")
    loudness = np.repeat([0.5, 0.01, 0.2, 0.001], 3000)
    waves = loudness * rng.standard_normal((4, 12_000)) / 3
    clips = [coders.classes_of(wave.astype(np.float32)) for wave in waves]
    chosen = coders.strongest(clips[:3])
    rates = [coder.bits(clips[3], memory) / 12_000 for coder, memory in chosen.values()]
    assert rates[1] < rates[0] - 0.3


def test_rate_of_flac(module, rng):
    flac_bits = module("_coders").flac_bits
    n = 40_960
    noise = rng.integers(-128, 128, n)
    assert 8 < flac_bits(noise, 16_000) / n < 8.03  # stored as it is, with headers of frames
    assert flac_bits(np.full(n, 17), 16_000) / n < 0.04  # a constant frame is some bytes
    # the Rice code of a geometric residual comes within a tenth of a bit of its entropy
    mass = np.exp(-np.abs(np.arange(-40, 41)) / 4)
    mass /= mass.sum()
    residual = rng.choice(np.arange(-40, 41), n, p=mass)
    entropy = -(mass * np.log2(mass)).sum()
    assert entropy < flac_bits(residual, 16_000) / n < entropy + 0.15
    ramp = np.abs(np.arange(n) % 200 - 100) - 50  # straight lines: predicted but for the turns
    assert flac_bits(ramp, 16_000) / n < 2
    # nothing that every file has is counted
    assert flac_bits(np.zeros(1, int), 16_000) < 200


def test_log_spectral_distance(module, rng):
    listening = module("_listening")
    clips = [*rng.standard_normal((3, 4000)).astype(np.float32), tone(rng, 4500)]
    spectra = listening.log_spectra(clips, 8000)
    assert np.all(listening.log_spectral_distance(spectra, spectra) == 0)
    assert listening.log_spectral_distance(spectra[0], spectra[3]) > 10
    # the nearest real clip: itself, however loud
    distances = listening.nearest([0.1 * clips[0], clips[3][:4000]], [clips[2], clips[0]], 8000)
    assert distances[0] == pytest.approx(0, abs=1e-3) and distances[1] > 10
    # silence is silence, and 60 dB from a frame that is as loud everywhere
    quiet, click = np.zeros(4000), np.zeros(4000)
    click[2000] = 1.0
    quiet, click = listening.log_spectra([quiet, click], 8000)
    assert np.all(quiet == -60) and np.isfinite(click).all() and click.max() == 0


@pytest.mark.parametrize("name", ["fsdd", "esc10", "emodb_2s"])
def test_nothing_that_leaks_is_on_both_sides(module, monkeypatch, data_dir, name):
    monkeypatch.setenv("SKAUDIO_DATA", str(data_dir))
    sounds, rate = module("_density_clips").load(name)
    assert rate == (8000 if name == "fsdd" else 16000)
    assert len(sounds.splits) >= 5
    splits = [*sounds.splits, module("_density_clips").split(sounds, name)]
    for train, test in splits:
        groups = np.asarray(sounds.groups)
        assert len(train) > len(test) > 0
        assert not {*groups[train]} & {*groups[test]}


def test_held_out_class_is_in_no_training(module, monkeypatch, data_dir):
    monkeypatch.setenv("SKAUDIO_DATA", str(data_dir))
    jobs = module("_density_clips")
    sounds, _ = jobs.load("esc10")
    labels, groups = np.asarray(sounds.labels), np.asarray(sounds.groups)
    assert {*module("density").ESC10} == {*labels}
    for label in module("density").ESC10:
        train, test = jobs.without(sounds, label)
        assert label not in labels[train] and len({*labels[train]}) == 9
        assert (labels[test] == label).sum() == 40 and (labels[test] != label).sum() == 72
        assert not {*groups[train]} & {*groups[test]} and len(train) == 288


def test_official_split_of_digits(module):
    names = [f"{d}_{s}_{i}.wav" for d in (0, 7) for s in ("theo", "a_b") for i in (0, 4, 5, 49)]
    train, test = module("_density_clips").official(Bunch(data=[Path("x") / n for n in names]))
    assert [*test] == [0, 1, 4, 5, 8, 9, 12, 13] and [*train] == [2, 3, 6, 7, 10, 11, 14, 15]


def test_parts_of_training_clips(module, rng):
    jobs = module("_density_clips")
    waves = [rng.standard_normal(n) for n in (1, 500, 1499)]
    for part, wave in zip(jobs.training_parts(waves, 9999), waves, strict=True):
        assert np.array_equal(part, wave)
    parts = jobs.training_parts(waves, 1000)
    assert [len(part) for part in parts] == [1, 250, 750]
    for part, wave in zip(parts, waves, strict=True):
        begin = np.flatnonzero(wave == part[0])[0]
        assert np.array_equal(part, wave[begin : begin + len(part)])
    assert parts[1][0] != waves[1][0]  # not all are beginnings


def test_gain_of_crops(module):
    gains = module("_density_jobs").RandomGain(12.0).initialize()
    batch = Bunch(wave=torch.ones(200, 3))
    gains.on_batch_begin(None, batch=batch, training=False)
    assert torch.all(batch.wave == 1)
    gains.on_batch_begin(None, batch=batch, training=True)
    decibels = 20 * torch.log10(batch.wave)
    assert torch.all(decibels[:, 0] == decibels[:, 2])
    assert -12 <= decibels.min() < -10 and 10 < decibels.max() <= 12


def test_tables_and_picture(module, tmp_path):
    density = module("density")

    def row(task, system, value, measure="bits", x=""):
        curve = "minutes" if x else ""
        return dict(
            zip(density.COLUMNS, (task, task, curve, x, system, measure, value), strict=True)
        )

    rows = [
        row("bits fsdd", "FLAC", 6.5),
        row("bits fsdd", "WaveNet", 5.25),
        row("bits fsdd", "WaveNet", 5.5, x=2.0),
        row("bits fsdd", "WaveNet", 6.0, x=1.0),
        row("bits fsdd", "linear, one scale", "amplitude", "form"),
        row("told digits", "WaveNet, Bayes' rule", 0.5, "accuracy"),
        row("told digits", "WaveNet, Bayes' rule", 0.7, "accuracy"),
        row("told digits", "WaveNet", 4.0, "minutes of one core"),
    ]
    for label, ours in (("rain", 0.75), ("rooster", 0.25)):
        rows.append(row(f"anomaly {label}", "WaveNet, mean of seconds", ours, "AUC"))
        rows.append(row(f"anomaly {label}", "IsolationForest, MFCC-120", 0.5, "AUC"))
    density._write({"all": rows}, tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(newline="", encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    lines = [*density._report(rows)]
    assert "| FLAC | 6.50 |" in lines and "| WaveNet | 5.25 |" in lines
    assert "- WaveNet is below FLAC on 1 of 1." in lines
    assert "- fsdd, linear, one scale: amplitude" in lines
    assert "| WaveNet, Bayes' rule | 0.600 (0.500 to 0.700) |" in lines
    text = "mean AUC 0.500; above IsolationForest on MFCC in 1 of 2"
    assert f"- WaveNet, mean of seconds: {text}" in lines
    assert lines[-2:] == ["Trainings took 4.0 to 4.0 minutes of one core each,", "4 in all."]
    line, *levels = density._plot(rows).axes[density.BITS_OF.index("fsdd")].lines
    assert [*line.get_xdata()] == [1, 2] and [*line.get_ydata()] == [6, 5.5]
    assert [[*level.get_ydata()] for level in levels] == [[6.5, 6.5]]
