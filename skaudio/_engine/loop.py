"""skorch's training loop, fed with batches of crops; imported only when training starts."""

import math
import time

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping
from torch import nn

__all__ = ["Loop"]

_PATIENCE = 5  # epochs
_WARM_UP = 0.05  # share of the training in which the learning rate rises
_CLIP = 5.0  # norm of the gradients of all weights


class Loop:
    """One training.

    Parameters
    ----------
    task : Module
        What is trained; see `skaudio._engine.train.train`.
    training, validation : iterable of (wave, target), or None for no validation
        Batches.
    recipe : Recipe
        How to train.
    epochs : int
        How many at most.
    device : torch.device
        Where to compute.
    seed : int
        Of what the task draws.
    """

    def __init__(self, task, training, validation, recipe, epochs, device, seed):
        score = "valid_loss" if validation is not None else "train_loss"
        self._best = _Best(score)
        callbacks = [
            ("draws", _Draws(seed)),
            ("accuracy", _Accuracy()),
            ("clipping", GradientNormClipping(_CLIP)),
            ("schedule", _Schedule(recipe, epochs * len(training))),
            ("best", self._best),
        ]
        if recipe.early_stopping and validation is not None:
            callbacks.append(("stopping", EarlyStopping(score, patience=_PATIENCE, sink=_silent)))
        callbacks += [(f"user{i}", item) for i, item in enumerate(recipe.callbacks or ())]
        if recipe.verbose:
            callbacks.append(("bar", _Bar(epochs, len(training))))
        self._net = _Net(
            task,
            criterion=nn.Identity,
            optimizer=torch.optim.Adam,
            lr=recipe.learning_rate,
            max_epochs=epochs,
            train_split=None,
            callbacks=callbacks,
            callbacks__print_log=None,
            callbacks__train_loss=None,
            callbacks__valid_loss=None,
            device=device,
            verbose=0,
        )
        self._net.batches = training, validation
        self._net.precision = recipe.precision

    def run(self):
        """Train; when interrupted, too, the task is left with its best weights."""
        self._net.fit(None)
        self._best.restore(self._net)
        return [
            {
                "epoch": row["epoch"],
                "seconds": row["dur"],
                "learning_rate": row["learning_rate"],
                **{
                    f"{part}_{what}": row[f"{part}_{what}"]
                    for part in ("train", "valid")
                    for what in ("loss", "accuracy")
                    if f"{part}_{what}" in row
                },
            }
            for row in self._net.history
            if "learning_rate" in row
        ]


def _silent(text):
    """Take the place of print."""


class _Net(NeuralNet):
    """skorch's net, with batches that are ready and a module that computes its own loss."""

    def check_data(self, X, y):
        """Accept what `batches` holds instead."""

    def get_split_datasets(self, X, y=None, **params):
        return self.batches

    def get_iterator(self, dataset, training=False):
        return dataset

    def infer(self, x, **params):
        x = x.to(self.device)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            return self.module_(x)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        loss = y_pred.loss / y_pred.n
        if not math.isfinite(loss.item()):
            rate = self.optimizer_.param_groups[0]["lr"]
            raise ValueError(
                f"training diverged: the loss is {loss.item()} in epoch "
                f"{len(self.history)} at learning rate {rate:.2g}; pass a lower learning_rate"
            )
        return loss


class _Draws(Callback):
    """Start the draws of each validation anew, so that its losses can be compared."""

    def __init__(self, seed):
        self.seed = seed

    def on_epoch_begin(self, net, **kwargs):
        net.module_.reseed(self.seed + len(net.history))
        self._validating = False

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        if not training and not self._validating:
            self._validating = True
            net.module_.reseed(self.seed)


class _Accuracy(Callback):
    """Means over the predictions of an epoch, not over its batches."""

    def on_epoch_begin(self, net, **kwargs):
        self._sums = {True: [0.0, 0, 0], False: [0.0, 0, 0]}

    def on_batch_end(self, net, batch=None, training=None, y_pred=None, **kwargs):
        sums = self._sums[training]
        sums[0] += y_pred.loss.item()
        sums[1] += y_pred.n
        sums[2] += y_pred.n_correct.item()

    def on_epoch_end(self, net, **kwargs):
        for training, name in ((True, "train"), (False, "valid")):
            loss, n, n_correct = self._sums[training]
            if n:
                net.history.record(f"{name}_loss", loss / n)
                net.history.record(f"{name}_accuracy", n_correct / n)


class _Schedule(Callback):
    """Linear warm-up, then half a cosine to zero, over the epochs or the time, whichever ends."""

    def __init__(self, recipe, updates):
        self.recipe, self.updates = recipe, updates

    def on_train_begin(self, net, **kwargs):
        self._begin, self._update = time.monotonic(), 0
        self._set(net)

    def on_batch_end(self, net, training=None, **kwargs):
        if training:
            self._update += 1
            self._set(net)

    def _progress(self):
        spent = (time.monotonic() - self._begin) / 60
        minutes = self.recipe.max_minutes
        return max(self._update / self.updates, spent / minutes if minutes else 0.0)

    def _set(self, net):
        done = net.module_.progress = min(self._progress(), 1.0)
        if done < _WARM_UP:
            factor = max(done / _WARM_UP, 1e-3)
        else:
            factor = 0.5 * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP)))
        for group in net.optimizer_.param_groups:
            group["lr"] = self.recipe.learning_rate * factor
        if done >= 1 and self._update < self.updates:
            net.batches[0].stop = True

    def on_epoch_end(self, net, **kwargs):
        net.history.record("learning_rate", net.optimizer_.param_groups[0]["lr"])
        if self._progress() >= 1:
            raise KeyboardInterrupt  # skorch's way to end in good order


class _Best(Callback):
    """Keep the weights of the best epoch."""

    def __init__(self, score):
        self.score, self._least, self._state = score, math.inf, None

    def on_epoch_end(self, net, **kwargs):
        value = net.history[-1, self.score]
        if value < self._least:
            self._least = value
            state = net.module_.state_dict()
            self._state = {name: tensor.detach().clone() for name, tensor in state.items()}

    def restore(self, net):
        """Give the module these weights."""
        if self._state is not None:
            net.module_.load_state_dict(self._state)


class _Bar(Callback):
    """Progress bar with the loss and accuracy of the task."""

    def __init__(self, epochs, batches):
        self.epochs, self.batches = epochs, batches

    def on_train_begin(self, net, **kwargs):
        from tqdm import tqdm

        self._bar = tqdm(total=self.epochs * self.batches, unit="update")

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
