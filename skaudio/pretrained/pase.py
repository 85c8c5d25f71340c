"""Checkpoints of the published PASE and PASE+: file -> network arguments and weights.

Such a file holds the state of the encoder and no arguments: widths and kernels follow from the
shapes, skip connections and the recurrent layer from the names. Only the steps of the convolutions
leave no trace; they are as published. It is opened as the checkpoints of fairseq are, so that it
runs nothing.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from ..networks.pase import STRIDES
from ._file import load
from ._state import states

__all__ = ["PASECheckpoint", "read_pase"]

_KERNEL = 251  # taps of the filters, which leave no trace in the shapes
_RATE = 16000  # Hz, of all published networks
_FILTERS = "blocks.0.conv.low_hz_"
_ADVICE = "pass the FE_e199.ckpt of the published PASE+, or the front-end of another PASE"


@dataclass(frozen=True)
class PASECheckpoint:
    """Contents of a checkpoint file.

    Attributes
    ----------
    arguments : dict
        Keyword arguments of `skaudio.networks.pase.PASE`.
    weights : dict of str to ndarray
        State of that network.
    sample_rate : int
        In Hz.
    """

    arguments: dict
    weights: dict
    sample_rate: int


def read_pase(path):
    """Read an encoder of the published PASE or PASE+ without running anything in it.

    Which of the two it is, or what lies between them, its names tell. Weights become float32.

    Parameters
    ----------
    path : path-like
        File that torch.save wrote, with the state of the encoder or, under "state_dict", a
        training's state of it.

    Returns
    -------
    checkpoint : PASECheckpoint
        Arguments and weights, which fit each other.

    Raises
    ------
    FileNotFoundError
        If it does not exist.
    ValueError
        If the file cannot be read; the message tells why and what to do.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        return _checkpoint(_encoder(load(path), path.stat().st_size))
    except Exception as error:  # of whatever kind a damaged file provokes
        reason = " ".join(f"{error}".split())  # names in the file may hold line breaks
        raise ValueError(f"{path} cannot be read: {reason}; {_ADVICE}") from error


def _encoder(content, n_bytes):
    """State of the encoder in a file of so many bytes."""
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not isinstance(content.get(_FILTERS), torch.Tensor):
        inside = f"frontend.{_FILTERS}"
        whole = isinstance(content, dict) and inside in content
        found = ", but that of encoder and workers together" if whole else ""
        raise ValueError(f"it does not hold the state of an encoder{found}")
    return states({"the encoder": content}, n_bytes)[0]


def _checkpoint(state):
    n_blocks = state.layers(r"blocks\.\d+\.act\.weight")
    if n_blocks != len(STRIDES):
        raise ValueError(f"it has {n_blocks} blocks, and published encoders have {len(STRIDES)}")
    weights, layers = _blocks(state)
    n_features, n_hidden, _ = state.shape("W.weight", 3)
    arguments = {"layers": layers, "n_features": n_features, "sample_rate": _RATE}
    width = layers[-1][0]
    if "denseskips.0.weight" in state:
        arguments["skips"] = True
        for i, (n_in, _, _) in enumerate(layers[:-1]):
            shape = (n_features, n_in, 1)
            weights[f"skips.{i}.weight"] = state.take(f"denseskips.{i}.weight", shape)
    if "rnn.layers.0.linear.weight" in state:
        arguments["n_hidden"] = n_hidden
        theirs, shape = "rnn.layers.0.linear", (3 * n_hidden, 2 * width)
        weights["rnn.linear.weight"] = state.take(f"{theirs}.weight", shape)
        weights["rnn.linear.bias"] = state.take(f"{theirs}.bias", shape[:1])
        width = n_hidden
    weights["projection.weight"] = state.take("W.weight", (n_features, width, 1))
    weights["projection.bias"] = state.take("W.bias", (n_features,))
    weights |= state.batch_norm("norm_out", "norm_out", n_features, affine=False)
    state.finish()
    return PASECheckpoint(arguments, weights, _RATE)


def _blocks(state):
    """Weights and layers (width, kernel, stride) of the convolutions."""
    weights, layers, n_in = {}, [], 1
    for i, stride in enumerate(STRIDES):
        name = f"blocks.{i}"
        if i == 0:
            (width, _), kernel = state.shape(_FILTERS, 2), _KERNEL
            shapes = {"low_hz_": (width, 1), "band_hz_": (width, 1)}
        else:
            width, _, kernel = state.shape(f"{name}.conv.weight", 3)
            shapes = {"weight": (width, n_in, kernel), "bias": (width,)}
        for key, shape in shapes.items():
            weights[f"{name}.conv.{key}"] = state.take(f"{name}.conv.{key}", shape)
        weights |= state.batch_norm(f"{name}.norm", f"{name}.norm", width)
        weights[f"{name}.act.weight"] = state.take(f"{name}.act.weight", (width,))
        layers.append((width, kernel, stride))
        n_in = width
    return weights, tuple(layers)
