"""The batch, whole: all of its parts, and what makes other batches and datasets of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

from .._base.arguments import whole_or_none
from .augmenting import Augmenting
from .components import Components, LabelledRows, named
from .core import Core
from .files import Filing
from .index import DatasetIndex


class Batch(Augmenting, Filing):
    """Some items of a dataset, known by labels, with named components.

    A subclass names its `components`, a tuple; then `batch.images` is the whole column,
    `batch[label].images` a row of it, and both may be assigned to. Without components, `data` is
    what was loaded. Data is loaded from `preloaded` when it is first asked for: the rows that go
    by the labels of the index, of which an array's are its positions.

    A method that works in parallel is called for each item, see `apply_parallel`. From inside of
    another one call it as `_name_`, for one item. Each such method, and each that reads or writes
    files, blocks, and has a twin to be awaited, `name_async`.

    Args:
        index: the labels, an array-like (N,) or a `DatasetIndex`.
        dataset: where the batch is from.
        pipeline: what the batch is in.
        preloaded: where its data is taken from.
        copy: copy what is taken.
        kwargs: become attributes.

    Raises:
        TypeError: `components` is no tuple, or the index is not one-dimensional.
        ValueError: a component has the name of an attribute.

    Example::

        class Pictures(Batch):
            components = "images", "masks"

            @apply_parallel(src="images")
            def invert(self, image):
                return 255 - image

        batch = Pictures([2, 3], preloaded=(images, masks))
        batch.invert().apply_parallel(count, src="masks", dst="counts", target="mpc")
    """

    @classmethod
    def from_data(cls, index: Any = None, data: Any = None) -> Self:
        """A batch of this data; without an index, its items are numbered.

        A data frame's items keep their labels. With components, and in a tuple or a dict, data
        is of columns, and the number of items is that of the first one's rows.
        """
        import numpy as np

        if index is None and hasattr(data, "iloc"):
            index = data.index.to_numpy()
        elif index is None:
            index = np.arange(_count(data, cls.components is not None))
        return cls(index, preloaded=data)

    @classmethod
    def merge(
        cls,
        batches: Iterable[Batch],
        batch_size: int | None = None,
        components: str | Sequence[str] | None = None,
        batch_class: type[Batch] | None = None,
    ) -> tuple[Any, Any]:
        """One batch of `batch_size` items, and one of the rest; their items are numbered anew.

        Args:
            batches: any iterable of batches, whose order is kept.
            batch_size: `None` is all items. There is no rest then, nor if all items fit: `None`.
            components: which; by default those of the first batch.
            batch_class: the class of the new ones; by default this one.

        Raises:
            ValueError: there are no batches, or a component is `None` in some, but not in all.
            TypeError: a component is of a kind that `merge_component` does not merge.
        """
        return merge(cls, batches, batch_size, components, batch_class)

    @classmethod
    def merge_component(cls, component: str | None = None, data: Any = None) -> Any:
        """One column out of the columns of several batches; to be overridden for other kinds.

        Raises `TypeError` unless they are arrays.
        """
        import numpy as np

        if not data or not all(isinstance(column, np.ndarray) for column in data):
            kinds = ", ".join({type(column).__name__ for column in data or ()})
            raise TypeError(f"component {component!r} cannot be merged: unknown data type {kinds}")
        return np.concatenate(data)

    def as_dataset(self, dataset: Any = None, copy: bool = False) -> Any:
        """A dataset of this batch's items and data, with batches of the same class.

        Args:
            dataset: a class of datasets, or a dataset, whose attributes go along; by default
                the batch's own.
            copy: have each batch of it copy its data.

        Raises:
            ValueError: the batch has no dataset, and none was given.
        """
        dataset = self._dataset if dataset is None else dataset
        if dataset is None:
            raise ValueError("dataset must be a class of datasets or a dataset, not None")
        kind, attrs = (dataset, {}) if isinstance(dataset, type) else (None, dataset.get_attrs())
        data = self.data
        if data is not None and not isinstance(data, Components):
            data = LabelledRows(data, self._labels)
        index = self.index if isinstance(self.index, DatasetIndex) else DatasetIndex(self.index)
        return (kind or type(dataset))(
            index, batch_class=type(self), preloaded=data, **(attrs | {"copy": copy})
        )


def _count(data: Any, has_components: bool) -> int:
    if isinstance(data, dict):
        data = next(iter(data.values()), ())
    elif isinstance(data, tuple) or (isinstance(data, list) and has_components):
        data = next((column for column in data if column is not None), ())
    return len(data)


def merge(
    cls: Any,
    batches: Iterable[Any],
    batch_size: int | None,
    components: str | Sequence[str] | None,
    batch_class: Any,
) -> tuple[Any, Any]:
    """The first `batch_size` items of all batches, and the rest of them; `None` for no items."""
    batches = list(batches)
    whole_or_none("batch_size", batch_size, low=1)
    for batch in batches:
        if not isinstance(batch, Core):
            raise TypeError(f"batches must be batches, got {type(batch).__name__}")
    if not batches:
        raise ValueError("batches must not be empty")
    names = batches[0].components if components is None else named(components, ())
    kind = cls if batch_class is None else batch_class
    columns = {name: _column(batches, name) for name in names or (None,)}
    sizes = [len(batch) for batch in batches]
    limit = sum(sizes) if batch_size is None else min(batch_size, sum(sizes))
    parts: list[Any] = []
    for start, end in ((0, limit), (limit, sum(sizes))):
        if start == end:
            parts.append(None)
            continue
        data = {
            name: None
            if column is None
            else cls.merge_component(name, _part(column, sizes, start, end))
            for name, column in columns.items()
        }
        parts.append(_new(kind, end - start, names, data))
    return parts[0], parts[1]


def _column(batches: Sequence[Any], name: str | None) -> list[Any] | None:
    column = [batch.get(component=name) for batch in batches]
    empty = [each is None for each in column]
    if any(empty) and not all(empty):
        raise ValueError(f"component {name!r} is None in some batches")
    return None if all(empty) else column


def _part(column: list[Any], sizes: Sequence[int], start: int, end: int) -> list[Any]:
    """What lies between two places, counted over all batches."""
    part, first = [], 0
    for data, size in zip(column, sizes, strict=True):
        low, high = max(start - first, 0), min(end - first, size)
        if low < high:
            part.append(data[low:high] if high - low < size else data)
        first += size
    return part


def _new(kind: Any, size: int, names: Sequence[str] | None, data: dict[Any, Any]) -> Any:
    batch = kind(DatasetIndex(size))
    if names is None:
        batch.data_setter = data[None]
    else:
        batch.components = tuple(names)
        batch.data_setter = data
    return batch
