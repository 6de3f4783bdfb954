"""Queues of every kind as sources: where they end, what they keep, and the threads that wait."""

from __future__ import annotations

import asyncio
import multiprocessing
import queue
import sys
import threading

import aioaug_testing as aug
import anyio
import pytest
from aioaug import AsyncPool, BatchLoader, blocking

SHUTS_DOWN = sys.version_info >= (3, 13)  # queues have `shutdown` since then
QUEUES = [queue.Queue, queue.LifoQueue, queue.SimpleQueue, multiprocessing.Queue, asyncio.Queue]


@pytest.fixture
async def pool():
    async with AsyncPool(aug.nothing, processes=1, engine="inline") as pool:
        yield pool


@pytest.fixture(params=QUEUES, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def source(request):
    source = request.param()
    yield source
    if hasattr(source, "join_thread"):
        source.close()
        source.join_thread()


def fill(source, *batches):
    for batch in batches:
        getattr(source, "put_nowait", source.put)(batch)


def waiting():
    return [one for one in threading.enumerate() if one.name.startswith("aioaug-source")]


async def test_none_is_the_end(pool, source):
    fill(source, *([None, 2, 1] if isinstance(source, queue.LifoQueue) else [1, 2, None]))
    assert [batch async for batch in pool.imap_batches(source)] == [1, 2]


async def test_a_consumer_waits_for_what_comes_later(pool, source):
    async with pool.imap_batches(source, output_buffer_size=2) as stream:
        for number in range(3):
            asking = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0.05)
            assert not asking.done()
            fill(source, number)
            assert await asking == number


async def test_a_request_that_is_cancelled_loses_nothing(pool, source):
    async with pool.imap_batches(source, output_buffer_size=2) as stream:
        for number in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await anext(stream)
            fill(source, number)
            assert await anext(stream) == number


async def test_a_stream_that_ends_takes_nothing_more(pool, source):
    async with pool.imap_batches(source, output_buffer_size=2) as stream:
        fill(source, 1)
        assert await anext(stream) == 1
        asking = asyncio.ensure_future(anext(stream))  # so that the source is waited for
        await asyncio.sleep(0.05)
    with pytest.raises(StopAsyncIteration):
        await asking
    async with asyncio.timeout(20):
        while waiting():  # a thread that was told to end takes a moment to do so
            await asyncio.sleep(0.01)
    if isinstance(source, (queue.Queue, asyncio.Queue)):
        assert source.empty()
        fill(source, 2)
        async with pool.imap_batches(source) as stream:
            assert await anext(stream) == 2


async def test_a_queue_that_several_streams_read(pool):
    source = queue.Queue()
    streams = [pool.imap_batches(source, output_buffer_size=1) for _ in range(3)]
    asking = [asyncio.ensure_future(anext(stream)) for stream in streams]
    await asyncio.sleep(0.05)
    await streams[0].aclose()
    fill(source, 1, 2)
    assert sorted(await asyncio.gather(*asking[1:])) == [1, 2]
    for stream in streams:
        await stream.aclose()
    await asyncio.wait(asking)


async def test_a_bounded_queue_holds_up_its_producer(pool):
    source = asyncio.Queue(maxsize=1)
    put = []

    async def produce():
        for number in range(20):
            await source.put(number)
            put.append(number)

    producer = asyncio.ensure_future(produce())
    async with pool.imap_batches(source, output_buffer_size=2) as stream:
        assert await anext(stream) == 0
        await asyncio.sleep(0.05)
        assert len(put) <= 4
    producer.cancel()


@pytest.mark.skipif(not SHUTS_DOWN, reason="queues have shutdown since Python 3.13")
@pytest.mark.parametrize("kind", [queue.Queue, asyncio.Queue])
@pytest.mark.parametrize("at_once", [True, False])
async def test_shutdown_is_the_end(pool, kind, at_once):
    source = kind()
    fill(source, 1, 2)
    if at_once:
        source.shutdown()
        assert [batch async for batch in pool.imap_batches(source)] == [1, 2]
    else:
        stream = pool.imap_batches(source)
        assert [await anext(stream), await anext(stream)] == [1, 2]
        asking = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.05)
        source.shutdown()
        with pytest.raises(StopAsyncIteration):
            await asking


async def test_a_memory_stream_of_anyio(pool):
    send, receive = anyio.create_memory_object_stream(10)
    async with send:
        for number in range(3):
            send.send_nowait(number)
    assert [batch async for batch in pool.imap_batches(receive)] == [0, 1, 2]
    send, receive = anyio.create_memory_object_stream(10)
    for batch in (1, None):
        send.send_nowait(batch)
    assert [batch async for batch in pool.imap_batches(receive)] == [1]
    with pytest.raises(anyio.BrokenResourceError):  # who sends is told that nobody reads
        send.send_nowait(2)
    send.close()


async def test_a_memory_stream_of_anyio_left_half_way(pool):
    send, receive = anyio.create_memory_object_stream(0)
    async with pool.imap_batches(receive, output_buffer_size=1) as stream:
        asking = asyncio.ensure_future(anext(stream))
        await send.send(1)
        assert await asking == 1
    with pytest.raises(anyio.BrokenResourceError):
        await send.send(2)
    send.close()


async def test_the_queue_of_a_loader(pool):
    async with BatchLoader([1, 2, 3]) as loader:
        assert [batch async for batch in pool.imap_batches(loader.queue)] == [1, 2, 3]


async def test_shards_of_a_queue(pool):
    source = asyncio.Queue()
    fill(source, *range(6), None)
    assert [batch async for batch in pool.imap_batches(source, shard=(1, 2))] == [1, 3, 5]


def test_a_blocking_program():
    source = queue.Queue()
    fill(source, 1, 2, None)
    with blocking.Pool(aug.nothing, engine="inline") as pool:
        assert list(pool.imap_batches(source)) == [1, 2]


def test_a_loop_that_was_closed_leaves_no_thread():
    source = queue.Queue()
    fill(source, 1)

    async def use():
        pool = AsyncPool(aug.nothing, engine="inline")
        stream = pool.imap_batches(source, output_buffer_size=2)
        assert await anext(stream) == 1
        return pool, stream

    loop = asyncio.new_event_loop()
    pool, stream = loop.run_until_complete(use())
    assert waiting()
    loop.close()

    async def end():
        await stream.aclose()
        await pool.close()

    asyncio.run(end())
    fill(source, 2)
    assert source.qsize() == 1
