"""Forward passes that are ready to run, cached in memory for each fitted state of an extractor."""

import os
import threading
import weakref
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from .digest import DECIDES_NOTHING

__all__ = ["remembered"]

_MOST_BYTES = 512 << 20
_PLAIN = (int, float, complex, str, bytes, bool, type(None))


class _Entry(NamedTuple):
    extractor: weakref.ref
    state: object
    forward: object
    n_bytes: int


# keys are the `id` of extractors, and what their forward passes give
_entries, _lock = OrderedDict(), threading.RLock()


def remembered(extractor, build, leave_out, what="features"):
    """Forward pass of an extractor: that of the last call if nothing has changed since.

    Parameters and fitted attributes are compared by value. Arrays are made read-only, so that
    they cannot be edited unnoticed; to change weights, assign a changed copy. If an attribute is
    an object of any other kind, whose content may change unnoticed, nothing is cached.

    Parameters
    ----------
    extractor : BaseAudioTransformer
        A fitted one. It is referenced weakly; its copies and pickles are not affected.
    build : callable
        Builds its forward pass.
    leave_out : set of str
        Names of attributes that do not matter.
    what : str
        What it gives: an extractor may have several.

    Returns
    -------
    forward : ForwardPass
        Shared by all threads: run it, change nothing.
    """
    key, left_out = (id(extractor), what), leave_out | DECIDES_NOTHING
    state = {name: value for name, value in vars(extractor).items() if name not in left_out}
    with _lock:
        entry = _entries.get(key)
        if entry:
            _entries.move_to_end(key)
    if entry and entry.extractor() is extractor and _same(state, entry.state):
        return entry.forward
    try:
        state = _noted(state)
    except TypeError:
        return build()
    forward = build()
    with _lock:
        reference = weakref.ref(extractor, lambda dead: _forget(key, dead))
        _entries.pop(key, None)
        _entries[key] = _Entry(reference, state, forward, forward.n_bytes)
        while len(_entries) > 1 and sum(e.n_bytes for e in _entries.values()) > _MOST_BYTES:
            _entries.popitem(last=False)
    return forward


def _forget(key, dead):
    with _lock:
        if key in _entries and _entries[key].extractor is dead:
            del _entries[key]


class _Frozen:
    """An array made read-only: it has not changed as long as it is the same object."""

    def __init__(self, array):
        self.array = array
        while isinstance(array, np.ndarray):  # a view and the arrays it is a view of
            array.flags.writeable = False
            array = array.base

    def unchanged(self, array):
        return array is self.array and not array.flags.writeable


def _noted(value):
    """Record of a value for `_same`; TypeError for objects that may change unnoticed."""
    kind = type(value)
    if kind in _PLAIN or isinstance(value, np.generic | os.PathLike):
        return kind, value
    if kind in (list, tuple):
        return kind, [_noted(part) for part in value]
    if kind is dict:
        return kind, {name: _noted(part) for name, part in value.items()}
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return kind, _Frozen(value)
    raise TypeError(kind)


def _same(value, noted):
    kind, old = noted
    if value is old:  # a container is recorded as a new list or dict, so this is a plain value
        return True
    if type(value) is not kind:
        return False
    if kind in (list, tuple):
        return len(value) == len(old) and all(map(_same, value, old))
    if kind is dict:
        return value.keys() == old.keys() and all(_same(value[name], old[name]) for name in old)
    return old.unchanged(value) if isinstance(old, _Frozen) else value == old
