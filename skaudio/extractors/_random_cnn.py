"""Randomly weighted CNNs in the designs of Pons & Serra."""

import numpy as np

from .. import frontends
from .._engine.extract import Walk, moments
from ..base import BaseAudioTransformer
from ..networks import frame_level, layers, sample_level, single_layer, timbral_temporal, vgg
from ..utils.validation import check_choice, check_number
from ._mfcc import check_mel_parameters

__all__ = ["RandomCNNTransformer"]

# what there is to choose per design: number of maps, filters by default, features per filter
# with one pooling (from_paper divides by it)
DESIGNS = {
    "vgg": (5, 128, 5),
    "single": (1, 1024, 1),
    "timbral_temporal": (2, 32, 28),
    "timbral": (1, 64, 14),
    "temporal": (1, 64, 14),
    "sample_level": (7, 128, 7),
    "frame_level": (4, 256, 4),
    "frame_level_many": (8, 128, 8),
}
WAVEFORM_DESIGNS = ("sample_level", "frame_level", "frame_level_many")
BLOCKS = {
    "timbral_temporal": ("timbral", "temporal"),
    "timbral": ("timbral",),
    "temporal": ("temporal",),
}


class RandomCNNTransformer(BaseAudioTransformer):
    def __init__(
        self,
        design="vgg",
        *,
        n_filters=None,
        kernel=(7, 86),
        temporal_kernels=timbral_temporal.PAPER_TEMPORAL_KERNELS,
        pools=((2, 2), (2, 3), (2, 2), (2, 2), (4, 4)),
        layers=None,
        normalize="clip",
        pooling="mean_std",
        fixed_length=None,
        short="repeat",
        reference=False,
        sample_rate=16000,
        n_fft=512,
        hop_length=256,
        n_mels=96,
        fmin=0.0,
        fmax=None,
        top_db=80.0,
        random_state=None,
        batch_size=None,
        device="auto",
        n_jobs=None,
        verbose=0,
        on_error="raise",
    ):
        self.design = design
        self.n_filters = n_filters
        self.kernel = kernel
        self.temporal_kernels = temporal_kernels
        self.pools = pools
        self.layers = layers
        self.normalize = normalize
        self.pooling = pooling
        self.fixed_length = fixed_length
        self.short = short
        self.reference = reference
        self.sample_rate = sample_rate
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.n_mels = n_mels
        self.fmin = fmin
        self.fmax = fmax
        self.top_db = top_db
        self.random_state = random_state
        self.batch_size = batch_size
        self.device = device
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    @classmethod
    def from_paper(cls, design="vgg", n_features=3585, **params):
        check_choice("design", design, DESIGNS)
        step = 4 if design in BLOCKS else 1  # the remove rule needs a multiple of 4
        settings = {
            "n_filters": max(1, round(n_features / DESIGNS[design][2] / step)) * step,
            "pools": vgg.PAPER_POOLS,
            "normalize": None,
            "pooling": "mean",
            "fixed_length": 350_000 if design in WAVEFORM_DESIGNS else 1376,
            "short": "repeat",
            "sample_rate": 12000,
        }
        return cls(design, **{**settings, **params})

    def _check_parameters(self):
        check_choice("design", self.design, DESIGNS)
        check_choice("normalize", self.normalize, (None, "clip", "dataset"))
        check_choice("short", self.short, ("repeat", "zero"))
        check_choice("reference", self.reference, (True, False))
        check_number("n_filters", self.n_filters, 1, none=True)
        check_number("top_db", self.top_db, 0, integer=False, none=True)
        check_mel_parameters(self)
        if self.design in BLOCKS and self.n_filters is not None and self.n_filters % 4:
            raise ValueError(f"n_filters={self.n_filters} must be a multiple of 4 for {self.design!r}")
        _check_whole("pools", self.pools, (5, 2))
        _check_whole("kernel", self.kernel, (2,))
        _check_whole("temporal_kernels", self.temporal_kernels, (4,))
        if self.design == "single" and self.kernel[1] > self.n_mels:
            raise ValueError(f"kernel={self.kernel} is taller than the {self.n_mels} mel bands")
        self._kept_layers()
        shortest = self._network(None).min_steps
        check_number("fixed_length", self.fixed_length, shortest, none=True)

    def _kept_layers(self):
        """The layers parameter as a list of positions."""
        n_maps = DESIGNS[self.design][0]
        if self.layers is None:
            return [*range(n_maps)]
        kept = [self.layers] if isinstance(self.layers, int) else self.layers
        try:
            return [range(n_maps)[i] for i in kept]
        except (TypeError, IndexError):
            raise ValueError(
                f"layers={self.layers!r} must be numbers of the {n_maps} maps of {self.design!r}, "
                f"from {-n_maps} to {n_maps - 1}"
            ) from None

    def _learn(self, clips, run):
        if self.normalize == "dataset":
            front = frontends.Chain(self._input())
            walk = Walk(front, self._network(None), None, self.sample_rate)
            self.input_mean_, self.input_scale_ = moments(walk, clips, run)

    def _input(self):
        if self.design in WAVEFORM_DESIGNS:
            return frontends.Wave()
        return frontends.LogMel(
            self.sample_rate,
            self.n_fft,
            self.hop_length,
            self.n_mels,
            self.fmin,
            self.fmax,
            self.top_db,
            pad="reflect",
        )

    def _frontend(self):
        stages = [self._input()]
        if self.normalize == "clip":
            stages.append(frontends.Standardize())
        elif self.normalize == "dataset":
            stages.append(frontends.Standardize(self.input_mean_, self.input_scale_))
        shortest = self._network(None).min_steps
        return frontends.Chain(*stages, frontends.FitLength(shortest, self.fixed_length, self.short))

    def _network(self, generator):
        n_filters = DESIGNS[self.design][1] if self.n_filters is None else self.n_filters
        keep = self._kept_layers()
        if self.design == "vgg":
            network = vgg.VGG(n_filters, self.n_mels, self.pools, keep)
        elif self.design == "single":
            network = single_layer.SingleLayer(n_filters, self.n_mels, tuple(self.kernel))
        elif self.design == "sample_level":
            network = sample_level.SampleLevel(n_filters, keep)
        elif self.design in BLOCKS:
            blocks = [BLOCKS[self.design][i] for i in keep]
            network = timbral_temporal.TimbralTemporal(
                n_filters, self.n_mels, self.temporal_kernels, blocks
            )
        else:
            many = self.design == "frame_level_many"
            kernels = frame_level.MANY_KERNELS if many else frame_level.SINGLE_KERNEL
            network = frame_level.FrameLevel(n_filters, kernels, keep, self.reference)
        if generator is not None:
            layers.draw(network, generator)
        return network

    def _min_samples(self):
        shortest = self._network(None).min_steps
        return shortest if self.design in WAVEFORM_DESIGNS else (shortest - 1) * self.hop_length


def _check_whole(name, value, shape):
    """Raise unless a parameter is a nest of positive whole numbers of a given shape."""
    try:
        array = np.array(value)
    except ValueError:  # rows of different length
        array = np.array(None)
    if array.shape != shape or array.dtype.kind not in "iu" or (array < 1).any():
        wanted = " x ".join(map(str, shape))
        raise ValueError(f"{name}={value!r} must hold {wanted} positive integers")
