"""COCO's JSON: boxes, polygons, masks, keypoints and crowds, as https://cocodataset.org has them.

An annotation's `bbox` is x, y, width, height, its `segmentation` a list of polygons or a mask as
run lengths, compressed or not, its `keypoints` x, y and visibility of each in turn.
"""

from __future__ import annotations

import os
import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, cast

from .._base.arguments import one_of
from .annotation import SOUND_RULES, Annotation, LabelRules
from .checks import (
    below,
    broken,
    file_at,
    label_folder,
    numbers,
    read_json,
    shown,
    size_of,
    split_place,
    to_json,
    unique,
)
from .labels import PictureLabels, next_id
from .references import File, UrlReference
from .run_lengths import RunLengths
from .samples import PictureDataset, Sample

_DIGITS = 3
_OF_ANNOTATION = {"id", "image_id", "category_id", "bbox", "area", "segmentation", "iscrowd"}
_OF_KEYPOINTS = {"keypoints", "num_keypoints"}
_LISTS = ("images", "annotations", "categories")


class Coco(PictureDataset):
    """The pictures of a COCO file, `annotations`, whose names are relative to the folder `images`.

    `images` is, unless given, where the first picture is: `images/`, or a folder called as the file
    ends, such as `train2017/`, beside the file or beside its folder `annotations/`; else the folder
    of the file. Both may be URLs that fsspec understands. With `missing="skip"`, pictures that are
    not there are left out; at a URL nobody looks for them before they are read. `header` is all
    that the file says of no picture.

    Raises `UnreadableLabelsError` for a file that is not as COCO's are, or cannot be read.
    """

    def __init__(
        self,
        annotations: str | os.PathLike[str],
        images: str | os.PathLike[str] | None = None,
        *,
        rules: LabelRules = SOUND_RULES,
        missing: str = "error",
    ) -> None:
        path = os.fspath(annotations)
        one_of("missing", missing, ("error", "skip"))
        reader = _Reader(path, read_json(file_at(path)), rules)
        folder = label_folder(_images_of(path, reader.first_name()) if images is None else images)
        samples = []
        for name, labels in reader.pictures():
            picture = below(folder, name, labels.where)
            if isinstance(picture, UrlReference) or folder.is_file(picture.name):
                samples.append(Sample(picture, labels))
            elif missing == "error":
                raise broken(labels.where, f"there is no picture {picture.place}")
        super().__init__(samples, [str(each["name"]) for each in reader.categories])
        self.header = reader.header


class CocoSplits(Coco):
    """The pictures of several splits, each in a folder with a file of its own, as of Roboflow's.

    `files` are the paths or URLs of these files, by the names of the folders below `root`. An id
    of a picture or annotation is kept in the first of them; in others it may be there again, so
    they get the next ones.

    Raises as `Coco` does, and for splits whose categories are not the same.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        files: Mapping[str, str],
        *,
        rules: LabelRules = SOUND_RULES,
    ) -> None:
        folder = label_folder(root)
        parts = {split: Coco(file, rules=rules) for split, file in files.items()}
        self.header, *others = (part.header for part in parts.values())
        if any(other["categories"] != self.header["categories"] for other in others):
            raise broken(folder.root, f"{', '.join(files)} have not the same categories")
        samples: list[Sample] = []
        picture_id = first_id = 0
        for split, part in parts.items():
            for sample in part:
                labels, image = sample.labels, cast("File", sample.image)
                if split != next(iter(parts)):
                    labels = labels.as_copy(picture_id, first_id)
                picture_id = max(picture_id, next_id([labels.id]))
                first_id = max(first_id, next_id(each.id for each in labels.annotations))
                inner = image.root.removeprefix(folder.root).lstrip("/")
                picture = below(folder, f"{inner}/{image.name}", labels.where)
                samples.append(Sample(picture, labels))
        PictureDataset.__init__(self, samples, next(iter(parts.values())).classes)


def _images_of(path: str, first: str | None) -> str:
    """The folder of the pictures whose first one has this name."""
    top, name = split_place(path)
    split = posixpath.splitext(name)[0].rpartition("_")[2]
    tops = [top, os.path.dirname(top)] if os.path.basename(top) == "annotations" else [top]
    for each in tops if first else ():
        folder = label_folder(each or os.curdir)
        for inner in ("images", split, f"images/{split}", ""):
            if folder.is_file(posixpath.join(inner, first or "")):
                return os.path.join(folder.root, inner) if inner else folder.root
    return top


class _Reader:
    """What is in one file."""

    def __init__(self, path: str, content: dict[str, Any], rules: LabelRules) -> None:
        self._path = path
        self._rules = rules
        for name in _LISTS:
            rows = content.get(name, [] if name == "annotations" else None)
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise broken(path, f"{name} must be a list of objects")
        self._images: list[dict[str, Any]] = content["images"]
        self._annotations: list[dict[str, Any]] = content.get("annotations", [])
        self.categories: list[dict[str, Any]] = content["categories"]
        self.header = {name: value for name, value in content.items() if name not in _LISTS[:2]}
        for name in _LISTS:
            wanted = ("id", "file_name" if name == "images" else "name")
            for place, row in enumerate(content.get(name, [])):
                for key in wanted[: 1 if name == "annotations" else 2]:
                    if not isinstance(row.get(key), (int, str)):
                        raise broken(f"{path}: {name}[{place}]", f"has no {key}")
            unique([row["id"] for row in content.get(name, [])], path, f"the id in {name}")
        self._places = {row["id"]: place for place, row in enumerate(self.categories)}
        self._mirrored = [_mirrored(row.get("keypoints")) for row in self.categories]

    def first_name(self) -> str | None:
        """The name of the first picture."""
        return next((str(row["file_name"]) for row in self._images), None)

    def pictures(self) -> Iterable[tuple[str, PictureLabels]]:
        of_picture: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
        known = {row["id"] for row in self._images}
        for row in self._annotations:
            image = row.get("image_id")
            if not isinstance(image, (int, str)):
                where = f"{self._path}: annotation {row['id']}"
                raise broken(where, f"image_id must be a number, got {shown(image)}")
            if image not in known and isinstance(image, str) and image.isdecimal():
                image = int(image)  # as VGG Image Annotator writes it
            of_picture[image].append(row)
        for image, rows in of_picture.items():
            if image in known:
                continue
            where = f"{self._path}: annotation {rows[0]['id']}"
            raise broken(where, f"there is no image with the id {shown(image)}")
        for row in self._images:
            others = dict(row)
            name = str(others.pop("file_name"))
            where = f"{self._path}: image {row['id']}"
            size = size_of(others.pop("width", 0), others.pop("height", 0), where)
            yield (
                name,
                PictureLabels(
                    annotations=tuple(map(self._annotation, of_picture[row["id"]])),
                    size=size,
                    id=others.pop("id"),
                    others=others,
                    rules=self._rules,
                    where=where,
                ),
            )

    def _annotation(self, row: dict[str, Any]) -> Annotation:
        where = f"{self._path}: annotation {row['id']}"
        category = row.get("category_id")
        place = self._places.get(category) if isinstance(category, (int, str)) else None
        if place is None:
            raise broken(where, f"there is no category with the id {shown(category)}")
        area = row.get("area")
        with_keypoints = row.get("keypoints") is not None
        polygons, mask = _segmentation(row.get("segmentation"), where)
        known = _OF_ANNOTATION | (_OF_KEYPOINTS if with_keypoints else set())
        others = {name: value for name, value in row.items() if name not in known}
        if row.get("segmentation") == []:
            others["segmentation"] = []
        return Annotation(
            category=place,
            box=_box(row.get("bbox"), where),
            polygons=polygons,
            mask=mask,
            keypoints=_keypoints(row["keypoints"], where) if with_keypoints else (),
            crowd=bool(row.get("iscrowd", 0)),
            area=None if area is None else numbers([area], where, "area")[0],
            id=row["id"],
            mirrored=self._mirrored[place] if with_keypoints else (),
            others=others,
        )


def _box(bbox: Any, where: str) -> tuple[float, float, float, float] | None:
    if bbox is None or bbox == []:
        return None
    x, y, width, height = numbers(bbox, where, "bbox", 4)
    if width < 0 or height < 0:
        raise broken(where, f"bbox has a negative width or height: {list(bbox)}")
    return x, y, x + width, y + height


def _segmentation(
    value: Any, where: str
) -> tuple[tuple[tuple[float, ...], ...], RunLengths | None]:
    if value is None:
        return (), None
    if isinstance(value, list):
        if value and not isinstance(value[0], list):
            value = [value]  # VGG Image Annotator's single polygon
        polygons = tuple(numbers(part, where, "segmentation") for part in value)
        for part in polygons:
            if len(part) % 2 or len(part) < 6:
                raise broken(where, f"a polygon must have three points or more, got {list(part)}")
        return polygons, None
    if not isinstance(value, dict):
        raise broken(where, "segmentation must be polygons or run lengths")
    height, width = numbers(value.get("size"), where, "the size of segmentation", 2)
    try:
        return (), run_lengths(value.get("counts"), (int(height), int(width)))
    except (ValueError, OverflowError) as error:
        raise broken(where, f"segmentation cannot be read: {error}") from error


def run_lengths(counts: Any, size: tuple[int, int]) -> RunLengths:
    """A mask from COCO's counts of either kind; `ValueError` if they do not fill it."""
    if not isinstance(counts, str):
        return RunLengths.from_lengths(counts, size)
    mask = RunLengths(size, counts.encode())
    mask.lengths()
    return mask


def _keypoints(value: Any, where: str) -> tuple[tuple[float, float, int], ...]:
    flat = numbers(value, where, "keypoints")
    if len(flat) % 3:
        raise broken(where, f"keypoints must be x, y and visibility, got {len(flat)} numbers")
    if any(seen not in (0, 1, 2) for seen in flat[2::3]):
        raise broken(where, "the visibility of keypoints must be 0, 1 or 2")
    seen = map(int, flat[2::3])
    return tuple(zip(flat[::3], flat[1::3], seen, strict=True))


def _mirrored(names: Any) -> tuple[int, ...]:
    """Where each keypoint is in a mirrored picture, by names such as "left_eye"."""
    if not isinstance(names, list):
        return ()
    lower = [str(name).lower() for name in names]
    places = {name: place for place, name in enumerate(lower)}
    sides = (("left", "right"), ("right", "left"), ("l_", "r_"), ("r_", "l_"))

    def other(place: int, name: str) -> int:
        return next(
            (
                places[opposite]
                for one, two in sides
                if one in name and (opposite := name.replace(one, two)) in places
            ),
            place,
        )

    order = tuple(other(place, name) for place, name in enumerate(lower))
    return order if any(order[place] != place for place in range(len(order))) else ()


class CocoWriter:
    """Writes pictures and their labels as COCO: `images/` and `annotations.json`.

    `header` is that of the `Coco` that was read, whose categories keep their ids then.
    """

    def __init__(self, classes: Sequence[str], header: Mapping[str, Any] | None = None) -> None:
        self._header = dict(header or {})
        self._categories = self._header.pop("categories", None) or [
            {"id": place, "name": name} for place, name in enumerate(classes, 1)
        ]

    def place(self, name: str) -> str:
        """Where the picture of this name belongs."""
        return f"images/{name}"

    def label_files(self, name: str, labels: PictureLabels) -> dict[str, bytes]:
        """Nothing: all labels are in one file."""
        return {}

    def record(self, name: str, labels: PictureLabels) -> dict[str, Any]:
        """The rows of one picture, whose name is below `images/`, for `dataset_files`.

        What has no class, which COCO asks for, is left out.
        """
        if labels.relative or labels.size is None:
            raise ValueError(f"{labels.where or name}: the size of the picture is not known")
        width, height = labels.size
        row = {"id": labels.id, "file_name": name, "width": width, "height": height}
        image = {**_of_coco(labels.others), **row}
        known = (each for each in labels.annotations if each.category is not None)
        return {"image": image, "annotations": list(map(self._row, known))}

    def dataset_files(self, records: Iterable[dict[str, Any]]) -> dict[str, bytes]:
        """`annotations.json` with the records of all pictures; what has no id gets one."""
        rows = _numbered(records)
        images = [row["image"] for row in rows]
        annotations = [
            {**each, "image_id": row["image"]["id"]} for row in rows for each in row["annotations"]
        ]
        content = {
            **self._header,
            "images": images,
            "annotations": annotations,
            "categories": self._categories,
        }
        return {"annotations.json": to_json(content)}

    def _row(self, each: Annotation) -> dict[str, Any]:
        row: dict[str, Any] = {**_of_coco(each.others), "id": each.id}
        row["category_id"] = self._categories[each.category or 0]["id"]
        box = each.bounds()
        if box is not None:
            x1, y1, x2, y2 = box
            row["bbox"] = [x1, y1, _rounded(x2 - x1), _rounded(y2 - y1)]
        if each.mask is not None:
            row["segmentation"] = each.mask.as_json()
        elif each.polygons:
            row["segmentation"] = [list(part) for part in each.polygons]
        if each.keypoints:
            row["keypoints"] = [number for point in each.keypoints for number in point]
            row["num_keypoints"] = sum(seen > 0 for _, _, seen in each.keypoints)
        row["area"] = _rounded(each.own_area()) if each.area is None else each.area
        row["iscrowd"] = int(each.crowd)
        return row


def _numbered(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same records with an id for each picture and annotation that has none."""
    rows = list(records)
    image_ids = count(next_id(row["image"]["id"] for row in rows))
    ids = count(next_id(each["id"] for row in rows for each in row["annotations"]))

    def with_id(row: dict[str, Any], following: Iterator[int]) -> dict[str, Any]:
        return {**row, "id": next(following)} if row["id"] is None else row

    return [
        {
            "image": with_id(row["image"], image_ids),
            "annotations": [with_id(each, ids) for each in row["annotations"]],
        }
        for row in rows
    ]


def _of_coco(others: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of another format has beside is no JSON, perhaps."""
    return {name: value for name, value in others.items() if not name.startswith("<")}


def _rounded(value: float) -> float:
    return round(value, _DIGITS * 2)
