"""Tell classes of sounds apart: the task, and what it adds to an estimator."""

import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .. import augment
from .._engine import weights
from .._engine.extract import extract
from ..networks.layers import BatchNorm
from ..pooling import part_names, pool, resolve
from ._classes import ClassesMixin
from ._estimator import weights_beside
from ._task import Outcome, Task

__all__ = ["Classification", "ClassificationMixin"]


class _Standardise(BatchNorm):
    """Features standardised over the batch."""

    def __init__(self, width):
        super().__init__(width, affine=False)

    def set_moments(self, x):
        """Standardise by these vectors (N, D) from now on; constant features are only centred."""
        variance, mean = torch.var_mean(x.double(), dim=0, correction=0)
        varies = variance > 1e-12 * mean.square()
        self.running_mean.copy_(mean)
        self.running_var.copy_(torch.where(varies, variance, 1.0))


class _Classifier(nn.Module):
    """Linear layer that begins with next to nothing, and learns alike whatever its width is.

    Each step of Adam changes every weight by about the learning rate, and so a sum of D
    standardised features by D times that: thousands of features would overshoot. Divided by
    sqrt(D) they have length 1, and the sum changes by the learning rate times sqrt(D).
    """

    def __init__(self, width, n_classes):
        super().__init__()
        # not zero: that would hide the network from the first gradient
        self.weight = nn.Parameter(0.01 * torch.randn(n_classes, width))
        self.bias = nn.Parameter(torch.zeros(n_classes))

    def forward(self, x):
        return F.linear(x * x.shape[1] ** -0.5, self.weight, self.bias)


class Classification(Task):
    """Cross-entropy of classes, from the pooled frames of each crop.

    Its score is ``accuracy``, the share of crops whose class is the likeliest.

    Parameters
    ----------
    network : Network
        What is trained.
    n_classes : int
        Number of classes.
    frontend : Frontend, default=None
        What the network reads the crops through. None: it reads the wave.
    pooling : str or sequence of str, default="mean"
        How the frames of each layer become one vector; see `skaudio.pooling.resolve`.
    head : Module, default=None
        Vectors (B, D) -> logits (B, n_classes). None: each feature standardised over the batch,
        then a linear layer.
    y : ndarray of int, default=None
        The class of each clip; who only knows how frequent each is has learnt nothing.
    spec_augment : float, default=0.0
        Widest mask, as a share of the steps and of the channels that the network reads, of the
        two in time and two in frequency that `skaudio.augment.spec_augment` lays over each crop.
        0: none.
    mixup : float, default=0.0
        What crops are mixed by, alpha of `skaudio.augment.mixup`; where they are, ``accuracy``
        in training counts the share of each class. 0: they are not.
    distortions : None, "pase+" or list, default=None
        What training does to the waves of crops first: see `skaudio.augment.distort`.
    """

    divisible = False  # the standardisation compares the crops of a batch
    joins_clips = False  # a clip that is to be told by itself is heard by itself

    def __init__(
        self,
        network,
        n_classes,
        frontend=None,
        *,
        pooling="mean",
        head=None,
        y=None,
        spec_augment=0.0,
        mixup=0.0,
        distortions=None,
    ):
        super().__init__(network, frontend)
        self.distortions = distortions
        self.names, self.spec_augment, self.mixup = resolve(pooling), spec_augment, mixup
        self.standardises = head is None
        self.head = nn.Sequential(_Standardise(self.width), _Classifier(self.width, n_classes))
        if head is not None:
            self.head, self.divisible = head, not mixup
        if y is not None:
            shares = np.bincount(y, minlength=n_classes) / len(y)
            self.chance = float(-(shares * np.log(np.maximum(shares, 1e-300))).sum())

    @property
    def width(self):  # numpydoc ignore=RT01
        """Features of a vector."""
        return len(part_names(self.names)) * sum(len(m.channels) for m in self.network.maps)

    def logits(self, wave):
        """Logits of the classes.

        Parameters
        ----------
        wave : Tensor of shape (B, T)
            Crops.

        Returns
        -------
        logits : Tensor of shape (B, n_classes)
            Their softmax is the probability of each class.
        """
        return self._logits(*self.frontend(wave, _whole(wave)))

    def _logits(self, x, lengths):
        vectors = [pool(*layer, self.names) for layer in self.network(x, lengths)]
        return self.head(torch.cat(vectors, dim=1))

    def forward(self, batch):
        wave = batch.wave
        if self.training and self.distortions:
            wave = augment.distort(wave, self.generator, self.distortions)
        x, lengths = self.frontend(wave, _whole(wave))
        targets = [(1.0, batch.target)]
        if self.training and self.mixup:
            x, partner, share = augment.mixup(x, self.generator, alpha=self.mixup)
            targets = [(share, batch.target), (1 - share, batch.target[partner])]
        if self.training and self.spec_augment:
            widths = {"time_width": self.spec_augment, "freq_width": self.spec_augment}
            x = augment.spec_augment(x, lengths, self.generator, **widths)
        logits = self._logits(x, lengths).float()
        guesses, losses, hits = logits.argmax(1), 0.0, 0.0
        for share, target in targets:
            losses = losses + share * F.cross_entropy(logits, target, reduction="none")
            hits = hits + share * (guesses == target)
        return Outcome(losses.sum(), len(logits), {"accuracy": hits.sum().detach()})


def _whole(wave):
    """Lengths of crops (B, T), all the same."""
    return torch.full((len(wave),), wave.shape[1])


class ClassificationMixin(ClassesMixin):
    """Training on the classes of clips, and what the trained classes are good for.

    A subclass's ``_task(network, y)`` gives a `Classification`, for the number of ``classes_``;
    ``y`` is the class of each clip, from 0 on, or None when stored weights follow. Another way
    from clips to probabilities than the head on pooled features goes into ``_log_posteriors``.
    After a training of no epochs there is neither `predict` nor `predict_proba`.
    """

    _after_training = ()  # the head is trained on the features as they are pooled

    def _finish_training(self, clips):
        # Crops are shorter than clips: their maxima are lower, and where a layer has a single
        # frame of each, deviations are 0. Clips are standardised by what clips have.
        task = self._fitted_task()
        if task.standardises:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # `transform` warns of the same
                vectors = extract(self._ready(self.pooling), clips, self._run())
            task.head[0].set_moments(torch.from_numpy(vectors[~np.isnan(vectors[:, 0])]))
            self.task_weights_ = weights_beside(task)

    def _log_posteriors(self, X):
        """Logarithms of probabilities (n_clips, n_classes), up to a constant for each clip."""
        vectors = torch.from_numpy(self._extract(X, self.pooling))
        with torch.inference_mode():
            return self._fitted_task().head(vectors).numpy()

    def _fitted_task(self):
        """The task with its learnt weights, those of the network left out."""
        with weights.initialised_from(None):
            task = self._task(self._network(None), None)
        return weights.load(task, self.task_weights_).eval()
