"""The sound's own probability, as features, scores, classes and new sound: WaveNet."""

import copy

import numpy as np
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from .._engine.conditions import Conditioned, Conditions, hop_of, moments_of_frames
from .._engine.digest import state_digest
from .._engine.likelihood import LikelihoodPass, NextPass
from ..base import DO_NOT_COUNT, BaseAudioTransformer
from ..frontends import Wave
from ..networks.wavenet import SIZES, WaveNet
from ..training.likelihood import NextSample
from ..utils.validation import check_choice, check_number, check_whole
from ._bayes import BayesMixin
from ._density import DensityMixin
from ._generation import GenerationMixin
from ._random_cnn import RandomCNNTransformer

__all__ = ["WaveNetTransformer"]

OUTPUTS = ("mulaw", "logistic")
_HOP = 160  # samples, unless an extractor has another
_MOST_CLASSES = 1 << 16


class WaveNetTransformer(BayesMixin, DensityMixin, GenerationMixin, BaseAudioTransformer):
    r"""Features, likelihoods, classes and new sound of a network that predicts each sample.

    p(x) is the product over t of p(x_t | x_1, ..., x_{t-1}), and a WaveNet [1]_ gives each factor:
    a distribution over levels of amplitude, worked out by dilated causal convolutions from the
    samples before. `fit` trains it on clips, with labels or without. Then

    - `transform` pools what the network has made of each clip, as features of it;
    - `score_samples` tells how likely clips are, so that the least likely ones stand out;
    - `predict`, with ``conditions="label"``, tells under which class a clip is likeliest;
    - `sample` makes new clips.

    Parameters
    ----------
    size : str, default="tiny"
        "tiny" trains on two cores in minutes. "ibab", "r9y9", "r9y9-mol" and "nv" are networks of
        three well-known implementations, for GPUs; `skaudio.networks.wavenet.SIZES` has them.
    dilations : sequence of int, default=None
        Dilation of each layer, samples. None: those of ``size``, as for the four that follow.
    kernel : int, default=None
        Width of the dilated convolutions.
    residual_channels, skip_channels : int, default=None
        Channels between layers (and of their gates), and of the skip sum.
    n_classes : int, default=None
        Levels of amplitude.
    output : {"mulaw", "logistic"}, default=None
        What is predicted: a class of mu-law levels, or a mixture of logistic distributions of the
        amplitude, discretised to evenly spaced levels.
    conditions : {None, "label"} or extractor, default=None
        What the probabilities are conditioned by. "label": the labels that `fit` is given.
        An extractor: the frames that it gives for the clip itself, sample t by frame
        t // hop. A fitted one is used as it is, of one that is not fitted a clone is fitted; as
        always in scikit-learn, `~sklearn.base.clone` takes from both what they have learnt, unless
        they are in a `~sklearn.frozen.FrozenEstimator`.
    layer : int, default=None
        Layer whose input is pooled, counted from 0. None: the skip sum of all.
    pooling : str or sequence of str, default="mean_std"
        Names among mean, std, max, mean_std, mean_max, mean_std_max, quantiles (5, 25, 50, 75
        and 95 %), pyramid (means of 1 + 2 + 4 equal parts), course (trend, thirds, ranges, places
        of extremes and changes: see `skaudio.pooling.resolve`), and dct1 to dct64: the first 1 to
        64 coefficients of a cosine transform over the clip, which tell in what order things happen.
        Several are concatenated.
    hop_length : int, default=None
        Samples per frame of `transform_frames`, which is their mean. None: 160, or the hop of the
        extractor in ``conditions``, of which it must be a multiple.
    sample_rate : int, default=16000
        Rate in Hz that files are resampled to and that arrays are taken to be at.
    crop_seconds, batch_seconds : float, default=0.25, 0.25
        Crops that training cuts from clips, or from short clips joined, and sound in a batch. Many
        updates on little sound teach "tiny" most in a given time; larger networks want more.
    max_epochs : int, default=None
        Passes over the training clips. None: 4000 updates. 0: the weights stay as they are.
    max_minutes : float, default=None
        Time after which training ends, its learning rate having come down by then.
    learning_rate : float, default=1e-2
        Highest learning rate of Adam, after a warm-up; half a cosine brings it to zero.
    validation_fraction : float, default=0.1
        Share of the clips (of the ``groups`` that `fit` is given) that is held out to tell which
        epoch was the best.
    early_stopping : bool, default=True
        Whether to stop after five epochs that were no better.
    callbacks : list of skorch callbacks, default=None
        Take part in the training.
    checkpoint : str or path-like, default=None
        Folder that keeps the state of each training after every epoch. The same training of the
        same clips goes on from there, whatever stopped it, and is not done again when finished.
    precision : {"float32", "bfloat16"}, default="float32"
        Of the network's arithmetic, in training and in `transform`. Likelihoods are computed in
        float64, new sound in float32.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last `fit`.
    random_state : int, RandomState or None, default=None
        Determines weights and crops. None takes fresh ones in every `fit`.
    batch_size : float, default=None
        Seconds of audio per batch in `transform` and the likelihoods. None: chosen to hold memory
        under 1 GB, however long a clip is.
    device : str, default="auto"
        "auto" (a GPU if there is one), "cpu", "cuda" or another torch device. New sound is made on
        the processor.
    memory : str, path-like or joblib.Memory, default=None
        Where features (not frames, likelihoods or new sound) are cached, so that no clip is
        computed twice: `FeatureCache`.
    n_jobs : int, default=None
        Processes for `transform` and the likelihoods, through joblib; None follows
        `joblib.parallel_config`.
    verbose : int, default=0
        1 shows a progress bar.
    on_error : {"raise", "skip"}, default="raise"
        Whether an unusable clip is an error, or becomes a row of NaN and is listed in a warning.

    Attributes
    ----------
    weights_ : dict of str to ndarray
        Every tensor of the network.
    architecture_ : dict
        Layers and settings of the network.
    receptive_field_ : int
        Samples that a prediction depends on.
    classes_ : ndarray of shape (n_labels,)
        The labels, sorted, with ``conditions="label"``.
    class_count_ : ndarray of shape (n_labels,), float64
        Clips of each, in all trainings that led here; their shares are the prior probabilities.
    condition_ : extractor
        The fitted one whose frames condition the network.
    condition_mean_, condition_scale_ : ndarray of shape (n_channels,), float32
        What its frames are standardised by.
    history_ : list of dict
        One per epoch: ``epoch``, ``seconds``, ``updates``, ``learning_rate``, ``train_loss`` and
        ``valid_loss`` (nats per sample), ``train_bits``, ``valid_bits`` (bits per sample).
    loss_curve_ : list of float
        The training losses alone.
    n_epochs_ : int
        Epochs of all trainings that led here.
    n_features_out_ : int
        Number of columns of `transform`.
    n_features_in_ : int
        Samples per clip, if `fit` saw a matrix.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, if `fit` saw a data frame.

    See Also
    --------
    MuLawTransformer : The levels of amplitude.
    Wav2VecTransformer : Features of a network that predicts frames, not samples.

    Notes
    -----
    With labels and none given, `score_samples` and `predict_next` are those of the mixture: the sum
    over classes of p(c) p(x | c). `transform` knows no label of its clips either; there, the mean
    of the label vectors stands in the place of one.

    With an extractor as ``conditions``, likelihoods are p(x | frames of x): how likely the clip is
    to who knows these frames. They do not sum to 1 over all clips.

    Mu-law class q of Q, with mu = Q - 1, stands for the amplitude F^{-1}(2 q / mu - 1), where
    F(x) = sign(x) ln(1 + mu abs(x)) / ln(1 + mu). Samples beyond -1 and 1 are clipped.

    References
    ----------
    .. [1] A. van den Oord et al., "WaveNet: a generative model for raw audio", 2016,
       arXiv:1609.03499.
    .. [2] T. Salimans, A. Karpathy, X. Chen, D. P. Kingma, "PixelCNN++: improving the PixelCNN with
       discretized logistic mixture likelihood", ICLR 2017, arXiv:1701.05517: the output "logistic".
    .. [3] T. Le Paine et al., "Fast WaveNet generation algorithm", 2016, arXiv:1611.09482: how
       `sample` goes about it.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio import WaveNetTransformer
    >>> rng = np.random.default_rng(0)
    >>> clips = [0.1 * rng.standard_normal(n) for n in (4000, 5000, 6000)]
    >>> small = {"dilations": (1, 2, 4), "residual_channels": 8, "skip_channels": 16}
    >>> quick = {"max_epochs": 5, "learning_rate": 0.02, "batch_seconds": 0.25}
    >>> wavenet = WaveNetTransformer(**small, **quick, crop_seconds=0.05, random_state=0).fit(clips)
    >>> wavenet.transform(clips).shape
    (3, 32)
    >>> bool((wavenet.bits_per_sample(clips) < 7.5).all())
    True
    >>> [clip.shape for clip in wavenet.sample(2, length=100, random_state=0)]
    [(100,), (100,)]
    """

    # what is read out, and where frames lie
    _after_training = ("pooling", "layer", "hop_length")

    def __init__(
        self,
        size="tiny",
        *,
        dilations=None,
        kernel=None,
        residual_channels=None,
        skip_channels=None,
        n_classes=None,
        output=None,
        conditions=None,
        layer=None,
        pooling="mean_std",
        hop_length=None,
        sample_rate=16000,
        crop_seconds=0.25,
        batch_seconds=0.25,
        max_epochs=None,
        max_minutes=None,
        learning_rate=1e-2,
        validation_fraction=0.1,
        early_stopping=True,
        callbacks=None,
        checkpoint=None,
        precision="float32",
        warm_start=False,
        random_state=None,
        batch_size=None,
        device="auto",
        memory=None,
        n_jobs=None,
        verbose=0,
        on_error="raise",
    ):
        self.size = size
        self.dilations = dilations
        self.kernel = kernel
        self.residual_channels = residual_channels
        self.skip_channels = skip_channels
        self.n_classes = n_classes
        self.output = output
        self.conditions = conditions
        self.layer = layer
        self.pooling = pooling
        self.hop_length = hop_length
        self.sample_rate = sample_rate
        self.crop_seconds = crop_seconds
        self.batch_seconds = batch_seconds
        self.max_epochs = max_epochs
        self.max_minutes = max_minutes
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.precision = precision
        self.warm_start = warm_start
        self.random_state = random_state
        self.batch_size = batch_size
        self.device = device
        self.memory = memory
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    @classmethod
    def _get_test_params(cls):
        """Variants for the common tests."""
        small = {
            "dilations": (1, 2),
            "residual_channels": 4,
            "skip_channels": 8,
            "n_classes": 16,
            "crop_seconds": 0.05,
            "batch_seconds": 0.4,
            "max_epochs": 1,
            "learning_rate": 0.02,
        }
        frames = RandomCNNTransformer("frame_level", n_filters=2, layers=(0,), random_state=0)
        return [
            small,
            {**small, "conditions": "label", "kernel": 3, "layer": 1, "pooling": "mean"},
            {**small, "conditions": frames, "output": "logistic", "max_epochs": 0},
        ]

    @property
    def receptive_field_(self):  # numpydoc ignore=RT01
        """Samples that a prediction depends on."""
        return self._built(None).receptive_field

    @property
    def learns_from_clips(self):  # numpydoc ignore=RT01
        """Whether the features depend on the clips seen in `fit`: also by the conditions."""
        return super().learns_from_clips or self._extractor() is not None

    @property
    def sums_to_one(self):  # numpydoc ignore=RT01
        """Whether the probabilities of all clips of a length sum to 1."""
        return self._extractor() is None

    # --- parameters ------------------------------------------------------------------------------

    def _validate_parameters(self):
        check_choice("size", self.size, SIZES)
        check_choice("output", self.output, (*OUTPUTS, None))
        for name in ("kernel", "residual_channels", "skip_channels", "hop_length"):
            check_number(name, getattr(self, name), 1, none=True)
        check_number("n_classes", self.n_classes, 2, _MOST_CLASSES, none=True)
        if self.dilations is not None:
            check_whole("dilations", self.dilations, (np.size(self.dilations),))
        n_layers = len(SIZES[self.size]["dilations"] if self.dilations is None else self.dilations)
        check_number("layer", self.layer, 0, n_layers - 1, none=True)
        extractor = self._extractor()
        if extractor is None:
            check_choice("conditions", self.conditions, (None, "label"))
        elif not isinstance(extractor, BaseAudioTransformer):
            raise TypeError(
                f"conditions={self.conditions!r} must be None, 'label' or an extractor of skaudio"
            )
        elif extractor.sample_rate != self.sample_rate:
            raise ValueError(
                f"sample_rate={self.sample_rate}, but that of conditions is "
                f"{extractor.sample_rate}; pass an extractor of the same rate"
            )

    def _extractor(self):
        """The extractor in ``conditions``, or None."""
        given = self.conditions
        if isinstance(given, FrozenEstimator):
            return given.estimator
        return None if given is None or isinstance(given, str) else given

    def _learns_classes(self):
        return self.conditions == "label"

    # --- what is learnt before the network -------------------------------------------------------

    def _learn(self, clips, run):
        own, extractor = vars(self), self._extractor()
        if not self._learns_classes():
            for name in ("classes_", "class_count_"):
                own.pop(name, None)
        if extractor is None:
            for name in ("condition_", "condition_mean_", "condition_scale_"):
                own.pop(name, None)
        elif "condition_" not in own:
            self.condition_ = _fitted(extractor, clips, self)
            forward = self.condition_._ready(None)
            self.condition_mean_, self.condition_scale_ = moments_of_frames(forward, clips, run)
        self.architecture_ = self._architecture()

    def _forget(self):
        super()._forget()
        vars(self).pop("condition_", None)

    def _architecture(self):
        """Arguments of the network."""
        arguments = dict(SIZES[self.size])
        for name in ("dilations", "kernel", "residual_channels", "skip_channels", "n_classes"):
            if getattr(self, name) is not None:
                arguments[name] = getattr(self, name)
        if self.residual_channels is not None:
            arguments["gate_channels"] = self.residual_channels
        if self.output is not None:
            arguments["output"] = self.output
        if self._learns_classes():
            arguments["n_labels"] = len(self.classes_)
        if "condition_" in vars(self):
            hop = hop_of(self.condition_._ready(None))
            if self.hop_length is not None and self.hop_length % hop:
                raise ValueError(
                    f"hop_length={self.hop_length} must be a multiple of {hop}, the hop of the "
                    "extractor in conditions"
                )
            arguments["n_conditions"] = len(self.condition_mean_)
            arguments["condition_hop"] = hop
        return arguments

    def _network(self, generator):
        hop = self.hop_length or self.architecture_.get("condition_hop", _HOP)
        network = WaveNet(**self.architecture_, layer=self.layer, hop_length=hop)
        if generator is not None:
            network.initialise(generator)
        return network

    def _task(self, network, y):
        return NextSample(network, self._conditions())

    def _start(self, network, begins_with, seed):
        start = super()._start(network, begins_with, seed)
        if start is None or "condition_" not in vars(self):
            return start
        return f"{start} {state_digest(self.condition_, DO_NOT_COUNT)}"

    # --- passes ----------------------------------------------------------------------------------

    def _conditions(self):
        """Frames that condition the network; None if none do."""
        if "condition_" not in vars(self):
            return None
        forward = self.condition_._ready(None)
        return Conditions(forward, self.condition_mean_, self.condition_scale_)

    def _frontend(self, network):
        return Wave()

    def _min_samples(self, network):
        conditions = self._conditions()
        return network.min_steps if conditions is None else conditions.min_samples

    def _forward_pass_of(self, network, names):
        conditions = self._conditions()
        network = network if conditions is None else Conditioned(network, conditions)
        return super()._forward_pass_of(network, names)

    def _likelihood_pass(self):
        return self._causal_pass(LikelihoodPass)

    def _next_pass(self):
        return self._causal_pass(NextPass)

    def _causal_pass(self, kind):
        network, conditions = self._fitted_network().double(), self._conditions()
        if conditions is not None:
            network.handles_lengths = conditions.handles_lengths
        one_row = ("sum",)  # per clip
        return kind(Wave(), network, one_row, self.sample_rate, conditions=conditions)

    # --- what is asked for new sound -------------------------------------------------------------

    def _condition_grid(self):
        """Channels of the frames that condition the network, or 0; and their hop."""
        arguments = self.architecture_
        return arguments.get("n_conditions", 0), arguments.get("condition_hop", 1)

    def _standardised(self, frames):
        frames = (frames - self.condition_mean_) / self.condition_scale_
        return torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 2, 1)))

    # --- loaded states ---------------------------------------------------------------------------

    def _learnt_arrays(self):
        arrays = {}
        if "classes_" in vars(self):
            arrays["class_count_"] = ("float64", (self.architecture_["n_labels"],))
        if "condition_" in vars(self):
            shape = (self.architecture_["n_conditions"],)
            arrays |= {name: ("float32", shape) for name in ("condition_mean_", "condition_scale_")}
        return arrays

    def _check_network(self, network):
        super()._check_network(network)
        if network.n_labels != len(vars(self).get("classes_", ())):
            raise ValueError("classes_ are not those of the network")
        if network.n_conditions:
            if not isinstance(self.condition_, BaseAudioTransformer):
                raise ValueError("condition_ is no extractor")
            self.condition_._check_fitted_state()
            forward = self.condition_._ready(None)
            found = sum(len(m.channels) for m in forward.network.maps), hop_of(forward)
            if found != self._condition_grid():
                raise ValueError("condition_ is not the one of the network")


def _fitted(extractor, clips, owner):
    """An extractor, ready to be used: itself if it is fitted, else a clone."""
    try:
        check_is_fitted(extractor)
        return copy.deepcopy(extractor)
    except NotFittedError:
        if get_tags(extractor).target_tags.required:
            raise ValueError(
                f"{type(extractor).__name__} in conditions learns from labels; fit it first, and "
                "pass it in a FrozenEstimator, which clone leaves as it is"
            ) from None
    return clone(extractor).set_params(on_error=owner.on_error).fit(clips.items)
