"""Test clips as they sound in noise and in rooms: the same for a clip whatever fold it is in."""

import zlib

import torch

from skaudio.audio import Clips
from skaudio.augment import add_noise, reverberate

CONDITIONS = ("clean", "noise", "room")
SNR = 10.0  # dB
T60 = (0.4, 0.8)  # seconds; direct sound 3 dB below the reverberation to 3 dB above it
DRR = (-3.0, 3.0)


def heard(clips, condition, sample_rate, *, noises=None, seed=0):
    """Clips under a condition, each with the energy that it had.

    Noise and room of a clip follow from its samples and the seed alone, not from its place in
    the list or from the other clips.

    Parameters
    ----------
    clips : list
        Paths, arrays or segments of files.
    condition : {"clean", "noise", "room"}
        As they are; with noise at 10 dB; with the reverberation of a room.
    sample_rate : int
        Rate in Hz that files are decoded at, and that arrays are at.
    noises : str, path-like or list of clips, default=None
        Noises, as for `skaudio.augment.add_noise`. None: Gaussian, from white to brown.
    seed : int, default=0
        Another one gives other noises and rooms.

    Returns
    -------
    waves : list of ndarray of shape (n_samples,), float32
        At ``sample_rate``.
    """
    if condition not in CONDITIONS:
        raise ValueError(f"condition={condition!r} is unknown; use one of {CONDITIONS}")
    checked = Clips(clips, sample_rate)
    return [_heard(wave, condition, sample_rate, noises, seed) for wave in checked]


def _heard(clip, condition, sample_rate, noises, seed):
    if condition == "clean":
        return clip
    generator = torch.Generator().manual_seed(zlib.crc32(clip.tobytes(), seed))
    wave = torch.from_numpy(clip.copy())[None]
    if condition == "noise":
        params = {"noises": noises, "snr": [SNR], "sample_rate": sample_rate}
        return add_noise(wave, generator, **params)[0].numpy()
    return reverberate(wave, generator, t60=T60, drr=DRR, sample_rate=sample_rate)[0].numpy()
