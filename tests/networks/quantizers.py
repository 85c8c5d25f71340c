"""The quantisers by hand, frame by frame in float64, and batches to feed them with."""

import numpy as np
import pytest
import torch

from skaudio.networks.vq import (
    EMAQuantizer,
    GumbelQuantizer,
    KMeansQuantizer,
)

DIM, N_CODES, N_GROUPS, WIDTH = 6, 5, 2, 3
LENGTHS = torch.tensor([11, 4, 7])
KINDS = pytest.mark.parametrize(
    "kind",
    [
        GumbelQuantizer,
        KMeansQuantizer,
        EMAQuantizer,
    ],
)
SHARED = pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def new(kind, *, shared=False, **params):
    quantizer = kind(DIM, N_CODES, N_GROUPS, shared=shared, **params).double()
    quantizer.initialise(seeded())
    return quantizer


def batch(steps=11, beyond=torch.nan):
    """Three clips (3, DIM, steps) of LENGTHS; what follows them must not matter."""
    generator = seeded(1)
    z = torch.full((3, DIM, steps), beyond, dtype=torch.float64)
    for clip, n in zip(z, LENGTHS.tolist(), strict=True):
        clip[:, :n] = torch.randn(DIM, n, generator=generator, dtype=torch.float64)
    return z


def frames_of(z):
    """Valid frames (N, G, D) of a batch, clip after clip."""
    clips = [clip[:, :n].T for clip, n in zip(z.detach().numpy(), LENGTHS.tolist(), strict=True)]
    return np.concatenate(clips).reshape(-1, N_GROUPS, WIDTH)


def codes_of(quantized):
    """Codes (N, G) of the valid frames."""
    pairs = zip(quantized.codes, LENGTHS.tolist(), strict=True)
    return np.concatenate([codes[:n].numpy() for codes, n in pairs])


def table_of(quantizer):
    """Vectors (G, V, D) of each group."""
    table = quantizer.table.detach().numpy()
    if isinstance(quantizer, GumbelQuantizer):
        table = table.reshape(-1, N_CODES, WIDTH)
    else:
        table = table.swapaxes(0, 1)
    return np.broadcast_to(table, (N_GROUPS, N_CODES, WIDTH))


def nearest_by_hand(frames, table):
    return np.array(
        [
            [np.argmin([((part - e) ** 2).sum() for e in table[g]]) for g, part in enumerate(frame)]
            for frame in frames
        ]
    )


def perplexity_by_hand(p):
    return np.exp(-np.sum(p * np.log(p + 1e-7), -1))


def usage_by_hand(codes):
    p = np.array([np.bincount(column, minlength=N_CODES) / len(codes) for column in codes.T])
    return perplexity_by_hand(p)


def assert_chosen(quantized, codes, table):
    """The codes are these, and z holds their vectors."""
    np.testing.assert_array_equal(codes_of(quantized), codes)
    chosen = np.array([[table[g][code] for g, code in enumerate(frame)] for frame in codes])
    np.testing.assert_array_equal(frames_of(quantized.z), chosen)


def soft(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def numbers(*rows):
    return torch.tensor(rows, dtype=torch.float64)
