"""The same for programs without an event loop: classes whose methods block until it is done.

`Pool`, `BatchLoader` and `BackgroundAugmenter` take the place of those of `imgaug.multicore`,
`BackgroundProc`, `SharedQ`, `SharedMem` and `TimeoutError` that of ELEKTRONN2's `parallelisation`.
All are made from the async classes by one mechanism, and run on one event loop in a thread that
lives as long as any of them is open. `ParallelImageDataGenerator`, in the place of Keras', is that
of `aioaug.images`, which serves both kinds of programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from .. import background, loading
from ..background import SharedMem
from ..errors import TimeoutError
from ..pool import AsyncPool
from ..stats import Stats
from ..streams import BatchStream
from .result import AsyncResult
from .twin import AsItIs, BlockingTwin, blocking, ending, relayed

if TYPE_CHECKING:
    from ..images import ParallelImageDataGenerator

__all__ = [
    "AsyncResult",
    "BackgroundAugmenter",
    "BackgroundProc",
    "BatchLoader",
    "Batches",
    "ParallelImageDataGenerator",
    "Pool",
    "Queue",
    "SharedMem",
    "SharedQ",
    "TimeoutError",
]


def __getattr__(name: str) -> Any:
    # Imported when it is first asked for: NumPy and OpenCV, which it needs, take their time.
    if name == "ParallelImageDataGenerator":
        from ..images import ParallelImageDataGenerator

        return ParallelImageDataGenerator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Batches(BlockingTwin, of=BatchStream, end=BatchStream.aclose):
    """An iterator over augmented batches, from `Pool.imap_batches`.

    It may be left half way, like a generator: what is under way is dropped and its source closed
    when nothing refers to it any more, or by `close()` or `with`.
    """

    _dropped_silently = True  # no warning: to leave it half way is allowed

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        self._bridge.hold()  # a stream that was begun is ended when its twin is dropped
        try:
            return self._call(BatchStream.__anext__)
        except StopAsyncIteration:
            self._bridge.release()
            raise StopIteration from None

    state = relayed(BatchStream.state, AsItIs(dict))
    close = ending(BatchStream.aclose)


class Pool(BlockingTwin, of=AsyncPool, end=AsyncPool.terminate):
    """`aioaug.AsyncPool` for blocking programs, in the place of `imgaug.multicore.Pool`.

    Example::

        with Pool(augmenter, processes=-1, seed=1) as pool:
            for batch in pool.imap_batches(load_batches(), output_buffer_size=8):
                train(batch)
    """

    augment_batch = blocking(AsyncPool.augment_batch)
    augment_image = blocking(AsyncPool.augment_image)
    map_batches = blocking(AsyncPool.map_batches)
    map_batches_async = relayed(AsyncPool.map_batches_async, AsyncResult)
    imap_batches = relayed(AsyncPool.imap_batches, Batches)
    imap_batches_unordered = relayed(AsyncPool.imap_batches_unordered, Batches)
    stats = relayed(AsyncPool.stats, AsItIs(Stats))
    close = ending(AsyncPool.close)
    terminate = ending(AsyncPool.terminate)
    join = blocking(AsyncPool.join)


class Queue(BlockingTwin, of=loading.LoadedQueue, end=loading.LoadedQueue.aclose):
    """The loaded batches of a `BatchLoader`, and `None` behind the last, as from `queue.Queue`."""

    get = blocking(loading.LoadedQueue.get)
    get_nowait = relayed(loading.LoadedQueue.get_nowait, AsItIs(object))
    qsize = relayed(loading.LoadedQueue.qsize, AsItIs(int))
    empty = relayed(loading.LoadedQueue.empty, AsItIs(bool))
    full = relayed(loading.LoadedQueue.full, AsItIs(bool))


class BatchLoader(
    BlockingTwin,
    of=loading.BatchLoader,
    end=loading.BatchLoader.terminate,
    starts=True,
    instead="Pool",
):
    """`aioaug.BatchLoader` for blocking programs, in the place of `imgaug.multicore.BatchLoader`.

    It starts to load as it is built.

    Example::

        loader = BatchLoader(load_batches, queue_size=8)
        while (batch := loader.queue.get()) is not None:
            train(batch)
        loader.terminate()
    """

    @property
    def queue(self) -> Queue:
        """The loaded batches, and `None` behind the last."""
        return Queue.around(self._thing.queue, (self,))

    get_batch = blocking(loading.BatchLoader.get_batch)
    count_workers_alive = relayed(loading.BatchLoader.count_workers_alive, AsItIs(int))
    all_finished = relayed(loading.BatchLoader.all_finished, AsItIs(bool))
    terminate = ending(loading.BatchLoader.terminate)

    def __iter__(self) -> Any:
        return iter(self.get_batch, None)


class BackgroundAugmenter(
    BlockingTwin,
    of=loading.BackgroundAugmenter,
    end=loading.BackgroundAugmenter.terminate,
    starts=True,
    instead="Pool",
):
    """`aioaug.BackgroundAugmenter` for blocking programs, in the place of imgaug's own.

    It starts to work as it is built.

    Example::

        background = BackgroundAugmenter(BatchLoader(load_batches), augmenter)
        while (batch := background.get_batch()) is not None:
            train(batch)
        background.terminate()
    """

    get_batch = blocking(loading.BackgroundAugmenter.get_batch)
    all_finished = relayed(loading.BackgroundAugmenter.all_finished, AsItIs(bool))
    terminate = ending(loading.BackgroundAugmenter.terminate)

    def __iter__(self) -> Any:
        return iter(self.get_batch, None)


class BackgroundProc(
    BlockingTwin,
    SharedMem,
    of=background.BackgroundProc,
    end=background.BackgroundProc.shutdown,
    starts=True,
):
    """`aioaug.BackgroundProc` for blocking programs, in the place of ELEKTRONN2's own.

    It starts to work as it is built.

    Example::

        background = BackgroundProc(data.getbatch, n_proc=2, target_args=(16,))
        images, labels = background.get()
        background.shutdown()
    """

    get = blocking(background.BackgroundProc.get)
    reset = blocking(background.BackgroundProc.reset)
    shutdown = ending(background.BackgroundProc.shutdown)


class SharedQ(BlockingTwin, SharedMem, of=background.SharedQ, end=background.SharedQ.shutdown):
    """`aioaug.SharedQ` for blocking programs, in the place of ELEKTRONN2's own.

    Example::

        queue = SharedQ(n_proc=2)
        queue.startproc([np.float32], [(64, 64)], read, ("first.npy",))
        (image,) = queue.get()
        queue.shutdown()
    """

    startproc = relayed(background.SharedQ.startproc, AsItIs(type(None)))
    get = blocking(background.SharedQ.get)
    shutdown = ending(background.SharedQ.shutdown)
