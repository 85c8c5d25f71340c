"""The base classes: everything an extractor shares with all others, written once."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from . import frontends, pooling
from ._engine import cache, weights
from ._engine.extract import Run, extract
from ._engine.forward import ForwardPass, finest, windows
from ._engine.loaded_state import check_weights
from ._engine.remembered import remembered
from ._engine.saved_folder import Saveable
from ._engine.warn import warn
from .audio import ClipError, Clips, clip_items, matrix_rows
from .utils._sklearn import check_feature_names_in
from .utils.validation import check_choice, check_number

__all__ = ["DO_NOT_COUNT", "RUNNING_PARAMETERS", "BaseAudioEstimator", "BaseAudioTransformer"]

# they change no feature, so nothing that is worked out once depends on them
RUNNING_PARAMETERS = ("batch_size", "device", "memory", "n_jobs", "verbose", "on_error")

# nor do these of themselves: they act through the weights
DO_NOT_COUNT = {*RUNNING_PARAMETERS, "random_state", "checkpoint", "callbacks"}


class BaseAudioEstimator(Saveable, BaseEstimator):
    """Base of all estimators: clips in, a network with weights, saved and loaded.

    A subclass writes its parameters, its docstring and these hooks:

    ``_network(generator)``
        The network, a `skaudio.networks.Network`. Its layers may initialise themselves as those
        of torch do: while it is built, all randomness comes from this `torch.Generator`. None:
        stored weights follow.
    ``_frontend(network)``
        Optional: the `skaudio.frontends.Frontend` that the network reads waves through. If not
        given, it reads the wave, and shorter clips than it needs end in zeros.
    ``_validate_parameters()``
        Optional: raises ValueError or TypeError for its own parameters.
    ``learns_from_clips``, ``_learn(clips, run)`` and ``_learnt_arrays()``
        Optional: whether the features depend on the clips seen in `fit`; what `fit` learns from
        them before the network is built; and the (dtype, shape) of the arrays this leaves.
    ``_min_samples(network)``
        Optional: shortest clip, in samples, that is not padded. By default what the network needs.
    ``_window()``
        Optional: samples of the windows that longer clips are cut into. None: they are not cut.

    Its ``__init__`` stores ``sample_rate`` and the `RUNNING_PARAMETERS`, unchanged. One that
    learns from labels or by itself has `skaudio.training.TrainingMixin` as its first base.
    """

    # of estimators that have no such parameters
    random_state = None
    precision = "float32"

    @classmethod
    def _get_test_params(cls):
        """Variants for the common tests: dicts of parameters, small enough to be quick."""
        return [{}]

    def fit(self, X, y=None):
        """Check the clips and the parameters, and initialise or learn what the features need.

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
        with self._unchanged_if_it_fails():
            self._validate()
            clips = self._usable(self._as_clips(X, reset=True))
            self._learn(clips, self._run())
            generator = weights.new_generator(self.random_state)
            self._finish_fit(self._built(generator))
        return self

    @contextmanager
    def _unchanged_if_it_fails(self):
        """Leave the estimator as it was before if fitting it fails or is interrupted."""
        before = dict(vars(self))
        try:
            yield
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    def _validate(self):
        """Check all parameters."""
        self._validate_running_parameters()
        check_number("sample_rate", self.sample_rate, 1)
        check_choice("precision", self.precision, ("float32", "bfloat16"))
        self._validate_parameters()

    def _usable(self, clips):
        """The clips that can be used; ``rows`` tells which these are."""
        usable, failures = [], []
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
        return clips.take(usable)

    def _built(self, generator):
        """The network, its weights initialised from a generator, or not at all if it is None."""
        with weights.initialised_from(generator):
            return self._network(generator)

    def _finish_fit(self, network):
        """Keep the weights of a network, if it has any, and what follows from it."""
        state = weights.to_numpy(network)
        if state:
            self.weights_ = state
        if state and self.random_state is None and self.memory is not None:
            warn(
                "features are cached in memory, but with random_state=None every fit initialises "
                "other weights and none is found again; pass random_state=0, for instance"
            )

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

    def _frontend(self, network):
        return frontends.Chain(
            frontends.Wave(), frontends.FitLength(network.min_steps, None, "zero")
        )

    def _min_samples(self, network):
        return network.min_steps

    def _window(self):
        return None

    def _fitted_network(self):
        """The network with its weights, ready to run."""
        network = self._built(None).eval()
        return weights.load(network, vars(self).get("weights_", {}))

    def _check_fitted_state(self):
        super()._check_fitted_state()
        self._validate()
        network = self._built(None)  # its weights take no memory until they are touched
        check_weights("weights_", vars(self).get("weights_", {}), network.state_dict())
        self._check_network(network)

    def _check_network(self, network):
        """Raise unless what else was fitted fits the network."""

    def _forward_pass_of(self, network, names):
        """Forward pass of clips through a network; names of poolings, None for frames."""
        return ForwardPass(
            self._frontend(network),
            network,
            names,
            self.sample_rate,
            self._window(),
            self.precision,
            self._min_samples(network),
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


class BaseAudioTransformer(TransformerMixin, BaseAudioEstimator):
    """Base of all extractors: features, frames, their names, and a cache.

    To the parameters of `BaseAudioEstimator` its ``__init__`` adds ``pooling``. The attribute
    ``pools_all_frames`` is False where `transform` leaves out frames that `transform_frames` gives.
    """

    pools_all_frames = True

    def _validate(self):
        super()._validate()
        self._poolings()

    def _poolings(self):
        """Elementary poolings of `transform`."""
        return pooling.resolve(self.pooling)

    def _finish_fit(self, network):
        super()._finish_fit(network)
        self.n_features_out_ = self._width(network)

    def _check_network(self, network):
        super()._check_network(network)
        width = self._width(network)
        if vars(self).get("n_features_out_") != width:
            raise ValueError(f"n_features_out_ must be {width} with these parameters")

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
        return self._names(self.pooling, pooling.part_names(self._poolings()))

    def get_frame_names_out(self):
        """Names of the columns of `transform_frames`.

        Returns
        -------
        names : ndarray of shape (n_channels,), object
            For instance "mfcc3_delta1".
        """
        check_is_fitted(self)
        return self._names(None, [""])

    def get_feature_groups_out(self):
        """Group of each column of `transform`; `BlockScaler` lets groups count alike.

        Returns
        -------
        groups : ndarray of shape (n_features,), object
            Here all columns make one group, "all".
        """
        check_is_fitted(self)
        return np.full(self.n_features_out_, "all", dtype=object)

    def _names(self, how, parts):
        names = [
            "_".join(filter(None, (m.name, channel, part)))
            for m in self._ready(how).network.maps
            for part in parts
            for channel in m.channels
        ]
        return np.array(names, dtype=object)

    def _extract(self, X, how):
        clips, forward = self._checked_clips(X), self._ready(how)
        cached = None if how is None or self.memory is None else self._cached_rows(forward.width)
        return extract(forward, clips, self._run(), cached)

    def _checked_clips(self, X):
        """Clips that a fitted estimator is asked about."""
        check_is_fitted(self)
        self._validate_running_parameters()
        return self._as_clips(X, reset=False)

    def _cached_rows(self, width):
        """Place of the features of this extractor in its cache; None if there is no cache."""
        return cache.rows_of(self, width, DO_NOT_COUNT)

    def _width(self, network):
        """Columns of `transform`."""
        parts = len(pooling.part_names(self._poolings()))
        return parts * sum(len(m.channels) for m in network.maps)

    def _ready(self, how):
        """Forward pass to features, remembered from the last call or made anew."""
        forward = self._pass("features", self._forward_pass)
        if how is self.pooling:
            return forward
        return replace(forward, pooling=None if how is None else pooling.resolve(how))

    def _pass(self, what, build):
        """Pass that gives something, remembered from the last call or built."""
        return remembered(self, build, DO_NOT_COUNT, what)

    def _forward_pass(self):
        return self._forward_pass_of(self._fitted_network(), self._poolings())

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
    samples = forward.frontend.centre + forward.frontend.step * steps
    return samples / forward.sample_rate
