"""How something is said: pitch, voice, energy, spectrum and rhythm of a clip."""

from dataclasses import replace

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import frontends, pooling
from .._functionals import FAMILIES
from ..base import BaseAudioTransformer
from ..networks.deltas import Deltas
from ..networks.prosody import Prosody
from ..utils.validation import check_number

__all__ = ["ProsodyTransformer"]

GROUPS = ("pitch", "voice", "energy", "spectrum", "formants", "rhythm")
STANDARD = (
    "moments",
    "percentiles",
    "ranges",
    "regression",
    "thirds",
    "positions",
    "peaks",
    "slopes",
    "deltas",
)


class ProsodyTransformer(BaseAudioTransformer):
    """How something is said: pitch, voice, energy, spectrum and rhythm, by functionals.

    `transform_frames` gives contours, such as ``f0_semitone``, ``voiced`` and ``loudness``, every
    10 ms; `skaudio.frontends.Contours` lists them. `transform` sums each of them up by functionals,
    which tell not only how its values are distributed but how they run over the clip, as sets of
    features for emotions do [1]_, [2]_. Pitch, voice and formants are summed up over voiced frames
    only. The columns have names: ``f0_semitone_p50``, ``hnr_mean``, ``loudness_rise_slope_mean``,
    ``voiced_share``.

    Parameters
    ----------
    groups : sequence of str, default=("pitch", "voice", "energy", "spectrum", "rhythm")
        Which groups of features, in this order; there is "formants", too. "rhythm" is not summed
        up but measured on the clip: shares of the modulations of loudness from 1 to 16 Hz, their
        depth, centroid and peak, onsets per second, lengths of voiced and unvoiced segments.
    functionals : "standard" or sequence of str, default="standard"
        Families among those below. "standard": all but shape and segments.
    sample_rate : int, default=16000
        Rate in Hz that files are resampled to and that arrays are taken to be at.
    hop_seconds : float, default=0.01
        Step from one frame to the next. A clip of n samples has 1 + n // hop frames.
    fmin, fmax : float, default=55.0, 600.0
        Lowest and highest frequency of a voice, Hz.
    pooling : str or sequence of str, default="functionals"
        Other than that: what takes the place of the functionals, as for `RandomCNNTransformer`,
        of all contours and over all frames.
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
    MFCCTransformer : The envelope of the spectrum, which prosody leaves out.

    Notes
    -----
    A long clip is worked on in blocks, but its pitch is that of the clip as a whole: an hour at
    16 kHz takes 0.6 GB beside the clip itself.

    Time u runs from 0 at the first frame that counts to 1 at the last one. The families are

    =========== ===================================================================================
    family      functionals
    =========== ===================================================================================
    moments     ``mean``, ``std``
    shape       ``skewness``, ``kurtosis``
    percentiles ``p05``, ``p20``, ``p50``, ``p80``, ``p95``
    ranges      ``range20to80``, ``range05to95``: differences of percentiles
    regression  line ``offset`` + ``slope`` u and the deviation from it, ``error``; ``curvature``,
                the factor of u², and the deviation from that parabola, ``curved_error``
    thirds      ``third1``, ``third2``, ``third3``: means of thirds
    positions   ``high_position``, ``low_position``: mean time u of the upper, and lower, tenth of
                the range
    peaks       ``peak_rate`` per second; ``peak_height_mean`` and ``peak_height_std`` over the mean
    slopes      ``rise_slope_mean``, ``rise_slope_std``, ``fall_slope_mean``, ``fall_slope_std``
                per second of the steps up and down, weighted by their size
    deltas      ``delta_abs``, ``delta_std``: mean size and deviation of the change per second
    segments    stretches above the middle of the range: ``segment_rate`` per second,
                ``segment_length`` in seconds
    =========== ===================================================================================

    References
    ----------
    .. [1] B. Schuller et al., "The INTERSPEECH 2013 computational paralinguistics challenge",
       Interspeech 2013, doi:10.21437/Interspeech.2013-56.
    .. [2] F. Eyben et al., "The Geneva minimalistic acoustic parameter set (GeMAPS) for voice
       research and affective computing", IEEE Trans. Affective Computing 7, 2016,
       doi:10.1109/TAFFC.2015.2457417.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio import ProsodyTransformer
    >>> time = np.arange(16000) / 16000
    >>> rising = np.sin(2 * np.pi * (200 * time + 50 * time**2))  # 200 to 300 Hz
    >>> prosody = ProsodyTransformer(groups=["pitch"], functionals=["moments", "regression"])
    >>> Z = prosody.set_output(transform="pandas").fit_transform([rising])
    >>> round(float(Z["f0_semitone_slope"].iloc[0]), 1)  # of the 7.0 from 200 to 300 Hz
    7.0
    """

    def __init__(
        self,
        groups=("pitch", "voice", "energy", "spectrum", "rhythm"),
        functionals="standard",
        *,
        sample_rate=16000,
        hop_seconds=0.01,
        fmin=55.0,
        fmax=600.0,
        pooling="functionals",
        batch_size=None,
        device="auto",
        memory=None,
        n_jobs=None,
        verbose=0,
        on_error="raise",
    ):
        self.groups = groups
        self.functionals = functionals
        self.sample_rate = sample_rate
        self.hop_seconds = hop_seconds
        self.fmin = fmin
        self.fmax = fmax
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
        return [
            {},
            {"groups": ["rhythm", "formants"], "functionals": ["segments", "shape"]},
            {"groups": ["voice"], "sample_rate": 8000, "hop_seconds": 0.016, "fmin": 80.0},
            {"groups": ["energy"], "pooling": ["mean_std", "course"]},
        ]

    def _validate_parameters(self):
        _check_names("groups", self.groups, GROUPS)
        if self.functionals != "standard":
            _check_names("functionals", self.functionals, FAMILIES)
        check_number("hop_seconds", self.hop_seconds, 1 / self.sample_rate, integer=False)
        nyquist = self.sample_rate / 2
        check_number("fmin", self.fmin, 1, nyquist, integer=False)
        check_number("fmax", self.fmax, self.fmin, nyquist, integer=False)

    def _poolings(self):
        return pooling.ONLY if self._sums_up() else super()._poolings()

    def _sums_up(self):
        """Whether functionals take the place of a pooling."""
        return isinstance(self.pooling, str) and self.pooling == "functionals"

    def _hop(self):
        return round(self.hop_seconds * self.sample_rate)

    def _frontend(self, network):
        # voiced frames are those of the pitch, and rhythm is that of the loudness
        needed = {*self.groups, "pitch", *(["energy"] if "rhythm" in self.groups else [])}
        groups = [group for group in GROUPS[:-1] if group in needed]
        return frontends.Contours(
            self.sample_rate, self._hop(), self.fmin, self.fmax, groups=groups
        )

    def _network(self, generator):
        contours = self._frontend(None)
        if not self._sums_up():
            return Deltas(contours.names, 0, "difference")
        families = STANDARD if isinstance(self.functionals, str) else [*self.functionals]
        return Prosody(contours, [*self.groups], families, self.sample_rate / self._hop())

    def _ready(self, how):
        forward = super()._ready(how)
        if how is None and self._sums_up():
            network = Deltas(forward.frontend.names, 0, "difference")  # the contours themselves
            return replace(forward, network=network, pooling=None)
        return forward

    def get_feature_groups_out(self):
        """Group of each column of `transform`, by which `BlockScaler` balances them.

        Returns
        -------
        groups : ndarray of shape (n_features,), object
            For instance "pitch".
        """
        check_is_fitted(self)
        forward = self._ready(self.pooling)
        if self._sums_up():
            groups = forward.network.group_of
        else:
            groups = forward.frontend.group_of * len(pooling.part_names(self._poolings()))
        return np.array(groups, dtype=object)


def _check_names(parameter, names, allowed):
    """Check a sequence of different names."""
    if isinstance(names, str) or not len(names) or {*names} - {*allowed}:
        raise ValueError(f"{parameter}={names!r} must hold one or more of {', '.join(allowed)}")
    if len({*names}) < len(names):
        raise ValueError(f"{parameter}={names!r} names the same twice")
