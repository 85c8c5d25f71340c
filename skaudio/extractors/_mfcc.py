"""The honest baseline: mel-frequency cepstral coefficients and their differences."""

from .. import frontends
from ..base import BaseAudioTransformer
from ..networks.deltas import Deltas
from ..utils.validation import check_choice, check_number
from ._mel import check_mel_parameters, log_mel

__all__ = ["MFCCTransformer"]


class MFCCTransformer(BaseAudioTransformer):
    """MFCCs and their differences over time, pooled into one vector per clip.

    The coefficients are those of `librosa.feature.mfcc` with its defaults (Slaney mel scale,
    orthonormal DCT-II of decibels, centred frames padded with zeros), computed in batches by
    torch. With ``sample_rate=12000`` the vector is the 120-d baseline of [1]_: mean and
    population standard deviation of the coefficients, of their first and of their second
    differences, in this order.

    Parameters
    ----------
    sample_rate : int, default=16000
        Rate in Hz that files are resampled to and that arrays are taken to be at.
    n_mfcc : int, default=20
        Number of coefficients.
    n_fft : int, default=2048
        Window length, samples.
    hop_length : int, default=512
        Step between frames, samples. A clip of n samples has 1 + n // hop_length frames, also
        one that is shorter than the window: it is centred in zeros.
    n_mels : int, default=128
        Number of mel bands.
    fmin : float, default=0.0
        Lower edge of the lowest band, Hz.
    fmax : float, default=None
        Upper edge of the highest band, Hz. None: half the sample rate.
    top_db : float, default=80.0
        Bands are floored this many decibels under the maximum of their clip. None: no floor.
    n_deltas : int, default=2
        Highest order of difference: 0, 1, 2, ...
    delta : {"difference", "savgol"}, default="difference"
        Plain differences of neighbouring frames, or the derivative of a polynomial fitted to
        nine frames as in `librosa.feature.delta` (fewer than nine frames: the last is held).
    pooling : str or sequence of str, default="mean_std"
        Names among mean, std, max, mean_std, mean_max, mean_std_max, quantiles (5, 25, 50, 75
        and 95 %), pyramid (means of 1 + 2 + 4 equal parts), course (trend, thirds, ranges, places
        of extremes and changes: see `skaudio.pooling.resolve`), and dct1 to dct64: the first 1 to
        64 coefficients of a cosine transform over the clip, which tell in what order things happen.
        Several are concatenated.
        Differences are pooled over the frames they have; without any they give 0.
    batch_size : float, default=None
        Seconds of audio per batch. None: chosen to hold memory under 1 GB.
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
    n_features_out_ : int
        Number of columns of `transform`.
    n_features_in_ : int
        Samples per clip, if `fit` saw a matrix.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, if `fit` saw a data frame.

    See Also
    --------
    RandomCNNTransformer : Randomly weighted convolutional networks.

    References
    ----------
    .. [1] J. Pons, X. Serra, "Randomly weighted CNNs for (music) audio classification",
       ICASSP 2019, arXiv:1805.00237.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio import MFCCTransformer
    >>> rng = np.random.default_rng(0)
    >>> clips = [rng.standard_normal(16000), rng.standard_normal(5000)]
    >>> mfcc = MFCCTransformer().fit(clips)
    >>> mfcc.transform(clips).shape
    (2, 120)
    >>> [frames.shape for frames in mfcc.transform_frames(clips)]
    [(32, 60), (10, 60)]
    """

    def __init__(
        self,
        *,
        sample_rate=16000,
        n_mfcc=20,
        n_fft=2048,
        hop_length=512,
        n_mels=128,
        fmin=0.0,
        fmax=None,
        top_db=80.0,
        n_deltas=2,
        delta="difference",
        pooling="mean_std",
        batch_size=None,
        device="auto",
        memory=None,
        n_jobs=None,
        verbose=0,
        on_error="raise",
    ):
        self.sample_rate = sample_rate
        self.n_mfcc = n_mfcc
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.n_mels = n_mels
        self.fmin = fmin
        self.fmax = fmax
        self.top_db = top_db
        self.n_deltas = n_deltas
        self.delta = delta
        self.pooling = pooling
        self.batch_size = batch_size
        self.device = device
        self.memory = memory
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    @classmethod
    def _get_test_params(cls):
        """Variants for the common tests."""
        small = {"n_mfcc": 5, "n_fft": 256, "hop_length": 64, "n_mels": 16}
        return [
            {},
            {**small, "delta": "savgol", "pooling": "mean"},
            {**small, "n_deltas": 0, "top_db": None, "pooling": "quantiles"},
            {**small, "n_deltas": 3, "pooling": "pyramid", "n_fft": 301, "sample_rate": 12000},
            {**small, "pooling": ["max", "mean_std", "dct6"], "fmin": 100.0, "fmax": 4000.0},
        ]

    def _validate_parameters(self):
        check_mel_parameters(self)
        check_number("n_mfcc", self.n_mfcc, 1, self.n_mels)
        check_number("n_deltas", self.n_deltas, 0)
        check_choice("delta", self.delta, ("difference", "savgol"))

    def _frontend(self, network):
        return frontends.Chain(
            log_mel(self, pad="constant"), frontends.MFCC(self.n_mels, self.n_mfcc)
        )

    def _network(self, generator):
        return Deltas([f"mfcc{i}" for i in range(self.n_mfcc)], self.n_deltas, self.delta)
