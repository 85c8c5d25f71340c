"""Tell classes of sounds apart: the task, and what it adds to an estimator."""

import warnings

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d
from torch import nn

from .. import augment
from .._engine import weights
from .._engine.extract import extract
from ..networks.layers import BatchNorm
from ..pooling import part_names, pool, resolve
from ..utils.validation import one_per_clip
from ._estimator import TrainingMixin, weights_beside
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


def _has_classes(estimator):
    """Whether an estimator knows its classes, or will once it is fitted."""
    fitted = "weights_" in vars(estimator)
    if "classes_" in vars(estimator) if fitted else estimator._learns_classes():
        return True
    raise AttributeError(
        f"this {type(estimator).__name__} is not trained and knows no classes; fit it with labels "
        "and max_epochs other than 0"
    )


class ClassificationMixin(TrainingMixin):
    """Training on the classes of clips, and what the trained classes are good for.

    A subclass's ``_task(network, y)`` gives a `Classification`, for the number of ``classes_``;
    ``y`` is the class of each clip, from 0 on, or None when stored weights follow. Another way
    from clips to probabilities than the head on pooled features goes into ``_log_posteriors``.
    After a training of no epochs there is neither `predict` nor `predict_proba`.
    """

    _after_training = ()  # the head is trained on the features as they are pooled

    @available_if(_has_classes)
    def predict(self, X):
        """Likeliest class of each clip.

        Parameters
        ----------
        X : list of clips, or array of shape (n_clips, n_samples)
            As in `fit`.

        Returns
        -------
        classes : ndarray of shape (n_clips,)
            Of those in ``classes_``.

        Raises
        ------
        ClipError
            (a ValueError) If a clip cannot be used and ``on_error="raise"``.
        ValueError
            If clips were skipped: they have no class.
        NotFittedError
            If `fit` was not called.
        """
        probabilities = self.predict_proba(X)
        (skipped,) = np.nonzero(np.isnan(probabilities[:, 0]))
        if len(skipped):
            raise ValueError(
                f"{len(skipped)} of {len(probabilities)} clips cannot be used and have no class, "
                f"clip {skipped[0]} first; leave them out, or use predict_proba"
            )
        return self.classes_[probabilities.argmax(axis=1)]

    @available_if(_has_classes)
    def predict_proba(self, X):
        """Probability of each class for each clip.

        Parameters
        ----------
        X : list of clips, or array of shape (n_clips, n_samples)
            As in `fit`.

        Returns
        -------
        probabilities : ndarray of shape (n_clips, n_classes), float64
            Columns as in ``classes_``; rows sum to 1, and are NaN for skipped clips.

        Raises
        ------
        ClipError
            (a ValueError) If a clip cannot be used and ``on_error="raise"``.
        NotFittedError
            If `fit` was not called.
        """
        check_is_fitted(self)
        log_posteriors = torch.from_numpy(self._log_posteriors(X)).double()
        return log_posteriors.softmax(dim=1).numpy()

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

    def _learns_classes(self):
        """Whether `fit` leaves ``classes_``: by training, or with a head that is read."""
        return self._epochs() != 0

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

    def _labels(self, y, n_clips, needed):
        if not needed:
            return None
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} requires y to be passed, but the target y is None."
            )
        if isinstance(y, list | tuple):
            y = one_per_clip("y", y, n_clips)  # as an array, numbers among text would be text
        y = one_per_clip("y", column_or_1d(y, warn=True), n_clips)
        check_classification_targets(y)
        return y

    def _targets(self, y, go_on):
        if not go_on or "classes_" not in vars(self):
            self.classes_ = np.unique(y)
            if len(self.classes_) < 2:
                raise ValueError(
                    f"y has one class, {self.classes_.tolist()[0]!r}, and there is nothing to "
                    "tell it from; pass clips of two classes or more"
                )
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y has {unknown.tolist()[0]!r}, which is none of the {len(self.classes_)} classes "
                "that were fitted before; fit a clone on all of them"
            )
        return np.searchsorted(self.classes_, y)

    def _forget(self):
        super()._forget()
        vars(self).pop("classes_", None)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self._epochs() != 0
        return tags
