"""Batches with named components: functions applied to their items in parallel, files, pipelines.

The modules, from the ground up:

    values      random numbers, and values worked out for each batch or item
    components  named columns, and the labels of their rows
    index       the labels of a dataset: subsets, splits, order
    workers     the worker processes that all batches share
    calls       a function called item by item, on any target
    applying    from a batch to calls, and from results to a batch
    decorators  the same for methods
    data        the state of a batch
    files, augmenting, batch, pipeline, dataset
"""

from __future__ import annotations

from ..errors import ParallelError
from .batch import Batch
from .dataset import Dataset
from .decorators import action, apply_parallel, inbatch_parallel
from .index import DatasetIndex, FilesIndex
from .pipeline import Pipeline
from .values import B, F, P, R
from .workers import shutdown, shutdown_async

__all__ = [
    "B",
    "Batch",
    "Dataset",
    "DatasetIndex",
    "F",
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
