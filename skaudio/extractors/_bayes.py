"""What estimators share that tell classes by how likely each makes a clip."""

import numpy as np
import torch
from scipy.special import log_softmax
from sklearn.utils.metaestimators import available_if

from ..training._classes import ClassesMixin, has_classes
from ..training._columns import one_per_clip

__all__ = ["BayesMixin"]


class BayesMixin(ClassesMixin):
    """Classes by Bayes' rule, where labels condition the network: p(c | x) ~ p(c) p(x | c).

    It stands before `DensityMixin`, which gives p(x | c). p(c) is how frequent a class was in the
    trainings. A subclass says in ``_learns_classes()`` whether labels condition it.
    """

    _without_classes = "knows no classes; fit it with labels and conditions='label'"

    @available_if(has_classes)
    def predict_log_proba(self, X):
        """Logarithm of the probability of each class for each clip.

        A clip has thousands of samples that all speak for or against a class, so that
        probabilities are often 0 or 1 to all digits; their logarithms still tell how sure it is.

        Parameters
        ----------
        X : list of clips, or array of shape (n_clips, n_samples)
            As in `fit`.

        Returns
        -------
        log_probabilities : ndarray of shape (n_clips, n_classes), float64
            Columns as in ``classes_``; rows are NaN for skipped clips.

        Raises
        ------
        ClipError
            (a ValueError) If a clip cannot be used and ``on_error="raise"``.
        NotFittedError
            If `fit` was not called.
        """
        return log_softmax(self._log_posteriors(X), axis=1)

    def _log_posteriors(self, X):
        return self._likelihoods(X)[0] + self._log_priors()

    def _log_priors(self):
        if "class_count_" not in vars(self):
            return super()._log_priors()
        return np.log(self.class_count_ / self.class_count_.sum())

    def _needs_labels(self, epochs):
        return self._learns_classes()

    def _targets(self, y, go_on):
        targets = super()._targets(y, go_on)
        counts = np.bincount(targets, minlength=len(self.classes_)).astype(np.float64)
        earlier = vars(self).get("class_count_") if go_on else None
        self.class_count_ = counts if earlier is None else earlier + counts
        return targets

    def _forget(self):
        super()._forget()
        vars(self).pop("class_count_", None)

    def _drawn_labels(self, y, n_samples, generator):
        """Labels (n_samples,) of new clips as numbers; None if labels do not condition them."""
        if "classes_" not in vars(self):
            if y is not None:
                raise ValueError(f"y={y!r} is given, but this network {self._without_classes}")
            return None
        if y is None:
            shares = torch.from_numpy(self.class_count_)
            return torch.multinomial(shares, n_samples, replacement=True, generator=generator)
        labels = one_per_clip("y", [y] * n_samples if np.ndim(y) == 0 else y, n_samples).tolist()
        known = {label: i for i, label in enumerate(self.classes_.tolist())}
        unknown = [label for label in labels if label not in known]
        if unknown:
            raise ValueError(
                f"y has {unknown[0]!r}, which is none of the {len(known)} classes that were "
                f"fitted: {', '.join(map(repr, known))}"
            )
        return torch.tensor([known[label] for label in labels])
