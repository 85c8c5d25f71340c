"""What estimators share that give the probability of a sound."""

import math
from dataclasses import replace

import numpy as np
from scipy.special import logsumexp

from .._engine.extract import extract

__all__ = ["DensityMixin"]


class DensityMixin:
    """How likely clips are, to stand before `skaudio.base.BaseAudioTransformer`.

    A subclass gives the `LikelihoodPass` of its fitted network in ``_likelihood_pass()``, and in
    ``_log_priors()`` what the labels of its network weigh. The attribute ``sums_to_one`` is False
    where likelihoods are conditioned by something that is worked out of the clip itself.
    """

    sums_to_one = True

    def score_samples(self, X, *, density=False):
        """Log-likelihood of clips, all their samples together.

        Parameters
        ----------
        X : list of clips, or array of shape (n_clips, n_samples)
            As in `fit`.
        density : bool, default=False
            False: logarithm of the probability that these levels of amplitude follow each other;
            never above 0. True: of the density of the amplitudes themselves, the mass of each level
            being divided by the range of amplitudes it stands for. It can be compared between
            networks with other levels, and may be above 0.

        Returns
        -------
        scores : ndarray of shape (n_clips,), float64
            Nats. It grows with the length of a clip: divide by that, or take `bits_per_sample`, to
            compare clips of several lengths. NaN for skipped clips.

        Raises
        ------
        ClipError
            (a ValueError) If a clip cannot be used and ``on_error="raise"``.
        NotFittedError
            If `fit` was not called.
        """
        return self._scores(X, density)[0]

    def score(self, X, y=None):
        """Mean log-likelihood of clips.

        Parameters
        ----------
        X : list of clips, or array of shape (n_clips, n_samples)
            As in `fit`.
        y : object, default=None
            Ignored.

        Returns
        -------
        score : float
            Mean of `score_samples` over the clips that are not skipped, nats per clip.
        """
        return float(np.nanmean(self.score_samples(X)))

    def bits_per_sample(self, X, *, density=False):
        """Bits that a sample of each clip would take if the network had to transmit it.

        Parameters
        ----------
        X : list of clips, or array of shape (n_clips, n_samples)
            As in `fit`.
        density : bool, default=False
            As for `score_samples`.

        Returns
        -------
        bits : ndarray of shape (n_clips,), float64
            Minus the log-likelihood, over the number of samples and ln 2. Who knows nothing needs
            log2(n_classes), 8 for 256 levels. NaN for skipped clips.
        """
        scores, n_samples = self._scores(X, density)
        return -scores / (n_samples * math.log(2))

    def _scores(self, X, density):
        """Log-likelihood of each clip, and its number of samples."""
        given_label, n_samples = self._likelihoods(X, density)
        return logsumexp(given_label + self._log_priors(), axis=1), n_samples

    def _likelihoods(self, X, density=False):
        """Log-likelihood of each clip given each label, and the clips' numbers of samples."""
        clips = self._checked_clips(X)
        forward = replace(self._pass("likelihood", self._likelihood_pass), density=density)
        table = extract(forward, clips, self._run())
        return table[:, :-1], table[:, -1]

    def _log_priors(self):
        """Logarithm of the probability of each label; of the only one, if there are none."""
        return np.zeros(1)
