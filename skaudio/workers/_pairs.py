"""What LIM and GIM share: to tell two chunks of one clip from chunks of two clips."""

import math

import torch
import torch.nn.functional as F

from ..utils.validation import check_number
from ._worker import Worker, mlp

__all__ = ["Pairs", "tell_apart"]


class Pairs(Worker):
    """Tell whether two vectors are of the same clip.

    Parameters
    ----------
    n_channels, hop_length, sample_rate : int
        As for `Worker`.
    swapped : bool
        Whether the other chunk of the clip is the one that is compared as well.
    hidden : int
        Channels of the hidden layer of the head.
    """

    compares_clips = True

    def __init__(self, n_channels, hop_length, sample_rate, *, swapped=False, hidden=256):
        super().__init__(n_channels, hop_length, sample_rate)
        check_number("hidden", hidden, 1)
        self.swapped, self.head = swapped, mlp(2 * n_channels, 1, hidden)
        self.chance.fill_(math.log(2))
        self.floats_per_frame = 4.0 * (2 * n_channels + 2 * hidden)

    def vectors(self, frames: torch.Tensor) -> torch.Tensor:
        """What is compared of each chunk.

        Parameters
        ----------
        frames : Tensor of shape (P, C, N)
            Of the encoder.

        Returns
        -------
        vectors : Tensor of shape (P, C, N')
            By default each frame.
        """
        return frames

    def forward(self, lesson):
        one, same, other = self.vectors(lesson.frames)[lesson.pairs]
        positive, negative = [torch.cat([one, same], 1)], [torch.cat([one, other], 1)]
        if self.swapped:
            positive.append(torch.cat([same, one], 1))
            negative.append(torch.cat([same, other], 1))
        return tell_apart(self.head, torch.cat(positive), torch.cat(negative))


def tell_apart(head, positive, negative):
    """Binary cross-entropy of true inputs and as many false ones.

    Parameters
    ----------
    head : Module
        (P, C, N) -> logits (P, 1, N).
    positive, negative : Tensor of shape (P, C, N)
        The inputs.

    Returns
    -------
    loss : Tensor of shape ()
        Mean over both; log 2 for who cannot tell them apart.
    """
    logits = head(torch.cat([positive, negative])).float()
    true = torch.zeros_like(logits)
    true[: len(positive)] = 1.0
    return F.binary_cross_entropy_with_logits(logits, true)
