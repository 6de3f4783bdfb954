"""VOC's pictures of numbers: `SegmentationClass/` has classes, `SegmentationObject/` objects.

0 is the background, and 255 what nobody labelled, such as the borders of things. Objects have the
numbers of their places in the XML, counted from 1. Pictures with a palette have the numbers as its
indices; those in colours, as CVAT writes them, have the colours of `labelmap.txt`, or of VOC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from .. import _pictures
from ..errors import UnreadableLabelsError, UnreadablePictureError
from .annotation import VOID, Annotation
from .checks import broken, read_text
from .labels import PictureLabels
from .masks import pixels_of
from .moving import array_of
from .references import File, Reference
from .run_lengths import RunLengths

if TYPE_CHECKING:
    import numpy as np

CLASS_MAPS, OBJECT_MAPS = "SegmentationClass", "SegmentationObject"
LABEL_MAP = "labelmap.txt"
# The classes of VOC itself, in the order of their numbers from 1.
VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
BACKGROUND, _VOID = "background", 255
# Keys of `others`: the number of an annotation's object, and that the XML does not have it.
NUMBER, UNLISTED = "<object number>", "<unlisted>"

Colour = tuple[int, int, int]


def voc_colour(number: int) -> Colour:
    """The colour that VOC has for a number: its bits in turn are the highest of each channel."""
    channels = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            channels[channel] |= (number >> (3 * place + channel) & 1) << (7 - place)
    return channels[0], channels[1], channels[2]


VOC_COLOURS = tuple(map(voc_colour, range(256)))


@dataclass(frozen=True)
class LabelMap:
    """The classes of the numbers 0, 1, ..., and their colours, if the dataset says both."""

    classes: tuple[str, ...]
    colours: tuple[Colour, ...] = VOC_COLOURS

    @classmethod
    def of(cls, classes: Sequence[str], colours: Sequence[Colour] = ()) -> LabelMap:
        """Classes that have the numbers from 1 on, and VOC's colours unless given."""
        own = (VOC_COLOURS[0], *colours)[: len(classes) + 1]
        return cls((BACKGROUND, *classes), own + VOC_COLOURS[len(own) :])

    def table(self) -> dict[Colour, int]:
        """The numbers of the colours; 255 is that of what nobody labelled, too."""
        own = {colour: number for number, colour in enumerate(self.colours)}
        return {VOC_COLOURS[_VOID]: _VOID, **own}

    def colours_of(self, classes: Sequence[str]) -> tuple[Colour, ...]:
        """The colours of these classes; one that is not here has that of VOC's for its place."""
        known = dict(zip(self.classes, self.colours, strict=False))
        return tuple(
            known.get(name, VOC_COLOURS[place % _VOID]) for place, name in enumerate(classes, 1)
        )

    def write(self) -> bytes:
        """`labelmap.txt`: a name, a colour, and no parts or actions, in each line."""
        pairs = zip(self.classes, self.colours, strict=False)
        return "".join(f"{name}:{r},{g},{b}::\n" for name, (r, g, b) in pairs).encode()


def read_label_map(file: File) -> LabelMap:
    """What `labelmap.txt` says."""
    names, colours = [], []
    for place, line in enumerate(read_text(file).splitlines(), 1):
        name, *rest = line.split(":")
        if not name.strip() or name.startswith("#"):
            continue
        parts = (rest[0] if rest else "").split(",")
        if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
            raise broken(
                f"{file.place}: line {place}", f"must be a name and three numbers, got {line!r}"
            )
        r, g, b = (min(int(part), 255) for part in parts)
        names.append(name.strip())
        colours.append((r, g, b))
    return LabelMap(tuple(names), tuple(colours))


@dataclass(frozen=True, slots=True)
class VocMaps:
    """The maps of one picture; `categories` are the places of the classes of the numbers."""

    label_map: LabelMap
    categories: tuple[int | None, ...]
    classes: Reference | None
    objects: Reference | None

    def array(self, size: tuple[int, int]) -> np.ndarray[Any, Any]:
        """The numbers (H,W,2) of classes and objects; without a map they are 0."""
        import numpy as np

        own, voc = self.label_map.table(), LabelMap((), VOC_COLOURS).table()
        both = np.zeros((*size, 2), np.int32)
        for channel, (file, table) in enumerate(((self.classes, own), (self.objects, voc))):
            if file is not None:
                both[:, :, channel] = _numbers(file, size, table)
        return both

    def category(self, number: int, where: str) -> int | None:
        """The class of a number."""
        if number >= len(self.categories):
            raise broken(where, f"there is no class with the number {number}")
        return self.categories[number]


def _numbers(
    file: Reference, size: tuple[int, int], table: Mapping[Colour, int]
) -> np.ndarray[Any, Any]:
    try:
        numbers = _pictures.decode_map(file.read(), table)
    except (UnreadablePictureError, OSError) as error:
        raise UnreadableLabelsError(f"{file.name}: {error}") from error
    if numbers.shape != size:
        found, wanted = (f"{width} x {height}" for height, width in (numbers.shape, size))
        raise broken(file.name, f"the mask has {found} pixels, the picture {wanted}")
    return numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class VocLabels(PictureLabels):
    """The labels in XML, and the maps, which are read when a worker moves them."""

    maps: VocMaps

    def columns(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """imgaug's objects for what is in the XML, and the maps as two channels of one map."""
        from imgaug.augmentables import SegmentationMapsOnImage

        columns = self._listed().columns(shape)
        array = self.maps.array((shape[0], shape[1]))
        return {**columns, "segmentation_maps": SegmentationMapsOnImage(array, shape)}

    def moved(self, columns: Mapping[str, Any], shape: tuple[int, ...]) -> PictureLabels:
        """The labels that these columns are of, with the masks in the augmented maps."""
        others = {name: each for name, each in columns.items() if name != "segmentation_maps"}
        maps = array_of(columns["segmentation_maps"], (shape[0], shape[1]))
        return self._with_masks(self._listed().moved(others, shape), maps)

    def in_pixels(self, shape: tuple[int, ...]) -> PictureLabels:
        """The labels as they are in the files."""
        maps = self.maps.array((shape[0], shape[1]))
        return self._with_masks(self._listed().in_pixels(shape), maps)

    def _listed(self) -> PictureLabels:
        """What is in the XML alone; each object knows its number."""
        known = {field.name: getattr(self, field.name) for field in fields(PictureLabels)}
        annotations = tuple(
            replace(each, others={**each.others, NUMBER: number})
            for number, each in enumerate(self.annotations, 1)
        )
        return PictureLabels(**{**known, "annotations": annotations})

    def _with_masks(self, labels: PictureLabels, maps: np.ndarray[Any, Any]) -> PictureLabels:
        import numpy as np

        classes, objects = maps[:, :, 0], maps[:, :, 1]
        unlabelled = (classes == _VOID) | (objects == _VOID)
        listed = {each.others[NUMBER]: each for each in labels.annotations}
        found: list[Annotation] = []
        for number in np.unique(objects[~unlabelled]).tolist():
            if not number:
                continue
            pixels = (objects == number) & ~unlabelled
            category = self._category(classes[pixels]) if self.maps.classes else None
            each = listed.get(number)
            if each is not None and (category is None or each.category == category):
                mask = RunLengths.from_pixels(pixels)
                listed[number] = replace(each, mask=mask)
            else:
                found.append(_unlisted(pixels, category, number))
        rest = np.where(unlabelled | (objects != 0), 0, classes)
        found += [
            _unlisted(rest == value, self.maps.category(value, self.where), 0)
            for value in np.unique(rest).tolist()
            if value
        ]
        if unlabelled.any():
            mask = RunLengths.from_pixels(unlabelled)
            found.append(Annotation(mask=mask, others={VOID: True, UNLISTED: True}))
        return replace(labels, annotations=(*listed.values(), *found))

    def _category(self, numbers: np.ndarray[Any, Any]) -> int | None:
        """The class of most of these pixels."""
        import numpy as np

        counts = np.bincount(numbers.ravel())
        return self.maps.category(int(counts.argmax()), self.where)


def _unlisted(pixels: np.ndarray[Any, Any], category: int | None, number: int) -> Annotation:
    mask = RunLengths.from_pixels(pixels)
    return Annotation(category=category, mask=mask, others={NUMBER: number, UNLISTED: True})


def maps_of(
    listed: Sequence[Annotation], others: Sequence[Annotation], size: tuple[int, int], where: str
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The numbers (H,W) of classes and objects; `listed` is what the XML has, in its order.

    What comes later covers what is before it. Raises `ValueError` for more than 254 objects.
    """
    import numpy as np

    classes, objects = np.zeros((2, *size), np.uint8)
    numbered = [(each, number) for number, each in enumerate(listed, 1)]
    taken = {number for each, number in numbered if each.mask is not None or each.polygons}
    free = (number for number in count(1) if number not in taken)
    unlabelled = []
    for each in others:
        number = each.others.get(NUMBER, 0)
        if VOID in each.others:
            unlabelled.append(each)
            continue
        if number in taken:
            number = next(free)
        if number:
            taken.add(number)
        numbered.append((each, number))
    for each, number in numbered:
        if each.mask is None and not each.polygons:
            continue
        kind = 0 if each.category is None else each.category + 1
        if max(number, kind) >= _VOID:
            raise ValueError(f"{where}: masks of VOC's hold at most 254 objects and classes")
        pixels = pixels_of(each, size)
        classes[pixels], objects[pixels] = kind, number
    for each in unlabelled:
        pixels = pixels_of(each, size)
        classes[pixels] = objects[pixels] = _VOID
    return classes, objects


def encoded(numbers: np.ndarray[Any, Any], colours: Sequence[Colour] = VOC_COLOURS) -> bytes:
    """A PNG of numbers, with these colours as its palette."""
    palette = [channel for colour in (*colours, *VOC_COLOURS[len(colours) :]) for channel in colour]
    return _pictures.encode_map(numbers, bytes(palette))
