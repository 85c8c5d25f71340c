"""Every audio check fails on an extractor that breaks its contract, and says why."""

import pytest
import torch

from skaudio import MFCCTransformer, RandomCNNTransformer, WaveNetTransformer
from skaudio.audio import Clips
from skaudio.base import BaseAudioTransformer
from skaudio.batching import batches, tiles
from skaudio.frontends import Chain, FitLength, Wave
from skaudio.networks import Map, Network
from skaudio.networks.designs import DESIGNS
from skaudio.training import TrainingMixin
from skaudio.utils import estimator_checks
from skaudio.utils._checking import fit, noise
from skaudio.utils._checks_of_clips import RAGGED
from skaudio.utils.estimator_checks import audio_checks, check_audio_estimator, check_instances
from tests.utils.broken_extractors import SMALL, Float64
from tests.utils.broken_sounds import CASES, SOUND
from tests.utils.training_examples import QUICK


@pytest.mark.parametrize(("check", "broken", "message"), CASES)
def test_broken_extractor_fails(check, broken, message):
    params = QUICK if issubclass(broken, TrainingMixin) else SMALL
    params = SOUND if issubclass(broken, WaveNetTransformer) else params
    told = rf"(?s){broken.__name__}\(.*fails {check}: .*{message}"
    with pytest.raises(AssertionError, match=told):
        getattr(estimator_checks, check)(broken(**params))


def test_every_check_has_a_broken_extractor():
    assert {case.values[0] for case in CASES} == {check.__name__ for check in audio_checks()}
    assert {"check_audio_estimator", "check_instances", "audio_checks"} == (
        {*estimator_checks.__all__} - {check.__name__ for check in audio_checks()}
    )


def test_missing_running_parameter_fails():
    class Quiet(MFCCTransformer):
        def __init__(self, sample_rate=16000):
            super().__init__(sample_rate=sample_rate)

    with pytest.raises(AssertionError, match=r"'batch_size', 'device', 'memory', .* are missing"):
        estimator_checks.check_running_parameters(Quiet())


class Extremes(Network):
    """Smallest and largest of every ten samples."""

    handles_lengths, min_steps, stride, halo = True, 10, 10, (0, 0)
    maps = (Map("", ("low", "high")).then(10, stride=10),)

    def output_lengths(self, lengths):
        return [lengths // 10]

    def forward(self, x, lengths):
        tens = x[:, 0, : x.shape[-1] // 10 * 10].unflatten(1, (-1, 10))
        return [(torch.stack([tens.amin(-1), tens.amax(-1)], dim=1), *self.output_lengths(lengths))]


class ExtremesTransformer(BaseAudioTransformer):
    """What an author outside of the library may write: parameters and hooks, no more."""

    def __init__(
        self, sample_rate=8000, pooling="mean", batch_size=None, device="auto", memory=None,
        n_jobs=None, verbose=0, on_error="raise",
    ):  # fmt: skip
        self.sample_rate = sample_rate
        self.pooling = pooling
        self.batch_size = batch_size
        self.device = device
        self.memory = memory
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    def _frontend(self, network):
        return Chain(Wave(), FitLength(10))

    def _network(self, generator):
        return Extremes()

    def _min_samples(self, network):
        return 10


def test_extractor_from_outside_passes():
    check_audio_estimator(ExtremesTransformer())


def test_first_broken_contract_is_told():
    with pytest.raises(AssertionError, match="fails check_output"):
        check_audio_estimator(Float64(**SMALL))


@pytest.mark.parametrize("wrong", [MFCCTransformer, object(), None])
def test_only_instances_are_checked(wrong):
    with pytest.raises(TypeError, match="no instance of a subclass of BaseAudioTransformer"):
        check_audio_estimator(wrong)


def test_checks_leave_the_estimator_alone():
    estimator = RandomCNNTransformer(**SMALL)
    before = dict(vars(estimator))
    check_audio_estimator(estimator)
    assert vars(estimator) == before


def test_checks_leave_an_unfitted_fitted_one_fitted():
    estimator = RandomCNNTransformer(**SMALL, random_state=3).fit(noise(100))
    weights = estimator.weights_
    estimator_checks.check_weights(estimator)
    assert estimator.weights_ is weights and weights["conv.weight"].any()


def test_instances_cover_every_variant():
    cnns = [i for i in check_instances() if isinstance(i, RandomCNNTransformer)]
    seen = {name: {str(getattr(cnn, name)) for cnn in cnns} for name in cnns[0].get_params()}
    assert seen["design"] == {*DESIGNS}
    assert seen["normalize"] == {"None", "clip", "dataset"}
    assert seen["short"] == {"repeat", "zero"}
    for design in DESIGNS:
        assert len([cnn for cnn in cnns if cnn.design == design]) >= 1
    for name in ("reference", "fixed_length", "layers", "top_db", "sample_rate", "kernel"):
        assert len(seen[name]) > 1, name
    assert {"mean", "quantiles", "pyramid", "mean_max", "mean_std_max", "dct8"} < seen["pooling"]
    mfccs = [i for i in check_instances() if isinstance(i, MFCCTransformer)]
    assert {i.delta for i in mfccs} == {"difference", "savgol"}
    assert {0, 1, 2, 3} - {i.n_deltas for i in mfccs} <= {1}


def test_clips_of_different_length_share_batches():
    clips = Clips(noise(*RAGGED), 16000)
    shared = [b for b in batches(clips, 1 << 20, ragged=True) if len({*b.lengths.tolist()}) > 1]
    assert shared, "check_clip_alone would miss what leaks through padding"


@pytest.mark.parametrize("estimator", check_instances(), ids=lambda e: type(e).__name__)
def test_long_clip_is_tiled(estimator):
    if isinstance(estimator, TrainingMixin):
        estimator.max_epochs = 0  # what the network sees does not hang on its weights
    fit(estimator, noise(240_000, 3000))
    forward = estimator._ready(None)
    steps = int(forward.frontend.output_lengths(torch.tensor(240_000)))
    if forward.network.halo is None or getattr(estimator, "fixed_length", None) is not None:
        pytest.skip("such an extractor reads the clip whole, or cuts it short")
    size = 20_000 // forward.frontend.step
    cut = tiles(steps, size, stride=forward.network.stride, halo=forward.network.halo)
    assert len(cut) > 1, "check_long_clip would not see the network's halo"
