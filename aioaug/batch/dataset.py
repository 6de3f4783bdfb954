"""Datasets: an index, and the class of batches that its parts come in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

from .._aio.tasks import in_thread
from ..streams import BatchStream
from .batch import Batch
from .index import DatasetIndex
from .pipeline import Pipeline

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Dataset:
    """Items that go by an index, in batches of one class.

    Args:
        index: a `DatasetIndex` or `FilesIndex`, labels (N,), or a number of items.
        batch_class: `Batch` or a subclass.
        preloaded: what batches take their data from; without it they `load` it.
        copy: have each batch copy its data.
        kwargs: become attributes.

    Raises:
        TypeError: `batch_class` is no class of batches.

    Example::

        dataset = Dataset(len(images), Pictures, preloaded=(images, masks))
        dataset.split(0.8, shuffle=1)
        for batch in dataset.train.gen_batch(16, shuffle=2, n_epochs=3):
            ...
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
        self.index = index if isinstance(index, DatasetIndex) else DatasetIndex(index)
        self.batch_class = batch_class
        self.preloaded = preloaded
        self.copy = copy
        self.train: Self | None = None
        self.test: Self | None = None
        self.validation: Self | None = None
        self._attrs = list(kwargs)
        for name, value in kwargs.items():
            setattr(self, name, value)

    @property
    def indices(self) -> NDArray[Any]:
        """The labels of the items (N,)."""
        return self.index.indices

    @property
    def size(self) -> int:
        """The number of items."""
        return len(self)

    def __len__(self) -> int:
        return len(self.index)

    def get_attrs(self) -> dict[str, Any]:
        """The attributes that were given."""
        return {name: getattr(self, name) for name in self._attrs}

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
        import numpy as np

        subset = index if isinstance(index, DatasetIndex) else self.index.create_subset(index)
        if not np.isin(subset.indices, self.indices).all():
            raise IndexError("the dataset does not have all of these labels")
        own = {"preloaded": self.preloaded, "copy": self.copy, **self.get_attrs()}
        return type(self)(subset, self.batch_class, **own)

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

    def pipeline(self) -> Pipeline:
        """A pipeline over this dataset, without actions so far."""
        return Pipeline(self)

    @property
    def p(self) -> Pipeline:
        """The same as `pipeline()`."""
        return self.pipeline()

    def __rshift__(self, other: Pipeline) -> Pipeline:
        return other << self if isinstance(other, Pipeline) else NotImplemented
