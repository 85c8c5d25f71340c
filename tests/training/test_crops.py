"""Crops of clips: long ones, joined ones, and what is held out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from skaudio.audio import Clips
from skaudio.training._crops import Crops
from skaudio.training._train import Data, train
from skaudio.training._waves import Waves
from tests.training.toys import RECIPE, Sum


def crops_of(lengths, crop, *, groups=None, batch=400, seed=0, **options):
    """Crops of clips whose samples are all different."""
    ends = np.cumsum([n + 1 for n in lengths])  # a number between clips is missing
    clips = [np.arange(b - 1 - n, b - 1.0) for n, b in zip(lengths, ends, strict=True)]
    waves = Waves(Clips(clips, 1000), 1)
    groups = np.zeros(len(clips), int) if groups is None else np.asarray(groups)
    which = np.arange(len(clips))
    return Crops(waves, which, groups, crop, batch, seed, **{"fixed": False, **options})


def test_processes_share_every_batch():
    lengths = (1000, 700, 100, 60)
    whole = [*crops_of(lengths, 100)]
    shares = [[*crops_of(lengths, 100, rank=i, world_size=3)] for i in range(3)]
    for batch, *parts in zip(whole, *shares, strict=True):
        together = torch.cat([part.wave for part in parts])
        assert {*map(bytes, together.numpy())} == {*map(bytes, batch.wave.numpy())}
        # gradients are averaged over the processes: each crop then counts alike
        assert sum(p.weight.sum() for p in parts) / 3 == pytest.approx(float(batch.weight.sum()))
        assert batch.weight.sum() == pytest.approx(1)


def test_long_clips_give_crops_by_their_length():
    crops = crops_of((1000, 100), 100, batch=100)
    assert len(crops) == 11
    waves = [batch.wave[0].numpy() for batch in crops]
    assert all((np.diff(wave) == 1).all() for wave in waves)  # from one place of one clip
    assert sum(wave[0] >= 1000 for wave in waves) == 1


def test_short_clips_are_joined_anew_in_each_epoch():
    crops = crops_of([30] * 20, 100)
    epochs = [np.concatenate([batch.wave.numpy() for batch in crops]) for _ in range(2)]
    for epoch in epochs:
        assert epoch.shape == (6, 100)
        assert len(np.unique(epoch)) == 600  # nothing is heard twice
        joints = np.diff(epoch, axis=1) != 1
        assert (joints.sum(axis=1) >= 3).all() and (joints.sum(axis=1) <= 4).all()
    assert not np.array_equal(*epochs)


def test_crops_tell_what_they_may_be_joined_of():
    for batch in crops_of([30] * 20 + [1000], 100, groups=[0, 1] * 10 + [5]):
        clips = (batch.wave[:, 0].numpy() // 31).astype(int)
        assert batch.group.dtype == torch.int64
        assert batch.group.tolist() == [5 if clip >= 20 else clip % 2 for clip in clips]


def test_only_clips_of_a_group_are_joined():
    crops = crops_of([30] * 20 + [20], 100, groups=[0, 1] * 10 + [2])
    groups = []
    for batch in crops:
        clips = (batch.wave.numpy() // 31).astype(int)
        groups += [{2 if clip == 20 else clip % 2 for clip in row} for row in clips]
    assert all(len(group) == 1 for group in groups)
    # of a group too short for a crop all is heard, cut to by what shares its batch
    assert [*map(sum, groups)].count(2) == 1


def test_a_fixed_epoch_is_always_the_same():
    crops = crops_of([30] * 20 + [250], 100, fixed=True)
    first, second = ([batch.wave.numpy() for batch in crops] for _ in range(2))
    assert all(map(np.array_equal, first, second))


def test_crops_tell_which_clip_they_are_from_and_its_target():
    lengths = (30, 1000, 40, 250, 35, 20)
    targets = torch.tensor([1, 0, 1, 2, 2, 0])
    crops = crops_of(lengths, 100, groups=targets.numpy(), targets=targets)
    seen = set()
    for batch in crops:
        assert batch.clip.dtype == torch.int64
        for wave, clip, target in zip(batch.wave, batch.clip.tolist(), batch.target, strict=True):
            # joined crops are counted by their first clip, and are of one label throughout
            assert clip_at(wave[0], lengths) == clip
            assert {int(targets[clip_at(sample, lengths)]) for sample in wave} == {int(target)}
            seen.add(clip)
    assert {1, 3, 5} <= seen and len(seen & {0, 2}) == 1


def clip_at(sample, lengths):
    """Number of the clip that a sample of `crops_of` is from."""
    ends = np.cumsum([n + 1 for n in lengths])
    return int(np.searchsorted(ends, float(sample), side="right"))


def test_targets_may_have_any_shape():
    targets = torch.arange(12.0).reshape(6, 2)
    crops = crops_of((30, 1000, 40, 250, 35, 20), 100, groups=range(6), targets=targets)
    for batch in crops:
        assert torch.equal(batch.target, targets[batch.clip])


def test_without_targets_there_are_none():
    assert all(batch.target is None for batch in crops_of((300, 30), 100))


def test_every_clip_alone_gives_crops_of_its_own_length():
    lengths = (30, 30, 50, 1000)
    crops = crops_of(lengths, 100, groups=range(4), batch=30)
    found = sorted(
        (batch.clip.item(), batch.wave.shape[1]) for batch in crops if batch.clip.item() < 3
    )
    assert found == [(0, 30), (1, 30), (2, 50)]


class Clipwise(Sum):
    """A task that notes what it is given, and joins no clips if it is told so."""

    def __init__(self, joins_clips=True):
        super().__init__()
        self.joins_clips, self.batches = joins_clips, []

    def forward(self, batch):
        self.batches.append(batch)
        return super().forward(batch)


def given(clips, joins_clips=True, rows=None, **data):
    task = Clipwise(joins_clips)
    clips = Clips(clips, 1000) if rows is None else Clips(clips, 1000).take(rows)
    train(task, Data(clips, **data), replace(RECIPE, max_epochs=1), 0, "")
    return task.batches


def levels(*values, length=30):
    return [np.full(length, value, np.float32) for value in values]


def test_a_task_may_forbid_to_join_clips():
    clips = levels(*range(1, 9))
    joined = [set(wave.tolist()) for batch in given(clips) for wave in batch.wave]
    assert max(map(len, joined)) > 1
    batches = given(clips, joins_clips=False)
    alone = [set(wave.tolist()) for batch in batches for wave in batch.wave]
    assert {*map(len, alone)} == {1} and {batch.wave.shape[1] for batch in batches} == {30}
    assert sorted(clip for batch in batches for clip in batch.clip.tolist()) == [*range(8)]


def test_clips_of_other_labels_or_groups_are_never_joined():
    clips = levels(*range(16))
    y, groups = np.tile([0, 1], 8), np.repeat([0, 1], 8)
    seen = set()
    for batch in given(clips, y=y, groups=groups):
        for wave, clip, target in zip(batch.wave, batch.clip, batch.target, strict=True):
            members = wave.int().unique().numpy()
            kinds = {(y[i], groups[i]) for i in members}
            assert kinds == {(y[int(clip)], groups[int(clip)])} and target == y[members[0]]
            seen |= kinds
    assert len(seen) == 4


def test_clips_with_targets_that_are_no_labels_are_never_joined():
    y = np.linspace(0, 1, 8)
    for batch in given(levels(*range(8)), y=y):
        for wave, target in zip(batch.wave, batch.target, strict=True):
            (member,) = wave.int().unique().tolist()
            assert target == y[member]


def test_rows_are_those_of_the_clips_given_to_fit():
    clips = levels(*range(6), length=150)
    batches = given(clips, rows=[1, 2, 4, 5], y=np.array([1, 2, 4, 5]))
    for batch in batches:
        assert batch.clip.tolist() == batch.wave[:, 0].int().tolist() == batch.target.tolist()
    assert {clip for batch in batches for clip in batch.clip.tolist()} == {1, 2, 4, 5}


def test_clips_that_cannot_be_decoded_take_their_targets_with_them(tmp_path):
    clips = levels(*range(6), length=150)
    (tmp_path / "broken.wav").write_bytes(b"RIFF of nothing that could be decoded")
    clips[2] = tmp_path / "broken.wav"
    task, failures = Clipwise(), []
    data = Data(Clips(clips, 1000), np.arange(6))
    train(task, data, replace(RECIPE, max_epochs=1), 0, "", failures=failures)
    assert [error.index for error in failures] == [2]
    for batch in task.batches:
        assert batch.clip.tolist() == batch.wave[:, 0].int().tolist() == batch.target.tolist()


def test_short_clips_with_labels_end_in_zeros():
    batches = given([*levels(1.0, length=4), *levels(2.0, 3.0)], y=np.array([0, 1, 1]))
    (wave,) = (wave for batch in batches for wave in batch.wave[batch.clip == 0])
    assert wave[:4].tolist() == [1.0] * 4 and not wave[4:].any() and len(wave) == 10
