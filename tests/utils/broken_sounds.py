"""Estimators that break a contract of likelihoods or of new sound, for the tests of the checks."""

import numpy as np

from skaudio import WaveNetTransformer
from tests.utils.broken_extractors import breaks
from tests.utils.broken_trainings import CASES

__all__ = ["CASES", "SOUND"]  # the first of all broken extractors

# a network that is built in no time
SOUND = {**WaveNetTransformer._get_test_params()[0], "max_epochs": 0}


@breaks("check_density", "scores are float32, not float64")
class SinglePrecision(WaveNetTransformer):
    def score_samples(self, X, *, density=False):
        return super().score_samples(X, density=density).astype(np.float32)


@breaks("check_density", r"scores of 6 clips have shape \(6, 1\)")
class Column(WaveNetTransformer):
    def score_samples(self, X, *, density=False):
        return super().score_samples(X, density=density)[:, None]


@breaks("check_density", "logarithms of probabilities are above 0")
class Positive(WaveNetTransformer):
    def _scores(self, X, density):
        scores, n_samples = super()._scores(X, density)
        return -scores, n_samples


@breaks("check_density", "each clip alone: scores differ by a fraction")
class Relative(WaveNetTransformer):
    def _scores(self, X, density):
        scores, n_samples = super()._scores(X, density)
        return scores - abs(scores.max()), n_samples


@breaks("check_density", "score is .*, not the mean of score_samples")
class Sum(WaveNetTransformer):
    def score(self, X, y=None):
        return float(self.score_samples(X).sum())


@breaks("check_density", "bits_per_sample are not the scores over the lengths and ln 2")
class Nats(WaveNetTransformer):
    def bits_per_sample(self, X, *, density=False):
        return super().bits_per_sample(X, density=density) * np.log(2)


@breaks("check_density", "a clip is likelier than its own beginning")
class PerSample(WaveNetTransformer):
    def _scores(self, X, density):
        scores, n_samples = super()._scores(X, density)
        return scores / n_samples, np.ones(len(scores))

    def bits_per_sample(self, X, *, density=False):
        return super().bits_per_sample(X, density=density) / [len(clip) for clip in X]


@breaks("check_density", "the density of clips of one sample has the integral")
class Mass(WaveNetTransformer):
    def _likelihoods(self, X, density=False):
        return super()._likelihoods(X)


@breaks("check_density", "no level of predict_next has the probability")
class Flat(WaveNetTransformer):
    def predict_next(self, X):
        probabilities = super().predict_next(X)
        return np.full_like(probabilities, 1 / probabilities.shape[1])


@breaks("check_density", "next to a skipped clip scores are")
class ZeroForSkipped(WaveNetTransformer):
    def _scores(self, X, density):
        scores, n_samples = super()._scores(X, density)
        return np.nan_to_num(scores), n_samples


@breaks("check_generation", "sample before fit raises no NotFittedError")
class Improvises(WaveNetTransformer):
    def sample(self, *args, **kwargs):
        if "weights_" not in vars(self):
            return []
        return super().sample(*args, **kwargs)


@breaks("check_generation", "sample moved the global random generator of numpy")
class MovesNumpy(WaveNetTransformer):
    def sample(self, *args, **kwargs):
        np.random.rand()  # noqa: NPY002
        return super().sample(*args, **kwargs)


@breaks("check_generation", "instead of 3 clips")
class Matrix(WaveNetTransformer):
    def sample(self, *args, **kwargs):
        return np.stack(super().sample(*args, **kwargs))


@breaks("check_generation", "float64 of")
class Doubles(WaveNetTransformer):
    def sample(self, *args, **kwargs):
        return [clip.astype(float) for clip in super().sample(*args, **kwargs)]


@breaks("check_generation", "new samples lie beyond -1 and 1")
class TooLoud(WaveNetTransformer):
    def sample(self, *args, **kwargs):
        return [1.1 * clip / abs(clip).max() for clip in super().sample(*args, **kwargs)]


@breaks("check_generation", "the same seed: .* values differ")
class Seedless(WaveNetTransformer):
    def sample(self, *args, random_state=None, **kwargs):
        return super().sample(*args, **kwargs)


@breaks("check_generation", "another seed, the same clips")
class OneSeed(WaveNetTransformer):
    def sample(self, *args, random_state=None, **kwargs):
        return super().sample(*args, random_state=0, **kwargs)


@breaks("check_generation", "two clips of one call are the same")
class OneClip(WaveNetTransformer):
    def sample(self, n_samples=1, **kwargs):
        return super().sample(**kwargs) * n_samples


@breaks("check_generation", "random_state=None gives the same clips again")
class FixedSeed(WaveNetTransformer):
    def sample(self, *args, random_state=None, **kwargs):
        return super().sample(*args, random_state=random_state or 7, **kwargs)


@breaks("check_generation", "a clip without chance, continued from its own beginning: ")
class ForgetsTheFirst(WaveNetTransformer):
    def sample(self, *args, prime=None, **kwargs):
        prime = None if prime is None else prime[:-1]
        return [clip[::-1] for clip in super().sample(*args, prime=prime, **kwargs)]


@breaks("check_generation", "a prime changes nothing")
class Unprimed(WaveNetTransformer):
    def sample(self, *args, prime=None, temperature=1.0, **kwargs):
        prime = prime if temperature == 0 else None
        return super().sample(*args, prime=prime, temperature=temperature, **kwargs)


@breaks("check_generation", "sample with {'temperature': -1.0} raised no ValueError")
class Forgiving(WaveNetTransformer):
    def sample(self, *args, temperature=1.0, **kwargs):
        return super().sample(*args, temperature=max(temperature, 0.0), **kwargs)


@breaks("check_generation", "probabilities of the next sample do not sum to 1")
class Odds(WaveNetTransformer):
    def predict_next(self, X):
        probabilities = super().predict_next(X)
        return probabilities / (1 - probabilities)


@breaks("check_generation", "the next sample of each clip alone: .* values differ")
class Smoothed(WaveNetTransformer):
    def predict_next(self, X):
        probabilities = super().predict_next(X)
        return 0.9 * probabilities + 0.1 * probabilities.mean(axis=0)
