"""VGG Image Annotator's JSON: a project, or the annotations that it exports, of all pictures.

A region has a shape in pixels and attributes of the user's own, one of which names its class.
Circles and ellipses are read as polygons, and are written as what they were if they still are that.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .annotation import SOUND_RULES, VOID, Annotation, LabelRules, Outline, points_of
from .checks import (
    below,
    broken,
    file_at,
    label_folder,
    number,
    numbers,
    read_head,
    read_json,
    shown,
    split_place,
    to_json,
    unique,
)
from .ellipses import ellipse_of_outline, outline_of_ellipse
from .labels import PictureLabels
from .listing import Folder
from .references import File, is_url
from .samples import PictureDataset, Sample
from .yolo_lines import outlines_of

_PICTURES, _ATTRIBUTES, _ORDER = "_via_img_metadata", "_via_attributes", "_via_image_id_list"
_SIGNS = (b'"_via_', b'"shape_attributes"', b'"file_attributes"')
_BEGINNING = 1 << 16  # bytes of a file in which one of them is
_CHOICES = ("dropdown", "radio", "checkbox")
_UNKNOWN_SIZE = -1  # VGG Image Annotator then finds a picture by its name alone
_LEAST = {"polygon": 3, "polyline": 2}
_DIGITS = 3
# Keys of `others` that are no keys of the file: the attributes of a region, and of the picture.
_OF_REGION, _OF_PICTURE = "<region>", "<picture>"


class Via(PictureDataset):
    """The pictures of a project of VGG Image Annotator 2, or of its annotations exported as JSON.

    Names of pictures are relative to the folder `images`; unless given, that is the folder of the
    file, `images` in it, or the project's own `default_filepath` if it is there. `attribute` is
    that of the regions which names their class: unless given, the first one with choices, else the
    first one. `classes` are its choices in their order, and whatever else occurs, unless given.
    `header` is all that the file says of no picture. Both paths may be URLs that fsspec
    understands.

    Raises `UnreadableLabelsError` for files that are not as VGG Image Annotator's are.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        images: str | os.PathLike[str] | None = None,
        *,
        attribute: str | None = None,
        classes: Sequence[str] | None = None,
        rules: LabelRules = SOUND_RULES,
    ) -> None:
        named = file_at(path)
        file, content = named.place, read_json(named)
        is_project = _PICTURES in content
        rows = content[_PICTURES] if is_project else content
        if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
            raise broken(file, f"{_PICTURES} must be an object of objects")
        known = (_PICTURES, _ORDER)
        self.header = {
            name: value for name, value in content.items() if is_project and name not in known
        }
        regions = {key: _regions(row, f"{file}: {key}") for key, row in rows.items()}
        self.attribute = attribute or _attribute(self.header, regions.values())
        names = _classes(self.header, self.attribute, regions.values())
        if classes is not None and (unknown := set(names) - set(classes)):
            raise broken(file, f"there is a region of {min(unknown)!r}, which is no class")
        names = list(names if classes is None else classes)
        places = {name: place for place, name in enumerate(names)}
        tops = _folders(file, self.header) if images is None else [images]
        folders = list(map(label_folder, tops))
        samples = []
        pictures = []
        for key, row in rows.items():
            where = f"{file}: {key}"
            pictures.append(_picture_of(row, folders, where))
            found = enumerate(regions[key])
            annotations = tuple(
                _annotation(region, f"{where}: regions[{place}]", self.attribute, places)
                for place, region in found
            )
            others = {name: value for name, value in row.items() if name != "regions"}
            labels = PictureLabels(
                annotations=annotations, others={_OF_PICTURE: others}, rules=rules, where=where
            )
            samples.append(Sample(pictures[-1], labels))
        unique([picture.place for picture in pictures], file, "the picture")
        super().__init__(samples, names)


def is_via(file: File) -> bool:
    """Whether a file is VGG Image Annotator's, as it begins."""
    beginning = read_head(file, _BEGINNING)
    return any(sign in beginning for sign in _SIGNS)


def _regions(row: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    regions = row.get("regions", [])
    if isinstance(regions, dict):  # version 1 numbers them
        regions = list(regions.values())
    parts = ("shape_attributes", "region_attributes")
    for place, region in enumerate(regions if isinstance(regions, list) else [None]):
        if not isinstance(region, dict) or not all(
            isinstance(region.get(part, {}), dict) for part in parts
        ):
            raise broken(f"{where}: regions[{place}]", "must have shape_attributes")
    return list(regions)


def _attribute(header: Mapping[str, Any], regions: Iterable[list[dict[str, Any]]]) -> str:
    """Which attribute names the class; VGG Image Annotator does not say."""
    declared = _declared(header)
    chosen = [name for name, each in declared.items() if each.get("type") in _CHOICES]
    found = (name for rows in regions for row in rows for name in row.get("region_attributes", {}))
    return next(iter(chosen), None) or next(iter(declared), None) or next(found, "class")


def _declared(header: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    attributes = header.get(_ATTRIBUTES)
    of_regions = attributes.get("region") if isinstance(attributes, dict) else None
    rows = of_regions if isinstance(of_regions, dict) else {}
    return {name: row for name, row in rows.items() if isinstance(row, dict)}


def _classes(
    header: Mapping[str, Any], attribute: str, regions: Iterable[list[dict[str, Any]]]
) -> list[str]:
    options = _declared(header).get(attribute, {}).get("options")
    names = list(options) if isinstance(options, dict) else []
    found = {_class_of(region, attribute) for rows in regions for region in rows}
    return names + sorted(name for name in found if name is not None and name not in names)


def _class_of(region: Mapping[str, Any], attribute: str) -> str | None:
    value = region.get("region_attributes", {}).get(attribute)
    if isinstance(value, dict):  # checkboxes, by their names
        value = next((name for name, is_set in value.items() if is_set), None)
    return str(value) if isinstance(value, (str, int)) and value != "" else None


def _folders(file: str, header: Mapping[str, Any]) -> list[str]:
    settings = header.get("_via_settings")
    core = settings.get("core") if isinstance(settings, dict) else None
    said = core.get("default_filepath") if isinstance(core, dict) else None
    top, _ = split_place(file)
    folders = [top, os.path.join(top, "images")]
    if isinstance(said, str) and said.strip("./") and not os.path.isabs(said) and ".." not in said:
        folders.append(os.path.join(top, said))
    return [folder for folder in folders if is_url(folder) or os.path.isdir(folder)]


def _picture_of(row: Mapping[str, Any], folders: Sequence[Folder], where: str) -> File:
    said = row.get("filename")
    if not isinstance(said, str):
        raise broken(where, f"filename must be the name of a picture, got {shown(said)}")
    files = [(folder, below(folder, said, where)) for folder in folders]
    for folder, file in files:
        if folder.is_file(file.name):
            return file
    raise broken(where, f"there is no picture {files[0][1].place}")


def _annotation(
    region: Mapping[str, Any], where: str, attribute: str, places: Mapping[str, int]
) -> Annotation:
    shape = region.get("shape_attributes", {})
    kind = shape.get("name")
    name = _class_of(region, attribute)
    given: dict[str, Any] = {
        "category": None if name is None else places[name],
        "others": {_OF_REGION: {**region, "shape_attributes": {"name": kind}}},
    }

    def of(*names: str) -> Outline:
        return tuple(number(shape.get(name), where, name) for name in names)

    if kind == "rect":
        x, y, width, height = of("x", "y", "width", "height")
        if width < 0 or height < 0:
            raise broken(where, f"the box has a negative width or height: {width} {height}")
        return Annotation(box=(x, y, x + width, y + height), **given)
    if kind == "point":
        x, y = of("cx", "cy")
        return Annotation(keypoints=((x, y, 2),), **given)
    if kind in ("polygon", "polyline"):
        points = _points(shape, kind, where)
        parts: dict[str, Any] = {"polygons" if kind == "polygon" else "lines": (points,)}
        return Annotation(**parts, **given)
    if kind == "circle":
        x, y, radius = of("cx", "cy", "r")
        outline = outline_of_ellipse((x, y), (radius, 0), (0, radius))
    elif kind == "ellipse":
        x, y, rx, ry = of("cx", "cy", "rx", "ry")
        turn = number(shape.get("theta", 0), where, "theta")
        cos, sin = math.cos(turn), math.sin(turn)
        outline = outline_of_ellipse((x, y), (rx * cos, rx * sin), (-ry * sin, ry * cos))
    else:
        raise broken(where, f"the shape {shown(kind)} is not known")
    return Annotation(polygons=(outline,), **given)


def _points(shape: Mapping[str, Any], kind: str, where: str) -> Outline:
    xs, ys = (numbers(shape.get(name), where, name) for name in ("all_points_x", "all_points_y"))
    if len(xs) != len(ys) or len(xs) < _LEAST[kind]:
        raise broken(
            where, f"a {kind} must have {_LEAST[kind]} points or more, got {len(xs)} x, {len(ys)} y"
        )
    return tuple(value for point in zip(xs, ys, strict=True) for value in point)


class ViaWriter:
    """Writes pictures, and beside them a project of VGG Image Annotator 2, `via_project.json`.

    `header` and `attribute` are those of the `Via` that was read. The sizes of files are left out,
    as VGG Image Annotator has it for pictures from elsewhere: it finds them by their names then.
    """

    def __init__(
        self,
        classes: Sequence[str],
        header: Mapping[str, Any] | None = None,
        attribute: str = "class",
    ) -> None:
        self._classes = tuple(classes)
        self._header = dict(header or {})
        self._attribute = attribute

    def place(self, name: str) -> str:
        """Where the picture of this name belongs."""
        return name

    def label_files(self, name: str, labels: PictureLabels) -> dict[str, bytes]:
        """Nothing: all labels are in one file."""
        return {}

    def record(self, name: str, labels: PictureLabels) -> dict[str, Any]:
        """The object of one picture, for `dataset_files`."""
        if labels.relative:
            raise ValueError(f"{labels.where or name}: the size of the picture is not known")
        others = labels.others.get(_OF_PICTURE, {"file_attributes": {}})
        known = (each for each in labels.annotations if VOID not in each.others)
        regions = [region for each in known for region in self._regions(each)]
        return {**others, "filename": name, "size": _UNKNOWN_SIZE, "regions": regions}

    def dataset_files(self, records: Iterable[dict[str, Any]]) -> dict[str, bytes]:
        """`via_project.json` with the records of all pictures."""
        pictures = {f"{row['filename']}{row['size']}": row for row in records}
        choice = {"type": "dropdown", "description": "", "default_options": {}}
        options = dict.fromkeys(self._classes, "")
        core = {"buffer_size": 18, "filepath": {}, "default_filepath": ""}
        settings = {"ui": {}, "core": core, "project": {"name": "via_project"}}
        content = {
            "_via_settings": settings,
            _ATTRIBUTES: {"region": {self._attribute: {**choice, "options": options}}, "file": {}},
            "_via_data_format_version": "2.0.10",
            **self._header,
            _PICTURES: pictures,
            _ORDER: list(pictures),
        }
        return {"via_project.json": to_json(_at_home(content))}

    def _regions(self, each: Annotation) -> list[dict[str, Any]]:
        """The regions of one annotation: its parts, and its points."""
        name = None if each.category is None else self._classes[each.category]
        own = {} if name is None else {self._attribute: name}
        common = each.others.get(_OF_REGION, {"region_attributes": own})
        polygons = each.polygons if each.mask is None else outlines_of(each.mask)
        shapes = [self._outline(each, part) for part in polygons]
        shapes += [_listed("polyline", line) for line in each.lines]
        if not shapes and each.box is not None:
            x1, y1, x2, y2 = each.box
            shapes.append(
                {
                    "name": "rect",
                    "x": x1,
                    "y": y1,
                    "width": _word(x2 - x1),
                    "height": _word(y2 - y1),
                }
            )
        shapes += [{"name": "point", "cx": x, "cy": y} for x, y, seen in each.keypoints if seen]
        return [{**common, "shape_attributes": shape} for shape in shapes]

    def _outline(self, each: Annotation, outline: Outline) -> dict[str, Any]:
        kind = each.others.get(_OF_REGION, {}).get("shape_attributes", {}).get("name")
        found = ellipse_of_outline(outline) if kind in ("circle", "ellipse") else None
        if found is None:
            return _listed("polygon", outline)
        (x, y), first, second = found
        rx, ry = (math.hypot(*axis) for axis in (first, second))
        middle = {"cx": _word(x), "cy": _word(y)}
        if kind == "circle" and abs(rx - ry) <= 0.01 + rx / 500:
            return {"name": "circle", **middle, "r": _word(rx)}
        theta = round(math.atan2(first[1], first[0]), 2 * _DIGITS)
        return {"name": "ellipse", **middle, "rx": _word(rx), "ry": _word(ry), "theta": theta}


def _listed(kind: str, outline: Outline) -> dict[str, Any]:
    xs, ys = zip(*points_of(outline), strict=True)
    return {"name": kind, "all_points_x": list(xs), "all_points_y": list(ys)}


def _word(value: float) -> float:
    """A number as short as it can be: a whole one has no fraction."""
    rounded = round(value, _DIGITS)
    return int(rounded) if rounded == int(rounded) else rounded


def _at_home(content: dict[str, Any]) -> dict[str, Any]:
    """A copy of a project whose pictures are beside it, wherever they were."""
    copy: dict[str, Any] = json.loads(json.dumps(content))
    settings = copy.get("_via_settings")
    core = settings.get("core") if isinstance(settings, dict) else None
    if isinstance(core, dict):
        core |= {"default_filepath": "", "filepath": {}}
    return copy
