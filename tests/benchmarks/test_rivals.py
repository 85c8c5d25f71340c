"""The rivals of the comparison, as far as they run without their packages."""

import sys
from pathlib import Path
from types import SimpleNamespace

import librosa
import numpy as np
import pandas as pd
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.svm import SVC

from skaudio.compare import compare_extractors

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def rivals(monkeypatch):
    """The module, imported as the scripts beside it do."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import _rivals

    return _rivals


@pytest.mark.parametrize(
    "missing, left_out",
    [([], []), (["aeon"], ["aeon"]), (["opensmile", "aeon"], ["openSMILE", "openSMILE", "aeon"])],
)
def test_missing_packages_are_named_and_left_out(rivals, monkeypatch, missing, left_out):
    monkeypatch.setattr(rivals, "find_spec", lambda name: None if name in missing else name)
    assert rivals.missing_packages() == missing
    known = ["librosa", "librosa", "openSMILE", "openSMILE", "aeon"]
    assert [name.split()[0] for name in rivals.rivals(8000)] == [
        package for package in known if package not in left_out
    ]


def test_native_row_takes_the_rate_of_the_files(rivals):
    assert rivals.rivals(8000)["librosa MFCC native"].sample_rate == 8000


def test_librosa_features_are_means_then_deviations(rivals, audio_files):
    Z = rivals.LibrosaMFCC(sample_rate=16000, n_mfcc=13).fit(audio_files).transform(audio_files)
    assert Z.shape == (6, 78) and Z.dtype == np.float32
    wave, _ = soundfile.read(audio_files[3], dtype="float32")
    mfcc = librosa.feature.mfcc(y=wave, sr=16000, n_mfcc=13)
    assert_allclose(Z[3, :13], mfcc.mean(axis=1), rtol=1e-5, atol=1e-4)
    assert_allclose(Z[3, 39:52], mfcc.std(axis=1), rtol=1e-5, atol=1e-4)


def test_librosa_features_of_a_clip_shorter_than_nine_frames(rivals, write_audio, rng):
    path = write_audio("short.wav", rng.standard_normal(100))
    Z = rivals.LibrosaMFCC(sample_rate=None).transform([path])
    assert np.isfinite(Z).all() and Z[0, :20].any()


def test_opensmile_reads_all_files_in_one_call_and_unknown_values_are_0(rivals, monkeypatch):
    class Smile:
        def __init__(self, **parameters):
            assert parameters == {"feature_set": 7, "feature_level": 5, "num_workers": 2}

        def process_files(self, files):
            assert files == ["a.wav", "b.wav"]
            return pd.DataFrame([[1.0, np.nan], [-np.inf, 2.0]])

    level = SimpleNamespace(Functionals=5)
    fake = SimpleNamespace(Smile=Smile, FeatureSet={"eGeMAPSv02": 7}, FeatureLevel=level)
    monkeypatch.setitem(sys.modules, "opensmile", fake)
    Z = rivals.OpenSMILE(n_jobs=2).fit([]).transform([Path("a.wav"), Path("b.wav")])
    assert_array_equal(Z, np.array([[1, 0], [0, 2]], dtype=np.float32), strict=True)


class FakeMiniRocket:
    """Keeps the parameters and hands the series back."""

    def __init__(self, n_kernels, **parameters):
        self.parameters = parameters

    def fit(self, X):
        self.seen = X
        return self

    def transform(self, X):
        return X[:, 0]


@pytest.fixture
def rocket(rivals, monkeypatch):
    name = "aeon.transformations.collection.convolution_based"
    monkeypatch.setitem(sys.modules, name, SimpleNamespace(MiniRocket=FakeMiniRocket))
    return rivals.WaveMiniRocket(max_seconds=0.15)


def test_series_are_as_long_as_the_longest_training_clip(rocket, audio_files, clips):
    rocket.fit([audio_files[0], audio_files[2]])  # 900 and 1700 samples
    assert rocket.rocket_.seen.shape == (2, 1, 1700)
    assert rocket.rocket_.parameters == {"n_jobs": 1, "random_state": 0}
    shorter, longer = rocket.transform([audio_files[4], audio_files[5]])  # 800 and 2000
    assert shorter[:800].all() and not shorter[800:].any()
    assert longer.all()
    assert np.corrcoef(longer, clips[5][:1700])[0, 1] > 0.999


def test_series_are_no_longer_than_max_seconds(rocket, audio_files):
    assert rocket.fit_transform(audio_files).shape == (6, 2400)


def test_series_have_mean_0_and_deviation_1_also_silent_ones(rocket, audio_files, write_audio):
    silence = write_audio("silence.wav", np.zeros(2400))
    loud, silent = rocket.fit_transform([audio_files[1], silence])
    assert loud.mean() == pytest.approx(0, abs=1e-5) and loud.std() == pytest.approx(1, rel=1e-5)
    assert not silent.any()


def test_comparison_fits_minirocket_on_training_parts_only(rocket, audio_files):
    splits = [([0, 1, 2, 3], [4, 5]), ([2, 3, 4, 5], [0, 1])]
    seen = []

    class Recording(type(rocket)):
        def fit(self, X, y=None):
            seen.append(len(X))
            return super().fit(X, y)

    [row] = compare_extractors(
        {"rocket": Recording(max_seconds=0.04)},
        audio_files,
        list("ababab"),
        splits=splits,
        classifiers={"SVM": SVC()},
        draws=2,
    )
    assert row.draws == 1 and seen == [4, 4]
