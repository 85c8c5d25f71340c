"""Discovery of extractors, so that neither tests nor documentation need a list of them."""

import importlib
import inspect
import pkgutil

__all__ = ["all_extractors"]


def all_extractors():
    """Find every public extractor.

    The modules of `skaudio.extractors` are imported and searched, so a new file there is found
    whether or not its class is exported.

    Returns
    -------
    extractors : list of (str, type)
        Name and class of each, sorted by name.

    Examples
    --------
    >>> from skaudio.utils.discovery import all_extractors
    >>> [name for name, _ in all_extractors()][:2]
    ['CNNTransformer', 'MFCCTransformer']
    """
    from .. import extractors

    found = {}
    for info in pkgutil.walk_packages(extractors.__path__, f"{extractors.__name__}."):
        module = importlib.import_module(info.name)
        found.update((n, c) for n, c in vars(module).items() if _is_extractor_of(c, module))
    return sorted(found.items())


def _is_extractor_of(item, module):
    """Whether an object is a public extractor defined in this module, not only imported."""
    from ..base import BaseAudioTransformer

    return (
        inspect.isclass(item)
        and issubclass(item, BaseAudioTransformer)
        and item.__module__ == module.__name__
        and not item.__name__.startswith("_")
    )
