"""Where the bytes of a picture are: small objects that go to workers, and are read there."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import IO, Any, NamedTuple, Protocol, TypeAlias
from urllib.parse import quote

from .. import _pictures
from .._base.optional import need
from ..errors import UnreadablePictureError

# Of a table whole groups of rows are read; so many of them are kept, as the next may be wanted.
_GROUPS_KEPT = 4
_AT_ONCE = 256  # so many files of a server are read side by side, and are in memory together
_OF_WEB = ("http://", "https://")


class Reference(Protocol):
    """Where the bytes of a picture are. It is small, hashable, and pickles.

    If it has a method `head(count)`, that gives the first bytes alone. If it has a property
    `place`, pictures of one place are read faster by a worker that has read from there before.
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

    @property
    def place(self) -> str:
        """The path of the file."""
        return os.path.join(self.root, self.name)

    def read(self) -> bytes:
        """All bytes of the file; what is no file, such as a pipe, is refused."""
        return _pictures.load(self.place)

    def head(self, count: int) -> bytes:
        """The first bytes of the file."""
        return _pictures.load(self.place, count)


class UrlReference(NamedTuple):
    """A file at a URL that fsspec understands, below `root`.

    Its name is as in a folder of this machine: in the URL of a web page, a space of it is `%20`.
    """

    root: str
    name: str

    @property
    def place(self) -> str:
        """The URL of the file."""
        return url_below(self.root, self.name) if self.root else self.name

    def read(self) -> bytes:
        """All bytes of the file."""
        return self._content()

    def head(self, count: int) -> bytes:
        """The first bytes of the file; nothing else is read, if the server can do so."""
        return self._content(start=0, end=count)

    def _content(self, **part: int) -> bytes:
        files, path = file_system(self.place)
        with errors_of_servers(self.place):
            content: bytes = files.cat_file(path, **part)
        return content


File: TypeAlias = FileReference | UrlReference


class MemberReference(NamedTuple):
    """A member of a tar file, whose bytes begin at `offset`."""

    archive: str
    name: str
    offset: int
    size: int

    @property
    def place(self) -> str:
        """The archive, and where in it the member begins."""
        return f"{self.archive}:{self.offset}"

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
            with errors_of_servers(self.archive):
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

    @property
    def place(self) -> str:
        """The table and the group of rows, which a worker reads as a whole and keeps."""
        return f"{self.table}:{self.group}"

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


def url_below(root: str, name: str) -> str:
    """The URL of a file or folder below the URL of a folder."""
    return f"{root}/{quote(name) if is_of_web(root) else name}" if name else root


def is_of_web(url: str) -> bool:
    """Whether names are parts of a URL, in which some characters are written as others."""
    return url.startswith(_OF_WEB)


def file_system(url: str) -> tuple[Any, str]:
    """The file system of fsspec for a URL, and the path there; `MissingExtra` without fsspec."""
    files, path = need("fsspec.core", extra="remote").url_to_fs(url)
    return files, str(path)


def open_file(path: str) -> IO[bytes]:
    """A file of this machine or at a URL, in which one may seek."""
    if not is_url(path):
        return open(path, "rb")
    files, inside = file_system(path)
    with errors_of_servers(path):
        file: IO[bytes] = files.open(inside, "rb")
    return file


def read_each(files: Sequence[File]) -> Iterator[bytes | Exception]:
    """The bytes of each file of a folder in turn, or why it cannot be read.

    Files at URLs are read many at a time: one after the other, they would take the time of as many
    answers of the server.
    """
    for begin in range(0, len(files), _AT_ONCE):
        part = files[begin : begin + _AT_ONCE]
        yield from _read_together(part) if isinstance(part[0], UrlReference) else map(_read, part)


def _read(file: File) -> bytes | Exception:
    try:
        return file.read()
    except (OSError, UnreadablePictureError) as error:
        return error


def _read_together(part: Sequence[File]) -> Iterator[bytes | Exception]:
    places = [file.place for file in part]
    whole = [None] * len(part)
    files, _ = file_system(places[0])
    paths = [file_system(place)[1] for place in places]
    # Its `cat` would take a name with brackets for a pattern of names.
    found = files.cat_ranges(paths, whole, whole, on_error="return")
    for content, place in zip(found, places, strict=True):
        yield os_error(content, place) if isinstance(content, Exception) else content


@contextmanager
def errors_of_servers(url: str) -> Iterator[None]:
    """Raise as `OSError` what goes wrong on the way to a server; libraries raise errors of theirs.

    Some of those cannot be pickled, or say neither the URL nor what happened.
    """
    try:
        yield
    except Exception as error:
        raise os_error(error, url) from error


def os_error(error: Exception, url: str) -> OSError:
    """The error for what a library raised while it read a URL."""
    if isinstance(error, OSError) and error.errno is not None and error.filename == url:
        return error
    for kind, number in ((FileNotFoundError, errno.ENOENT), (PermissionError, errno.EACCES)):
        if isinstance(error, kind):
            return kind(number, os.strerror(number), url)
    why = " ".join(str(error).split()) or type(error).__name__
    return OSError(errno.EIO, why, url)


@lru_cache(_GROUPS_KEPT)
def _cells(table: str, group: int, column: str) -> Any:
    """The cells of a column in a group of rows."""
    parquet = need("pyarrow.parquet", extra="parquet")
    with open_file(table) as file:
        rows = parquet.ParquetFile(file).read_row_group(group, [column], use_threads=False)
    return rows.column(0)
