"""States of published networks: what a file holds, taken tensor by tensor and checked."""

import re

import numpy as np
import torch

__all__ = ["states"]

_MAX_LAYERS, _MAX_SIZE = 20, 100_000
_COUNT = "num_batches_tracked"


def states(found, n_bytes):
    """Prepare the states of the networks in a file to be taken apart.

    Parameters
    ----------
    found : dict of str to dict
        State of each network, by its name.
    n_bytes : int
        Length of the file.

    Returns
    -------
    states : list of _State
        In the same order.

    Raises
    ------
    ValueError
        If arrays share their memory, so that few bytes would become many.
    """
    tensors = (t for part in found.values() for t in part.values() if isinstance(t, torch.Tensor))
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors) > n_bytes:
        raise ValueError("its weights claim to be larger than the file")
    return [_State(name, part) for name, part in found.items()]


class _State:
    """State of one of the networks; it knows what has been taken from it.

    Parameters
    ----------
    name : str
        Of the network, for messages.
    tensors : dict of str to Tensor
        The state.
    """

    def __init__(self, name, tensors):
        if not all(isinstance(key, str) for key in tensors):
            raise ValueError(f"a weight in {name} has no name")
        self.name, self.left = name, dict(tensors)

    def __contains__(self, key):
        return key in self.left

    def layers(self, pattern):
        """Number of layers whose keys, with their number, are this."""
        n_layers = sum(re.fullmatch(pattern, key) is not None for key in self.left)
        if not 0 < n_layers <= _MAX_LAYERS:
            raise ValueError(f"{self.name} has {n_layers} layers")
        return n_layers

    def shape(self, key, n_axes):
        """Shape of a tensor, which must have so many axes and sizes that a network can have."""
        tensor = self._tensor(key)
        shape = tuple(tensor.shape)
        if len(shape) != n_axes or not all(0 < size <= _MAX_SIZE for size in shape):
            raise ValueError(f"{key} in {self.name} has the shape {shape}")
        return shape

    def take(self, key, shape, dtype=np.float32):
        """Tensor as an array of this shape."""
        tensor = self._tensor(key)
        if tuple(tensor.shape) != tuple(shape):
            raise ValueError(
                f"{key} in {self.name} is {tuple(tensor.shape)}, not {tuple(shape)} as the other "
                "weights say"
            )
        del self.left[key]
        array = tensor.detach().double().numpy().astype(dtype)  # not part of the file any more
        if not np.isfinite(array).all():
            raise ValueError(f"{key} in {self.name} holds NaN or infinity")
        return array

    def batch_norm(self, theirs, ours, width, *, affine=True):
        """Tensors of a batch norm under our names; files of old versions of torch count nothing."""
        names = (*(("weight", "bias") if affine else ()), "running_mean", "running_var")
        weights = {f"{ours}.{key}": self.take(f"{theirs}.{key}", (width,)) for key in names}
        tensor, n_batches = self.left.pop(f"{theirs}.{_COUNT}", None), 0
        if isinstance(tensor, torch.Tensor) and tensor.numel() == 1:
            n_batches = int(tensor)
        return {**weights, f"{ours}.{_COUNT}": np.array(n_batches)}

    def finish(self):
        """Raise ValueError if something is left that no layer accounts for."""
        if self.left:
            raise ValueError(f"its layers do not account for {min(self.left):.80} in {self.name}")

    def _tensor(self, key):
        tensor = self.left.get(key)
        if tensor is None:
            raise ValueError(f"{self.name} lacks {key}")
        # one that is not contiguous could claim more numbers than the file holds
        sound = isinstance(tensor, torch.Tensor) and tensor.is_floating_point()
        if not (sound and tensor.layout == torch.strided and tensor.is_contiguous()):
            raise ValueError(f"{key} in {self.name} is no array of weights")
        return tensor
