"""What every engine has to keep, one check for each promise."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import aioaug
import imgaug.augmenters as iaa
import numpy as np

from ..engines import Engine
from ..errors import ClosedError, ConformanceError, RemoteError, TransportError, WorkerDied
from . import calls

Make = Callable[..., Engine]
Check = Callable[[Make], Awaitable[None]]

# Seconds that a call takes which others are to meet while it runs.
_WHILE = 0.3
_WORKERS = 2
_SLOW = 255  # the level of a batch that takes that long


def expect(kept: object, promise: str) -> None:
    """Raise `ConformanceError` unless a promise was kept."""
    if not kept:
        raise ConformanceError(promise)


@contextmanager
def raising(kind: type[BaseException], promise: str) -> Iterator[None]:
    """Expect an error of this kind, and no other one, out of the block."""
    try:
        yield
    except kind:
        return
    except BaseException as error:
        raise ConformanceError(f"{promise}; it raised {error!r}") from error
    raise ConformanceError(f"{promise}; it raised nothing")


def _new(make: Make) -> Engine:
    return make(calls.Tally(), workers=_WORKERS)


async def building_starts_nothing(make: Make) -> None:
    """An engine that was built can be closed without having started anything."""
    engine = _new(make)
    expect(not engine.started, "an engine that was only built has not started")
    await engine.aclose()
    await engine.aclose()
    expect(not engine.started, "an engine that was closed unused has started nothing")


async def starting_is_idempotent(make: Make) -> None:
    """`start` may be awaited again, and a call starts the engine if nobody else did."""
    async with _new(make) as engine:
        await engine.start()
        expect(engine.started, "after start() an engine says that it has started")
        expect(engine.workers >= 1, "an engine that has started has workers")
    engine = _new(make)
    expect(await engine.submit(calls.add, 1, 2) == 3, "a call starts the engine by itself")
    await engine.aclose()


async def values_come_back(make: Make) -> None:
    """Arguments and results of many kinds and sizes arrive as they were."""
    values: list[Any] = [
        None,
        {"labels": [1, 2], "path": "a"},
        np.arange(5),
        np.zeros((0, 4, 4, 3), np.uint8),
        np.arange(1 << 21, dtype=np.float32).reshape(2, -1)[:, ::2],
        np.asfortranarray(np.arange(24.0).reshape(4, 6)),
        [np.full((300, 300, 3), number, np.uint8) for number in range(4)],
    ]
    async with _new(make) as engine:
        for value in values:
            got = await engine.submit(calls.give_back, value)
            same = all(map(_equal, got, value)) if isinstance(value, list) else _equal(got, value)
            expect(same, f"a value comes back as it was: {type(value).__name__}")
        array = np.zeros((64, 64, 3), np.uint8)
        got = await engine.submit(calls.overwrite, array)
        expect(not array.any(), "what is passed in stays unchanged")
        expect(got.min() == 255, "a result is what the function returned")
        expect(got.flags.writeable, "arrays in results can be written to")


def _equal(got: Any, wanted: Any) -> bool:
    if not isinstance(wanted, np.ndarray):
        return bool(got == wanted)
    return got.dtype == wanted.dtype and got.shape == wanted.shape and bool((got == wanted).all())


async def errors_come_back(make: Make) -> None:
    """An error is raised to whoever awaits the call, and costs no other call anything."""
    async with _new(make) as engine:
        with raising(LookupError, "the function's own error is raised to the caller"):
            await engine.submit(calls.fail, "no such thing")
        for kind in ("StopIteration", "SystemExit", "CancelledError"):
            with raising(RemoteError, f"RemoteError stands for a {kind} of the function"):
                await engine.submit(calls.mislead, kind)
        try:
            await engine.submit(calls.return_stubborn)
        except TransportError:
            pass  # where results are pickled; others return the object itself
        except Exception as error:
            message = f"a result that cannot be pickled is a TransportError; it raised {error!r}"
            raise ConformanceError(message) from error
        expect(await engine.submit(calls.add, 1, 2) == 3, "an engine goes on after errors")


async def states_are_separate(make: Make) -> None:
    """Each worker has its own copy of the state, and nobody changes the one that was given."""
    state = calls.Tally()
    async with make(state, workers=_WORKERS) as engine:
        counts = await asyncio.gather(*(engine.submit(calls.count) for _ in range(12)))
        expect(state.calls == 0, "the state that was passed in is left alone")
        expect(1 in counts, "a worker begins with a fresh copy of the state")


async def states_have_one_call_at_a_time(make: Make) -> None:
    """A copy of the state has one call at a time: augmenters may not be used by two threads."""
    async with _new(make) as engine:
        alone = await asyncio.gather(*(engine.submit(calls.stay, 0.01) for _ in range(8)))
        expect(all(alone), "one copy of the state has one call at a time")


async def calls_are_begun_once(make: Make) -> None:
    """`begun` is called once for each call that comes to an end, and before its result is there."""
    begun: list[int] = []
    async with _new(make) as engine:
        for number in range(6):
            await engine.submit(calls.add, number, 0, begun=partial(begun.append, number))
            expect(begun == list(range(number + 1)), "begun() is called when a worker is there")


async def closing_waits(make: Make) -> None:
    """`aclose` waits for calls that somebody awaits."""
    engine = _new(make)
    await engine.start()
    waiting = [asyncio.create_task(engine.submit(calls.stay, 0.05)) for _ in range(6)]
    await _a_few_turns()
    await engine.aclose()
    done = all(task.done() for task in waiting)
    results = await asyncio.gather(*waiting, return_exceptions=True)
    expect(done, "aclose() waits for calls that are awaited")
    expect(all(result is True for result in results), "calls that were waited for have results")


async def closed_engines_refuse(make: Make) -> None:
    """After `aclose`, which may come again, there are only `ClosedError`s."""
    engine = _new(make)
    await engine.submit(calls.add, 1, 2)
    await engine.aclose()
    for again in (engine.start, lambda: engine.submit(calls.add, 1, 2)):
        with raising(ClosedError, "a closed engine raises ClosedError"):
            await again()
    await engine.aclose(kill=True)


async def cancelling_drops_calls(make: Make) -> None:
    """A cancelled call raises `CancelledError` at once, and the engine goes on."""
    async with _new(make) as engine:
        waiting = [asyncio.create_task(engine.submit(calls.stay, 1.0)) for _ in range(6)]
        await asyncio.wait(waiting, timeout=_WHILE / 6)
        for task in waiting:
            task.cancel()
        done, late = await asyncio.wait(waiting, timeout=1.5)
        expect(not late, "a cancelled call is over at once, whatever its worker does")
        expect(all(task.cancelled() for task in done), "a cancelled call raises CancelledError")
        got = await asyncio.gather(*(engine.submit(calls.add, n, 0) for n in range(8)))
        expect(got == list(range(8)), "an engine goes on after cancellations")


async def killing_is_quick(make: Make) -> None:
    """`aclose(kill=True)` waits for no call; each of them raises `ClosedError`."""
    engine = _new(make)
    await engine.start()
    waiting = [asyncio.create_task(engine.submit(calls.stay, _WHILE / 3)) for _ in range(20)]
    await _a_few_turns()
    await engine.aclose(kill=True)
    results = await asyncio.gather(*waiting, return_exceptions=True)
    closed = [result for result in results if isinstance(result, ClosedError)]
    expect(len(closed) > len(results) // 2, "aclose(kill=True) fails calls with ClosedError")


async def deaths_cost_one_call(make: Make) -> None:
    """A worker that dies costs the call that it had `WorkerDied`, and no other one anything."""
    async with _new(make) as engine:
        with raising(WorkerDied, "the death of a worker is WorkerDied"):
            await engine.submit(calls.end_worker)
        got = await asyncio.gather(*(engine.submit(calls.add, n, 0) for n in range(8)))
        expect(got == list(range(8)), "an engine goes on after the death of a worker")


async def pools_give_the_same(make: Make) -> None:
    """A pool on the engine gives the bytes of every other pool with its seed."""
    augmenter = iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-20, 20)), iaa.Dropout(0.1)])
    batches = [np.full((2, 24, 32, 3), 10 * number, np.uint8) for number in range(12)]
    async with aioaug.AsyncPool(augmenter, seed=7, engine="inline") as pool:
        wanted = await pool.map_batches(batches)
    async with aioaug.AsyncPool(augmenter, seed=7, engine=make) as pool:
        got = await pool.map_batches(batches)
    expect(all(map(_equal, got, wanted)), "a list has the bytes of the inline engine")
    async with (
        aioaug.AsyncPool(augmenter, seed=7, engine=make) as pool,
        pool.imap_batches(iter(batches), chunksize=2, output_buffer_size=6) as stream,
    ):
        got = [batch async for batch in stream]
    expect(all(map(_equal, got, wanted)), "a stream in chunks has the bytes of the inline engine")


async def streams_may_be_left(make: Make) -> None:
    """A stream that its consumer leaves early costs the next one nothing."""
    batches = [np.full((2, 8, 8, 3), number, np.uint8) for number in range(6)]
    slow = [np.full((2, 8, 8, 3), _SLOW, np.uint8)] * 20
    async with aioaug.AsyncPool(_darkened, seed=1, engine=make) as pool:
        left = iter([batches[0], *slow])  # while calls are under way
        async with pool.imap_batches(left, output_buffer_size=8) as stream:
            async for batch in stream:
                expect(not batch.any(), "the first batch of a stream comes first")
                break
        got = await pool.map_batches(batches)
    wanted = [_darkened(batch) for batch in batches]
    expect(all(map(_equal, got, wanted)), "what comes after a stream that was left is right")


def _darkened(batch: Any) -> Any:
    if batch[0, 0, 0, 0] == _SLOW:
        threading.Event().wait(_WHILE)
    return batch // 2


async def _a_few_turns() -> None:
    for _ in range(5):
        await asyncio.wait([asyncio.get_running_loop().create_task(_nothing())])


async def _nothing() -> None:
    pass


EVERY: tuple[Check, ...] = (
    building_starts_nothing,
    starting_is_idempotent,
    values_come_back,
    errors_come_back,
    states_are_separate,
    calls_are_begun_once,
    closed_engines_refuse,
    pools_give_the_same,
    streams_may_be_left,
)
# For engines that leave the event loop free while a call runs.
BESIDE_THE_LOOP: tuple[Check, ...] = (
    states_have_one_call_at_a_time,
    closing_waits,
    cancelling_drops_calls,
    killing_is_quick,
)
# For those whose workers are processes.
IN_PROCESSES: tuple[Check, ...] = (deaths_cost_one_call,)
