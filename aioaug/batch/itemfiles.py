"""Files of single items: where they are, and what is in them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from .. import formats
from .index import FilesIndex

# What the value of an item without components goes by in its file.
NO_NAME = None
_SUFFIX = ".blosc"


def paths_of(batch: Any, where: Any) -> list[str]:
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
            return [os.path.join(folder, f"{label}{_SUFFIX}") for label in labels]
        paths = [own.get_fullpath(label) for label in labels]
        if own.dirs:
            return [os.path.join(path, folder) for path in paths]
        return [os.path.join(os.path.abspath(folder), os.path.basename(path)) for path in paths]
    if where is None:
        where = own
    if not isinstance(where, FilesIndex):
        if where is not None:
            raise TypeError(f"src and dst must be a folder, a FilesIndex or None, got {where!r}")
        raise ValueError("File locations must be specified to dump/load data")
    try:
        return [where.get_fullpath(label) for label in labels]
    except KeyError as error:
        raise KeyError(f"File {error} is not indexed in the received index") from error


def read_item(path: str, names: Sequence[str], options: dict[str, Any]) -> list[Any]:
    """The values of these components out of a file, in order."""
    found = formats.format_named("blosc").read(path, **options)
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no components but {type(found).__name__}")
    if missing := [name for name in names or (NO_NAME,) if name not in found]:
        raise KeyError(f"Cannot find components {missing} in corresponding file {path}")
    return [found[name] for name in names or (NO_NAME,)]


def write_item(value: dict[Any, Any], path: str, options: dict[str, Any]) -> None:
    """Put an item's values into its file."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    formats.format_named("blosc").write(value, path, **options)


def unwrapped(results: Sequence[Any], **kwargs: Any) -> Sequence[Any]:
    """The results, or the first error among them."""
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results
