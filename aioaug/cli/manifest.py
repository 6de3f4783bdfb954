"""`manifest.jsonl`: a JSON line for every output, from which that output can be made again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

from .._base import atomic
from .exits import CommandError, Exit

NAME = "manifest.jsonl"


@dataclass(frozen=True)
class ManifestEntry:
    """One output. Paths are relative to the manifest's folder, with forward slashes."""

    source: str
    output: str
    copy: int
    copies: int
    seed: int
    index: int
    pipeline: str
    pipeline_digest: str
    quality: int
    annotations: str | None
    size: tuple[int, int]
    sha256: str
    fast: bool = False  # manifests of earlier releases do not have it
    dataset: dict[str, Any] | None = None  # a `DatasetRequest`, for pictures of datasets
    record: Any = None  # what the file of a whole dataset has of this picture


class Manifest:
    """The manifest of one folder. Everything here blocks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.exists = os.path.isfile(path)
        self.entries: dict[int, ManifestEntry] = {}
        self._whole = 0  # bytes, up to the last line that was written to its end
        if self.exists:
            for entry in self._read():
                self.entries[entry.index] = entry

    def start(self) -> None:
        """Make the file, or cut off the half line that an interrupted run has left."""
        with self._writing():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._open() as file:
                file.truncate(self._whole)

    def append(self, entry: ManifestEntry) -> None:
        """Add one output; the line is on its way to the disk when this returns."""
        with self._writing(), self._open() as file:
            file.write(_line(entry))
        self.entries[entry.index] = entry

    def finish(self) -> None:
        """Put the lines in the order of their indices, one for each output."""
        content = b"".join(_line(self.entries[index]) for index in sorted(self.entries))
        with self._writing():
            if content != self.path.read_bytes():
                atomic.write(self.path, content)

    def place_of(self, relative: str) -> Path:
        """The path behind one that an entry holds."""
        return self.path.parent / relative

    def _open(self) -> BinaryIO:
        return open(self.path, "ab", opener=atomic.not_following)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = f"{self.path} cannot be written: {error.strerror}"
            raise CommandError(why, Exit.OUTPUT) from error

    def _read(self) -> Iterator[ManifestEntry]:
        for number, line in enumerate(self.path.read_bytes().splitlines(keepends=True), 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield _entry(json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                raise CommandError(
                    f"line {number} of {self.path} cannot be read", Exit.MANIFEST
                ) from error
            self._whole += len(line)


def relative(path: Path, folder: Path) -> str:
    """`path` as seen from `folder`; absolute where there is no way from one to the other."""
    try:
        return Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()
    except ValueError:  # another drive
        return path.absolute().as_posix()


def _line(entry: ManifestEntry) -> bytes:
    # A byte of a name that is no UTF-8 is a lone surrogate in Python, and in JSON its escape.
    of_datasets = ("dataset", "record")
    content = {
        name: value
        for name, value in vars(entry).items()
        if value is not None or name not in of_datasets
    }
    text = json.dumps(content, ensure_ascii=False)
    return f"{text}\n".encode(errors="backslashreplace")


def _entry(content: dict[str, Any]) -> ManifestEntry:
    values = {
        field.name: content[field.name]
        for field in fields(ManifestEntry)
        if field.default is MISSING or field.name in content
    }
    return ManifestEntry(**{**values, "size": tuple(content["size"])})
