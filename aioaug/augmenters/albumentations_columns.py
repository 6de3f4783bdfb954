"""imgaug's columns of one picture as Albumentations' targets, and back.

Each of `TO` makes the keyword arguments out of an `...OnImage`, the parameters of the pipeline for
this target, and the image's shape; each of `FROM` an `...OnImage` out of the one before, the
pipeline's answer, the parameters and the new shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .per_picture import moved_boxes

Shape = tuple[int, ...]


def empty(name: str, shape: Shape) -> Any:
    """Boxes or keypoints of an image that has none."""
    from imgaug.augmentables import BoundingBoxesOnImage, KeypointsOnImage

    kind = BoundingBoxesOnImage if name == "bounding_boxes" else KeypointsOnImage
    return kind([], shape)


def _form(params: Any) -> str:
    """How the pipeline writes coordinates; AlbumentationsX calls it otherwise."""
    if getattr(params, "bbox_type", "hbb") != "hbb":
        raise ValueError(
            "the pipeline wants oriented boxes, and imgaug's have no angle; "
            "build it with bbox_type='hbb', or give the corners as keypoints"
        )
    form: str = getattr(params, "coord_format", None) or params.format
    return form


def _segmentation_maps_to(maps: Any, _: Any, shape: Shape) -> dict[str, Any]:
    import numpy as np

    array = maps.resize(shape[:2]).get_arr()
    # OpenCV turns and scales no int32. Floats have all these numbers up to 2**24.
    return {"mask": array.astype(np.uint8 if not array.size or array.max() < 256 else np.float32)}


def _segmentation_maps_from(_: Any, got: dict[str, Any], __: Any, shape: Shape) -> Any:
    import numpy as np
    from imgaug.augmentables.segmaps import SegmentationMapsOnImage

    return SegmentationMapsOnImage(got["mask"].astype(np.int32), shape=shape)


def _heatmaps_to(maps: Any, _: Any, shape: Shape) -> dict[str, Any]:
    return {"masks": maps.resize(shape[:2]).arr_0to1[None]}  # AlbumentationsX takes no list


def _heatmaps_from(maps: Any, got: dict[str, Any], _: Any, shape: Shape) -> Any:
    from imgaug.augmentables.heatmaps import HeatmapsOnImage

    return HeatmapsOnImage.from_0to1(got["masks"][0], shape, maps.min_value, maps.max_value)


def _boxes_to(boxes: Any, params: Any, shape: Shape) -> dict[str, Any]:
    import numpy as np

    corners = boxes.to_xyxy_array(np.float32).reshape(-1, 4)
    # The last number is carried through the pipeline, and tells which box it was.
    numbers = np.arange(len(corners), dtype=np.float32)[:, None]
    labels = [box.label for box in boxes.bounding_boxes]
    rows = np.hstack([_from_corners(corners, _form(params), shape), numbers])
    return {"bboxes": rows, **dict.fromkeys(params.label_fields or (), labels)}


def _boxes_from(boxes: Any, got: dict[str, Any], params: Any, shape: Shape) -> Any:
    import numpy as np
    from imgaug.augmentables.bbs import BoundingBoxesOnImage

    rows = np.asarray(got["bboxes"], np.float32)
    if not len(rows):
        return BoundingBoxesOnImage([], shape)
    return moved_boxes(boxes, _to_corners(rows, _form(params), shape), rows[:, 4], shape)


_IN_PIXELS = ("pascal_voc", "coco", "cxcywh")
_BY_CENTER = ("yolo", "cxcywh")


def _from_corners(corners: Any, form: str, shape: Shape) -> Any:
    import numpy as np

    height, width = shape[:2]
    if form not in _IN_PIXELS:
        corners = corners / np.array([width, height, width, height], np.float32)
    first, second = corners[:, :2], corners[:, 2:]
    if form in _BY_CENTER:
        return np.hstack([(first + second) / 2, second - first])
    return np.hstack([first, second - first]) if form == "coco" else corners


def _to_corners(rows: Any, form: str, shape: Shape) -> Any:
    import numpy as np

    height, width = shape[:2]
    first, second = rows[:, :2], rows[:, 2:4]
    if form == "coco":
        second = first + second
    elif form in _BY_CENTER:
        first, second = first - second / 2, first + second / 2
    corners = np.hstack([first, second])
    if form in _IN_PIXELS:
        return corners
    return corners * np.array([width, height, width, height], np.float32)


def _points_to(points: Any, params: Any, _: Shape) -> dict[str, Any]:
    import numpy as np

    form = _form(params)
    places = points.to_xy_array().astype(np.float32)
    rows = np.zeros((len(places), len(form)), np.float32)
    rows[:, form.index("x")] = places[:, 0]
    rows[:, form.index("y")] = places[:, 1]
    numbers = list(range(len(rows)))
    return {"keypoints": rows, **dict.fromkeys(params.label_fields or (), numbers)}


def _points_from(_: Any, got: dict[str, Any], params: Any, shape: Shape) -> Any:
    import numpy as np
    from imgaug.augmentables.kps import KeypointsOnImage

    form = _form(params)
    rows = np.asarray(got["keypoints"], np.float32).reshape(-1, len(form))
    places = rows[:, [form.index("x"), form.index("y")]]
    return KeypointsOnImage.from_xy_array(places, shape)


TO: dict[str, Callable[[Any, Any, Shape], dict[str, Any]]] = {
    "segmentation_maps": _segmentation_maps_to,
    "heatmaps": _heatmaps_to,
    "bounding_boxes": _boxes_to,
    "keypoints": _points_to,
}
FROM: dict[str, Callable[[Any, dict[str, Any], Any, Shape], Any]] = {
    "segmentation_maps": _segmentation_maps_from,
    "heatmaps": _heatmaps_from,
    "bounding_boxes": _boxes_from,
    "keypoints": _points_from,
}
