"""Columns of any shape as the columns of a table, and back.

A component (N,) is one column of its own name. One of more dimensions is a column for each
element: `x0`, `x1`, ... for (N,K), `x0_0`, `x0_1`, ... for (N,H,W), and so on.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .._base.optional import need
from ..formats import LABELS

if TYPE_CHECKING:
    import pandas
    from numpy.typing import NDArray


def to_frame(labels: NDArray[Any], columns: dict[str, Any]) -> pandas.DataFrame:
    """A data frame of named columns, `labels` being its index.

    Raises `ValueError` if there is a column without data, or one of objects that are arrays, or
    two would have the same name.
    """
    import numpy as np

    frames = need("pandas", extra="dataframe")
    parts = []
    for name, column in columns.items():
        if column is None:
            raise ValueError(f"component {name!r} holds no data")
        if hasattr(column, "iloc"):
            parts.append(column if hasattr(column, "columns") else column.to_frame(name))
            continue
        column = np.asarray(column)
        if column.dtype.hasobject and any(isinstance(each, np.ndarray) for each in column.flat):
            raise ValueError(f"a table cannot hold the arrays of {name!r}; fmt='blosc' can")
        shape = column.shape[1:]
        part = frames.DataFrame(column.reshape(len(column), -1) if len(shape) else column)
        part.columns = [name + "_".join(map(str, where)) for where in np.ndindex(*shape)]
        parts.append(part)
    frame = frames.concat([part.reset_index(drop=True) for part in parts], axis=1)
    repeated = frame.columns[frame.columns.duplicated()].tolist()
    if repeated or LABELS in frame.columns:
        raise ValueError(f"two columns would be named {', '.join(map(str, repeated or [LABELS]))}")
    frame.index = frames.Index(labels, name=LABELS)
    return frame


def labelled(frame: pandas.DataFrame) -> pandas.DataFrame:
    """The table with its labels as the index, where it has a column of them."""
    return frame.set_index(LABELS) if LABELS in frame.columns else frame


def from_frame(frame: pandas.DataFrame, names: Iterable[str]) -> dict[str, Any]:
    """The columns of these names out of a table; those it does not have are left out."""
    found = {}
    for name in names:
        if name in frame.columns:
            found[name] = as_array(frame[name])
        else:
            parts = _elements(frame, name)
            if parts:
                found[name] = _joined(frame, name, parts)
    return found


def only_of(frame: pandas.DataFrame, name: str) -> bool:
    """Whether the table has nothing but the component of this name."""
    return list(frame.columns) == [name] or len(_elements(frame, name)) == len(frame.columns)


def as_array(column: Any) -> NDArray[Any]:
    """A column of a table (N,); texts, if none is missing, as NumPy's own."""
    import numpy as np

    array: NDArray[Any] = column.to_numpy()
    texts = array.dtype.kind not in "biufcmM" and len(array)
    if texts and all(isinstance(each, str) for each in array):
        return np.array(array.tolist(), np.str_)
    return array


def _elements(frame: pandas.DataFrame, name: str) -> dict[tuple[int, ...], str]:
    pattern = re.compile(re.escape(name) + r"(\d+(?:_\d+)*)")
    matches = ((pattern.fullmatch(str(column)), column) for column in frame.columns)
    return {tuple(map(int, match[1].split("_"))): column for match, column in matches if match}


def _joined(frame: pandas.DataFrame, name: str, parts: dict[tuple[int, ...], str]) -> NDArray[Any]:
    dimensions = {len(where) for where in parts}
    shape = tuple(max(sizes) + 1 for sizes in zip(*parts, strict=False))
    wanted = list(itertools.product(*map(range, shape)))
    if len(dimensions) > 1 or len(wanted) != len(parts):
        raise ValueError(f"the table has some columns of {name!r}, but not all")
    flat = as_array(frame[[parts[where] for where in wanted]])
    return flat.reshape(len(frame), *shape)
