"""Public checks of the contracts in CONTRIBUTING.md, to be run beside those of scikit-learn.

`check_audio_estimator` runs all of them; each one is also a function of an unfitted estimator
that raises AssertionError.
"""

from ._checks_of_clips import (
    check_any_length,
    check_clip_alone,
    check_files,
    check_lazy_decoding,
    check_long_clip,
    check_matrix_width,
    check_memory,
    check_running_parameters,
    check_unusable_clips,
)
from ._checks_of_sound import check_density, check_generation
from ._checks_of_state import (
    check_frames,
    check_learning,
    check_no_torch_objects,
    check_output,
    check_random_state,
    check_round_trips,
    check_weights,
)
from ._checks_of_training import (
    check_classification,
    check_labels,
    check_training_resumes,
    check_warm_start,
)
from .discovery import all_extractors

__all__ = [
    "audio_checks",
    "check_any_length",
    "check_audio_estimator",
    "check_classification",
    "check_clip_alone",
    "check_density",
    "check_files",
    "check_frames",
    "check_generation",
    "check_instances",
    "check_labels",
    "check_lazy_decoding",
    "check_learning",
    "check_long_clip",
    "check_matrix_width",
    "check_memory",
    "check_no_torch_objects",
    "check_output",
    "check_random_state",
    "check_round_trips",
    "check_running_parameters",
    "check_training_resumes",
    "check_unusable_clips",
    "check_warm_start",
    "check_weights",
]


def audio_checks():
    """List the audio checks, for instance to parametrize a test over them.

    Returns
    -------
    checks : list of callable
        Each takes an unfitted extractor, does not change it, and raises AssertionError if a
        clone of it breaks the contract that the check is named after.

    Examples
    --------
    >>> from skaudio import MFCCTransformer
    >>> from skaudio.utils.estimator_checks import audio_checks
    >>> checks = audio_checks()
    >>> checks[0].__name__
    'check_output'
    >>> checks[0](MFCCTransformer())
    """
    return [  # the simplest contracts first, since their messages are the clearest
        check_output,
        check_no_torch_objects,
        check_random_state,
        check_learning,
        check_round_trips,
        check_weights,
        check_any_length,
        check_matrix_width,
        check_memory,
        check_clip_alone,
        check_running_parameters,
        check_long_clip,
        check_frames,
        check_files,
        check_lazy_decoding,
        check_unusable_clips,
        # of those that train, and of those that learn classes
        check_training_resumes,
        check_warm_start,
        check_labels,
        check_classification,
        # of those that know how likely a sound is, and that make new ones
        check_density,
        check_generation,
    ]


def check_audio_estimator(estimator):
    """Check that an extractor fulfils the contracts of this library.

    Use it beside `sklearn.utils.estimator_checks.check_estimator`, which does not test anything
    about audio. Small networks make it fast. It needs pandas, for the check of `set_output`.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        An unfitted extractor; clones of it are checked.

    Raises
    ------
    AssertionError
        At the first broken contract; the message says which it is, and how it is broken.
    TypeError
        If a class is passed, or an object that is not an extractor.

    Examples
    --------
    >>> from skaudio import MFCCTransformer
    >>> from skaudio.utils.estimator_checks import check_audio_estimator
    >>> check_audio_estimator(MFCCTransformer(n_mels=32, n_fft=512))
    """
    from ..base import BaseAudioTransformer

    if not isinstance(estimator, BaseAudioTransformer):
        raise TypeError(f"{estimator!r} is no instance of a subclass of BaseAudioTransformer")
    for check in audio_checks():
        check(estimator)


def check_instances():
    """Make small instances of all extractors, in all variants worth testing.

    An extractor names its variants in a class method ``_get_test_params()``, a list of dicts of
    constructor parameters. One that names none is made with its defaults.

    Returns
    -------
    instances : list of BaseAudioTransformer
        Unfitted, grouped by class.

    Examples
    --------
    >>> from skaudio.utils.estimator_checks import check_instances
    >>> type(check_instances()[0]).__name__
    'CNNTransformer'
    """
    instances = []
    for _, extractor in all_extractors():
        instances += [extractor(**params) for params in extractor._get_test_params()]
    return instances
