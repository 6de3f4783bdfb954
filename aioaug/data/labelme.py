"""labelme's JSON: a file for each picture, with a list of shapes.

Every type of shape is read: polygons, rectangles, circles, points, lines and masks. A circle is
read as a polygon, for an augmenter may make an ellipse of it, and is written as one if it still is.
"""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from .. import _pictures
from .._pictures.reading import SUFFIXES
from ..errors import UnreadablePictureError
from .annotation import SOUND_RULES, VOID, Annotation, LabelRules, Outline, points_of
from .checks import (
    any_json,
    below,
    broken,
    label_folder,
    listed,
    numbers,
    read_texts,
    shown,
    size_of,
    to_json,
    unique,
)
from .ellipses import ellipse_of_outline, outline_of_ellipse
from .labels import PictureLabels
from .listing import Folder
from .references import File
from .run_lengths import RunLengths, box_of_pixels
from .samples import PictureDataset, Sample

_KNOWN = ("label", "points", "shape_type", "mask")
_POINTS = {"rectangle": 2, "circle": 2, "line": 2, "point": 1, "mask": 2}


class Labelme(PictureDataset):
    """The pictures below a folder, or a URL that fsspec understands, with labelme's JSON beside.

    `classes` are the labels in their order, those that occur unless given. A picture whose file has
    not its pixels beside it but in it (`imageData`) is refused.

    Raises `UnreadableLabelsError` for files that are not as labelme's are, and `OSError` for a
    folder that cannot be listed.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        classes: Sequence[str] | None = None,
        rules: LabelRules = SOUND_RULES,
    ) -> None:
        top = label_folder(root)
        files = [below(top, name, top.root) for name in listed(top, (".json",))]
        contents = []
        for file, text in zip(files, read_texts(files), strict=True):
            content = {} if text is None else any_json(file, text)
            if not isinstance(content, dict):
                kind = type(content).__name__
                raise broken(file.place, f"must hold a JSON object, got {kind}")
            if isinstance(content.get("shapes"), list):
                contents.append((file, content))
        if not contents:
            raise broken(top.root, "there are no files of labelme's")
        shapes = ((shape, file.place) for file, each in contents for shape in each["shapes"])
        names = _classes(shapes)
        if classes is not None and (unknown := set(names) - set(classes)):
            raise broken(
                top.root, f"there are shapes with the label {min(unknown)!r}, which is not given"
            )
        known = {name: place for place, name in enumerate(names if classes is None else classes)}
        pictures = _pictures_by_stem(top)
        samples = []
        for file, content in contents:
            labels = read_labels(content, file.place, known, rules)
            name = _picture_of(content, file, pictures)
            samples.append(Sample(below(top, name, file.place), labels))
        unique([sample.image.name for sample in samples], top.root, "the picture")
        super().__init__(samples, list(known))


def read_labels(
    content: Mapping[str, Any], where: str, known: Mapping[str, int], rules: LabelRules
) -> PictureLabels:
    """The labels in a file of labelme's; `known` are the places of its classes."""
    others = {name: value for name, value in content.items() if name not in ("shapes", "imageData")}
    size = size_of(others.pop("imageWidth", 0), others.pop("imageHeight", 0), where)
    shapes = enumerate(content["shapes"])
    annotations = tuple(
        _annotation(shape, f"{where}: shapes[{place}]", known, size) for place, shape in shapes
    )
    return PictureLabels(
        annotations=annotations, size=size, others=others, rules=rules, where=where
    )


def read_alone(content: Mapping[str, Any], path: Path) -> tuple[PictureLabels, LabelmeWriter]:
    """The labels in the JSON of one file, and what writes them."""
    names = _classes((shape, str(path)) for shape in content["shapes"])
    known = {name: place for place, name in enumerate(names)}
    return read_labels(content, str(path), known, SOUND_RULES), LabelmeWriter(names)


def _classes(shapes: Iterable[tuple[Any, str]]) -> list[str]:
    """All labels but the empty one, which things without a class have."""
    return sorted({_label(shape, file) for shape, file in shapes} - {""})


def _label(shape: Any, file: str) -> str:
    if not isinstance(shape, dict) or not isinstance(shape.get("label"), str):
        raise broken(file, "every shape must have a label")
    label: str = shape["label"]
    return label


def _pictures_by_stem(top: Folder) -> dict[str, list[str]]:
    """The pictures of a folder, by their names without suffix."""
    found: dict[str, list[str]] = {}
    for name in listed(top, SUFFIXES):
        found.setdefault(PurePosixPath(name).with_suffix("").as_posix(), []).append(name)
    return found


def _picture_of(content: Mapping[str, Any], file: File, pictures: Mapping[str, list[str]]) -> str:
    said = str(content.get("imagePath") or "").replace("\\", "/").rpartition("/")[2]
    path = PurePosixPath(file.name)
    # labelme's path is relative to the file, and often of another machine.
    named = path.with_name(said) if said.strip(".") else path
    if named.as_posix() in pictures.get(named.with_suffix("").as_posix(), ()):
        return named.as_posix()
    for name in pictures.get(path.with_suffix("").as_posix(), ()):
        return name
    raise broken(file.place, f"there is no picture {said or path.stem} beside it")


def _annotation(
    shape: Mapping[str, Any], where: str, known: Mapping[str, int], size: tuple[int, int] | None
) -> Annotation:
    kind = shape.get("shape_type") or "polygon"
    rows = shape.get("points")
    if not isinstance(kind, str):
        raise broken(where, f"shape_type {shown(kind)} is not known")
    if not isinstance(rows, list):
        raise broken(where, "has no list of points")
    flat = tuple(value for row in rows for value in numbers(row, where, "a point", 2))
    if len(rows) != _POINTS.get(kind, len(rows)) and not (kind == "rectangle" and len(rows) == 4):
        raise broken(where, f"a {kind} must have {_POINTS[kind]} points, got {len(rows)}")
    others = {name: value for name, value in shape.items() if name not in _KNOWN}
    others["shape_type"] = kind
    category = known.get(shape["label"])
    if kind == "rectangle":
        box = (min(flat[::2]), min(flat[1::2]), max(flat[::2]), max(flat[1::2]))
        return Annotation(category=category, box=box, others=others)
    if kind == "circle":
        return Annotation(category=category, polygons=(_round(flat),), others=others)
    if kind in ("point", "points"):
        points = tuple((x, y, 2) for x, y in points_of(flat))
        return Annotation(category=category, keypoints=points, others=others)
    if kind in ("line", "linestrip"):
        return Annotation(category=category, lines=(flat,), others=others)
    if kind == "mask":
        mask = _mask(shape.get("mask"), flat, size, where)
        return Annotation(category=category, mask=mask, others=others)
    if kind != "polygon":
        raise broken(where, f"shape_type {kind!r} is not known")
    if len(rows) < 3:
        raise broken(where, f"a polygon must have three points or more, got {len(rows)}")
    return Annotation(category=category, polygons=(flat,), others=others)


def _round(flat: Outline) -> Outline:
    """A circle as a polygon, which begins with the point that labelme has on it."""
    x, y, edge_x, edge_y = flat
    across, down = edge_x - x, edge_y - y
    return outline_of_ellipse((x, y), (across, down), (-down, across))


def _mask(text: Any, flat: Outline, size: tuple[int, int] | None, where: str) -> RunLengths:
    """labelme's mask: a picture in base64 that lies in a box, whose corners are pixels."""
    import numpy as np

    if size is None:
        raise broken(where, "a mask needs imageWidth and imageHeight")
    try:
        part = _pictures.decode_pixels(base64.b64decode(str(text), validate=True), "grayscale")
    except (ValueError, UnreadablePictureError) as error:
        raise broken(where, f"the mask cannot be read: {error}") from error
    left, top = int(min(flat[::2])), int(min(flat[1::2]))
    width, height = size
    rows, columns = part.shape[:2]
    if left < 0 or top < 0 or left + columns > width or top + rows > height:
        raise broken(where, "the mask does not lie in the picture")
    whole = np.zeros((height, width), bool)
    whole[top : top + rows, left : left + columns] = part[:, :, 0] != 0
    return RunLengths.from_pixels(whole)


class LabelmeWriter:
    """Writes pictures with labelme's JSON beside them."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)

    def place(self, name: str) -> str:
        """Where the picture of this name belongs."""
        return name

    def label_files(self, name: str, labels: PictureLabels) -> dict[str, bytes]:
        """The JSON of one picture. Parts of one thing are shapes of one group."""
        others = {key: value for key, value in labels.others.items() if not key.startswith("<")}
        content = {"version": "5.5.0", "flags": {}, **others}
        taken = [each.others.get("group_id") for each in labels.annotations]
        group = max((each for each in taken if isinstance(each, int)), default=0)
        shapes = []
        for each in labels.annotations:
            if VOID in each.others:
                continue
            made = self._shapes(each)
            if len(made) > 1 and made[0].get("group_id") is None:
                group += 1
                made = [{**shape, "group_id": group} for shape in made]
            shapes += made
        content["shapes"] = shapes
        content |= {"imagePath": Path(name).name, "imageData": None}
        if labels.size is not None:
            content["imageWidth"], content["imageHeight"] = labels.size
        return {Path(name).with_suffix(".json").as_posix(): to_json(content, indent=2)}

    def record(self, name: str, labels: PictureLabels) -> None:
        """Nothing: `dataset_files` needs to know nothing of the pictures."""

    def dataset_files(self, records: Iterable[None]) -> dict[str, bytes]:
        """Nothing: each picture has its own file."""
        return {}

    def _shapes(self, each: Annotation) -> list[dict[str, Any]]:
        others = {name: value for name, value in each.others.items() if not name.startswith("<")}
        kind = others.pop("shape_type", None)
        label = "" if each.category is None else self.classes[each.category]
        common = {"label": label, "group_id": None, "flags": {}, **others}

        def shape(of: str, flat: Sequence[float], **more: Any) -> dict[str, Any]:
            points = [list(point) for point in points_of(tuple(flat))]
            return {**common, "shape_type": of, "points": points, **more}

        if each.mask is not None:
            corners, text = _cut_out(each.mask)
            return [shape("mask", corners, mask=text)]
        shapes = [shape("polygon", part) for part in each.polygons]
        if kind == "circle" and len(each.polygons) == 1 and (circle := _circle(each.polygons[0])):
            return [shape("circle", circle)]
        shapes += [shape("line" if len(line) == 4 else "linestrip", line) for line in each.lines]
        if not shapes and each.box is not None:
            shapes.append(shape("rectangle", each.box))
        points = [(x, y) for x, y, seen in each.keypoints if seen]
        if kind == "points" or (kind is None and len(points) > 1):
            return [*shapes, shape("points", [value for point in points for value in point])]
        return shapes + [shape("point", point) for point in points]


def _circle(outline: Outline) -> Outline | None:
    """Middle and edge of a circle that `_round` made a polygon of, if it is one still."""
    found = ellipse_of_outline(outline)
    if found is None:
        return None
    (x, y), *axes = found
    radii = [math.hypot(*axis) for axis in axes]
    if max(radii) - min(radii) > 0.01 + max(radii) / 500:
        return None
    return round(x, 3), round(y, 3), outline[0], outline[1]


def _cut_out(mask: RunLengths) -> tuple[Outline, str]:
    """The corner pixels of a mask, and what is between them as labelme writes it."""
    import numpy as np

    pixels = mask.pixels()
    x1, y1, x2, y2 = map(int, box_of_pixels(pixels) or (0, 0, 1, 1))
    part = pixels[y1:y2, x1:x2].astype(np.uint8) * 255
    return (x1, y1, x2 - 1, y2 - 1), base64.b64encode(_pictures.encode_map(part)).decode()
