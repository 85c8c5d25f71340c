"""Features learnt from sound without labels, or read from an official checkpoint: wav2vec."""

from ..base import BaseAudioTransformer
from ..utils.validation import check_choice, check_number
from ._predictive import PredictiveMixin

__all__ = ["Wav2VecTransformer"]

FEATURES = {"c": ("c",), "z": ("z",), "cz": ("c", "z")}


class Wav2VecTransformer(PredictiveMixin, BaseAudioTransformer):
    """Features of a network that learnt, without labels, to predict the future of a sound.

    An encoder turns the wave into a frame z every 10 ms, a causal aggregator turns frames into
    context c, and for each of several steps ahead c has to tell the true z from those of other
    moments of the clip [1]_. `fit` trains the network on the clips it is given, in a pipeline
    those of the training fold, or reads an official checkpoint; `transform` pools z or c over
    time.

    Parameters
    ----------
    size : {"tiny", "base", "large"}, default="tiny"
        "tiny" trains on a laptop in minutes: 5 encoder and 6 aggregator layers of 128 channels.
        "base" and "large" are the networks of [1]_, of 512 channels.
    encoder_layers, aggregator_layers : sequence of (dim, kernel, stride), default=None
        Layers of another network. None: those of ``size``.
    n_steps : int, default=12
        Steps ahead that are predicted. The first is the nearest that shares no sample with c.
    n_negatives : int, default=10
        Other moments that each true one is told from.
    objective : {"infonce", "bce", "balanced"}, default="infonce"
        Cross-entropy of the true moment among all; binary cross-entropy of each, as in [1]_; or
        the latter with the others weighted 1 / ``n_negatives``.
    features : {"c", "z", "cz"}, default="c"
        What is pooled: context, frames, or both side by side.
    layer : int, default=None
        A layer of the aggregator instead, counted from 1.
    pooling : str or sequence of str, default="mean_std"
        Names among mean, std, max, mean_std, mean_max, mean_std_max, quantiles (5, 25, 50, 75
        and 95 %), pyramid (means of 1 + 2 + 4 equal parts), course (trend, thirds, ranges, places
        of extremes and changes: see `skaudio.pooling.resolve`), and dct1 to dct64: the first 1 to
        64 coefficients of a cosine transform over the clip, which tell in what order things happen.
        Several are concatenated.
    pretrained : str or path-like, default=None
        Checkpoint in fairseq's or s3prl's form, or the name of a published one (see
        `skaudio.pretrained.fairseq`). It brings its own layers.
    sample_rate : int, default=16000
        Rate in Hz that files are resampled to and that arrays are taken to be at.
    window_seconds : float, default=None
        Longer clips are cut into windows of this length, each normalised by itself, since the
        network normalises over a whole clip and so needs it in memory. None: no window.
    crop_seconds, batch_seconds : float, default=1.0, 8.0
        Crops that training cuts from clips, or from short clips joined, and sound in a batch.
    max_epochs : int, default=None
        Passes over the training clips. None: 4000 updates, or none with ``pretrained``. 0: the
        weights stay as they are.
    max_minutes : float, default=None
        Time after which training ends, its learning rate having come down by then.
    learning_rate : float, default=2e-3
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
        Of the network's arithmetic, in training and in use. "bfloat16" is about twice as fast on
        processors and GPUs that have it.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last `fit`.
    random_state : int, RandomState or None, default=None
        Determines weights, crops and negatives. None takes fresh ones in every `fit`.
    batch_size : float, default=None
        Seconds of audio per batch in `transform`. None: chosen to hold memory under 1 GB.
    device : str, default="auto"
        "auto" (a GPU if there is one), "cpu", "cuda" or another torch device.
    memory : str, path-like or joblib.Memory, default=None
        Where features (not frames) are cached, so that no clip is computed twice: `FeatureCache`.
    n_jobs : int, default=None
        Processes for `transform`, through joblib; None follows `joblib.parallel_config`.
    verbose : int, default=0
        1 shows a progress bar.
    on_error : {"raise", "skip"}, default="raise"
        Whether an unusable clip is an error, or becomes a row of NaN and is listed in a warning.

    Attributes
    ----------
    weights_ : dict of str to ndarray
        Every tensor of the network, the prediction head included.
    architecture_ : dict
        Layers and settings of the network.
    history_ : list of dict
        One per epoch: ``epoch``, ``seconds``, ``learning_rate``, ``train_loss`` and
        ``valid_loss`` (nats per prediction), ``train_accuracy``, ``valid_accuracy``.
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
    RandomCNNTransformer : Networks that are not trained at all.

    References
    ----------
    .. [1] S. Schneider, A. Baevski, R. Collobert, M. Auli, "wav2vec: unsupervised pre-training
       for speech recognition", Interspeech 2019, arXiv:1904.05862.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio import Wav2VecTransformer
    >>> rng = np.random.default_rng(0)
    >>> clips = [rng.standard_normal(n) for n in (4000, 5000, 6000)]
    >>> wav2vec = Wav2VecTransformer(max_epochs=1, random_state=0).fit(clips)
    >>> wav2vec.transform(clips).shape
    (3, 256)
    >>> sorted(wav2vec.history_[0])[-2:]
    ['valid_accuracy', 'valid_loss']
    """

    _after_training = (*PredictiveMixin._after_training, "features", "layer")

    def __init__(
        self,
        size="tiny",
        *,
        encoder_layers=None,
        aggregator_layers=None,
        n_steps=12,
        n_negatives=10,
        objective="infonce",
        features="c",
        layer=None,
        pooling="mean_std",
        pretrained=None,
        sample_rate=16000,
        window_seconds=None,
        crop_seconds=1.0,
        batch_seconds=8.0,
        max_epochs=None,
        max_minutes=None,
        learning_rate=2e-3,
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
        self.encoder_layers = encoder_layers
        self.aggregator_layers = aggregator_layers
        self.n_steps = n_steps
        self.n_negatives = n_negatives
        self.objective = objective
        self.features = features
        self.layer = layer
        self.pooling = pooling
        self.pretrained = pretrained
        self.sample_rate = sample_rate
        self.window_seconds = window_seconds
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
            "encoder_layers": ((4, 10, 5), (4, 8, 4)),
            "aggregator_layers": ((4, 2, 1), (4, 3, 1)),
            "n_steps": 2,
            "n_negatives": 2,
            "crop_seconds": 0.05,
            "batch_seconds": 0.8,
            "max_epochs": 1,
        }
        return [
            small,
            {**small, "features": "cz", "pooling": "mean", "max_epochs": 0},
            {**small, "layer": 1, "window_seconds": 0.2, "max_epochs": 0},
        ]

    def _validate_parameters(self):
        super()._validate_parameters()
        check_choice("features", self.features, FEATURES)
        check_number("layer", self.layer, 1, none=True)

    def _check_quantizer(self, found, path):
        if found is not None:
            raise ValueError(f"{path} holds a network that quantizes; pass it to VQTransformer")

    def _network(self, generator):
        layers = FEATURES[self.features] if self.layer is None else (self.layer,)
        return self._new_network(generator, layers)
