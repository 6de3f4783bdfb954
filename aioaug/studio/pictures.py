"""The pictures that the studio shows: a dataset, and what was dropped onto the page."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from ..data.decoding import ReferenceBatch
from ..data.fitting import Fit
from ..data.folders import Files
from ..data.listing import is_picture
from ..data.opening import expression_of, format_of, open_dataset
from ..data.samples import PictureDataset
from ..data.sidecars import Sidecars
from ..errors import UnreadableLabelsError
from .work import UploadedPicture

_MOST_UPLOADS = 16


class OpenedDataset(NamedTuple):
    """A dataset, the names that Python needs from `aioaug.data`, and the lines that open it."""

    dataset: PictureDataset
    names: tuple[str, ...]
    lines: tuple[str, ...]
    title: str


def open_pictures(
    path: Path, kind: str = "auto", split: str | None = None, images: Path | None = None
) -> OpenedDataset:
    """The pictures at a path: a dataset of any format, a folder, or one file. It reads files.

    Raises:
        UnreadableLabelsError: labels are broken.
        ValueError: there are no pictures, or the format has no splits.
        OSError: something cannot be read.
    """
    title = path.resolve().name or str(path)
    if not os.path.exists(path):
        raise ValueError(f"there is no file or folder {path}; name one that has pictures")
    if path.is_file() and is_picture(path):
        folder, name = os.path.split(os.path.abspath(path))
        line = f"dataset = Files([{name!r}], root={folder!r})"
        return OpenedDataset(Files([name], root=folder), ("Files",), (line,), title)
    found = format_of(path) if kind == "auto" else kind
    if found is None or (kind == "auto" and found == "folder" and not _opens_as_folder(path)):
        return _plain(path, title)
    options = {} if images is None else {"images": images}
    dataset = open_dataset(path, found, split, **options)
    if not len(dataset):
        raise ValueError(f"there are no pictures in {path}; name a dataset that has some")
    name, expression = expression_of(path, found, dataset, split)
    return OpenedDataset(dataset, (name,), (f"dataset = {expression}",), title)


class UploadedPictures:
    """Pictures that were dropped onto the page; the oldest go when there are too many."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._pictures: OrderedDict[str, UploadedPicture] = OrderedDict()

    def add(self, name: str, data: bytes) -> str:
        """Keep a picture; returns what it is called by from now on."""
        key = hashlib.sha256(data).hexdigest()[:16]
        self._pictures[key] = UploadedPicture(Path(name).name[:200] or "picture", data)
        self._pictures.move_to_end(key)
        while len(self._pictures) > _MOST_UPLOADS or (
            len(self._pictures) > 1 and self._bytes() > self._most_bytes
        ):
            self._pictures.popitem(last=False)
        return key

    def get(self, key: str) -> UploadedPicture:
        """A picture; `KeyError` if it is no longer there."""
        picture = self._pictures[key]
        self._pictures.move_to_end(key)
        return picture

    def _bytes(self) -> int:
        return sum(len(picture.data) for picture in self._pictures.values())


def batch_of_one(dataset: PictureDataset, number: int) -> ReferenceBatch:
    """The picture with this number alone, as `dataset.subset([number]).batches(1)[0]` has it."""
    return dataset.subset([number]).batches(1)[0]


def batch_of_upload(picture: UploadedPicture) -> ReferenceBatch:
    """An uploaded picture as a batch of one, without labels."""
    return ReferenceBatch((picture,), (None,), (0,), Fit())


def batch_of_run(
    dataset: PictureDataset, number: int, size: int, *, shuffle: bool, seed: int
) -> ReferenceBatch:
    """Batch `number` of a run without end over the dataset."""
    return dataset.batches(size, shuffle=shuffle, seed=seed, epochs=None)[number]


def _opens_as_folder(path: Path) -> bool:
    try:
        open_dataset(path, "folder")
    except ValueError:
        return False
    return True


def _plain(path: Path, title: str) -> OpenedDataset:
    """A folder of pictures, those with aioaug's own labels beside them first."""
    place = os.path.abspath(path)
    files = Files(place)
    try:
        labelled = Sidecars(place)
    except UnreadableLabelsError as error:
        if "there are no pictures with labels" not in str(error):
            raise
        return OpenedDataset(files, ("Files",), (f"dataset = Files({place!r})",), title)
    known = {sample.image.name for sample in labelled}
    rest = [number for number, sample in enumerate(files) if sample.image.name not in known]
    first = f"Sidecars({place!r})"
    if not rest:
        return OpenedDataset(labelled, ("Sidecars",), (f"dataset = {first}",), title)
    lines = (
        f"labelled = {first}",
        f"files = Files({place!r})",
        "known = {sample.image.name for sample in labelled}",
        "rest = [number for number, sample in enumerate(files) if sample.image.name not in known]",
        "dataset = labelled + files.subset(rest)",
    )
    return OpenedDataset(labelled + files.subset(rest), ("Files", "Sidecars"), lines, title)
