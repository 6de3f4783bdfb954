"""Folders with a folder for each class, as the command line takes them."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._pictures import Array
from .annotation import Annotation
from .folders import ImageFolder
from .labels import PictureLabels
from .listing import Folder, is_picture, open_folder
from .samples import PictureDataset, Sample

# The folders between that of a dataset and those of its classes, if they have such names.
SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")


@dataclass(frozen=True)
class ClassLabel:
    """The class of a whole picture: where a box is wanted, it is that of the picture."""

    category: int

    @property
    def categories(self) -> Array:
        """(1,) `int64`: the class."""
        return np.array([self.category])

    def columns(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """Nothing, since nothing of it moves."""
        return {}

    def shown(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """Nothing: it is drawn as a name only."""
        return {}

    def moved(self, columns: Mapping[str, Any], shape: tuple[int, ...]) -> PictureLabels:
        """The class and the box of the augmented picture."""
        return self.in_pixels(shape)

    def in_pixels(self, shape: tuple[int, ...]) -> PictureLabels:
        """The class and the box of a picture of this shape."""
        height, width = shape[:2]
        whole = Annotation(category=self.category, box=(0, 0, width, height))
        return PictureLabels(annotations=(whole,), size=(width, height))


class ClassFolders(PictureDataset):
    """The pictures of an `ImageFolder`, or of all its splits, with their `ClassLabel`s.

    Raises `ValueError` as that does, and for pictures that are in the folder of no class.
    """

    def __init__(self, root: str | os.PathLike[str], split: str | None = None) -> None:
        top = open_folder(root)
        splits = [split] if split is not None else splits_of(top)
        folder = ImageFolder(root, split=splits or None)
        for inner in splits or [""]:
            if alone := _pictures_in(top, inner):
                place = top.reference(posixpath.join(inner, alone[0])).place
                raise ValueError(f"{place} is in the folder of no class")
        samples = [Sample(each.image, ClassLabel(each.labels)) for each in folder]
        super().__init__(samples, folder.classes)


def is_of_classes(root: str | os.PathLike[str]) -> bool:
    """Whether there are at least two folders with pictures right in them, and none beside them.

    They may be those of classes, or, in each of several splits, there are such ones.
    """
    try:
        folder = open_folder(root)
        return all(_has_classes(folder, top) for top in splits_of(folder) or [""])
    except OSError:  # who lists it says why
        return False


def _has_classes(folder: Folder, top: str) -> bool:
    classes = folder.folders(top)
    return (
        len(classes) > 1
        and not _pictures_in(folder, top)
        and all(_pictures_in(folder, posixpath.join(top, name)) for name in classes)
    )


def splits_of(folder: Folder) -> list[str]:
    """The folders of splits, if there are no others."""
    folders = folder.folders()
    return folders if all(name.lower() in SPLITS for name in folders) else []


def _pictures_in(folder: Folder, inner: str) -> list[str]:
    """The pictures right in a folder."""
    entries = folder.entries(inner)
    return sorted(name for name in entries if not entries[name] and is_picture(name))
