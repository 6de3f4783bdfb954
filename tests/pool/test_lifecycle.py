"""Starting, closing, terminating: at any time, twice, cancelled, from anywhere."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import time
import warnings
from contextlib import suppress

import aioaug
import aioaug_testing as aug
import anyio
import pytest
from aioaug import AsyncPool, ClosedError
from imgaug import augmenters as iaa


@pytest.fixture(params=["process", "thread", "inline"])
def engine(request):
    return request.param


def children():
    gc.collect()
    return multiprocessing.active_children()


async def test_building_starts_nothing():
    AsyncPool(aug.nothing, processes=2)
    assert children() == []


async def test_entering_starts_all_workers_and_they_stay():
    async with AsyncPool(aug.pid_of, processes=3) as pool:
        assert len(children()) == 3
        first = set(await pool.map_batches([0] * 30))
        second = set(await pool.map_batches([0] * 30))
        assert first | second <= {child.pid for child in children()}
        assert os.getpid() not in first
    assert children() == []


async def test_the_first_call_starts_workers_too():
    pool = AsyncPool(aug.nothing, processes=2)
    assert await pool.map_batches([1, 2]) == [1, 2]
    assert len(children()) == 2
    await pool.close()
    assert children() == []


async def test_workers_are_replaced_after_their_share():
    async with AsyncPool(aug.pid_of, processes=1, maxtasksperchild=5) as pool:
        pids = await pool.map_batches([0] * 20, chunksize=1)
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [5, 5, 5, 5]


async def test_a_task_is_a_chunk():
    async with AsyncPool(aug.pid_of, processes=1, maxtasksperchild=2) as pool:
        pids = await pool.map_batches([0] * 24, chunksize=6)
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [12, 12]


async def test_the_live_engine(engine):
    pool = AsyncPool(aug.nothing, processes=1, engine=engine)
    assert pool.pool is pool.pool
    assert isinstance(pool.pool, aioaug.Engine)
    await pool.close()
    with pytest.raises(ClosedError):
        _ = pool.pool


async def test_everything_is_idempotent(engine):
    async with AsyncPool(aug.nothing, processes=1, engine=engine) as pool:
        await pool.close()
        await pool.close()
        await pool.terminate()
        await pool.join()
    await pool.close()
    await pool.join()
    never = AsyncPool(aug.nothing, processes=1, engine=engine)
    await never.join()
    await never.close()
    await never.terminate()


async def test_use_after_close(engine):
    async with AsyncPool(aug.nothing, processes=1, engine=engine) as pool:
        stream = pool.imap_batches([1])
    for call in (pool.map_batches, pool.map_batches_async, pool.imap_batches):
        with pytest.raises(ClosedError, match="the pool is closed"):
            result = call([1])
            await result
    with pytest.raises(ClosedError):
        await anext(stream)
    with pytest.raises(ClosedError):
        await pool.__aenter__()


async def test_entering_twice(engine):
    async with AsyncPool(aug.nothing, processes=1, engine=engine) as pool:
        with pytest.raises(RuntimeError, match="started already"):
            await pool.__aenter__()
        assert await pool.map_batches([1]) == [1]


async def test_join_of_a_running_pool(engine):
    async with AsyncPool(aug.nothing, processes=1, engine=engine) as pool:
        with pytest.raises(ValueError, match="still running"):
            await pool.join()


async def test_join_waits_for_a_close_elsewhere():
    async with AsyncPool(aug.sleep_for, processes=1) as pool:
        work = pool.map_batches_async([0.3])
        await asyncio.sleep(0.05)
        closing = asyncio.create_task(pool.close())
        await asyncio.sleep(0)
        await pool.join()
        assert children() == []
        assert work.done()
        await closing


@pytest.mark.parametrize("engine", ["process", "thread"])
async def test_close_waits_for_lists(engine):
    async with AsyncPool(aug.slow, processes=2, engine=engine) as pool:
        work = pool.map_batches_async(list(range(20)))
        called = asyncio.create_task(pool.map_batches([1, 2, 3]))
        await asyncio.sleep(0.01)
        await pool.close()
        assert work.done()
        assert await work == list(range(20))
        assert await called == [1, 2, 3]


async def test_leaving_by_an_exception_does_not_wait():
    started = time.monotonic()
    with pytest.raises(KeyError):
        async with AsyncPool(aug.sleep_for, processes=2) as pool:
            work = pool.map_batches_async([60, 60, 60])
            await asyncio.sleep(0.1)
            raise KeyError
    assert time.monotonic() - started < aug.SOON
    assert work.cancelled()


@pytest.mark.parametrize("delay", [0, 0.02, 0.2])
async def test_terminate_during_long_batches(delay):
    pool = AsyncPool(aug.sleep_for, processes=2)
    mapped = asyncio.create_task(pool.map_batches([60] * 5))
    future = pool.map_batches_async([60])
    stream = pool.imap_batches([60, 60], output_buffer_size=1)
    waiting = asyncio.create_task(anext(stream))
    await asyncio.sleep(delay)  # while workers start, and while they work
    started = time.monotonic()
    await pool.terminate()
    assert time.monotonic() - started < aug.SOON
    assert children() == []
    with pytest.raises(ClosedError):
        await mapped
    with pytest.raises(ClosedError):
        await waiting
    with pytest.raises(asyncio.CancelledError):
        await future


@pytest.mark.parametrize("how", ["asyncio", "anyio"])
@pytest.mark.parametrize("end", ["terminate", "close"])
async def test_a_cancelled_end_still_ends(end, how):
    async with AsyncPool(aug.sleep_for, processes=2) as pool:
        work = pool.map_batches_async([60] * 5)
        await asyncio.sleep(0.1)
        started = time.monotonic()
        if how == "anyio":
            with anyio.move_on_after(0.001):
                await getattr(pool, end)()
        else:
            ending = asyncio.create_task(getattr(pool, end)())
            await asyncio.sleep(0.001)
            ending.cancel()
            ending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await ending
        assert time.monotonic() - started < aug.SOON
        assert children() == []
        assert work.cancelled()


async def test_the_first_call_cancelled_in_the_start():
    """The start is everybody's: it goes on, and the next call has it."""
    for turns in (0, 1, 3, 10):
        pool = AsyncPool(aug.nothing, processes=2)
        first = asyncio.create_task(pool.map_batches([1]))
        for _ in range(turns):
            await asyncio.sleep(0)
        second = asyncio.create_task(pool.map_batches([2]))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == [2]
        assert await pool.map_batches([3]) == [3]
        await pool.close()


async def test_a_cancelled_start():
    for delay in (0, 0.005, 0.02, 0.05):
        pool = AsyncPool(aug.nothing, processes=2)
        starting = asyncio.create_task(pool.__aenter__())
        await asyncio.sleep(delay)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
            raise asyncio.CancelledError  # it was quicker than the cancellation
        await pool.close()
        assert children() == []


@pytest.mark.parametrize("engine", ["process", "thread"])
async def test_cancelling_a_list_frees_the_pool(engine):
    async with AsyncPool(aug.slow, processes=2, engine=engine) as pool:
        for call in (pool.map_batches, pool.map_batches_async):
            task = asyncio.ensure_future(call(list(range(1000)), chunksize=1))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await pool.map_batches([1, 2]) == [1, 2]


async def test_a_future_cancelled_before_it_began_does_not_hold_up_the_end(engine):
    async with AsyncPool(aug.nothing, processes=1, engine=engine) as pool:
        pool.map_batches_async([1, 2, 3]).cancel()


async def test_a_source_that_will_not_end_does_not_hold_up_terminate():
    may_end, has_ended = asyncio.Event(), asyncio.Event()

    async def stubborn():
        try:
            while True:
                yield 1
        finally:
            await may_end.wait()
            has_ended.set()

    async with AsyncPool(aug.nothing, processes=1, engine="thread") as pool:
        stream = pool.imap_batches(stubborn(), output_buffer_size=2)
        await anext(stream)
        await pool.terminate()
        may_end.set()
    await has_ended.wait()


async def test_closing_with_abandoned_work_does_not_wait_for_it():
    async with AsyncPool(aug.sleep_for, processes=1) as pool:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await pool.map_batches([60])
        started = time.monotonic()
    assert time.monotonic() - started < aug.SOON


async def test_an_abandoned_pool_warns():
    pool = AsyncPool(aug.nothing, processes=1, engine="inline")
    await pool.map_batches([1])
    with pytest.warns(ResourceWarning, match="dropped while it was open"):
        del pool
        gc.collect()


async def test_many_cycles_leave_nothing():
    for _ in range(10):
        async with AsyncPool(aug.nothing, processes=2) as pool:
            assert await pool.map_batches([1, 2, 3]) == [1, 2, 3]


async def test_augment_batches(engine):
    stream = aioaug.augment_batches(aug.nothing, iter(range(50)), processes=2, engine=engine)
    assert [batch async for batch in stream] == list(range(50))
    assert children() == []


async def test_augment_batches_left_half_way():
    async with aioaug.augment_batches(aug.nothing, iter(range(50)), processes=2) as stream:
        assert await anext(stream) == 0
    assert children() == []
    with pytest.warns(ResourceWarning):
        async for _ in aioaug.augment_batches(aug.nothing, iter(range(50)), processes=2):
            break
        gc.collect()
    while children() or len(asyncio.all_tasks()) > 1:
        await asyncio.sleep(0.01)


async def test_augment_batches_in_the_foreground():
    stream = aioaug.augment_batches(aug.pid_of, [0, 0], background=False)
    assert [pid async for pid in stream] == [os.getpid()] * 2


async def test_the_pool_shortcut():
    async with aioaug.augmenter_pool(aug.with_rng, 2, 20, 1) as pool:
        first = await pool.map_batches([0, 0])
    async with AsyncPool(aug.with_rng, processes=-1, seed=1) as pool:
        assert await pool.map_batches([0, 0]) == first


@pytest.mark.parametrize("end", ["close", "terminate", "aclose"])
@pytest.mark.parametrize("place", ["at its end", "half way", "left"])
@pytest.mark.pairwise
async def test_a_source_that_ends_its_own_pool(engine, end, place):
    cleaned = []

    async def source():
        try:
            for number in range(100):
                if place == "half way" and number == 5:
                    await aug.ends_inside(ending)()
                yield number
        finally:
            await aug.ends_inside(ending)()
            cleaned.append(place)

    async with AsyncPool(aug.nothing, processes=2, engine=engine) as pool:
        stream = pool.imap_batches(source(), output_buffer_size=200 if place == "at its end" else 4)
        ending = stream.aclose if end == "aclose" else getattr(pool, end)
        async with asyncio.timeout(aug.SOON):
            if place != "at its end":  # where the source may have ended the stream already
                assert await anext(stream) == 0
            if place == "left":
                await stream.aclose()
            else:
                with pytest.raises((ClosedError, StopAsyncIteration)):
                    while True:
                        await anext(stream)
        await stream.aclose()
        assert cleaned == [place]
        if end == "aclose":
            assert await pool.map_batches([1]) == [1]
    assert children() == []


@pytest.mark.parametrize("end", ["close", "terminate"])
@pytest.mark.parametrize("way", ["stream", "list", "future"])
@pytest.mark.pairwise
async def test_a_handler_that_ends_its_own_pool(end, way):
    async def handler(index, batch, error):
        await aug.ends_inside(getattr(pool, end))()
        return "instead"

    batches = [0, 1, "value_error", *range(3, 100)]
    pool = AsyncPool(aug.Failing(), processes=2, on_error=handler)
    async with asyncio.timeout(2 * aug.SOON):
        with pytest.raises((ClosedError, asyncio.CancelledError)):
            if way == "stream":
                async for _ in pool.imap_batches(iter(batches), output_buffer_size=8):
                    pass
            elif way == "list":
                await pool.map_batches(batches, chunksize=1)
            else:
                await pool.map_batches_async(batches, chunksize=1)
        await pool.close()
    assert children() == []


@pytest.mark.parametrize("end", ["close", "terminate"])
async def test_a_callback_that_ends_its_own_pool(end):
    pool = AsyncPool(aug.nothing, processes=2)
    ends = []

    def done(result):
        ends.append(asyncio.ensure_future(aug.ends_inside(getattr(pool, end))()))

    assert await pool.map_batches_async([1, 2], callback=done) == [1, 2]
    await asyncio.sleep(0)
    await ends[0]
    assert children() == []


@pytest.mark.parametrize("end", ["close", "terminate"])
async def test_a_consumer_that_ends_its_own_pool(end):
    pool = AsyncPool(aug.nothing, processes=2)
    with pytest.raises(ClosedError):
        async for _ in pool.imap_batches(iter(range(100)), output_buffer_size=4):
            await aug.ends_inside(getattr(pool, end))()
    assert children() == []


@pytest.mark.parametrize("end", ["close", "terminate"])
async def test_a_thread_that_ends_its_own_pool(end):
    loop = asyncio.get_running_loop()

    def source():
        yield from range(5)
        ending.append(asyncio.run_coroutine_threadsafe(aug.ends_inside(getattr(pool, end))(), loop))
        ending[0].result()
        yield 5

    ending = []
    pool = AsyncPool(aug.nothing, processes=2)
    stream = pool.imap_batches(source(), output_buffer_size=4)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "a batch source is still busy", ResourceWarning)
        with pytest.raises(ClosedError):
            async for _ in stream:
                pass
        await pool.close()
    await asyncio.wrap_future(ending[0])
    assert children() == []


@pytest.mark.parametrize("end", ["close", "terminate"])
@pytest.mark.parametrize("kind", ["asyncio", "anyio"])
async def test_an_end_by_a_task_that_the_source_waits_for(end, kind):
    """It would wait for itself by way of another; but a time limit ends that."""
    seen = []

    async def ending():
        try:
            if kind == "anyio":
                with anyio.fail_after(0.2):
                    await getattr(pool, end)()
            else:
                async with asyncio.timeout(0.2):
                    await getattr(pool, end)()
        except TimeoutError:
            seen.append("timeout")

    async def source():
        try:
            for number in range(100):
                yield number
        finally:
            await asyncio.shield(asyncio.ensure_future(ending()))
            seen.append("cleaned")

    pool = AsyncPool(aug.nothing, processes=2)
    stream = pool.imap_batches(source(), output_buffer_size=4)
    async with asyncio.timeout(10):
        await anext(stream)
        await stream.aclose()
        await pool.close()
    assert seen[-1] == "cleaned"
    assert children() == []


async def test_a_source_that_ends_the_pool_of_a_stream_around_it():
    """The inner source ends the outer pool, which waits for the stream between them."""
    outer = AsyncPool(aug.nothing, processes=1)

    async def source():
        try:
            for number in range(100):
                yield number
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await outer.close()

    async with AsyncPool(aug.nothing, processes=1) as inner, asyncio.timeout(10):
        stream = outer.imap_batches(inner.imap_batches(source(), output_buffer_size=2))
        assert await anext(stream) == 0
        await stream.aclose()
        await outer.close()
    assert children() == []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"processes": 0}, ValueError, "processes must not be 0"),
        ({"processes": 1.5}, TypeError, "processes must be an int, got 1.5"),
        ({"processes": True}, TypeError, "processes"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"seed": 2**31}, ValueError, "seed must be at most"),
        ({"seed": "1"}, TypeError, "seed must be an int, got '1'"),
        ({"maxtasksperchild": 0}, ValueError, "maxtasksperchild must be at least 1, got 0"),
        ({"retries": -1}, ValueError, "retries"),
        ({"engine": "rocket"}, ValueError, "engine must be one of 'inline', 'process', 'thread'"),
        ({"start_method": "fork"}, ValueError, "start_method must be one of"),
        ({"copy": True, "engine": "thread"}, ValueError, "copy: only for workers"),
        ({"max_bytes": -1}, ValueError, "max_bytes must be at least 0, got -1"),
        ({"augseq": iaa.Fliplr}, TypeError, r"got the class Fliplr; pass Fliplr\(...\)"),
        ({"augseq": 3}, TypeError, "augseq must be an imgaug augmenter or a callable, got int"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        AsyncPool(**{"augseq": aug.nothing, **arguments})


async def test_bad_arguments_of_calls():
    async with AsyncPool(aug.nothing, processes=1, engine="inline") as pool:
        for wrong in ((1, 2), iter([1]), "batches", None):
            with pytest.raises(TypeError, match=r"batches must be a list.*imap_batches"):
                await pool.map_batches(wrong)
        for wrong in (3, "batches", {"a": 1}, None):
            with pytest.raises(TypeError, match="batches must be"):
                pool.imap_batches(wrong)
        for name in ("chunksize", "output_buffer_size"):
            with pytest.raises(ValueError, match=name):
                pool.imap_batches([1], **{name: -1})
        with pytest.raises(ValueError, match="chunksize"):
            await pool.map_batches([1], chunksize=0)


async def test_a_pool_inside_a_worker_is_refused():
    async with AsyncPool(aug.build_a_pool, processes=1) as pool:
        with pytest.raises(RuntimeError, match="inside a worker"):
            await pool.map_batches([1])
