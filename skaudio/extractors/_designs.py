"""What the extractors with a design share: its parameters, the input and the network.

The parameters are design, n_filters, kernel, temporal_kernels, pools, n_bands, layers and
reference, those of mel spectrograms, normalize, fixed_length and short, as
`RandomCNNTransformer` explains them.
"""

from sklearn.utils.validation import check_is_fitted

from .. import frontends
from .._engine.extract import moments
from .._engine.forward import ForwardPass
from ..networks.designs import DESIGNS
from ..networks.layers import initialise
from ..networks.sinc import edges
from ..networks.sinc_front import SincFront
from ..utils.validation import check_choice, check_number, check_whole
from ._mel import check_mel_parameters, log_mel

__all__ = ["DesignMixin", "check_design_parameters", "design_of", "layer_indices"]


def check_design_parameters(extractor, n_mels):
    """Check the parameters that all extractors with a design share.

    Parameters
    ----------
    extractor : BaseAudioTransformer
        Has the parameters.
    n_mels : int
        Bands of what the designs on a spectrogram read.
    """
    check_choice("design", extractor.design, DESIGNS)
    check_choice("frontend", extractor.frontend, design_of(extractor).frontends)
    check_choice("reference", extractor.reference, (True, False))
    check_number("n_bands", extractor.n_bands, 1, n_mels)
    check_number("n_filters", extractor.n_filters, 1, none=True)
    multiple = design_of(extractor).multiple
    if extractor.n_filters is not None and extractor.n_filters % multiple:
        raise ValueError(
            f"n_filters={extractor.n_filters} must be a multiple of {multiple} for "
            f"{extractor.design!r}"
        )
    check_whole("pools", extractor.pools, (5, 2))
    check_whole("kernel", extractor.kernel, (2,))
    check_whole("temporal_kernels", extractor.temporal_kernels, (4,))
    if extractor.design == "single" and extractor.kernel[1] > n_mels:
        raise ValueError(f"kernel={extractor.kernel} is taller than the {n_mels} mel bands")
    layer_indices(extractor)


def design_of(extractor):
    """Look up the design of an extractor.

    Parameters
    ----------
    extractor : BaseAudioTransformer
        Has the parameters.

    Returns
    -------
    design : Design
        An entry of `DESIGNS`.
    """
    return DESIGNS[extractor.design]


def layer_indices(extractor):
    """The layers parameter as a list of indices.

    Parameters
    ----------
    extractor : BaseAudioTransformer
        Has the parameters.

    Returns
    -------
    indices : list of int
        Of the maps that the network returns, counted from 0.
    """
    n_maps = design_of(extractor).n_maps
    if extractor.layers is None:
        return [*range(n_maps)]
    chosen = [extractor.layers] if isinstance(extractor.layers, int) else extractor.layers
    try:
        indices = [range(n_maps)[i] for i in chosen]
    except (TypeError, IndexError):
        indices = []
    if not indices or len({*indices}) < len(indices):
        raise ValueError(
            f"layers={extractor.layers!r} must be different numbers of the {n_maps} maps of "
            f"{extractor.design!r}, from {-n_maps} to {n_maps - 1}"
        )
    return indices


def reads_wave(extractor):
    """Tell whether the network of an extractor reads the wave, and not a mel spectrogram.

    Parameters
    ----------
    extractor : BaseAudioTransformer
        Has the parameters.

    Returns
    -------
    reads_wave : bool
        True for the designs on the wave, and with filters of its own before the others.
    """
    return design_of(extractor).reads_wave or extractor.frontend == "sinc"


class DesignMixin:
    """What `RandomCNNTransformer` and `CNNTransformer` read, and the network that reads it.

    An ``__init__`` takes and stores the parameters that its users may change; those below have
    these values otherwise.
    """

    frontend = None
    fixed_length = None
    short = "repeat"
    reference = False

    def _validate_parameters(self):
        check_mel_parameters(self)
        check_design_parameters(self, self.n_mels)
        check_choice("normalize", self.normalize, (None, "clip", "dataset"))
        check_choice("short", self.short, ("repeat", "zero"))
        if self.fixed_length is not None:
            own = self.frontend == "sinc"  # filters, whose length counts
            shortest = self._network(None).min_steps if own else design_of(self).min_steps(self)
            check_number("fixed_length", self.fixed_length, shortest)

    @property
    def learns_from_clips(self):
        """Whether the features depend on the clips seen in `fit`."""
        return self.normalize == "dataset" or super().learns_from_clips

    def _learn(self, clips, run):
        for name in ("input_mean_", "input_scale_"):
            vars(self).pop(name, None)  # of an earlier fit
        if self.normalize == "dataset":
            forward = ForwardPass(
                frontends.Chain(self._input()), self._network(None), None, self.sample_rate
            )
            self.input_mean_, self.input_scale_ = moments(forward, clips, run)

    def _learnt_arrays(self):
        n_channels = 1 if reads_wave(self) else self.n_mels
        names = ("input_mean_", "input_scale_") if self.normalize == "dataset" else ()
        return dict.fromkeys(names, ("float32", (n_channels,)))

    def _input(self):
        return frontends.Wave() if reads_wave(self) else log_mel(self, pad="reflect")

    def _frontend(self, network):
        stages = [self._input()]
        if self.normalize == "clip":
            stages.append(frontends.Standardize())
        elif self.normalize == "dataset":
            stages.append(frontends.Standardize(self.input_mean_, self.input_scale_))
        fit = frontends.FitLength(network.min_steps, self.fixed_length, self.short)
        return frontends.Chain(*stages, fit)

    def _default_width(self):
        """Filters of the design if `n_filters` is None."""
        return design_of(self).n_filters

    def _network(self, generator):
        design = design_of(self)
        n_filters = self._default_width() if self.n_filters is None else self.n_filters
        network = design.new_network(self, n_filters, self.n_mels, layer_indices(self))
        if self.frontend == "sinc" and not design.reads_wave:
            network = SincFront(network, self.n_mels, self.sample_rate, self.n_fft, self.hop_length)
        if generator is not None:
            initialise(network, generator)
        return network

    @property
    def bands_(self):  # numpydoc ignore=RT01
        """Lower and upper edge of each band-pass filter, Hz, with ``frontend="sinc"``."""
        check_is_fitted(self)
        return edges(self._fitted_network())

    @property
    def initial_bands_(self):  # numpydoc ignore=RT01
        """The same before any training."""
        check_is_fitted(self)
        return edges(self._built(None))

    def _min_samples(self, network):
        shortest = network.min_steps
        return shortest if reads_wave(self) else (shortest - 1) * self.hop_length
