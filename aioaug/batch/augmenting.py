"""Batches through imgaug's augmenters: all columns of an item change alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from .._worker.augmentation import Augmentation
from ..augmenters import batch_forms
from ..augmenters.compound import COLUMNS
from ..augmenters.kinds import check_augmenter, is_imgaug
from .applying import Steps, apply_steps, raise_failures
from .components import joined, rows, stack
from .data import BatchData

# Items that go into an augmenter together; fixed, since chance depends on it.
_TOGETHER = 16
_COLUMNS = ("images", *COLUMNS.values())
# What components are taken for by their names.
AUGMENTED_AS = {**{name: name for name in _COLUMNS}, "masks": "segmentation_maps"}


def augment(
    batch: BatchData,
    augseq: Any,
    *,
    target: str | None = None,
    n_workers: int | None = None,
    timeout: float | None = None,
    engine: Any = None,
    **columns: str,
) -> Steps:
    """Augment images, masks, keypoints and more, each item's alike.

    Components go to imgaug by their names: `images` (N,H,W,C) or (N,H,W), or objects of any
    sizes; `masks` or `segmentation_maps`, of bools or ints; `heatmaps`, of floats; `keypoints`
    (N,K,2) as x, y in pixels; `bounding_boxes` (N,K,4) as x1, y1, x2, y2; `polygons` and
    `line_strings`; all of them also as objects of imgaug's `...OnImage`. Other names are given as
    `augment(augseq, photos="images")`, or in the class's `augmented_as`.

    What comes out depends on `random_seed`, and not on where that is done. It blocks; from a
    coroutine await `augment_async`, which when cancelled abandons what runs.

    Raises `TypeError` if `augseq` is no augmenter of imgaug, `ValueError` if there is nothing to
    augment, and `ParallelError` if the augmenter fails.
    """
    check_augmenter(augseq)
    if not is_imgaug(augseq):
        raise TypeError(f"augseq must be an augmenter of imgaug, got {type(augseq).__name__}")
    wanted = _columns_for(batch, columns)
    state = Augmentation(augseq, int(batch.random.integers(2**31 - 1)), owns_interpreter=False)
    starts = range(0, len(batch), _TOGETHER)
    parts = enumerate(_columns(batch, wanted, slice(n, n + _TOGETHER)) for n in starts)
    limits = {"target": target, "n_workers": n_workers, "timeout": timeout, "engine": engine}
    function = partial(_part, state)
    results = yield from apply_steps(batch, function, parts, lambda found, **_: found, **limits)
    raise_failures(results, "Could not augment the batch")
    if results:
        batch._fill({name: joined([part[c] for part in results]) for c, name in wanted.items()})
    return batch


def augmented(batch: BatchData, augment_batch: Callable[[Any], Any]) -> dict[str, Any]:
    """The components of a batch that are columns of imgaug's, augmented."""
    wanted = _columns_for(batch, {})
    augment = partial(batch_forms.augment, augment_batch=augment_batch)
    found = _through(augment, _columns(batch, wanted, slice(None)))
    return {name: found[column] for column, name in wanted.items()}


def _columns_for(batch: BatchData, given: Mapping[str, str]) -> dict[str, str]:
    """The component that each of imgaug's columns is to be augmented from."""
    wanted: dict[str, str] = {}
    for name, column in {**batch.augmented_as, **given}.items():
        if name not in (batch.components or ()) or getattr(batch, name) is None:
            if name in given:
                raise ValueError(f"no component {name!r} with data")
            continue
        if column not in _COLUMNS:
            raise ValueError(f"imgaug has no column {column!r}; it has {', '.join(_COLUMNS)}")
        if wanted.setdefault(column, name) != name:
            raise ValueError(f"several components are {column!r} for imgaug")
    if not wanted:
        raise ValueError("there is nothing to augment: no component is a column of imgaug's")
    return wanted


def _columns(batch: BatchData, wanted: dict[str, str], where: slice) -> dict[str, Any]:
    return {column: rows(getattr(batch, name), where) for column, name in wanted.items()}


def _part(augmentation: Augmentation, position: int, columns: dict[str, Any]) -> dict[str, Any]:
    state = augmentation.clone()  # augmenters are not thread-safe
    return _through(partial(state, position), columns)


def _through(augment: Callable[[Any], Any], columns: dict[str, Any]) -> dict[str, Any]:
    given = {column: _for_imgaug(column, value, columns) for column, value in columns.items()}
    found = augment(given)
    return {column: _as_before(value, found[column]) for column, value in columns.items()}


def _for_imgaug(column: str, value: Any, columns: Mapping[str, Any]) -> Any:
    if not isinstance(value, np.ndarray) or value.dtype.hasobject:
        return list(value)
    if column == "segmentation_maps" and value.dtype.kind not in "biu":
        raise ValueError(f"masks must be of bools or ints, got {value.dtype}; floats are heatmaps")
    if column in ("keypoints", "bounding_boxes"):
        if "images" not in columns:
            raise ValueError(f"{column} in arrays need images beside them")
        # Of ints, imgaug would give back ints.
        return value if value.dtype.kind == "f" else value.astype(np.float32)
    return value


def _as_before(before: Any, after: Any) -> Any:
    """What came out, in the form of what went in."""
    if not len(before):
        return before
    if isinstance(before, list):
        return list(after)
    if isinstance(after, np.ndarray):
        return after
    return np.fromiter(after, object) if before.dtype.hasobject else stack(after)
