"""The contract of workers: what each of many teachers is to the encoder that they train."""

from typing import NamedTuple

import torch
from torch import nn

__all__ = ["Lesson", "Worker", "mlp"]


class Lesson(NamedTuple):
    """What the workers get of a batch.

    Attributes
    ----------
    frames : Tensor of shape (P, C, N)
        What the encoder made of P chunks of one length, distorted or not.
    wave : Tensor of shape (P, T)
        The same chunks as they were before any distortion; T is N times the hop length.
    pairs : Tensor of shape (3, Q), int64
        Numbers of chunks: one, another of the same clip, and one of another clip. Q is 0 where
        all chunks are of one clip.
    generator : torch.Generator
        On the CPU, for all that a worker draws.
    """

    frames: torch.Tensor
    wave: torch.Tensor
    pairs: torch.Tensor
    generator: torch.Generator


class Worker(nn.Module):
    """Base of all workers: a head on the frames of the encoder, and a loss.

    A subclass writes `forward`. One that predicts numbers about each frame is simpler as a
    `Regression`. Layers that it makes in its ``__init__`` are initialised as those of the network.

    Parameters
    ----------
    n_channels : int
        Channels of a frame.
    hop_length : int
        Samples from one frame to the next.
    sample_rate : int
        Of the waves, Hz.

    Attributes
    ----------
    min_frames : int, default=1
        Shortest chunk that it can learn from.
    compares_clips : bool, default=False
        Whether it needs ``pairs`` of a `Lesson`.
    floats_per_frame : float, default=1000.0
        Numbers held at once per frame, about; it bounds the size of batches.
    chance : Tensor of shape ()
        Its loss for who knows nothing about the chunks. NaN: nobody knows.
    """

    min_frames: int = 1
    compares_clips: bool = False
    floats_per_frame: float = 1000.0

    def __init__(self, n_channels: int, hop_length: int, sample_rate: int):
        super().__init__()
        self.n_channels, self.hop_length, self.sample_rate = n_channels, hop_length, sample_rate
        self.register_buffer("chance", torch.tensor(torch.nan))

    def forward(self, lesson: Lesson) -> torch.Tensor:
        """Loss of a batch.

        Parameters
        ----------
        lesson : Lesson
            What the encoder made of the chunks, and the chunks themselves.

        Returns
        -------
        loss : Tensor of shape ()
            Mean over all that is predicted.
        """
        raise NotImplementedError(f"{type(self).__name__} must define forward(lesson)")

    def prepare(self, waves: list[torch.Tensor], reference: bool) -> None:
        """Measure what the worker needs to know of the clips, before training.

        Parameters
        ----------
        waves : list of Tensor of shape (P, T)
            Chunks of the clips; T may differ from one tensor to the next.
        reference : bool
            Whether to do as the published code does.
        """

    def check(self, wave: torch.Tensor) -> None:
        """Say why there is no loss: called where it is not finite.

        Parameters
        ----------
        wave : Tensor of shape (P, T)
            Chunks.

        Raises
        ------
        ValueError
            If nothing can be learnt about these chunks.
        """


def mlp(n_inputs, n_outputs, hidden):
    """The head of most workers: two layers that see one frame at a time.

    Parameters
    ----------
    n_inputs, n_outputs, hidden : int
        Channels.

    Returns
    -------
    head : Module
        (P, n_inputs, N) -> (P, n_outputs, N).
    """
    return nn.Sequential(
        nn.Conv1d(n_inputs, hidden, 1), nn.PReLU(hidden), nn.Conv1d(hidden, n_outputs, 1)
    )
