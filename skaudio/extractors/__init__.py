"""The public extractors, one file each."""

from ._cnn import CNNTransformer
from ._mfcc import MFCCTransformer
from ._pase import PASETransformer
from ._prosody import ProsodyTransformer
from ._random_cnn import RandomCNNTransformer
from ._sincnet import SincNetTransformer
from ._vq import VQTransformer
from ._wav2vec import Wav2VecTransformer
from ._wavenet import WaveNetTransformer

__all__ = [
    "CNNTransformer",
    "MFCCTransformer",
    "PASETransformer",
    "ProsodyTransformer",
    "RandomCNNTransformer",
    "SincNetTransformer",
    "VQTransformer",
    "Wav2VecTransformer",
    "WaveNetTransformer",
]
