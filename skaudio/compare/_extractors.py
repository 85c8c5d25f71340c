"""The extractors that are compared by default."""


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

    chosen = {
        "vgg": {"design": "vgg"},
        "single 7x86": {"design": "single", "kernel": (7, 86)},
        "single 7x96": {"design": "single", "kernel": (7, 96)},
    }
    others = ("timbral_temporal", "timbral", "temporal")
    others += ("sample_level", "frame_level_many", "frame_level")
    chosen |= {design: {"design": design} for design in others}
    return {name: RandomCNNTransformer(**design, **parameters) for name, design in chosen.items()}


def standard_extractors(**parameters):
    """Make every extractor that ``skaudio compare`` compares: MFCCs and the random networks.

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
    >>> list(standard_extractors())[:2]
    ['MFCC', 'vgg']
    """
    from ..extractors import MFCCTransformer

    return {"MFCC": MFCCTransformer(**parameters), **random_networks(**parameters)}
