"""Pictures in the manner of scikit-learn's Display classes."""

from ._comparison import ComparisonDisplay
from ._embedding import EmbeddingDisplay
from ._feature_map import FeatureMapDisplay
from ._filter_bank import FilterBankDisplay
from ._pitch import PitchDisplay
from ._training import TrainingDisplay

__all__ = [
    "ComparisonDisplay",
    "EmbeddingDisplay",
    "FeatureMapDisplay",
    "FilterBankDisplay",
    "PitchDisplay",
    "TrainingDisplay",
]
