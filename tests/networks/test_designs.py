"""The table of designs says what the networks are."""

import pytest

from skaudio import RandomCNNTransformer
from skaudio.networks.designs import DESIGNS


@pytest.mark.parametrize("kernel", [(7, 86), (4, 20)])
@pytest.mark.parametrize("name", DESIGNS)
def test_table_agrees_with_the_networks(name, kernel):
    # with one band VGG, too, has one value per filter and map
    parameters = RandomCNNTransformer(n_bands=1, kernel=kernel)
    design, n_filters = DESIGNS[name], DESIGNS[name].n_filters
    network = design.new_network(parameters, n_filters, 96, [*range(design.n_maps)])
    assert len(network.maps) == design.n_maps
    assert sum(len(m.channels) for m in network.maps) == design.n_features * n_filters
    assert network.min_steps == design.min_steps(parameters)
    kernels = {name: p for name, p in network.named_parameters() if p.ndim > 1}
    first = {name for name, p in kernels.items() if name.startswith(design.first_layer)}
    # what reads the input has one channel of it, and is a filter in time alone on the wave
    assert first == {name for name, p in kernels.items() if p.shape[1] == 1}
    assert not design.reads_wave or all(kernels[name].ndim == 3 for name in first)
    assert n_filters % design.multiple == 0
