"""Datasets of picture files: folders of classes, lists of files, tables."""

from __future__ import annotations

import operator
import os
import posixpath
from collections.abc import Iterable, Sequence
from typing import Any

from .listing import checked_name, open_folder
from .references import FileReference, Reference, UrlReference, is_url
from .samples import PictureDataset, Sample

Path = str | os.PathLike[str]


class ImageFolder(PictureDataset):
    """A folder with a folder for each class, in which, at any depth, are the pictures of the class.

    The label of a picture is the number of its class. Classes and pictures are in alphabetical
    order; what begins with a dot is left out.

    Args:
        root: the folder; it may be a URL that fsspec understands.
        split: the name of a folder in it, such as `"train"`, or several, in which the folders of
            the classes are. A class need not be in each of them.
        follow_links: enter folders that are links, and take files that are links to others outside
            of `root`. Without it such links are an error.

    Raises:
        OSError: a folder cannot be read.
        ValueError: there are no classes, a class has no pictures, or there is such a link.
    """

    def __init__(
        self,
        root: Path,
        *,
        split: str | Iterable[str] | None = None,
        follow_links: bool = False,
    ) -> None:
        folder = open_folder(root, follow_links=follow_links)
        splits = [split] if isinstance(split, str) else [""] if split is None else list(split)
        tops = [checked_name(each, folder.root, "split") if each else "" for each in splits]
        places = [(top, name) for top in tops for name in folder.folders(top)]
        classes = sorted({name for _, name in places})
        if not classes:
            where = ", ".join(posixpath.join(folder.root, top).rstrip("/") for top in tops)
            raise ValueError(
                f"{where} has no folders, one for each class; for pictures without classes there "
                "is Files"
            )
        numbers = {name: number for number, name in enumerate(classes)}
        names: list[str] = []
        labels: list[int] = []
        for top, name in places:
            found = list(folder.pictures(posixpath.join(top, name)))
            names += found
            labels += [numbers[name]] * len(found)
        for number in sorted(set(range(len(classes))) - set(labels)):
            raise ValueError(f"the class {classes[number]!r} has no pictures in {folder.root}")
        super().__init__(_FileSamples(folder.root, names, labels), classes)


class Files(PictureDataset):
    """Picture files of any place, or all those in a folder, in alphabetical order.

    Args:
        paths: a list of paths, or a folder. Paths may be URLs that fsspec understands.
        labels: one for each file, in the same order: ints, `MovableLabels`, or anything else that
            pickles. Where all are strings, they are names of classes, which become ints.
        classes: the names of the classes, by number; `None` takes the labels that are strings, in
            alphabetical order.
        root: the folder that paths are relative to, and which none may lead out of.
        follow_links: as for `ImageFolder`.

    Raises:
        OSError: a folder cannot be read.
        ValueError: there are more or fewer labels than files, a label is none of the classes, or a
            path leads out of `root`.
    """

    def __init__(
        self,
        paths: Path | Iterable[Path],
        labels: Iterable[Any] | None = None,
        *,
        classes: Iterable[str] | None = None,
        root: Path | None = None,
        follow_links: bool = False,
    ) -> None:
        if isinstance(paths, (str, os.PathLike)):
            if root is not None or labels is not None:
                raise ValueError("root and labels: only for a list of paths, not for a folder")
            folder = open_folder(paths, follow_links=follow_links)
            samples = _FileSamples(folder.root, list(folder.pictures()))
            if not samples:
                raise ValueError(f"there are no pictures in {folder.root}")
            super().__init__(samples, classes or ())
            return
        names = [os.fspath(path) for path in paths]
        where = [f"path {number}" for number in range(len(names))]
        top, names = _below(root, names, where, follow_links=follow_links)
        found, known = numbered(labels, classes, where)
        super().__init__(_FileSamples(top, names, found), known)


class Frame(PictureDataset):
    """The rows of a data frame of pandas or polars, or of a dict of columns.

    Args:
        dataframe: anything of which columns can be had by name.
        columns: the name of the column of paths, or of that and the column of labels.
        classes, root, follow_links: as for `Files`.

    Raises:
        KeyError: there is no such column.
        ValueError: as for `Files`; it names the row.
    """

    def __init__(
        self,
        dataframe: Any,
        columns: str | tuple[str, str],
        *,
        classes: Iterable[str] | None = None,
        root: Path | None = None,
        follow_links: bool = False,
    ) -> None:
        wanted = (columns,) if isinstance(columns, str) else tuple(columns)
        if len(wanted) not in (1, 2):
            raise ValueError(f"columns must be the one of paths, or (paths, labels), got {wanted}")
        table = [list(dataframe[name]) for name in wanted]
        where = [f"row {number}" for number in range(len(table[0]))]
        for place, path in zip(where, table[0], strict=True):
            if not isinstance(path, (str, os.PathLike)):
                raise ValueError(f"{place}: {wanted[0]} must be a path, got {path!r}")
        names = [os.fspath(path) for path in table[0]]
        top, names = _below(root, names, where, follow_links=follow_links)
        found, known = numbered(table[1] if len(table) > 1 else None, classes, where)
        super().__init__(_FileSamples(top, names, found), known)


def numbered(
    labels: Iterable[Any] | None, classes: Iterable[str] | None, where: Sequence[str]
) -> tuple[list[Any] | None, tuple[str, ...]]:
    """Labels, with names of classes as numbers, and the classes; `where` they stand, for errors."""
    known = tuple(classes or ())
    if labels is None:
        return None, known
    given = [_plain(label) for label in labels]
    if len(given) != len(where):
        raise ValueError(f"there are {len(where)} pictures, but {len(given)} labels")
    for place, label in zip(where, given, strict=True):
        if isinstance(label, float) and label != label:
            raise ValueError(f"{place}: the label is missing (NaN)")
    if given and all(isinstance(label, str) for label in given):
        known = known or tuple(sorted(set(given)))
        numbers = {name: number for number, name in enumerate(known)}
        for place, label in zip(where, given, strict=True):
            if label not in numbers:
                raise ValueError(f"{place}: {label!r} is none of the classes {', '.join(known)}")
        return [numbers[label] for label in given], known
    for place, label in zip(where, given, strict=True):
        if known and type(label) is int and not 0 <= label < len(known):
            raise ValueError(f"{place}: there is no class {label}, as there are {len(known)}")
    return given, known


def _plain(label: Any) -> Any:
    """An int for what NumPy and pandas take for one."""
    if isinstance(label, bool) or not hasattr(label, "__index__"):
        return label
    return operator.index(label)


def _below(
    root: Path | None, names: list[str], where: Sequence[str], *, follow_links: bool
) -> tuple[str, list[str]]:
    """The folder of some files, and their names relative to it."""
    if root is None:
        return os.getcwd(), [name.replace(os.sep, "/") for name in names]
    folder = open_folder(root, follow_links=follow_links)
    pairs = zip(names, where, strict=True)
    return folder.root, [folder.reference(name, place).name for name, place in pairs]


class _FileSamples(Sequence[Sample]):
    """Samples that are made of names when they are asked for, as there may be millions."""

    def __init__(self, root: str, names: list[str], labels: list[Any] | None = None) -> None:
        self._root = root
        self._names = names
        self._labels = labels

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, number: Any) -> Any:
        labels = None if self._labels is None else self._labels[number]
        return Sample(self._reference(self._names[number]), labels)

    def _reference(self, name: str) -> Reference:
        if is_url(name):
            return UrlReference("", name)
        return (UrlReference if is_url(self._root) else FileReference)(self._root, name)
