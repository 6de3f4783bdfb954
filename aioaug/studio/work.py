"""What workers do for the studio: read, augment and encode pictures."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import numpy as np

from .. import _pictures
from .._base.seeding import batch_seeds, seed_generators
from .._imgaug import private_rng
from .._pictures import Array, Picture, contact_sheet
from .._worker.augmentation import Augmentation
from ..augmenters import specs
from ..augmenters.kinds import is_imgaug, takes_forms
from ..data.decoding import DataBatch, ReferenceBatch, decode
from ..data.fitting import Fit
from ..errors import UnreadablePictureError
from ..fast.profiling import AugmenterTimer
from .marks import marks_of, named_labels
from .trees import Node, build

_KEPT = 8  # pipelines that stay built, since the next request is most often for the same one
_SHOWN_SIDE = 1024  # larger pictures are made smaller for the page
_TILE_QUALITY = 88


class UploadedPicture(NamedTuple):
    """The bytes of a picture that was dropped onto the page, in the place of a file."""

    name: str
    data: bytes

    def read(self) -> bytes:
        """All bytes."""
        return self.data

    def head(self, count: int) -> bytes:
        """The first bytes."""
        return self.data[:count]


class PipelineSpec(NamedTuple):
    """A pipeline that the server was given: where it comes from, and a digest of that file.

    `called` tells whether the name stands for a function that returns the pipeline, and `forms`
    whether the pipeline takes batches, or is a function of images alone.
    """

    spec: str
    fingerprint: str = ""
    called: bool = True
    forms: bool = True

    def load(self) -> tuple[Any, PipelineSpec]:
        """The pipeline, and the same with `called` and `forms`.

        What it draws while it is built is the same in every process.
        """
        seeds = batch_seeds(0, 0)
        seed_generators(seeds)
        with private_rng(seeds.library):
            pipeline, called = specs.load_and_tell(self.spec, self.fingerprint)
        return pipeline, self._replace(called=called, forms=takes_forms(pipeline))


@dataclass(frozen=True)
class ShownPictures:
    """Pictures for the page: facts about all of them, and their files one after the other."""

    facts: dict[str, Any]
    files: list[bytes] = field(default_factory=list)


class StudioJob(Protocol):
    """Something to be done in a worker."""

    def run(self, task: StudioTask) -> Any:
        """Do it."""


class StudioTask:
    """Does jobs in a worker. What it needs for them is loaded when the first one needs it."""

    def __init__(self, pipelines: Mapping[str, PipelineSpec]) -> None:
        self._pipelines = dict(pipelines)
        self._loaded: dict[str, Any] = {}
        self._prepared: OrderedDict[str, PreparedPipeline] = OrderedDict()

    def __call__(self, job: StudioJob) -> Any:
        """Do a job."""
        return job.run(self)

    def prepared(self, tree: Node) -> PreparedPipeline:
        """The pipeline of a checked tree, built now or kept from before."""
        key = repr(tree)
        if key not in self._prepared:
            self._prepared[key] = PreparedPipeline(build(tree, self._given, named=True))
            if len(self._prepared) > _KEPT:
                self._prepared.popitem(last=False)
        self._prepared.move_to_end(key)
        return self._prepared[key]

    def _given(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = self._pipelines[name].load()[0]
        return self._loaded[name]


class PreparedPipeline:
    """An augmenter as the worker of a pool has it, whose augmenters are timed."""

    def __init__(self, augmenter: Any) -> None:
        self._takes_forms = takes_forms(augmenter)
        # Its copy has the faster forms, as that of a pool.
        self._augmentation = Augmentation(augmenter, 0, owns_interpreter=True).clone()
        self._timer = (
            AugmenterTimer(self._augmentation.augmenter, _name_of_node)
            if is_imgaug(augmenter)
            else None
        )

    def augment(self, batch: ReferenceBatch, seed: int, index: int) -> DataBatch:
        """What a pool with this seed makes of the batch with this index."""
        seeds = batch_seeds(seed, index)
        if self._takes_forms:
            done: DataBatch = self._augmentation.run(batch, seeds)
            return done
        decoded = decode(batch)
        return replace(decoded, images=self._augmentation.run(list(decoded.images), seeds))

    def times(self) -> dict[str, float]:
        """The seconds that each augmenter took since they were asked for last, by its node."""
        return {} if self._timer is None else self._timer.take()


@dataclass(frozen=True)
class ShowOriginals:
    """Pictures of a batch as they are; `side` is that of a single one, at most."""

    batch: ReferenceBatch
    classes: tuple[str, ...]
    side: int | None = None

    def run(self, task: StudioTask) -> ShownPictures:
        """Read and encode them."""
        started = perf_counter()
        batch = fitted(self.batch, self.side)
        decoded = decode(batch)
        seconds = {"read": perf_counter() - started}
        return _shown(decoded, self.classes, seconds, batch.fit.resize)


@dataclass(frozen=True)
class ShowAugmented:
    """Pictures of a batch as a pipeline makes them, under a seed, as the batch of an index."""

    tree: Node
    batch: ReferenceBatch
    classes: tuple[str, ...]
    seed: int
    index: int
    side: int | None = None

    def run(self, task: StudioTask) -> ShownPictures:
        """Read, augment and encode them."""
        prepared = task.prepared(self.tree)
        started = perf_counter()
        batch = fitted(self.batch, self.side)
        done = prepared.augment(batch, self.seed, self.index)
        seconds = prepared.times()
        seconds["read"] = max(0.0, perf_counter() - started - sum(seconds.values()))
        return _shown(done, self.classes, seconds, batch.fit.resize)


@dataclass(frozen=True)
class MakeThumbnail:
    """A small JPEG of a picture."""

    batch: ReferenceBatch
    side: int

    def run(self, task: StudioTask) -> bytes:
        """Read the picture, as no more than the side needs, and encode it."""
        decoded = decode(fitted(self.batch, self.side))
        picture = _picture(decoded.images[0])
        if picture.pixels.dtype == np.uint16:  # which JPEGs do not hold
            upper = (picture.pixels >> 8).astype(np.uint8)
            picture = replace(picture, pixels=np.repeat(upper, 3, axis=2))
        return _pictures.encode(picture, ".jpg", _TILE_QUALITY)


@dataclass(frozen=True)
class MakeSheet:
    """A contact sheet: the pictures of a batch, each beside what becomes of it at some indices."""

    tree: Node
    batch: ReferenceBatch
    classes: tuple[str, ...]
    seed: int
    indices: tuple[int, ...]
    side: int | None
    columns: int
    tile_side: int

    def run(self, task: StudioTask) -> bytes:
        """Draw the sheet, and encode it as PNG."""
        prepared = task.prepared(self.tree)
        batch = fitted(self.batch, self.side)
        originals = decode(batch)
        tiles = [self._tile(originals, place, "") for place in range(len(originals.images))]
        for index in self.indices:
            done = prepared.augment(batch, self.seed, index)
            tiles += [
                self._tile(done, place, f"index {index}") for place in range(len(done.images))
            ]
        rows = [tiles[begin : begin + self.columns] for begin in range(0, len(tiles), self.columns)]
        return contact_sheet.encode(contact_sheet.sheet(rows, self.tile_side))

    def _tile(self, batch: DataBatch, place: int, text: str) -> contact_sheet.Tile:
        labels = named_labels(batch.labels[place], self.classes)
        picture = _picture(batch.images[place])
        return contact_sheet.tile(text or batch.names[place], picture, labels, self.tile_side)


@dataclass(frozen=True)
class FindSize:
    """The (height, width) that a picture is resized to for a side, `None` if it stays."""

    batch: ReferenceBatch
    side: int | None

    def run(self, task: StudioTask) -> tuple[int, int] | None:
        """Look at the head of the file."""
        return fitted(self.batch, self.side).fit.resize


def fitted(batch: ReferenceBatch, side: int | None) -> ReferenceBatch:
    """A batch of one picture that has no side longer than `side`; it keeps its proportions."""
    if side is None:
        return batch
    size = _pictures.size_of(batch.references[0].read())
    if size is None or max(size) <= side:
        return batch
    scale = side / max(size)
    height, width = (max(1, round(length * scale)) for length in size)
    return replace(batch, fit=Fit((height, width)))


def _shown(
    batch: DataBatch, classes: tuple[str, ...], seconds: dict[str, float], resize: Any
) -> ShownPictures:
    started = perf_counter()
    facts: list[dict[str, Any]] = []
    files: list[bytes] = []
    for place, image in enumerate(batch.images):
        picture = _picture(image)
        marks, maps = marks_of(batch.labels[place], classes, image.shape)
        small = _small(picture)
        files += [_png(small), *maps]
        facts.append(
            {
                "name": batch.names[place],
                "number": int(batch.indices[place]),
                "width": picture.size[0],
                "height": picture.size[1],
                "smaller": small is not picture,
                "maps": len(maps),
                "marks": marks,
            }
        )
    seconds["encode"] = perf_counter() - started
    milliseconds = {name: round(1000 * value, 3) for name, value in seconds.items()}
    return ShownPictures({"pictures": facts, "milliseconds": milliseconds, "resize": resize}, files)


def _picture(image: Any) -> Picture:
    """An array as a picture to be looked at, checked: it comes from code that is not ours."""
    pixels: Array = np.atleast_3d(np.asarray(image))
    if pixels.ndim != 3 or 0 in pixels.shape:
        raise ValueError(f"the pipeline made a picture of shape {pixels.shape}")
    if pixels.dtype == np.uint8 and pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    if (pixels.dtype.name, pixels.shape[2]) == ("uint16", 1):
        return Picture(pixels, grey=True)
    if pixels.dtype != np.uint8 or pixels.shape[2] != 3:
        raise ValueError(
            f"the pipeline made a picture of {pixels.dtype} {pixels.shape}; the studio shows those "
            "of uint8 with 1 or 3 channels, so switch off the augmenter that changes them"
        )
    return Picture(pixels)


def _small(picture: Picture) -> Picture:
    if max(picture.size) <= _SHOWN_SIDE:
        return picture
    scale = _SHOWN_SIDE / max(picture.size)
    height, width = (max(1, round(side * scale)) for side in picture.pixels.shape[:2])
    fit = Fit((height, width))
    return replace(picture, pixels=fit.pixels(picture.pixels, picture.pixels.shape[:2]))


def _png(picture: Picture) -> bytes:
    """A PNG whose pixels are the picture's; Pillow's are smaller, and take much longer."""
    import cv2

    pixels = picture.pixels
    inverted = pixels if pixels.shape[2] == 1 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".png", inverted, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise ValueError(f"a picture of shape {pixels.shape} could not be encoded as PNG")
    return bytes(data)


def _name_of_node(augmenter: Any) -> str:
    name = str(augmenter.name)
    return name if name.startswith("#") else ""


def check_picture(data: bytes, most_pixels: int) -> tuple[int, int]:
    """The height and width of an uploaded picture; `UnreadablePictureError` if it is none."""
    size = _pictures.size_of(data)
    if size is None:
        raise UnreadablePictureError("it is not a picture of a format that is read here")
    if size[0] * size[1] > most_pixels:
        raise UnreadablePictureError(
            f"it has {size[0] * size[1] / 1e6:.0f} million pixels; {most_pixels / 1e6:.0f} million "
            "are the most, so make it smaller first"
        )
    return size
