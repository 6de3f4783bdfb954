"""Datasets: an index, and the class of batches that its parts come in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from .._aio.tasks import in_thread
from .._base.arguments import one_of, whole
from ..streams import BatchStream
from .batch import Batch
from .components import Labelled
from .index import DatasetIndex
from .pipeline import Pipeline


class Dataset(Labelled):
    """Items that go by an index, in batches of one class.

    `index` is a `DatasetIndex` or `FilesIndex`, labels (N,), or a number of items. Batches take
    their data from `preloaded`, with `copy` as a copy; without it they `load` it. Other arguments
    by name become attributes. Raises `TypeError` if `batch_class` is no class of batches.
    """

    def __init__(
        self,
        index: Any,
        batch_class: type[Batch] = Batch,
        *args: Any,
        preloaded: Any = None,
        copy: bool = False,
        **kwargs: Any,
    ) -> None:
        if not isinstance(batch_class, type) or not issubclass(batch_class, Batch):
            raise TypeError(f"batch_class must be a subclass of Batch, got {batch_class!r}")
        self.index: DatasetIndex = self.build_index(index)
        self.batch_class = batch_class
        self.preloaded = preloaded
        self.copy = copy
        self.train: Self | None = None
        self.test: Self | None = None
        self.validation: Self | None = None
        self._folds: list[Any] = []
        self.create_attrs(**kwargs)

    def __getattr__(self, name: str) -> Any:
        if name[:2] == "cv" and name[2:].isdigit():
            return self.cv(int(name[2:]))
        return super().__getattr__(name)

    @classmethod
    def from_dataset(
        cls, dataset: Dataset, index: Any, batch_class: type[Batch] | None = None, **kwargs: Any
    ) -> Self:
        """A dataset with the data and the attributes of another one, and an index of its own."""
        own = {"preloaded": dataset.preloaded, "copy": dataset.copy, **dataset.get_attrs()}
        return cls(index, batch_class or dataset.batch_class, **own | kwargs)

    @staticmethod
    def build_index(index: Any) -> DatasetIndex:
        """The `DatasetIndex` of labels or of a number of items; one passes as it is."""
        return index if isinstance(index, DatasetIndex) else DatasetIndex(index)

    @property
    def is_split(self) -> bool:
        """Whether `split` was called."""
        return self.index.is_split

    def split(self, shares: float | Sequence[float] = 0.8, shuffle: Any = False) -> None:
        """Set `train`, `test` and `validation` to datasets of parts; see `DatasetIndex.split`."""
        self.index.split(shares, shuffle)
        for name in ("train", "test", "validation"):
            index = getattr(self.index, name)
            setattr(self, name, None if index is None else self.create_subset(index))

    def create_subset(self, index: Any) -> Self:
        """A dataset of some of the labels; `IndexError` if it does not have them all."""
        subset = index if isinstance(index, DatasetIndex) else self.index.create_subset(index)
        if not np.isin(subset.indices, self.indices).all():
            raise IndexError("the dataset does not have all of these labels")
        return self.from_dataset(self, subset)

    def cv_split(self, method: str = "kfold", n_splits: int = 5, shuffle: Any = False) -> None:
        """Make datasets for cross-validation: `cv0`, `cv1` and so on, each `n_splits`-th a test.

        Each has its `train` and `test`, which are also `train.cv0` and `test.cv0`; `cv(0)` is
        `cv0`. `shuffle` is that of `split`, and `method` is "kfold".
        """
        one_of("method", method, ("kfold",))
        order = self.indices[self.index.shuffle(shuffle)]
        parts = np.array_split(order, whole("n_splits", n_splits, low=2, high=len(self)))
        self._folds = [self.create_subset(self.index) for _ in parts]
        for number, fold in enumerate(self._folds):
            others = np.concatenate(parts[:number] + parts[number + 1 :])
            fold.train, fold.test = self.create_subset(others), self.create_subset(parts[number])
        for name in ("train", "test"):
            setattr(self, name, self.create_subset(self.index))
            getattr(self, name)._folds = [getattr(fold, name) for fold in self._folds]

    @property
    def n_splits(self) -> int | None:
        """How many folds `cv_split` has made, if it was called."""
        return len(self._folds) or None

    def cv(self, number: int) -> Self:
        """The fold of this number, from 0; `AttributeError` if there is none."""
        if number not in range(len(self._folds)):
            raise AttributeError(f"there is no fold {number}: cv_split makes as many as n_splits")
        found: Self = self._folds[number]
        return found

    def create_batch(self, index: Any, pos: bool = False, **kwargs: Any) -> Batch:
        """A batch of some labels, or of the items at some positions; kwargs are its attributes."""
        if not isinstance(index, DatasetIndex):
            index = self.index.create_subset(self.index.subset_by_pos(index) if pos else index)
        own = {"dataset": self, "preloaded": self.preloaded, "copy": self.copy}
        return self.batch_class(index, **own, **kwargs)

    def next_batch(self, batch_size: int, *args: Any, **kwargs: Any) -> Batch:
        """The next batch; see `DatasetIndex.next_batch`. Its data is loaded when it is used."""
        return self.create_batch(self.index.next_batch(batch_size, *args, **kwargs))

    async def next_batch_async(self, batch_size: int, *args: Any, **kwargs: Any) -> Batch:
        """`next_batch`, its data loaded in a thread; `StopAsyncIteration` after the last one."""
        try:
            batch = self.next_batch(batch_size, *args, **kwargs)
        except StopIteration as end:
            raise StopAsyncIteration(*end.args) from None
        await in_thread(lambda: batch.data)
        return batch

    def gen_batch(self, batch_size: int, *args: Any, **kwargs: Any) -> Iterator[Batch]:
        """All batches from the start, as of `DatasetIndex.gen_batch`; without a limit no end."""
        return map(self.create_batch, self.index.gen_batch(batch_size, *args, **kwargs))

    def gen_batch_async(self, batch_size: int, *args: Any, **kwargs: Any) -> BatchStream:
        """`Pipeline.gen_batch_async` without actions: batches, their data loaded in threads."""
        return self.pipeline().gen_batch_async(batch_size, *args, **kwargs)

    def reset(self, what: str = "iter") -> None:
        """Have `next_batch` start again."""
        self.index.reset(what)

    def pipeline(self, config: Mapping[str, Any] | None = None) -> Pipeline:
        """A pipeline over this dataset, without actions so far; `config` is for `C`."""
        return Pipeline(self, config)

    @property
    def p(self) -> Pipeline:
        """The same as `pipeline()`."""
        return self.pipeline()

    def __rshift__(self, other: Pipeline) -> Pipeline:
        return other << self if isinstance(other, Pipeline) else NotImplemented
