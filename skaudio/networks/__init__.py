"""Stage 4: the architectures, torch only. Modules ``(x, lengths) -> [(x_l, lengths_l), ...]``."""

from ._network import Network
from .layers import Map

__all__ = ["Map", "Network"]
