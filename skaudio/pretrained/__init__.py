"""Readers of public checkpoint formats: file -> network arguments and weights, as numpy arrays."""

from .fairseq import KNOWN, Checkpoint, Release, fetch_checkpoint, parse_layers, read_checkpoint

__all__ = [
    "KNOWN",
    "Checkpoint",
    "Release",
    "fetch_checkpoint",
    "parse_layers",
    "read_checkpoint",
]
