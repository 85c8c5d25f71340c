"""Data sets: recordings with labels, groups and splits that do not leak."""

from ._environment import fetch_esc10, load_urbansound8k
from ._folder import load_audio_folder
from ._music import load_extended_ballroom, load_gtzan
from ._speech import fetch_fsdd
from ._synthetic import make_sounds

__all__ = [
    "fetch_esc10",
    "fetch_fsdd",
    "load_audio_folder",
    "load_extended_ballroom",
    "load_gtzan",
    "load_urbansound8k",
    "make_sounds",
]
