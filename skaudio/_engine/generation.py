"""Sampling from a causal network: one sampler for all, which computes each layer once per sample.

A layer of dilation d and width k reads its own input 0, d, ..., (k - 1) d steps ago, so these
inputs are stored and nothing is computed twice (Paine et al. 2016, arXiv 1611.09482). The steps
are compiled by numba where that is installed, and made by torch elsewhere, with the same result
but for rounding.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from .generation_torch import run as torch_run

__all__ = ["Sampler", "State", "Weights"]

_FEW = 60_000  # layers times samples: torch takes a second for them, which loading code takes, too
_FOR_EVER = 1 << 62  # samples that a row of biases belongs to, if there is but one


class Weights(NamedTuple):
    """Weights of a `CausalStack` as the steps read them.

    The number of rows of a matrix is rounded up to a multiple of 4, by zeros; a product with J
    inputs has J' of them.

    Attributes
    ----------
    first : ndarray of shape (k1, n_inputs, R)
        Taps, oldest first. A table of classes ends with a row of zeros, for no class (-1).
    begin : ndarray of shape (R + S,)
        Bias of the first convolution, and the sum of all biases of skips.
    first_skip : ndarray of shape (R or 0, S)
        What the first convolution adds to the skips.
    gates : ndarray of shape (L, (k R)', 2 D)
        Of the layers, all taps in one.
    gate_bias : ndarray of shape (L, 2 D)
        Their biases.
    adds : ndarray of shape (L, D', R + S)
        What the layers add to the residual channels, and to the skips.
    residual_bias : ndarray of shape (L, R)
        And what they add besides.
    head, head_bias : ndarray of shape (S', H), (H,)
        Hidden layer of the head.
    out, out_bias : ndarray of shape (H', K), (K,)
        Its last layer.
    slots : ndarray of shape (L + 1,), int64
        Where the ring of each layer begins among all slots, and where the last one ends.
    n_taps : int
        Width k of the dilated convolutions.
    scale : float
        Factor of the residual channels; what is added to them and to the skips is scaled already.
    """

    first: np.ndarray
    begin: np.ndarray
    first_skip: np.ndarray
    gates: np.ndarray
    gate_bias: np.ndarray
    adds: np.ndarray
    residual_bias: np.ndarray
    head: np.ndarray
    head_bias: np.ndarray
    out: np.ndarray
    out_bias: np.ndarray
    slots: np.ndarray
    n_taps: int
    scale: np.floating


class State(NamedTuple):
    """What some streams have heard, and room for what a step computes; B streams each.

    Attributes
    ----------
    inputs : ndarray of shape (k1, B), float64
        Ring of the last inputs of the network; step t is in slot t mod k1.
    pending : ndarray of shape (B,), float64
        The next one.
    rings : ndarray of shape (sum of (k - 1) d + 1, B, R)
        For each layer a ring of its last inputs: step t is in slot t mod ((k - 1) d + 1). The
        present one has a slot of its own, so that a step may be repeated.
    sums : ndarray of shape (B, R + S)
        Residual channels and, beside them, the sum of skips.
    x, a, z : ndarray of shape (B, (k R)'), (B, 2 D), (B, D')
        Of one layer: what its taps read, before the gates, behind them.
    skips, hidden, prediction : ndarray of shape (B, S'), (B, H'), (B, K)
        Of the head.
    below : ndarray of shape (K,), float64
        Cumulated probabilities, times a factor.
    """

    inputs: np.ndarray
    pending: np.ndarray
    rings: np.ndarray
    sums: np.ndarray
    x: np.ndarray
    a: np.ndarray
    z: np.ndarray
    skips: np.ndarray
    hidden: np.ndarray
    prediction: np.ndarray
    below: np.ndarray


def _packed(stack, dtype):
    """Weights of a stack, scaled and summed in float64."""
    of = {n: np.asarray(a, np.float64) for n, a in vars(stack).items() if isinstance(a, np.ndarray)}
    n_layers, n_taps, width, n_gates = stack.gates.shape
    n_skips, first = stack.skip.shape[2], of["first"]
    if stack.draws == "mulaw":
        first = np.pad(first, ((0, 0), (0, 1), (0, 0)))
    first_skip = of.get("first_skip", np.zeros((0, n_skips)))
    skip_bias = of["skip_bias"].sum(0) + of.get("first_skip_bias", 0)
    adds = [of["residual"] * stack.residual_scale, of["skip"] * stack.skip_scale]
    arrays = {
        "first": first,
        "begin": np.concatenate([of["first_bias"], skip_bias * stack.skip_scale]),
        "first_skip": first_skip * stack.skip_scale,
        "gates": _rows(of["gates"].reshape(n_layers, n_taps * width, n_gates)),
        "gate_bias": of["gate_bias"],
        "adds": _rows(np.concatenate(adds, 2)),
        "residual_bias": of["residual_bias"] * stack.residual_scale,
        "head": _rows(of["head"]),
        "head_bias": of["head_bias"],
        "out": _rows(of["out"]),
        "out_bias": of["out_bias"],
    }
    # copies: what is read-only counts as another kind of array, for which code is compiled anew
    arrays = {name: np.array(array, dtype, order="C") for name, array in arrays.items()}
    slots = np.cumsum([0, *((n_taps - 1) * d + 1 for d in stack.dilations)])
    return Weights(**arrays, slots=slots, n_taps=n_taps, scale=dtype(stack.residual_scale))


def _rows(weight):
    """Append rows of zeros to matrices (..., J, I), up to a multiple of 4."""
    rows = (*[(0, 0)] * (weight.ndim - 2), (0, -weight.shape[-2] % 4), (0, 0))
    return np.pad(weight, rows)


def _check_shape(name, array, expected):
    if array.shape != expected:
        raise ValueError(f"{name} of shape {array.shape}, expected {expected}")


def _run_of(engine, n_layers, n_samples):
    """Choose what makes the steps."""
    few = n_samples is not None and n_layers * n_samples < _FEW
    if engine == "torch" or (engine is None and few):
        return torch_run
    try:
        from .generation_compiled import run
    except ImportError:
        if engine == "compiled":
            raise
        return torch_run
    return run


class Sampler:
    """Streams of samples, each drawn from the distribution that those before it give.

    All that is random comes in as uniform numbers. Neither the size of blocks nor what is drawn
    beside it changes a stream; with the steps of torch, only by rounding.

    Conditioning comes in as biases, in rows of ``hop`` samples: sample t of a stream, primed ones
    included, belongs to row ``t // hop - n_taken // hop`` of those given for a block.

    Parameters
    ----------
    stack : CausalStack
        The network.
    n_streams : int
        Number B of streams.
    n_samples : int, default=None
        How many samples a stream will take. A few are left to torch, since the compiled steps
        have to be loaded and, the first time, compiled. None: many.
    dtype : numpy.float32 or numpy.float64, default=numpy.float32
        Of the computation.
    n_threads : int, default=None
        Threads among which compiled steps divide the streams. None: as many as torch has.
    engine : "compiled", "torch" or None, default=None
        What makes the steps. None: numba, if it is installed and worth it, or else torch.

    Attributes
    ----------
    n_taken : int
        Samples that each stream has taken.
    """

    def __init__(
        self, stack, n_streams, n_samples=None, *, dtype=np.float32, n_threads=None, engine=None
    ):
        self.n_taken = 0
        self._stack, self._n_streams = stack, n_streams
        self._classes = stack.draws == "mulaw"
        self._weights = _packed(stack, dtype)
        self._run = _run_of(engine, len(stack.gates), n_samples)
        n_groups = 1 if self._run is torch_run else n_threads or torch.get_num_threads()
        n_groups = min(n_groups, n_streams)
        cuts = [n_streams * i // n_groups for i in range(n_groups + 1)]
        self._groups = [slice(*ends) for ends in pairwise(cuts)]
        self._states = [self._new_state(group.stop - group.start) for group in self._groups]
        self._now, self._leads = 0, stack.n_starts - 1  # steps taken; those of start values to come

    def _new_state(self, n):
        """State of n streams that have heard nothing."""
        weights, nothing = self._weights, -1.0 if self._classes else 0.0
        start = nothing if self._stack.start is None else float(self._stack.start)
        n_taps, _, width = weights.first.shape
        _, n_in, n_gates = weights.gates.shape
        columns = {
            "sums": len(weights.begin),
            "x": n_in,
            "a": n_gates,
            "z": weights.adds.shape[1],
            "skips": len(weights.head),
            "hidden": len(weights.out),
            "prediction": len(weights.out_bias),
        }
        return State(
            inputs=np.full((n_taps, n), nothing),
            pending=np.full(n, start),
            rings=np.zeros((weights.slots[-1], n, width), weights.gates.dtype),
            below=np.empty(len(weights.out_bias)),
            **{name: np.zeros((n, m), weights.gates.dtype) for name, m in columns.items()},
        )

    def prime(self, codes, biases=(None, None), hop=None):
        """Let the streams go on with given samples.

        Parameters
        ----------
        codes : array of shape (B, n)
            Classes, or amplitudes in [-1, 1].
        biases : (array of shape (n_rows, B, L, 2 D), array of shape (n_rows, B, H))
            Of the gates and of the head's hidden layer. None: none.
        hop : int, default=None
            Samples per row of biases. None: one row is for all.

        Raises
        ------
        ValueError
            If codes or biases do not fit the network or the streams.
        """
        codes = np.asarray(codes, np.float64)
        _check_shape("codes", codes, (self._n_streams, codes.shape[-1]))
        low, high = (0, self._stack.first.shape[1] - 1) if self._classes else (-1, 1)
        if not np.all((codes >= low) & (codes <= high)):  # NaN lies outside, too
            raise ValueError(f"codes must lie in [{low}, {high}]")
        self._take(codes.T, np.empty((0, self._n_streams, 1)), biases, hop)

    def draw(self, uniforms, biases=(None, None), hop=None, temperature=1.0):
        """Draw the next samples.

        Parameters
        ----------
        uniforms : array of shape (n, B, n_u)
            Numbers in [0, 1): one for a class; for a mixture of logistics one for the component
            and one for its value.
        biases, hop : see `prime`
            The conditioning.
        temperature : float, default=1.0
            Divides the logits, and multiplies the scales of logistics. 0: the class of highest
            probability, or the mean of the component that has it.

        Returns
        -------
        codes : ndarray of shape (B, n), int64 or float32
            Classes, or amplitudes in [-1, 1].

        Raises
        ------
        ValueError
            If uniforms or biases do not fit the network or the streams, or the temperature is
            negative or not finite.
        """
        uniforms = np.asarray(uniforms, np.float64)
        n_u = 1 if self._classes else 2
        _check_shape("uniforms", uniforms, (len(uniforms), self._n_streams, n_u))
        if not 0 <= temperature < np.inf:
            raise ValueError(f"temperature={temperature} must be finite and at least 0")
        codes = np.empty(uniforms.shape[:2])
        codes = self._take(codes, uniforms, biases, hop, temperature)
        return codes.T.astype(np.int64 if self._classes else np.float32)

    def predict(self, biases=(None, None)):
        """Distribution of the next sample.

        Parameters
        ----------
        biases : see `prime`
            The conditioning of that sample, one row.

        Returns
        -------
        prediction : ndarray of shape (B, K)
            Logits of the classes; or logits, means and logarithms of scales of the mixture.
        """
        pending = [state.pending.copy() for state in self._states]
        uniforms = np.zeros((1, self._n_streams, 2))
        self._take(np.empty(uniforms.shape[:2]), uniforms, biases, None)
        # the same step is taken again when that sample is drawn or given
        self._now, self.n_taken = self._now - 1, self.n_taken - 1
        for state, before in zip(self._states, pending, strict=True):
            state.pending[:] = before
        return np.concatenate([state.prediction for state in self._states])

    def _take(self, codes, uniforms, biases, hop, temperature=1.0):
        """Take a step for each row of codes (n, B), before the first those of start values."""
        hop = hop or _FOR_EVER
        offset = self.n_taken % hop
        biases = self._checked(biases, (offset + max(len(codes), 1) - 1) // hop + 1)
        if self._leads:
            n, self._leads = self._leads, 0
            start = np.full((n, self._n_streams), float(self._stack.start))
            self._run_groups(start, uniforms[:0], biases, 0, _FOR_EVER, temperature)
        self.n_taken += len(codes)
        return self._run_groups(codes, uniforms, biases, offset, hop, temperature)

    def _checked(self, biases, n_rows):
        """Biases as arrays; those that are absent have no streams."""
        shapes = self._weights.gate_bias.shape, self._weights.head_bias.shape
        arrays = []
        for array, shape in zip(biases, shapes, strict=True):
            if array is None:
                array = np.empty((n_rows, 0, *shape))
            else:
                array = np.asarray(array)
                _check_shape("biases", array, (n_rows, self._n_streams, *shape))
            arrays.append(array.astype(self._weights.gates.dtype, copy=False))
        return arrays

    def _run_groups(self, codes, uniforms, biases, offset, hop, temperature):
        """Take steps in all groups of streams, each in a thread of its own."""
        stack, now = self._stack, self._now
        how = (float(temperature), 0 if self._classes else stack.n_classes,
               float(stack.min_log_scale))  # fmt: skip
        self._now += len(codes)

        def run(state, group):
            # compiled code is for one kind of array
            some = [np.require(a[:, group], None, "CW") for a in (codes, uniforms, *biases)]
            self._run(self._weights, state, now, *some, offset, hop, how)
            return some[0]

        if len(self._groups) == 1:
            return run(self._states[0], self._groups[0])
        with ThreadPoolExecutor(len(self._groups)) as pool:
            return np.concatenate([*pool.map(run, self._states, self._groups)], 1)
