"""Masks of classes: a picture of numbers beside each picture, or a picture for each class.

Numbers are those of grey pictures or the indices of palettes, and places in the list of classes.
0 is the background. Of a picture for one class, whatever is not 0 belongs to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from .. import _pictures
from .._pictures.reading import SUFFIXES
from ..errors import UnreadableLabelsError, UnreadablePictureError
from .annotation import Annotation, LabelRules, points_of
from .checks import below, broken, label_folder, listed, read_text
from .labels import PictureLabels
from .listing import Folder
from .moving import array_of
from .references import Reference
from .run_lengths import RunLengths
from .samples import PictureDataset, Sample

if TYPE_CHECKING:
    import numpy as np

_NAMES = "classes.txt"
_EVERYTHING = LabelRules(min_visibility=0, min_pixels=0)


@dataclass(frozen=True, slots=True)
class MaskFiles:
    """The masks of one picture: a single map of all classes, or a map for each of some classes."""

    files: tuple[Reference, ...]
    categories: tuple[int, ...] = ()  # of each file, if they are maps of one class

    def columns(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """imgaug's maps, with the numbers of one map, or a channel for each class."""
        from imgaug.augmentables import SegmentationMapsOnImage

        return {"segmentation_maps": SegmentationMapsOnImage(self._array(shape[:2]), shape)}

    def moved(self, columns: Mapping[str, Any], shape: tuple[int, ...]) -> PictureLabels:
        """The labels in the augmented maps: an annotation for each class that is there."""
        height, width = shape[:2]
        maps = array_of(columns["segmentation_maps"], (height, width))
        return self._labels(maps)

    def in_pixels(self, shape: tuple[int, ...]) -> PictureLabels:
        """The labels as they are in the files."""
        return self._labels(self._array(shape[:2]))

    def _array(self, size: tuple[int, ...]) -> np.ndarray[Any, Any]:
        import numpy as np

        maps = []
        for file in self.files:
            try:
                numbers = _pictures.decode_map(file.read())
            except (UnreadablePictureError, OSError) as error:
                raise UnreadableLabelsError(f"{file.name}: {error}") from error
            if numbers.shape != size:
                found, wanted = (f"{width} x {height}" for height, width in (numbers.shape, size))
                raise broken(file.name, f"the mask has {found} pixels, the picture {wanted}")
            maps.append((numbers != 0).astype(np.int32) if self.categories else numbers)
        return np.stack(maps, axis=2)

    def _labels(self, maps: np.ndarray[Any, Any]) -> PictureLabels:
        import numpy as np

        height, width = maps.shape[:2]
        if self.categories:
            found = {each: maps[:, :, at] for at, each in enumerate(self.categories)}
        else:
            numbers = maps[:, :, 0]
            found = {int(each): numbers == each for each in np.unique(numbers) if each}
        annotations = tuple(
            Annotation(category=category, mask=RunLengths.from_pixels(pixels))
            for category, pixels in found.items()
        )
        return PictureLabels(
            annotations=annotations,
            size=(width, height),
            rules=_EVERYTHING,
            where=self.files[0].name,
        )


class Masks(PictureDataset):
    """The pictures of a folder, with a mask of the same name for each in another one.

    `masks` has PNGs named as the pictures, or `CLASS/NAME.png` or `NAME_CLASS.png` for each class.
    `classes` are the names of the numbers, the first that of the background; if they are not given,
    those in `classes.txt` beside `masks`, else the numbers themselves. `palette` is that of the
    first mask, and `first_value` 0, as `MasksWriter` takes them. Both folders may be at URLs that
    fsspec understands.

    Raises `UnreadableLabelsError` for folders in which something is missing, and `OSError` for one
    that cannot be listed; masks are read later.
    """

    first_value = 0

    def __init__(
        self,
        images: str | os.PathLike[str],
        masks: str | os.PathLike[str],
        *,
        classes: Sequence[str] | None = None,
    ) -> None:
        top, of_masks = label_folder(images), label_folder(masks)
        pictures, maps = (sorted(listed(each, SUFFIXES)) for each in (top, of_masks))
        names = {_stem(name): name for name in pictures}
        found = {name: _stem(name) for name in maps}
        self.per_class = not any(stem in names for stem in found.values())
        if self.per_class:
            parts = {name: _class_of(name, names, of_masks) for name in maps}
            kinds_found = sorted({kind for _, kind in parts.values()})
            if classes is not None and (unknown := set(kinds_found) - set(classes)):
                raise broken(of_masks.root, f"there is no class {min(unknown)!r}")
            known = list(kinds_found if classes is None else classes)
        else:
            parts = {name: (stem, "") for name, stem in found.items()}
            known = list(_numbered(of_masks) if classes is None else classes)
        of_picture: dict[str, list[tuple[str, str]]] = {stem: [] for stem in names}
        for name, (stem, kind) in sorted(parts.items()):
            if stem not in of_picture:
                place = below(of_masks, name, of_masks.root).place
                raise broken(place, f"there is no such picture in {top.root}")
            of_picture[stem].append((name, kind))
        samples = []
        for stem, files in of_picture.items():
            picture = below(top, names[stem], top.root)
            if not files and not self.per_class:
                raise broken(picture.place, f"there is no mask of it in {of_masks.root}")
            references = tuple(below(of_masks, name, of_masks.root) for name, _ in files)
            kinds = tuple(known.index(kind) for _, kind in files) if self.per_class else ()
            labels = MaskFiles(references, kinds) if files else PictureLabels()
            samples.append(Sample(picture, labels))
        super().__init__(samples, known)
        self.palette = _palette_of(below(of_masks, maps[0], of_masks.root)) if maps else None


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def _class_of(mask: str, pictures: Mapping[str, str], masks: Folder) -> tuple[str, str]:
    """The picture and the class of a mask `CLASS/NAME` or `NAME_CLASS`."""
    stem = _stem(mask)
    kind, _, name = stem.partition("/")
    if name in pictures:
        return name, kind
    for place in range(len(stem) - 1, 0, -1):
        if stem[place] == "_" and stem[:place] in pictures:
            return stem[:place], stem[place + 1 :]
    where = below(masks, mask, masks.root).place
    raise broken(where, "there is no picture that this would be the mask of")


def _numbered(masks: Folder) -> list[str]:
    top = label_folder(os.path.dirname(masks.root))
    if top.is_file(_NAMES):
        text = read_text(below(top, _NAMES, top.root))
        return [line.strip() for line in text.splitlines() if line.strip()]
    return [str(number) for number in range(256)]


def _palette_of(reference: Reference) -> bytes | None:
    try:
        return _pictures.palette_of(reference.read())
    except (UnreadablePictureError, OSError) as error:
        raise UnreadableLabelsError(f"{reference.name}: {error}") from error


class MasksWriter:
    """Writes pictures and their masks: `images/`, `masks/` and `classes.txt`.

    The number of a class is its place plus `first_value`; what is listed later in a picture's
    labels covers what is before it. With `per_class`, each class has a picture of its own.
    """

    def __init__(
        self,
        classes: Sequence[str],
        palette: bytes | None = None,
        *,
        per_class: bool = False,
        first_value: int = 1,
    ) -> None:
        self._classes = tuple(classes)
        self._palette = palette
        self._per_class = per_class
        self._first_value = first_value

    def place(self, name: str) -> str:
        """Where the picture of this name belongs."""
        return f"images/{name}"

    def label_files(self, name: str, labels: PictureLabels) -> dict[str, bytes]:
        """The masks of one picture."""
        import numpy as np

        if labels.size is None:
            raise ValueError(f"{labels.where or name}: the size of the picture is not known")
        width, height = labels.size
        stem = PurePosixPath(name).with_suffix(".png").as_posix()
        maps: dict[str, np.ndarray[Any, Any]] = {}
        if not self._per_class:
            maps[stem] = np.zeros((height, width), np.uint16)
        for each in labels.annotations:
            if each.category is None:
                continue
            value, where = each.category + self._first_value, stem
            if self._per_class:
                value, where = 255, f"{self._classes[each.category]}/{stem}"
                maps.setdefault(where, np.zeros((height, width), np.uint16))
            maps[where][pixels_of(each, (height, width))] = value
        palette = None if self._per_class else self._palette
        return {
            f"masks/{file}": _pictures.encode_map(numbers, palette)
            for file, numbers in maps.items()
        }

    def record(self, name: str, labels: PictureLabels) -> None:
        """Nothing: `dataset_files` needs to know nothing of the pictures."""

    def dataset_files(self, records: Iterable[None]) -> dict[str, bytes]:
        """`classes.txt`, with the name of each number."""
        if self._per_class:
            return {}
        names = ["background"] * self._first_value + list(self._classes)
        return {_NAMES: "".join(f"{name}\n" for name in names).encode()}


def pixels_of(each: Annotation, size: tuple[int, int]) -> np.ndarray[Any, Any]:
    """The pixels (H,W) whose middles are in the mask, the polygons or the box."""
    import numpy as np
    from skimage.draw import polygon

    if each.mask is not None:
        return each.mask.pixels()
    pixels = np.zeros(size, bool)
    if not each.polygons and each.box is not None:
        x1, y1, x2, y2 = each.box
        each = replace(each, polygons=((x1, y1, x2, y1, x2, y2, x1, y2),))
    for part in each.polygons:
        xs, ys = zip(*points_of(part), strict=True)
        pixels[polygon(np.array(ys) - 0.5, np.array(xs) - 0.5, size)] = True
    return pixels
