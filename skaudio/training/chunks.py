"""Tell classes apart by single chunks: the task that trains SincNet.

Ravanelli & Bengio 2018, arXiv:1808.00158, section 3.
"""

import torch

from ._task import Task
from .classification import Classification

__all__ = ["ChunkClassification"]


class ChunkClassification(Classification):
    """Cross-entropy of classes for crops that are chunks, each on its own.

    Parameters
    ----------
    network : SincNet
        What is trained.
    head : SincHead
        Vectors of chunks -> log-probabilities.
    y : ndarray of int, default=None
        As for `Classification`.
    paper : bool, default=False
        Whether the optimizers are those of the published code.
    distortions : None, "pase+" or list, default=None
        As for `Classification`.
    """

    divisible = False  # the published norm of dense layers compares the chunks of a batch

    def __init__(self, network, head, y=None, *, paper=False, distortions=None):
        super().__init__(network, head.linear.out_features, head=head, y=y, distortions=distortions)
        self.paper, self.divisible = paper, False
        self.max_grad_norm = None if paper else Task.max_grad_norm
        self.min_samples = network.chunk

    def memory(self, n_crops, n_samples):
        return 8.0 * n_crops * self.network.floats_per_step

    def _logits(self, x, lengths):
        return self.head(self.network.vectors(x[:, 0]))

    def optimizers(self, learning_rate):
        if not self.paper:
            return super().optimizers(learning_rate)
        convolutions, dense = [], []
        for name, parameter in self.network.named_parameters():
            (dense if name.startswith(("flat_norm", "dense")) else convolutions).append(parameter)
        parts = convolutions, dense, self.head.parameters()
        options = {"lr": learning_rate, "alpha": 0.95, "eps": 1e-8}
        return [torch.optim.RMSprop(part, **options) for part in parts]

    def schedule(self, progress):
        return 1.0 if self.paper else super().schedule(progress)
