"""Augmented batches for `async for`, and the same ones for `for`, `len`, `it[i]` and Keras."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Awaitable, Callable
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeVar

from .._aio.bridge import BlockingBridge, call_once
from .._aio.tasks import AsyncResource, end_in_thread, finish, warn_of_drop
from .._pictures import Array
from ..errors import ClosedError
from .callbacks import ParallelProcessParams
from .producer import BatchProducer
from .sample_rows import MadeBatch, pick
from .schedule import Schedule

T = TypeVar("T")


class ImageIterator(AsyncResource):
    """Batches of a `ParallelImageDataGenerator`, made in its workers ahead of time.

    Iterate with `async for` on an event loop, or with `for` anywhere else. The batches come in
    order and are the same either way: their bytes depend on the seed, the epoch and a sample's
    place in it alone. At most `max_batches_pending` of them exist at once, counting the one in the
    consumer's hands.

    A flow from a directory ends with each epoch, and iterating again makes the next one; other
    flows go on from epoch to epoch. `len(it)` is the number of batches in an epoch, `it[i]` one
    of the current epoch, `on_epoch_end()` and `reset()` begin another.

    Workers start with the first batch. Leaving `async with it` or `with it`, `aclose()` or
    `shutdown()` end them. Without any of these, they end after an epoch of `async for`; `for`
    keeps them for the next epoch, and an iterator that is dropped meanwhile warns
    (`ResourceWarning`).

    An error in a worker is raised in its batch's place and ends the epoch. A request that is
    cancelled loses no batch.

    Attributes:
        samples, n, sample_count: the number of samples in an epoch.
        batch_size, shuffle: as they are used.
        seed: what was asked for; `effective_seed` is what is used in place of `None`.
        class_indices, class_labels, num_classes: the classes, by name and number.
        classes, labels, sample_weight: the class, the label and the weight of each sample.
        filenames, filepaths: each sample's file, as listed and as opened.
        x, y: the arrays of `flow`.
        image_shape, batch_shape: of a picture that comes out, and of a full batch.
        directory, target_size, color_mode, data_format, interpolation, keep_aspect_ratio,
            class_mode, subset, save_to_dir, save_prefix, save_format, dtype,
            image_data_generator: as they are used.
        total_batches_seen, batch_index, epoch: how far it is.
        skipped: the files that could not be read, with the reasons (`on_error="skip"`).

    Example::

        async with generator.flow_from_directory("pictures", seed=1) as batches:
            for epoch in range(10):
                async for x, y in batches:
                    await train(x, y)
    """

    def __init__(
        self,
        schedule: Schedule,
        producer: BatchProducer,
        params: ParallelProcessParams,
        *,
        seed: int | None,
    ) -> None:
        super().__init__()  # that of Keras, if it is one of its data sets
        self._schedule = schedule
        self._producer = producer
        self._bridge = BlockingBridge(type(self).__name__, producer)  # for callers that block
        self._entered = False
        self._last: MadeBatch | None = None  # without its batch
        # While Keras asks for an epoch: the number of the batch that it got for each number.
        self._given: dict[int, int] | None = None
        self._giving = count()
        source = schedule.source
        self.seed = seed
        self.effective_seed = schedule.seed
        self.n = self.samples = self.sample_count = len(source)
        self.batch_size = schedule.batch_size
        self.shuffle = schedule.shuffle
        self.class_indices = source.class_indices
        self.class_labels = list(source.class_indices)
        self.num_classes = len(source.class_indices)
        self.classes = source.classes
        self.labels = source.labels
        self.filenames = source.filenames
        self.filepaths = source.filepaths
        self.sample_weight = source.weights
        self.x, self.y = source.x, source.y
        self.skipped: list[tuple[str, str]] = []
        self.image_data_generator = params.image_data_generator
        self.subset = params.subset
        self.directory = params.directory
        self.class_mode = params.class_mode
        self.target_size = params.target_size
        self.color_mode = params.color_mode
        self.interpolation = params.interpolation
        self.keep_aspect_ratio = params.keep_aspect_ratio
        self.data_format = params.data_format
        self.dtype = params.dtype
        self.save_to_dir = params.save_to_dir
        self.save_prefix = params.save_prefix
        self.save_format = params.save_format
        self.image_shape = source.image_shape or (params.batch_shape or ())[1:]
        self.batch_shape = (self.batch_size, *self.image_shape)

    def __len__(self) -> int:
        return len(self._schedule)

    @property
    def epoch(self) -> int:
        """The number of the epoch that the next batch belongs to, from 0."""
        return self._producer.epoch

    @property
    def batch_index(self) -> int:
        """The number of the next batch in its epoch, from 0."""
        return self._producer.batch

    @property
    def total_batches_seen(self) -> int:
        """How many batches were taken in all."""
        return self._producer.seen

    @property
    def is_running(self) -> bool:
        """Whether there are workers."""
        return self._producer.running

    @property
    def is_shutdown(self) -> bool:
        """Whether it was ended for good."""
        return self._producer.closed

    @property
    def index_array(self) -> Array:
        """The numbers of the samples, in the order of the epoch that was taken of last."""
        return self._schedule.order(self.epoch if self._last is None else self._last.epoch)

    @property
    def batch_index_array(self) -> list[int]:
        """The numbers of the samples in the batch that was taken last."""
        return [] if self._last is None else self._last.numbers

    @property
    def batch_filenames(self) -> list[Any]:
        """The files of the samples in the batch that was taken last."""
        return pick(self.filenames, self.batch_index_array) if self.filenames else []

    def reset(self) -> None:
        """Have the next batch be the first of an epoch; what was made ahead is dropped."""
        self._given = self._last = None
        self._producer.restart()

    def on_epoch_begin(self) -> None:
        """Keras calls this: from now on to `on_epoch_end` it asks for each batch of one epoch.

        It does so in an order of its own, which nothing could be made ahead in. So `it[i]` is the
        next batch meanwhile, whatever `i` is, if the flow shuffles its samples itself.
        """
        self._given, self._giving = {} if self.shuffle else None, count()

    def on_epoch_end(self) -> None:
        """Begin the next epoch, if any batch was taken of this one, as Keras asks for."""
        self.reset()

    # On an event loop.

    def __aiter__(self) -> Self:
        self._begin()
        return self

    async def __anext__(self) -> Any:
        while (made := await self._here(self._producer.next)) is not None:
            if self._accept(made):
                return made.batch
        if not self._entered and not self._bridge.acquired:
            await self._producer.pause()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the workers and the iterator. Idempotent; cancelled, it still ends them first."""
        await self._leave(None)

    async def __aenter__(self) -> Self:
        await self._here(self._producer.open)
        self._entered = True
        return self

    async def _leave(self, error: BaseException | None) -> None:
        if self._bridge.acquired:
            await finish(end_in_thread(self._bridge.end, self._producer.aclose))
        elif not self._producer.closed:
            await self._producer.aclose(kill=error is not None)

    async def _here(self, fn: Callable[[], Awaitable[T]]) -> T:
        """Call the producer from this loop, or over there if it serves blocking callers already."""
        if self._bridge.acquired:
            return await self._bridge.call_async(fn)
        return await fn()

    # In a thread that may block.

    def __iter__(self) -> Self:
        self._begin()
        return self

    def __next__(self) -> Any:
        while (made := self._there(self._producer.next)) is not None:
            if self._accept(made):
                return made.batch
        raise StopIteration

    def next(self) -> Any:
        """The next batch, as `next(it)`."""
        return next(self)

    def __getitem__(self, index: int) -> Any:
        number = operator.index(index)
        if number < 0:
            number += len(self)
        if not 0 <= number < len(self):
            raise ValueError(f"there is no batch {index}: an epoch has {len(self)}")
        if (given := self._given) is not None:
            if number not in given:
                given[number] = next(self._giving)  # in one step, as several threads may ask
            number = given[number]
        made = self._there(self._producer.batch_at, number)
        self._accept(made)
        return made.batch

    def shutdown(self, wait: bool = True) -> None:
        """End the workers and the iterator, from a thread that may block. Idempotent."""
        if self._bridge.acquired:
            self._bridge.end(self._producer.aclose, wait=wait)
        elif self._producer.busy and not self._producer.closed:
            raise RuntimeError("this iterator is in use on an event loop: await its aclose()")
        elif self._producer.running and not self._producer.closed:  # its loop was closed before it
            call_once(self._producer.aclose)
        self._producer.closed = True

    def __enter__(self) -> Self:  # type: ignore[override] # it is entered both ways
        self._there(self._producer.open)
        return self

    def __exit__(  # type: ignore[override]
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()

    def _there(self, fn: Callable[..., Awaitable[T]], *args: Any) -> T:
        if self._producer.closed:
            raise ClosedError("the iterator was shut down")
        if self._producer.busy and not self._bridge.acquired:
            raise RuntimeError("this iterator is in use on an event loop: use `async for`")
        return self._bridge.call(fn, *args)

    def _begin(self) -> None:
        # Keras' flows that have no end go on where they are.
        if self._schedule.ends and self._producer.batch:
            self._producer.restart()

    def _accept(self, made: MadeBatch) -> bool:
        """Tell what was left out of a batch; whether anything was left in."""
        for name, why in made.skipped:
            self.skipped.append((name, why))
            warnings.warn(f"left out: {why}", RuntimeWarning, stacklevel=3)
        self._last = made._replace(batch=None)
        return made.size > 0

    def __del__(self) -> None:
        bridge = getattr(self, "_bridge", None)  # it is not there if `__init__` raised
        if bridge is None or self._producer.closed:
            return
        if bridge.end_dropped(self._producer.aclose):
            warn_of_drop(self, "'with' or shutdown()")
        elif not bridge.acquired and self._producer.drop():
            warn_of_drop(self, "'async with' or aclose()")
