"""Batches with named components: functions applied to their items in parallel, files, pipelines.

ground        rng  expressions  labels  components  errors  calls
in parallel   workers  targets  driving  inbatch  decorators
a batch       chance  core  draws  apply  epochs  index  itemfiles  tables  files  augmenting
whole         merging  batch  actions  pipeline  dataset
"""

from __future__ import annotations

from ..errors import ParallelError
from .batch import Batch
from .dataset import Dataset
from .decorators import action, apply_parallel, inbatch_parallel
from .expressions import B, P, R
from .index import DatasetIndex, FilesIndex
from .pipeline import Pipeline
from .workers import shutdown, shutdown_async

__all__ = [
    "B",
    "Batch",
    "Dataset",
    "DatasetIndex",
    "FilesIndex",
    "P",
    "ParallelError",
    "Pipeline",
    "R",
    "action",
    "apply_parallel",
    "inbatch_parallel",
    "shutdown",
    "shutdown_async",
]
