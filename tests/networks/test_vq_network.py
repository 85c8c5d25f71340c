"""The quantisers, recomputed frame by frame in float64."""

import numpy as np
import pytest
import torch

from skaudio.networks.vq import (
    EMAQuantizer,
    GumbelQuantizer,
    KMeansQuantizer,
    joint_codes,
    perplexity,
    temperature,
)
from tests.networks.quantizers import (
    DIM,
    KINDS,
    LENGTHS,
    N_CODES,
    N_GROUPS,
    SHARED,
    WIDTH,
    assert_chosen,
    batch,
    codes_of,
    frames_of,
    nearest_by_hand,
    new,
    numbers,
    perplexity_by_hand,
    seeded,
    soft,
    table_of,
    usage_by_hand,
)

# --- the small functions


def test_perplexity_of_even_and_single_use():
    even = torch.full((2, 320), 1 / 320)
    assert perplexity(even).shape == (2,)
    assert float(perplexity(even).sum()) == pytest.approx(639.979, abs=1e-3)
    single = torch.eye(320, dtype=torch.float64)
    torch.testing.assert_close(perplexity(single), torch.ones(320).double(), atol=2e-7, rtol=0)


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 2.0), (100_000, 1.21306), (277_259, 0.5), (400_000, 0.5)]
)
def test_temperature_falls_to_its_floor(step, expected):
    assert temperature(step) == pytest.approx(expected, abs=5e-6)


def test_temperature_reaches_its_floor_no_sooner():
    assert temperature(277_257) > 0.5
    assert temperature(3, start=8.0, decay=0.5, least=0.1) == 1.0


def test_joint_codes_count_the_first_group_highest():
    assert joint_codes(torch.tensor([3, 5]), 320) == 965
    codes = torch.randint(7, (4, 9, 3), generator=seeded())
    joint = joint_codes(codes, 7)
    assert joint.dtype == torch.int64
    expected = np.ravel_multi_index([*np.moveaxis(codes.numpy(), -1, 0)], (7, 7, 7))
    np.testing.assert_array_equal(joint.numpy(), expected)


# --- shapes, starts, errors


@pytest.mark.parametrize(
    ("quantizer", "expected"),
    [
        (GumbelQuantizer(512, 320, 2, depth=2), 1_345_152),
        (GumbelQuantizer(512, 320, 2, depth=2, shared=True), 1_263_232),
        (KMeansQuantizer(512, 320, 2, shared=True), 214_016),
        (KMeansQuantizer(512, 320, 2), 295_936),
    ],
)
def test_parameters_are_as_many_as_published(quantizer, expected):
    assert sum(parameter.numel() for parameter in quantizer.parameters()) == expected


def test_names_and_shapes_of_the_released_weights():
    def shapes(quantizer):
        return {name: tuple(value.shape) for name, value in quantizer.state_dict().items()}

    assert shapes(GumbelQuantizer(512, 320, 2, depth=2)) == {
        "table": (1, 640, 256),
        "projection.0.weight": (1024, 512),
        "projection.0.bias": (1024,),
        "projection.1.weight": (640, 1024),
        "projection.1.bias": (640,),
    }
    assert shapes(KMeansQuantizer(512, 320, 2, shared=True)) == {
        "table": (320, 1, 256),
        "projection.weight": (512, 256, 1),
        "norm.weight": (512,),
        "norm.bias": (512,),
    }
    assert shapes(KMeansQuantizer(512, 320, 2, project=False)) == {"table": (320, 2, 256)}
    assert shapes(EMAQuantizer(512, 320, 2)) == {
        "table": (320, 2, 256),
        "counts": (320, 2),
        "sums": (320, 2, 256),
    }
    assert not [*EMAQuantizer(512, 320, 2).parameters()]


def test_gumbel_starts_as_published():
    single = GumbelQuantizer(64, 40, 2)
    single.initialise(seeded())
    weight, table = single.projection[0].weight, single.table
    # standard errors of 5120 draws: 0.014 of the mean, 0.010 of the deviation
    assert abs(weight.mean()) < 0.056 and abs(weight.std() - 1) < 0.04
    assert not single.projection[0].bias.any()
    assert 0 <= table.min() < 0.01 and 0.99 < table.max() < 1
    deep = GumbelQuantizer(64, 40, 2, depth=3, factor=4)
    deep.initialise(seeded())
    assert [layer.in_features for layer in deep.projection] == [64, 256, 256]
    for layer in deep.projection:
        bound = layer.in_features**-0.5
        assert 0.99 * bound < layer.weight.abs().max() <= bound
        assert 0.9 * bound < layer.bias.abs().max() <= bound


def test_k_means_starts_as_published():
    quantizer = KMeansQuantizer(64, 40, 2)
    quantizer.initialise(seeded())
    assert 0.99 / 32**0.5 < quantizer.projection.weight.abs().max() <= 1 / 32**0.5
    assert (quantizer.norm.weight == 1).all() and not quantizer.norm.bias.any()
    assert abs(quantizer.table.std() - 0.01) < 0.0006


@KINDS
def test_nothing_touches_the_global_generator(kind):
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    quantizer = new(kind).train()
    quantizer(batch(), LENGTHS, generator=seeded())
    assert torch.equal(torch.rand(3), expected)


@KINDS
def test_groups_must_divide_the_channels(kind):
    with pytest.raises(ValueError, match="dim=6 channels cannot be cut into n_groups=4"):
        kind(6, 5, 4)


def test_unknown_activation_is_named():
    with pytest.raises(ValueError, match="activation='swish' is unknown; use one of"):
        GumbelQuantizer(6, 5, 2, activation="swish")


@pytest.mark.parametrize("kind", [GumbelQuantizer, EMAQuantizer])
def test_training_by_chance_asks_for_a_generator(kind):
    with pytest.raises(ValueError, match=r"pass generator, a torch\.Generator on the CPU"):
        new(kind).train()(batch(), LENGTHS)
    assert new(kind).eval()(batch(), LENGTHS).z.isfinite().all()


# --- golden values


def test_golden_k_means():
    quantizer = KMeansQuantizer(4, 3, 2, shared=True, project=False).double()
    quantizer.table.data = numbers([0, 0], [1, 0], [0, 2])[:, None]
    z = numbers([0.2, 0.9, 0.1], [0.1, 0.2, 1.5], [0.6, 0, -1], [0.4, 1.2, -1])[None]
    quantized = quantizer(z)
    assert quantized.codes.tolist() == [[[0, 1], [1, 2], [2, 0]]]
    assert quantized.z[0].T.tolist() == [[0, 0, 1, 0], [1, 0, 0, 2], [0, 2, 0, 0]]
    assert quantized.loss.item() == pytest.approx(0.345833, abs=5e-7)
    assert quantized.code_perplexity.tolist() == pytest.approx([3, 3], abs=2e-6)
    assert quantized.prob_perplexity is None


def test_golden_gumbel():
    quantizer = GumbelQuantizer(6, 3, 2).double().eval()
    quantizer.initialise(seeded())
    quantizer.projection[0].weight.data = torch.eye(6, dtype=torch.float64)
    z = numbers([0.1, 0.7, 0.2, 1, 0, -1], [2, 0.5, 0.1, 0.3, 0.2, 0.9]).T[None]
    quantized = quantizer(z)
    assert quantized.codes.tolist() == [[[1, 0], [0, 2]]]
    assert quantized.prob_perplexity.sum().item() == pytest.approx(5.687797, abs=5e-7)
    assert quantized.code_perplexity.sum().item() == pytest.approx(4.0, abs=2e-6)
    assert quantized.loss.item() == 0


# --- what all have in common


@KINDS
@SHARED
@pytest.mark.parametrize("training", [False, True])
def test_padding_never_matters(kind, shared, training):
    results = []
    for steps, beyond in [(11, 0.0), (11, torch.nan), (30, torch.inf)]:
        quantizer = new(kind, shared=shared).train(training)
        z = batch(steps, beyond).requires_grad_()
        quantized = quantizer(z, LENGTHS, generator=seeded())
        even = 0 if quantized.prob_perplexity is None else quantized.prob_perplexity.sum()
        (quantized.z.sin().sum() + quantized.loss + even).backward()
        slopes = [p.grad for p in quantizer.parameters() if p.grad is not None]
        state = [*quantizer.state_dict().values()]
        cut = quantized.z[..., :11], quantized.codes[:, :11], z.grad[..., :11]
        results.append([*cut, *quantized[2:4], *slopes, *state])
        outside = torch.arange(steps) >= LENGTHS[:, None]
        for values in (quantized.z.mT, quantized.codes, z.grad.mT):
            assert not values[outside].any()
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            torch.testing.assert_close(b, a, rtol=1e-12, atol=1e-12)


@KINDS
def test_clips_are_quantized_alone(kind):
    quantizer, z = new(kind).eval(), batch()
    together = quantizer(z, LENGTHS)
    for i, n in enumerate(LENGTHS.tolist()):
        alone = quantizer(z[i : i + 1, :, :n])
        assert torch.equal(alone.codes[0], together.codes[i, :n])
        torch.testing.assert_close(alone.z[0], together.z[i, :, :n])


@KINDS
@pytest.mark.parametrize("training", [False, True])
def test_encode_tells_the_codes_without_noise(kind, training):
    quantizer = new(kind).train(training)
    codes = quantizer.encode(batch(), LENGTHS)
    assert codes.shape == (3, 11, N_GROUPS) and codes.dtype == torch.int64
    assert torch.equal(codes, quantizer.eval()(batch(), LENGTHS).codes)
    assert len(codes.unique()) > 1


@pytest.mark.parametrize("kind", [GumbelQuantizer, EMAQuantizer])
def test_the_generator_decides_alone(kind):
    def codes(seed):
        return new(kind).train()(batch(), LENGTHS, generator=seeded(seed)).codes

    assert torch.equal(codes(0), codes(0))
    assert not torch.equal(codes(0), codes(1))


@pytest.mark.parametrize("kind", [KMeansQuantizer, EMAQuantizer])
def test_of_equally_near_codes_the_first_wins(kind):
    params = {"project": False} if kind is KMeansQuantizer else {}
    quantizer = kind(4, 4, 2, shared=True, **params).eval()
    quantizer.table.data = torch.tensor([[0.0, 2], [2, 2], [0, 0], [2, 2]])[:, None]
    z = torch.tensor([[1.0, 1, 2, 2], [1, 0, 1, 2]]).T[None]
    assert quantizer(z).codes.tolist() == [[[0, 1], [2, 0]]]


def test_of_equally_likely_codes_the_first_wins():
    quantizer = GumbelQuantizer(2, 4, 2).eval()
    quantizer.initialise(seeded())
    quantizer.projection[0].weight.data.zero_()
    assert quantizer(torch.ones(1, 2, 1)).codes.tolist() == [[[0, 0]]]


def test_nearest_far_from_zero():
    generator = seeded()
    quantizer = KMeansQuantizer(8, 64, 1, project=False)
    quantizer.table.data = 100 + 0.001 * torch.randn(64, 1, 8, generator=generator)
    z = 100 + 0.001 * torch.randn(1, 8, 2000, generator=generator)
    distance = torch.cdist(z[0].T.double(), quantizer.table[:, 0].double())
    chosen = distance.gather(1, quantizer.encode(z)[0])[:, 0]
    # the values themselves are rounded to 7.6e-6; the choice may add next to nothing
    torch.testing.assert_close(chosen, distance.amin(1), rtol=1e-4, atol=0)


# --- Gumbel


@SHARED
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_gumbel_in_use_by_hand(shared, activation, depth):
    params = {"depth": depth, "activation": activation, "factor": 3}
    quantizer, z = new(GumbelQuantizer, shared=shared, **params).eval(), batch()
    quantized = quantizer(z, LENGTHS)
    logits = frames_of(z).reshape(-1, DIM)
    for i, layer in enumerate(quantizer.projection):
        if i:
            logits = getattr(torch.nn.functional, activation)(torch.tensor(logits)).numpy()
        logits = logits @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    logits = logits.reshape(-1, N_GROUPS, N_CODES)
    codes = logits.argmax(-1)
    assert_chosen(quantized, codes, table_of(quantizer))
    np.testing.assert_allclose(quantized.code_perplexity, usage_by_hand(codes), rtol=1e-6)
    expected = perplexity_by_hand(soft(logits).mean(0))
    np.testing.assert_allclose(quantized.prob_perplexity.detach(), expected, rtol=1e-12)


@SHARED
def test_gumbel_in_training_by_hand(shared):
    quantizer, z, tau = new(GumbelQuantizer, shared=shared).train(), batch(), 0.7
    z.requires_grad_()
    quantized = quantizer(z, LENGTHS, temperature=tau, generator=seeded(5))
    # drawn on the CPU for the valid frames, clip after clip
    u = torch.rand(22, N_GROUPS, N_CODES, generator=seeded(5)).double().numpy()
    weight = quantizer.projection[0].weight.detach().numpy()
    logits = (frames_of(z).reshape(-1, DIM) @ weight.T).reshape(u.shape)
    noisy = logits - np.log(-np.log(u))
    codes, p, table = noisy.argmax(-1), soft(noisy / tau), table_of(quantizer)
    assert (codes != logits.argmax(-1)).any()
    assert_chosen(quantized, codes, table)
    np.testing.assert_allclose(
        quantized.code_perplexity, usage_by_hand(logits.argmax(-1)), rtol=1e-6
    )
    np.testing.assert_allclose(
        quantized.prob_perplexity.detach(), perplexity_by_hand(soft(logits).mean(0)), rtol=1e-12
    )

    upstream = torch.randn(z.shape, generator=seeded(6), dtype=torch.float64)
    (quantized.z * upstream).sum().backward()
    slope = frames_of(upstream)
    to_table, to_logits = np.zeros(table.shape), np.zeros(p.shape)
    for n, g in np.ndindex(codes.shape):
        to_table[g, codes[n, g]] += slope[n, g]
        gain = table[g] @ slope[n, g]  # of choosing each code
        to_logits[n, g] = p[n, g] * (gain - p[n, g] @ gain) / tau
    if shared:
        to_table = to_table.sum(0)
    np.testing.assert_allclose(quantizer.table.grad.flatten(), to_table.ravel(), atol=1e-6)
    to_frames = to_logits.reshape(len(codes), -1) @ weight
    np.testing.assert_allclose(frames_of(z.grad).reshape(-1, DIM), to_frames, atol=1e-5)


def test_gumbel_chooses_as_often_as_probable():
    quantizer = new(GumbelQuantizer).train()
    z = batch()[:1, :, :1]
    p = quantizer._logits(z, torch.ones(1, 1, dtype=torch.bool)).softmax(-1)[0]
    codes = quantizer(z.expand(1, DIM, 20_000), generator=seeded(), temperature=0.5).codes[0]
    share = torch.stack([(codes == code).double().mean(0) for code in range(N_CODES)], dim=1)
    # four standard errors of a share
    assert ((share - p).abs() <= 4 * (p * (1 - p) / 20_000).sqrt()).all()


def test_diversity_has_a_gradient():
    quantizer = new(GumbelQuantizer).train()
    quantizer(batch(), LENGTHS, generator=seeded()).prob_perplexity.sum().backward()
    assert quantizer.projection[0].weight.grad.any()


# --- k-means


@SHARED
@pytest.mark.parametrize("training", [False, True])
def test_k_means_by_hand(shared, training):
    quantizer = new(KMeansQuantizer, shared=shared, gamma=0.3).train(training)
    with torch.no_grad():
        quantizer.table.mul_(100)
        quantizer.norm.weight.normal_(generator=seeded(7))
        quantizer.norm.bias.normal_(generator=seeded(8))
    quantized = quantizer(batch(), LENGTHS)

    kernel = quantizer.projection.weight.detach().numpy()[..., 0].reshape(N_GROUPS, WIDTH, WIDTH)
    scale, shift = (
        p.detach().numpy().reshape(N_GROUPS, WIDTH) for p in quantizer.norm.parameters()
    )
    frames, start = np.einsum("gij,ngj->ngi", kernel, frames_of(batch())), 0
    for n in LENGTHS.tolist():
        clip = frames[start : start + n]  # a view
        clip -= clip.mean((0, 2), keepdims=True)
        clip /= np.sqrt(clip.var((0, 2), keepdims=True) + 1e-5)
        clip[:] = clip * scale + shift
        start += n
    table = table_of(quantizer)
    codes = nearest_by_hand(frames, table)
    assert len({*codes.ravel()}) > 2
    assert_chosen(quantized, codes, table)
    square = ((frames - frames_of(quantized.z)) ** 2).mean()
    assert quantized.loss.item() == pytest.approx(1.3 * square, rel=1e-12)
    np.testing.assert_allclose(quantized.code_perplexity, usage_by_hand(codes), rtol=1e-6)


@SHARED
def test_k_means_gradients(shared):
    quantizer = new(KMeansQuantizer, shared=shared, project=False, gamma=0.3)
    z = batch().requires_grad_()
    quantized = quantizer(z, LENGTHS)
    upstream = torch.randn(z.shape, generator=seeded(6), dtype=torch.float64)
    ((quantized.z * upstream).sum() + 5 * quantized.loss).backward()

    frames, table = frames_of(z), table_of(quantizer)
    to_table, to_frames = np.zeros(table.shape), frames_of(upstream).copy()
    for (n, g), code in np.ndenumerate(nearest_by_hand(frames, table)):
        gap = 5 * 2 * (frames[n, g] - table[g, code]) / frames.size
        to_frames[n, g] += 0.3 * gap
        to_table[g, code] -= gap
    if shared:
        to_table = to_table.sum(0, keepdims=True)
    np.testing.assert_allclose(frames_of(z.grad), to_frames, atol=1e-12)
    np.testing.assert_allclose(quantizer.table.grad, to_table.swapaxes(0, 1), atol=1e-12)


# --- starts from real frames


@KINDS
@SHARED
def test_started_codes_are_those_of_the_nearest_of_some_frames(kind, shared):
    options = {"project": False} if kind is KMeansQuantizer else {}
    quantizer, z = new(kind, shared=shared, **options), batch()
    quantizer.start(z, LENGTHS, seeded(2))
    table, frames = table_of(quantizer), frames_of(z)
    for g in range(N_GROUPS):
        known = frames.reshape(-1, WIDTH) if shared else frames[:, g]
        assert all((np.abs(known - vector).max(axis=1) < 1e-12).any() for vector in table[g])
        assert len(np.unique(table[g], axis=0)) == N_CODES
    codes = quantizer.eval()(z, LENGTHS)
    np.testing.assert_array_equal(codes_of(codes), nearest_by_hand(frames, table))


def test_started_logits_are_as_spread_as_drawn_ones():
    quantizer, z = new(GumbelQuantizer), batch(beyond=0.0)
    quantizer.start(z, LENGTHS, seeded(2))
    (projection,) = quantizer.projection
    logits = torch.from_numpy(frames_of(z).reshape(-1, DIM)) @ projection.weight.T + projection.bias
    assert logits.std().item() == pytest.approx(5, rel=0.01)


def test_started_k_means_lets_frames_pass():
    # normalised over each clip, of which there is only one here
    quantizer, z = new(KMeansQuantizer), batch()[:1]
    quantizer.start(z, LENGTHS[:1], seeded(2))
    passed = quantizer._quantized_frames(z, LENGTHS[:1], torch.ones(1, 11, dtype=torch.bool))
    torch.testing.assert_close(passed.flatten(1), z[0].T, rtol=0.02, atol=0.02)


def test_a_start_needs_a_generator():
    with pytest.raises(ValueError, match="pass generator"):
        new(KMeansQuantizer).start(batch(), LENGTHS, None)
