"""SincNet: band-pass filters that learn their edges, trained to tell speakers apart."""

import copy
from dataclasses import replace

import numpy as np

from .._engine.extract import extract
from ..augment import resolve_distortions
from ..base import BaseAudioTransformer
from ..frontends import Chunks
from ..networks.sinc import edges
from ..networks.sincnet import HEADS, SIZES, ChunkClassifier, SincHead, SincNet
from ..training import ClassificationMixin
from ..training.chunks import ChunkClassification
from ..utils.validation import check_choice, check_number

__all__ = ["SincNetTransformer"]


class SincNetTransformer(ClassificationMixin, BaseAudioTransformer):
    """Vectors of speakers, or of other classes, from the wave, by filters that learn their edges.

    The first layer of the network are band-pass filters of which only the two edges are learnt, so
    that it needs little sound to find out which frequencies matter [1]_. `fit` trains it to tell
    the classes in ``y`` apart by chunks of a fifth of a second. `transform` gives d-vectors: the
    last hidden layer of all chunks that are not quiet, each of unit length, pooled over the clip.
    `predict` adds up what all chunks say about the classes.

    Parameters
    ----------
    size : {"tiny", "timit", "librispeech"}, default="tiny"
        "tiny" trains on a laptop in minutes. The others are the published networks, with 23
        and 26 million weights, whose chunks have 0.2 s at 16 kHz and 0.375 s at 8 kHz.
    first : {"sinc", "conv"}, default="sinc"
        The first layer: band-pass filters, or an ordinary convolution of the same shape.
    norm : {"chunk", "channel"}, default=None
        Norm of the maps. "chunk", as published: each channel over time, with a scale and a shift
        for each of its frames. "channel": all channels together, with a scale and a shift for
        each channel, and the dense layers get mean and deviation of each channel: no weight is
        tied to a length or place. None: "channel" for "tiny", "chunk" for the others.
    chunk_seconds : float, default=None
        Length of a chunk. None: that of ``size``, 0.2 or 0.375.
    hop_seconds : float, default=0.01
        Step from one chunk to the next in `transform` and `predict`.
    heard : float, default=0.1
        `transform` leaves out chunks whose energy is not above this share of the mean energy of
        the clip's chunks; the loudest stays. None: all chunks count.
    pooling : str or sequence of str, default="mean"
        Of the chunks' vectors; as for `RandomCNNTransformer`. The paper has "mean".
    optimizer : {"adam", "paper"}, default="adam"
        Adam with a warm-up and half a cosine, the edges of the filters at a rate of their own; or,
        as published, RMSprop for convolutions, dense layers and head each, at a constant rate
        (1e-3 there) for all weights, at which edges hardly move.
    distortions : None, "pase+" or list, default=None
        What is done to the waves of chunks in training, so that noise and rooms matter less
        afterwards: the distortions of PASE+, or functions, alone or with their probabilities, as
        `skaudio.augment.resolve_distortions` takes them. None: nothing.
    pretrained : str or path-like, default=None
        Checkpoint of the published code. It brings layers, chunk and classes, which are called
        0 to n - 1: the file does not name them.
    sample_rate : int, default=16000
        Rate in Hz that files are resampled to and that arrays are taken to be at.
    batch_seconds : float, default=25.6
        Sound in a batch of the training: 128 chunks of 0.2 s.
    max_epochs : int, default=None
        Passes over the training clips. None: 4000 updates, or none with ``pretrained``, which
        then needs no labels. 0: the weights stay as they are.
    max_minutes : float, default=None
        Time after which training ends, its learning rate having come down by then.
    learning_rate : float, default=1e-3
        Highest learning rate.
    validation_fraction : float, default=0.0
        Share of the clips of each class (whole ``groups`` that `fit` is given) that is held out
        to tell which epoch was the best. 0: the one of the lowest training loss is. By the loss
        of single chunks it is an early one, long before clips are told apart best.
    early_stopping : bool, default=False
        Whether to stop after five epochs that were no better on what is held out.
    callbacks : list of skorch callbacks, default=None
        Take part in the training.
    checkpoint : str or path-like, default=None
        Folder that keeps the state of each training after every epoch. The same training of the
        same clips goes on from there, whatever stopped it, and is not done again when finished.
    precision : {"float32", "bfloat16"}, default="float32"
        Of the network's arithmetic, in training and in use.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last `fit`.
    random_state : int, RandomState or None, default=None
        Determines weights and chunks of the training. None takes fresh ones in every `fit`.
    batch_size : float, default=None
        Seconds of audio per batch in `transform`. None: what memory allows.
    device : str, default="auto"
        "auto" (a GPU if there is one), "cpu", "cuda" or another torch device.
    memory : str, path-like or joblib.Memory, default=None
        Where features are cached, so that no clip is computed twice: `FeatureCache`.
    n_jobs : int, default=None
        Processes for `transform`, through joblib; None follows `joblib.parallel_config`.
    verbose : int, default=0
        1 shows a progress bar.
    on_error : {"raise", "skip"}, default="raise"
        Whether an unusable clip is an error, or becomes a row of NaN and is listed in a warning.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    bands_, initial_bands_ : ndarray of shape (n_filters, 2)
        Lower and upper edge of each band-pass filter, Hz, learnt and before training.
    weights_, task_weights_ : dict of str to ndarray
        Every tensor of the network, and of the head beside it.
    architecture_ : dict
        Arguments of the network and of its head.
    history_ : list of dict
        One per epoch: ``epoch``, ``seconds``, ``updates``, ``learning_rate``, ``train_loss`` and
        ``valid_loss`` (nats per chunk), ``train_accuracy``, ``valid_accuracy`` (of chunks).
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
    CNNTransformer : Other networks trained on labels.

    Notes
    -----
    A clip shorter than a chunk is repeated to its length. Clips are divided by their largest
    sample. The scaling of amplitudes at random, which the published training has, is left out: the
    norm of the chunk undoes it.

    References
    ----------
    .. [1] M. Ravanelli, Y. Bengio, "Speaker recognition from raw waveform with SincNet", SLT
       2018, arXiv:1808.00158.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio import SincNetTransformer
    >>> time = np.arange(8000) / 16000
    >>> clips = [np.sin(2 * np.pi * hz * time) for hz in (200, 210, 1000, 1010)]
    >>> sincnet = SincNetTransformer(max_epochs=5, random_state=0)
    >>> sincnet.fit(clips, ["low", "low", "high", "high"]).predict(clips)
    array(['low', 'low', 'high', 'high'], dtype='<U4')
    >>> sincnet.transform(clips).shape
    (4, 256)
    """

    _after_training = ("pooling", "hop_seconds", "heard")

    def __init__(
        self,
        size="tiny",
        *,
        first="sinc",
        norm=None,
        chunk_seconds=None,
        hop_seconds=0.01,
        heard=0.1,
        pooling="mean",
        optimizer="adam",
        distortions=None,
        pretrained=None,
        sample_rate=16000,
        batch_seconds=25.6,
        max_epochs=None,
        max_minutes=None,
        learning_rate=1e-3,
        validation_fraction=0.0,
        early_stopping=False,
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
        self.first = first
        self.norm = norm
        self.chunk_seconds = chunk_seconds
        self.hop_seconds = hop_seconds
        self.heard = heard
        self.pooling = pooling
        self.optimizer = optimizer
        self.distortions = distortions
        self.pretrained = pretrained
        self.sample_rate = sample_rate
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
        small = {"chunk_seconds": 0.05, "hop_seconds": 0.02, "max_epochs": 1}
        return [
            small,
            {
                **small,
                "distortions": "pase+",
                "first": "conv",
                "norm": "chunk",
                "heard": None,
                "optimizer": "paper",
            },
            {**small, "pooling": ["mean_std", "max"], "sample_rate": 8000, "max_epochs": 0},
        ]

    @property
    def bands_(self):
        """Lower and upper edge of each band-pass filter, Hz: ndarray of shape (n_filters, 2)."""
        return edges(self._ready(self.pooling).network)

    @property
    def initial_bands_(self):
        """The same before training."""
        return edges(self._built(None))

    @property
    def pools_all_frames(self):
        """Whether `transform` pools all that `transform_frames` gives."""
        return self.heard is None

    @property
    def crop_seconds(self):
        """Length of what it is trained on: a chunk."""
        return self._chunk() / self.sample_rate

    def _validate_parameters(self):
        check_choice("size", self.size, SIZES)
        check_choice("first", self.first, ("sinc", "conv"))
        check_choice("norm", self.norm, ("chunk", "channel", None))
        check_choice("optimizer", self.optimizer, ("adam", "paper"))
        resolve_distortions(self.distortions)
        check_number("chunk_seconds", self.chunk_seconds, 1e-9, 60, integer=False, none=True)
        check_number("hop_seconds", self.hop_seconds, 1 / self.sample_rate, integer=False)
        check_number("heard", self.heard, 0, 1, integer=False, none=True)

    def _chunk(self):
        """Samples of a chunk."""
        if "architecture_" in vars(self):
            return self.architecture_["network"]["chunk"]
        seconds = self.chunk_seconds
        if seconds is None:
            published = SIZES[self.size]
            seconds = published["chunk"] / published["sample_rate"]
        return round(seconds * self.sample_rate)

    def _learn(self, clips, run):
        vars(self).pop("architecture_", None)  # of an earlier fit
        self.architecture_ = self._architecture()

    def _architecture(self):
        """Arguments of the network and of its head."""
        if self.pretrained is not None:
            checkpoint = self._checkpoint()
            head = dict(checkpoint.head_arguments)
            del head["n_in"], head["n_classes"]
            return {"network": checkpoint.arguments, "head": head}
        network = {**SIZES[self.size], "first": self.first}
        if self.size == "tiny":  # whose filters last as long at any rate
            ratio = self.sample_rate / network["sample_rate"]
            first, *others = network["kernels"]
            network["kernels"] = (round(first * ratio), *others)
            network["stride"] = max(1, round(network["stride"] * ratio))
        network |= {"chunk": self._chunk(), "sample_rate": self.sample_rate}
        if self.norm is not None:
            network["norm"] = self.norm
        return {"network": network, "head": HEADS[self.size]}

    def _checkpoint(self):
        """Contents of the file; ValueError if it contradicts the parameters."""
        from ..pretrained.sincnet import read_sincnet

        size = None if self.size == "tiny" else self.size
        checkpoint = read_sincnet(self.pretrained, size=size)
        if self.sample_rate != checkpoint.sample_rate:
            raise ValueError(
                f"sample_rate={self.sample_rate}, but {self.pretrained} was trained on sound of "
                f"{checkpoint.sample_rate} Hz; pass that"
            )
        return checkpoint

    def _learns_classes(self):
        return self.pretrained is not None or super()._learns_classes()

    def _pretrained_weights(self):
        checkpoint = self._checkpoint()
        if self._epochs() != 0:  # other classes need another head
            return checkpoint.weights, {}
        self.classes_ = np.arange(checkpoint.head_arguments["n_classes"])
        head = {f"head.{name}": array for name, array in checkpoint.head_weights.items()}
        return checkpoint.weights, head

    def _network(self, generator):
        arguments = self.architecture_["network"]
        network = SincNet(**arguments, heard=self.heard, unit_length=True)
        if generator is not None:
            network.initialise(generator)
        return network

    def _task(self, network, y):
        width = self.architecture_["network"]["dense"][-1]
        head = SincHead(width, len(self.classes_), **self.architecture_["head"])
        head.initialise(None)  # by the generator of the fit
        return ChunkClassification(
            network,
            head,
            y,
            paper=self.optimizer == "paper",
            distortions=resolve_distortions(self.distortions, self.sample_rate),
        )

    def _frontend(self, network):
        return Chunks(self._chunk(), self._hop())

    def _hop(self):
        return round(self.hop_seconds * self.sample_rate)

    def _min_samples(self, network):
        return self._chunk()

    def _ready(self, how):
        forward = super()._ready(how)
        if how is not None:
            return forward
        network = copy.copy(forward.network)  # the same weights
        network.heard = None  # frames have times: none is left out
        return replace(forward, network=network)

    def _log_posteriors(self, X):
        self._validate_running_parameters()
        clips = self._as_clips(X, reset=False)
        network = copy.copy(self._ready(None).network)
        network.unit_length = False
        names = tuple(map(str, range(len(self.classes_))))
        forward = self._forward_pass_of(
            ChunkClassifier(network, self._fitted_task().head, names), ("mean",)
        )
        # as published, a sentence is cut into other chunks than a vector
        forward.frontend = Chunks(self._chunk(), self._hop(), rounding="ceil")
        return extract(forward, clips, self._run())
