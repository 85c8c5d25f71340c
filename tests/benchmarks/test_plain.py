"""Features do not change when skaudio gets faster: they are those of plain networks and of librosa.

Each feature of 50 spoken digits, from real batches, is compared with that of the clip alone.
"""

import json
import subprocess
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from skaudio import (
    MFCCTransformer,
    RandomCNNTransformer,
    VQTransformer,
    Wav2VecTransformer,
    read_audio,
)
from skaudio.networks.wav2vec import SIZES

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
KERAS = BENCHMARKS.parent / "build" / "keras" / "bin" / "python"
DESIGNS = {
    "vgg": {"n_filters": 64, "pools": ((2, 2), (2, 3), (2, 2), (2, 2), (4, 4)), "n_bands": 8},
    "single": {"n_filters": 1024, "kernel": (7, 86)},
    "timbral": {"n_filters": 64},
    "temporal": {"n_filters": 64},
    "timbral_temporal": {"n_filters": 32},
    "sample_level": {"n_filters": 128},
    "frame_level": {"n_filters": 256},
    "frame_level_many": {"n_filters": 128},
}


@pytest.fixture
def plain(monkeypatch):
    """The module, imported as the scripts beside it do."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import _plain

    return _plain


@pytest.fixture(scope="module")
def digits(data_dir):
    """Files of 50 digits at 8 kHz, by five speakers, 0.18 to 0.90 s."""
    files = sorted((data_dir / "fsdd" / "recordings").glob("*.wav"))[::60]
    assert len(files) == 50
    return files


def with_biases(extractor, rng):
    """Move weights from where `fit` draws them: there the biases are 0, the scales of norms 1."""
    for name, w in extractor.weights_.items():
        extractor.weights_[name] = (w + rng.normal(scale=0.3, size=w.shape)).astype(np.float32)


def assert_equal_columns(found, expected):
    """To 1e-4 of the largest value of each column, or 1e-6 of the largest of all if that is more.

    What a ReLU only just lets pass is a small difference of large numbers.
    """
    assert found.shape == expected.shape
    largest = abs(expected).max(axis=0)
    error = abs(found - expected).max(axis=0) / largest.clip(1e-2 * largest.max())
    assert error.max() < 1e-4


def assert_features_are_plain(plain, extractor, files, rng):
    with_biases(extractor.fit(files), rng)
    network = plain.plain(extractor)
    inputs = [plain.read(extractor, read_audio(file, 16000)) for file in files]
    assert len({x.shape for x in inputs}) > 10
    expected = np.concatenate([network(torch.from_numpy(x[None])) for x in inputs])
    assert_equal_columns(extractor.transform(files), expected)


@pytest.mark.parametrize("design", DESIGNS)
def test_random_cnn(plain, digits, rng, design):
    extractor = RandomCNNTransformer(
        design,
        **DESIGNS[design],
        normalize="clip",
        pooling="mean_std_max",
        sample_rate=16000,
        random_state=0,
    )
    assert_features_are_plain(plain, extractor, digits, rng)


@pytest.mark.parametrize("size", SIZES)
def test_wav2vec(plain, digits, rng, size):
    encoder, aggregator, _ = SIZES[size]
    extractor = Wav2VecTransformer(
        size,
        encoder_layers=narrow(encoder),
        aggregator_layers=narrow(aggregator),
        pooling="mean_std_max",
        max_epochs=0,
        random_state=0,
    )
    assert_features_are_plain(plain, extractor, digits, rng)


@pytest.mark.parametrize("quantizer", ["gumbel", "kmeans"])
def test_vq_wav2vec(plain, digits, rng, quantizer):
    encoder, aggregator, _ = SIZES["large"]
    extractor = VQTransformer(
        quantizer,
        n_codes=32,
        size="large",
        encoder_layers=narrow([*encoder, (512, 1, 1)]),
        aggregator_layers=narrow(aggregator),
        pooling="mean_std_max",
        max_epochs=0,
        random_state=0,
    )
    assert_features_are_plain(plain, extractor, digits, rng)


def narrow(layers):
    return [(64, kernel, stride) for _, kernel, stride in layers]


@pytest.mark.parametrize("n_mfcc, n_fft, hop_length", [(20, 2048, 512), (13, 400, 160)])
def test_mfcc_is_that_of_librosa(digits, n_mfcc, n_fft, hop_length):
    settings = {"n_mfcc": n_mfcc, "n_fft": n_fft, "hop_length": hop_length}
    expected = []
    for file in digits:
        wave = read_audio(file, 16000)
        mfcc = librosa.feature.mfcc(y=wave, sr=16000, **settings)
        series = [np.diff(mfcc, n) for n in range(3)]
        expected.append([f(x, axis=1) for x in series for f in (np.mean, np.std)])
    extractor = MFCCTransformer(sample_rate=16000, **settings, n_deltas=2, pooling="mean_std")
    assert_equal_columns(extractor.fit_transform(digits), np.reshape(expected, (50, -1)))


@pytest.mark.parametrize(
    "design",
    ["vgg", "single", "timbral_temporal", "sample_level", "frame_level", "frame_level_many"],
)
@pytest.mark.skipif(
    not KERAS.exists(), reason="needs build/keras, see benchmarks/requirements-keras.txt"
)
def test_keras_designs_give_the_same_features(plain, rng, tmp_path, design):
    waves = rng.normal(size=(2, 330_000)).astype(np.float32)  # 1290 frames: VGG needs 1280
    extractor = RandomCNNTransformer.from_paper(
        design, n_features=56, fixed_length=None, random_state=0
    )
    with_biases(extractor.fit(waves), rng)
    # as Keras has it, time comes first
    np.save(tmp_path / "x.npy", [plain.read(extractor, wave).T for wave in waves])
    np.savez(tmp_path / "weights.npz", **extractor.weights_)
    command = [KERAS, BENCHMARKS / "_keras_designs.py", design, extractor.n_filters, "x.npy"]
    options = ["--repeats", 2, "--weights", "weights.npz", "--out", "z.npy"]
    run = subprocess.run(
        map(str, command + options), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    line = json.loads(run.stdout)
    assert line["design"] == design and len(line["seconds"]) == 2 and min(line["seconds"]) > 0
    assert_equal_columns(np.load(tmp_path / "z.npy"), extractor.transform(waves))
