"""Walk clips through rooms 2 to 5: batches, front-end, network, pooling."""

import os
import warnings
from dataclasses import dataclass
from typing import NamedTuple

import joblib
import numpy as np
import torch
from torch import nn

from .. import pooling
from ..audio import ClipError
from ..batching import batches, tiles
from .device import resolve_device

__all__ = ["Run", "Walk", "extract", "finest", "moments"]

_BUDGET = 1 << 23  # float32 numbers (32 MB, about a cache) of one batch in its widest layer
_SMALL = 1 << 13  # numbers
_SHARDS_PER_JOB = 4  # smaller shards even out the load and let the progress bar move


@dataclass
class Walk:
    """The rooms of one fitted extractor.

    Parameters
    ----------
    frontend, network : Module
        Rooms 3 and 4.
    pooling : tuple of str or None
        Room 5, spelt out. None: frames are wanted.
    sample_rate : int
        Of the clips, Hz.
    """

    frontend: nn.Module
    network: nn.Module
    pooling: tuple | None
    sample_rate: int

    @property
    def width(self):
        """Columns of the output."""
        parts = len(pooling.part_names(self.pooling)) if self.pooling else 1
        return parts * sum(len(m.channels) for m in self.network.maps)

    def max_samples(self, batch_size):
        """Samples of a batch: ``batch_size`` seconds, or what the memory bound allows."""
        if batch_size is not None:
            return max(1, round(batch_size * self.sample_rate))
        # a sample is decoded, joined to a batch and padded, while the next one is decoded
        return int(_BUDGET / (4 + self.network.floats_per_step / self.frontend.step))

    @torch.inference_mode()
    def __call__(self, wave, lengths, max_samples):
        """Features (B, D) of a batch of waves (B, T).

        Without pooling: frames (B, D, T') and their numbers (B,).
        """
        x, lengths = self.frontend(wave, lengths)
        # only a clip alone in its batch can be longer than a batch should be
        if wave.shape[1] > max_samples and self.network.halo is not None:
            return self._tiled(x, max(1, max_samples // self.frontend.step))
        outputs = self._run_network(x, lengths)
        if self.pooling:
            return torch.cat([pooling.pool(*output, self.pooling) for output in outputs], dim=1)
        return _aligned(outputs, self.network.maps)

    def _run_network(self, x, lengths):
        if len(x) > 1 or x.numel() > _SMALL:
            return self.network(x, lengths)
        # torch has another convolution, of other rounding, for one small input; sent as two it
        # takes the one of batches, and a clip's features do not tell whether it came alone
        outputs = self.network(x.expand(2, -1, -1), lengths.expand(2))
        return [(y[:1], n[:1]) for y, n in outputs]

    def _tiled(self, x, max_steps):
        n_steps, maps = x.shape[-1], self.network.maps
        streams = self.pooling and pooling.streams(self.pooling)
        if not streams:
            _check_memory(4 * sum(len(m.channels) * n_steps // m.stride for m in maps))
        sinks = [pooling.Accumulator(self.pooling) if streams else [] for _ in maps]
        for tile in tiles(n_steps, max_steps, stride=self.network.stride, halo=self.network.halo):
            part = x[..., tile.start : tile.stop]
            outputs = self.network(part, torch.tensor([part.shape[-1]], device=x.device))
            for (y, _), m, sink in zip(outputs, maps, sinks, strict=True):
                before = tile.start // m.stride
                stop = None if tile.last == n_steps else tile.last // m.stride - before
                sink.append(y[..., tile.first // m.stride - before : stop])
        if streams:
            return torch.cat([sink.result() for sink in sinks], dim=1)
        whole = [torch.cat(sink, dim=-1) for sink in sinks]
        outputs = [(y, torch.tensor([y.shape[-1]], device=y.device)) for y in whole]
        if self.pooling:
            return torch.cat([pooling.pool(*output, self.pooling) for output in outputs], dim=1)
        return _aligned(outputs, maps)


class _TooLong(ValueError):
    """A clip whose frames do not fit into memory."""


def _check_memory(n_bytes):
    """Refuse to collect frames that cannot fit, before the machine finds out."""
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return  # this system does not tell
    if 2 * n_bytes > free:
        raise _TooLong(
            f"has frames of {n_bytes / 1e9:.1f} GB, which do not fit into memory; keep fewer "
            "layers, cut it into AudioFile segments, or pool by mean, std or max alone"
        )


def finest(maps):
    """Position of the map with the shortest stride: its frames are those of the extractor.

    Parameters
    ----------
    maps : list of Map
        The layers of a network.

    Returns
    -------
    index : int
        Position in the list.
    """
    return min(range(len(maps)), key=lambda i: maps[i].stride)


def _aligned(outputs, maps):
    """Layers of differing time steps on the finest grid: (B, C, T), and the lengths (B,).

    A coarser layer repeats each of its frames; a shorter one repeats its last, and is zero
    if it has none.
    """
    base = finest(maps)
    (x, lengths), stride = outputs[base], maps[base].stride
    at = torch.arange(x.shape[-1], device=x.device)[None]
    aligned = []
    for (y, n), m in zip(outputs, maps, strict=True):
        if y.shape[-1] == 0:
            y = y.new_zeros(*y.shape[:2], 1)
        place = torch.minimum(at * stride // m.stride, (n - 1).clamp(min=0)[:, None])
        y = y.gather(2, place[:, None].expand(-1, y.shape[1], -1))
        aligned.append(y.masked_fill(n[:, None, None] == 0, 0.0))
    return torch.cat(aligned, dim=1), lengths


@dataclass(frozen=True)
class Run:
    """How to run a walk: the parameters that change no feature.

    Parameters
    ----------
    batch_size : float or None
        Seconds of audio per batch.
    device : str
        Where to compute.
    n_jobs : int or None
        Processes.
    verbose : int
        1: a progress bar.
    on_error : {"raise", "skip"}
        What to do about unusable clips.
    """

    batch_size: float | None
    device: str
    n_jobs: int | None
    verbose: int
    on_error: str

    def new_failures(self):
        """List that takes the errors of unusable clips, or None if they are to be raised."""
        return [] if self.on_error == "skip" else None


class Part(NamedTuple):
    """Results of one batch, and what failed since the last one.

    Attributes
    ----------
    index : sequence of int
        Position of each clip.
    values : sequence of ndarray
        Vector (D,), or frames (T, D), of each clip.
    lengths : sequence of int
        Samples of each clip.
    failures : sequence of ClipError
        Clips left out.
    """

    index: list
    values: list
    lengths: list
    failures: list


def extract(walk, clips, run, min_samples=1, kept=None):
    """Features of all clips.

    Parameters
    ----------
    walk : Walk
        The rooms.
    clips : Clips
        The clips.
    run : Run
        How to run.
    min_samples : int
        Clips shorter than this are padded by the walk; one warning tells so.
    kept : KeptRows or None
        Features worked out earlier, and the place for those worked out now.

    Returns
    -------
    features : ndarray of shape (n_clips, n_features), float32
        Or, if the walk does not pool, a list of arrays of shape (n_frames_i, n_channels).
        A skipped clip has NaN, or no frame.
    """
    if walk.pooling:
        features = np.full((len(clips), walk.width), np.nan, dtype=np.float32)
    else:
        features = [np.empty((0, walk.width), dtype=np.float32)] * len(clips)
    failures, short = [], {}
    with _progress_bar(len(clips), run.verbose) as bar:
        samples = 0
        for part in _parts(walk, clips, run) if kept is None else _with(kept, walk, clips, run):
            for i, values, length in zip(part.index, part.values, part.lengths, strict=True):
                features[i] = values
                samples += length
                if length < min_samples:
                    short[i] = length
            failures += part.failures
            bar.update(len(part.index) + len(part.failures))
            _show_audio(bar, samples / walk.sample_rate)
    _warn_short(clips, short, min_samples, walk.sample_rate)
    _warn_skipped(failures, len(clips))
    return features


def _with(kept, walk, clips, run):
    """Parts of the result: the rows that are kept first, then the others, kept from now on."""
    missing, digests, found = [], [], Part([], [], [], [])
    for i, digest, row in kept.find(clips):
        if row is None:
            missing.append(i)
            digests.append(digest)
        else:
            found.index.append(i)
            found.values.append(row[0])
            found.lengths.append(row[1])
    yield found
    if not missing:
        return
    for part in _parts(walk, clips.take(missing), run):
        for i, values, length in zip(part.index, part.values, part.lengths, strict=True):
            kept.keep(digests[i], values, length)
        yield part._replace(index=[missing[i] for i in part.index])


def _parts(walk, clips, run):
    """Parts of the result as they come, from this process or from joblib's."""
    n_jobs = min(joblib.effective_n_jobs(run.n_jobs), len(clips))
    if n_jobs == 1:
        yield from _run_shard(walk, clips, run)
        return
    shards = np.array_split(np.arange(len(clips)), min(len(clips), n_jobs * _SHARDS_PER_JOB))
    jobs = (
        joblib.delayed(_run_shard_there)(walk, clips.take(shard), run, number)
        for number, shard in enumerate(shards)
    )
    results = joblib.Parallel(n_jobs=run.n_jobs, return_as="generator")(jobs)
    for shard, parts in zip(shards, results, strict=True):
        for part in parts:
            yield part._replace(index=[shard[i] for i in part.index])


def _run_shard_there(walk, clips, run, number):
    return list(_run_shard(walk, clips, run, number))


def _run_shard(walk, clips, run, number=0):
    """Walk the clips of one shard in this process."""
    device = resolve_device(run.device, number)
    walk.frontend.to(device)
    walk.network.to(device)
    max_samples = walk.max_samples(run.batch_size)
    failures, seen = run.new_failures(), 0
    ragged = walk.network.handles_lengths
    for wave, lengths, index in batches(clips, max_samples, ragged=ragged, failures=failures):
        try:
            values = walk(wave.to(device), lengths.to(device), max_samples)
        except _TooLong as error:  # such a clip is alone in its batch
            _fail(ClipError(clips.rows[index[0]], clips.name(index[0]), str(error)), failures)
            continue
        if walk.pooling:
            values = [*values.cpu().numpy()]
        else:
            values, n_frames = values[0].cpu().numpy(), values[1].tolist()
            # copies: views would keep whole batches, padding included, alive
            values = [frames[:, :n].T.copy() for frames, n in zip(values, n_frames, strict=True)]
        index, values, lengths = _finite(clips, index, values, lengths.tolist(), failures)
        yield Part(index, values, lengths, [] if failures is None else failures[seen:])
        seen = len(failures or ())
    yield Part([], [], [], [] if failures is None else failures[seen:])


def _fail(error, failures):
    if failures is None:
        raise error
    failures.append(error)


def _finite(clips, index, values, lengths, failures):
    """Leave out clips whose features overflowed."""
    good = []
    for place, i in enumerate(index):
        if np.isfinite(values[place]).all():
            good.append(place)
        else:
            problem = "has samples so large that its features overflow; scale it down"
            _fail(ClipError(clips.rows[i], clips.name(i), problem), failures)
    return tuple([some[place] for place in good] for some in (index, values, lengths))


def _progress_bar(n_clips, verbose):
    from tqdm import tqdm

    return tqdm(total=n_clips, unit="clip", disable=not verbose)


def _show_audio(bar, seconds):
    if not bar.disable:
        speed = seconds / max(bar.format_dict["elapsed"], 1e-9)
        bar.set_postfix_str(f"{seconds / 3600:.2f} h audio, {speed:.0f} x real time")


def _warn_short(clips, short, min_samples, sample_rate):
    if short:
        i = min(short)
        warnings.warn(
            f"{len(short)} of {len(clips)} clips are shorter than the {min_samples} samples "
            f"({min_samples / sample_rate:.3g} s) the network reads at once and were padded; the "
            f"first is clip {clips.rows[i]} ({clips.name(i)}), {short[i] / sample_rate:.3g} s",
            stacklevel=4,
        )


def _warn_skipped(failures, n_clips):
    if failures:
        failures = sorted(failures, key=lambda error: error.index)
        listed = "\n".join(f"  clip {e.index} ({e.name}) {e.problem}" for e in failures)
        warnings.warn(f"skipped {len(failures)} of {n_clips} clips:\n{listed}", stacklevel=4)


def moments(walk, clips, run):
    """Mean and standard deviation of each channel of the front-end over all clips.

    Parameters
    ----------
    walk : Walk
        Its front-end is run.
    clips : Clips
        The clips.
    run : Run
        How to run; this pass uses one process.

    Returns
    -------
    mean, scale : ndarray of shape (n_channels,)
        The scale of a channel that never changes is 1.

    Raises
    ------
    ValueError
        If no clip is usable.
    """
    device = resolve_device(run.device)
    # one accumulator for the whole set, each clip a tile of it
    sink, failures = pooling.Accumulator(("mean", "std")), run.new_failures()
    max_samples = walk.max_samples(run.batch_size)
    with torch.inference_mode():
        for wave, lengths, index in batches(clips, max_samples, ragged=True, failures=failures):
            x, steps = walk.frontend.to(device)(wave.to(device), lengths.to(device))
            inputs = [clip[:, :n].cpu().numpy() for clip, n in zip(x, steps.tolist(), strict=True)]
            for clip in _finite(clips, index, inputs, lengths.tolist(), failures)[1]:
                sink.append(torch.from_numpy(clip)[None])
    if not sink.count:
        raise ValueError(f"none of the {len(clips)} clips can be used; the first: {failures[0]}")
    mean, scale = sink.result()[0].cpu().numpy().reshape(2, -1)
    return mean, np.where(scale > 1e-6 * np.abs(mean), scale, 1.0).astype(np.float32)
