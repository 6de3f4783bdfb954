"""`prefetch`: the next batches of a stream are fetched while the body of a loop works on one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator
from contextlib import suppress
from time import perf_counter
from typing import Any, NamedTuple

from ._aio.loops import LoopOwner
from ._aio.tasks import AsyncBatches, drop_tasks, ended, finish, forget_cancellation
from ._base.arguments import check_async_iterator, whole
from ._base.results import Failure, Outcome, Success
from .errors import ClosedError
from .streams import BatchStream, state_of

# From the bytes that a worker sent to its next batch on the way there are so many turns of the
# loop. They are given to it before a body that blocks it, so that workers have work meanwhile.
_TURNS = 4
# A body that took longer than this, in seconds, and gave the loop no turn, blocks it.
_BLOCKED = 0.001


def prefetch(stream: Any, n: int = 1) -> PrefetchedStream:
    """The batches of a stream, of which `n` more are fetched while the loop's body runs.

    Order, errors and the end are those of the stream. It is closed together with what this
    returns, which is read, left and closed as a `BatchStream` is. Up to `n` batches exist
    beside those that `output_buffer_size` allows. A request that is cancelled loses no batch.

    A body that blocks the event loop, such as a training step that is called without a thread,
    is noticed after its first time. From then on the loop has some turns before each body, and
    each worker is given a second call, so that it does not have to wait for the loop.

    Args:
        stream: a `BatchStream`, what `arrays` or `aioaug.torch.tensors` returned, or any other
            async iterator.
        n: how many batches, at least 1.

    Raises:
        TypeError: `stream` is not async.
        ValueError: `n` is out of range.

    Example::

        async with aioaug.prefetch(pool.imap_batches(source)) as batches:
            async for batch in batches:
                step(batch)
    """
    return PrefetchedStream(stream, n)


class _Fetched(NamedTuple):
    outcome: Outcome[Any]
    state: Outcome[dict[str, Any]]


class _Turn:
    def __await__(self) -> Generator[None]:
        yield


class _Fetcher:
    """Fetches batches until there are `n`. It does not refer to the handle of the user."""

    def __init__(self, stream: Any, n: int) -> None:
        self.stream = stream
        self.ready: deque[_Fetched] = deque()
        self.over = False
        self._n = n
        self.task: asyncio.Task[None] | None = None

    def go_on(self) -> None:
        """Fetch, unless there are enough."""
        running = self.task is not None and not self.task.done()
        if not running and not self.over and len(self.ready) < self._n:
            self.task = asyncio.create_task(self._fetch())

    async def _fetch(self) -> None:
        while not self.over and len(self.ready) < self._n:
            outcome: Outcome[Any]
            try:
                outcome = Success(await anext(self.stream))
            except StopAsyncIteration:
                self.over = True
                return
            except Exception as error:
                outcome = Failure(error)
                self.over = isinstance(error, ClosedError)
            self.ready.append(_Fetched(outcome, state_of(self.stream)))


class PrefetchedStream(AsyncBatches):
    """What `prefetch` returns: batches, to be taken with `async for`."""

    def __init__(self, stream: Any, n: int = 1) -> None:
        check_async_iterator("stream", stream)
        self._fetcher = _Fetcher(stream, whole("n", n, low=1))
        self._home = LoopOwner(type(self).__name__)
        self._state: Outcome[dict[str, Any]] | None = None
        self._handed = 0.0
        self._body_blocks = False
        self._turned = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._fetcher.stream!r}>"

    def state(self) -> dict[str, Any]:
        """`BatchStream.state()` as it was when the last batch was handed out.

        So batches that were fetched, but not handed out, come again in a stream that goes on.
        """
        state = state_of(self._fetcher.stream) if self._state is None else self._state
        return state.unwrap()

    async def __anext__(self) -> Any:
        fetcher = self._fetcher
        if self._home.claim():  # the loop of the task was closed
            drop_tasks((fetcher.task,))
            fetcher.task = None
        self._note_blocked()
        while not fetcher.ready:
            if fetcher.over:
                raise StopAsyncIteration
            fetcher.go_on()
            await ended([fetcher.task] if fetcher.task is not None else ())
            self._take_cancellation(fetcher)
        if self._state is None:
            self._state = state_of(fetcher.stream)
        fetched = fetcher.ready.popleft()
        fetcher.go_on()
        if self._body_blocks:
            for _ in range(_TURNS):
                await _Turn()
        self._state = fetched.state
        self._handed, self._turned = perf_counter(), False
        asyncio.get_running_loop().call_soon(self._turn)
        return fetched.outcome.unwrap()

    async def aclose(self) -> None:
        """End this and the stream now. Idempotent; when cancelled it still ends them first."""
        await finish(self._close())

    async def _close(self) -> None:
        fetcher = self._fetcher
        fetcher.over = True
        fetcher.ready.clear()
        if fetcher.task is not None and not fetcher.task.done():
            fetcher.task.cancel()
            await ended((fetcher.task,))
            forget_cancellation(fetcher.task)
        if hasattr(fetcher.stream, "aclose"):
            await fetcher.stream.aclose()

    async def _leave(self, error: BaseException | None) -> None:
        await self.aclose()

    def _turn(self) -> None:
        self._turned = True

    def _note_blocked(self) -> None:
        """Notice a body that gave the loop no turn."""
        if self._turned or self._body_blocks or perf_counter() - self._handed < _BLOCKED:
            return
        self._body_blocks = True
        stream = self._fetcher.stream
        while isinstance(stream, AsyncBatches) and not isinstance(stream, BatchStream):
            stream = getattr(stream, "source", None)
        if isinstance(stream, BatchStream):
            stream.expect_blocked_loop()

    @staticmethod
    def _take_cancellation(fetcher: _Fetcher) -> None:
        """What cancels the fetching from outside, such as the end of the loop, ends the stream."""
        if fetcher.task is not None and fetcher.task.cancelled():
            forget_cancellation(fetcher.task)
            fetcher.over = True
            raise ClosedError("the stream's work was cancelled from outside")

    def __del__(self) -> None:
        fetcher = getattr(self, "_fetcher", None)
        if fetcher is not None and fetcher.task is not None and not fetcher.task.done():
            with suppress(RuntimeError):  # the loop is closed
                fetcher.task.get_loop().call_soon_threadsafe(fetcher.task.cancel)
                return
            drop_tasks((fetcher.task,))
