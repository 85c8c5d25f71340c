"""Clips as points of a plane."""

import math

import numpy as np

from ..utils.validation import check_choice
from ._style import COLOURS, MARKERS, new_panels


class EmbeddingDisplay:
    """Features of clips in two dimensions, with a colour and a marker for each class.

    It is recommended to use `from_estimator` or `from_features` to make one.

    Parameters
    ----------
    points : ndarray of shape (n_clips, 2)
        Place of each clip.

    target : ndarray of shape (n_clips,), int
        Class of each clip, an index into `target_names`.

    target_names : list of str
        Names of the classes, in the order of the legend.

    axis_names : (str, str)
        Written at the axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the picture is.

    figure_ : matplotlib Figure
        The figure around it.

    scatters_ : list of matplotlib PathCollection
        The points of each class.

    References
    ----------
    .. [1] L. van der Maaten, G. Hinton, "Visualizing data using t-SNE", JMLR 9, 2008.

    Examples
    --------
    >>> from skaudio import MFCCTransformer
    >>> from skaudio.datasets import make_sounds
    >>> from skaudio.plotting import EmbeddingDisplay
    >>> sounds = make_sounds(16, random_state=0)
    >>> mfcc = MFCCTransformer().fit(sounds.data)
    >>> display = EmbeddingDisplay.from_estimator(
    ...     mfcc, sounds.data, sounds.target, target_names=sounds.target_names
    ... ).plot()
    >>> display.points.shape, display.target_names[:2]
    ((16, 2), ['bell', 'brass'])
    """

    def __init__(self, *, points, target, target_names, axis_names):
        self.points = points
        self.target = target
        self.target_names = target_names
        self.axis_names = axis_names

    @classmethod
    def from_estimator(cls, extractor, X, y, *, method="pca", random_state=0, target_names=None):
        """Make a display of clips by their features.

        Parameters
        ----------
        extractor : estimator
            Fitted; gives one vector per clip.

        X : list of clips, or array of shape (n_clips, n_samples)
            As the extractor takes it.

        y : array-like of shape (n_clips,)
            Class of each clip.

        method : {"pca", "tsne"}, default="pca"
            As for `from_features`.

        random_state : int, RandomState or None, default=0
            As for `from_features`.

        target_names : sequence of str, default=None
            As for `from_features`.

        Returns
        -------
        display : EmbeddingDisplay
            Not yet drawn; call `plot`.
        """
        Z = extractor.transform(X)
        options = {"random_state": random_state, "target_names": target_names}
        return cls.from_features(Z, y, method=method, **options)

    @classmethod
    def from_features(cls, Z, y, *, method="pca", random_state=0, target_names=None):
        """Make a display of feature vectors.

        Parameters
        ----------
        Z : array-like of shape (n_clips, n_features)
            The vectors, at least 3 of at least 2 features. Each feature is standardised.

        y : array-like of shape (n_clips,)
            Class of each clip.

        method : {"pca", "tsne"}, default="pca"
            The two main components, or t-SNE, which preserves neighbourhoods and whose
            distances between groups mean little.

        random_state : int, RandomState or None, default=0
            Handed to t-SNE.

        target_names : sequence of str, default=None
            Label i is called ``target_names[i]``. None: the labels are the names.

        Returns
        -------
        display : EmbeddingDisplay
            Not yet drawn; call `plot`.

        Raises
        ------
        ValueError
            If Z holds NaN or is too small, Z and y differ in length, or a label has no name.
        """
        from sklearn.preprocessing import StandardScaler
        from sklearn.utils import check_array, check_consistent_length, column_or_1d

        check_choice("method", method, ("pca", "tsne"))
        Z = check_array(Z, ensure_min_samples=3, ensure_min_features=2)
        y = column_or_1d(y)
        check_consistent_length(Z, y)
        labels, target = np.unique(y, return_inverse=True)
        if target_names is not None:
            known = range(len(target_names))
            if labels.dtype.kind not in "iu" or not {labels[0], labels[-1]} <= {*known}:
                raise ValueError(
                    f"labels {labels[0]!r} to {labels[-1]!r} do not number the "
                    f"{len(target_names)} target_names; pass target_names=None"
                )
            labels = [target_names[label] for label in labels]
        Z = StandardScaler().fit_transform(Z)
        points, axis_names = _flatten(Z, method, random_state)
        names = [str(label) for label in labels]
        return cls(points=points, target=target, target_names=names, axis_names=axis_names)

    def plot(self, ax=None):
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.

        Returns
        -------
        display : EmbeddingDisplay
            Itself, with `ax_`, `figure_` and `scatters_`.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        n_columns = math.ceil(len(self.target_names) / 18)
        legend = n_columns * (0.6 + 0.08 * max(map(len, self.target_names)))  # inches
        (self.ax_,) = new_panels(ax, 1, most=1, width=5.2, height=4.8, margin=legend)
        self.figure_ = self.ax_.figure
        self.scatters_ = [
            self.ax_.scatter(
                *self.points[self.target == k].T,
                s=32,
                color=COLOURS[k % len(COLOURS)],
                marker=MARKERS[k % len(MARKERS)],
                edgecolor="white",
                linewidth=0.4,
                label=name,
            )
            for k, name in enumerate(self.target_names)
        ]
        self.ax_.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1])
        self.ax_.spines[["top", "right"]].set_visible(False)
        self.ax_.legend(
            loc="upper left",
            bbox_to_anchor=(1.01, 1.0),
            frameon=False,
            ncols=n_columns,
        )
        return self


def _flatten(Z, method, random_state):
    """Points (n, 2) of standardised features, and the names of the two axes."""
    if method == "tsne":
        from sklearn.manifold import TSNE

        # the perplexity is about the number of neighbours that are considered
        perplexity = min(30.0, (len(Z) - 1) / 3)
        points = TSNE(perplexity=perplexity, random_state=random_state).fit_transform(Z)
        return points, ("t-SNE 1", "t-SNE 2")
    from sklearn.decomposition import PCA

    pca = PCA(2, svd_solver="full")
    points = pca.fit_transform(Z)
    shares = pca.explained_variance_ratio_
    return points, tuple(
        f"component {i + 1} ({share:.0%} of the variance)" for i, share in enumerate(shares)
    )
