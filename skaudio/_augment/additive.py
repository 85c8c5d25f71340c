"""What may sound at the same time as a clip: noise, and other speakers."""

import torch

from ..utils.validation import check_number
from .rooms import reverberate
from .shared import (
    as_loud,
    between,
    bound,
    check_range,
    check_values,
    chosen,
    rms,
    uniform,
    unit,
)
from .sources import crops

__all__ = ["add_noise", "add_speech"]

_LOWEST = 50.0  # Hz; below, noise is not louder still, or it would be there and not be heard


def add_noise(
    wave,
    generator,
    *,
    noises=None,
    snr=(0.0, 5.0, 10.0),
    exponent=(0.0, 2.0),
    sample_rate=16000,
):
    """Add noise to each clip, and scale the mixture to the energy of the clip.

    Parameters
    ----------
    wave : Tensor of shape (B, T)
        Clips.

    generator : torch.Generator
        On the CPU.

    noises : str, path-like, list of clips or None, default=None
        A folder of sound files (wav, flac or ogg, sub-folders included), or a list of files or
        arrays. A random crop of a random one is added; one that is shorter than the clip is
        repeated. None: the noise is made, Gaussian and coloured.

    snr : list of float, default=(0.0, 5.0, 10.0)
        Signal-to-noise ratios in dB to choose from, as in the training of PASE+ [1]_. They are
        about the energy of the whole clip.

    exponent : tuple of float, default=(0.0, 2.0)
        Range of the exponents a of made noise, whose power falls with the frequency as
        ``1 / f ** a`` from 50 Hz on: 0 is white, 1 pink, 2 brown.

    sample_rate : int, default=16000
        Of the clips, in Hz.

    Returns
    -------
    wave : Tensor of shape (B, T)
        A new tensor. Silent clips stay silent, and silent noise adds nothing.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If it is out of its range, or the folder is missing, empty or holds an unreadable file.

    References
    ----------
    .. [1] M. Ravanelli et al., "Multi-Task Self-Supervised Learning for Robust Speech
       Recognition", ICASSP 2020, arXiv:2001.09239.

    Examples
    --------
    >>> import torch
    >>> from skaudio.augment import add_noise
    >>> clips = torch.sin(torch.arange(8000.0) / 9)[None].repeat(2, 1)
    >>> noisy = add_noise(clips, torch.Generator().manual_seed(0), snr=[10])
    >>> bool(torch.allclose(noisy.square().mean(1), clips.square().mean(1)))
    True
    """
    check_number("sample_rate", sample_rate, 1)
    check_values("snr", snr, -100.0, 100.0)
    drawn = uniform(generator, 3, len(wave))
    if noises is None:
        check_range("exponent", exponent, -10.0, 10.0)
        white = torch.randn(*wave.shape, generator=generator).to(wave.dtype).to(wave.device)
        noise = _coloured(white, between(drawn[1], exponent), sample_rate)
    else:
        noise = crops(noises, "noises", drawn[1:], wave.shape[1], sample_rate)
    return _mixed(wave, noise.to(wave.dtype).to(wave.device), chosen(drawn[0], snr))


def add_speech(
    wave,
    generator,
    *,
    speech=None,
    snr=(5.0, 7.5, 10.0),
    room=reverberate,
    sample_rate=16000,
):
    """Let somebody else begin to speak in each clip, and scale the mixture to its energy.

    The other voice begins at a random moment in the first three quarters of the clip and goes on
    to its end, as in the training of PASE+ [1]_.

    Parameters
    ----------
    wave : Tensor of shape (B, T)
        Clips.

    generator : torch.Generator
        On the CPU.

    speech : str, path-like, list of clips or None, default=None
        A folder of sound files (wav, flac or ogg, sub-folders included), or a list of files or
        arrays. None: the other clips of the batch; a clip that is alone stays as it is.

    snr : list of float, default=(5.0, 7.5, 10.0)
        Ratios in dB to choose from, of the energy of the whole clip to that of the other voice.

    room : callable or None, default=reverberate
        Distortion of the other voice, as `skaudio.augment.distort` takes it. None: none.

    sample_rate : int, default=16000
        Of the clips, in Hz.

    Returns
    -------
    wave : Tensor of shape (B, T)
        A new tensor. Silent clips stay silent, and a silent voice adds nothing.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If it is out of its range, or the folder is missing, empty or holds an unreadable file.

    References
    ----------
    .. [1] M. Ravanelli et al., "Multi-Task Self-Supervised Learning for Robust Speech
       Recognition", ICASSP 2020, arXiv:2001.09239.

    Examples
    --------
    >>> import torch
    >>> from skaudio.augment import add_speech
    >>> clips = torch.sin(torch.arange(8000.0) / torch.tensor([[9.0], [7.0]]))
    >>> add_speech(clips, torch.Generator().manual_seed(0)).shape
    torch.Size([2, 8000])
    """
    check_number("sample_rate", sample_rate, 1)
    check_values("snr", snr, -100.0, 100.0)
    n, n_samples = wave.shape
    drawn = uniform(generator, 4, n)
    begin = (0.75 * n_samples * drawn[1]).long()  # where the other voice sets in
    if speech is None:
        # any other clip of the batch; one that is alone is its own partner, and left out below
        partner = (torch.arange(n) + 1 + (drawn[2] * (n - 1)).long()) % n
        other = wave[partner.to(wave.device)]
        first = (drawn[3] * (begin + 1)).long()  # sample of the partner that is heard first
        other = _shifted(other, begin - first)
    else:
        other = crops(speech, "speech", drawn[2:], n_samples, sample_rate)
        other = _shifted(other.to(wave.dtype).to(wave.device), begin)
    before = (torch.arange(n_samples) < begin[:, None]).to(wave.device)
    other = other.masked_fill(before, 0.0)
    if room is not None:
        # what a response has before its largest value must not be heard before the voice
        other = bound(room, sample_rate)(other, generator).masked_fill(before, 0.0)
    if speech is None and n == 1:
        return wave.clone()
    return _mixed(wave, other, chosen(drawn[0], snr))


def _shifted(wave, n_steps):
    """Waves (B, T), each turned in a circle by some steps, to the right."""
    places = (torch.arange(wave.shape[1]) - n_steps[:, None]) % wave.shape[1]
    return wave.gather(1, places.to(wave.device))


def _coloured(white, exponent, sample_rate):
    """White noise (B, T) with the power of its spectrum divided by ``f ** exponent``."""
    n_samples = white.shape[1]
    frequencies = torch.fft.rfftfreq(n_samples, 1 / sample_rate, dtype=torch.float64)
    # relative to the lowest, so that nothing is far from 1
    gains = (frequencies.clamp(min=_LOWEST) / _LOWEST) ** (-exponent[:, None] / 2)
    spectrum = torch.fft.rfft(white) * gains.to(white.dtype).to(white.device)
    return torch.fft.irfft(spectrum, n_samples)


def _mixed(wave, noise, snr):
    """Waves (B, T) and noise at a ratio (B,) in dB to each, with the energy of the waves."""
    heard, loudness = unit(wave), rms(noise)
    factor = 10 ** (-snr / 20)[:, None].to(wave.dtype).to(wave.device) * rms(heard)
    # the noise is divided first: the product of the two could overflow
    noise = noise / loudness.masked_fill(loudness == 0, 1.0)
    return torch.where(loudness > 0, as_loud(heard + factor * noise, wave), wave)
