"""The batches of datasets for trainers on other machines: each by its epoch and index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._base.seeding import SEED_LIMIT, batch_seeds
from ..data.batches import DatasetBatches
from .pictures import Encoding
from .pipelines import FeedTask
from .problems import RequestRefused
from .requests import encoding_of, number_of


@dataclass(frozen=True)
class DatasetFeed:
    """A dataset that an app gives out, and the pipeline that augments it.

    Batch `index` of epoch `epoch` has the bytes that a pool with the app's seed makes of it, on any
    server: `AsyncPool(augmenter, seed=seed).imap_batches(batches)`. So the batches must have a seed
    of their own where they are shuffled, and be the same on all servers.

    Args:
        batches: as `dataset.batches(...)` makes them.
        pipeline: one of the app's.

    Raises:
        TypeError: `batches` are no `DatasetBatches`.
    """

    batches: DatasetBatches
    pipeline: str

    def __post_init__(self) -> None:
        if not isinstance(self.batches, DatasetBatches):
            raise TypeError(
                "batches must be those of a dataset, as dataset.batches(...) makes them, got "
                f"{type(self.batches).__name__}"
            )

    def about(self, seed: int) -> dict[str, Any]:
        """What a client has to know to ask for all batches; the first call may read sizes."""
        return {
            "per_epoch": self.batches.per_epoch,
            "epochs": self.batches.epochs,
            "batch_size": self.batches.batch_size,
            "seed": seed,
            "order": self.batches.seed,
        }

    def task(self, query: Mapping[str, str], seed: int) -> FeedTask:
        """The task that a query asks for; `RequestRefused` 404 if there is no such batch."""
        epoch = number_of(query, "epoch", 0, most=SEED_LIMIT)
        index = number_of(query, "index", 0, most=SEED_LIMIT)
        if index >= self.batches.per_epoch or epoch >= (self.batches.epochs or epoch + 1):
            raise RequestRefused(404, f"there is no batch {index} in epoch {epoch}")
        encoding: Encoding | None = None
        if query.get("format", "npy") != "npy":
            encoding = encoding_of(query)
        number = epoch * self.batches.per_epoch + index
        rank, ranks = self.batches.shard
        about = {"epoch": epoch, "index": index, "number": number, "seed": seed}
        about["order"] = self.batches.seed
        seeds = batch_seeds(seed, number * ranks + rank)
        return FeedTask(self.pipeline, seeds, self.batches[number], encoding, about)
