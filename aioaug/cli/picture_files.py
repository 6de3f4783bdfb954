"""From the SRC arguments to a sorted list of pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from .. import _pictures
from .._pictures.reading import SUFFIXES
from ..data.beside import files_beside
from ..data.checks import file_at
from ..data.listing import LocalFolder, is_picture
from .exits import CommandError
from .manifest import relative

Source: TypeAlias = Path | str  # a string is a URL


@dataclass(frozen=True)
class PictureFile:
    """A picture to augment; `name` is its path below DST, with the suffix it has here.

    `annotations` are the files beside it that may have its labels.
    """

    name: PurePosixPath
    path: Source
    annotations: tuple[Path, ...]


def read_picture(source: Source) -> _pictures.Picture:
    """The picture at a path or URL."""
    return _pictures.read(source) if isinstance(source, Path) else _pictures.decode(load(source))


def load(source: Source) -> bytes:
    """The content of the file at a path or URL."""
    return file_at(source).read()


def seen_from(folder: Path, source: Source) -> str:
    """A path as seen from a folder, or a URL."""
    return relative(source, folder) if isinstance(source, Path) else source


def find(arguments: Sequence[Source], but: frozenset[Path] = frozenset()) -> list[PictureFile]:
    """All pictures in the arguments, sorted by name; each file counts once.

    `but` are resolved paths of files and folders to leave out. Names and folders that begin with
    a dot are left out too, unless they are arguments themselves, and so are links to folders.
    """
    found: dict[Path, PictureFile] = {}
    several = len(arguments) > 1
    for argument in arguments:
        if isinstance(argument, str):
            raise CommandError(
                f"{argument} is no dataset that is recognised, and plain pictures are read from "
                "this machine only: say its --format, or copy it"
            )
        for name, path in _named(argument, several, but):
            resolved = real(path)
            if resolved not in but and resolved not in found:
                found[resolved] = PictureFile(name, path, files_beside(path))
    if not found:
        where = ", ".join(map(str, arguments))
        raise CommandError(f"no pictures in {where} (looked for {' '.join(sorted(SUFFIXES))})")
    return sorted(found.values(), key=lambda source: (source.name.parts, str(source.path)))


def real(path: Path) -> Path:
    """`path` without links. Links in a circle stay, and the file cannot be read later."""
    return Path(os.path.realpath(path))  # Path.resolve would raise an error for a circle


def _named(
    argument: Path, several: bool, but: frozenset[Path]
) -> Iterator[tuple[PurePosixPath, Path]]:
    if os.path.isdir(argument):
        # A single folder's content goes right into DST; of several, each gets a folder in DST.
        top = PurePosixPath(real(argument).name if several else ".")
        left_out = frozenset(map(str, but))
        try:
            for name in LocalFolder(argument, links="skip", but=left_out).pictures():
                yield top / name, argument / name
        except OSError as error:
            raise CommandError(f"{error.filename} cannot be read: {error.strerror}") from error
    elif not os.path.exists(argument):
        raise CommandError(f"there is no file or folder {argument}")
    elif not is_picture(argument):
        raise CommandError(f"{argument} is not named like a picture ({' '.join(sorted(SUFFIXES))})")
    else:
        yield PurePosixPath(argument.name), argument
