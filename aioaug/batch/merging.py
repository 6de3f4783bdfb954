"""Several batches as one, and what is left over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..arguments import whole_or_none
from .components import named
from .core import Core
from .index import DatasetIndex


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
