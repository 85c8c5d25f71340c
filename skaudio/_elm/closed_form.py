"""Ridge regression in closed form, from sums over rows of A = [1 H Y].

H holds n_hidden columns of hidden values, Y the targets, and each row is multiplied by the root of
its weight. With a penalty the sums are A^T A; without one they are the factor R of A = QR, which
does not square the condition number. The intercept is not penalised: eliminating the column of
ones leaves the sums about the means.
"""

import warnings

import numpy as np
from scipy.linalg import LinAlgError, LinAlgWarning, cho_solve, cholesky, eigh, solve_triangular
from scipy.linalg.lapack import dpocon, dtpqrt

QR_BLOCK = 64  # columns that LAPACK eliminates at a time
EPS = np.finfo(np.float64).eps


def add_rows(sums, A, alpha):
    """Add the rows of A to sums, in place where possible, and return them."""
    if alpha > 0:
        sums += A.T @ A  # numpy recognises the symmetric product
        return sums
    nb = min(QR_BLOCK, len(sums))
    return dtpqrt(0, nb, sums, np.asfortranarray(A), overwrite_a=1, overwrite_b=1)[0]


def solve_sums(sums, n_hidden, alpha, fit_intercept):
    """Output weights from sums.

    Returns
    -------
    coef : ndarray of shape (n_hidden, n_outputs)
        Output weights.
    root : callable
        Turns rows h, (n, n_hidden), into rows z with z . z = h . (H^T H + alpha I)^-1 h.
    """
    H, Y = slice(1, n_hidden + 1), slice(n_hidden + 1, None)
    if alpha == 0:
        rows = slice(int(fit_intercept), n_hidden + 1)
        U, s, Vt = np.linalg.svd(sums[rows, H], full_matrices=False)
        significant = s > EPS * n_hidden * s[0]
        inverse = Vt[significant].T / s[significant]
        return inverse @ (U[:, significant].T @ sums[rows, Y]), lambda h: h @ inverse
    top, gram = sums[0], sums[H, 1:].copy()
    if fit_intercept:
        gram -= np.outer(top[H], top[1:] / top[0])
    gram, right = gram[:, :n_hidden], gram[:, n_hidden:]
    gram[np.diag_indices(n_hidden)] += alpha
    factor = factor_of(gram)
    if factor is not None:
        coef = cho_solve((factor, True), right, check_finite=False)
        return coef, lambda h: solve_triangular(factor, h.T, lower=True, check_finite=False).T
    warnings.warn(
        "alpha is too small compared with these hidden values: the matrix is singular to rounding, "
        "and its smallest directions are left out; standardise the features, raise alpha, or pass "
        "alpha=0",
        LinAlgWarning,
        stacklevel=5,  # the line that calls fit or partial_fit
    )
    values, vectors = eigh(gram)
    significant = values > EPS * n_hidden * values[-1]
    inverse = vectors[:, significant] / np.sqrt(values[significant])
    return inverse @ (inverse.T @ right), lambda h: h @ inverse


def solve_rows(A, top, n_hidden, alpha, fit_intercept):
    """Output weights from fewer rows than n_hidden: H^T (H H^T + alpha I)^-1 Y.

    Returns
    -------
    coef : ndarray of shape (n_hidden, n_outputs), or None
        Output weights; None if the matrix is singular to rounding.
    leverage : callable
        Gives the diagonal of H (H^T H + alpha I)^-1 H^T, (n_rows,).
    """
    if fit_intercept:
        A = A - A[:, :1] * (top / top[0])
    H = A[:, 1 : n_hidden + 1]
    gram = H @ H.T
    gram[np.diag_indices(len(gram))] += alpha
    factor = factor_of(gram)
    if factor is None:
        return None, None

    def leverage():
        inverse = solve_triangular(factor, np.eye(len(factor)), lower=True, check_finite=False)
        return 1.0 - alpha * np.einsum("ij,ij->j", inverse, inverse)

    return H.T @ cho_solve((factor, True), A[:, n_hidden + 1 :], check_finite=False), leverage


def factor_of(gram):
    """Lower Cholesky factor, or None if the matrix is singular to rounding."""
    try:
        factor = cholesky(gram, lower=True, check_finite=False)
    except LinAlgError:
        return None
    norm = np.abs(gram).sum(axis=0).max()
    return factor if dpocon(factor, norm, uplo="L")[0] >= EPS else None


def left_out(outputs, targets, leverage):
    """Outputs for each row of a fit without that row.

    With s the outputs, t the targets and h the leverages, (s - h t) / (1 - h): the leave-one-out
    residual of D. M. Allen, "The relationship between variable selection and data augmentation
    and a method for prediction", Technometrics 16, 1974, doi:10.1080/00401706.1974.10489157.

    Returns
    -------
    outputs : ndarray of shape (n_rows, n_outputs)
        Of the rows in `free`.
    free : ndarray of shape (n_rows,), bool
        False where a row alone determines its own output, so that there is none without it.
    """
    free = leverage < 1 - 1e-8
    h = leverage[free, None]
    return (outputs[free] - h * targets[free]) / (1 - h), free
