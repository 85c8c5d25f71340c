"""Extractors that break one contract each, for the tests of the audio checks."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import skaudio.audio
from skaudio import RandomCNNTransformer
from skaudio._engine.cache import CachedRows
from skaudio.audio import Clips

# six features, whatever the defaults are
SMALL = {"design": "single", "n_filters": 3, "kernel": (2, 6), "n_mels": 8}
SMALL |= {"n_fft": 128, "hop_length": 64, "normalize": "clip", "pooling": "mean_std"}
CASES = []  # (check, class, message)


def breaks(check, message):
    """Decorator of a class that must fail a check with a message."""

    def note(broken):
        CASES.append(pytest.param(check, broken, message, id=f"{check}-{broken.__name__}"))
        return broken

    return note


@breaks("check_output", "float64, not float32")
class Float64(RandomCNNTransformer):
    def transform(self, X):
        return super().transform(X).astype(np.float64)


@breaks("check_output", "several features are called 'same'")
class OneName(RandomCNNTransformer):
    def get_feature_names_out(self, input_features=None):
        return np.full(len(super().get_feature_names_out()), "same", dtype=object)


@breaks("check_output", "5 names for 6 features")
class OneNameLess(RandomCNNTransformer):
    def get_feature_names_out(self, input_features=None):
        return super().get_feature_names_out()[1:]


@breaks("check_output", "gives a Tensor")
class GivesTensor(RandomCNNTransformer):
    def fit_transform(self, X, y=None):
        return torch.from_numpy(self.fit(X).transform(X))


@breaks("check_no_torch_objects", "module_ holds a Linear of torch")
class KeepsModule(RandomCNNTransformer):
    def fit(self, X, y=None):
        self.module_ = torch.nn.Linear(2, 2)
        return super().fit(X)


@breaks("check_no_torch_objects", "nest_ holds a Tensor of torch")
class HidesTensor(RandomCNNTransformer):
    def fit(self, X, y=None):
        self.nest_ = {"deep": [("inside", torch.zeros(1))]}
        return super().fit(X)


@breaks("check_no_torch_objects", "device holds a device of torch")
class TakesDevice(RandomCNNTransformer):
    def set_params(self, **params):
        self.device = torch.device("cpu")
        return super().set_params(**params)


@breaks("check_random_state", "fit, random_state=0, moved .* of numpy")
class SeedsNumpy(RandomCNNTransformer):
    def fit(self, X, y=None):
        np.random.seed(0)  # noqa: NPY002
        return super().fit(X)


@breaks("check_random_state", "transform, random_state=0, moved .* of torch")
class DrawsInTransform(RandomCNNTransformer):
    def transform(self, X):
        torch.rand(1)
        return super().transform(X)


@breaks("check_random_state", "None, first time and .*None, second time give the same")
class ZeroForNone(RandomCNNTransformer):
    def fit(self, X, y=None):
        given = self.random_state
        self.random_state = 123 if given is None else given
        super().fit(X)
        self.random_state = given
        return self


@breaks("check_random_state", "two fits with random_state=0: .* values differ")
class IgnoresSeed(RandomCNNTransformer):
    def _network(self, generator):
        if generator is not None:
            generator.seed()
        return super()._network(generator)


@breaks("check_round_trips", "after pickle protocol 2")
class ForgetsOnLoad(RandomCNNTransformer):
    def __setstate__(self, state):
        super().__setstate__(state)
        self.weights_ = {name: 2 * array for name, array in self.weights_.items()}


@breaks("check_weights", "conv.bias, of shape .* is not the bias of what precedes it, nothing")
class BiasFirst(RandomCNNTransformer):
    def fit(self, X, y=None):
        super().fit(X)
        self.weights_ = dict(reversed(self.weights_.items()))
        return self


@breaks("check_weights", "transform does not use weights_")
class ShowsOtherWeights(RandomCNNTransformer):
    def fit(self, X, y=None):
        self.real_ = dict(super().fit(X).weights_)
        return self

    def transform(self, X):
        self.weights_, shown = self.real_, self.weights_
        Z = super().transform(X)
        self.weights_ = shown
        return Z


@breaks("check_learning", "says learns_from_clips=False, .*values differ")
class LearnsInSecret(RandomCNNTransformer):
    def fit(self, X, y=None):
        super().fit(X)
        self.weights_["conv.bias"] = self.weights_["conv.bias"] + X[0][:1]
        return self


@breaks("check_learning", "says learns_from_clips=True, but")
class LearnsNothing(RandomCNNTransformer):
    learns_from_clips = True

    def _learn(self, clips, run):
        self.n_clips_ = len(clips)


@breaks("check_any_length", "too short")
class RefusesShort(RandomCNNTransformer):
    def transform(self, X):
        if min(map(len, X)) < 5:
            raise ValueError("too short")
        return super().transform(X)


@breaks("check_any_length", "expected 1 warning .* got")
class WarnsTwice(RandomCNNTransformer):
    def transform(self, X):
        return super().transform(X) + 0 * super().transform(X)


@breaks("check_any_length", "int16 clips, scaled by their type")
class TakesIntegersAsTheyAre(RandomCNNTransformer):
    def transform(self, X):
        X = [x.astype(np.float32) if x.dtype == np.int16 else x for x in X]
        return super().transform(X)

    def _validate_parameters(self):
        super()._validate_parameters()
        self.normalize = None  # else the scale would not show


@breaks("check_any_length", "features of clips of .* are not finite")
class DividesByDeviation(RandomCNNTransformer):
    def transform(self, X):
        deviation = np.array([np.std(x) for x in X], np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            return super().transform(X) / deviation[:, None]


@breaks("check_memory", "with the same memory")
class OnePlaceForAll(RandomCNNTransformer):
    def _cached_rows(self, width):
        return self.memory and CachedRows(Path(self.memory) / "skaudio" / ("0" * 32), width)


@breaks("check_memory", "0 rows are cached")
class KeepsNothing(RandomCNNTransformer):
    def _cached_rows(self, width):
        return None


@breaks("check_matrix_width", "n_features_in_")
class ForgetsWidth(RandomCNNTransformer):
    def _as_clips(self, X, reset):
        return super()._as_clips(list(X), reset)


@breaks("check_matrix_width", "lacks 'pass list")
class GivesNoHint(RandomCNNTransformer):
    def transform(self, X):
        if isinstance(X, np.ndarray) and X.shape[1] != self.n_features_in_:
            raise ValueError(f"X has another width, expecting {self.n_features_in_} features")
        return super().transform(X)


@breaks("check_clip_alone", "each clip alone: .* values differ")
class CentresBatch(RandomCNNTransformer):
    def transform(self, X):
        Z = super().transform(X)
        return Z - Z.mean(axis=0)


@breaks("check_clip_alone", "in another order: .* values differ")
class LooksAtFirst(RandomCNNTransformer):
    def transform(self, X):
        Z = super().transform(X)
        return Z if len(X) == 1 or len(X[0]) == 1 else 2 * Z


@breaks("check_clip_alone", "between loud and silent clips: .* values differ")
class NormalizesOverAll(RandomCNNTransformer):
    def transform(self, X):
        Z = super().transform(X)
        loudest = max(np.abs(x).max() for x in X)
        return Z if loudest < 10 else Z * np.float32(0.9)


@breaks("check_running_parameters", "{'batch_size': 1}: .* values differ")
class BatchSizeShows(RandomCNNTransformer):
    def transform(self, X):
        return super().transform(X) * np.float32(1 + (self.batch_size or 0) / 1000)


@breaks("check_running_parameters", "{'n_jobs': 2}: .* values differ")
class JobsShow(RandomCNNTransformer):
    def fit(self, X, y=None):
        super().fit(X)
        if self.n_jobs is not None:
            self.weights_["conv.bias"] = self.weights_["conv.bias"] + 1
        return self


@breaks("check_long_clip", "a clip of 240000 samples with batches of 20000: .* values differ")
class HaloTooSmall(RandomCNNTransformer):
    def _network(self, generator):
        network = super()._network(generator)
        network.halo = (0, 0)
        return network


@breaks("check_frames", "2 names for 3 columns of frames")
class OneNameTooFew(RandomCNNTransformer):
    def get_frame_names_out(self):
        return super().get_frame_names_out()[1:]


@breaks("check_frames", "columns of frames have one name")
class OneNameForAll(RandomCNNTransformer):
    def get_frame_names_out(self):
        return np.full_like(super().get_frame_names_out(), "channel")


@breaks("check_frames", "times and 3 channels")
class OneTimeTooMany(RandomCNNTransformer):
    def frame_times(self, n_samples):
        times = super().frame_times(n_samples)
        return np.append(times, times[-1] + 1)


@breaks("check_frames", "do not increase")
class TimesRunBack(RandomCNNTransformer):
    def frame_times(self, n_samples):
        return super().frame_times(n_samples)[::-1]


@breaks("check_frames", "means of the frames, against pooling='mean'")
class FramesOfOtherScale(RandomCNNTransformer):
    def transform_frames(self, X):
        return [2 * frames for frames in super().transform_frames(X)]


@breaks("check_files", "paths, against the arrays read from them")
class GuessesRate(RandomCNNTransformer):
    def _as_clips(self, X, reset):
        clips = super()._as_clips(X, reset)
        return Clips(clips.items, None, clips.rows)  # files at whatever rate they have


@breaks("check_files", "segments")
class IgnoresSegments(RandomCNNTransformer):
    def _as_clips(self, X, reset):
        return super()._as_clips([getattr(item, "path", item) for item in X], reset)


@breaks("check_lazy_decoding", "transform held 2[0-9] of 24 decoded files")
class ReadsAllAtOnce(RandomCNNTransformer):
    def transform(self, X):
        return super().transform([skaudio.audio.read_audio(path, self.sample_rate) for path in X])


@breaks("check_lazy_decoding", "fit held 2[0-9] of 24 decoded files")
class FitsOnAll(RandomCNNTransformer):
    learns_from_clips = True

    def _learn(self, clips, run):
        self.level_ = float(np.mean([np.abs(clip).mean() for clip in [*clips]]))


@breaks("check_lazy_decoding", "by other means")
class ReadsOtherwise(RandomCNNTransformer):
    def transform(self, X):
        return super().transform([soundfile.read(path)[0] for path in X])


@breaks("check_unusable_clips", "row of a skipped clip is not NaN")
class ZerosForNaN(RandomCNNTransformer):
    def transform(self, X):
        return np.nan_to_num(super().transform(X))


@breaks("check_unusable_clips", "fit raised ValueError")
class NamesNoClip(RandomCNNTransformer):
    def fit(self, X, y=None):
        try:
            return super().fit(X)
        except ValueError:
            raise ValueError("something is wrong") from None


@breaks("check_weights", "conv.weight is float64, neither float32 nor whole numbers")
class DoubleWeights(RandomCNNTransformer):
    def fit(self, X, y=None):
        super().fit(X)
        self.weights_ = {name: array.astype(np.float64) for name, array in self.weights_.items()}
        return self
