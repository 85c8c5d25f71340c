"""What the extractors share that learn to predict the future of a sound."""

from collections.abc import Iterable
from contextlib import contextmanager
from numbers import Real

import numpy as np

from .. import frontends
from .._engine import weights
from .._engine.digest import state_digest
from .._engine.train import Recipe, train
from ..base import BaseAudioTransformer
from ..networks import contrastive, vq, wav2vec
from ..utils.validation import check_choice, check_number, check_whole

OBJECTIVES = ("infonce", "bce", "balanced")
_MOST_STEPS = 1000  # ahead: the head has a matrix for each
_MOST_SECONDS = 1e6
_SETTLES = 0.3  # share of a training after which a quantiser takes part


@contextmanager
def _undone_if_it_fails(estimator):
    """Leave an estimator as it was before if fitting it fails or is interrupted."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def _checked_groups(groups, X):
    """Groups as an array with an entry for each clip of X; ValueError for others."""
    if groups is None:
        return None
    items = [*groups] if isinstance(groups, Iterable) and not isinstance(groups, str) else None
    if items is None or any(np.shape(group) for group in items):
        raise ValueError(f"groups={groups!r} must be a sequence of one number or name per clip")
    try:
        n_clips = len(X)
    except TypeError:  # X is no collection of clips, which is told later
        n_clips = len(items)
    if len(items) != n_clips:
        raise ValueError(f"groups has {len(items)} entries for {n_clips} clips; pass one per clip")
    kinds = {}
    for i, group in enumerate(items):
        if group is None or str(group) in ("nan", "NaT", "<NA>"):
            raise ValueError(f"groups[{i}] is {group}; every clip needs a group")
        kind = next((k for k in (str, Real, np.bool_) if isinstance(group, k)), type(group))
        kinds.setdefault(kind, i)
    if len(kinds) > 1:
        i, k = [*kinds.values()][:2]
        raise ValueError(
            f"groups mixes kinds: groups[{i}] is {items[i]!r} and groups[{k}] is {items[k]!r}; "
            "pass numbers or names throughout"
        )
    return np.array(items)


class _PredictiveTransformer(BaseAudioTransformer):
    """Base of `Wav2VecTransformer` and `VQTransformer`: training, checkpoints, windows.

    A subclass gives the maps it keeps to `_new_network`, the arguments of its quantiser in
    ``_quantizer``, and in ``_check_quantizer`` an opinion of what a checkpoint has.
    """

    def fit(self, X, y=None, groups=None):
        """Train on clips without labels, or read a checkpoint.

        Parameters
        ----------
        X : list of clips, or array of shape (n_clips, n_samples)
            A clip is a 1-D array of samples at ``sample_rate``, a path, or an `AudioFile`.
            Clips too short for a single prediction are left out of the training.
        y : object, default=None
            Ignored; here for pipelines.
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
            If X is no collection of clips, ``groups`` are not one per clip, a parameter is not
            allowed, no clip can be decoded, a batch does not fit into memory, a checkpoint is
            damaged, or the training diverges.
        OSError
            If there is no room on disk for the decoded clips.
        KeyboardInterrupt
            If it is interrupted in its first epoch, or before a quantizer took part. The
            extractor is then as it was before, as after every error.

        Warns
        -----
        UserWarning
            If the training was interrupted, or never got better than guessing.
        """
        with _undone_if_it_fails(self):
            groups = _checked_groups(groups, X)
            return self._fit(X, groups=groups, go_on=self.warm_start)

    def partial_fit(self, X, y=None, groups=None):
        """Train for one more epoch, on these clips.

        Parameters
        ----------
        X : list of clips, or array of shape (n_clips, n_samples)
            As in `fit`.
        y : object, default=None
            Ignored.
        groups : array-like of shape (n_clips,), default=None
            As in `fit`.

        Returns
        -------
        self : object
            The fitted extractor. Whether it is better than guessing is not judged here.
        """
        first = not hasattr(self, "weights_")
        with _undone_if_it_fails(self):
            groups = _checked_groups(groups, X)
            return self._fit(X, reset=first, groups=groups, go_on=True, epochs=1)

    @property
    def learns_from_clips(self):
        """Whether the features depend on the clips seen in `fit`."""
        return self._epochs() != 0

    def _epochs(self):
        if self.max_epochs is None:
            return None if self.pretrained is None else 0
        return self.max_epochs

    def _validate_parameters(self):
        check_choice("size", self.size, wav2vec.SIZES)
        check_choice("objective", self.objective, OBJECTIVES)
        check_choice("precision", self.precision, ("float32", "bfloat16"))
        check_number("n_steps", self.n_steps, 1, _MOST_STEPS)
        check_number("n_negatives", self.n_negatives, 1)
        check_number("max_epochs", self.max_epochs, 0, none=True)
        check_number("validation_fraction", self.validation_fraction, 0, 0.9, integer=False)
        for name in ("crop_seconds", "batch_seconds", "window_seconds"):
            none, seconds = name == "window_seconds", getattr(self, name)
            check_number(name, seconds, 1e-9, _MOST_SECONDS, integer=False, none=none)
        check_number("learning_rate", self.learning_rate, 1e-9, integer=False)
        check_number("max_minutes", self.max_minutes, 1e-9, integer=False, none=True)
        for name in ("encoder_layers", "aggregator_layers"):
            layers = getattr(self, name)
            if layers is not None:
                check_whole(name, layers, (len(layers), 3))

    def _learn(self, clips, run):
        self.architecture_ = self._architecture()

    def _architecture(self):
        """Arguments of the network."""
        if self.pretrained is not None:
            return self._checkpoint().arguments
        encoder, aggregator, skip = wav2vec.SIZES[self.size]
        return {
            "encoder_layers": self.encoder_layers or encoder,
            "aggregator_layers": self.aggregator_layers or aggregator,
            "skip_aggregator": skip,
            "n_steps": self.n_steps,
            "quantizer": self._quantizer(),
        }

    def _quantizer(self):
        """Arguments of the quantiser between encoder and aggregator, if there is one."""
        return None

    def _checkpoint(self):
        """Contents of the file; ValueError if it is not for this class."""
        from ..pretrained.fairseq import KNOWN, fetch_checkpoint, read_checkpoint

        known = self.pretrained in KNOWN
        path = fetch_checkpoint(self.pretrained) if known else self.pretrained
        checkpoint = read_checkpoint(path)
        self._check_quantizer(checkpoint.arguments["quantizer"], path)
        for name in ("encoder_layers", "aggregator_layers"):
            wanted, found = getattr(self, name), checkpoint.arguments[name]
            if wanted is not None and tuple(map(tuple, wanted)) != found:
                raise ValueError(f"{name}={wanted!r}, but {path} has {found}; leave it out")
        if self.sample_rate != checkpoint.sample_rate:
            raise ValueError(
                f"sample_rate={self.sample_rate}, but {path} was trained on sound of "
                f"{checkpoint.sample_rate} Hz; pass that"
            )
        return checkpoint

    def _train(self, network, clips, run, generator, groups=None, go_on=False, epochs=None):
        go_on = go_on and hasattr(self, "weights_")
        if go_on:
            weights.load(network, {name: w.copy() for name, w in self.weights_.items()})
        elif self.pretrained is not None:
            weights.load(network, self._checkpoint().weights)
        judge = epochs is None  # a single epoch of `partial_fit` teaches little
        epochs = self._epochs() if epochs is None else epochs
        history = self.history_ if go_on else []
        if epochs != 0:
            chosen = None if groups is None else groups[list(clips.rows)]
            fresh = network.quantizer is not None and not go_on and self.pretrained is None
            settles = _SETTLES if fresh else 0.0
            task = contrastive.Prediction(network, self.n_negatives, self.objective, settles)
            seed = weights.new_seed(generator)
            recipe = self._recipe(epochs)
            new = train(
                task,
                clips,
                recipe,
                seed,
                self._start(go_on, seed),
                groups=chosen,
                failures=run.new_failures(),
                judge=judge,
            )
            history = [*history, *({**row, "epoch": len(history) + row["epoch"]} for row in new)]
        self.history_ = history
        self.loss_curve_ = [row["train_loss"] for row in history]
        self.n_epochs_ = len(history)

    def _start(self, go_on, seed):
        """What a training sets out from, as text."""
        start = [self.architecture_, self.n_negatives, self.objective]
        if go_on:
            start += [state_digest(self, leave_out=set(self.get_params()))]
        else:
            # without a seed any earlier training is as good, a generator gives another each time
            start += [self.pretrained, None if self.random_state is None else seed]
        return repr(start)

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

    def _frontend(self):
        return frontends.Chain(
            frontends.Wave(), frontends.FitLength(self._min_samples(), None, "zero")
        )

    def _new_network(self, generator, keep):
        """The network that returns some maps, drawn if there is a generator."""
        arguments = dict(self.architecture_)
        quantizer = arguments.pop("quantizer", None)
        if quantizer is not None:
            width = arguments["encoder_layers"][-1][0]
            arguments["quantizer"] = vq.new_quantizer(dim=width, **quantizer)
        network = wav2vec.Wav2Vec(**arguments, keep=keep)
        if generator is not None:
            network.initialise(generator)
        return network

    def _min_samples(self):
        return wav2vec.receptive_field(self.architecture_["encoder_layers"])

    def _window(self):
        return self.window_seconds and round(self.window_seconds * self.sample_rate)
