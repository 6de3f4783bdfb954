"""Named columns of the same rows, single rows of them, and the labels that rows go by."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# What NaN is looked up by: nobody has such a label, and it is equal to itself in any process.
_NAN = (float,)
# What arrays are made of; anything else is an object for itself.
_PLAIN = (int, float, complex, str, bytes, list, tuple, type(None))
# What an error says, besides, about a name that is not known.
LEFT_OUT = "if batchflow has it, it is left out here"


class Labelled:
    """Items that go by the labels of an index, and attributes that were given along with them."""

    index: Any = None
    _attrs: Sequence[str] = ()

    @property
    def indices(self) -> Array:
        """The labels of the items (N,)."""
        return np.asarray(getattr(self.index, "indices", self.index))

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def size(self) -> int:
        """The number of items."""
        return len(self)

    def create_attrs(self, **kwargs: Any) -> None:
        """Set attributes and remember which, in the place of those remembered before."""
        self._attrs = list(kwargs)
        for name, value in kwargs.items():
            setattr(self, name, value)

    def get_attrs(self) -> dict[str, Any]:
        """The attributes that `create_attrs` set, or that were given at first."""
        return {name: getattr(self, name, None) for name in self._attrs}

    def __getattr__(self, name: str) -> Any:
        kind = type(self).__name__
        raise AttributeError(f"{kind!r} object has no attribute {name!r}; {LEFT_OUT}")


class Labels(Labelled):
    """An array of labels (N,), and the position of each; the first one's if they repeat."""

    def __init__(self, index: Any) -> None:
        self._start(labels_of(index))

    def _start(self, labels: Array) -> None:
        if labels.ndim != 1:
            raise TypeError(f"index must be one-dimensional, got shape {labels.shape}")
        self.index = labels
        self._need_keys = labels.dtype.kind in "mMfO"

    def create_subset(self, index: Any) -> Self:
        """The same with some of the labels, which may repeat."""
        subset = copy.copy(self)
        vars(subset).pop("_positions", None)
        subset._start(labels_of(index))
        return subset

    @cached_property
    def _positions(self) -> dict[Any, int]:
        keys = self.index.tolist()
        keys = [self._key(label) for label in keys] if self._need_keys else keys
        return dict(zip(reversed(keys), range(len(keys) - 1, -1, -1), strict=True))

    def _key(self, label: Any) -> Any:
        """What a label is looked up by: NaN equals nothing, and times come in many units."""
        if self.index.dtype.kind in "mM":
            return np.asarray(label).astype(self.index.dtype).item()
        return _NAN if isinstance(label, float | np.floating) and label != label else label

    def get_pos(self, index: Any) -> Any:
        """The position of a label, or those of several or of a slice; `KeyError` if it has none."""
        if isinstance(index, slice):
            return self._between(index)
        labels = str | bytes | tuple | frozenset if self.index.dtype.hasobject else str | bytes
        if isinstance(index, labels) or not np.iterable(index):
            return self._position(index)
        return np.array([self._position(label) for label in index], np.intp)

    def _position(self, label: Any) -> int:
        try:
            return self._positions[self._key(label) if self._need_keys else label]
        except (TypeError, ValueError):
            raise KeyError(label) from None

    def _between(self, bounds: slice) -> Array:
        """As in `range`, from one label up to another; labels that are ints need not exist."""
        if not len(self):
            return np.empty(0, np.intp)
        start, stop, step = bounds.start, bounds.stop, bounds.step
        if self.index.dtype.kind in "iu":
            step = 1 if step is None else step
            low, high = int(self.index.min()), int(self.index.max())
            first, last = (low, high + 1) if step > 0 else (high, low - 1)
            first, last = first if start is None else start, last if stop is None else stop
            numbers: Any = range(first, last, step)
            if abs(last - first) > 2 * len(self):  # there may be very many between two labels
                numbers = sorted(filter(numbers.__contains__, self._positions), reverse=step < 0)
            return np.array([self._positions[n] for n in numbers if n in self._positions], np.intp)
        start, stop = (None if end is None else self._position(end) for end in (start, stop))
        return np.arange(len(self))[start:stop:step]


def labels_of(index: Any) -> Array:
    """Labels (N,) out of an array-like, an index, a number of items, or what returns these."""
    index = index() if callable(index) else index
    if isinstance(index, Labels):
        return index.indices
    return np.atleast_1d(np.arange(index) if isinstance(index, int) else np.asarray(index))


class Components:
    """Named columns of rows that go by labels; without names, it is data to pick rows of."""

    def __init__(self, names: Any, columns: Any, labels: Labels, where: Any = None) -> None:
        # With underscores, since a component may well be called "labels".
        vars(self).update(_names=names, _columns=columns, _labels=labels, _where=where)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        column = self._columns.get(name)
        return column if column is None or self._where is None else rows(column, self._where)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._names:
            raise AttributeError(f"no component {name!r}; there are {', '.join(self._names)}")
        if self._where is None:
            self._columns[name] = value
        elif (column := self._columns.get(name)) is None:
            raise AttributeError(f"component {name!r} holds no data")
        else:
            getattr(column, "iloc", column)[self._where] = value

    def __getitem__(self, label: Any) -> Any:
        if self._where is not None:
            raise TypeError("rows of components have no rows")
        where = None if self._columns is None else self._labels.get_pos(label)
        if self._names is None:
            return rows_of(self._columns, where)
        return Components(self._names, self._columns, self._labels, where)

    def __len__(self) -> int:
        return len(self._labels) if self._where is None else np.size(self._where)

    def __repr__(self) -> str:
        return f"Components({', '.join(self._names or ())}; {len(self)} rows)"

    def as_dict(self, names: str | Iterable[str] | None = None) -> dict[str, Any]:
        """Columns, or what some rows have of them, by name, all or some."""
        return {name: getattr(self, name) for name in named(names, self._names)}

    def as_tuple(self, names: str | Iterable[str] | None = None) -> tuple[Any, ...]:
        """The same in order, without the names."""
        return tuple(self.as_dict(names).values())


def named(names: str | Iterable[str] | None, default: tuple[str, ...]) -> tuple[str, ...]:
    """Names as a tuple; a lone one stands for itself, `None` for the default."""
    if names is None:
        return default
    return (names,) if isinstance(names, str) else tuple(names)


def rows(column: Any, where: Any) -> Any:
    """The row at a position, or the rows at some positions."""
    if hasattr(column, "iloc"):
        return column.iloc[where]
    if isinstance(column, list | tuple) and hasattr(where, "__len__"):
        return type(column)(column[position] for position in where)
    return column[where]


def items_of(batch: Any, src: Any) -> Iterator[Any]:
    """The items of a component, of several beside each other, or of `src` itself."""
    if isinstance(src, tuple):
        return zip(*(items_of(batch, each) for each in src), strict=True)
    if src is None:
        return iter(batch)
    if isinstance(src, str):
        name, src = src, batch.get(component=src)
        if src is None:
            raise ValueError(f"component {name!r} holds no data")
    if hasattr(src, "iloc"):
        return (rows(src, position) for position in range(len(src)))
    return iter(src)


def rows_of(data: Any, where: Any, pick: Callable[[Any, Any], Any] = rows) -> Any:
    """The rows of each column of `data`, where it is not `None`; it may be the only one."""
    if isinstance(data, list | tuple):
        return type(data)(None if column is None else pick(column, where) for column in data)
    if isinstance(data, dict):
        return {n: None if column is None else pick(column, where) for n, column in data.items()}
    return None if data is None else pick(data, where)


def crop(source: Any, labels: Any) -> Any:
    """The rows of a column that go by labels; those of a series or a dict become an array."""
    if hasattr(source, "loc"):
        found = source.loc[labels]
        return found.to_numpy() if hasattr(found, "to_frame") else found
    if isinstance(source, dict):
        return stack([source[label] for label in labels.tolist()])
    return rows(source, labels)


def columns_of(source: Any, names: tuple[str, ...] | None, labels: Labels | None = None) -> Any:
    """Columns by name, or all that a source holds, and with labels the rows that go by these."""
    where = None if labels is None else labels.indices
    pick: Callable[[Any, Any], Any] = crop
    if isinstance(source, Components):
        found = source._columns if names is None else source.as_dict(names)
        where = where if labels is None else source._labels.get_pos(where)
        pick = rows
    elif names is None:
        found = source
    elif isinstance(source, list | tuple):
        if len(source) > len(names):
            raise ValueError(f"{len(source)} columns for {len(names)} components: {names}")
        found = dict(zip(names, source, strict=False))
    elif isinstance(source, dict) or hasattr(source, "iloc"):
        found = {name: source[name] for name in names if name in source}
    else:
        raise TypeError(
            f"components {names} need a tuple, a dict or a data frame of columns, got "
            f"{type(source).__name__}; for one component pass its name: dst={names[0]!r}"
        )
    return found if labels is None else rows_of(found, where, pick)


def joined(parts: Sequence[Any]) -> Any:
    """One column out of parts of it, lists or arrays; with rows of several shapes, of objects."""
    if isinstance(parts[0], list) or len({part.shape[1:] for part in parts}) > 1:
        values = [value for part in parts for value in part]
        return values if isinstance(parts[0], list) else stack(values)
    return np.concatenate(parts)


def stack(values: Sequence[Any]) -> Any:
    """Values of one shape as one array, any others as an array of objects (N,)."""
    if values and all(isinstance(each, _PLAIN) or hasattr(each, "__array__") for each in values):
        with suppress(ValueError):  # their shapes differ, or one is ragged in itself
            return np.stack([np.asarray(each) for each in values])
    return np.fromiter(values, object)
