"""The rows of a pandas data frame as files with labels."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

import numpy as np

from .._base.arguments import one_of
from .file_source import FRAME_MODES, FileSource
from .files import SUFFIXES

log = logging.getLogger(__package__)

_WITHOUT_CLASSES = ("input", "multi_output", "raw", None)


def frame_source(
    frame: Any,
    directory: str | None,
    *,
    x_col: str,
    y_col: Any,
    weight_col: str | None,
    classes: list[str] | None,
    class_mode: str | None,
    split: tuple[float, float] | None,
    validate_filenames: bool,
    dtype: np.dtype[Any],
) -> FileSource:
    """The rows that name a picture and one of the classes, in their order; `frame` stays as it is.

    Of `split`, fractions of a row are dropped. Raises `TypeError` and `ValueError` for columns
    that do not fit `class_mode`.
    """
    _check(frame, x_col, y_col, weight_col, classes, class_mode)
    if validate_filenames:
        frame = _valid(frame, directory, x_col)
    class_indices: dict[str, int] = {}
    if class_mode not in _WITHOUT_CLASSES:
        frame, names = _with_classes(frame, y_col, classes)
        class_indices = {name: number for number, name in enumerate(names)}
    if split is not None:
        start, stop = (int(part * len(frame)) for part in split)
        frame = frame.iloc[start:stop]
    checked = "validated" if validate_filenames else "non-validated"
    of_classes = f" belonging to {len(class_indices)} classes" if class_indices else ""
    log.info("Found %d %s image filenames%s.", len(frame), checked, of_classes)
    labels: Any = None
    if class_mode == "multi_output":
        labels = [np.array(frame[column].tolist()) for column in y_col]
    elif class_mode == "raw":
        labels = frame[y_col].to_numpy()
    elif class_mode not in _WITHOUT_CLASSES:
        labels = [_numbers(label, class_indices) for label in frame[y_col]]
    weights = None if weight_col is None else frame[weight_col]
    return FileSource(
        directory,
        frame[x_col].tolist(),
        class_indices=class_indices,
        class_mode=class_mode,
        labels=labels,
        dtype=dtype,
        weights=None if weights is None else weights.to_numpy(_plain_type(weights)),
    )


def _check(
    frame: Any,
    x_col: str,
    y_col: Any,
    weight_col: str | None,
    classes: list[str] | None,
    class_mode: str | None,
) -> None:
    if not hasattr(frame, "iloc"):
        raise TypeError(f"dataframe must be a pandas DataFrame, got {type(frame).__name__}")
    one_of("class_mode", class_mode, FRAME_MODES)
    if class_mode == "multi_output" and not isinstance(y_col, list):
        raise TypeError(f"y_col must be a list for class_mode='multi_output', got {y_col!r}")
    if class_mode not in _WITHOUT_CLASSES and isinstance(y_col, (list, tuple)):
        raise TypeError(f"y_col must name one column for class_mode={class_mode!r}, got {y_col!r}")
    _each(frame, x_col, (str,), "x_col")
    if class_mode in ("binary", "sparse"):
        _each(frame, y_col, (str,), f"class_mode={class_mode!r}: y_col")
    if class_mode == "binary":
        count = len(set(classes)) if classes else frame[y_col].nunique()
        if count != 2:
            raise ValueError(f"class_mode='binary' needs 2 classes, found {count}")
    if class_mode == "categorical":
        _each(frame, y_col, (str, list, tuple), "class_mode='categorical': y_col")
    if classes and class_mode in _WITHOUT_CLASSES:
        warnings.warn(f"classes is ignored for class_mode={class_mode!r}", stacklevel=4)
    if weight_col is not None and not np.issubdtype(_plain_type(frame[weight_col]), np.number):
        raise TypeError(f"weight_col={weight_col!r} must be a column of numbers")


def _each(frame: Any, column: str, types: tuple[type, ...], what: str) -> None:
    wrong = [value for value in frame[column] if not isinstance(value, types)]
    if wrong:
        names = " or ".join(one.__name__ for one in types)
        raise TypeError(f"{what}={column!r} must hold {names}, got {wrong[0]!r}")


def _plain_type(column: Any) -> Any:
    """NumPy's type for what is in a column; pandas' own `Int64` and the like hold it, too."""
    dtype = getattr(column.dtype, "numpy_dtype", column.dtype)
    return dtype if isinstance(dtype, np.dtype) else object


def _valid(frame: Any, directory: str | None, x_col: str) -> Any:
    paths = [os.path.join(directory or "", name) for name in frame[x_col]]
    endings = tuple(f".{suffix}" for suffix in SUFFIXES)
    valid = np.array([path.lower().endswith(endings) and os.path.isfile(path) for path in paths])
    if len(paths) and not valid.any():
        raise ValueError(
            f"none of the {len(paths)} rows names a picture in x_col={x_col!r}: {paths[0]}, for one"
        )
    if not valid.all():
        warnings.warn(
            f"{np.count_nonzero(~valid)} rows are left out: no picture has the name in "
            f"x_col={x_col!r}",
            stacklevel=4,
        )
    return frame[valid.astype(bool)]


def _with_classes(frame: Any, y_col: str, classes: list[str] | None) -> tuple[Any, list[str]]:
    """The rows that have one of the classes, and all classes in the order of their numbers."""
    if not classes:
        found: set[str] = set()
        for label in frame[y_col]:
            found.update(label if isinstance(label, (list, tuple)) else [label])
        return frame, sorted(found)
    known = set(classes)
    kept = [_known(label, known) for label in frame[y_col]]
    some = np.array([bool(label) for label in kept], bool)
    frame = frame[some].copy()
    frame[y_col] = [label for label in kept if label]
    return frame, list(dict.fromkeys(classes))


def _known(label: Any, known: set[str]) -> Any:
    if isinstance(label, (list, tuple)):
        return [one for one in label if one in known]
    return label if label in known else None


def _numbers(label: Any, class_indices: dict[str, int]) -> Any:
    if isinstance(label, (list, tuple)):
        return [class_indices[one] for one in label]
    return class_indices[label]
