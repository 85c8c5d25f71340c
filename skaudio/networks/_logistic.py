"""Mixture of logistic distributions over evenly spaced amplitudes.

Salimans et al. 2017 (PixelCNN++), arXiv:1701.05517, section 2.1; here of waves. Amplitudes y are
K levels from -1 to 1, h = 1 / (K - 1) is half the step between them. A component with mean m and
scale e^s gives y the mass sigmoid(a) - sigmoid(b), a = (y - m + h) / e^s, b = (y - m - h) / e^s;
the lowest level has all that lies below it, too, and the highest all above.
"""

import math

import torch
import torch.nn.functional as F

__all__ = ["levels", "log_prob", "log_widths", "quantise"]

_REFERENCE_END = 0.999  # beyond it the published code takes an amplitude for the end level
_REFERENCE_LEAST = 1e-5  # mass below which it takes the density at the middle


def quantise(wave, n_classes):
    """Nearest level of each sample.

    Parameters
    ----------
    wave : Tensor of any shape, floating point
        Samples; what lies beyond -1 and 1 is clipped.
    n_classes : int
        Number K of levels.

    Returns
    -------
    wave : Tensor of the same shape and dtype
        Levels.
    """
    steps = n_classes - 1
    return 2 * ((wave.clamp(-1, 1) + 1) / 2 * steps + 0.5).floor() / steps - 1


def levels(n_classes, like):
    """All levels.

    Parameters
    ----------
    n_classes : int
        Number K of levels.
    like : Tensor
        Has dtype and device of the result.

    Returns
    -------
    levels : Tensor of shape (K,)
        From -1 to 1.
    """
    steps = torch.arange(n_classes, device=like.device, dtype=like.dtype)
    return 2 * steps / (n_classes - 1) - 1


def log_widths(wave, n_classes):
    """Logarithm of the range of amplitudes within -1 and 1 that a level stands for.

    Parameters
    ----------
    wave : Tensor of any shape
        Levels.
    n_classes : int
        Number K of levels.

    Returns
    -------
    log_widths : Tensor of the same shape
        That of 2 h; of h for the lowest and the highest.
    """
    half = 1 / (n_classes - 1)
    inner = torch.full_like(wave, math.log(2 * half))
    return inner.masked_fill_(wave.abs() > 1 - half, math.log(half))


def log_prob(parameters, wave, n_classes, min_log_scale, reference=False):
    """Log mass of amplitudes.

    Parameters
    ----------
    parameters : Tensor of shape (B, 3 M, T)
        Of M components: logits, means, logarithms s of the scales.
    wave : Tensor of shape (B, T)
        Levels.
    n_classes : int
        Number K of levels.
    min_log_scale : float
        Floor of s.
    reference : bool, default=False
        Whether the rule of the published code holds (`wavenet_vocoder`, from PixelCNN++): ends are
        all |y| > 0.999, and small masses are 2 h times the density. Masses of 256 levels then add
        up to nearly 1, but those of 65536 to as much as 8.

    Returns
    -------
    log_prob : Tensor of shape (B, T)
        Natural logarithm.
    """
    logits, means, scales = parameters.chunk(3, dim=1)
    scales = scales.clamp(min=min_log_scale)
    y, half, precision = wave[:, None], 1 / (n_classes - 1), torch.exp(-scales)
    a, b = precision * (y - means + half), precision * (y - means - half)
    if reference:
        end, middle = _REFERENCE_END, _reference_middle(a, b, scales, n_classes)
    else:
        # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - e^(b - a)), which loses no digits
        end = 1 - half
        rest = torch.log(-torch.expm1(-2 * half * precision))
        middle = F.logsigmoid(a) + F.logsigmoid(-b) + rest
    of_each = torch.where(y < -end, F.logsigmoid(a), torch.where(y > end, F.logsigmoid(-b), middle))
    return torch.logsumexp(F.log_softmax(logits, dim=1) + of_each, dim=1)


def _reference_middle(a, b, scales, n_classes):
    """Masses of the published code where a level is none of its ends."""
    mass, centre = torch.sigmoid(a) - torch.sigmoid(b), (a + b) / 2
    density = centre - scales - 2 * F.softplus(centre) - math.log((n_classes - 1) / 2)
    return torch.where(mass > _REFERENCE_LEAST, mass.clamp(min=1e-12).log(), density)
