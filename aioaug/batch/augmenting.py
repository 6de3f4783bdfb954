"""Batches through imgaug's augmenters: all columns of an item change alike."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from .._worker.augmentation import Augmentation
from ..augmenters.kinds import check_augmenter, is_imgaug
from .applying import Steps, check_limits, check_target, raise_failures
from .calls import Call, Task, Work
from .components import objects, rows, stack
from .data import BatchData

# Items that go into an augmenter together; fixed, since chance depends on it.
_TOGETHER = 16
_PICTURES = ("images", "segmentation_maps", "heatmaps")
_COLUMNS = (*_PICTURES, "keypoints", "bounding_boxes", "polygons", "line_strings")
# What components are taken for by their names.
AUGMENTED_AS = {**{name: name for name in _COLUMNS}, "masks": "segmentation_maps"}
# Columns of points that may be arrays: the class of imgaug.augmentables, its ways from and to them.
_POINTS = {
    "keypoints": ("KeypointsOnImage", "from_xy_array", "to_xy_array"),
    "bounding_boxes": ("BoundingBoxesOnImage", "from_xyxy_array", "to_xyxy_array"),
}


def augment(
    batch: BatchData,
    augseq: Any,
    *,
    target: str | None = None,
    n_workers: int | None = None,
    timeout: float | None = None,
    **columns: str,
) -> Steps:
    """Augment images, masks, keypoints and more, each item's alike.

    Components go to imgaug by their names: `images` (N,H,W,C) or (N,H,W), or objects of any
    sizes; `masks` or `segmentation_maps`, of bools or ints; `heatmaps`, of floats;
    `keypoints` (N,K,2) as x, y in pixels; `bounding_boxes` (N,K,4) as x1, y1, x2, y2;
    `polygons` and `line_strings`; all of them also as objects of imgaug's `...OnImage`.
    Other names are given as `augment(augseq, photos="images")`, or in the class's
    `augmented_as`.

    What comes out depends on `random_seed`, and on neither `target` nor `n_workers`. It blocks;
    from a coroutine await `augment_async`. When that is cancelled, it abandons what runs.

    Raises:
        TypeError: `augseq` is no augmenter of imgaug.
        ValueError: there is nothing to augment.
        ParallelError: the augmenter failed.
    """
    check_augmenter(augseq)
    if not is_imgaug(augseq):
        raise TypeError(f"augseq must be an augmenter of imgaug, got {type(augseq).__name__}")
    target = check_target(target or batch.apply_defaults.get("target", "threads"))
    limits = check_limits(n_workers, timeout)
    wanted = _columns_for(batch, columns)
    state = Augmentation(augseq, int(batch.random.integers(2**31 - 1)), owns_interpreter=False)
    calls = [
        Call(position, (_parts(batch, wanted, slice(start, start + _TOGETHER)), position))
        for position, start in enumerate(range(0, len(batch), _TOGETHER))
    ]
    task = Task(partial(_part, state), {}, *batch._random.next_path())
    results = yield Work(task, calls, target, **limits)
    raise_failures(results, "Could not augment the batch")
    if results:
        batch._fill({name: _joined([part[name] for part in results]) for name in wanted})
    return batch


def augmented(batch: BatchData, augment_batch: Callable[[Any], Any]) -> dict[str, Any]:
    """The components of a batch that are columns of imgaug's, augmented."""
    columns = _columns_for(batch, {})
    return _through(augment_batch, _parts(batch, columns, slice(None)))


def _columns_for(batch: BatchData, given: Mapping[str, str]) -> dict[str, str]:
    """The components to augment, and which columns they are for imgaug."""
    known = {**batch.augmented_as, **given}
    columns = {
        name: known[name]
        for name in batch.components or ()
        if name in known and getattr(batch, name) is not None
    }
    if unknown := [name for name in given if name not in columns]:
        raise ValueError(f"no component {unknown[0]!r} with data")
    for column in columns.values():
        if column not in _COLUMNS:
            raise ValueError(f"imgaug has no column {column!r}; it has {', '.join(_COLUMNS)}")
        if list(columns.values()).count(column) > 1:
            raise ValueError(f"several components are {column!r} for imgaug")
    if not columns:
        raise ValueError("there is nothing to augment: no component is a column of imgaug's")
    return columns


def _parts(batch: BatchData, columns: dict[str, str], where: slice) -> dict[str, tuple[str, Any]]:
    """Some rows of each component, with the name of imgaug's column."""
    return {name: (column, rows(getattr(batch, name), where)) for name, column in columns.items()}


def _part(
    augmentation: Augmentation, parts: dict[str, tuple[str, Any]], position: int
) -> dict[str, Any]:
    """Some items, given as columns, augmented."""
    state = augmentation.clone()  # augmenters are not thread-safe
    return _through(partial(state, position), parts)


def _through(augment: Callable[[Any], Any], parts: dict[str, tuple[str, Any]]) -> dict[str, Any]:
    from imgaug.augmentables.batches import UnnormalizedBatch

    given = dict(parts.values())
    # Points need the size of their picture, or else of its mask or heatmap.
    pictures = next((given[column] for column in _PICTURES if column in given), None)
    shapes = None if pictures is None else [each.shape for each in pictures]
    columns = {column: _for_imgaug(column, value, shapes) for column, value in given.items()}
    found = augment(UnnormalizedBatch(**columns))
    return {
        name: _as_before(value, getattr(found, f"{column}_aug"), column)
        for name, (column, value) in parts.items()
    }


def _for_imgaug(column: str, value: Any, shapes: list[tuple[int, ...]] | None) -> Any:
    """Objects of several sizes go in as a list; so do points, which imgaug gives back but once."""
    if not isinstance(value, np.ndarray) or value.dtype.hasobject:
        return list(value)
    if column == "segmentation_maps" and value.dtype.kind not in "biu":
        raise ValueError(f"masks must be of bools or ints, got {value.dtype}; floats are heatmaps")
    if column not in _POINTS:
        return value.copy()
    if shapes is None:
        raise ValueError(f"{column} in arrays need pictures, masks or heatmaps beside them")
    kind, make, _ = _POINTS[column]
    build = getattr(getattr(importlib.import_module("imgaug.augmentables"), kind), make)
    return [build(row, shape=shape) for row, shape in zip(value, shapes, strict=True)]


def _as_before(before: Any, after: Any, column: str) -> Any:
    """What came out, in the form of what went in."""
    if isinstance(before, np.ndarray) and not before.dtype.hasobject:
        if column in _POINTS:
            after = [getattr(each, _POINTS[column][2])() for each in after]
            after = stack(after) if after else before
            return after.astype(before.dtype) if before.dtype.kind == "f" else after
        return after if isinstance(after, np.ndarray) else stack(after)
    return list(after) if isinstance(before, list) else objects(after)


def _joined(parts: Sequence[Any]) -> Any:
    """One column out of parts of it; with pictures of several sizes, an array of objects."""
    if isinstance(parts[0], list):
        return [value for part in parts for value in part]
    if len({part.shape[1:] for part in parts}) == 1 and len({part.dtype for part in parts}) == 1:
        return np.concatenate(parts)
    return stack([value for part in parts for value in part])
