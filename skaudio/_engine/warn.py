"""Warnings that point at the line of the user, however deep they come up."""

import sys
import warnings

__all__ = ["warn"]


def warn(text):
    """Warn where the user's code called into this package.

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
