"""What the tests of distortions share."""

import numpy as np
import torch

RATE = 16000


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def white(*shape, seed=1):
    return torch.randn(*shape, generator=seeded(seed))


def numbers(wave):
    return np.asarray(wave, dtype=np.float64)


def parts(mixture, wave, other):
    """Factors of a wave and of another in their mixture, which must be made of nothing else."""
    made_of = np.stack([numbers(wave), numbers(other)], axis=1)
    factors, *_ = np.linalg.lstsq(made_of, numbers(mixture), rcond=None)
    mixture = numbers(mixture)
    np.testing.assert_allclose(made_of @ factors, mixture, atol=1e-5 * np.abs(mixture).max())
    return factors


def ratio(mixture, wave, other):
    """Decibels of the energy of a wave over that of another, as they are in a mixture."""
    a, b = parts(mixture, wave, other)
    wave, other = numbers(wave), numbers(other)
    return 10 * np.log10((a**2 * wave @ wave) / (b**2 * other @ other))


def energy(wave):
    return (numbers(wave) ** 2).sum(-1)


def tones(n):
    return torch.sin(torch.arange(n) / torch.tensor([[9.0], [2.0], [40.0]]))
