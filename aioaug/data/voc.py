"""Pascal VOC's XML: a file for each picture, a box for each object.

VOC counts pixels from 1 and names the first and the last one inside of a box, so `xmin` is one more
than the left edge. Tools that write fractions or 0 mean the edges themselves; which of both a
dataset means is seen from its numbers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from .._base.arguments import whole_or_none
from .._pictures.writing import SUFFIXES
from .annotation import SOUND_RULES, Annotation, Box, LabelRules
from .checks import below, broken, file_in, number_in, read_file, size_of, unique
from .labels import PictureLabels
from .samples import PictureDataset, Sample

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_PICTURES, _LABELS, _SETS = "JPEGImages", "Annotations", "ImageSets/Main"
_SPLITS = ("train", "val", "trainval", "test")
_SIDES = ("xmin", "ymin", "xmax", "ymax")
# Keys of `others`: the elements as text, which keep what is not understood here.
_OBJECT, _PICTURE = "<object>", "<annotation>"


class Voc(PictureDataset):
    """The pictures of a folder with VOC's XML in `Annotations/`, or anywhere in it.

    `split` is the name of a list in `ImageSets/Main`. `classes` are the names in their order, those
    that occur unless given. `first_pixel` is 1 if the numbers are VOC's own, 0 if they are edges;
    unless given, it is 0 if any of them is less than 1 or has a fraction.

    Raises `UnreadableLabelsError` for files that are not as VOC's are.
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
        top = Path(root)
        whole_or_none("first_pixel", first_pixel, low=0, high=1)
        files = [_File(path) for path in _files(top, split)]
        names = sorted({name for file in files for name in file.names})
        if classes is not None and (unknown := set(names) - set(classes)):
            raise broken(str(top), f"there is a name {min(unknown)!r}, which is no class")
        known = list(names if classes is None else classes)
        if first_pixel is None:
            first_pixel = int(all(file.counts_from_one() for file in files))
        self.first_pixel = first_pixel
        pictures = _pictures_of(top)
        samples = []
        for file in files:
            name = _picture_of(file.tree, file.path, top, pictures)
            labels = file.labels(known, first_pixel, rules)
            samples.append(Sample(file_in(top, name), labels))
        unique([sample.image.name for sample in samples], str(top), "the picture")
        super().__init__(samples, known)


def read_alone(path: Path) -> tuple[PictureLabels, VocWriter]:
    """The labels in one file, and what writes them as that file was."""
    file = _File(path)
    names, first_pixel = sorted(set(file.names)), int(file.counts_from_one())
    return file.labels(names, first_pixel, SOUND_RULES), VocWriter(names, first_pixel)


class _File:
    """One XML file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = _tree(path)
        self._objects = self.tree.findall("object")
        self.names = [_name(each, path) for each in self._objects]
        self._boxes = [_box(each, path) for each in self._objects]

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
        where = str(self.path)
        sides = (self.tree.findtext(f"size/{side}") or "0" for side in ("width", "height"))
        width, height = (number_in(side, where, "the size of the picture") for side in sides)
        return PictureLabels(
            annotations=tuple(annotations),
            size=size_of(width, height, where),
            others={_PICTURE: tostring(self.tree, "unicode").strip()},
            rules=rules,
            where=where,
        )


def _files(top: Path, split: str | None) -> list[Path]:
    folder = top / _LABELS if (top / _LABELS).is_dir() else top
    if split is not None:
        listed = below(top, f"{_SETS}/{split}.txt", str(top))
        names = [
            line.split()[0] for line in read_file(listed).decode().splitlines() if line.split()
        ]
        files = [below(folder, f"{name}.xml", str(listed)) for name in names]
    else:
        files = sorted(folder.rglob("*.xml"))
    if not files:
        raise broken(str(top), "there are no XML files")
    for file in files:
        below(top, file.relative_to(top).as_posix(), str(file))
    return files


def _tree(file: Path) -> Element:
    """The XML in a file. What defines entities is refused: a short file may hold gigabytes."""
    from xml.etree import ElementTree

    def no_entities(*_: Any) -> None:
        raise broken(str(file), "has a document type, which may define entities without end")

    data = read_file(file)
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = no_entities
    try:
        parser.Parse(data, True)
        tree = ElementTree.fromstring(data)
    except (expat.ExpatError, ElementTree.ParseError, LookupError) as error:
        raise broken(str(file), f"is not XML: {error}") from error
    if tree.tag != "annotation":
        raise broken(str(file), f"must hold an <annotation>, got a <{tree.tag}>")
    return tree


def _name(element: Element, file: Path) -> str:
    name = (element.findtext("name") or "").strip()
    if not name:
        raise broken(str(file), "an object has no name")
    return name


def _box(element: Element, file: Path) -> Box | None:
    box = element.find("bndbox")
    if box is None:
        return None
    where = f"{file}: {_name(element, file)}"
    x1, y1, x2, y2 = (number_in(box.findtext(side), where, side) for side in _SIDES)
    if x2 < x1 or y2 < y1:
        raise broken(where, f"the box has a negative width or height: {x1:g} {y1:g} {x2:g} {y2:g}")
    return x1, y1, x2, y2


def _pictures_of(top: Path) -> dict[str, str]:
    """The pictures, by their paths without suffix, and by their names where they are unique."""
    found = sorted(path for path in top.rglob("*") if path.suffix.lower() in SUFFIXES)
    names: dict[str, str] = {}
    for path in found:
        name = path.relative_to(top).as_posix()
        names[Path(name).with_suffix("").as_posix()] = names[name] = name
    return names


def _picture_of(tree: Element, file: Path, top: Path, pictures: Mapping[str, str]) -> str:
    folders = [file.parent.relative_to(top)]
    if _LABELS in folders[0].parts:
        parts = folders[0].parts
        at = parts.index(_LABELS)
        folders = [Path(*parts[:at], each, *parts[at + 1 :]) for each in (_PICTURES, "images")]
    said = (tree.findtext("filename") or "").strip()
    if said:
        below(top, said, str(file))
    for folder in [*folders, Path(".")]:
        for name in (said, Path(said).stem, file.stem):
            if name and (found := pictures.get((folder / name).as_posix())) is not None:
                below(top, found, str(file))
                return found
    raise broken(str(file), f"there is no picture {said or file.stem}")


class VocWriter:
    """Writes pictures and labels as VOC's: `JPEGImages/`, `Annotations/` and `ImageSets/Main/`.

    `first_pixel` is as for `Voc`; edges are written as whole pixels if it is 1.
    """

    def __init__(self, classes: Sequence[str], first_pixel: int = 1) -> None:
        self.classes = tuple(classes)
        self._first_pixel = first_pixel

    def place(self, name: str) -> str:
        """Where the picture of this name belongs."""
        return f"{_PICTURES}/{_inner(name)}"

    def label_files(self, name: str, labels: PictureLabels) -> dict[str, bytes]:
        """The XML of one picture."""
        from xml.etree.ElementTree import fromstring, indent, tostring

        inner = _inner(name)
        tree = fromstring(labels.others.get(_PICTURE, "<annotation/>"))
        _set(tree, "folder", _PICTURES)
        _set(tree, "filename", Path(inner).name)
        if (path := tree.find("path")) is not None:
            path.text = self.place(name)  # it was the place of the original
        if labels.size is not None:
            for side, value in zip(("width", "height"), labels.size, strict=True):
                _set(tree, f"size/{side}", str(value))
            if tree.find("size/depth") is None:
                _set(tree, "size/depth", "3")
        for each in labels.annotations:
            if (each.has_area() and each.category is not None) or _OBJECT in each.others:
                tree.append(self._object(each, each.bounds()))
        indent(tree)
        text = Path(inner).with_suffix(".xml").as_posix()
        return {f"{_LABELS}/{text}": tostring(tree, "utf-8") + b"\n"}

    def record(self, name: str, labels: PictureLabels) -> str:
        """The name of a picture in the lists of splits, for `dataset_files`."""
        return Path(_inner(name)).with_suffix("").as_posix()

    def dataset_files(self, records: Iterable[str]) -> dict[str, bytes]:
        """A list of all pictures for each split."""
        splits: dict[str, list[str]] = {}
        for parts in records:
            first, _, rest = parts.partition("/")
            is_split = rest and first in _SPLITS
            splits.setdefault(first if is_split else "train", []).append(parts)
        return {
            f"{_SETS}/{split}.txt": "".join(f"{name}\n" for name in names).encode()
            for split, names in splits.items()
        }

    def _object(self, each: Annotation, box: Box | None) -> Element:
        from xml.etree.ElementTree import fromstring

        element = fromstring(each.others.get(_OBJECT, "<object/>"))
        if each.category is not None:
            _set(element, "name", self.classes[each.category])
        for name, text in (("pose", "Unspecified"), ("truncated", "0"), ("difficult", "0")):
            if element.find(name) is None and _OBJECT not in each.others:
                _set(element, name, text)
        if box is not None:
            edges = (box[0] + self._first_pixel, box[1] + self._first_pixel, box[2], box[3])
            for side, value in zip(_SIDES, edges, strict=True):
                _set(element, f"bndbox/{side}", self._written(value))
        return element

    def _written(self, value: float) -> str:
        return str(round(value)) if self._first_pixel else f"{round(value, 3):.12g}"


def _inner(name: str) -> str:
    """The name of a picture below `JPEGImages`."""
    return "/".join(part for part in name.split("/") if part != _PICTURES)


def _set(element: Element, path: str, text: str) -> None:
    """Set the text of an element below, which is made if it is not there."""
    from xml.etree.ElementTree import SubElement

    for tag in path.split("/"):
        found = element.find(tag)
        element = SubElement(element, tag) if found is None else found
    element.text = text
