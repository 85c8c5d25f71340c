"""The state of a training on disk, so that it can go on after whatever stopped it."""

import os

import torch

__all__ = ["load", "save"]


def save(file, state):
    """Write a state; a reader sees the old one or the new one, never half of one.

    Parameters
    ----------
    file : Path
        Its folder is made if it is not there.
    state : dict
        Of numbers, text and tensors.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(f".{os.getpid()}")
    try:
        torch.save(state, unfinished)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def load(file):
    """Read a state.

    Parameters
    ----------
    file : Path
        Written by `save`; nothing in it is executed.

    Returns
    -------
    state : dict or None
        None if there is no such file.

    Raises
    ------
    ValueError
        If the file is not what `save` wrote.
    """
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        if {"done", "history", "best", "seed"} <= state.keys():
            return state
        problem = None
    except FileNotFoundError:
        return None
    except Exception as error:  # torch raises a dozen kinds, at great length
        problem = error
    raise ValueError(f"{file} holds no state of a training; delete it") from problem
