"""Optimizers of tasks: several in a rhythm, groups with rates of their own, schedules, norms."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skaudio.audio import Clips
from skaudio.training._train import Data, train
from tests.training.helpers import Fails, Stop, noise
from tests.training.toys import RECIPE, Adversarial, Sum

CLIPS = Clips(noise(*[1000] * 8), 1000)  # ten batches an epoch: no whole number of cycles
LONGER = replace(RECIPE, max_epochs=3)


def test_critic_and_generator_take_turns():
    task = Adversarial()
    train(task, Data(CLIPS), LONGER, 0, "")
    assert task.turns == [(0, 0, 0, 0, 0, 1)[i % 6] for i in range(30)]
    for turn, before, after in zip(task.turns, task.weights, task.weights[1:], strict=False):
        critic_moves, generator_moves = (a != b for a, b in zip(before, after, strict=True))
        assert (critic_moves, generator_moves) == (turn == 0, turn == 1)


def test_without_a_rhythm_all_make_every_update():
    class Together(Adversarial):
        rhythm = None

    task = Together()
    train(task, Data(CLIPS), RECIPE, 0, "")
    assert {*task.turns} == {None}
    for before, after in zip(task.weights, task.weights[1:], strict=False):
        assert all(a != b for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("epoch", [2, 3])
def test_a_training_goes_on_in_the_middle_of_a_cycle(tmp_path, epoch):
    recipe = replace(LONGER, checkpoint=tmp_path, validation_fraction=0.2)
    whole, rest = Adversarial(), Adversarial()
    wanted = train(whole, Data(CLIPS), replace(recipe, checkpoint=None), 0, "")
    with pytest.raises(Stop):
        train(Adversarial(), Data(CLIPS), replace(recipe, callbacks=[Fails(epoch)]), 0, "")
    found = train(rest, Data(CLIPS), recipe, 0, "")
    done = len(whole.turns) - len(rest.turns)
    assert done == found[epoch - 2]["updates"] and done % 6  # in the middle
    assert rest.turns == whole.turns[done:]
    assert rest.weights == whole.weights[done:]
    for name, tensor in whole.state_dict().items():
        assert torch.equal(rest.state_dict()[name], tensor)
    for row, other in zip(found, wanted, strict=True):
        assert {**row, "seconds": 0} == {**other, "seconds": 0}


class Rates(Callback):
    """Note the learning rates with which each update is made."""

    def initialize(self):
        self.rates = []
        return self

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        if training:
            self.rates.append([group["lr"] for group in net.optimizer_.param_groups])


class Groups(Sum):
    """Two groups of weights at one and a tenth of the rate, by one optimizer."""

    def __init__(self):
        super().__init__()
        self.offset = torch.nn.Parameter(torch.zeros(1))

    def optimizers(self, learning_rate):
        groups = [
            {"params": self.network.parameters()},
            {"params": [self.offset], "lr": learning_rate / 10},
        ]
        return [torch.optim.SGD(groups, lr=learning_rate, momentum=0.9)]

    def forward(self, batch):
        outcome = super().forward(batch)
        return outcome._replace(loss=outcome.loss + len(batch.wave) * (self.offset - 1).square()[0])


def test_groups_keep_the_ratio_of_their_rates(tmp_path):
    recipe, seen = replace(LONGER, learning_rate=1e-3), Rates()
    wanted = train(Groups(), Data(CLIPS), replace(recipe, callbacks=[seen]), 0, "")
    first, second = np.transpose(seen.rates)
    np.testing.assert_allclose(second, first / 10, rtol=1e-12)
    factors = [Sum().schedule(i / 30) for i in range(30)]
    np.testing.assert_allclose(first, 1e-3 * np.array(factors), rtol=1e-12)
    stopped = replace(recipe, checkpoint=tmp_path, callbacks=[Fails(2)])
    with pytest.raises(Stop):
        train(Groups(), Data(CLIPS), stopped, 0, "")
    rest = Rates()
    found = train(Groups(), Data(CLIPS), replace(stopped, callbacks=[rest]), 0, "")
    assert rest.rates == seen.rates[10:]
    assert [row["train_loss"] for row in found] == [row["train_loss"] for row in wanted]


def test_a_task_has_its_own_schedule():
    class Halves(Sum):
        def schedule(self, progress):
            return 1.0 if progress < 0.5 else 0.25

    seen = Rates()
    history = train(Halves(), Data(CLIPS), replace(RECIPE, callbacks=[seen]), 0, "")
    assert seen.rates == [[1e-2]] * 10 + [[2.5e-3]] * 10
    assert [row["learning_rate"] for row in history] == [2.5e-3, 2.5e-3]


class Steep(Sum):
    """A task whose gradients are a thousand times as large; plain descent shows their norm."""

    def optimizers(self, learning_rate):
        return [torch.optim.SGD(self.parameters(), lr=learning_rate)]

    def schedule(self, progress):
        return 1.0

    def forward(self, batch):
        outcome = super().forward(batch)
        # each step moves the weights by the rate times the gradient
        return outcome._replace(loss=1e3 * len(batch.wave) * self.network.scale.sum())


@pytest.mark.parametrize(("norm", "step"), [(5.0, 5.0), (0.5, 0.5), (None, 1e3 * 10**0.5)])
def test_gradients_are_scaled_down_to_the_norm(norm, step):
    class Bounded(Steep):
        max_grad_norm = norm

    task = Bounded()
    recipe = replace(RECIPE, learning_rate=1e-3, max_epochs=1)
    train(task, Data(CLIPS), recipe, 0, "")
    moved = float((task.network.scale.detach().double() - 1).norm())
    assert moved == pytest.approx(10 * 1e-3 * step, rel=1e-3)


def test_weights_that_no_optimizer_has_do_not_count_in_the_norm_for_ever():
    class Leaves(Steep):
        def __init__(self):
            super().__init__()
            self.left = torch.nn.Parameter(torch.zeros(1))
            self.norms = []

        def optimizers(self, learning_rate):
            return [torch.optim.SGD(self.network.parameters(), lr=learning_rate)]

        def forward(self, batch):
            self.norms.append(0.0 if self.left.grad is None else float(self.left.grad))
            outcome = super().forward(batch)
            return outcome._replace(loss=outcome.loss + 1e3 * len(batch.wave) * self.left[0])

    task = Leaves()
    train(task, Data(CLIPS), replace(RECIPE, learning_rate=1e-3), 0, "")
    assert not any(task.norms)  # no gradient of the last update is left
    moved = float((task.network.scale.detach().double() - 1).norm())
    # the gradient of the weight left out, one of eleven alike, has its share of the norm
    assert moved == pytest.approx(20 * 1e-3 * 5 * (10 / 11) ** 0.5, rel=1e-3)


def test_callbacks_of_the_user_see_every_event():
    class Notes(Callback):
        def initialize(self):
            self.events = []
            return self

        def on_train_begin(self, net, **kwargs):
            self.events.append("begin")

        def on_epoch_end(self, net, **kwargs):
            self.events.append(f"epoch {len(net.history)}, {net.history[-1]['train_loss']:.4f}")

        def on_train_end(self, net, **kwargs):
            self.events.append("end")

    notes = Notes()
    history = train(Sum(), Data(CLIPS), replace(RECIPE, callbacks=[notes]), 0, "")
    epochs = [f"epoch {row['epoch']}, {row['train_loss']:.4f}" for row in history]
    assert notes.events == ["begin", *epochs, "end"]
