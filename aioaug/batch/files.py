"""Batches from files and into files.

In a table, a component (N,) is one column of its own name. One of more dimensions is a column for
each element: `x0`, `x1`, ... for (N,K), `x0_0`, `x0_1`, ... for (N,H,W), and so on.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import formats
from .._base.optional import need
from .applying import apply_steps, drive
from .components import Array, Labels, named, objects, stack
from .data import BatchData
from .index import FilesIndex

if TYPE_CHECKING:
    import pandas

# What the value of an item without components goes by in its file.
_NO_NAME = None


def load(batch: BatchData, src: Any, fmt: str | None, dst: Any, options: dict[str, Any]) -> None:
    """Fill components of a batch out of another object, or out of a file."""
    if fmt is None:
        batch._take(src, dst)
    elif formats.format_named(fmt).tabular:
        _load_table(batch, src, fmt, dst, options)
    elif fmt == "npz":
        _load_arrays(batch, src, dst, options)
    else:
        _load_items(batch, src, dst, options)


def dump(
    batch: BatchData,
    dst: Any,
    fmt: str | None,
    components: str | Sequence[str] | None,
    options: dict[str, Any],
) -> None:
    """Put components of a batch into an array, or write them to a file."""
    if fmt is None:
        _dump_array(batch, dst, named(components, batch.components or ()))
        return
    form = formats.format_named(fmt)
    if batch.components is None and fmt != "blosc":
        raise ValueError(f"fmt={fmt!r} needs data with components")
    names = named(components, batch.components or ())
    if fmt == "blosc":
        _dump_items(batch, dst, names, options)
        return
    columns = {name: getattr(batch, name) for name in names}
    if form.tabular:
        form.write(to_frame(batch.indices, columns, fmt), dst, **options)
    else:
        columns = {name: column for name, column in columns.items() if column is not None}
        form.write({formats.LABELS: batch.indices, **columns}, dst, **options)


def by_name_only(method: str, args: Sequence[Any], options: Iterable[str]) -> None:
    """Raise `TypeError` if there are arguments that nothing takes."""
    if given := [*map(repr, args), *options]:
        raise TypeError(f"{method} takes src, dst, fmt and options by name, got {', '.join(given)}")


def _dump_array(batch: BatchData, dst: Any, names: tuple[str, ...]) -> None:
    if len(names) > 1 or (not names and batch.components is not None):
        raise ValueError(f"one component at a time goes into an array, got {names}")
    dst[batch.indices] = getattr(batch, names[0]) if names else batch.data


def _load_table(batch: BatchData, src: Any, fmt: str, dst: Any, options: dict[str, Any]) -> None:
    given = dict(options)
    post = given.pop("post", None)
    options = dict(given)
    if fmt == "csv" and all(isinstance(label, str) for label in batch.indices.tolist()):
        # "007" is a label, not a number. As bytes, since pandas may lose even texts like "nan".
        if options.get("engine") == "pyarrow":
            options.setdefault("dtype", {formats.LABELS: str})
        else:
            options.setdefault("converters", {formats.LABELS: str.encode})
    frame = formats.format_named(fmt).read(src, **options)
    if formats.LABELS in frame.columns:
        labels = _as_array(frame.pop(formats.LABELS))
        if fmt == "csv" and labels.dtype.hasobject:
            labels = objects([x.decode() if isinstance(x, bytes) else x for x in labels])
        frame.index = labels
        frame.index.name = formats.LABELS
    else:
        labels = _as_array(frame.index)
    if batch.indices.dtype.kind in "mM":  # which may have been written as texts
        labels = labels.astype(batch.indices.dtype)
    frame = frame.iloc[_rows_of(batch, labels, src)]
    if callable(post):
        frame = post(frame, src=src, fmt=fmt, dst=dst, **given)
    if not hasattr(frame, "iloc") or (dst is None and batch.components is None):
        batch._take(frame, dst)
    elif isinstance(dst, str) and not set(frame.columns) <= {dst, *_elements(frame, dst).values()}:
        batch._fill({dst: frame})
    else:
        names = named(dst, batch.components or ())
        _fill_all(batch, from_frame(frame, names), names, src)


def _load_arrays(batch: BatchData, src: Any, dst: Any, options: dict[str, Any]) -> None:
    found = formats.format_named("npz").read(src, **options)
    if formats.LABELS not in found:
        raise ValueError(f"{src} was not written by dump: it has no labels")
    where = _rows_of(batch, found.pop(formats.LABELS), src)
    names = named(dst, batch.components or tuple(found))
    columns = {name: found[name][where] for name in names if name in found}
    _fill_all(batch, columns, names, src)


def _rows_of(batch: BatchData, labels: Array, src: Any) -> Array:
    """Where the rows of a batch are in a file that has these labels."""
    try:
        return Labels(labels).positions(batch.indices)
    except KeyError as error:
        raise KeyError(f"{src} lacks label {error} of this batch") from error


def _fill_all(batch: BatchData, columns: dict[str, Any], names: Sequence[str], src: Any) -> None:
    if missing := [name for name in names if name not in columns]:
        raise KeyError(f"{src} has no component {', '.join(map(repr, missing))}")
    batch._fill({name: columns[name] for name in names})


def _load_items(batch: BatchData, src: Any, dst: Any, options: dict[str, Any]) -> None:
    names = named(dst, batch.components or ())
    paths = _paths(batch, src)
    own: dict[str, Any] = {"names": names, "options": options}
    values = drive(apply_steps(batch, _read_item, paths, _unwrapped, target="t", **own))
    if len(names) < 2:
        values = [value for (value,) in values]
    if names:
        batch._assemble(values, src=None, dst=names)
    else:
        batch.data_setter = stack(values)


def _dump_items(batch: BatchData, dst: Any, names: Sequence[str], options: dict[str, Any]) -> None:
    values = (
        {name: getattr(item, name) for name in names} if names else {_NO_NAME: item}
        for item in batch
    )
    calls = list(zip(values, _paths(batch, dst), strict=True))
    drive(apply_steps(batch, _write_item, calls, _unwrapped, target="t", options=options))


def _paths(batch: BatchData, where: Any) -> list[str]:
    """The file of each item of a batch.

    `where` is a folder, in which a file has the name of the item's label, or of its file in the
    batch's own `FilesIndex`; or, where that is of folders, a name in each; or a `FilesIndex`; or
    `None` for the files of the batch's own.
    """
    own = batch.index if isinstance(batch.index, FilesIndex) else None
    labels = batch.indices.tolist()
    if isinstance(where, str | os.PathLike):
        folder = os.fspath(where)
        if own is None:
            return [os.path.join(folder, f"{label}.blosc") for label in labels]
        paths = [own.get_fullpath(label) for label in labels]
        if own.dirs:
            return [os.path.join(path, folder) for path in paths]
        return [os.path.join(os.path.abspath(folder), os.path.basename(path)) for path in paths]
    index = own if where is None else where
    if index is None:
        raise ValueError("File locations must be specified to dump/load data")
    if not isinstance(index, FilesIndex):
        raise TypeError(f"src and dst must be a folder, a FilesIndex or None, got {where!r}")
    try:
        return [index.get_fullpath(label) for label in labels]
    except KeyError as error:
        raise KeyError(f"File {error} is not indexed in the received index") from error


def _read_item(path: str, names: Sequence[str], options: dict[str, Any]) -> list[Any]:
    """The values of these components out of a file, in order."""
    found = formats.format_named("blosc").read(path, **options)
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no components but {type(found).__name__}")
    if missing := [name for name in names or (_NO_NAME,) if name not in found]:
        raise KeyError(f"Cannot find components {missing} in corresponding file {path}")
    return [found[name] for name in names or (_NO_NAME,)]


def _write_item(value: dict[Any, Any], path: str, options: dict[str, Any]) -> None:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    formats.format_named("blosc").write(value, path, **options)


def _unwrapped(results: Sequence[Any], **kwargs: Any) -> Sequence[Any]:
    """The results, or the first error among them."""
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


# -- tables --


def to_frame(labels: Array, columns: dict[str, Any], fmt: str) -> pandas.DataFrame:
    """A data frame of named columns for this format; the first one is of the labels.

    An index would not do: HDF5 takes texts like "nan" for missing ones there.

    Raises `ValueError` if there is a column without data, or one of objects that the format would
    change, or two would have the same name.
    """
    frames = need("pandas", extra="dataframe")
    parts = []
    if formats.LABELS in columns:
        raise ValueError(f"a component must not be called {formats.LABELS!r}")
    for name, column in {formats.LABELS: labels, **columns}.items():
        if column is None:
            raise ValueError(f"component {name!r} holds no data")
        if hasattr(column, "iloc"):
            parts.append(column if hasattr(column, "columns") else column.to_frame(name))
            continue
        column = np.asarray(column)
        # pandas would take None among texts for NaN, and Arrow end NumPy's own bytes at a zero.
        kept_as = object if column.dtype.kind in "OS" else None
        if kept_as:
            column = column.astype(object)
            _check_objects(name, column.ravel().tolist(), fmt)
        shape = column.shape[1:]
        flat = column.reshape(len(column), -1) if shape else column
        part = frames.DataFrame(flat, dtype=kept_as)
        part.columns = [name + "_".join(map(str, where)) for where in np.ndindex(*shape)]
        parts.append(part)
    frame = frames.concat([part.reset_index(drop=True) for part in parts], axis=1)
    repeated = frame.columns[frame.columns.duplicated()].tolist()
    if repeated:
        raise ValueError(f"two columns would be named {', '.join(map(str, repeated))}")
    return frame


def _check_objects(name: str, values: list[Any], fmt: str) -> None:
    """Raise `ValueError` if there are objects that this format would give back as others.

    A missing text is `None` when it is read. HDF5 pickles what is no text, Arrow has a type for
    each column, and csv has texts only, which is known.
    """
    there = [each for each in values if not (each is None or _is_nan(each))]
    kinds = {type(each) for each in there}
    texts = all(issubclass(kind, str | bytes) for kind in kinds)
    wrong = "arrays" if np.ndarray in kinds else None
    if fmt != "csv" and texts and any(map(_is_nan, values)):
        wrong = "NaN among texts"
    if fmt == "feather" and not texts and any(each is None for each in values):
        wrong = "None among other objects than texts"
    if fmt == "feather" and any(issubclass(kind, dict | list | tuple | set) for kind in kinds):
        wrong = "containers"
    if fmt == "feather" and {str, bytes} <= kinds:
        wrong = "both texts and bytes"
    if wrong:
        raise ValueError(f"{fmt} cannot hold {wrong} of {name!r}; fmt='blosc' can")


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def from_frame(frame: pandas.DataFrame, names: Iterable[str]) -> dict[str, Any]:
    """The columns of these names out of a table; those it does not have are left out."""
    found = {}
    for name in names:
        parts = _elements(frame, name)
        if name in frame.columns:
            found[name] = _as_array(frame[name])
        elif parts:
            shape = tuple(max(sizes) + 1 for sizes in zip(*parts, strict=False))
            if set(parts) != set(itertools.product(*map(range, shape))):
                raise ValueError(f"the table has some columns of {name!r}, but not all")
            flat = _as_array(frame[[parts[where] for where in sorted(parts)]])
            found[name] = flat.reshape(len(frame), *shape)
    return found


def _elements(frame: pandas.DataFrame, name: str) -> dict[tuple[int, ...], str]:
    """The columns of a component of more dimensions, by the place of the element."""
    pattern = re.compile(re.escape(name) + r"(\d+(?:_\d+)*)")
    matches = ((pattern.fullmatch(str(column)), column) for column in frame.columns)
    return {tuple(map(int, match[1].split("_"))): column for match, column in matches if match}


def _as_array(column: Any) -> Array:
    """Columns of a table (N,) or (N,K); texts, if none is missing, as NumPy's own."""
    array: Array = column.to_numpy()
    if array.dtype.kind in "biufcmM" or not len(array):
        return array
    values = array.ravel().tolist()
    if all(isinstance(each, str) for each in values):
        return np.array(array.tolist(), np.str_)
    if all(isinstance(each, str) or each is None or _is_nan(each) for each in values):
        # What pandas marks as missing depends on its version.
        array = np.array([each if isinstance(each, str) else None for each in values], object)
        return array.reshape(column.shape)
    return array
