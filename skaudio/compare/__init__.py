"""Comparison of extractors on recordings, under splits that do not leak."""

from ._extractors import random_networks, standard_extractors, trained_networks
from ._report import refit
from ._rows import ComparisonRow, read_rows, score_text, table_lines, write_rows
from ._run import compare_extractors, fit_classifier, inner_folds
from ._svm import standard_svm
from ._tuned import TunedELM, TunedSVM

__all__ = [
    "ComparisonRow",
    "TunedELM",
    "TunedSVM",
    "compare_extractors",
    "fit_classifier",
    "inner_folds",
    "random_networks",
    "read_rows",
    "refit",
    "score_text",
    "standard_extractors",
    "standard_svm",
    "table_lines",
    "trained_networks",
    "write_rows",
]
