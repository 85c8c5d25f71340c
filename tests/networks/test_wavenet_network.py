"""WaveNet against the facts of the paper and of three published implementations."""

import itertools
import math

import numpy as np
import pytest
import torch

from skaudio.networks.wavenet import SIZES, WaveNet

SMALL = {"dilations": (1, 2, 4, 1, 2), "residual_channels": 4, "gate_channels": 5,
         "skip_channels": 6}  # fmt: skip


def new(seed=0, **options):
    """A float64 network, all weights and biases random."""
    network = WaveNet(**{**SMALL, **options}).double()
    generator = torch.Generator().manual_seed(seed)
    for p in network.parameters():
        p.data.normal_(0, 0.5, generator=generator)
    return network.eval()


@torch.no_grad()
@pytest.mark.parametrize("label", [None, 1])
@pytest.mark.parametrize("n_samples", [1, 2, 4])
def test_probabilities_of_all_sequences_sum_to_one(n_samples, label):
    network = new(n_classes=4, n_labels=0 if label is None else 3)
    every = torch.tensor([*itertools.product(range(4), repeat=n_samples)])
    labels = None if label is None else torch.full((len(every),), label)
    scores = network.log_prob(network.predictions(every, labels), every).sum(1)
    assert float(scores.exp().sum()) == pytest.approx(1, abs=1e-12)


@torch.no_grad()
def test_untrained_cross_entropy():
    network = WaveNet(**SIZES["tiny"])
    network.initialise(torch.Generator().manual_seed(0))
    wave = torch.from_numpy(0.1 * np.random.default_rng(0).standard_normal((2, 4000))).float()
    codes = network.codes(wave)
    nats = -network.log_prob(network.predictions(codes), codes).mean()
    assert float(nats) == pytest.approx(math.log(256), abs=0.02)
