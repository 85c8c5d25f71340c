"""The recurrent layer of PASE+ against its recurrence, frame by frame, and its gradients."""

import numpy as np
import pytest
import torch

from skaudio.networks.qrnn import QRNN, forget_mult


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def layer(n_in, n_out):
    qrnn = QRNN(n_in, n_out).double()
    for i, p in enumerate(qrnn.parameters()):
        p.data = normal(*p.shape, seed=i)
    return qrnn


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("n_frames", [1, 2, 50])
def test_layer_is_its_recurrence(n_frames):
    qrnn, x = layer(4, 3), normal(2, 4, n_frames)
    y, _ = qrnn(x)
    weight, bias = (p.detach().numpy() for p in qrnn.parameters())
    assert weight.shape == (9, 8)
    for clip, found in zip(x.numpy(), y.detach().numpy(), strict=True):
        before, h = np.zeros(4), np.zeros(3)
        for t, frame in enumerate(clip.T):
            z, f, o = np.split(weight @ np.concatenate([frame, before]) + bias, 3)
            h = sigmoid(f) * np.tanh(z) + (1 - sigmoid(f)) * h
            np.testing.assert_allclose(found[:, t], sigmoid(o) * h, rtol=1e-12, atol=1e-14)
            before = frame


def test_parts_with_a_state_are_the_whole():
    qrnn, x = layer(4, 3), normal(2, 4, 30)
    whole, last = qrnn(x)
    parts, state = [], None
    for part in x.split([1, 11, 2, 16], dim=2):
        y, state = qrnn(part, state)
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts, dim=2), whole, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(state, last, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("n_frames", [1, 2, 7])
def test_gradients(n_frames):
    z, f, h = normal(n_frames, 2, 3), torch.sigmoid(normal(n_frames, 2, 3)), normal(2, 3, seed=1)
    inputs = tuple(x.requires_grad_() for x in (z, f.detach(), h))
    assert torch.autograd.gradcheck(forget_mult, inputs)


def test_a_state_does_not_grow():
    # a mixture lies between what it mixes, however long the clip
    z, f = torch.tanh(normal(100_000, 1, 2)), torch.sigmoid(10 * normal(100_000, 1, 2, seed=1))
    h = forget_mult(z.float(), f.float())
    assert h.abs().max() <= 1
