"""Scaling that lets blocks of features count alike, however many columns they have."""

import numpy as np
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import StandardScaler

__all__ = ["BlockScaler", "feature_blocks"]


class BlockScaler(StandardScaler):
    """Standardise columns, and give each block of them the same part in the distances.

    Among standardised columns, distances are made by the blocks that have most columns. Here those
    of a block of n columns are divided by the root of n over the mean size of a block. All blocks
    then have the same mean square in all, and the columns together that of standardised ones.

    Parameters
    ----------
    blocks : array-like of shape (n_features,), default=None
        Block of each column: any labels, for instance those of `feature_blocks`. None: one block,
        which makes it a `~sklearn.preprocessing.StandardScaler`.

    Attributes
    ----------
    mean_, var_, scale_ : ndarray of shape (n_features,)
        As those of `sklearn.preprocessing.StandardScaler`; the scale is that of the column, times
        the root of the size of its block over the mean size.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio import BlockScaler
    >>> X = np.random.default_rng(0).standard_normal((50, 5))
    >>> Z = BlockScaler(["pitch", "pitch", "pitch", "pitch", "voice"]).fit_transform(X)
    >>> Z.var(axis=0).round(2)
    array([0.62, 0.62, 0.63, 0.63, 2.5 ])
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
        if self.blocks is not None:
            self.scale_ = self.scale_ / block_weights(self.blocks, self.n_features_in_)
        return self


def block_weights(blocks, n_features):
    """Factors that give blocks of standardised columns the same mean square.

    Parameters
    ----------
    blocks : array-like of shape (n_features,)
        Block of each column.
    n_features : int
        Number of columns.

    Returns
    -------
    weights : ndarray of shape (n_features,)
        The sum of their squares is that of as many ones.

    Raises
    ------
    ValueError
        If there are not as many labels as columns.
    """
    if len(blocks) != n_features:
        raise ValueError(f"blocks has {len(blocks)} labels for {n_features} columns")
    _, block, sizes = np.unique(blocks, return_inverse=True, return_counts=True)
    return (sizes.mean() / sizes[block]) ** 0.5


def feature_blocks(extractor):
    """Block of each column of an extractor, or of a union of extractors.

    Parameters
    ----------
    extractor : transformer or FeatureUnion
        A fitted one. Each part of a union is a block, or as many as it has groups of columns,
        which `ProsodyTransformer` has; so is a transformer that is not of skaudio, if it names
        its columns.

    Returns
    -------
    blocks : ndarray of shape (n_features,), str
        What `BlockScaler` takes, for instance "prosodytransformer__pitch".

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline, make_union
    >>> from sklearn.svm import SVC
    >>> from skaudio import BlockScaler, MFCCTransformer, ProsodyTransformer, feature_blocks
    >>> clips = [np.random.default_rng(i).standard_normal(4000) for i in range(4)]
    >>> union = make_union(ProsodyTransformer(groups=["pitch"]), MFCCTransformer()).fit(clips)
    >>> sorted(set(feature_blocks(union).tolist()))
    ['mfcctransformer__all', 'prosodytransformer__pitch']
    >>> model = make_pipeline(union, BlockScaler(feature_blocks(union)), SVC(C=8))
    >>> model.fit(clips, [0, 0, 1, 1]).predict(clips).shape
    (4,)
    """
    if isinstance(extractor, FeatureUnion):
        parts = [(name, part) for name, part in extractor.transformer_list if part != "drop"]
        return np.array(
            [f"{name}__{block}" for name, part in parts for block in feature_blocks(part)]
        )
    if hasattr(extractor, "get_feature_groups_out"):
        return extractor.get_feature_groups_out().astype(str)
    return np.full(len(extractor.get_feature_names_out()), "all")
