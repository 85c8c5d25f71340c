"""What Classification does to its crops in training, against float64."""

import numpy as np
import pytest
import torch
from torch import nn

from skaudio import augment
from skaudio.frontends import Chain, Standardize, Wave
from skaudio.networks import sample_level
from skaudio.training import Classification, CropBatch

N_CLASSES = 3


def new_task(**params):
    """A task on a small network, of weights that are not zero."""
    generator = torch.Generator().manual_seed(0)
    network = sample_level.SampleLevel(4, [0, 2])
    task = Classification(network, N_CLASSES, Chain(Wave(), Standardize()), **params)
    for parameter in task.parameters():
        parameter.data = 0.5 * torch.randn(parameter.shape, generator=generator)
    task.generator.manual_seed(5)
    return task


def new_batch(n=6):
    generator = torch.Generator().manual_seed(1)
    wave = torch.randn(n, 500, generator=generator)
    return CropBatch(wave, torch.ones(n) / n, torch.arange(n), torch.arange(n) % N_CLASSES)


def vectors(task, x):
    """Pooled maps (B, D) in float64."""
    lengths = torch.full((len(x),), x.shape[2])
    with torch.no_grad():
        maps = task.network(x, lengths)
    return np.concatenate([y.double().numpy().mean(2) for y, _ in maps], axis=1)


def log_probabilities(task, z):
    """Logarithms of probabilities (B, n_classes) of vectors in training, in float64."""
    z = (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5)
    weight, bias = (p.detach().double().numpy() for p in task.head.parameters())
    logits = z @ weight.T / np.sqrt(z.shape[1]) + bias
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def test_mixed_crops_count_for_both_classes():
    task, batch = new_task(mixup=0.7).train(), new_batch()
    x, _ = task.frontend(batch.wave, torch.full((6,), 500))
    x, partner, share = augment.mixup(x, torch.Generator().manual_seed(5), alpha=0.7)
    assert not torch.equal(partner, torch.arange(6))
    log_p = log_probabilities(task, vectors(task, x))
    y, other, share = batch.target.numpy(), batch.target[partner].numpy(), share.double().numpy()
    rows = np.arange(6)
    outcome = task(batch)
    expected = -(share * log_p[rows, y] + (1 - share) * log_p[rows, other]).sum()
    assert outcome.loss.item() == pytest.approx(expected, rel=1e-4)
    guesses = log_p.argmax(1)
    hits = (share * (guesses == y) + (1 - share) * (guesses == other)).sum()
    assert outcome.scores["accuracy"].item() == pytest.approx(hits, rel=1e-5)


def test_masked_crops():
    task, batch = new_task(spec_augment=0.6).train(), new_batch()
    x, lengths = task.frontend(batch.wave, torch.full((6,), 500))
    widths = {"time_width": 0.6, "freq_width": 0.6}
    masked = augment.spec_augment(x, lengths, torch.Generator().manual_seed(5), **widths)
    assert not torch.equal(masked, x)
    log_p = log_probabilities(task, vectors(task, masked))
    expected = -log_p[np.arange(6), batch.target.numpy()].sum()
    assert task(batch).loss.item() == pytest.approx(expected, rel=1e-4)


def test_validation_hears_the_crops_as_they_are():
    task, plain, batch = (
        new_task(mixup=0.7, spec_augment=0.6).eval(),
        new_task().eval(),
        new_batch(),
    )
    state = task.generator.get_state()
    assert task(batch).loss.item() == plain(batch).loss.item()
    assert torch.equal(task.generator.get_state(), state)


def test_next_to_nothing_is_known_at_first_and_the_network_learns_from_it():
    task = Classification(sample_level.SampleLevel(4, [0]), N_CLASSES, y=np.array([0, 1, 2]))
    for parameter in task.network.parameters():
        nn.init.ones_(parameter)
    loss = task(new_batch()).loss
    assert loss.item() / 6 == pytest.approx(np.log(3), rel=0.02)
    loss.backward()
    assert all(p.grad.any() for p in task.network.parameters())
    assert task.chance == pytest.approx(np.log(3))


def test_what_compares_crops_is_not_divided():
    assert not new_task().divisible
    head = nn.Linear(new_task().width, N_CLASSES)
    assert new_task(head=head).divisible
    assert not new_task(head=head, mixup=0.2).divisible


def test_crops_are_distorted_before_anything_else_and_in_training_only():
    heard, batch = [], new_batch()
    task = new_task(distortions=[(augment.gain, 0.5), augment.add_noise])
    task.frontend.register_forward_hook(lambda _, given, x: heard.append(given[0]))
    task.train()(batch)
    expected = augment.distort(
        batch.wave, torch.Generator().manual_seed(5), [(augment.gain, 0.5), augment.add_noise]
    )
    assert torch.equal(heard[0], expected) and not torch.equal(expected, batch.wave)
    state = task.generator.get_state()
    task.eval()(batch)
    assert torch.equal(heard[1], batch.wave) and torch.equal(task.generator.get_state(), state)
    # without distortions there is nothing to draw
    clean = new_task().train()
    state = clean.generator.get_state()
    clean(batch)
    assert torch.equal(clean.generator.get_state(), state)
