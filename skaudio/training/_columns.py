"""Labels and groups, one per clip, as users pass them."""

from collections.abc import Iterable
from numbers import Real

import numpy as np

__all__ = ["one_per_clip"]


def one_per_clip(name, values, n_clips):
    """Check labels or groups.

    Parameters
    ----------
    name : {"groups", "y"}
        What they are, for the messages.
    values : sequence of numbers or text
        One for each clip.
    n_clips : int
        Number of clips.

    Returns
    -------
    values : ndarray of shape (n_clips,)
        The same.

    Raises
    ------
    ValueError
        If they are something else, one is missing, or numbers and text are mixed.
    """
    noun = {"groups": "group", "y": "label"}[name]
    wanted = "must be a sequence of one number or name per clip"
    if not isinstance(values, Iterable) or isinstance(values, str):
        raise ValueError(f"{name}={values!r} {wanted}")
    items = [*values]
    for i, item in enumerate(items):
        if np.shape(item):
            raise ValueError(f"{name} {wanted}; {name}[{i}] is {item!r}")
    if len(items) != n_clips:
        raise ValueError(f"{name} has {len(items)} entries for {n_clips} clips; pass one per clip")
    kinds = {}
    for i, item in enumerate(items):
        if item is None or item is np.ma.masked or str(item) in ("nan", "NaT", "<NA>"):
            raise ValueError(f"{name}[{i}] is {item}; every clip needs a {noun}")
        kind = next((k for k in (str, Real, np.bool_) if isinstance(item, k)), type(item))
        kinds.setdefault(kind, i)
    if len(kinds) > 1:
        i, k = [*kinds.values()][:2]
        raise ValueError(
            f"{name} mixes kinds: {name}[{i}] is {items[i]!r} and {name}[{k}] is {items[k]!r}; "
            "pass numbers or names throughout"
        )
    return np.array(items)
