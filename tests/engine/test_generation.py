"""The sampler of causal networks, against a computation of all that came before, in float64."""

import dataclasses
import importlib.util
import sys
import tracemalloc

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_softmax, softmax
from scipy.stats import chisquare

from skaudio._engine import generation_torch
from skaudio._engine.generation import Sampler
from skaudio.networks._causal import CausalStack
from skaudio.networks.wavenet import WaveNet

numba = pytest.mark.skipif(not importlib.util.find_spec("numba"), reason="numba is not there")
compiled = pytest.param("compiled", marks=numba)
ENGINES = [compiled, "torch"]
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}
STREAMS, SAMPLES, HOP = 3, 40, 7


def new_stack(kernel=2, first_kernel=2, n_outputs=16, first_skip=False, loud=1, seed=0, **changes):
    """Random weights of a small stack with odd widths; its receptive field is below SAMPLES."""
    dilations, width, n_gates, n_skips, n_hidden = (1, 2, 4, 1), 5, 6, 7, 9
    generator = np.random.default_rng(seed)

    def normal(*shape):
        return generator.standard_normal(shape) / np.sqrt(np.prod(shape[-2:-1]))

    n_layers = len(dilations)
    stack = CausalStack(
        first=normal(first_kernel, 1 if changes.get("draws") == "logistic" else n_outputs, width),
        first_bias=normal(1, width)[0],
        dilations=dilations,
        gates=loud * normal(n_layers, kernel, width, 2 * n_gates),
        gate_bias=normal(n_layers, 2 * n_gates),
        skip=normal(n_layers, n_gates, n_skips),
        skip_bias=normal(n_layers, n_skips),
        residual=normal(n_layers, n_gates, width),
        residual_bias=normal(n_layers, width),
        head=normal(n_skips, n_hidden),
        head_bias=normal(1, n_hidden)[0],
        out=2 * normal(n_hidden, n_outputs),
        out_bias=normal(1, n_outputs)[0],
    )
    if first_skip:
        changes |= {"first_skip": normal(width, n_skips), "first_skip_bias": normal(1, n_skips)[0]}
    return dataclasses.replace(stack, **changes)


def new_biases(stack, n_rows, seed=1):
    """Random biases for all streams."""
    generator = np.random.default_rng(seed)
    return (
        generator.standard_normal((n_rows, STREAMS, *stack.gate_bias.shape)),
        generator.standard_normal((n_rows, STREAMS, *stack.head_bias.shape)),
    )


STACKS = {
    "k = 2": new_stack(start=8),
    "k = 3": new_stack(kernel=3, first_kernel=1, start=3),
    "scales": new_stack(residual_scale=0.5**0.5, skip_scale=-0.5, first_skip=True),
    "primed": new_stack(start=8, n_starts=11),
    "loud": new_stack(start=8, loud=4),
    "logistic": new_stack(first_kernel=3, n_outputs=12, draws="logistic", n_classes=64, start=0.25),
}
CASES = [(name, biased) for name in STACKS for biased in (False, True)]


def by_hand(stack, codes, gates=None, head=None):
    """Predictions of each sample of one stream, and of the next: (n,) -> (n + 1, K).

    ``gates`` (n + 1, L, 2 D) and ``head`` (n + 1, H) are the biases of each.
    """
    n_before = stack.n_starts - 1
    known = np.concatenate([np.full(stack.n_starts, np.nan), codes])
    known[: stack.n_starts] = np.nan if stack.start is None else stack.start
    absent = np.isnan(known)[:, None]
    if stack.draws == "mulaw":
        x = np.where(absent, 0, known[:, None] == np.arange(stack.first.shape[1]))
    else:
        x = np.where(absent, 0, known[:, None])

    def per_step(rows):
        return 0 if rows is None else np.concatenate([rows[:1]] * n_before + [rows])

    def convolved(x, taps, dilation):
        total = 0
        for i, tap in enumerate(taps[::-1]):
            total = total + np.pad(x, ((i * dilation, 0), (0, 0)))[: len(x)] @ tap
        return total

    h = convolved(x, stack.first, 1) + stack.first_bias
    skips = 0 if stack.first_skip is None else h @ stack.first_skip + stack.first_skip_bias
    gates, head = per_step(gates), per_step(head)
    for i, dilation in enumerate(stack.dilations):
        a = convolved(h, stack.gates[i], dilation) + stack.gate_bias[i]
        a = a + (gates[:, i] if np.ndim(gates) else 0)
        half = a.shape[1] // 2
        z = np.tanh(a[:, :half]) * expit(a[:, half:])
        skips = skips + z @ stack.skip[i] + stack.skip_bias[i]
        h = (h + z @ stack.residual[i] + stack.residual_bias[i]) * stack.residual_scale
    y = np.maximum(skips * stack.skip_scale, 0) @ stack.head + stack.head_bias + head
    return (np.maximum(y, 0) @ stack.out + stack.out_bias)[n_before:]


def drawn_by_hand(stack, prediction, uniforms, temperature):
    """Draw from one predicted distribution."""
    if stack.draws == "mulaw":
        return drawn_class(prediction, uniforms[0], temperature)
    logits, means, scales = np.split(prediction, 3)
    i = drawn_class(logits, uniforms[0], temperature)
    logit = np.log(uniforms[1] / (1 - uniforms[1]))
    x = means[i] + temperature * np.exp(max(scales[i], stack.min_log_scale)) * logit
    levels = np.linspace(-1, 1, stack.n_classes)
    return levels[np.abs(levels - x).argmin()]


def drawn_class(logits, uniform, temperature):
    if temperature == 0:
        return logits.argmax()
    return np.searchsorted(np.cumsum(softmax(logits / temperature)), uniform, side="right")


def some_codes(stack, n=SAMPLES, seed=2):
    generator = np.random.default_rng(seed)
    if stack.draws == "mulaw":
        return generator.integers(0, stack.first.shape[1], (STREAMS, n))
    return generator.uniform(-1, 1, (STREAMS, n))


def some_uniforms(stack, n=SAMPLES, n_streams=STREAMS, seed=3):
    n_u = 1 if stack.draws == "mulaw" else 2
    return np.random.default_rng(seed).random((n, n_streams, n_u))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "biased"), CASES)
def test_predictions_are_those_by_hand(name, biased, engine, dtype):
    stack, n_rows = STACKS[name], SAMPLES // HOP + 1
    codes, biases = some_codes(stack), new_biases(stack, n_rows) if biased else (None, None)
    sampler = Sampler(stack, STREAMS, dtype=dtype, engine=engine)
    found = []
    for t in range(SAMPLES + 1):
        row = [None if rows is None else rows[[t // HOP]] for rows in biases]
        assert sampler.n_taken == t
        found.append(sampler.predict(row))
        assert found[-1].dtype == dtype
        if t < SAMPLES:
            sampler.prime(codes[:, [t]], row)
    for b in range(STREAMS):
        own = [None if r is None else np.repeat(r[:, b], HOP, 0)[: SAMPLES + 1] for r in biases]
        expected = by_hand(stack, codes[b], *own)
        assert_allclose(np.stack(found)[:, b], expected, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("temperature", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["k = 2", "k = 3", "logistic"])
def test_the_same_numbers_draw_what_they_draw_by_hand(name, engine, temperature):
    stack = STACKS[name]
    uniforms = some_uniforms(stack)
    found = Sampler(stack, STREAMS, engine=engine).draw(uniforms, temperature=temperature)
    assert found.dtype == (np.float32 if name == "logistic" else np.int64)
    for b in range(STREAMS):
        codes = np.empty(0)
        for t in range(SAMPLES):
            prediction = by_hand(stack, codes)[-1]
            code = drawn_by_hand(stack, prediction, uniforms[t, b], temperature)
            codes = np.append(codes, code)
        assert_allclose(found[b], codes, rtol=0, atol=1e-7)
    assert len(np.unique(found)) > 2 or temperature < 1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", STACKS)
def test_blocks_of_any_size_give_the_same(name, engine):
    stack, n_rows = STACKS[name], -(-SAMPLES // HOP)
    uniforms, biases = some_uniforms(stack), new_biases(stack, n_rows)
    whole = Sampler(stack, STREAMS, engine=engine).draw(uniforms, biases, HOP)
    sampler, parts, begin = Sampler(stack, STREAMS, engine=engine), [], 0
    for n in (1, 0, 2, 17, SAMPLES - 20):
        rows = slice(begin // HOP, max(begin // HOP + 1, -(-(begin + n) // HOP)))
        part = [some[rows] for some in biases]
        parts.append(sampler.draw(uniforms[begin : begin + n], part, HOP))
        begin += n
    assert sampler.n_taken == begin == SAMPLES
    assert_array_equal(np.concatenate(parts, 1), whole)
    assert not np.array_equal(whole, Sampler(stack, STREAMS, engine=engine).draw(uniforms))


@numba
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("name", STACKS)
def test_a_stream_is_the_same_to_the_bit_whatever_runs_beside_it(name, n_threads):
    stack, n_streams = STACKS[name], 37  # more than are computed together, and not even
    uniforms = some_uniforms(stack, n_streams=n_streams)
    sampler = Sampler(stack, n_streams, engine="compiled", n_threads=n_threads)
    codes, predictions = sampler.draw(uniforms), sampler.predict()
    for b in (0, 15, 16, 17, 36):
        alone = Sampler(stack, 1, engine="compiled")
        assert_array_equal(alone.draw(uniforms[:, [b]])[0], codes[b])
        assert_array_equal(alone.predict()[0], predictions[b])


def test_torch_gives_a_stream_alone_as_beside_others():
    stack = STACKS["k = 3"]
    codes = some_codes(stack)
    sampler = Sampler(stack, STREAMS, dtype=np.float64, engine="torch")
    sampler.prime(codes)
    for b in range(STREAMS):
        alone = Sampler(stack, 1, dtype=np.float64, engine="torch")
        alone.prime(codes[[b]])
        assert_allclose(alone.predict()[0], sampler.predict()[b], rtol=0, atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", STACKS)
def test_priming_is_as_good_as_drawing(name, engine):
    stack = STACKS[name]
    drawn, primed = (Sampler(stack, STREAMS, engine=engine) for _ in range(2))
    uniforms = some_uniforms(stack)
    primed.prime(drawn.draw(uniforms))
    assert_array_equal(primed.predict(), drawn.predict())
    assert_array_equal(primed.draw(uniforms), drawn.draw(uniforms))


@numba
@pytest.mark.parametrize("name", STACKS)
def test_both_engines_draw_the_same(name):
    stack, n = STACKS[name], 300
    uniforms, biases = some_uniforms(stack, n), new_biases(stack, 1)
    codes = [
        Sampler(stack, STREAMS, engine=e).draw(uniforms, biases) for e in ("compiled", "torch")
    ]
    assert_array_equal(*codes)


@pytest.mark.parametrize("engine", ENGINES)
def test_classes_are_drawn_as_often_as_predicted(engine):
    # numbers all over [0, 1): each class gets its probability of them, but for one
    n, stack = 20_000, STACKS["k = 2"]
    logits = Sampler(stack, 1, engine=engine).predict()[0].astype(np.float64)
    uniforms = (np.arange(n)[None, :, None] + 0.5) / n
    for temperature in (1.0, 0.5, 3.0):
        codes = Sampler(stack, n, engine=engine).draw(uniforms, temperature=temperature)
        counts = np.bincount(codes[:, 0], minlength=len(logits))
        assert_allclose(counts / n, softmax(logits / temperature), rtol=0, atol=1.001 / n)

    # the ends, and what lies between two classes
    even = dataclasses.replace(stack, out=0 * stack.out, out_bias=0 * stack.out_bias)
    uniforms = [*np.arange(16) / 16, np.nextafter(1, 0)]
    codes = Sampler(even, 17, engine=engine).draw(np.reshape(uniforms, (1, 17, 1)))
    assert_array_equal(codes[:, 0], [*range(16), 15])


@pytest.mark.parametrize("engine", ENGINES)
def test_amplitudes_are_drawn_from_the_discretised_mixture(engine):
    n, n_levels, stack = 20_000, 16, STACKS["logistic"]
    mixture = np.float64([0.5, -0.5, 0, -9, -0.9, 0.2, 1.3, 0, -2, -1, -1.5, 0])
    stack = dataclasses.replace(
        stack, out=np.zeros_like(stack.out), out_bias=mixture, n_classes=n_levels
    )
    codes = Sampler(stack, n, engine=engine).draw(some_uniforms(stack, 1, n))[:, 0]
    levels, half = np.linspace(-1, 1, n_levels), 1 / (n_levels - 1)
    logits, means, scales = np.split(mixture, 3)
    edges = np.concatenate([[-np.inf], levels[1:] - half, [np.inf]])
    below = expit((edges[:, None] - means) * np.exp(-scales)) @ np.exp(log_softmax(logits))
    places = np.abs(codes[:, None] - levels).argmin(1)
    assert_array_equal(codes, levels[places].astype(np.float32))
    assert chisquare(np.bincount(places, minlength=n_levels), n * np.diff(below)).pvalue > 0.01


@pytest.mark.parametrize("engine", ENGINES)
def test_scales_have_a_floor_and_draws_an_end(engine):
    stack = STACKS["logistic"]
    mixture = np.float64([9, 0, 0, 0, 0.5, 0, 0, 0, -50, 0, 0, 0])
    stack = dataclasses.replace(
        stack, out=np.zeros_like(stack.out), out_bias=mixture, n_classes=1 << 24, min_log_scale=-3.0
    )
    uniforms = np.array([[[0.5, 0.0], [0.5, 0.75], [0.5, 1 - 1e-9]]])
    codes = Sampler(stack, 3, engine=engine).draw(uniforms)[:, 0]
    logits = np.log(np.array([1e-5, 0.75]) / np.array([1 - 1e-5, 0.25]))
    assert_allclose(codes, [*(0.5 + np.exp(-3) * logits), 1], rtol=0, atol=2e-7)


NETWORKS = {
    "shift-in": {},
    "primed": {"layout": "primed"},
    "labels": {"n_labels": 3},
    "frames": {"kernel": 3, "n_conditions": 4, "condition_hop": HOP, "residual_scale": 0.7},
    "learnt": {"n_labels": 3, "n_conditions": 4, "condition_hop": HOP, "upsampling": "learnt"},
    "logistic": {"output": "logistic", "kernel": 3, "n_conditions": 4, "condition_hop": HOP},
}


@torch.no_grad()
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_cached_predictions_of_a_network_are_the_teacher_forced_ones(name, engine, dtype):
    options = NETWORKS[name]
    network = WaveNet((1, 2, 4), residual_channels=6, gate_channels=5, skip_channels=8, **options)
    generator = torch.Generator().manual_seed(0)
    network.initialise(generator)
    if dtype == np.float64:
        network.double()
    wave = torch.rand(2, SAMPLES, generator=generator) * 1.6 - 0.8
    codes, frames = network.codes(wave), None
    label = torch.tensor([2, 0]) if "n_labels" in options else None
    if "n_conditions" in options:
        frames = torch.randn(2, 4, SAMPLES // HOP + 1, generator=generator).to(network.out)
    expected = network.predictions(codes, label, frames)
    biases = network.biases(label, frames)
    hop = {"learnt": 1}.get(options.get("upsampling"), options.get("condition_hop"))
    sampler, found = Sampler(network.stack(), 2, dtype=dtype, engine=engine), []
    for t in range(SAMPLES):
        row = [None if b is None else b[[t // hop if hop else 0]] for b in biases]
        found.append(sampler.predict(row))
        sampler.prime(codes[:, [t]], row)
    assert SAMPLES > network.receptive_field
    assert_allclose(np.stack(found, 2), expected, rtol=0, atol=TOLERANCE[dtype])


@numba
def test_memory_stays_flat():
    stack, n = STACKS["k = 2"], 1000
    sampler, uniforms = Sampler(stack, 1, engine="compiled"), some_uniforms(STACKS["k = 2"], n, 1)
    tracemalloc.start()
    try:
        sampler.draw(uniforms)
        begin = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            sampler.draw(uniforms)
        end, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sampler.n_taken == 101 * n
    assert end - begin < 10_000 and peak - begin < 100_000


@numba
def test_the_engine_is_chosen(monkeypatch):
    stack = STACKS["k = 2"]
    assert Sampler(stack, 1, 100)._run is generation_torch.run
    assert Sampler(stack, 1)._run is not generation_torch.run
    assert Sampler(stack, 1, 100_000)._run is not generation_torch.run
    # without a compiler
    monkeypatch.delitem(sys.modules, "skaudio._engine.generation_compiled")
    monkeypatch.setitem(sys.modules, "numba", None)
    assert Sampler(stack, 1)._run is generation_torch.run
    with pytest.raises(ImportError):
        Sampler(stack, 1, engine="compiled")


@numba
def test_compiled_code_that_cannot_be_stored_is_run(monkeypatch):
    from skaudio._engine import generation_compiled

    calls = []

    def full_disk(*block):
        calls.append(block)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(generation_compiled, "_compiled", full_disk)
    generation_compiled.run(1, 2)
    assert calls == [(1, 2), (1, 2)]


@numba
def test_streams_are_divided_among_threads(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    stack = STACKS["k = 2"]
    for options, sizes in (({}, [2, 3]), ({"n_threads": 9}, [1] * 5), ({"engine": "torch"}, [5])):
        states = Sampler(stack, 5, **options)._states
        assert [len(state.pending) for state in states] == sizes


@pytest.mark.parametrize(
    ("name", "method", "args", "message"),
    [
        ("k = 2", "prime", ([[16]],), r"lie in \[0, 15\]"),
        ("k = 2", "prime", ([[-1]],), r"lie in \[0, 15\]"),
        ("logistic", "prime", ([[np.nan]],), r"lie in \[-1, 1\]"),
        ("k = 2", "prime", ([[1], [2]],), r"codes of shape \(2, 1\)"),
        ("k = 2", "draw", ([[[0.5, 0.5]]],), r"uniforms of shape \(1, 1, 2\)"),
        ("logistic", "draw", ([[[0.5]]],), r"expected \(1, 1, 2\)"),
        ("k = 2", "draw", ([[[0.5]]], (None, None), None, -0.5), "temperature=-0.5"),
        ("k = 2", "draw", ([[[0.5]]], (None, None), None, np.nan), "temperature=nan"),
        ("k = 2", "draw", ([[[0.5]]], (np.zeros((2, 1, 4, 12)), None)), "expected .1, 1, 4, 12"),
        ("k = 2", "draw", ([[[0.5]]] * 8, (None, np.zeros((1, 1, 9))), 7), "expected .2, 1, 9"),
    ],
)
def test_what_does_not_fit_is_refused(name, method, args, message):
    sampler = Sampler(STACKS[name], 1, engine="torch")
    with pytest.raises(ValueError, match=message):
        getattr(sampler, method)(*args)
    assert sampler.n_taken == 0
