"""`PictureDataset`: pictures and what is known about them, as a cheap index."""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Generic, Literal, Self, TypeVar, overload

import numpy as np

from .._base.arguments import whole
from .._pictures import Array
from .batches import DatasetBatches
from .buckets import Buckets, fit_or_buckets
from .decoding import MovableLabels
from .fitting import Fit, Interpolation
from .orders import EpochOrder, shuffled
from .references import Reference
from .sizes import read_sizes

__all__ = ["MovableLabels", "PictureDataset", "Reference", "Sample"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture and what is known about it.

    `labels` is an int, the number of a class; `MovableLabels`, which move with the picture; or
    anything that pickles, which is passed through.
    """

    image: Reference
    labels: Any = None


class PictureDataset(Sequence[Sample]):
    """Pictures with their labels, to be read and decoded by workers.

    It holds names and labels, no pixels: `len` is the number of pictures, `dataset[i]` a `Sample`,
    and `classes` the names of the classes, by number. `a + b` has the pictures of both.

    Args:
        samples: a list, or anything else of which items can be had by number.
        classes: the names of the classes.
    """

    def __init__(self, samples: Sequence[Sample], classes: Iterable[str] = ()) -> None:
        self.classes = tuple(classes)
        self._samples = samples
        self._sizes: Array | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self)} pictures, {len(self.classes)} classes>"

    def __len__(self) -> int:
        return len(self._samples)

    @overload
    def __getitem__(self, number: int) -> Sample: ...
    @overload
    def __getitem__(self, number: slice) -> Self: ...
    def __getitem__(self, number: int | slice) -> Sample | Self:
        if isinstance(number, slice):
            return self.subset(range(*number.indices(len(self))))
        return self._samples[number]

    def __add__(self, other: PictureDataset) -> PictureDataset:
        if not isinstance(other, PictureDataset):
            return NotImplemented
        if self.classes and other.classes and self.classes != other.classes:
            raise ValueError(
                "datasets with other classes cannot be added, since a number would stand for two "
                f"of them: {', '.join(self.classes)} and {', '.join(other.classes)}"
            )
        return PictureDataset(
            _Joined((self._samples, other._samples)), self.classes or other.classes
        )

    def subset(self, numbers: Iterable[int]) -> Self:
        """The pictures with these numbers, in this order; `IndexError` if there is no such one."""
        chosen = np.fromiter((whole("a number", each) for each in numbers), np.int64)
        wrong = chosen[(chosen < 0) | (chosen >= len(self))]
        if len(wrong):
            raise IndexError(f"there are {len(self)} pictures, so none with number {wrong[0]}")
        part = copy.copy(self)
        part._samples = _Chosen(self._samples, chosen)
        part._sizes = None if self._sizes is None else self._sizes[chosen]
        return part

    def split(
        self,
        *fractions: float,
        seed: int = 0,
        shuffle: bool = True,
        stratify: bool | None = None,
    ) -> tuple[Self, ...]:
        """Parts of these fractions, and the rest as one more part, unless they add up to 1.

        Args:
            fractions: as in `training, validation = dataset.split(0.8)`.
            seed: which pictures come into which part follows from it.
            shuffle: without it, the first part has the first pictures, and so on; where they are
                sorted by class, there are classes that it does not have.
            stratify: have each class in each part by the same fraction; `None` does where all
                labels are ints.

        Raises:
            ValueError: the fractions are not between 0 and 1, or add up to more than 1; or labels
                are not ints, and `stratify` is set.
        """
        total = sum(fractions)
        if not fractions or min(fractions) <= 0 or total > 1 + 1e-9:
            raise ValueError(f"fractions must be above 0 and add up to 1 at most, got {fractions}")
        order = self._spread(seed, stratify) if shuffle else np.arange(len(self))
        cuts = [round(len(self) * each) for each in accumulate(fractions)]
        if total < 1 - 1e-9:
            cuts.append(len(self))
        begins = [0, *cuts[:-1]]
        return tuple(
            self.subset(np.sort(order[begin:end]).tolist())
            for begin, end in zip(begins, cuts, strict=True)
        )

    def sizes(self) -> Array:
        """(n,2) `int64`: the height and width of each picture, turned as its EXIF says.

        They are what labels say, or the heads of the files, which are read once, in threads; no
        pixels are decoded. Both are 0 where a file is missing or is no picture. It blocks.
        """
        if self._sizes is None:
            self._sizes = read_sizes(self)
        return self._sizes

    def batches(
        self,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int | None = None,
        epochs: int | None = 1,
        drop_last: bool = False,
        shard: tuple[int, int] | None = None,
        resize: tuple[int, int] | None = None,
        pad: int | tuple[int, int, int] | None = None,
        buckets: Buckets | None = None,
        interpolation: Interpolation = "area",
        on_unreadable: Literal["raise", "skip"] = "raise",
        decode: Literal["whole", "fit"] = "whole",
    ) -> DatasetBatches:
        """Batches for `AsyncPool.imap_batches`, whose workers read and decode the pictures.

        The pool makes a `DataBatch` of each.

        Args:
            batch_size: how many pictures a batch has; the last one of an epoch may have fewer.
            shuffle: take another order in each epoch. It follows from `seed` and the number of the
                epoch alone.
            seed: at least 0; `None` draws one, so the order cannot be had again.
            epochs: how often all pictures come; `None` is without end.
            drop_last: leave out the last batch of an epoch if it is not full.
            shard: `(rank, world_size)`, for programs that work side by side: each picture comes in
                one of them in each epoch, and all have the same number of batches.
            resize: `(height, width)` of all pictures, which come as an array then.
            pad: keep the proportions, with this value (or these three, for red, green and blue)
                around the picture.
            buckets: have pictures of similar proportions in a batch; the first one waits for
                `sizes`. Shapes `[(height, width), ...]`: each picture gets the one most like it, by
                proportions and then by size, and is made to fit as by `resize`. A number: so many
                steps of width / height from 1/2 to 2, evenly on a scale of logarithms; 2 are
                upright pictures and others. Pictures keep their size then, or, with `pad`, get what
                is missing to the largest in their batch. Each bucket may have one batch in an epoch
                that is not full; one with too few pictures is joined to another.
            interpolation: how `resize` makes pictures smaller. With `"area"`, each pixel is the
                mean of those in its place. With `"linear"`, as in Albumentations' `Resize`, it is
                that of the nearest ones, which takes an eighth of the time. Only pictures that
                become less than half as large lose something by it, JPEGs not even then: they are
                decoded at a half, a quarter or an eighth first.
            on_unreadable: `"skip"` leaves a picture that cannot be decoded out of its batch, and
                logs a warning; otherwise the whole batch fails, see `on_error` of the pool. Files
                that are missing fail in either case.
            decode: with `"fit"`, JPEGs are decoded at a half, a quarter or an eighth where a
                pipeline of imgaug's begins with a `Resize` to a fixed `(height, width)`. It takes
                less time, and gives other pixels than to resize the whole picture. Only without
                `resize` and `buckets`, which do so by themselves.

        Raises:
            ValueError, TypeError: an argument is out of range or of the wrong type.
        """
        fit = fit_or_buckets(resize, pad, buckets, self.sizes, interpolation)
        groups = None if isinstance(fit, Fit) else fit.groups
        order = EpochOrder(len(self), batch_size, shuffle, seed, drop_last, shard, groups)
        return DatasetBatches(self, order, fit, epochs, on_unreadable, decode)

    def _spread(self, seed: int, stratify: bool | None) -> Array:
        """A random order, in which each class is spread evenly if that is wanted."""
        order = shuffled(len(self), seed)
        labels = [self[int(number)].labels for number in order] if stratify is not False else []
        if not labels or not all(type(label) is int for label in labels):
            if stratify and len(self):
                raise ValueError("stratify: only where all labels are ints")
            return order
        keys = np.empty(len(self))
        of_class = np.array(labels)
        for number in np.unique(of_class):
            (places,) = np.nonzero(of_class == number)
            keys[places] = (np.arange(len(places)) + 0.5) / len(places)
        return order[np.argsort(keys, kind="stable")]


class _Chosen(Sequence[T], Generic[T]):
    """Some items of a sequence."""

    def __init__(self, items: Sequence[T], numbers: Array) -> None:
        self._items = items
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, number: Any) -> Any:
        return self._items[int(self._numbers[number])]


class _Joined(Sequence[T], Generic[T]):
    """Sequences one after the other."""

    def __init__(self, parts: Sequence[Sequence[T]]) -> None:
        self._parts = parts
        self._ends = list(accumulate(map(len, parts)))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, number: Any) -> Any:
        place = number + len(self) if number < 0 else number
        if not 0 <= place < len(self):
            raise IndexError(f"there are {len(self)} items, so none with number {number}")
        which = bisect_right(self._ends, place)
        return self._parts[which][place - (self._ends[which - 1] if which else 0)]
