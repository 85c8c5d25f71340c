"""ProsodyTransformer: its columns from its frames, odd clips, and what the columns tell."""

import weakref

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from skaudio import BlockScaler, ProsodyTransformer
from skaudio._functionals import FAMILIES
from skaudio.extractors import _prosody
from skaudio.networks.rhythm import NAMES
from tests.test_functionals import LOOPS, RATE

SR = 16000
VOICED_ONLY = ("f0", "hnr", "jitter", "shimmer", "h1_", "f1", "f2", "f3")


def tone(hz, seconds=1.0, level=0.3):
    """Tone; hz may be an array of the frequency at each sample."""
    n = round(seconds * SR)
    return level * np.sin(2 * np.pi * np.cumsum(np.broadcast_to(hz, n)) / SR)


def pulses(hz, seconds=1.0):
    phase = np.cumsum(np.broadcast_to(hz, round(seconds * SR))) / SR
    return (np.diff(np.floor(phase), prepend=0) > 0).astype(float)


@pytest.fixture
def clips(rng):
    """Voiced, unvoiced and mixed ones of different lengths."""
    noise = 0.1 * rng.standard_normal(30_000)
    rising = pulses(np.linspace(100, 200, 12_000), 0.75)
    mixed = np.concatenate([rising, noise[:4000], pulses(150, 0.5)]) + 0.01 * noise[:24_000]
    return [mixed, noise, tone(220), rising, noise[:300]]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def named(prosody, clips):
    """Columns by name: arrays (n_clips,)."""
    return dict(zip(prosody.get_feature_names_out(), prosody.transform(clips).T, strict=True))


def test_columns_are_functionals_of_the_frames(clips):
    prosody = ProsodyTransformer(_prosody.GROUPS, [*FAMILIES]).fit(clips)
    columns, names = named(prosody, clips), prosody.get_frame_names_out().tolist()
    looped = {"voiced_share", *NAMES}
    for i, frames in enumerate(prosody.transform_frames(clips)):
        voiced = frames[:, names.index("voiced")] == 1
        assert columns["voiced_share"][i] == pytest.approx(voiced.mean())
        for name, contour in zip(names, frames.T.astype(float), strict=True):
            valid = voiced if name.startswith(VOICED_ONLY) else np.ones_like(voiced)
            for family, loop in LOOPS.items():
                if name == "voiced":
                    continue
                functionals = [f"{name}_{part}" for part in FAMILIES[family][1]]
                looped |= {*functionals}
                expected = np.zeros(len(functionals))
                if valid.any():
                    expected = loop(contour[valid], np.flatnonzero(valid))
                tolerance = 1e-5 * (np.abs(contour).max() * RATE + 1)
                found = [columns[functional][i] for functional in functionals]
                np.testing.assert_allclose(found, expected, rtol=1e-4, atol=tolerance)
    assert looped == columns.keys()


def test_what_pitch_columns_tell():
    rise, fall = 100 * 2 ** np.linspace(0, 1, SR), 200 * 2 ** -np.linspace(0, 1, SR)
    clips = [pulses(rise), pulses(fall), pulses(140), tone(440)]
    found = named(ProsodyTransformer(["pitch"]).fit(clips), clips)
    np.testing.assert_allclose(found["f0_semitone_slope"], [12, -12, 0, 0], atol=0.3)
    # two cents from one frame to the next, where a clip begins or ends, are 2 semitones per second
    np.testing.assert_allclose(found["f0_semitone_rise_slope_mean"][[0, 3]], [12, 0], atol=3)
    np.testing.assert_allclose(found["f0_semitone_fall_slope_mean"][[1, 3]], [12, 0], atol=3)
    middle = 12 * np.log2(np.array([100 * 2**0.5, 100 * 2**0.5, 140, 440]) / 27.5)
    np.testing.assert_allclose(found["f0_semitone_p50"], middle, atol=0.1)
    np.testing.assert_allclose(found["f0_semitone_high_position"][:2], [0.97, 0.03], atol=0.03)
    assert (found["voiced_share"] > 0.95).all()


def test_voiced_contours_ignore_unvoiced_frames(rng):
    voice, noise = pulses(150, 0.8), 0.05 * rng.standard_normal(SR)
    padded = np.concatenate([noise, voice, noise])
    alone, within = ProsodyTransformer(["pitch", "voice"], ["moments"]).fit_transform(
        [voice, padded]
    )
    names = ProsodyTransformer(["pitch", "voice"], ["moments"]).fit([voice]).get_feature_names_out()
    found = dict(zip(names, zip(alone, within, strict=True), strict=True))
    assert found["f0_semitone_mean"][1] == pytest.approx(found["f0_semitone_mean"][0], abs=0.05)
    assert found["voiced_share"][1] == pytest.approx(0.8 / 2.8, abs=0.03)


def test_names_and_groups(clips):
    prosody = ProsodyTransformer().fit(clips)
    names, groups = prosody.get_feature_names_out(), prosody.get_feature_groups_out()
    wanted = {"f0_semitone_p50", "hnr_mean", "jitter_std", "voiced_share", "rms_rise_slope_mean"}
    assert wanted <= {*names}
    assert [*dict.fromkeys(groups)] == ["pitch", "voice", "energy", "spectrum", "rhythm"]
    of = dict(zip(names, groups, strict=True))
    assert of["voiced_share"] == "pitch" and of["loudness_third1"] == "energy"
    assert [n for n in names if of[n] == "rhythm"] == [*NAMES]
    assert {"f0_semitone", "voiced", "loudness"} <= {*prosody.get_frame_names_out()}
    # a part of the groups gives the same columns, in the order asked for
    some = ProsodyTransformer(("rhythm", "voice")).fit(clips)
    assert [*some.get_feature_names_out()] == [
        *(n for n in names if of[n] == "rhythm"), *(n for n in names if of[n] == "voice")
    ]  # fmt: skip
    whole = named(prosody, clips)
    for name, column in named(some, clips).items():
        np.testing.assert_array_equal(column, whole[name])


def test_pooled_like_other_extractors(clips):
    prosody = ProsodyTransformer(["energy"], pooling=["mean", "max"]).fit(clips)
    names = prosody.get_frame_names_out()
    assert [*prosody.get_feature_names_out()] == [
        f"{n}_{p}" for p in ("mean", "max") for n in names
    ]
    groups = prosody.get_feature_groups_out()
    assert len(groups) == prosody.n_features_out_ and {*groups} == {"pitch", "energy"}
    for row, frames in zip(prosody.transform(clips), prosody.transform_frames(clips), strict=True):
        np.testing.assert_allclose(row, np.r_[frames.mean(0), frames.max(0)], rtol=1e-4, atol=1e-5)


def test_balanced_groups_of_a_pipeline(clips):
    prosody = ProsodyTransformer().fit(clips)
    groups = prosody.get_feature_groups_out()
    Z = BlockScaler(groups).fit_transform(prosody.transform(clips))
    mean_size = len(groups) / len({*groups})
    for group in dict.fromkeys(groups):
        assert (Z[:, groups == group] ** 2).sum(1).mean() <= mean_size * (1 + 1e-5)


ODD = {
    "silence": np.zeros(SR),
    "constant": np.full(SR, 0.7),
    "tone on a constant": tone(200) + 0.6,
    "noise": 0.3 * np.random.default_rng(0).standard_normal(SR),
    "shorter than a pitch period": tone(100, 0.005),
    "one frame": tone(300, 0.009),
    "one sample": np.ones(1),
    "constant pitch": pulses(125),
    "click": np.eye(1, SR, 4000)[0],
    "very loud": 1e4 * tone(200),
    "very soft": 1e-6 * tone(200),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_clips(name):
    prosody = ProsodyTransformer(_prosody.GROUPS, [*FAMILIES]).fit([ODD[name]])
    (frames,) = prosody.transform_frames([ODD[name]])
    assert np.isfinite(frames).all()
    assert len(frames) == len(ODD[name]) // 160 + 1
    columns = named(prosody, [ODD[name]])
    assert all(np.isfinite(column).all() for column in columns.values())
    if name in ("silence", "constant", "noise", "click", "one sample"):
        assert columns["voiced_share"] == 0
        assert columns["f0_semitone_mean"] == 0 and columns["hnr_std"] == 0
    if name in ("silence", "constant"):
        moving = ("_std", "_slope", "_error", "_curvature", "_rate", "_abs", "20to80", "05to95")
        for column, value in columns.items():
            if column.endswith(moving) and not column.startswith("unvoiced"):
                assert value == pytest.approx(0, abs=1e-4), column
    if name == "constant pitch":
        for part in ("std", "slope", "curvature", "range20to80", "peak_height_mean"):
            assert columns[f"f0_semitone_{part}"] == pytest.approx(0, abs=0.1), part


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"groups": ["pitch", "mood"]}, "groups=.* must hold one or more of pitch, voice"),
        ({"groups": []}, "groups=.* must hold one or more"),
        ({"groups": "pitch"}, "groups='pitch' must hold one or more"),
        ({"groups": ["pitch", "pitch"]}, "names the same twice"),
        ({"functionals": "all"}, "functionals='all' must hold one or more of moments"),
        ({"functionals": ["moments", "course"]}, "functionals=.* must hold one or more"),
        ({"hop_seconds": 0.0}, "hop_seconds"),
        ({"fmin": 0}, "fmin"),
        ({"fmax": 40.0}, "fmax"),
        ({"fmax": 9000.0}, "fmax"),
        ({"pooling": "functional"}, "pooling='functional' is unknown"),
    ],
    ids=str,
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        ProsodyTransformer(**params).fit([np.zeros(1000)])


def test_hour_is_no_more_than_its_parts(monkeypatch):
    # a clip much longer than a batch, functionals in blocks of one contour
    monkeypatch.setattr("skaudio._functionals._BLOCK", 1 << 10)
    clip = np.tile(pulses(np.linspace(100, 150, SR)), 40)
    short = ProsodyTransformer(batch_size=1.0).fit([clip]).transform([clip])
    np.testing.assert_allclose(
        short, ProsodyTransformer().fit_transform([clip]), rtol=1e-4, atol=1e-4
    )


class Living(TorchDispatchMode):
    """Bytes of the tensors that live at a time, and the most of them; not those of a given one."""

    def __init__(self, given):
        super().__init__()
        self.now, self.most, self.living = 0, 0, {given.untyped_storage()._cdata}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            storage = tensor.untyped_storage() if isinstance(tensor, torch.Tensor) else None
            if storage is not None and storage._cdata not in self.living:
                self.living.add(storage._cdata)
                self.now += storage.nbytes()
                self.most = max(self.most, self.now)
                weakref.finalize(storage, self.free, storage._cdata, storage.nbytes())
        return result

    def free(self, storage, n_bytes):
        self.living.discard(storage)
        self.now -= n_bytes


def test_memory_of_a_long_clip_is_that_of_its_filtered_wave_and_contours(monkeypatch, rng):
    # blocks so small that they count little beside the clips
    for name, size in {
        **{"filters._PART": 1 << 14, "paths._BLOCK": 1 << 13, "voice._BLOCK": 1 << 5},
        **{"pitch._CHUNK": 1 << 14, "contours._CHUNK": 1 << 14},
    }.items():
        monkeypatch.setattr(f"skaudio._frontends.{name}", size)
    monkeypatch.setattr("skaudio._functionals._BLOCK", 1 << 10)
    prosody = ProsodyTransformer(["voice"], ["moments", "percentiles"]).fit([tone(100)])
    forward = prosody._ready("functionals")

    def peak(seconds):
        clip = pulses(150, seconds) + 0.01 * rng.standard_normal(seconds * SR)
        wave = torch.from_numpy(clip.astype(np.float32))[None]
        with Living(wave) as tensors:
            forward.network(*forward.frontend(wave, torch.tensor([len(clip)])))
        assert tensors.now < tensors.most / 2  # what is freed is not counted
        return tensors.most

    # per sample: 4 bytes of the wave below 2 kHz, 0.2 of 9 contours, about 1 of periods
    assert (peak(8) - peak(3)) / (5 * SR) < 6
