"""The public extractors, one file each."""

from ._mfcc import MFCCTransformer
from ._random_cnn import RandomCNNTransformer

__all__ = ["MFCCTransformer", "RandomCNNTransformer"]
