"""A folder of recordings of one's own."""

import warnings
from collections import Counter
from numbers import Integral
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from ._shared import fold_splits, make_bunch, read_table

_DESCR = """\
Recordings in {folder}

{n_clips} clips of {n_classes} classes:
{classes}

Splits: {protocol}.
"""


def load_audio_folder(path, *, metadata=None, groups=None, n_splits=5, random_state=0):
    """Read the names, classes, groups and splits of a folder of recordings.

    The folder has one sub-folder per class, or a table. No audio is decoded.

    Parameters
    ----------
    path : str or path-like
        Without a table, each sub-folder is a class. Its clips may lie at any depth; links
        are followed, and hidden files and files that libsndfile does not decode, judged by
        their suffix, are left out.

    metadata : str or path-like, default=None
        A table: a CSV file with the columns ``filename`` (relative to `path`) and ``label``
        and perhaps ``group`` and ``split``. None: ``metadata.csv`` in `path` if it exists.

    groups : int or str, default=None
        What must not be in the train and the test part of one split, such as the speaker.
        Without a table, the number of the folder level below the class folder that names the
        group: 1 for ``class/speaker/take.wav``. With a table, the name of a column.
        None: the column ``group`` if it is filled, otherwise no groups.

    n_splits : int, default=5
        Number of splits, unless the table has a column ``split``.

    random_state : int, RandomState or None, default=0
        Shuffles the clips or groups before they are split.

    Returns
    -------
    sounds : :class:`~sklearn.utils.Bunch`
        With these entries:

        data : list of str
            Paths of the clips, in the order of the table, otherwise sorted.
        target : ndarray of shape (n_clips,), int
            Class of each clip, an index into `target_names`.
        target_names : list of str
            The classes, sorted.
        groups : ndarray of shape (n_clips,), int, or None
            Group of each clip, an index into `group_names`.
        group_names : list of str
            The groups, sorted; absent if there are none.
        splits : list of (train, test), each ndarray of int
            If the column ``split`` is filled, one split for each of its values, sorted, which
            tests the clips that have it. Otherwise those of
            :class:`~sklearn.model_selection.StratifiedGroupKFold` or, without groups, of
            :class:`~sklearn.model_selection.StratifiedKFold`, shuffled.
        DESCR : str
            Description of the set.

    Raises
    ------
    FileNotFoundError
        If the folder, the table or a file in it does not exist.
    ValueError
        If there is no class folder, a class folder holds no audio, a clip lies too high for
        its group, a class has fewer clips or groups than `n_splits`, or the table lacks a
        column, has gaps, or names a file twice.

    Warns
    -----
    UserWarning
        If the column ``split`` puts a group on both sides of a split.

    Examples
    --------
    >>> import tempfile, numpy as np, soundfile
    >>> from pathlib import Path
    >>> from skaudio.datasets import load_audio_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cat/tom", "cat/kitty", "dog/rex", "dog/bella"):
    ...         Path(folder, name).mkdir(parents=True)
    ...         soundfile.write(Path(folder, name, "take1.wav"), np.zeros(800), 16000)
    ...     sounds = load_audio_folder(folder, groups=1, n_splits=2)
    >>> sounds.target_names, sounds.target
    (['cat', 'dog'], array([0, 0, 1, 1]))
    >>> [sounds.group_names[i] for i in sounds.groups]
    ['kitty', 'tom', 'bella', 'rex']
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    if metadata is None and (folder / "metadata.csv").is_file():
        metadata = folder / "metadata.csv"
    folds = None
    if metadata is None:
        paths, labels = read_class_folders(folder)
        if groups is not None:
            groups = _groups_by_level(paths, folder, groups)
    else:
        paths, labels, groups, folds = _read_clips(folder, Path(metadata).expanduser(), groups)

    if folds is None:
        splits, protocol = _random_splits(labels, groups, n_splits, random_state)
    else:
        splits, protocol = fold_splits(folds), f"the {len({*folds})} of the table"
        if groups is not None:
            _warn_of_leaks(splits, np.asarray(groups))
    counts = sorted(Counter(labels).items())
    descr = _DESCR.format(
        folder=folder,
        n_clips=len(paths),
        n_classes=len(counts),
        classes="\n".join(f"- {name}: {count}" for name, count in counts),
        protocol=protocol,
    )
    return make_bunch(paths, labels, splits, descr, groups=groups)


def read_class_folders(folder):
    """Find the clips in a folder that has one sub-folder per class.

    Parameters
    ----------
    folder : Path
        The folder.

    Returns
    -------
    paths : list of Path
        The clips, sorted.
    labels : list of str
        Name of the sub-folder that each is in.
    """
    classes = [item for item in _visible(folder) if item.is_dir()]
    if not classes:
        raise ValueError(f"{folder} has no sub-folder; put the clips of each class into one")
    suffixes = _suffixes()
    paths = []
    for item in classes:
        found = list(_audio_files(item, suffixes, above=(folder.resolve(),)))
        if not found:
            raise ValueError(
                f"class folder {item} holds no audio; remove it, or convert its clips to one of "
                f"{', '.join(sorted(suffixes))}"
            )
        paths += found
    return paths, [path.relative_to(folder).parts[0] for path in paths]


def _visible(folder):
    return [item for item in sorted(folder.iterdir()) if not item.name.startswith(".")]


def _suffixes():
    """Suffixes of the files that libsndfile decodes."""
    from soundfile import available_formats

    # raw samples say neither their rate nor their format
    formats = {f".{name.lower()}" for name in available_formats()} - {".raw"}
    return formats | {".aif", ".aifc", ".oga", ".opus", ".snd", ".sph"}


def _audio_files(folder, suffixes, above):
    """Yield the sound files below a folder; `above` holds the folders it is in."""
    here = folder.resolve()
    if here in above:  # a link back up
        return
    for item in _visible(folder):
        if item.is_dir():
            yield from _audio_files(item, suffixes, (*above, here))
        elif item.suffix.lower() in suffixes:
            yield item


def _groups_by_level(paths, folder, level):
    """Name of the level-th folder below the class folder, for each clip."""
    if not isinstance(level, Integral) or level < 1:
        raise ValueError(
            f"groups={level!r}, but there is no table: pass the number of a folder level below "
            "the class folder, 1 or more, or a table as metadata"
        )
    groups = []
    for path in paths:
        below = path.relative_to(folder).parts[1:-1]
        if len(below) < level:
            raise ValueError(
                f"{path} has {len(below)} folder levels below its class folder; "
                f"groups={level} takes the group from level {level}"
            )
        groups.append(below[level - 1])
    return groups


def _read_clips(folder, table, groups):
    """Read paths, labels, groups (or None) and folds (or None) from a table."""
    if groups is not None and not isinstance(groups, str):
        raise ValueError(f"groups={groups!r}, but there is the table {table}: pass a column of it")
    needed = ["filename", "label"] + ([] if groups is None else [groups])
    rows = read_table(table, needed)
    columns = {name: _column(rows, name, table) for name in (*needed, "group", "split")}
    for name in needed:
        if columns[name] is None:
            raise ValueError(f"column {name} of {table} is empty")
    folds = columns["split"]
    if folds is not None and len({*folds}) == 1:
        raise ValueError(
            f"column split of {table} is {folds[0]} in all rows, which leaves no clip to train "
            "on; give it two values or more, or empty it"
        )

    paths, first = [folder / name for name in columns["filename"]], {}
    for number, path in enumerate(paths, 2):
        if not path.is_file():
            raise FileNotFoundError(
                f"row {number} of {table} names {columns['filename'][number - 2]}, "
                f"but there is no file {path}"
            )
        if path in first:
            raise ValueError(f"rows {first[path]} and {number} of {table} both name {path}")
        first[path] = number
    return paths, columns["label"], columns[groups or "group"], folds


def _column(rows, name, table):
    """Return the values of a column, or None if it is absent or empty."""
    values = [row.get(name, "") for row in rows]
    if not any(values):
        return None
    if not all(values):
        raise ValueError(
            f"column {name} of {table} is empty in row {values.index('') + 2}; "
            "fill it for all clips, or for none"
        )
    return values


def _random_splits(labels, groups, n_splits, random_state):
    """Return shuffled, stratified splits and their description."""
    units = range(len(labels)) if groups is None else groups
    counts = Counter(label for label, _ in {*zip(labels, units, strict=True)})
    scarce = min(sorted(counts), key=counts.get)
    what = "clips" if groups is None else "groups"
    if counts[scarce] < n_splits:
        raise ValueError(
            f"class {scarce} has {counts[scarce]} {what}, fewer than n_splits={n_splits}; lower "
            f"n_splits (2 is the least), add {what}, or leave that class out"
        )
    splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = splitter(n_splits, shuffle=True, random_state=random_state)
    splits = list(splitter.split(labels, labels, groups))
    how = "without groups" if groups is None else "no group on both sides"
    return splits, f"{n_splits}, stratified, {how}"


def _warn_of_leaks(splits, groups):
    """Warn of the first split that has a group on both sides."""
    for number, (train, test) in enumerate(splits):
        shared = np.intersect1d(groups[train], groups[test])
        if shared.size:
            warnings.warn(
                f"splits[{number}] trains and tests on the same group, {shared[0]}: its score "
                "will be too good; correct the column split, or empty it to get random splits",
                stacklevel=3,
            )
            break
