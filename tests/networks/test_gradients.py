"""Every design can be trained: its gradients, and those of what stands around it, are right."""

import pytest
import torch
import torch.nn.functional as F

from skaudio import RandomCNNTransformer, pooling
from skaudio._tensors import mask
from skaudio.networks import convolutions
from skaudio.networks.designs import DESIGNS

N_MELS = 12
PARAMETERS = RandomCNNTransformer(
    kernel=(3, 8), temporal_kernels=(9, 6, 4, 2), pools=((2, 2), (2, 3), (2, 2), (2, 2), (4, 4))
)
# steps of three clips in a batch: one of them is as short as the design allows
LENGTHS = {"sample_level": (4000, 3, 2500), "frame_level": (2500, 704, 1800)}
LENGTHS |= {"frame_level_many": (2500, 193, 1801)}
PARTS = ["mean_std_max", "quantiles", "pyramid", "dct4"]


def new_network(design, dtype, **changed):
    parameters = PARAMETERS.set_params(**{"reference": False, **changed})
    found = DESIGNS[design]
    network = found.new_network(parameters, 4, N_MELS, [*range(found.n_maps)])
    generator = torch.Generator().manual_seed(0)
    for p in network.parameters():  # biases too
        scale = p[0].numel() ** -0.5 if p.ndim > 1 else 0.1
        p.data = scale * torch.randn(p.shape, generator=generator)
    return network.train().to(dtype)


def batch(design, dtype):
    lengths = torch.tensor(LENGTHS.get(design, (90, 7, 41)))
    channels = 1 if DESIGNS[design].reads_wave else N_MELS
    x = torch.randn(3, channels, int(lengths.max()), generator=torch.Generator().manual_seed(1))
    return mask(x, lengths).to(dtype), lengths


def loss_of(network, x, lengths):
    """A number that hangs on every column of the features, smoothly."""
    parts = pooling.resolve(PARTS)
    pooled = [pooling.pool(y, n, parts) for y, n in network(x, lengths)]
    features = torch.cat(pooled, dim=1)
    towards = torch.randn(features.shape, generator=torch.Generator().manual_seed(2))
    return F.smooth_l1_loss(features, towards.to(features), reduction="sum")


def gradients(network, x, lengths):
    x = x.clone().requires_grad_()  # as of a front-end that learns
    loss_of(network, x, lengths).backward()
    return {"input": x.grad} | {name: p.grad for name, p in network.named_parameters()}


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "in pieces"])
@pytest.mark.parametrize("design", DESIGNS)
def test_gradients_are_those_of_finite_differences(design, pieces, monkeypatch):
    if pieces:
        monkeypatch.setattr(convolutions, "_PIECE", 200)
        monkeypatch.setattr(convolutions, "_FILTERS", 3)
    network = new_network(design, torch.float64, reference=pieces)
    x, lengths = batch(design, torch.float64)
    found = gradients(network, x, lengths)
    generator = torch.Generator().manual_seed(3)
    step = 1e-7
    for name, p in {"input": x, **dict(network.named_parameters())}.items():
        assert found[name].isfinite().all() and found[name].any(), name
        way = torch.randn(p.shape, generator=generator, dtype=torch.float64)
        if name == "input":
            mask(way, lengths)
        ends = []
        with torch.no_grad():
            for sign in (1, -2, 1):
                p.add_(way, alpha=sign * step)
                ends.append(float(loss_of(network, x, lengths)))
        slope = (ends[0] - ends[1]) / (2 * step)
        assert float((found[name] * way).sum()) == pytest.approx(slope, rel=1e-5, abs=1e-5), name


@pytest.mark.parametrize("design", DESIGNS)
def test_float32_gradients(design):
    x, lengths = batch(design, torch.float64)
    expected = gradients(new_network(design, torch.float64), x, lengths)
    found = gradients(new_network(design, torch.float32), x.float(), lengths)
    for name, slope in expected.items():
        error = (found[name] - slope).abs().max()
        assert error <= 1e-4 * slope.abs().max(), name
