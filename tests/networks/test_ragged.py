"""Every network gives a clip in a ragged batch the maps it gives the clip alone."""

import pytest
import torch

from skaudio.networks.frame_level import MANY_KERNELS, SINGLE_KERNEL, FrameLevel
from skaudio.networks.sample_level import SampleLevel
from skaudio.networks.single_layer import SingleLayer
from skaudio.networks.timbral_temporal import PAPER_TEMPORAL_KERNELS, TimbralTemporal
from skaudio.networks.vgg import PAPER_POOLS, VGG

BLOCKS = ["timbral", "temporal"]
# network, channels of its input, lengths: the longest, the shortest it can read, one between
CASES = {
    "vgg": (lambda: VGG(4, 96, PAPER_POOLS, [*range(5)]), 96, [300, 1, 131]),
    "single": (lambda: SingleLayer(4, 96, (7, 86)), 96, [100, 7, 31]),
    "both blocks": (
        lambda: TimbralTemporal(4, 96, PAPER_TEMPORAL_KERNELS, BLOCKS),
        96,
        [200, 1, 90],
    ),
    "sample level": (lambda: SampleLevel(4, [*range(7)]), 1, [4000, 3, 1111]),
    "one kernel": (lambda: FrameLevel(4, SINGLE_KERNEL, [*range(4)]), 1, [6000, 704, 2999]),
    "five kernels": (lambda: FrameLevel(4, MANY_KERNELS, [*range(8)]), 1, [6000, 193, 2999]),
}


@pytest.mark.parametrize("case", CASES)
def test_ragged_batch_equals_alone(case):
    make, channels, lengths = CASES[case]
    generator, network = torch.Generator().manual_seed(0), make()
    for parameter in network.parameters():  # biases too: they are what padding would leak
        torch.nn.init.normal_(parameter, std=0.1, generator=generator)
    x = torch.randn(3, channels, lengths[0], generator=generator)
    for row, n in zip(x, lengths, strict=True):
        row[:, n:] = 0
    together = network(x, torch.tensor(lengths))
    for i, n in enumerate(lengths):
        alone = network(x[i : i + 1, :, :n], torch.tensor([n]))
        for (y, there), (z, here) in zip(together, alone, strict=True):
            assert there[i] == here[0] == z.shape[-1] > 0
            torch.testing.assert_close(y[i, :, : here[0]], z[0], rtol=1e-5, atol=1e-5)
