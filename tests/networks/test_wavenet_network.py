"""WaveNet against the facts of the paper, of three published implementations, and by hand."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch

from skaudio.networks.wavenet import LAYOUTS, SIZES, WaveNet

SMALL = {
    "dilations": (1, 2, 4, 1, 2),
    "residual_channels": 4,
    "gate_channels": 5,
    "skip_channels": 12,
    "head_channels": 16,
}
CONTEXT = {"contexts": (((1, 2), 3, 8),), "hop_length": 6}
CONDITIONS = {
    "none": {},
    "label": {"n_labels": 3, "label_channels": 4},
    "frames": {"n_conditions": 2, "condition_hop": 2},
    "frames at each sample": {"n_conditions": 2},
    "learnt upsampling": {"n_conditions": 2, "condition_hop": 2, "upsampling": "learnt"},
    "context": CONTEXT,
    "all": {"n_labels": 3, "n_conditions": 2, "condition_hop": 3, **CONTEXT},
}
VARIANTS = {
    "default": {},
    "kernel 3": {"kernel": 3},
    "kernel 1": {"kernel": 1},
    "kernel 4": {"kernel": 4, "first_kernel": 3},
    "as r9y9": {"kernel": 3, "first_kernel": 1, "first_bias": True, "last_residual": True,
                "residual_scale": 0.5**0.5, "skip_scale": 0.4},
    "as nv": {"first_kernel": 1, "head_bias": False},
    "logistic": {"output": "logistic", "n_mixtures": 3, "n_classes": 256, "first_bias": True},
}  # fmt: skip


def new(seed=0, **options):
    """A float64 network, all weights and biases random."""
    network = WaveNet(**{**SMALL, **options}).double()
    generator = torch.Generator().manual_seed(seed)
    for p in network.parameters():
        p.data.normal_(0, 0.4, generator=generator)
    return network.eval()


def sequences(network, n_clips, n_samples, seed=1):
    wave = np.random.default_rng(seed).uniform(-0.5, 0.5, (n_clips, n_samples))
    return network.codes(torch.from_numpy(wave))


def conditions(network, n_clips, n_samples, seed=2):
    """Labels and frames for clips; None where the network has none."""
    generator = torch.Generator().manual_seed(seed)
    label, frames = None, None
    if network.n_labels:
        label = torch.randint(network.n_labels, (n_clips,), generator=generator)
    if network.n_conditions:
        shape = n_clips, network.n_conditions, -(-n_samples // network.condition_hop)
        frames = torch.randn(shape, generator=generator, dtype=torch.float64)
    return label, frames


def n_parameters(**options):
    with torch.device("meta"):
        network = WaveNet(**options)
    return sum(p.numel() for p in network.parameters())


# --- published facts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "count", "field"),
    [("ibab", 1_515_968, 5117), ("r9y9", 4_029_952, 6139), ("r9y9-mol", 3_178_654, 505),
     ("nv", 740_288, 511)],
)  # fmt: skip
def test_published_sizes(size, count, field):
    assert n_parameters(**SIZES[size]) == count
    with torch.device("meta"):
        assert WaveNet(**SIZES[size]).receptive_field == field


def test_published_sizes_with_conditions():
    bands = {"n_conditions": 80}
    # beside these, 36 weights and 4 scales in the upsampling of r9y9, 5 frames wide, and a scale of
    # weight norm for each output of each convolution
    scales = 30 * (256 + 256 + 128 + 128) + 128 + 128 + 256
    assert n_parameters(**SIZES["r9y9"], **bands) == 4_699_944 - scales - 80 * 80 * 5 - 36 - 4
    scales = 24 * (256 + 256 + 128 + 128) + 128 + 128 + 30
    assert n_parameters(**SIZES["r9y9-mol"], **bands) == 3_720_932 - scales - 80 * 80 * 5 - 36 - 4
    # the biases of its conditions are added to those of the gates
    nv = n_parameters(**SIZES["nv"], **bands, condition_hop=200, upsampling="learnt")
    assert nv == 6_026_256 - 16 * 128
    thirty = {**SIZES["ibab"], "dilations": SIZES["ibab"]["dilations"][:30]}
    assert n_parameters(**thirty) == 1_073_728
    assert n_parameters(**thirty, **bands) == 1_227_328
    assert n_parameters(**thirty, n_labels=1, label_channels=16) == 1_104_448 + 16


@pytest.mark.parametrize(
    ("width", "skips", "count"),
    [(32, 256, 557_888), (64, 256, 1_283_712), (128, 256, 3_656_960), (256, 256, 12_089_856)],
)
def test_sizes_of_thirty_layers(width, skips, count):
    dilations = [2**i for i in range(10)] * 3
    widths = {"residual_channels": width, "gate_channels": width, "skip_channels": skips}
    assert n_parameters(dilations=dilations, last_residual=True, **widths) == count
    unread = width * width + width
    assert n_parameters(dilations=dilations, **widths) == count - unread


@pytest.mark.parametrize(
    ("n_blocks", "n_layers", "kernel", "first", "field"),
    [(1, 10, 2, 1, 1024), (2, 10, 2, 2, 2048), (3, 10, 2, 1, 3070), (3, 10, 2, 2, 3071),
     (4, 10, 2, 2, 4094), (3, 10, 3, 1, 6139), (4, 6, 3, 1, 505), (2, 8, 2, 1, 511)],
)  # fmt: skip
def test_receptive_fields(n_blocks, n_layers, kernel, first, field):
    dilations = [2**i for i in range(n_layers)] * n_blocks
    with torch.device("meta"):
        network = WaveNet(dilations, kernel=kernel, first_kernel=first)
    assert network.receptive_field == network.maps[0].left + 1 == field


@torch.no_grad()
@pytest.mark.parametrize("size", ["tiny", "ibab", "nv"])
def test_untrained_cross_entropy(size):
    network = WaveNet(**SIZES[size])
    network.initialise(torch.Generator().manual_seed(0))
    wave = torch.from_numpy(0.1 * np.random.default_rng(0).standard_normal((2, 1000))).float()
    codes = network.codes(wave)
    nats = -network.log_prob(network.predictions(codes), codes).mean()
    assert float(nats) == pytest.approx(math.log(256), abs=0.02)


# --- probabilities -------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("output", ["mulaw", "logistic"])
@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("n_samples", [1, 2, 4])
def test_probabilities_of_all_sequences_sum_to_one(n_samples, condition, output, layout):
    options = {"output": output, "n_classes": 4, "n_mixtures": 2, "layout": layout}
    network = new(**options, **CONDITIONS[condition])
    levels = network.levels()
    every = torch.stack([torch.stack(s) for s in itertools.product(levels, repeat=n_samples)])
    label, frames = conditions(network, 1, n_samples)
    label = None if label is None else label.expand(len(every))
    frames = None if frames is None else frames.expand(len(every), -1, -1)
    scores = network.log_prob(network.predictions(every, label, frames), every).sum(1)
    assert scores.dtype == torch.float64
    assert float(scores.exp().sum()) == pytest.approx(1, abs=1e-12)
    assert float(scores.exp().std()) > 0 or layout == "shift-target"


@torch.no_grad()
@pytest.mark.parametrize("output", ["mulaw", "logistic"])
def test_distribution_of_one_step(output):
    network = new(output=output)
    codes = sequences(network, 2, 20)
    last = network.predictions(codes)[..., -1:]
    levels = network.levels()
    masses = network.log_prob(last.expand(-1, -1, len(levels)), levels.expand(2, -1)).exp()
    np.testing.assert_allclose(masses.sum(1), 1, atol=1e-10)
    widths = network.log_widths(levels).exp()
    assert float(widths.sum()) == pytest.approx(2, abs=1e-9) and widths.dtype == torch.float64
    assert bool((network.decode(levels).diff() > 0).all())
    restored = network.codes(network.decode(levels).double())
    torch.testing.assert_close(restored, levels, rtol=0, atol=1e-9)


# --- by hand -------------------------------------------------------------------------------------


def by_hand(network, codes, biases, n_steps):
    """What precedes each sample of a clip, step by step, by the formulas of `CausalStack`.

    Biases are of shape (n_steps, L, 2 D). The first step is for sample 0, or 1 for "shift-target".
    Returns predictions (n, K), inputs of the layers (L, n, R) and skip sums (n, S).
    """
    twin = copy.copy(network)
    if network.layout == "shift-target":
        twin.layout = "shift-in"
    s = twin.stack()
    before = 0 if network.layout == "shift-target" else s.n_starts
    inputs = [s.start] * before + list(codes)
    (n_layers, kernel, width, n_gates), found = s.gates.shape, []
    hs = [[np.zeros(width)] * 1000 for _ in range(n_layers)]  # zeros before the first step
    for t in range(before - 1 + n_steps):
        h, total = s.first_bias, 0.0
        for back, tap in enumerate(s.first[::-1]):
            if t >= back and inputs[t - back] is not None:
                code = inputs[t - back]
                h = h + (tap[code] if s.draws == "mulaw" else code * tap[0])
        for layer, d in enumerate(s.dilations):
            hs[layer].append(h)
            a = s.gate_bias[layer] + biases[max(0, t - before + 1), layer]
            for i, tap in enumerate(s.gates[layer]):
                a = a + hs[layer][-1 - (kernel - 1 - i) * d] @ tap
            z = np.tanh(a[: n_gates // 2]) / (1 + np.exp(-a[n_gates // 2 :]))
            total = total + z @ s.skip[layer] + s.skip_bias[layer]
            h = s.residual_scale * (h + z @ s.residual[layer] + s.residual_bias[layer])
        hidden = np.maximum(s.skip_scale * total, 0) @ s.head + s.head_bias
        found.append((np.maximum(hidden, 0) @ s.out + s.out_bias, s.skip_scale * total))
    predictions, totals = (
        np.stack(parts)[max(0, before - 1) :] for parts in zip(*found, strict=True)
    )
    return predictions, np.array([h[1000 + max(0, before - 1) :] for h in hs]), totals


def biases_by_hand(network, codes, label, frames, n_steps):
    """Biases (T, L, 2 D) of one clip (T,), from the weights by name."""
    w = {name: p.detach().numpy() for name, p in network.named_parameters()}
    total = np.zeros((n_steps, *network.gated.gate_bias.shape))
    if label is not None:
        total += w["conditioning.label_gates"] @ w["conditioning.label_table"][label]
    if frames is not None:
        frames, hop = frames.numpy(), network.condition_hop
        for step in range(n_steps):
            t = min(step, frames.shape[1] * hop - 1)  # what comes after a clip belongs to its end
            f = t // hop
            vector = frames[:, f]
            if network.conditioning.upsampling == "learnt":
                vector = w["conditioning.upsample_bias"].copy()
                for back in range(4):
                    if f - back >= 0:
                        tap = w["conditioning.upsample"][:, :, back * hop + t % hop]
                        vector += frames[:, f - back] @ tap
            total[step] += w["conditioning.frame_gates"] @ vector
    for i, context in enumerate(network.conditioning.contexts):
        vectors = context_by_hand(w, f"conditioning.contexts.{i}.", context, network, codes)
        for t in range(n_steps):
            total[t] += w[f"conditioning.contexts.{i}.gates"] @ vectors[t // context.hop]
    return total


def context_by_hand(w, at, context, network, codes):
    """Vectors of a context from the windows of codes that are complete."""
    x = codes if network.output == "logistic" else 2 * codes / (network.n_classes - 1) - 1
    windows = x[: len(x) // context.hop * context.hop].reshape(-1, context.hop)
    h = np.concatenate([np.zeros((1, context.gates.shape[2])), windows @ w[f"{at}windows"].T])
    skips = 0.0
    for layer, d in enumerate(context.stack.dilations):
        gates, bias = w[f"{at}stack.gates"][layer], w[f"{at}stack.gate_bias"][layer]
        before = np.concatenate([np.zeros((d, h.shape[1])), h])[: len(h)]
        a = before @ gates[..., 0].T + h @ gates[..., 1].T + bias
        half = a.shape[1] // 2
        z = np.tanh(a[:, :half]) / (1 + np.exp(-a[:, half:]))
        skips = skips + z @ w[f"{at}stack.skip"][:, layer].T + w[f"{at}stack.skip_bias"][layer]
        if layer < len(context.stack.dilations) - 1:
            residual = w[f"{at}stack.residual"][layer], w[f"{at}stack.residual_bias"][layer]
            h = h + z @ residual[0].T + residual[1]
    return np.maximum(skips, 0)


CASES = [
    *((variant, "none") for variant in VARIANTS),
    *(("default", condition) for condition in CONDITIONS if condition != "none"),
    ("logistic", "all"),
]


@torch.no_grad()
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("variant", "condition"), CASES)
def test_predictions_by_hand(variant, condition, layout):
    network = new(**VARIANTS[variant], **CONDITIONS[condition], layout=layout)
    codes = sequences(network, 2, 40)
    label, frames = conditions(network, 2, 40)
    found = network.predictions(codes, label, frames)
    assert found.shape == (2, network.n_outputs, 40)
    unscored = layout == "shift-target"
    assert not found[..., :unscored].any()
    for i in range(2):
        own = [None if x is None else x[i] for x in (label, frames)]
        biases = biases_by_hand(network, codes[i].numpy(), *own, 40)
        expected, *_ = by_hand(network, codes[i].numpy(), biases, 40)
        np.testing.assert_allclose(found[i, :, unscored:].T, expected, atol=1e-12)
    # float32 is as near as it can be
    frames = None if frames is None else frames.float()
    rounded = network.float().predictions(codes, label, frames)
    np.testing.assert_allclose(rounded, found, atol=3e-5)


@torch.no_grad()
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("layer", [None, 0, 3])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_features_by_hand(condition, layer, layout):
    options = {"hop_length": 6, **CONDITIONS[condition], "layer": layer, "layout": layout}
    network, n = new(**options), 40
    wave = torch.from_numpy(np.random.default_rng(0).uniform(-0.5, 0.5, (2, 1, n)))
    label, frames = conditions(network, 2, n)
    ((found, lengths),) = network(wave, torch.tensor([n, n - 5]), label, frames)
    assert found.dtype == torch.float32 and lengths.tolist() == [7, 6]
    assert found.shape == (2, len(network.maps[0].channels), 7)
    codes = network.codes(wave[:, 0])
    for i, length in enumerate((n, n - 5)):
        own = [None if x is None else x[i] for x in (label, frames)]
        biases = biases_by_hand(network, codes[i].numpy(), *own, n + 1)
        _, hs, totals = by_hand(network, codes[i].numpy(), biases, n + 1)
        steps = (totals if layer is None else hs[layer])[-n:][:length]
        expected = np.stack([steps[t : t + 6].mean(0) for t in range(0, length, 6)])
        np.testing.assert_allclose(found[i, :, : lengths[i]].T, expected, atol=1e-6)


@torch.no_grad()
def test_labels_as_weights_and_without_any():
    network = new(**CONDITIONS["label"])
    codes = sequences(network, 2, 30)
    found = network.predictions(codes, torch.tensor([2, 0]))
    weights = torch.eye(3, dtype=torch.float64)
    same = network.predictions(codes, weights[[2, 0]])
    torch.testing.assert_close(same, found, rtol=0, atol=1e-14)
    mean = network.predictions(codes, torch.full((2, 3), 1 / 3, dtype=torch.float64))
    torch.testing.assert_close(network.predictions(codes), mean, rtol=0, atol=1e-13)
    assert float((mean - found).abs().max()) > 0.1


@torch.no_grad()
def test_frames_are_zero_unless_given():
    network = new(**CONDITIONS["frames"])
    codes = sequences(network, 2, 7)
    zeros = torch.zeros(2, 2, 4, dtype=torch.float64)
    assert torch.equal(network.predictions(codes), network.predictions(codes, None, zeros))
    with pytest.raises(ValueError, match="3 frames of 2 samples each condition 6 samples, but"):
        network.predictions(codes, None, zeros[..., :3])


# --- what depends on what ------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("condition", ["none", "context"])
def test_a_sample_changes_what_comes_after_it(condition, variant, layout):
    network = new(**VARIANTS[variant], **CONDITIONS[condition], layout=layout)
    n, field = 90, network.receptive_field
    codes = sequences(network, 1, n)
    before = network.predictions(codes)
    for t in (0, 1, 17, 40):
        changed = codes.clone()
        changed[0, t] = network.levels()[3]
        moved = (network.predictions(changed) - before).abs().amax(1)[0] > 1e-13
        first, last = int(moved.nonzero()[0]), int(moved.nonzero()[-1])
        assert first == t + 1
        assert last <= min(t + field, n - 1)
        if condition == "none":
            assert last == min(t + field, n - 1)


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v != "kernel 1"])
def test_receptive_field_by_gradient(variant):
    options = {**VARIANTS[variant], "output": "logistic", "n_classes": 256}
    network = new(**options)
    wave = sequences(network, 1, 60).requires_grad_()
    network.predictions(wave)[..., -1].sum().backward()
    seen = wave.grad[0].nonzero().flatten().tolist()
    assert seen == [*range(59 - network.receptive_field, 59)]


@torch.no_grad()
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("condition", ["none", "context", "label"])
@pytest.mark.parametrize("layer", [None, 2])
def test_tiles_are_exact(layer, condition, layout):
    options = {"hop_length": 6, **CONDITIONS[condition], "layer": layer, "layout": layout}
    network, n = new(**options), 400
    wave = torch.from_numpy(np.random.default_rng(0).uniform(-0.5, 0.5, (1, 1, n)))
    ((whole, _),) = network(wave, torch.tensor([n]))
    pieces = [frames for _, frames in network.pieces(wave, 60)]
    assert len(pieces) > 2
    torch.testing.assert_close(torch.cat(pieces, dim=2), whole, rtol=0, atol=1e-6)
    # the halo, on the left alone, is not longer than it must be
    network.halo = network.halo[0] - 6 * (1 + (layer is not None)), 0
    if layer is None and condition != "context":
        pieces = torch.cat([frames for _, frames in network.pieces(wave, 60)], dim=2)
        assert float((pieces - whole).abs().max()) > 1e-6


@torch.no_grad()
@pytest.mark.parametrize("condition", ["none", "all"])
def test_padded_clips_get_what_they_get_alone(condition):
    network = new(**CONDITIONS[condition]).float()
    lengths = torch.tensor([900, 1, 333, 160, 161])
    wave = torch.from_numpy(np.random.default_rng(0).uniform(-0.5, 0.5, (5, 1, 900))).float()
    for row, length in zip(wave, lengths.tolist(), strict=True):
        row[:, length:] = 0
    ((together, n_frames),) = network(wave, lengths)
    assert torch.equal(n_frames, network.output_lengths(lengths)[0])
    for i, length in enumerate(lengths.tolist()):
        ((alone, n),) = network(wave[i : i + 1, :, :length], lengths[i : i + 1])
        assert alone.shape[2] == n_frames[i] == n[0]
        torch.testing.assert_close(together[i, :, : n[0]], alone[0], rtol=1e-5, atol=1e-6)


# --- training ------------------------------------------------------------------------------------


def loss_of(network, codes, label, frames):
    return -network.log_prob(network.predictions(codes, label, frames), codes).mean()


@pytest.mark.parametrize(
    ("variant", "condition", "layout"),
    [*((*case, "shift-in") for case in CASES), *(("default", "all", x) for x in LAYOUTS[1:])],
)
def test_gradients_are_those_of_finite_differences(variant, condition, layout):
    network = new(**VARIANTS[variant], **CONDITIONS[condition], layout=layout)
    codes = sequences(network, 3, 25)
    batch = codes, *conditions(network, 3, 25)
    loss_of(network, *batch).backward()
    generator, step = torch.Generator().manual_seed(3), 1e-6
    for name, p in network.named_parameters():
        if network.gated.residual.shape[0] == 5 and name.startswith("gated.residual"):
            assert not p.grad[-1].any()  # the last layer's output is not read
        assert p.grad is not None and p.grad.any(), name
        way = torch.randn(p.shape, generator=generator, dtype=torch.float64)
        ends = []
        with torch.no_grad():
            for sign in (1, -2, 1):
                p.add_(way, alpha=sign * step)
                ends.append(float(loss_of(network, *batch)))
        slope = (ends[0] - ends[1]) / (2 * step)
        assert float((p.grad * way).sum()) == pytest.approx(slope, rel=1e-5, abs=1e-6), name


def test_initialise_draws_from_its_generator_alone():
    network = WaveNet((1, 2), n_labels=2, n_conditions=3, upsampling="learnt", **CONTEXT)
    other, state = copy.deepcopy(network), torch.get_rng_state()
    for p in network.parameters():
        p.data.fill_(torch.nan)
    for each in (network, other):
        each.initialise(torch.Generator().manual_seed(5))
    assert torch.equal(torch.get_rng_state(), state)
    for (name, p), q in zip(network.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q), name
        assert p.isfinite().all() and p.any() != name.endswith("bias"), name
    other.initialise(torch.Generator().manual_seed(6))
    assert not torch.equal(network.first, other.first)
    # classes near each other begin near each other
    distance = torch.cdist(network.first[1], network.first[1]).detach()
    assert float(distance[100, 110]) < 0.5 * float(distance[100, 230])


# --- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "shifted"}, "layout='shifted' must be one of 'shift-in', 'shift-target'"),
        ({"output": "normal"}, "output='normal' must be one of 'mulaw', 'logistic'"),
        ({"upsampling": "linear"}, "upsampling='linear' must be one of 'repeat', 'learnt'"),
        ({"layer": 5}, "layer=5 must be from 0 to 4, or None"),
        ({"layer": -1}, "layer=-1 must be from 0 to 4, or None"),
        ({**CONTEXT, "hop_length": 7}, "hop_length=7 must be a multiple of the context's 3"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        WaveNet(**{**SMALL, **options})


def test_no_sampler_starts_with_a_distribution_of_its_own():
    with pytest.raises(ValueError, match="layout='shift-target' has no start to sample from"):
        new(layout="shift-target").stack()


@torch.no_grad()
@pytest.mark.parametrize("condition", CONDITIONS)
def test_biases_are_what_conditions_add(condition):
    network, n = new(**CONDITIONS[condition]), 12
    codes, (label, frames) = sequences(network, 2, n), conditions(network, 2, n)
    if not CONDITIONS[condition]:
        assert network.biases() == (None, None)
        return
    contexts = network.conditioning.contexts
    gates, head = network.biases(label, frames, codes[:, :6] if contexts else None)
    assert head is None
    hop = 1 if network.conditioning.upsampling == "learnt" else network.condition_hop
    for i in range(2):
        own = [None if x is None else x[i] for x in (label, frames)]
        if contexts:  # what the samples from 6 to 9 get, from frames that begin there
            frames_of_them = None if frames is None else torch.cat([frames[i, :, :2]] * 2, 1)
            own[1] = frames_of_them
            expected = biases_by_hand(network, codes[i, :6].numpy(), *own, 9)[6:]
            np.testing.assert_allclose(gates[0, i], expected[0], atol=1e-12)
        else:
            expected = biases_by_hand(network, codes[i].numpy(), *own, n)
            rows = gates[np.arange(n) // hop] if frames is not None else gates.expand(n, -1, -1, -1)
            np.testing.assert_allclose(rows[:, i], expected, atol=1e-12)
