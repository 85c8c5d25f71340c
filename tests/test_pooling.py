"""Stage 5: each pooling against numpy, one clip at a time, in float64."""

import numpy as np
import pytest
import torch
from scipy.fft import dct

from skaudio import pooling
from tests import test_functionals

LENGTHS = [17, 1, 2, 30, 7]


@pytest.fixture
def maps():
    """Ragged batch (B, C, T); what stands beyond a clip is large and must not be seen."""
    x = np.random.default_rng(0).standard_normal((len(LENGTHS), 3, max(LENGTHS))) - 2.0
    for row, n in zip(x, LENGTHS, strict=True):
        row[:, n:] = 1e6
    return x.astype(np.float32)


def part_means(x, n_parts):
    """Mean of each of n equal stretches of time: every frame is cut into n, then averaged."""
    fine = np.repeat(x, n_parts, axis=1)
    return [part.mean(1) for part in np.split(fine, n_parts, axis=1)]


def cosines(x, n_coefficients):
    """Orthonormal DCT-II over time divided by sqrt(n), zeros beyond its n coefficients."""
    found = [*dct(x, type=2, norm="ortho", axis=1).T / np.sqrt(x.shape[1])]
    return (found + [np.zeros(len(x))] * n_coefficients)[:n_coefficients]


def course(x):
    """The functionals of each family, contour by contour."""
    time = np.arange(x.shape[1])
    parts = [
        np.transpose([np.atleast_1d(test_functionals.LOOPS[family](row, time)) for row in x])
        for family in pooling.COURSE
    ]
    # a step is one frame, not a hundredth of a second
    scale = [1 / test_functionals.RATE if family == "deltas" else 1 for family in pooling.COURSE]
    return [row * k for part, k in zip(parts, scale, strict=True) for row in part]


EXPECTED = {
    "mean": lambda x: [x.mean(1)],
    "std": lambda x: [x.std(1)],
    "max": lambda x: [x.max(1)],
    "quantiles": lambda x: [*np.quantile(x, [0.05, 0.25, 0.5, 0.75, 0.95], axis=1)],
    "pyramid": lambda x: [*part_means(x, 1), *part_means(x, 2), *part_means(x, 4)],
    "course": lambda x: course(x),
    "dct1": lambda x: cosines(x, 1),
    "dct8": lambda x: cosines(x, 8),
    "dct64": lambda x: cosines(x, 64),
}
EXPECTED["mean_std"] = lambda x: EXPECTED["mean"](x) + EXPECTED["std"](x)
EXPECTED["mean_max"] = lambda x: EXPECTED["mean"](x) + EXPECTED["max"](x)
EXPECTED["mean_std_max"] = lambda x: EXPECTED["mean_std"](x) + EXPECTED["max"](x)


def pooled(x, lengths, how):
    vector = pooling.pool(torch.tensor(x), torch.tensor(lengths), pooling.resolve(how))
    assert vector.dtype == torch.float32
    return vector.numpy()


def test_every_name_is_tested():
    assert {*pooling.NAMED} | {"dct1", "dct8", "dct64"} == {*EXPECTED}


@pytest.mark.parametrize("how", EXPECTED)
def test_against_numpy(maps, how):
    for row, x, n in zip(pooled(maps, LENGTHS, how), maps.astype(float), LENGTHS, strict=True):
        expected = np.concatenate(EXPECTED[how](x[:, :n]))
        np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("how", EXPECTED)
def test_whole_batch_of_one_length(maps, how):
    x = maps[:, :, :7]
    for row, clip in zip(pooled(x, [7] * len(x), how), x.astype(float), strict=True):
        if np.abs(clip).max() < 1e3:
            expected = np.concatenate(EXPECTED[how](clip))
            np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("how", EXPECTED)
@pytest.mark.parametrize("steps", [0, 5])
def test_clip_without_frames_is_zero(how, steps):
    x = np.random.default_rng(0).standard_normal((2, 3, steps)).astype(np.float32)
    rows = pooled(x, [0, steps], how)
    assert rows.shape[1] == 3 * len(pooling.part_names(pooling.resolve(how)))
    assert not rows[0].any()
    assert rows[1].any() == bool(steps)


def test_std_survives_a_large_mean():
    x = 1e4 + np.random.default_rng(0).standard_normal((1, 1, 1000)).astype(np.float32)
    assert pooled(x, [1000], "std")[0, 0] == pytest.approx(x.astype(float).std(), rel=1e-4)


def test_list_of_names_concatenates(maps):
    joint = pooled(maps, LENGTHS, ["quantiles", "mean_std", "max"])
    apart = [pooled(maps, LENGTHS, how) for how in ("quantiles", "mean_std", "max")]
    np.testing.assert_array_equal(joint, np.concatenate(apart, axis=1))


def test_part_names():
    names = pooling.part_names(pooling.resolve(["mean_std_max", "quantiles", "pyramid"]))
    assert names == [
        "mean", "std", "max", "q05", "q25", "q50", "q75", "q95",
        "part1of1", "part1of2", "part2of2", "part1of4", "part2of4", "part3of4", "part4of4",
    ]  # fmt: skip
    assert pooling.part_names(pooling.resolve("dct3")) == ["dct0", "dct1", "dct2"]


@pytest.mark.parametrize(
    ("how", "parts"),
    [
        (["mean_std_max", "dct3"], ["mean", "std", "max", "dct1", "dct2"]),
        (["dct3", "mean"], ["dct1", "dct2", "mean"]),
        (["dct2", "max"], ["dct0", "dct1", "max"]),
    ],
    ids=str,
)
def test_mean_is_the_first_coefficient(maps, how, parts):
    assert pooling.part_names(pooling.resolve(how)) == parts
    rows = np.split(pooled(maps, LENGTHS, how), len(parts), axis=1)
    cosine = np.split(pooled(maps, LENGTHS, "dct3"), 3, axis=1)
    for part, found in zip(parts, rows, strict=True):
        k = part.removeprefix("dct")
        expected = cosine[int(k)] if k.isdigit() else pooled(maps, LENGTHS, part)
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(cosine[0], pooled(maps, LENGTHS, "mean"))


def test_cosines_in_short_pieces(maps, monkeypatch):
    whole = pooled(maps, LENGTHS, "dct8")
    monkeypatch.setattr(pooling, "_CHUNK", 100)
    np.testing.assert_allclose(pooled(maps, LENGTHS, "dct8"), whole, rtol=1e-6, atol=1e-7)


def test_cosines_of_a_long_clip():
    x = 500 + np.random.default_rng(0).standard_normal((1, 2, 300_000)).astype(np.float32)
    expected = np.concatenate(cosines(x[0].astype(float), 64))
    np.testing.assert_allclose(pooled(x, [300_000], "dct64")[0], expected, rtol=1e-4, atol=1e-6)


def test_cosines_of_a_constant_are_zero():
    # not rounding errors, which a scaler would blow up
    x = np.full((2, 3, 41), -1234.567, np.float32)
    rows = pooled(x, [41, 40], ["mean", "dct6"])
    np.testing.assert_allclose(rows[:, :3], -1234.567, rtol=1e-6)
    assert not rows[:, 3:].any()


@pytest.mark.parametrize(
    "how",
    ["median", "", [], ["mean", "median"], None, 3, [["mean"]], "dct", "dct0", "dct65", "dct08"],
)
def test_unknown_names(how):
    with pytest.raises(ValueError, match=r"pooling=.* is unknown; use one or a list of .*'mean'"):
        pooling.resolve(how)


@pytest.mark.parametrize(
    "how",
    ["mean", "std", "max", "mean_std_max", "dct5", ["std", "dct5"], ["dct3", "mean"]],
    ids=str,
)
@pytest.mark.parametrize("cuts", [[], [1], [1, 2, 3], [400, 999], [500]], ids=str)
def test_accumulator_equals_pool(how, cuts):
    names = pooling.resolve(how)
    assert pooling.streams(names)
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 4, 1000))).float() + 100.0
    sink = pooling.Accumulator(names, 1000)
    for tile in torch.tensor_split(x, cuts, dim=-1):
        sink.append(tile)
    expected = pooling.pool(x.double(), torch.tensor([1000]), names)
    assert sink.result().dtype == torch.float32
    np.testing.assert_allclose(sink.result(), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("how", ["quantiles", "pyramid", "course", ["dct8", "quantiles"]])
def test_order_statistics_do_not_stream(how):
    assert not pooling.streams(pooling.resolve(how))


@pytest.mark.parametrize("how", [["mean", "mean_std"], ["dct4", "dct8"], ["dct1", "dct1"]])
def test_no_part_twice(how):
    with pytest.raises(ValueError, match="the same part twice"):
        pooling.resolve(how)


@pytest.mark.parametrize("how", EXPECTED)
def test_gradients_are_those_of_finite_differences(maps, how):
    names, lengths = pooling.resolve(how), torch.tensor(LENGTHS)
    x = torch.from_numpy(maps).double().requires_grad_()
    generator = torch.Generator().manual_seed(0)
    way = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    pooled = pooling.pool(x, lengths, names)
    towards = torch.randn(pooled.shape, generator=generator, dtype=torch.float64)
    (slope,) = torch.autograd.grad((pooled * towards).sum(), x)
    for row, n in zip(slope, LENGTHS, strict=True):
        assert row[:, :n].isfinite().all() and not row[:, n:].any()
    with torch.no_grad():
        ends = [pooling.pool(x + step * way, lengths, names) for step in (1e-6, -1e-6)]
        difference = (torch.where(pooled != 0, ends[0] - ends[1], 0.0) * towards).sum() / 2e-6
    assert float((slope * way).sum()) == pytest.approx(float(difference), rel=1e-6)


def test_deviation_of_what_is_constant_has_no_slope():
    x = torch.full((2, 3, 8), 2.0, requires_grad=True)
    pooling.pool(x, torch.tensor([8, 5]), ("std",)).sum().backward()
    assert not x.grad.any()
