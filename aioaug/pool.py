"""`AsyncPool`: batches in, augmented batches out, on many cores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from ._aio.tasks import AsyncResource, notify
from ._base.arguments import seconds_or_none, whole, whole_or_none
from ._base.seeding import IndexAllocator, check_seed
from ._streaming.options import OnError, PoolOptions, check_list, check_on_error
from ._streaming.output_buffer import BufferSize
from ._streaming.pool_life import PoolLife, PoolPhase
from ._streaming.requests import RequestRunner
from ._streaming.stream_core import StreamCore
from ._streaming.stream_maker import StreamMaker
from ._worker import main as worker_main
from ._worker.stages import WorkerFunctions, augmentation_of
from .augmenters import batch_forms
from .augmenters.kinds import check_augmenter, takes_forms
from .augmenters.layout import LayoutCheck
from .engines import Engine, EngineFactory, engine_class, workers_for
from .engines.limits import CUTS_PER_WORKER
from .stats import Stats
from .streams import BatchStream


class AsyncPool(AsyncResource):
    """Augments batches on many cores under an asyncio event loop.

    Building a pool starts nothing. Entering it, or its first call, starts all workers at once.
    Leaving it by the end of the block closes it, by an exception terminates it.

    Batches are imgaug's `Batch` and `UnnormalizedBatch` with any of their columns, or plain
    images, in the same form out: an array (N,H,W,C) or (N,H,W), or a list of arrays (H,W,C) or
    (H,W), of any dtype that the augmenter takes. A tuple `(images, ...)`, and a mapping, named
    tuple or dataclass with imgaug's names of columns, come back with these augmented and the rest
    as it was; see `register_form` for other classes. What is passed in stays unchanged. A callable
    `batch -> batch` in the place of an imgaug augmenter may take anything that pickles.

    The output depends on the seed and the batch's index alone: not on the number of workers,
    chunks, order, engine or retries. Indices count all batches of a pool from 0, and the numbers
    are those of `imgaug.multicore.Pool(seed=...)`.

    A pool lives on the event loop that first uses it. On another one it raises `RuntimeError`; when
    the first one has been closed it starts anew there, with new workers, and indices go on. Streams
    of a closed loop raise `ClosedError`.

    Args:
        augseq: an imgaug augmenter, or a callable. For `engine="process"` it is pickled; lambdas,
            closures and what a notebook defines go by value.
        processes: the number of workers; `None` is one for each CPU that this process may use
            (affinity and cgroup quota), a negative number that many fewer, at least one.
        maxtasksperchild: replace a worker process after so many chunks; `None` is never.
        seed: 0 to 2**31 - 1; `None` draws one, readable as `effective_seed`.
        engine: `"process"`, `"thread"` or `"inline"`, or a callable that makes an `Engine`, such as
            a `DaskEngine`; `"dask://host:8786"` is one for the scheduler of that address.
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
        max_waiting: how many requests, that is calls of `augment_batch` and `augment_image`, may
            wait for a worker; further ones raise `PoolBusy` at once. `None` is no limit.
        abandon_after: after so many seconds a worker process is replaced that is still busy with
            what nobody waits for any more, if others wait for a worker; `None` is never.
        accelerate: run the faster forms that may differ by a grey level, see `fast.accelerate`.
        profile: measure how long each of imgaug's augmenters takes, for `stats().augmenters`.
        load: called in the worker with what the source gave, such as names of files; returns the
            batch to be augmented. Like `dump`, it may be async. A parameter `rng` of it gets a
            `numpy.random.Generator` for the batch. Errors and `timeout` are as for the augmenter.
        dump: called in the worker with the augmented batch; returns what is sent back in its place.
        initializer: called without arguments in each worker before its first batch, async or not.
            What it raises, the start of the pool raises.

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
        max_waiting: int | None = None,
        abandon_after: float | None = None,
        accelerate: bool = False,
        profile: bool = False,
        load: Callable[..., Any] | None = None,
        dump: Callable[..., Any] | None = None,
        initializer: Callable[[], Any] | None = None,
    ) -> None:
        worker_main.refuse_nested_pool()
        check_augmenter(augseq)
        options = self._options = PoolOptions(
            max_tasks=whole_or_none("maxtasksperchild", maxtasksperchild, low=1),
            seed=check_seed(seed),
            workers=workers_for(engine, processes),
            retries=whole("retries", retries, low=0),
            timeout=seconds_or_none("timeout", timeout),
            on_error=check_on_error(on_error),
            max_waiting=whole_or_none("max_waiting", max_waiting, low=0),
            profile=profile,
            engine=engine_class(engine),
            engine_options={
                "start_method": start_method,
                "copy": copy or None,
                "max_bytes": whole_or_none("max_bytes", max_bytes, low=0),
                "max_memory": whole_or_none("max_worker_memory", max_worker_memory, low=1),
                "abandon_after": seconds_or_none("abandon_after", abandon_after),
            },
        )
        self.augseq = augseq
        self.processes = processes
        self.maxtasksperchild = options.max_tasks
        self.seed = seed
        self.effective_seed = options.seed
        self.retries = options.retries
        self.timeout = options.timeout
        self.on_error = on_error
        self._indices = IndexAllocator()
        functions = WorkerFunctions(load, dump, initializer)
        state = augmentation_of(functions, augseq, options.seed, accelerate, profile)
        self._life = PoolLife(type(self).__name__, lambda: options.make_engine(state))
        self._check_batch = batch_forms.check if takes_forms(augseq) and load is None else None
        look = LayoutCheck() if self._check_batch is not None else None
        self._streams = StreamMaker(self._life, options, self._indices, look)
        self._requests = RequestRunner(self._life, options, look)

    def __repr__(self) -> str:
        augmenter = getattr(self.augseq, "__qualname__", type(self.augseq).__qualname__)
        engine = type(self._life.engine).__name__
        return (
            f"<{type(self).__name__} augmenter={augmenter} workers={self.workers} "
            f"engine={engine} seed={self.effective_seed} {self._life.phase.value}>"
        )

    @property
    def workers(self) -> int:
        """How many workers the engine has; on a cluster, how many it has at the time."""
        return self._life.engine.workers

    @property
    def closed(self) -> bool:
        """Whether the pool was closed or terminated, and all of it has ended."""
        return self._life.phase is PoolPhase.CLOSED

    @property
    def pool(self) -> Engine:
        """The engine that does the work; raises `ClosedError` once the pool is closed."""
        self._life.check_open()
        return self._life.engine

    def stats(self) -> Stats:
        """What the pool has done so far, and which stage holds it up; at any time, cheaply."""
        engine = self._life.engine
        return engine.meter.stats(engine.workers, engine.busy, *engine.segments)

    async def map_batches(self, batches: list[Any], chunksize: int | None = None) -> list[Any]:
        """Augment a list of batches; the results come in the same order.

        The first batch that fails, in the order of the list, raises its error and ends the rest.
        Cancelling the call drops what has not begun, and the results of what has. `chunksize` is
        the number of batches that go to a worker at once, by default so many that each worker
        gets about four chunks.
        """
        chunksize = self._checked_list(batches, chunksize)
        if not batches or len(batches) > CUTS_PER_WORKER * self._life.engine.workers * chunksize:
            return await self._collect(self._streams.of_list(batches, chunksize))
        first = self._indices.allocate(len(batches))
        return await self._requests.augment_list(first, batches, chunksize)

    async def augment_batch(
        self,
        batch: Any,
        *,
        index: int | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # it is the worker's time
    ) -> Any:
        """Augment one batch, as for a request of a web app; from any number of tasks at once.

        Requests are served in the order in which they come, also beside streams.

        Args:
            batch: of any form that the pool takes.
            index: which batch of `imap_batches` it stands for: the result depends on the seed and
                this number alone. `None` is the next index that the pool has not used.
            timeout: how many seconds a worker process may take for it, in place of the pool's.

        Raises what augmenting it raised, also if `on_error` skips it, as there is nothing to return
        then; `PoolBusy` at once if `max_waiting` requests wait already. Cancelled while it waits,
        the batch is never augmented; after that, the result is dropped. `close` waits for it,
        `terminate` makes it raise `ClosedError`.
        """
        self._life.check_open()
        self._life.claim()
        if self._check_batch is not None:
            self._check_batch(batch)
        index = whole_or_none("index", index, low=0)
        timeout = self._options.checked_timeout(timeout)
        self._requests.check_room()
        if index is None:
            index = self._indices.allocate()
        return await self._requests.augment(index, batch, timeout)

    async def augment_image(
        self,
        image: Any,
        /,
        *,
        index: int | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
        **annotations: Any,
    ) -> Any:
        """Augment one image (H,W) or (H,W,C), and what is annotated on it.

        `annotations` are those that imgaug's `augmenter(image=..., ...)` takes, in the same forms:
        `heatmaps`, `segmentation_maps`, `keypoints`, `bounding_boxes`, `polygons`, `line_strings`.
        Returns the image, or a tuple of the image and the annotations in the order of the call.
        All else is as with `augment_batch`.
        """
        if self._check_batch is None:
            raise TypeError(
                "augment_image needs an augmenter of images and no load=; use augment_batch"
            )
        batch = batch_forms.of_image(image, annotations)
        result = await self.augment_batch(batch, index=index, timeout=timeout)
        return batch_forms.image_of(result, annotations)

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
        work = self._streams.of_list(batches, self._checked_list(batches, chunksize))
        future = asyncio.get_running_loop().create_task(self._collect(work))
        futures = self._life.futures
        futures.add(future)
        future.add_done_callback(futures.discard)
        # A task that is cancelled before its first step never gets to its own clean-up.
        future.add_done_callback(lambda _: work.stop())
        if callback is not None or error_callback is not None:
            future.add_done_callback(lambda done: notify(done, callback, error_callback))
        return future

    def imap_batches(
        self,
        batches: Any,
        chunksize: int | None = 1,
        output_buffer_size: BufferSize = None,
        *,
        state: Mapping[str, Any] | None = None,
        shard: tuple[int, int] | None = None,
    ) -> BatchStream:
        """Augment the batches of a source as they are asked for; the order is kept.

        Args:
            batches: a list; any iterable, iterator or generator of either kind; or a queue: of
                `asyncio`, `queue` or `multiprocessing`, in which `None` or `shutdown()` is the end,
                or a memory stream of anyio. What would block is read in a thread of its own.
            chunksize: the number of batches that go to a worker at once; `None` is 1. A chunk is
                cut short where the buffer leaves no room for more.
            output_buffer_size: the number of batches that may exist at once between the source
                and the consumer, counting the one that the consumer holds; `None` and 0 are no
                limit. `"auto"` is a hundred for each worker, or as many as have 32 MB for each
                worker, but at least two for each worker and one for the consumer.
            state: go on where a stream was when its `state()` was taken, in this program or another
                one. The source has to begin anew. What was delivered is not read again from a list
                or another `collections.abc.Sequence`; from others it is, but it is not augmented.
            shard: `(rank, world_size)`, for programs that work side by side on one source: this
                one gets every `world_size`-th batch, and no rank gets more of them than others. A
                `Sequence` reads only those.

        Raises:
            ValueError, TypeError: an argument is out of range or of the wrong type, or `state` does
                not fit the pool's seed, the shard or what the pool has augmented before.
        """
        return BatchStream(
            self._streams.stream(batches, chunksize, output_buffer_size, state, shard, ordered=True)
        )

    def imap_batches_unordered(
        self,
        batches: Any,
        chunksize: int | None = 1,
        output_buffer_size: BufferSize = None,
        *,
        state: Mapping[str, Any] | None = None,
        shard: tuple[int, int] | None = None,
    ) -> BatchStream:
        """Like `imap_batches`, but each batch comes as soon as it is ready."""
        return BatchStream(
            self._streams.stream(
                batches, chunksize, output_buffer_size, state, shard, ordered=False
            )
        )

    def owned_stream(
        self, batches: Any, output_buffer_size: BufferSize, *, ordered: bool = True
    ) -> BatchStream:
        """Like `imap_batches`, but the pool ends with the stream."""
        core = self._streams.stream(batches, 1, output_buffer_size, ordered=ordered)
        self._mute()
        return BatchStream(core, self._life)

    def planned_stream(
        self, batches: Any, output_buffer_size: BufferSize, indices: Iterator[int]
    ) -> BatchStream:
        """Like `imap_batches`, for batches of which these are the indices."""
        return BatchStream(self._streams.planned(batches, output_buffer_size, indices))

    async def close(self) -> None:
        """End in good order: streams end now, calls of `map_batches` are waited for.

        A stream's consumer gets `ClosedError`. So may a call of `map_batches` out of whose own
        `on_error` the pool is closed; nobody waits for itself. Idempotent. When cancelled, it
        terminates.
        """
        await self._life.close()

    async def terminate(self) -> None:
        """End at once: workers are killed, whatever they do; it takes about a second at most.

        Whoever waits for a batch or a list gets `ClosedError`, and the futures of
        `map_batches_async` are cancelled. Idempotent; when cancelled, it finishes first.
        """
        await self._life.terminate()

    async def join(self) -> None:
        """Wait until all workers are gone; `ValueError` before `close` or `terminate`."""
        await self._life.join()

    def stop(self) -> None:
        """Begin to terminate without waiting for it, as from a signal handler of the loop."""
        self._life.stop()

    async def __aenter__(self) -> Self:
        await self._life.enter()
        return self

    async def _leave(self, error: BaseException | None) -> None:
        await (self.close() if error is None else self.terminate())

    def _mute(self) -> None:
        """Do not warn if the pool is dropped: what it is part of does."""
        self._life.name = None

    def _checked_list(self, batches: list[Any], chunksize: int | None) -> int:
        """The number of batches in a chunk of a list that may be augmented."""
        self._life.check_open()
        self._life.claim()
        chunksize = check_list(batches, chunksize, self._life.engine.workers)
        if self._check_batch is not None:
            for batch in batches:
                self._check_batch(batch)
        return chunksize

    async def _collect(self, core: StreamCore) -> list[Any]:
        try:
            return [batch async for batch in BatchStream(core)]
        finally:
            await core.close()
