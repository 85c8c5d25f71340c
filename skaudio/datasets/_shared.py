"""Helpers of all readers: tables, folds, and the Bunch that is returned."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch


def make_bunch(paths, labels, splits, descr, *, groups=None, **extra):
    """Make the Bunch that all functions of this package return.

    Parameters
    ----------
    paths : sequence of path-like
        The clips.
    labels : sequence of str
        Class of each.
    splits : list of (train, test), each ndarray of int
        Row numbers.
    descr : str
        Description of the set.
    groups : sequence of str or None
        Group of each clip, if there are groups.
    **extra
        Further entries.

    Returns
    -------
    sounds : Bunch
        With ``data, target, target_names, groups, splits, DESCR`` and, if there are groups,
        ``group_names``.
    """
    target_names, target = np.unique(labels, return_inverse=True)
    if groups is not None:
        group_names, groups = np.unique(groups, return_inverse=True)
        extra["group_names"] = group_names.tolist()
    return Bunch(
        data=[str(path) for path in paths],
        target=target,
        target_names=target_names.tolist(),
        groups=groups,
        splits=splits,
        DESCR=descr,
        **extra,
    )


def fold_splits(folds):
    """Make one split per fold, with the clips of that fold as its test part.

    Parameters
    ----------
    folds : sequence of str or int
        Fold of each clip.

    Returns
    -------
    splits : list of (train, test), each ndarray of int
        Row numbers, in the order of the sorted folds.
    """
    folds = np.asarray(folds)
    return [
        (np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)) for fold in np.unique(folds)
    ]


def read_table(table, columns):
    """Read a CSV file that must have some columns; rows are numbered from 2, below the header.

    Parameters
    ----------
    table : path-like
        The file, UTF-8 with a header.
    columns : sequence of str
        Needed columns.

    Returns
    -------
    rows : list of dict
        At least one.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not such a table; the message says why and what to do.
    """
    if not Path(table).is_file():
        raise FileNotFoundError(f"there is no table {table}")
    with open(table, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, restval="")
        try:
            rows, there = list(reader), reader.fieldnames or []
        except UnicodeDecodeError:
            raise ValueError(
                f"{table} is not encoded in UTF-8; save it so, in a spreadsheet as CSV UTF-8"
            ) from None
        except csv.Error as error:
            raise ValueError(
                f"{table} is no CSV file, {error}, after line {reader.line_num}; save it as one"
            ) from None
    double = [column for column, n in Counter(there).items() if n > 1 and column in columns]
    if double:
        raise ValueError(f"{table} has more than one column {double[0]}; rename or remove one")
    lacking = [column for column in columns if column not in there]
    if lacking:
        raise ValueError(
            f"{table} has no column {', '.join(lacking)}; its columns are {', '.join(there)}"
        )
    if not rows:
        raise ValueError(f"{table} has a header, but no row below it")
    for number, row in enumerate(rows, 2):
        if None in row:  # DictReader's key for cells without a column
            raise ValueError(
                f"row {number} of {table} has more cells than the header; "
                "put a cell that holds a comma in quotation marks"
            )
    return rows


def check_complete(paths, source):
    """Raise FileNotFoundError if clips that belong to a data set do not exist.

    Parameters
    ----------
    paths : list of Path
        The clips.
    source : str or path-like
        Where they are listed.
    """
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of the {len(paths)} clips of {source} are missing; "
            f"the first is {missing[0]}"
        )
