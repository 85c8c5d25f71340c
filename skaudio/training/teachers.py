"""Learn from many teachers at once: the task that trains PASE.

Pascual et al. 2019, arXiv:1904.03416; Ravanelli et al. 2020, arXiv:2001.09239.
"""

import math

import torch

from .. import augment
from .._engine.warn import warn
from ..workers import Lesson, build
from ._task import Outcome, Task

__all__ = ["ManyTeachers"]

_CHUNKS = 200  # that targets are measured on; the published code has ten times as many


class ManyTeachers(Task):
    """The sum of the losses of several workers, each with its own task on the same frames.

    A crop is heard as two chunks, its halves: to tell clips apart, a worker needs two chunks of
    each, which are two halves then. All workers learn from both. Each has its own score,
    ``loss_`` and its name.

    Parameters
    ----------
    network : Network
        What is trained: the encoder, which hears waves.
    workers : str or sequence
        As for `skaudio.workers.resolve`.
    layer : int, default=-1
        Which of the network's layers the workers hear.
    sample_rate : int, default=16000
        Of the waves, Hz.
    distortions : sequence of (callable, float), default=()
        What happens to the chunks that the network hears in training, one after the other, each
        with its probability; see `skaudio.augment.distort`.
    random_scale : bool, default=False
        Whether each chunk gets a random loudness first: its highest sample is uniform between 0
        and 1. What the workers predict is about the sound of that loudness.
    reference : bool, default=False
        Whether targets are divided by what the published code divides them by, the deviation
        over chunks of the deviation within them, and samples by nothing.
    """

    def __init__(
        self,
        network,
        workers,
        *,
        layer=-1,
        sample_rate=16000,
        distortions=(),
        random_scale=False,
        reference=False,
    ):
        super().__init__(network)
        self.layer, self.sample_rate, self.distortions = layer, sample_rate, distortions
        self.random_scale, self.reference = random_scale, reference
        heard = network.maps[layer]
        self.hop_length = heard.stride
        self.workers = build(workers, len(heard.channels), self.hop_length, sample_rate)
        self.register_buffer("measured", torch.tensor(False))
        shortest = [-(-network.min_steps // self.hop_length)]
        shortest += [worker.min_frames for worker in self.workers.values()]
        self.min_samples = 2 * self.hop_length * max(shortest)
        self.compares_clips = any(worker.compares_clips for worker in self.workers.values())
        if self.compares_clips:
            self.joins_clips, self.divisible = "groups", False

    @property
    def chance(self):
        """What the sum is for who knows nothing."""
        chance = sum(float(worker.chance) for worker in self.workers.values())
        return chance if math.isfinite(chance) else None

    @torch.no_grad()
    def prepare(self, batches):
        if self.compares_clips and not any(len(b.group.unique()) > 1 for b in batches):
            names = [n for n, worker in self.workers.items() if worker.compares_clips]
            problem = f"{' and '.join(names)} tell clips apart, and no batch holds two clips"
            if len(names) == len(self.workers):
                raise ValueError(
                    f"{problem}; pass more clips, raise batch_seconds, or add other workers"
                )
            warn(
                f"{problem}, so that they learn nothing; pass more clips, raise batch_seconds, or "
                "leave these workers out"
            )
        if not self.measured:
            most, waves = _CHUNKS * (10 if self.reference else 1), []
            for batch in batches:
                waves.append(self._chunks(batch.wave))
                if sum(map(len, waves)) >= most:
                    break
            for worker in self.workers.values():
                worker.prepare(waves, self.reference)
            self.measured.fill_(True)

    def forward(self, batch):
        wave = heard = self._chunks(batch.wave)
        if self.training and self.distortions:
            heard = augment.distort(wave, self.generator, self.distortions, self.sample_rate)
        frames = self.frames(heard)[self.layer][0].float()
        frames = frames[..., : wave.shape[1] // self.hop_length]
        lesson = Lesson(frames, wave, self._pairs(batch.group), self.generator)
        total, scores = 0.0, {}
        for name, worker in self.workers.items():
            if worker.compares_clips and not lesson.pairs.shape[1]:
                # all is of one clip; processes that share a training expect all gradients
                none = 0.0 * sum(p.sum() for p in worker.parameters())
                total = total + worker.chance.nan_to_num() + none
                continue
            loss = worker(lesson)
            total = total + loss
            scores[f"loss_{name}"] = loss.detach() * len(wave)
        if not math.isfinite(total.detach()):
            for worker in self.workers.values():
                worker.check(wave)
        return Outcome(total * len(wave), len(wave), scores)

    def memory(self, n_crops, n_samples):
        numbers = sum(worker.floats_per_frame for worker in self.workers.values())
        frames = n_crops * n_samples / self.hop_length
        return super().memory(n_crops, n_samples) + 4.0 * numbers * frames

    def _chunks(self, wave):
        """The first halves of all crops, then the second ones, of whole frames (2 B, T')."""
        length = wave.shape[1] // 2 // self.hop_length * self.hop_length
        wave = torch.cat([wave[:, :length], wave[:, length : 2 * length]])
        if self.random_scale:
            peak = wave.abs().amax(dim=1, keepdim=True)
            wave = wave / peak.masked_fill(peak == 0, 1.0)
            wave = augment.gain(wave, self.generator, low=0.0, high=1.0)
        return wave

    def _pairs(self, group):
        """Numbers (3, Q) of chunks, as a `Lesson` has them."""
        if not self.compares_clips:
            return torch.empty(3, 0, dtype=torch.int64)
        other = (group[:, None] != group).cpu()
        one = other.any(dim=1).nonzero()[:, 0]
        if len(one):
            other = torch.multinomial(other[one].float(), 1, generator=self.generator)[:, 0]
            half = torch.randint(2, (len(one),), generator=self.generator)
            other = other + half * len(group)
        else:
            other = one
        return torch.stack([one, one + len(group), other]).to(group.device)
