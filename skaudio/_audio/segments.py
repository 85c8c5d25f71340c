"""Start and end of a segment, as users and their tables write them."""

from numbers import Real

import numpy as np

__all__ = ["check_segment", "is_blank"]


def is_blank(moment):
    """Whether a time was left out, as in an empty cell of a table.

    Parameters
    ----------
    moment : object
        A number of seconds, or whatever stands in its place.

    Returns
    -------
    blank : bool
        True for None, NaN, blank text, and pandas' NA and NaT.
    """
    if isinstance(moment, str):
        return not moment.strip()
    if isinstance(moment, Real):
        return bool(moment != moment)
    return moment is None or type(moment).__name__ in ("NAType", "NaTType")


def check_segment(start, stop):
    """Check the ends of a segment.

    Parameters
    ----------
    start, stop : float or None
        In seconds; a blank ``stop`` means the end.

    Returns
    -------
    start, stop : float
        0 and inf where they were left out.

    Raises
    ------
    ValueError
        If one of them is not a number.
    """
    begin = 0.0 if start is None else _seconds("start", start)
    return begin, np.inf if is_blank(stop) else _seconds("stop", stop)


def _seconds(name, moment):
    if not isinstance(moment, Real) or isinstance(moment, bool) or moment != moment:
        raise ValueError(f"has {name}={moment!r:.50}, which is no number of seconds")
    try:
        return float(moment)
    except OverflowError:
        return np.inf if moment > 0 else -np.inf
