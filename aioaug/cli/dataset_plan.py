"""Which pictures `aioaug augment` makes of a labelled dataset, and in which format."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast

from ..data.beside import files_beside
from ..data.class_folders import is_of_classes
from ..data.labels import NamedLabels, PictureLabels, next_id
from ..data.opening import LabelWriter, format_of, open_dataset, plain_name, writer_for
from ..data.references import File, UrlReference, is_url
from ..data.samples import PictureDataset, Sample
from .exits import CommandError
from .manifest import relative
from .picture_files import PictureFile, Source, find, real
from .plan import ORIGINAL, OutputJob, name_of_copy, refuse_collisions

_NOTHING = PictureLabels(size=(1, 1))


@dataclass(frozen=True)
class DatasetRequest:
    """What is wanted of a dataset. The manifest holds it, and `remake` reads it there."""

    source: str
    kind: str
    to: str
    split: str | None = None
    images: str | None = None
    suffix: str = ""
    count: int | None = None
    per_class: bool = False
    originals: bool = False

    def as_json(self, folder: Path) -> dict[str, Any]:
        """The same with paths as seen from the manifest's folder."""
        seen = {
            name: path if path is None or is_url(path) else relative(Path(path), folder)
            for name, path in (("source", self.source), ("images", self.images))
        }
        return {**asdict(self), **seen}


@dataclass(frozen=True)
class DatasetJob(OutputJob):
    """One picture of the new dataset, and its labels as they are in the old one."""

    name: str
    labels: Any
    label_files: tuple[Path, ...]

    def files(self) -> list[Path]:
        """What the job may write."""
        return [self.output, *self.label_files]


@dataclass(frozen=True)
class DatasetPlan:
    """The jobs of a dataset, and what writes it; nothing does where folders are all labels."""

    jobs: list[OutputJob]
    writer: LabelWriter | None


def chosen_kind(sources: Sequence[Source], kind: str) -> str | None:
    """The format of the dataset in the arguments; `None` for plain pictures."""
    if len(sources) != 1:
        if kind in ("auto", "folder"):
            return None
        raise CommandError(f"--format {kind} takes one dataset, got {len(sources)} arguments")
    if not is_url(sources[0]) and not os.path.exists(sources[0]):
        raise CommandError(f"there is no file or folder {sources[0]}")
    with _errors_of_datasets():
        return format_of(sources[0]) if kind == "auto" else kind


@contextmanager
def _errors_of_datasets() -> Iterator[None]:
    """Raise as a `CommandError` why a dataset cannot be used."""
    try:
        yield
    except ValueError as error:  # UnreadableLabelsError, too
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{error.filename} cannot be read: {error.strerror}") from error


def opened(source: Source, kind: str, images: Source | None, split: str | None) -> PictureDataset:
    """The dataset at `source`; `CommandError` if it cannot be used."""
    if images is not None and kind not in ("coco", "via"):
        raise CommandError("--images is for --format coco and via only")
    options = {} if images is None else {"images": images}
    with _errors_of_datasets():
        dataset = open_dataset(source, kind, split, **options)
    if not len(dataset):
        raise CommandError(f"there are no pictures in {source}")
    return dataset


def labelled_sources(
    sources: Sequence[Source],
    kind: str,
    images: Source | None,
    split: str | None,
    but: frozenset[Path] = frozenset(),
) -> list[tuple[PictureFile, NamedLabels | None]]:
    """The pictures in the arguments, and their labels if the arguments are a dataset."""
    found = chosen_kind(sources, kind)
    if found == "folder" and kind == "folder" and not split and not is_of_classes(sources[0]):
        found = None
    if found is None:
        if split or images:
            raise CommandError("--split and --images are for datasets")
        return [(each, None) for each in find(sources, but)]
    dataset = opened(sources[0], found, images, split)
    return [
        (
            PictureFile(PurePosixPath(sample.image.name), path, _beside(sample, found)),
            NamedLabels(sample.labels, dataset.classes),
        )
        for sample in dataset
        if not isinstance(path := _source(sample), Path) or real(path) not in but
    ]


def make_plan(request: DatasetRequest, destination: Path, copies: int) -> DatasetPlan:
    """What to make of a dataset in the folder `destination`."""
    dataset = opened(request.source, request.kind, request.images, request.split)
    _refuse_inside(request, dataset, destination)
    writer = None if request.to == "folder" else writer_for(request.to, dataset)
    jobs = list(_jobs(request, dataset, writer, destination, copies))
    refuse_collisions(jobs)
    _refuse_links(jobs, destination)
    return DatasetPlan(jobs, writer)


def _jobs(
    request: DatasetRequest,
    dataset: PictureDataset,
    writer: LabelWriter | None,
    destination: Path,
    copies: int,
) -> Iterator[OutputJob]:
    shares = _shares(request, dataset, copies)
    digits = len(str(max(1, *shares) - 1))
    labels = [sample.labels for sample in dataset]
    known = [each for each in labels if isinstance(each, PictureLabels)]
    picture_id = next_id(each.id for each in known)
    first_id = next_id(each.id for one in known for each in one.annotations)
    wanted = [(place, copy) for place, share in enumerate(shares) for copy in range(share)]
    wanted += [(place, ORIGINAL) for place in range(len(dataset)) if request.originals]
    for index, (place, copy) in enumerate(wanted):
        sample = dataset[place]
        own = labels[place]
        # The folders of classes may be called as those that other formats have for pictures.
        of_folder = request.kind == "folder"
        name = PurePosixPath(sample.image.name if of_folder else plain_name(sample.image.name))
        if copy != ORIGINAL:
            name = name_of_copy(name, copy, digits, request.suffix)
            if isinstance(own, PictureLabels):
                # Numbers that follow from the plan alone, whatever becomes of other pictures.
                own = own.as_copy(picture_id + index, first_id)
                first_id += len(own.annotations)
        source = _source(sample)
        if writer is None:
            yield OutputJob(index, copy, source, _beside(sample, "folder"), destination / name)
        else:
            output = destination / writer.place(str(name))
            files = writer.label_files(str(name), _NOTHING)
            paths = tuple(destination / file for file in files)
            yield DatasetJob(index, copy, source, (), output, str(name), own, paths)


def _shares(request: DatasetRequest, dataset: PictureDataset, copies: int) -> list[int]:
    """How many copies to make of each picture."""
    if request.count is None:
        return [copies] * len(dataset)
    if request.per_class:
        return _shares_for_classes(request, dataset)
    each, more = divmod(request.count, len(dataset))
    return [each + (place < more) for place in range(len(dataset))]


def _shares_for_classes(request: DatasetRequest, dataset: PictureDataset) -> list[int]:
    """Enough copies for every class to have as many things as are wanted, the rarest first."""
    if request.kind == "masks":
        raise CommandError("--per-class: masks are not read in advance, so nobody can count")
    things = [Counter(sample.labels.categories.tolist()) for sample in dataset]
    there = sum(things, Counter[int]())
    have = Counter(there) if request.originals else Counter[int]()
    shares = [0] * len(dataset)
    for category in sorted(there, key=lambda each: (there[each], each)):
        places = [place for place, each in enumerate(things) if each[category]]
        turn = 0
        while category >= 0 and have[category] < (request.count or 0):
            place = places[turn % len(places)]
            shares[place] += 1
            have.update(things[place])
            turn += 1
    return shares


def _source(sample: Sample) -> Source:
    """The path or URL of a picture."""
    image = cast("File", sample.image)
    return image.place if isinstance(image, UrlReference) else Path(image.place)


def _beside(sample: Sample, kind: str) -> tuple[Path, ...]:
    """The files beside a picture that may have labels, where these are not in the dataset."""
    source = _source(sample)
    return files_beside(source) if kind == "folder" and isinstance(source, Path) else ()


def _refuse_inside(request: DatasetRequest, dataset: PictureDataset, destination: Path) -> None:
    """Refuse a destination whose files would be taken for the dataset's, or replace them."""
    target = real(destination)
    pictures = (_source(sample) for sample in dataset)
    roots = {real(path.parent) for path in pictures if isinstance(path, Path)}
    if not is_url(request.source):
        source = Path(request.source)
        roots.add(real(source if source.is_dir() else source.parent))
    for root in roots:
        if target.is_relative_to(root) or root.is_relative_to(target):
            raise CommandError(f"{destination} and the dataset {root} must be apart")


def _refuse_links(jobs: Sequence[OutputJob], destination: Path) -> None:
    """Refuse folders in the destination that lead out of it."""
    target = real(destination)
    for folder in sorted({path.parent for job in jobs for path in job.files()}):
        if not real(folder).is_relative_to(target):
            raise CommandError(f"{folder} leads out of {destination}")
