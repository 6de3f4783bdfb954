"""Where the bytes of a picture are: small objects that go to workers, and are read there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from .. import _pictures
from .._pictures.reading import SUFFIXES

_REMEDY = "follow_links=True allows it"


class Reference(Protocol):
    """Where the bytes of a picture are. It is small, hashable, and pickles."""

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


class Folder:
    """A folder of pictures: lists them, and gives references to those that somebody names.

    What would lead out of it is refused with a `ValueError`: names may come from files that others
    wrote. So are links to places outside and to folders, unless `follow_links` is set.
    """

    def __init__(self, root: str | os.PathLike[str], *, follow_links: bool = False) -> None:
        # Workers would understand a relative path otherwise after the program changed its folder.
        self.root = os.path.abspath(os.fspath(root))
        if not os.path.isdir(self.root):
            os.listdir(self.root)  # the system's own error says why, and names it
        self._follow_links = follow_links
        self._real = os.path.realpath(self.root)
        self._inside: dict[str, bool] = {}  # whether a folder is, by its path

    def reference(self, name: str, said_by: str = "") -> FileReference:
        """The file of this name; `said_by` is for errors: the file and entry that named it."""
        path = os.path.normpath(name)
        begin = f"{said_by}: " if said_by else ""
        if not name or "\0" in name:
            raise ValueError(f"{begin}{name!r} is not the name of a file")
        if os.path.isabs(path) or path.split(os.sep)[0] == os.pardir:
            raise ValueError(f"{begin}{name!r} leads out of {self.root}")
        if not self._follow_links and not self._is_inside(os.path.join(self.root, path)):
            raise ValueError(f"{begin}{name!r} is a link that leads out of {self.root}; {_REMEDY}")
        return FileReference(self.root, path.replace(os.sep, "/"))

    def pictures(self, below: str = "") -> Iterator[str]:
        """The names of all pictures in it, or in a folder of it, in alphabetical order.

        Whatever begins with a dot is left out.
        """
        yield from self._walk(below, [os.path.realpath(os.path.join(self.root, below))])

    def folders(self) -> list[str]:
        """The names of the folders right in it, in alphabetical order, without hidden ones."""
        with os.scandir(self.root) as entries:
            return sorted(one.name for one in entries if one.is_dir() and one.name[0] != ".")

    def _walk(self, below: str, path: list[str]) -> Iterator[str]:
        with os.scandir(os.path.join(self.root, below)) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            if entry.name.startswith("."):
                continue
            name = f"{below}/{entry.name}" if below else entry.name
            if entry.is_dir():
                real = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
                if entry.is_symlink() and not self._follow_links:
                    raise ValueError(f"{entry.path} is a link to a folder; {_REMEDY}")
                if real in path:
                    raise ValueError(f"{entry.path} is a link to a folder that it is in")
                yield from self._walk(name, [*path, real])
            elif os.path.splitext(name)[1].lower() in SUFFIXES:
                yield self.reference(name).name if entry.is_symlink() else name

    def _is_inside(self, path: str) -> bool:
        """Whether a file is in the folder when all links are followed."""
        if os.path.islink(path):
            return self._has(os.path.realpath(path))
        folder = os.path.dirname(path)
        if folder not in self._inside:
            self._inside[folder] = self._has(os.path.realpath(folder))
        return self._inside[folder]

    def _has(self, real: str) -> bool:
        return real == self._real or real.startswith(os.path.join(self._real, ""))
