"""What every engine promises, and the loop that goes on meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time

import aioaug_testing as aug
import numpy as np
import pytest
from aioaug import AsyncPool, ClosedError
from aioaug.engines import InlineEngine, ProcessEngine, ThreadEngine
from aioaug.engines.process.worker_process import context_for
from aioaug.engines.scheduler import Scheduler

ENGINES = {"process": ProcessEngine, "thread": ThreadEngine, "inline": InlineEngine}


@pytest.fixture(params=list(ENGINES))
def make(request):
    return lambda state, workers=2, **options: ENGINES[request.param](
        state, workers=workers, **options
    )


async def test_each_worker_has_its_own_state(make):
    state = aug.Counter()
    async with make(state) as engine:
        counts = await asyncio.gather(*(engine.submit(aug.count) for _ in range(20)))
    assert state.value == 0
    assert 1 in counts
    assert max(counts) >= 10  # twenty calls on at most two workers


async def test_results_and_errors(make):
    async with make(aug.Counter()) as engine:
        assert await engine.submit(aug.add, 1, 2) == 3
        with pytest.raises(ZeroDivisionError):
            await engine.submit(aug.divide_by_zero)
        assert await engine.submit(aug.add, 1, 2) == 3


async def test_its_repr_tells_what_it_is(make):
    engine = make(aug.Counter(), workers=1)
    kind, workers, *details, phase = repr(engine)[1:-1].split()
    method = [f"start_method='{context_for(None).get_start_method()}'"]
    assert kind == type(engine).__name__
    assert workers == "workers=1"
    assert details == (method if kind == "ProcessEngine" else [])
    assert phase == "new"
    async with engine:
        assert repr(engine) == f"<{' '.join([kind, workers, *details])} open>"
    assert repr(engine).endswith(" closed>")


async def test_use_after_close(make):
    engine = make(aug.Counter())
    await engine.aclose()
    await engine.aclose()
    with pytest.raises(ClosedError):
        await engine.submit(aug.add, 1, 2)
    with pytest.raises(ClosedError):
        await engine.start()


@pytest.mark.parametrize("kind", ["process", "thread"])
async def test_close_waits_for_what_is_awaited(kind):
    engine = ENGINES[kind](aug.Counter(), workers=1)
    await engine.start()
    calls = [asyncio.create_task(engine.submit(aug.rest, 0.1)) for _ in range(3)]
    await asyncio.sleep(0.02)
    await engine.aclose()
    assert all(call.done() for call in calls)
    assert await asyncio.gather(*calls) == [0.1] * 3


@pytest.mark.parametrize("kind", ["process", "thread"])
async def test_kill_fails_what_is_awaited(kind):
    may_go_on = threading.Event()  # which only threads can wait for
    work = [aug.rest, 60] if kind == "process" else [lambda state: may_go_on.wait()]
    engine = ENGINES[kind](aug.Counter(), workers=1)
    await engine.start()
    calls = [asyncio.create_task(engine.submit(*work)) for _ in range(3)]
    await asyncio.sleep(0.05)
    started = time.monotonic()
    await engine.aclose(kill=True)
    for call in calls:
        with pytest.raises(ClosedError):
            await call
    assert time.monotonic() - started < aug.SOON
    may_go_on.set()


async def test_kill_fails_large_calls_that_wait_for_a_seat():
    engine = ProcessEngine(aug.Counter(), workers=1)
    await engine.start()
    array = np.zeros(1 << 20, np.uint8)
    calls = [asyncio.create_task(engine.submit(aug.rest_with, array, 1.5)) for _ in range(9)]
    await asyncio.sleep(0.2)
    await engine.aclose(kill=True)
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(result) for result in results} == {ClosedError}
    assert engine.segments[0] == 0


async def test_queued_calls_that_are_cancelled_never_run(tmp_path):
    async with ProcessEngine(aug.Counter(), workers=1) as engine:
        first = asyncio.create_task(engine.submit(aug.rest, 0.3))
        await asyncio.sleep(0.05)
        queued = [
            asyncio.create_task(engine.submit(aug.touch, str(tmp_path / str(number))))
            for number in range(20)
        ]
        await asyncio.sleep(0.05)
        for call in queued:
            call.cancel()
        await first
        await engine.submit(aug.add, 1, 2)
    assert list(tmp_path.iterdir()) == []


async def test_a_thousand_cancels_at_random_points():
    random = np.random.default_rng(0)
    async with ProcessEngine(aug.Counter(), workers=2) as engine:
        for _ in range(40):
            calls = [asyncio.create_task(engine.submit(aug.rest, 0.001)) for _ in range(25)]
            for call in random.permutation(np.array(calls, dtype=object)):
                if random.random() < 0.2:
                    await asyncio.sleep(random.random() * 0.003)
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        scheduler = engine._scheduler
        while scheduler.busy:
            await asyncio.sleep(0.01)
        assert set(scheduler._load.values()) == {0}
        assert not scheduler.wanted
        assert await engine.submit(aug.add, 1, 2) == 3


async def test_a_worker_handed_over_in_the_moment_of_a_cancellation_is_not_lost():
    scheduler = Scheduler()
    scheduler.open(["worker"])
    first, second = scheduler.join(), scheduler.join()
    taken = await scheduler.acquire(first)
    waiting = asyncio.create_task(scheduler.acquire(second))
    await asyncio.sleep(0)
    scheduler.release(first, taken)  # the future is done, but the task has not run yet
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await scheduler.acquire(scheduler.join()) == "worker"


def test_fork_is_refused():
    with pytest.raises(ValueError, match="forkserver"):
        context_for("fork")


@pytest.mark.parametrize("engine", ["process", "thread"])
async def test_the_loop_ticks_while_batches_flow(engine):
    """Large batches are pickled, moved and unpickled while a ticker goes on."""
    batches = [np.zeros((32, 224, 224, 3), np.uint8)] * 12
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    async with AsyncPool(aug.nothing, processes=2, engine=engine) as pool:
        ticker = asyncio.create_task(tick())
        async for _ in pool.imap_batches(batches, output_buffer_size=4):
            pass
        ticker.cancel()
    # A loop that pickled or copied by itself would get about one turn a batch.
    assert ticks > 20 * len(batches)


async def test_blocking_calls_would_be_noticed(no_blocking_calls):
    # The fixture watches the frames of aioaug: run the very check through one of its modules.
    from aioaug._base import system
    from blockbuster import BlockingError

    with pytest.raises(BlockingError):
        system.memory()


def test_threads_end_with_their_executor():
    from aioaug._base.threads import DaemonExecutor

    executor = DaemonExecutor(2, "test")
    assert [future.result() for future in [executor.submit(pow, 2, n) for n in range(9)]] == [
        2**n for n in range(9)
    ]
    assert threading.active_count() >= 2
    executor.shutdown()
    with pytest.raises(RuntimeError):
        executor.submit(pow, 2, 2)


def test_dropped_calls_are_cancelled():
    from aioaug._base.threads import DaemonExecutor

    executor = DaemonExecutor(1, "test")
    release = threading.Event()
    running = executor.submit(release.wait)
    queued = executor.submit(pow, 2, 2)
    while not running.running():
        time.sleep(0.001)
    executor.shutdown(wait=False, cancel_futures=True)
    assert queued.cancelled()
    release.set()
    assert running.result()
