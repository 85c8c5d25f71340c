"""Workers: the teachers that train one encoder, each by a small task of its own.

A worker is a head on the frames of the encoder, and a loss: of what it predicts about the clean
sound, or of pairs of chunks that it tells apart. `skaudio.training.ManyTeachers` trains from a
list of them; what a class of one's own needs is said at `Regression` and `Worker`.
"""

from ._fbank import FBANK
from ._gammatone import Gammatone
from ._gim import GIM
from ._lim import LIM
from ._lps import LPS
from ._mfcc import MFCC
from ._names import PASE, PASE_PLUS, TINY, build, resolve
from ._prosody import Prosody
from ._regression import Regression
from ._spc import SPC
from ._waveform import Waveform
from ._worker import Lesson, Worker

__all__ = [
    "FBANK",
    "GIM",
    "LIM",
    "LPS",
    "MFCC",
    "PASE",
    "PASE_PLUS",
    "SPC",
    "TINY",
    "Gammatone",
    "Lesson",
    "Prosody",
    "Regression",
    "Waveform",
    "Worker",
    "build",
    "resolve",
]
