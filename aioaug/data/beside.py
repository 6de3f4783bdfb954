"""The labels in a file beside a picture: aioaug's or labelme's JSON, VOC's XML, YOLO's text."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from . import labelme, sidecars, voc
from .annotation import SOUND_RULES
from .checks import broken, file_at, read_any_json, read_file, read_text
from .labels import Caption, NamedLabels, PictureLabels
from .yolo_lines import guessed_lines

SUFFIXES = (".json", ".xml", ".txt")
_OTHER_FOLDERS = (("images", "labels", ".txt"), ("JPEGImages", "Annotations", ".xml"))
_BEGINNING = 4096  # bytes of an XML file in which its first element begins


class LabelsBeside(Protocol):
    """Labels that move with their picture, and are written beside it."""

    def columns(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """imgaug's objects for a picture of this shape, by the names of its columns."""

    def moved(self, columns: Mapping[str, Any], shape: tuple[int, ...]) -> Self:
        """The same labels with the columns that an augmenter returned."""

    def shown(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """The same as they are to be drawn."""

    def captions(self, shape: tuple[int, ...]) -> list[Caption]:
        """The names of what is in a picture of this shape, and where it begins."""

    def encode(self, picture: str) -> bytes:
        """The content of the file beside the picture of this name."""


@dataclass(frozen=True)
class FormattedLabels(NamedLabels):
    """The labels in a file of another program's, and how such a file is written."""

    write: Callable[[str, PictureLabels], bytes]

    def encode(self, picture: str) -> bytes:
        """The content of the file beside the picture of this name."""
        return self.write(picture, self.labels)


def files_beside(picture: Path) -> tuple[Path, ...]:
    """The files beside a picture that may have its labels."""
    found = (picture.with_suffix(suffix) for suffix in SUFFIXES)
    return tuple(path for path in found if os.path.isfile(path))


def file_elsewhere(picture: Path) -> Path | None:
    """The file that labels a picture in a YOLO or VOC dataset, which is in another folder."""
    for pictures, labels, suffix in _OTHER_FOLDERS:
        if pictures in picture.parts[:-1]:
            parts = list(picture.with_suffix(suffix).parts)
            parts[len(parts) - 1 - parts[::-1].index(pictures)] = labels
            if os.path.isfile(path := Path(*parts)):
                return path
    return None


def read_beside(files: tuple[Path, ...]) -> tuple[LabelsBeside, str] | None:
    """The labels in these files, and the suffix of the one that has them; `None` if none has.

    Raises `UnreadableLabelsError` for what is broken, and if several of the files have labels.
    """
    found = [(labels, path) for path in files if (labels := _read(path)) is not None]
    if len(found) > 1:
        names = " and ".join(path.name for _, path in found)
        raise broken(names, "there are labels in both, and no telling which count")
    return None if not found else (found[0][0], found[0][1].suffix)


def _read(path: Path) -> LabelsBeside | None:
    if path.suffix == ".json":
        content = read_any_json(file_at(path))
        if isinstance(content, dict) and isinstance(content.get("shapes"), list):
            labels, writer = labelme.read_alone(content, path)
            return FormattedLabels(labels, writer.classes, _OneFile(writer))
        return sidecars.from_json(content, path.name)
    if path.suffix == ".xml":
        if not re.search(rb"<annotation[\s>]", read_file(file_at(path))[:_BEGINNING]):
            return None
        labels, voc_writer = voc.read_alone(file_at(path))
        return FormattedLabels(labels, voc_writer.classes, _OneFile(voc_writer))
    # It may be a description of the picture, in any encoding.
    lines = guessed_lines(read_file(file_at(path)).decode(errors="replace"))
    if lines is None:
        return None
    annotations = lines.read(read_text(file_at(path)), str(path))
    labels = PictureLabels(
        annotations=annotations, relative=True, rules=SOUND_RULES, where=str(path)
    )
    return FormattedLabels(labels, (), lambda _, moved: lines.write(moved))


@dataclass(frozen=True)
class _OneFile:
    """Takes the only file that a writer makes of a picture's labels."""

    writer: Any

    def __call__(self, picture: str, labels: PictureLabels) -> bytes:
        (content,) = self.writer.label_files(picture, labels).values()
        return bytes(content)
