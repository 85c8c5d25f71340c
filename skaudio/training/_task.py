"""The public contract of training: a batch of crops in, a loss to go down and named scores out."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from torch import nn

from ..frontends import Frontend, Wave
from ..networks import Network
from ..networks.sinc import SincConv

__all__ = ["CropBatch", "Outcome", "Task"]

_WARM_UP = 0.05  # share of the training in which the learning rate rises
# The edges of filters are thousands of Hz, other weights are near 1: steps of one size would leave
# the edges where they are.
_EDGE_RATE = 3000.0


class CropBatch(NamedTuple):
    """Crops of clips, all of one length.

    Attributes
    ----------
    wave : Tensor of shape (B, T), float32
        The samples.
    weight : Tensor of shape (B,), float32
        What each crop counts for: over a batch, and all processes that share it, they sum to 1.
    clip : Tensor of shape (B,), int64
        Which of the clips given to `fit` each crop is from; where short clips are joined, the
        first of them.
    target : Tensor of shape (B, ...) or None
        Entry of ``y`` for that clip: a label, or what the task is conditioned on.
    group : Tensor of shape (B,), int64, or None
        Crops of one number may hold the same clips: it is that of the clip, or of those that
        are joined with it.
    """

    wave: torch.Tensor
    weight: torch.Tensor
    clip: torch.Tensor
    target: torch.Tensor | None = None
    group: torch.Tensor | None = None


class Outcome(NamedTuple):
    """What a task made of a batch: sums over its predictions.

    Attributes
    ----------
    loss : Tensor of shape ()
        Sum over all predictions; training lowers its mean.
    n : int
        Number of predictions.
    scores : dict of str to Tensor or float
        Further sums over the predictions, by name: "accuracy", for instance, is the number of
        hits. Their means become columns of ``history_``, ``train_accuracy`` and
        ``valid_accuracy``, and stand in the progress bar.
    """

    loss: torch.Tensor
    n: int
    scores: Mapping[str, torch.Tensor | float] = {}


class Task(nn.Module):
    """Base of all tasks: a network, and whatever heads, decoders or critics train it.

    A subclass writes `forward`, and changes what differs from the values and methods below.
    Everything that its next step depends on must be in its `state_dict`, and all its randomness
    come from ``generator``: a training then goes on after whatever stopped it as if nothing had.

    Parameters
    ----------
    network : Network
        What is trained. Its weights become ``weights_``; those that stand beside it,
        ``task_weights_``.
    frontend : Frontend, default=None
        What the network reads the crops through. None: it reads the wave.

    Attributes
    ----------
    min_samples : int
        Shortest crop, samples; by default that of the network. Shorter clips are left out.
    joins_clips : bool or "groups", default=True
        Whether clips shorter than a crop are joined with others of their group and label.
        "groups": if `fit` is given groups.
    divisible : bool, default=True
        Whether a batch may be computed in parts where memory is short. False for tasks that
        compare the clips of a batch with each other.
    chance : float or None, default=None
        What ``judged_by`` is for who has learnt nothing, to warn of it. None: nobody knows.
    judged_by : str, default="loss"
        The score that ``chance`` is about, lower being better.
    comparable : bool, default=True
        Whether the loss of the epoch that ends can be compared with those of later ones; if not,
        it cannot be the best.
    rhythm : sequence of int or None, default=None
        Which of several `optimizers` makes each update, in a cycle: ``(0, 0, 1)`` is two of the
        first, then one of the second. None: all make every update together.
    max_grad_norm : float or None, default=5.0
        Gradients of all weights together are scaled down to this norm. None: they are not.
    generator : torch.Generator
        On the CPU; the loop seeds it.
    progress : float
        Share of the training that is over, from 0 to 1; the loop tells it.
    turn : int or None
        The optimizer whose update this batch is for; the loop tells it. None: all, or validation.
    """

    joins_clips: bool | Literal["groups"] = True
    divisible: bool = True
    chance: float | None = None
    judged_by: str = "loss"
    comparable: bool = True
    rhythm: Sequence[int] | None = None
    max_grad_norm: float | None = 5.0

    def __init__(self, network: Network, frontend: Frontend | None = None):
        super().__init__()
        self.network = network
        self.frontend = Wave() if frontend is None else frontend
        self.min_samples = network.min_steps * self.frontend.step
        self.generator = torch.Generator()
        self.progress = 0.0
        self.turn: int | None = None

    def forward(self, batch: CropBatch) -> Outcome:
        """Loss and scores of a batch.

        Parameters
        ----------
        batch : CropBatch
            The crops, on the device of the weights.

        Returns
        -------
        outcome : Outcome
            Sums, not means.
        """
        raise NotImplementedError(f"{type(self).__name__} must define forward(batch)")

    def prepare(self, batches: Iterable[CropBatch]) -> None:
        """Look at the training clips before the first update; by default there is no need to.

        What is measured here must be in the `state_dict`: a training that goes on from a
        checkpoint is not prepared again, a warm start is.

        Parameters
        ----------
        batches : iterable of CropBatch
            One epoch, the same whenever it is iterated over and in every process. The task and
            the batches are on the CPU.
        """

    def frames(self, wave: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Run front-end and network.

        Parameters
        ----------
        wave : Tensor of shape (B, T)
            Crops of one length.

        Returns
        -------
        layers : list of (Tensor of shape (B, C_l, T_l), Tensor of shape (B,))
            As the network gives them.
        """
        lengths = torch.full((len(wave),), wave.shape[1])
        return self.network(*self.frontend(wave, lengths))

    def optimizers(self, learning_rate: float) -> list[torch.optim.Optimizer]:
        """Optimizers of the weights.

        Parameters
        ----------
        learning_rate : float
            Its highest value; `schedule` scales that of each parameter group.

        Returns
        -------
        optimizers : list of torch.optim.Optimizer
            By default one Adam of all weights, in which edges of band-pass filters learn faster:
            in Hz they have far to go.
        """
        edges = [p for m in self.modules() if isinstance(m, SincConv) for p in m.parameters()]
        own = {id(p) for p in edges}
        groups = [{"params": [p for p in self.parameters() if id(p) not in own]}]
        if edges:
            groups.append({"params": edges, "lr": _EDGE_RATE * learning_rate})
        return [torch.optim.Adam(groups, lr=learning_rate, fused=True)]

    def schedule(self, progress: float) -> float:
        """Factor of all learning rates.

        Parameters
        ----------
        progress : float
            Share of the training that is over, by updates or time, whichever ends it.

        Returns
        -------
        factor : float
            By default a linear warm-up over the first twentieth, then half a cosine to zero.
        """
        if progress < _WARM_UP:
            return max(progress / _WARM_UP, 1e-3)
        return 0.5 * (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP)))

    def memory(self, n_crops: int, n_samples: int) -> float:
        """Memory that an update needs, about.

        Parameters
        ----------
        n_crops, n_samples : int
            Crops of a batch, and samples of each.

        Returns
        -------
        n_bytes : float
            Of activations and their gradients.
        """
        n_steps = int(self.frontend.output_lengths(torch.tensor([n_samples])))
        return 8.0 * n_crops * n_steps * self.network.floats_per_step
