"""The smallest tasks that show what the loop of training does with them."""

import torch
from torch import nn

from skaudio.networks import Map, Network
from skaudio.training import Outcome, Task
from skaudio.training._train import Recipe

RECIPE = Recipe(
    sample_rate=1000, crop_seconds=0.1, batch_seconds=0.8, max_epochs=2, max_minutes=None,
    learning_rate=1e-2, validation_fraction=0.0, early_stopping=False, callbacks=None,
    checkpoint=None, precision="float32", device="cpu", verbose=0,
)  # fmt: skip


class Scale(Network):
    """Ten samples in a row, each times a weight of its own."""

    min_steps = 10
    maps = (Map("", tuple("0123456789")),)

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(10))

    def forward(self, x, lengths):
        return [(x[..., :10] * self.scale, torch.full_like(lengths, 10))]


class Sum(Task):
    """A task on a device that takes few crops at a time; it notes how many it is asked for."""

    def __init__(self, most=8):
        super().__init__(Scale())
        self.most, self.asked = most, []

    def forward(self, batch):
        self.asked.append(len(batch.wave))
        if len(batch.wave) > self.most:
            raise torch.OutOfMemoryError("too many crops")
        ((scaled, _),) = self.frames(batch.wave)
        loss = (scaled - 1).square().sum()
        return Outcome(loss, len(batch.wave), {"accuracy": (batch.wave[:, 0] > 0).sum()})


class Adversarial(Task):
    """A critic's weights and a generator's, each with an optimizer of its own.

    It notes the turn of each update, and what the weights were before it.
    """

    rhythm = (0, 0, 0, 0, 0, 1)

    def __init__(self):
        super().__init__(Scale())
        self.critic = nn.Linear(10, 1)
        with torch.no_grad():
            self.critic.weight.copy_(torch.linspace(-1, 1, 10)[None])
            self.critic.bias.zero_()
        self.turns, self.weights = [], []

    def optimizers(self, learning_rate):
        return [
            torch.optim.RMSprop(self.critic.parameters(), lr=learning_rate),
            torch.optim.Adam(self.network.parameters(), lr=learning_rate),
        ]

    def forward(self, batch):
        if self.training:
            self.turns.append(self.turn)
            self.weights.append((self.critic.weight.tolist(), self.network.scale.tolist()))
        else:
            assert self.turn is None
        ((made, _),) = self.frames(batch.wave)
        drawn = torch.rand(len(batch.wave), 10, generator=self.generator)
        real = self.critic(drawn).mean(dim=1)
        fake = self.critic(made[:, 0]).mean(dim=1)
        scores = {"distance": (real - fake).detach().sum()}
        if self.turn == 1:
            return Outcome(-fake.sum(), len(fake), scores)
        penalty = self.critic.weight.square().sum()
        return Outcome((fake - real + penalty).sum(), len(fake), {**scores, "penalty": penalty * 8})
