"""Folders of pictures, on this machine or at a URL: what is in them, and what is not."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Collection, Iterator
from typing import Literal, Protocol

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

    def folders(self, below: str = "") -> list[str]:
        """The names of the folders right in it, or in a folder of it, in alphabetical order."""


def open_folder(root: str | os.PathLike[str], *, follow_links: bool = False) -> PictureLister:
    """The folder at this path or URL; `OSError` if there is none."""
    if is_url(root):
        return RemoteFolder(os.fspath(root))
    return LocalFolder(root, links="follow" if follow_links else "refuse")


def checked_name(name: str, root: str, said_by: str = "") -> str:
    """A name below a folder, made simple; `ValueError` if it is none, or leads out of it."""
    begin = f"{said_by}: " if said_by else ""
    path = posixpath.normpath(name.replace(os.sep, "/"))
    if path == os.curdir or "\0" in name:
        raise ValueError(f"{begin}{name!r} is not the name of a file")
    if os.path.isabs(path) or is_url(name) or path.split("/")[0] == os.pardir:
        raise ValueError(f"{begin}{name!r} leads out of {root}")
    return path


def leads_out(path: str, root: str) -> bool:
    """Whether a file is outside of a folder, which itself is no link, if links are followed."""
    real = os.path.realpath(path)
    return real != root and not real.startswith(os.path.join(root, ""))


class LocalFolder(PictureLister):
    """A folder of this machine.

    Args:
        root: its path.
        links: links to places outside and to folders are refused with a `ValueError`, or followed;
            or, with "skip", folders that are links are left out, and files that are links are not.
        suffixes: those of pictures, in lower case.
        hidden: also list what begins with a dot.
        but: files and folders that are left out, by their paths without links.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        links: Literal["refuse", "follow", "skip"] = "refuse",
        suffixes: Collection[str] = SUFFIXES,
        hidden: bool = False,
        but: Collection[str] = (),
    ) -> None:
        # Workers would understand a relative path otherwise after the program changed its folder.
        self.root = os.path.abspath(os.fspath(root))
        if not os.path.isdir(self.root):
            os.listdir(self.root)  # the system's own error says why, and names it
        self._links = links
        self._suffixes = suffixes
        self._hidden = hidden
        self._but = but
        self._real = os.path.realpath(self.root)
        self._inside: dict[str, bool] = {}  # whether a folder is, by its path

    def reference(self, name: str, said_by: str = "") -> FileReference:
        path = checked_name(name, self.root, said_by)
        if self._links == "refuse" and not self._is_inside(os.path.join(self.root, path)):
            begin = f"{said_by}: " if said_by else ""
            raise ValueError(f"{begin}{name!r} is a link that leads out of {self.root}; {_REMEDY}")
        return FileReference(self.root, path)

    def pictures(self, below: str = "") -> Iterator[str]:
        yield from self._walk(below, [os.path.realpath(os.path.join(self.root, below))])

    def folders(self, below: str = "") -> list[str]:
        with os.scandir(os.path.join(self.root, below)) as entries:
            return sorted(one.name for one in entries if _is_folder(one) and self._is_shown(one))

    def _walk(self, below: str, path: list[str]) -> Iterator[str]:
        with os.scandir(os.path.join(self.root, below)) as entries:
            found = sorted(filter(self._is_shown, entries), key=lambda entry: entry.name)
        for entry in found:
            name = f"{below}/{entry.name}" if below else entry.name
            if _is_folder(entry):
                if (real := self._entered(entry, path)) is not None:
                    yield from self._walk(name, [*path, real])
            elif is_picture(name, self._suffixes) and self._is_wanted(entry):
                yield self.reference(name).name if entry.is_symlink() else name

    def _entered(self, entry: os.DirEntry[str], path: list[str]) -> str | None:
        """The path without links of a folder that is listed, too; `None` if it is left out."""
        if entry.is_symlink():
            if self._links == "skip":
                return None
            if self._links == "refuse":
                raise ValueError(f"{entry.path} is a link to a folder; {_REMEDY}")
        real = os.path.realpath(entry.path) if entry.is_symlink() or self._but else entry.path
        if real in path:
            raise ValueError(f"{entry.path} is a link to a folder that it is in")
        return None if real in self._but else real

    def _is_shown(self, entry: os.DirEntry[str]) -> bool:
        return self._hidden or not entry.name.startswith(".")

    def _is_wanted(self, entry: os.DirEntry[str]) -> bool:
        return not self._but or os.path.realpath(entry.path) not in self._but

    def _is_inside(self, path: str) -> bool:
        """Whether a file is in the folder when all links are followed."""
        if os.path.islink(path):
            return not leads_out(path, self._real)
        folder = os.path.dirname(path)
        if folder not in self._inside:
            self._inside[folder] = not leads_out(folder, self._real)
        return self._inside[folder]


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
            if is_picture(name) and not any(part.startswith(".") for part in name.split("/")):
                yield checked_name(name, self.root)

    def folders(self, below: str = "") -> list[str]:
        files, path = file_system(self.root)
        entries = files.ls(posixpath.join(path, below).rstrip("/"), detail=True)
        names = (
            posixpath.basename(one["name"].rstrip("/"))
            for one in entries
            if one["type"] == "directory"
        )
        return sorted(name for name in names if not name.startswith("."))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle: whoever reads it says so
        return False


def is_picture(name: str | os.PathLike[str], suffixes: Collection[str] = SUFFIXES) -> bool:
    """Whether a file is named like a picture."""
    return os.path.splitext(name)[1].lower() in suffixes
