"""The designs of Pons & Serra (arXiv:1805.00237): what there is to know of each, in one table."""

from collections.abc import Callable
from typing import NamedTuple

from . import frame_level, sample_level, single_layer, timbral_temporal, vgg

__all__ = ["DESIGNS", "Design"]


def _vgg(parameters, n_filters, n_mels, layers):
    return vgg.VGG(n_filters, n_mels, parameters.pools, layers, parameters.n_bands)


def _single(parameters, n_filters, n_mels, layers):
    return single_layer.SingleLayer(n_filters, n_mels, tuple(parameters.kernel))


def _blocks(*blocks):
    def new_network(parameters, n_filters, n_mels, layers):
        chosen = [blocks[i] for i in layers]
        kernels = parameters.temporal_kernels
        return timbral_temporal.TimbralTemporal(n_filters, n_mels, kernels, chosen)

    return new_network


def _sample_level(parameters, n_filters, n_mels, layers):
    return sample_level.SampleLevel(n_filters, layers)


def _frame_level(kernels):
    def new_network(parameters, n_filters, n_mels, layers):
        sinc_rate = parameters.sample_rate if parameters.frontend == "sinc" else None
        return frame_level.FrameLevel(n_filters, kernels, layers, parameters.reference, sinc_rate)

    return new_network


class Design(NamedTuple):
    """One design.

    Attributes
    ----------
    n_maps : int
        Layers whose maps it can return.
    n_filters, n_trained : int
        Its width, if none is chosen: at random, and where it is to be trained, which takes as
        long as many extractions.
    n_features : int
        Features per filter, of all maps with one pooling.
    first_layer : tuple of str
        Beginnings of the names of its first kernels: several where they lie side by side.
    new_network : callable
        ``new_network(parameters, n_filters, n_mels, layers)`` builds the network, uninitialised,
        that returns the maps of the indices ``layers``. The parameters are an object with the
        attributes kernel, temporal_kernels, pools, n_bands, reference, frontend and sample_rate
        of `RandomCNNTransformer`.
    reads_wave : bool, default=False
        Whether it reads the wave, and not a spectrogram of ``n_mels`` bands.
    multiple : int, default=1
        What n_filters must be a multiple of.
    frontends : tuple of (str or None)
        What may stand before it: None is the wave or a mel spectrogram, by ``reads_wave``.
    min_steps : callable
        ``min_steps(parameters)`` is the shortest input that the network can read, known without
        building it. By default 1.
    """

    n_maps: int
    n_filters: int
    n_trained: int
    n_features: int
    first_layer: tuple
    new_network: Callable
    reads_wave: bool = False
    multiple: int = 1
    frontends: tuple = (None, "mel", "sinc")
    min_steps: Callable = lambda parameters: 1


DESIGNS = {
    "vgg": Design(5, 64, 32, 5, ("blocks.0.",), _vgg),
    "single": Design(
        1, 1024, 256, 1, ("conv.",), _single, min_steps=lambda parameters: parameters.kernel[0]
    ),
    # so many filters of each length are left out that both blocks are equally wide
    "timbral_temporal": Design(
        2, 32, 16, 28, ("timbral.", "temporal."), _blocks("timbral", "temporal"), multiple=4
    ),
    "timbral": Design(1, 64, 16, 14, ("timbral.",), _blocks("timbral"), multiple=4),
    "temporal": Design(1, 64, 64, 14, ("temporal.",), _blocks("temporal"), multiple=4),
    "sample_level": Design(
        7,
        128,
        32,
        7,
        ("convs.0.",),
        _sample_level,
        reads_wave=True,
        frontends=(None,),
        min_steps=lambda parameters: sample_level.SampleLevel.min_steps,
    ),
    "frame_level": Design(
        4,
        256,
        64,
        4,
        ("front.",),
        _frame_level(frame_level.SINGLE_KERNEL),
        reads_wave=True,
        frontends=(None, "sinc"),
        min_steps=lambda parameters: frame_level.shortest_input(frame_level.SINGLE_KERNEL),
    ),
    "frame_level_many": Design(
        8,
        128,
        32,
        8,
        ("front.",),
        _frame_level(frame_level.MANY_KERNELS),
        reads_wave=True,
        frontends=(None, "sinc"),
        min_steps=lambda parameters: frame_level.shortest_input(frame_level.MANY_KERNELS),
    ),
}
