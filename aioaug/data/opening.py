"""Datasets of any format by its name, and what writes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol

from .annotation import Annotation
from .checks import below, broken, file_at, label_folder, split_place
from .class_folders import SPLITS, ClassFolders, is_of_classes, splits_of
from .coco import Coco, CocoSplits, CocoWriter
from .labelme import Labelme, LabelmeWriter
from .labels import PictureLabels
from .listing import Folder, open_folder
from .masks import Masks, MasksWriter
from .samples import PictureDataset
from .via import Via, ViaWriter, is_via
from .voc import MASK_FOLDERS, Voc, VocWriter
from .yolo import Yolo, YoloWriter

Place = str | os.PathLike[str]  # a path or URL

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


def format_of(path: Place) -> str | None:
    """The format of a dataset, by the names of its files; `None` for plain pictures.

    Raises `OSError` for a folder that cannot be listed.
    """
    place, name = split_place(path)
    if name:
        suffix = os.path.splitext(name)[1]
        if suffix == ".json" and is_via(file_at(path)):
            return "via"
        suffixes = {".json": "coco", ".yaml": "yolo", ".yml": "yolo", ".data": "yolo"}
        return suffixes.get(suffix)
    folder = label_folder(place)
    entries = folder.entries()
    folders = {each for each in entries if entries[each]}
    files = entries.keys() - folders
    if not files.isdisjoint(_YOLO_NAMES) or ("classes.txt" in files and "labels" in folders):
        return "yolo"
    if _via_files(folder):
        return "via"
    if _coco_file(folder) is not None or _coco_splits(folder):
        return "coco"
    if "Annotations" in folders:
        return "voc"
    if {"images", "masks"} <= folders:
        return "masks"
    return "folder" if is_of_classes(place) else None


def open_dataset(
    path: Place, kind: str, split: str | None = None, **options: Any
) -> PictureDataset:
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
    if kind == "coco":
        return _open_coco(path, split, **options)
    if split is not None:
        raise ValueError(f"{kind} has no splits, so there is no {split!r}")
    if kind == "via":
        return Via(_via_file(path), **options)
    if kind == "labelme":
        return Labelme(path, **options)
    top = os.fspath(path)
    return Masks(os.path.join(top, "images"), os.path.join(top, "masks"))


def expression_of(
    path: Path, kind: str, dataset: PictureDataset, split: str | None = None
) -> tuple[str, str]:
    """The class of `aioaug.data` and the Python expression that open what `open_dataset` opened."""
    name = type(dataset).__name__
    if kind == "masks":
        return name, f"{name}({str(path / 'images')!r}, {str(path / 'masks')!r})"
    if kind == "folder":
        splits: Any = split if split is not None else splits_of(open_folder(path)) or None
        return "ImageFolder", f"ImageFolder({os.path.abspath(path)!r}, split={splits!r})"
    if isinstance(dataset, CocoSplits):
        files = _coco_splits(open_folder(path)).values()
        return "Coco", " + ".join(f"Coco({os.path.abspath(file)!r})" for file in files)
    if kind in ("coco", "via"):
        file = _via_file(path) if kind == "via" else _coco_file_of(path, split)
        root = getattr(dataset[0].image, "root", "")
        return name, f"{name}({os.path.abspath(file)!r}, {root!r})"
    which = "" if split is None else f", split={split!r}"
    return name, f"{name}({os.path.abspath(path)!r}{which})"


def _coco_file_of(path: Path, split: str | None) -> str:
    """The file that `open_dataset` opened there, which is one."""
    if path.is_file():
        return os.fspath(path)
    folder = open_folder(path)
    return _coco_file(folder) or _coco_splits(folder)[split or ""]


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


def _coco_file(folder: Folder, inner: str = "") -> str | None:
    """The path or URL of the COCO file in a folder, or in `annotations/` there."""
    places = [inner]
    if not inner and folder.is_folder("annotations"):
        places.append("annotations")
    found = [(place, sorted(folder.entries(place))) for place in places]
    for pattern in _COCO_NAMES:
        for place, names in found:
            for name in names:
                if fnmatchcase(name, pattern):
                    where = f"{place}/{name}" if place else name
                    return below(folder, where, folder.root).place
    return None


def _coco_splits(folder: Folder) -> dict[str, str]:
    """The COCO files in the folders of splits, by the names of these, as Roboflow writes them."""
    names = [name for name in folder.folders() if name.lower() in SPLITS]
    found = {name: _coco_file(folder, name) for name in names}
    return {name: file for name, file in found.items() if file is not None}


def _via_files(folder: Folder) -> list[str]:
    entries = folder.entries()
    names = sorted(each for each in entries if not entries[each] and fnmatchcase(each, _VIA_NAMES))
    files = (below(folder, name, folder.root) for name in names)
    return [file.place for file in files if is_via(file)]


def _via_file(path: Place) -> str:
    place, name = split_place(path)
    found = [os.fspath(path)] if name else _via_files(label_folder(place))
    if len(found) != 1:
        raise broken(place, f"there must be a via_project.json, found {len(found)} of its kind")
    return found[0]


def _open_coco(path: Place, split: str | None, images: Place | None = None, **options: Any) -> Coco:
    place, name = split_place(path)
    folder = label_folder(place)
    file = os.fspath(path) if name else _coco_file(folder)
    splits = {} if file is not None else _coco_splits(folder)
    if split is not None:
        if split not in splits:
            have = f"only {', '.join(splits)}" if splits else "and no folders of splits"
            raise broken(place, f"there is no split {split!r}, {have}")
        file = splits[split]
    if file is not None:
        return Coco(file, images, **options)
    if not splits:
        raise broken(place, "there is no annotations.json")
    if images is not None:
        raise broken(place, "there are several splits, each with pictures of its own, so no images")
    return CocoSplits(place, splits, **options)


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
