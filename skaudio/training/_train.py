"""One training from clips to the weights of the best epoch, whatever the task."""

import hashlib
import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from .._engine.device import resolve_device
from .._engine.warn import warn
from .._version import __version__
from ..audio import Clips
from . import _checkpoints
from ._crops import Crops
from ._split import hold_out
from ._waves import Waves

__all__ = ["Data", "Recipe", "train"]

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


class Data(NamedTuple):
    """What a training learns from; one entry per clip.

    Attributes
    ----------
    clips : Clips
        The usable ones.
    y : ndarray of shape (n_clips, ...) or None
        Labels as whole numbers from 0 on, or what else the task is to make of each clip.
    groups : ndarray of shape (n_clips,) or None
        What must not be both trained on and held out, and within which short clips are joined.
    """

    clips: Clips
    y: np.ndarray | None = None
    groups: np.ndarray | None = None


def train(task, data, recipe, seed, start, *, failures=None, judge=True):
    """Train a task on crops of clips; it ends up with the weights of its best epoch.

    Parameters
    ----------
    task : Task
        What is trained.
    data : Data
        What from.
    recipe : Recipe
        How to train.
    seed : int
        Of the crops, and of what the task draws.
    start : str or None
        What tells this training from others on the same clips by the same recipe; not needed
        without a checkpoint.
    failures : list or None
        Takes the errors of unusable clips. None: the first is raised.
    judge : bool
        Whether to warn if the task got no better than chance.

    Returns
    -------
    history : list of dict
        One per epoch: ``epoch, seconds, updates, learning_rate``, and ``train_`` and ``valid_``
        before ``loss`` and each score; means over the predictions.

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
    from ._loop import Loop, launched

    waves = Waves(data.clips, task.min_samples, pad=data.y is not None, failures=failures)
    if not waves.loudest:
        warn("all clips are silent; there is nothing to learn from")
    groups = _numbered(data.groups, waves.rows)
    targets = None if data.y is None else data.y[waves.rows]
    labels = targets if targets is not None and _are_labels(targets) else None
    if labels is not None and (lost := len(np.setdiff1d(data.y, labels))):
        warn(f"no clip of {lost} of the classes can be used; nothing is learnt of them")
    file, state = _saved_state(recipe, start, waves, groups, targets)
    seed = state["seed"] if state else seed
    accelerator = launched(recipe.device)
    rank, size = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    rng = np.random.default_rng(seed)
    parts = hold_out(len(waves), recipe.validation_fraction, groups, labels, rng)
    crop = max(task.min_samples, round(recipe.crop_seconds * recipe.sample_rate))
    cut = partial(
        Crops,
        waves,
        joined=_joined(task, len(waves), groups, targets),
        crop=crop,
        batch=round(recipe.batch_seconds * recipe.sample_rate),
        seed=seed,
        targets=None if targets is None else torch.from_numpy(targets),
    )
    training, held_out = (
        cut(part, fixed=fixed, rank=rank, world_size=size) if len(part) else None
        for part, fixed in zip(parts, (False, True), strict=True)
    )
    updates = _UPDATES if recipe.max_epochs is None else recipe.max_epochs * len(training)
    device = resolve_device(recipe.device)
    n_crops, n_samples = training.largest()
    # a GPU that is too small for a batch takes it in parts
    in_parts = device.type != "cpu" and task.divisible
    _check_memory(task, 1 if in_parts else n_crops, n_samples)
    if state is None:
        task.generator.manual_seed(seed)
        task.prepare(cut(parts[0], fixed=True))
    loop = Loop(task, training, held_out, recipe, updates, device, seed, accelerator, file)
    history = loop.run(state)
    if judge and waves.loudest and not loop.interrupted:
        _judge(loop.best, task)
    return history


def _numbered(groups, rows):
    """Groups of some clips as numbers from 0 on."""
    return None if groups is None else np.unique(groups[rows], return_inverse=True)[1]


def _are_labels(targets):
    return targets.ndim == 1 and targets.dtype.kind in "iu"


def _joined(task, n_clips, groups, targets):
    """Numbers that say which short clips are joined: those of one group and one label."""
    alone = not task.joins_clips or (task.joins_clips == "groups" and groups is None)
    if alone or (targets is not None and not _are_labels(targets)):
        return np.arange(n_clips)
    kinds = [np.zeros(n_clips, int) if groups is None else groups]
    if targets is not None:
        kinds.append(targets)
    return np.unique(np.stack(kinds), axis=1, return_inverse=True)[1].ravel()


def _saved_state(recipe, start, waves, groups, targets):
    """The file of this training, and where it goes on; None for what there is not."""
    if recipe.checkpoint is None:
        return None, None
    about = [None if array is None else array.tolist() for array in (groups, targets)]
    name = repr((start, recipe.decisive(), _UPDATES, __version__, waves.digest(), about))
    name = f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.pt"
    file = Path(recipe.checkpoint) / name
    state = _checkpoints.load(file)
    if not (state and state["done"]):
        _checkpoints.check_folder(file.parent)
    return file, state


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
            f"of memory, and there are {there / 1e9:.1f} GB; lower batch_seconds or crop_seconds, "
            "or make the network or its task smaller"
        )


def _judge(best, task):
    """Warn if no epoch was better than chance, but for rounding."""
    if task.chance is None or best.epoch is None or best.least <= (1 - _MARGIN) * task.chance:
        return
    part = {"train": "training", "valid": "validation"}[best.part]
    score = task.judged_by.replace("_", " ")
    warn(
        f"nothing was learnt: the {part} {score} came down to {best.least:.5g}, and "
        f"guessing has {task.chance:.5g}; train on more sound, for longer (max_epochs, "
        "max_minutes), or at another learning_rate"
    )
