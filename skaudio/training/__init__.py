"""Training of networks: the contract of a task, and the loop behind it.

Whoever trains a network of their own writes a `Task`, which turns a `CropBatch` into an `Outcome`.
"""

from ._task import CropBatch, Outcome, Task

__all__ = ["CropBatch", "Outcome", "Task"]
