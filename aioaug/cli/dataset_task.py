"""What workers do with the pictures of a dataset, and the files of the dataset as a whole."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from .. import _pictures
from .._base import atomic
from ..data.checks import to_json
from ..data.labels import PictureLabels
from ..data.opening import LabelWriter
from .dataset_plan import DatasetJob
from .exits import CommandError, Exit
from .picture_augmenter import PictureAugmenter
from .picture_files import load, read_picture
from .plan import ORIGINAL
from .runner import WrittenFile, writing


class DatasetTask:
    """Reads a picture, augments it with its labels, and writes both.

    An original is written as it is. With `beside`, label files are written beside the picture.
    """

    def __init__(
        self,
        augmenter: PictureAugmenter,
        quality: int,
        writer: LabelWriter,
        *,
        beside: bool = False,
    ) -> None:
        self._augmenter = augmenter
        self._quality = quality
        self._writer = writer
        self._beside = beside

    def __call__(self, job: DatasetJob) -> WrittenFile:
        picture = read_picture(job.source)
        labels: Any = job.labels
        if job.copy == ORIGINAL:
            labels = labels.in_pixels(picture.pixels.shape)
            data = load(job.source)
        else:
            picture, labels = self._augmenter(job.index, picture, labels)
            data = _pictures.encode(picture, job.output.suffix, self._quality)
        record = self._writer.record(job.name, labels)
        files = self._label_files(job, labels, record)
        with writing(job.output):
            for path, content in files.items():
                atomic.write(path, content)
            atomic.write(job.output, data)
        notes = next(iter(files), None)
        return WrittenFile(picture.size, hashlib.sha256(data).hexdigest(), notes, record)

    def _label_files(
        self, job: DatasetJob, labels: PictureLabels, record: Any
    ) -> dict[Path, bytes]:
        files = self._writer.label_files(job.name, labels)
        if not self._beside:
            # The planned paths have the destination before the same names.
            top = job.output.parents[len(Path(self._writer.place(job.name)).parts) - 1]
            return {top / name: content for name, content in files.items()}
        files = files or {"record.json": to_json(record)}
        places = beside(job.output, [PurePosixPath(name) for name in files])
        return dict(zip(places, files.values(), strict=True))


def beside(picture: Path, files: Sequence[PurePath]) -> list[Path]:
    """Where the label files of a picture, by their names in a dataset, are beside it.

    A mask, which is a picture too, gets another name; of several, each has that of its folder.
    """
    kinds = Counter(file.suffix for file in files)

    def place(file: PurePath) -> Path:
        if kinds[file.suffix] > 1:
            return picture.with_name("-".join([picture.stem, *file.parts[:-1]]) + file.suffix)
        if file.suffix == picture.suffix:
            return picture.with_name(f"{picture.stem}-labels{file.suffix}")
        return picture.with_suffix(file.suffix)

    return list(map(place, files))


def write_dataset_files(writer: LabelWriter, records: Iterable[Any], folder: Path) -> None:
    """Write the files of a dataset whose pictures are all written."""
    try:
        for name, content in writer.dataset_files(records).items():
            atomic.write(folder / name, content)
    except OSError as error:
        raise CommandError(f"{folder} cannot be written: {error.strerror}", Exit.OUTPUT) from error
