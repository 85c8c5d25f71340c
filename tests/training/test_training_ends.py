"""How trainings end: by Ctrl-C, out of time, early, or without having learnt anything."""

import math
import warnings

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from skorch.callbacks import Callback

from skaudio.datasets import make_sounds
from skaudio.networks.contrastive import contrastive_loss, guessing
from skaudio.training import _checkpoints
from skaudio.training._callbacks import Saving
from tests.training.helpers import CLIPS, Stop, equal_weights, losses, noise, small, vq

quiet = pytest.mark.filterwarnings("ignore:nothing was learnt")


class CtrlC(Callback):
    """Interrupt in the middle of an epoch, as the keyboard does."""

    def __init__(self, epoch, validating=False):
        self.epoch, self.validating = epoch, validating

    def on_batch_end(self, net, training=False, **kwargs):
        if len(net.history) == self.epoch and training != self.validating:
            raise KeyboardInterrupt


class Ends(Callback):
    """End the training in good order, as skorch's callbacks do."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt


def fitted_attributes(extractor):
    return {name for name in vars(extractor) if name.endswith("_")}


@pytest.mark.parametrize("make", [small, vq])
@pytest.mark.parametrize("validating", [False, True])
def test_ctrl_c_in_the_first_epoch_leaves_it_unfitted(make, validating):
    extractor = make(max_epochs=5, callbacks=[CtrlC(1, validating)])
    with pytest.raises(KeyboardInterrupt, match="in its first epoch: nothing is learnt yet"):
        extractor.fit(CLIPS)
    assert not fitted_attributes(extractor)
    with pytest.raises(NotFittedError):
        extractor.transform(CLIPS)


def test_ctrl_c_in_the_first_epoch_ends_a_cross_validation():
    sounds = make_sounds(16, max_seconds=0.5, random_state=0)
    pipe = make_pipeline(small(max_epochs=2, callbacks=[CtrlC(1)]), SVC())
    with pytest.raises(KeyboardInterrupt):
        cross_validate(pipe, sounds.data, sounds.target, cv=2)


@quiet
def test_ctrl_c_later_keeps_the_best_weights_and_says_so():
    wanted = small(max_epochs=5, callbacks=[Ends(2)]).fit(CLIPS)
    best = 1 + int(np.argmin([row["valid_loss"] for row in wanted.history_]))
    text = rf"interrupted after 2 of 5 epochs; the best weights so far are those of epoch {best}$"
    with pytest.warns(UserWarning, match=text) as seen:
        found = small(max_epochs=5, callbacks=[CtrlC(3)]).fit(CLIPS)
    assert seen[0].filename == __file__ and len(seen) == 1
    assert losses(found) == losses(wanted) and equal_weights(found, wanted)
    assert found.n_epochs_ == len(found.history_) == len(found.loss_curve_) == 2
    found.set_params(callbacks=None).partial_fit(CLIPS)
    assert [row["epoch"] for row in found.history_] == [1, 2, 3]
    assert found.n_epochs_ == len(found.loss_curve_) == 3


@quiet
def test_ctrl_c_again_leaves_what_was_fitted_as_it_was():
    wav2vec = small(max_epochs=2, warm_start=True).fit(CLIPS)
    before = dict(vars(wav2vec))
    wav2vec.callbacks = before["callbacks"] = [CtrlC(1)]
    for fit in (wav2vec.fit, wav2vec.partial_fit):
        with pytest.raises(KeyboardInterrupt):
            fit(noise(*[4000] * 4))
        assert vars(wav2vec) == before


def test_an_error_leaves_what_was_fitted_as_it_was():
    vectors = small(max_epochs=0).fit(np.stack(CLIPS))
    before = dict(vars(vectors))
    with pytest.raises(ValueError, match="diverged"):
        vectors.set_params(learning_rate=1e30, max_epochs=20).fit(np.stack(CLIPS)[:, :4000])
    assert vectors.n_features_in_ == 8000 and vectors.weights_ is before["weights_"]


@quiet
def test_an_interrupted_training_goes_on_from_its_checkpoint(tmp_path):
    whole = small(max_epochs=4).fit(CLIPS)
    text = "after 2 of 4 epochs.*and the same fit goes on from its checkpoint"
    with pytest.warns(UserWarning, match=text):
        part = small(max_epochs=4, checkpoint=tmp_path, callbacks=[CtrlC(3)]).fit(CLIPS)
    assert losses(part) == losses(whole)[:2]
    # at once interrupted again it still has the epochs before
    with pytest.warns(UserWarning, match=text):
        part = small(max_epochs=4, checkpoint=tmp_path, callbacks=[CtrlC(3)]).fit(CLIPS)
    assert losses(part) == losses(whole)[:2] and part.n_epochs_ == 2
    rest = small(max_epochs=4, checkpoint=tmp_path).fit(CLIPS)
    assert losses(rest) == losses(whole) and equal_weights(rest, whole)
    assert [row["epoch"] for row in rest.history_] == [1, 2, 3, 4] and rest.n_epochs_ == 4


@quiet
def test_ctrl_c_while_a_state_is_saved_is_told(tmp_path, monkeypatch):
    def interrupt(file, state):
        raise KeyboardInterrupt

    monkeypatch.setattr(_checkpoints, "save", interrupt)
    with pytest.warns(UserWarning, match="interrupted after 1 of 5 epochs"):
        small(max_epochs=5, checkpoint=tmp_path).fit(CLIPS)


@quiet
def test_callbacks_end_a_training_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="nothing was learnt")
        assert small(max_epochs=5, callbacks=[Ends(2)]).fit(CLIPS).n_epochs_ == 2


@quiet
def test_before_the_quantizer_took_part_there_is_nothing_to_return():
    with pytest.raises(KeyboardInterrupt, match="after 1 of 10 epochs: nothing is learnt yet"):
        vq(max_epochs=10, callbacks=[CtrlC(2)]).fit(CLIPS)
    with pytest.warns(UserWarning, match="1 of 10 epochs, before any of them could be compared"):
        vq(max_epochs=10, callbacks=[Ends(1)]).fit(CLIPS)


@quiet
def test_a_training_that_stops_early_goes_on_for_no_epoch(tmp_path, monkeypatch):
    params = {"max_epochs": 30, "early_stopping": True}
    whole = small(**params).fit(CLIPS)
    assert whole.n_epochs_ < 30
    write = Saving.write

    def fail(kept, done=False):
        if done:
            raise Stop
        write(kept)

    monkeypatch.setattr(Saving, "write", fail)
    with pytest.raises(Stop):
        small(checkpoint=tmp_path, **params).fit(CLIPS)
    monkeypatch.undo()
    found = small(checkpoint=tmp_path, **params).fit(CLIPS)
    assert losses(found) == losses(whole) and equal_weights(found, whole)
    (file,) = tmp_path.iterdir()
    assert _checkpoints.load(file)["done"]


@pytest.mark.parametrize("make", [small, vq])
@pytest.mark.parametrize("params", [{}, {"validation_fraction": 0.0}])
def test_no_time_at_all_is_one_update_and_a_warning(make, params):
    with pytest.warns(UserWarning, match="nothing was learnt.*max_minutes"):
        extractor = make(max_minutes=1e-9, **params).fit(CLIPS)
    assert extractor.n_epochs_ == 1 and math.isfinite(extractor.loss_curve_[0])
    assert np.isfinite(extractor.transform(CLIPS)).all()


@quiet
def test_a_state_saved_when_time_was_over_is_of_a_finished_training(tmp_path, monkeypatch):
    write = Saving.write
    monkeypatch.setattr(Saving, "write", lambda kept, done=False: done or write(kept))
    first = small(max_minutes=1e-9, checkpoint=tmp_path).fit(CLIPS)
    monkeypatch.undo()
    again = small(max_minutes=1e-9, checkpoint=tmp_path).fit(CLIPS)
    assert again.history_ == first.history_ and equal_weights(again, first)


@pytest.mark.parametrize("n_negatives", [1, 3, 10, 500])
@pytest.mark.parametrize("objective", ["infonce", "bce", "balanced"])
def test_guessing_is_the_least_loss_of_equal_scores(objective, n_negatives):
    generator = torch.Generator().manual_seed(0)
    negatives = torch.randint(20, (2, n_negatives, 20), generator=generator)
    steps = torch.ones(2, 1, 20, 3, dtype=torch.float64)

    def loss(score):
        z = torch.full((2, 1, 20), score, dtype=torch.float64)  # all moments sound alike
        contrast = contrastive_loss(z, steps, negatives, 2, objective)
        return contrast.loss.item() / contrast.n

    least = minimize_scalar(loss, (-10, 0)).fun
    assert guessing(n_negatives, objective) == pytest.approx(least, rel=1e-9)


@pytest.mark.parametrize("objective", ["infonce", "bce", "balanced"])
def test_noise_teaches_nothing_and_that_is_told(objective):
    guess = guessing(small().n_negatives, objective)
    text = rf"validation loss came down to \S+, and guessing has {guess:.5g};"
    with pytest.warns(UserWarning, match=text) as seen:
        small(max_epochs=2, objective=objective).fit(CLIPS)
    assert len(seen) == 1 and seen[0].filename == __file__
    with pytest.warns(UserWarning, match="the training loss came down"):
        small(max_epochs=1, objective=objective, validation_fraction=0.0).fit(CLIPS)


def sweeps(n):
    """Tones that rise or fall: their future can be told."""
    rng, time = np.random.default_rng(0), np.arange(8000) / 16000
    pairs = rng.uniform(200, 4000, (n, 2))
    return [np.sin(2 * np.pi * (low * time + (high - low) * time**2)) for low, high in pairs]


@pytest.mark.parametrize("make", [small, vq])
def test_what_teaches_is_not_warned_about(make):
    layers = {"encoder_layers": ((16, 10, 5), (16, 8, 4), (16, 16, 8))}
    extractor = make(max_epochs=8, n_negatives=10, crop_seconds=0.3, batch_seconds=2.0, **layers)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        extractor.fit(make_sounds(96, random_state=0).data)
        extractor.partial_fit(CLIPS)  # of noise, but one epoch is not judged
    assert extractor.n_epochs_ == 9


def test_what_a_quantizer_asks_for_is_not_held_against_a_training():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        words = vq("kmeans", max_epochs=30, n_steps=1).fit(sweeps(16))
    assert min(row["valid_loss"] for row in words.history_[9:]) > guessing(3, "infonce")


def test_a_finished_training_that_taught_nothing_is_told_each_time(tmp_path):
    for _ in range(2):
        with pytest.warns(UserWarning, match="nothing was learnt"):
            small(max_epochs=1, checkpoint=tmp_path).fit(CLIPS)


def test_silence_is_told_once():
    with pytest.warns(UserWarning) as seen:
        small(max_epochs=2).fit([np.zeros(8000, np.float32)] * 4)
    assert ["silent" in str(warning.message) for warning in seen] == [True]


@quiet
def test_a_generator_as_seed_is_a_new_training_each_time(tmp_path):
    generator = np.random.RandomState(0)
    fits = [small(max_epochs=1, checkpoint=tmp_path, random_state=generator) for _ in range(2)]
    first, second = (extractor.fit(CLIPS) for extractor in fits)
    assert not equal_weights(first, second)
    assert len([*tmp_path.iterdir()]) == 2
