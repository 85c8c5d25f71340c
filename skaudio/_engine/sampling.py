"""New sound from a causal network, block by block, so that there is a bar, and time for Ctrl-C."""

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from .generation import Sampler

__all__ = ["Wanted", "generate"]

_BLOCK = 1024  # samples of each stream from one look at the bar to the next, about
_STREAMS = 64  # at a time


@dataclass(frozen=True)
class Wanted:
    """What is to be generated.

    Parameters
    ----------
    n_streams, length : int
        Number of clips, and new samples of each.
    label : Tensor of shape (n_streams,), int64, or None
        Label of each clip, where the network knows labels.
    frames : Tensor of shape (n_streams, n_conditions, n_frames) or None
        What conditions the prime and the new samples, where anything does.
    prime : Tensor of shape (n_primed,), float32
        Samples that all clips continue; there may be none.
    temperature : float
        Divides logits, multiplies the scales of logistics; 0: always the most likely.
    """

    n_streams: int
    length: int
    label: torch.Tensor | None
    frames: torch.Tensor | None
    prime: torch.Tensor
    temperature: float


def generate(network, wanted, generator, verbose):
    """Draw clips.

    Parameters
    ----------
    network : WaveNet
        On the CPU.
    wanted : Wanted
        What is to be generated.
    generator : torch.Generator
        Of what is random, on the CPU.
    verbose : int
        1 shows a progress bar.

    Returns
    -------
    waves : ndarray of shape (n_streams, length), float32
        The new samples.
    """
    waves = np.empty((wanted.n_streams, wanted.length), np.float32)
    with _progress_bar(waves.size, verbose) as bar:
        for first in range(0, len(waves), _STREAMS):
            streams = slice(first, first + _STREAMS)
            for start, block in _blocks(network, wanted, streams, generator):
                waves[streams, start : start + block.shape[1]] = block
                if bar is not None:
                    bar.update(block.size)
    return waves


@torch.inference_mode()
def _blocks(network, wanted, streams, generator):
    """Yield the first sample of each block of some streams, and its waves (B, n)."""
    hop = network.condition_hop
    primed = len(wanted.prime)
    # what was heard longer ago is not seen, but frames must begin where they did
    begin = max(0, primed - network.receptive_field) // hop * hop
    stack, codes = network.stack(), network.codes(wanted.prime[None])
    n_streams = len(range(wanted.n_streams)[streams])
    sampler = Sampler(stack, n_streams, primed - begin + wanted.length)
    biases = _Biases(network, wanted, streams)
    for start, stop in _spans(begin, primed):
        heard = codes[:, start:stop].expand(n_streams, -1).numpy()
        sampler.prime(heard, *biases(start, stop))
    n_uniforms = 2 if stack.draws == "logistic" else 1
    for start, stop in _spans(primed, primed + wanted.length):
        shape = stop - start, n_streams, n_uniforms
        uniforms = torch.rand(shape, generator=generator, dtype=torch.float64).numpy()
        drawn = sampler.draw(uniforms, *biases(start, stop), temperature=wanted.temperature)
        yield start - primed, network.decode(torch.from_numpy(drawn)).numpy()


class _Biases:
    """What labels and frames add to the gates and to the head, block by block."""

    def __init__(self, network, wanted, streams):
        self.network = network
        self.label = None if wanted.label is None else wanted.label[streams]
        self.frames = None if wanted.frames is None else wanted.frames[streams]
        self.constant = self._of(None) if self.frames is None else None

    def __call__(self, start, stop):
        """What samples from start to stop get, and after how many a frame follows the last one."""
        if self.frames is None:
            return self.constant, None
        hop = self.network.condition_hop
        return self._of(self.frames[..., start // hop : -(-stop // hop)]), hop

    def _of(self, frames):
        biases = self.network.biases(self.label, frames)
        return tuple(None if x is None else x.numpy() for x in biases)


def _spans(start, stop):
    """Yield the first sample of each block, and the one after its last."""
    for begin in range(start, stop, _BLOCK):
        yield begin, min(begin + _BLOCK, stop)


def _progress_bar(n_samples, verbose):
    if not verbose:
        return nullcontext()
    from tqdm import tqdm

    return tqdm(total=n_samples, unit="sample", unit_scale=True)
