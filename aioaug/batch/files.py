"""Batches from files and into files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from .. import formats
from .applying import apply_steps, drive
from .components import Array, Labels, named, stack
from .data import BatchData
from .index import FilesIndex

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
        form.write(formats.to_frame(batch.indices, columns, fmt), dst, **options)
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
    frame, labels = formats.read_table(fmt, src, batch.indices, given)
    frame = frame.iloc[_rows_of(batch, labels, src)]
    if callable(post):
        frame = post(frame, src=src, fmt=fmt, dst=dst, **given)
    if not hasattr(frame, "iloc") or (dst is None and batch.components is None):
        batch._take(frame, dst)
        return
    if isinstance(dst, str):
        parts = {dst, *formats.elements(frame, dst).values()}
        if not set(frame.columns) <= parts:
            batch._fill({dst: frame})
            return
    names = named(dst, batch.components or ())
    _fill_all(batch, formats.from_frame(frame, names), names, src)


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
        found: Array = Labels(labels).find(batch.indices)
        return found
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
