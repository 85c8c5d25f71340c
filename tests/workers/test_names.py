"""Workers as users choose them."""

import pickle
from functools import partial

import pytest

from skaudio.workers import LPS, MFCC, PASE, PASE_PLUS, TINY, Regression, build, resolve


class Mine(Regression):
    n_targets = 1


def test_lists_have_names_and_are_made_of_names():
    for name, names in (("pase", PASE), ("pase+", PASE_PLUS), ("tiny", TINY)):
        assert resolve(name) == resolve(names) == resolve([*names])
        assert [*resolve(name)] == [n.removesuffix("+") for n in names]


def test_forms_of_pase_plus_have_differences_and_neighbours():
    plain, more = (build([name], 4, 160, 16000)["mfcc"] for name in ("mfcc", "mfcc+"))
    assert (plain.n_targets, plain.n_deltas, plain.context) == (20, 0, 1)
    assert (more.n_targets, more.n_deltas, more.context) == (13, 2, 7)


def test_workers_of_ones_own_stand_beside_named_ones():
    short = partial(LPS, win_length=160)
    made = resolve(["mfcc", Mine, partial(Mine, n_deltas=1), ("short", short), ("b", "mfcc+")][:2])
    assert [*made] == ["mfcc", "mine"] and made["mine"] is Mine
    made = resolve([("short", short), ("b", "mfcc+"), MFCC])
    assert [*made] == ["short", "b", "mfcc"]
    assert build([("short", short)], 4, 160, 16000)["short"].win_length == 160


@pytest.mark.parametrize(("workers", "error", "match"), [
    ("pase-", ValueError, r"workers='pase-' is unknown; use one of \['tiny', 'pase', 'pase\+'\]"),
    ([], ValueError, r"workers=\[\] must be one of"),
    (None, ValueError, "workers=None must be one of"),
    ({"mfcc"}, ValueError, "workers={'mfcc'} must be one of"),
    (["mfc"], ValueError, "worker 'mfc' is unknown; use one of .*'mfcc', 'mfcc\\+'"),
    ([Mine, "mfcc", Mine], ValueError, "two workers are called 'mine'"),
    (["mfcc", "mfcc+"], ValueError, "two workers are called 'mfcc'"),
    ([("a b", Mine)], ValueError, "'a b' is no name for a worker"),
    ([("keys", Mine)], ValueError, "'keys' is no name for a worker"),
    ([3], TypeError, "worker 3 must be a name, a subclass"),
    ([dict], TypeError, "worker <class 'dict'> must be a name, a subclass"),
    ([partial(int, 3)], TypeError, "must be a name, a subclass"),
    ([Mine(4, 160, 16000)], TypeError, "must be a name, a subclass"),
])  # fmt: skip
def test_what_is_no_worker_is_told(workers, error, match):
    with pytest.raises(error, match=match):
        resolve(workers)


def test_choices_can_be_pickled():
    chosen = [*PASE_PLUS, ("short", partial(LPS, win_length=160)), Mine]
    assert [*resolve(pickle.loads(pickle.dumps(chosen)))] == [*resolve(chosen)]
