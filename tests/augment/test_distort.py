"""Lists of distortions, and what they are as a parameter of an estimator."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skaudio import CNNTransformer, MFCCTransformer, SincNetTransformer, load
from skaudio._engine.content import Unidentifiable, content, described
from skaudio.augment import (
    PASE_PLUS,
    add_noise,
    add_speech,
    chop,
    clip_peaks,
    distort,
    downsample,
    drop_band,
    gain,
    resolve_distortions,
    reverberate,
)
from tests.augment.helpers import seeded, white


def halve(wave, generator):
    return wave / 2


def plus_one(wave, generator):
    return wave + 1


def needing_a_rate(wave, generator, *, sample_rate):
    return torch.full_like(wave, sample_rate)


seen = []


def noted(wave, generator, *, sample_rate):
    """It notes that it was called."""
    seen.append(sample_rate)
    return wave.abs()


def greedy(wave, generator):
    """It draws more for louder clips."""
    torch.rand(1 + int(wave.abs().sum()), generator=generator)
    return -wave


# --- lists ---------------------------------------------------------------------------------------


def test_the_list_of_pase_plus():
    """Order and probabilities of the published configuration; without codec2, 0.3."""
    assert PASE_PLUS == (
        (reverberate, 0.5), (add_speech, 0.1), (add_noise, 0.4), (clip_peaks, 0.2), (chop, 0.2),
        (drop_band, 0.35), (downsample, 0.25),
    )  # fmt: skip
    resolved = resolve_distortions("pase+")
    assert [(getattr(f, "func", f), p) for f, p in resolved] == [*PASE_PLUS]


def test_each_clip_is_distorted_with_the_probability():
    wave = white(5000, 20)
    once = distort(wave, seeded(), [(halve, 0.3)])
    halved = (once == wave / 2).all(1)
    assert torch.equal(once[~halved], wave[~halved])
    assert halved.double().mean() == pytest.approx(0.3, abs=0.026)
    # independent of what else is done
    both = distort(wave, seeded(), [(halve, 0.3), (plus_one, 0.5)])
    added = (both != once).any(1)
    torch.testing.assert_close(both[added], once[added] + 1)
    assert added[halved].double().mean() == pytest.approx(0.5, abs=0.05)
    assert added[~halved].double().mean() == pytest.approx(0.5, abs=0.035)


def test_distortions_are_applied_in_order():
    wave = white(3, 20)
    torch.testing.assert_close(distort(wave, seeded(), [halve, plus_one]), wave / 2 + 1)
    torch.testing.assert_close(distort(wave, seeded(), [plus_one, halve]), (wave + 1) / 2)


@pytest.mark.parametrize("nothing", [None, [], (), [(halve, 0)]])
def test_no_distortions(nothing):
    wave, generator = white(3, 20), seeded()
    heard = distort(wave, generator, nothing)
    assert torch.equal(heard, wave) and heard is not wave
    if not nothing:
        assert torch.equal(generator.get_state(), seeded().get_state())


def test_what_a_distortion_draws_changes_no_other_draws():
    wave = white(50, 20)
    expected = distort(wave, seeded(), [(halve, 0.5), (gain, 0.5)])
    torch.testing.assert_close(
        distort(wave, seeded(), [(greedy, 0.5), (gain, 0.5)]).abs(),
        torch.where((expected.abs() < 0.6 * wave.abs()).any(1, True), expected * 2, expected).abs(),
    )
    states = []
    for factor in (0, 1, 100):
        generator = seeded()
        distort(factor * wave, generator, [greedy, (gain, 0.5)])
        states.append(generator.get_state())
    assert torch.equal(states[0], states[1]) and torch.equal(states[0], states[2])


def test_distortions_draw_anew_for_each_batch_and_each_entry():
    wave, generator = torch.ones(4, 3), seeded()
    first, second = (distort(wave, generator, [gain]) for _ in range(2))
    assert not (first == second).any()
    squared = distort(wave, seeded(), [gain, gain])
    assert not torch.isclose(squared, first**2).any()


def test_a_single_clip_of_a_batch_hears_another_one():
    wave = white(4, 2000)
    seen = []

    def spy(given, generator):
        seen.append(len(given))
        return add_speech(given, generator)

    for seed in range(40):
        heard = distort(wave, seeded(seed), [(spy, 0.2)])
        changed = (heard != wave).any(1)
        assert len(seen) == bool(changed.any())
        if seen:
            assert seen.pop() == max(2, changed.sum())
    assert torch.equal(distort(wave[:1], seeded(), [add_speech]), wave[:1])


def test_functions_that_ask_for_the_sample_rate_are_told():
    wave = torch.ones(1, 2)
    assert distort(wave, seeded(), [needing_a_rate], 8000)[0, 0] == 8000
    own = partial(needing_a_rate, sample_rate=11025)
    assert distort(wave, seeded(), [own], 8000)[0, 0] == 11025
    resolved = resolve_distortions([needing_a_rate, own, halve], 8000)
    assert resolve_distortions(resolved, 44100) == resolved  # it is told once
    assert resolved[2] == (halve, 1)
    rates = [f.keywords.get("sample_rate") for f, _ in resolve_distortions("pase+", 8000)
             if isinstance(f, partial)]  # fmt: skip
    assert rates == [8000] * 6
    # also the room of somebody who speaks elsewhere
    room = partial(add_speech, room=needing_a_rate, snr=[-100])
    heard = distort(white(2, 800), seeded(), [room], 8000)
    assert heard[:, -100:].diff().abs().max() < 1e-3


@pytest.mark.parametrize(
    ("distortions", "error", "message"),
    [
        ("pase", ValueError, r"distortions='pase' is unknown; use one of \['pase\+'\], or a list"),
        (halve, TypeError, "must be None, one of .* or a list of functions"),
        (["add_noise"], TypeError, r"distortions\[0\]='add_noise' must be a function"),
        ([halve, (halve, 0.5, 1)], TypeError, r"distortions\[1\]=.* must be a function, or"),
        ([torch.nn.ReLU], TypeError, r"distortions\[0\]=.*ReLU"),
        ([(halve, 1.5)], ValueError, r"probability of distortions\[0\]=1.5 must be between 0"),
        ([(halve, "often")], TypeError, r"probability of distortions\[0\]='often' must be a num"),
        ([(0.5, halve)], TypeError, r"distortions\[0\]=\(0.5, <function halve"),
    ],
)
def test_what_is_no_list_of_distortions(distortions, error, message):
    with pytest.raises(error, match=message):
        resolve_distortions(distortions)


@pytest.mark.parametrize(
    "result",
    [lambda w: w[:, 1:], lambda w: w.double(), lambda w: w[:1, :1], lambda w: None, lambda w: w[0]],
)
def test_a_distortion_that_returns_something_else(result):
    def broken(wave, generator):
        return result(wave)

    with pytest.raises(ValueError, match=r"the distortion .*broken.* returned a .*\(3, 20\)"):
        distort(white(3, 20), seeded(), [broken])


# --- as a parameter of an estimator --------------------------------------------------------------


class Distorting(MFCCTransformer):
    """An extractor with a parameter that holds distortions."""

    def __init__(self, n_mfcc=5, distortions=None, sample_rate=8000):
        super().__init__(n_mfcc=n_mfcc, sample_rate=sample_rate)
        self.distortions = distortions


def example():
    noises = [np.arange(3, dtype=np.float32), np.ones(5)]
    return [(partial(add_noise, noises=noises, snr=[5.0]), 0.5), chop, (gain, 0.25)]


def same(found, expected):
    """Whether two lists of distortions do the same."""
    wave = white(6, 400)
    return torch.equal(distort(wave, seeded(), found), distort(wave, seeded(), expected))


def test_they_are_cloned_pickled_and_described():
    extractor = Distorting(distortions=example())
    for copy in (clone(extractor), pickle.loads(pickle.dumps(extractor))):
        assert same(copy.distortions, example())
        assert described(copy) == described(extractor)
    for other in ("pase+", None, example()[1:], [*example(), halve], [add_noise, *example()[1:]]):
        assert described(Distorting(distortions=other)) != described(extractor)
    snr_10 = partial(add_noise, snr=[10])
    assert content([snr_10]) == content([partial(add_noise, snr=[10])])
    assert content([snr_10]) != content([partial(add_noise, snr=[5])])
    with pytest.raises(Unidentifiable, match="is a lambda"):
        described(Distorting(distortions=[lambda wave, generator: wave]))


@pytest.mark.parametrize("distortions", [None, "pase+", example(), tuple(example()), [reverberate]])
def test_they_are_saved_by_name(tmp_path, clips, distortions):
    extractor = Distorting(distortions=distortions).fit(clips)
    extractor.save(tmp_path / "saved")
    back = load(tmp_path / "saved", trusted=[Distorting])
    assert type(back.distortions) is type(distortions)
    assert same(back.distortions, distortions)


def test_functions_of_others_come_back_to_those_who_trust_them(tmp_path, clips):
    own = [(partial(halve), 0.5)]
    Distorting(distortions=own).fit(clips).save(tmp_path / "saved")
    name = f"{__name__}.halve"
    with pytest.raises(ValueError, match=rf"it needs {name}, which .*, pass trusted=\['{name}'\]"):
        load(tmp_path / "saved", trusted=[Distorting])
    for trusted in (name, halve):
        back = load(tmp_path / "saved", trusted=[Distorting, trusted])
        assert back.distortions[0][0].func is halve and same(back.distortions, own)


def test_what_cannot_be_saved(tmp_path, clips):
    for function in (lambda wave, generator: wave, partial(partial(halve), None)):
        extractor = Distorting(distortions=[function]).fit(clips)
        with pytest.raises(TypeError, match=r"distortions/0 holds a .*; set another value, or"):
            extractor.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gain", "getattr"),
        ("gain", "resolve"),
        ("gain", "skaudio.augment.gain"),
        ("gain", "os.system"),
        ("gain", "PASE_PLUS"),
    ],
)
def test_a_file_names_no_other_function(tmp_path, clips, old, new):
    Distorting(distortions=[gain]).fit(clips).save(tmp_path / "saved")
    file = tmp_path / "saved" / "estimator.json"
    text = file.read_text()
    assert f'"function": "{old}"' in text
    file.write_text(text.replace(f'"function": "{old}"', f'"function": "{new}"'))
    with pytest.raises(ValueError, match=r"cannot be loaded: .*(trust|no function)"):
        load(tmp_path / "saved", trusted=[Distorting])
    no_partial = text.replace('"function": "gain"', '"partial": [1]')
    assert no_partial != text
    file.write_text(no_partial)
    with pytest.raises(ValueError, match="cannot be loaded: the value of distortions/0 is written"):
        load(tmp_path / "saved", trusted=[Distorting])


@pytest.mark.parametrize("extractor", [CNNTransformer, SincNetTransformer])
def test_networks_train_on_distorted_clips(tmp_path, extractor):
    """In training only, at the estimator's rate, and saved with it."""
    clips = [np.sin(np.arange(4000) / pitch) for pitch in (3, 5, 4, 6) * 2]
    params = {"max_epochs": 1, "validation_fraction": 0.25, "random_state": 0, "sample_rate": 8000}
    seen.clear()
    fitted = extractor(distortions=[noted, (gain, 0.5)], **params).fit(clips, [0, 1] * 4)
    assert {*seen} == {8000}
    n_seen = len(seen)
    features = fitted.transform(clips)
    fitted.predict(clips)
    assert len(seen) == n_seen
    clean = extractor(**params).fit(clips, [0, 1] * 4)
    assert not np.allclose(clean.transform(clips), features)
    fitted.save(tmp_path / "saved")
    back = load(tmp_path / "saved", trusted=[noted])
    assert back.distortions == [noted, (gain, 0.5)]
    np.testing.assert_array_equal(back.transform(clips), features)
    with pytest.raises(ValueError, match="distortions='noise' is unknown"):
        extractor(distortions="noise", **params).fit(clips, [0, 1] * 4)
