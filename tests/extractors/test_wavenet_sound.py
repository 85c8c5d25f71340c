"""WaveNetTransformer: new sound."""

import pickle
import signal
import time
import tracemalloc
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from skaudio import ClipError, MFCCTransformer, WaveNetTransformer, load
from skaudio._engine import sampling, weights
from skaudio._engine.generation import Sampler

TINY = {
    "dilations": (1, 2, 4),
    "residual_channels": 4,
    "skip_channels": 8,
    "n_classes": 16,
    "max_epochs": 0,
    "random_state": 0,
}
FRAMES = MFCCTransformer(n_fft=256, hop_length=80, n_mels=8, n_mfcc=4)


@pytest.fixture(autouse=True)
def not_compiled(monkeypatch):
    """To compile the steps of the sampler would take longer than to do without."""
    monkeypatch.setattr(sampling, "Sampler", partial(Sampler, engine="torch"))


def wavenet(**params):
    return WaveNetTransformer(**{**TINY, **params})


@pytest.fixture
def fitted(clips):
    return wavenet().fit(clips)


def same(one, other):
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def by_hand(fitted, length, prime=(), label=None, frames=None, temperature=1.0, seed=0):
    """New samples of one clip: the whole network in float64 for each of them."""
    network = fitted._fitted_network().double()
    codes = network.codes(torch.tensor(prime, dtype=torch.float64)[None])
    label = None if label is None else torch.tensor([label])
    if frames is not None:
        frames = (np.asarray(frames) - fitted.condition_mean_) / fitted.condition_scale_
        frames = torch.from_numpy(frames.T[None]).double()
    generator = weights.new_generator(seed)
    for u in torch.rand(length, generator=generator, dtype=torch.float64):
        longer = torch.cat([codes, codes.new_zeros(1, 1)], dim=1)
        own = None if frames is None else frames[..., : -(-longer.shape[1] // 80)]
        logits = network.predictions(longer, label, own)[0, :, -1]
        if temperature == 0:
            new = logits.argmax()
        else:
            new = ((logits / temperature).softmax(0).cumsum(0) < u).sum()
        codes = torch.cat([codes, new.view(1, 1)], dim=1)
    return network.decode(codes[0, -length:]).numpy()


# --- what is drawn -------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0, 0.3, 1.0])
@pytest.mark.parametrize("kernel", [2, 3])
def test_samples_are_those_of_the_whole_network(kernel, temperature, clips):
    fitted = wavenet(kernel=kernel).fit(clips)
    (new,) = fitted.sample(length=40, temperature=temperature, random_state=0)
    np.testing.assert_array_equal(new, by_hand(fitted, 40, temperature=temperature))


@pytest.mark.parametrize("n_primed", [1, 5, 300])
def test_a_prime_is_continued(n_primed, fitted, clips):
    prime = clips[0][:n_primed]
    (new,) = fitted.sample(length=20, prime=prime, temperature=0.01, random_state=0)
    np.testing.assert_array_equal(new, by_hand(fitted, 20, prime, temperature=0.01))
    assert not np.array_equal(new, by_hand(fitted, 20, temperature=0.01))
    several = fitted.sample(3, length=20, prime=prime, temperature=0)
    assert same(several, [by_hand(fitted, 20, prime, temperature=0)] * 3)


@pytest.mark.parametrize("label", [0, 1])
def test_labels_are_heard(label, clips):
    fitted = wavenet(conditions="label").fit(clips, ["a", "b"] * 3)
    sample = partial(fitted.sample, length=30, temperature=0.01, random_state=0)
    expected = by_hand(fitted, 30, label=label, temperature=0.01)
    (new,) = sample(y=fitted.classes_[label])
    np.testing.assert_array_equal(new, expected)
    both = sample(2, y=["a", "b"], temperature=0)
    assert same(both, [by_hand(fitted, 30, label=i, temperature=0) for i in range(2)])
    assert not np.array_equal(*both)


def test_without_a_label_classes_are_as_frequent_as_in_training(clips):
    fitted = wavenet(conditions="label").fit(clips, ["a"] + ["b"] * 5)
    labels = fitted._drawn_labels(None, 3000, torch.Generator().manual_seed(0))
    assert abs(labels.double().mean() - 5 / 6) < 0.03
    one, other = (fitted._drawn_labels(None, 9, weights.new_generator(0)) for _ in "ab")
    assert torch.equal(one, other)


@pytest.mark.parametrize("n_primed", [0, 80, 130])
def test_frames_are_heard_where_they_belong(n_primed, clips, rng):
    fitted = wavenet(conditions=FRAMES).fit(clips)
    prime = clips[1][:n_primed]
    length = 80 - n_primed % 80 + 20  # into the next frame
    frames = 50 * rng.standard_normal((-(-(n_primed + length) // 80), 12))
    sample = partial(fitted.sample, prime=prime if n_primed else None, temperature=0.05)
    (new,) = sample(length=length, condition=frames, random_state=0)
    np.testing.assert_array_equal(new, by_hand(fitted, length, prime, None, frames, 0.05))
    # as many as there are frames for
    (most,) = sample(condition=frames, random_state=0)
    assert len(most) == 80 * len(frames) - n_primed
    np.testing.assert_array_equal(most[:length], new)
    (other,) = sample(condition=-frames, random_state=0)
    assert not np.array_equal(other, most)
    for one, found in zip(
        (frames, -frames),
        sample(2, condition=[frames, -frames], length=length, temperature=0),
        strict=True,
    ):
        np.testing.assert_array_equal(found, by_hand(fitted, length, prime, None, one, 0))


def test_frames_come_from_clips(clips):
    fitted = wavenet(conditions=FRAMES).fit(clips)
    frames = fitted.condition_.transform_frames(clips[:1])
    (new,) = fitted.sample(condition=frames, random_state=0)
    assert new.shape == (80 * len(frames[0]),)


def test_blocks_and_groups_of_streams_change_nothing(clips, monkeypatch):
    fitted = wavenet(conditions=FRAMES).fit(clips)
    frames = np.random.default_rng(0).standard_normal((3, 12))
    sample = partial(fitted.sample, condition=frames, prime=clips[0][:50], random_state=0)
    wanted = sample(1)
    monkeypatch.setattr(sampling, "_BLOCK", 7)
    assert same(sample(1), wanted)
    whole = sample(5, temperature=0)
    monkeypatch.setattr(sampling, "_STREAMS", 2)
    assert same(sample(5, temperature=0), whole)


def test_logistic_samples_lie_on_the_levels(clips):
    fitted = wavenet(output="logistic", n_classes=32).fit(clips)
    (new,) = fitted.sample(length=200, random_state=0)
    assert (np.abs(new) <= 1).all() and len(np.unique(new)) > 3
    steps = (new.astype(np.float64) + 1) / 2 * 31
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)


def test_shares_of_the_first_sample_are_its_probabilities(clips):
    fitted = wavenet(n_classes=4).fit(clips)
    first = np.concatenate(fitted.sample(4000, length=1, random_state=0))
    network = fitted._fitted_network()
    amplitudes = network.decode(network.levels()).numpy()
    expected = np.exp(fitted.score_samples([*amplitudes[:, None]]))
    shares = [(first == a).mean() for a in amplitudes]
    np.testing.assert_allclose(shares, expected, atol=4 * 0.5 / np.sqrt(4000))


def test_a_seed_gives_the_same_clips_whatever_becomes_of_the_estimator(fitted, tmp_path):
    wanted = fitted.sample(2, length=50, random_state=3)
    assert same(fitted.sample(2, length=50, random_state=3), wanted)
    assert same(fitted.sample(2, 50, random_state=np.random.RandomState(3)), wanted)
    fitted.save(tmp_path / "saved")
    for other in (pickle.loads(pickle.dumps(fitted)), load(tmp_path / "saved")):
        assert same(other.sample(2, length=50, random_state=3), wanted)
    fitted.set_params(n_jobs=2, batch_size=1, random_state=5)
    assert same(fitted.sample(2, length=50, random_state=3), wanted)


def test_a_second_unless_told_otherwise(clips, capsys):
    fitted = wavenet(sample_rate=1000, verbose=1).fit(clips)
    (new,) = fitted.sample(random_state=0)
    assert new.shape == (1000,) and new.dtype == np.float32
    assert "100%" in capsys.readouterr().err


# --- a great many samples ------------------------------------------------------------------------


def test_a_million_samples_can_be_interrupted_and_take_no_memory(fitted):
    before = dict(vars(fitted))

    def ring(*args):
        raise KeyboardInterrupt

    fitted.sample(length=10, random_state=0)  # imports what it needs
    earlier = signal.signal(signal.SIGALRM, ring)
    tracemalloc.start()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        begin = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            fitted.sample(length=1_000_000, random_state=0)
        seconds, peak = time.monotonic() - begin, tracemalloc.get_traced_memory()[1]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)
        tracemalloc.stop()
    assert seconds < 60  # of the many that it would take; others may keep the processor busy
    assert peak < 4_000_000 + 2_000_000  # the clip itself, and a block
    assert vars(fitted) == before
    assert len(fitted.sample(length=10, random_state=0)[0]) == 10


def test_progress_goes_from_block_to_block(fitted, monkeypatch):
    monkeypatch.setattr(sampling, "_BLOCK", 10)
    counts, bar = [], sampling._progress_bar

    def spied(n_samples, verbose):
        made = bar(n_samples, verbose)
        update = made.update
        made.update = lambda n: (counts.append(n), update(n))
        return made

    monkeypatch.setattr(sampling, "_progress_bar", spied)
    fitted.set_params(verbose=1).sample(3, length=25)
    assert counts == [30, 30, 15]


# --- what cannot be ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_samples": 0}, ValueError, "n_samples=0 must be at least 1"),
        ({"n_samples": 1.5}, TypeError, "n_samples=1.5 must be an integer"),
        ({"length": 0}, ValueError, "length=0 must be at least 1"),
        ({"length": -5}, ValueError, "length=-5 must be at least 1"),
        ({"length": 10.0}, TypeError, "length=10.0 must be an integer or None"),
        ({"temperature": -0.1}, ValueError, "temperature=-0.1 must be between 0"),
        ({"temperature": np.nan}, ValueError, "temperature=nan must be between 0"),
        ({"temperature": np.inf}, ValueError, "temperature=inf must be between 0"),
        ({"temperature": "hot"}, TypeError, "temperature='hot' must be a number"),
        ({"y": "a"}, ValueError, "y='a' is given, but this network knows no classes"),
        ({"condition": np.zeros((2, 3))}, ValueError, "condition is given, but this network was"),
        ({"prime": np.zeros((2, 3))}, ClipError, r"clip 0 \(array\) has shape \(2, 3\)"),
        ({"prime": np.array([0.1, np.nan])}, ClipError, "holds NaN at sample 1"),
        ({"prime": np.empty(0)}, ClipError, "holds 0 samples"),
        ({"prime": "nowhere.wav"}, ClipError, "nowhere.wav.* does not exist"),
    ],
)  # fmt: skip
def test_wrong_requests(params, error, message, fitted):
    with pytest.raises(error, match=message):
        fitted.sample(**{"length": 10, **params})


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ("c", "y has 'c', which is none of the 2 classes that were fitted: 'a', 'b'"),
        (["a", "c"], "y has 'c', which is none of the 2 classes"),
        (["a"], "y has 1 entries for 2 clips; pass one per clip"),
        (["a", None], r"y\[1\] is None"),
        ([["a"], ["b"]], r"y must be a sequence of one number or name per clip; y\[0\] is"),
        (0, "y has 0, which is none of the 2 classes"),
    ],
)
def test_labels_that_nobody_knows(y, message, clips):
    fitted = wavenet(conditions="label").fit(clips, ["a", "b"] * 3)
    with pytest.raises(ValueError, match=message):
        fitted.sample(2, length=10, y=y)


def zeros(*shape):
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"condition": None}, "condition is missing: this network continues frames"),
        ({"condition": zeros(2, 12)}, r"condition has 2 frames, but 0 .* and 300 new ones need 4"),
        ({"condition": zeros(5, 12)}, r"condition has 5 frames, but .* need 4, one for every 80"),
        ({"condition": zeros(4, 11)}, r"condition 0 has shape \(4, 11\), .* \(n_frames, 12\)"),
        ({"condition": zeros(0, 12)}, r"condition 0 has shape \(0, 12\)"),
        ({"condition": zeros(12)}, r"condition 0 has shape \(12,\)"),
        ({"condition": zeros(2, 4, 12)}, "condition has 2 entries for n_samples=1"),
        ({"condition": [zeros(4, 12), zeros(5, 12)], "n_samples": 2}, r"have \[4, 5\] frames"),
        ({"condition": zeros(4, 12) + np.nan}, "condition 0 holds nan in frame 0"),
        ({"condition": zeros(4, 12) - np.inf}, "condition 0 holds -inf in frame 0"),
        ({"condition": "loud"}, "condition 0 is no array of numbers|entries for n_samples"),
        ({"condition": {"frames": 1}}, "condition 0 is no array of numbers"),
        ({"condition": zeros(1, 12), "length": None, "prime": zeros(80) + 0.1}, "no more than the"),
    ],
)  # fmt: skip
def test_frames_that_cannot_be_continued(params, message, clips):
    fitted = wavenet(conditions=FRAMES).fit(clips)
    with pytest.raises(ValueError, match=message):
        fitted.sample(**{"length": 300, **params})


def test_before_fit():
    with pytest.raises(NotFittedError):
        wavenet().sample()
