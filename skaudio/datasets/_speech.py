"""Speech."""

import numpy as np

from ._fetch import check_count, fetch
from ._shared import fold_splits, make_bunch

_DESCR = """\
Free Spoken Digit Dataset (FSDD), version 1.0.10
------------------------------------------------

{n_clips} recordings of the English digits 0 to 9 by {n_speakers} speakers, mono at 8000 Hz,
trimmed to the digit. The groups are the speakers.

Splits: {protocol}.

Source: https://github.com/Jakobovski/free-spoken-digit-dataset
Licence: Creative Commons Attribution-ShareAlike 4.0 International.
Cite: Z. Jackson et al., Free Spoken Digit Dataset, Zenodo, doi:10.5281/zenodo.1342401.
"""
_PROTOCOLS = {
    "speaker": "one per speaker, who is tested and not trained on",
    "official": "one, which tests the first five takes of each digit and speaker, so that all "
    "speakers are trained on; much easier than unknown speakers",
}


def fetch_fsdd(*, data_home=None, split="speaker", download_if_missing=True):
    """Return the Free Spoken Digit Dataset, after a download (16 MB) if need be.

    3000 clips, 10 classes, 6 speakers, 8000 Hz. A download is checked file by file; recordings
    that are already there are only counted.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder that holds or will hold ``fsdd/recordings``. None: the value of the environment
        variable SKAUDIO_DATA, otherwise a cache folder of the user.

    split : {"speaker", "official"}, default="speaker"
        "speaker": six splits, each leaves one speaker out of training. "official": the one
        split of the publishers, which tests takes 0 to 4 of each digit and speaker.

    download_if_missing : bool, default=True
        Whether to download what is not there.

    Returns
    -------
    sounds : :class:`~sklearn.utils.Bunch`
        The entries of `load_audio_folder`, and ``sample_rate`` in Hz. Groups are speakers.

    Raises
    ------
    OSError
        If the recordings are missing or incomplete, or if the download fails or is not what
        was published; nothing is saved then.

    Examples
    --------
    >>> from skaudio.datasets import fetch_fsdd
    >>> fetch_fsdd(data_home="nowhere", download_if_missing=False)
    Traceback (most recent call last):
    OSError: there are no recordings in nowhere...
    """
    if split not in _PROTOCOLS:
        raise ValueError(f'split={split!r} is unknown; use "speaker" or "official"')
    folder = fetch(
        "fsdd",
        "Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip",
        "free-spoken-digit-dataset-1.0.10",
        data_home=data_home,
        download_if_missing=download_if_missing,
    )
    paths = sorted((folder / "recordings").glob("*.wav"))
    check_count(paths, "fsdd", folder)
    digits, speakers, takes = np.array([path.stem.split("_") for path in paths]).T
    splits = fold_splits(speakers)
    if split == "official":
        is_test = takes.astype(int) < 5
        splits = [(np.flatnonzero(~is_test), np.flatnonzero(is_test))]
    descr = _DESCR.format(
        n_clips=len(paths), n_speakers=len({*speakers}), protocol=_PROTOCOLS[split]
    )
    return make_bunch(paths, digits, splits, descr, groups=speakers, sample_rate=8000)
