"""Result files that scripts update: only rows of the measured questions are replaced."""

import csv


def other_rows(path, questions):
    """Read the rows of an earlier run that answer other questions.

    Parameters
    ----------
    path : Path
        A CSV file with a column "question"; it need not exist.
    questions : collection of str
        What is measured anew.

    Returns
    -------
    rows : list of dict
        Columns by name, as text.
    """
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["question"] not in questions]


def write_rows(path, columns, rows):
    """Write rows.

    Parameters
    ----------
    path : Path
        A CSV file.
    columns : sequence of str
        Their names.
    rows : list of dict
        Values by column.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
