"""Convolutional networks in the designs of Pons & Serra, trained on labels."""

from ..augment import resolve_distortions
from ..base import BaseAudioTransformer
from ..networks.timbral_temporal import PAPER_TEMPORAL_KERNELS
from ..training import Classification, ClassificationMixin
from ..utils.validation import check_choice, check_number
from ._designs import DesignMixin, design_of

__all__ = ["CNNTransformer"]


class CNNTransformer(DesignMixin, ClassificationMixin, BaseAudioTransformer):
    """Features, and classes, of a convolutional network that `fit` trains on labels.

    The networks are those of `RandomCNNTransformer`, designed for music [1]_, [2]_, and begin
    with its weights: with ``max_epochs=0`` and the same parameters and seed both give the same
    features, bit for bit. `fit` trains them, on crops of the clips, to tell the classes apart
    by a linear layer on the pooled maps. `transform` pools the maps of whole clips alike, for
    any classifier; `predict` and `predict_proba` use the linear layer.

    The defaults were chosen by measurement on speech and environmental sound.

    Parameters
    ----------
    design : str, default="vgg"
        On a log-mel spectrogram "vgg", "single", "timbral_temporal", "timbral" or "temporal"; on
        the wave "sample_level", "frame_level" or "frame_level_many". `RandomCNNTransformer`
        explains them.
    frontend : {None, "mel", "sinc"}, default=None
        What the network reads. "sinc": as many band-pass filters as ``n_mels`` take the place of
        the log-mel spectrogram, or, in the frame-level designs, of the first filters; they start
        evenly spaced on the mel scale, and their edges are trained [3]_. "mel": the spectrogram.
        None: by design, the spectrogram or the wave.
    n_filters : int, default=None
        Width of the network; a multiple of 4 for the timbral and temporal designs. None: by
        design, 16 to 256, narrower than the untrained twin, since training takes as long as
        hundreds of extractions.
    kernel : (int, int), default=(7, 86)
        Filter size of "single" as (frames, mel bands).
    temporal_kernels : sequence of 4 int, default=(165, 128, 64, 32)
        Filter lengths of "temporal", frames.
    pools : sequence of 5 (int, int), default=((2, 2), (2, 3), (2, 2), (2, 2), (4, 4))
        Pooling windows of "vgg" as (frames, mel bands).
    n_bands : int, default=8
        Equal parts of the mel axis over which the maps of "vgg" are averaged apart.
    layers : int or sequence of int, default=None
        Which maps are trained through and feed the vector, counted from 0; None: all.
    normalize : {None, "clip"}, default="clip"
        Standardisation of what the network reads: none, or by mean and deviation of each crop in
        training, and of each clip afterwards.
    pooling : str or sequence of str, default="mean_std_max"
        Names among mean, std, max, mean_std, mean_max, mean_std_max, quantiles (5, 25, 50, 75
        and 95 %), pyramid (means of 1 + 2 + 4 equal parts), course (trend, thirds, ranges, places
        of extremes and changes: see `skaudio.pooling.resolve`), and dct1 to dct64: the first 1 to
        64 coefficients of a cosine transform over the clip, which tell in what order things happen.
        Several are concatenated. Spectrogram maps are averaged over frequency first.
    spec_augment : float, default=0.0
        Widest mask, as a share of the crop and of the spectrum, of the two in time and two in
        frequency that are laid over each crop in training: `skaudio.augment.spec_augment`. 0:
        none.
    mixup : float, default=0.2
        Crops are mixed in training, by shares of the distribution Beta(mixup, mixup):
        `skaudio.augment.mixup`. 0: they are not.
    distortions : None, "pase+" or list, default=None
        What is done to the waves of crops in training, so that noise and rooms matter less
        afterwards: the distortions of PASE+, or functions, alone or with their probabilities, as
        `skaudio.augment.resolve_distortions` takes them. None: nothing.
    sample_rate : int, default=16000
        Rate in Hz that files are resampled to and that arrays are taken to be at.
    n_fft, hop_length : int, default=512, 256
        Window and step of the spectrogram, samples. Frames are centred; beyond its ends a clip
        is mirrored.
    n_mels : int, default=96
        Number of mel bands.
    fmin, fmax : float, default=0.0, None
        Edges of the bands, Hz. ``fmax=None``: half the sample rate.
    top_db : float, default=80.0
        Bands are floored this many decibels under the maximum of their clip. None: no floor.
    crop_seconds, batch_seconds : float, default=2.0, 16.0
        Crops that training cuts from clips, whole clips if they are shorter, and sound in a
        batch. With less than some ten minutes of sound, smaller batches leave more updates.
    max_epochs : int, default=25
        Passes over the training clips. None: 4000 updates. 0: the weights stay as they are.
    max_minutes : float, default=None
        Time after which training ends, its learning rate having come down by then.
    learning_rate : float, default=8e-3
        Highest learning rate of Adam, after a warm-up; half a cosine brings it to zero.
    validation_fraction : float, default=0.0
        Share of the clips of each class (whole ``groups`` that `fit` is given) that is held out
        to tell which epoch was the best. 0: the one of the lowest training loss is, and no clip
        is missing from the training.
    early_stopping : bool, default=False
        Whether to stop after five epochs that were no better on what is held out.
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
        Determines weights, crops and distortions. None takes fresh ones in every `fit`.
    batch_size : float, default=None
        Seconds of audio per batch in `transform`; longer clips go in exact tiles. None: what
        memory allows.
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
    classes_ : ndarray of shape (n_classes,)
        Classes of the clips; not there if nothing was trained.
    weights_ : dict of str to ndarray
        Kernels (out, in, time) or (out, in, time, mel) and biases (out,), float32, in forward
        order.
    task_weights_ : dict of str to ndarray
        Those of the layer that tells the classes apart.
    bands_, initial_bands_ : ndarray of shape (n_filters, 2)
        Lower and upper edge of each band-pass filter, Hz, and what they were before training, with
        ``frontend="sinc"``.
    history_ : list of dict
        One per epoch: ``epoch``, ``seconds``, ``updates``, ``learning_rate``, ``train_loss`` and
        ``valid_loss`` (nats per crop), ``train_accuracy``, ``valid_accuracy``.
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
    RandomCNNTransformer : The same networks, not trained at all.

    References
    ----------
    .. [1] J. Pons, X. Serra, "Randomly weighted CNNs for (music) audio classification",
       ICASSP 2019, arXiv:1805.00237.
    .. [2] J. Pons et al., "End-to-end learning for music audio tagging at scale", ISMIR 2018,
       arXiv:1711.02520.
    .. [3] M. Ravanelli, Y. Bengio, "Speaker recognition from raw waveform with SincNet",
       SLT 2018, arXiv:1808.00158.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio import CNNTransformer
    >>> rng = np.random.default_rng(0)
    >>> noise = [rng.standard_normal(8000) for _ in range(8)]
    >>> clips = noise + [clip.cumsum() for clip in noise]
    >>> cnn = CNNTransformer(n_filters=4, max_epochs=3, batch_seconds=2, random_state=0)
    >>> cnn = cnn.fit(clips, ["white"] * 8 + ["brown"] * 8)
    >>> cnn.predict([rng.standard_normal(5000).cumsum()])
    array(['brown'], dtype='<U5')
    >>> cnn.transform(clips).shape
    (16, 348)
    """

    def __init__(
        self,
        design="vgg",
        *,
        frontend=None,
        n_filters=None,
        kernel=(7, 86),
        temporal_kernels=PAPER_TEMPORAL_KERNELS,
        pools=((2, 2), (2, 3), (2, 2), (2, 2), (4, 4)),
        n_bands=8,
        layers=None,
        normalize="clip",
        pooling="mean_std_max",
        spec_augment=0.0,
        mixup=0.2,
        distortions=None,
        sample_rate=16000,
        n_fft=512,
        hop_length=256,
        n_mels=96,
        fmin=0.0,
        fmax=None,
        top_db=80.0,
        crop_seconds=2.0,
        batch_seconds=16.0,
        max_epochs=25,
        max_minutes=None,
        learning_rate=8e-3,
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
        self.design = design
        self.frontend = frontend
        self.n_filters = n_filters
        self.kernel = kernel
        self.temporal_kernels = temporal_kernels
        self.pools = pools
        self.n_bands = n_bands
        self.layers = layers
        self.normalize = normalize
        self.pooling = pooling
        self.spec_augment = spec_augment
        self.mixup = mixup
        self.distortions = distortions
        self.sample_rate = sample_rate
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.n_mels = n_mels
        self.fmin = fmin
        self.fmax = fmax
        self.top_db = top_db
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
        short = {"crop_seconds": 0.1, "batch_seconds": 0.8, "max_epochs": 1, "n_filters": 4}
        mel = {**short, "n_fft": 256, "hop_length": 64, "n_mels": 16}
        # five blocks of VGG see far: narrow pooling leaves room for tiles in a short clip
        narrow = {**mel, "pools": ((2, 2), (1, 2), (2, 2), (1, 2), (2, 1))}
        return [
            {**narrow, "spec_augment": 0.3},
            {**mel, "design": "single", "kernel": (3, 12), "normalize": None},
            {**short, "design": "sample_level", "mixup": 0.0, "distortions": "pase+"},
            {**short, "design": "frame_level", "layers": [1, -1], "max_epochs": 0},
            {**mel, "design": "timbral", "frontend": "sinc"},
            {**short, "design": "frame_level_many", "frontend": "sinc"},
        ]

    def _validate_parameters(self):
        super()._validate_parameters()
        # statistics of the clips of one `fit` would change under weights that go on to others
        check_choice("normalize", self.normalize, (None, "clip"))
        check_number("spec_augment", self.spec_augment, 0, 1, integer=False)
        check_number("mixup", self.mixup, 0, integer=False)
        resolve_distortions(self.distortions)

    def _default_width(self):
        return design_of(self).n_trained

    def _task(self, network, y):
        # y is None where stored weights follow
        return Classification(
            network,
            len(self.classes_),
            self._frontend(network),
            pooling=self.pooling,
            y=y,
            spec_augment=self.spec_augment,
            mixup=self.mixup,
            distortions=resolve_distortions(self.distortions, self.sample_rate),
        )
