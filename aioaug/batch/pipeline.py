"""Actions done on the batches of a dataset: one after another, ahead, blocking or awaited."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

from .._aio.bridge import BlockingBridge
from .._base.arguments import whole
from .._base.seeding import IndexAllocator
from .._streaming.core import StreamCore
from .._streaming.feeder import Feeder
from .._streaming.sources import open_source
from .._streaming.state import DeliveryTracker
from ..stats import Meter
from ..streams import BatchStream
from .actions import Actions
from .rng import seed_sequence


class Pipeline(Actions):
    """Actions of a class of batches in a row, recorded by calling them as methods.

    Nothing is done before `run`, `gen_batch` or `next_batch`, or their twins for coroutines.
    Each recorded call makes a new pipeline, so one may be continued in several ways. `first +
    second` joins two, `dataset >> pipeline` binds one to a dataset.

    Arguments that are expressions (`R`, `P`, `B`) are worked out for each batch. What a batch
    draws depends on `shuffle`, if that is a number, and on the batch's place in the run, not on
    `prefetch`. A negative `shuffle` fixes what is drawn and leaves the order.

    Example::

        pipeline = dataset.pipeline().load(src="data.npz", fmt="npz").rotate(angle=P(R("normal")))
        pipeline.run(16, shuffle=1, n_epochs=2)
        async for batch in pipeline.gen_batch_async(16, shuffle=1, prefetch=2):
            ...
    """

    _batches: Iterator[Any] | None = None  # those that `next_batch` goes through

    def run(self, batch_size: int, *args: Any, **kwargs: Any) -> Self:
        """Do all actions on all batches, one epoch by default; as `gen_batch`. It blocks."""
        for _ in self.gen_batch(batch_size, *args, **kwargs):
            pass
        return self

    async def run_async(self, batch_size: int, *args: Any, **kwargs: Any) -> Self:
        """`run` for coroutines. Cancelled, it begins no other batch."""
        async with self.gen_batch_async(batch_size, *args, **kwargs) as stream:
            async for _ in stream:
                pass
        return self

    def gen_batch(
        self,
        batch_size: int,
        shuffle: Any = False,
        n_iters: int | None = None,
        n_epochs: int | None = None,
        drop_last: bool = False,
        prefetch: int = 0,
    ) -> Iterator[Any]:
        """The batches with all actions done, in order; one epoch, if neither limit is given.

        `prefetch` batches are worked on while the caller uses one. The other arguments are those
        of `DatasetIndex.next_batch`.
        """
        limits = _limits(n_iters, n_epochs)
        if whole("prefetch", prefetch, low=0):
            stream = self.gen_batch_async(batch_size, shuffle, *limits, drop_last, prefetch)
            return _blocking(stream)
        return self._gen(batch_size, shuffle, *limits, drop_last)

    def gen_batch_async(
        self,
        batch_size: int,
        shuffle: Any = False,
        n_iters: int | None = None,
        n_epochs: int | None = None,
        drop_last: bool = False,
        prefetch: int = 0,
    ) -> BatchStream:
        """`gen_batch` for coroutines: a stream for `async for`, that ends with `async with`."""
        prefetch = whole("prefetch", prefetch, low=0)
        source, seeds = self._source(batch_size, shuffle, _limits(n_iters, n_epochs), drop_last)

        async def call(chunk: Sequence[tuple[int, Any]]) -> list[Any]:
            ((number, batch),) = chunk
            return [await self.execute_for_async(batch, number + 1, seeds(number))]

        feeder = Feeder(
            call,
            open_source(source),
            DeliveryTracker(IndexAllocator()),
            Meter(),
            window=prefetch + 1,
            at_once=prefetch + 1,
        )
        return BatchStream(StreamCore(feeder, ordered=True))

    def next_batch(
        self, batch_size: int, shuffle: Any = False, n_epochs: int | None = None, **kwargs: Any
    ) -> Any:
        """The next batch with all actions done; `StopIteration` after the last one.

        It goes on for ever, unless there is a limit. Its first call, or that after `reset`,
        decides on the arguments.
        """
        if self._batches is None:
            limits = {"n_iters": None, "n_epochs": n_epochs, "drop_last": False, **kwargs}
            self._batches = self._gen(batch_size, shuffle, **limits)
        return next(self._batches)

    def reset(self, what: str = "iter") -> None:
        """Have `next_batch` start again."""
        if what != "iter":
            raise ValueError(f"what must be 'iter', got {what!r}")
        self._batches = None

    def _gen(
        self,
        batch_size: int,
        shuffle: Any,
        n_iters: int | None,
        n_epochs: int | None,
        drop_last: bool,
    ) -> Iterator[Any]:
        source, seeds = self._source(batch_size, shuffle, (n_iters, n_epochs), drop_last)
        return (
            self.execute_for(batch, number + 1, seeds(number))
            for number, batch in enumerate(source)
        )

    def _source(
        self,
        batch_size: int,
        shuffle: Any,
        limits: tuple[int | None, int | None],
        drop_last: bool,
    ) -> tuple[Iterator[Any], Callable[[int], Any]]:
        """The batches before any action, and the seed of each by its number."""
        import numpy as np

        if self.dataset is None:
            raise ValueError("the pipeline has no dataset; use dataset >> pipeline")
        number = isinstance(shuffle, int) and not isinstance(shuffle, bool)
        root = seed_sequence(abs(shuffle) if number else None)
        # The second child is for what concerns no batch, the third for the batches.
        order, _, execution = np.random.SeedSequence(root.entropy).spawn(3)
        in_order = shuffle is False or (number and shuffle < 0)
        if not isinstance(shuffle, int):
            raise TypeError(f"shuffle must be a bool or an int, got {shuffle!r}")
        batches = self.dataset.gen_batch(
            batch_size, False if in_order else order, *limits, drop_last
        )
        key = (execution.entropy, execution.spawn_key)
        return batches, lambda n: np.random.SeedSequence(key[0], spawn_key=(*key[1], n))


def _limits(n_iters: int | None, n_epochs: int | None) -> tuple[int | None, int | None]:
    return (n_iters, 1 if n_iters is None and n_epochs is None else n_epochs)


def _blocking(stream: BatchStream) -> Iterator[Any]:
    """The batches of a stream that runs on the loop of a thread."""
    bridge, ended = BlockingBridge("pipeline"), object()
    try:
        while (batch := bridge.call(anext, stream, ended)) is not ended:
            yield batch
    finally:
        bridge.end(stream.aclose)
