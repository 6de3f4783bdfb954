"""The augmenters of an app in its workers, and the tasks that are sent to them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any, Protocol

from .. import _pictures
from .._base.joining import Joining, JointAugmenter, Stages, finished
from .._base.results import value_or_failure
from .._base.seeding import Seeds, batch_seeds
from .._worker.augmentation import Augmentation
from ..augmenters.kinds import check_augmenter, takes_forms
from ..data.decoding import DataBatch, ReferenceBatch
from ..data.decoding import decode as decode_references
from ..data.references import Reference
from ..errors import UnreadablePictureError
from ..fast.trees import is_of_imgaug
from .frames import ARRAYS, StreamFrame, npy
from .multipart import AnswerPart, as_json_part, as_multipart
from .pictures import Encoding, PictureAnswer, PostedPictures, Stopwatch, eight_bits, etag_of
from .problems import RequestRefused

_PAUSED = object()


class WorkerTask(Protocol):
    """What an app has a worker do with one of its pipelines."""

    pipeline: str

    def run(self, augmentation: Augmentation) -> Any:
        """The bytes that are to be sent, and what is to be said of them."""


class PipelineSet(JointAugmenter):
    """The augmenters that an app offers, by name: a callable for a pool of worker processes."""

    def __init__(self, pipelines: Mapping[str, Any], profile: bool) -> None:
        for augmenter in pipelines.values():
            check_augmenter(augmenter)
        self._augmentations = {
            name: Augmentation(
                augmenter, 0, owns_interpreter=True, profile=profile and is_of_imgaug(augmenter)
            )
            for name, augmenter in pipelines.items()
        }

    def __call__(self, task: WorkerTask) -> Any:
        """Run a task; what it needs of random numbers it brings."""
        return task.run(self._augmentations[task.pipeline])

    def together(self, batches: Sequence[Any]) -> list[Any]:
        """Run the tasks of requests that share a call side by side, a stage of each in turn.

        A stage takes less time when the one before was the same: what it needs is in the caches
        of the processor then.
        """
        runs = [task.stages(self._augmentations[task.pipeline]) for task in batches]
        results: list[Any] = [_PAUSED] * len(runs)
        while _PAUSED in results:
            for place, run in enumerate(runs):
                if results[place] is _PAUSED:
                    results[place] = value_or_failure(_next_stage, run)
        return results


@dataclass(frozen=True)
class PostTask(Joining):
    """Pictures that a client sent."""

    pipeline: str
    seeds: Seeds
    pictures: PostedPictures

    @property
    def kind(self) -> str:
        """Requests of the same pipeline may share a call of a worker."""
        return self.pipeline

    @property
    def message_bytes(self) -> int | None:
        """How many it has in a message to a worker; `None` for what goes through shared memory."""
        body = self.pictures.body
        return len(body) if isinstance(body, bytes) else None

    def run(self, augmentation: Augmentation) -> PictureAnswer:
        """The answer, with the seconds of each augmenter where they are measured."""
        return finished(self.stages(augmentation))

    def stages(self, augmentation: Augmentation) -> Stages[PictureAnswer]:
        """The same with pauses, in which other requests may use the augmentation."""
        taken: dict[str, float] = {}

        def augmented(batch: Any) -> Any:
            done = _augment_batch(augmentation, self.seeds, batch)
            taken.update(_taken(augmentation))
            return done

        answer = yield from self.pictures.stages(augmented)
        return replace(answer, seconds=answer.seconds | taken) if taken else answer


@dataclass(frozen=True)
class StreamTask:
    """One picture of the server for a stream; `encoding` is `None` for an array."""

    pipeline: str
    seed: int
    index: int
    reference: Reference
    labels: Any
    encoding: Encoding | None

    def run(self, augmentation: Augmentation) -> StreamFrame:
        """The picture and its labels, augmented."""
        from imgaug.augmentables.batches import UnnormalizedBatch

        pixels = eight_bits(_pictures.decode_upright(self.reference.read())[0])
        movable = hasattr(self.labels, "columns")
        columns = self.labels.columns(pixels.shape) if movable else {}
        batch = UnnormalizedBatch(images=[pixels], **{name: [it] for name, it in columns.items()})
        done = _augment_batch(augmentation, batch_seeds(self.seed, self.index), batch)
        image, labels = done.images_aug[0], self.labels
        if movable:
            moved = {name: getattr(done, f"{name}_aug")[0] for name in columns}
            labels = labels.moved(moved, image.shape)
        about = {"seed": self.seed, "index": self.index, "name": shown_name(self.reference.name)}
        if labels is not None:
            about["labels"] = plain(labels)
        at = f"{self.seed}-{self.index}"
        if self.encoding is None:
            return StreamFrame(npy(image), ARRAYS, at, about)
        return StreamFrame(self.encoding.encode(image), self.encoding.media_type, at, about)


@dataclass(frozen=True)
class FeedTask:
    """A batch of a dataset for a trainer; `encoding` is `None` for arrays."""

    pipeline: str
    seeds: Seeds
    batch: ReferenceBatch
    encoding: Encoding | None
    about: dict[str, int]

    def run(self, augmentation: Augmentation) -> PictureAnswer:
        """All of the batch as multipart/mixed: JSON of the labels first, then the pictures."""
        begun, watch = time.time_ns(), Stopwatch()
        forms = takes_forms(augmentation.augmenter)
        source = self.batch if forms else decode_references(self.batch)
        done = augmentation.run(source, self.seeds, in_place=True)
        if not isinstance(done, DataBatch):
            raise TypeError(f"the pipeline turned a DataBatch into {type(done).__name__}")
        watch.lap("augment")
        head = {
            **self.about,
            "names": [shown_name(name) for name in done.names],
            "indices": done.indices.tolist(),
            "labels": plain(done.labels),
        }
        parts = [as_json_part("batch.json", head), *self._pictures(done.images)]
        media_type, body = as_multipart(parts)
        watch.lap("encode")
        seconds = watch.seconds | _taken(augmentation)
        return PictureAnswer(body, media_type, etag_of(body), len(done.names), begun, seconds)

    def _pictures(self, images: Any) -> list[AnswerPart]:
        if self.encoding is None:
            if not isinstance(images, list):
                return [AnswerPart("images.npy", ARRAYS, npy(images))]
            return [AnswerPart(f"{at}.npy", ARRAYS, npy(each)) for at, each in enumerate(images)]
        kind, suffix = self.encoding.media_type, self.encoding.suffix
        return [
            AnswerPart(f"{place}{suffix}", kind, self.encoding.encode(each))
            for place, each in enumerate(images)
        ]


def plain(value: Any) -> Any:
    """Labels as JSON has them: dataclasses are objects, arrays lists, anything else its text."""
    if value is None or isinstance(value, str | int | float):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [each.name for each in dataclasses.fields(value) if each.name != "rules"]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value.tolist() if hasattr(value, "tolist") else str(value)


def shown_name(name: str) -> str:
    """The name of a picture as clients may see it: not the folders of the server's disk."""
    return PurePath(name).name if PurePath(name).is_absolute() else name


def worker_problem(error: BaseException) -> BaseException:
    """What a client is told of an error of a worker: of files of the server's it is 404."""
    if isinstance(error, UnreadablePictureError | FileNotFoundError):
        return RequestRefused(404, "a picture of the server cannot be read")
    return error


def _augment_batch(augmentation: Augmentation, seeds: Seeds, batch: Any) -> Any:
    """Augment imgaug's batch with any kind of augmenter, which gets lone images as a list.

    A function takes nothing else, and for the others it is the shortest way.
    """
    if any(value is not None for name, value in vars(batch).items() if name != "images_unaug"):
        return augmentation.run(batch, seeds, in_place=True)
    batch.images_aug = augmentation.run(batch.images_unaug, seeds, in_place=True)
    return batch


def _next_stage(run: Stages[Any]) -> Any:
    """The result after the last stage; before, that it paused."""
    try:
        next(run)
    except StopIteration as end:
        return end.value
    return _PAUSED


def _taken(augmentation: Augmentation) -> dict[str, float]:
    return {} if augmentation.timer is None else augmentation.timer.take()
