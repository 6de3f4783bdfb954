"""Batches through imgaug's augmenters: all columns of an item change alike."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from .._worker.augmentation import Augmentation
from ..augmenters.kinds import check_augmenter, is_imgaug
from ..errors import ParallelError
from .calls import Call, Task, Work
from .components import rows, stack
from .core import Core
from .decorators import action
from .driving import Steps, drive, drive_async
from .inbatch import check_limits, failures, first
from .targets import check_target

# Items that go into an augmenter together; fixed, since chance depends on it.
_TOGETHER = 16
_COLUMNS = (
    "images",
    "heatmaps",
    "segmentation_maps",
    "keypoints",
    "bounding_boxes",
    "polygons",
    "line_strings",
)
# Columns of points that may be arrays: imgaug's class, and its ways from and to them.
_POINTS = {
    "keypoints": (
        ("imgaug.augmentables.kps", "KeypointsOnImage"),
        "from_xy_array",
        "to_xy_array",
    ),
    "bounding_boxes": (
        ("imgaug.augmentables.bbs", "BoundingBoxesOnImage"),
        "from_xyxy_array",
        "to_xyxy_array",
    ),
}


class Augmenting(Core):
    """`augment`, and what a pool asks of a batch."""

    # Which components are which columns of imgaug's batches.
    augmented_as: Mapping[str, str] = {
        **{name: name for name in _COLUMNS},
        "masks": "segmentation_maps",
    }

    @action
    def augment(
        self,
        augseq: Any,
        *,
        target: str | None = None,
        n_workers: int | None = None,
        timeout: float | None = None,
        **columns: str,
    ) -> Self:
        """Augment images, masks, keypoints and more, each item's alike; it blocks.

        Components go to imgaug by their names: `images` (N,H,W,C) or (N,H,W), or objects of any
        sizes; `masks` or `segmentation_maps`, of bools or ints; `heatmaps`, of floats;
        `keypoints` (N,K,2) as x, y in pixels; `bounding_boxes` (N,K,4) as x1, y1, x2, y2;
        `polygons` and `line_strings`; all of them also as objects of imgaug's `...OnImage`.
        Other names are given as `augment(augseq, photos="images")`, or in the class's
        `augmented_as`.

        What comes out depends on `random_seed`, and on neither `target` nor `n_workers`.

        Raises:
            TypeError: `augseq` is no augmenter of imgaug.
            ValueError: there is nothing to augment.
            ParallelError: the augmenter failed.
        """
        return drive(self._augment_steps(augseq, target, n_workers, timeout, columns))  # type: ignore[no-any-return]

    async def augment_async(self, augseq: Any, **options: Any) -> Self:
        """`augment` for coroutines; what runs is abandoned when it is cancelled."""
        target, n_workers, timeout = (
            options.pop(name, None) for name in ("target", "n_workers", "timeout")
        )
        steps = self._augment_steps(augseq, target, n_workers, timeout, options)
        return await drive_async(steps)  # type: ignore[no-any-return]

    def __augment__(self, augment_batch: Callable[[Any], Any]) -> Self:
        """A copy of the batch with its components augmented; what a pool calls."""
        columns = self._columns_for({})
        found = _through(augment_batch, self._parts(columns, None))
        twin = type(self).__new__(type(self))
        twin.__setstate__(self.__getstate__() | {"_generator": copy.deepcopy(self._generator)})
        twin.data_setter = self.data.as_dict() | found
        return twin

    def _augment_steps(
        self,
        augseq: Any,
        target: str | None,
        n_workers: int | None,
        timeout: float | None,
        given: dict[str, str],
    ) -> Steps:
        check_augmenter(augseq)
        if not is_imgaug(augseq):
            raise TypeError(f"augseq must be an augmenter of imgaug, got {type(augseq).__name__}")
        target = check_target(target or self.apply_defaults.get("target", "threads"))
        limits = check_limits(n_workers, timeout)
        columns = self._columns_for(given)
        state = Augmentation(augseq, int(self.random.integers(2**31 - 1)), owns_interpreter=False)
        calls = [
            Call(position, (self._parts(columns, slice(start, start + _TOGETHER)), position))
            for position, start in enumerate(range(0, len(self), _TOGETHER))
        ]
        root, path = self._next_path()
        task = Task(_Piece(state), {}, root, path)
        results = yield Work(task, calls, {}, target, *limits)
        if errors := failures(results):
            raise ParallelError("Could not augment the batch", errors) from first(results)
        if results:
            self._fill({name: _joined([part[name] for part in results]) for name in columns})
        return self

    def _columns_for(self, given: dict[str, str]) -> dict[str, str]:
        """The components to augment, and which columns they are for imgaug."""
        known = {**self.augmented_as, **given}
        columns = {
            name: known[name]
            for name in self.components or ()
            if name in known and getattr(self, name) is not None
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

    def _parts(self, columns: dict[str, str], where: slice | None) -> dict[str, tuple[str, Any]]:
        """Some rows of each component, with the name of imgaug's column."""
        whole = {name: getattr(self, name) for name in columns}
        return {
            name: (columns[name], column if where is None else rows(column, where))
            for name, column in whole.items()
        }


class _Piece:
    """An augmentation of some items, given as columns; a copy of it for each call."""

    def __init__(self, augmentation: Augmentation) -> None:
        self._augmentation = augmentation

    def __call__(self, parts: dict[str, tuple[str, Any]], position: int) -> dict[str, Any]:
        state = self._augmentation.clone()  # augmenters are not thread-safe
        return _through(lambda batch: state(position, batch), parts)


def _through(augment: Callable[[Any], Any], parts: dict[str, tuple[str, Any]]) -> dict[str, Any]:
    from imgaug.augmentables.batches import UnnormalizedBatch

    shapes = _shapes(parts)
    columns = {column: _for_imgaug(column, value, shapes) for column, value in parts.values()}
    found = augment(UnnormalizedBatch(**columns))
    return {
        name: _as_before(value, getattr(found, f"{column}_aug"), column)
        for name, (column, value) in parts.items()
    }


def _shapes(parts: dict[str, tuple[str, Any]]) -> list[tuple[int, ...]] | None:
    """The shape of each item's picture, or else of its mask or heatmap; `None` if it has none."""
    found = dict(parts.values())
    for column in ("images", "segmentation_maps", "heatmaps"):
        if column in found:
            return [each.shape for each in found[column]]
    return None


def _for_imgaug(column: str, value: Any, shapes: list[tuple[int, ...]] | None) -> Any:
    """Objects of several sizes go in as a list; so do points, which imgaug gives back but once."""
    import numpy as np

    if not isinstance(value, np.ndarray) or value.dtype.hasobject:
        return list(value)
    if column == "segmentation_maps" and value.dtype.kind not in "biu":
        raise ValueError(f"masks must be of bools or ints, got {value.dtype}; floats are heatmaps")
    if column not in _POINTS:
        return value.copy()
    if shapes is None:
        raise ValueError(f"{column} in arrays need pictures, masks or heatmaps beside them")
    kind, make, _ = _POINTS[column]
    build = getattr(getattr(importlib.import_module(kind[0]), kind[1]), make)
    return [build(row, shape=shape) for row, shape in zip(value, shapes, strict=True)]


def _as_before(before: Any, after: Any, column: str) -> Any:
    """What came out, in the form of what went in."""
    import numpy as np

    if isinstance(before, np.ndarray) and not before.dtype.hasobject:
        if column in _POINTS:
            after = [getattr(each, _POINTS[column][2])() for each in after]
            after = stack(after) if after else before
            return after.astype(before.dtype) if before.dtype.kind == "f" else after
        return after if isinstance(after, np.ndarray) else stack(after)
    found = np.empty(len(after), object)
    for position, value in enumerate(after):
        found[position] = value
    return list(after) if isinstance(before, list) else found


def _joined(parts: Sequence[Any]) -> Any:
    """One column out of parts of it; with pictures of several sizes, an array of objects."""
    import numpy as np

    if isinstance(parts[0], list):
        return [value for part in parts for value in part]
    if len({part.shape[1:] for part in parts}) == 1 and len({part.dtype for part in parts}) == 1:
        return np.concatenate(parts)
    return stack([value for part in parts for value in part])
