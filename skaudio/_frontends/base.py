"""What all front-ends share: their base, and clips of fitting length."""

import torch
import torch.nn.functional as F
from torch import nn

from .._tensors import mask

__all__ = ["FitLength", "Frontend"]


class Frontend(nn.Module):
    """Base of all front-ends: x (B, C, T) or a wave (B, T) in, x (B, C', T') out.

    Attributes
    ----------
    step : int, default=1
        Input steps from one output step to the next.
    centre : float, default=0.0
        Input step at the middle of output step 0.
    """

    step: int = 1
    centre: float = 0.0

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the network reads of each clip.

        Parameters
        ----------
        x : Tensor of shape (B, T) or (B, C, T)
            Waves, or what the stage before gives; zero beyond the lengths.
        lengths : Tensor of shape (B,), int64
            Length of each clip.

        Returns
        -------
        x : Tensor of shape (B, C', T')
            Zero beyond the new lengths.
        lengths : Tensor of shape (B,), int64
            The new lengths.
        """
        raise NotImplementedError(f"{type(self).__name__} must define forward(x, lengths)")

    def output_lengths(self, lengths: torch.Tensor) -> torch.Tensor:
        """Lengths after this stage, without the data.

        Parameters
        ----------
        lengths : Tensor of shape (B,), int64
            Lengths before it.

        Returns
        -------
        lengths : Tensor of shape (B,), int64
            By default the same.
        """
        return lengths


class FitLength(Frontend):
    """Lengthen short inputs, and optionally cut all of them to one length.

    Shape: (B, C, T) -> (B, C, T').

    Parameters
    ----------
    shortest : int
        Fewest steps that the network can read.
    fixed : int, default=None
        Length that every input gets: the first steps of a longer one. None: lengths stay.
    short : {"repeat", "zero"}, default="repeat"
        How a short input goes on: from its beginning again, or with zeros.
    """

    def __init__(self, shortest, fixed=None, short="repeat"):
        super().__init__()
        self.shortest, self.fixed, self.short = shortest, fixed, short

    def output_lengths(self, lengths):
        if self.fixed is not None:
            return torch.full_like(lengths, self.fixed)
        return lengths.clamp(min=self.shortest)

    def forward(self, x, lengths):
        wanted = self.output_lengths(lengths)
        steps = int(wanted.max())
        if bool((wanted > lengths).any()):
            if self.short == "repeat":
                again = torch.arange(steps, device=x.device) % lengths.to(x.device)[:, None]
                x = x.gather(2, again[:, None].expand(-1, x.shape[1], -1))
            else:
                x = F.pad(x, (0, max(0, steps - x.shape[2])))
        return mask(x[..., :steps], wanted), wanted
