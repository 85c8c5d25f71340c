"""skorch's training loop, fed with batches of crops; imported only when training starts."""

import math
import os

import torch
from skorch import NeuralNet
from skorch.callbacks import GradientNormClipping
from skorch.hf import AccelerateMixin

from .._engine.warn import warn
from . import _callbacks as callbacks
from ._task import Outcome

__all__ = ["Loop", "launched"]


def launched(device):
    """Join the processes that share this training, if there are any.

    Parameters
    ----------
    device : str
        "cpu" keeps them from the GPUs.

    Returns
    -------
    accelerator : accelerate.Accelerator or None
        None if this process was not started by ``accelerate launch`` or ``torchrun``.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return None
    from accelerate import Accelerator

    return Accelerator(cpu=device == "cpu")


class Loop:
    """One training.

    Parameters
    ----------
    task : Task
        What is trained.
    training, validation : Crops, or None for no validation
        Batches.
    recipe : Recipe
        How to train.
    updates : int
        How many at most; the last epoch may be cut short.
    device : torch.device
        Where to compute, if the training is not shared.
    seed : int
        Of what the task draws.
    accelerator : accelerate.Accelerator or None
        Of the processes that share the training.
    file : Path or None
        Where the state is saved after each epoch.
    """

    def __init__(
        self, task, training, validation, recipe, updates, device, seed, accelerator=None, file=None
    ):
        self.task, self.training, self.seed, self.file = task, training, seed, file
        self.epochs = math.ceil(updates / len(training))
        self.interrupted = False
        part = "valid" if validation is not None else "train"
        stopping = recipe.early_stopping and validation is not None
        self.schedule = callbacks.Schedule(self, recipe, updates, accelerator)
        self.best = callbacks.Best(task, part)
        self.ending = callbacks.Ending(self.schedule, self.best if stopping else None)
        mine = [
            ("seeds", callbacks.Seeds(self)),
            ("scores", callbacks.Scores(accelerator)),
            *self._clipping(),
            ("schedule", self.schedule),
            ("best", self.best),
            *[(f"user{i}", item) for i, item in enumerate(recipe.callbacks or ())],
        ]
        self.main = accelerator is None or accelerator.is_main_process
        self.saving = callbacks.Saving(self) if file is not None and self.main else None
        if self.saving is not None:
            mine.append(("saving", self.saving))
        if recipe.verbose and self.main:
            mine.append(("bar", callbacks.Bar(self.schedule)))
        mine.append(("ending", self.ending))
        net = _Net if accelerator is None else _SharedNet
        self.net = net(
            task,
            criterion=object,  # the task computes its own loss
            lr=recipe.learning_rate,
            train_split=None,
            callbacks=mine,
            callbacks__print_log__sink=_silent,  # accelerate's net cannot be without it
            callbacks__train_loss=None,
            callbacks__valid_loss=None,
            verbose=0,
            **({"device": device} if accelerator is None else {"accelerator": accelerator}),
        )
        self.net.loop = self
        self.net.batches, self.net.precision = (training, validation), recipe.precision

    def _clipping(self):
        norm = self.task.max_grad_norm
        return [] if norm is None else [("clipping", GradientNormClipping(norm))]

    def run(self, state=None):
        """Train, or go on; when interrupted, too, the task is left with its best weights.

        Parameters
        ----------
        state : dict or None
            Where to go on: what `state` gave once.

        Returns
        -------
        history : list of dict
            As `train` returns it.

        Raises
        ------
        KeyboardInterrupt
            If it is interrupted before there are weights to return.
        """
        self.net.initialize()
        if state is not None:
            self._resume(state)
        if state is None or not state["done"]:
            self._go_on()
        self.best.restore()
        return callbacks.rows(self.net.history)

    def _go_on(self):
        """Train for the epochs that are left, which may be none: the state is saved before."""
        left = self.epochs - len(self.net.history)
        if left > 0 and not (self.net.history and self.ending.reached(self.net.history)):
            self.net.set_params(max_epochs=left)
            self.net.partial_fit(None)
        rows = callbacks.rows(self.net.history)
        self.interrupted |= len(rows) < len(self.net.history)  # the last epoch is not complete
        if self.interrupted:
            self._tell_interruption(len(rows))
        elif len(rows) == self.epochs or self.ending.reached(rows):
            if self.saving is not None:
                self.saving.write(done=True)
        elif self.best.weights is None:
            warn(
                f"a callback ended the training after {len(rows)} of {self.epochs} epochs, before "
                "any of them could be compared with others, so that none is the best; train for "
                "longer"
            )

    def _tell_interruption(self, n_epochs):
        if self.best.weights is None:
            when = f"after {n_epochs} of {self.epochs} epochs" if n_epochs else "in its first epoch"
            raise KeyboardInterrupt(f"the training was interrupted {when}: nothing is learnt yet")
        text = (
            f"the training was interrupted after {n_epochs} of {self.epochs} epochs; the best "
            f"weights so far are those of epoch {self.best.epoch}"
        )
        if self.file is not None:
            text += ", and the same fit goes on from its checkpoint"
        warn(text)

    def state(self, done=False):
        """All that the next epoch hangs on; of a finished training, what came out.

        Parameters
        ----------
        done : bool
            Whether the training has come to its end.

        Returns
        -------
        state : dict
            Of numbers, text and tensors.
        """
        state = {
            "done": done,
            "history": callbacks.rows(self.net.history),
            "best": self.best.state(),
            "seed": self.seed,
        }
        if not done:
            state["weights"] = self.task.state_dict()
            state["optimizer"] = self.net.optimizer_.state_dict()
            state["crops"] = self.training.random_state()
            state["schedule"] = self.schedule.spent()
        return state

    def _resume(self, state):
        for row in state["history"]:
            self.net.history.new_epoch()
            for name, value in row.items():
                self.net.history.record(name, value)
        self.best.set_state(state["best"])
        if not state["done"]:
            self.task.load_state_dict(state["weights"])
            self.net.optimizer_.load_state_dict(state["optimizer"])
            self.training.set_random_state(state["crops"])
            self.schedule.set_spent(state["schedule"])


def _silent(*text):
    """Take the place of print."""


class _Optimizers:
    """The optimizers of a task, as the one that skorch knows; the task says whose turn it is."""

    def __init__(self, task, learning_rate):
        self._task, self._optimizers = task, task.optimizers(learning_rate)
        for group in self.param_groups:
            group["initial_lr"] = group["lr"]

    @property
    def param_groups(self):
        return [group for optimizer in self._optimizers for group in optimizer.param_groups]

    def zero_grad(self, set_to_none=True):
        # of weights that no optimizer has, too: they would add up, and count in the norm of all
        self._task.zero_grad(set_to_none)

    def step(self, closure=None):
        if closure is not None:
            with torch.enable_grad():
                closure()
        turn = self._task.turn
        for optimizer in self._optimizers if turn is None else [self._optimizers[turn]]:
            optimizer.step()

    def state_dict(self):
        return [optimizer.state_dict() for optimizer in self._optimizers]

    def load_state_dict(self, states):
        for optimizer, state in zip(self._optimizers, states, strict=True):
            optimizer.load_state_dict(state)


class _Net(NeuralNet):
    """skorch's net, with batches that are ready and a module that computes its own loss."""

    parts = 1  # pieces that a batch is cut into, for a device with little memory

    def check_data(self, X, y):
        """Accept what `batches` holds instead."""

    def get_split_datasets(self, X, y=None, **params):
        return self.batches

    def get_iterator(self, dataset, training=False):
        return dataset

    def initialize_optimizer(self, triggered_directly=None):
        self.optimizer_ = _Optimizers(self.loop.task, self.lr)
        return self

    def _step_optimizer(self, step_fn):
        self.optimizer_.step(step_fn)

    def _zero_grad_optimizer(self, set_to_none=None):
        self.optimizer_.zero_grad()

    def infer(self, x, **params):
        device = self.optimizer_.param_groups[0]["params"][0].device
        batch = x._make(None if part is None else part.to(device) for part in x)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            return self.module_(batch)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        # y_true: what each crop of the batch counts for
        loss = y_pred.loss / y_pred.n * y_true.sum().item()
        if not math.isfinite(loss.item()):
            raise ValueError(self._divergence(loss.item()))
        return loss

    def _divergence(self, loss):
        epoch, rate = len(self.history), self.optimizer_.param_groups[0]["lr"]
        text = f"training diverged: the loss is {loss} in epoch {epoch} at learning rate {rate:.2g}"
        if epoch > 1:
            text += f"; epoch {epoch - 1} was the last good one"
            if self.loop.file is not None and self.loop.file.exists():
                text += f" and is saved in {self.loop.file}"
        return f"{text}; pass a lower learning_rate"

    def train_step_single(self, batch, **params):
        self._set_training(True)
        n_crops, n_samples = batch.wave.shape
        while True:
            try:
                return self._in_parts(batch)
            except torch.OutOfMemoryError as error:
                if not self.loop.task.divisible:
                    raise torch.OutOfMemoryError(
                        f"memory of the device is too small for a batch of {n_crops} crops of "
                        f"{n_samples} samples, and {type(self.loop.task).__name__} compares the "
                        "crops of a batch with each other, so that it cannot be computed in "
                        "parts; lower batch_seconds or crop_seconds"
                    ) from error
                if self.parts >= n_crops:
                    raise
            # here the failed attempt no longer holds its tensors
            if self.parts == 1:
                warn(
                    f"memory of the device is too small for batches of {n_crops} crops of "
                    f"{n_samples} samples; they are computed in parts, which changes nothing else; "
                    "a lower batch_seconds or crop_seconds would need less memory"
                )
            self.parts *= 2
            self._zero_grad_optimizer()
            torch.cuda.empty_cache()

    def validation_step(self, batch, **params):
        self._set_training(False)
        with torch.no_grad():
            outcome = self.infer(batch)
            return {"loss": self.get_loss(outcome, batch.weight), "y_pred": outcome}

    def _in_parts(self, batch):
        """Gradients of a batch, part by part; the outcome of a step as skorch wants it."""
        loss, outcomes = 0.0, []
        chunks = (part if part is None else part.chunk(self.parts) for part in batch)
        n_parts = min(self.parts, len(batch.wave))
        for part in zip(*(c or [None] * n_parts for c in chunks), strict=True):
            part = batch._make(part)
            outcome = self.infer(part)
            part_loss = self.get_loss(outcome, part.weight, training=True)
            self._backward(part_loss)
            loss = loss + part_loss.detach()
            outcomes.append(outcome._replace(loss=outcome.loss.detach()))
        return {"loss": loss, "y_pred": _summed(outcomes)}

    def _backward(self, loss):
        loss.backward()


def _summed(outcomes):
    """One outcome of the parts of a batch."""
    names = dict.fromkeys(name for outcome in outcomes for name in outcome.scores)
    scores = {name: sum(o.scores.get(name, 0.0) for o in outcomes) for name in names}
    return Outcome(sum(o.loss for o in outcomes), sum(o.n for o in outcomes), scores)


class _SharedNet(AccelerateMixin, _Net):
    """One of several processes, each with its share of every batch."""

    train_step_single = _Net.train_step_single
    _step_optimizer = _Net._step_optimizer

    def get_iterator(self, dataset, training=False):
        return dataset

    def _backward(self, loss):
        self.accelerator.backward(loss)
