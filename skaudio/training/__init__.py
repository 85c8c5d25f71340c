"""Training of networks: the contract of a task, and the loop behind it.

Whoever trains a network of their own writes a `Task`, which turns a `CropBatch` into an `Outcome`,
and an estimator with `TrainingMixin`; for classes there are `Classification` and
`ClassificationMixin`, for many small tasks at once `ManyTeachers`.
"""

from ._estimator import TrainingMixin
from ._task import CropBatch, Outcome, Task
from .classification import Classification, ClassificationMixin
from .teachers import ManyTeachers

__all__ = [
    "Classification",
    "ClassificationMixin",
    "CropBatch",
    "ManyTeachers",
    "Outcome",
    "Task",
    "TrainingMixin",
]
