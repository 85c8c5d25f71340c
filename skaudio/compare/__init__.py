"""Which features suit these recordings: extractors compared under honest splits."""

from ._rows import ComparisonRow, read_rows, score_text, table_lines, write_rows
from ._run import compare_extractors, random_networks
from ._svm import standard_svm

__all__ = [
    "ComparisonRow",
    "compare_extractors",
    "random_networks",
    "read_rows",
    "score_text",
    "standard_svm",
    "table_lines",
    "write_rows",
]
