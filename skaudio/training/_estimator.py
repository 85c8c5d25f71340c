"""What training adds to an estimator, whatever its task."""

from dataclasses import dataclass

import numpy as np

from .._engine import weights
from .._engine.content import content
from .._engine.loaded_state import check_weights
from ..utils.validation import check_choice, check_number
from ._columns import one_per_clip
from ._train import Data, Recipe, train

__all__ = ["TrainingMixin"]

_MOST_SECONDS = 1e6


@dataclass(frozen=True)
class _Plan:
    """What kind of `fit` this is.

    Attributes
    ----------
    go_on : bool
        Whether it begins with the weights of the last one.
    epochs : int or None
        How many. None: as many as the parameters say.
    judge : bool
        Whether to warn if nothing was learnt: a single epoch of `partial_fit` teaches little.
    """

    go_on: bool = False
    epochs: int | None = None
    judge: bool = True


class TrainingMixin:
    """Training of an estimator's network, to stand before `skaudio.base.BaseAudioTransformer`.

    A subclass writes these hooks beside those of `skaudio.base.BaseAudioEstimator`:

    ``_task(network, y)``
        The `Task` that trains the network. Its layers initialise themselves as those of the
        network. ``y`` is what ``_targets`` made of the labels.
    ``_targets(y, go_on)``
        Optional: labels of the usable clips -> an array of numbers with an entry for each clip,
        or None if the task needs none. It is called before the network is built. A warm start or
        `partial_fit` goes on.
    ``_pretrained_weights()``
        Optional: weights of the network and of the task beside it that training begins with, two
        dicts of arrays by name. None: it begins with initial ones.

    The parameters below are those of trainings; an ``__init__`` takes and stores the ones that
    its users may change, and the others have these values. They are documented at
    `skaudio.Wav2VecTransformer`.
    """

    crop_seconds = 1.0
    batch_seconds = 8.0
    max_epochs = None
    max_minutes = None
    learning_rate = 2e-3
    validation_fraction = 0.1
    early_stopping = True
    callbacks = None
    checkpoint = None
    warm_start = False
    pretrained = None

    # parameters that choose what is read out of a trained network: with others it is the same
    _after_training = ("pooling",)

    def fit(self, X, y=None, groups=None):
        """Train on clips, or read a checkpoint.

        Parameters
        ----------
        X : list of clips, or array of shape (n_clips, n_samples)
            A clip is a 1-D array of samples at ``sample_rate``, a path, or an `AudioFile`.
        y : array-like of shape (n_clips,), default=None
            The label of each clip, where the task needs labels; otherwise ignored.
        groups : array-like of shape (n_clips,), default=None
            What must not be both trained on and held out, such as the speaker. Clips shorter
            than a crop are joined with others of their group only.

        Returns
        -------
        self : object
            The fitted extractor. An interruption (Ctrl-C) ends the training in good order, with
            a warning and the best weights so far.

        Raises
        ------
        ClipError
            (a ValueError) If a clip cannot be used and ``on_error="raise"``.
        ValueError, TypeError
            If X is no collection of clips, ``y`` or ``groups`` are not one per clip, a parameter
            is not allowed, no clip can be decoded, a batch does not fit into memory, a
            checkpoint is damaged, or the training diverges.
        OSError
            If there is no room on disk for the decoded clips.
        KeyboardInterrupt
            If it is interrupted before there are weights to return. The extractor is then as it
            was before, as after every error.

        Warns
        -----
        UserWarning
            If the training was interrupted, or never got better than guessing.
        """
        return self._fit(X, y, groups, _Plan(self.warm_start and hasattr(self, "weights_")))

    def partial_fit(self, X, y=None, groups=None):
        """Train for one more epoch, on these clips.

        Parameters
        ----------
        X : list of clips, or array of shape (n_clips, n_samples)
            As in `fit`.
        y : array-like of shape (n_clips,), default=None
            As in `fit`.
        groups : array-like of shape (n_clips,), default=None
            As in `fit`.

        Returns
        -------
        self : object
            The fitted extractor. Whether it is better than guessing is not judged here.
        """
        return self._fit(X, y, groups, _Plan(hasattr(self, "weights_"), epochs=1, judge=False))

    def _fit(self, X, y, groups, plan):
        with self._unchanged_if_it_fails():
            self._validate()
            self._validate_training_parameters()
            if not plan.go_on:
                self._forget()
            # only the first of several `partial_fit` says how wide a matrix is
            clips = self._as_clips(X, reset=not (plan.go_on and plan.epochs))
            needed = self._needs_labels(self._epochs_of(plan))
            y = self._labels(y, len(clips), needed)
            groups = None if groups is None else one_per_clip("groups", groups, len(clips))
            usable = self._usable(clips)
            rows = [*usable.rows]
            y, groups = (None if column is None else column[rows] for column in (y, groups))
            if needed:
                y = self._targets(y, plan.go_on)
            self._learn(usable, self._run())
            generator = weights.new_generator(self.random_state)
            network = self._built(generator)
            self._train(network, Data(usable, y, groups), generator, plan)
            self._finish_fit(network)
            if self._epochs_of(plan) != 0:
                self._finish_training(usable)
        return self

    @property
    def learns_from_clips(self):
        """Whether the features depend on the clips seen in `fit`."""
        return self._epochs() != 0

    def _epochs(self):
        if self.max_epochs is None:
            return None if self.pretrained is None else 0
        return self.max_epochs

    def _validate_training_parameters(self):
        check_number("max_epochs", self.max_epochs, 0, none=True)
        check_number("max_minutes", self.max_minutes, 1e-9, integer=False, none=True)
        check_number("learning_rate", self.learning_rate, 1e-9, integer=False)
        check_number("validation_fraction", self.validation_fraction, 0, 0.9, integer=False)
        for name in ("crop_seconds", "batch_seconds"):
            check_number(name, getattr(self, name), 1e-9, _MOST_SECONDS, integer=False)
        for name in ("early_stopping", "warm_start"):
            check_choice(name, getattr(self, name), (True, False))

    def _epochs_of(self, plan):
        return self._epochs() if plan.epochs is None else plan.epochs

    def _forget(self):
        """Drop what an earlier training learnt beside the network: this one may learn nothing."""
        vars(self).pop("task_weights_", None)

    def _needs_labels(self, epochs):
        """Whether a `fit` of so many epochs asks ``_labels`` and ``_targets`` for what it needs."""
        return epochs != 0

    def _labels(self, y, n_clips, needed):
        """Labels as an array with one for each clip; None if the task needs none."""
        return None

    def _targets(self, y, go_on):
        return y

    def _finish_training(self, clips):
        """Nothing to learn from the features of whole clips."""

    def _pretrained_weights(self):
        return None

    def _train(self, network, data, generator, plan):
        epochs = self._epochs_of(plan)
        begins_with = None
        if plan.go_on:
            begins_with = self.weights_, vars(self).get("task_weights_", {})
        elif self.pretrained is not None:
            begins_with = self._pretrained_weights()
        if begins_with is not None:
            weights.load(network, begins_with[0])
        history = self.history_ if plan.go_on else []
        if epochs != 0:
            with weights.initialised_from(generator):
                task = self._task(network, data.y)
            if begins_with is not None:
                _load_beside(task, begins_with[1])
            seed = weights.new_seed(generator)
            new = train(
                task,
                data,
                self._recipe(epochs),
                seed,
                self._start(network, begins_with, seed),
                failures=self._run().new_failures(),
                judge=plan.judge,
            )
            self.task_weights_ = weights_beside(task)
            history = [*history, *_continued(history, new)]
        elif begins_with is not None:
            self.task_weights_ = begins_with[1]
        self.history_ = history
        self.loss_curve_ = [row["train_loss"] for row in history]
        self.n_epochs_ = len(history)

    def _check_network(self, network):
        super()._check_network(network)
        if "task_weights_" in vars(self):
            with weights.initialised_from(None):
                task = self._task(network, None)
            check_weights("task_weights_", self.task_weights_, _tensors_beside(task))

    def _start(self, network, begins_with, seed):
        """What a training sets out from, as text, for the name of its checkpoint."""
        if self.checkpoint is None:
            return None
        chosen = {*self._after_training, *_NO_PART}
        params = self.get_params(deep=False).items()
        start = [content(type(self)), *((n, content(v)) for n, v in params if n not in chosen)]
        if begins_with is not None:
            start += [weights.digest(part) for part in begins_with]
        elif self.random_state is not None:
            start += [weights.digest(weights.to_numpy(network))]
        # without a seed any earlier training is as good, a generator gives another each time
        return repr([start, None if self.random_state is None else seed])

    def _recipe(self, epochs):
        return Recipe(
            sample_rate=self.sample_rate,
            crop_seconds=self.crop_seconds,
            batch_seconds=self.batch_seconds,
            max_epochs=epochs,
            max_minutes=self.max_minutes,
            learning_rate=self.learning_rate,
            validation_fraction=self.validation_fraction,
            early_stopping=self.early_stopping,
            callbacks=self.callbacks,
            checkpoint=self.checkpoint,
            precision=self.precision,
            device=self.device,
            verbose=self.verbose,
        )


# the first belong to the machine or the caller; the others show in what training begins with
_NO_PART = {
    *("batch_size", "device", "memory", "n_jobs", "verbose", "on_error", "callbacks"),
    *("checkpoint", "warm_start", "pretrained", "random_state", "max_epochs"),
}


def _continued(history, new):
    """Rows of a further training, counted on from those of the earlier ones."""
    epochs, updates = len(history), history[-1]["updates"] if history else 0
    for row in new:
        yield {**row, "epoch": epochs + row["epoch"], "updates": updates + row["updates"]}


def _tensors_beside(task):
    """State of a task beside that of its network."""
    inside = ("network.", "frontend.")
    return {name: t for name, t in task.state_dict().items() if not name.startswith(inside)}


def weights_beside(task):
    """Weights of a task that are not its network's, by name.

    Parameters
    ----------
    task : Task
        Whatever its state.

    Returns
    -------
    weights : dict of str to ndarray
        Copies.
    """
    return {name: t.detach().cpu().numpy().copy() for name, t in _tensors_beside(task).items()}


def _load_beside(task, stored):
    """Load such weights; those of a file that has none stay as they were initialised."""
    wanted = {name: w.shape for name, w in weights_beside(task).items()}
    found = {name: np.shape(w) for name, w in stored.items()}
    if stored and found != wanted:
        differing = sorted(name for name, _ in {*found.items()} ^ {*wanted.items()})
        raise ValueError(
            f"what was fitted before does not fit this task ({', '.join(differing[:3])}); "
            "pass warm_start=False, or fit a clone"
        )
    weights.load(task, stored)
