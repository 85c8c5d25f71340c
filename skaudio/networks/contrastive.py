"""Tell the true future of a sound from other moments: the loss that trains wav2vec.

Schneider et al., arXiv:1904.05862, section 3.2.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F

__all__ = ["Contrast", "contrastive_loss", "draw_negatives", "guessing"]


class Contrast(NamedTuple):
    """How well the future was told from other moments.

    Attributes
    ----------
    loss : Tensor
        Sum over all predictions, in nats.
    n : int
        Number of predictions.
    n_correct : Tensor
        Of them, how many gave the true future the highest score.
    """

    loss: torch.Tensor
    n: int
    n_correct: torch.Tensor


def guessing(n_negatives, objective):
    """Lowest loss of who gives all moments the same score.

    Parameters
    ----------
    n_negatives : int
        Other moments, N.
    objective : {"bce", "balanced", "infonce"}
        As in `contrastive_loss`.

    Returns
    -------
    loss : float
        Nats per prediction.

    Examples
    --------
    >>> from skaudio.networks.contrastive import guessing
    >>> round(guessing(10, "infonce"), 3)
    2.398
    """
    if objective == "infonce":
        return math.log(n_negatives + 1)
    if objective == "balanced":
        return 2 * math.log(2)
    # each is taken for true with its share p = 1 / (N + 1): -ln p - N ln(1 - p)
    return math.log(n_negatives + 1) + n_negatives * math.log1p(1 / n_negatives)


def draw_negatives(n_frames, n_clips, n_negatives, generator):
    """Draw other moments of the same clip, for each frame as a target.

    Parameters
    ----------
    n_frames : int
        Frames of each clip, at least 2.
    n_clips, n_negatives : int
        Clips, and negatives of each frame.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    negatives : Tensor of shape (B, N, F), int64
        Frame numbers, never the target's own.
    """
    shape = (n_clips, n_negatives, n_frames)
    others = torch.randint(n_frames - 1, shape, generator=generator)
    return others + (others >= torch.arange(n_frames))


def contrastive_loss(z, c_steps, negatives, offset, objective):
    """Tell the true future from other moments of the clip (arXiv:1904.05862, equation 2).

    Step i of frame t is compared with z of frame t + offset + i and with that frame's
    negatives, by dot products. Logits come from one matrix product per step and clip, from which
    the wanted ones are picked: nothing of size (B, N, F, C) is made.

    Parameters
    ----------
    z : Tensor of shape (B, C, F)
        Targets.
    c_steps : Tensor of shape (B, C, F, S)
        Predictions.
    negatives : Tensor of shape (B, N, F), int64
        For each target frame, the frames it is to be told from.
    offset : int
        Frames between a context and its first target.
    objective : {"bce", "balanced", "infonce"}
        Binary cross-entropy of all logits, the same with negatives weighted 1 / N, or
        cross-entropy of the positive among the logits.

    Returns
    -------
    contrast : Contrast
        Loss, number of predictions, number of hits.
    """
    n_frames = z.shape[2]
    n_contexts = max(0, n_frames - offset)
    n_steps = min(c_steps.shape[3], n_contexts)
    contexts = c_steps.permute(0, 2, 3, 1)[:, :n_contexts, :n_steps].flatten(1, 2)
    targets = offset + torch.arange(n_contexts)[:, None] + torch.arange(n_steps)
    rows = (targets < n_frames).flatten().nonzero()[:, 0]
    every = torch.arange(n_frames).expand(len(z), 1, n_frames)
    candidates = torch.cat([every, negatives.cpu()], dim=1)[:, :, targets.flatten()[rows]]
    places = (rows * n_frames + candidates).flatten(1).to(z.device)
    logits = (contexts @ z).flatten(1).gather(1, places).view(candidates.shape)
    with torch.no_grad():
        n_correct = (logits[:, :1] > logits[:, 1:]).all(1).sum()
    return Contrast(_objective(logits, objective), len(z) * len(rows), n_correct)


def _objective(logits, objective):
    """Loss of logits (B, 1 + N, n), the first of which are the true ones; summed."""
    if objective == "infonce":
        return (logits.logsumexp(1) - logits[:, 0]).sum()
    weight = 1 / (logits.shape[1] - 1) if objective == "balanced" else 1.0
    return F.softplus(-logits[:, 0]).sum() + weight * F.softplus(logits[:, 1:]).sum()
