"""The labels of a dataset's items: subsets, splits, order and batches of them."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Self

import numpy as np

from .._base.arguments import one_of, whole, whole_or_none
from .._base.seeding import make_rng
from .components import Array, Labels, labels_of


class DatasetIndex(Labels):
    """Labels of items: an array-like (N,), a number of items, or a callable that returns these.

    Raises `ValueError` if there are none, `TypeError` for more dimensions, and warns of repeats.
    """

    train: Self | None
    test: Self | None
    validation: Self | None
    not_empty = True

    def __init__(self, index: Any) -> None:
        super().__init__(index)
        if not len(self) and type(self).not_empty:
            raise ValueError("index must not be empty")
        if len(self._positions) != len(self):
            warnings.warn("the index has labels more than once", stacklevel=2)

    def _start(self, labels: Array) -> None:
        super()._start(labels)
        self.train = self.test = self.validation = None
        self.reset()

    @property
    def is_split(self) -> bool:
        """Whether `split` was called."""
        return any(part is not None for part in (self.train, self.test, self.validation))

    def subset_by_pos(self, pos: Any) -> Any:
        """The labels at some positions."""
        return self.indices[pos]

    @classmethod
    def concat(cls, *indices: DatasetIndex) -> DatasetIndex:
        """An index with the labels of several, one after another."""
        return cls(np.concatenate([index.indices for index in indices]))

    def create_batch(self, index: Any, pos: bool = True) -> Self:
        """An index of the items at some positions, or without `pos` of some labels."""
        return self.create_subset(self.subset_by_pos(index) if pos else index)

    def shuffle(self, shuffle: Any = True) -> Array:
        """The positions in another order; a seed fixes it, and `False` leaves them as they are."""
        if shuffle is False or shuffle is None:
            return np.arange(len(self))
        return make_rng(None if shuffle is True else shuffle).permutation(len(self))

    def calc_split(self, shares: float | Sequence[float] = 0.8) -> tuple[int, int, int]:
        """How many items `split` would put into train, test and validation."""
        given = [shares] if isinstance(shares, int | float) else list(shares)
        if len(given) > 3:
            raise ValueError(f"shares must be at most three, got {shares}")
        if sum(given) > 1 or min(given) < 0:
            raise ValueError(f"shares must be at least 0 and at most 1 together, got {shares}")
        parts = np.array(given if len(given) > 2 else [*given, 0.0])
        if len(self) < len(parts):
            raise ValueError(f"{len(self)} items cannot be split into {len(parts)} parts")
        parts[-1] = 1 - parts[:-1].sum()
        parts = parts if parts[-1] else parts[:-1]
        sizes = np.maximum(np.round(parts * len(self)).astype(int), 1).tolist()
        _, test, validation = sizes + [0] * (3 - len(sizes))
        return max(0, len(self) - test - validation), test, validation

    def split(self, shares: float | Sequence[float] = 0.8, shuffle: Any = False) -> None:
        """Set `train`, `test` and `validation` to parts of these sizes, `None` for those of none.

        `shares` are those of train, test and validation, the last of which has what is left;
        each that is named gets one item at least. `shuffle` is that of the method `shuffle`.
        """
        _, test, validation = self.calc_split(shares)
        parts = np.split(self.indices[self.shuffle(shuffle)], (validation, validation + test))
        for name, labels in zip(("validation", "test", "train"), parts, strict=True):
            setattr(self, name, self.create_subset(labels) if len(labels) else None)

    def reset(self, what: str = "iter") -> None:
        """Have `next_batch` start again."""
        one_of("what", what, ("iter",))
        self._order = np.arange(len(self))  # of the epoch that began last
        self._left = self._order[:0]  # of the epochs that have begun
        self._begun = self._batches = 0

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
        the very last one is smaller. `shuffle` is `False`, `True` or a seed, for all epochs.
        Raises `ValueError` if the batch is larger than the index, or both limits are given.
        """
        whole_or_none("n_iters", n_iters, low=0)
        whole_or_none("n_epochs", n_epochs, low=0)
        whole("batch_size", batch_size, low=1, high=len(self))
        if n_iters is not None and n_epochs is not None:
            raise ValueError("only one of n_iters and n_epochs may be given")
        found, over = self._left, n_iters is not None and self._batches >= n_iters
        while len(found) < batch_size and (n_epochs is None or self._begun < n_epochs) and not over:
            self._order = self._order[self.shuffle(shuffle)]
            self._begun += 1
            found = self._order if drop_last else np.concatenate((found, self._order))
        if over or not len(found) or (drop_last and len(found) < batch_size):
            raise StopIteration("no more batches are left: reset('iter') starts again")
        self._left = found[batch_size:]
        self._batches += 1
        return self.create_subset(self.subset_by_pos(found[:batch_size]))

    def gen_batch(self, batch_size: int, *args: Any, **kwargs: Any) -> Iterator[Self]:
        """The indices of all batches from the start; the arguments are those of `next_batch`."""
        fresh = self.create_subset(self)
        with suppress(StopIteration):
            while True:
                yield fresh.next_batch(batch_size, *args, **kwargs)


class FilesIndex(DatasetIndex):
    """Labels that are names of files, or of folders with `dirs`, and where these are.

    Made of `path`, a pattern or several, or of `index` and `paths`, a path for each label.
    `no_ext` takes suffixes off the names, `sort` sorts them. With `folders` a label begins with
    the name of its folder, as in "cats/1.png". Where nothing is found, the index is empty, with a
    warning. Raises `ValueError` if two files have the same label.
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
            found = [(_label_of(name, no_ext, folders), name) for name in _matching(path, dirs)]
            found = sorted(found) if sort else found
        elif paths is None:
            raise ValueError("path, or index and paths, must be given")
        else:
            labels = labels_of(index).tolist()
            paths = [paths[label] for label in labels] if isinstance(paths, Mapping) else paths
            found = list(zip(labels, paths, strict=True))
        self._paths: dict[Any, str] = {}
        self.dirs = dirs
        for label, where in found:
            if label in self._paths:
                raise ValueError(
                    f"two items are called {label!r}: {self._paths[label]} and {where}; "
                    "with folders=True labels begin with the names of their folders"
                )
            self._paths[label] = where
        super().__init__(list(self._paths) or np.empty(0, np.str_))

    @property
    def paths(self) -> dict[Any, str]:
        """The path of each label."""
        return {label: self._paths[label] for label in self.indices.tolist()}

    @property
    def folders(self) -> dict[Any, str]:
        """The name of each item's folder, which often is its class."""
        return {label: _folder_of(path) for label, path in self.paths.items()}

    def get_fullpath(self, key: Any) -> str:
        """The path of a label."""
        return self._paths[key]

    @classmethod
    def concat(cls, *indices: DatasetIndex) -> FilesIndex:
        """An index with the files of several, one after another."""
        paths = [item for index in indices for item in getattr(index, "paths", {}).items()]
        return cls([label for index in indices for label in index.indices], paths=dict(paths))


def _folder_of(path: str) -> str:
    return os.path.basename(os.path.dirname(os.path.abspath(path)))


def _label_of(path: str, no_ext: bool, folders: bool) -> str:
    name = os.path.basename(path)
    name = os.path.splitext(name)[0] if no_ext else name
    return f"{_folder_of(path)}/{name}" if folders else name


def _matching(path: str | Sequence[str], dirs: bool) -> list[str]:
    """The files, or folders, that patterns match; a warning for each that has none."""
    patterns = [path] if isinstance(path, str) else path
    if not isinstance(patterns, Sequence) or not all(isinstance(each, str) for each in patterns):
        raise TypeError(f"path must be a pattern or a list of patterns, got {path!r}")
    if not patterns:
        raise ValueError("path must not be an empty list of patterns")
    found: list[str] = []
    for pattern in patterns:
        names = glob.iglob(pattern, recursive=True)
        matching = list(filter(os.path.isdir if dirs else os.path.isfile, names))
        if not matching:
            warnings.warn(f"no items in {pattern}", stacklevel=3)
        found += matching
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
