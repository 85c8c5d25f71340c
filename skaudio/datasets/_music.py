"""Music."""

from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedKFold

from ._folder import read_class_folders
from ._shared import check_complete, make_bunch, read_table

_GTZAN_PARTS = Path(__file__).with_name("manifests") / "gtzan_parts.csv"
_GTZAN_DESCR = """\
GTZAN music genres, fault-filtered
----------------------------------

930 of the 1000 excerpts of 30 s in ten genres, mono at 22050 Hz.

Splits: one, 443 excerpts to train on and 290 to test; `validation` holds the rows of 197 more.
The parts share no artist, and repeated, distorted and wrongly labelled excerpts are left out
(Kereliuk et al. 2015). With random splits of GTZAN, the scores of any method are too good.

Source: http://marsyas.info/downloads/datasets.html; the lists of the parts are those of
https://github.com/jongpillee/music_dataset_split.
Licence: none was given; the excerpts come from commercial recordings.
Cite: G. Tzanetakis and P. Cook, Musical Genre Classification of Audio Signals, IEEE Transactions
on Speech and Audio Processing 10(5), 2002, doi:10.1109/TSA.2002.800560, and C. Kereliuk,
B. L. Sturm and J. Larsen, Deep Learning and Music Adversaries, 2015, arXiv:1507.04761.
"""
_DANCES = [
    "Chacha",
    "Foxtrot",
    "Jive",
    "Pasodoble",
    "Quickstep",
    "Rumba",
    "Salsa",
    "Samba",
    "Slowwaltz",
    "Tango",
    "Viennesewaltz",
    "Waltz",
    "Wcswing",
]
_BALLROOM_DESCR = """\
Extended Ballroom
-----------------

{n_clips} excerpts (4180 in the full set) of 30 s in 13 classes of dances.

Splits: {n_splits} stratified folds, not shuffled. There are no groups: the set holds some
pieces more than once (its XML file lists them), and these folds may test a piece that they have
trained on.

Source: http://anasynth.ircam.fr/home/media/ExtendedBallroom
Licence: none was given; the excerpts come from commercial recordings.
Cite: U. Marchand and G. Peeters, The Extended Ballroom Dataset, late-breaking session of ISMIR
2016.
"""


def load_gtzan(path):
    """Read GTZAN in its fault-filtered parts: 930 excerpts, 10 genres, 22050 Hz.

    The parts, of 443, 197 and 290 excerpts, share no artist [2]_; the other excerpts are left
    out.

    Parameters
    ----------
    path : str or path-like
        Folder that holds ``blues/blues.00000.wav`` and so on (or ``.au``), by itself or in
        ``genres`` or ``genres_original``.

    Returns
    -------
    sounds : :class:`~sklearn.utils.Bunch`
        The entries of `load_audio_folder`, ``sample_rate`` in Hz and ``validation``, an ndarray
        of int: rows that are in neither part of the split. There are no groups.

    Raises
    ------
    FileNotFoundError
        If a listed excerpt is missing.

    Notes
    -----
    In many copies ``jazz.00054.wav``, an excerpt of the train part, is damaged. It is not
    opened here; an extractor will name it.

    References
    ----------
    .. [1] G. Tzanetakis and P. Cook, "Musical Genre Classification of Audio Signals", IEEE
       Transactions on Speech and Audio Processing 10(5), 2002, doi:10.1109/TSA.2002.800560.
    .. [2] C. Kereliuk, B. L. Sturm and J. Larsen, "Deep Learning and Music Adversaries", 2015,
       arXiv:1507.04761.

    Examples
    --------
    >>> from skaudio.datasets import load_gtzan
    >>> load_gtzan("nowhere")
    Traceback (most recent call last):
    FileNotFoundError: 930 of the 930 clips of GTZAN are missing; the first is nowhere...
    """
    folder = Path(path).expanduser()
    for name in ("genres", "genres_original"):
        if (folder / name).is_dir():
            folder = folder / name
    clips = sorted(
        (row["genre"], int(number), row["part"])
        for row in read_table(_GTZAN_PARTS, ["genre", "part", "numbers"])
        for number in row["numbers"].split()
    )
    labels, _, parts = zip(*clips, strict=True)
    paths = [folder / genre / f"{genre}.{number:05d}.wav" for genre, number, _ in clips]
    paths = [path if path.is_file() else path.with_suffix(".au") for path in paths]
    check_complete(paths, "GTZAN")
    train, validation, test = (
        np.flatnonzero(np.array(parts) == part) for part in ("train", "validation", "test")
    )
    return make_bunch(
        paths, labels, [(train, test)], _GTZAN_DESCR, sample_rate=22050, validation=validation
    )


def load_extended_ballroom(path, n_splits=10):
    """Read the dance music of Extended Ballroom: 4180 excerpts, 13 classes.

    Parameters
    ----------
    path : str or path-like
        Folder that holds ``Chacha/100701.mp3`` and so on, sound files of any format.

    n_splits : int, default=10
        Number of stratified folds; they are not shuffled, as in [1]_.

    Returns
    -------
    sounds : :class:`~sklearn.utils.Bunch`
        The entries of `load_audio_folder`. There are no groups; repeated pieces, of which the
        set has some, may be on both sides of a split.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    ValueError
        If a class is missing or has too few clips, or if there are other folders.

    References
    ----------
    .. [1] U. Marchand and G. Peeters, "Scale and Shift Invariant Time/Frequency Representation
       Using Auditory Statistics: Application to Rhythm Description", IEEE International
       Workshop on Machine Learning for Signal Processing, 2016.

    Examples
    --------
    >>> from skaudio.datasets import load_extended_ballroom
    >>> load_extended_ballroom("nowhere")
    Traceback (most recent call last):
    FileNotFoundError: ...
    """
    folder = Path(path).expanduser()
    paths, labels = read_class_folders(folder)
    found = sorted({*labels})
    if found != _DANCES:
        raise ValueError(
            f"the folders in {folder} are {', '.join(found)}; they should be {', '.join(_DANCES)}"
        )
    splits = list(StratifiedKFold(n_splits).split(labels, labels))
    descr = _BALLROOM_DESCR.format(n_clips=len(paths), n_splits=n_splits)
    return make_bunch(paths, labels, splits, descr)
