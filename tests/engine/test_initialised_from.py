"""Initial weights come from a generator of their own, whatever layers of torch draw them."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

from skaudio._engine.weights import initialised_from, to_numpy


def embedded():
    embedding = nn.Embedding(5, 3)
    nn.init.sparse_(embedding.weight, 0.5)
    return embedding


def by_functions():
    layer = nn.Linear(6, 6)
    layer.noise = nn.Parameter(torch.randn(4) + torch.rand(4))
    layer.like = nn.Parameter(torch.randn_like(layer.weight) + torch.rand_like(layer.weight))
    layer.order = nn.Parameter(torch.randperm(9).float())
    layer.whole = nn.Parameter(torch.randint(100, (5,)).float())
    layer.among = nn.Parameter(torch.randint_like(layer.weight, 100))
    layer.sparse = nn.Parameter(torch.bernoulli(torch.full((50,), 0.5)))
    layer.hits = nn.Parameter(torch.binomial(torch.full((50,), 9.0), torch.full((50,), 0.5)))
    layer.events = nn.Parameter(torch.poisson(torch.full((50,), 3.0)))
    layer.normal = nn.Parameter(torch.normal(0.0, 1.0, (3,)))
    layer.some = nn.Parameter(torch.multinomial(torch.ones(30), 5).float())
    return layer


def in_place():
    layer = nn.Linear(6, 6)
    with torch.no_grad():
        layer.weight.uniform_(-1, 1)
        layer.bias.normal_()
    layer.one = nn.Parameter(torch.empty(9).exponential_())
    layer.two = nn.Parameter(torch.empty(9).cauchy_())
    layer.three = nn.Parameter(torch.empty(9).log_normal_())
    layer.four = nn.Parameter(torch.empty(9).geometric_(0.1))
    layer.five = nn.Parameter(torch.empty(9).bernoulli_(0.5))
    layer.six = nn.Parameter(torch.empty(9).random_(100))
    return layer


def by_initialisers():
    layer = nn.Conv2d(4, 6, 3)
    for name in ("uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "xavier_normal_"):
        weight = nn.Parameter(torch.empty(8, 5))
        layer.register_parameter(name, getattr(nn.init, name)(weight))
    for name in ("kaiming_uniform_", "kaiming_normal_", "orthogonal_"):
        weight = nn.Parameter(torch.empty(8, 5))
        layer.register_parameter(name, getattr(nn.init, name)(weight))
    return layer


MAKERS = {
    "Linear": lambda: nn.Linear(7, 5),
    "Conv1d": lambda: nn.Conv1d(3, 4, 5),
    "ConvTranspose2d": lambda: nn.ConvTranspose2d(3, 4, 5),
    "LSTM": lambda: nn.LSTM(4, 3, num_layers=2, bidirectional=True, dropout=0.5),
    "GRU": lambda: nn.GRU(4, 3),
    "Bilinear": lambda: nn.Bilinear(3, 4, 5),
    "MultiheadAttention": lambda: nn.MultiheadAttention(8, 2),
    "TransformerEncoderLayer": lambda: nn.TransformerEncoderLayer(8, 2, 16),
    "Embedding": embedded,
    "functions": by_functions,
    "in place": in_place,
    "initialisers": by_initialisers,
}


def made(make, seed):
    with initialised_from(torch.Generator().manual_seed(seed)):
        return to_numpy(make())


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_weights_come_from_the_generator_alone(make):
    before = torch.get_rng_state()
    first, second, other = made(make, 0), made(make, 0), made(make, 1)
    assert torch.equal(torch.get_rng_state(), before)
    drawn = [name for name, array in first.items() if len(np.unique(array)) > 1]
    assert drawn
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])
    for name in drawn:
        assert not np.array_equal(first[name], other[name]), name


def test_layers_follow_each_other_on_one_generator():
    two = made(lambda: nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)]), 0)
    assert not np.array_equal(two["0.weight"], two["1.weight"])
    np.testing.assert_array_equal(two["0.weight"], made(lambda: nn.Linear(4, 4), 0)["weight"])


def test_a_generator_of_ones_own_is_respected():
    weight = torch.empty(5)
    with initialised_from(torch.Generator().manual_seed(0)):
        nn.init.normal_(weight, generator=torch.Generator().manual_seed(3))
    expected = torch.empty(5).normal_(generator=torch.Generator().manual_seed(3))
    assert torch.equal(weight, expected)


def test_outside_of_the_context_torch_is_as_ever():
    with initialised_from(torch.Generator().manual_seed(0)):
        nn.Linear(3, 3)
    before = torch.get_rng_state()
    nn.Linear(3, 3)
    assert not torch.equal(torch.get_rng_state(), before)


def test_without_a_generator_nothing_moves_either():
    before = torch.get_rng_state()
    with initialised_from(None):
        nn.Linear(3, 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_threads_do_not_share_generators():
    wanted = {seed: made(lambda: nn.Linear(50, 50), seed) for seed in range(4)}
    found, start = {}, threading.Barrier(4)

    def work(seed):
        start.wait()
        for _ in range(20):
            found.setdefault(seed, []).append(made(lambda: nn.Linear(50, 50), seed))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, many in found.items():
        assert len(many) == 20
        for one in many:
            np.testing.assert_array_equal(one["weight"], wanted[seed]["weight"])


def test_another_thread_draws_as_ever_meanwhile():
    state = []

    def work():
        before = torch.get_rng_state()
        torch.rand(3)
        state.append(not torch.equal(torch.get_rng_state(), before))

    with initialised_from(torch.Generator().manual_seed(0)):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert state == [True]
