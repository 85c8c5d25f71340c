"""What is held out of a training: a share of each class, whole groups, never all of a class."""

import numpy as np
import pytest

from skaudio.training._split import hold_out


def split(n, fraction, groups=None, labels=None, seed=0):
    groups, labels = (None if x is None else np.asarray(x) for x in (groups, labels))
    parts = hold_out(n, fraction, groups, labels, np.random.default_rng(seed))
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(n))
    return parts


def test_the_share_that_is_held_out():
    training, held_out = split(10, 0.1)
    assert len(training) == 9 and len(held_out) == 1


def test_without_labels_it_is_what_it_always_was():
    rng = np.random.default_rng(0)
    wanted = np.sort(rng.permutation(20)[:5])
    np.testing.assert_array_equal(split(20, 0.25)[1], wanted)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_each_class_has_its_share_of_single_clips(fraction, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat([0, 1, 2], [40, 20, 100]))
    _, held_out = split(160, fraction, labels=labels, seed=seed)
    counts = np.bincount(labels[held_out], minlength=3)
    assert list(counts) == [40 * fraction, 20 * fraction, 100 * fraction]


@pytest.mark.parametrize("seed", range(5))
def test_shares_that_are_no_whole_numbers_are_rounded(seed):
    labels = np.random.default_rng(seed).permutation(np.repeat([0, 1, 2], [13, 17, 25]))
    _, held_out = split(55, 0.1, labels=labels, seed=seed)
    counts = np.bincount(labels[held_out], minlength=3)
    # 1.3, 1.7 and 2.5 of them, 5.5 in all
    assert counts.sum() == 6 and list(counts) == [1, 2, 3]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_a_class_of_one_clip_is_never_held_out(fraction, seed):
    labels = np.array([0] * 6 + [1] + [2] * 6 + [3])
    training, held_out = split(14, fraction, labels=labels, seed=seed)
    assert len(held_out) and not {6, 13} & {*held_out}
    assert {*labels[training]} == {0, 1, 2, 3}


def test_of_classes_of_one_clip_the_others_take_over_the_share():
    labels = np.array([0] * 20 + [1, 2, 3, 4, 5])
    for seed in range(5):
        _, held_out = split(25, 0.1, labels=labels, seed=seed)
        assert len(held_out) == 3 and (held_out < 20).all()


def test_classes_of_one_clip_alone_leave_nothing_to_hold_out():
    training, held_out = split(4, 0.5, labels=np.arange(4))
    assert len(training) == 4 and not len(held_out)


@pytest.mark.parametrize("seed", range(10))
def test_groups_stay_together_and_classes_keep_their_share(seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 30, 300)
    groups = np.unique(groups, return_inverse=True)[1]
    labels = rng.integers(0, 3, 300)
    training, held_out = split(300, 0.2, groups, labels, seed)
    assert not {*groups[training]} & {*groups[held_out]}
    counts = np.bincount(labels[held_out], minlength=3)
    # a group has about ten clips, so the share is met to within one group
    assert abs(counts.sum() - 60) <= 10
    assert np.abs(counts / np.bincount(labels) - 0.2).max() < 0.1


def test_a_group_that_is_a_class_is_not_held_out():
    labels = np.repeat([0, 1, 2], 4)
    training, held_out = split(12, 0.3, groups=labels, labels=labels)
    assert len(training) == 12 and not len(held_out)


def test_groups_too_large_for_the_share_give_one_all_the_same():
    groups, labels = np.repeat([0, 1, 2, 3], 10), np.tile([0, 1], 20)
    _, held_out = split(40, 0.1, groups, labels)
    assert len({*groups[held_out]}) == 1 and len(held_out) == 10


def test_nothing_is_held_out_of_no_share():
    for labels in (None, np.arange(8) % 2):
        assert not len(split(8, 0.0, labels=labels)[1])
