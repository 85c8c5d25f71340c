"""Code lengths of the rivals of a network that predicts mu-law classes: FLAC, linear prediction.

All of them code the same symbols: the 256 classes of mu-law, variant A, of each sample of a clip,
from the classes before it in the clip.
"""

import io
import itertools

import numpy as np
import soundfile
import torch
from scipy.signal import lfilter
from scipy.special import expit, ndtr

from skaudio import _mulaw

N_CLASSES = 256
ORDER = 32  # of linear prediction
BLOCK = 4096  # samples that share predictor coefficients of their own, as in FLAC
STEP, BITS = 2.0**-9, 13  # in which such a coefficient is written: from -8 to 8
UNSEEN = 1e-3  # what of the probability is spread over all classes, so that none is impossible
MEMORIES = (
    None,
    16,
    32,
    128,
    512,
)  # samples over which the scale follows the sound; None: it is fixed
SPREADS = (0.6, 0.7, 0.8, 0.9, 1.05, 1.25)  # scale / mean size of the residual
DOMAINS = ("amplitude", "companded")


def _laplace(u):
    half = np.exp(-np.abs(u)) / 2
    return np.where(u < 0, half, 1 - half)


FAMILIES = {"Laplace": _laplace, "Gaussian": ndtr, "logistic": expit}


def classes_of(wave):
    """Mu-law classes of a wave.

    Parameters
    ----------
    wave : ndarray of shape (T,), float32
        Samples.

    Returns
    -------
    classes : ndarray of shape (T,), int64
        From 0 to 255.
    """
    return _mulaw.encode(torch.from_numpy(wave)).numpy()


def flac_bits(codes, sample_rate):
    """Length of a clip in FLAC, without the header of the file.

    A clip is a stream of its own, as for the other coders, at the highest compression that
    libsndfile offers. What precedes the first frame is as long for every clip and is not counted;
    headers and checks of the frames are.

    Parameters
    ----------
    codes : ndarray of shape (T,), int
        Signed integers of 8 bits, such as mu-law classes less 128.
    sample_rate : int
        Hz.

    Returns
    -------
    n_bits : int
        Of the whole clip.
    """
    file = io.BytesIO()
    samples = (codes * 256).astype(np.int16)  # soundfile takes 8 bits from the upper half of 16
    soundfile.write(
        file, samples, sample_rate, format="FLAC", subtype="PCM_S8", compression_level=1.0
    )
    stream = file.getvalue()
    begin, last = 4, False  # behind the letters "fLaC": blocks of one byte of kind, three of length
    while not last:
        last = stream[begin] >= 128
        begin += 4 + int.from_bytes(stream[begin + 1 : begin + 4], "big")
    return 8 * (len(stream) - begin)


class Linear:
    """Linear predictor whose residual is coded by the mass of the classes around the prediction.

    The next sample is distributed around m_t = sum_i a_i x_{t-i} with a scale s_t, and a class
    costs -log2 of the probability between its edges, so that the predictor codes the symbols
    themselves and all classes sum to 1. The scale is a multiple of the mean size of the residual:
    of the training clips, or of the last samples, which no bit is spent on.

    Parameters
    ----------
    domain : {"amplitude", "companded"}
        What is predicted: samples as mu-law decodes them, or the classes, from -1 to 1.
    own : bool
        Whether each block of `BLOCK` samples has its own coefficients, the least squares of this
        block, which are written before it in ``ORDER * BITS`` bits. Otherwise they are those of
        the training clips.
    """

    def __init__(self, domain, own):
        self.domain, self.own = domain, own
        # levels and, half way between them, edges
        y = np.arange(2 * N_CLASSES - 1) / (N_CLASSES - 1) - 1
        if domain == "amplitude":
            y = np.sign(y) * (N_CLASSES ** np.abs(y) - 1) / (N_CLASSES - 1)
        self.levels = y[::2]
        self.edges = np.array([-np.inf, *y[1::2], np.inf])

    def fit(self, clips):
        """Learn coefficients, and what tells the scale best.

        Parameters
        ----------
        clips : list of ndarray of shape (T_i,), int
            Classes.

        Returns
        -------
        self : Linear
            Fitted.
        """
        self.coefficients = np.zeros(ORDER)
        self.size = _size([np.diff(self.levels[clip]) for clip in clips])
        if not self.own:
            # each sample weighs as its scale will: 1 / s_t^2, of the differences, then of the
            # residuals of the first solution
            self.coefficients[0] = 1.0
            for _ in range(2):
                self._solve(clips)
        some = [(clip, *self._residual(clip)[:2]) for clip in clips]
        self.size = _size([e for _, _, e in some])
        self.found = {}
        for memory in MEMORIES:
            sizes = [self._sizes(e, memory) for _, _, e in some]
            totals = {
                (family, spread): sum(
                    self._bits(clip, m, spread * size, family).sum()
                    for (clip, m, _), size in zip(some, sizes, strict=True)
                )
                for family, spread in itertools.product(FAMILIES, SPREADS)
            }
            best = min(totals, key=totals.get)
            self.found[memory] = (totals[best], *best)
        return self

    def bits(self, clip, memory):
        """Length of a clip.

        Parameters
        ----------
        clip : ndarray of shape (T,), int
            Classes.
        memory : int or None
            One of `MEMORIES`.

        Returns
        -------
        n_bits : float
            With the coefficients, where they are written.
        """
        prediction, residual, side = self._residual(clip)
        _, family, spread = self.found[memory]
        scale = spread * self._sizes(residual, memory)
        return self._bits(clip, prediction, scale, family).sum() + side

    def mass(self, classes, prediction, scale, family):
        """Probability of classes, which broadcast with predictions and scales.

        Parameters
        ----------
        classes : ndarray of int
            From 0 to 255.
        prediction, scale : ndarray
            Centre and scale of the distributions.
        family : str
            One of `FAMILIES`.

        Returns
        -------
        mass : ndarray
            Sums to 1 over the classes.
        """
        cdf = FAMILIES[family]
        upper = cdf((self.edges[classes + 1] - prediction) / scale)
        lower = cdf((self.edges[classes] - prediction) / scale)
        return (1 - UNSEEN) * (upper - lower) + UNSEEN / N_CLASSES

    def _bits(self, clip, prediction, scale, family):
        return -np.log2(self.mass(clip, prediction, scale, family))

    def _residual(self, clip):
        """Predictions, residuals, and how many bits the coefficients took."""
        x = self.levels[clip]
        if not self.own:
            m = lfilter([0.0, *self.coefficients], 1.0, x)
            return m, x - m, 0
        past, m = _past(x), np.empty_like(x)
        for begin in range(0, len(x), BLOCK):
            block = slice(begin, begin + BLOCK)
            a = _least_squares(past[block].T @ past[block], past[block].T @ x[block])
            m[block] = past[block] @ (STEP * np.round((a / STEP).clip(-(2**12), 2**12 - 1)))
        return m, x - m, ORDER * BITS * -(-len(x) // BLOCK)

    def _sizes(self, residual, memory):
        """Mean size of the residuals before each sample, exponentially forgotten."""
        if memory is None:
            return np.full(len(residual), self.size)
        forget = 1 - 1 / memory
        before = np.concatenate([[self.size], np.abs(residual[:-1])])
        sizes, _ = lfilter([1 - forget], [1.0, -forget], before, zi=[forget * self.size])
        return sizes + 1e-3 * self.size

    def _solve(self, clips):
        """Weighted least squares over all clips."""
        left, right = np.zeros((ORDER, ORDER)), np.zeros(ORDER)
        for clip in clips:
            x = self.levels[clip]
            past = _past(x)
            weighted = past / self._sizes(self._residual(clip)[1], 128)[:, None] ** 2
            left += weighted.T @ past
            right += weighted.T @ x
        self.coefficients = _least_squares(left, right)


def _size(residuals):
    return np.abs(np.concatenate(residuals)).mean() + 1e-9  # of silence, too, it is not zero


def _past(x):
    """The samples before each, the last one first: (T, ORDER), zero before the clip."""
    padded = np.concatenate([np.zeros(ORDER), x])
    return np.lib.stride_tricks.sliding_window_view(padded, ORDER)[:-1, ::-1]


def _least_squares(left, right):
    """Solve for coefficients; a little power is added, as silence has none."""
    ridge = 1e-6 * np.trace(left) / len(left) + 1e-9
    return np.linalg.solve(left + ridge * np.eye(len(left)), right)


def strongest(clips):
    """Choose by training clips between linear predictors.

    Parameters
    ----------
    clips : list of ndarray of shape (T_i,), int
        Classes of training clips.

    Returns
    -------
    chosen : dict of str to (Linear, int or None)
        The best with one scale for all sound, and the best whose scale follows it, with their
        memory.
    """
    coders = [Linear(d, own).fit(clips) for d, own in itertools.product(DOMAINS, (False, True))]
    side = {c: sum(c._residual(clip)[2] for clip in clips) if c.own else 0 for c in coders}

    def best(memories):
        pairs = itertools.product(coders, memories)
        return min(pairs, key=lambda pair: pair[0].found[pair[1]][0] + side[pair[0]])

    return {"one scale": best(MEMORIES[:1]), "scale that follows": best(MEMORIES[1:])}
