"""Datasets of pictures in archives: tar files as of WebDataset, and parquet files."""

from __future__ import annotations

import json
import os
import posixpath
import tarfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from .._base.optional import need
from .._pictures.reading import SUFFIXES
from .folders import numbered
from .listing import checked_name
from .references import CellReference, MemberReference, is_url, open_file
from .samples import PictureDataset, Sample

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

# What labels are looked for, if nothing else is said, and how each is read.
_LABELS = ("cls", "json", "txt")


class Tar(PictureDataset):
    """Pictures in tar files, with members named as for WebDataset: `key.jpg` and `key.cls`.

    Members that have all but the suffix in common, and follow one another, are a sample. Archives
    are not unpacked: opening one reads the heads of its members and the labels, and workers read
    the pictures where they are. `cls` is the number of a class, `json` anything, and all others
    are text.

    Args:
        shards: the path or URL of an archive, or several.
        labels: the suffix of the members that are labels; `None` takes the first of `cls`, `json`
            and `txt` that there is.
        classes: the names of the classes, by number.

    Raises:
        OSError: an archive cannot be read.
        ValueError: it is no tar file, or is compressed; a sample has no label or two pictures, or a
            label cannot be read.
    """

    def __init__(
        self, shards: Paths, *, labels: str | None = None, classes: Iterable[str] | None = None
    ) -> None:
        paths, wanted = _listed(shards), _LABELS if labels is None else (labels,)
        members = [one for path in paths for one in _members(path, wanted, several=len(paths) > 1)]
        found = {suffix for one in members for suffix in one.others}
        suffix = labels or next((each for each in wanted if each in found), None)
        given = None if suffix is None else [_label(one, suffix) for one in members]
        known, names = numbered(given, classes, [one.where for one in members])
        pairs = zip(members, known or [None] * len(members), strict=True)
        super().__init__([Sample(one.image, label) for one, label in pairs if one.image], names)


class Table(PictureDataset):
    """Pictures in a column of parquet files, as bytes or as the datasets of Hugging Face have them.

    Workers read a whole group of rows for a picture, and keep the last few groups. So shuffled
    batches come fast only from files whose groups are small, of about 100 rows.

    Args:
        tables: the path or URL of a file, or several.
        image: the column of pictures.
        label: the column of labels; `None` is none.
        classes: the names of the classes, by number; `None` takes those that the file has.

    Raises:
        OSError: a file cannot be read.
        ValueError: it is no parquet file, has no such column, or a label is none of the classes.
        MissingExtra: pyarrow is not installed.
    """

    def __init__(
        self,
        tables: Paths,
        image: str = "image",
        label: str | None = None,
        *,
        classes: Iterable[str] | None = None,
    ) -> None:
        parquet = need("pyarrow.parquet", extra="parquet")
        arrow = need("pyarrow", extra="parquet")
        cells: list[CellReference] = []
        found: list[Any] = []
        known = None if classes is None else list(classes)
        for path in _listed(tables):
            with open_file(path) as opened:
                try:
                    file = parquet.ParquetFile(opened)
                except arrow.ArrowInvalid as error:
                    raise ValueError(f"{path} is no parquet file: {error}") from error
                names = file.schema_arrow.names
                for column in filter(None, (image, label)):
                    if column not in names:
                        raise ValueError(f"{path} has no column {column!r}, but {', '.join(names)}")
                stem = posixpath.splitext(os.path.basename(path))[0]
                for group in range(file.num_row_groups):
                    rows = range(file.metadata.row_group(group).num_rows)
                    cells += [
                        CellReference(path, f"{stem}/{group}-{row}", image, group, row)
                        for row in rows
                    ]
                if label is not None:
                    found += file.read([label], use_threads=False).column(0).to_pylist()
                    known = known or _classes_of(file.schema_arrow.metadata or {}, label)
        where = [f"{cell.table}: row {cell.row} of group {cell.group}" for cell in cells]
        labels, names = numbered(None if label is None else found, known, where)
        pairs = zip(cells, labels or [None] * len(cells), strict=True)
        super().__init__([Sample(cell, each) for cell, each in pairs], names)


@dataclass
class _Members:
    """What an archive has of a sample: its picture, and the bytes of its labels by suffix."""

    key: str
    image: MemberReference | None
    others: dict[str, bytes] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """What errors call it."""
        return f"{'' if self.image is None else self.image.archive}: {self.key}"


def _members(path: str, wanted: Collection[str], *, several: bool) -> Iterator[_Members]:
    """The samples of an archive, and of all else in it the members with the wanted suffixes."""
    prefix = f"{posixpath.splitext(os.path.basename(path))[0]}/" if several else ""
    sample = _Members("", None)
    with _opened(path) as archive:
        for member in archive:
            if not member.isreg() or member.issparse():
                continue
            name = checked_name(member.name, path)
            folder, base = posixpath.split(name)
            stem, _, suffix = base.partition(".")
            if posixpath.join(folder, stem) != sample.key:
                if sample.image is not None:
                    yield sample
                sample = _Members(posixpath.join(folder, stem), None)
            if posixpath.splitext(name)[1].lower() in SUFFIXES:
                if sample.image is not None:
                    raise ValueError(f"{path}: {sample.key} has two pictures")
                sample.image = MemberReference(path, prefix + name, member.offset_data, member.size)
            elif suffix in wanted and (content := archive.extractfile(member)) is not None:
                sample.others[suffix] = content.read()
    if sample.image is not None:
        yield sample


@contextmanager
def _opened(path: str) -> Iterator[tarfile.TarFile]:
    try:
        with open_file(path) as file, closing(tarfile.open(fileobj=file, mode="r:")) as archive:
            yield archive
    except tarfile.TarError as error:
        raise ValueError(
            f"{path} is damaged, or no tar file, or compressed, in which nothing can be found "
            f"without unpacking it: {error}"
        ) from error


def _label(members: _Members, suffix: str) -> Any:
    text = members.others.get(suffix)
    if text is None:
        raise ValueError(f"{members.where} has no .{suffix}")
    try:
        if suffix == "cls":
            return int(text)
        return json.loads(text) if suffix == "json" else text.decode().strip()
    except ValueError as error:
        raise ValueError(f"{members.where}.{suffix} cannot be read: {error}") from error


def _classes_of(metadata: dict[bytes, bytes], label: str) -> list[str] | None:
    """The names of the classes that Hugging Face's datasets keep in a file."""
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return list(map(str, names))


def _listed(paths: Paths) -> Sequence[str]:
    """Paths as a list; those of this machine stay what they are if the program changes folder."""
    several = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    given = [os.fspath(path) for path in several]
    return [path if is_url(path) else os.path.abspath(path) for path in given]
