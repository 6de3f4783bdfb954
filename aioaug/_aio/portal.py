"""An event loop in a thread of its own, for callers in other threads."""

from __future__ import annotations

import _thread
import asyncio
import importlib.util
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, Generic, TypeVar

from .._base.interrupts import Answer
from .._base.results import Failure, Outcome, Success
from .._base.threads import start_thread
from ..errors import ClosedError

T = TypeVar("T")

CLOSED = "what needed the event loop was closed"
_FROM_A_CALLBACK = (
    "this was called from the event loop thread, which would wait for itself: callbacks must not "
    "call what blocks"
)


class PortalCall(Generic[T]):
    """A piece of work on the loop for another thread; `done` is called once with its outcome.

    It may be called in any thread.
    """

    def __init__(
        self,
        portal: Portal,
        work: Callable[[], Awaitable[T]],
        done: Callable[[Outcome[T]], object],
    ) -> None:
        self._portal = portal
        self._work: Callable[[], Awaitable[T]] | None = work
        self._done = done
        self._task: asyncio.Task[None] | None = None
        self._over = False

    def cancel(self) -> None:
        """Cancel the work, from any thread, whether it has begun or not, or has ended."""
        self._portal.tell(self._drop)

    def begin(self) -> None:
        """Begin, on the loop."""
        if not self._over:
            self._task = asyncio.get_running_loop().create_task(self._run())
            # A task that is cancelled before its first step never comes to the end of `_run`.
            self._task.add_done_callback(lambda _: self.end(Failure(CancelledError())))

    def end(self, outcome: Outcome[T]) -> None:
        """Call `done`, the first time that this is called."""
        if not self._over:
            self._over = True
            self._portal.calls.pop(self, None)
            done, self._done = self._done, _ignore
            self._work = None
            # Only now, as `done` may look whether what was given to this call has been dropped.
            done(outcome)

    def _drop(self) -> None:
        if self._task is None:
            self.end(Failure(CancelledError()))
        else:
            self._task.cancel()

    async def _run(self) -> None:
        outcome: Outcome[T]
        if self._work is None:
            return
        try:
            outcome = Success(await self._work())
        except asyncio.CancelledError:
            outcome = Failure(CancelledError())
        except BaseException as error:  # of any kind: it is not the loop's business
            outcome = Failure(error)
        try:
            self.end(outcome)
        finally:
            del outcome  # an exception would keep itself alive, by way of its traceback


class Portal:
    """The loop. Building it starts the thread and waits until the loop runs.

    What the main thread calls here takes no lock, see `interrupts`.
    """

    def __init__(self) -> None:
        self.calls: dict[PortalCall[Any], None] = {}  # those that have not ended
        # What works here for others, by its `id`. Dropped in a cycle together with its user, it
        # would be finalized in any order: its parts would warn, and its coroutines be closed where
        # no loop runs. At the exit it stays here for ever, as this is held by a daemon thread.
        self.held: dict[int, object] = {}
        self._loop: asyncio.AbstractEventLoop
        self._refusal: str | None = None  # the reason, once no calls are taken any more
        self._leaving = asyncio.Event()
        self._ready: Answer[None] = Answer()
        self._thread = start_thread(self._live, name="aioaug-portal")
        self._ready.get()

    def submit(self, call: PortalCall[Any]) -> None:
        """Begin a call; it ends there, or when the loop does."""
        self.calls[call] = None
        self.tell(call.begin)
        # `_refuse` sets the reason first, and then ends all calls in `calls`. So this one is ended
        # there, or sees the reason here.
        if self._refusal is not None:
            call.end(Failure(ClosedError(self._refusal)))

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run `work` on the loop and wait for it; if the wait is interrupted, it is cancelled."""
        if asyncio._get_running_loop() is self._loop:
            raise RuntimeError(_FROM_A_CALLBACK)
        answer: Answer[T] = Answer()
        call = PortalCall(self, work, answer.give)
        try:
            self.submit(call)
            return answer.get()
        except BaseException:
            if answer.outcome is None:
                # This is one step of the interpreter, which a second interrupt cannot prevent.
                _thread.start_new_thread(call.cancel, ())
            raise
        finally:
            del answer, call

    def tell(self, callback: Callable[[], object]) -> None:
        """Have the loop call something; without effect when it is closed."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback)

    def close(self) -> None:
        """End the loop when the calls under way have ended, and wait for that."""
        self.tell(self._leaving.set)
        if asyncio._get_running_loop() is not self._loop:
            self._thread.join()

    def freeze(self, reason: str) -> None:
        """Have the loop do nothing any more, for ever; calls end with `ClosedError`."""
        self._refusal = reason
        reached: Answer[None] = Answer()
        self.tell(lambda: _wait_for_ever(reached))
        reached.get()
        self._refuse(reason)

    def _refuse(self, reason: str) -> None:
        self._refusal = reason
        for call in tuple(self.calls):
            call.end(Failure(ClosedError(reason)))

    def _live(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_fastest()) as runner:
                self._loop = runner.get_loop()
                runner.run(self._serve())
        except BaseException as error:
            if self._ready.outcome is not None:
                raise
            self._ready.give(Failure(error))
        finally:
            self._refuse(CLOSED)

    async def _serve(self) -> None:
        self._ready.give(Success(None))
        await self._leaving.wait()
        while tasks := [call._task for call in tuple(self.calls) if call._task is not None]:
            await asyncio.wait(tasks)
        self._refuse(CLOSED)


def _ignore(outcome: Outcome[Any]) -> None:
    """The `done` of a call that has ended."""


def _fastest() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _wait_for_ever(reached: Answer[None]) -> None:
    """Block the loop for ever. Its tasks are not dropped meanwhile, of which asyncio would warn."""
    tasks = asyncio.all_tasks()
    reached.give(Success(None))
    threading.Event().wait()
    del tasks
