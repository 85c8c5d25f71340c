"""The quantiser of moving averages, recomputed in float64."""

import numpy as np
import pytest
import torch

from skaudio.networks import ema
from skaudio.networks.vq import EMAQuantizer
from tests.networks.quantizers import (
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
    seeded,
    table_of,
    usage_by_hand,
)


def started(**params):
    """A quantiser whose table, counts and sums are given, not learnt from a first batch."""
    quantizer = new(EMAQuantizer, **params).train()
    quantizer.counts.uniform_(1.0, 2.0, generator=seeded(3))
    quantizer.sums.copy_(quantizer.table * quantizer.counts[..., None])
    return quantizer


@SHARED
def test_moving_average_by_hand(shared):
    quantizer = started(shared=shared, decay=0.5, least_count=3.0)
    counts, sums = quantizer.counts.numpy().copy(), quantizer.sums.numpy().copy()
    draws = seeded(4)
    n_tables, revived = 1 if shared else 2, 0
    generator = seeded(4)
    for step in range(4):
        z, before = batch() + 0.1 * step, table_of(quantizer).copy()
        quantized = quantizer(z, LENGTHS, generator=generator)
        frames = frames_of(z)
        codes = nearest_by_hand(frames, before)
        assert_chosen(quantized, codes, before)
        np.testing.assert_allclose(quantized.code_perplexity, usage_by_hand(codes), rtol=1e-6)
        n, m = np.zeros(counts.shape), np.zeros(sums.shape)
        for (i, g), code in np.ndenumerate(codes):
            n[code, g % n_tables] += 1
            m[code, g % n_tables] += frames[i, g]
        counts, sums = 0.5 * counts + 0.5 * n, 0.5 * sums + 0.5 * m
        total = counts.sum(0)
        table = sums / ((counts + 1e-5) / (total + N_CODES * 1e-5) * total)[..., None]
        # a dead code takes the place of a frame; the draw does not hang on which are dead
        points = frames.reshape(-1, n_tables, WIDTH)
        drawn = torch.randint(len(points), (N_CODES, n_tables), generator=draws).numpy()
        for code, t in np.argwhere(counts < 3):
            table[code, t] = points[drawn[code, t], t]
            counts[code, t], sums[code, t] = 3, 3 * table[code, t]
            revived += 1
        np.testing.assert_allclose(quantizer.table, table, atol=1e-12)
        np.testing.assert_allclose(quantizer.counts, counts, atol=1e-12)
        np.testing.assert_allclose(quantizer.sums, sums, atol=1e-12)
    assert 0 < revived < 4 * counts.size


def test_without_memory_an_update_is_a_step_of_k_means(monkeypatch):
    monkeypatch.setattr(ema, "EPSILON", 0.0)
    quantizer = started(decay=0.0, least_count=0.0)
    z = batch()
    quantized = quantizer(z, LENGTHS, generator=seeded())
    frames, codes = frames_of(z), codes_of(quantized)
    for code, g in np.ndindex(N_CODES, N_GROUPS):
        mine = frames[codes[:, g] == code, g]
        if len(mine):
            np.testing.assert_allclose(quantizer.table[code, g], mine.mean(0), atol=1e-12)


def test_moving_average_passes_gradients_to_the_frames_only():
    quantizer, z = started(beta=0.3), batch().requires_grad_()
    table = table_of(quantizer).copy()
    quantized = quantizer(z, LENGTHS, generator=seeded())
    upstream = torch.randn(z.shape, generator=seeded(6), dtype=torch.float64)
    ((quantized.z * upstream).sum() + 5 * quantized.loss).backward()
    frames, expected, square = frames_of(z), frames_of(upstream).copy(), 0.0
    for (n, g), code in np.ndenumerate(codes_of(quantized)):
        gap = frames[n, g] - table[g, code]
        square += (gap**2).sum()
        expected[n, g] += 5 * 2 * 0.3 * gap / frames.size
    np.testing.assert_allclose(frames_of(z.grad), expected, atol=1e-12)
    assert quantized.loss.item() == pytest.approx(0.3 * square / frames.size, rel=1e-12)
    assert not any(value.requires_grad for value in quantizer.buffers())


def test_only_training_moves_the_table():
    quantizer = started().eval()
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    generator = seeded()
    quantizer(batch(), LENGTHS, generator=generator)
    quantizer.train().encode(batch(), LENGTHS)
    for name, value in quantizer.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert torch.equal(generator.get_state(), seeded().get_state())


@SHARED
def test_first_batch_starts_the_table_far_apart(shared):
    # five tight clusters per table: a code for each, whatever the draw
    centres = 100 * torch.randn(N_CODES, N_GROUPS, WIDTH, generator=seeded(), dtype=torch.float64)
    if shared:
        centres = centres[:, :1].expand_as(centres)
    labels = torch.arange(50) % N_CODES
    for seed in range(10):
        noise = torch.randn(50, N_GROUPS, WIDTH, generator=seeded(1), dtype=torch.float64)
        z = (centres[labels] + 1e-3 * noise).flatten(1).T[None]
        quantizer = new(EMAQuantizer, shared=shared).train()
        codes = quantizer(z, generator=seeded(seed)).codes[0]
        for g in range(N_GROUPS):
            pairs = {*zip(labels.tolist(), codes[:, g].tolist(), strict=True)}
            assert len(pairs) == N_CODES == len({code for _, code in pairs})
        assert quantizer.counts.min() >= 1
        quantizer.initialise(seeded())
        assert not quantizer.counts.any()


def test_start_from_fewer_frames_than_codes():
    quantizer = EMAQuantizer(2, 8, 1).train()
    z = torch.tensor([[0.0, 1, 5], [0, 0, 5]])[None]
    quantized = quantizer(z, generator=seeded())
    torch.testing.assert_close(quantized.z, z)
    assert len(quantized.codes.unique()) == 3
    assert quantizer.table.isfinite().all() and quantizer.table.abs().max() < 5.1


def test_codes_stay_among_the_frames_from_the_start():
    # counts that began at zero would throw unused codes far out at the first update
    quantizer = EMAQuantizer(8, 64, 1, least_count=0.0).train()
    generator = seeded()
    z = torch.randn(1, 8, 100, generator=generator)
    quantizer(z, generator=generator)
    z = z[..., :3]
    for _ in range(20):
        quantizer(z, generator=generator)
    assert quantizer.table.norm(dim=-1).max() < 6


def test_dead_codes_come_back_into_use():
    def n_used(least_count):
        generator = seeded()
        quantizer = EMAQuantizer(2, 16, 1, least_count=least_count, decay=0.5).train()
        quantizer(torch.full((1, 2, 200), 100.0), generator=generator)  # all codes in one place
        for _ in range(10):
            z = torch.randn(1, 2, 200, generator=generator)
            codes = quantizer(z, generator=generator).codes
        return len(codes.unique())

    assert n_used(0.0) == 1
    assert n_used(1.0) >= 15
