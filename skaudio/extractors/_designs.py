"""What the extractors with a design share: the parameters design, n_filters ... reference.

They are design, n_filters, kernel, temporal_kernels, pools, n_bands, layers and reference, as
`RandomCNNTransformer` explains them.
"""

from ..networks.designs import DESIGNS
from ..utils.validation import check_choice, check_number, check_whole

__all__ = ["check_design_parameters", "design_of", "layer_indices", "new_network"]


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
    keep = [extractor.layers] if isinstance(extractor.layers, int) else extractor.layers
    try:
        indices = [range(n_maps)[i] for i in keep]
    except (TypeError, IndexError):
        indices = []
    if not indices or len({*indices}) < len(indices):
        raise ValueError(
            f"layers={extractor.layers!r} must be different numbers of the {n_maps} maps of "
            f"{extractor.design!r}, from {-n_maps} to {n_maps - 1}"
        )
    return indices


def new_network(extractor, n_mels):
    """Build the network of an extractor.

    Parameters
    ----------
    extractor : BaseAudioTransformer
        Has parameters that passed `check_design_parameters`.
    n_mels : int
        Bands of what the designs on a spectrogram read.

    Returns
    -------
    network : Network
        Uninitialised.
    """
    design = design_of(extractor)
    n_filters = design.n_filters if extractor.n_filters is None else extractor.n_filters
    return design.new_network(extractor, n_filters, n_mels, layer_indices(extractor))
