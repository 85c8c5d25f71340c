"""Batches of crops of decoded clips: one length in each batch, none of it padding."""

import math

import numpy as np
import torch

from ._task import CropBatch

__all__ = ["Crops"]


class Crops:
    """Batches of crops, cut at random places, of one length in each batch.

    A clip gives as many crops as it has times the crop's length. Shorter clips are joined, in a
    new order in each epoch and each group by itself, and cut then: inside one short clip, to know
    how far it has got would tell the future well enough, and nothing about the sound be learnt.
    Crops are shorter only where a group is; similar lengths share a batch and are cut to its
    shortest, so no batch is padded.

    Parameters
    ----------
    waves : Waves
        All clips.
    which : ndarray of int
        The clips to take.
    joined : ndarray of int
        Short clips with the same number here are joined; one entry for each clip in ``waves``.
    crop, batch : int
        Samples of a crop, and of a batch.
    seed : int
        Of the places and the order.
    targets : Tensor or None
        What each clip in ``waves`` is to be recognised as or conditioned on.
    fixed : bool
        Whether every epoch is the same one.
    rank, world_size : int
        Number of this process, and how many there are: each takes its part of every batch.
    """

    def __init__(
        self,
        waves,
        which,
        joined,
        crop,
        batch,
        seed,
        *,
        targets=None,
        fixed=False,
        rank=0,
        world_size=1,
    ):
        self.waves, self.crop, self.batch, self.targets = waves, crop, batch, targets
        self._groups = torch.from_numpy(joined)
        self.fixed, self.rank, self.world_size = fixed, rank, world_size
        self.stop = False  # ends the epoch that is running
        self._rng, self._seed = np.random.default_rng(seed), seed
        lengths = waves.lengths()
        long, short = which[lengths[which] >= crop], which[lengths[which] < crop]
        counts = np.round(lengths[long] / crop).astype(int)
        self._long = np.repeat(long, counts)  # the clip of each crop
        self._short, self._length = [], [crop] * len(self._long)
        for group in np.unique(joined[short]):
            members = short[joined[short] == group]
            n = max(1, lengths[members].sum() // crop)
            self._short.append((n, members))
            self._length += [min(crop, lengths[members].sum())] * n
        self._length = np.array(self._length)

    def __len__(self):
        """Number of batches."""
        return len(self._plan(np.random.default_rng(0)))

    def largest(self):
        """Crops of the batch with most samples, and the length of the longest."""
        batches = self._plan(np.random.default_rng(0))
        return max(((len(b), int(self._length[b].max())) for b in batches), key=math.prod)

    def _plan(self, rng):
        """Batches of crop numbers, similar lengths together."""
        order = rng.permutation(len(self._length))
        order = order[np.argsort(-self._length[order], kind="stable")]
        batches = []
        while len(order):
            n = max(1, self.batch // self._length[order[0]])
            batches.append(order[:n])
            order = order[n:]
        return batches

    def _pieces(self, rng):
        """Of each crop its first clip, and where its samples stand: a list of slices."""
        lengths, starts = self.waves.lengths(), np.asarray(self.waves.starts)
        first = starts[self._long] + rng.integers(0, lengths[self._long] - self.crop + 1)
        pieces = [
            (clip, [slice(i, i + self.crop)])
            for clip, i in zip(self._long.tolist(), first.tolist(), strict=True)
        ]
        for n, members in self._short:
            members = members[rng.permutation(len(members))]
            ends = lengths[members].cumsum()  # of the clips, one after the other
            begins = ends - lengths[members]
            shifts = starts[members] - begins
            length = min(self.crop, ends[-1])
            edge = rng.integers(0, ends[-1] - n * length + 1)
            for begin in range(edge, edge + n * length, length):
                stop = begin + length
                inside = np.flatnonzero((ends > begin) & (begins < stop))
                slices = [
                    slice(max(begin, begins[i]) + shifts[i], min(stop, ends[i]) + shifts[i])
                    for i in inside
                ]
                pieces.append((int(members[inside[0]]), slices))
        return pieces

    def __iter__(self):
        rng = np.random.default_rng(self._seed) if self.fixed else self._rng
        batches, pieces = self._plan(rng), self._pieces(rng)
        for i in range(len(batches)) if self.fixed else rng.permutation(len(batches)):
            if self.stop:
                return
            length = self._length[batches[i]].min()
            # with fewer crops than processes some are taken twice
            total = max(len(batches[i]), self.world_size)
            crops = np.resize(batches[i], total)[self.rank :: self.world_size]
            yield self._batch([pieces[crop] for crop in crops], length, self.world_size / total)

    def _batch(self, pieces, length, weight):
        samples = self.waves.samples
        crops = [np.concatenate([samples[part] for part in parts])[:length] for _, parts in pieces]
        clips = torch.tensor([clip for clip, _ in pieces])
        return CropBatch(
            torch.from_numpy(np.stack(crops)),
            torch.full((len(crops),), weight),
            self.waves.clip_rows[clips],
            None if self.targets is None else self.targets[clips],
            self._groups[clips],
        )

    def random_state(self):
        """State of the generator of places and order."""
        return self._rng.bit_generator.state

    def set_random_state(self, state):
        """Go on from there.

        Parameters
        ----------
        state : dict
            Result of `random_state`.
        """
        self._rng.bit_generator.state = state
