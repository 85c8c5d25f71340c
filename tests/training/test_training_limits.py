"""What no training can be made of is told at once: absurd numbers, groups, clips."""

import warnings

import numpy as np
import pandas as pd
import pytest

from skaudio.audio import ClipError
from tests.training.helpers import CLIPS, equal_weights, losses, noise, small, vq

pytestmark = pytest.mark.filterwarnings("ignore:nothing was learnt")


@pytest.mark.parametrize("make", [small, vq])
@pytest.mark.parametrize(
    "params",
    [
        {"n_negatives": 10**6, "batch_seconds": 60.0},
        {"n_negatives": 10**9},
        {"n_negatives": 10**30},
        {"n_steps": 1000, "n_negatives": 10**5, "crop_seconds": 1e6},
        {"batch_seconds": 1e6, "n_negatives": 10**6},
    ],
)
def test_more_than_memory_holds_is_an_error(make, params, monkeypatch):
    monkeypatch.setattr("os.sysconf", {"SC_PHYS_PAGES": 1 << 20, "SC_PAGE_SIZE": 4096}.get)
    with pytest.raises(ValueError, match=r"needs about \S+ GB.*4\.3 GB; lower batch_seconds"):
        make(max_epochs=1, **params).fit(CLIPS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_steps", 10**6),
        ("crop_seconds", float("inf")),
        ("batch_seconds", float("inf")),
        ("window_seconds", float("inf")),
        ("crop_seconds", float("nan")),
        ("max_minutes", 0.0),
        ("n_negatives", 0),
    ],
)
def test_absurd_numbers_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name}={value!r} must be (at least|between)"):
        small(**{name: value}).fit(CLIPS)


@pytest.mark.parametrize("name", ["crop_seconds", "batch_seconds"])
def test_more_seconds_than_there_are_is_all_there_is(name):
    wav2vec = small(max_epochs=2, **{name: 1e6}).fit(CLIPS)
    assert np.isfinite(wav2vec.loss_curve_).all() and wav2vec.n_epochs_ == 2


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([0] * 7, "groups has 7 entries for 8 clips"),
        ([0, 1] * 3 + [None, 1], r"groups\[6\] is None; every clip needs a group"),
        ([0.0, 1.0, np.nan] + [1.0] * 5, r"groups\[2\] is nan; every clip needs a group"),
        (pd.Series(["a", pd.NA] + ["a"] * 6, dtype=object), r"groups\[1\] is <NA>; every clip"),
        ([1, "1"] * 4, r"groups mixes kinds: groups\[0\] is 1 and groups\[1\] is '1'"),
        ("speakers", "groups='speakers' must be a sequence"),
        (5, "groups=5 must be a sequence"),
        ([[0, 1]] * 8, "must be a sequence of one number or name per clip"),
        ([[0, 1], [2]] * 4, "must be a sequence of one number or name per clip"),
    ],
)
def test_bad_groups_are_told_before_a_clip_is_read(groups, message, monkeypatch):
    monkeypatch.setattr("skaudio.audio.Clips.check", None)
    wav2vec = small(max_epochs=1)
    for fit in (wav2vec.fit, wav2vec.partial_fit):
        with pytest.raises(ValueError, match=message):
            fit(CLIPS, groups=groups)
    assert not hasattr(wav2vec, "history_")


@pytest.mark.parametrize(
    "groups",
    [
        np.array(list("abcdabcd")),
        pd.Series(list("abcdabcd"), index=range(8, 0, -1), dtype="category"),
        tuple(range(4)) * 2,
        np.array([0.5, 1, 2, 3] * 2),
        pd.date_range("2026-01-01", periods=4).tolist() * 2,
    ],
    ids=["text", "categories", "whole", "real", "days"],
)
def test_groups_may_be_of_any_kind(groups):
    wanted = small(max_epochs=1).fit(CLIPS, groups=[0, 1, 2, 3] * 2)
    found = small(max_epochs=1).fit(CLIPS, groups=groups)
    assert losses(found) == losses(wanted) and equal_weights(found, wanted)


def test_two_kinds_of_groups_by_yes_and_no():
    groups = np.array([True, False] * 4)
    assert small(max_epochs=1).fit(CLIPS, groups=groups).n_epochs_ == 1


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.9])
@pytest.mark.parametrize("n_groups", [1, 2, 3])
def test_few_groups_leave_something_to_train_on(n_groups, fraction):
    groups = [i % n_groups for i in range(8)]
    wav2vec = small(max_epochs=1, validation_fraction=fraction).fit(CLIPS, groups=groups)
    assert wav2vec.loss_curve_[0] > 0
    assert ("valid_loss" in wav2vec.history_[0]) == (n_groups > 1)


def test_no_clip_that_can_be_decoded_is_an_error(tmp_path):
    paths = []
    for i in range(3):
        paths.append(tmp_path / f"{i}.wav")
        paths[i].write_bytes(b"RIFF of nothing that could be decoded")
    text = r"none of the 3 clips can be decoded: clip 0 \(.*0\.wav\) is not audio"
    with pytest.raises(ValueError, match=text):
        small(max_epochs=1, on_error="skip").fit(paths)
    with pytest.raises(ClipError, match=r"clip 0 \(.*0\.wav\)"):
        small(max_epochs=1).fit(paths)


def test_short_clips_beside_undecodable_ones_are_learnt_from(tmp_path):
    (tmp_path / "0.wav").write_bytes(b"RIFF of nothing that could be decoded")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wav2vec = small(max_epochs=1, on_error="skip").fit([tmp_path / "0.wav", *noise(60, 70)])
    assert wav2vec.n_epochs_ == 1
