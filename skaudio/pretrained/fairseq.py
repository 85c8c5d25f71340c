"""Checkpoints of fairseq's wav2vec and vq-wav2vec: file -> network arguments and weights.

Such a file is a pickle, which could run any code when it is opened. Here torch's restricted
unpickler opens it, and everything found in it is checked before it is used.
"""

import argparse
import math
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import numpy as np
import pooch
import torch

from ..datasets import _fetch
from ._file import MAGIC, RefusedError, load
from ._layout import is_size, layout, parse_layers, shown

__all__ = ["KNOWN", "Checkpoint", "Release", "fetch_checkpoint", "parse_layers", "read_checkpoint"]

# Defaults of arguments that a file lacks: in files of 2019, which hold "args" ...
_OLD = {
    "conv_feature_layers": "[(512, 10, 5)] + [(512, 8, 4)] + [(512, 4, 2)] * 3",
    "conv_aggregator_layers": "[(512, 3, 1)] * 9",
    "activation": "relu",
    "log_compression": False,
    "skip_connections_feat": False,
    "skip_connections_agg": False,
    "residual_scale": 0.5,
    "aggregator": "cnn",
    "gru_dim": 512,
    "no_conv_bias": False,
    "agg_zero_pad": False,
    "non_affine_group_norm": False,
    "prediction_steps": 12,
    "offset": "auto",
    "vq_type": "none",
    "vq_vars": 320,
    "vq_groups": 2,
    "vq_dim": 0,
    "vq_depth": 1,
    "combine_groups": False,
    "vq_gamma": 0.25,
}
# ... and in those since late 2020, which hold a configuration.
_NEW = {
    **_OLD,
    "conv_feature_layers": f"{_OLD['conv_feature_layers']} + [(512, 1, 1)] * 3",
    "conv_aggregator_layers": [(512, kernel, 1) for kernel in range(2, 14)],
    "log_compression": True,
    "skip_connections_agg": True,
}
_CHOICES = {
    "activation": ("relu", "gelu"),
    "aggregator": ("cnn", "gru"),
    "vq_type": ("none", "gumbel", "kmeans"),
}
# Key of the arguments, key of the weights, and defaults: old fairseq, new fairseq, s3prl.
_KINDS = (("args", "model", _OLD), ("cfg", "model", _NEW), ("model_cfg", "model_weight", _NEW))

_PASS = "pass a complete wav2vec or vq-wav2vec checkpoint of fairseq"
_CONVERT = (
    "if you trust its origin, convert it where fairseq is installed: "
    "`old = fairseq.checkpoint_utils.load_checkpoint_to_cpu(path)`, then `torch.save({'cfg': "
    "omegaconf.OmegaConf.to_container(old['cfg'], enum_to_str=True), 'model': old['model']}, "
    "new_path)`"
)


@dataclass(frozen=True)
class Release:
    """A published checkpoint.

    Attributes
    ----------
    url : str
        Where it is published.
    sha256 : str or None
        Hash of the file. None: none is published.
    sample_rate : int
        Sample rate of the sounds it was trained on, in Hz.
    licence : str
        Of the weights.
    paper : str
        Where it is described.
    description : str
        What it is.
    """

    url: str
    sha256: str | None
    sample_rate: int
    licence: str
    paper: str
    description: str


_MAX_BYTES = 1 << 30  # of a published file
_URL = "https://dl.fbaipublicfiles.com/fairseq/wav2vec"
KNOWN = {
    name: Release(f"{_URL}/{name}", None, 16000, "MIT", f"arXiv:{paper}", description)
    for name, paper, description in (
        ("wav2vec_large.pt", "1904.05862", "wav2vec large, LibriSpeech 960 h, 32.5 M weights"),
        ("vq-wav2vec.pt", "1910.05453", "vq-wav2vec, Gumbel, LibriSpeech 960 h, 34.1 M weights"),
        (
            "vq-wav2vec_kmeans.pt",
            "1910.05453",
            "vq-wav2vec, k-means, LibriSpeech 960 h, 33.0 M weights",
        ),
    )
}


@dataclass(frozen=True)
class Checkpoint:
    """Contents of a checkpoint file.

    Attributes
    ----------
    arguments : dict
        Keyword arguments of `skaudio.networks.wav2vec.Wav2Vec`; ``quantizer`` is None or a dict
        with ``kind``, "gumbel" or "kmeans", and the arguments of that quantiser.
    weights : dict of str to ndarray, float32
        In forward order.
    sample_rate : int
        In Hz.
    """

    arguments: dict
    weights: dict
    sample_rate: int = 16000


def fetch_checkpoint(name, *, data_home=None):
    """Download a published checkpoint, unless it is there.

    Parameters
    ----------
    name : str
        One of `KNOWN`.
    data_home : path-like or None, default=None
        Folder of all downloads; checkpoints lie in its folder ``pretrained``. None: the value of
        the environment variable SKAUDIO_DATA, otherwise a cache folder of the user.

    Returns
    -------
    path : Path
        The complete file.

    Raises
    ------
    ValueError
        If the name is unknown.
    OSError
        If it cannot be downloaded or written, does not arrive complete within two hours, is not
        a checkpoint, or is not the published one.

    Examples
    --------
    >>> from skaudio.pretrained import fetch_checkpoint, read_checkpoint
    >>> path = fetch_checkpoint("wav2vec_large.pt")  # doctest: +SKIP
    >>> checkpoint = read_checkpoint(path)  # doctest: +SKIP
    """
    if name not in KNOWN:
        raise ValueError(f"name={name!r} is unknown; use one of {sorted(KNOWN)}")
    release, path = KNOWN[name], _fetch.home(data_home) / "pretrained" / name
    if path.is_file():
        return path
    with _fetch.scratch(path) as folder:
        downloaded = Path(folder, name)
        _fetch.save(
            release.url,
            downloaded,
            magic=MAGIC,
            max_bytes=_MAX_BYTES,
            what="a checkpoint",
            remedy="download it by hand and pass its path",
        )
        if release.sha256 and pooch.file_hash(downloaded) != release.sha256:
            raise OSError(f"the downloaded {name} is not the published one; nothing saved")
        downloaded.replace(path)
    return path


def read_checkpoint(path):
    """Read a wav2vec or vq-wav2vec checkpoint without running anything in it.

    Files of all versions of fairseq are read, and those converted by s3prl. Arguments that a
    file lacks get the defaults of its version of fairseq. Weights are converted to float32.

    With these arguments, a single clip gives the same features as with the published code. That
    code feeds a recurrent aggregator with batch and time exchanged, so that each frame of a single
    clip starts from a zero state; ``gru_recurrent`` is therefore False.

    Parameters
    ----------
    path : path-like
        File that torch.save wrote, in its current format or in that of 2019.

    Returns
    -------
    checkpoint : Checkpoint
        Arguments of the network, and weights that fit them.

    Raises
    ------
    FileNotFoundError
        If it does not exist.
    ValueError
        If it cannot be read; the message says why and what to do.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; see skaudio.pretrained.fetch_checkpoint")
    try:
        values, tensors = _parts(load(path))
        arguments = _arguments(values, tensors)
        return Checkpoint(arguments, _weights(arguments, tensors, path.stat().st_size))
    except Exception as error:  # damaged files cause exceptions of many kinds
        advice = _CONVERT if isinstance(error, RefusedError) else _PASS
        reason = " ".join(f"{error}".split())  # names in the file may hold line breaks
        raise ValueError(f"{path} cannot be read: {reason}; {advice}") from error


# --- the arguments -------------------------------------------------------------------------------


def _parts(state):
    """Arguments by the names of fairseq, completed, and tensors."""
    state = _as_dict(state)
    for key, weights, defaults in _KINDS:
        given, tensors = _as_dict(state.get(key)), _as_dict(state.get(weights))
        if given and tensors:
            given = _as_dict(given.get("model")) or given
            values = {}
            for name, default in defaults.items():
                value = given.get(name)
                values[name] = _checked(name, default if value is None else value)
            return values, tensors
    raise ValueError("it holds no arguments with weights")


def _as_dict(value):
    if isinstance(value, argparse.Namespace):
        return vars(value)
    return value if isinstance(value, dict) else {}


def _checked(name, value):
    """Value of an argument, if it is one that a network can have."""
    kind = type(_OLD[name])
    if name.endswith("_layers"):
        return parse_layers(value)
    if name == "offset":
        value = int(value) if isinstance(value, str) and value.isdecimal() else value
        right = value == "auto" or is_size(value)
    elif kind is str:
        right = isinstance(value, str) and value in _CHOICES[name]
    elif kind is bool:
        right = isinstance(value, bool)
    elif kind is int:
        right = is_size(value) or (name == "vq_dim" and value == 0)
    else:
        right = isinstance(value, Real) and 0 <= value < math.inf
        value = float(value) if right else value
    if not right:
        raise ValueError(f"its argument {name} is {shown(value)}")
    return value


# --- the network ---------------------------------------------------------------------------------


def _arguments(values, tensors):
    arguments = {
        "encoder_layers": values["conv_feature_layers"],
        "aggregator_layers": values["conv_aggregator_layers"],
        "activation": values["activation"],
        "log_compression": values["log_compression"],
        "skip_encoder": values["skip_connections_feat"],
        "skip_aggregator": values["skip_connections_agg"],
        "residual_scale": values["residual_scale"],
        "aggregator": values["aggregator"],
        "gru_dim": values["gru_dim"],
        # the published code feeds a GRU frames in place of clips: each starts from a zero state
        "gru_recurrent": False,
        "bias": not values["no_conv_bias"],
        "zero_pad": values["agg_zero_pad"],
        "affine": not values["non_affine_group_norm"],
        "n_steps": values["prediction_steps"],
        "offset": values["offset"],
        "quantizer": None,
    }
    if values["vq_type"] != "none":
        arguments["quantizer"] = _quantizer(values, tensors)
    return arguments


def _quantizer(values, tensors):
    kind, dim = values["vq_type"], values["conv_feature_layers"][-1][0]
    n_codes, n_groups = values["vq_vars"], values["vq_groups"]
    if dim % n_groups or values["vq_dim"] not in (0, dim):
        raise ValueError(
            f"{n_groups} groups of width {values['vq_dim'] or dim} in all do not fit the encoder's "
            f"width of {dim}"
        )
    # the published command line says that groups share one table, the published file holds two
    name, length = {"gumbel": ("vars", n_codes), "kmeans": ("embedding", 1)}[kind]
    table = tensors.get(f"vector_quantizer.{name}")
    shared = values["combine_groups"]
    if n_groups > 1 and isinstance(table, torch.Tensor) and table.ndim == 3:
        shared = table.shape[1] == length
    if kind == "gumbel":
        special = {"depth": values["vq_depth"], "activation": values["activation"]}
    else:
        special = {"gamma": values["vq_gamma"]}
    return {"kind": kind, "n_codes": n_codes, "n_groups": n_groups, "shared": shared, **special}


def _weights(arguments, tensors, n_bytes):
    """Weights under our names; ``n_bytes`` is the size of the file."""
    if not all(isinstance(name, str) for name in tensors):
        raise ValueError("a weight in it has no name")
    found, unknown = {}, {*tensors}
    for theirs, ours, shape in layout(arguments):
        found[ours] = theirs, _checked_tensor(theirs, tensors, shape)
        unknown.discard(theirs)
    # a second aggregator, of the targets, is used only in training
    unknown = sorted(name for name in unknown if not name.startswith("project_features."))
    if unknown:
        raise ValueError(f"its arguments do not account for {unknown[0]:.80}")
    if sum(tensor.nbytes for _, tensor in found.values()) > n_bytes:
        raise ValueError("its weights claim to be larger than the file")
    return {ours: _array(*tensor) for ours, tensor in found.items()}


def _checked_tensor(name, tensors, shape):
    tensor = tensors.get(name)
    if tensor is None:
        raise ValueError(f"it lacks {name}")
    # the shape of a tensor that is not contiguous could exceed its numbers in the file
    sound = isinstance(tensor, torch.Tensor) and tensor.is_floating_point()
    if not (sound and tensor.layout == torch.strided and tensor.is_contiguous()):
        raise ValueError(f"{name} is no array of weights")
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} is {tuple(tensor.shape)}, not {shape} as its arguments say")
    return tensor


def _array(name, tensor):
    array = np.array(tensor.detach().float().numpy())  # a copy, independent of the file
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity")
    return array
