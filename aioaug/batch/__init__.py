"""Batches with named components: functions applied to their items in parallel, files, pipelines.

    expressions values that are worked out for each batch or item
    components  named columns, and the labels of their rows
    index       the labels of a dataset: subsets, splits, order
    calls       a function called item by item, on any target, with random numbers for each item
    applying    from a batch to calls, and from results to a batch, blocking or awaited
    decorators  the same for methods; which of them are actions of pipelines
    data        the state of a batch
    files, augmenting, batch, pipeline, dataset

A parallel call goes through `batch`, `applying` and `calls`, with "mpc" on to `engines.shared`.
"""

from __future__ import annotations

from ..engines.shared import shutdown, shutdown_async
from ..errors import ParallelError
from .batch import Batch
from .dataset import Dataset
from .decorators import action, apply_parallel, inbatch_parallel
from .expressions import PP, B, C, D, F, I, L, P, R, V
from .index import DatasetIndex, FilesIndex
from .pipeline import Pipeline

__all__ = [  # noqa: RUF022 - it would have PP first
    "B",
    "Batch",
    "C",
    "D",
    "Dataset",
    "DatasetIndex",
    "F",
    "FilesIndex",
    "I",
    "L",
    "P",
    "PP",
    "ParallelError",
    "Pipeline",
    "R",
    "V",
    "action",
    "apply_parallel",
    "inbatch_parallel",
    "shutdown",
    "shutdown_async",
]
