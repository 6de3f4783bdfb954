"""Pascal VOC's XML: a file for each picture, a box for each object.

VOC counts pixels from 1 and names the first and the last one inside of a box, so `xmin` is one more
than the left edge. Tools that write fractions or 0 mean the edges themselves; which of both a
dataset means is seen from its numbers. Masks are in other folders, see `voc_maps`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from .._base.arguments import one_of, whole_or_none
from .._pictures.reading import SUFFIXES
from .annotation import SOUND_RULES, Annotation, Box, LabelRules
from .checks import (
    below,
    broken,
    content_of,
    label_folder,
    listed,
    number_in,
    read_file,
    read_text,
    size_of,
    unique,
)
from .labels import PictureLabels
from .listing import Folder
from .references import File, read_each
from .samples import PictureDataset, Sample
from .voc_maps import (
    BACKGROUND,
    CLASS_MAPS,
    LABEL_MAP,
    OBJECT_MAPS,
    UNLISTED,
    VOC_CLASSES,
    Colour,
    LabelMap,
    VocLabels,
    VocMaps,
    encoded,
    maps_of,
    read_label_map,
)
from .voc_xml import read_xml, set_text

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_PICTURES, _LABELS = "JPEGImages", "Annotations"
_SETS, _SETS_OF_MASKS = "ImageSets/Main", "ImageSets/Segmentation"
MASK_FOLDERS = (CLASS_MAPS, OBJECT_MAPS)
_SPLITS = ("train", "val", "trainval", "test")
_SIDES = ("xmin", "ymin", "xmax", "ymax")
# Keys of `others`: the elements as text, which keep what is not understood here.
_OBJECT, _PICTURE = "<object>", "<annotation>"
_MASKED = "<masks>"  # another key: whether a picture of a dataset with masks has some


class Voc(PictureDataset):
    """The pictures of a folder with VOC's XML in `Annotations/`, or anywhere in it.

    The folder may be at a URL that fsspec understands.

    `split` is the name of a list in `ImageSets/Main`, or else `ImageSets/Segmentation`. `classes`
    are the names in their order; unless given, those in `labelmap.txt`, and those that occur.
    Where there are masks and no `labelmap.txt`, the numbers of classes are their places from 1 on;
    if all that occur are VOC's, they are VOC's own. `first_pixel` is 1 if the numbers of boxes are
    VOC's own, 0 if they are edges; unless given, it is 0 if any of them is less than 1 or has a
    fraction. `masks` are the folders of masks that there are, and `colours` those of the classes.

    Masks are read when a picture is. That of an object belongs to its box. What the XML does not
    have are annotations of their own, and borders that nobody labelled are one without a class.

    Raises `UnreadableLabelsError` for files that are not as VOC's are, and `OSError` for a folder
    that cannot be listed.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        split: str | None = None,
        classes: Sequence[str] | None = None,
        first_pixel: int | None = None,
        rules: LabelRules = SOUND_RULES,
    ) -> None:
        top = label_folder(root)
        whole_or_none("first_pixel", first_pixel, low=0, high=1)
        found = _files(top, split)
        files = [
            _File(file, content_of(file, data))
            for file, data in zip(found, read_each(found), strict=True)
        ]
        self.masks = tuple(folder for folder in MASK_FOLDERS if top.is_folder(folder))
        names = {name for file in files for name in file.names}
        if classes is not None and (unknown := names - set(classes)):
            raise broken(top.root, f"there is a name {min(unknown)!r}, which is no class")
        label_map = None
        if top.is_file(LABEL_MAP):
            label_map = read_label_map(below(top, LABEL_MAP, top.root))
        known = _classes(names, label_map, self.masks) if classes is None else list(classes)
        numbers = LabelMap.of(known) if label_map is None else label_map
        self.colours = numbers.colours_of(known)
        categories = tuple(known.index(name) if name in known else None for name in numbers.classes)
        if first_pixel is None:
            first_pixel = int(all(file.counts_from_one() for file in files))
        self.first_pixel = first_pixel
        pictures = _pictures_of(top)
        samples = []
        for file in files:
            picture = _picture_of(file.tree, file.file, top, pictures)
            labels = file.labels(known, first_pixel, rules)
            if self.masks:
                maps = [_map_of(top, folder, file.file) for folder in MASK_FOLDERS]
                labels = _with_maps(labels, VocMaps(numbers, categories, *maps))
            samples.append(Sample(picture, labels))
        unique([sample.image.name for sample in samples], top.root, "the picture")
        super().__init__(samples, known)


def read_alone(path: File) -> tuple[PictureLabels, VocWriter]:
    """The labels in one file, and what writes them as that file was."""
    file = _File(path, read_file(path))
    names, first_pixel = sorted(set(file.names)), int(file.counts_from_one())
    return file.labels(names, first_pixel, SOUND_RULES), VocWriter(names, first_pixel)


class _File:
    """One XML file."""

    def __init__(self, file: File, data: bytes) -> None:
        self.file = file
        self.tree = read_xml(file.place, data)
        self._objects = self.tree.findall("object")
        self.names = [_name(each, file.place) for each in self._objects]
        self._boxes = [_box(each, file.place) for each in self._objects]

    def counts_from_one(self) -> bool:
        """Whether the numbers may be VOC's own, which are whole, and 1 or more."""
        sides = [side for box in self._boxes if box for side in box]
        return all(side == int(side) and side >= 1 for side in sides)

    def labels(self, classes: Sequence[str], first_pixel: int, rules: LabelRules) -> PictureLabels:
        from xml.etree.ElementTree import tostring

        annotations = []
        for element, name, box in zip(self._objects, self.names, self._boxes, strict=True):
            edges = box and (box[0] - first_pixel, box[1] - first_pixel, box[2], box[3])
            others = {_OBJECT: tostring(element, "unicode").strip()}
            category = classes.index(name)
            annotations.append(Annotation(category=category, box=edges, others=others))
            self.tree.remove(element)
        where = self.file.place
        sides = (self.tree.findtext(f"size/{side}") or "0" for side in ("width", "height"))
        width, height = (number_in(side, where, "the size of the picture") for side in sides)
        return PictureLabels(
            annotations=tuple(annotations),
            size=size_of(width, height, where),
            others={_PICTURE: tostring(self.tree, "unicode").strip()},
            rules=rules,
            where=where,
        )


def _classes(names: set[str], label_map: LabelMap | None, masks: tuple[str, ...]) -> list[str]:
    if label_map is not None:
        listed = [name for name in label_map.classes if name != BACKGROUND]
        return listed + sorted(names - set(listed))
    return list(VOC_CLASSES) if masks and names <= set(VOC_CLASSES) else sorted(names)


def _map_of(top: Folder, folder: str, file: File) -> File | None:
    """The map of the picture whose XML is `file`, if it has one."""
    parts = PurePosixPath(file.name).with_suffix(".png").parts
    inner = parts[1:] if parts[0] == _LABELS else parts
    found = below(top, "/".join((folder, *inner)), file.place)
    return found if top.is_file(found.name) else None


def _with_maps(labels: PictureLabels, maps: VocMaps) -> PictureLabels:
    if maps.classes is None and maps.objects is None:
        return replace(labels, others={**labels.others, _MASKED: False})
    known = {field.name: getattr(labels, field.name) for field in fields(labels)}
    return VocLabels(**known, maps=maps)


def _files(top: Folder, split: str | None) -> list[File]:
    inner = _LABELS if top.is_folder(_LABELS) else ""
    if split is not None:
        sets = [below(top, f"{each}/{split}.txt", top.root) for each in (_SETS, _SETS_OF_MASKS)]
        chosen = next((each for each in sets if top.is_file(each.name)), sets[-1])
        lines = read_text(chosen).splitlines()
        names = [line.split()[0] for line in lines if line.split()]
        return [below(top, f"{inner}/{name}.xml".lstrip("/"), chosen.place) for name in names]
    found = listed(top, (".xml",), inner)
    if not found:
        raise broken(top.root, "there are no XML files")
    return [below(top, name, top.root) for name in found]


def _name(element: Element, file: str) -> str:
    name = (element.findtext("name") or "").strip()
    if not name:
        raise broken(file, "an object has no name")
    return name


def _box(element: Element, file: str) -> Box | None:
    box = element.find("bndbox")
    if box is None:
        return None
    where = f"{file}: {_name(element, file)}"
    x1, y1, x2, y2 = (number_in(box.findtext(side), where, side) for side in _SIDES)
    if x2 < x1 or y2 < y1:
        raise broken(where, f"the box has a negative width or height: {x1:g} {y1:g} {x2:g} {y2:g}")
    return x1, y1, x2, y2


def _pictures_of(top: Folder) -> dict[str, str]:
    """The pictures, by their names and by these without suffix."""
    names: dict[str, str] = {}
    for name in listed(top, SUFFIXES):
        names[PurePosixPath(name).with_suffix("").as_posix()] = names[name] = name
    return names


def _picture_of(tree: Element, file: File, top: Folder, pictures: Mapping[str, str]) -> File:
    path = PurePosixPath(file.name)
    folders = [path.parent]
    if _LABELS in path.parent.parts:
        parts = path.parent.parts
        at = parts.index(_LABELS)
        inner = parts[at + 1 :]
        folders = [PurePosixPath(*parts[:at], each, *inner) for each in (_PICTURES, "images")]
    said = (tree.findtext("filename") or "").strip()
    if said:
        below(top, said, file.place)
    for folder in [*folders, PurePosixPath()]:
        for name in (said, PurePosixPath(said).stem, path.stem):
            if name and (found := pictures.get((folder / name).as_posix())) is not None:
                return below(top, found, file.place)
    raise broken(file.place, f"there is no picture {said or path.stem}")


class VocWriter:
    """Writes pictures and labels as VOC's: `JPEGImages/`, `Annotations/` and `ImageSets/Main/`.

    `first_pixel` is as for `Voc`; edges are written as whole pixels if it is 1. `masks` are the
    folders of masks to write, `SegmentationClass` and `SegmentationObject` or one of them, with
    `ImageSets/Segmentation/`; `colours` are those of the classes there, VOC's unless given. Masks
    that are not of VOC's own classes come with a `labelmap.txt`.
    """

    def __init__(
        self,
        classes: Sequence[str],
        first_pixel: int = 1,
        *,
        masks: Sequence[str] = (),
        colours: Sequence[Colour] = (),
    ) -> None:
        self.classes = tuple(classes)
        self._first_pixel = first_pixel
        self._masks = tuple(one_of("masks", folder, MASK_FOLDERS) for folder in masks)
        self._label_map = LabelMap.of(self.classes, colours)

    def place(self, name: str) -> str:
        """Where the picture of this name belongs."""
        return f"{_PICTURES}/{_inner(name)}"

    def label_files(self, name: str, labels: PictureLabels) -> dict[str, bytes]:
        """The XML of one picture, and its masks.

        Raises `ValueError` for more than 254 masks in one picture.
        """
        from xml.etree.ElementTree import fromstring, indent, tostring

        inner = _inner(name)
        tree = fromstring(labels.others.get(_PICTURE, "<annotation/>"))
        set_text(tree, "folder", _PICTURES)
        set_text(tree, "filename", PurePosixPath(inner).name)
        if (path := tree.find("path")) is not None:
            path.text = self.place(name)  # it was the place of the original
        if labels.size is not None:
            for side, value in zip(("width", "height"), labels.size, strict=True):
                set_text(tree, f"size/{side}", str(value))
            if tree.find("size/depth") is None:
                set_text(tree, "size/depth", "3")
        listed = list(filter(_is_listed, labels.annotations))
        for each in listed:
            tree.append(self._object(each, each.bounds()))
        if self._is_masked(labels) and tree.find("segmented") is None:
            set_text(tree, "segmented", "1")
        indent(tree)
        text = PurePosixPath(inner).with_suffix(".xml").as_posix()
        return {
            f"{_LABELS}/{text}": tostring(tree, "utf-8") + b"\n",
            **self._maps(PurePosixPath(inner).with_suffix(".png").as_posix(), listed, labels),
        }

    def record(self, name: str, labels: PictureLabels) -> dict[str, Any]:
        """The name of a picture in the lists of splits, and whether it has masks."""
        stem = PurePosixPath(_inner(name)).with_suffix("").as_posix()
        return {"name": stem, "masks": self._is_masked(labels)}

    def dataset_files(self, records: Iterable[dict[str, Any]]) -> dict[str, bytes]:
        """A list of all pictures for each split, one of those with masks, and `labelmap.txt`."""
        lists: dict[str, list[str]] = {}
        for record in records:
            first, _, rest = record["name"].partition("/")
            split = first if rest and first in _SPLITS else "train"
            for folder in (_SETS, _SETS_OF_MASKS) if record["masks"] else (_SETS,):
                lists.setdefault(f"{folder}/{split}.txt", []).append(record["name"])
        files = {
            file: "".join(f"{name}\n" for name in names).encode() for file, names in lists.items()
        }
        if self._masks and self._label_map != LabelMap.of(VOC_CLASSES):
            files[LABEL_MAP] = self._label_map.write()
        return files

    def _is_masked(self, labels: PictureLabels) -> bool:
        return bool(self._masks) and bool(labels.others.get(_MASKED, True))

    def _maps(
        self, name: str, listed: Sequence[Annotation], labels: PictureLabels
    ) -> dict[str, bytes]:
        if not self._is_masked(labels):
            return {}
        if labels.size is None:
            raise ValueError(f"{labels.where or name}: the size of the picture is not known")
        width, height = labels.size
        others = [each for each in labels.annotations if not _is_listed(each)]
        classes, objects = maps_of(listed, others, (height, width), labels.where or name)
        both = {
            CLASS_MAPS: encoded(classes, self._label_map.colours),
            OBJECT_MAPS: encoded(objects),
        }
        return {f"{folder}/{name}": both[folder] for folder in self._masks}

    def _object(self, each: Annotation, box: Box | None) -> Element:
        from xml.etree.ElementTree import fromstring

        element = fromstring(each.others.get(_OBJECT, "<object/>"))
        if each.category is not None:
            set_text(element, "name", self.classes[each.category])
        for name, text in (("pose", "Unspecified"), ("truncated", "0"), ("difficult", "0")):
            if element.find(name) is None and _OBJECT not in each.others:
                set_text(element, name, text)
        if box is not None:
            edges = (box[0] + self._first_pixel, box[1] + self._first_pixel, box[2], box[3])
            for side, value in zip(_SIDES, edges, strict=True):
                set_text(element, f"bndbox/{side}", self._written(value))
        return element

    def _written(self, value: float) -> str:
        return str(round(value)) if self._first_pixel else f"{round(value, 3):.12g}"


def _is_listed(each: Annotation) -> bool:
    """Whether the XML has an object for it."""
    if UNLISTED in each.others:
        return False
    return (each.has_area() and each.category is not None) or _OBJECT in each.others


def _inner(name: str) -> str:
    """The name of a picture below `JPEGImages`."""
    return "/".join(part for part in name.split("/") if part != _PICTURES)
