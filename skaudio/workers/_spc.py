"""A worker of the order of time: whether a stretch of frames follows a moment or precedes it."""

import math

import torch

from ..utils.validation import check_number
from ._pairs import tell_apart
from ._worker import Worker, mlp

__all__ = ["SPC"]


class SPC(Worker):
    """Sequence predicting coding [1]_: tell what follows a frame from what came before it.

    One frame t is drawn for a batch. Some frames in a row that begin ``gap`` after t or later are
    told from as many that end more than ``gap`` before it. Shorter chunks have shorter gaps.

    Parameters
    ----------
    n_channels, hop_length, sample_rate : int
        As for `Worker`.
    n_frames : int
        Frames in a row.
    gap : int
        Frames between them and t; 44 frames or more have the 16 of [1]_.
    hidden : int
        Channels of the hidden layer of the head.

    References
    ----------
    .. [1] S. Pascual et al., "Learning Problem-agnostic Speech Representations from Multiple
       Self-supervised Tasks", Interspeech 2019, arXiv:1904.03416.
    """

    def __init__(self, n_channels, hop_length, sample_rate, *, n_frames=5, gap=16, hidden=256):
        super().__init__(n_channels, hop_length, sample_rate)
        for name, value in (("n_frames", n_frames), ("gap", gap), ("hidden", hidden)):
            check_number(name, value, 1)
        self.n_frames, self.gap = n_frames, gap
        self.min_frames = self._needed(1)
        self.head = mlp((n_frames + 1) * n_channels, 1, hidden)
        self.chance.fill_(math.log(2))

    def _needed(self, gap):
        """Frames of a chunk with one place for t: margins of n_frames + gap, and the ends."""
        return 2 * (self.n_frames + gap + 1)

    def places(self, n_frames: int, generator: torch.Generator) -> tuple[int, int, int]:
        """Draw the moments.

        Parameters
        ----------
        n_frames : int
            Frames of the chunks.
        generator : torch.Generator
            On the CPU.

        Returns
        -------
        t, after, before : int
            The frame, and the first of those that follow and of those that came before.
        """
        gap = min(self.gap, (n_frames - self._needed(0)) // 2)
        margin = self.n_frames + gap

        def draw(low, high):
            return int(torch.randint(low, high, (), generator=generator))

        t = draw(margin + 1, n_frames - margin)
        after = draw(t + gap, n_frames - self.n_frames)
        return t, after, draw(self.n_frames, t - gap) - self.n_frames

    def forward(self, lesson):
        frames = lesson.frames
        t, after, before = self.places(frames.shape[2], lesson.generator)
        now = frames[..., t : t + 1]
        follows, precedes = (
            torch.cat([now, frames[..., first : first + self.n_frames].flatten(1)[..., None]], 1)
            for first in (after, before)
        )
        return tell_apart(self.head, follows, precedes)


FORMS = {"spc": SPC}
