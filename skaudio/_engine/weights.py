"""Random generators, and conversion of weights between networks and numpy arrays."""

import numpy as np
import torch

__all__ = ["load", "new_generator", "new_seed", "to_numpy"]


def new_generator(random_state):
    """CPU generator for all randomness of an extractor.

    Parameters
    ----------
    random_state : int, RandomState or None
        As in scikit-learn, except that None takes fresh entropy from the operating system
        and leaves numpy's and torch's global generators alone.

    Returns
    -------
    generator : torch.Generator
        Seeded.
    """
    from sklearn.utils import check_random_state

    if random_state is None:
        seed = np.random.SeedSequence().generate_state(1, np.uint64)[0] >> 1
    else:
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    return torch.Generator().manual_seed(int(seed))


def new_seed(generator):
    """Draw a seed for another generator.

    Parameters
    ----------
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    seed : int
        At least 0.
    """
    return int(torch.randint(np.iinfo(np.int32).max, (), generator=generator))


def to_numpy(network):
    """Kernels, biases and other state of a network, in forward order.

    Parameters
    ----------
    network : Module
        Its parameters are registered in forward order, kernels before biases.

    Returns
    -------
    weights : dict of str to ndarray
        Contiguous copies.
    """
    return {
        name: np.array(p.detach().cpu().numpy(), order="C")
        for name, p in network.state_dict().items()
    }


def load(network, weights):
    """Copy stored weights into a network; its layers choose the memory layout.

    Parameters
    ----------
    network : Module
        Of the same architecture as the one that the weights come from.
    weights : dict of str to ndarray
        Result of `to_numpy`.

    Returns
    -------
    network : Module
        The same one.
    """
    # a memory-mapped pickle gives read-only arrays, which torch would warn about
    state = {name: torch.from_numpy(np.require(w, requirements="W")) for name, w in weights.items()}
    network.load_state_dict(state, strict=False)
    return network
