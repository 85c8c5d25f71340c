"""What the extractors on mel spectrograms share: parameters sample_rate, n_fft ... top_db."""

from .. import frontends
from ..utils.validation import check_number

__all__ = ["check_mel_parameters", "log_mel"]


def check_mel_parameters(extractor):
    """Check the parameters that all mel spectrogram extractors share.

    Parameters
    ----------
    extractor : BaseAudioTransformer
        Has sample_rate, n_fft, hop_length, n_mels, fmin, fmax and top_db.
    """
    for name in ("n_fft", "hop_length", "n_mels"):
        check_number(name, getattr(extractor, name), 1)
    nyquist = extractor.sample_rate / 2
    check_number("fmin", extractor.fmin, 0, nyquist, integer=False)
    check_number("fmax", extractor.fmax, extractor.fmin, nyquist, integer=False, none=True)
    check_number("top_db", extractor.top_db, 0, integer=False, none=True)


def log_mel(extractor, pad):
    """Make the log-mel front-end of an extractor.

    Parameters
    ----------
    extractor : BaseAudioTransformer
        Has the parameters that `check_mel_parameters` checks.
    pad : {"reflect", "constant"}
        How a clip goes on beyond its ends.

    Returns
    -------
    log_mel : LogMel
        The module.
    """
    return frontends.LogMel(
        extractor.sample_rate,
        extractor.n_fft,
        extractor.hop_length,
        extractor.n_mels,
        extractor.fmin,
        extractor.fmax,
        extractor.top_db,
        pad,
    )
