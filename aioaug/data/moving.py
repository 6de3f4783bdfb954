"""Labels to imgaug's objects, and what an augmenter made of these to labels again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import UnreadableLabelsError
from .annotation import (
    Annotation,
    Box,
    LabelledPoint,
    LabelRules,
    Outline,
    area_of,
    box_area,
    points_of,
)
from .run_lengths import RunLengths, box_of_pixels

if TYPE_CHECKING:
    import numpy as np

_DIGITS = 3  # imgaug moves points as float32, which has no more in large pictures
# Of the picture, in clockwise order: if they come back in the other order, it was mirrored.
_CORNERS = ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75))


def columns_of(
    annotations: Sequence[Annotation], shape: tuple[int, ...], where: str, *, shown: bool = False
) -> dict[str, Any]:
    """imgaug's objects for annotations in pixels; columns that would be empty are left out.

    The `label` of each object is the position of its annotation, and behind the keypoints there may
    be some that only tell what became of the picture. With `shown`, there is neither.
    """
    from imgaug.augmentables import (
        BoundingBox,
        BoundingBoxesOnImage,
        Keypoint,
        KeypointsOnImage,
        LineString,
        LineStringsOnImage,
        Polygon,
        PolygonsOnImage,
    )

    numbered = [(None if shown else str(at), each) for at, each in enumerate(annotations)]
    points = [Keypoint(x, y) for x, y in _keypoints_of(annotations)]
    if _is_sided(annotations) and not shown:
        points += [Keypoint(x * shape[1], y * shape[0]) for x, y in _CORNERS]
    boxes = [
        BoundingBox(*box, label=place)
        for place, each in numbered
        if not each.polygons and (box := each.box) is not None
    ]
    polygons = [
        Polygon(list(points_of(part)), label=place)
        for place, each in numbered
        for part in each.polygons
    ]
    lines = [
        LineString(list(points_of(part)), label=place)
        for place, each in numbered
        for part in each.lines
    ]
    masks = [each.mask for each in annotations]
    columns = {
        "keypoints": points and KeypointsOnImage(points, shape),
        "bounding_boxes": boxes and BoundingBoxesOnImage(boxes, shape),
        "polygons": polygons and PolygonsOnImage(polygons, shape),
        "line_strings": lines and LineStringsOnImage(lines, shape),
        "segmentation_maps": map_of(masks, shape, where),
    }
    return {name: column for name, column in columns.items() if column}


def moved_annotations(
    annotations: Sequence[Annotation],
    columns: Mapping[str, Any],
    size: tuple[int, int],
    rules: LabelRules,
    where: str,
) -> tuple[Annotation, ...]:
    """The annotations that the columns were made of, as they are now that these were augmented.

    `size` is (height, width) of the augmented picture, `where` for messages.
    """
    found = _found(annotations, columns, size, where)
    moved = (
        _moved_annotation(each, found[place], rules, size) for place, each in enumerate(annotations)
    )
    return tuple(each for each in moved if each is not None)


@dataclass(slots=True)
class _Found:
    """What the columns have of one annotation."""

    box: Box | None = None
    polygons: tuple[Any, ...] = ()  # imgaug's
    lines: tuple[Any, ...] = ()
    keypoints: tuple[LabelledPoint, ...] = ()
    pixels: np.ndarray[Any, Any] | None = None


def _found(
    annotations: Sequence[Annotation],
    columns: Mapping[str, Any],
    size: tuple[int, int],
    where: str,
) -> Mapping[int, _Found]:
    found: defaultdict[int, _Found] = defaultdict(_Found)
    for box in _items(columns, "bounding_boxes"):
        found[int(box.label)].box = (float(box.x1), float(box.y1), float(box.x2), float(box.y2))
    for polygon in _items(columns, "polygons"):
        found[int(polygon.label)].polygons += (polygon,)
    for line in _items(columns, "line_strings"):
        found[int(line.label)].lines += (line,)
    if any(each.keypoints for each in annotations):
        points = [(point.x, point.y) for point in _items(columns, "keypoints")]
        for place, keypoints in enumerate(_moved_keypoints(annotations, points, size, where)):
            found[place].keypoints = keypoints
    if (maps := columns.get("segmentation_maps")) is not None:
        array = array_of(maps, size)
        for place, each in enumerate(annotations):
            if each.mask is not None:
                found[place].pixels = (array == place + 1).any(axis=2)
    return found


def _items(columns: Mapping[str, Any], name: str) -> Iterable[Any]:
    column = columns.get(name)
    return () if column is None else column.items


def _moved_annotation(
    old: Annotation, found: _Found, rules: LabelRules, size: tuple[int, int]
) -> Annotation | None:
    """The annotation as it is now; `None` if nothing, or too little, is left of it."""
    new = replace(old, keypoints=found.keypoints)
    if old.mask is not None:
        new, seen = _moved_mask(new, found, size)
    elif old.polygons:
        new, seen = _moved_polygons(new, found, rules, size)
    elif old.box is not None:
        new, seen = _moved_box(new, found, rules, size)
    elif old.lines:
        new, seen = _moved_lines(new, found, rules, size)
    else:
        lost = old.keypoints and not any(seen for _, _, seen in found.keypoints)
        return None if lost else new
    if seen < rules.min_visibility or not seen:
        return None
    if not old.lines and new.own_area() < rules.min_pixels:
        return None
    return new


def _moved_mask(old: Annotation, found: _Found, size: tuple[int, int]) -> tuple[Annotation, float]:
    pixels = found.pixels
    if pixels is None or not pixels.any():
        return old, 0.0
    mask = RunLengths.from_pixels(pixels, old.mask is not None and old.mask.listed)
    new = replace(old, mask=mask)
    # What of a mask is outside is lost, so the part that is left is that of its box.
    seen = 1.0 if found.box is None else _share(found.box, size)
    if old.box is not None:
        new = replace(new, box=box_of_pixels(pixels))
    return (new if old.area is None else replace(new, area=float(mask.area()))), seen


def _moved_polygons(
    old: Annotation, found: _Found, rules: LabelRules, size: tuple[int, int]
) -> tuple[Annotation, float]:
    whole = [_outline(polygon.exterior) for polygon in found.polygons]
    cut = [_outline(part.exterior) for polygon in found.polygons for part in _cut(polygon, size)]
    before, after = sum(map(area_of, whole)), sum(map(area_of, cut))
    parts = cut if rules.clip else whole
    new = replace(old, polygons=tuple(part for part in parts if area_of(part)), box=None)
    if old.box is not None:
        new = replace(new, box=new.bounds())
    if old.area is not None:
        new = replace(new, area=round(sum(map(area_of, parts)), _DIGITS))
    return new, (after / before if before else 0.0)


def _moved_box(
    old: Annotation, found: _Found, rules: LabelRules, size: tuple[int, int]
) -> tuple[Annotation, float]:
    if found.box is None or old.box is None:
        return old, 0.0
    box = _clipped(found.box, size) if rules.clip else found.box
    new = replace(old, box=_rounded_box(box))
    if old.area is not None:
        # It may be that of a mask which the file does not have.
        covered = old.area / box_area(old.box) if box_area(old.box) else 1.0
        new = replace(new, area=round(covered * box_area(box), _DIGITS))
    return new, _share(found.box, size)


def _moved_lines(
    old: Annotation, found: _Found, rules: LabelRules, size: tuple[int, int]
) -> tuple[Annotation, float]:
    cut = [part for line in found.lines for part in _cut(line, size) if len(part.coords) > 1]
    before, after = (sum(line.length for line in lines) for lines in (found.lines, cut))
    parts = cut if rules.clip else found.lines
    new = replace(old, lines=tuple(_outline(line.coords) for line in parts))
    return new, (after / before if before else 0.0)


def _cut(item: Any, size: tuple[int, int]) -> list[Any]:
    """The parts of a polygon or line inside of the picture."""
    height, width = size
    xy = item.coords
    if (xy >= 0).all() and (xy <= (width, height)).all():
        return [item]
    return list(item.clip_out_of_image(size))


def _clipped(box: Box, size: tuple[int, int]) -> Box:
    height, width = size
    x1, x2 = (min(max(x, 0.0), float(width)) for x in box[::2])
    y1, y2 = (min(max(y, 0.0), float(height)) for y in box[1::2])
    return x1, y1, x2, y2


def _share(box: Box, size: tuple[int, int]) -> float:
    """How much of a box is inside of the picture."""
    area = box_area(box)
    return box_area(_clipped(box, size)) / area if area else 0.0


def _rounded_box(box: Box) -> Box:
    x1, y1, x2, y2 = (round(float(number), _DIGITS) for number in box)
    return x1, y1, x2, y2


def _outline(points: Any) -> Outline:
    return tuple(round(number, _DIGITS) for number in points.reshape(-1).tolist())


def _keypoints_of(annotations: Sequence[Annotation]) -> Iterator[tuple[float, float]]:
    for each in annotations:
        yield from ((x, y) for x, y, seen in each.keypoints if seen)


def _is_sided(annotations: Sequence[Annotation]) -> bool:
    return any(each.mirrored and each.keypoints for each in annotations)


def _moved_keypoints(
    annotations: Sequence[Annotation],
    points: list[tuple[float, float]],
    size: tuple[int, int],
    where: str,
) -> Iterator[tuple[LabelledPoint, ...]]:
    """The keypoints of each annotation; what left the picture is not labelled any more."""
    wanted = sum(seen > 0 for each in annotations for _, _, seen in each.keypoints)
    corners = points[wanted:] if _is_sided(annotations) else []
    if len(points) != wanted + (len(_CORNERS) if _is_sided(annotations) else 0):
        raise ValueError(
            f"{where}: the pipeline removes keypoints, so nobody can tell which are left; "
            "leave that to the rules of the dataset"
        )
    is_mirrored = bool(corners) and _turn(*corners) < 0
    height, width = size
    coming = iter(points)
    for each in annotations:
        new: list[LabelledPoint] = []
        for old in each.keypoints:
            x, y = next(coming) if old[2] else old[:2]
            if old[2] and not (0 <= x <= width and 0 <= y <= height):
                new.append((0.0, 0.0, 0))
            else:
                new.append((round(float(x), _DIGITS), round(float(y), _DIGITS), old[2]))
        if is_mirrored and each.mirrored:
            new = [new[place] for place in each.mirrored]
        yield tuple(new)


def _turn(
    first: tuple[float, float], second: tuple[float, float], third: tuple[float, float]
) -> float:
    """Positive if the way through the points turns clockwise, as pictures are shown."""
    (x1, y1), (x2, y2), (x3, y3) = first, second, third
    return (x2 - x1) * (y3 - y1) - (x3 - x1) * (y2 - y1)


def map_of(masks: Sequence[RunLengths | None], shape: tuple[int, ...], where: str) -> Any:
    """A map of masks by position plus one; those that overlap are in different channels.

    `None` if there are no masks. Raises `UnreadableLabelsError` for one of another size.
    """
    import numpy as np
    from imgaug.augmentables import SegmentationMapsOnImage

    height, width = shape[:2]
    channels: list[np.ndarray[Any, Any]] = []
    for place, mask in enumerate(masks):
        if mask is None:
            continue
        if mask.size != (height, width):
            raise UnreadableLabelsError(
                f"{where}: a mask has {mask.size[1]} x {mask.size[0]} pixels, "
                f"the picture {width} x {height}"
            )
        pixels = mask.pixels()
        free = (channel for channel in channels if not channel[pixels].any())
        channel = next(free, None)
        if channel is None:
            channel = np.zeros((height, width), np.int32)
            channels.append(channel)
        channel[pixels] = place + 1
    return SegmentationMapsOnImage(np.stack(channels, axis=2), shape) if channels else None


def array_of(maps: Any, size: tuple[int, int]) -> np.ndarray[Any, Any]:
    """The numbers (H,W,C) of imgaug's maps, as large as the picture."""
    maps = maps if maps.arr.shape[:2] == size else maps.resize(size)
    array: np.ndarray[Any, Any] = maps.get_arr()
    return array if array.ndim == 3 else array[:, :, None]
