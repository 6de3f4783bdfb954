"""BatchStream: bound, order, laziness, early exit and cancellation."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import time
import weakref

import aioaug_testing as aug
import anyio
import pytest
from aioaug import AsyncPool, ClosedError

WORKERS = 2


class Source:
    """Counts what was pulled and whether, and where, its `finally` ran."""

    def __init__(self, count=100, pause=0.0):
        self.count = count
        self.pause = pause
        self.loaded = 0
        self.closed = False
        self.tasks = set()

    def sync(self):
        try:
            for number in range(self.count):
                self.loaded += 1
                yield number
        finally:
            self.closed = True

    async def asynchronous(self):
        try:
            for number in range(self.count):
                self.loaded += 1
                self.tasks.add(asyncio.current_task())
                await asyncio.sleep(self.pause)
                yield number
        finally:
            self.tasks.add(asyncio.current_task())
            self.closed = True

    def open(self, kind):
        return self.sync() if kind == "sync" else self.asynchronous()


@pytest.fixture(params=["sync", "async"])
def kind(request):
    return request.param


@pytest.fixture(params=["process", "thread", "inline"])
async def pool(request):
    async with AsyncPool(aug.nothing, processes=WORKERS, engine=request.param) as pool:
        yield pool


async def settle():
    """Have everything happen that could happen by now."""
    for _ in range(20):
        await asyncio.sleep(0.005)


async def until(condition):
    """Wait for what has to come, however long it takes; the test's own limit ends it."""
    while not condition():
        await asyncio.sleep(0.005)


async def test_nothing_is_loaded_before_the_first_request(pool, kind):
    source = Source()
    async with pool.imap_batches(source.open(kind), output_buffer_size=3) as stream:
        await settle()
        assert source.loaded == 0
        assert await anext(stream) == 0
        assert source.loaded >= 1


@pytest.mark.parametrize("chunksize", [1, 3, 8, None])
@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.pairwise
async def test_the_buffer_is_a_strict_bound(pool, kind, size, chunksize):
    source = Source(count=24)
    got = 0
    async with pool.imap_batches(source.open(kind), chunksize, size) as stream:
        async for number in stream:
            assert number == got
            if got in (0, 7):
                full = min(got + size, source.count)
                await until(lambda full=full: source.loaded == full)  # it is used in full
                await settle()
            assert source.loaded <= got + size
            got += 1
    assert got == source.count
    assert source.closed


@pytest.mark.parametrize("size", [None, 0])
async def test_no_bound_loads_everything(pool, size):
    source = Source(count=40)
    async with pool.imap_batches(source.asynchronous(), output_buffer_size=size) as stream:
        await anext(stream)
        while source.loaded < 40:
            await settle()
        assert [number async for number in stream] == list(range(1, 40))


async def test_ordered_waits_and_unordered_does_not():
    async with AsyncPool(aug.first_is_slow, processes=2) as pool:
        assert [n async for n in pool.imap_batches(range(6))] == list(range(6))
        unordered = [n async for n in pool.imap_batches_unordered(range(6))]
        assert unordered[-1] == 0
        assert sorted(unordered) == list(range(6))


async def test_an_ended_stream_stays_ended(pool):
    stream = pool.imap_batches(iter([1, 2]))
    assert [n async for n in stream] == [1, 2]
    assert [n async for n in stream] == []
    await stream.aclose()
    await stream.aclose()


async def test_empty_source(pool, kind):
    source = Source(count=0)
    assert [n async for n in pool.imap_batches(source.open(kind))] == []
    assert source.closed


async def test_a_list_may_be_streamed_twice(pool):
    numbers = [1, 2, 3]
    for _ in range(2):
        assert [n async for n in pool.imap_batches(numbers)] == numbers


class Stop(Exception):
    pass


async def _leave_by_break(stream, at):
    async with stream:
        async for number in stream:
            if number == at:
                break


async def _leave_by_exception(stream, at):
    with pytest.raises(Stop):
        async with stream:
            async for number in stream:
                if number == at:
                    raise Stop


async def _leave_by_cancel(stream, at):
    reached = asyncio.Event()

    async def consume():
        async with stream:
            async for number in stream:
                if number == at:
                    reached.set()
                    await asyncio.sleep(60)

    task = asyncio.create_task(consume())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _leave_by_timeout(stream, at):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as limit, stream:
            async for number in stream:
                if number == at:
                    limit.reschedule(asyncio.get_running_loop().time())
                    await asyncio.sleep(60)


async def _leave_by_anyio_scope(stream, at):
    with anyio.CancelScope() as scope:
        async with stream:
            async for number in stream:
                if number == at:
                    scope.cancel()
                    await anyio.sleep(60)
    assert scope.cancelled_caught


LEAVE = {
    "break": _leave_by_break,
    "exception": _leave_by_exception,
    "cancel": _leave_by_cancel,
    "timeout": _leave_by_timeout,
    "anyio": _leave_by_anyio_scope,
}


@pytest.mark.parametrize("way", LEAVE)
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.pairwise
async def test_early_exit_at_every_index(pool, kind, way, ordered):
    size = 4
    imap = pool.imap_batches if ordered else pool.imap_batches_unordered
    for at in range(size + WORKERS + 1):
        source = Source()
        started = time.monotonic()
        await LEAVE[way](imap(source.open(kind), output_buffer_size=size), at)
        assert time.monotonic() - started < aug.SOON
        assert source.closed
        assert len(source.tasks) <= 1  # closed in the task that iterated it
        assert await pool.map_batches([1, 2, 3]) == [1, 2, 3]


@pytest.mark.parametrize("end", ["close", "terminate"])
async def test_closing_the_pool_under_a_live_stream(end, kind):
    for at in range(6):
        source = Source()
        started = time.monotonic()
        async with AsyncPool(aug.nothing, processes=WORKERS) as pool:
            stream = pool.imap_batches(source.open(kind), output_buffer_size=4)
            for _ in range(at):
                await anext(stream)
            await getattr(pool, end)()
            assert source.closed == bool(at)  # what was never begun has nothing to close
            with pytest.raises(ClosedError):
                await anext(stream)
        assert time.monotonic() - started < aug.SOON


async def test_closing_the_pool_wakes_a_waiting_consumer():
    async with AsyncPool(aug.sleep_for, processes=1) as pool:
        stream = pool.imap_batches([30, 30])
        waiting = asyncio.create_task(anext(stream))
        await settle()
        started = time.monotonic()
        await pool.close()
        with pytest.raises(ClosedError):
            await waiting
        assert time.monotonic() - started < aug.SOON


async def test_break_without_async_with_closes_and_warns(pool, kind):
    source = Source()
    with pytest.warns(ResourceWarning, match="dropped while it was open"):
        async for number in pool.imap_batches(source.open(kind), output_buffer_size=4):
            if number == 2:
                break
        gc.collect()
    await until(lambda: source.closed)
    assert await pool.map_batches([1]) == [1]


async def test_an_early_exit_gives_indices_back():
    """Else the index of the next batch would depend on how far ahead the stream had read."""

    async def after_break(size):
        async with AsyncPool(aug.with_rng, processes=2, seed=3) as pool:
            async with pool.imap_batches(range(50), output_buffer_size=size) as stream:
                async for _ in stream:
                    break
            return await pool.map_batches([0])

    assert await after_break(2) == await after_break(20)


async def test_a_request_that_times_out_loses_nothing():
    async with AsyncPool(aug.slow, processes=1) as pool:
        async with pool.imap_batches(range(30), output_buffer_size=2) as stream:
            got = []
            while True:
                try:
                    async with asyncio.timeout(0.004):
                        got.append(await anext(stream))
                except TimeoutError:
                    continue
                except StopAsyncIteration:
                    break
    assert got == list(range(30))


async def test_wait_for_loses_nothing():
    async with AsyncPool(aug.slow, processes=1) as pool:
        async with pool.imap_batches(range(30), output_buffer_size=2) as stream:
            got = []
            while len(got) < 30:
                try:
                    got.append(await asyncio.wait_for(anext(stream), 0.01))
                except TimeoutError:
                    continue
    assert got == list(range(30))


async def test_two_consumers_at_once_are_refused():
    async with AsyncPool(aug.sleep_for, processes=1) as pool:
        async with pool.imap_batches([0.2, 0.2]) as stream:
            first = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="another task"):
                await anext(stream)
            assert await first == 0.2


async def test_inside_a_task_group(pool):
    results = {}

    async def consume(name):
        results[name] = [n async for n in pool.imap_batches(iter(range(10)), output_buffer_size=2)]

    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(consume(name))
    assert results == {name: list(range(10)) for name in "abc"}


async def test_a_failing_task_group_ends_streams(pool):
    source = Source()

    async def consume():
        async with pool.imap_batches(source.asynchronous(), output_buffer_size=2) as stream:
            async for _ in stream:
                await asyncio.sleep(0.01)

    async def fail():
        await asyncio.sleep(0.05)
        raise Stop

    with pytest.raises(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(consume())
            group.create_task(fail())
    assert source.closed
    assert await pool.map_batches([1]) == [1]


async def test_inside_an_anyio_task_group(pool):
    source = Source()
    async with anyio.create_task_group() as group:

        async def consume():
            async with pool.imap_batches(source.asynchronous(), output_buffer_size=3) as stream:
                async for number in stream:
                    if number == 5:
                        group.cancel_scope.cancel()

        group.start_soon(consume)
    assert source.closed
    assert await pool.map_batches([1]) == [1]


async def test_an_endless_source_that_never_waits_lets_the_loop_breathe(pool):
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    async def endless():
        while True:
            yield 0

    ticker = asyncio.create_task(tick())
    async with pool.imap_batches(endless(), output_buffer_size=50) as stream:
        for _ in range(20):
            await anext(stream)
    ticker.cancel()
    assert ticks > 20


async def test_a_busy_loader_does_not_hold_up_the_end(pool):
    is_busy, may_go_on = threading.Event(), threading.Event()

    def loader():
        yield 1
        is_busy.set()
        may_go_on.wait()
        yield 2

    async with AsyncPool(aug.nothing, processes=1, engine="thread") as pool:
        with pytest.warns(ResourceWarning, match="still busy"):
            async with pool.imap_batches(loader(), output_buffer_size=3) as stream:
                assert await anext(stream) == 1
                async with asyncio.timeout(aug.SOON):
                    while not is_busy.is_set():
                        await asyncio.sleep(0.01)
    may_go_on.set()


async def test_a_slow_loader_does_not_stall_the_loop(pool):
    ticks = 0
    during = []

    def loader():
        for number in range(3):
            before = ticks
            time.sleep(0.1)
            during.append(ticks - before)
            yield number

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    ticker = asyncio.create_task(tick())
    await asyncio.sleep(0.01)
    assert [n async for n in pool.imap_batches(loader())] == [0, 1, 2]
    ticker.cancel()
    assert all(during)


async def test_a_stream_says_where_it_is(pool):
    async with pool.imap_batches(range(9), output_buffer_size=4) as stream:
        assert repr(stream) == "<BatchStream position=0 buffer=4 new>"
        await anext(stream)
        await anext(stream)
        assert repr(stream) == "<BatchStream position=2 buffer=4 running>"
    assert repr(stream) == "<BatchStream position=2 buffer=4 closed>"
    assert repr(pool.imap_batches([])) == "<BatchStream position=0 buffer=None new>"


@pytest.mark.parametrize("taken", [0, 2, 9])
async def test_a_stream_that_is_over_needs_no_collector(pool, taken):
    """What it holds, such as memory that workers share, would be kept for an unknown time."""
    gc.collect()
    gc.disable()
    try:
        async with pool.imap_batches(iter(range(9)), output_buffer_size=2) as stream:
            core = weakref.ref(stream._core)
            for _ in range(taken):
                await anext(stream)
        del stream
        await settle()
        assert core() is None
    finally:
        gc.enable()


async def test_streams_have_equal_shares_of_the_workers():
    """However large their buffers are, and so however many calls of each stand in the line."""
    buffers, taken, full = (2, 8, 32), [0, 0, 0], asyncio.Event()

    async def read(place, pool):
        batches = itertools.repeat(place)
        async with pool.imap_batches(batches, output_buffer_size=buffers[place]) as stream:
            async for _ in stream:
                taken[place] += not full.is_set()
                if taken[place] == 60:
                    full.set()
                if full.is_set():
                    return

    async with AsyncPool(aug.rest_10_ms, processes=2) as pool:
        await asyncio.gather(*(read(place, pool) for place in range(3)))
    assert min(taken) > 40  # with shares by buffers the first would have 4
