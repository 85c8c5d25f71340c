"""Stage 2: clips -> padded batches of similar length, decoded ahead; tiles of long clips."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from operator import length_hint
from typing import NamedTuple

import numpy as np
import torch

from .audio import ClipError

__all__ = ["Batch", "Tile", "batches", "tiles"]

_CHUNK_SAMPLES = 1 << 23  # 32 MB of samples are decoded together, then sorted by length
_CHUNK_CLIPS = 4096
_MAX_PADDING = 0.15  # share of a batch that may be padding


class Batch(NamedTuple):
    """Clips padded with zeros to one length.

    Attributes
    ----------
    wave : Tensor of shape (B, T), float32
        The samples.
    lengths : Tensor of shape (B,), int64
        True number of samples of each clip.
    index : list of int
        Position of each clip in the sequence of clips.
    """

    wave: torch.Tensor
    lengths: torch.Tensor
    index: list


def batches(clips, max_samples, *, ragged, failures=None) -> Iterator[Batch]:
    """Decode clips and group them by length.

    The next clips are decoded in a thread while the caller works on the last ones, so
    memory does not grow with the number of clips.

    Parameters
    ----------
    clips : Clips
        The clips.
    max_samples : int
        Most samples of a batch, padding included. A longer clip forms a batch alone.
    ragged : bool
        Whether clips of different length may share a batch.
    failures : list, default=None
        Takes the `ClipError` of each unusable clip. None: the first one is raised.

    Yields
    ------
    batch : Batch
        In no particular order; every usable clip is in exactly one batch.
    """
    remaining = iter(range(len(clips)))
    decoded = _decode_chunk(clips, remaining, max_samples, failures)
    if not length_hint(remaining):  # a thread would take longer to start than some clips to decode
        yield from _group(decoded, max_samples, ragged)
        return
    with ThreadPoolExecutor(1) as pool:
        while decoded:
            chunk = pool.submit(_decode_chunk, clips, remaining, max_samples, failures)
            yield from _group(decoded, max_samples, ragged)
            decoded = chunk.result()


def _decode_chunk(clips, remaining, max_samples, failures):
    """Next clips as [(length, index, wave)], at least one unless none is left."""
    chunk, total = [], 0
    limit = max(_CHUNK_SAMPLES, max_samples)
    for i in remaining:
        try:
            wave = clips[i]
        except ClipError as error:
            if failures is None:
                raise
            failures.append(error)
            continue
        chunk.append((len(wave), i, wave))
        total += len(wave)
        if total >= limit or len(chunk) == _CHUNK_CLIPS:
            break
    return chunk


def _group(decoded, max_samples, ragged):
    """Cut the clips, sorted by length, into batches with little padding."""
    decoded.sort(key=lambda clip: clip[0], reverse=True)
    while decoded:
        group, total = [decoded.pop()], 0
        while decoded:
            length = decoded[-1][0]  # clips come shortest first, so this one sets the width
            total += group[-1][0]
            width = length * (len(group) + 1)
            fits = width <= max_samples and width * (1 - _MAX_PADDING) <= total + length
            if not fits or not (ragged or length == group[-1][0]):
                break
            group.append(decoded.pop())
        yield _pad(group)


def _pad(group):
    lengths = torch.tensor([length for length, _, _ in group])
    if len(group) == 1:  # a long clip is not copied again: no later stage writes into a wave
        samples = np.require(group[0][2], requirements=["C", "W"])
        return Batch(torch.from_numpy(samples)[None], lengths, [group[0][1]])
    wave = torch.zeros(len(group), int(lengths.max()))
    for row, (length, _, samples) in zip(wave.numpy(), group, strict=True):
        row[:length] = samples
    return Batch(wave, lengths, [index for _, index, _ in group])


class Tile(NamedTuple):
    """A stretch of a long input, and the part of it whose outputs are exact.

    Attributes
    ----------
    start, stop : int
        The input steps to run.
    first, last : int
        The input steps whose outputs are to be kept; ``start <= first < last <= stop``.
    """

    start: int
    stop: int
    first: int
    last: int


def tiles(n_steps, max_steps, *, stride, halo) -> list[Tile]:
    """Cut a long input so that a convolutional network gives the same outputs tile by tile.

    Every tile starts at a multiple of ``stride`` and ends a multiple of ``stride`` before
    the end, so strided layers and "same" padding fall on the same samples as in the whole; the
    ``halo`` on either side keeps the zeros at inner edges away from what is kept.

    Parameters
    ----------
    n_steps : int
        Length of the input.
    max_steps : int
        Wanted length of a tile; exceeded where stride and halo leave no choice.
    stride : int
        Input steps per output step of the coarsest layer.
    halo : (int, int)
        Input steps that an output sees before its own ones, and after them. Tiles of a causal
        network, which sees nothing after them, overlap on the left alone.

    Returns
    -------
    tiles : list of Tile
        Their kept parts cover the input once, in order.

    Examples
    --------
    >>> from skaudio.batching import tiles
    >>> for tile in tiles(3000, 1200, stride=100, halo=(30, 0)):
    ...     print(tile)
    Tile(start=0, stop=1000, first=0, last=1000)
    Tile(start=900, stop=2000, first=1000, last=2000)
    Tile(start=1900, stop=3000, first=2000, last=3000)
    """
    before, after = (-(-steps // stride) * stride for steps in halo)
    overlap = before + after
    core = (max_steps - overlap) // stride * stride
    core = max(stride, 6 * overlap, core)  # at worst a seventh of the work is spent on overlap
    if n_steps <= max(max_steps, core + after):
        return [Tile(0, n_steps, 0, n_steps)]
    n_tiles = -(-n_steps // core)
    core = -(-n_steps // (n_tiles * stride)) * stride  # all alike
    starts = [*range(0, n_steps, core)]
    if n_steps - starts[-1] < stride + after:
        starts.pop()  # what is left is too short to stand alone
    cut = []
    for first, last in zip(starts, [*starts[1:], n_steps], strict=True):
        spare = (n_steps - last) // stride * stride  # right of the kept part, in whole strides
        stop = n_steps - max(0, spare - after)
        cut.append(Tile(max(0, first - before), stop, first, last))
    return cut
