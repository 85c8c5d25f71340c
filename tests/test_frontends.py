"""Stage 3 against librosa, scipy and numpy, in float64."""

import librosa
import numpy as np
import pytest
import torch
from scipy.fft import dct

from skaudio import frontends
from skaudio._tensors import mask
from skaudio.frontends import MFCC, Chain, FitLength, LogMel, Standardize, Wave, mel_filters
from tests.by_hand import log_mel, noise

PAPER = {"sample_rate": 12000, "n_fft": 512, "hop_length": 256, "n_mels": 96, "fmin": 0.0,
         "fmax": None, "top_db": 80.0, "pad": "reflect"}  # fmt: skip
LIBROSA = {"sample_rate": 16000, "n_fft": 2048, "hop_length": 512, "n_mels": 128, "fmin": 0.0,
           "fmax": None, "top_db": 80.0, "pad": "constant"}  # fmt: skip
CHANGES = [
    {},
    {"fmin": 300.0, "fmax": 4000.0},
    {"n_fft": 1023, "hop_length": 100},
    {"top_db": None},
]


def run(module, clips):
    """Outputs (C, T) of clips that share one batch."""
    lengths = torch.tensor([len(clip) for clip in clips])
    wave = torch.zeros(len(clips), int(lengths.max()))
    for row, clip in zip(wave, clips, strict=True):
        row[: len(clip)] = torch.from_numpy(clip)
    x, out = module(wave, lengths)
    assert torch.equal(out, module.output_lengths(lengths)) and x.shape[-1] == out.max()
    return [y[:, :n].numpy() for y, n in zip(x, out, strict=True)]


@pytest.mark.parametrize("change", CHANGES, ids=str)
@pytest.mark.parametrize("settings", [PAPER, LIBROSA], ids=["paper", "librosa"])
def test_log_mel_is_that_of_librosa(settings, change):
    settings = {**settings, **change}
    clips = [0.1 * clip for clip in noise(20_000, 3_001)]
    clips[0][5000:10_000] *= 1e-7  # under the floor
    for clip, found in zip(clips, run(LogMel(**settings), clips), strict=True):
        power = librosa.feature.melspectrogram(
            y=clip.astype(np.float64), sr=settings["sample_rate"], n_fft=settings["n_fft"],
            hop_length=settings["hop_length"], n_mels=settings["n_mels"], fmin=settings["fmin"],
            fmax=settings["fmax"], pad_mode=settings["pad"],
        )  # fmt: skip
        expected = librosa.power_to_db(power, top_db=settings["top_db"])
        assert found.shape == expected.shape
        audible = expected > expected.max() - 100  # below that, float32 itself is noise
        np.testing.assert_allclose(found[audible], expected[audible], atol=1e-3)


@pytest.mark.parametrize(
    "settings",
    [(16000, 512, 96, 0.0, None), (12000, 2048, 128, 300.0, 4000.0), (8000, 301, 64, 0.0, 1500.0)],
)
def test_mel_filters_are_those_of_librosa(settings):
    sample_rate, n_fft, n_mels, fmin, fmax = settings
    expected = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)
    np.testing.assert_allclose(mel_filters(*settings), expected, rtol=1e-6, atol=1e-9)


def test_paper_frames():
    (x,) = run(LogMel(**PAPER), noise(350_000))
    assert x.shape == (96, 1368)


@pytest.mark.parametrize("n_samples", [1, 2, 3, 100, 255, 256, 257, 511, 512, 513])
def test_short_clips_mirror_as_numpy_pads(n_samples):
    (clip,) = noise(n_samples)
    (found,) = run(LogMel(**PAPER), [clip])
    np.testing.assert_allclose(found, log_mel(clip)[0].T, atol=1e-3)
    # and the same beside a longer clip
    np.testing.assert_allclose(run(LogMel(**PAPER), [*noise(5000), clip])[1], found, atol=1e-4)


def test_floor_is_under_the_clip_own_maximum():
    loud, quiet = noise(8000, 4000)
    quiet = quiet * np.float32(0.1)
    quiet[:2000] = 0
    _, beside = run(LogMel(**LIBROSA), [10_000 * loud, quiet])
    (alone,) = run(LogMel(**LIBROSA), [quiet])
    np.testing.assert_allclose(beside, alone, atol=1e-4)
    assert beside.min() == pytest.approx(beside.max() - 80.0, abs=1e-4)


def test_silence_is_the_smallest_power():
    (x,) = run(LogMel(**LIBROSA), [np.zeros(3000, np.float32)])
    assert (x == -100.0).all()


@pytest.mark.parametrize("settings", [PAPER, LIBROSA], ids=["paper", "librosa"])
@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_chunks_do_not_show(settings, chunk, monkeypatch):
    clips = noise(9000, 5001, 300)
    whole = run(LogMel(**settings), clips)
    monkeypatch.setattr(frontends, "_CHUNK", chunk * settings["n_fft"])
    for x, y in zip(run(LogMel(**settings), clips), whole, strict=True):
        np.testing.assert_allclose(x, y, atol=1e-4)


@pytest.mark.parametrize("pad", ["reflect", "constant"])
@pytest.mark.parametrize(
    ("n_fft", "hop_length"), [(512, 256), (512, 512), (301, 100), (64, 200), (400, 7)]
)
def test_ends_of_a_long_clip_alone_are_those_of_the_whole(n_fft, hop_length, pad, monkeypatch):
    module = LogMel(**{**PAPER, "n_fft": n_fft, "hop_length": hop_length, "pad": pad})
    copied, plain = [], module._centred
    for n_samples in (9000, *range(9797, 9803), 9984):
        clips = noise(n_samples)
        (whole,) = run(module, clips)
        with monkeypatch.context() as patch:
            patch.setattr(frontends, "_LONG", 1)
            patch.setattr(module, "_centred", lambda x, n: copied.append(x.shape[1]) or plain(x, n))
            (found,) = run(module, clips)
        assert found.shape == whole.shape
        np.testing.assert_allclose(found, whole, atol=1e-4)
    assert len(copied) == 16 and max(copied) < 4 * (n_fft + hop_length)


@pytest.mark.parametrize("settings", [PAPER, LIBROSA], ids=["paper", "librosa"])
def test_ragged_batch_equals_alone(settings):
    clips = noise(9000, 1, 5001, 300, 8999)
    module = Chain(LogMel(**settings), MFCC(settings["n_mels"], 20), Standardize(), FitLength(5))
    for clip, beside in zip(clips, run(module, clips), strict=True):
        np.testing.assert_allclose(beside, run(module, [clip])[0], atol=1e-5)


@pytest.mark.parametrize(("n_mels", "n_mfcc"), [(128, 20), (40, 40), (96, 1)])
def test_mfcc_is_an_orthonormal_dct(n_mels, n_mfcc):
    decibels = 20 * np.random.default_rng(0).standard_normal((2, n_mels, 30))
    x, lengths = MFCC(n_mels, n_mfcc)(torch.from_numpy(decibels).float(), torch.tensor([30, 9]))
    assert lengths.tolist() == [30, 9]
    np.testing.assert_allclose(x, dct(decibels, axis=1, norm="ortho")[:, :n_mfcc], atol=1e-4)


class TestStandardize:
    lengths = torch.tensor([40, 13, 1])

    @pytest.fixture
    def x(self):
        x = 30 + 5 * np.random.default_rng(0).standard_normal((3, 6, 40)).astype(np.float32)
        for row, n in zip(x, self.lengths, strict=True):
            row[:, n:] = 0
        return x

    def test_each_clip_as_a_whole(self, x):
        found, lengths = Standardize()(torch.from_numpy(x), self.lengths)
        assert torch.equal(lengths, self.lengths)
        for y, clip, n in zip(found.numpy(), x.astype(float), lengths.tolist(), strict=True):
            clip = clip[:, :n]
            np.testing.assert_allclose(y[:, :n], (clip - clip.mean()) / clip.std(), atol=1e-4)
            assert not y[:, n:].any()

    def test_learnt_statistics_per_channel(self, x):
        mean, scale = np.linspace(20, 40, 6), np.linspace(1, 3, 6)
        found, _ = Standardize(mean, scale)(torch.from_numpy(x), self.lengths)
        for y, clip, n in zip(found.numpy(), x.astype(float), self.lengths, strict=True):
            expected = (clip[:, :n] - mean[:, None]) / scale[:, None]
            np.testing.assert_allclose(y[:, :n], expected, atol=1e-5)
            assert not y[:, n:].any()

    @pytest.mark.parametrize("value", [0.0, -100.0, 0.1, 1e-20])
    def test_constant_clip_becomes_zero(self, value):
        x, _ = Standardize()(torch.full((1, 96, 77), value), torch.tensor([77]))
        assert x.abs().max() <= 1e-6 * max(1.0, abs(value))


class TestFitLength:
    lengths = torch.tensor([10, 3, 1])

    def fit(self, *args):
        """What each of three clips, counting 1 2 3 ..., becomes."""
        x = torch.zeros(3, 2, 10)
        for row, n in zip(x, self.lengths, strict=True):
            row[:, :n] = torch.arange(1, n + 1)
        y, lengths = FitLength(*args)(x, self.lengths)
        assert torch.equal(y[:, 0], y[:, 1])
        return [row[:n].int().tolist() for row, n in zip(y[:, 0], lengths, strict=True)]

    def test_repeat_up_to_the_shortest(self):
        assert self.fit(5) == [[*range(1, 11)], [1, 2, 3, 1, 2], [1] * 5]

    def test_zeros_up_to_the_shortest(self):
        assert self.fit(5, None, "zero") == [[*range(1, 11)], [1, 2, 3, 0, 0], [1, 0, 0, 0, 0]]

    def test_fixed_keeps_the_first_steps(self):
        assert self.fit(1, 4) == [[1, 2, 3, 4], [1, 2, 3, 1], [1] * 4]
        assert self.fit(1, 4, "zero") == [[1, 2, 3, 4], [1, 2, 3, 0], [1, 0, 0, 0]]

    def test_fixed_beyond_all(self):
        assert self.fit(1, 12, "zero")[0] == [*range(1, 11), 0, 0]
        assert self.fit(1, 12)[:2] == [[*range(1, 11), 1, 2], [1, 2, 3] * 4]

    def test_long_enough_stays(self):
        assert self.fit(1) == [[*range(1, 11)], [1, 2, 3], [1]]


def test_chain_multiplies_steps():
    chain = Chain(LogMel(**PAPER), Standardize(), FitLength(4))
    assert chain.step == 256 and Wave().step == 1
    assert chain.output_lengths(torch.tensor([1, 2560])).tolist() == [4, 11]


def test_wave_is_the_clip():
    (clip,) = noise(100)
    np.testing.assert_array_equal(run(Wave(), [clip])[0], clip[None])


# --- gradients, for what learns before a front-end ------------------------------------------------


@pytest.mark.parametrize("change", [{}, {"top_db": None}], ids=str)
@pytest.mark.parametrize("lengths", [(6000, 3001), (9000,)], ids=["ragged", "long"])
def test_gradient_of_log_mel(change, lengths, monkeypatch):
    monkeypatch.setattr(frontends, "_LONG", 1)
    module = Chain(LogMel(**{**PAPER, **change}), MFCC(96, 13))
    lengths = torch.tensor(lengths)
    x = torch.zeros(len(lengths), int(lengths.max()), dtype=torch.float64)
    for row, clip in zip(x, noise(*lengths.tolist()), strict=True):
        row[: len(clip)] = torch.from_numpy(clip)
        row[: len(clip) // 2] *= 1e-5  # the floor is above it
    wave = x.float()
    expected, found = (module(w, lengths)[0] for w in (wave, wave.clone().requires_grad_()))
    assert torch.equal(found, expected) and found.requires_grad

    log_mel = module.double().parts[0]
    way = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def loss(wave):
        return log_mel(mask(wave[:, None], lengths)[:, 0], lengths)[0].square().sum()

    (slope,) = torch.autograd.grad(loss(x.requires_grad_()), x)
    with torch.no_grad():
        difference = loss(x + 1e-9 * way) - loss(x - 1e-9 * way)
    assert float((slope * way).sum()) == pytest.approx(float(difference) / 2e-9, rel=1e-4)


@pytest.mark.parametrize("learnt", [False, True])
def test_gradient_of_standardize(learnt):
    lengths, generator = torch.tensor([50, 20, 9, 4]), torch.Generator().manual_seed(0)
    x, towards = torch.randn(2, 4, 3, 50, generator=generator)
    x = mask(2 * x + 1, lengths)
    x[2] = 0.0  # silence: its deviation has no slope
    mean, scale = torch.arange(3.0)[:, None], torch.arange(1.0, 4.0)[:, None]
    module = Standardize(mean[:, 0].numpy(), scale[:, 0].numpy()) if learnt else Standardize()
    module = Chain(module, FitLength(9))
    found = torch.autograd.grad((module(x.requires_grad_(), lengths)[0] * towards).sum(), x)[0]
    assert found.isfinite().all()
    for clip, slope, weight, n in zip(x, found, towards, lengths.tolist(), strict=True):
        inner = clip[:, :n].detach().double().requires_grad_()
        if learnt:
            y = (inner - mean) / scale
        elif not inner.any():
            y = 0 * inner
        else:
            y = (inner - inner.mean()) / inner.std(correction=0)
        y = torch.cat([y, y, y], dim=1)[:, : max(9, n)]
        expected = torch.autograd.grad((y * weight[:, : max(9, n)]).sum(), inner)[0]
        torch.testing.assert_close(slope[:, :n].double(), expected, rtol=1e-4, atol=1e-5)
