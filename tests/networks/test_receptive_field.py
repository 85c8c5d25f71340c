"""A frame depends on the input steps that its map says, and a halo reaches as far."""

import numpy as np
import pytest
import torch

from skaudio.networks.frame_level import MANY_KERNELS, SINGLE_KERNEL, STRIDE, FrameLevel
from skaudio.networks.sample_level import SampleLevel
from skaudio.networks.single_layer import SingleLayer
from skaudio.networks.timbral_temporal import TimbralTemporal
from skaudio.networks.vgg import VGG

POOLS = ((2, 2), (2, 3), (3, 2))
# network, channels of its input, length, how far apart the tried steps lie
CASES = {
    "vgg": (lambda: VGG(2, 24, POOLS, [0, 2]), 24, 60, 1),
    "single": (lambda: SingleLayer(2, 24, (7, 20)), 24, 40, 1),
    "timbral": (lambda: TimbralTemporal(4, 24, (9, 6, 4, 1), ["timbral"]), 24, 40, 1),
    "temporal": (lambda: TimbralTemporal(4, 24, (9, 6, 4, 1), ["temporal"]), 24, 40, 1),
    "even kernel": (lambda: TimbralTemporal(4, 24, (8, 5, 4, 1), ["temporal"]), 24, 40, 1),
    "sample level": (lambda: SampleLevel(2, [0, 3]), 1, 400, 3),
    "one kernel": (lambda: FrameLevel(2, SINGLE_KERNEL, [*range(4)]), 1, 2400, 61),
    # "same" padding hangs on the length: least on the left at a multiple of the stride
    "five kernels": (lambda: FrameLevel(2, MANY_KERNELS, [*range(8)]), 1, 2400, 61),
    "padded left": (lambda: FrameLevel(2, MANY_KERNELS, [*range(8)]), 1, 2401, 61),
}


def depend(network, channels, n_steps, t):
    """Which frames of each map depend on step t: those that are NaN if it is."""
    x = torch.ones(1, channels, n_steps)
    x[..., t] = torch.nan
    with torch.no_grad():
        outputs = network(x, torch.tensor([n_steps]))
    return [np.flatnonzero(y.isnan().any(1)[0]) for y, _ in outputs]


@pytest.mark.parametrize("case", CASES)
def test_maps_and_halo(case):
    make, channels, n_steps, every = CASES[case]
    network = make()
    for parameter in network.parameters():
        parameter.data.fill_(0.01)
    n_frames = network.output_lengths(torch.tensor(n_steps))
    before, after = [], []
    for t in range(0, n_steps, every):
        found = depend(network, channels, n_steps, t)
        for m, frames, n in zip(network.maps, found, n_frames, strict=True):
            at = np.arange(int(n)) * m.stride
            start = at + network.frame_offset(n_steps)
            np.testing.assert_array_equal(
                frames, np.flatnonzero((start - m.left <= t) & (t <= start + m.right)), f"{m} {t}"
            )
            before += [*(at[frames] - t)]
            after += [*(t - at[frames] - m.stride + 1)]
    # the halo is as wide as what is seen, but for the steps that were not tried
    spare = network.halo[0] - max(before), network.halo[1] - max(after)
    slack = every + (STRIDE // 2 if len(network.maps) == 8 else 0)
    assert all(0 <= some < slack for some in spare)
