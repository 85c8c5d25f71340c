"""What happens between the batches and the epochs of a training, as skorch's callbacks."""

import math
import time

import torch
from skorch.callbacks import Callback

from .._engine.warn import warn
from . import _checkpoints

__all__ = ["Bar", "Best", "Ending", "Saving", "Schedule", "Scores", "Seeds", "rows"]

_PATIENCE = 5  # epochs
_PARTS = ("train", "valid")
_SKORCHS = {"train_batch_count", "valid_batch_count"}


def rows(history):
    """History of skorch without its batches and what else it notes.

    Parameters
    ----------
    history : skorch.history.History
        Of a training; an epoch that was broken off is left out.

    Returns
    -------
    rows : list of dict
        As `train` returns them.
    """
    return [_row(noted) for noted in history if "learning_rate" in noted]


def _row(noted):
    row = {"epoch": noted["epoch"], "seconds": noted.get("dur", noted.get("seconds"))}
    row |= {name: noted[name] for name in ("updates", "learning_rate")}
    for part in _PARTS:
        scores = (name for name in noted if name.startswith(f"{part}_") and name not in _SKORCHS)
        row |= {name: noted[name] for name in scores}
    return row


class Seeds(Callback):
    """Seed the task's generator for each epoch, and alike for each validation."""

    def __init__(self, loop):
        self.loop = loop

    def on_epoch_begin(self, net, **kwargs):
        self.loop.task.generator.manual_seed(self.loop.seed + len(net.history))
        self._validating = False

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        if not training and not self._validating:
            self._validating = True
            self.loop.task.generator.manual_seed(self.loop.seed)


class Scores(Callback):
    """Means over the predictions of an epoch in all processes, not over its batches."""

    def __init__(self, accelerator):
        self.accelerator = accelerator

    def on_epoch_begin(self, net, **kwargs):
        self._sums = {part: {} for part in _PARTS}

    def on_batch_end(self, net, batch=None, training=None, y_pred=None, **kwargs):
        sums = self._sums["train" if training else "valid"]
        for name, value in {"loss": y_pred.loss, **y_pred.scores}.items():
            total, n = sums.get(name, (0.0, 0))
            sums[name] = total + float(value), n + y_pred.n

    def on_epoch_end(self, net, **kwargs):
        everywhere = [self._sums]
        if self.accelerator is not None:
            from accelerate.utils import gather_object

            everywhere = gather_object(everywhere)
        for part in _PARTS:
            # in one process, or in this turn, a task may have scores that it has not in others
            for name in dict.fromkeys(name for sums in everywhere for name in sums[part]):
                pairs = [sums[part].get(name, (0.0, 0)) for sums in everywhere]
                total, n = map(sum, zip(*pairs, strict=True))
                net.history.record(f"{part}_{name}", total / n)


class Schedule(Callback):
    """Learning rates by the share of the training that is over: of updates or time, the larger."""

    def __init__(self, loop, recipe, updates, accelerator):
        self.loop, self.recipe, self.updates = loop, recipe, updates
        self.accelerator = accelerator
        self.update, self._begin, self.progress = 0, None, 0.0

    def spent(self):
        """Updates and seconds so far."""
        return self.update, time.monotonic() - self._begin

    def set_spent(self, spent):
        """Go on from there.

        Parameters
        ----------
        spent : (int, float)
            Updates and seconds.
        """
        self.update, self._begin = spent[0], time.monotonic() - spent[1]
        self.progress = self._measured()

    def on_train_begin(self, net, **kwargs):
        self.set_spent((self.update, 0.0 if self._begin is None else self.spent()[1]))
        self._set(net)

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        task = self.loop.task
        in_turn = training and task.rhythm is not None
        task.turn = task.rhythm[self.update % len(task.rhythm)] if in_turn else None

    def on_batch_end(self, net, training=None, **kwargs):
        if training:
            self.update += 1
            self._set(net)
            # not before: an epoch without any update has no loss
            self.loop.training.stop = self.progress >= 1

    def _measured(self):
        """Share of the training that is over, the same in all processes."""
        update, seconds = self.spent()
        minutes = self.recipe.max_minutes
        share = max(update / self.updates, seconds / 60 / minutes if minutes else 0.0)
        if self.accelerator is not None and minutes:
            from accelerate.utils import broadcast

            share = broadcast(torch.tensor(share, device=self.accelerator.device)).item()
        return min(share, 1.0)

    def _set(self, net):
        task = self.loop.task
        self.progress = task.progress = self._measured()
        factor = task.schedule(self.progress)
        for group in net.optimizer_.param_groups:
            group["lr"] = group["initial_lr"] * factor

    def on_epoch_end(self, net, **kwargs):
        net.history.record("updates", self.update)
        net.history.record("learning_rate", net.optimizer_.param_groups[0]["lr"])


class Best(Callback):
    """Remember the weights of the best epoch since losses can be compared.

    ``least`` is the lowest value of the score that the task is judged by.
    """

    def __init__(self, task, part):
        self.task, self.part = task, part
        self.loss, self.epoch, self.weights, self.least = math.inf, None, None, math.inf

    def on_epoch_end(self, net, **kwargs):
        if not self.task.comparable:
            return
        row = net.history[-1]
        loss = row[f"{self.part}_loss"]
        self.least = min(self.least, row[f"{self.part}_{self.task.judged_by}"])
        if loss <= self.loss:
            self.loss, self.epoch = loss, len(net.history)
            state = self.task.state_dict()
            self.weights = {name: tensor.detach().clone() for name, tensor in state.items()}

    def state(self):
        """Loss, number and weights of that epoch, and the lowest loss."""
        return self.loss, self.epoch, self.weights, self.least

    def set_state(self, state):
        """Go on from there.

        Parameters
        ----------
        state : (float, int or None, dict or None, float)
            Result of `state`.
        """
        self.loss, self.epoch, self.weights, self.least = state

    def restore(self):
        """Give the task these weights."""
        if self.weights is not None:
            self.task.load_state_dict(self.weights)


class Saving(Callback):
    """Write all that the next epoch hangs on; a full disk is told once, and training goes on."""

    def __init__(self, loop):
        self.loop, self._warned = loop, False

    def on_epoch_end(self, net, **kwargs):
        self.write()

    def write(self, done=False):
        """Write the state, or what came out of a training that is done.

        Parameters
        ----------
        done : bool
            Whether the training has come to its end.
        """
        try:
            _checkpoints.save(self.loop.file, self.loop.state(done))
        except KeyboardInterrupt:
            self.loop.interrupted = True  # by Ctrl-C: no callback ended it
            raise
        except OSError as error:
            if not self._warned:
                warn(
                    f"the state of the training is not saved: {error}; the training goes on, but "
                    f"make room in {self.loop.file.parent}, or it cannot be taken up again"
                )
            self._warned = True


class Ending(Callback):
    """End the training when its time is over, or several epochs brought nothing better."""

    def __init__(self, schedule, best):
        self.schedule, self.best = schedule, best

    def reached(self, history):
        """Whether no epoch is to follow.

        Parameters
        ----------
        history : skorch.history.History
            Of the training so far.

        Returns
        -------
        reached : bool
            Whether it is over.
        """
        waited = 0
        if self.best is not None and self.best.epoch is not None:
            waited = len(history) - self.best.epoch
        return self.schedule.progress >= 1 or waited >= _PATIENCE

    def on_epoch_end(self, net, **kwargs):
        if self.reached(net.history):
            raise KeyboardInterrupt  # skorch's way to end in good order


class Bar(Callback):
    """Progress bar with the loss and the scores of the task."""

    def __init__(self, schedule):
        self.schedule = schedule

    def on_train_begin(self, net, **kwargs):
        from tqdm import tqdm

        schedule = self.schedule
        self._bar = tqdm(total=schedule.updates, initial=schedule.update, unit="update")

    def on_batch_end(self, net, training=None, **kwargs):
        if training:
            self._bar.update()

    def on_epoch_end(self, net, **kwargs):
        row = net.history[-1]
        part = "valid_" if "valid_loss" in row else "train_"
        scores = {n.removeprefix(part): v for n, v in row.items() if n.startswith(part)}
        texts = (f"{n} {v:.3f}" for n, v in scores.items() if f"{part}{n}" not in _SKORCHS)
        self._bar.set_postfix_str(", ".join(texts))

    def on_train_end(self, net, **kwargs):
        self._bar.close()
