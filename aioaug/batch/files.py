"""Batches from files and into files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Self

from .. import formats
from .._aio.tasks import in_thread
from . import tables
from .apply import Applying
from .components import named, stack
from .decorators import action
from .driving import Steps, drive
from .index import FilesIndex
from .labels import Labels


class Filing(Applying):
    """`load`, `dump` and `save`."""

    @action
    def load(
        self, *args: Any, src: Any = None, fmt: str | None = None, dst: Any = None, **kwargs: Any
    ) -> Self:
        """Take data from another object, or read it from a file. It blocks; see `load_async`.

        Rows are picked by the labels of the index: an array's by position, a data frame's by its
        own index, a dict's by key, a file's by the labels it was written with. If anything goes
        wrong, the batch stays as it was.

        Args:
            src: without `fmt`, the data: an array for a lone `dst`, and a tuple, a dict or a data
                frame of columns otherwise. A file name for "csv", "feather", "hdf5" and "npz". For
                "blosc", which has a file for each item, a folder, a `FilesIndex`, or `None` for
                the files of the batch's own index.
            fmt: "blosc", "csv", "feather", "hdf5", "npz", or `None`.
            dst: a component for the whole of `src`, or names of components, in the order in which
                new ones are added; `None` is all components.
            args: none; the libraries take options by name.
            kwargs: for the library that reads the file. Of tables, `post(df, src=, fmt=,
                dst=, **kwargs)` may change what was read.

        Raises:
            ValueError: there is no such format, or the file is not of it, or not whole.
            KeyError: the source lacks a label or a component.
            MissingExtra: the library for the format is not installed.

        Example::

            batch.load(src="features.csv", fmt="csv", dst=("features", "labels"), index_col=0)
        """
        _by_name_only("load", args, kwargs if fmt is None else {})
        if fmt is None:
            self._take(src, dst)
        elif formats.format_named(fmt).tabular:
            self._load_table(src, fmt, dst, kwargs)
        elif fmt == "npz":
            self._load_arrays(src, dst, kwargs)
        else:
            drive(self._load_items(src, dst, kwargs))
        return self

    async def load_async(self, *args: Any, **kwargs: Any) -> Self:
        """`load`, in a thread. Cancelled, it leaves that thread to finish."""
        await in_thread(lambda: self.load(*args, **kwargs))
        return self

    @action
    def dump(
        self,
        *args: Any,
        dst: Any = None,
        fmt: str | None = None,
        components: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Put components into an array, or write them to a file. It blocks; see `dump_async`.

        What `load` reads back is equal, whatever the labels: in tables, components (N,) are one
        column each, those of more dimensions one for each element. Tables widen dtypes where
        they must: csv keeps neither their size nor, of texts, which of them look like numbers.

        Args:
            dst: without `fmt`, an array, of which the rows at the batch's labels are set; else
                what `src` is for `load`.
            fmt: as for `load`.
            components: which; `None` is all.
            args: none; the libraries take options by name.
            kwargs: for the library that writes the file, as `key` for "hdf5", and `mode`.

        Raises:
            ValueError: there is no such format, or it cannot hold a component, or one component
                at a time was to go into an array.
        """
        _by_name_only("dump", args, kwargs if fmt is None else {})
        names = None if components is None else named(components, ())
        if fmt is None:
            self._dump_array(dst, names)
            return self
        form = formats.format_named(fmt)
        if self.components is None and fmt != "blosc":
            raise ValueError(f"fmt={fmt!r} needs data with components")
        names = names or self.components or ()
        if fmt == "blosc":
            drive(self._dump_items(dst, names, kwargs))
            return self
        columns = {name: getattr(self, name) for name in names}
        if form.tabular:
            form.write(tables.to_frame(self.indices, columns), dst, **kwargs)
        else:
            columns = {name: column for name, column in columns.items() if column is not None}
            form.write({formats.LABELS: self.indices, **columns}, dst, **kwargs)
        return self

    async def dump_async(self, *args: Any, **kwargs: Any) -> Self:
        """`dump`, in a thread. Cancelled, it leaves that thread to finish."""
        await in_thread(lambda: self.dump(*args, **kwargs))
        return self

    @action
    def save(self, *args: Any, **kwargs: Any) -> Self:
        """The same as `dump`."""
        return self.dump(*args, **kwargs)

    async def save_async(self, *args: Any, **kwargs: Any) -> Self:
        """The same as `dump_async`."""
        return await self.dump_async(*args, **kwargs)

    def _dump_array(self, dst: Any, names: tuple[str, ...] | None) -> None:
        if names is None and self.components is not None and len(self.components) == 1:
            names = self.components
        if (names is None and self.components is not None) or (
            names is not None and len(names) != 1
        ):
            raise ValueError(f"one component at a time goes into an array, got {names}")
        dst[self.indices] = self.data if names is None else getattr(self, names[0])

    def _load_table(self, src: Any, fmt: str, dst: Any, options: dict[str, Any]) -> None:
        options = dict(options)
        post = options.pop("post", None)
        given = dict(options)
        if fmt == "csv" and self.indices.dtype.kind in "US" and "dtype" not in options:
            options["dtype"] = {formats.LABELS: str}  # "007" is a label, not a number
        frame = tables.labelled(formats.format_named(fmt).read(src, **options))
        try:
            frame = frame.loc[self.indices]
        except KeyError as error:
            raise KeyError(f"{src} lacks labels of this batch: {error}") from error
        if callable(post):
            frame = post(frame, src=src, fmt=fmt, dst=dst, **given)
        if not hasattr(frame, "iloc") or (dst is None and self.components is None):
            self._take(frame, dst)
        elif isinstance(dst, str) and not tables.only_of(frame, dst):
            self._fill({dst: frame})
        else:
            names = named(dst, self.components or ())
            self._fill_all(tables.from_frame(frame, names), names, src)

    def _fill_all(self, columns: dict[str, Any], names: Sequence[str], src: Any) -> None:
        if missing := [name for name in names if name not in columns]:
            raise KeyError(f"{src} has no component {', '.join(map(repr, missing))}")
        self._fill({name: columns[name] for name in names})

    def _load_arrays(self, src: Any, dst: Any, options: dict[str, Any]) -> None:
        found = formats.format_named("npz").read(src, **options)
        if formats.LABELS not in found:
            raise ValueError(f"{src} was not written by dump: it has no labels")
        own = Labels(found.pop(formats.LABELS))
        try:
            where = own.find(self.indices)
        except KeyError as error:
            raise KeyError(f"{src} lacks label {error} of this batch") from error
        names = named(dst, self.components or tuple(found))
        self._fill_all({name: found[name][where] for name in names if name in found}, names, src)

    def _load_items(self, src: Any, dst: Any, options: dict[str, Any]) -> Steps:
        names = named(dst, self.components or ())
        paths: list[Any] = [((path,), {}) for path in paths_of(self, src)]
        work = {
            "init": paths,
            "post": unwrapped,
            "target": "t",
            "names": names,
            "options": options,
        }
        values = yield from self._steps(read_item, (), work)
        if not names:
            self.data_setter = stack([value for (value,) in values])
            return
        columns = zip(*values, strict=True) if values else [()] * len(names)
        self._fill(
            {
                name: self._assemble_component(list(column), component=name, src=None)
                for name, column in zip(names, columns, strict=True)
            }
        )

    def _dump_items(self, dst: Any, names: Sequence[str], options: dict[str, Any]) -> Steps:
        values = (
            {name: getattr(item, name) for name in names} if names else {NO_NAME: item}
            for item in self
        )
        paths = paths_of(self, dst)
        calls: list[Any] = [((value, path), {}) for value, path in zip(values, paths, strict=True)]
        work = {"init": calls, "post": unwrapped, "target": "t", "options": options}
        yield from self._steps(write_item, (), work)


def _by_name_only(method: str, args: Sequence[Any], options: dict[str, Any]) -> None:
    if given := [*map(repr, args), *options]:
        raise TypeError(f"{method} takes src, dst, fmt and options by name, got {', '.join(given)}")


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
