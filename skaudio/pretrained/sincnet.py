"""Checkpoints of the published SincNet: file -> network arguments and weights.

Such a file holds the state of three networks, the convolutions, the dense layers and the
classifier, and no arguments: sizes follow from the shapes, the rest from which of the two published
settings it is. It is opened as the checkpoints of fairseq are, so that it runs nothing.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..networks.sincnet import SIZES
from ._file import load
from ._state import states

__all__ = ["SincNetCheckpoint", "read_sincnet"]

_PARTS = ("CNN_model_par", "DNN1_model_par", "DNN2_model_par")
_KERNEL = 251  # taps of the filters, which leave no trace in the shapes
_PAPER_SIZES = ("timit", "librispeech")
_NORM = {"gamma": "weight", "beta": "bias"}
_ADVICE = "pass a complete model_raw.pkl of the published SincNet"


@dataclass(frozen=True)
class SincNetCheckpoint:
    """Contents of a checkpoint file.

    Attributes
    ----------
    arguments : dict
        Keyword arguments of `skaudio.networks.sincnet.SincNet`.
    weights : dict of str to ndarray
        State of that network.
    head_arguments : dict
        Keyword arguments of `skaudio.networks.sincnet.SincHead`.
    head_weights : dict of str to ndarray
        State of that head.
    size : {"timit", "librispeech"}
        The published setting whose activations the network has.
    sample_rate : int
        In Hz.
    """

    arguments: dict
    weights: dict
    head_arguments: dict
    head_weights: dict
    size: str
    sample_rate: int


def read_sincnet(path, *, size=None, sample_rate=None):
    """Read a checkpoint of the published SincNet without running anything in it.

    Files of both forms are read: that of today, and that of before February 2019, whose filters
    follow a slightly different formula (see `skaudio.networks.sinc.SincConv`). Weights become
    float32. What the file does not tell is as published: filters of 251 taps, layer norm in the
    convolutions, batch norm in the dense layers.

    Parameters
    ----------
    path : path-like
        File that torch.save wrote, in its current format or in that of 2019.
    size : {"timit", "librispeech"}, default=None
        The published setting whose activations it was trained with. None: told by the length of
        its chunks, 3200 or 3000 samples.
    sample_rate : int, default=None
        Of the sounds it was trained on, Hz. None: that of the published setting, 16000 or 8000.

    Returns
    -------
    checkpoint : SincNetCheckpoint
        Arguments and weights of network and head, which fit each other.

    Raises
    ------
    FileNotFoundError
        If it does not exist.
    ValueError
        If ``size`` is unknown, or the file cannot be read; the message tells why and what to do.
    """
    if size is not None and size not in _PAPER_SIZES:
        raise ValueError(f"size={size!r} is unknown; use one of {[*_PAPER_SIZES]} or None")
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        cnn, dnn, classifier = _parts(load(path), path.stat().st_size)
        return _checkpoint(cnn, dnn, classifier, size, sample_rate)
    except Exception as error:  # of whatever kind a damaged file provokes
        reason = " ".join(f"{error}".split())  # names in the file may hold line breaks
        raise ValueError(f"{path} cannot be read: {reason}; {_ADVICE}") from error


def _parts(state, n_bytes):
    """The three states of a file of so many bytes, each knowing what was taken from it."""
    found = [state.get(name) for name in _PARTS] if isinstance(state, dict) else [None]
    if not all(isinstance(part, dict) and part for part in found):
        raise ValueError(f"it does not hold {', '.join(_PARTS)}")
    return states(dict(zip(_PARTS, found, strict=True)), n_bytes)


def _checkpoint(cnn, dnn, classifier, size, sample_rate):
    (chunk,) = cnn.shape("ln0.gamma", 1)
    size = size or next((s for s in _PAPER_SIZES if SIZES[s]["chunk"] == chunk), None)
    if size is None:
        raise ValueError(
            f"its chunks have {chunk} samples, which is no published setting; pass size='timit' "
            "or 'librispeech', whichever has its activations, and its sample_rate"
        )
    published = SIZES[size]
    if sample_rate is None:
        sample_rate = published["sample_rate"]
    arguments, weights = _convolutions(cnn, chunk, sample_rate)
    n_in = weights[f"conv_norms.{len(arguments['pools']) - 1}.weight"].size
    dense, more = _dense_layers(dnn, n_in)
    activations = published.get("dense_activations", ("leaky_relu",) * len(dense))
    if len(activations) != len(dense):
        raise ValueError(f"it has {len(dense)} dense layers, and those of {size!r} have 3")
    arguments |= {
        "dense": dense,
        "conv_activation": published.get("conv_activation", "leaky_relu"),
        "dense_activations": activations,
        "norm": "chunk",
        "dense_norm": "batch",
        "unused_norms": True,
    }
    head_arguments, head_weights = _head(classifier, dense[-1])
    return SincNetCheckpoint(
        arguments, weights | more, head_arguments, head_weights, size, sample_rate
    )


def _convolutions(cnn, chunk, sample_rate):
    """Arguments and weights of what is before the dense layers."""
    n_layers = cnn.layers(r"ln\.\d+\.gamma")
    old = "conv.0.filt_b1" in cnn
    shapes = [cnn.shape(f"conv.{i}.weight", 3) for i in range(1, n_layers)]
    n_filters = cnn.shape("conv.0.filt_b1" if old else "conv.0.low_hz_", 1 if old else 2)[0]
    filters = (n_filters, *(shape[0] for shape in shapes))
    kernels = (_KERNEL, *(shape[2] for shape in shapes))
    weights, pools, steps = {}, [], chunk
    weights |= _norm(cnn, "ln0", "input_norm", (chunk,))
    weights |= _filters(cnn, n_filters, sample_rate, old)
    for i, (width, kernel) in enumerate(zip(filters, kernels, strict=True)):
        if i > 0:
            theirs, ours = f"conv.{i}", f"convs.{i}"
            shape = (width, filters[i - 1], kernel)
            weights[f"{ours}.weight"] = cnn.take(f"{theirs}.weight", shape)
            weights[f"{ours}.bias"] = cnn.take(f"{theirs}.bias", (width,))
        steps_before, steps = steps - kernel + 1, cnn.shape(f"ln.{i}.gamma", 2)[1]
        pools.append(_pool(i, steps_before, steps))
        weights |= _norm(cnn, f"ln.{i}", f"conv_norms.{i}", (width, steps))
        weights |= _unused_batch_norm(cnn, f"bn.{i}", f"unused.conv_norms.{i}", width)
    cnn.finish()
    arguments = {
        "chunk": chunk,
        "sample_rate": sample_rate,
        "filters": filters,
        "kernels": kernels,
        "pools": tuple(pools),
        "form": "2018" if old else "2019",
    }
    return arguments, weights


def _filters(cnn, n_filters, sample_rate, old):
    """Edges of the filters, Hz; before 2019 they were shares of the sample rate."""
    ours = ("convs.0.low_hz_", "convs.0.band_hz_")
    if not old:
        shape = (n_filters, 1)
        return {name: cnn.take(f"conv.0.{name[8:]}", shape) for name in ours}
    # in float64 as they stand in the file: as shares, float32 would be coarser
    weights = {}
    for name, theirs in zip(ours, ("conv.0.filt_b1", "conv.0.filt_band"), strict=True):
        share = cnn.take(theirs, (n_filters,), np.float64)
        weights[name] = (share[:, None] * sample_rate).astype(np.float32)
    return weights


def _pool(layer, before, after):
    """Width of the maximum that makes so many frames of so many: the smallest that does."""
    for width in range(1, before + 1):
        if before // width == after:
            return width
    raise ValueError(
        f"a map of {after} frames after convolution {layer} does not follow from {before}; only "
        f"filters of {_KERNEL} taps are known"
    )


def _norm(state, theirs, ours, shape):
    return {f"{ours}.{_NORM[key]}": state.take(f"{theirs}.{key}", shape) for key in _NORM}


def _unused_batch_norm(state, theirs, ours, width):
    """A batch norm that must not have seen a batch: what used it would be another network."""
    weights = state.batch_norm(theirs, ours, width)
    if weights[f"{ours}.running_mean"].any() or (weights[f"{ours}.running_var"] != 1).any():
        raise ValueError(f"{theirs} in {state.name} has been used, which no published network does")
    return weights


def _unused_norm(state, theirs, ours, width):
    """A layer norm that must be as it was created."""
    weights = _norm(state, theirs, ours, (width,))
    if (weights[f"{ours}.weight"] != 1).any() or weights[f"{ours}.bias"].any():
        raise ValueError(f"{theirs} in {state.name} has been used, which no published network does")
    return weights


def _dense_layers(dnn, n_in):
    """Widths and weights of the dense layers that read so many numbers."""
    n_layers = dnn.layers(r"wx\.\d+\.weight")
    weights, widths = _norm(dnn, "ln0", "flat_norm", (n_in,)), []
    for i in range(n_layers):
        width = dnn.shape(f"wx.{i}.weight", 2)[0]
        weights[f"dense.{i}.weight"] = dnn.take(f"wx.{i}.weight", (width, n_in))
        weights[f"dense.{i}.bias"] = dnn.take(f"wx.{i}.bias", (width,))
        weights |= dnn.batch_norm(f"bn.{i}", f"dense_norms.{i}", width)
        weights |= _unused_norm(dnn, f"ln.{i}", f"unused.dense_norms.{i}", width)
        widths.append(width)
        n_in = width
    dnn.finish()
    return tuple(widths), weights


def _head(classifier, n_in):
    """Arguments and weights of the classifier."""
    n_classes = classifier.shape("wx.0.weight", 2)[0]
    input_norm = "ln0.gamma" in classifier
    weights = _norm(classifier, "ln0", "input_norm", (n_in,)) if input_norm else {}
    weights["linear.weight"] = classifier.take("wx.0.weight", (n_classes, n_in))
    weights["linear.bias"] = classifier.take("wx.0.bias", (n_classes,))
    weights |= _unused_batch_norm(classifier, "bn.0", "unused.batch_norm", n_classes)
    weights |= _unused_norm(classifier, "ln.0", "unused.layer_norm", n_classes)
    classifier.finish()
    arguments = {
        "n_in": n_in,
        "n_classes": n_classes,
        "input_norm": input_norm,
        "unused_norms": True,
    }
    return arguments, weights
