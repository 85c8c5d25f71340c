"""What estimators share that make new sound."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.special import log_softmax, logsumexp
from sklearn.utils.validation import check_is_fitted

from .._engine import weights
from .._engine.extract import extract
from .._engine.sampling import Wanted, generate
from ..utils.validation import check_number

__all__ = ["GenerationMixin"]

_HOTTEST = 1e6


class GenerationMixin:
    """New clips, sample by sample, to stand before `skaudio.base.BaseAudioTransformer`.

    A subclass gives in ``_next_pass()`` the `NextPass` of its fitted network, and tells what
    conditions this: labels, in ``_drawn_labels(y, n_samples, generator)``; frames, in
    ``_condition_grid()`` and ``_standardised(frames)``.
    """

    def sample(
        self,
        n_samples=1,
        length=None,
        y=None,
        condition=None,
        prime=None,
        temperature=1.0,
        random_state=None,
    ):
        """Draw new clips.

        Parameters
        ----------
        n_samples : int, default=1
            Number of clips.
        length : int, default=None
            New samples of each clip. None: a second, or as many as ``condition`` is for.
        y : label or sequence of n_samples labels, default=None
            What is to be heard, of those in ``classes_``, if labels condition the network. None:
            drawn, each as often as in training.
        condition : array of shape (n_frames, n_channels) or list of n_samples such, default=None
            What is to be heard, if the frames of an extractor condition the network: as its
            `transform_frames` gives them, one for every hop of the prime and of the new samples.
        prime : clip, default=None
            What every new clip continues; it is not repeated in the result. None: silence of no
            length, as before the first sample of a clip in training.
        temperature : float, default=1.0
            Below 1 likely samples become likelier. 0: each sample is the likeliest, and nothing is
            random.
        random_state : int, RandomState or None, default=None
            The same one gives the same clips. None: others at every call.

        Returns
        -------
        clips : list of n_samples ndarray of shape (length,), float32
            From -1 to 1, at ``sample_rate``. ``verbose=1`` shows a progress bar.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ValueError, TypeError
            If what is wanted is not possible, or the prime cannot be read.
        KeyboardInterrupt
            If it is interrupted (Ctrl-C); nothing is returned then.
        """
        check_is_fitted(self)
        check_number("n_samples", n_samples, 1)
        check_number("length", length, 1, none=True)
        check_number("temperature", temperature, 0, _HOTTEST, integer=False)
        heard = np.empty(0, np.float32) if prime is None else self._as_clips([prime], False)[0]
        generator = weights.new_generator(random_state)
        frames = self._checked_frames(condition, n_samples)
        wanted = Wanted(
            n_samples,
            self._checked_length(length, frames, len(heard)),
            self._drawn_labels(y, n_samples, generator),
            frames,
            torch.from_numpy(np.require(heard, requirements=["C", "W"])),
            temperature,
        )
        return [*generate(self._fitted_network(), wanted, generator, self.verbose)]

    def predict_next(self, X):
        """Distribution of the sample that follows each clip.

        Parameters
        ----------
        X : list of clips, or array of shape (n_clips, n_samples)
            As in `fit`.

        Returns
        -------
        probabilities : ndarray of shape (n_clips, n_levels), float64
            Of each level of amplitude, from the lowest to the highest; rows sum to 1, and are NaN
            for skipped clips. `MuLawTransformer` tells which amplitudes the levels stand for.

        Raises
        ------
        ClipError
            (a ValueError) If a clip cannot be used and ``on_error="raise"``.
        NotFittedError
            If `fit` was not called.
        """
        clips, forward = self._checked_clips(X), self._pass("next", self._next_pass)
        table = extract(forward, clips, self._run())
        masses = table.reshape(len(table), -1, forward.network.n_classes)
        if masses.shape[1] > 1:  # labels weigh as much as is known of them after the clip
            joint = self._likelihoods(X)[0] + self._log_priors()
            masses = masses + log_softmax(joint, axis=1)[:, :, None]
        return np.exp(logsumexp(masses, axis=1))

    def _checked_length(self, length, frames, n_primed):
        """New samples of each clip, if there are as many frames as they and the prime need."""
        if frames is None:
            return self.sample_rate if length is None else length
        n_frames, (_, hop) = frames.shape[2], self._condition_grid()
        if length is None:
            length = n_frames * hop - n_primed
            if length < 1:
                raise ValueError(
                    f"condition has {n_frames} frames of {hop} samples, no more than the prime's "
                    f"{n_primed} samples; pass those of the samples that follow, too"
                )
        needed = -(-(n_primed + length) // hop)
        if n_frames != needed:
            raise ValueError(
                f"condition has {n_frames} frames, but {n_primed} samples of the prime and "
                f"{length} new ones need {needed}, one for every {hop} samples"
            )
        return length

    def _checked_frames(self, condition, n_samples):
        """Frames that condition the clips (n_samples, C, F); None if nothing does."""
        n_channels, _ = self._condition_grid()
        if not n_channels:
            if condition is not None:
                raise ValueError(
                    "condition is given, but this network was not fitted with an extractor as "
                    "conditions; leave it out"
                )
            return None
        if condition is None:
            raise ValueError(
                "condition is missing: this network continues frames of an extractor; pass some, "
                "for instance condition_.transform_frames of a clip"
            )
        several = isinstance(condition, Sequence) or np.ndim(condition) == 3
        conditions = [*condition] if several else [condition] * n_samples
        if len(conditions) != n_samples:
            raise ValueError(f"condition has {len(conditions)} entries for n_samples={n_samples}")
        arrays = [_checked_frames(i, c, n_channels) for i, c in enumerate(conditions)]
        if len({len(array) for array in arrays}) > 1:
            raise ValueError(
                f"conditions have {sorted({len(array) for array in arrays})} frames, but clips "
                "that are sampled together have one length; call sample for each"
            )
        return self._standardised(np.stack(arrays))


def _checked_frames(i, condition, n_channels):
    """One array (n_frames, n_channels), finite."""
    try:
        array = np.asarray(condition, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"condition {i} is no array of numbers: {error}") from error
    if array.ndim != 2 or array.shape[1] != n_channels or not len(array):
        raise ValueError(
            f"condition {i} has shape {array.shape}, but must be (n_frames, {n_channels})"
        )
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        frame, channel = bad[0]
        raise ValueError(f"condition {i} holds {array[frame, channel]} in frame {frame}")
    return array
