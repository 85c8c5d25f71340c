"""Run clips through stages 2 to 5: batches, front-end, network, pooling."""

import copy
import warnings
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import NamedTuple

import joblib
import numpy as np
import torch

from .. import pooling
from ..audio import ClipError
from ..batching import Batch, batches
from .device import resolve_device
from .forward import TooLong

__all__ = ["Run", "extract", "moments"]

_SHARDS_PER_JOB = 4  # small shards balance the load and let the progress bar move


@dataclass(frozen=True)
class Run:
    """How to run a forward pass: the running parameters, which change no feature.

    Parameters
    ----------
    batch_size : float or None
        Seconds of audio per batch.
    device : str
        Where to compute.
    n_jobs : int or None
        Number of processes.
    verbose : int
        1 shows a progress bar.
    on_error : {"raise", "skip"}
        What to do about unusable clips.
    """

    batch_size: float | None
    device: str
    n_jobs: int | None
    verbose: int
    on_error: str

    def new_failures(self):
        """List for the errors of unusable clips, or None if they are to be raised."""
        return [] if self.on_error == "skip" else None


class Part(NamedTuple):
    """Results of one batch, and the clips that failed since the last one.

    Attributes
    ----------
    index : sequence of int
        Position of each clip.
    values : sequence of ndarray
        Vector (D,), or frames (T, D), of each clip.
    lengths : sequence of int
        Samples of each clip.
    failures : sequence of ClipError
        Errors of the clips left out.
    """

    index: list
    values: list
    lengths: list
    failures: list


def extract(forward, clips, run, cached=None):
    """Features of all clips.

    Parameters
    ----------
    forward : ForwardPass
        The stages.
    clips : Clips
        The clips.
    run : Run
        How to run.
    cached : CachedRows or None
        Where features are looked up, and new ones stored. None: there is no cache.

    Returns
    -------
    features : ndarray of shape (n_clips, n_features), float32 or what the forward pass gives
        If the forward pass does not pool, a list of arrays of shape (n_frames_i, n_channels).
        A skipped clip has a row of NaN, or no frames.
    """
    if len(clips) == 1 and forward.pooling and cached is None and not run.verbose:
        features = _alone(forward, clips, run)
        if features is not None:
            return features
    if forward.pooling:
        features = np.empty((len(clips), forward.width), dtype=forward.dtype)
    else:
        features = [np.empty((0, forward.width), dtype=np.float32)] * len(clips)
    failures, short, skipped = [], {}, np.ones(len(clips), dtype=bool)
    with _progress_bar(len(clips), run.verbose) as bar:
        samples = 0
        if cached is None:
            parts = _parts(forward, clips, run)
        else:
            parts = _cached_parts(cached, forward, clips, run)
        for part in parts:
            for i, values, length in zip(part.index, part.values, part.lengths, strict=True):
                features[i], skipped[i] = values, False
                samples += length
                if length < forward.min_samples:
                    short[i] = length
            failures += part.failures
            if bar is not None:
                bar.update(len(part.index) + len(part.failures))
                _show_audio(bar, samples / forward.sample_rate)
    if forward.pooling:
        features[skipped] = np.nan
    _warn_short(clips, short, forward.min_samples, forward.sample_rate)
    _warn_skipped(failures, len(clips))
    return features


def _alone(forward, clips, run):
    """Features (1, D) of a single clip, with as little overhead as possible.

    None if there is anything to warn about or to raise: the general code path does that.
    """
    with suppress(ClipError, TooLong, torch.OutOfMemoryError):
        wave, device = clips[0], resolve_device(run.device)
        if len(wave) >= forward.min_samples:
            batch = torch.from_numpy(np.require(wave, requirements=["C", "W"]))[None].to(device)
            max_samples = forward.max_samples(run.batch_size, device)
            features = (
                forward.to(device)(batch, torch.tensor([len(wave)]), max_samples).cpu().numpy()
            )
            if np.isfinite(features).all():
                return features
    return None


def _cached_parts(cached, forward, clips, run):
    """Parts of the result: first the cached rows, then the others, which are cached from now on."""
    missing, identities, found = [], [], Part([], [], [], [])
    for i, identity, row in cached.find(clips):
        if row is None:
            missing.append(i)
            identities.append(identity)
        else:
            found.index.append(i)
            found.values.append(row[0])
            found.lengths.append(row[1])
    yield found
    if not missing:
        return
    remaining = clips.take(missing)
    for part in _parts(forward, remaining, run):
        for i, values, length in zip(part.index, part.values, part.lengths, strict=True):
            cached.store(remaining, i, identities[i], values, length)
        yield part._replace(index=[missing[i] for i in part.index])


def _parts(forward, clips, run):
    """Parts of the result as they become available, from this process or from joblib's."""
    n_jobs = 1 if len(clips) == 1 else min(joblib.effective_n_jobs(run.n_jobs), len(clips))
    if n_jobs == 1:
        yield from _run_shard(forward, clips, run)
        return
    if forward.at[0].type != "cpu":
        # each worker moves its copy to a device of its own
        forward = copy.deepcopy(forward).to(torch.device("cpu"))
    shards = np.array_split(np.arange(len(clips)), min(len(clips), n_jobs * _SHARDS_PER_JOB))
    jobs = (
        joblib.delayed(_run_shard_in_worker)(forward, clips.take(shard), run, number)
        for number, shard in enumerate(shards)
    )
    # with multiprocessing and Ray, results come only when all are there
    backend, _ = joblib.parallel.get_active_backend()
    return_as = "generator" if backend.supports_return_generator else "list"
    results = joblib.Parallel(n_jobs=run.n_jobs, return_as=return_as)(jobs)
    for shard, parts in zip(shards, results, strict=True):
        for part in parts:
            yield part._replace(index=[shard[i] for i in part.index])


def _run_shard_in_worker(forward, clips, run, number):
    return list(_run_shard(forward, clips, run, number))


def _run_shard(forward, clips, run, number=0):
    """Run the clips of one shard in this process."""
    device = resolve_device(run.device, number)
    forward.to(device)
    max_samples = forward.max_samples(run.batch_size, device)
    failures, seen = run.new_failures(), 0
    ragged = forward.network.handles_lengths
    for whole in batches(clips, max_samples, ragged=ragged, failures=failures):
        waiting = [whole]
        while waiting:
            batch = waiting.pop()
            try:
                values = _run_batch(forward, batch, max_samples, device)
            except TooLong as error:  # such a clip is alone in its batch
                (i,) = batch.index
                _fail(ClipError(clips.rows[i], clips.name(i), str(error)), failures)
                continue
            if values is None:
                waiting += _halves(batch)
                continue
            part = _finite(clips, batch.index, values, batch.lengths.tolist(), failures)
            yield Part(*part, [] if failures is None else failures[seen:])
            seen = len(failures or ())
    yield Part([], [], [], [] if failures is None else failures[seen:])


def _run_batch(forward, batch, max_samples, device):
    """Values of each clip of a batch; None if the device has too little memory for the batch."""
    with suppress(torch.OutOfMemoryError):
        values = forward(batch.wave.to(device), batch.lengths, max_samples)
        if forward.pooling:
            return [*values.cpu().numpy()]
        frames, n_frames = values[0].cpu().numpy(), values[1].tolist()
        # copies, since a view would hold on to its whole batch, padding included
        return [clip[:, :n].T.copy() for clip, n in zip(frames, n_frames, strict=True)]
    # after the `with`, the failed attempt no longer holds any tensor
    if len(batch.index) > 1:
        warnings.warn(
            f"{device.type} memory is too small for batches of this size; they are halved, which "
            "costs time and changes nothing else; pass a lower batch_size",
            stacklevel=2,
        )
        return None
    shorter = min(max_samples, batch.wave.shape[1]) // 2
    if forward.network.halo is None or shorter < forward.sample_rate:
        raise TooLong(
            f"does not fit into the memory of device {device}; pass window_seconds, where the "
            "extractor has it, or device='cpu'"
        )
    return _run_batch(forward, batch, shorter, device)


def _halves(batch):
    middle = len(batch.index) // 2
    return [Batch(*(some[half] for some in batch)) for half in (slice(middle, None), slice(middle))]


def _fail(error, failures):
    if failures is None:
        raise error
    failures.append(error)


def _finite(clips, index, values, lengths, failures):
    """Leave out clips whose features overflowed."""
    good = []
    for row, i in enumerate(index):
        if np.isfinite(values[row]).all():
            good.append(row)
        else:
            problem = "has samples so large that its features overflow; scale it down"
            _fail(ClipError(clips.rows[i], clips.name(i), problem), failures)
    return tuple([some[row] for row in good] for some in (index, values, lengths))


def _progress_bar(n_clips, verbose):
    if not verbose:
        return nullcontext()
    from tqdm import tqdm

    return tqdm(total=n_clips, unit="clip")


def _show_audio(bar, seconds):
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


def moments(forward, clips, run):
    """Mean and standard deviation of each channel of the front-end, over all clips.

    Parameters
    ----------
    forward : ForwardPass
        Only its front-end is run.
    clips : Clips
        The clips.
    run : Run
        How to run; one process is used, whatever ``n_jobs``.

    Returns
    -------
    mean, scale : ndarray of shape (n_channels,)
        The scale of a constant channel is 1.

    Raises
    ------
    ValueError
        If no clip is usable.
    """
    device = resolve_device(run.device)
    # the clips are accumulated as if they were tiles of one long clip
    sink, failures = pooling.Accumulator(("mean", "std")), run.new_failures()
    max_samples = forward.max_samples(run.batch_size, device)
    with torch.inference_mode():
        for wave, lengths, index in batches(clips, max_samples, ragged=True, failures=failures):
            x, steps = forward.frontend.to(device)(wave.to(device), lengths)
            inputs = [clip[:, :n].cpu().numpy() for clip, n in zip(x, steps.tolist(), strict=True)]
            for clip in _finite(clips, index, inputs, lengths.tolist(), failures)[1]:
                sink.append(torch.from_numpy(clip)[None])
    if not sink.count:
        raise ValueError(f"none of the {len(clips)} clips can be used; the first: {failures[0]}")
    mean, scale = sink.result()[0].cpu().numpy().reshape(2, -1)
    return mean, np.where(scale > 1e-6 * np.abs(mean), scale, 1.0).astype(np.float32)
