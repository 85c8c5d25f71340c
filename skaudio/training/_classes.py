"""Labels of clips in training, and the classes that an estimator tells afterwards."""

import numpy as np
import torch
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from ._columns import one_per_clip
from ._estimator import TrainingMixin

__all__ = ["ClassesMixin", "has_classes"]


def has_classes(estimator):
    """Whether an estimator knows its classes, or will once it is fitted.

    Parameters
    ----------
    estimator : ClassesMixin
        Fitted or not.

    Returns
    -------
    known : bool
        True.

    Raises
    ------
    AttributeError
        If it knows none, and will not; as `available_if` wants it.
    """
    fitted = "weights_" in vars(estimator)
    if "classes_" in vars(estimator) if fitted else estimator._learns_classes():
        return True
    raise AttributeError(f"this {type(estimator).__name__} {estimator._without_classes}")


class ClassesMixin(TrainingMixin):
    """Training on labels, and `predict`, however an estimator tells classes.

    A subclass gives the logarithms of probabilities in ``_log_posteriors``. Where `fit` learns no
    classes, by ``_learns_classes``, there is neither `predict` nor `predict_proba`.
    """

    _without_classes = (
        "is not trained and knows no classes; fit it with labels and max_epochs other than 0"
    )

    @available_if(has_classes)
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

    @available_if(has_classes)
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

    def _learns_classes(self):
        """Whether `fit` leaves ``classes_``: by training, or with a head that is read."""
        return self._epochs() != 0

    def _log_posteriors(self, X):
        """Logarithms of probabilities (n_clips, n_classes), up to a constant for each clip."""
        raise NotImplementedError(f"{type(self).__name__} must define _log_posteriors(X)")

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
        tags.target_tags.required = self._needs_labels(self._epochs())
        return tags
