"""All that is labelled in one picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from ..errors import UnreadableLabelsError
from .annotation import SOUND_RULES, Annotation, LabelRules
from .moving import columns_of, moved_annotations

if TYPE_CHECKING:
    import numpy as np

Caption: TypeAlias = tuple[str, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLabels:
    """All that is labelled in one picture.

    `size` is (width, height) if the file says it. With `relative`, coordinates are fractions of
    it, as in YOLO's files. `id` and `others` are those of the picture's own record in the file.
    """

    annotations: tuple[Annotation, ...] = ()
    size: tuple[int, int] | None = None
    relative: bool = False
    id: int | str | None = None
    others: Mapping[str, Any] = field(default_factory=dict)
    rules: LabelRules = SOUND_RULES
    where: str = ""  # for messages: the file, and the picture in it

    @property
    def boxes(self) -> np.ndarray[Any, Any]:
        """(n,4) `float32`: x1, y1, x2, y2 of each annotation, NaN where there is none."""
        import numpy as np

        none = (math.nan,) * 4
        rows = [annotation.bounds() or none for annotation in self.annotations]
        return np.array(rows, np.float32).reshape(-1, 4)

    @property
    def categories(self) -> np.ndarray[Any, Any]:
        """(n,) `int64`: the class of each annotation, -1 where there is none."""
        import numpy as np

        known = (annotation.category for annotation in self.annotations)
        return np.array([-1 if each is None else each for each in known], np.int64)

    def columns(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """imgaug's objects for a picture of this shape, by the names of its columns.

        Raises `UnreadableLabelsError` if the file says that the picture has another size.
        """
        labels = self.in_pixels(shape)
        return columns_of(labels.annotations, shape, self.where)

    def shown(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """The same as they are to be drawn, without what helps to move them."""
        labels = self.in_pixels(shape)
        return columns_of(labels.annotations, shape, self.where, shown=True)

    def moved(self, columns: Mapping[str, Any], shape: tuple[int, ...]) -> PictureLabels:
        """The labels that these columns are of, as they are in the augmented picture."""
        height, width = shape[:2]
        annotations = moved_annotations(
            self.annotations, columns, (height, width), self.rules, self.where
        )
        return replace(self, annotations=annotations, size=(width, height), relative=False)

    def in_pixels(self, shape: tuple[int, ...]) -> PictureLabels:
        """The same labels in pixels of a picture of this shape."""
        height, width = shape[:2]
        if self.size not in (None, (width, height)):
            said = "{} x {}".format(*self.size or ())
            raise UnreadableLabelsError(
                f"{self.where}: the labels are of {said} pixels, the picture has {width} x {height}"
            )
        for mask in (each.mask for each in self.annotations):
            if mask is not None and mask.size != (height, width):
                raise UnreadableLabelsError(
                    f"{self.where}: a mask has {mask.size[1]} x {mask.size[0]} pixels, "
                    f"the picture {width} x {height}"
                )
        if self.relative:
            return self._scaled(width, height, relative=False, size=(width, height))
        return self if self.size else replace(self, size=(width, height))

    def in_fractions(self) -> PictureLabels:
        """The same labels in fractions of the picture, whose size has to be known."""
        if self.relative:
            return self
        if self.size is None:
            raise ValueError(f"{self.where}: the size of the picture is not known")
        width, height = self.size
        return self._scaled(1 / width, 1 / height, relative=True)

    def captions(self, classes: Sequence[str]) -> list[Caption]:
        """The name of each annotation's class, and where the annotation begins, in pixels."""
        placed = ((each, each.bounds()) for each in self.annotations)
        return [
            (
                classes[each.category] if each.category < len(classes) else str(each.category),
                *box[:2],
            )
            for each, box in placed
            if each.category is not None and box is not None
        ]

    def as_copy(self, picture_id: int, first_id: int) -> PictureLabels:
        """The same labels with other numbers: annotations are counted from `first_id`."""
        annotations = tuple(
            replace(annotation, id=first_id + place)
            for place, annotation in enumerate(self.annotations)
        )
        return replace(self, id=picture_id, annotations=annotations)

    def _scaled(self, across: float, down: float, **changes: Any) -> PictureLabels:
        scale = (across, down)

        def scaled(numbers: Sequence[float]) -> Any:
            return tuple(number * scale[place % 2] for place, number in enumerate(numbers))

        annotations = tuple(
            replace(
                each,
                box=None if each.box is None else scaled(each.box),
                polygons=tuple(map(scaled, each.polygons)),
                lines=tuple(map(scaled, each.lines)),
                keypoints=tuple((x * across, y * down, seen) for x, y, seen in each.keypoints),
            )
            for each in self.annotations
        )
        return replace(self, annotations=annotations, **changes)


def next_id(taken: Iterable[Any]) -> int:
    """The number behind all those that are taken; ids that are no numbers take none."""
    return 1 + max((each for each in taken if isinstance(each, int)), default=0)


@dataclass(frozen=True)
class NamedLabels:
    """Labels of one picture, and the names of the classes that they have numbers of."""

    labels: Any
    classes: tuple[str, ...]

    def columns(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """imgaug's objects for a picture of this shape, by the names of its columns."""
        columns: dict[str, Any] = self.labels.columns(shape)
        return columns

    def moved(self, columns: Mapping[str, Any], shape: tuple[int, ...]) -> Self:
        """The same labels with the columns that an augmenter returned."""
        return replace(self, labels=self.labels.moved(columns, shape))

    def shown(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """The same as they are to be drawn."""
        labels: PictureLabels = self.labels.in_pixels(shape)
        return labels.shown(shape)

    def captions(self, shape: tuple[int, ...]) -> list[Caption]:
        """The names of what is in a picture of this shape, and where it begins."""
        captions: list[Caption] = self.labels.in_pixels(shape).captions(self.classes)
        return captions
