"""Folders with a folder for each class, as the command line takes them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._pictures import Array
from .annotation import Annotation
from .folders import ImageFolder
from .labels import PictureLabels
from .listing import is_picture, open_folder
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

    def __init__(self, root: Path, split: str | None = None) -> None:
        splits = [split] if split is not None else _splits_in(root)
        folder = ImageFolder(root, split=splits or None)
        for top in splits or [""]:
            if alone := _pictures_in(root / top):
                raise ValueError(f"{root / top / alone[0]} is in the folder of no class")
        samples = [Sample(each.image, ClassLabel(each.labels)) for each in folder]
        super().__init__(samples, folder.classes)


def is_of_classes(root: Path) -> bool:
    """Whether there are at least two folders with pictures right in them, and none beside them.

    They may be those of classes, or, in each of several splits, there are such ones.
    """
    try:
        tops = [root / split for split in _splits_in(root)] or [root]
        return all(_has_classes(top) for top in tops)
    except OSError:  # who lists it says why
        return False


def _has_classes(top: Path) -> bool:
    folders = open_folder(top).folders()
    return (
        len(folders) > 1
        and not _pictures_in(top)
        and all(_pictures_in(top / name) for name in folders)
    )


def _splits_in(root: Path) -> list[str]:
    """The folders of splits, if there are no others."""
    folders = open_folder(root).folders()
    return folders if all(name.lower() in SPLITS for name in folders) else []


def _pictures_in(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(one.name for one in entries if is_picture(one.name) and one.is_file())
