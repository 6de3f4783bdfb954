"""Folders of pictures and labels, here or at a URL: what is in them, and what is not."""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Literal, Protocol
from urllib.parse import unquote

from .._pictures.reading import SUFFIXES
from .references import (
    File,
    FileReference,
    UrlReference,
    errors_of_servers,
    file_system,
    is_of_web,
    is_url,
    os_error,
    url_below,
)

_REMEDY = "follow_links=True allows it"
_NO_LIST = (
    "there are no files, or the server does not list them, as few web servers do; copy the folder "
    "to this machine or a store such as s3://, or use a format whose files name all pictures, as "
    "COCO's do"
)


class Folder(Protocol):
    """A folder of files: lists them, and gives references to those that somebody names.

    Names are relative to `root`, with `/`. What begins with a dot is left out of lists.
    """

    root: str

    def reference(self, name: str, said_by: str = "") -> File:
        """The file of this name; `said_by` is for errors: the file and entry that named it.

        Names may come from files that others wrote: what leads out of the folder is refused with a
        `ValueError`.
        """

    def pictures(self, below: str = "") -> Iterator[str]:
        """The names of all pictures in it, or in a folder of it, in alphabetical order."""

    def files(self, below: str, suffixes: Collection[str]) -> Iterator[str]:
        """The names of all files with one of these suffixes, which are in lower case."""

    def entries(self, below: str = "") -> dict[str, bool]:
        """What is right in it, or in a folder of it, by name: whether it is a folder."""

    def folders(self, below: str = "") -> list[str]:
        """The names of the folders right in it, or in a folder of it, in alphabetical order."""
        entries = self.entries(below)
        return sorted(name for name in entries if entries[name])

    def is_file(self, name: str) -> bool:
        """Whether there is a file of this name."""

    def is_folder(self, name: str) -> bool:
        """Whether there is a folder of this name; a server may have to list its folders for it."""


def open_folder(root: str | os.PathLike[str], *, follow_links: bool = False) -> Folder:
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


class LocalFolder(Folder):
    """A folder of this machine.

    Args:
        root: its path.
        links: links to places outside and to folders are refused with a `ValueError`, or followed;
            or, with "skip", folders that are links are left out, and files that are links are not.
        remedy: what to do about links that are refused, for the message.
        suffixes: those of pictures, in lower case.
        hidden: also list what begins with a dot.
        but: files and folders that are left out, by their paths without links.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        links: Literal["refuse", "follow", "skip"] = "refuse",
        remedy: str = _REMEDY,
        suffixes: Collection[str] = SUFFIXES,
        hidden: bool = False,
        but: Collection[str] = (),
    ) -> None:
        # Workers would understand a relative path otherwise after the program changed its folder.
        self.root = os.path.abspath(os.fspath(root))
        if not os.path.isdir(self.root):
            os.listdir(self.root)  # the system's own error says why, and names it
        self._links = links
        self._remedy = remedy
        self._suffixes = suffixes
        self._hidden = hidden
        self._but = but
        self._real = os.path.realpath(self.root)
        self._inside: dict[str, bool] = {}  # whether a folder is, by its path

    def reference(self, name: str, said_by: str = "") -> FileReference:
        path = checked_name(name, self.root, said_by)
        if self._links == "refuse" and not self._is_inside(os.path.join(self.root, path)):
            begin = f"{said_by}: " if said_by else ""
            raise ValueError(
                f"{begin}{name!r} is a link that leads out of {self.root}; {self._remedy}"
            )
        return FileReference(self.root, path)

    def pictures(self, below: str = "") -> Iterator[str]:
        return self.files(below, self._suffixes)

    def files(self, below: str, suffixes: Collection[str]) -> Iterator[str]:
        real = os.path.realpath(os.path.join(self.root, below))
        return self._walk(below, [real], suffixes)

    def is_file(self, name: str) -> bool:
        return os.path.isfile(os.path.join(self.root, name))

    def is_folder(self, name: str) -> bool:
        return os.path.isdir(os.path.join(self.root, name))

    def entries(self, below: str = "") -> dict[str, bool]:
        with os.scandir(os.path.join(self.root, below)) as found:
            return {one.name: _is_folder(one) for one in filter(self._is_shown, found)}

    def _walk(self, below: str, path: list[str], suffixes: Collection[str]) -> Iterator[str]:
        with os.scandir(os.path.join(self.root, below)) as entries:
            found = sorted(filter(self._is_shown, entries), key=lambda entry: entry.name)
        for entry in found:
            name = f"{below}/{entry.name}" if below else entry.name
            if _is_folder(entry):
                if (real := self._entered(entry, path)) is not None:
                    yield from self._walk(name, [*path, real], suffixes)
            elif has_suffix(name, suffixes) and self._is_wanted(entry):
                yield self.reference(name).name if entry.is_symlink() else name

    def _entered(self, entry: os.DirEntry[str], path: list[str]) -> str | None:
        """The path without links of a folder that is listed, too; `None` if it is left out."""
        if entry.is_symlink():
            if self._links == "skip":
                return None
            if self._links == "refuse":
                raise ValueError(f"{entry.path} is a link to a folder; {self._remedy}")
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


class RemoteFolder(Folder):
    """A folder at a URL that fsspec understands.

    What is in its folders is asked for once, so it is of the time when the dataset was opened.
    """

    def __init__(self, url: str) -> None:
        self.root = url.rstrip("/")
        self._entries: dict[str, dict[str, bool]] = {}  # of each folder: what is a folder in it

    @cached_property
    def _system(self) -> tuple[Any, str]:
        """The file system, which may have threads, and the path of the folder there."""
        files, path = file_system(self.root)
        files.invalidate_cache()  # the lists of an earlier time, which fsspec keeps
        return files, path.rstrip("/")

    def reference(self, name: str, said_by: str = "") -> UrlReference:
        return UrlReference(self.root, checked_name(name, self.root, said_by))

    def pictures(self, below: str = "") -> Iterator[str]:
        return self.files(below, SUFFIXES)

    def files(self, below: str, suffixes: Collection[str]) -> Iterator[str]:
        place = url_below(self.root, below)
        with _errors_of_lists(place):
            files, path = self._system
            found = [self._name(each) for each in files.find(url_below(path, below))]
        if not found:
            raise FileNotFoundError(errno.ENOENT, _NO_LIST, place)
        for name in sorted(found, key=lambda name: name.split("/")):
            if has_suffix(name, suffixes) and not any(map(_is_hidden, name.split("/"))):
                yield checked_name(name, self.root)

    def entries(self, below: str = "") -> dict[str, bool]:
        found = self._list(below)
        return {name: found[name] for name in found if not _is_hidden(name)}

    def is_file(self, name: str) -> bool:
        folder, _, last = name.rpartition("/")
        entries = self._list_if_possible(folder)
        if entries:
            return entries.get(last) is False
        # A web server need not list what it has.
        with errors_of_servers(url_below(self.root, name)):
            files, path = self._system
            return bool(files.exists(url_below(path, name)))

    def is_folder(self, name: str) -> bool:
        if not name:
            return True
        folder, _, last = name.rpartition("/")
        return self._list_if_possible(folder).get(last) is True

    def _list_if_possible(self, folder: str) -> dict[str, bool]:
        """What is in a folder; nothing where it cannot be listed."""
        try:
            return self._list(folder)
        except OSError:
            return self._entries.setdefault(folder, {})

    def _list(self, folder: str) -> dict[str, bool]:
        if folder not in self._entries:
            with _errors_of_lists(url_below(self.root, folder)):
                files, path = self._system
                found = files.ls(url_below(path, folder), detail=True)
            names = ((self._name(one["name"].rstrip("/")), one["type"]) for one in found)
            # A store may list the folder itself, too.
            self._entries[folder] = {
                posixpath.basename(name): kind == "directory"
                for name, kind in names
                if name != folder and posixpath.dirname(name) == folder
            }
        return self._entries[folder]

    def _name(self, path: str) -> str:
        """The name of a file or folder that the file system lists."""
        name = path.removeprefix(f"{self._system[1]}/")
        return unquote(name) if is_of_web(self.root) else name


@contextmanager
def _errors_of_lists(place: str) -> Iterator[None]:
    """Raise as `OSError` why a folder at a URL cannot be listed."""
    try:
        yield
    except Exception as error:
        # A web server answers that it has no list, or forbids it.
        if isinstance(error, FileNotFoundError) or hasattr(error, "status"):
            raise FileNotFoundError(errno.ENOENT, _NO_LIST, place) from error
        raise os_error(error, place) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle: whoever reads it says so
        return False


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def is_picture(name: str | os.PathLike[str]) -> bool:
    """Whether a file is named like a picture."""
    return has_suffix(name, SUFFIXES)


def has_suffix(name: str | os.PathLike[str], suffixes: Collection[str]) -> bool:
    """Whether the name of a file ends in one of these, in upper or lower case."""
    return os.path.splitext(name)[1].lower() in suffixes
