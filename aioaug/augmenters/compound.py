"""Batches of several parts: tuples, mappings, named tuples and dataclasses.

Parts are columns of imgaug by their names (`images`, `keypoints` and so on). Those without names
are by their place, images first, or by their kind, as lists of `KeypointsOnImage` are. A part may
be such a batch itself, once. Everything else is passed through.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

COLUMNS = {
    "HeatmapsOnImage": "heatmaps",
    "SegmentationMapsOnImage": "segmentation_maps",
    "KeypointsOnImage": "keypoints",
    "BoundingBoxesOnImage": "bounding_boxes",
    "PolygonsOnImage": "polygons",
    "LineStringsOnImage": "line_strings",
}
NAMES = frozenset(("images", *COLUMNS.values()))
_SCALARS = frozenset((type(None), bool, int, float, str, bytes))

Path = tuple[Any, ...]


def is_compound(batch: Any) -> bool:
    """Whether a batch is made of parts. A list is, if its first item is of several images."""
    if isinstance(batch, list):
        return bool(batch) and (isinstance(batch[0], list) or getattr(batch[0], "ndim", 0) == 4)
    return isinstance(batch, (tuple, Mapping)) or _is_dataclass(batch)


def columns_of(batch: Any) -> dict[str, Path]:
    """Where in a batch of parts its columns are; raises `ValueError` if it has one twice."""
    found: dict[str, Path] = {}
    inner: dict[str, Path] = {}
    for key, name, value in _parts(batch, outermost=True):
        if name is not None:
            _add(found, name, (key,), value)
        elif is_compound(value) and _has_names(value):
            for inner_key, inner_name, inner_value in _parts(value, outermost=False):
                if inner_name is not None:
                    _add(inner, inner_name, (key, inner_key), inner_value)
    return {**inner, **found}


def part_at(batch: Any, path: Path) -> Any:
    """The part of a batch that a path leads to."""
    for key in path:
        batch = getattr(batch, key) if _is_dataclass(batch) else batch[key]
    return batch


def is_once(batch: Any, path: Path) -> bool:
    """Whether it is certain that no other part of a batch refers to the one at this path."""
    if len(path) > 1 or _is_dataclass(batch):
        return False
    parts = dict(batch) if isinstance(batch, Mapping) else dict(enumerate(batch))
    part = parts.pop(path[0])
    return all(other is not part and _refers_to_nothing(other) for other in parts.values())


def with_parts(batch: Any, parts: Mapping[Path, Any]) -> Any:
    """A copy of a batch, of the same form, with other values for these parts of it."""
    changed = {path[0]: value for path, value in parts.items() if len(path) == 1}
    for key in {path[0] for path in parts if len(path) > 1}:
        inner = {path[1:]: value for path, value in parts.items() if path[:1] == (key,)}
        changed[key] = with_parts(part_at(batch, (key,)), inner)
    if isinstance(batch, tuple):
        items = [changed.get(place, item) for place, item in enumerate(batch)]
        return type(batch)._make(items) if hasattr(batch, "_make") else type(batch)(items)
    if isinstance(batch, Mapping) and not isinstance(batch, MutableMapping):
        return type(batch)({**batch, **changed})  # type: ignore[call-arg]
    copied: Any = copy.copy(batch)
    for key, value in changed.items():
        if _is_dataclass(batch):
            object.__setattr__(copied, key, value)  # it may be frozen
        else:
            copied[key] = value
    return copied


def _parts(batch: Any, *, outermost: bool) -> Iterator[tuple[Any, str | None, Any]]:
    """Each part of a batch: its key, the column that it is, and its value."""
    if isinstance(batch, Mapping):
        for key, value in batch.items():
            yield key, key if key in NAMES else None, value
    elif _is_dataclass(batch):
        for name in (field.name for field in dataclasses.fields(batch)):
            yield name, name if name in NAMES else None, getattr(batch, name)
    elif _has_names(batch):
        for place, (name, value) in enumerate(zip(batch._fields, batch, strict=True)):
            yield place, name if name in NAMES else None, value
    elif outermost:
        for place, value in enumerate(batch):
            yield place, kind_of(value) or (None if place else "images"), value


def kind_of(value: Any) -> str | None:
    """The column that an `...OnImage` of imgaug, or a list of them, belongs to."""
    item = value[0] if isinstance(value, (list, tuple)) and value else value
    if hasattr(item, "dtype") or type(item) in _SCALARS:  # as labels are; the search takes longer
        return None
    names = (COLUMNS.get(base.__name__) for base in type(item).__mro__)
    return next(filter(None, names), None)


def _add(found: dict[str, Path], name: str, path: Path, value: Any) -> None:
    if value is None or (isinstance(value, (list, tuple)) and not value):
        return
    if name in found:
        raise ValueError(f"a batch must have {name} once, got them at {found[name]} and {path}")
    found[name] = path


def _has_names(batch: Any) -> bool:
    if isinstance(batch, tuple):
        return not NAMES.isdisjoint(getattr(batch, "_fields", ()))
    return not isinstance(batch, list)


def _refers_to_nothing(value: Any) -> bool:
    import numpy as np

    if type(value) is np.ndarray:
        return not value.dtype.hasobject
    items = value if type(value) is list else [value]
    return all(type(item) in _SCALARS for item in items)


def _is_dataclass(value: Any) -> bool:
    return hasattr(type(value), "__dataclass_fields__")  # `is_dataclass` takes longer
