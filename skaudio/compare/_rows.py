"""The rows of a comparison: what they hold, on the terminal and in files."""

import csv
import os
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class ComparisonRow:
    """How one extractor did on one data set.

    Attributes
    ----------
    data : str
        Name of the data set.
    extractor : str
        Name of the extractor.
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
    """

    data: str
    extractor: str
    accuracy: float
    accuracy_std: float
    balanced_accuracy: float
    balanced_accuracy_std: float
    chance: float
    draws: int
    n_features: int
    seconds_per_hour: float
    configuration: str = ""


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
    >>> row = ComparisonRow("dogs", "MFCC", 0.71, 0.0, 0.6942, 0.0, 0.5, 1, 120, 24.3)
    >>> for line in table_lines([row], width=8):
    ...     print(line)
    extractor  accuracy       balanced       features  s/hour
    MFCC       0.710          0.694               120    24.3
    """
    width = 24 if width is None else width
    yield f"{'extractor':{width}}   {'accuracy':13}  {'balanced':13}  features  s/hour"
    for row in rows:
        accuracy = score_text(row.accuracy, row.accuracy_std, row.draws)
        balanced = score_text(row.balanced_accuracy, row.balanced_accuracy_std, row.draws)
        yield (
            f"{row.extractor:{width}}   {accuracy:13}  {balanced:13}  "
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
    """Write rows as a CSV file with a heading; the file is replaced in one step.

    Parameters
    ----------
    rows : iterable of ComparisonRow
        What to write.
    path : str or path-like
        The file.
    """
    path = os.fspath(path)
    unfinished = path + ".part"
    with open(unfinished, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(ComparisonRow)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    os.replace(unfinished, path)


def read_rows(path):
    """Read what `write_rows` wrote.

    Parameters
    ----------
    path : str or path-like
        The CSV file; columns of other names are left out.

    Returns
    -------
    rows : list of ComparisonRow
        In the order of the file.
    """
    with open(path, newline="", encoding="utf-8") as file:
        columns = {field.name: field.type for field in fields(ComparisonRow)}
        return [
            ComparisonRow(**{name: kind(line[name]) for name, kind in columns.items()})
            for line in csv.DictReader(file)
        ]
