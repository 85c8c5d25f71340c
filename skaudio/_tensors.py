"""What several stages do with tensors: steps beyond a clip's length, and a root to train through.

Where no gradient is recorded these work in place, which saves memory and time.
"""

import torch

__all__ = ["mask", "root", "within"]


def within(lengths, steps, device):
    """Tell which steps are within each clip.

    Parameters
    ----------
    lengths : Tensor of shape (B,), int64
        Number of valid steps of each clip, on the processor.
    steps : int
        Number of steps.
    device : torch.device
        Of the result.

    Returns
    -------
    valid : Tensor of shape (B, steps), bool
        True at the steps of the clip.
    """
    return torch.arange(steps, device=device) < lengths.to(device)[:, None]


def mask(x, lengths):
    """Zero what stands beyond each clip's length.

    Parameters
    ----------
    x : Tensor of shape (B, C, T) or (B, C, T, F)
        Maps. They are changed in place, unless they need a gradient.
    lengths : Tensor of shape (B,), int64
        Number of valid steps of each clip.

    Returns
    -------
    x : Tensor
        The masked maps.
    """
    steps = x.shape[2]
    if not bool((lengths < steps).any()):
        return x
    beyond = ~within(lengths, steps, x.device)
    beyond = beyond.view(len(lengths), 1, steps, *[1] * (x.ndim - 3))
    # the step before, a rectifier for instance, may need its result for its own gradient
    return x.masked_fill(beyond, 0.0) if x.requires_grad else x.masked_fill_(beyond, 0.0)


def root(x):
    """Square root, with a slope of 0 at 0: the true one, infinite, would spoil all gradients.

    Parameters
    ----------
    x : Tensor
        Not negative.

    Returns
    -------
    y : Tensor
        Its root.
    """
    if not x.requires_grad:
        return x.sqrt()
    zero = x == 0
    return x.masked_fill(zero, 1.0).sqrt().masked_fill(zero, 0.0)
