"""wav2vec against the facts of the published code, and against float64 by plain functions."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from skaudio.networks.contrastive import draw_negatives
from skaudio.networks.wav2vec import SIZES, Wav2Vec, contrastive_loss

SMALL = (((8, 10, 5), (8, 8, 4), (8, 4, 2)), ((8, 2, 1), (8, 3, 1), (8, 4, 1)))


def initialised(sizes, seed=0, **options):
    network = Wav2Vec(*sizes, **options)
    generator = torch.Generator().manual_seed(seed)
    network.initialise(generator)
    with torch.no_grad():  # norms that do something
        for name, p in network.named_parameters():
            if ".norm." in name:
                p.add_(0.3 * torch.randn(p.shape, generator=generator))
    return network.eval()


def by_hand(network, wave, keep, **options):
    """The whole network in float64 from its weights, one clip, by plain functions."""
    w = {name: p.detach().double() for name, p in network.named_parameters()}
    activation = options.get("activation", torch.relu)
    norm = lambda x, name: F.group_norm(  # noqa: E731
        x, 1, w.get(f"{name}.norm.weight"), w.get(f"{name}.norm.bias"), 1e-5
    )
    x = torch.as_tensor(wave, dtype=torch.float64)[None, None]
    factor = math.sqrt(options.get("residual_scale", 0.5))
    for i, (_, _, stride) in enumerate(options["encoder"]):
        y = F.conv1d(x, w[f"encoder.{i}.conv.weight"], stride=stride)
        y = activation(norm(y, f"encoder.{i}"))
        if options.get("skip_encoder") and y.shape[1] == x.shape[1]:
            y = (y + x[..., :: x.shape[-1] // y.shape[-1]][..., : y.shape[-1]]) * factor
        x = y
    if options.get("log_compression", True):
        x = (x.abs() + 1).log()
    if "quantized" in options:
        x = options["quantized"][None]
    layers = [x]
    for i, (_, kernel, _) in enumerate(options["aggregator"]):
        mode = "constant" if options.get("zero_pad") else "replicate"
        y = F.pad(x, (kernel - 1, 0), mode=mode)
        y = F.conv1d(y, w[f"aggregator.{i}.conv.weight"], w.get(f"aggregator.{i}.conv.bias"))
        y = activation(norm(y, f"aggregator.{i}"))
        x = (y + x) * factor if options.get("skip_aggregator", True) else y
        layers.append(x)
    return [layers[place][0].numpy() for place in keep]


def noise(*lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(n).astype(np.float32) for n in lengths]


def run(network, *waves):
    lengths = torch.tensor([len(wave) for wave in waves])
    x = torch.zeros(len(waves), 1, int(lengths.max()))
    for row, wave in zip(x, waves, strict=True):
        row[0, : len(wave)] = torch.from_numpy(wave)
    with torch.inference_mode():
        return network(x, lengths)


@pytest.mark.parametrize(
    ("samples", "frames"),
    [
        (464, 0),
        (465, 1),
        (10_000, 60),
        (16_000, 98),
        (48_000, 298),
        (80_000, 498),
        (150_000, 935),
        (160_000, 998),
    ],
)
@pytest.mark.parametrize("size", SIZES)
def test_number_of_frames(size, samples, frames):
    with torch.device("meta"):
        network = Wav2Vec(*SIZES[size][:2])
    assert network.output_lengths(torch.tensor([samples]))[0].tolist() == [frames]


@pytest.mark.parametrize("size", SIZES)
def test_receptive_field_hop_and_offset(size):
    with torch.device("meta"):
        network = Wav2Vec(*SIZES[size][:2])
    assert (network.min_steps, network.stride, network.offset) == (465, 160, 3)


@pytest.mark.parametrize(
    ("size", "every", "encoder", "aggregator", "tensors"),
    [
        ("large", 32_537_088, 5_779_456, 23_611_392, 71),
        ("base", 15_491_072, 5_253_120, 7_091_712, 53),
    ],
)
def test_number_of_weights(size, every, encoder, aggregator, tensors):
    with torch.device("meta"):
        network = Wav2Vec(*SIZES[size][:2], skip_aggregator=SIZES[size][2])

    def count(module):
        return sum(p.numel() for p in module.parameters())

    assert count(network) == every
    assert count(network.encoder) == encoder
    assert count(network.aggregator) == aggregator
    assert count(network) - encoder - aggregator == 3_146_240
    assert len(network.state_dict()) == tensors


@pytest.mark.parametrize(("size", "frames", "samples"), [("base", 19, 3345), ("large", 79, 12_945)])
def test_context_seen(size, frames, samples):
    with torch.device("meta"):
        network = Wav2Vec(*SIZES[size][:2], layers=("z", "c"))
    z, c = network.maps
    assert (c.left - z.left) // 160 + 1 == frames
    assert c.left + c.right + 1 == samples


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"log_compression": False, "skip_aggregator": False},
        {"activation": "gelu", "zero_pad": True},
        {"bias": False, "affine": False, "residual_scale": 0.25},
        {"skip_encoder": True},
    ],
    ids=str,
)
def test_features_equal_float64(options):
    encoder = (*SMALL[0], (8, 1, 1)) if "skip_encoder" in options else SMALL[0]
    network = initialised((encoder, SMALL[1]), layers=("z", 1, 2, "c"), **options)
    (wave,) = noise(3000)
    hand = dict(options, encoder=encoder, aggregator=SMALL[1])
    if "activation" in hand:
        hand["activation"] = F.gelu
    wanted = by_hand(network, wave, (0, 1, 2, 3), **hand)
    for (y, lengths), reference in zip(run(network, wave), wanted, strict=True):
        assert lengths.tolist() == [reference.shape[-1]]
        assert np.abs(y[0].numpy() - reference).max() <= 1e-5 * np.abs(reference).max()


@pytest.mark.parametrize("size", ["base", "large"])
def test_published_sizes_equal_float64(size):
    encoder, aggregator, skip = SIZES[size]
    network = initialised((encoder, aggregator), layers=("z", "c"), skip_aggregator=skip)
    (wave,) = noise(4000)
    options = {"encoder": encoder, "aggregator": aggregator, "skip_aggregator": skip}
    wanted = by_hand(network, wave, (0, len(aggregator)), **options)
    for (y, _), reference in zip(run(network, wave), wanted, strict=True):
        assert np.abs(y[0].numpy() - reference).max() <= 1e-5 * np.abs(reference).max()
    assert (run(network, wave)[0][0] >= 0).all()  # ReLU and log compression


def test_recurrent_aggregator_is_that_of_torch():
    network = initialised(SMALL, aggregator="gru", gru_dim=6, layers=("z", "c"))
    gru = torch.nn.GRU(8, 6, batch_first=True)
    gru.load_state_dict(network.aggregator["gru"].state_dict())
    (z, _), (c, _) = run(network, *noise(2000))
    with torch.inference_mode():
        assert torch.equal(c, gru(z.transpose(1, 2))[0].transpose(1, 2))


def test_gru_without_recurrence_takes_each_frame_alone():
    options = {"aggregator": "gru", "gru_dim": 6, "layers": ("z", "c")}
    network = initialised(SMALL, gru_recurrent=False, **options)
    waves = noise(2000, 1500)
    (z, lengths), (c, _) = run(network, *waves)
    assert c.shape == (2, 6, z.shape[2])
    cell = torch.nn.GRUCell(8, 6)
    names = {f"{name}_l0": p for name, p in cell.named_parameters()}
    for name, p in network.aggregator["gru"].named_parameters():
        names[name].data.copy_(p)
    for clip, context, n in zip(z, c, lengths, strict=True):
        with torch.inference_mode():
            wanted = cell(clip[:, :n].T).T
        assert torch.allclose(context[:, :n], wanted, atol=1e-6)
    carried = initialised(SMALL, **options)
    assert not torch.allclose(run(carried, *waves)[1][0], c, atol=1e-2)


def test_padding_of_a_batch_changes_no_frame():
    network = initialised(SMALL, layers=("z", 1, "c"))
    waves = noise(3000, 1234, 465)
    together = run(network, *waves)
    for i, wave in enumerate(waves):
        for (y, lengths), (alone, n) in zip(together, run(network, wave), strict=True):
            assert lengths[i] == n[0]
            difference = (y[i, :, : n[0]] - alone[0]).abs().max()
            assert difference <= 1e-5 * alone.abs().max()


def test_context_does_not_see_the_future():
    network = initialised(SMALL, affine=True, layers=("c",))
    for block in (*network.encoder, *network.aggregator):
        block.norm.forward = lambda x, lengths: x  # statistics see the whole clip
    (wave,) = noise(3000)
    changed = wave.copy()
    changed[2000:] = 0
    ((before, _),), ((after, _),) = run(network, wave), run(network, changed)
    first = (2000 - network.min_steps) // network.stride + 1  # the first frame that reaches it
    assert torch.equal(before[..., :first], after[..., :first])
    assert not torch.equal(before[..., first:], after[..., first:])


def test_head_is_the_transposed_convolution_of_the_reference():
    network = initialised(SMALL, n_steps=5)
    c = torch.randn(2, 8, 7, generator=torch.Generator().manual_seed(1))
    weight, bias = network.head["weight"], network.head["bias"]
    wanted = F.conv_transpose2d(c[..., None], weight, bias)
    assert torch.allclose(network.predict(c), wanted, rtol=1e-5, atol=1e-6)


def golden():
    z = ((6 * torch.arange(2.0)[:, None] + torch.arange(6.0)) / 10 - 0.5)[None]
    c = z.flip(-1)
    steps = torch.stack([(s + 1) * c for s in range(3)], dim=-1) + 0.1
    negatives = torch.tensor([[[5, 0, 1, 2, 3, 4], [3, 4, 5, 0, 1, 2]]])
    return z, steps, negatives


@pytest.mark.parametrize(
    ("objective", "loss"), [("bce", 20.176630), ("balanced", 12.277536), ("infonce", 9.011292)]
)
def test_golden_loss(objective, loss):
    contrast = contrastive_loss(*golden(), 2, objective)
    assert contrast.n == 9
    assert float(contrast.loss) == pytest.approx(loss, abs=2e-6)


@pytest.mark.parametrize(("n_frames", "n"), [(98, 1074), (935, 11_118), (4, 1), (3, 0), (2, 0)])
def test_number_of_predictions(n_frames, n):
    z = torch.zeros(1, 2, n_frames)
    negatives = draw_negatives(n_frames, 1, 10, torch.Generator().manual_seed(0))
    contrast = contrastive_loss(z, torch.zeros(1, 2, n_frames, 12), negatives, 3, "bce")
    assert contrast.n == n
    # logits of zero: 11 bits for each prediction
    assert float(contrast.loss) / math.log(2) == pytest.approx(11 * n, rel=1e-5)


@pytest.mark.parametrize("objective", ["bce", "balanced", "infonce"])
def test_loss_and_gradients_equal_the_gathered_form(objective):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(3, 4, 20, generator=generator, dtype=torch.float64, requires_grad=True)
    steps = torch.randn(3, 4, 20, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    negatives = draw_negatives(20, 3, 6, generator)
    contrast = contrastive_loss(z, steps, negatives, 3, objective)
    contrast.loss.backward()
    got = z.grad.clone(), steps.grad.clone()
    z.grad = steps.grad = None

    index = negatives[:, None].expand(-1, 4, -1, -1)
    copies = torch.cat([z[:, :, None], z[:, :, None].expand(-1, -1, 6, -1).gather(3, index)], dim=2)
    loss, hits = 0, 0
    for i in range(5):
        logits = torch.einsum("bct,bcnt->btn", steps[..., : 17 - i, i], copies[..., 3 + i :])
        hits += (logits.argmax(2) == 0).sum()
        if objective == "infonce":
            target = torch.zeros(logits.shape[:2].numel(), dtype=torch.long)
            loss = loss + F.cross_entropy(logits.flatten(0, 1), target, reduction="sum")
        else:
            labels = torch.zeros_like(logits)
            labels[..., 0] = 1
            weight = torch.ones_like(logits)
            weight[..., 1:] = 1 / 6 if objective == "balanced" else 1
            loss = loss + F.binary_cross_entropy_with_logits(
                logits, labels, weight, reduction="sum"
            )
    loss.backward()
    assert contrast.loss.item() == pytest.approx(loss.item(), rel=1e-10)
    assert int(contrast.n_correct) == int(hits)
    assert torch.allclose(got[0], z.grad) and torch.allclose(got[1], steps.grad)


def test_negatives_are_other_frames_evenly():
    negatives = draw_negatives(5, 1000, 7, torch.Generator().manual_seed(0))
    assert negatives.shape == (1000, 7, 5)
    own = torch.arange(5)
    assert not (negatives == own).any()
    counts = torch.stack([(negatives[..., 2] == i).sum() for i in range(5)])
    assert counts[2] == 0 and (counts[[0, 1, 3, 4]] / 7000 - 0.25).abs().max() < 0.02


def test_drawing_uses_its_generator_alone_and_covers_every_weight():
    before = torch.get_rng_state()
    network = Wav2Vec(*SMALL, aggregator="gru", gru_dim=6)
    for p in network.parameters():
        p.data.fill_(math.nan)
    network.initialise(torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(p.isfinite().all() for p in network.parameters())
    again = Wav2Vec(*SMALL, aggregator="gru", gru_dim=6)
    again.initialise(torch.Generator().manual_seed(0))
    pairs = zip(network.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_drawing_follows_the_axes_however_kernels_lie_in_memory():
    network, generator = Wav2Vec(*SMALL), torch.Generator().manual_seed(0)
    network.initialise(torch.Generator().manual_seed(0))
    for block in network.encoder:
        weight = block.conv.weight
        bound = 1 / math.sqrt(weight[0].numel())
        expected = torch.empty(weight.shape).uniform_(-bound, bound, generator=generator)
        assert torch.equal(weight, expected)
