"""Runs jobs on a pool: what the workers do, and how their results come back."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from .. import AsyncPool, BatchStream, WorkerDied, _pictures
from .._base import atomic
from .._base.system import worker_count
from ..data.beside import LabelsBeside, read_beside
from ..errors import AugmenterSpecError, UnreadableLabelsError, UnreadablePictureError
from .exits import CommandError, Exit, one_line
from .picture_augmenter import PictureAugmenter
from .picture_files import Source, load, read_picture
from .plan import ORIGINAL, OutputJob

T = TypeVar("T")

# The system does not accept this name, or there is a folder of it. Other names may work.
_OF_ONE_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EISDIR)
_CALLS_PER_WORKER = 4  # so that no worker waits while results are listed


@dataclass(frozen=True)
class RunOptions:
    """How the work is divided: workers, jobs in a call, and jobs under way at once."""

    workers: int | None = None
    batch_size: int = 1
    buffer: int | None = None


@dataclass(frozen=True)
class JobResult:
    """What became of a job: a value, or the reason why there is none."""

    number: int
    value: Any = None
    problem: str = ""


@dataclass(frozen=True)
class WrittenFile:
    """What the manifest lists of an output."""

    size: tuple[int, int]
    sha256: str
    annotations: Path | None  # the file with its labels
    record: Any = None  # see `LabelWriter.record`


class Unwritable(CommandError):
    """An output that cannot be written where others can."""


class GuardedTask:
    """Calls `work` with jobs; if a picture cannot be done, it returns the reason."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def __call__(self, numbered: tuple[int, Any]) -> JobResult:
        number, job = numbered
        try:
            return JobResult(number, self._work(job))
        except (UnreadablePictureError, UnreadableLabelsError, Unwritable) as error:
            return JobResult(number, problem=str(error))
        except (AugmenterSpecError, CommandError):  # these would come again with every job
            raise
        except BaseException as error:  # a pipeline's sys.exit() is about this picture, too
            return JobResult(number, problem=one_line(error))


class AugmentTask:
    """Reads a picture, augments it and writes the output; an original is written as it is."""

    def __init__(self, augmenter: PictureAugmenter, quality: int) -> None:
        self._augmenter = augmenter
        self._quality = quality

    def __call__(self, job: OutputJob) -> WrittenFile:
        picture, labels, suffix = read_source(job.source, job.annotations)
        notes = None if labels is None else job.output.with_suffix(suffix)
        beside = b""
        if job.copy == ORIGINAL:
            data = load(job.source)
            own = (each for each in job.annotations if each.suffix == suffix)
            beside = b"" if notes is None else load(next(own))
        else:
            picture, labels = self._augmenter(job.index, picture, labels)
            data = _pictures.encode(picture, job.output.suffix, self._quality)
            beside = b"" if labels is None else labels.encode(job.output.name)
        with writing(job.output):
            if notes is not None:
                atomic.write(notes, beside)
            atomic.write(job.output, data)
        return WrittenFile(picture.size, hashlib.sha256(data).hexdigest(), notes)


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """Raise what goes wrong in writing as an error of the command, or of this output alone."""
    try:
        yield
    except OSError as error:
        why = f"{output} cannot be written: {error.strerror or one_line(error)}"
        kind = Unwritable if error.errno in _OF_ONE_NAME else CommandError
        raise kind(why, Exit.OUTPUT) from error


@lru_cache(maxsize=1)  # the copies of one picture come one after the other
def read_source(
    source: Source, notes: tuple[Path, ...]
) -> tuple[_pictures.Picture, LabelsBeside | None, str]:
    """A picture, its labels, and the suffix of the file that has them."""
    labels, suffix = read_beside(notes) or (None, "")
    return read_picture(source), labels, suffix


class JobRunner(Generic[T]):
    """Does some jobs on a pool of its own.

    `under_way` are the jobs that were begun and are not reported yet. It is empty at the end,
    unless something ended the work early.
    """

    def __init__(self, work: Callable[[T], Any], jobs: Sequence[T], options: RunOptions) -> None:
        self.under_way: dict[int, T] = {}
        self._work = GuardedTask(work)
        self._jobs = jobs
        self._options = options
        self._workers = min(worker_count(options.workers), max(1, len(jobs)))

    async def run(self, each: Callable[[T, JobResult], Awaitable[None]]) -> None:
        """Do all jobs; `each` is called with every result, one at a time."""
        batch_size = self._options.batch_size
        buffer = self._options.buffer or _CALLS_PER_WORKER * self._workers * batch_size
        async with AsyncPool(self._work, self._workers, seed=0) as pool:
            stream = pool.imap_batches_unordered(self._give(), batch_size, buffer)
            async with stream:
                while (result := await self._next(stream)) is not None:
                    await each(self.under_way.pop(result.number), result)

    async def _give(self) -> AsyncIterator[tuple[int, T]]:
        for numbered in enumerate(self._jobs):
            number, job = numbered
            self.under_way[number] = job
            yield numbered

    async def _next(self, stream: BatchStream) -> JobResult | None:
        try:
            result: JobResult = await anext(stream)
        except StopAsyncIteration:
            return None
        except WorkerDied as error:
            if error.index is None:
                raise
            # A new pool counts from 0, as `_give` does.
            return JobResult(error.index, problem=str(error))
        return result
