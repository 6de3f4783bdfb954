"""From references to pictures and their labels: what a worker does with a batch of a dataset."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Literal, Protocol, Self

import numpy as np

from .. import _pictures
from .._pictures import Array
from .._transport.room import Rows
from ..errors import UnreadablePictureError
from .first_step import CropsAhead, first_crop, first_size
from .fitting import Fit
from .references import Reference

log = logging.getLogger(__package__)

Shape = tuple[int, ...]


class MovableLabels(Protocol):
    """What is known about one picture, and moves with it."""

    def columns(self, shape: Shape) -> dict[str, Any]:
        """imgaug's `...OnImage` objects for one picture of this shape, by imgaug's column names."""

    def moved(self, columns: Mapping[str, Any], shape: Shape) -> Self:
        """The same labels with these columns, on a picture of this shape."""


@dataclass(frozen=True)
class DataBatch:
    """Pictures of a dataset with their labels.

    `images` is an array (N,H,W,C) where the batch was resized, and a list of arrays (H,W,C)
    otherwise, unless the augmenter made something else of them. `labels` is an array of int64 where
    all labels are ints, otherwise a list. `names` are the names of the pictures, and `indices`
    their numbers in the dataset.
    """

    images: Any
    labels: Any
    names: list[str]
    indices: Array


@dataclass(frozen=True, slots=True)
class ReferenceBatch:
    """Where the pictures of a batch are, and what is known about them: what goes to a worker.

    Pools with imgaug's augmenters, and those of other libraries, decode it and return a
    `DataBatch`. For a function of your own it is decoded by `load=aioaug.data.decode`.
    """

    references: tuple[Reference, ...]
    labels: tuple[Any, ...]
    indices: tuple[int, ...]
    fit: Fit
    on_unreadable: Literal["raise", "skip"] = "raise"
    decode: Literal["whole", "fit"] = "whole"
    enough: _pictures.Size | None = None  # JPEGs may come smaller, but not less high or wide
    crop: Any = None  # the augmenter that crops the pictures before anything else is done with them

    def __len__(self) -> int:
        return len(self.references)

    def __for_augmenter__(self, augmenter: Any) -> ReferenceBatch:
        """The same for this augmenter, which may need less than the whole pictures."""
        crop = first_crop(augmenter) if self.fit.resize is None else None
        if self.decode == "whole":
            return self if crop is None else replace(self, crop=crop)
        return replace(self, enough=first_size(augmenter), crop=crop)

    def needed(self, size: _pictures.Size) -> _pictures.Size:
        """What height and width of a picture of a height and width would do."""
        return self.fit.needed(size) if self.enough is None else self.enough

    def __read_place__(self) -> str | None:
        """Where its first picture is: workers of a cluster that read from there are preferred."""
        if not self.references:
            return None
        first = self.references[0]
        return str(getattr(first, "place", first.name))

    def __augment__(self, augment_batch: Callable[[Any], Any]) -> DataBatch:
        pictures = DecodedPictures(self)
        columns = _filled(pictures.columns, pictures.shapes)
        done = augment_batch(_uncopied_batch()(images=pictures.images, **columns))
        moved = {name: getattr(done, f"{name}_aug") for name in columns}
        return pictures.batch(
            done.images_aug,
            [
                {name: moved[name][place] for name in row}
                for place, row in enumerate(pictures.columns)
            ],
        )


@cache
def _uncopied_batch() -> type[Any]:
    """imgaug's `Batch` for columns that nobody else has: they may be changed in place.

    imgaug copies all columns first, which for decoded pictures takes a third as long as to decode
    them.
    """
    from imgaug.augmentables.batches import Batch, _BatchInAugmentation

    class UncopiedBatch(Batch):  # type: ignore[misc]
        def to_batch_in_augmentation(self) -> Any:
            names = [name for name in vars(self) if name.endswith("_unaug")]
            columns = {name.removesuffix("_unaug"): getattr(self, name) for name in names}
            return _BatchInAugmentation(**columns)

    return UncopiedBatch


def decode(batch: ReferenceBatch) -> DataBatch:
    """The pictures of a batch and their labels, as they are without augmentation.

    It is for `AsyncPool(function, load=decode)`, where the function takes a `DataBatch`.

    Raises `UnreadablePictureError` or `OSError`, which say which file it was.
    """
    pictures = DecodedPictures(batch)
    return pictures.batch(pictures.images, pictures.columns)


class DecodedPictures:
    """The pictures of a batch that could be read, and the columns of their labels, if they have.

    Where the batch says who crops them, `images` are cropped already, and `shapes` and columns are
    those of the whole pictures.
    """

    def __init__(self, batch: ReferenceBatch) -> None:
        self._batch = batch
        self._scratch = _pictures.Scratch()
        self.images: Any = []
        try:
            ahead = None if batch.crop is None else CropsAhead(batch.crop, len(batch))
            self._decode(ahead)
        except _LeftOut:
            # As many numbers are drawn as pictures are left, so each is cropped elsewhere.
            self._decode(None)

    def _decode(self, ahead: CropsAhead | None) -> None:
        """Decode all, or raise `_LeftOut` where a picture `ahead` of its crop cannot be read."""
        batch = self._batch
        self._kept: list[int] = []
        self.columns: list[dict[str, Any]] = []
        self.shapes: list[Shape] = []
        # Not in shared memory, which the results of these pictures have to fit into.
        rows = Rows(len(batch), np.empty) if batch.fit.resize else None
        images: list[Array] = []
        for place, label in enumerate(batch.labels):
            read = self._read(place, ahead)
            if read is not None:
                pixels, size = read
                shape = (*size, pixels.shape[2])
                self._kept.append(place)
                columns = label.columns(shape) if _moves(label) else {}
                # Of a picture that came smaller for the augmenter, labels keep the whole size: its
                # Resize brings each from the size that it has to the new one.
                self.columns.append(
                    {name: batch.fit.item(item, shape) for name, item in columns.items()}
                )
                fitted = batch.fit.pixels(pixels, size)
                self.shapes.append(fitted.shape if ahead is None else shape)
                if rows is None:
                    images.append(fitted)
                else:
                    rows.add(fitted)
        self.images = images if rows is None else self._of_one_kind(rows.done())

    def batch(self, images: Any, columns: list[dict[str, Any]]) -> DataBatch:
        """The pictures, as they became, with the labels that belong to these columns."""
        labels = [
            label.moved(row, image.shape) if _moves(label) else label
            for label, row, image in zip(
                (self._batch.labels[place] for place in self._kept), columns, images, strict=True
            )
        ]
        all_ints = all(type(label) is int for label in labels)
        return DataBatch(
            images,
            np.array(labels, np.int64) if all_ints else labels,
            [self._batch.references[place].name for place in self._kept],
            np.array([self._batch.indices[place] for place in self._kept], np.int64),
        )

    def _read(self, place: int, ahead: CropsAhead | None) -> tuple[Array, _pictures.Size] | None:
        """A decoded picture, with the size that it has; `None` if it is to be left out."""
        reference = self._batch.references[place]
        which = f"picture {place + 1} of {len(self._batch)} in its batch"
        try:
            data = reference.read()
            if ahead is not None:
                return _pictures.decode_part(data, partial(ahead.region, place), self._scratch)
            return _pictures.decode_upright(data, self._batch.needed)
        except OSError as error:
            error.add_note(f"{which} is {reference.name}")
            raise
        except UnreadablePictureError as error:
            message = f"{reference.name} ({which}) cannot be read: {error}"
            if self._batch.on_unreadable == "raise":
                raise UnreadablePictureError(message) from error
            if ahead is not None:
                raise _LeftOut from error
            log.warning("%s; it is left out", message)
            return None

    def _of_one_kind(self, images: Any) -> Any:
        kinds = {(image.shape, image.dtype): place for place, image in enumerate(images)}
        if len(kinds) > 1:
            one, other = (self._batch.references[self._kept[at]].name for at in kinds.values())
            raise UnreadablePictureError(
                f"{one} and {other} do not fit into one array: one of them is grey with 16 bits "
                "a pixel, and the other is not; leave out resize= to get a list"
            )
        return images


class _LeftOut(Exception):
    """A picture cannot be read, and its batch is to be made without it."""


def _moves(label: Any) -> bool:
    """Whether these are `MovableLabels`; `isinstance` takes longer than reading some pictures."""
    return hasattr(label, "columns") and hasattr(label, "moved")


def _filled(rows: list[dict[str, Any]], shapes: list[Shape]) -> dict[str, list[Any]]:
    """The columns of all pictures; those that have no such labels get empty ones."""
    samples = {name: item for row in rows for name, item in row.items()}
    return {
        name: [
            row[name] if name in row else _empty(sample, shape)
            for row, shape in zip(rows, shapes, strict=True)
        ]
        for name, sample in samples.items()
    }


def _empty(like: Any, shape: Shape) -> Any:
    """An object of imgaug's like this one, for a picture on which there is nothing."""
    if hasattr(like, "arr"):  # a segmentation map
        return type(like)(np.zeros((*shape[:2], like.arr.shape[-1]), np.int32), shape)
    if hasattr(like, "arr_0to1"):
        nothing = np.zeros((*shape[:2], like.arr_0to1.shape[-1]), np.float32)
        return type(like).from_0to1(nothing, shape, like.min_value, like.max_value)
    return type(like)([], shape)
