"""Which device to compute on."""

import torch

__all__ = ["resolve_device"]

# After an array of almost 32 MB has been freed, glibc's malloc reuses the memory of smaller arrays
# instead of returning it to the system (mallopt(3), M_MMAP_THRESHOLD). Fetching each map anew
# would take a fifth of a training step.
torch.empty(31 << 18)


def resolve_device(device, worker=0):
    """Turn a ``device`` parameter into a torch device.

    Parameters
    ----------
    device : str
        "auto" (a GPU if there is one, else the CPU) or a name torch knows.
    worker : int
        Number of the shard of work: with "auto", shards take the visible GPUs in turn.

    Returns
    -------
    device : torch.device
        Where to compute.

    Raises
    ------
    ValueError
        If torch does not know the device, or the machine does not have it.
    """
    if device == "auto":
        count = torch.cuda.device_count()
        return torch.device("cuda", worker % count) if count else torch.device("cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device={device!r} is unknown; use 'auto', 'cpu' or 'cuda'") from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={device!r} is not there; use device='auto' or 'cpu'")
    return found
