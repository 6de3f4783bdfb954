"""The batch, whole: what can be done with its data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from . import augmenting, decorators, files
from .applying import Steps, apply_steps, raise_failures, with_twin
from .components import named, stack
from .data import BatchData
from .decorators import action


class Batch(BatchData):
    """Some items of a dataset, known by labels, with named components.

    A subclass names its `components`, a tuple; then `batch.images` is the whole column,
    `batch[label].images` a row of it, and both may be assigned to. Without components, `data` is
    what was loaded. Data is loaded from `preloaded` when it is first asked for, with `copy` as a
    copy: the rows that go by the labels of the index, of which an array's are its positions. The
    index is a `DatasetIndex` or labels (N,). Other arguments by name become attributes.

    A method that works in parallel is called for each item, see `apply_parallel`, and as `_name_`
    for one item. Each such method, and each that reads or writes files, blocks, and has a twin to
    be awaited, `name_async`.

    Raises `TypeError` if `components` is no tuple or the index is not one-dimensional, and
    `ValueError` if a component has the name of an attribute.
    """

    # Which components are which columns of imgaug's batches.
    augmented_as: Mapping[str, str] = augmenting.AUGMENTED_AS

    @action
    @with_twin
    def apply_parallel(
        self,
        func: Callable[..., Any],
        init: Any = None,
        post: Any = None,
        src: Any = None,
        dst: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Steps:
        """Call `func(item, *args, **kwargs)` for every item and put the results into `dst`.

        The results come in the order of the items and do not depend on `target`; for the same
        `random_seed` chance is the same. It blocks; from a coroutine await `apply_parallel_async`,
        during which the event loop goes on: with "for" between the items. Cancelled, it drops
        items that have not begun, cancels coroutines and abandons the rest. The batch stays as it
        is then, unless the results were being put into it already.

        Args:
            func: gets one item, and `src`, `dst`, if it takes arguments of these names. It should
                return what it makes and leave the item as it is: with "mpc" it has a copy. A
                coroutine function is async on every target.
            init: the items; `None` and `"data"` are those of `src`. Otherwise the name of an
                attribute, such as "indices" or "items", or a container, or a callable that gets
                `src`, `dst`, `p`, `target` and `kwargs` and returns one. Each element is
                `((args), {kwargs})`, a dict, a list or tuple of arguments, or the argument.
            post: the name of a method, or a callable, that gets the list of results, exceptions
                among them, and `src`, `dst` and `kwargs`, and whose result is returned. `None` is
                `_assemble`, which returns the batch.
            src: a component; a list of components, each done on its own, with the same choice of
                items and the same generators; a tuple, whose rows go into `func` as one tuple; or
                the items themselves.
            dst: as `src`, which it is by default; a tuple takes apart the tuples, lists or
                arrays that `func` returns. Components that do not exist are added.
            p: the probability that an item is worked on; others go into `dst` as they are.
            target: "for", "threads", "mpc" (processes: what travels must pickle) or "async" (on
                an event loop, the running one if there is one), or the first letter.
            requires_rng: give each call a `numpy.random.Generator` of its own, `rng`.
            rng_seeds: the seeds of these generators, one for each item, or one for all.
            on_error: with "skip" items for which `func` fails leave the batch, with a warning,
                unless it fails for all. Not with `init` and `post`.
            n_workers: at most how many calls run at once.
            engine: with "mpc", the workers in the place of processes, as in `AsyncPool`: "thread",
                "dask", "ray" and more. They are kept for the next call, until `batch.shutdown`.
            timeout: how many seconds all of them may take together.
            args, kwargs: for `func`; the values of a `P` are spread over the items.

        Raises `ParallelError` from the first error of `func`, all of which are in its `errors`:
        `TimeoutError` for an item that is not done in time. `ValueError` and `TypeError` are for
        arguments that are out of range or do not fit each other.
        """
        return apply_steps(self, func, init, post, src, dst, *args, **kwargs)

    def _assemble(self, results: Any, *, src: Any = None, dst: Any = None, **kwargs: Any) -> Self:
        """Put results into components: one for each name of `dst`, or else of `src`."""
        raise_failures(results, "Could not assemble the batch")
        dst = src if dst is None else dst
        if dst is None and self.components is None and self.data is not None:
            self.data_setter = stack(results)
            return self
        if dst is None and all(result is None for result in results):
            return self
        names = named(dst, ())
        if not names or not all(isinstance(name, str) for name in names):
            raise ValueError("dst must say where the results go, since src names no components")
        columns = [list(results)]
        if len(names) > 1:
            for position, result in enumerate(results):
                several = isinstance(result, tuple | list) or getattr(result, "ndim", False)
                if not several or len(result) != len(names):
                    raise ValueError(f"func returned no {len(names)} values for item {position}")
            columns = [[result[n] for result in results] for n in range(len(names))]
        made = zip(names, columns, strict=True)
        self._fill({name: self._assemble_component(column, name, src) for name, column in made})
        return self

    def _assemble_component(self, column: Sequence[Any], component: str, src: Any) -> Any:
        """The column of a component made of one result for each item: (N,...), or objects (N,)."""
        before = None
        if not column:  # then the shape and dtype of the items are those there were before
            before = self.data if self.components is None else getattr(self.data, component, None)
            before = getattr(self, src) if before is None and isinstance(src, str) else before
        return stack(column) if before is None else before[:0]

    def get_errors(self, all_res: Sequence[Any]) -> list[Exception] | None:
        """The exceptions among the results of a parallel call, `None` if there are none."""
        return [result for result in all_res if isinstance(result, Exception)] or None

    def run_once(self, *args: Any, **kwargs: Any) -> list[list[Any]]:
        """An `init` for one call without arguments, after the data was loaded."""
        self._load_pending()
        return [[]]

    @action
    def do_nothing(self, *args: Any, **kwargs: Any) -> Self:
        """Return the batch as it is."""
        return self

    @decorators.apply_parallel
    def to_array(
        self, comp: Any, dtype: Any = "float32", channels: str | None = "last", **kwargs: Any
    ) -> Any:
        """Make an item an array of this dtype; called with `src` and `dst`, as any such method.

        Pictures (H,W) get an axis for channels, "last" or "first", or none. Those with channels
        (H,W,C) become (C,H,W) with "first". `dtype=None` leaves the dtype.
        """
        if channels not in (None, "first", "last"):
            raise ValueError(f"channels must be None, 'first' or 'last', got {channels!r}")
        array = np.array(comp)
        if array.ndim == 2 and channels is not None:
            array = array[np.newaxis] if channels == "first" else array[..., np.newaxis]
        elif array.ndim > 2 and channels == "first":
            array = np.moveaxis(array, -1, 0)
        return array if dtype is None else array.astype(dtype)

    load = action(with_twin(files.load))
    save = dump = action(with_twin(files.dump))
    augment = action(with_twin(augmenting.augment))

    def __augment__(self, augment_batch: Callable[[Any], Any]) -> Self:
        """A copy of the batch with its components augmented; what a pool calls."""
        found = augmenting.augmented(self, augment_batch)
        own = {"_random": copy.deepcopy(self._random), "_dataset": None, "pipeline": None}
        twin = self._twin(own)
        twin.data_setter = self.data.as_dict() | found
        return twin

    def as_dataset(self, dataset: Any = None, copy: bool = False) -> Any:
        """A dataset of this batch's items and data, with batches of the same class.

        `dataset` is a class of datasets, or a dataset, whose attributes go along; by default the
        batch's own, without which it is a `ValueError`. With `copy` its batches copy their data.
        """
        dataset = self._dataset if dataset is None else dataset
        if dataset is None:
            raise ValueError("dataset must be a class of datasets or a dataset, not None")
        self._load_pending()
        own = {"batch_class": type(self), "preloaded": self._data, "copy": copy}
        if isinstance(dataset, type):
            return dataset(self.index, **own)
        return type(dataset).from_dataset(dataset, self.index, **own)
