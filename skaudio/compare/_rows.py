"""The rows of a comparison: their fields, their form on the terminal and in files."""

import csv
import json
import os
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4


@dataclass(frozen=True)
class ComparisonRow:
    """Scores of one extractor with one classifier on one data set.

    Attributes
    ----------
    data : str
        Name of the data set.
    extractor : str
        Name of the extractor.
    classifier : str
        Name of the classifier.
    accuracy, accuracy_std : float
        Fraction of the test clips recognised: mean and (population) standard deviation
        over the random draws.
    balanced_accuracy, balanced_accuracy_std : float
        The same for the mean over the classes of the fraction recognised.
    chance : float
        Accuracy of always naming the most frequent class of the training part.
    draws : int
        Number of random draws, that is, of seeds; 1 where nothing is random.
    n_features : int
        Length of the feature vector.
    seconds_per_hour : float
        Seconds of extraction per hour of audio; NaN where the length is not known.
    configuration : str
        Digest of what determines the row: clips, labels, splits, parameters, seeds and the
        version of skaudio. Edits of skaudio's own code do not change it.
    confusion : list of list of int, default=None
        Test clips of each class (rows) that were taken for each class (columns), classes sorted,
        summed over the draws. Written to JSON, left out of CSV files.
    versions : str, default=""
        Versions of scikit-learn and torch that computed the row; empty if not recorded. A
        finished row of other versions than those in use is computed again.
    """

    data: str
    extractor: str
    classifier: str
    accuracy: float
    accuracy_std: float
    balanced_accuracy: float
    balanced_accuracy_std: float
    chance: float
    draws: int
    n_features: int
    seconds_per_hour: float
    configuration: str = ""
    confusion: list | None = None
    versions: str = ""


def versions():
    """Return the versions of the other libraries that a row depends on.

    Returns
    -------
    text : str
        Such as "scikit-learn 1.9.1, torch 2.13.0"; whether torch is built for a GPU is left out.
    """
    names = ("scikit-learn", "torch")
    return ", ".join(f"{name} {version(name).partition('+')[0]}" for name in names)


def table_lines(rows, *, width=None, limit=None):
    """Format rows as the lines of a table for a terminal, one by one.

    Parameters
    ----------
    rows : iterable of ComparisonRow
        May be a running comparison: each line is yielded as soon as its row is.

    width : int, default=None
        Characters for the names. None: 24.

    limit : int, default=None
        Characters of the whole line, such as the width of a terminal: the last columns are left
        out if they do not fit. None: no limit.

    Yields
    ------
    line : str
        The heading first, then a line for each row.

    Examples
    --------
    >>> from skaudio.compare import ComparisonRow, table_lines
    >>> row = ComparisonRow("dogs", "MFCC", "SVM", 0.71, 0.0, 0.6942, 0.0, 0.5, 1, 120, 24.3)
    >>> for line in table_lines([row], width=8):
    ...     print(line)
    extractor   classifier   accuracy       balanced       features  s/hour
    MFCC        SVM          0.710          0.694               120    24.3
    """
    width = max(len("extractor"), 24 if width is None else width)
    ends = (width, width + 13, width + 29, width + 44, width + 54, width + 62)
    end = max((end for end in ends if limit is None or end <= limit), default=limit)
    yield (
        f"{'extractor':{width}}   {'classifier':10}   {'accuracy':13}  {'balanced':13}  "
        "features  s/hour"
    )[:end]
    for row in rows:
        accuracy = score_text(row.accuracy, row.accuracy_std, row.draws)
        balanced = score_text(row.balanced_accuracy, row.balanced_accuracy_std, row.draws)
        yield (
            f"{row.extractor:{width}}   {row.classifier:10}   {accuracy:13}  {balanced:13}  "
            f"{row.n_features:8d}  {row.seconds_per_hour:6.1f}"
        )[:end]


def score_text(mean, std, draws):
    """Return a score as text, with its deviation where there was more than one draw.

    Parameters
    ----------
    mean, std : float
        Of the score, over the draws.
    draws : int
        Number of draws.

    Returns
    -------
    text : str
        Such as "0.842" or "0.842 ± 0.011".
    """
    return f"{mean:.3f}" if draws == 1 else f"{mean:.3f} ± {std:.3f}"


def write_rows(rows, path):
    """Write rows to a CSV or JSON file, by its suffix; the file is replaced in one step.

    Parameters
    ----------
    rows : iterable of ComparisonRow
        What to write.
    path : str or path-like
        The file. CSV has a heading, and no confusion matrices.
    """
    path = Path(path)
    with completed(path) as unfinished:
        with open(unfinished, "w", newline="", encoding="utf-8") as file:
            if path.suffix == ".json":
                # a line per row, so that a change of one row is a diff of one line
                file.write("[\n" + ",\n".join(json.dumps(asdict(row)) for row in rows) + "\n]\n")
            else:
                writer = csv.DictWriter(file, [*_columns()], extrasaction="ignore")
                writer.writeheader()
                writer.writerows(asdict(row) for row in rows)


@contextmanager
def completed(path):
    """Temporary name to write under; the file is replaced in one step once all is written.

    No other process uses the same name, and the temporary file is removed if writing fails.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    unfinished : Path
        Beside it.
    """
    unfinished = path.with_name(f"{path.name}.{uuid4().hex[:8]}.part")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_rows(path):
    """Read what `write_rows` wrote.

    Parameters
    ----------
    path : str or path-like
        The CSV or JSON file; columns of other names are left out.

    Returns
    -------
    rows : list of ComparisonRow
        In the order of the file.

    Raises
    ------
    ValueError
        If the file holds something else, or is damaged.
    """
    path = Path(path)
    try:
        with open(path, newline="", encoding="utf-8") as file:
            if path.suffix == ".json":
                return [_row(line) for line in json.load(file)]
            lines = csv.DictReader(file, restval=None)
            if not {"data", "seconds_per_hour"} <= {*(lines.fieldnames or ())}:
                raise ValueError("its heading is another one")
            return [_row(_numbers(line)) for line in lines]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path} holds no rows of a comparison, or is damaged ({error!r}); delete it, or "
            "write to another place (skaudio compare: --fresh, --out)"
        ) from error


def _numbers(line):
    """Return a line of a CSV file with its numbers parsed."""
    kinds = {name: kind for name, kind in _columns().items() if name in line}
    if None in [line[name] for name in kinds]:
        raise ValueError("its last line breaks off")
    return {name: kind(line[name]) for name, kind in kinds.items()}


def _row(line):
    """Return a row of the text or numbers in a file; the fields with defaults may be missing."""
    values = {}
    for field in fields(ComparisonRow):
        if field.name in line or field.default is MISSING:
            values[field.name] = value = line[field.name]
            kind = (int, float) if field.type is float else field.type
            if not isinstance(value, kind):
                raise TypeError(f"{field.name} is {value!r}")
    return ComparisonRow(**values)


def _columns():
    """Names and types of what a CSV file holds."""
    return {f.name: f.type for f in fields(ComparisonRow) if f.name != "confusion"}
