"""Readers of public checkpoint formats: file -> network arguments and weights, as numpy arrays."""

from .fairseq import KNOWN, Checkpoint, Release, fetch_checkpoint, parse_layers, read_checkpoint
from .pase import PASECheckpoint, read_pase
from .sincnet import SincNetCheckpoint, read_sincnet

__all__ = [
    "KNOWN",
    "Checkpoint",
    "PASECheckpoint",
    "Release",
    "SincNetCheckpoint",
    "fetch_checkpoint",
    "parse_layers",
    "read_checkpoint",
    "read_pase",
    "read_sincnet",
]
