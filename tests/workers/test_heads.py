"""Heads and losses of workers: numbers of parameters, and float64."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from skaudio import workers
from skaudio.workers import GIM, LIM, PASE, PASE_PLUS, SPC, Lesson, Regression, Waveform

# of the published workers, fact by fact
OF_PASE = {
    "waveform": 6_461_377, "lps": 289_537, "mfcc": 31_252, "prosody": 27_140, "spc": 154_369,
    "lim": 51_969, "gim": 51_969,
}  # fmt: skip
OF_PASE_PLUS = {
    "waveform": 8_857_537, "lps": 5_597_973, "lps_long": 5_597_973, "fbank": 281_928,
    "fbank_long": 281_928, "gammatone": 281_928, "gammatone_long": 281_928, "mfcc": 136_209,
    "mfcc_long": 173_988, "prosody": 87_636, "lim": 131_841, "gim": 131_841,
}  # fmt: skip


@pytest.mark.parametrize(("names", "width", "counts", "total"), [
    (PASE, 100, OF_PASE, 7_067_613), (PASE_PLUS, 256, OF_PASE_PLUS, 21_842_710),
])  # fmt: skip
def test_workers_have_as_many_parameters_as_published(names, width, counts, total):
    made = workers.build(names, width, 160, 16000)
    found = {name: sum(p.numel() for p in worker.parameters()) for name, worker in made.items()}
    assert found == counts
    assert sum(found.values()) == total


def lesson_of(frames, wave=None, pairs=None):
    pairs = torch.empty(3, 0, dtype=torch.int64) if pairs is None else torch.tensor(pairs)
    wave = torch.zeros(len(frames), 160 * frames.shape[2]) if wave is None else wave
    return Lesson(frames, wave, pairs, torch.Generator().manual_seed(0))


def head_by_hand(head, vectors):
    """Float64 output (..., n_outputs) of two layers for vectors (..., n_inputs)."""
    first, act, second = (
        {name: p.detach().double().numpy() for name, p in layer.named_parameters()}
        for layer in head
    )
    hidden = vectors @ first["weight"][..., 0].T + first["bias"]
    hidden = np.where(hidden > 0, hidden, act["weight"] * hidden)
    return hidden @ second["weight"][..., 0].T + second["bias"]


def cross_entropy(logits, true):
    """Mean of -log of the probability of the truth."""
    sign = 1 if true else -1
    return np.log1p(np.exp(-sign * logits)).mean()


def test_slopes_begin_as_published():
    decoder = Waveform(8, 160, 16000).head
    slopes = [float(m.weight[0].detach()) for m in decoder if isinstance(m, nn.PReLU)]
    assert slopes == [0.0, 0.0, 0.0, 0.25]


@pytest.mark.parametrize("n_frames", [1, 3, 100])
def test_the_decoder_gives_the_samples_of_the_frames(n_frames):
    decoder = Waveform(8, 160, 16000, channels=(4, 3, 2), hidden=2).head
    assert decoder(torch.zeros(1, 8, n_frames)).shape == (1, 1, 160 * n_frames)


def test_the_published_decoder_makes_16000_samples_of_100_frames():
    with torch.no_grad():
        assert Waveform(100, 160, 16000).head(torch.zeros(1, 100, 100)).shape == (1, 1, 16000)


@pytest.mark.parametrize(("options", "match"), [
    ({"strides": (4, 4, 5)}, "strides=.* make 80 samples of a frame, which has 160"),
    ({"kernels": (31, 30, 30)}, "kernels=.* an even number more"),
    ({"kernels": (30, 30, 8)}, "kernels=.* an even number more"),
    ({"channels": (8, 8)}, "channels=.* must hold 3 positive integers"),
])  # fmt: skip
def test_a_decoder_of_the_wrong_length_is_told(options, match):
    with pytest.raises(ValueError, match=match):
        Waveform(8, 160, 16000, **options)


class Ramp(Regression):
    """Targets that tell which frame they are of."""

    n_targets = 2

    def target(self, wave):
        at = torch.arange(1.0, 1 + wave.shape[1] // 160).expand(len(wave), -1)
        return torch.stack([at, 100 * at], dim=1)


def test_neighbouring_frames_are_predicted_at_once():
    torch.manual_seed(0)
    worker = Ramp(3, 160, 16000, context=7, n_deltas=1)
    wave, frames = torch.zeros(2, 1600), torch.randn(2, 3, 10)
    worker.prepare([wave], False)
    loss = float(worker(lesson_of(frames, wave)).detach())
    at = np.arange(1.0, 11)
    plain = np.stack([at, 100 * at, np.ones(10), 100 * np.ones(10)])
    # differences that are constant are standardised to 0 and not blown up
    deviation = np.where(plain.std(axis=1) > 1e-9, plain.std(axis=1), 1)
    plain = (plain - plain.mean(axis=1, keepdims=True)) / deviation[:, None]
    padded = np.pad(plain, ((0, 0), (3, 3)))
    near = np.stack([padded[:, i : i + 10] for i in range(7)])  # (7, 4, 10)
    predicted = head_by_hand(worker.head, frames.double().numpy().swapaxes(1, 2))  # (2, 10, 28)
    expected = np.square(predicted - near.transpose(2, 0, 1).reshape(10, 28)).mean()
    assert loss == pytest.approx(expected, rel=1e-5)
    # who predicts the mean errs by what is not beyond the chunk
    assert float(worker.chance) == pytest.approx(np.square(near).mean(), rel=1e-5)


@pytest.mark.parametrize(("name", "value", "error"), [
    ("context", 2, ValueError), ("context", 0, ValueError), ("n_deltas", -1, ValueError),
    ("hidden", 0, ValueError), ("n_targets", 1.5, TypeError),
])  # fmt: skip
def test_bad_settings_are_told(name, value, error):
    with pytest.raises(error, match=f"{name}={value}"):
        Ramp(3, 160, 16000, **{name: value})


@pytest.mark.parametrize("kind", [LIM, GIM])
@pytest.mark.parametrize("swapped", [False, True])
def test_pairs_of_one_clip_are_told_from_those_of_two(kind, swapped):
    torch.manual_seed(0)
    worker, frames = kind(4, 160, 16000, swapped=swapped), torch.randn(6, 4, 9)
    pairs = [[0, 1, 2], [3, 4, 5], [4, 2, 0]]
    loss = float(worker(lesson_of(frames, pairs=pairs)).detach())
    x = frames.double().numpy().swapaxes(1, 2)
    if kind is GIM:
        x = x.mean(axis=1, keepdims=True)
    one, same, other = (x[places] for places in pairs)

    def entropy(a, b, true):
        return cross_entropy(head_by_hand(worker.head, np.concatenate([a, b], axis=2)), true)

    losses = [entropy(one, same, True), entropy(one, other, False)]
    if swapped:
        losses += [entropy(same, one, True), entropy(same, other, False)]
    assert loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert float(worker.chance) == pytest.approx(math.log(2))


@pytest.mark.parametrize("n_frames", [44, 45, 60, 100])
def test_moments_of_spc_keep_the_published_margins(n_frames):
    worker, generator = SPC(2, 160, 16000), torch.Generator().manual_seed(0)
    places = np.array([worker.places(n_frames, generator) for _ in range(3000)])
    t, after, before = places.T
    assert t.min() == 22 and t.max() == n_frames - 22
    # five frames that begin 16 or more after t, and five of which the last is 18 or more before
    assert (after - t).min() == 16 and (after + 4).max() <= n_frames - 2
    assert (t - (before + 4)).min() == 18 and before.min() == 0


@pytest.mark.parametrize("n_frames", range(14, 44))
def test_moments_of_short_chunks_lie_within_them(n_frames):
    worker, generator = SPC(2, 160, 16000), torch.Generator().manual_seed(0)
    for _ in range(30):
        t, after, before = worker.places(n_frames, generator)
        assert 0 <= before < before + 5 < t < after < after + 5 <= n_frames
    assert worker.min_frames == 14


def test_what_follows_is_told_from_what_came_before():
    torch.manual_seed(0)
    worker, frames = SPC(3, 160, 16000), torch.randn(5, 3, 60)
    loss = float(worker(lesson_of(frames)).detach())
    t, after, before = worker.places(60, torch.Generator().manual_seed(0))
    x = frames.double().numpy()
    losses = []
    for first, true in ((after, True), (before, False)):
        inputs = np.concatenate([x[:, :, t], x[:, :, first : first + 5].reshape(5, -1)], axis=1)
        losses.append(cross_entropy(head_by_hand(worker.head, inputs), true))
    assert loss == pytest.approx(np.mean(losses), rel=1e-5)
