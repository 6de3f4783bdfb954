"""`BatchStream`: the handle by which a user takes batches and ends the stream."""

from __future__ import annotations

from typing import Any, Protocol

from ._aio.tasks import AsyncBatches, warn_of_drop
from ._base.results import Failure, Outcome, Success
from ._streaming.stream_core import StreamCore, StreamPhase


class StreamOwner(Protocol):
    """What ends together with a stream: its core, or a pool that serves only this one."""

    async def close(self) -> None:
        """End, and wait for it."""


class BatchStream(AsyncBatches):
    """Augmented batches, to be taken with `async for`.

    Nothing is read from the source before the first batch is asked for. Results keep the order
    of the source, or come as they are ready (`imap_batches_unordered`). With
    `output_buffer_size=N` at most N batches exist between the source and the consumer, counting
    the one in the consumer's hands.

    An augmenter's exception is raised in its batch's place, and the next request goes on with
    the batch after it; an exception of the source is raised after the batches that came before
    it, and ends the stream. A request that is cancelled or times out loses no batch. Only one
    task may wait for a stream at a time, on the event loop where it began.

    Leaving `async with stream` closes it at once: the source's `finally` has run, in the task or
    thread that iterated it, and nothing runs any more. So does `aclose()`, and leaving the pool.
    A stream that is dropped open, as by `break` in a bare `async for`, warns (`ResourceWarning`)
    and closes itself a moment later.

    Example::

        async with pool.imap_batches(source(), output_buffer_size=8) as stream:
            async for batch in stream:
                await train(batch)
    """

    def __init__(self, core: StreamCore, owner: StreamOwner | None = None) -> None:
        self._core = core
        self._owner: StreamOwner = core if owner is None else owner

    def __repr__(self) -> str:
        core = self._core
        return (
            f"<{type(self).__name__} position={core.tracker.position} "
            f"buffer={core.buffer_size} {core.phase.value}>"
        )

    @property
    def skipped(self) -> tuple[int, ...]:
        """The indices of batches that failed and were left out, so far."""
        return tuple(self._core.tracker.skipped)

    def state(self) -> dict[str, Any]:
        """Where the stream is, to go on from there in another run; at any time, also after its end.

        It is for `imap_batches(source, state=...)`, and ready for JSON. Batches count as delivered
        when they have been handed out, or left out; what was read ahead does not. Raises
        `RuntimeError` if other batches of the same pool were augmented at the same time.
        """
        return self._core.tracker.state()

    def expect_blocked_loop(self) -> None:
        """Have each worker given a second call at once: the loop stands still for long times.

        It is the consumer who makes it do so; `prefetch` calls this where it notices that. It is
        without effect with `timeout`, `maxtasksperchild` and `max_worker_memory`, which apply to
        single calls, and on unordered streams.
        """
        self._core.expect_blocked_loop()

    async def __anext__(self) -> Any:
        try:
            return await self._core.next()
        except StopAsyncIteration:
            await self._owner.close()
            raise

    async def aclose(self) -> None:
        """End the stream now. Idempotent; when cancelled it still ends the stream first.

        Then it waits for what the source has to clean up, but no more than half a second.
        """
        await self._owner.close()

    async def _leave(self, error: BaseException | None) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # Not built fully if __init__ raised.
        core = getattr(self, "_core", None)
        if core is not None and core.phase is StreamPhase.RUNNING and core.home.ours:
            self._drop()
            if core.home.live:  # else it ended with its loop
                warn_of_drop(self, "'async with' or aclose()")

    def _drop(self) -> None:
        """Begin to end the stream, from the `__del__` of what it is part of, which warns."""
        self._core.drop()
        del self._core


def state_of(stream: Any) -> Outcome[dict[str, Any]]:
    """What `stream.state()` returns now, or the error that there is none."""
    try:
        return Success(stream.state())
    except (AttributeError, RuntimeError) as error:
        return Failure(error)
