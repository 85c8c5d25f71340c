"""Workers as users choose them: by name, by class, or in a list that has a name."""

import importlib
import inspect
import pkgutil
from collections.abc import Sequence
from functools import cache, partial

from torch import nn

from ._worker import Worker

__all__ = ["PASE", "PASE_PLUS", "TINY", "build", "resolve"]

PASE = ("waveform", "lps", "mfcc", "prosody", "spc", "lim", "gim")
PASE_PLUS = (
    *("waveform", "lps+", "lps_long+", "fbank+", "fbank_long+", "gammatone+", "gammatone_long+"),
    *("mfcc+", "mfcc_long+", "prosody+", "lim", "gim+"),
)
TINY = ("fbank+", "fbank_long+", "mfcc+", "prosody+", "lim")
_LISTS = {"tiny": TINY, "pase": PASE, "pase+": PASE_PLUS}


@cache
def forms():
    """Workers by name.

    Returns
    -------
    forms : dict of str to callable
        What the files of this package call ``FORMS``, so that a new file is found.
    """
    package = importlib.import_module(__package__)
    found = {}
    for module in pkgutil.iter_modules(package.__path__, f"{__package__}."):
        found |= vars(importlib.import_module(module.name)).get("FORMS", {})
    return found


def resolve(workers):
    """Workers as users choose them -> how to make each.

    Parameters
    ----------
    workers : str or sequence
        "tiny", "pase" or "pase+", or a sequence of workers. Each is a name, a subclass of
        `Worker`, a `functools.partial` of one with its parameters, or a pair of a name of one's
        own and one of these. A name with a plus is the form of PASE+: with differences over time,
        and seven neighbouring frames at once.

    Returns
    -------
    made : dict of str to callable
        By name, without the plus: it is that of a column of ``history_``, after ``train_loss_``.

    Raises
    ------
    TypeError
        If an item is something else.
    ValueError
        If a name is unknown or is there twice, or there is no worker.

    Examples
    --------
    >>> from functools import partial
    >>> from skaudio.workers import LPS, MFCC, resolve
    >>> [*resolve(["prosody+", MFCC, ("short", partial(LPS, win_length=160))])]
    ['prosody', 'mfcc', 'short']
    """
    if isinstance(workers, str):
        if workers not in _LISTS:
            raise ValueError(
                f"workers={workers!r} is unknown; use one of {[*_LISTS]}, or a list of workers"
            )
        workers = _LISTS[workers]
    if not isinstance(workers, Sequence) or not workers:
        raise ValueError(f"workers={workers!r} must be one of {[*_LISTS]}, or a list of workers")
    made = {}
    for item in workers:
        name, factory = _named(item)
        if name in made:
            raise ValueError(
                f"two workers are called {name!r}; give one another name, as a pair ('other', "
                "worker)"
            )
        if not name.isidentifier() or name in dir(nn.ModuleDict):
            raise ValueError(f"{name!r} is no name for a worker; use another word")
        made[name] = factory
    return made


def _named(item):
    """Name of a worker, and how to make it."""
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
        return item[0], _named(item[1])[1]
    if isinstance(item, str):
        if item not in forms():
            raise ValueError(f"worker {item!r} is unknown; use one of {sorted(forms())}")
        return item.removesuffix("+"), forms()[item]
    made = item.func if isinstance(item, partial) else item
    if not (inspect.isclass(made) and issubclass(made, Worker)):
        raise TypeError(
            f"worker {item!r} must be a name, a subclass of skaudio.workers.Worker, or a "
            "functools.partial of one"
        )
    return made.__name__.lower(), item


def build(workers, n_channels, hop_length, sample_rate):
    """Make workers.

    Parameters
    ----------
    workers : str or sequence
        As for `resolve`.
    n_channels, hop_length, sample_rate : int
        As for `Worker`.

    Returns
    -------
    workers : ModuleDict
        By name.
    """
    made = resolve(workers)
    return nn.ModuleDict({n: f(n_channels, hop_length, sample_rate) for n, f in made.items()})
