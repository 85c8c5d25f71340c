"""Many teachers: what they make of a batch, and trainings that they give."""

import math
import warnings
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skaudio import augment
from skaudio.base import BaseAudioTransformer
from skaudio.networks import Map, Network
from skaudio.training import CropBatch, ManyTeachers, TrainingMixin
from skaudio.workers import LIM, LPS, Regression, Waveform, Worker
from tests.training.helpers import Counts, Fails, Stop, equal_weights, noise

# most trainings here are over before they have begun
pytestmark = pytest.mark.filterwarnings("ignore:nothing was learnt")

WORKERS = (partial(LPS, n_fft=64, win_length=40, context=3), "spc", "lim", "gim+")


class Encoder(Network):
    """One convolution, whose frames do not overlap."""

    stride, halo = 40, (0, 0)

    def __init__(self, width=6, min_steps=40):
        super().__init__()
        self.maps = [Map("", tuple(f"c{i}" for i in range(width))).then(40, stride=40)]
        self.min_steps = min_steps
        self.conv, self.norm = nn.Conv1d(1, width, 40, 40), nn.BatchNorm1d(width)

    def output_lengths(self, lengths):
        return [lengths // 40]

    def forward(self, x, lengths):
        return [(self.norm(self.conv(x).abs()), lengths // 40)]


class Taught(TrainingMixin, BaseAudioTransformer):
    """The smallest estimator that learns from workers."""

    def __init__(
        self, workers=WORKERS, *, reference=False, distortions=(), sample_rate=4000, pooling="mean",
        crop_seconds=0.8, batch_seconds=3.2, max_epochs=2, max_minutes=None, learning_rate=2e-3,
        validation_fraction=0.2, early_stopping=False, callbacks=None, checkpoint=None,
        warm_start=False, random_state=0, batch_size=None, device="cpu", memory=None, n_jobs=None,
        verbose=0, on_error="raise",
    ):  # fmt: skip
        self.workers, self.reference, self.distortions = workers, reference, distortions
        self.sample_rate, self.pooling = sample_rate, pooling
        self.crop_seconds, self.batch_seconds = crop_seconds, batch_seconds
        self.max_epochs, self.max_minutes, self.learning_rate = (
            max_epochs, max_minutes, learning_rate
        )  # fmt: skip
        self.validation_fraction, self.early_stopping = validation_fraction, early_stopping
        self.callbacks, self.checkpoint, self.warm_start = callbacks, checkpoint, warm_start
        self.random_state, self.batch_size, self.device = random_state, batch_size, device
        self.memory, self.n_jobs, self.verbose, self.on_error = memory, n_jobs, verbose, on_error

    def _network(self, generator):
        return Encoder()

    def _task(self, network, y):
        return ManyTeachers(
            network, self.workers, sample_rate=self.sample_rate, distortions=self.distortions,
            reference=self.reference,
        )  # fmt: skip


class Energy(Regression):
    """A worker as users write it."""

    n_targets = 1

    def target(self, wave):
        power = wave.unfold(1, self.hop_length, self.hop_length).square().mean(2)
        return power.add(1e-10).log()[:, None]


def sounds(n=10, length=4000):
    """Noises, each of a loudness and colour of its own."""
    rng = np.random.default_rng(0)
    clips = []
    for clip in noise(*[length] * n):
        weights = rng.uniform(-1, 1, 5)
        clips.append(np.convolve(clip * rng.uniform(0.1, 1), weights, "same").astype(np.float32))
    return clips


def task_of(workers, **options):
    torch.manual_seed(0)
    return ManyTeachers(Encoder(), workers, sample_rate=4000, **options)


def batch_of(clips, group=None):
    wave = torch.from_numpy(np.stack(clips))
    numbers = torch.arange(len(wave))
    group = numbers if group is None else torch.tensor(group)
    return CropBatch(wave, torch.full((len(wave),), 1 / len(wave)), numbers, None, group)


def test_the_loss_is_the_sum_of_the_workers_and_each_has_its_column():
    taught = Taught().fit(sounds())
    names = ("lps", "spc", "lim", "gim")
    for row in taught.history_:
        for part in ("train", "valid"):
            parts = [row[f"{part}_loss_{name}"] for name in names]
            assert all(np.isfinite(parts)) and min(parts) > 0
            assert row[f"{part}_loss"] == pytest.approx(sum(parts), rel=1e-5)
    assert "workers.lim.head.0.weight" in taught.task_weights_


def test_gradients_reach_the_encoder_from_each_worker():
    for item in WORKERS:
        task = task_of([item]).train()
        task(batch_of(sounds(4, 3200))).loss.backward()
        assert task.network.conv.weight.grad.abs().max() > 0
        assert all(p.grad.abs().max() > 0 for p in task.workers.parameters())


def test_a_training_learns_what_the_workers_ask_for():
    clips = sounds(30)
    taught = Taught((Energy, "gim"), max_epochs=30, learning_rate=5e-3, batch_seconds=6.4)
    last = taught.fit(clips).history_[-1]
    assert last["train_loss_energy"] < 0.4
    assert last["train_loss_gim"] < 0.7 * math.log(2)


def test_halves_of_a_crop_are_two_chunks_of_whole_frames():
    task = task_of(["lim"])
    wave = torch.arange(2 * 133.0).view(1, -1)
    chunks = task._chunks(wave)
    assert chunks.shape == (2, 120)
    torch.testing.assert_close(chunks[0], wave[0, :120])
    torch.testing.assert_close(chunks[1], wave[0, 120:240])


def test_pairs_are_halves_of_a_crop_and_a_chunk_of_another_clip():
    task = task_of(["lim"])
    group = torch.tensor([3, 5, 3, 7, 5, 5])
    seen = set()
    for _ in range(50):
        one, same, other = task._pairs(group)
        assert one.tolist() == [*range(6)] and same.tolist() == [*range(6, 12)]
        assert (group[other % 6] != group).all()
        seen |= {*other.tolist()}
    assert seen == {*range(12)}
    assert task._pairs(torch.tensor([4, 4, 4])).shape == (3, 0)


def test_crops_of_one_clip_are_told_by_chance():
    task = task_of(["lim", "spc"]).train()
    outcome = task(batch_of(sounds(3, 3200), group=[2, 2, 2]))
    assert [*outcome.scores] == ["loss_spc"]
    missing = float(outcome.loss.detach() - outcome.scores["loss_spc"]) / outcome.n
    assert missing == pytest.approx(math.log(2), rel=1e-5)
    outcome.loss.backward()
    assert all(p.grad is not None for p in task.workers.parameters())


@pytest.mark.parametrize("change", [{"X": 1}, {"batch_seconds": 0.8}])
def test_clips_that_cannot_be_compared_are_told(change):
    clips = sounds(change.pop("X", 10), 40000)
    problem = "lim and gim tell clips apart, and no batch holds two clips"
    with pytest.raises(ValueError, match=f"{problem}; pass more clips, raise batch_seconds, or a"):
        Taught(("lim", "gim"), **change).fit(clips)
    with pytest.warns(UserWarning, match=f"{problem}, so that they learn nothing; pass more cl"):
        taught = Taught(max_epochs=1, **change).fit(clips)
    assert "train_loss_lim" not in taught.history_[0]
    Taught(("spc",), max_epochs=1, **change).fit(clips)


def test_who_learns_nothing_is_told():
    rng = np.random.default_rng(0)
    clips = [rng.standard_normal(3200) for _ in range(12)]
    taught = Taught((Energy, "lim"), max_epochs=1, learning_rate=1e-9)
    with pytest.warns(UserWarning, match="nothing was learnt"):
        taught.fit(clips)
    chance = sum(float(taught.task_weights_[f"workers.{n}.chance"]) for n in ("energy", "lim"))
    assert chance == pytest.approx(1 + math.log(2), rel=1e-3)


class Silent(Worker):
    """A worker that does not know what chance is."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.head = nn.Conv1d(self.n_channels, 1, 1)

    def forward(self, lesson):
        return self.head(lesson.frames).square().mean()


class Undecided(Silent):
    """The same, about pairs of clips."""

    compares_clips = True


def test_without_pairs_a_worker_that_knows_no_chance_counts_nothing():
    batch = batch_of(sounds(3, 3200), group=[2, 2, 2])
    outcome = task_of([Undecided, "spc"]).train()(batch)
    assert float(outcome.loss) == pytest.approx(float(outcome.scores["loss_spc"]), rel=1e-6)


def test_a_worker_of_ones_own_needs_nothing_but_a_loss():
    taught = Taught((Silent, ("second", Silent)), max_epochs=1).fit(sounds())
    assert {"train_loss_silent", "train_loss_second"} <= taught.history_[0].keys()
    assert task_of((Silent, "lim")).chance is None


def test_targets_are_standardised_by_the_training_clips():
    clips, task = sounds(6, 3200), task_of([Energy])
    task.prepare([batch_of(clips[:4]), batch_of(clips[4:])])
    wave = np.stack(clips).astype(np.float64).reshape(6, -1, 40)
    target = np.log((wave**2).mean(2) + 1e-10)
    worker = task.workers["energy"]
    assert float(worker.mean) == pytest.approx(target.mean(), rel=1e-5)
    assert float(worker.scale) == pytest.approx(target.std(), rel=1e-5)
    assert float(worker.chance) == pytest.approx(1.0, rel=1e-5)
    task.prepare([batch_of(clips[:2])])  # of a training that goes on with what it has learnt
    assert float(worker.mean) == pytest.approx(target.mean(), rel=1e-5)


def test_the_published_divisor_is_a_deviation_of_deviations():
    clips, task = sounds(6, 3200), task_of([Energy, ("raw", partial(
        Waveform, strides=(4, 10), kernels=(4, 10), channels=(2, 2)))], reference=True)  # fmt: skip
    task.prepare([batch_of(clips[:4]), batch_of(clips[4:])])
    # the halves, first and second ones
    wave = np.stack(clips).astype(np.float64).reshape(12, -1, 40)
    target = np.log((wave**2).mean(2) + 1e-10)
    expected = target.std(axis=1, ddof=1).std(ddof=1)
    assert float(task.workers["energy"].scale) == pytest.approx(expected, rel=1e-5)
    raw = task.workers["raw"]
    assert (float(raw.mean), float(raw.scale)) == (0, 1)
    assert float(raw.chance) == pytest.approx(np.abs(wave).mean(), rel=1e-5)


def test_a_stopped_training_goes_on_as_if_nothing_had_happened(tmp_path):
    clips = sounds()
    whole = Taught(max_epochs=3).fit(clips)
    with pytest.raises(Stop):
        Taught(max_epochs=3, checkpoint=tmp_path, callbacks=[Fails(3)]).fit(clips)
    counts = Counts()
    rest = Taught(max_epochs=3, checkpoint=tmp_path, callbacks=[counts]).fit(clips)
    assert equal_weights(whole, rest)
    assert counts.updates == whole.history_[0]["updates"]  # of the last epoch alone


def test_a_warm_start_goes_on_with_the_same_targets():
    clips = sounds()
    taught = Taught(warm_start=True).fit(clips)
    before = taught.task_weights_["workers.lps.mean"]
    taught.fit([10 * clip for clip in clips])
    np.testing.assert_array_equal(taught.task_weights_["workers.lps.mean"], before)
    assert taught.n_epochs_ == 4


def test_other_workers_are_another_training():
    taught = Taught(("lim", "spc"), warm_start=True, max_epochs=1).fit(sounds())
    with pytest.raises(ValueError, match="does not fit this task"):
        taught.set_params(workers=("lim",)).fit(sounds())


def test_short_clips_are_joined_within_groups_alone():
    clips = sounds(24, 1000)  # a third of a crop
    seen = []

    class Notes(LIM):
        def forward(self, lesson):
            seen.append(tuple(lesson.wave.shape))
            return super().forward(lesson)

    for groups in (None, np.arange(24) % 4):
        Taught((Notes,), max_epochs=1, validation_fraction=0).fit(clips, groups=groups)
    alone, joined = seen[0], seen[-1]
    assert alone[1] == 480 and joined[1] == 1600


def test_loud_clips_are_told_and_silent_ones_are_learnt():
    clips, loud = sounds(), sounds()
    for clip in loud:
        clip[200:300] = 1e18  # its energy is a number yet, that of its sum is not
    with pytest.raises(ValueError, match=r"what LPS is to predict is not finite .* 1e\+18"):
        Taught(WORKERS[:1]).fit(loud)
    # one that is heard in validation alone
    task = task_of(WORKERS[:1]).eval()
    task.prepare([batch_of(clips)])
    with pytest.raises(ValueError, match="what LPS is to predict is not finite"):
        task(batch_of(loud))
    with warnings.catch_warnings(action="ignore"):
        taught = Taught().fit([np.zeros(4000, np.float32)] * 10)
    assert np.isfinite([*taught.history_[-1].values()]).all()
    some = Taught().fit([*clips, *[np.zeros(4000, np.float32)] * 4])
    assert np.isfinite([*some.history_[-1].values()]).all()


def doubled(wave, generator):
    """A distortion."""
    return 2 * wave


def test_the_network_hears_distorted_chunks_in_training_alone(monkeypatch):
    def distort(wave, generator, distortions, sample_rate):
        assert sample_rate == 4000
        for function, _ in distortions:
            wave = function(wave, generator)
        return wave

    monkeypatch.setattr(augment, "distort", distort, raising=False)
    heard, targets = [], []

    class Notes(Energy):
        def forward(self, lesson):
            targets.append(lesson.wave)
            return super().forward(lesson)

    task = task_of([Notes], distortions=[(doubled, 1.0)])
    task.network.conv.register_forward_pre_hook(lambda _, x: heard.append(x[0]))
    batch = batch_of(sounds(4, 3200))
    for training in (True, False):
        task.train(training)(batch)
    clean = torch.cat([batch.wave[:, :1600], batch.wave[:, 1600:]])
    torch.testing.assert_close(heard[0][:, 0], 2 * clean)
    torch.testing.assert_close(heard[1][:, 0], clean)
    assert all(torch.equal(target, clean) for target in targets)


def test_random_scales_are_of_each_chunk_and_of_silence_nothing():
    task = task_of([Energy], random_scale=True)
    crops = [*sounds(200, 3200), np.zeros(3200, np.float32)]
    chunks = task._chunks(batch_of(crops).wave)
    peaks = chunks.abs().amax(1)
    assert (peaks[[200, 401]] == 0).all() and chunks.isfinite().all()
    others = np.delete(peaks.numpy(), [200, 401])
    assert others.max() <= 1 and len(np.unique(others)) == 400
    np.testing.assert_allclose(np.quantile(others, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.08)


def test_the_shortest_crop_is_two_of_the_longest_need():
    assert task_of(["lim"]).min_samples == 2 * 40
    assert task_of(["lim", "spc"]).min_samples == 2 * 40 * 14
    assert ManyTeachers(Encoder(min_steps=100), ["lim"]).min_samples == 2 * 120


def test_clips_are_compared_in_whole_batches():
    assert task_of([Energy]).divisible and task_of([Energy]).joins_clips is True
    assert not task_of(["gim"]).divisible and task_of(["gim"]).joins_clips == "groups"


def test_memory_grows_with_the_workers():
    few, many = (task_of(names).memory(4, 8000) for names in (["mfcc"], ["mfcc", "lps+"]))
    frames = 4 * 8000 / 40
    assert many - few == pytest.approx(
        4 * frames * task_of(["lps+"]).workers["lps"].floats_per_frame
    )
    assert few > 0


def test_the_loss_of_a_batch_is_that_of_float64():
    task = task_of([Energy, "gim"]).train()
    crops = sounds(4, 3200)
    task.prepare([batch_of(crops)])
    task.generator.manual_seed(3)
    outcome = task(batch_of(crops))
    exact = task.double()
    wave = torch.from_numpy(np.stack(crops)).double()
    wave = torch.cat([wave[:, :1600], wave[:, 1600:]])
    conv, norm = exact.network.conv, exact.network.norm
    x = F.conv1d(wave[:, None], conv.weight, conv.bias, stride=40).abs()
    x = (x - x.mean((0, 2), keepdim=True)) / (
        x.var((0, 2), keepdim=True, unbiased=False) + 1e-5
    ) ** 0.5
    assert norm.weight.eq(1).all()

    def head(vectors, layers):
        hidden = vectors @ layers[0].weight[..., 0].T + layers[0].bias
        hidden = torch.where(hidden > 0, hidden, layers[1].weight * hidden)
        return (hidden @ layers[2].weight[..., 0].T + layers[2].bias).squeeze(-1)

    energy, gim = exact.workers["energy"], exact.workers["gim"]
    target = (wave.view(8, 40, 40).square().mean(2) + 1e-10).log()
    target = (target - energy.mean) / energy.scale
    loss = (head(x.mT, energy.head) - target).square().mean()
    exact.generator.manual_seed(3)
    one, same, other = exact._pairs(torch.arange(4))
    means = x.mean(2)
    for chunk, true in ((same, 1.0), (other, 0.0)):
        logits = head(torch.cat([means[one], means[chunk]], 1), gim.head)
        loss = loss - 0.5 * (torch.sigmoid(logits) - (1 - true)).abs().log().mean()
    assert float(outcome.loss.detach()) / outcome.n == pytest.approx(loss.item(), rel=1e-5)
