"""Self-supervised training, the one place for all extractors that learn: crops, epochs, the best.

The loop, its callbacks, early stopping and history are skorch's; here stands what sound needs:
crops of similar length cut anew in every epoch, a schedule that knows how much time is left, and
errors that say what went wrong.
"""

import hashlib
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from . import checkpoint
from .device import resolve_device
from .warn import warn
from .waves import Waves

__all__ = ["Recipe", "train"]

_UPDATES = 4000  # of a training whose number of epochs is not given
_MARGIN = 1e-3  # of a loss: to be less below guessing is to guess


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Parameters
    ----------
    sample_rate : int
        Of the waves, Hz.
    crop_seconds, batch_seconds : float
        Length of a crop, and sound in a batch.
    max_epochs : int or None
        None: 4000 updates.
    max_minutes : float or None
        Time after which training ends. None: no limit.
    learning_rate : float
        Its highest value.
    validation_fraction : float
        Share of the clips (or groups) that is held out.
    early_stopping : bool
        Whether to stop after five epochs without a better validation loss.
    callbacks : sequence of skorch callbacks or None
        Of the user.
    checkpoint : str, path-like or None
        Folder that keeps the state of the training after each epoch.
    precision : {"float32", "bfloat16"}
        Of matrix products.
    device : str
        Where to compute.
    verbose : int
        1: a progress bar.
    """

    sample_rate: int
    crop_seconds: float
    batch_seconds: float
    max_epochs: int | None
    max_minutes: float | None
    learning_rate: float
    validation_fraction: float
    early_stopping: bool
    callbacks: tuple | None
    checkpoint: str | None
    precision: str
    device: str
    verbose: int

    def decisive(self):
        """What the outcome hangs on: this recipe without what belongs to the machine."""
        return replace(self, callbacks=None, checkpoint=None, device="", verbose=0)


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
    groups : ndarray of int
        Group of each clip in ``waves``.
    crop, batch : int
        Samples of a crop, and of a batch.
    seed : int
        Of the places and the order.
    fixed : bool
        Whether every epoch is the same one.
    share : (int, int)
        Number of this process, and how many there are: each gets its part of every batch.
    """

    def __init__(self, waves, which, groups, crop, batch, seed, fixed, share=(0, 1)):
        self.samples, self.crop, self.batch = waves.samples, crop, batch
        self.fixed, self.share = fixed, share
        self.stop = False  # ends the epoch that is running
        self._rng, self._seed = np.random.default_rng(seed), seed
        lengths, starts = waves.lengths(), np.asarray(waves.starts)[:-1]
        long, short = which[lengths[which] >= crop], which[lengths[which] < crop]
        counts = np.round(lengths[long] / crop).astype(int)
        self._from, self._room = np.repeat(starts[long], counts), np.repeat(lengths[long], counts)
        self._short, self._length = [], [crop] * len(self._from)
        for group in np.unique(groups[short]):
            members = short[groups[short] == group]
            n = max(1, lengths[members].sum() // crop)
            self._short.append((n, starts[members], lengths[members]))
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
        """Where the samples of each crop stand: a list of slices."""
        first = self._from + rng.integers(0, self._room - self.crop + 1)
        pieces = [[slice(i, i + self.crop)] for i in first.tolist()]
        for n, starts, lengths in self._short:
            order = rng.permutation(len(starts))
            ends = lengths[order].cumsum()  # of the clips, one after the other
            begins = ends - lengths[order]
            shifts = starts[order] - begins
            length = min(self.crop, ends[-1])
            edge = rng.integers(0, ends[-1] - n * length + 1)
            for begin in range(edge, edge + n * length, length):
                stop = begin + length
                heard = np.flatnonzero((ends > begin) & (begins < stop))
                pieces.append(
                    [
                        slice(max(begin, begins[i]) + shifts[i], min(stop, ends[i]) + shifts[i])
                        for i in heard
                    ]
                )
        return pieces

    def __iter__(self):
        rng = np.random.default_rng(self._seed) if self.fixed else self._rng
        batches, pieces = self._plan(rng), self._pieces(rng)
        for place in range(len(batches)) if self.fixed else rng.permutation(len(batches)):
            if self.stop:
                return
            crops = batches[place]
            n = self._length[crops].min()
            number, processes = self.share
            total = max(len(crops), processes)  # with fewer crops some are taken twice
            crops = np.resize(crops, total)[number::processes]
            wave = np.stack(
                [np.concatenate([self.samples[p] for p in pieces[i]])[:n] for i in crops]
            )
            # beside each crop what it counts for: processes average their gradients
            yield torch.from_numpy(wave), torch.full((len(wave),), processes / total)

    def random_state(self):
        """State of the draws of places and order."""
        return self._rng.bit_generator.state

    def set_random_state(self, state):
        """Go on drawing from there.

        Parameters
        ----------
        state : dict
            Result of `random_state`.
        """
        self._rng.bit_generator.state = state


def train(task, clips, recipe, seed, start, *, groups=None, failures=None, judge=True):
    """Train a task on crops of clips; it ends up with the weights of its best epoch.

    Parameters
    ----------
    task : Module
        ``task(wave)`` of crops (B, T) gives a `Contrast`-like tuple (loss, n, n_correct, asked),
        summed over n predictions; ``task.shortest`` is the fewest samples it takes,
        ``task.reseed(seed)`` starts its random generator anew, ``task.progress`` is told the
        share of the training that is over, ``task.settles`` is that from which on its losses can
        be compared, ``task.chance`` is the loss of guessing, and
        ``task.memory(n_crops, n_samples)`` what an update on them needs, in bytes.
    clips : Clips
        Sound without labels.
    recipe : Recipe
        How to train.
    seed : int
        Of the crops, and of what the task draws.
    start : str
        What tells this training from others on the same clips by the same recipe.
    groups : sequence or None
        What must not be in both parts, training and validation, and what short clips are joined
        within; one entry per clip.
    failures : list or None
        Takes the errors of unusable clips. None: the first is raised.
    judge : bool
        Whether to warn if the task got no better than guessing.

    Returns
    -------
    history : list of dict
        One per epoch: ``epoch, seconds, learning_rate, train_loss, train_accuracy, valid_loss,
        valid_accuracy``; losses in nats per prediction.

    Raises
    ------
    ValueError
        If there is nothing to learn from, a batch does not fit into memory, a checkpoint is
        damaged or cannot be written, or the loss is no longer a number.
    OSError
        If there is no room for the decoded clips.
    KeyboardInterrupt
        If it is interrupted before there are weights to return.
    """
    from .._version import __version__
    from .loop import Loop, launched

    waves = Waves(clips, task.shortest, failures)
    if not waves.loudest:
        warn("all clips are silent; there is nothing to learn from")
    if groups is not None:
        groups = np.unique(np.asarray(groups)[waves.rows], return_inverse=True)[1]
    file = state = None
    if recipe.checkpoint is not None:
        parts = None if groups is None else groups.tolist()
        decisive = recipe.decisive(), _UPDATES, __version__
        name = repr((start, decisive, waves.digest(), parts))
        file = Path(recipe.checkpoint) / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.pt"
        state = checkpoint.load(file)
        seed = state["seed"] if state else seed
        if not (state and state["done"]):
            checkpoint.check_folder(file.parent)
    rng = np.random.default_rng(seed)
    training, held_out = _split(len(waves), recipe.validation_fraction, groups, rng)
    crop = max(task.shortest, round(recipe.crop_seconds * recipe.sample_rate))
    batch = round(recipe.batch_seconds * recipe.sample_rate)
    accelerator = launched(recipe.device)
    share = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    groups = np.zeros(len(waves), int) if groups is None else groups
    crops = Crops(waves, training, groups, crop, batch, seed, fixed=False, share=share)
    fixed = None
    if len(held_out):
        fixed = Crops(waves, held_out, groups, crop, batch, seed, fixed=True, share=share)
    updates = _UPDATES if recipe.max_epochs is None else recipe.max_epochs * len(crops)
    device = resolve_device(recipe.device)
    n_crops, n_samples = crops.largest()
    # a GPU that is too small for a batch takes it in parts
    _check_memory(task, n_crops if device.type == "cpu" else 1, n_samples)
    loop = Loop(task, crops, fixed, recipe, updates, device, seed, accelerator, file)
    history = loop.run(state)
    if judge and waves.loudest and not loop.interrupted:
        _judge(loop.best, task.chance)
    return history


def _check_memory(task, n_crops, n_samples):
    """Refuse what this machine cannot hold, before it finds out."""
    try:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return  # this system does not tell
    needed = task.memory(n_crops, n_samples)
    if needed > there:
        raise ValueError(
            f"a batch of {n_crops} crops of {n_samples} samples needs about {needed / 1e9:.1f} GB "
            f"of memory, and there are {there / 1e9:.1f} GB; lower batch_seconds, crop_seconds, "
            "n_negatives or n_steps"
        )


def _judge(best, chance):
    """Warn if no epoch was better than guessing, but for rounding."""
    if best.epoch is not None and best.least > (1 - _MARGIN) * chance:
        part = {"train": "training", "valid": "validation"}[best.part]
        warn(
            f"nothing was learnt: the {part} loss came down to {best.least:.5g} nats per "
            f"prediction, and guessing has {chance:.5g}; train on more sound, for longer "
            "(max_epochs, max_minutes), or at another learning_rate"
        )


def _split(n, fraction, groups, rng):
    """Numbers of the clips to train on, and of those held out, whole groups at a time."""
    groups = np.arange(n) if groups is None else groups
    n_groups = groups.max() + 1
    n_held = min(math.ceil(fraction * n_groups), n_groups - 1) if fraction else 0
    held = np.isin(groups, rng.permutation(n_groups)[:n_held])
    return np.flatnonzero(~held), np.flatnonzero(held)
