"""Stage 2: every clip in one batch, little padding; tiles that cover a long clip once."""

import threading
import time

import numpy as np
import pytest
import torch

from skaudio import ClipError, batching
from skaudio.audio import Clips
from skaudio.batching import Tile, batches, tiles


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def make_clips(rng, n=300, longest=3000, step=1):
    lengths = rng.integers(1, longest // step + 1, n) * step
    return Clips([rng.standard_normal(length).astype(np.float32) for length in lengths], 16000)


@pytest.mark.parametrize("chunk_clips", [7, 4096])
@pytest.mark.parametrize("max_samples", [1, 5000, 10**7])
@pytest.mark.parametrize("ragged", [True, False])
def test_every_clip_exactly_once(rng, monkeypatch, ragged, max_samples, chunk_clips):
    monkeypatch.setattr(batching, "_CHUNK_CLIPS", chunk_clips)
    clips, seen = make_clips(rng), []
    for wave, lengths, index in batches(clips, max_samples, ragged=ragged):
        assert wave.dtype == torch.float32 and lengths.dtype == torch.int64
        assert wave.shape == (len(index), lengths.max())
        assert wave.numel() <= max_samples or len(index) == 1
        for row, n, i in zip(wave.numpy(), lengths.tolist(), index, strict=True):
            np.testing.assert_array_equal(row[:n], clips[i])
            assert not row[n:].any()
        seen += index
    assert sorted(seen) == [*range(len(clips))]


def test_padding_is_bounded(rng):
    found = [*batches(make_clips(rng), 30_000, ragged=True)]
    shares = [1 - lengths.sum().item() / wave.numel() for wave, lengths, _ in found]
    assert max(shares) <= 0.15
    # and yet there is batching
    assert max(shares) > 0 and np.mean([len(index) for *_, index in found]) > 5


def test_one_length_per_batch_unless_ragged(rng):
    clips = make_clips(rng, longest=1000, step=100)
    found = [*batches(clips, 10**6, ragged=False)]
    assert all((lengths == lengths[0]).all() for _, lengths, _ in found)
    assert len(found) == len({len(clips[i]) for i in range(len(clips))})


class Watched(Clips):
    """Notes which clips were decoded, and in which thread."""

    def __init__(self, *args):
        super().__init__(*args)
        self.decoded, self.threads = [], set()

    def __getitem__(self, i):
        self.decoded.append(i)
        self.threads.add(threading.get_ident())
        return super().__getitem__(i)


def test_decodes_one_chunk_ahead_in_a_thread(monkeypatch):
    monkeypatch.setattr(batching, "_CHUNK_CLIPS", 10)
    clips = Watched([np.ones(100)] * 50, 16000)
    stream = batches(clips, 100, ragged=True)
    next(stream)
    assert clips.decoded[:10] == [
        *range(10)
    ]  # the first chunk, which there is nothing to do beside
    deadline = time.monotonic() + 10
    while len(clips.decoded) < 20 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.05)
    assert clips.decoded == [*range(20)]  # this chunk and the next, no more
    clips.threads.clear()
    assert sum(1 for _ in stream) == 49
    assert clips.threads and threading.get_ident() not in clips.threads
    assert sorted(clips.decoded) == [*range(50)]


def test_a_few_clips_need_no_thread(monkeypatch):
    monkeypatch.setattr(batching, "ThreadPoolExecutor", None)
    clips = Watched([np.ones(100)] * 5, 16000)
    assert sum(len(batch.index) for batch in batches(clips, 200, ragged=True)) == 5
    assert clips.threads == {threading.get_ident()}


def test_chunks_end_after_enough_samples(monkeypatch):
    monkeypatch.setattr(batching, "_CHUNK_SAMPLES", 1000)
    clips = Watched([np.ones(400)] * 20, 16000)
    stream = batches(clips, 100, ragged=True)
    next(stream)
    stream.close()  # waits for the chunk under way
    assert len(clips.decoded) == 6  # two chunks of three


def test_closing_early_leaves_no_thread(rng):
    before = threading.active_count()
    stream = batches(make_clips(rng), 1000, ragged=True)
    next(stream)
    stream.close()
    assert threading.active_count() == before


BROKEN = [np.ones(5), np.array([1.0, np.nan]), np.ones(3), np.ones(0), np.ones(4)]


def test_first_error_is_raised():
    before = threading.active_count()
    with pytest.raises(ClipError, match=r"clip 1 .*NaN at sample 1"):
        list(batches(Clips(BROKEN, 16000), 100, ragged=True))
    assert threading.active_count() == before


def test_failures_are_collected():
    failures = []
    found = [*batches(Clips(BROKEN, 16000), 100, ragged=True, failures=failures)]
    assert [error.index for error in failures] == [1, 3]
    assert sorted(i for *_, index in found for i in index) == [0, 2, 4]


def test_no_clip_left():
    failures = []
    assert not [*batches(Clips([np.ones(0)] * 3, 16000), 100, ragged=True, failures=failures)]
    assert len(failures) == 3


def draw_tilings(n):
    rng = np.random.default_rng(0)
    for _ in range(n):
        stride = int(rng.choice([1, 2, 3, 32, 64, 729, rng.integers(1, 100)]))
        halo = rng.choice([0, 1, stride, rng.integers(0, 2000)], 2).tolist()
        n_steps = int(rng.choice([rng.integers(1, 100), rng.integers(1, 50_000)]))
        yield n_steps, int(rng.integers(1, 20_000)), stride, halo


def test_tiles_hold_for_any_numbers():
    several = 0
    for n_steps, max_steps, stride, halo in draw_tilings(3000):
        cut = tiles(n_steps, max_steps, stride=stride, halo=halo)
        several += len(cut) > 1
        # the kept parts cover the input once, in order
        assert [tile.first for tile in cut] == [0, *(tile.last for tile in cut[:-1])]
        assert cut[-1].last == n_steps
        # the last one has a frame of the coarsest layer, if the input has
        assert len(cut) == 1 or all(tile.last - tile.first >= stride for tile in cut)
        for start, stop, first, last in cut:
            assert 0 <= start <= first < last <= stop <= n_steps
            assert start % stride == first % stride == 0  # strided layers stay in step
            assert (n_steps - stop) % stride == 0  # and so does padding that hangs on the end
            assert start == 0 or halo[0] <= first - start < halo[0] + stride
            assert stop == n_steps or halo[1] <= stop - last < halo[1] + 2 * stride
    assert several > 1000


def test_tiles_are_as_long_as_wanted():
    # less than two strides are added to cut all alike and in step with the end, where stride and
    # halo leave room
    for n_steps, max_steps, stride, halo in draw_tilings(2000):
        cut = tiles(n_steps, max_steps, stride=stride, halo=halo)
        lengths = [tile.stop - tile.start for tile in cut]
        if max_steps >= 7 * (sum(halo) + 2 * stride):
            assert max(lengths) < max_steps + 2 * stride
        # however little room there is, at most a seventh of the work is spent on overlap
        assert sum(lengths) <= 1.17 * n_steps + stride * len(cut)


def test_short_input_is_one_tile():
    assert tiles(500, 500, stride=100, halo=(30, 30)) == [Tile(0, 500, 0, 500)]


@pytest.mark.parametrize("n_steps", [1000, 9999, 100_001])
def test_tiles_overlap_on_the_side_that_is_seen(n_steps):
    left = tiles(n_steps, 300, stride=1, halo=(40, 0))
    assert all(tile.stop == tile.last for tile in left)
    assert [tile.first - tile.start for tile in left] == [0] + [40] * (len(left) - 1)
    right = tiles(n_steps, 300, stride=1, halo=(0, 40))
    assert all(tile.start == tile.first for tile in right)
    assert [tile.stop - tile.last for tile in right] == [40] * (len(right) - 1) + [0]
