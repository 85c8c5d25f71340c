"""Wasserstein and Frechet distances, and KL divergences, against closed forms and other ways."""

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import integrate, optimize
from scipy.linalg import sqrtm
from scipy.stats import norm
from torch.distributions import Independent, Normal, kl_divergence

from skaudio.metrics import frechet_distance, gaussian_kl, wasserstein_distance

DISTANCES = [wasserstein_distance, frechet_distance]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def normal_quantiles(n):
    """A sample of N(0, 1) without chance."""
    return norm.ppf((np.arange(n) + 0.5) / n)


# --- Gaussians ------------------------------------------------------------------------------------


def test_kl_of_the_sheet():
    kl = gaussian_kl([[1], [0], [0]], [[0], [0], [2]])
    np.testing.assert_allclose(kl, [0.5, 0, (np.e**2 - 3) / 2], rtol=1e-15)
    assert kl[2] == pytest.approx(2.1945, abs=5e-5)


def test_kl_is_that_of_torch(rng):
    mean, log_variance = rng.normal(size=(2, 6, 4)) * [[[2.0]], [[3.0]]]
    q = Normal(torch.from_numpy(mean), torch.from_numpy(np.exp(log_variance / 2)))
    p = Normal(torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64))
    expected = kl_divergence(Independent(q, 1), Independent(p, 1))
    kl = gaussian_kl(mean.tolist(), log_variance)
    assert kl.dtype == np.float64
    np.testing.assert_allclose(kl, expected, rtol=1e-13)


@pytest.mark.parametrize(("mean", "log_variance"), [(0.3, -1), (-2, 0.5), (0, -3)])
def test_kl_is_the_integral(mean, log_variance):
    q = norm(mean, np.exp(log_variance / 2))
    integral, _ = integrate.quad(
        lambda x: q.pdf(x) * (q.logpdf(x) - norm.logpdf(x)), *q.interval(1 - 1e-15), epsabs=1e-12
    )
    assert gaussian_kl([[mean]], [[log_variance]])[0] == pytest.approx(integral, rel=1e-9)


@pytest.mark.parametrize("log_variance", [1e-5, -1e-5, 1e-9, -1e-12, 1e-20])
def test_kl_near_the_standard_gaussian(log_variance):
    # (e^v - 1 - v) / 2 = v^2 / 4 + v^3 / 12 + ...; exp(v) - 1 alone would be wrong by 1e-16
    v = Fraction(log_variance)
    kl = gaussian_kl([[0]], [[log_variance]])[0]
    assert 0 <= kl
    assert abs(kl - float(v**2 / 4 + v**3 / 12)) <= abs(log_variance) * 1e-16


def test_kl_grows_with_the_square_of_the_shift_and_wasserstein_linearly():
    x = normal_quantiles(1000)
    shifts = np.array([1.0, 2, 4, 8])
    np.testing.assert_allclose(gaussian_kl(shifts[:, None], np.zeros((4, 1))), shifts**2 / 2)
    np.testing.assert_allclose([wasserstein_distance(x, x + s) for s in shifts], shifts)
    np.testing.assert_allclose(
        [frechet_distance(x[:, None], x[:, None] + s) for s in shifts], shifts**2
    )


def test_kl_explodes_where_variances_vanish_and_wasserstein_does_not():
    x = normal_quantiles(1000)
    deviations = 10.0 ** -np.arange(6)
    # in units of the deviation d: KL(N(3, d^2) || N(0, d^2)) = KL(N(3 / d, 1) || N(0, 1))
    kl = gaussian_kl(3 / deviations[:, None], np.zeros((6, 1)))
    np.testing.assert_allclose(kl, 4.5 * 100.0 ** np.arange(6))
    np.testing.assert_allclose([wasserstein_distance(d * x, d * x + 3) for d in deviations], 3)
    # against the standard Gaussian: without bound, and E|x| = sqrt(2 / pi) at most
    assert gaussian_kl([[0]], [[-2000]])[0] == pytest.approx(999.5)
    distance = wasserstein_distance(x, 0 * x)
    assert distance == pytest.approx((2 / np.pi) ** 0.5, rel=1e-3)


def test_shifted_samples_of_the_sheet(rng):
    x, y = rng.standard_normal((2, 20_000))
    assert wasserstein_distance(x, y + 3) == pytest.approx(3, abs=0.04)  # 4 standard errors
    assert wasserstein_distance(x, y + 3) == pytest.approx(
        np.abs(np.sort(x) - np.sort(y + 3)).mean()
    )


@pytest.mark.parametrize("deviation", [0.1, 1, 3])
def test_scaled_gaussians(deviation):
    x = normal_quantiles(2000)
    expected = abs(deviation - 1) * (2 / np.pi) ** 0.5
    assert wasserstein_distance(x, deviation * x) == pytest.approx(expected, rel=1e-3, abs=1e-12)
    x /= x.std(ddof=1)
    distance = frechet_distance(x[:, None], 2 + deviation * x[:, None])
    assert distance == pytest.approx(4 + (deviation - 1) ** 2, rel=1e-12)


# --- Wasserstein ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_features", [1, 2, 7])
def test_wasserstein_of_few_rows_is_the_best_of_all_permutations(rng, n_features):
    X, Y = rng.standard_normal((2, 5, n_features))
    ways = [np.linalg.norm(X - Y[list(p)], axis=1).mean() for p in permutations(range(5))]
    assert wasserstein_distance(X, Y) == pytest.approx(min(ways), rel=1e-12)


def test_one_column_is_as_two_of_which_one_is_constant(rng):
    x, y = rng.standard_normal(30), 2 * rng.standard_normal(40)
    for n in (30, 40):
        flat = wasserstein_distance(x, y[:n])
        assert wasserstein_distance(x[:, None], y[:n]) == flat
        line = [np.column_stack([z, np.ones_like(z)]) for z in (x, y[:n])]
        assert wasserstein_distance(*line) == pytest.approx(flat, rel=1e-7)


@pytest.mark.parametrize("scale", [1e-9, 1, 1e9])
def test_unequal_samples(rng, scale):
    # rows that come twice weigh as much as equal ones with a mass of 2 / n
    X, Y = rng.standard_normal((6, 3)), rng.standard_normal((12, 3))
    expected = wasserstein_distance(np.repeat(X, 2, axis=0), Y)
    assert wasserstein_distance(scale * X, scale * Y) == pytest.approx(scale * expected, rel=1e-7)
    assert wasserstein_distance(np.ones((3, 2)), np.ones((5, 2))) == 0


def test_wasserstein_is_its_dual(rng):
    """The largest E f(X) - E f(Y) over functions of slope 1 at most, which a critic looks for."""
    X, Y = rng.standard_normal((7, 2)), 1 + rng.standard_normal((9, 2))
    Z = np.concatenate([X, Y])
    gain = np.r_[np.full(7, 1 / 7), np.full(9, -1 / 9)]
    pairs = [(i, k) for i in range(16) for k in range(16) if i != k]
    steepness = np.zeros((len(pairs), 16))
    for row, (i, k) in zip(steepness, pairs, strict=True):
        row[i], row[k] = 1, -1
    limits = [np.linalg.norm(Z[i] - Z[k]) for i, k in pairs]
    critic = optimize.linprog(-gain, steepness, limits, bounds=(None, None))
    assert wasserstein_distance(X, Y) == pytest.approx(-critic.fun, rel=1e-7)


# --- Frechet --------------------------------------------------------------------------------------


def frechet_by_roots(X, Y):
    C_x, C_y = np.cov(X.T), np.cov(Y.T)
    root = sqrtm(C_x).real
    cross = sqrtm(root @ C_y @ root).real
    return ((X.mean(0) - Y.mean(0)) ** 2).sum() + np.trace(C_x + C_y - 2 * cross)


@pytest.mark.filterwarnings("ignore:Matrix is singular")  # of scipy's root, for few clips
@pytest.mark.parametrize(("n", "m"), [(60, 40), (60, 5), (5, 60), (4, 9), (9, 9)])
def test_frechet_by_roots_of_matrices(rng, n, m):
    mixing = rng.standard_normal((2, 10, 10))
    X = rng.standard_normal((n, 10)) @ mixing[0]
    Y = 1 + rng.standard_normal((m, 10)) @ mixing[1]
    # the root of a singular matrix is known to the root of the precision
    tolerance = 1e-10 if min(n, m) > 10 else 1e-6
    assert frechet_distance(X, Y) == pytest.approx(frechet_by_roots(X, Y), rel=tolerance)


def test_frechet_of_covariances_of_rank_one():
    # two rows m - a and m + a have the covariance 2 a a^T, and tr (C_x C_y)^(1/2) = 2 |a b|
    a, b, shift = np.array([3, 0, 0, 4.0]), np.array([-1, 2, 2, 0.0]), np.array([0, 1, 0, 2.0])
    expected = 5 + 2 * (25 + 9) - 4 * 3
    assert frechet_distance([-a, a], [shift - b, shift + b]) == pytest.approx(expected, rel=1e-14)
    # nothing of it is left where they are orthogonal
    c = np.array([0, 2, 1, 0])
    assert frechet_distance([-a, a], [-c, c]) == pytest.approx(2 * (25 + 5), rel=1e-14)


def test_frechet_of_diagonal_covariances(rng):
    X = rng.standard_normal((50, 4))
    X -= X.mean(axis=0)
    X = np.linalg.qr(X)[0] * 7  # the covariance is the identity, as 7^2 = 49
    scales = np.array([1, 2, 0.5, 0])
    expected = ((scales - 1) ** 2).sum() + 16
    assert frechet_distance(X, 2 + scales * X) == pytest.approx(expected, rel=1e-13)


def test_frechet_of_nearly_equal_sets_keeps_its_digits(rng):
    X = rng.standard_normal((30, 50))
    spread = ((X - X.mean(axis=0)) ** 2).sum() / 29
    assert frechet_distance(X, X * (1 + 1e-7)) == pytest.approx(
        1e-14 * (spread + (X.mean(axis=0) ** 2).sum()), rel=1e-5
    )


# --- both -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize(("n", "m"), [(12, 12), (12, 7), (3, 20)])
def test_distances_are_symmetric_and_do_not_see_the_order(rng, distance, n, m):
    X, Y = rng.standard_normal((n, 5)), 1 + rng.standard_normal((m, 5))
    expected = distance(X, Y)
    assert expected > 0.1
    assert distance(Y, X) == pytest.approx(expected, rel=1e-7)
    assert distance(X[::-1], rng.permutation(Y)) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("shape", [(40, 3), (3, 40), (2, 1)])
def test_distances_of_a_sample_from_itself_and_from_a_shifted_one(rng, distance, shape):
    X = 100 + rng.standard_normal(shape)
    assert 0 <= distance(X, X) < 1e-24
    shift = rng.standard_normal(shape[1])
    expected = np.linalg.norm(shift) ** (1 + (distance is frechet_distance))
    assert distance(X, X + shift) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("distance", DISTANCES)
def test_precision_of_the_features_is_not_that_of_the_distance(rng, distance):
    X, Y = (1000 + rng.standard_normal((2, 20, 3))).astype(np.float32)
    expected = distance(X.astype(float), Y.astype(float))
    assert isinstance(distance(X, Y), float) and distance(X, Y) == expected
    assert distance(torch.from_numpy(X), Y.tolist()) == expected


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize(
    ("Y", "message"),
    [
        (np.zeros((4, 2)), "X has 3 columns and Y 2; pass features of one extractor"),
        (np.full((4, 3), np.nan), "Input Y contains NaN"),
        (np.full((4, 3), np.inf), "Input Y contains infinity"),
        (np.zeros((0, 3)), r"Found array with 0 sample\(s\)"),
        (np.zeros((4, 3, 1)), "Found array with dim 3"),
        ([[1, 2, 3], [4, 5]], "inhomogeneous"),
        ([["a", "b", "c"]] * 4, "could not convert string"),
    ],
)
def test_bad_samples(distance, Y, message):
    with pytest.raises(ValueError, match=message):
        distance(np.zeros((4, 3)), Y)


def test_too_few_rows_for_a_covariance():
    with pytest.raises(ValueError, match="a minimum of 2 is required"):
        frechet_distance(np.zeros((4, 3)), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        frechet_distance(np.zeros(4), np.zeros(4))


@pytest.mark.parametrize(
    ("log_variance", "message"),
    [
        ([[0]], r"mean has the shape \(1, 2\) and log_variance \(1, 1\)"),
        ([[0, 0], [0, 0]], r"mean has the shape \(1, 2\) and log_variance \(2, 2\)"),
        ([0, 0], "Expected 2D array"),
        ([[0, np.nan]], "Input log_variance contains NaN"),
        ([[0, -np.inf]], "Input log_variance contains infinity"),
    ],
)
def test_bad_gaussians(log_variance, message):
    with pytest.raises(ValueError, match=message):
        gaussian_kl([[0, 0]], log_variance)
