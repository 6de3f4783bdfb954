"""Folders of pictures, on this machine or at a URL: what is in them, and what is not."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from typing import Protocol

from .._pictures.reading import SUFFIXES
from .references import FileReference, Reference, UrlReference, file_system, is_url

_REMEDY = "follow_links=True allows it"


class PictureLister(Protocol):
    """A folder of pictures: lists them, and gives references to those that somebody names.

    Names are relative to `root`, with `/`. What begins with a dot is left out of lists.
    """

    root: str

    def reference(self, name: str, said_by: str = "") -> Reference:
        """The file of this name; `said_by` is for errors: the file and entry that named it.

        Names may come from files that others wrote: what leads out of the folder is refused with a
        `ValueError`.
        """

    def pictures(self, below: str = "") -> Iterator[str]:
        """The names of all pictures in it, or in a folder of it, in alphabetical order."""

    def folders(self) -> list[str]:
        """The names of the folders right in it, in alphabetical order."""


def open_folder(root: str | os.PathLike[str], *, follow_links: bool = False) -> PictureLister:
    """The folder at this path or URL; `OSError` if there is none."""
    if is_url(root):
        return RemoteFolder(os.fspath(root))
    return LocalFolder(root, follow_links=follow_links)


def checked_name(name: str, root: str, said_by: str = "") -> str:
    """A name below a folder, made simple; `ValueError` if it is none, or leads out of it."""
    begin = f"{said_by}: " if said_by else ""
    if not name or "\0" in name:
        raise ValueError(f"{begin}{name!r} is not the name of a file")
    path = posixpath.normpath(name.replace(os.sep, "/"))
    if os.path.isabs(path) or is_url(name) or path.split("/")[0] == os.pardir:
        raise ValueError(f"{begin}{name!r} leads out of {root}")
    return path


class LocalFolder(PictureLister):
    """A folder of this machine.

    Links to places outside and to folders are refused with a `ValueError` too, unless
    `follow_links` is set.
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
        path = checked_name(name, self.root, said_by)
        if not self._follow_links and not self._is_inside(os.path.join(self.root, path)):
            begin = f"{said_by}: " if said_by else ""
            raise ValueError(f"{begin}{name!r} is a link that leads out of {self.root}; {_REMEDY}")
        return FileReference(self.root, path)

    def pictures(self, below: str = "") -> Iterator[str]:
        yield from self._walk(below, [os.path.realpath(os.path.join(self.root, below))])

    def folders(self) -> list[str]:
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
            elif _is_picture(name):
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


class RemoteFolder(PictureLister):
    """A folder at a URL that fsspec understands."""

    def __init__(self, url: str) -> None:
        self.root = url.rstrip("/")

    def reference(self, name: str, said_by: str = "") -> UrlReference:
        return UrlReference(self.root, checked_name(name, self.root, said_by))

    def pictures(self, below: str = "") -> Iterator[str]:
        files, path = file_system(self.root)
        top = path.rstrip("/") + "/"
        found = (one.removeprefix(top) for one in files.find(top + below))
        for name in sorted(found, key=lambda name: name.split("/")):
            if _is_picture(name) and not any(part.startswith(".") for part in name.split("/")):
                yield checked_name(name, self.root)

    def folders(self) -> list[str]:
        files, path = file_system(self.root)
        entries = files.ls(path.rstrip("/"), detail=True)
        names = (
            posixpath.basename(one["name"].rstrip("/"))
            for one in entries
            if one["type"] == "directory"
        )
        return sorted(name for name in names if not name.startswith("."))


def _is_picture(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES
