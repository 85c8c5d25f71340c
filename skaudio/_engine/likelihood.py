"""How likely clips are to a causal network, and what it expects next: passes in float64.

The sum over a clip has as many terms as samples. In float32 it would depend on the batch in its
sixth digit, which is more than the difference between many a clip and the next.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from .._tensors import within
from ..batching import tiles
from .conditions import Conditions
from .forward import ForwardPass

__all__ = ["LikelihoodPass", "NextPass"]

_BUDGET = 28 << 20  # float64 numbers (224 MB) at once, on a CPU
_GPU_BATCHES = 16  # batches that the free memory of a GPU has room for


@dataclass
class _CausalPass(ForwardPass):
    """What both passes share: clips as codes, under every label, a batch or a tile at a time.

    Parameters
    ----------
    conditions : Conditions or None
        Frames that condition the network, which is of float64.
    """

    conditions: Conditions | None = None
    dtype: ClassVar[type] = np.float64

    def to(self, device):
        if self.conditions is not None:
            self.conditions.to(device)
        return super().to(device)

    def max_samples(self, batch_size, device=None):
        if batch_size is not None:
            return super().max_samples(batch_size, device)
        numbers = _BUDGET
        if device is not None and device.type == "cuda":
            numbers = torch.cuda.mem_get_info(device)[0] // 8 // _GPU_BATCHES
        return int(numbers / (4 + self.network.floats_per_prediction))

    @property
    def hop_length(self):
        """Samples that share a frame of the conditions."""
        return 1 if self.conditions is None else self.conditions.hop_length

    def _frames(self, wave, lengths):
        """What conditions clips (B, C, F); None if nothing does."""
        return None if self.conditions is None else self.conditions(wave, lengths)

    def _under_each_label(self, wave, frames, max_samples):
        """Yield codes (B, t) and predictions (B, K, t) of waves (B, t), label by label.

        As many labels at a time as fit into memory share a batch: (G * B, t), (G * B, K, t).
        """
        codes, n_labels = self.network.codes(wave.double()), self.network.n_labels
        if not n_labels:
            frames = None if frames is None else frames.double()
            yield codes, self.network.predictions(codes, None, frames)
            return
        labels = torch.arange(n_labels, device=wave.device)
        for group in labels.split(max(1, max_samples // codes.numel())):
            repeated = codes.repeat(len(group), 1)
            yield repeated, self.network.predictions(repeated, group.repeat_interleave(len(wave)))


@dataclass
class LikelihoodPass(_CausalPass):
    """Log-likelihood of clips under each label: (B, max(1, n_labels) + 1), nats.

    The last column is the number of samples.

    Parameters
    ----------
    density : bool
        Whether it is that of amplitudes; otherwise it is that of codes.
    """

    density: bool = False

    @property
    def width(self):
        return max(1, self.network.n_labels) + 1

    @torch.inference_mode()
    def __call__(self, wave, lengths, max_samples):
        """Log-likelihoods of a batch of waves (B, T), tile by tile."""
        frames, hop, total = self._frames(wave, lengths), self.hop_length, 0.0
        # only a batch of a single clip can exceed the maximum, and is cut into tiles
        longest = wave.shape[1] if len(wave) > 1 else max_samples
        halo = self.network.receptive_field, 0
        for tile in tiles(wave.shape[1], longest, stride=hop, halo=halo):
            steps = slice(tile.start, tile.stop)
            counts = within(lengths - tile.start, tile.stop - tile.start, wave.device)
            counts[:, : tile.first - tile.start] = False  # scored with the tile before,
            counts[:, tile.last - tile.start :] = False  # with the one that follows
            own = None
            if frames is not None:
                own = frames[..., tile.start // hop : -(-tile.stop // hop)]
            sums = [
                self._sums(codes, predictions, counts)
                for codes, predictions in self._under_each_label(wave[:, steps], own, max_samples)
            ]
            total = total + torch.cat(sums).view(-1, len(wave)).t()
        return torch.cat([total, lengths.to(total)[:, None]], dim=1)

    def _sums(self, codes, predictions, counts):
        """Sums (G * B,) over the samples that count, by a mask (B, t)."""
        values = self.network.log_prob(predictions, codes)
        if self.density:
            values = values - self.network.log_widths(codes)
        return values.masked_fill(~counts.repeat(len(codes) // len(counts), 1), 0.0).sum(dim=1)


@dataclass
class NextPass(_CausalPass):
    """Distribution of the sample after each clip: (B, max(1, n_labels) * n_classes), log masses."""

    @property
    def width(self):
        return max(1, self.network.n_labels) * self.network.n_classes

    @torch.inference_mode()
    def __call__(self, wave, lengths, max_samples):
        """Log masses for a batch of waves (B, T); only the ends of these matter."""
        clips = zip(wave, lengths.tolist(), strict=True)
        return torch.stack([self._after(clip[None, :n], max_samples) for clip, n in clips])

    def _after(self, wave, max_samples):
        """Log masses for one clip (1, T)."""
        n, hop = wave.shape[1], self.hop_length
        frames = self._frames(wave, None)
        start = max(0, n - self.network.receptive_field) // hop * hop
        if frames is not None:  # the next sample may belong to the next frame
            frames = torch.cat([frames, frames[..., -1:]], dim=2)[..., start // hop : n // hop + 1]
        # what stands in the place of the next sample is not read
        wave = torch.cat([wave[:, start:], wave[:, -1:]], dim=1)
        levels, masses = self.network.levels(), []
        for _, predictions in self._under_each_label(wave, frames, max_samples):
            predictions = predictions[..., -1:].expand(-1, -1, len(levels))
            codes = levels.expand(len(predictions), -1)
            masses.append(self.network.log_prob(predictions, codes).flatten())
        return torch.cat(masses)
