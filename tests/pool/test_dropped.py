"""What is dropped open warns, and is ended a moment later; nothing waits for the collector."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import warnings
from contextlib import contextmanager

import aioaug
import aioaug_testing as aug
import background_testing as bg
import numpy as np
import pytest
from aioaug import AsyncPool

SOON = 10.0  # seconds that nothing here may take; what is left would stay for ever


@pytest.fixture(autouse=True)
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(params=["process", "thread", "inline"])
def engine(request):
    return request.param


@contextmanager
def drops(*names):
    """What is dropped in the block warns, under these names, and no worker is left of it."""
    caught = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", ResourceWarning)
        # A list of warnings would keep alive what they tell of.
        warnings.showwarning = lambda message, *_: caught.append(str(message))
        yield
    assert [text.split()[1] for text in caught] == list(names)


async def gone():
    """Until no worker and no task is left."""
    if not multiprocessing.active_children():
        await asyncio.sleep(0.05)
        gc.collect()
    async with asyncio.timeout(SOON):
        while multiprocessing.active_children() or len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.01)


def failing_source():
    yield 1
    raise LookupError("no more")


async def list_of(pool):
    assert await pool.map_batches([1, 2]) == [1, 2]


async def failed_batch(pool):
    with pytest.raises(ValueError, match="spoilt"):
        await pool.map_batches(["value_error"])


async def dead_worker(pool):
    with pytest.raises(aioaug.WorkerDied):
        await pool.map_batches(["killed"])


async def stream_to_its_end(pool):
    assert [batch async for batch in pool.imap_batches(iter(range(5)))] == list(range(5))


async def stream_left(pool):
    async with pool.imap_batches(iter(range(50)), output_buffer_size=2) as stream:
        assert await anext(stream) == 0


async def stream_dropped(pool):
    async for _ in pool.imap_batches(iter(range(50)), output_buffer_size=2):
        break


async def stream_of_a_failing_source(pool):
    with pytest.raises(LookupError):
        assert [batch async for batch in pool.imap_batches(failing_source())] == []


USES = [list_of, failed_batch, stream_to_its_end, stream_left, stream_of_a_failing_source]


@pytest.mark.parametrize("use", USES)
@pytest.mark.pairwise
async def test_a_pool_that_is_dropped_ends(use, engine):
    """As by a notebook's cell that is run again."""
    with drops("AsyncPool"):
        pool = AsyncPool(aug.Failing(), processes=2, engine=engine)
        await use(pool)
        del pool
        await gone()


async def test_a_pool_whose_worker_died_ends():
    with drops("AsyncPool"):
        pool = AsyncPool(aug.Failing(), processes=1, retries=0)
        await dead_worker(pool)
        del pool
        await gone()


async def test_a_pool_that_is_dropped_with_its_stream_ends(engine):
    with drops("BatchStream", "AsyncPool"):
        await stream_dropped(AsyncPool(aug.nothing, processes=1, engine=engine))
        await gone()


async def test_a_stream_keeps_its_pool(engine):
    with drops("AsyncPool"):
        stream = AsyncPool(aug.nothing, processes=1, engine=engine).imap_batches([1, 2])
        assert [batch async for batch in stream] == [1, 2]
        del stream
        await gone()


def test_a_pool_that_is_dropped_after_its_loop(engine):
    async def use():
        pool = AsyncPool(aug.nothing, processes=1, engine=engine)
        await list_of(pool)
        return pool

    with drops("AsyncPool"):
        pool = asyncio.run(use())
        del pool
        asyncio.run(gone())


async def pool_at_the_end(engine):
    await list_of(AsyncPool(aug.nothing, processes=1, engine=engine))


async def stream_at_the_end(engine):
    batches = aioaug.augment_batches(aug.nothing, iter(range(9)), processes=1, engine=engine)
    await anext(batches)


@pytest.mark.parametrize("run", [asyncio.run, aioaug.run])
@pytest.mark.parametrize(
    ("use", "name"), [(pool_at_the_end, "AsyncPool"), (stream_at_the_end, "BatchStream")]
)
def test_what_is_dropped_at_the_end_of_its_loop(run, use, name, engine):
    with drops(name):
        run(use(engine))
        asyncio.run(gone())


async def augmenter():
    background = aioaug.BackgroundAugmenter(iter(range(50)), aug.nothing, nb_workers=1)
    await background.get_batch()
    return background


async def full_loader():
    loader = aioaug.BatchLoader(bg.without_end, queue_size=2, nb_workers=2, threaded=False)
    await loader.get_batch()
    await asyncio.sleep(0.3)
    return loader


async def busy_loader():
    loader = aioaug.BatchLoader([0.05] * 99, queue_size=50, load=aug.sleep_for, threaded=False)
    await loader.get_batch()
    return loader


async def threaded_loader():
    loader = aioaug.BatchLoader(bg.without_end, queue_size=2, nb_workers=2)
    await loader.get_batch()
    return loader


async def proc():
    background = aioaug.BackgroundProc(bg.one_array)
    await background.get()
    await asyncio.sleep(0.3)
    return background


async def shared_queue():
    queue = aioaug.SharedQ(n_proc=1)
    queue.startproc([np.float32], [(2,)], bg.fill)
    queue.startproc([np.float32], [(2,)], bg.fill)
    await queue.get()
    return queue


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (augmenter, "BackgroundAugmenter"),
        (full_loader, "BatchLoader"),
        (busy_loader, "BatchLoader"),
        (threaded_loader, "BatchLoader"),
        (proc, "BackgroundProc"),
        (shared_queue, "SharedQ"),
    ],
)
async def test_what_works_in_the_background_ends_when_it_is_dropped(start, name):
    with drops(name):
        background = await start()
        del background
        await gone()
