"""Datasets of any format by its name, and what writes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from .annotation import Annotation
from .checks import broken, read_json
from .class_folders import ClassFolders, is_of_classes
from .coco import Coco, CocoWriter
from .labelme import Labelme, LabelmeWriter
from .labels import PictureLabels
from .masks import Masks, MasksWriter
from .samples import PictureDataset
from .via import Via, ViaWriter, is_via
from .voc import MASK_FOLDERS, Voc, VocWriter
from .yolo import Yolo, YoloWriter

FORMATS = ("coco", "yolo", "voc", "labelme", "via", "masks")
# Those of COCO itself and of Roboflow, CVAT, Label Studio and VGG Image Annotator.
_COCO_NAMES = (
    "annotations.json",
    "_annotations.coco.json",
    "instances*.json",
    "person_keypoints*.json",
    "result.json",
    "*_coco.json",
)
_YOLO_NAMES = ("data.yaml", "dataset.yaml", "obj.data")
_VIA_NAMES = "*via*.json"
_PARTS_OF_NAMES = ("images", "JPEGImages")


class LabelWriter(Protocol):
    """Writes the labels of pictures in one format."""

    def place(self, name: str) -> str:
        """Where the picture of this name belongs, seen from the dataset's folder."""

    def label_files(self, name: str, labels: PictureLabels) -> dict[str, bytes]:
        """The label files of one picture, by their names."""

    def record(self, name: str, labels: PictureLabels) -> Any:
        """What `dataset_files` has to know of one picture; JSON can hold it."""

    def dataset_files(self, records: Iterable[Any]) -> dict[str, bytes]:
        """The files of the dataset as a whole, given the records of all pictures."""


def format_of(path: Path) -> str | None:
    """The format of a dataset, by the names of its files; `None` for plain pictures."""
    if path.is_file():
        if path.suffix == ".json" and is_via(path):
            return "via"
        suffixes = {".json": "coco", ".yaml": "yolo", ".yml": "yolo", ".data": "yolo"}
        return suffixes.get(path.suffix)
    if any((path / name).is_file() for name in _YOLO_NAMES) or (
        (path / "classes.txt").is_file() and (path / "labels").is_dir()
    ):
        return "yolo"
    if _via_files(path):
        return "via"
    if _coco_file(path) is not None:
        return "coco"
    if (path / "Annotations").is_dir():
        return "voc"
    if (path / "images").is_dir() and (path / "masks").is_dir():
        return "masks"
    return "folder" if is_of_classes(path) else None


def open_dataset(path: Path, kind: str, split: str | None = None, **options: Any) -> PictureDataset:
    """The dataset of this format at `path`.

    Raises `UnreadableLabelsError` if it is broken, and `ValueError` for a split where the format
    has none.
    """
    if kind == "yolo":
        return Yolo(path, split=split, **options)
    if kind == "voc":
        return Voc(path, split=split, **options)
    if kind == "folder":
        return ClassFolders(path, split, **options)
    if split is not None:
        raise ValueError(f"{kind} has no splits, so there is no {split!r}")
    if kind == "coco":
        return _open_coco(path, **options)
    if kind == "via":
        return Via(_via_file(path), **options)
    if kind == "labelme":
        return Labelme(path, **options)
    return Masks(path / "images", path / "masks")


def writer_for(kind: str, dataset: PictureDataset) -> LabelWriter:
    """What writes the pictures of `dataset` in a format; in its own, whatever its files say."""
    header = getattr(dataset, "header", None)
    writers: dict[str, Callable[[], LabelWriter]] = {
        "coco": lambda: CocoWriter(dataset.classes, header if isinstance(dataset, Coco) else None),
        "yolo": lambda: _yolo_writer(dataset),
        "voc": lambda: _voc_writer(dataset),
        "labelme": lambda: LabelmeWriter(dataset.classes),
        "via": lambda: _via_writer(dataset),
        "masks": lambda: _masks_writer(dataset),
    }
    return writers[kind]()


def plain_name(name: str) -> str:
    """The name of a picture without the folders that only its format needs."""
    return "/".join(part for part in name.split("/") if part not in _PARTS_OF_NAMES)


def _coco_file(folder: Path) -> Path | None:
    places = (folder, folder / "annotations")
    for name in _COCO_NAMES:
        for place in places:
            if found := sorted(place.glob(name)):
                return found[0]
    return None


def _via_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob(_VIA_NAMES)) if path.is_file() and is_via(path)]


def _via_file(path: Path) -> Path:
    found = [path] if path.is_file() else _via_files(path)
    if len(found) != 1:
        raise broken(str(path), f"there must be a via_project.json, found {len(found)} of its kind")
    return found[0]


def _open_coco(path: Path, images: Path | None = None, **options: Any) -> Coco:
    file = path if path.is_file() else _coco_file(path)
    if file is None:
        raise broken(str(path), "there is no annotations.json")
    return Coco(file, images or _images_of(file), **options)


def _images_of(file: Path) -> Path:
    """Where the pictures of a COCO file are: beside it, or in one of the usual folders."""
    content = read_json(file)
    first: Any = next(iter(content.get("images") or ()), {})
    name = str(first.get("file_name", "")) if isinstance(first, dict) else ""
    split = file.stem.rpartition("_")[2]
    folders = (
        [file.parent, file.parent.parent] if file.parent.name == "annotations" else [file.parent]
    )
    for folder in folders:
        for inner in (folder / "images", folder / split, folder / "images" / split, folder):
            if name and os.path.isfile(inner / name):
                return inner
    return file.parent


def _yolo_writer(dataset: PictureDataset) -> YoloWriter:
    if isinstance(dataset, Yolo):
        return YoloWriter(dataset.classes, dataset.task, dataset.header)
    annotations = _annotations(dataset)
    keypoints = max((len(each.keypoints) for each in annotations if each.box), default=0)
    if keypoints:
        return YoloWriter(dataset.classes, "pose", keypoints=keypoints)
    return YoloWriter(dataset.classes, "segment" if _has_shapes(dataset) else "detect")


def _voc_writer(dataset: PictureDataset) -> VocWriter:
    if isinstance(dataset, Voc):
        masks, colours = dataset.masks, dataset.colours
        return VocWriter(dataset.classes, dataset.first_pixel, masks=masks, colours=colours)
    return VocWriter(dataset.classes, masks=MASK_FOLDERS if _has_shapes(dataset) else ())


def _annotations(dataset: PictureDataset) -> list[Annotation]:
    known = (sample.labels for sample in dataset if isinstance(sample.labels, PictureLabels))
    return [each for labels in known for each in labels.annotations]


def _has_shapes(dataset: PictureDataset) -> bool:
    """Whether there are polygons or masks."""
    if isinstance(dataset, Masks) or (isinstance(dataset, Voc) and dataset.masks):
        return True
    return any(each.polygons or each.mask for each in _annotations(dataset))


def _via_writer(dataset: PictureDataset) -> ViaWriter:
    if isinstance(dataset, Via):
        return ViaWriter(dataset.classes, dataset.header, dataset.attribute)
    return ViaWriter(dataset.classes)


def _masks_writer(dataset: PictureDataset) -> MasksWriter:
    if isinstance(dataset, Masks):
        first = dataset.first_value
        return MasksWriter(
            dataset.classes, dataset.palette, per_class=dataset.per_class, first_value=first
        )
    return MasksWriter(dataset.classes)
