"""The task that trains a network to predict each sample."""

import math

import numpy as np
import pytest
import torch

from skaudio.networks.wavenet import WaveNet
from skaudio.training import CropBatch
from skaudio.training.likelihood import NextSample

SMALL = {"residual_channels": 4, "gate_channels": 4, "skip_channels": 8}


def network(n_classes=16, **params):
    made = WaveNet((1, 2), n_classes=n_classes, **SMALL, **params)
    made.initialise(torch.Generator().manual_seed(0))
    return made


def batch(n=3, length=50, target=None):
    wave = 0.3 * torch.randn(n, length, generator=torch.Generator().manual_seed(1))
    return CropBatch(wave, torch.full((n,), 1 / n), torch.arange(n), target)


def test_loss_is_the_sum_over_all_samples_in_nats_and_bits():
    model, crops = network(), batch()
    outcome = NextSample(model)(crops)
    codes = model.codes(crops.wave)
    log_p = model.double().predictions(codes).log_softmax(dim=1)  # (B, K, T)
    expected = -log_p.gather(1, codes[:, None]).sum()
    assert outcome.n == 150
    torch.testing.assert_close(outcome.loss.double(), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(outcome.scores["bits"].double(), expected / math.log(2))
    assert outcome.loss.requires_grad and not outcome.scores["bits"].requires_grad


def test_labels_are_the_targets_of_the_batch():
    model = network(n_labels=2)
    losses = {}
    for target in ([0, 0, 0], [1, 1, 1], [0, 1, 0]):
        outcome = NextSample(model)(batch(target=torch.tensor(target)))
        losses[tuple(target)] = outcome.loss.item()
    assert len({*losses.values()}) == 3
    whole = batch(target=torch.tensor([0, 1, 0]))
    rows = [
        NextSample(model)(whole._make(part if part is None else part[i : i + 1] for part in whole))
        for i in range(3)
    ]
    assert sum(row.loss.item() for row in rows) == pytest.approx(losses[0, 1, 0], rel=1e-6)


def test_targets_are_not_read_without_labels():
    model = network()
    with_target = NextSample(model)(batch(target=torch.tensor([0, 1, 0])))
    assert with_target.loss.item() == NextSample(model)(batch()).loss.item()


def test_frames_come_from_the_crops():
    model, heard = network(n_conditions=2, condition_hop=10), []

    def conditions(wave):
        heard.append(wave)
        return wave.unflatten(1, (-1, 10)).mean(2)[:, None].expand(-1, 2, -1)

    crops = batch()
    loss = NextSample(model, conditions)(crops).loss
    assert heard[0] is crops.wave
    assert loss.item() != NextSample(model, lambda wave: 0 * conditions(wave))(crops).loss.item()


@pytest.mark.parametrize("n_classes", [16, 256])
def test_chance_is_the_uniform_distribution(n_classes):
    task = NextSample(network(n_classes))
    assert task.chance == math.log(n_classes)
    for name, p in task.network.named_parameters():
        if name.startswith("out"):
            p.data.zero_()
    outcome = task(batch())
    assert outcome.loss.item() / outcome.n == pytest.approx(task.chance, rel=1e-6)
    assert outcome.scores["bits"].item() / outcome.n == pytest.approx(np.log2(n_classes), rel=1e-6)


def test_any_crop_is_long_enough_and_memory_grows_with_it():
    task = NextSample(network())
    assert task.min_samples == 1
    assert math.isfinite(task(batch(length=1)).loss.item())
    assert task.memory(2, 1000) == 2 * task.memory(1, 1000) == task.memory(1, 2000) > 0
    # at least the logits and their gradients
    assert task.memory(1, 1000) > 8 * 1000 * 16
