"""The six open sets as paths, labels and leakage-free splits.

They lie in the folder that the environment variable SKAUDIO_DATA names. Each reader
follows the protocol of that folder's README: what would leak (the speaker, the artist,
the recording) never stands on both sides of a split.
"""

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.model_selection import LeaveOneGroupOut, PredefinedSplit, StratifiedGroupKFold


@dataclass(frozen=True)
class SoundSet:
    """One data set.

    Attributes
    ----------
    name : str
        Its name.
    paths : list of Path
        The sound files.
    labels : ndarray of shape (n_clips,), str
        The class of each.
    groups : ndarray of shape (n_clips,), str
        What must stay on one side of each split.
    splits : list of (train, test), each ndarray of int
        Row numbers.
    protocol : str
        How the splits were made, in words.
    sample_rate : int
        The rate of its files in Hz.
    """

    name: str
    paths: list
    labels: np.ndarray
    groups: np.ndarray
    splits: list
    protocol: str
    sample_rate: int


# Rate of the files in Hz, and what the groups are.
_METADATA_SETS = {
    "esc10": (44100, "source recording"),
    "emodb_2s": (16000, "speaker"),
    "fsd_instruments10": (22050, "recording"),
    "emotify_genres": (22050, "artist"),
    "folk_rhythm_rendered": (22050, "tune"),
}

# The sets of the comparison; FSDD's own easy split is there too, by its name alone.
SETS = ("fsdd", *_METADATA_SETS)
MORE_SETS = ("fsdd_official",)


def load(name):
    """Read one set.

    Parameters
    ----------
    name : str
        One of `SETS` or `MORE_SETS`.

    Returns
    -------
    sounds : SoundSet
        Paths, labels and splits; no audio is read.
    """
    if name not in SETS + MORE_SETS:
        raise ValueError(f"There is no set {name!r}; there are {', '.join(SETS + MORE_SETS)}.")
    folder = data_home()
    if name.startswith("fsdd"):
        return _load_fsdd(folder / "fsdd" / "recordings", official=name == "fsdd_official")
    return _load_metadata(name, folder / name)


def data_home():
    """Return the folder of the sets.

    Returns
    -------
    folder : Path
        The value of SKAUDIO_DATA.
    """
    value = os.environ.get("SKAUDIO_DATA", "")
    if not value or not Path(value).is_dir():
        raise SystemExit(
            f"SKAUDIO_DATA is {value!r}; set it to the folder that holds the open sets "
            f"({', '.join(SETS)})."
        )
    return Path(value)


def _load_fsdd(folder, official):
    """Read the spoken digits: names are {digit}_{speaker}_{index}.wav."""
    paths = sorted(folder.glob("*.wav"))
    if not paths:
        raise SystemExit(f"There is no wav file in {folder}.")
    digits, speakers, indices = np.array([path.stem.split("_") for path in paths]).T
    if official:
        is_test = indices.astype(int) < 5
        splits = [(np.flatnonzero(~is_test), np.flatnonzero(is_test))]
        protocol = "official: index 0 to 4 of each digit and speaker tested"
    else:
        splits = list(LeaveOneGroupOut().split(paths, digits, speakers))
        protocol = "leave one speaker out"
    name = "fsdd_official" if official else "fsdd"
    return SoundSet(name, paths, digits, speakers, splits, protocol, 8000)


def _load_metadata(name, folder):
    """Read a set that has a metadata.csv: filename, label, group, split."""
    with open(folder / "metadata.csv", newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    paths = [folder / line["filename"] for line in lines]
    labels = np.array([line["label"] for line in lines])
    groups = np.array([line["group"] for line in lines])
    sample_rate, group = _METADATA_SETS[name]
    folds = np.array([line["split"] for line in lines])
    if np.all(folds != ""):
        splits = list(PredefinedSplit(np.unique(folds, return_inverse=True)[1]).split())
        protocol = f"{len(splits)} official folds"
    else:
        folds_by_group = StratifiedGroupKFold(5, shuffle=True, random_state=0)
        splits = list(folds_by_group.split(paths, labels, groups))
        protocol = f"5 folds, grouped by {group}"
    return SoundSet(name, paths, labels, groups, splits, protocol, sample_rate)
