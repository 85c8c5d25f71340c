"""Layers in float64 numpy, as the paper's TensorFlow code defines them; the tests stack them."""

import librosa
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import get_window

RATE = 12000


def noise(*lengths):
    """One clip of white noise per length."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal(n).astype(np.float32) for n in lengths]


def log_mel(wave, n_fft=512, hop=256, n_mels=96, top_db=80.0):
    """Decibels (1, T, F): Hann window, mirrored ends, Slaney mel bands, floor under the maximum."""
    padded = np.pad(wave.astype(np.float64), n_fft // 2, mode="reflect")
    frames = sliding_window_view(padded, n_fft)[::hop] * get_window("hann", n_fft)
    mel = librosa.filters.mel(sr=RATE, n_fft=n_fft, n_mels=n_mels, dtype=np.float64)
    decibels = 10 * np.log10(np.maximum(np.abs(np.fft.rfft(frames)) ** 2 @ mel.T, 1e-10))
    return np.maximum(decibels, decibels.max() - top_db)[None]


def same(steps, kernel, stride=1):
    """Zeros before and after, so that ceil(steps / stride) come out; the odd one goes after."""
    total = max((-(-steps // stride) - 1) * stride + kernel - steps, 0)
    return total // 2, total - total // 2


def conv(x, weights, stride=1, time=(0, 0), mel=(0, 0)):
    """Cross-correlate x (C, T, F) with a kernel (out, C, time[, mel]), and add the bias."""
    kernel, bias = weights
    kernel = kernel.reshape(*kernel.shape, *[1] * (4 - kernel.ndim))
    windows = sliding_window_view(np.pad(x, ((0, 0), time, mel)), kernel.shape[2:], axis=(1, 2))
    y = np.tensordot(kernel, windows[:, ::stride], axes=([1, 2, 3], [0, 3, 4]))
    return y + bias[:, None, None]


def max_pool(x, time, mel=1):
    """Maximum over full windows of x (C, T, F), side by side."""
    channels, steps, bands = x.shape
    steps, bands = steps // time, bands // mel
    cut = x[:, : steps * time, : bands * mel]
    return cut.reshape(channels, steps, time, bands, mel).max((2, 4))


def relu(x):
    return np.maximum(x, 0.0)


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0.0)))


def kernels_and_biases(extractor):
    """Pairs (kernel, bias) in forward order, float64."""
    values = [weight.astype(np.float64) for weight in extractor.weights_.values()]
    return list(zip(values[::2], values[1::2], strict=True))


def assert_means(vector, maps):
    """Each map (C, T, F), averaged over time and frequency, is its stretch of the vector."""
    assert vector.dtype == np.float32
    assert len(vector) == sum(len(m) for m in maps)
    for m in maps:
        expected, found, vector = m.mean((1, 2)), vector[: len(m)], vector[len(m) :]
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
