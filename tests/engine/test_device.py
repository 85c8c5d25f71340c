"""Devices and random generators."""

import numpy as np
import pytest
import torch

from skaudio import ProsodyTransformer, RandomCNNTransformer, VQTransformer, Wav2VecTransformer
from skaudio._engine.device import resolve_device
from skaudio._engine.weights import new_generator
from skaudio.audio import ClipError
from skaudio.networks.single_layer import SingleLayer
from skaudio.networks.wav2vec import Wav2Vec
from skaudio.utils._checking import fitted
from skaudio.utils.estimator_checks import check_instances
from tests.by_hand import noise


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


# "meta" stands in for a GPU: it works out shapes alone, and refuses data from elsewhere. Inside a
# quantiser, where quiet frames are left out, and in contours of what is voiced, shapes depend on
# samples, which it cannot know.
ON_META = [
    extractor
    for extractor in check_instances()
    if extractor.pools_all_frames and not isinstance(extractor, (VQTransformer, ProsodyTransformer))
]


@pytest.mark.parametrize("extractor", ON_META, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize(("sizes", "most"), [((9000, 6000), 1 << 20), ((60_000,), 4000)])
def test_nothing_stays_behind_on_the_processor(extractor, sizes, most):
    clips = noise(*sizes)  # that share a batch, or one so long that it is taken in parts
    forward = fitted(extractor, noise(9000, 6000))._ready(extractor.pooling)
    if not forward.network.handles_lengths:
        clips = clips[:1]
    lengths = torch.tensor([len(clip) for clip in clips])
    wave = torch.zeros(len(clips), sizes[0])
    for row, clip in zip(wave, clips, strict=True):
        row[: len(clip)] = torch.from_numpy(clip)
    expected = forward(wave, lengths, most)
    forward.frontend.to("meta")
    forward.network.to("meta")
    found = forward(wave.to("meta"), lengths, most)
    assert found.is_meta and found.shape == expected.shape


def test_meta_refuses_what_lies_elsewhere():
    with pytest.raises(RuntimeError, match="expected device meta"):
        torch.ones(2, device="meta") + torch.ones(2)


def test_batches_are_as_large_as_the_gpu_allows(monkeypatch):
    forward = RandomCNNTransformer(n_filters=8).fit(noise(4000))._ready("mean")
    free = 1 << 40
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 2 * free))
    gpu = torch.device("cuda", 0)
    most = forward.max_samples(None, gpu)
    assert most > 1000 * forward.max_samples(None, torch.device("cpu"))
    free //= 8
    assert forward.max_samples(None, gpu) == pytest.approx(most / 8, rel=1e-6)
    assert forward.max_samples(10.0, gpu) == 160_000


def crowd(monkeypatch, network, most):
    """Let a device have no memory for more than so many steps of a network's input at once."""
    plain, shapes = network.forward, []

    def checked(self, x, lengths):
        if x.shape[0] * x.shape[-1] > most:
            raise torch.OutOfMemoryError("full")
        shapes.append((x.shape[0], x.shape[-1]))
        return plain(self, x, lengths)

    monkeypatch.setattr(network, "forward", checked)
    return shapes


@pytest.mark.parametrize("pooling", ["mean_max", None])
def test_batches_that_do_not_fit_are_halved(pooling, monkeypatch):
    clips = noise(9000, 30_000, 8000, 20_000, 8500, 100_000, 120_000)
    # the one of clips that a batch has and the one of steps that a tile has
    cnn = RandomCNNTransformer("single", n_filters=8, random_state=0).fit(clips)
    extract = cnn.transform if pooling else cnn.transform_frames
    expected = extract(clips)
    shapes = crowd(monkeypatch, SingleLayer, 60_000 // 256)
    with pytest.warns(UserWarning, match="cpu memory is too small for batches of this size"):
        found = extract(clips)
    sizes, steps = zip(*shapes, strict=True)
    assert max(sizes) > 1 and len(sizes) > 5
    # two clips are longer than fits; whatever was tried, their tiles came through in the end
    assert sum(n for n in steps if n > 30_000 // 256 + 1) > (100_000 + 120_000) // 256
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_clip_that_never_fits_is_named(monkeypatch):
    clips = noise(9000, 30_000, 8000)
    extractor = Wav2VecTransformer("tiny", max_epochs=0, random_state=0).fit(clips)
    expected = extractor.transform(clips)
    crowd(monkeypatch, Wav2Vec, 25_000)
    with pytest.raises(ClipError, match=r"clip 1 .*memory of device cpu"):
        extractor.transform(clips)
    extractor.set_params(on_error="skip")
    with pytest.warns(UserWarning, match="skipped 1 of 3 clips"):
        found = extractor.transform(clips)
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found[[0, 2]], expected[[0, 2]], rtol=1e-4, atol=1e-5)
