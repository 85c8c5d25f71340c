"""Frames of one extractor as what conditions the network of another."""

from dataclasses import replace

import numpy as np
import torch

from ..batching import tiles
from ..networks import Network
from .extract import extract
from .forward import finest

__all__ = ["Conditioned", "Conditions", "hop_of", "moments_of_frames"]


class Conditions:
    """Frames of clips, standardised and on a grid: sample t belongs to frame t // hop_length.

    Parameters
    ----------
    forward : ForwardPass
        Of a fitted extractor, without pooling.
    mean, scale : ndarray of shape (n_channels,)
        That are subtracted from its frames, and that these are divided by.
    """

    def __init__(self, forward, mean, scale):
        self.forward, self.mean, self.scale = forward, mean, scale
        self.hop_length = hop_of(forward)
        self.handles_lengths = forward.network.handles_lengths
        self.min_samples = forward.min_samples

    def to(self, device):
        """Move the modules of the extractor.

        Parameters
        ----------
        device : torch.device
            Where to.
        """
        self.forward.to(device)

    def __call__(self, wave, lengths=None):
        """Frames of a batch.

        Parameters
        ----------
        wave : Tensor of shape (B, T)
            Clips, zero beyond their lengths.
        lengths : Tensor of shape (B,), int64, default=None
            Samples of each. None: all T.

        Returns
        -------
        frames : Tensor of shape (B, n_channels, ceil(T / hop_length)), float32
            Where an extractor gives fewer, its last one is repeated; one that gives none is 0. They
            carry no gradient to the extractor.
        """
        lengths = torch.full((len(wave),), wave.shape[1]) if lengths is None else lengths
        forward, n_steps = self.forward.to(wave.device), -(-wave.shape[1] // self.hop_length)
        max_samples = forward.max_samples(None, wave.device)
        n_clips = max(1, max_samples // wave.shape[1])  # a longer one must be alone
        parts = []
        for clips, n in zip(wave.split(n_clips), lengths.split(n_clips), strict=True):
            frames, n_frames = forward(clips.float(), n, max_samples)
            # none beyond its samples, whatever other clips of the batch have
            n_frames = torch.minimum(n_frames, -(-n // self.hop_length))
            parts.append(self._on_grid(frames, n_frames, n_steps))
        return torch.cat(parts)

    def _on_grid(self, frames, n_frames, n_steps):
        """Standardised frames (B, C, n_steps)."""
        mean, scale = (torch.from_numpy(x).to(frames.device) for x in (self.mean, self.scale))
        if frames.shape[2] == 0:
            return frames.new_zeros(*frames.shape[:2], n_steps)
        last = (n_frames - 1).clamp(min=0)[:, None]
        at = torch.minimum(torch.arange(n_steps), last).to(frames.device)
        frames = frames.gather(2, at[:, None].expand(-1, frames.shape[1], -1))
        frames = (frames - mean[:, None]) / scale[:, None]
        return frames.masked_fill((n_frames == 0).to(frames.device)[:, None, None], 0.0)


def hop_of(forward):
    """Samples from one frame to the next.

    Parameters
    ----------
    forward : ForwardPass
        Whose frames.

    Returns
    -------
    hop_length : int
        On the finest of its layers.
    """
    maps = forward.network.maps
    return forward.frontend.step * maps[finest(maps)].stride


def moments_of_frames(forward, clips, run):
    """Mean and deviation of each channel of the frames of an extractor, each clip counting alike.

    Parameters
    ----------
    forward : ForwardPass
        Of the extractor.
    clips : Clips
        The clips.
    run : Run
        How to run.

    Returns
    -------
    mean, scale : ndarray of shape (n_channels,), float32
        The scale of a constant channel is 1.
    """
    table = extract(replace(forward, pooling=("mean", "std")), clips, run).astype(np.float64)
    table, means, stds = table[~np.isnan(table[:, 0])], [], []
    for m in forward.network.maps:
        of_map, table = np.split(table, [2 * len(m.channels)], axis=1)
        mean, std = np.split(of_map, 2, axis=1)
        means.append(mean)
        stds.append(std)
    mean, std = np.hstack(means), np.hstack(stds)
    centre = mean.mean(axis=0)
    # the variance of all is that within the clips, plus that of their means
    scale = np.sqrt((std**2 + (mean - centre) ** 2).mean(axis=0))
    scale = np.where(scale > 1e-6 * np.abs(centre), scale, 1.0)
    return centre.astype(np.float32), scale.astype(np.float32)


class Conditioned(Network):
    """A causal network together with the extractor whose frames condition it.

    Shape: (B, 1, T) -> (B, C, T'), as the network gives it.

    Parameters
    ----------
    network : WaveNet
        With one layer that is returned, whose stride is a multiple of the hop of the conditions.
    conditions : Conditions
        What it is conditioned by.
    """

    def __init__(self, network, conditions):
        super().__init__()
        self.network, self.conditions = network, conditions
        self.maps, self.stride, self.halo = network.maps, network.stride, network.halo
        self.min_steps, self.floats_per_step = network.min_steps, network.floats_per_step
        self.handles_lengths = network.handles_lengths and conditions.handles_lengths

    def to(self, device):
        """Move it, and what its conditions come from.

        Parameters
        ----------
        device : torch.device
            Where to.

        Returns
        -------
        network : Conditioned
            Itself.
        """
        self.conditions.to(device)
        return super().to(device)

    def output_lengths(self, lengths):
        return self.network.output_lengths(lengths)

    def forward(self, x, lengths):
        return self.network(x, lengths, frames=self.conditions(x[:, 0], lengths))

    @torch.no_grad()
    def pieces(self, x, max_steps):
        # the extractor may have to hear the whole clip, and cuts it up by itself
        frames, hop = self.conditions(x[:, 0]), self.conditions.hop_length
        for tile in tiles(x.shape[-1], max_steps, stride=self.stride, halo=self.halo):
            part = x[..., tile.start : tile.stop]
            # the network is one step ahead of the samples it has heard
            own = frames[..., tile.start // hop : tile.stop // hop + 1]
            ((y, _),) = self.network(part, torch.tensor([part.shape[-1]]), frames=own)
            first, last = tile.first - tile.start, tile.last - tile.start
            yield 0, y[..., first // self.stride : -(-last // self.stride)]
