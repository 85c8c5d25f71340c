"""Alternatives to skaudio as transformers: paths of sound files in, features out.

Each package is used as its own guide does. requirements.txt, beside this file, says how to
install those that skaudio does not need.
"""

import warnings
from importlib.util import find_spec

import librosa
import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skaudio import read_audio

PACKAGES = ("opensmile", "aeon")


def rivals(native_rate):
    """Return the rivals whose packages are installed.

    Parameters
    ----------
    native_rate : int
        Sample rate of the files of the set in Hz.

    Returns
    -------
    extractors : dict of str to transformer
        By the name of their row; those of `missing_packages` are left out.
    """
    missing = missing_packages()
    found = {
        "librosa MFCC 22.05 kHz": LibrosaMFCC(),
        "librosa MFCC native": LibrosaMFCC(sample_rate=native_rate),
    }
    if "opensmile" not in missing:
        found["openSMILE eGeMAPSv02"] = OpenSMILE("eGeMAPSv02")
        found["openSMILE ComParE_2016"] = OpenSMILE("ComParE_2016")
    if "aeon" not in missing:
        found["aeon MiniRocket"] = WaveMiniRocket()
    return found


def missing_packages():
    """Return the names of the packages that are not installed.

    Returns
    -------
    names : list of str
        Some of `PACKAGES`, for the head of the table.
    """
    return [name for name in PACKAGES if find_spec(name) is None]


class _Rival(TransformerMixin, BaseEstimator):
    """Base of the rivals.

    All of them take a list of paths of sound files, and `transform` returns an ndarray of
    shape (n_clips, n_features), float32.

    Attributes
    ----------
    learns_from_clips : bool
        Whether features depend on the clips seen in `fit`; `compare_extractors` reads it.
    """

    learns_from_clips = False

    def fit(self, X, y=None):
        """Do nothing."""
        return self


class LibrosaMFCC(_Rival):
    """Mean and deviation of librosa's MFCCs and their first and second derivatives.

    The loop that tutorials show: `librosa.load`, `librosa.feature.mfcc`,
    `librosa.feature.delta`, everything at its defaults. Only the derivatives hold the ends
    (``mode="nearest"``), as the default mode refuses clips of fewer than nine frames.

    Parameters
    ----------
    sample_rate : int, default=22050
        Rate in Hz that files are resampled to, at first librosa's own choice.
    n_mfcc : int, default=20
        Number of coefficients; there are six features of each.
    n_jobs : int, default=None
        Processes, through joblib.
    """

    def __init__(self, sample_rate=22050, n_mfcc=20, n_jobs=None):
        self.sample_rate = sample_rate
        self.n_mfcc = n_mfcc
        self.n_jobs = n_jobs

    def transform(self, X):
        """Return means, then deviations: 6 * n_mfcc features."""
        features = delayed(_mfcc_statistics)
        rows = (features(path, self.sample_rate, self.n_mfcc) for path in X)
        return np.stack(Parallel(self.n_jobs)(rows))


def _mfcc_statistics(path, sample_rate, n_mfcc):
    """Return the features of one file."""
    wave, rate = librosa.load(path, sr=sample_rate)
    with warnings.catch_warnings():
        # librosa warns of each clip that is shorter than the window
        warnings.filterwarnings("ignore", "n_fft=.* is too large")
        mfcc = librosa.feature.mfcc(y=wave, sr=rate, n_mfcc=n_mfcc)
    deltas = [librosa.feature.delta(mfcc, order=order, mode="nearest") for order in (1, 2)]
    frames = np.concatenate([mfcc, *deltas])
    return np.concatenate([frames.mean(axis=1), frames.std(axis=1)])


class OpenSMILE(_Rival):
    """Functionals of openSMILE, the features of paralinguistics.

    Files are taken at their own rate and read by the package itself. What it cannot tell
    (NaN, inf) becomes 0.

    Parameters
    ----------
    feature_set : str, default="eGeMAPSv02"
        A name in `opensmile.FeatureSet`: "eGeMAPSv02" has 88 features [1]_, "ComParE_2016"
        6373 [2]_.
    n_jobs : int, default=None
        Threads.

    References
    ----------
    .. [1] Eyben et al. (2016), "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for
       Voice Research and Affective Computing", https://doi.org/10.1109/TAFFC.2015.2457417
    .. [2] Schuller et al. (2016), "The INTERSPEECH 2016 Computational Paralinguistics
       Challenge", https://doi.org/10.21437/Interspeech.2016-129
    """

    def __init__(self, feature_set="eGeMAPSv02", n_jobs=None):
        self.feature_set = feature_set
        self.n_jobs = n_jobs

    def transform(self, X):
        """Return the functionals, all finite."""
        import opensmile

        smile = opensmile.Smile(
            feature_set=opensmile.FeatureSet[self.feature_set],
            feature_level=opensmile.FeatureLevel.Functionals,
            num_workers=effective_n_jobs(self.n_jobs),
        )
        Z = smile.process_files([str(path) for path in X]).to_numpy(np.float32)
        return np.nan_to_num(Z, nan=0.0, posinf=0.0, neginf=0.0)


class WaveMiniRocket(_Rival):
    """MiniRocket [1]_ of aeon on the wave itself.

    Each wave is first brought to mean 0 and deviation 1, as the series are that aeon is
    measured on. The defaults were chosen in favour of this rival, by its accuracy on a few
    test folds: 16 kHz (or 8, 4), 3 s (or 1, 2, 5), normalised (or raw), ended by zeros (or
    repeated to the full length).

    Parameters
    ----------
    sample_rate : int, default=16000
        Rate in Hz that files are resampled to.
    max_seconds : float, default=3.0
        All clips get one length, that of the longest in `fit` but no more than this:
        longer ones are cut, shorter ones end in zeros.
    n_kernels : int, default=10_000
        Number of features, rounded down to a multiple of 84.
    n_jobs : int, default=None
        Threads.

    Attributes
    ----------
    n_samples_ : int
        Common length of the clips.
    rocket_ : aeon.transformations.collection.convolution_based.MiniRocket
        The fitted transformer.

    References
    ----------
    .. [1] Dempster, Schmidt and Webb (2021), "MiniRocket: A Very Fast (Almost) Deterministic
       Transform for Time Series Classification", https://doi.org/10.1145/3447548.3467231
    """

    learns_from_clips = True

    def __init__(
        self,
        sample_rate=16000,
        max_seconds=3.0,
        n_kernels=10_000,
        n_jobs=None,
    ):
        self.sample_rate = sample_rate
        self.max_seconds = max_seconds
        self.n_kernels = n_kernels
        self.n_jobs = n_jobs

    def fit(self, X, y=None):
        """Determine thresholds and the common length from the clips."""
        from aeon.transformations.collection.convolution_based import MiniRocket

        waves = self._waves(X)
        self.n_samples_ = max(len(wave) for wave in waves)
        rocket = MiniRocket(
            self.n_kernels,
            n_jobs=effective_n_jobs(self.n_jobs),
            random_state=0,  # only chooses the clips that determine the thresholds
        )
        self.rocket_ = rocket.fit(_equal_lengths(waves, self.n_samples_))
        return self

    def transform(self, X):
        """Return the fraction of time that each filtered wave is above its threshold."""
        check_is_fitted(self)
        return self.rocket_.transform(_equal_lengths(self._waves(X), self.n_samples_))

    def _waves(self, X):
        """Read the clips, none longer than `max_seconds`, with mean 0 and deviation 1."""
        n_samples = round(self.max_seconds * self.sample_rate)
        return [_standard(read_audio(path, self.sample_rate)[:n_samples]) for path in X]


def _standard(wave):
    """Return the wave with mean 0 and deviation 1; silence becomes zeros."""
    return (wave - wave.mean()) / max(wave.std(), 1e-8)


def _equal_lengths(waves, n_samples):
    """Return the waves as an array of shape (n_clips, 1, n_samples), zeros after their ends."""
    X = np.zeros((len(waves), 1, n_samples), dtype=np.float32)
    for row, wave in zip(X[:, 0], waves, strict=True):
        row[: len(wave)] = wave[:n_samples]
    return X
