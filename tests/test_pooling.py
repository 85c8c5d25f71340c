"""Room 5: each pooling against numpy, one clip at a time, in float64."""

import numpy as np
import pytest
import torch

from skaudio import pooling

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


EXPECTED = {
    "mean": lambda x: [x.mean(1)],
    "std": lambda x: [x.std(1)],
    "max": lambda x: [x.max(1)],
    "quantiles": lambda x: [*np.quantile(x, [0.05, 0.25, 0.5, 0.75, 0.95], axis=1)],
    "pyramid": lambda x: [*part_means(x, 1), *part_means(x, 2), *part_means(x, 4)],
}
EXPECTED["mean_std"] = lambda x: EXPECTED["mean"](x) + EXPECTED["std"](x)
EXPECTED["mean_max"] = lambda x: EXPECTED["mean"](x) + EXPECTED["max"](x)
EXPECTED["mean_std_max"] = lambda x: EXPECTED["mean_std"](x) + EXPECTED["max"](x)


def pooled(x, lengths, how):
    vector = pooling.pool(torch.tensor(x), torch.tensor(lengths), pooling.resolve(how))
    assert vector.dtype == torch.float32
    return vector.numpy()


def test_every_name_is_tested():
    assert {*pooling.NAMED} == {*EXPECTED}


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


@pytest.mark.parametrize("how", ["median", "", [], ["mean", "median"], None, 3, [["mean"]]])
def test_unknown_names(how):
    with pytest.raises(ValueError, match=r"pooling=.* is unknown; use one or a list of .*'mean'"):
        pooling.resolve(how)


@pytest.mark.parametrize("how", ["mean", "std", "max", "mean_std_max"])
@pytest.mark.parametrize("cuts", [[], [1], [1, 2, 3], [400, 999], [500]], ids=str)
def test_accumulator_equals_pool(how, cuts):
    names = pooling.resolve(how)
    assert pooling.streams(names)
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 4, 1000))).float() + 100.0
    sink = pooling.Accumulator(names)
    for tile in torch.tensor_split(x, cuts, dim=-1):
        sink.append(tile)
    expected = pooling.pool(x.double(), torch.tensor([1000]), names)
    assert sink.result().dtype == torch.float32
    np.testing.assert_allclose(sink.result(), expected, rtol=1e-5)


@pytest.mark.parametrize("how", ["quantiles", "pyramid", ["mean", "quantiles"]])
def test_order_statistics_do_not_stream(how):
    assert not pooling.streams(pooling.resolve(how))


def test_no_part_twice():
    with pytest.raises(ValueError, match="the same part twice"):
        pooling.resolve(["mean", "mean_std"])
