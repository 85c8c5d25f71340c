"""PASE: one encoder of the wave that many small tasks train at once, without labels."""

from ..augment import resolve_distortions
from ..base import BaseAudioTransformer
from ..networks.pase import PASE, SIZES
from ..networks.sinc import edges
from ..training import TrainingMixin
from ..training.teachers import ManyTeachers
from ..utils.validation import check_choice, check_number, check_whole
from ..workers import resolve

__all__ = ["PASETransformer"]


class PASETransformer(TrainingMixin, BaseAudioTransformer):
    """Features of a network that learnt from many teachers at once what is in a sound.

    An encoder turns the wave into a frame every 160 samples. Beside it stand small *workers*, each
    with a task of its own that needs no labels: to say from the frames what the spectrum, the MFCC,
    the pitch or the energy of the sound is, or whether two moments are of the same clip [1]_. All
    of them can do their task only if the encoder tells them what they need. In PASE+ [2]_ the
    encoder hears the sound distorted, and the workers ask for that of the clean one. `fit` trains
    on the clips it is given, or reads a published encoder; `transform` pools frames over time.

    Parameters
    ----------
    size : {"tiny", "pase", "pase+"}, default="tiny"
        "tiny" trains on a laptop in minutes: 256 features. The others are the published
        encoders, of 100 and 256 features and 6 and 8 million weights. "tiny" and "pase+" have a
        recurrent layer and skip connections, and "tiny" compresses what its filters let through,
        so that clips of different loudness are more alike.
    workers : str or sequence, default=None
        What teaches: "tiny", "pase", "pase+", or a list of names as in `skaudio.workers.PASE_PLUS`
        and of own classes (see `skaudio.workers.Worker`), each perhaps in a pair with a name of
        its own. None: those of ``size``.
    distortions : {None, "pase+"} or sequence, default=None
        What is done to the sound that the encoder hears in training: a list of functions ``(wave,
        generator) -> wave``, such as those of `skaudio.augment`, or of pairs (function,
        probability), in the order in which they are applied. "pase+": those of [2]_.
    random_scale : bool, default=False
        Whether training makes each half of a crop as loud as chance has it, its highest sample
        uniform between 0 and 1, before it is distorted and before the workers ask about it, as in
        the training of [2]_. Then frames tell less of the level of a recording.
    reference : bool, default=False
        Whether to follow the published code where it is odd: targets are divided by the mean over
        clips of their deviation within a clip, and skip connections slide in time where the
        length of a clip is no multiple of 160, so that it must fit into memory. True is meant for
        comparisons.
    layers : sequence of (width, kernel, stride), default=None
        Convolutions of another encoder; the first are band-pass filters. None: those of ``size``.
    n_features : int, default=None
        Channels of a frame. None: as ``size`` has it.
    pooling : str or sequence of str, default="mean_std"
        Names of statistics over time, as for `Wav2VecTransformer`.
    pretrained : str or path-like, default=None
        Published encoder, such as ``FE_e199.ckpt``. It brings its own layers.
    sample_rate : int, default=16000
        Rate in Hz that files are resampled to and that arrays are taken to be at. Published
        encoders have 16000.
    crop_seconds, batch_seconds : float, default=2.0, 16.0
        Crops that training cuts from clips, or from short clips joined, and sound in a batch. A
        crop is heard as two halves.
    max_epochs : int, default=None
        Passes over the training clips. None: 4000 updates, or none with ``pretrained``. 0: the
        weights stay as they are.
    max_minutes : float, default=None
        Time after which training ends, its learning rate having come down by then.
    learning_rate : float, default=1e-3
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
        Of the network's arithmetic, in training and in use.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last `fit`.
    random_state : int, RandomState or None, default=None
        Determines weights, crops, distortions and pairs. None takes fresh ones in every `fit`.
    batch_size : float, default=None
        Seconds of audio per batch in `transform`. None: what memory allows.
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
    bands_, initial_bands_ : ndarray of shape (n_filters, 2)
        Lower and upper edge of each band-pass filter, Hz, learnt and before training.
    weights_, task_weights_ : dict of str to ndarray
        Every tensor of the network, and of the workers beside it.
    architecture_ : dict
        Arguments of the network.
    history_ : list of dict
        One per epoch: ``epoch``, ``seconds``, ``updates``, ``learning_rate``, ``train_loss`` and
        ``valid_loss`` (sum over the workers), and for each worker such as lps ``train_loss_lps``
        and ``valid_loss_lps``.
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
    Wav2VecTransformer : Learns by predicting the future of a sound.
    SincNetTransformer : Band-pass filters trained on labels.

    Notes
    -----
    A clip shorter than the padding can mirror (471 samples) is lengthened with zeros. A frame of
    "tiny" and "pase+" depends on all earlier ones; long clips are worked on in parts all the same,
    from one to the next of which the recurrent layer carries its state.

    References
    ----------
    .. [1] S. Pascual, M. Ravanelli, J. Serra, A. Bonafonte, Y. Bengio, "Learning
       problem-agnostic speech representations from multiple self-supervised tasks", Interspeech
       2019, arXiv:1904.03416.
    .. [2] M. Ravanelli et al., "Multi-task self-supervised learning for robust speech
       recognition", ICASSP 2020, arXiv:2001.09239.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio import PASETransformer
    >>> rng = np.random.default_rng(0)
    >>> clips = [rng.standard_normal(n) for n in (4000, 5000, 6000)]
    >>> pase = PASETransformer(
    ...     workers=["mfcc", "prosody"], crop_seconds=0.2, max_epochs=1, random_state=0
    ... )
    >>> pase.fit(clips).transform(clips).shape
    (3, 512)
    >>> sorted(pase.history_[0])[-3:]
    ['valid_loss', 'valid_loss_mfcc', 'valid_loss_prosody']
    """

    _after_training = ("pooling",)

    def __init__(
        self,
        size="tiny",
        *,
        workers=None,
        distortions=None,
        random_scale=False,
        reference=False,
        layers=None,
        n_features=None,
        pooling="mean_std",
        pretrained=None,
        sample_rate=16000,
        crop_seconds=2.0,
        batch_seconds=16.0,
        max_epochs=None,
        max_minutes=None,
        learning_rate=1e-3,
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
        self.workers = workers
        self.distortions = distortions
        self.random_scale = random_scale
        self.reference = reference
        self.layers = layers
        self.n_features = n_features
        self.pooling = pooling
        self.pretrained = pretrained
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
            "layers": ((8, 31, 10), (4, 8, 4), (4, 11, 2), (8, 11, 2)),
            "n_features": 16,
            "workers": ["mfcc", "lim"],
            "crop_seconds": 0.1,
            "batch_seconds": 0.8,
            "max_epochs": 1,
        }
        # crops as long as spc needs them, several in a batch all the same
        hard = {**small, "workers": ["prosody", "spc"], "batch_seconds": 2.4}
        return [
            small,
            {**hard, "distortions": "pase+", "random_scale": True, "pooling": "mean"},
            {**small, "size": "pase", "reference": True, "max_epochs": 0},
        ]

    @property
    def bands_(self):
        """Lower and upper edge of each band-pass filter, Hz: ndarray of shape (n_filters, 2)."""
        return edges(self._ready(self.pooling).network)

    @property
    def initial_bands_(self):
        """The same before training."""
        return edges(self._built(None))

    def _validate_parameters(self):
        check_choice("size", self.size, SIZES)
        check_choice("random_scale", self.random_scale, (True, False))
        check_choice("reference", self.reference, (True, False))
        check_number("n_features", self.n_features, 1, none=True)
        if self.layers is not None:
            check_whole("layers", self.layers, (len(self.layers), 3))
        resolve(self._chosen_workers())
        resolve_distortions(self.distortions, self.sample_rate)

    def _chosen_workers(self):
        return self.size if self.workers is None else self.workers

    def _learn(self, clips, run):
        self.architecture_ = self._architecture()

    def _architecture(self):
        """Arguments of the network."""
        if self.pretrained is not None:
            arguments = self._checkpoint().arguments
        else:
            arguments = {**SIZES[self.size], "sample_rate": self.sample_rate}
            for name in ("layers", "n_features"):
                if getattr(self, name) is not None:
                    arguments[name] = getattr(self, name)
        return {**arguments, "reference": self.reference}

    def _checkpoint(self):
        """Contents of the file; ValueError if it contradicts the parameters."""
        from ..pretrained.pase import read_pase

        checkpoint = read_pase(self.pretrained)
        for name in ("layers", "n_features"):
            wanted, found = getattr(self, name), checkpoint.arguments[name]
            if name == "layers" and wanted is not None:
                wanted = tuple(map(tuple, wanted))
            if wanted is not None and wanted != found:
                raise ValueError(
                    f"{name}={wanted!r}, but {self.pretrained} has {found}; leave it out"
                )
        if self.sample_rate != checkpoint.sample_rate:
            raise ValueError(
                f"sample_rate={self.sample_rate}, but {self.pretrained} was trained on sound of "
                f"{checkpoint.sample_rate} Hz; pass that"
            )
        return checkpoint

    def _pretrained_weights(self):
        return self._checkpoint().weights, {}

    def _network(self, generator):
        network = PASE(**self.architecture_)
        if generator is not None:
            network.initialise(generator)
        return network

    def _task(self, network, y):
        return ManyTeachers(
            network,
            self._chosen_workers(),
            sample_rate=self.sample_rate,
            distortions=resolve_distortions(self.distortions, self.sample_rate),
            random_scale=self.random_scale,
            reference=self.reference,
        )
