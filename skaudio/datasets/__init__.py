"""Data sets: recordings with labels, groups and splits that do not leak."""

from ._synthetic import make_sounds

__all__ = ["make_sounds"]
