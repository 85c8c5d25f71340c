"""Readers of public checkpoint formats: file -> network arguments and weights, as numpy arrays."""

from .fairseq import KNOWN, Checkpoint, Release, fetch_checkpoint, parse_layers, read_checkpoint
from .sincnet import SincNetCheckpoint, read_sincnet

__all__ = [
    "KNOWN",
    "Checkpoint",
    "Release",
    "SincNetCheckpoint",
    "fetch_checkpoint",
    "parse_layers",
    "read_checkpoint",
    "read_sincnet",
]
