"""Scores by name: from outcomes to the history and the progress bar."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skorch.history import History

from skaudio.audio import Clips
from skaudio.training import Outcome
from skaudio.training._callbacks import Scores
from skaudio.training._train import Data, train
from tests.training.helpers import noise
from tests.training.toys import RECIPE, Adversarial, Scale, Sum
from tests.utils.training_examples import QUICK, ReconstructingTransformer

CLIPS = Clips(noise(*[1000] * 8), 1000)


class Notes(Sum):
    """A task that notes its own outcomes, with a score that only every third batch has."""

    def __init__(self):
        super().__init__()
        self.outcomes = []

    def forward(self, batch):
        outcome = super().forward(batch)
        scores = {"peak": batch.wave.abs().amax(dim=1).sum()}
        if len(self.outcomes) % 3 == 0:
            scores["rare"] = batch.wave.square().mean(dim=1).sum()
        outcome = outcome._replace(scores=scores)
        self.outcomes.append((self.training, outcome))
        return outcome


def test_scores_are_means_over_the_predictions():
    task = Notes()
    history = train(task, Data(CLIPS), RECIPE, 0, "")
    n_batches = len(task.outcomes) // 2
    for i, row in enumerate(history):
        outcomes = [o for _, o in task.outcomes[i * n_batches : (i + 1) * n_batches]]
        for name in ("peak", "rare"):
            having = [o for o in outcomes if name in o.scores]
            mean = sum(float(o.scores[name]) for o in having) / sum(o.n for o in having)
            assert row[f"train_{name}"] == pytest.approx(mean, rel=1e-6)
        assert 0 < len([o for o in outcomes if "rare" in o.scores]) < len(outcomes)
        mean = sum(float(o.loss.detach()) for o in outcomes) / sum(o.n for o in outcomes)
        assert row["train_loss"] == pytest.approx(mean, rel=1e-6)
    names = ["epoch", "seconds", "updates", "learning_rate", "train_loss", "train_peak"]
    assert [*history[0]] == [*names, "train_rare"]


def test_training_and_validation_have_the_scores_that_they_have():
    recipe = replace(RECIPE, validation_fraction=0.25, max_epochs=1)
    history = train(Adversarial(), Data(CLIPS), recipe, 0, "")
    assert {"train_distance", "valid_distance", "train_penalty", "valid_penalty"} < {*history[0]}


class OnlyInTraining(Sum):
    """A task with a score that an epoch may lack."""

    def forward(self, batch):
        outcome = super().forward(batch)
        late = self.training and self.progress > 0.6
        return outcome._replace(scores={"late": outcome.loss.detach()} if late else {})


def test_an_epoch_without_a_score_has_no_column_of_it():
    first, second = train(OnlyInTraining(), Data(CLIPS), RECIPE, 0, "")
    assert "train_late" not in first and second["train_late"] > 0


def test_batches_in_parts_have_the_scores_of_whole_ones():
    class Parts(Notes):
        def forward(self, batch):
            if len(batch.wave) > 3:
                raise torch.OutOfMemoryError("too many crops")
            wave = batch.wave
            loud = (wave[:, 0] > 0).sum()
            scores = {"peak": wave.abs().amax(dim=1).sum()}
            if loud:  # a part may be without it
                scores["loud"] = loud
            return Outcome((self.frames(wave)[0][0] - 1).square().sum(), len(wave), scores)

    class Whole(Notes):
        def forward(self, batch):
            wave = batch.wave
            scores = {"peak": wave.abs().amax(dim=1).sum(), "loud": (wave[:, 0] > 0).sum()}
            return Outcome((self.frames(wave)[0][0] - 1).square().sum(), len(wave), scores)

    wanted = train(Whole(), Data(CLIPS), RECIPE, 0, "")
    with pytest.warns(UserWarning, match="in parts"):
        found = train(Parts(), Data(CLIPS), RECIPE, 0, "")
    for one, other in zip(found, wanted, strict=True):
        assert one["train_loud"] == other["train_loud"]
        assert one["train_peak"] == pytest.approx(other["train_peak"], rel=1e-6)


def test_the_history_of_an_estimator_has_the_scores_of_its_task():
    X = noise(*[4000] * 6)
    found = ReconstructingTransformer(**QUICK, random_state=0).fit(X)
    for row in found.history_:
        # the mean of absolute errors is no more than the root of that of their squares
        assert 0 < row["train_abs_error"] <= np.sqrt(row["train_loss"])
        assert 0 < row["valid_abs_error"] <= np.sqrt(row["valid_loss"])
    assert found.loss_curve_ == [row["train_loss"] for row in found.history_]


def test_the_progress_bar_shows_loss_and_scores(capsys):
    X = noise(*[4000] * 6)
    found = ReconstructingTransformer(**QUICK, random_state=0, verbose=1).fit(X)
    last, shown = found.history_[-1], capsys.readouterr().err
    text = f"loss {last['valid_loss']:.3f}, abs_error {last['valid_abs_error']:.3f}"
    assert text in shown and "batch_count" not in shown
    assert f"{last['updates']}/{last['updates']}" in shown


def test_the_smallest_network_is_what_it_says():
    network = Scale()
    x = torch.arange(24.0).reshape(2, 1, 12)
    ((frames, lengths),) = network(x, torch.tensor([12, 12]))
    assert torch.equal(frames, x[..., :10]) and lengths.tolist() == [10, 10]


def test_processes_add_up_what_only_some_of_them_have(monkeypatch):
    mine = {"train": {"loss": (6.0, 3)}, "valid": {"loss": (1.0, 2), "rare": (4.0, 2)}}
    other = {"train": {"loss": (2.0, 1), "late": (5.0, 1)}, "valid": {}}
    monkeypatch.setattr("accelerate.utils.gather_object", lambda found: [*found, other])
    scores, net = Scores(accelerator=object()), SimpleNamespace(history=History())
    scores._sums = mine
    net.history.new_epoch()
    scores.on_epoch_end(net)
    wanted = {"train_loss": 2.0, "train_late": 5.0, "valid_loss": 0.5, "valid_rare": 2.0}
    assert {name: net.history[-1].get(name) for name in wanted} == wanted
