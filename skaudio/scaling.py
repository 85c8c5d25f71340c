"""Scaling that lets blocks of features count alike, however many columns they have."""

import numpy as np
from sklearn.preprocessing import StandardScaler

__all__ = ["BlockScaler"]


class BlockScaler(StandardScaler):
    """Standardise columns, and divide those of a block by the root of their number.

    Each block then has the same mean square in all, 1. Among standardised columns, distances are
    made by the blocks that have most columns.

    Parameters
    ----------
    blocks : array-like of shape (n_features,), default=None
        Block of each column: any labels. None: one block.

    Attributes
    ----------
    mean_, var_, scale_ : ndarray of shape (n_features,)
        As those of `sklearn.preprocessing.StandardScaler`; the scale is that of the column, times
        the root of the number of columns in its block.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio import BlockScaler
    >>> X = np.random.default_rng(0).standard_normal((50, 5))
    >>> Z = BlockScaler(["pitch", "pitch", "pitch", "pitch", "voice"]).fit_transform(X)
    >>> Z.var(axis=0).round(2)
    array([0.25, 0.25, 0.25, 0.25, 1.  ])
    """

    def __init__(self, blocks=None):
        super().__init__()
        self.blocks = blocks

    def partial_fit(self, X, y=None, sample_weight=None):
        """Add clips to those that determine means and scales.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        y : object, default=None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            What each row counts for.

        Returns
        -------
        self : BlockScaler
            Fitted.

        Raises
        ------
        ValueError
            If there are not as many labels as columns.
        """
        super().partial_fit(X, y, sample_weight)
        width = self.n_features_in_
        if self.blocks is not None:
            if len(self.blocks) != self.n_features_in_:
                raise ValueError(
                    f"blocks has {len(self.blocks)} labels for {self.n_features_in_} columns"
                )
            _, block, sizes = np.unique(self.blocks, return_inverse=True, return_counts=True)
            width = sizes[block]
        self.scale_ = self.scale_ * width**0.5
        return self
