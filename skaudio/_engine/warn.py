"""Warnings that point at the user's line, however deep in the package they are issued."""

import sys
import warnings

__all__ = ["warn"]


def warn(text):
    """Warn, with the line that called into this package as the origin.

    Parameters
    ----------
    text : str
        The warning.
    """
    package = __name__.partition(".")[0]
    frame, depth, outermost = sys._getframe(), 1, 1
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] == package:
            outermost = depth
        frame, depth = frame.f_back, depth + 1
    warnings.warn(text, stacklevel=outermost + 1)
