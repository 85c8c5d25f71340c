"""Sounds of the environment."""

from pathlib import Path

from ._fetch import check_count, fetch
from ._folder import read_class_folders
from ._shared import check_complete, fold_splits, make_bunch, read_table

_ESC10_COMMIT = "553c8f1743b9dba6b282e1323c3ca8fa76923448"
# ESC-10 is a part of ESC-50, but has other names for four of its classes.
_ESC50_NAMES = {
    "baby_cry": "crying_baby",
    "dog_bark": "dog",
    "fire_crackling": "crackling_fire",
    "person_sneeze": "sneezing",
}
_ESC10_DESCR = """\
ESC-10: environmental sounds
----------------------------

{n_clips} clips of 5 s from Freesound, {n_classes} classes, mono at 44100 Hz. The groups are the
{n_groups} recordings that the clips were cut from.

Splits: the five official folds; no recording is in two of them.

Source: https://github.com/karolpiczak/ESC-10
Licence: Creative Commons Attribution 3.0, with the authors of the clips in its README.
Cite: K. J. Piczak, ESC: Dataset for Environmental Sound Classification, ACM Multimedia 2015,
doi:10.1145/2733373.2806390.
"""
_URBANSOUND8K_DESCR = """\
UrbanSound8K
------------

{n_clips} clips (8732 in the full set) of up to 4 s from Freesound, {n_classes} classes of sounds
of the city, of differing rates and channels. The groups are the {n_groups} Freesound recordings
that the clips were cut from.

Splits: the ten official folds; no recording is in two of them.

Source: https://urbansounddataset.weebly.com/urbansound8k.html
Licence: Creative Commons Attribution-NonCommercial 3.0.
Cite: J. Salamon, C. Jacoby and J. P. Bello, A Dataset and Taxonomy for Urban Sound Research,
ACM Multimedia 2014, doi:10.1145/2647868.2655045.
"""


def fetch_esc10(*, data_home=None, download_if_missing=True):
    """Return the environmental sounds of ESC-10, after a download (42 MB) if need be.

    400 clips of 5 s, 10 classes, 5 official folds, 44100 Hz [1]_. A download is checked file by
    file; recordings that are already there are only counted.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder that holds or will hold ``esc10``; a folder ``ESC-50-master`` or ``esc50`` in it
        will do as well. None: the value of the environment variable SKAUDIO_DATA, otherwise a
        cache folder of the user. Three layouts are read: the ten class folders of ESC-10, that
        of ESC-50 (``meta/esc50.csv`` and ``audio``), and a ``metadata.csv`` with the columns
        filename and label. The classes are always named and ordered as in ESC-50.

    download_if_missing : bool, default=True
        Whether to download what is not there.

    Returns
    -------
    sounds : :class:`~sklearn.utils.Bunch`
        The entries of `load_audio_folder`, and ``sample_rate`` in Hz. Groups are the Freesound
        recordings that the clips were cut from.

    Raises
    ------
    OSError
        If the recordings are missing or incomplete, or if the download fails or is not what
        was published; nothing is saved then.

    References
    ----------
    .. [1] K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia
       2015, doi:10.1145/2733373.2806390.

    Examples
    --------
    >>> from skaudio.datasets import fetch_esc10
    >>> fetch_esc10(data_home="nowhere", download_if_missing=False)
    Traceback (most recent call last):
    OSError: there are no recordings in nowhere...
    """
    folder = fetch(
        "esc10",
        f"karolpiczak/ESC-10/archive/{_ESC10_COMMIT}.zip",
        f"ESC-10-{_ESC10_COMMIT}",
        data_home=data_home,
        download_if_missing=download_if_missing,
        also=("ESC-50-master", "esc50"),
    )
    # {fold}-{recording}-{take}; in ESC-50 the number of the class follows
    clips = sorted(
        (path.stem.split("-")[:3], path, label)
        for path, label in _esc10_clips(folder)
        if path.is_file()
    )
    check_count(clips, "esc10", folder)
    parts, paths, labels = zip(*clips, strict=True)
    folds, recordings, _ = zip(*parts, strict=True)
    descr = _ESC10_DESCR.format(
        n_clips=len(paths), n_classes=len({*labels}), n_groups=len({*recordings})
    )
    return make_bunch(
        paths, labels, fold_splits(folds), descr, groups=recordings, sample_rate=44100
    )


def _esc10_clips(folder):
    """Return (path, class) of each clip, whatever the layout of the folder."""
    if (folder / "meta" / "esc50.csv").is_file():
        rows = read_table(folder / "meta" / "esc50.csv", ["filename", "category", "esc10"])
        rows = [row for row in rows if row["esc10"].lower() == "true"]
        return [(folder / "audio" / row["filename"], row["category"]) for row in rows]
    if (folder / "metadata.csv").is_file():
        rows = read_table(folder / "metadata.csv", ["filename", "label"])
        paths, labels = [folder / row["filename"] for row in rows], [row["label"] for row in rows]
    else:  # "001 - Dog bark"
        paths, labels = read_class_folders(folder)
        labels = [label.split(" - ")[-1].lower().replace(" ", "_") for label in labels]
    return zip(paths, [_ESC50_NAMES.get(label, label) for label in labels], strict=True)


def load_urbansound8k(path):
    """Read UrbanSound8K from where it was unpacked.

    8732 clips of up to 4 s, 10 classes, 10 official folds [1]_.

    Parameters
    ----------
    path : str or path-like
        Folder that holds ``metadata/UrbanSound8K.csv`` and ``audio/fold1`` to ``audio/fold10``.

    Returns
    -------
    sounds : :class:`~sklearn.utils.Bunch`
        The entries of `load_audio_folder`. Groups are the Freesound recordings that the clips
        were cut from.

    Raises
    ------
    FileNotFoundError
        If the table or a clip in it does not exist.

    References
    ----------
    .. [1] J. Salamon, C. Jacoby and J. P. Bello, "A Dataset and Taxonomy for Urban Sound
       Research", ACM Multimedia 2014, doi:10.1145/2647868.2655045.

    Examples
    --------
    >>> import os, tempfile, numpy as np, soundfile
    >>> from skaudio.datasets import load_urbansound8k
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     os.makedirs(f"{folder}/metadata")
    ...     with open(f"{folder}/metadata/UrbanSound8K.csv", "w") as table:
    ...         _ = table.write("slice_file_name,fsID,fold,class\\n")
    ...         _ = table.write("7-3-0-0.wav,7,1,dog_bark\\n9-8-0-0.wav,9,2,siren\\n")
    ...     for name in ("fold1/7-3-0-0.wav", "fold2/9-8-0-0.wav"):
    ...         os.makedirs(f"{folder}/audio/{name[:5]}")
    ...         soundfile.write(f"{folder}/audio/{name}", np.zeros(800), 16000)
    ...     sounds = load_urbansound8k(folder)
    >>> sounds.target_names, len(sounds.splits)
    (['dog_bark', 'siren'], 2)
    """
    folder = Path(path).expanduser()
    table = folder / "metadata" / "UrbanSound8K.csv"
    rows = read_table(table, ["slice_file_name", "fsID", "fold", "class"])
    paths = [folder / "audio" / f"fold{row['fold']}" / row["slice_file_name"] for row in rows]
    check_complete(paths, table)
    labels = [row["class"] for row in rows]
    recordings = [row["fsID"] for row in rows]
    descr = _URBANSOUND8K_DESCR.format(
        n_clips=len(paths), n_classes=len({*labels}), n_groups=len({*recordings})
    )
    splits = fold_splits([int(row["fold"]) for row in rows])
    return make_bunch(paths, labels, splits, descr, groups=recordings)
