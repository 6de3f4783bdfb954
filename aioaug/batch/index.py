"""The labels of a dataset's items: subsets, splits, order and batches of them."""

from __future__ import annotations

import copy
import glob
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Self

import numpy as np

from .._base.arguments import whole, whole_or_none
from .._base.seeding import make_rng
from .components import Array, Labels


class DatasetIndex(Labels):
    """Labels of items: an array-like (N,), a number of items, or a callable that returns these.

    Raises `ValueError` if there are none, `TypeError` if they are not one-dimensional, and warns
    if they repeat.

    Example::

        index = DatasetIndex(100)
        index.split([0.8, 0.1])
        index.train.next_batch(16, shuffle=1)
    """

    train: Self | None
    test: Self | None
    validation: Self | None
    not_empty = True

    def __init__(self, index: Any) -> None:
        self._start(_labels(index))
        if not len(self) and type(self).not_empty:
            raise ValueError("index must not be empty")
        if len(self._positions) != len(self):
            warnings.warn("the index has labels more than once", stacklevel=2)

    def _start(self, labels: Array) -> None:
        super().__init__(labels)
        vars(self).pop("_positions", None)  # of what this is a copy of
        self.train = self.test = self.validation = None
        self._epochs = _Epochs()

    @property
    def index(self) -> Array:
        """The labels (N,)."""
        return self.indices

    @property
    def is_split(self) -> bool:
        """Whether `split` was called."""
        return any(part is not None for part in (self.train, self.test, self.validation))

    def get_pos(self, index: Any) -> Any:
        """The position of a label, or the positions of several."""
        return self.find(index)

    def subset_by_pos(self, pos: Any) -> Array:
        """The labels at some positions."""
        found: Array = self.indices[pos]
        return found

    def create_subset(self, index: Any) -> Self:
        """An index of the same kind with some of the labels, which may repeat."""
        subset = copy.copy(self)
        subset._start(_labels(index))
        return subset

    @classmethod
    def concat(cls, *indices: DatasetIndex) -> DatasetIndex:
        """An index with the labels of several, one after another."""
        return cls(np.concatenate([index.indices for index in indices]))

    def create_batch(self, index: Any, pos: bool = True) -> Self:
        """An index of the items at some positions, or without `pos` of some labels."""
        return self.create_subset(self.subset_by_pos(index) if pos else index)

    def shuffle(self, shuffle: Any = True) -> Array:
        """The positions of the items in another order.

        `shuffle` is `True`, a seed that fixes the order, or `False` for the order as it is.
        """
        return _order(len(self), shuffle)

    def calc_split(self, shares: float | Sequence[float] = 0.8) -> tuple[int, int, int]:
        """How many items `split` would put into train, test and validation."""
        sizes = _sizes(shares, len(self))
        return sizes["train"], sizes["test"], sizes["validation"]

    def split(self, shares: float | Sequence[float] = 0.8, shuffle: Any = False) -> None:
        """Set `train`, `test` and `validation` to parts of these sizes.

        `shares` are those of train, test and validation, the last of which has what is left;
        `shuffle` is `False`, `True`, or a seed that fixes the order.
        """
        order, start = _order(len(self), shuffle), 0
        for name, size in _sizes(shares, len(self)).items():
            if size:
                labels = self.subset_by_pos(order[start : start + size])
                setattr(self, name, self.create_subset(labels))
            start += size

    def next_batch(
        self,
        batch_size: int,
        shuffle: Any = False,
        n_iters: int | None = None,
        n_epochs: int | None = None,
        drop_last: bool = False,
    ) -> Self:
        """The index of the next batch; `StopIteration` after the last one.

        Without `n_iters` and `n_epochs` there is no last one. Where the items of an epoch do not
        come out even, a batch takes the rest from the next epoch, or with `drop_last` is left out;
        the very last one is smaller. `shuffle` is `False`, `True` or a seed; a seed fixes the
        order of all epochs.

        Raises:
            ValueError: the batch is larger than the dataset, or both limits are given.
        """
        run = BatchRun(batch_size, shuffle, n_iters, n_epochs, drop_last)
        found = self._epochs.next(len(self), run)
        if found is None:
            raise StopIteration("no more batches are left: reset('iter') starts again")
        return self.create_subset(self.subset_by_pos(found))

    def gen_batch(self, batch_size: int, *args: Any, **kwargs: Any) -> Iterator[Self]:
        """The indices of all batches from the start; the arguments are those of `next_batch`."""
        fresh = self.create_subset(self)
        with suppress(StopIteration):
            while True:
                yield fresh.next_batch(batch_size, *args, **kwargs)

    def reset(self, what: str = "iter") -> None:
        """Have `next_batch` start again."""
        if what != "iter":
            raise ValueError(f"what must be 'iter', got {what!r}")
        self._epochs = _Epochs()


class FilesIndex(DatasetIndex):
    """Labels that are names of files, or of folders with `dirs`, and where these are.

    Made of `path`, a pattern or several, or of `index` and `paths`, a path for each label.
    `no_ext` takes suffixes off the names, `sort` sorts them. With `folders` a label begins with
    the name of its folder, as in "cats/1.png", so that files in several folders may have the same
    name. Where nothing is found, the index is empty, and there is a warning.

    Raises `ValueError` if two files have the same label.

    Example::

        index = FilesIndex(path="pictures/*.png", no_ext=True, sort=True)
    """

    not_empty = False

    def __init__(
        self,
        index: Any = None,
        path: str | Sequence[str] | None = None,
        paths: Mapping[Any, str] | Sequence[str] | None = None,
        dirs: bool = False,
        no_ext: bool = False,
        sort: bool = False,
        folders: bool = False,
    ) -> None:
        if path is not None:
            found = _found(path, dirs, no_ext, folders)
            labels = sorted(found) if sort else list(found)
        elif paths is None:
            raise ValueError("path, or index and paths, must be given")
        else:
            labels = _labels(index).tolist()
            found = dict(paths if isinstance(paths, Mapping) else zip(labels, paths, strict=True))
        if len(set(labels)) != len(labels):
            raise ValueError("two items have the same label, so their paths are not known")
        super().__init__(labels if labels else np.empty(0, np.str_))
        self._paths = {label: found[label] for label in labels}
        self.dirs = dirs

    @property
    def paths(self) -> dict[Any, str]:
        """The path of each label."""
        return {label: self._paths[label] for label in self.indices.tolist()}

    @property
    def folders(self) -> dict[Any, str]:
        """The name of each item's folder, which often is its class.

        `batch.load(src=index.folders, dst="labels")` makes a component of it.
        """
        return {label: _folder_of(path) for label, path in self.paths.items()}

    def get_fullpath(self, key: Any) -> str:
        """The path of a label."""
        return self._paths[key]

    @classmethod
    def concat(cls, *indices: DatasetIndex) -> FilesIndex:
        """An index with the files of several, one after another."""
        paths = [item for index in indices for item in getattr(index, "paths", {}).items()]
        return cls([label for index in indices for label in index.indices], paths=dict(paths))


def _labels(index: Any | Callable[[], Any]) -> Array:
    if callable(index):
        index = index()
    if isinstance(index, DatasetIndex):
        return index.indices
    if isinstance(index, int):
        index = np.arange(index)
    labels: Array = np.atleast_1d(np.asarray(index))
    if labels.ndim > 1:
        raise TypeError(f"index must be one-dimensional, got shape {labels.shape}")
    return labels


def _folder_of(path: str) -> str:
    return os.path.basename(os.path.dirname(os.path.abspath(path)))


def _found(path: str | Sequence[str], dirs: bool, no_ext: bool, folders: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    patterns = [path] if isinstance(path, str) else path
    if not isinstance(patterns, Sequence) or not all(isinstance(each, str) for each in patterns):
        raise TypeError(f"path must be a pattern or a list of patterns, got {path!r}")
    if not patterns:
        raise ValueError("path must not be an empty list of patterns")
    for pattern in patterns:
        matching = [
            name
            for name in glob.iglob(pattern, recursive=True)
            if (os.path.isdir if dirs else os.path.isfile)(name)
        ]
        if not matching:
            warnings.warn(f"no items in {pattern}", stacklevel=4)
        for name in matching:
            label = os.path.basename(name)
            # A dot at the start does not begin a suffix, and only the last dot does.
            label = label[: label.rfind(".")] if no_ext and label.rfind(".") > 0 else label
            label = f"{_folder_of(name)}/{label}" if folders else label
            if label in found:
                raise ValueError(
                    f"two items are called {label!r}: {found[label]} and {name}; with folders=True "
                    "labels begin with the names of their folders"
                )
            found[label] = name
    return found


class BatchRun(NamedTuple):
    """Which batches there are: the arguments of `next_batch`."""

    batch_size: int
    shuffle: Any = False
    n_iters: int | None = None
    n_epochs: int | None = None
    drop_last: bool = False

    def ending(self) -> BatchRun:
        """The same, but of one epoch if it would have no end."""
        endless = self.n_iters is None and self.n_epochs is None
        return self._replace(n_epochs=1) if endless else self

    def batches(self, size: int) -> int | None:
        """How many batches there are out of so many items; `None` if there is no end."""
        if self.n_iters is not None or self.n_epochs is None:
            return self.n_iters
        if self.drop_last:
            return size // self.batch_size * self.n_epochs
        return -(-size * self.n_epochs // self.batch_size)


class _Epochs:
    """Hands out positions batch by batch, through as many epochs as are asked for."""

    def __init__(self) -> None:
        self._order: Array | None = None
        self._left: Array = np.empty(0, np.intp)  # of the epochs that have begun
        self._epochs = 0
        self._batches = 0

    def next(self, count: int, run: BatchRun) -> Array | None:
        """The positions of the next batch out of `count` items; `None` when all have been."""
        size, n_epochs = run.batch_size, run.n_epochs
        whole_or_none("n_iters", run.n_iters, low=0)
        whole_or_none("n_epochs", n_epochs, low=0)
        if whole("batch_size", size, low=1) > count:
            raise ValueError(f"batch_size must be at most the {count} items, got {size}")
        if run.n_iters is not None and n_epochs is not None:
            raise ValueError("only one of n_iters and n_epochs may be given")
        if run.n_iters is not None and self._batches >= run.n_iters:
            return None
        found = self._left
        while len(found) < size and (n_epochs is None or self._epochs < n_epochs):
            self._order = _order(count, run.shuffle, self._order)
            self._epochs += 1
            found = self._order if run.drop_last else np.concatenate((found, self._order))
        if not len(found) or (run.drop_last and len(found) < size):
            return None
        self._left = found[size:]
        self._batches += 1
        return found[:size]


def _order(count: int, shuffle: Any, before: Array | None = None) -> Array:
    """The order of an epoch: that of the one before, shuffled if asked for."""
    order: Array = np.arange(count) if before is None else before
    if shuffle is False or shuffle is None:
        return order
    return make_rng(None if shuffle is True else shuffle).permutation(order)


def _sizes(shares: float | Sequence[float], count: int) -> dict[str, int]:
    """How many of `count` items each part has.

    The last share is what the others leave; each that is named gets one item at least.
    """
    given = [shares] if isinstance(shares, int | float) else list(shares)
    if len(given) > 3:
        raise ValueError(f"shares must be at most three, got {shares}")
    if sum(given) > 1 or min(given) < 0:
        raise ValueError(f"shares must be at least 0 and at most 1 together, got {shares}")
    parts = np.array(given if len(given) > 2 else [*given, 0.0])
    if count < len(parts):
        raise ValueError(f"{count} items cannot be split into {len(parts)} parts")
    parts[-1] = 1 - parts[:-1].sum()
    if parts[-1] == 0:
        parts = parts[:-1]
    sizes = np.maximum(np.round(parts * count).astype(int), 1).tolist()
    _, test, validation = sizes + [0] * (3 - len(sizes))
    train = max(0, count - test - validation)
    return {"validation": validation, "test": test, "train": train}
