"""Mu-law: amplitudes as classes, evenly spaced by loudness rather than by amplitude.

F(x) = sign(x) ln(1 + mu |x|) / ln(1 + mu), with mu one less than the number Q of classes (ITU-T
G.711; as in van den Oord et al., arXiv:1609.03499, section 2.2). Two quantisers of F are in use:
variant A rounds it to Q levels from -1 to 1, variant B takes the middles of Q equal intervals.
"""

import math

import numpy as np
import torch

__all__ = ["VARIANTS", "decode", "encode", "log_widths"]

VARIANTS = ("A", "B")


def encode(wave, n_classes=256, variant="A"):
    """Class of each sample.

    Parameters
    ----------
    wave : Tensor of any shape, floating point
        Samples; what lies beyond -1 and 1 is clipped.
    n_classes : int, default=256
        Number Q of classes.
    variant : {"A", "B"}, default="A"
        A: floor((F + 1) / 2 (Q - 1) + 1 / 2). B: floor((F + 1) / 2 Q), at most Q - 1.

    Returns
    -------
    classes : Tensor of the same shape, int64
        From 0 to Q - 1; zero is of class Q / 2.
    """
    mu = n_classes - 1
    x = wave.clamp(-1, 1)
    companded = x.sign() * torch.log1p(mu * x.abs()) / math.log1p(mu)
    if variant == "A":
        return ((companded + 1) / 2 * mu + 0.5).floor().long()
    # F times half the classes first: then zero falls on a boundary exactly, and 1 beyond the last
    return ((companded * (n_classes / 2)).floor().long() + n_classes // 2).clamp(0, mu)


def decode(classes, n_classes=256, variant="A"):
    """Amplitude that stands for each class.

    Parameters
    ----------
    classes : Tensor of any shape, int64
        From 0 to Q - 1.
    n_classes : int, default=256
        Number Q of classes.
    variant : {"A", "B"}, default="A"
        As for `encode`.

    Returns
    -------
    wave : Tensor of the same shape, float32
        Samples from -1 to 1; no class is exactly zero.
    """
    q = np.arange(n_classes)
    companded = 2 * q / (n_classes - 1) - 1 if variant == "A" else (2 * q + 1) / n_classes - 1
    levels = _expanded(companded, n_classes).astype(np.float32)
    return torch.from_numpy(levels).to(classes.device)[classes]


def log_widths(n_classes=256):
    """Logarithm of the range of amplitudes that each class of variant A stands for.

    The log mass of a class less this is a log density over amplitudes, which may be compared
    with that of other quantisers.

    Parameters
    ----------
    n_classes : int, default=256
        Number Q of classes.

    Returns
    -------
    log_widths : ndarray of shape (n_classes,), float64
        Of F^-1((2 q + 1) / (Q - 1) - 1) - F^-1((2 q - 1) / (Q - 1) - 1), the ends clipped to -1 and
        1; the widths add up to 2.
    """
    edges = (2 * np.arange(n_classes + 1) - 1) / (n_classes - 1) - 1
    return np.log(np.diff(_expanded(edges.clip(-1, 1), n_classes)))


def _expanded(companded, n_classes):
    """F^-1(y) = sign(y) ((1 + mu)^|y| - 1) / mu."""
    mu = n_classes - 1
    return np.sign(companded) * np.expm1(np.abs(companded) * math.log1p(mu)) / mu
