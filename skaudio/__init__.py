"""Neural feature extraction for audio, as scikit-learn transformers.

Names are loaded when first used: ``import skaudio`` alone imports neither torch,
librosa nor scikit-learn.
"""

import lazy_loader

from ._version import __version__

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "audio",
        "augment",
        "base",
        "batching",
        "compare",
        "datasets",
        "elm",
        "extractors",
        "frontends",
        "metrics",
        "networks",
        "plotting",
        "pooling",
        "pretrained",
        "saving",
        "scaling",
        "utils",
        "workers",
    ],
    submod_attrs={
        "_engine.cache": ["FeatureCache"],
        "audio": ["AudioFile", "ClipError", "read_audio"],
        "elm": ["ELMClassifier", "ELMRegressor"],
        "extractors": [
            "CNNTransformer",
            "MFCCTransformer",
            "MuLawTransformer",
            "PASETransformer",
            "ProsodyTransformer",
            "RandomCNNTransformer",
            "SincNetTransformer",
            "VQTransformer",
            "Wav2VecTransformer",
            "WaveNetTransformer",
        ],
        "saving": ["load"],
        "scaling": ["BlockScaler", "feature_blocks"],
    },
)
__all__ += ["__version__"]
