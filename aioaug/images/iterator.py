"""Augmented batches for `async for`, and the same ones for `for`, `len`, `it[i]` and Keras."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from .._tasks import AsyncResource, end_aside, end_in_thread, finish
from ..errors import ClosedError
from ..host import Lease, is_ending
from .feed import Feed
from .rows import Made
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
        classes, labels: the class or the label of each sample.
        filenames, filepaths: each sample's file, as listed and as opened.
        total_batches_seen, batch_index, epoch: how far it is.
        skipped: the files that could not be read, with the reasons (`on_error="skip"`).

    Example::

        async with generator.flow_from_directory("pictures", seed=1) as batches:
            for epoch in range(10):
                async for x, y in batches:
                    await train(x, y)
    """

    def __init__(self, schedule: Schedule, feed: Feed, *, seed: int | None) -> None:
        self._schedule = schedule
        self._feed = feed
        self._lease = Lease()  # taken when a caller that blocks asks for something
        self._entered = False
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
        self.skipped: list[tuple[str, str]] = []

    def __len__(self) -> int:
        return len(self._schedule)

    @property
    def epoch(self) -> int:
        """The number of the epoch that the next batch belongs to, from 0."""
        return self._feed.epoch

    @property
    def batch_index(self) -> int:
        """The number of the next batch in its epoch, from 0."""
        return self._feed.batch

    @property
    def total_batches_seen(self) -> int:
        """How many batches were taken in all."""
        return self._feed.seen

    @property
    def is_running(self) -> bool:
        """Whether there are workers."""
        return self._feed.running

    @property
    def is_shutdown(self) -> bool:
        """Whether it was ended for good."""
        return self._feed.closed

    def reset(self) -> None:
        """Have the next batch be the first of an epoch; what was made ahead is dropped."""
        self._feed.restart()

    def on_epoch_end(self) -> None:
        """Begin the next epoch, if any batch was taken of this one, as Keras asks for."""
        self._feed.restart()

    # On an event loop.

    def __aiter__(self) -> Self:
        self._begin()
        return self

    async def __anext__(self) -> Any:
        while (made := await self._here(self._feed.next)) is not None:
            if self._accept(made):
                return made.batch
        if not self._entered and not self._lease.taken:
            await self._feed.pause()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the workers and the iterator. Idempotent; cancelled, it still ends them first."""
        await self._leave(None)

    async def __aenter__(self) -> Self:
        await self._here(self._feed.open)
        self._entered = True
        return self

    async def _leave(self, error: BaseException | None) -> None:
        if self._lease.taken:
            await finish(end_in_thread(self._lease.end, self._feed.aclose))
        elif not self._feed.closed:
            await self._feed.aclose(kill=error is not None)

    async def _here(self, fn: Callable[[], Awaitable[T]]) -> T:
        """Call the feed from this loop, or over there if it serves blocking callers already."""
        if self._lease.taken:
            return await self._lease.call_async(fn)
        return await fn()

    # In a thread that may block.

    def __iter__(self) -> Self:
        self._begin()
        return self

    def __next__(self) -> Any:
        while (made := self._there(self._feed.next)) is not None:
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
        made = self._there(self._feed.one, number)
        self._accept(made)
        return made.batch

    def shutdown(self, wait: bool = True) -> None:
        """End the workers and the iterator, from a thread that may block. Idempotent."""
        if self._lease.taken:
            if wait:
                self._lease.end(self._feed.aclose)
            else:
                end_aside(self._lease.end, self._feed.aclose)
        elif self._feed.busy and not self._feed.closed:
            raise RuntimeError("this iterator is in use on an event loop: await its aclose()")
        elif self._feed.running and not self._feed.closed:  # its loop was closed before it
            self._lease.call(self._feed.aclose)
            self._lease.give_back()
        self._feed.closed = True

    def __enter__(self) -> Self:
        self._there(self._feed.open)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()

    def _there(self, fn: Callable[..., Awaitable[T]], *args: Any) -> T:
        if self._feed.closed:
            raise ClosedError("the iterator was shut down")
        if self._feed.busy and not self._lease.taken:
            raise RuntimeError("this iterator is in use on an event loop: use `async for`")
        return self._lease.call(fn, *args)

    def _begin(self) -> None:
        # Keras' flows that have no end go on where they are.
        if self._schedule.wraps and self._feed.batch:
            self._feed.restart()

    def _accept(self, made: Made) -> bool:
        """Tell what was left out of a batch; whether anything was left in."""
        for name, why in made.skipped:
            self.skipped.append((name, why))
            warnings.warn(f"left out: {why}", RuntimeWarning, stacklevel=3)
        return made.size > 0

    def __del__(self) -> None:
        lease = getattr(self, "_lease", None)  # not built fully if __init__ raised
        # The exit of the program ends all workers by itself, and no thread can be started there.
        if lease is None or self._feed.closed or not lease.ours or is_ending():
            return
        end_aside(self._lease.end, self._feed.aclose)
        warnings.warn(
            "an ImageIterator was dropped while its workers ran; leave it by 'with' or shutdown()",
            ResourceWarning,
            source=self,
            stacklevel=2,
        )
