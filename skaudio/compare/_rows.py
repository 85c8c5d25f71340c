"""The rows of a comparison: what they hold, on the terminal and in files."""

import csv
import json
import os
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class ComparisonRow:
    """How one extractor did with one classifier on one data set.

    Attributes
    ----------
    data : str
        Name of the data set.
    extractor : str
        Name of the extractor.
    classifier : str
        Name of the classifier.
    accuracy, accuracy_std : float
        Share of the test clips recognised: mean and (population) standard deviation
        over the random draws.
    balanced_accuracy, balanced_accuracy_std : float
        The same for the mean over the classes of the share recognised.
    chance : float
        Accuracy of always naming the most frequent class of the training part.
    draws : int
        Number of random draws; 1 where nothing is random.
    n_features : int
        Length of the feature vector.
    seconds_per_hour : float
        Seconds of extraction per hour of audio; NaN where the length is not known.
    configuration : str
        Digest of what decides about the row: clips, labels, splits, parameters, seeds
        and the version of skaudio. It does not know code that was edited since.
    confusion : list of list of int, default=None
        Test clips of each class (rows) that were taken for each class (columns), classes sorted,
        summed over the draws. Kept in JSON, left out of CSV files.
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


def table_lines(rows, *, width=None):
    """Set rows as the lines of a table for a terminal, one by one.

    Parameters
    ----------
    rows : iterable of ComparisonRow
        May be a running comparison: each line comes as soon as its row does.

    width : int, default=None
        Characters for the names. None: 24.

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
    yield (
        f"{'extractor':{width}}   {'classifier':10}   {'accuracy':13}  {'balanced':13}  "
        "features  s/hour"
    )
    for row in rows:
        accuracy = score_text(row.accuracy, row.accuracy_std, row.draws)
        balanced = score_text(row.balanced_accuracy, row.balanced_accuracy_std, row.draws)
        yield (
            f"{row.extractor:{width}}   {row.classifier:10}   {accuracy:13}  {balanced:13}  "
            f"{row.n_features:8d}  {row.seconds_per_hour:6.1f}"
        )


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
    path = os.fspath(path)
    unfinished = path + ".part"
    with open(unfinished, "w", newline="", encoding="utf-8") as file:
        if path.endswith(".json"):
            # a line per row, so that a change of one row shows as one
            file.write("[\n" + ",\n".join(json.dumps(asdict(row)) for row in rows) + "\n]\n")
        else:
            writer = csv.DictWriter(file, [*_columns()], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(asdict(row) for row in rows)
    os.replace(unfinished, path)


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
        If the file holds something else.
    """
    with open(path, newline="", encoding="utf-8") as file:
        try:
            if os.fspath(path).endswith(".json"):
                names = [field.name for field in fields(ComparisonRow)]
                return [
                    ComparisonRow(**{name: line[name] for name in names})
                    for line in json.load(file)
                ]
            return [
                ComparisonRow(**{name: kind(line[name]) for name, kind in _columns().items()})
                for line in csv.DictReader(file)
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} holds no rows of a comparison ({error!r})") from error


def _columns():
    """Names and types of what a CSV file holds."""
    return {f.name: f.type for f in fields(ComparisonRow) if f.name != "confusion"}
