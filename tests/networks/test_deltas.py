"""Differences over time."""

import librosa
import numpy as np
import pytest
import torch

from skaudio.networks.deltas import Deltas

CHANNELS = ["a", "b", "c"]


def matrix(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def run(x, n_deltas, method):
    """Maps of one clip (C, T), without the batch axis."""
    outputs = Deltas(CHANNELS, n_deltas, method)(
        torch.from_numpy(x)[None], torch.tensor([x.shape[1]])
    )
    return [y[0, :, : int(n)].numpy() for y, n in outputs]


@pytest.mark.parametrize("n_frames", [1, 2, 3, 40])
def test_plain_differences(n_frames):
    x = matrix(3, n_frames)
    for k, y in enumerate(run(x, 3, "difference")):
        np.testing.assert_allclose(y, np.diff(x.astype(float), n=k), atol=1e-6)
        assert y.shape == (3, max(0, n_frames - k))


@pytest.mark.parametrize("n_frames", [9, 10, 200])
def test_savgol_is_that_of_librosa(n_frames):
    x = matrix(3, n_frames)
    same, first, second = run(x, 2, "savgol")
    np.testing.assert_array_equal(same, x)
    np.testing.assert_allclose(first, librosa.feature.delta(x), atol=1e-5)
    np.testing.assert_allclose(second, librosa.feature.delta(x, order=2), atol=1e-5)


@pytest.mark.parametrize("n_frames", [1, 2, 8])
def test_savgol_continues_short_clips_by_their_last_frame(n_frames):
    x = matrix(3, n_frames)
    held = np.pad(x, ((0, 0), (0, 9 - n_frames)), mode="edge")
    for k, y in enumerate(run(x, 2, "savgol")[1:], start=1):
        expected = librosa.feature.delta(held, order=k)[:, :n_frames]
        np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize("method", ["difference", "savgol"])
def test_ragged_batch_equals_alone(method):
    lengths = torch.tensor([30, 1, 5, 12])
    x = torch.from_numpy(matrix(4, 3, 30))  # what stands beyond a clip must not be seen
    together = Deltas(CHANNELS, 2, method)(x, lengths)
    for i, n in enumerate(lengths.tolist()):
        alone = run(x[i, :, :n].numpy(), 2, method)
        for (y, there), z in zip(together, alone, strict=True):
            assert there[i] == z.shape[1]
            np.testing.assert_allclose(y[i, :, : there[i]], z, atol=1e-6)


def test_names():
    names = [m.channels for m in Deltas(CHANNELS, 2, "difference").maps]
    assert names == [("a", "b", "c"), ("a_delta1", "b_delta1", "c_delta1"),
                     ("a_delta2", "b_delta2", "c_delta2")]  # fmt: skip
