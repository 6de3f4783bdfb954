"""The state of a batch: its index, its data, and the random numbers it draws."""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

import numpy as np

from .._base.arguments import whole_or_none
from .._base.optional import need
from ..errors import ParallelError
from .calls import BatchRandom, DataNotSent
from .components import Components, Labelled, Labels, columns_of, joined, named, rows_of, stack
from .decorators import action, finish_class
from .index import DatasetIndex


class BatchData(Labelled):
    """Named columns of the same items, known by the labels of an index."""

    components: tuple[str, ...] | None = None
    pipeline: Any = None
    iteration: int | None = None
    iterations: int | None = None
    # As subclasses are written: {**Batch.apply_defaults, "src": "images"}.
    apply_defaults: dict[str, Any] = {"target": "threads", "post": "_assemble"}  # noqa: RUF012

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        finish_class(cls)

    def __init__(
        self,
        index: Any,
        dataset: Any = None,
        pipeline: Any = None,
        preloaded: Any = None,
        copy: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if not isinstance(self.components, tuple | None):
            raise TypeError(f"components must be a tuple of names, got {self.components!r}")
        for name in self.components or ():
            if hasattr(type(self), name):
                raise ValueError(f"component {name!r} has the name of an attribute")
        if isinstance(preloaded, Components):
            self.components = preloaded._names  # of a batch that may have added some
        self.index = index if isinstance(index, Labels) else Labels(index)
        self.pipeline = pipeline
        self._dataset = dataset
        self._copy = copy
        self._lock = threading.RLock()
        self._preloaded = preloaded
        self._pending = preloaded is not None
        self._data = Components(self.components, {} if self.components else None, self.index)
        self._random = BatchRandom()
        self.create_attrs(**kwargs)

    @property
    def dataset(self) -> Any:
        """The dataset that the batch is of, by its pipeline or by itself."""
        return self._dataset if self.pipeline is None else self.pipeline.dataset

    @property
    def random_seed(self) -> np.random.SeedSequence:
        """The seed of all random numbers; set it with an int, a `SeedSequence` or a generator."""
        return self._random.seed

    @random_seed.setter
    def random_seed(self, value: Any) -> None:
        self._random = BatchRandom(value)

    @property
    def random(self) -> np.random.Generator:
        """The generator to draw from; while a function works on an item, one of the item's own."""
        return self._random.generator

    @property
    def data(self) -> Any:
        """The components, or without components the data itself; loaded when first asked for."""
        self._load_pending()
        return self._data if self._data._names is not None else self._data._columns

    @property
    def data_setter(self) -> Any:
        """The same as `data`, but it may be assigned to: data, or a tuple of columns."""
        return self.data

    @data_setter.setter
    def data_setter(self, value: Any) -> None:
        self._pending = False
        self._put(value)

    def _load_pending(self) -> None:
        if not self._pending:
            return
        with self._lock:  # one thread loads, the others wait for it
            if self._pending and self._preloaded is not None:
                if self._preloaded is DataNotSent:
                    raise DataNotSent
                preloaded, self._preloaded = self._preloaded, None
                try:
                    self.load(src=preloaded)
                except BaseException:
                    self._preloaded = preloaded
                    raise
                self._pending = False

    def _take(self, src: Any, dst: Any) -> None:
        """Put the rows of `src` that go by this batch's labels into components, all or some."""
        if dst is None:
            self._put(src, self.index)
            return
        self._load_pending()
        names = named(dst, ())
        source = {dst: src} if isinstance(dst, str) else src
        self._fill(self._columns(source, names, self.index), names)

    def _put(self, source: Any, labels: Labels | None = None) -> None:
        """Make `source` the data, or the rows of it that go by labels."""
        names = self.components
        source = {} if source is None and names is not None else source
        self._data = Components(names, self._columns(source, names, labels), self.index)

    def _columns(self, *source: Any) -> Any:
        found = columns_of(*source)
        return copy.deepcopy(found) if self._copy else found

    def _fill(
        self, columns: dict[str, Any], names: Iterable[str] | None = None, src: Any = "the source"
    ) -> None:
        """Set components of these names, those that are new after those that are there."""
        names = list(columns if names is None else names)
        if missing := [name for name in names if name not in columns]:
            raise KeyError(f"{src} has no component {', '.join(map(repr, missing))}")
        self.add_components([name for name in names if name not in (self.components or ())])
        for name in names:
            setattr(self, name, columns[name])

    def _leave_out(self, failed: dict[int, Exception]) -> None:
        """Lose the items that failed; what stands in their rows is not theirs."""
        if len(failed) == len(self):
            raise ParallelError("All items failed", failed) from failed[0]
        why = f"{len(failed)} of {len(self)} items are left out, the first: {failed[min(failed)]!r}"
        warnings.warn(why, RuntimeWarning, stacklevel=2)
        where = [n for n in range(len(self)) if n not in failed]
        kept = rows_of(self._data._columns, where)
        self.index = self.index.create_subset(self.indices[where])
        self.data_setter = kept

    @action
    def add_components(self, components: str | Sequence[str], init: Any = None) -> Self:
        """Add components to this batch, with their columns, or `None` for each.

        `init` is a column for a lone name, and a sequence of columns for several names. A batch
        whose data had no names loses that data, with a warning. Raises `ValueError` if a component
        or an attribute has the name already, or there is not one column for each name.
        """
        names, columns = named(components, ()), [init]
        if not isinstance(components, str):
            columns = [None] * len(names) if init is None else list(init)
        if len(columns) != len(names):
            raise ValueError(f"init has {len(columns)} columns for {len(names)} components")
        own = self.components or ()
        for name in names:
            taken = name in own or names.count(name) > 1 or name in vars(self)
            if taken or hasattr(type(self), name):
                raise ValueError(f"a component or an attribute {name!r} exists already")
        if not names:
            return self
        self._load_pending()
        kept = self._data._columns
        if self.components is None and kept is not None:
            warnings.warn("All batch data is erased: it had no names", stacklevel=2)
        found = ({} if self.components is None else kept) | dict(zip(names, columns, strict=True))
        self.components = own + names
        self._data = Components(self.components, found, self.index)
        return self

    def __getattr__(self, name: str) -> Any:
        # Not `self.components`: while a batch is unpickled it has nothing yet.
        components = vars(self).get("components", type(self).components)
        if components is not None and name in components:
            return getattr(self.data, name, None)
        return super().__getattr__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        components = self.components
        if isinstance(components, tuple) and name in components:
            self._load_pending()
            setattr(self._data, name, value)
        else:
            object.__setattr__(self, name, value)

    def get(self, item: Any = None, component: str | None = None) -> Any:
        """All data, an item, a component, or a component of an item."""
        if item is None:
            return self.data if component is None else getattr(self, component)
        return self[item] if component is None else getattr(self[item], component, None)

    def __getitem__(self, item: Any) -> Any:
        self._load_pending()
        return self._data[item]

    def __iter__(self) -> Iterator[Any]:
        return (self[label] for label in self.indices)

    @property
    def items(self) -> list[list[Any]]:
        """Every item in a list of its own, in the order of the index."""
        return [[item] for item in self]

    @property
    def array_of_nones(self) -> np.ndarray[Any, Any]:
        """An array of `None` for every item (N,)."""
        return np.full(len(self), None)

    def _twin(self, changes: dict[str, Any]) -> Self:
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self) | changes | {"_lock": threading.RLock()})
        return twin

    def without_data(self) -> Self:
        """A twin to be sent to a worker, where whoever asks for its data gets `DataNotSent`."""
        return self._twin({"_data": None, "_preloaded": DataNotSent, "_pending": False})

    def __getstate__(self) -> dict[str, Any]:
        self._load_pending()  # of all that was preloaded, only this batch's part should travel
        return vars(self) | {"_lock": None, "_dataset": None, "pipeline": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        pending = state["_pending"] or state["_preloaded"] is DataNotSent
        vars(self).update(state | {"_pending": pending, "_lock": threading.RLock()})

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        own = copy.deepcopy(self.__getstate__(), memo)
        return self._twin(own | {"_dataset": self._dataset, "pipeline": self.pipeline})

    def deepcopy(self) -> Self:
        """As `copy.copy`: all but the dataset and the pipeline; it draws the same numbers."""
        return copy.deepcopy(self)

    __copy__ = deepcopy

    @classmethod
    def from_data(cls, index: Any = None, data: Any = None) -> Self:
        """A batch of this data; without an index, its items are numbered.

        Labels that are no ints are those of the rows in order; a data frame has its own. A tuple,
        a dict and, with components, a list are of columns; without, a list is of items.
        """
        if isinstance(data, list) and cls.components is None:
            data = stack(data)
        columns: Any = data if isinstance(data, tuple | list) else [data]
        columns = data.values() if isinstance(data, dict) else columns
        column = next((column for column in columns if column is not None), ())
        if index is None:
            index = data.index.to_numpy() if hasattr(data, "iloc") else np.arange(len(column))
        batch = cls(index)
        if batch.indices.dtype.kind in "iu" or hasattr(data, "iloc"):
            return cls(index, preloaded=data)
        if len(column) != len(batch):
            raise ValueError(f"index has {len(batch)} labels for {len(column)} rows of data")
        batch.data_setter = data
        return batch

    @classmethod
    def merge(
        cls,
        batches: Iterable[BatchData],
        batch_size: int | None = None,
        components: str | Sequence[str] | None = None,
        batch_class: type[BatchData] | None = None,
    ) -> tuple[Any, Any]:
        """One batch of `batch_size` items, by default all, and one of the rest, or `None`.

        The order of the batches, any iterable, is kept, and their items are numbered anew.
        `components` are by default those of the first batch, and `batch_class` is this one.

        Raises `ValueError` if there are no batches, or a component is `None` in some, but not in
        all, and `TypeError` if `merge_component` cannot merge one.
        """
        batches = list(batches)
        whole_or_none("batch_size", batch_size, low=1)
        for batch in batches:
            if not isinstance(batch, BatchData):
                raise TypeError(f"batches must be batches, got {type(batch).__name__}")
        if not batches:
            raise ValueError("batches must not be empty")
        columns: dict[Any, Any] = {}
        names = batches[0].components if components is None else named(components, ())
        for name in names or (None,):
            found = [batch.get(component=name) for batch in batches]
            absent = [column is None for column in found]
            if any(absent) and not all(absent):
                raise ValueError(f"component {name!r} is None in some batches")
            columns[name] = None if all(absent) else cls.merge_component(name, found)
        size = sum(map(len, batches))
        limit = size if batch_size is None else min(batch_size, size)

        def of_rows(start: int, stop: int) -> Any:
            if start == stop:
                return None
            batch = (batch_class or cls)(DatasetIndex(stop - start))
            if None not in columns:
                batch.components = tuple(columns)
            found = rows_of(columns, slice(start, stop))
            batch.data_setter = found.get(None, found)
            return batch

        return of_rows(0, limit), of_rows(limit, size)

    @classmethod
    def merge_component(cls, component: str | None = None, data: Any = None) -> Any:
        """One column out of several: arrays, lists or data frames; to be overridden for others."""
        for kind in (np.ndarray, list):
            if data and all(isinstance(column, kind) for column in data):
                return joined(data)
        if data and all(hasattr(column, "iloc") for column in data):
            return need("pandas", extra="dataframe").concat(data)
        kinds = ", ".join({type(column).__name__ for column in data or ()})
        raise TypeError(f"component {component!r} cannot be merged: unknown data type {kinds}")
