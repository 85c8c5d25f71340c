"""Chunks of waves: their numbers as published, and each clip as if it were alone."""

import numpy as np
import pytest
import torch

from skaudio.frontends import Chain, Chunks, FitLength, Frontend, Wave
from tests.by_hand import noise


def run(frontend, clips):
    """Chunks (L, N) of clips that share one batch."""
    lengths = torch.tensor([len(clip) for clip in clips])
    wave = torch.zeros(len(clips), int(lengths.max()))
    for row, clip in zip(wave, clips, strict=True):
        row[: len(clip)] = torch.from_numpy(clip)
    before = wave.clone()
    x, n = frontend(wave, lengths)
    assert torch.equal(wave, before)
    assert torch.equal(n, frontend.output_lengths(lengths)) and x.shape[2] == n.max()
    for y, m in zip(x, n, strict=True):
        assert not y[:, m:].any()
    return [y[:, :m].numpy() for y, m in zip(x, n, strict=True)]


@pytest.mark.parametrize(
    ("n_samples", "sentence", "d_vector"),
    [(3200, 0, 0), (3201, 1, 0), (3360, 1, 1), (3361, 2, 1), (4800, 10, 10), (4801, 11, 10)],
)
def test_published_numbers_of_chunks(n_samples, sentence, d_vector):
    for rounding, n_chunks in (("ceil", sentence), ("floor", d_vector)):
        chunks = Chunks(3200, 160, rounding=rounding)
        # where the published code has none, and stops, there is one here
        assert chunks.output_lengths(torch.tensor([n_samples])).tolist() == [max(1, n_chunks)]


def test_numbers_of_chunks_of_a_long_clip():
    lengths = torch.tensor([2**40 * 160 + 3200, 2**40 * 160 + 3201])
    assert Chunks(3200, 160).output_lengths(lengths).tolist() == [2**40, 2**40]
    ceil = Chunks(3200, 160, rounding="ceil").output_lengths(lengths)
    assert ceil.tolist() == [2**40, 2**40 + 1]


@pytest.mark.parametrize("rounding", ["floor", "ceil"])
def test_chunks_of_a_ragged_batch(rounding):
    clips = noise(1000, 437, 300, 299, 90, 1)
    found = run(Chunks(300, 70, rounding=rounding), clips)
    for clip, x in zip(clips, found, strict=True):
        whole = np.resize(clip, 300) if len(clip) < 300 else clip
        whole = whole / np.abs(whole).max()
        for i, chunk in enumerate(x.T):
            np.testing.assert_allclose(chunk, whole[70 * i : 70 * i + 300], rtol=1e-6)
        (alone,) = run(Chunks(300, 70, rounding=rounding), [clip])
        assert np.array_equal(x, alone)


def test_short_clips_may_end_in_zeros():
    (x,) = run(Chunks(300, 70, short="zero", normalize=False), noise(90))
    assert np.array_equal(x[:90, 0], noise(90)[0]) and not x[90:].any()


def test_normalization():
    quiet, silent, loud = (
        scale * clip for scale, clip in zip((1e-6, 0, 50), noise(500, 400, 300), strict=True)
    )
    found = run(Chunks(100, 50), [quiet, silent, -np.abs(loud)])
    assert not found[1].any()
    wave = quiet / np.abs(quiet).max()
    np.testing.assert_allclose(found[0][:, 3], wave[150:250], rtol=1e-6)
    assert np.abs(loud).argmax() < 250 and found[2].min() == -1
    (plain,) = run(Chunks(100, 50, normalize=False), [loud])
    assert np.array_equal(plain[:, 0], loud[:100])


def test_a_long_clip_is_not_copied():
    wave = torch.from_numpy(noise(160_000)[0])[None]
    x, n = Chunks(3200, 160, normalize=False)(wave, torch.tensor([160_000]))
    assert x.shape == (1, 3200, 980) and n.tolist() == [980]
    assert x.data_ptr() == wave.data_ptr()
    x, _ = Chunks(3200, 160)(wave, torch.tensor([160_000]))
    assert x.untyped_storage().nbytes() == wave.untyped_storage().nbytes()


def test_step_and_centre():
    chunks = Chunks(3200, 160)
    assert (chunks.step, chunks.centre) == (160, 1599.5)
    assert (Frontend().centre, Wave().centre) == (0, 0)
    assert Chain(Wave(), FitLength(5)).centre == 0
    later = FitLength(1)
    later.centre = 2.0
    assert Chain(chunks, later).centre == 1599.5 + 2 * 160
