"""The six open sets, in the folder that the environment variable SKAUDIO_DATA names.

Nothing that would leak (the speaker, the artist, the recording) is on both sides of a split.
"""

import os
from pathlib import Path

from skaudio.datasets import fetch_fsdd, load_audio_folder

# Rate of the files in Hz, and the protocol.
SETS = {
    "fsdd": (8000, "leave one speaker out"),
    "esc10": (44100, "5 official folds"),
    "emodb_2s": (16000, "5 folds, grouped by speaker"),
    "fsd_instruments10": (22050, "5 folds, grouped by recording"),
    "emotify_genres": (22050, "5 folds, grouped by artist"),
    "folk_rhythm_rendered": (22050, "5 folds, grouped by tune"),
}


def load(name):
    """Read one set.

    Parameters
    ----------
    name : str
        One of `SETS`.

    Returns
    -------
    sounds : Bunch
        As `skaudio.datasets` makes it, with ``sample_rate`` (of the files, Hz), ``protocol`` and
        ``labels`` (names of the classes of the clips). No audio is read.
    """
    home = os.environ.get("SKAUDIO_DATA", "")
    if not Path(home, name).is_dir():
        raise SystemExit(
            f"SKAUDIO_DATA is {home!r}; set it to the folder that holds the open sets "
            f"({', '.join(SETS)})."
        )
    if name == "fsdd":
        sounds = fetch_fsdd(data_home=home, download_if_missing=False)
    else:
        sounds = load_audio_folder(Path(home, name))
    sounds.sample_rate, sounds.protocol = SETS[name]
    sounds.labels = [sounds.target_names[label] for label in sounds.target]
    return sounds
