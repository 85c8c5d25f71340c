"""Band-pass filters before a network: energies against float64, tiles, and what is initialised."""

import numpy as np
import pytest
import torch

from skaudio import RandomCNNTransformer
from skaudio.networks.frame_level import FrameLevel
from skaudio.networks.layers import initialise
from skaudio.networks.sinc_front import SincFront, UnitSincConv
from skaudio.networks.single_layer import SingleLayer
from skaudio.networks.vgg import VGG

RATE = 8000


def new_front(n_fft=64, hop_length=16, n_filters=12, inner=None):
    inner = inner or SingleLayer(5, n_filters, (3, 10))
    front = SincFront(inner, n_filters, RATE, n_fft, hop_length)
    initialise(front, torch.Generator().manual_seed(0))
    return front.eval()


def by_hand(front, wave, n_fft, hop_length):
    """Decibels (n_filters, T') of energies, in float64, sample by sample."""
    taps = front.sinc.filters().detach().double().numpy()
    every, kernel = 2 - hop_length % 2, taps.shape[1]
    y = np.stack([np.convolve(wave, t, mode="valid")[::every] for t in taps])  # symmetric taps
    n = max(1, (n_fft - kernel) // every + 1)
    step = hop_length // every
    starts = range(0, y.shape[1] - n + 1, step)
    energy = np.stack([np.mean(y[:, i : i + n] ** 2, axis=1) for i in starts], axis=1)
    return (10 * np.log10(energy + 1e-8) + 20) / 20


@pytest.mark.parametrize(("n_fft", "hop_length"), [(64, 16), (63, 15), (50, 30), (2, 1)])
@torch.inference_mode()
def test_energies(n_fft, hop_length):
    wave = np.random.default_rng(0).standard_normal(700)
    seen = []

    class Spy(SingleLayer):
        def forward(self, x, lengths):
            seen.append((x, lengths))
            return super().forward(x, lengths)

    front = new_front(n_fft, hop_length, inner=Spy(5, 12, (3, 10)))
    x = torch.from_numpy(wave).float()[None, None]
    ((frames, n),) = front(x, torch.tensor([700]))
    expected = by_hand(front, wave, n_fft, hop_length)
    np.testing.assert_allclose(seen[0][0][0].numpy(), expected, atol=2e-4)
    assert seen[0][1].tolist() == [expected.shape[1]]
    assert frames.shape[2] == int(n) == int(front.output_lengths(torch.tensor([700]))[0])


@torch.inference_mode()
def test_ragged_batches_and_tiles_give_the_frames_of_a_clip_alone():
    inner = VGG(3, 12, ((2, 2), (1, 2), (2, 2), (1, 2), (2, 1)), [0, 4])
    front = new_front(inner=inner)
    lengths = torch.tensor([2500, front.min_steps, 1300])
    x = torch.randn(3, 1, 2500, generator=torch.Generator().manual_seed(1))
    x *= torch.arange(2500) < lengths[:, None, None]
    together = front(x, lengths)
    for i, n in enumerate(lengths.tolist()):
        alone = front(x[i : i + 1, :, :n], torch.tensor([n]))
        for (y, n_y), (z, n_z) in zip(alone, together, strict=True):
            assert int(n_y) == int(n_z[i])
            torch.testing.assert_close(y[0], z[i, :, : int(n_y)], atol=1e-5, rtol=1e-5)
    x, tiled = torch.randn(1, 1, 20001, generator=torch.Generator().manual_seed(1)), {0: [], 1: []}
    for layer, frames in front.pieces(x, 6000):
        tiled[layer].append(frames)
    assert len(tiled[0]) > 2
    for layer, (whole, _) in enumerate(front(x, torch.tensor([20001]))):
        torch.testing.assert_close(torch.cat(tiled[layer], 2), whole, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_a_frame_depends_on_what_its_map_says_and_nothing_else():
    front = new_front()
    (m,), frame = front.maps, 7
    x = torch.randn(1, 1, 1000, generator=torch.Generator().manual_seed(1))
    (before, _), first, last = front(x, torch.tensor([1000]))[0], None, None
    for step in range(1000):
        changed = x.clone()
        changed[0, 0, step] += 1.0
        if not torch.equal(
            front(changed, torch.tensor([1000]))[0][0][..., frame], before[..., frame]
        ):
            first, last = step if first is None else first, step
    # at either end of a filter the window is small, and the float32 result may not move
    assert 0 <= first - (frame * m.stride - m.left) <= 2
    assert 0 <= frame * m.stride + m.right - last <= 2


def test_white_noise_comes_through_all_filters_alike():
    conv = UnitSincConv(20, 101, RATE, stride=2, norm=3.0)
    assert conv.filters().norm(dim=1).detach().numpy() == pytest.approx(3.0, rel=1e-6)
    x = torch.randn(2, 1, 500, generator=torch.Generator().manual_seed(0))
    in_training = conv(x)
    with torch.inference_mode():
        torch.testing.assert_close(conv(x), in_training.detach(), atol=1e-5, rtol=1e-5)


def test_edges_are_not_initialised_at_random():
    one = FrameLevel(6, (512,), [0, 3], sinc_rate=RATE)
    start = one.front[0].bands()
    initialise(one, torch.Generator().manual_seed(3))
    assert torch.equal(one.front[0].bands(), start)
    # nor do they take numbers from the generator: the rest is that of a network without them
    other, generator = FrameLevel(6, (512,), [0, 3]), torch.Generator().manual_seed(3)
    initialise(other.back, generator)
    assert torch.equal(one.back[2].weight, other.back[2].weight)


@pytest.mark.parametrize(("kernels", "n_samples"), [((512,), 705), ((512, 256, 128, 64, 32), 193)])
def test_frame_level_filters_are_of_odd_length(kernels, n_samples):
    keep = range(len(kernels) + 3)
    network = FrameLevel(4, kernels, keep, sinc_rate=RATE)
    assert network.min_steps == n_samples
    assert [conv.filters().shape[1] for conv in network.front] == [k + 1 for k in kernels]
    initialise(network, torch.Generator().manual_seed(0))
    lengths = torch.tensor([n_samples])
    maps = network(torch.zeros(1, 1, n_samples), lengths)
    expected = [int(n) for n in network.output_lengths(lengths)]
    assert [y.shape[2] for y, _ in maps] == [int(n) for _, n in maps] == expected


def test_fixed_length_counts_in_samples():
    sinc = RandomCNNTransformer("frame_level", frontend="sinc", n_filters=4, fixed_length=704)
    with pytest.raises(ValueError, match="fixed_length"):
        sinc.fit([np.ones(3)])
    assert sinc.set_params(fixed_length=705).fit([np.ones(3)]).n_features_out_ == 48
