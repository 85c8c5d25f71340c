"""Devices and random generators."""

import numpy as np
import pytest
import torch

from skaudio._engine.device import resolve_device
from skaudio._engine.weights import new_generator


def test_auto_shares_out_what_there_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert resolve_device("auto", 3) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [resolve_device("auto", i).index for i in range(4)] == [0, 1, 0, 1]


@pytest.mark.parametrize("device", ["gpu", "cpu:x", None, 1.5])
def test_unknown_device(device):
    with pytest.raises(ValueError, match=r"device=.* is unknown; use 'auto'"):
        resolve_device(device)


def test_absent_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device='cuda' is not there; use device='auto'"):
        resolve_device("cuda")
    assert resolve_device("cpu") == torch.device("cpu")


def draws(random_state, n=4):
    return torch.rand(n, generator=new_generator(random_state)).tolist()


def test_generator_follows_random_state():
    assert draws(0) == draws(0) == draws(np.random.RandomState(0))
    assert draws(0) != draws(1)
    assert draws(None) != draws(None)
    with pytest.raises(ValueError, match="seed"):
        new_generator("seed")


def test_fresh_entropy_leaves_the_global_generators_alone():
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    expected = np.random.random(), torch.rand(1)  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    new_generator(None)
    assert (np.random.random(), torch.rand(1)) == expected  # noqa: NPY002
