"""`AsyncPool`: batches in, augmented batches out, on many cores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from ._aio.tasks import notify
from ._base.arguments import seconds_or_none, whole, whole_or_none
from ._base.seeding import IndexAllocator, check_seed
from ._base.system import worker_count
from ._streaming.builder import PoolOptions, StreamBuilder, StreamOptions
from ._streaming.lifecycle import PoolLifecycle
from ._streaming.pipeline import StreamPipeline
from ._streaming.retries import OnError, check_on_error
from ._worker import main as worker_main
from ._worker.augmentation import Augmentation
from .augmenters import batch_forms
from .augmenters.kinds import check_augmenter, is_imgaug
from .engines import Engine, EngineFactory, engine_class
from .stats import Stats
from .streams import BatchStream

# An engine's options that have other names as arguments of a pool.
_ARGUMENTS = {"max_memory": "max_worker_memory", "start_limit": "timeout"}
# Beside `timeout`, what a worker has for its start: what the augmenter imports may come from a cold
# disk.
_START_SECONDS = 20.0


class AsyncPool(PoolLifecycle):
    """Augments batches on many cores under an asyncio event loop.

    Building a pool starts nothing. Entering it, or its first call, starts all workers at once.
    Leaving it by the end of the block closes it, by an exception terminates it.

    Batches are imgaug's `Batch` and `UnnormalizedBatch` with any of their columns, or plain
    images, in the same form out: an array (N,H,W,C) or (N,H,W), or a list of arrays (H,W,C) or
    (H,W), of any dtype that the augmenter takes. What is passed in stays unchanged. A callable
    `batch -> batch` in the place of an imgaug augmenter may take anything that pickles.

    The output depends on the seed and the batch's index alone: not on the number of workers,
    chunks, order, engine or retries. Indices count all batches of a pool from 0, and the numbers
    are those of `imgaug.multicore.Pool(seed=...)`.

    A pool lives on the event loop that first uses it. On another one it raises `RuntimeError`; when
    the first one has been closed it starts anew there, with new workers, and indices go on. Streams
    of a closed loop raise `ClosedError`.

    Args:
        augseq: an imgaug augmenter, or a callable; both must pickle for `engine="process"`.
        processes: the number of workers; `None` is one for each CPU that this process may use
            (affinity and cgroup quota), a negative number that many fewer, at least one.
        maxtasksperchild: replace a worker process after so many chunks; `None` is never.
        seed: 0 to 2**31 - 1; `None` draws one, readable as `effective_seed`.
        engine: `"process"`, `"thread"` or `"inline"`, or a callable that makes an `Engine`.
        start_method: `"forkserver"` or `"spawn"`; `None` takes the first that there is.
        retries: how often a batch is tried again after its worker died, or took too long.
        copy: have results in memory of their own instead of views of recycled shared memory.
        max_bytes: the most shared memory that worker processes may use, in bytes; `None` is a
            quarter of what this process may use.
        timeout: how many seconds a worker process may take for a batch, times its length for a
            chunk, before it is killed and replaced; `None` is for ever.
        on_error: what to do about a batch whose augmentation failed, retries included: `"raise"`
            its error in its place, `"skip"` it, or a function, async or not, of the batch's index,
            the batch and the exception. What that returns takes the batch's place, `None` skips
            it, and what it raises is raised in the batch's place. Skipped indices are listed by
            `stats` and by the stream.
        max_worker_memory: replace a worker process that has more than so many bytes for itself.

    Raises:
        ValueError, TypeError: an argument is out of range or of the wrong type.
        RuntimeError: the pool is built inside a worker.

    Example::

        async with AsyncPool(iaa.Fliplr(0.5), processes=-1, seed=1) as pool:
            batches_aug = await pool.map_batches(batches)
    """

    def __init__(
        self,
        augseq: Any,
        processes: int | None = None,
        maxtasksperchild: int | None = None,
        seed: int | None = None,
        *,
        engine: str | EngineFactory = "process",
        start_method: str | None = None,
        retries: int = 2,
        copy: bool = False,
        max_bytes: int | None = None,
        timeout: float | None = None,
        on_error: OnError = "raise",
        max_worker_memory: int | None = None,
    ) -> None:
        worker_main.refuse_nested_pool()
        check_augmenter(augseq)
        self.augseq = augseq
        self.processes = processes
        self.maxtasksperchild = whole_or_none("maxtasksperchild", maxtasksperchild, low=1)
        self.seed = seed
        self.effective_seed = check_seed(seed)
        self.workers = worker_count(processes)
        self.retries = whole("retries", retries, low=0)
        self.timeout = seconds_or_none("timeout", timeout)
        check_on_error(on_error)
        self.on_error = on_error
        state = Augmentation(augseq, self.effective_seed)
        factory = engine_class(engine)
        options = {
            "start_method": start_method,
            "copy": copy or None,
            "max_bytes": whole_or_none("max_bytes", max_bytes, low=0),
            "max_memory": whole_or_none("max_worker_memory", max_worker_memory, low=1),
            "start_limit": None if self.timeout is None else self.timeout + _START_SECONDS,
        }
        options = {name: value for name, value in options.items() if value is not None}
        # A function that makes an engine does not say; it gets what was asked for.
        strange = [name for name in options if name not in getattr(factory, "options", options)]
        if strange:
            names = ", ".join(_ARGUMENTS.get(name, name) for name in strange)
            raise ValueError(f"{names}: only for workers that are processes")
        super().__init__(
            lambda: factory(state, workers=self.workers, max_tasks=self.maxtasksperchild, **options)
        )
        self._builder = StreamBuilder(
            lambda: self._engine,
            IndexAllocator(),
            PoolOptions(self.effective_seed, self.retries, self.timeout, on_error),
            claim=self._claim,
            begin=self._begin,
        )

    @property
    def pool(self) -> Engine:
        """The engine that does the work; raises `ClosedError` once the pool is closed."""
        self._check_open()
        return self._engine

    def stats(self) -> Stats:
        """What the pool has done so far, and which stage holds it up; at any time, cheaply."""
        return self._engine.meter.stats(self.workers, *self._engine.segments)

    async def map_batches(self, batches: list[Any], chunksize: int | None = None) -> list[Any]:
        """Augment a list of batches; the results come in the same order.

        The first batch that fails, in the order of the list, raises its error and ends the rest.
        Cancelling the call drops what has not begun, and the results of what has. `chunksize` is
        the number of batches that go to a worker at once, by default so many that each worker
        gets about four chunks.
        """
        return await self._collect(self._list(batches, chunksize))

    def map_batches_async(
        self,
        batches: list[Any],
        chunksize: int | None = None,
        callback: Callable[[list[Any]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> asyncio.Future[list[Any]]:
        """Like `map_batches`, but returns a future at once.

        `callback` is called once, on the event loop, with the whole list, or `error_callback`
        with the exception. Cancelling the future ends the work, and neither is called; so does
        `terminate`.
        """
        work = self._list(batches, chunksize)
        future = asyncio.get_running_loop().create_task(self._collect(work))
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        # A task that is cancelled before its first step never gets to its own clean-up.
        future.add_done_callback(lambda _: work.stop())
        if callback is not None or error_callback is not None:
            future.add_done_callback(lambda done: notify(done, callback, error_callback))
        return future

    def imap_batches(
        self,
        batches: Any,
        chunksize: int | None = 1,
        output_buffer_size: int | None = None,
        *,
        state: Mapping[str, Any] | None = None,
        shard: tuple[int, int] | None = None,
    ) -> BatchStream:
        """Augment the batches of a source as they are asked for; the order is kept.

        Args:
            batches: a list, or any iterable, iterator or generator of either kind, sync ones
                being read in a thread of their own.
            chunksize: the number of batches that go to a worker at once; `None` is 1. A chunk is
                cut short where the buffer leaves no room for more.
            output_buffer_size: the number of batches that may exist at once between the source
                and the consumer, counting the one that the consumer holds; `None` and 0 are no
                limit.
            state: go on where a stream was when its `state()` was taken, in this program or another
                one. The source has to begin anew; what was delivered is read, but not augmented.
            shard: `(rank, world_size)`, for programs that work side by side on one source: this
                one gets every `world_size`-th batch, and no rank gets more of them than others.

        Raises:
            ValueError, TypeError: an argument is out of range or of the wrong type, or `state` does
                not fit the pool's seed, the shard or what the pool has augmented before.
        """
        options = StreamOptions(chunksize, output_buffer_size, state, shard)
        return BatchStream(self._stream(batches, options, ordered=True))

    def imap_batches_unordered(
        self,
        batches: Any,
        chunksize: int | None = 1,
        output_buffer_size: int | None = None,
        *,
        state: Mapping[str, Any] | None = None,
        shard: tuple[int, int] | None = None,
    ) -> BatchStream:
        """Like `imap_batches`, but each batch comes as soon as it is ready."""
        options = StreamOptions(chunksize, output_buffer_size, state, shard)
        return BatchStream(self._stream(batches, options, ordered=False))

    def owned_stream(self, batches: Any, output_buffer_size: int) -> BatchStream:
        """Like `imap_batches`, but the pool ends with the stream."""
        options = StreamOptions(1, output_buffer_size)
        return BatchStream(self._stream(batches, options, ordered=True), self)

    def _stream(self, batches: Any, options: StreamOptions, *, ordered: bool) -> StreamPipeline:
        self._check_open()
        pipeline = self._builder.stream(batches, options, ordered=ordered)
        self._streams.add(pipeline)
        return pipeline

    def _list(self, batches: list[Any], chunksize: int | None) -> StreamPipeline:
        self._check_open()
        self._claim()
        if isinstance(batches, list) and is_imgaug(self.augseq):
            for batch in batches:
                batch_forms.check(batch)
        pipeline = self._builder.list(batches, chunksize)
        self._lists.add(pipeline)
        return pipeline

    async def _collect(self, pipeline: StreamPipeline) -> list[Any]:
        try:
            return [batch async for batch in BatchStream(pipeline)]
        finally:
            await pipeline.close()
