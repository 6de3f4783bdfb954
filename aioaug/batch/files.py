"""Batches from files and into files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from .. import formats
from .applying import Steps, apply_steps
from .components import Labels, named, stack
from .data import BatchData
from .index import FilesIndex


def load(
    batch: Any, *args: Any, src: Any = None, fmt: str | None = None, dst: Any = None, **kwargs: Any
) -> Steps:
    """Take data from another object, or read it from a file. It blocks; see `load_async`.

    Rows are picked by the labels of the index: an array's by position, a data frame's by its
    own index, a dict's by key, a file's by the labels it was written with. If anything goes
    wrong, the batch stays as it was.

    Args:
        src: without `fmt`, the data: an array for a lone `dst`, and a tuple, a dict or a data
            frame of columns otherwise. With "blosc", which has a file for each item, a folder, a
            `FilesIndex`, or `None` for the files of the batch's own index; else a file name.
        fmt: "blosc", "csv", "feather", "hdf5", "npz", or `None`.
        dst: a component for the whole of `src`, or names of components, in the order in which
            new ones are added; `None` is all components.
        kwargs: for the library that reads the file, which takes options by name alone. Of tables,
            `post(df, src=, fmt=, dst=, **kwargs)` may change what was read.

    Raises `ValueError` if there is no such format, or the file is not of it, or not whole,
    `KeyError` if a label or a component is missing, `MissingExtra` if a library is.
    """
    _by_name_only("load", args, () if fmt else kwargs)
    if fmt is None:
        batch._take(src, dst)
    elif fmt == "blosc":
        yield from _load_items(batch, src, dst, kwargs)
    else:
        _load_rows(batch, src, fmt, dst, kwargs)
    return batch


def dump(
    batch: BatchData,
    *args: Any,
    dst: Any = None,
    fmt: str | None = None,
    components: str | Sequence[str] | None = None,
    **kwargs: Any,
) -> Steps:
    """Put components into an array, or write them to a file. It blocks; see `dump_async`.

    What `load` reads back is equal, whatever the labels: in tables, components (N,) are one
    column each, those of more dimensions one for each element. Tables widen dtypes where
    they must: csv is text, and keeps neither dtypes, bytes nor which texts look like others.

    `dst` is, without `fmt`, an array, of which the rows at the batch's labels are set; else what
    `src` is for `load`. `components=None` is all. `kwargs` are for the library that writes the
    file, as `key` for "hdf5", and `mode`. Raises `ValueError` if there is no such format, or it
    cannot hold a component, or several were to go into one array.
    """
    _by_name_only("dump", args, () if fmt else kwargs)
    names = named(components, batch.components or ())
    if fmt is None:
        if len(names) > 1 or (not names and batch.components is not None):
            raise ValueError(f"one component at a time goes into an array, got {names}")
        dst[batch.indices] = getattr(batch, names[0]) if names else batch.data
        return batch
    formats.format_named(fmt)
    if fmt == "blosc":
        yield from _dump_items(batch, dst, names, kwargs)
    elif batch.components is None:
        raise ValueError(f"fmt={fmt!r} needs data with components")
    else:
        columns = {name: getattr(batch, name) for name in names}
        formats.write_labelled(fmt, dst, batch.indices, columns, kwargs)
    return batch


def _by_name_only(method: str, args: Sequence[Any], options: Iterable[str]) -> None:
    if given := [*map(repr, args), *options]:
        raise TypeError(f"{method} takes src, dst, fmt and options by name, got {', '.join(given)}")


def _load_rows(batch: BatchData, src: Any, fmt: str, dst: Any, options: dict[str, Any]) -> None:
    post = options.pop("post", None) if formats.format_named(fmt).tabular else None
    found, labels = formats.read_labelled(fmt, src, batch.indices, options)
    try:
        where = Labels(labels).get_pos(batch.indices)
    except KeyError as error:
        raise KeyError(f"{src} lacks label {error} of this batch") from error
    if isinstance(found, dict):
        names = named(dst, batch.components or tuple(found))
        columns = {name: found[name][where] for name in names if name in found}
    else:
        names, frame = named(dst, batch.components or ()), found.iloc[where]
        if callable(post):
            frame = post(frame, src=src, fmt=fmt, dst=dst, **options)
        if not hasattr(frame, "iloc") or (dst is None and batch.components is None):
            batch._take(frame, dst)
            return
        columns = formats.from_frame(frame, names)
        if isinstance(dst, str) and formats.has_others(frame, dst):
            columns = {dst: frame}
    batch._fill(columns, names, src)


def _load_items(batch: BatchData, src: Any, dst: Any, options: dict[str, Any]) -> Steps:
    names = named(dst, batch.components or ())
    own: dict[str, Any] = {"names": names or (None,), "options": options, "target": "t"}
    rows = yield from apply_steps(batch, _read_item, _paths(batch, src), _unwrapped, **own)
    values = rows if len(names) > 1 else [value for (value,) in rows]
    if names:
        batch._assemble(values, dst=names)
    else:
        batch.data_setter = stack(values)


def _dump_items(batch: BatchData, dst: Any, names: Sequence[str], options: dict[str, Any]) -> Steps:
    # An item without components goes by `None` in its file.
    values = ({n: getattr(item, n) for n in names} if names else {None: item} for item in batch)
    calls = list(zip(values, _paths(batch, dst), strict=True))
    own: dict[str, Any] = {"target": "t", "options": options}
    yield from apply_steps(batch, _write_item, calls, _unwrapped, **own)


def _paths(batch: BatchData, where: Any) -> list[str]:
    """The file of each item: in a folder, of a `FilesIndex`, or of the batch's own."""
    own = batch.index if isinstance(batch.index, FilesIndex) else None
    labels = batch.indices.tolist()
    if isinstance(where, str | os.PathLike):
        if own is None:
            return [os.path.join(where, f"{label}.blosc") for label in labels]
        paths = [own.get_fullpath(label) for label in labels]
        if own.dirs:
            return [os.path.join(path, where) for path in paths]
        return [os.path.join(where, os.path.basename(path)) for path in paths]
    index = own if where is None else where
    if index is None:
        raise ValueError("File locations must be specified to dump/load data")
    if not isinstance(index, FilesIndex):
        raise TypeError(f"src and dst must be a folder, a FilesIndex or None, got {where!r}")
    try:
        return [index.get_fullpath(label) for label in labels]
    except KeyError as error:
        raise KeyError(f"File {error} is not indexed in the received index") from error


def _read_item(path: str, names: Sequence[Any], options: dict[str, Any]) -> list[Any]:
    """The values of these components out of a file, in order."""
    found = formats.format_named("blosc").read(path, **options)
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no components but {type(found).__name__}")
    if missing := [name for name in names if name not in found]:
        raise KeyError(f"Cannot find components {missing} in corresponding file {path}")
    return [found[name] for name in names]


def _write_item(value: dict[Any, Any], path: str, options: dict[str, Any]) -> None:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    formats.format_named("blosc").write(value, path, **options)


def _unwrapped(results: Sequence[Any], **kwargs: Any) -> Sequence[Any]:
    """The results, or the first error among them."""
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results
