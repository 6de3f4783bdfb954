"""`arrays`: the batches of a stream in the layout, dtype and range that a model wants."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from ._aio.tasks import AsyncBatches, ended, finish
from ._base.arguments import check_async_iterator
from ._base.results import Outcome
from ._base.threads import DaemonExecutor
from .augmenters.array_format import ArrayFormat
from .streams import state_of


def arrays(
    stream: Any,
    *,
    layout: str | None = "NHWC",
    dtype: Any = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> ConvertedStream:
    """The batches of a stream, with images in the layout, dtype and range that a model wants.

    The batches keep their form, and the arguments are those of `ArrayFormat`. Without `dtype`,
    `mean` and `std` images are views of the memory that they lie in already; otherwise they are
    made in a thread, in one pass. Arrays have `__dlpack__`, by which JAX, PyTorch and others take
    them without a copy: `jax.dlpack.from_dlpack(images)`.

    Order, errors, bounds and the end are those of the stream, which is closed together with what
    this returns. A request that is cancelled loses no batch. Raises as `ArrayFormat` does, for
    images in the place of the batch that they are in.

    Example::

        stream = pool.imap_batches(source)
        async with aioaug.arrays(stream, layout="NCHW", dtype="float32") as batches:
            async for images, labels in batches:
                ...
    """
    into = ArrayFormat(layout, dtype, mean, std)
    return ConvertedStream(stream, into, in_thread=into.computes)


class ConvertedStream(AsyncBatches):
    """What `arrays` returns: batches that are converted one by one, taken with `async for`."""

    def __init__(self, stream: Any, convert: Callable[[Any], Any], *, in_thread: bool) -> None:
        check_async_iterator("stream", stream)
        self.source: Any = stream
        self._convert = convert
        self._threads = DaemonExecutor(1, "aioaug-convert") if in_thread else None
        self._converting: asyncio.Future[Any] | None = None
        self._before: Outcome[dict[str, Any]] | None = None  # the state before what is converted

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.source!r}>"

    def state(self) -> dict[str, Any]:
        """`BatchStream.state()`, where batches count as delivered when this has handed them out."""
        state = state_of(self.source) if self._before is None else self._before
        return state.unwrap()

    async def __anext__(self) -> Any:
        if self._threads is None:
            return self._convert(await anext(self.source))
        if self._converting is None:
            before = state_of(self.source)
            batch = await anext(self.source)
            self._before = before
            self._converting = asyncio.wrap_future(self._threads.submit(self._convert, batch))
            del batch
        await ended((self._converting,))
        converting, self._converting, self._before = self._converting, None, None
        return converting.result()

    async def aclose(self) -> None:
        """End this and the stream now. Idempotent; when cancelled it still ends them first."""
        await finish(self._close())

    async def _close(self) -> None:
        if self._converting is not None:
            await ended((self._converting,))
            self._converting = None
        if self._threads is not None:
            self._threads.shutdown(wait=False)
        if hasattr(self.source, "aclose"):
            await self.source.aclose()

    async def _leave(self, error: BaseException | None) -> None:
        await self.aclose()

    def __del__(self) -> None:
        threads = getattr(self, "_threads", None)
        if threads is not None:
            threads.shutdown(wait=False)
