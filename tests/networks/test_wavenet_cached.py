"""The sampler's predictions, from cached inputs, are those that the network makes of clips."""

import numpy as np
import pytest
import torch

from skaudio._engine.generation import Sampler
from tests.networks.test_wavenet_network import CONDITIONS, VARIANTS, conditions, new, sequences

N = 40  # samples, of which the networks see at most 36
CASES = [
    *((variant, "none", "shift-in") for variant in VARIANTS),
    *(("default", condition, "shift-in") for condition in CONDITIONS if condition != "none"),
    *(("kernel 3", condition, "primed") for condition in ("none", "label", "frames")),
    ("logistic", "all", "shift-in"),
    ("logistic", "none", "primed"),
]


def rows_of(network, label, frames, codes):
    """Biases (rows, B, L, 2 D) of all samples, or None, and samples per row."""
    contexts = network.conditioning.contexts
    if not contexts:
        hop = 1 if network.conditioning.upsampling == "learnt" else network.condition_hop
        return network.biases(label, frames)[0], hop if frames is not None else None
    rows = []
    for t in range(0, N, 3):  # block by block, of what was heard before
        own = None if frames is None else frames[..., t // 3 : t // 3 + 1]
        rows.append(network.biases(label, own, codes[:, :t])[0])
    return torch.cat(rows), 3


def cached(network, codes, rows, hop, **options):
    """Predictions (B, K, T), each made just before its sample is heard."""
    sampler, found = Sampler(network.stack(), len(codes), **options), []
    for t in range(codes.shape[1]):
        row = None if rows is None else rows[t // hop if hop else 0][None].numpy()
        found.append(sampler.predict((row, None)))
        sampler.prime(codes[:, t : t + 1].numpy(), (row, None))
    return np.stack(found, axis=2)


@torch.no_grad()
@pytest.mark.parametrize(
    ("engine", "variant", "condition", "layout"),
    [*((None, *case) for case in CASES), *(("torch", *case) for case in CASES[-3:])],
)
def test_cached_predictions_are_those_of_whole_clips(engine, variant, condition, layout):
    network = new(**VARIANTS[variant], **CONDITIONS[condition], layout=layout)
    codes, given = sequences(network, 3, N), conditions(network, 3, N)
    expected = network.predictions(codes, *given).numpy()
    rows, hop = rows_of(network, *given, codes)
    found = cached(network, codes, rows, hop, engine=engine, dtype=np.float64)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    alone = cached(
        network,
        codes[1:2],
        None if rows is None else rows[:, 1:2],
        hop,
        engine=engine,
        dtype=np.float64,
    )
    np.testing.assert_allclose(alone[0], found[1], rtol=0, atol=1e-12)
    rough = cached(network, codes, rows, hop, engine=engine)
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(rough / scale, expected / scale, rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("layout", ["shift-in", "primed"])
def test_rows_of_biases_may_be_given_at_once(layout):
    network = new(**CONDITIONS["frames"], layout=layout)
    codes, given = sequences(network, 2, N), conditions(network, 2, N)
    rows, hop = rows_of(network, *given, codes)
    sampler = Sampler(network.stack(), 2, engine="torch", dtype=np.float64)
    sampler.prime(codes[:, :-1].numpy(), (rows.numpy(), None), hop)
    last = network.predictions(codes, *given)[..., -1]
    np.testing.assert_allclose(sampler.predict((rows[-1:].numpy(), None)), last, atol=1e-12)
