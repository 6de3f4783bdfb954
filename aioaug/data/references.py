"""Where the bytes of a picture are: small objects that go to workers, and are read there."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import IO, Any, NamedTuple, Protocol

from .. import _pictures
from .._base.optional import need
from ..errors import UnreadablePictureError

# Of a table whole groups of rows are read; so many of them are kept, as the next may be wanted.
_GROUPS_KEPT = 4


class Reference(Protocol):
    """Where the bytes of a picture are. It is small, hashable, and pickles.

    If it has a method `head(count)`, that gives the first bytes alone.
    """

    @property
    def name(self) -> str:
        """Its path relative to the dataset's root, with `/`, as messages and outputs call it."""

    def read(self) -> bytes:
        """The bytes, as a worker reads them; `OSError` or `UnreadablePictureError`."""


class FileReference(NamedTuple):
    """A file of this machine, below `root`."""

    root: str
    name: str

    def read(self) -> bytes:
        """All bytes of the file; what is no file, such as a pipe, is refused."""
        return _pictures.load(os.path.join(self.root, self.name))

    def head(self, count: int) -> bytes:
        """The first bytes of the file."""
        return _pictures.load(os.path.join(self.root, self.name), count)


class UrlReference(NamedTuple):
    """A file at a URL that fsspec understands, below `root`."""

    root: str
    name: str

    def read(self) -> bytes:
        """All bytes of the file."""
        return self._content()

    def head(self, count: int) -> bytes:
        """The first bytes of the file; nothing else is read, if the server can do so."""
        return self._content(start=0, end=count)

    def _content(self, **part: int) -> bytes:
        url = f"{self.root}/{self.name}" if self.root else self.name
        files, path = file_system(url)
        content: bytes = files.cat_file(path, **part)
        return content


class MemberReference(NamedTuple):
    """A member of a tar file, whose bytes begin at `offset`."""

    archive: str
    name: str
    offset: int
    size: int

    def read(self) -> bytes:
        """The bytes of the member; nothing else of the archive is read."""
        content = self.head(self.size)
        if len(content) < self.size:
            raise UnreadablePictureError(f"{self.archive} ends in the middle of it")
        return content

    def head(self, count: int) -> bytes:
        """The first bytes of the member."""
        count = min(count, self.size)
        if is_url(self.archive):
            files, path = file_system(self.archive)
            content: bytes = files.cat_file(path, start=self.offset, end=self.offset + count)
            return content
        with open(self.archive, "rb") as archive:
            archive.seek(self.offset)
            return archive.read(count)


class CellReference(NamedTuple):
    """A cell of a column of pictures in a parquet file, in a row of a group of rows."""

    table: str
    name: str
    column: str
    group: int
    row: int

    def read(self) -> bytes:
        """The bytes in the cell; the pictures of the whole group are read."""
        cell = _cells(self.table, self.group, self.column)[self.row].as_py()
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(content, bytes):
            raise UnreadablePictureError(f"there are no bytes in column {self.column!r}")
        return content


def is_url(path: str | os.PathLike[str]) -> bool:
    """Whether this is for fsspec, and not a path on this machine."""
    return "://" in os.fspath(path)


def file_system(url: str) -> tuple[Any, str]:
    """The file system of fsspec for a URL, and the path there; `MissingExtra` without fsspec."""
    files, path = need("fsspec.core", extra="remote").url_to_fs(url)
    return files, str(path)


def open_file(path: str) -> IO[bytes]:
    """A file of this machine or at a URL, in which one may seek."""
    if not is_url(path):
        return open(path, "rb")
    files, inside = file_system(path)
    file: IO[bytes] = files.open(inside, "rb")
    return file


@lru_cache(_GROUPS_KEPT)
def _cells(table: str, group: int, column: str) -> Any:
    """The cells of a column in a group of rows."""
    parquet = need("pyarrow.parquet", extra="parquet")
    with open_file(table) as file:
        rows = parquet.ParquetFile(file).read_row_group(group, [column], use_threads=False)
    return rows.column(0)
