"""What happens between the batches and the epochs of a training, as skorch's callbacks."""

import math
import time

import torch
from skorch.callbacks import Callback

from . import checkpoint

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
        self._sums = {True: [0.0, 0, 0], False: [0.0, 0, 0]}

    def on_batch_end(self, net, batch=None, training=None, y_pred=None, **kwargs):
        sums = self._sums[training]
        sums[0] += y_pred.loss.item()
        sums[1] += y_pred.n
        sums[2] += y_pred.n_correct.item()

    def on_epoch_end(self, net, **kwargs):
        for training, name in ((True, "train"), (False, "valid")):
            sums = self._sums[training]
            if self.accelerator is not None:
                sums = torch.tensor(sums, device=self.accelerator.device)
                sums = self.accelerator.reduce(sums, "sum").tolist()
            loss, n, n_correct = sums
            if n:
                net.history.record(f"{name}_loss", loss / n)
                net.history.record(f"{name}_accuracy", n_correct / n)


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

    def on_train_begin(self, net, **kwargs):
        self.set_spent((self.update, 0.0 if self._begin is None else self.spent()[1]))
        self._set(net)

    def on_batch_end(self, net, training=None, **kwargs):
        if training:
            self.update += 1
            self._set(net)

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
        if done >= 1:
            self.loop.training.stop = True

    def on_epoch_end(self, net, **kwargs):
        net.history.record("learning_rate", net.optimizer_.param_groups[0]["lr"])


class Best(Callback):
    """Keep the weights of the best epoch since losses can be compared."""

    def __init__(self, task, score):
        self.task, self.score = task, score
        self.loss, self.epoch, self.weights = math.inf, None, None

    def on_epoch_end(self, net, **kwargs):
        loss = net.history[-1, self.score]
        if loss <= self.loss and self.task.progress >= self.task.settles:
            self.loss, self.epoch = loss, len(net.history)
            state = self.task.state_dict()
            self.weights = {name: tensor.detach().clone() for name, tensor in state.items()}

    def state(self):
        """Loss, number and weights of that epoch."""
        return self.loss, self.epoch, self.weights

    def set_state(self, state):
        """Go on from there.

        Parameters
        ----------
        state : (float, int or None, dict or None)
            Result of `state`.
        """
        self.loss, self.epoch, self.weights = state

    def restore(self):
        """Give the task these weights."""
        if self.weights is not None:
            self.task.load_state_dict(self.weights)


class Kept(Callback):
    """Write all that the next epoch hangs on."""

    def __init__(self, loop):
        self.loop = loop

    def on_epoch_end(self, net, **kwargs):
        checkpoint.save(self.loop.file, self.loop.state())


class Ending(Callback):
    """End the training when its time is over, or several epochs brought nothing better."""

    def __init__(self, schedule, best):
        self.schedule, self.best, self.reached = schedule, best, False

    def on_epoch_end(self, net, **kwargs):
        waited = 0
        if self.best is not None and self.best.epoch is not None:
            waited = len(net.history) - self.best.epoch
        if self.schedule.progress >= 1 or waited >= _PATIENCE:
            self.reached = True
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
