"""Augmenters that take one picture at a time, as callables that take batches of any form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, ClassVar

from .._base.seeding import SEED_LIMIT, Seeds, borrowed_generators, seed_generators
from .._base.signatures import accepts
from .._transport import room
from . import batch_forms


def per_image(function: Callable[..., Any]) -> Callable[..., Any]:
    """An augmenter for pools out of a function of one image: `image -> image`.

    With a parameter `rng` it gets a `numpy.random.Generator` for each image, otherwise it finds
    `random`, `numpy.random` and OpenCV's generator seeded for each. The numbers depend on the
    pool's seed, the batch's index and the image's place alone. Batches may have any form that
    an imgaug augmenter takes; columns other than the images pass through. Images of an array come
    back in an array if they have one shape and dtype, else in a list.

    Raises:
        TypeError: `function` is not callable.

    Example::

        async with AsyncPool(per_image(lambda image: image[::-1])) as pool: ...
    """
    if not callable(function):
        raise TypeError(f"fn must be a callable image -> image, got {function!r}")
    return PerImage(function)


class PerPicture(ABC):
    """A callable `(batch, rng) -> batch` that treats a batch's pictures one after the other."""

    def __call__(self, batch: Any, rng: Any) -> Any:
        with self._generators():
            return batch_forms.augment(batch, partial(self._augment_batch, rng=rng))

    def _generators(self) -> AbstractContextManager[Any]:
        """Lend a batch the generators that it is going to seed for each picture.

        All code of this interpreter shares them. To restore them after each picture would take
        longer than many augmentations do.
        """
        return borrowed_generators(Seeds(0, 0))

    @abstractmethod
    def _augment_batch(self, batch: Any, rng: Any) -> Any:
        """Fill the `..._aug` columns of imgaug's `Batch` or `UnnormalizedBatch`."""

    def _images(self, batch: Any) -> Sequence[Any]:
        if batch.images_unaug is None:
            raise ValueError(f"{self!r} needs batches with images, and this one has none")
        images: Sequence[Any] = batch.images_unaug
        return images


class PerImage(PerPicture):
    """What `per_image` makes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._takes_rng = accepts(function, "rng")

    def __repr__(self) -> str:
        return f"per_image({getattr(self._function, '__qualname__', self._function)})"

    def _generators(self) -> AbstractContextManager[Any]:
        return nullcontext() if self._takes_rng else super()._generators()

    def _augment_batch(self, batch: Any, rng: Any) -> Any:
        images = self._images(batch)
        seeds = seeds_of_pictures(rng, len(images))
        done = in_form_of(images)
        for image, seed in zip(images, seeds, strict=True):
            done.add(self._one(image, seed))
        batch_forms.pass_through(batch)
        batch.images_aug = done.done()
        return batch

    def _one(self, image: Any, seed: int) -> Any:
        import numpy as np

        image = image.copy()  # the function may work in place
        if self._takes_rng:
            return self._function(image, rng=np.random.default_rng(seed))
        seed_generators(Seeds(seed, seed))
        return self._function(image)


class PicturePipeline(PerPicture):
    """A pipeline of another library: it takes a picture along with all that belongs to it.

    `targets` are the columns that the `library` can augment.
    """

    library: ClassVar[str]
    targets: ClassVar[frozenset[str]]

    @abstractmethod
    def _picture(self, row: dict[str, Any], seed: int) -> dict[str, Any]:
        """The augmented items of one picture, given those of its columns that there are."""

    def _check_column(self, name: str) -> None:
        if name not in self.targets:
            raise ValueError(f"{self.library} cannot augment {name}; give them as keypoints")

    def _augment_batch(self, batch: Any, rng: Any) -> Any:
        self._images(batch)
        # Not `to_normalized_batch`, which imgaug's `Batch` has, too, and returns itself by.
        is_loose = hasattr(batch, "fill_from_augmented_normalized_batch_")
        rows = batch.to_normalized_batch() if is_loose else batch
        columns = self._columns(rows)
        seeds = seeds_of_pictures(rng, len(columns["images"]))
        done: dict[str, Any] = {name: AsTheyAre() for name in columns}
        done["images"] = in_form_of(columns["images"])
        for place, seed in enumerate(seeds):
            row = self._picture({name: column[place] for name, column in columns.items()}, seed)
            for name, items in done.items():
                items.add(row[name])
        for name, items in done.items():
            setattr(rows, f"{name}_aug", items.done())
        return batch.fill_from_augmented_normalized_batch_(rows) if is_loose else rows

    def _columns(self, rows: Any) -> dict[str, Any]:
        names = [name.removesuffix("_unaug") for name in vars(rows) if name.endswith("_unaug")]
        columns = {name: getattr(rows, f"{name}_unaug") for name in names}
        columns = {name: column for name, column in columns.items() if column is not None}
        for name in columns:
            self._check_column(name)
        return columns


def seeds_of_pictures(rng: Any, count: int) -> list[int]:
    """A seed for each picture of a batch."""
    seeds: list[int] = rng.integers(SEED_LIMIT, size=count).tolist()
    return seeds


def moved_boxes(boxes: Any, corners: Any, numbers: Any, shape: tuple[int, ...]) -> Any:
    """Those boxes of an image that have these numbers, each with its new corners (B,4)."""
    from imgaug.augmentables.bbs import BoundingBoxesOnImage

    moved = []
    for place, number in zip(corners.tolist(), numbers.tolist(), strict=True):
        box = boxes.bounding_boxes[int(number)].copy()
        box.x1, box.y1, box.x2, box.y2 = place
        moved.append(box)
    return BoundingBoxesOnImage(moved, shape)


class AsTheyAre:
    """Collects items in a list."""

    def __init__(self) -> None:
        self._items: list[Any] = []

    def add(self, item: Any) -> None:
        """Take the next one."""
        self._items.append(item)

    def done(self) -> list[Any]:
        """All of them."""
        return self._items


def in_form_of(images: Any) -> AsTheyAre | room.Rows:
    """What collects augmented images: in an array, where the images are one and theirs fit in."""
    import numpy as np

    return room.Rows(len(images)) if isinstance(images, np.ndarray) else AsTheyAre()
