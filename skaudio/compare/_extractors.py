"""The extractors that are compared by default."""

# by name, the parameters of each network
NETWORKS = {
    "vgg": {"design": "vgg"},
    "single 7x86": {"design": "single", "kernel": (7, 86)},
    "single 7x96": {"design": "single", "kernel": (7, 96)},
    "timbral_temporal": {"design": "timbral_temporal"},
    "timbral": {"design": "timbral"},
    "temporal": {"design": "temporal"},
    "sample_level": {"design": "sample_level"},
    "frame_level_many": {"design": "frame_level_many"},
    "frame_level": {"design": "frame_level"},
}
GROUPS = ("pitch", "voice", "energy", "spectrum", "formants", "rhythm")  # of prosody


def random_networks(**parameters):
    """Make one random convolutional network of each design.

    Parameters
    ----------
    **parameters
        Passed to each :class:`~skaudio.RandomCNNTransformer`.

    Returns
    -------
    extractors : dict of str to RandomCNNTransformer
        By the name of the design; "single" comes with either of its two kernels.

    Examples
    --------
    >>> from skaudio.compare import random_networks
    >>> list(random_networks(sample_rate=16000))[:4]
    ['vgg', 'single 7x86', 'single 7x96', 'timbral_temporal']
    """
    from ..extractors import RandomCNNTransformer

    return {name: RandomCNNTransformer(**design, **parameters) for name, design in NETWORKS.items()}


def trained_networks(**parameters):
    """Make one convolutional network of each design that learns from the labels.

    Parameters
    ----------
    **parameters
        Passed to each :class:`~skaudio.CNNTransformer`.

    Returns
    -------
    extractors : dict of str to CNNTransformer
        By the name of the random network of the same design, and "trained" before it.

    Examples
    --------
    >>> from skaudio.compare import trained_networks
    >>> list(trained_networks(max_minutes=2))[:2]
    ['trained vgg', 'trained single 7x86']
    """
    from ..extractors import CNNTransformer

    return {
        f"trained {name}": CNNTransformer(**design, **parameters)
        for name, design in NETWORKS.items()
    }


def standard_extractors(**parameters):
    """Make every extractor that ``skaudio compare`` compares: MFCCs, random networks, their union.

    The union joins prosody, with formants, to MFCCs and the random network ``"vgg"``. The
    classifiers of a comparison let its eight blocks count alike: the six groups of
    `~skaudio.ProsodyTransformer`, the MFCCs, and the network.

    Parameters
    ----------
    **parameters
        Passed to each extractor.

    Returns
    -------
    extractors : dict of str to transformer
        By name.

    Examples
    --------
    >>> from skaudio.compare import standard_extractors
    >>> extractors = standard_extractors()
    >>> list(extractors)[:2], list(extractors)[-1]
    (['MFCC', 'vgg'], 'prosody + MFCC + vgg')
    """
    from sklearn.pipeline import FeatureUnion

    from ..extractors import MFCCTransformer, ProsodyTransformer, RandomCNNTransformer

    parts = {
        "prosody": ProsodyTransformer(GROUPS, **parameters),
        "MFCC": MFCCTransformer(**parameters),
        "vgg": RandomCNNTransformer(**parameters),
    }
    union = {" + ".join(parts): FeatureUnion([*parts.items()])}
    return {"MFCC": MFCCTransformer(**parameters), **random_networks(**parameters), **union}
