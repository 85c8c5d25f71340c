"""How far two sets of features are apart, and a Gaussian from the standard one.

The Kullback-Leibler divergence (KL) compares densities in the same place: between Gaussians of one
variance it grows with the square of their shift, and without bound where the variance vanishes.
The Wasserstein distance is how far mass has to be moved: the shift itself, whatever the variance.
"""

import numpy as np
from scipy import stats
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.utils.validation import check_array

__all__ = ["frechet_distance", "gaussian_kl", "wasserstein_distance"]


def wasserstein_distance(X, Y):
    """Wasserstein-1 distance between two samples: how far apart they are by optimal transport.

    It is the smallest mean of the Euclidean distances ``|x - y|`` over all ways to move the rows
    of X, which weigh the same, onto those of Y, computed exactly. The critic of a Wasserstein GAN
    estimates it by its dual [1]_. For numbers it is the mean difference of the sorted samples.

    Parameters
    ----------
    X : array-like of shape (n_clips,) or (n_clips, n_features)
        Numbers, or rows of features.
    Y : array-like of shape (m_clips,) or (m_clips, n_features)
        Those of the other sample.

    Returns
    -------
    distance : float
        In the unit of the features.

    Raises
    ------
    ValueError
        If a sample is empty or holds NaN or infinity, or if their columns differ in number.

    See Also
    --------
    frechet_distance : Quicker, but only compares means and covariances.

    Notes
    -----
    With several columns, the samples may have some thousands of rows if they are equally large (an
    assignment, O(n^3)), and some hundreds otherwise (a linear program of n m unknowns). Samples of
    one distribution in D dimensions are of the order of n^(-1/D) apart, which is much where D is
    large: compare distances at equal n.

    References
    ----------
    .. [1] M. Arjovsky, S. Chintala and L. Bottou, "Wasserstein GAN", ICML 2017, eq. 1 and 2,
       arXiv:1701.07875.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.metrics import wasserstein_distance
    >>> X = np.random.default_rng(0).standard_normal((50, 2))
    >>> round(wasserstein_distance(X, X + [3, 4]), 6)
    5.0
    """
    X, Y = (
        sample[:, None] if sample.ndim == 1 else sample
        for sample in (_numbers("X", X, ensure_2d=False), _numbers("Y", Y, ensure_2d=False))
    )
    _check_same_width(X, Y)
    if X.shape[1] == 1:
        return float(stats.wasserstein_distance(X[:, 0], Y[:, 0]))
    if len(X) == len(Y):
        # one of the cheapest transports moves rows as a whole (Birkhoff)
        distances = cdist(X, Y)
        return float(distances[linear_sum_assignment(distances)].mean())
    # the program is solved to an absolute tolerance, which suits values of about 1
    scale = np.ptp(np.concatenate([X, Y]), axis=0).max() or 1.0
    return float(scale * stats.wasserstein_distance_nd(X / scale, Y / scale))


def frechet_distance(X, Y):
    """Frechet distance between the features of two sets of clips, as for audio in [1]_.

    ``|m_x - m_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2))`` with means m and covariances C (divided
    by n - 1): the square of the Wasserstein-2 distance between Gaussians that have them.

    Parameters
    ----------
    X : array-like of shape (n_clips, n_features)
        Features of one set, from any extractor.
    Y : array-like of shape (m_clips, n_features)
        Those of the other set.

    Returns
    -------
    distance : float
        In the squared unit of the features; at least 0.

    Raises
    ------
    ValueError
        If a set has fewer than two rows or holds NaN or infinity, or if their columns differ in
        number.

    See Also
    --------
    wasserstein_distance : Compares more than means and covariances.

    Notes
    -----
    The trace is ``min |R_x - U R_y|^2`` over all orthogonal U, where ``R^T R = C`` [2]_. A sum of
    squares loses no digits, and needs no root of a matrix: the distance is exact also with fewer
    clips than features, which make covariances singular. As an estimate of the distance between
    distributions it is too large for few clips: compare distances at equal n.

    References
    ----------
    .. [1] K. Kilgour, M. Zuluaga, D. Roblek and M. Sharifi, "Frechet Audio Distance: A
       Reference-Free Metric for Evaluating Music Enhancement Algorithms", Interspeech 2019,
       arXiv:1812.08466.
    .. [2] V. Masarotto, V. M. Panaretos and Y. Zemel, "Procrustes Metrics on Covariance Operators
       and Optimal Transportation of Gaussian Processes", 2018, arXiv:1801.01990.

    Examples
    --------
    >>> import numpy as np
    >>> from skaudio.metrics import frechet_distance
    >>> X = np.random.default_rng(0).standard_normal((50, 2))
    >>> round(frechet_distance(X, X + [3, 4]), 6)
    25.0
    """
    X = _numbers("X", X, ensure_min_samples=2)
    Y = _numbers("Y", Y, ensure_min_samples=2)
    _check_same_width(X, Y)
    R_x, R_y = _root_of_covariance(X), _root_of_covariance(Y)
    rows = max(len(R_x), len(R_y))
    R_x, R_y = (np.pad(R, ((0, rows - len(R)), (0, 0))) for R in (R_x, R_y))
    U, _ = orthogonal_procrustes(R_x.T, R_y.T)  # of min |R_x^T U - R_y^T|
    spread = ((R_x.T @ U - R_y.T) ** 2).sum()
    return float(((X.mean(axis=0) - Y.mean(axis=0)) ** 2).sum() + spread)


def gaussian_kl(mean, log_variance):
    """KL divergence of Gaussians with diagonal covariance from the standard Gaussian.

    ``KL(N(mean, diag(variance)) || N(0, I)) = sum(mean^2 + variance - 1 - ln variance) / 2``, what
    a variational autoencoder pays for its latents ([1]_, appendix B).

    Parameters
    ----------
    mean : array-like of shape (n_clips, n_features)
        Mean of each Gaussian, one per row.
    log_variance : array-like of shape (n_clips, n_features)
        Natural logarithms of the variances.

    Returns
    -------
    kl : ndarray of shape (n_clips,), float64
        In nats; 0 for the standard Gaussian, otherwise more.

    Raises
    ------
    ValueError
        If the shapes differ, or if there is NaN or infinity.

    References
    ----------
    .. [1] D. P. Kingma and M. Welling, "Auto-Encoding Variational Bayes", ICLR 2014,
       arXiv:1312.6114.

    Examples
    --------
    >>> from skaudio.metrics import gaussian_kl
    >>> gaussian_kl([[0, 0], [1, 0], [1, 1]], [[0, 0], [0, 0], [0, 2]]).round(4)
    array([0.    , 0.5   , 3.1945])
    """
    mean, log_variance = _numbers("mean", mean), _numbers("log_variance", log_variance)
    if mean.shape != log_variance.shape:
        raise ValueError(
            f"mean has the shape {mean.shape} and log_variance {log_variance.shape}; pass as many "
            "of both"
        )
    # expm1, since 1 is all there is of a variance close to it
    return (mean**2 + np.expm1(log_variance) - log_variance).sum(axis=1) / 2


def _numbers(name, X, **checks):
    """X as float64, checked as scikit-learn does."""
    return check_array(X, dtype=np.float64, input_name=name, **checks)


def _check_same_width(X, Y):
    if X.shape[1] != Y.shape[1]:
        raise ValueError(
            f"X has {X.shape[1]} columns and Y {Y.shape[1]}; pass features of one extractor"
        )


def _root_of_covariance(X):
    """R of shape (min(n, D), D) with R^T R = C, by QR of the centred rows and without C itself."""
    return np.linalg.qr(X - X.mean(axis=0), mode="r") / (len(X) - 1) ** 0.5
