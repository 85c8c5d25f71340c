"""States of trainings: what goes on from them, what does not, and what is in them."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

import skaudio
from skaudio.audio import Clips
from skaudio.training import _checkpoints
from skaudio.training._train import Data, train
from tests.extractors.test_wav2vec import write as write_checkpoint
from tests.training.helpers import CLIPS, SMALL, Counts, Fails, Stop, equal_weights, losses, small
from tests.training.toys import RECIPE, Sum

pytestmark = pytest.mark.filterwarnings("ignore:nothing was learnt")


def test_a_stopped_training_goes_on_as_if_nothing_had_been(tmp_path):
    whole = small(max_epochs=4).fit(CLIPS)
    with pytest.raises(Stop):
        small(max_epochs=4, checkpoint=tmp_path, callbacks=[Fails(3)]).fit(CLIPS)
    (file,) = tmp_path.iterdir()
    counts = Counts()
    rest = small(max_epochs=4, checkpoint=tmp_path, callbacks=[counts]).fit(CLIPS)
    assert losses(rest) == losses(whole) and equal_weights(rest, whole)
    assert [row["epoch"] for row in rest.history_] == [1, 2, 3, 4]
    assert 0 < counts.updates < 4 * 10
    assert [*tmp_path.iterdir()] == [file]


class Prepared(Sum):
    """A task that counts how often it is prepared."""

    n_times = 0

    def prepare(self, batches):
        self.n_times += 1


def test_only_a_new_training_is_prepared(tmp_path):
    clips = Data(Clips(CLIPS, 8000))
    recipe = replace(RECIPE, max_epochs=3, checkpoint=str(tmp_path))
    first, rest = Prepared(), Prepared()
    with pytest.raises(Stop):
        train(first, clips, replace(recipe, callbacks=(Fails(2),)), 0, "")
    assert len(train(rest, clips, recipe, 0, "")) == 3
    assert (first.n_times, rest.n_times) == (1, 0)


def test_without_a_seed_it_goes_on_as_well(tmp_path):
    with pytest.raises(Stop):
        small(
            max_epochs=3, checkpoint=tmp_path, random_state=None, callbacks=[Fails(2)]
        ).fit(CLIPS)  # fmt: skip
    rest = small(max_epochs=3, checkpoint=tmp_path, random_state=None).fit(CLIPS)
    assert rest.n_epochs_ == 3 and len([*tmp_path.iterdir()]) == 1


def test_a_finished_training_is_not_done_again(tmp_path):
    first = small(max_epochs=2, checkpoint=tmp_path).fit(CLIPS)
    counts = Counts()
    # what only concerns the features is another question to the same network
    again = small(max_epochs=2, checkpoint=tmp_path, features="z", callbacks=[counts]).fit(CLIPS)
    assert counts.updates == 0
    assert again.history_ == first.history_ and equal_weights(again, first)
    again.set_params(features="c")
    np.testing.assert_array_equal(again.transform(CLIPS), first.transform(CLIPS))


@pytest.mark.parametrize(
    "other",
    [
        {"clips": CLIPS[1:]},
        {"learning_rate": 1e-3},
        {"random_state": 1},
        {"groups": [0, 0, 1, 1, 2, 2, 3, 3]},
        {"objective": "bce"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_training_has_its_own_checkpoint(tmp_path, other):
    small(max_epochs=1, checkpoint=tmp_path).fit(CLIPS)
    params = {name: value for name, value in other.items() if name not in ("clips", "groups")}
    counts = Counts()
    new = small(max_epochs=1, checkpoint=tmp_path, callbacks=[counts], **params)
    new.fit(other.get("clips", CLIPS), groups=other.get("groups"))
    assert counts.updates and len([*tmp_path.iterdir()]) == 2


def test_time_spent_counts_when_a_training_goes_on(tmp_path):
    first = small(max_epochs=10_000, max_minutes=0.02, checkpoint=tmp_path).fit(CLIPS)
    again = small(max_epochs=10_000, max_minutes=0.02, checkpoint=tmp_path).fit(CLIPS)
    assert again.history_ == first.history_


def test_partial_fit_with_a_checkpoint_goes_on(tmp_path):
    wav2vec = small(checkpoint=tmp_path)
    for epochs in (1, 2, 3):
        before = dict(getattr(wav2vec, "weights_", {}))
        wav2vec.partial_fit(CLIPS)
        assert wav2vec.n_epochs_ == epochs
        assert not before or not np.array_equal(
            before["head.weight"], wav2vec.weights_["head.weight"]
        )


class Touches:
    """Pickled, it makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def test_a_malicious_checkpoint_runs_nothing(tmp_path):
    small(max_epochs=1, checkpoint=tmp_path / "states").fit(CLIPS)
    (file,) = (tmp_path / "states").iterdir()
    _checkpoints.save(file, {"done": True, "history": [], "best": Touches(tmp_path / "touched")})
    with pytest.raises(ValueError, match="holds no state of a training"):
        small(max_epochs=1, checkpoint=tmp_path / "states").fit(CLIPS)
    assert not (tmp_path / "touched").exists()


def test_divergence_names_the_last_good_checkpoint(tmp_path):
    class Explodes(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                with torch.no_grad():
                    next(net.module_.parameters()).fill_(torch.nan)

    pattern = (
        r"diverged: the loss is nan in epoch 3 at learning rate .*; epoch 2 was the last good one "
        rf"and is saved in {tmp_path}.*\.pt; pass a lower learning_rate"
    )
    with pytest.raises(ValueError, match=pattern):
        small(max_epochs=5, checkpoint=tmp_path, callbacks=[Explodes()]).fit(CLIPS)


def test_callbacks_are_not_saved(tmp_path):
    wav2vec = small(max_epochs=1, callbacks=[Counts()]).fit(CLIPS)
    wav2vec.save(tmp_path / "saved")
    again = skaudio.load(tmp_path / "saved")
    assert again.callbacks is None
    np.testing.assert_array_equal(again.transform(CLIPS), wav2vec.transform(CLIPS))


def test_another_pretrained_file_at_the_same_path_is_another_training(tmp_path):
    path = tmp_path / "wav2vec.pt"

    def updates():
        counts = Counts()
        small(
            pretrained=path, encoder_layers=None, aggregator_layers=None, max_epochs=1,
            checkpoint=tmp_path / "states", callbacks=[counts],
        ).fit(CLIPS)  # fmt: skip
        return counts.updates

    write_checkpoint(path, "args")
    assert updates() and not updates()
    content = torch.load(path, weights_only=False)
    weights = content["model"]
    name = next(name for name in weights if name.endswith("weight"))
    weights[name] = weights[name] + 0.1
    torch.save(content, path)
    assert updates() and not updates()


THEIRS = """
from skaudio import Wav2VecTransformer

class Theirs(Wav2VecTransformer):
    def _task(self, network, y):
        task = super()._task(network, y)
        task.max_grad_norm = {}
        return task
"""


def test_an_edited_class_has_its_own_checkpoint(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for norm in (5.0, 1.0, 1.0):
        (tmp_path / "theirs.py").write_text(THEIRS.format(norm))
        sys.modules.pop("theirs", None)
        importlib.invalidate_caches()
        kind = importlib.import_module("theirs").Theirs
        kind(**SMALL, max_epochs=1, checkpoint=tmp_path / "states").fit(CLIPS)
        sys.modules.pop("theirs")
    assert len([*(tmp_path / "states").iterdir()]) == 2
