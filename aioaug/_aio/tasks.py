"""Small asyncio tools that the engines, streams and pools share."""

from __future__ import annotations

import asyncio
import contextvars
import warnings
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

import anyio

from .._base.interrupts import start_aside
from .._base.threads import DaemonExecutor
from ..errors import LimitError

T = TypeVar("T")

# `close` raises where a coroutine awaits something in its clean-up, which then has not ended yet.
_MOST_CLOSES = 10

_principal: contextvars.ContextVar[asyncio.Task[Any] | None] = contextvars.ContextVar(
    "aioaug-principal", default=None
)


class AsyncResource:
    """`async with` for everything that has to end; `_leave` gets the exception of the body."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._leave(error)

    async def _leave(self, error: BaseException | None) -> None:
        raise NotImplementedError

    def __enter__(self) -> NoReturn:
        raise TypeError(
            f"{_called(self)} is entered by 'async with'; a program without an event loop uses the "
            "classes of aioaug.blocking"
        )

    def __exit__(self, *_: object) -> None:
        """It is never called, but Python looks for it before it calls `__enter__`."""


class AsyncBatches(AsyncResource):
    """Batches that are read with `async for`."""

    def __aiter__(self) -> Self:
        return self

    def __iter__(self) -> NoReturn:
        raise TypeError(
            f"{_called(self)} is read by 'async for'; a program without an event loop uses the "
            "classes of aioaug.blocking"
        )

    def __await__(self) -> NoReturn:
        raise TypeError(
            f"{_called(self)} is not awaited: its batches are read by 'async for batch in ...', or "
            "one by one by 'await anext(...)'"
        )


def running_loop(thing: str) -> asyncio.AbstractEventLoop:
    """The running event loop; without one, `RuntimeError` says what `thing` needs."""
    loop = asyncio._get_running_loop()
    if loop is None:
        raise RuntimeError(
            f"{thing} needs a running event loop of asyncio: use aioaug.blocking in a program "
            "without one, and the asyncio backend of anyio instead of trio"
        )
    return loop


def acting() -> asyncio.Task[Any] | None:
    """The running task, or the one that a `deputy` works for."""
    principal = _principal.get()
    return asyncio.current_task() if principal is None or principal.done() else principal


def deputy(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task that does `work` for the one that runs now, which waits for it.

    What must not wait for the task that it runs in has to compare it with `acting()`, and not with
    the current task, which may be a deputy.
    """
    context = contextvars.copy_context()
    try:
        context.run(_principal.set, acting())
        return asyncio.get_running_loop().create_task(work, context=context)
    except RuntimeError:
        # The clean-up of what a closed loop left behind gets here, and no loop takes this any more.
        work.close()
        raise


class Visitors:
    """Tasks that are in the middle of using something, which waits for them before it ends."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any] | None, int] = {}
        self._one_left = asyncio.Event()

    def enter(self) -> asyncio.Task[Any] | None:
        """Count in the task that runs now; `leave` has to follow."""
        task = acting()
        self._tasks[task] = self._tasks.get(task, 0) + 1
        return task

    def leave(self, task: asyncio.Task[Any] | None) -> None:
        """This task has come to the end."""
        self._tasks[task] -= 1
        if not self._tasks[task]:
            del self._tasks[task]
            self._one_left.set()

    async def gone(self, *, but: asyncio.Task[Any] | None) -> None:
        """Wait until all have left, except the one that waits here itself."""
        while any(task is not but for task in self._tasks):
            self._one_left.clear()
            await self._one_left.wait()


async def finish(work: Coroutine[Any, Any, T], *, patience: float | None = None) -> T:
    """Run `work` to its end even if the caller is cancelled meanwhile, then let that through.

    For clean-up that is short and must not stay half done. If it may wait for what others do,
    `patience` is how many seconds a cancelled caller waits for it, before `work` is cancelled too.
    """
    task = deputy(work)
    with dropped_with_their_loop(task):
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            await _persist(task, patience)
            failure = task.exception() if task.done() and not task.cancelled() else None
            raise error from failure
    return task.result()


async def _persist(task: asyncio.Task[Any], patience: float | None) -> None:
    """Wait for a task whatever cancels the wait; after so many seconds cancel it, too."""
    loop = asyncio.get_running_loop()
    end = None if patience is None else loop.time() + patience
    # The shield is for anyio's scopes, which cancel again and again; the loop for asyncio's.
    with anyio.CancelScope(shield=True):
        while not task.done():
            left = None if end is None else end - loop.time()
            if left is not None and left <= 0:
                task.cancel()
                return
            with suppress(asyncio.CancelledError):
                await asyncio.wait((task,), timeout=left)


@contextmanager
def dropped_with_their_loop(*tasks: asyncio.Task[Any]) -> Iterator[None]:
    """Drop tasks along with the coroutine that waits for them in the block.

    That one is closed where it stands when its loop was closed before it had ended.
    """
    try:
        yield
    except GeneratorExit:
        drop_tasks(task for task in tasks if task.get_loop().is_closed())
        raise


def drop_tasks(tasks: Iterable[asyncio.Future[Any] | None]) -> None:
    """Drop tasks of a closed loop, so that asyncio does not warn of them, and cancel all others.

    Not to be called where a loop runs. Tasks of a closed one cannot take another step, so their
    clean-up runs here, as far as it awaits nothing.
    """
    for task in tasks:
        if not isinstance(task, asyncio.Task) or task.done():
            continue
        with suppress(RuntimeError):  # it is closed
            task.get_loop().call_soon_threadsafe(task.cancel)
            continue
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        coroutine: Any = task.get_coro()
        for _ in range(_MOST_CLOSES):
            with suppress(BaseException):
                coroutine.close()
                break


def forget_cancellation(task: asyncio.Task[Any]) -> None:
    """Take the error out of a task that was cancelled, which keeps it.

    By its traceback it keeps alive all that ran in the task, and, when `asyncio.run` cancelled it
    on Python 3.12, that keeps the task alive in turn.
    """
    with suppress(asyncio.CancelledError):
        task.exception()


async def together(work: Iterable[Coroutine[Any, Any, Any] | asyncio.Task[Any]]) -> None:
    """Run all at once. If one fails, or the caller is cancelled, end the others before going on."""
    tasks = [asyncio.ensure_future(each) for each in work]
    with dropped_with_their_loop(*tasks):
        try:
            await asyncio.gather(*tasks)
        except (Exception, asyncio.CancelledError):
            for task in tasks:
                task.cancel()
            await finish(settled(tasks))
            raise


async def settled(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Wait until tasks have ended, and take what they raised, of which asyncio would tell else."""
    await asyncio.gather(*tasks, return_exceptions=True)


async def ended(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Wait until tasks have ended, however. Those that have may belong to a loop that is gone."""
    running = [task for task in tasks if not task.done()]
    if running:
        await asyncio.wait(running)


async def in_thread(fn: Callable[..., T], *args: Any) -> T:
    """Run a blocking call in a thread of its own, for waits on the operating system.

    Cancelled, it leaves the thread to finish by itself. `LimitError` if there is no thread.
    """
    return await asyncio.wrap_future(begin_in_thread(fn, *args))


async def end_in_thread(fn: Callable[..., T], *args: Any, here: Callable[[], T] | None = None) -> T:
    """`in_thread` for what ends something, and has to be called even if there is no thread.

    Without a thread, `here`, or else the call itself, is made on the event loop. That stands still
    meanwhile, but no processes and threads are left behind.
    """
    try:
        ending = begin_in_thread(fn, *args)
    except LimitError:
        return fn(*args) if here is None else here()
    return await asyncio.wrap_future(ending)


def end_aside(fn: Callable[..., object], *args: Any) -> None:
    """Have a thread call what ends something that was dropped, and do not wait for it.

    If there is no thread, it is called here, but not where an event loop runs: it may wait for that
    loop. Then it is not called, and `LimitError` is raised; the exit of the program ends the rest.
    """
    try:
        start_aside(fn, *args, name="aioaug-dispose")
    except LimitError:
        if asyncio._get_running_loop() is not None:
            raise
        fn(*args)


def begin_in_thread(fn: Callable[..., T], *args: Any) -> Future[T]:
    """Begin what `in_thread` waits for; `LimitError` if there is no thread."""
    thread = DaemonExecutor(1, "aioaug-wait")
    try:
        return thread.submit(fn, *args)
    finally:
        thread.shutdown(wait=False)


def notify(
    done: asyncio.Future[T],
    callback: Callable[[T], object] | None,
    error_callback: Callable[[BaseException], object] | None,
) -> None:
    """Call `callback` with the result of `done`, or `error_callback` with its exception.

    If it was cancelled, neither is called.
    """
    if done.cancelled():
        return
    error = done.exception()
    if error is None and callback is not None:
        callback(done.result())
    elif error is not None and error_callback is not None:
        error_callback(error)


def warn_of_drop(
    thing: object, leave_by: str = "'with', or end it", *, name: str | None = None
) -> None:
    """Warn, from its `__del__`, that something was dropped that has to be ended.

    `name` is what users know it by, if that is not its class.
    """
    warnings.warn(
        f"{_called(thing, name)} was dropped while it was open; leave it by {leave_by}",
        ResourceWarning,
        source=thing,
        stacklevel=3,
    )


def _called(thing: object, name: str | None = None) -> str:
    """What users know it by, with an article."""
    name = name or type(thing).__name__
    return f"an {name}" if name[0] in "AEIOU" else f"a {name}"
