"""Stages 3 to 5 of one extractor: the forward pass of one batch."""

import os
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from .. import pooling

__all__ = ["ForwardPass", "TooLong", "finest", "windows"]

_BUDGET = 14 << 20  # float32 numbers (56 MB) of a batch in its widest layer, on a CPU
_GPU_BATCHES = 16  # batches that the free memory of a GPU has room for


@dataclass
class ForwardPass:
    """The stages of one fitted extractor.

    Parameters
    ----------
    frontend, network : Module
        Stages 3 and 4.
    pooling : tuple of str or None
        Stage 5, resolved. None: the output is frames, not pooled.
    sample_rate : int
        Of the clips, Hz.
    window : int or None
        Samples of the windows that longer clips are cut into. None: they are not cut.
    precision : {"float32", "bfloat16"}
        Of the network's arithmetic.
    min_samples : int
        Shorter clips are padded, with one warning.
    at : list of torch.device
        Where the modules are: a list of one device, shared by all forward passes that share the
        modules.

    Attributes
    ----------
    dtype : type
        Of the output.
    """

    dtype: ClassVar[type] = np.float32

    frontend: nn.Module
    network: nn.Module
    pooling: tuple | None
    sample_rate: int
    window: int | None = None
    precision: str = "float32"
    min_samples: int = 1
    at: list = field(default_factory=lambda: [torch.device("cpu")])

    @property
    def width(self):
        """Columns of the output."""
        parts = len(pooling.part_names(self.pooling)) if self.pooling else 1
        return parts * sum(len(m.channels) for m in self.network.maps)

    @property
    def n_bytes(self):
        """Memory of its parameters and buffers."""
        return sum(x.nbytes for x in self._tensors())

    def to(self, device):
        """Move its modules to a device, also for the forward passes that share them."""
        if self.at[0] != device:
            self.frontend.to(device)
            self.network.to(device)
            self.at[0] = device
        return self

    def _tensors(self):
        for module in (self.frontend, self.network):
            yield from module.parameters()
            yield from module.buffers()

    def max_samples(self, batch_size, device=None):
        """Most samples of a batch: ``batch_size`` seconds, or what suits the device's memory."""
        if batch_size is not None:
            return max(1, round(batch_size * self.sample_rate))
        numbers = _BUDGET
        if device is not None and device.type == "cuda":
            numbers = torch.cuda.mem_get_info(device)[0] // 4 // _GPU_BATCHES
        # 4: a sample is in memory as decoded, as part of a batch and padded, while the next
        # batch is being decoded
        return int(numbers / (4 + self.network.floats_per_step / self.frontend.step))

    @torch.inference_mode()
    def __call__(self, wave, lengths, max_samples):
        """Features (B, D) of a batch of waves (B, T).

        Without pooling: frames (B, D, T') and their numbers (B,).
        """
        if self.window and wave.shape[1] > self.window:
            return self._windowed(wave, lengths)
        x, lengths = self.frontend(wave, lengths)
        # only a batch of a single clip can exceed the maximum
        if wave.shape[1] > max_samples:
            if self.network.halo is not None:
                return self._long(x, max(1, max_samples // self.frontend.step))
            _check_memory(
                4 * self.network.floats_per_step * x.shape[-1],
                "needs {} of memory at once, more than is free; pass window_seconds, where the "
                "extractor has it, or cut it into AudioFile segments",
            )
        return self._pooled(self._run_network(x, lengths))

    def _pooled(self, outputs):
        if self.pooling:
            return torch.cat([pooling.pool(*output, self.pooling) for output in outputs], dim=1)
        return _aligned(outputs, self.network.maps)

    def _windowed(self, wave, lengths):
        """Run each window of each clip as if it were a clip, and join the frames of a clip."""
        clips = []
        for row, length in zip(wave, lengths.tolist(), strict=True):
            outputs = []
            for start, stop in windows(length, self.window, self.network.min_steps):
                part = row[None, start:stop]
                n = torch.tensor([stop - start])
                outputs.append(self._run_network(*self.frontend(part, n)))
            joined = [
                (torch.cat([y for y, _ in layer], dim=-1), sum(n for _, n in layer))
                for layer in zip(*outputs, strict=True)
            ]
            clips.append(self._pooled(joined))
        if self.pooling:
            return torch.cat(clips)
        frames = nn.utils.rnn.pad_sequence([y[0].T for y, _ in clips], batch_first=True)
        return frames.transpose(1, 2), torch.cat([n for _, n in clips])

    def _run_network(self, x, lengths):
        with self._arithmetic(x.device):
            return [(y.float(), n) for y, n in self.network(x, lengths)]

    def _arithmetic(self, device):
        lower = self.precision == "bfloat16"
        return torch.autocast(device.type, torch.bfloat16) if lower else nullcontext()

    def _long(self, x, max_steps):
        """Run one long clip piece by piece."""
        n_steps, maps = x.shape[-1], self.network.maps
        streams = self.pooling and pooling.streams(self.pooling)
        if not streams:
            _check_memory(
                4 * sum(len(m.channels) * n_steps // m.stride for m in maps),
                "has frames of {}, which do not fit into memory; select fewer layers, cut it into "
                "AudioFile segments, or pool by mean, std, max or dct alone",
            )
        n_frames = self.network.output_lengths(torch.tensor([n_steps]))
        sinks = [pooling.Accumulator(self.pooling, int(n)) if streams else [] for n in n_frames]
        for i, y in self._pieces(x, max_steps):
            sinks[i].append(y)
        if streams:
            return torch.cat([sink.result() for sink in sinks], dim=1)
        whole = [torch.cat(sink, dim=-1) for sink in sinks]
        return self._pooled([(y, torch.tensor([y.shape[-1]])) for y in whole])

    def _pieces(self, x, max_steps):
        """Frames of each map, as the network works them out piece by piece."""
        pieces = self.network.pieces(x, max_steps)
        while True:
            with self._arithmetic(x.device):  # left before the frames are handed on
                layer, y = next(pieces, (None, None))
            if layer is None:
                return
            yield layer, y.float()


class TooLong(ValueError):
    """A clip that is too long to be computed in the available memory."""


def windows(n_samples, window, shortest):
    """Consecutive windows of a clip; a remainder that is too short is added to the last one.

    Parameters
    ----------
    n_samples : int
        Length of the clip.
    window : int
        Length of a window.
    shortest : int
        Fewest samples that the last window may have.

    Returns
    -------
    windows : list of (int, int)
        First sample and the one after the last.
    """
    starts = [*range(0, n_samples, window)]
    if len(starts) > 1 and n_samples - starts[-1] < shortest:
        starts.pop()
    return [*zip(starts, [*starts[1:], n_samples], strict=True)]


def _check_memory(n_bytes, problem):
    """Raise TooLong if so much memory is clearly not available."""
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return  # not known on this system
    if 2 * n_bytes > free:
        raise TooLong(problem.format(f"{n_bytes / 1e9:.1f} GB"))


def finest(maps):
    """Index of the map with the shortest stride, whose frames are the grid of the extractor.

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
    """Layers of different strides on the finest grid: (B, C, T), and the lengths (B,).

    A coarser layer repeats each of its frames; one that ends earlier repeats its last frame, or
    is zero if it has none.
    """
    base = finest(maps)
    (x, lengths), stride = outputs[base], maps[base].stride
    at = torch.arange(x.shape[-1], device=x.device)[None]
    aligned = []
    for (y, n), m in zip(outputs, maps, strict=True):
        if y.shape[-1] == 0:
            y = y.new_zeros(*y.shape[:2], 1)
        last = (n - 1).clamp(min=0).to(x.device)[:, None]
        frame = torch.minimum(at * stride // m.stride, last)
        y = y.gather(2, frame[:, None].expand(-1, y.shape[1], -1))
        aligned.append(y.masked_fill((n == 0).to(x.device)[:, None, None], 0.0))
    return torch.cat(aligned, dim=1), lengths
