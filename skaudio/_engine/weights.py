"""Random generators, and weights on their way between networks and numpy."""

import hashlib
import inspect

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

__all__ = ["digest", "initialised_from", "load", "new_generator", "new_seed", "to_numpy"]


def new_generator(random_state):
    """CPU generator for everything an extractor draws.

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


class _Drawing(TorchFunctionMode):
    """Gives torch's functions that draw numbers a generator where they have none."""

    def __init__(self, generator):
        super().__init__()
        self.generator = generator

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        draws = func in _INITIALISERS or func.__name__ in _DRAWING
        if draws and kwargs.get("generator") is None:
            kwargs = {**kwargs, "generator": self.generator}
        return func(*args, **kwargs)


_INITIALISERS = {
    function
    for function in vars(nn.init).values()
    if inspect.isfunction(function) and "generator" in inspect.signature(function).parameters
}
_DRAWING = {
    *("bernoulli", "bernoulli_", "binomial", "cauchy_", "exponential_", "geometric_"),
    *("log_normal_", "multinomial", "normal", "normal_", "poisson", "rand", "rand_like"),
    *("randint", "randint_like", "randn", "randn_like", "random_", "randperm", "uniform_"),
}


def initialised_from(generator):
    """Within this context layers of torch draw their initial weights from a generator.

    Parameters
    ----------
    generator : torch.Generator or None
        On the CPU. None: what they draw does not matter, as stored weights follow.

    Returns
    -------
    context : context manager
        In this thread alone; torch's global generator is not touched.
    """
    return _Drawing(torch.Generator() if generator is None else generator)


def digest(weights):
    """Digest of stored weights: names, types, shapes and values.

    Parameters
    ----------
    weights : dict of str to ndarray
        Result of `to_numpy`.

    Returns
    -------
    digest : str
        32 hexadecimal digits.
    """
    total = hashlib.sha256()
    for name, array in weights.items():
        total.update(f"{name} {array.dtype} {array.shape} ".encode())
        total.update(np.ascontiguousarray(array))
    return total.hexdigest()[:32]


def to_numpy(network):
    """Kernels, biases and what else a network remembers, in forward order.

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
    """Copy stored weights into a network, whose layers know how they are best laid out in memory.

    Parameters
    ----------
    network : Module
        As it was built for these weights.
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
