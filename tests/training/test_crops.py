"""Crops of clips: long ones, joined ones, and what is held out."""

import numpy as np
import pytest
import torch

from skaudio.audio import Clips
from skaudio.training._crops import Crops
from skaudio.training._waves import Waves


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
    shares = [[*crops_of(lengths, 100, share=(i, 3))] for i in range(3)]
    for (wave, weights), *parts in zip(whole, *shares, strict=True):
        together = torch.cat([part for part, _ in parts])
        assert {*map(bytes, together.numpy())} == {*map(bytes, wave.numpy())}
        # gradients are averaged over the processes: each crop then counts alike
        assert sum(w.sum() for _, w in parts) / 3 == pytest.approx(float(weights.sum()))
        assert weights.sum() == pytest.approx(1)


def test_long_clips_give_crops_by_their_length():
    crops = crops_of((1000, 100), 100, batch=100)
    assert len(crops) == 11
    waves = [wave[0].numpy() for wave, _ in crops]
    assert all((np.diff(wave) == 1).all() for wave in waves)  # from one place of one clip
    assert sum(wave[0] >= 1000 for wave in waves) == 1


def test_short_clips_are_joined_anew_in_each_epoch():
    crops = crops_of([30] * 20, 100)
    epochs = [np.concatenate([wave.numpy() for wave, _ in crops]) for _ in range(2)]
    for epoch in epochs:
        assert epoch.shape == (6, 100)
        assert len(np.unique(epoch)) == 600  # nothing is heard twice
        joints = np.diff(epoch, axis=1) != 1
        assert (joints.sum(axis=1) >= 3).all() and (joints.sum(axis=1) <= 4).all()
    assert not np.array_equal(*epochs)


def test_only_clips_of_a_group_are_joined():
    crops = crops_of([30] * 20 + [20], 100, groups=[0, 1] * 10 + [2])
    groups = []
    for wave, _ in crops:
        clips = (wave.numpy() // 31).astype(int)
        groups += [{2 if clip == 20 else clip % 2 for clip in row} for row in clips]
    assert all(len(group) == 1 for group in groups)
    # of a group too short for a crop all is heard, cut to by what shares its batch
    assert [*map(sum, groups)].count(2) == 1


def test_a_fixed_epoch_is_always_the_same():
    crops = crops_of([30] * 20 + [250], 100, fixed=True)
    first, second = ([wave.numpy() for wave, _ in crops] for _ in range(2))
    assert all(map(np.array_equal, first, second))
