"""What happens between the batches and the epochs of a training, as skorch's callbacks."""

import math
import time

import torch
from skorch.callbacks import Callback

from . import checkpoint
from .warn import warn

__all__ = ["Accuracy", "Bar", "Best", "Draws", "Ending", "Kept", "Schedule", "rows"]

_PATIENCE = 5  # epochs
_WARM_UP = 0.05  # share of the training in which the learning rate rises


def rows(history):
    """History of skorch without its batches and what else it notes.

    Parameters
    ----------
    history : skorch.history.History
        Of a training; an epoch that was broken off is left out.

    Returns
    -------
    rows : list of dict
        As `skaudio._engine.train.train` returns them.
    """
    names = ("epoch", "dur", "seconds", "learning_rate")
    names += ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy")
    return [
        {"seconds" if name == "dur" else name: row[name] for name in names if name in row}
        for row in history
        if "learning_rate" in row
    ]


class Draws(Callback):
    """Start the draws of each validation anew, so that its losses can be compared."""

    def __init__(self, loop):
        self.loop = loop

    def on_epoch_begin(self, net, **kwargs):
        self.loop.task.reseed(self.loop.seed + len(net.history))
        self._validating = False

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        if not training and not self._validating:
            self._validating = True
            self.loop.task.reseed(self.loop.seed)


class Accuracy(Callback):
    """Means over the predictions of an epoch in all processes, not over its batches."""

    def __init__(self, accelerator):
        self.accelerator = accelerator

    def on_epoch_begin(self, net, **kwargs):
        self._sums = {True: [0.0, 0, 0, 0.0], False: [0.0, 0, 0, 0.0]}

    def on_batch_end(self, net, batch=None, training=None, y_pred=None, **kwargs):
        sums = self._sums[training]
        sums[0] += y_pred.loss.item()
        sums[1] += y_pred.n
        sums[2] += y_pred.n_correct.item()
        sums[3] += float(y_pred.asked)

    def on_epoch_end(self, net, **kwargs):
        for training, name in ((True, "train"), (False, "valid")):
            sums = self._sums[training]
            if self.accelerator is not None:
                sums = torch.tensor(sums, device=self.accelerator.device)
                sums = self.accelerator.reduce(sums, "sum").tolist()
            loss, n, n_correct, asked = sums
            if n:
                net.history.record(f"{name}_loss", loss / n)
                net.history.record(f"{name}_accuracy", n_correct / n)
                net.history.record(f"{name}_asked", asked / n)


class Schedule(Callback):
    """Linear warm-up, then half a cosine to zero, over the updates or the time, whichever ends."""

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
        done = self.progress = self.loop.task.progress = self._measured()
        if done < _WARM_UP:
            factor = max(done / _WARM_UP, 1e-3)
        else:
            factor = 0.5 * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP)))
        for group in net.optimizer_.param_groups:
            group["lr"] = self.recipe.learning_rate * factor

    def on_epoch_end(self, net, **kwargs):
        net.history.record("learning_rate", net.optimizer_.param_groups[0]["lr"])


class Best(Callback):
    """Remember the weights of the best epoch since losses can be compared.

    ``least`` is the lowest loss of any epoch without what is no prediction, to be compared with
    that of guessing.
    """

    def __init__(self, task, part):
        self.task, self.part = task, part
        self.loss, self.epoch, self.weights, self.least = math.inf, None, None, math.inf

    def on_epoch_end(self, net, **kwargs):
        if self.task.progress < self.task.settles:
            return
        row = net.history[-1]
        loss = row[f"{self.part}_loss"]
        self.least = min(self.least, loss - row[f"{self.part}_asked"])
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


class Kept(Callback):
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
            checkpoint.save(self.loop.file, self.loop.state(done))
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
    """Progress bar with the loss and accuracy of the task."""

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
        part = "valid" if "valid_loss" in row else "train"
        text = f"loss {row[f'{part}_loss']:.3f}, accuracy {row[f'{part}_accuracy']:.3f}"
        self._bar.set_postfix_str(text)

    def on_train_end(self, net, **kwargs):
        self._bar.close()
