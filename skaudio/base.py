"""The base class: everything an extractor shares with all others, written once."""

import warnings
from dataclasses import replace

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from . import pooling
from ._engine import cache, weights
from ._engine.extract import Run, extract
from ._engine.forward import ForwardPass, finest, windows
from ._engine.remembered import remembered
from ._engine.saved_folder import SaveableExtractor as Saveable
from .audio import ClipError, Clips, clip_items, matrix_rows
from .utils._sklearn import check_feature_names_in
from .utils.validation import check_choice, check_number

__all__ = ["RUNNING_PARAMETERS", "BaseAudioTransformer"]

# they change no feature, so nothing that is worked out once depends on them
RUNNING_PARAMETERS = ("batch_size", "device", "memory", "n_jobs", "verbose", "on_error")

# nor do these of themselves: they act through the weights
_DO_NOT_COUNT = {*RUNNING_PARAMETERS, "random_state", "checkpoint", "callbacks"}


class BaseAudioTransformer(Saveable, TransformerMixin, BaseEstimator):
    """Base of all extractors; a subclass writes its parameters, its docstring and these hooks.

    ``_frontend()``
        Stage 3, the module that turns waves into what the network reads.
    ``_network(generator)``
        Stage 4, with weights drawn from a `torch.Generator`, or left uninitialised if it is None.
    ``_min_samples()``
        Optional: shortest clip, in samples, that is not padded. 1 if not given.
    ``_validate_parameters()``
        Optional: raises ValueError or TypeError for its own parameters.
    ``learns_from_clips``, ``_learn(clips, run)`` and ``_learnt_arrays()``
        Optional: whether, and what, `fit` learns from the clips before the network is drawn, and
        the (dtype, shape) of what it leaves beside ``weights_``, by name.
    ``_train(network, clips, run, generator, **training)``
        Optional: trains the drawn network; the last arguments are those of `_fit`.
    ``_window()``
        Optional: samples of the windows that longer clips are cut into. None: they are not cut.

    Its ``__init__`` stores ``sample_rate``, ``pooling`` and the `RUNNING_PARAMETERS`, unchanged.
    """

    def fit(self, X, y=None):
        """Check the clips and the parameters, and draw or learn what the features need.

        Parameters
        ----------
        X : list of clips, or array of shape (n_clips, n_samples)
            A clip is a 1-D array of samples at ``sample_rate``, a pair of one and its own rate,
            a path, an `AudioFile`, or the bytes of a sound file. Lists may mix them and hold
            clips of any lengths.
        y : object, default=None
            Ignored; here for pipelines.

        Returns
        -------
        self : object
            The fitted extractor.

        Raises
        ------
        ClipError
            (a ValueError) If a clip cannot be used and ``on_error="raise"``.
        ValueError, TypeError
            If X is no collection of clips, or a parameter is not allowed.
        """
        return self._fit(X)

    def _fit(self, X, reset=True, **training):
        self._validate_running_parameters()
        check_number("sample_rate", self.sample_rate, 1)
        self._validate_parameters()
        pooling.resolve(self.pooling)
        clips = self._as_clips(X, reset=reset)
        usable, failures, run = [], [], self._run()
        for i in range(len(clips)):
            try:
                clips.check(i)
                usable.append(i)
            except ClipError as error:
                if self.on_error == "raise":
                    raise
                failures.append(error)
        if not usable:
            raise ValueError(
                f"none of the {len(clips)} clips can be used; the first: {failures[0]}"
            )
        clips = clips.take(usable)
        self._learn(clips, run)
        if hasattr(self, "random_state"):  # else there is nothing to draw
            if self.random_state is None and self.memory is not None:
                warnings.warn(
                    "features are kept in memory, but with random_state=None every fit draws "
                    "other weights and none is found again; pass random_state=0, for instance",
                    stacklevel=2,
                )
            generator = weights.new_generator(self.random_state)
            network = self._network(generator)
            self._train(network, clips, run, generator, **training)
            self.weights_ = weights.to_numpy(network)
        self.n_features_out_ = self._width()
        return self

    @property
    def learns_from_clips(self):
        """Whether the features depend on the clips seen in `fit`: if not, extract once."""
        return False

    def _validate_parameters(self):
        """Nothing to check beyond what all extractors share."""

    def _learn(self, clips, run):
        """Nothing to learn."""

    def _learnt_arrays(self):
        return {}

    def _train(self, network, clips, run, generator):
        """Leave the network as it was drawn."""

    def _window(self):
        return None

    def _min_samples(self):
        return 1

    def transform(self, X):
        """Feature vectors of clips.

        Parameters
        ----------
        X : list of clips, or array of shape (n_clips, n_samples)
            As in `fit`. Files are decoded batch by batch, so memory stays flat.

        Returns
        -------
        features : ndarray of shape (n_clips, n_features), float32
            Row i belongs to clip i. Rows of skipped clips are NaN.

        Raises
        ------
        ClipError
            (a ValueError) If a clip cannot be used and ``on_error="raise"``.
        NotFittedError
            If `fit` was not called.
        """
        return self._extract(X, self.pooling)

    def transform_frames(self, X):
        """Features over time, before pooling.

        Layers with longer steps than the finest one repeat their frames, layers with fewer
        frames repeat their last; see `frame_times`.

        Parameters
        ----------
        X : list of clips, or array of shape (n_clips, n_samples)
            As in `fit`.

        Returns
        -------
        frames : list of ndarray of shape (n_frames_i, n_channels), float32
            One array per clip; without any frame for skipped clips.

        Raises
        ------
        ClipError
            (a ValueError) If a clip cannot be used and ``on_error="raise"``.
        """
        return self._extract(X, None)

    def frame_times(self, n_samples):
        """Centre of each frame that `transform_frames` gives for a clip.

        Parameters
        ----------
        n_samples : int
            Length of the clip at ``sample_rate``.

        Returns
        -------
        times : ndarray of shape (n_frames,), float64
            Seconds from the beginning of the clip.
        """
        check_is_fitted(self)
        check_number("n_samples", n_samples, 1)
        forward = self._ready(None)
        window = forward.window or n_samples
        parts = windows(n_samples, window, forward.network.min_steps)
        times = [
            start / self.sample_rate + _frame_times(forward, stop - start) for start, stop in parts
        ]
        return np.concatenate(times)

    def get_feature_names_out(self, input_features=None):
        """Names of the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only checked against the columns seen in `fit`.

        Returns
        -------
        names : ndarray of shape (n_features,), object
            Channel, then pooling; for instance "mfcc3_delta1_std".
        """
        check_is_fitted(self)
        if hasattr(self, "n_features_in_") or input_features is not None:
            check_feature_names_in(self, input_features, generate_names=False)
        parts = pooling.part_names(pooling.resolve(self.pooling))
        names = [
            "_".join(filter(None, (m.name, channel, part)))
            for m in self._network(None).maps
            for part in parts
            for channel in m.channels
        ]
        return np.array(names, dtype=object)

    def _extract(self, X, how):
        check_is_fitted(self)
        self._validate_running_parameters()
        clips = self._as_clips(X, reset=False)
        forward = self._ready(how)
        kept = None if how is None or self.memory is None else self._cached_rows(forward.width)
        return extract(forward, clips, self._run(), kept)

    def _cached_rows(self, width):
        """Place of the features of this extractor in its cache; None if there is no cache."""
        return cache.rows_of(self, width, _DO_NOT_COUNT)

    def _width(self):
        """Columns of `transform`."""
        parts = len(pooling.part_names(pooling.resolve(self.pooling)))
        return parts * sum(len(m.channels) for m in self._network(None).maps)

    def _ready(self, how):
        """Forward pass, remembered from the last call or made anew."""
        forward = remembered(self, lambda: self._forward_pass(self.pooling), _DO_NOT_COUNT)
        if how is self.pooling:
            return forward
        return replace(forward, pooling=None if how is None else pooling.resolve(how))

    def _forward_pass(self, how):
        network = self._network(None).eval()
        if hasattr(self, "weights_"):
            weights.load(network, self.weights_)
        names = None if how is None else pooling.resolve(how)
        return self._forward_pass_of(network, names)

    def _forward_pass_of(self, network, names):
        precision = getattr(self, "precision", "float32")
        return ForwardPass(
            self._frontend(),
            network,
            names,
            self.sample_rate,
            self._window(),
            precision,
            self._min_samples(),
        )

    def _run(self):
        return Run(self.batch_size, self.device, self.n_jobs, self.verbose, self.on_error)

    def _validate_running_parameters(self):
        check_number("batch_size", self.batch_size, 0, integer=False, none=True)
        check_choice("on_error", self.on_error, ("raise", "skip"))
        if self.memory is not None:
            cache.FeatureCache(self.memory)  # raises for what is no memory

    def _as_clips(self, X, reset):
        """X -> Clips; a matrix is checked and remembered by scikit-learn's rules."""
        items = clip_items(X)
        if items is not None:
            if not items:
                raise ValueError("X holds 0 clips while a minimum of 1 is required")
            if reset:
                for name in ("n_features_in_", "feature_names_in_"):
                    self.__dict__.pop(name, None)
            return Clips(items, self.sample_rate)
        given = X
        try:
            # finiteness is checked clip by clip, so that a clip can be named or skipped; only
            # a matrix at fit fixes the width, and only matrices are held to it later
            if reset or hasattr(self, "n_features_in_"):
                X = validate_data(self, X, reset=reset, ensure_all_finite=False)
            else:
                X = check_array(X, ensure_all_finite=False, estimator=self)
        except ValueError as error:
            if "features as input" in str(error):
                text = str(error).rstrip(".")
                raise ValueError(f"{text}; pass list(X) if clips may differ in length") from error
            if "string to float" in str(error):
                raise ValueError(f"{error}; pass the column of the paths alone") from error
            raise
        return Clips(matrix_rows(given, X), self.sample_rate)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _frame_times(forward, n_samples):
    """Centres of the frames of a clip that is not cut, in seconds."""
    base = finest(forward.network.maps)
    lengths = forward.frontend.output_lengths(torch.tensor([n_samples]))
    n_frames = int(forward.network.output_lengths(lengths)[base])
    base = forward.network.maps[base]
    offset = forward.network.frame_offset(int(lengths))
    steps = offset + base.centre + base.stride * np.arange(n_frames)
    return steps * (forward.frontend.step / forward.sample_rate)
