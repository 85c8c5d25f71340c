"""Sound as words of a finite vocabulary: vq-wav2vec."""

import warnings

import numpy as np
import scipy.sparse
import torch

from .._engine import weights
from .._engine.extract import extract
from ..base import BaseAudioTransformer
from ..networks.vq import joint_codes, perplexity
from ..utils.validation import check_choice, check_number
from ._predictive import PredictiveMixin

__all__ = ["VQTransformer"]

QUANTIZERS = ("ema", "gumbel", "kmeans")  # the first one unless told otherwise
MAPS = {"context": ("c",), "embedding": ("z",)}
BAGS = ("histogram", "counts", "bigrams")


class VQTransformer(PredictiveMixin, BaseAudioTransformer):
    """Features of a network whose frames are words of a finite vocabulary.

    As in `Wav2VecTransformer`, the network learns without labels to tell the true future of a
    sound from other moments of it, but between encoder and aggregator each frame is replaced by
    the nearest of a few learnt vectors, in each of several groups of channels [1]_. The numbers
    of these vectors, the codes, are a text: they can be counted, weighted and modelled as one.

    A training from nothing begins without the quantiser, which takes part after three tenths of
    it, its vectors chosen among the frames: of frames that mean nothing yet it would make a few
    codes only, and leave the network nothing to predict.

    Parameters
    ----------
    quantizer : {"ema", "gumbel", "kmeans"}, default=None
        How codes are chosen and learnt: by distance with a table of moving averages, whose dead
        codes start anew [2]_; or by Gumbel-softmax or by distance, as in [1]_. None: that of
        ``pretrained``, and without it "ema", which in short trainings uses most of its codes.
    n_groups : int, default=2
        Groups of channels, each with its own code; divides the channels.
    n_codes : int, default=320
        Codes of a group.
    output : {"context", "embedding", "histogram", "counts", "bigrams"}, default="context"
        What `transform` gives: the context, or the chosen vectors, pooled over time; the share
        of each code among a clip's frames (each group sums to 1); the number of its frames, for
        instance for `~sklearn.feature_extraction.text.TfidfTransformer`; or the number of each
        pair of joint codes that follow each other, as a sparse matrix.
    joint : bool, default=False
        Whether "histogram" and "counts" take the codes of all groups together as one word, of
        ``n_codes ** n_groups``; the matrix is then sparse.
    size : {"tiny", "base", "large"}, default="tiny"
        "tiny" trains on a laptop in minutes: 5 encoder and 6 aggregator layers of 128 channels.
        "base" and "large" are networks of 512 channels.
    encoder_layers, aggregator_layers : sequence of (dim, kernel, stride), default=None
        Layers of another network. None: those of ``size``.
    n_steps : int, default=12
        Steps ahead that are predicted. The first is the nearest that shares no sample with c.
    n_negatives : int, default=10
        Other moments that each true one is told from.
    objective : {"infonce", "bce", "balanced"}, default="infonce"
        Cross-entropy of the true moment among all; binary cross-entropy of each; or the latter
        with the others weighted 1 / ``n_negatives``.
    pooling : str or sequence of str, default="mean_std"
        Of "context" and "embedding"; as for `Wav2VecTransformer`.
    pretrained : str or path-like, default=None
        Checkpoint in fairseq's or s3prl's form, or the name of a published one (see
        `skaudio.pretrained.fairseq`). It brings its own layers, quantizer and codes.
    sample_rate : int, default=16000
        Rate in Hz that files are resampled to and that arrays are taken to be at.
    window_seconds : float, default=None
        Longer clips are cut into windows of this length, each normalised by itself. None: no
        window.
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
        Determines weights, crops, negatives and noise. None takes fresh ones in every `fit`.
    batch_size : float, default=None
        Seconds of audio per batch in `transform`. None: chosen to hold memory under 1 GB.
    device : str, default="auto"
        "auto" (a GPU if there is one), "cpu", "cuda" or another torch device.
    memory : str, path-like or joblib.Memory, default=None
        Where features are cached, so that no clip is computed twice: `FeatureCache`. Codes, counts
        and sparse matrices are not cached.
    n_jobs : int, default=None
        Processes for `transform`, through joblib; None follows `joblib.parallel_config`.
    verbose : int, default=0
        1 shows a progress bar.
    on_error : {"raise", "skip"}, default="raise"
        Whether an unusable clip is an error, or becomes a row of NaN and is listed in a warning.
        In a sparse matrix only the first column of that row is NaN.

    Attributes
    ----------
    codebook_ : ndarray of shape (n_groups, n_codes, n_channels / n_groups)
        The vector of each code.
    n_codes_used_ : ndarray of shape (n_groups,)
        How many codes the clips seen in `fit` have, in each group.
    perplexity_ : ndarray of shape (n_groups,)
        How many equally frequent codes would carry as much information; near 1 the codes have
        collapsed, at ``n_codes`` all are alike.
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
    Wav2VecTransformer : The same without words.

    References
    ----------
    .. [1] A. Baevski, S. Schneider, M. Auli, "vq-wav2vec: self-supervised learning of discrete
       speech representations", ICLR 2020, arXiv:1910.05453.
    .. [2] A. van den Oord, O. Vinyals, K. Kavukcuoglu, "Neural discrete representation
       learning", NeurIPS 2017, arXiv:1711.00937, appendix A.1.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio import VQTransformer
    >>> rng = np.random.default_rng(0)
    >>> clips = [rng.standard_normal(n) for n in (4000, 5000, 6000)]
    >>> words = VQTransformer("ema", n_codes=8, output="histogram", max_epochs=1, random_state=0)
    >>> words.fit_transform(clips).shape
    (3, 16)
    >>> [codes.shape for codes in words.encode(clips)]
    [(23, 2), (29, 2), (35, 2)]
    """

    _after_training = (*PredictiveMixin._after_training, "output", "joint")

    def __init__(
        self,
        quantizer=None,
        *,
        n_groups=2,
        n_codes=320,
        output="context",
        joint=False,
        size="tiny",
        encoder_layers=None,
        aggregator_layers=None,
        n_steps=12,
        n_negatives=10,
        objective="infonce",
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
        self.quantizer = quantizer
        self.n_groups = n_groups
        self.n_codes = n_codes
        self.output = output
        self.joint = joint
        self.size = size
        self.encoder_layers = encoder_layers
        self.aggregator_layers = aggregator_layers
        self.n_steps = n_steps
        self.n_negatives = n_negatives
        self.objective = objective
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
            "n_codes": 4,
            "n_steps": 2,
            "n_negatives": 2,
            "crop_seconds": 0.05,
            "batch_seconds": 0.2,
        }
        return [
            {**small, "max_epochs": 1},
            {**small, "quantizer": "kmeans", "output": "embedding", "max_epochs": 0},
            {**small, "quantizer": "gumbel", "output": "histogram", "max_epochs": 1},
        ]

    def transform(self, X):
        """Features of clips, as ``output`` says.

        Parameters
        ----------
        X : list of clips, or array of shape (n_clips, n_samples)
            As in `fit`.

        Returns
        -------
        features : ndarray or scipy.sparse.csr_matrix of shape (n_clips, n_features), float32
            Row i belongs to clip i. Sparse for joint codes and pairs of them. Rows of skipped
            clips are NaN, in a sparse matrix in their first column alone, so that in both
            ``np.isnan(features.sum(axis=1))`` finds them. A clip of a single frame has no pairs:
            its row is zero.

        Raises
        ------
        ClipError
            (a ValueError) If a clip cannot be used and ``on_error="raise"``.
        NotFittedError
            If `fit` was not called.
        """
        if self.output in MAPS:
            return super().transform(X)
        if self.output == "histogram" and not self.joint:
            return self._extract(X, "mean")  # of maps that are 1 where a code is
        texts = self.encode(X)
        if self.output == "bigrams" or self.joint:
            return self._sparse(texts)
        return np.stack([self._counts(codes) for codes in texts]).astype(np.float32)

    def encode(self, X):
        """Codes of clips.

        Parameters
        ----------
        X : list of clips, or array of shape (n_clips, n_samples)
            As in `fit`.

        Returns
        -------
        codes : list of ndarray of shape (n_frames_i, n_groups), int64
            From 0 to ``n_codes - 1`` in each group; without any frame for skipped clips.
        """
        clips = self._checked_clips(X)
        return self._encoded(self.weights_, clips)

    def _encoded(self, state, clips):
        """Codes of clips by a network with these weights."""
        network = weights.load(self._new_network(None, ("codes",)).eval(), state)
        frames = extract(self._forward_pass_of(network, None), clips, self._run())
        return [codes.astype(np.int64) for codes in frames]

    def get_feature_names_out(self, input_features=None):
        """Names of the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only checked against the columns seen in `fit`.

        Returns
        -------
        names : ndarray of shape (n_features,), object
            For instance "c_0_mean", "group0_code12", or for joint codes "12-3" and, in pairs,
            "12-3 4-1".
        """
        names = super().get_feature_names_out(input_features)
        if self.output in MAPS:
            return names
        n_groups, n_codes = self._vocabulary()
        if not self.joint and self.output != "bigrams":
            names = [f"group{g}_code{v}" for g in range(n_groups) for v in range(n_codes)]
            return np.array(names, dtype=object)
        words = ["-".join(map(str, word)) for word in np.ndindex(*[n_codes] * n_groups)]
        if self.output == "bigrams":
            words = [f"{first} {second}" for first in words for second in words]
        return np.array(words, dtype=object)

    def _validate_parameters(self):
        super()._validate_parameters()
        check_choice("quantizer", self.quantizer, (*QUANTIZERS, None))
        check_choice("output", self.output, (*MAPS, *BAGS))
        check_choice("joint", self.joint, (True, False))
        check_number("n_groups", self.n_groups, 1)
        check_number("n_codes", self.n_codes, 2)

    def _quantizer(self):
        kind = self.quantizer or QUANTIZERS[0]
        return {"kind": kind, "n_codes": self.n_codes, "n_groups": self.n_groups}

    def _check_quantizer(self, found, path):
        if found is None:
            raise ValueError(f"{path} holds no quantizer; pass it to Wav2VecTransformer")
        if self.quantizer not in (None, found["kind"]):
            raise ValueError(
                f"quantizer={self.quantizer!r}, but {path} has {found['kind']!r}; leave it out"
            )

    def _network(self, generator):
        return self._new_network(generator, MAPS.get(self.output, ("one_hot",)))

    def _train(self, network, data, generator, plan):
        super()._train(network, data, generator, plan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # transform says it again
            texts = np.concatenate(self._encoded(weights.to_numpy(network), data.clips))
        _, n_codes = self._vocabulary()
        counts = np.stack([np.bincount(text, minlength=n_codes) for text in texts.T])
        self.n_codes_used_ = (counts > 0).sum(axis=1)
        shares = torch.from_numpy(counts / counts.sum(axis=1, keepdims=True))
        self.perplexity_ = perplexity(shares).numpy()
        self.codebook_ = network.quantizer.codebook().detach().cpu().numpy().copy()

    def _width(self, network):
        if self.output in MAPS:
            return super()._width(network)
        n_groups, n_codes = self._vocabulary()
        if self.output == "bigrams":
            return n_codes ** (2 * n_groups)
        return n_codes**n_groups if self.joint else n_codes * n_groups

    def _vocabulary(self):
        """Number of groups, and of codes in each."""
        quantizer = self.architecture_["quantizer"]
        return quantizer["n_groups"], quantizer["n_codes"]

    def _counts(self, codes):
        """Counts of each group's codes in one clip."""
        n_groups, n_codes = self._vocabulary()
        if not len(codes):
            return np.full(n_groups * n_codes, np.nan)
        words = (codes + n_codes * np.arange(n_groups)).ravel()
        return np.bincount(words, minlength=n_groups * n_codes)

    def _sparse(self, texts):
        """Counts or shares of joint codes, or of pairs of them; NaN first where there are none."""
        n_groups, n_codes = self._vocabulary()
        n_words, rows, columns, values = n_codes**n_groups, [], [], []
        for row, codes in enumerate(texts):
            if not len(codes):  # skipped
                rows.append([row])
                columns.append([0])
                values.append([np.nan])
                continue
            words = joint_codes(torch.from_numpy(codes), n_codes).numpy()
            if self.output == "bigrams":
                words = words[:-1] * n_words + words[1:]
            found, counts = np.unique(words, return_counts=True)
            rows.append(np.full(len(found), row))
            columns.append(found)
            values.append(counts / len(words) if self.output == "histogram" else counts)
        shape = (len(texts), n_words**2 if self.output == "bigrams" else n_words)
        place = (np.concatenate(rows), np.concatenate(columns))
        return scipy.sparse.csr_matrix((np.concatenate(values), place), shape, dtype=np.float32)
