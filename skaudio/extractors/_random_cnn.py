"""Randomly weighted CNNs in the designs of Pons & Serra."""

from ..base import BaseAudioTransformer
from ..networks.designs import DESIGNS
from ..networks.timbral_temporal import PAPER_TEMPORAL_KERNELS
from ..networks.vgg import PAPER_POOLS
from ..utils.validation import check_choice
from ._designs import DesignMixin

__all__ = ["RandomCNNTransformer"]


class RandomCNNTransformer(DesignMixin, BaseAudioTransformer):
    """Features of a convolutional network with random weights that are never trained.

    Convolution and pooling select frequencies and ignore shifts even with random filters, so a
    random network hears a lot [1]_. `fit` initialises it; each clip is run through the
    network, and its layers' maps are pooled over time into one vector.

    The defaults were chosen by measurement on speech, music and environmental sound
    (``benchmarks/defaults.py``); `from_paper` gives the published settings [2]_.

    Parameters
    ----------
    design : str, default="vgg"
        On a log-mel spectrogram:

        - "vgg": five blocks of 3 x 3 convolution, max-pooling and ELU; all five feed the vector.
        - "single": one layer of tall filters of size ``kernel``.
        - "timbral": six filter shapes across frequency; "temporal": four lengths of filters over
          time on the mean of all bands; "timbral_temporal": both [3]_.

        On the wave:

        - "sample_level": seven layers of width 3.
        - "frame_level": filters of 512 samples, then three layers with shortcuts.
        - "frame_level_many": filters of 512, 256, 128, 64 and 32 samples side by side, then the
          same three layers.
    frontend : {None, "mel", "sinc"}, default=None
        What the network reads. "sinc": as many band-pass filters as ``n_mels``, evenly spaced on
        the mel scale, take the place of the log-mel spectrogram or, in the frame-level designs,
        of the first filters; "mel": the spectrogram. None: by design, the spectrogram or the
        wave.
    n_filters : int, default=None
        Width of the network; a multiple of 4 for the timbral and temporal designs. None: by
        design, 32 to 1024.
    kernel : (int, int), default=(7, 86)
        Filter size of "single" as (frames, mel bands); the paper also has (7, 96).
    temporal_kernels : sequence of 4 int, default=(165, 128, 64, 32)
        Filter lengths of "temporal", frames; the paper has (64, 32, 16, 8) for UrbanSound8K.
    pools : sequence of 5 (int, int), default=((2, 2), (2, 3), (2, 2), (2, 2), (4, 4))
        Pooling windows of "vgg" as (frames, mel bands); the paper has
        ((4, 2), (4, 3), (5, 2), (4, 2), (4, 4)), whose fifth layer needs 1280 frames to fill one
        window. A window longer than its map takes what is there, so that even a short clip has
        the features of all five layers.
    n_bands : int, default=8
        Equal parts of the mel axis over which the maps of "vgg" are averaged apart; a map of
        fewer bands keeps those, and where the height is no multiple the parts overlap by a band.
        With 1, as in the paper, the features forget where in frequency a filter fired.
    layers : int or sequence of int, default=None
        Which maps feed the vector, counted from 0: 5 of "vgg", 7 of "sample_level", 4 of
        "frame_level", 8 of "frame_level_many", 2 of "timbral_temporal", 1 of the others. None:
        all, as in the paper.
    normalize : {None, "clip", "dataset"}, default="clip"
        Standardisation of what the network reads: none, as in the paper; by mean and deviation
        of each clip; or by those of each mel band over the clips seen in `fit`.
    pooling : str or sequence of str, default="mean_std_max"
        Names among mean, std, max, mean_std, mean_max, mean_std_max, quantiles (5, 25, 50, 75
        and 95 %), pyramid (means of 1 + 2 + 4 equal parts), course (trend, thirds, ranges, places
        of extremes and changes: see `skaudio.pooling.resolve`), and dct1 to dct64: the first 1 to
        64 coefficients of a cosine transform over the clip, which tell in what order things happen.
        Several are concatenated. The paper has "mean". Spectrogram maps are averaged over
        frequency first.
    fixed_length : int, default=None
        Length every clip is given: mel frames, or samples for the designs on the wave. Longer
        clips keep their beginning. None: clips keep their length.
    short : {"repeat", "zero"}, default="repeat"
        How a clip shorter than ``fixed_length``, or than the network can read, is lengthened:
        from its beginning again, or with zeros (which, after the logarithm, are not silence).
    reference : bool, default=False
        For the frame-level designs: collapse each of the last three maps to one number and
        zeros, as the published code does by mistake.
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
    precision : {"float32", "bfloat16"}, default="float32"
        Of the network's arithmetic. "bfloat16" is about twice as fast on processors and GPUs that
        have it; features change by less than a hundredth of the largest.
    random_state : int, RandomState or None, default=None
        Determines the weights. None takes fresh ones in every `fit`.
    batch_size : float, default=None
        Seconds of audio per batch; longer clips go in exact tiles. None: what memory allows.
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
        Kernels (out, in, time) or (out, in, time, mel) and biases (out,), float32, in forward
        order.
    bands_ : ndarray of shape (n_filters, 2)
        Lower and upper edge of each band-pass filter, Hz, with ``frontend="sinc"``.
    input_mean_, input_scale_ : ndarray of shape (n_channels,)
        Learnt standardisation, with ``normalize="dataset"``.
    n_features_out_ : int
        Number of columns of `transform`.
    n_features_in_ : int
        Samples per clip, if `fit` saw a matrix.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, if `fit` saw a data frame.

    See Also
    --------
    MFCCTransformer : The baseline.
    CNNTransformer : The same networks, trained on labels.

    Notes
    -----
    Kernels are w = s x, s = sqrt(2.6 / fan_in), x normal and truncated at 2; biases are zero.

    References
    ----------
    .. [1] A. Saxe et al., "On random weights and unsupervised feature learning", ICML 2011.
    .. [2] J. Pons, X. Serra, "Randomly weighted CNNs for (music) audio classification",
       ICASSP 2019, arXiv:1805.00237.
    .. [3] J. Pons et al., "End-to-end learning for music audio tagging at scale", ISMIR 2018,
       arXiv:1711.02520.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio import RandomCNNTransformer
    >>> rng = np.random.default_rng(0)
    >>> clips = [rng.standard_normal(16000), rng.standard_normal(5000)]
    >>> cnn = RandomCNNTransformer("single", n_filters=64, random_state=0).fit(clips)
    >>> cnn.transform(clips).shape
    (2, 192)
    >>> cnn.get_feature_names_out()[[0, 191]]
    array(['conv_0_mean', 'conv_63_max'], dtype=object)
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
        fixed_length=None,
        short="repeat",
        reference=False,
        sample_rate=16000,
        n_fft=512,
        hop_length=256,
        n_mels=96,
        fmin=0.0,
        fmax=None,
        top_db=80.0,
        precision="float32",
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
        self.fixed_length = fixed_length
        self.short = short
        self.reference = reference
        self.sample_rate = sample_rate
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.n_mels = n_mels
        self.fmin = fmin
        self.fmax = fmax
        self.top_db = top_db
        self.precision = precision
        self.random_state = random_state
        self.batch_size = batch_size
        self.device = device
        self.memory = memory
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    @classmethod
    def from_paper(cls, design="vgg", n_features=3585, **params):
        """Extractor with the settings of Pons & Serra.

        12 kHz, raw log-mel (dB) or wave of about 29 s, mean pooling. The published frame-level
        vectors also need ``reference=True``.

        Parameters
        ----------
        design : str, default="vgg"
            As for the class.
        n_features : int, default=3585
            Wanted number of features; ``n_filters`` is set to come nearest. The paper has about
            3500 and about 120.
        **params
            Further constructor parameters; they override the paper's.

        Returns
        -------
        extractor : RandomCNNTransformer
            Not fitted.

        Raises
        ------
        ValueError
            If the design is unknown.

        Examples
        --------
        >>> from skaudio import RandomCNNTransformer
        >>> RandomCNNTransformer.from_paper("sample_level").n_filters
        512
        """
        check_choice("design", design, DESIGNS)
        facts = DESIGNS[design]
        n_multiples = round(n_features / facts.n_features / facts.multiple)
        settings = {
            "n_filters": max(1, n_multiples) * facts.multiple,
            "pools": PAPER_POOLS,
            "n_bands": 1,
            "normalize": None,
            "pooling": "mean",
            "fixed_length": 350_000 if facts.reads_wave else 1376,
            "short": "repeat",
            "sample_rate": 12000,
        }
        return cls(design, **{**settings, **params})

    @classmethod
    def _get_test_params(cls):
        """Variants for the common tests."""
        mel = {"n_fft": 256, "hop_length": 64, "n_mels": 16, "n_filters": 4}
        # five blocks of VGG see far: narrow pooling leaves room for tiles in a short clip
        narrow = {**mel, "pools": ((2, 2), (1, 2), (2, 2), (1, 2), (2, 1))}
        single = {**mel, "design": "single", "kernel": (3, 12)}
        blocks = {**mel, "design": "timbral_temporal", "temporal_kernels": (15, 8, 5, 2)}
        wave = {"n_filters": 4, "design": "sample_level"}
        paper = {"normalize": None, "pooling": "mean"}
        return [
            {"n_filters": 8},
            {**mel, **paper, "pools": PAPER_POOLS, "n_bands": 1, "fixed_length": 100},
            {**narrow, "normalize": "dataset", "layers": [0, 2], "pooling": "quantiles"},
            {**narrow, "top_db": None, "fixed_length": 300, "short": "zero", "layers": -1},
            {**single, **paper, "kernel": (7, 15), "fixed_length": 50, "sample_rate": 12000},
            {**single, "normalize": "dataset", "pooling": ["max", "pyramid"], "n_fft": 301},
            {**mel, **paper, "design": "timbral_temporal"},
            {**blocks, "normalize": "dataset", "layers": 1, "short": "zero"},
            {**blocks, "design": "timbral"},
            {**blocks, "design": "temporal", "pooling": "dct8"},
            wave,
            {**wave, **paper, "fixed_length": 3000, "layers": [0, 3]},
            {**wave, "normalize": "dataset", "short": "zero", "pooling": "pyramid"},
            {**wave, "design": "frame_level"},
            {**wave, **paper, "design": "frame_level", "reference": True, "short": "zero"},
            {**wave, **paper, "design": "frame_level_many", "reference": True},
            {**wave, "design": "frame_level_many", "pooling": "mean_max", "layers": [1, -1]},
            {**wave, "design": "frame_level", "frontend": "sinc"},
            {**single, "frontend": "sinc"},
        ]
