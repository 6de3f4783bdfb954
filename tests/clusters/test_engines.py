"""What holds on every cluster: the suites of engines, and the bytes of all other engines."""

from __future__ import annotations

import asyncio

import clusters_testing as cl
import cv2
import numpy as np
import pytest
import takers_testing as takers
from aioaug import AsyncPool, WorkerDied
from aioaug.data import ImageFolder
from aioaug.testing import check_engine


async def test_it_keeps_what_engines_promise(make):
    await check_engine(make, in_processes=True)


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
async def test_same_seed_same_bytes(make, ordered):
    batches = cl.batches(24)
    async with AsyncPool(cl.pipeline(), seed=5, engine="inline") as pool:
        wanted = await pool.map_batches(batches)
    async with AsyncPool(cl.pipeline(), seed=5, engine=make) as pool:
        imap = pool.imap_batches if ordered else pool.imap_batches_unordered
        async with imap(iter(batches), output_buffer_size=8) as stream:
            got = [batch async for batch in stream]
    if not ordered:
        got.sort(key=lambda batch: batch.tobytes())
        wanted.sort(key=lambda batch: batch.tobytes())
    assert all(map(np.array_equal, got, wanted))


@pytest.fixture
def folder(tmp_path):
    """Pictures of two classes, of which pixels and places differ."""
    for number in range(12):
        place = tmp_path / "ab"[number % 2]
        place.mkdir(exist_ok=True)
        pixels = np.full((20, 30, 3), 20 * number, np.uint8)
        pixels[: number + 1, :5] = 255
        cv2.imwrite(str(place / f"{number}.png"), pixels)
    return ImageFolder(tmp_path)


async def test_references_are_decoded_on_the_cluster(make, folder):
    async def epochs(engine):
        source = folder.batches(4, shuffle=True, seed=1, epochs=2, resize=(16, 16))
        async with AsyncPool(cl.pipeline(), seed=5, engine=engine) as pool:
            async with pool.imap_batches(source) as stream:
                return [batch async for batch in stream]

    got, wanted = await epochs(make), await epochs("thread")
    assert len(got) == 6
    for ours, theirs in zip(got, wanted, strict=True):
        assert np.array_equal(ours.images, theirs.images)
        assert list(ours.names) == list(theirs.names)


async def test_early_exit_and_cancellation_leave_nothing(make):
    async with AsyncPool(cl.slowly, seed=5, engine=make) as pool:
        async with pool.imap_batches(iter(cl.batches(200)), output_buffer_size=8) as stream:
            async for batch in stream:
                assert batch.max() == 1
                break
        request = asyncio.create_task(pool.augment_batch(cl.batches(1)[0]))
        await asyncio.sleep(0.01)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        engine = pool.pool
        assert (await pool.augment_batch(cl.batches(1)[0])).max() == 1
        assert engine.bytes_in_flight == 0


async def test_no_more_bytes_are_in_flight_than_allowed(make):
    batches = cl.batches(30)
    most = 0
    limit = 3 * batches[0].nbytes  # and a little less than four calls have

    async with AsyncPool(cl.slowly, seed=5, engine=make, max_bytes=limit) as pool:
        async with pool.imap_batches(iter(batches), output_buffer_size=20) as stream:
            async for _ in stream:
                most = max(most, pool.pool.bytes_in_flight)
    assert 0 < most <= limit


async def test_a_batch_that_kills_workers_fails_alone(make):
    batches = cl.batches(12)
    async with AsyncPool(cl.Deadly(3), engine=make, retries=1, on_error="skip") as pool:
        async with pool.imap_batches(iter(batches), output_buffer_size=4) as stream:
            got = [int(batch[0, 0, 0, 0]) async for batch in stream]
        assert got == [number for number in range(12) if number != 3]
        assert stream.skipped == (3,) or list(stream.skipped) == [3]
    async with AsyncPool(cl.Deadly(0), engine=make, retries=0) as pool:
        with pytest.raises(WorkerDied):
            await pool.augment_batch(batches[0])


async def test_the_number_of_workers_is_the_clusters(make):
    with pytest.raises(ValueError, match="leave processes out"):
        AsyncPool(cl.slowly, 3, engine=make)
    async with AsyncPool(cl.slowly, engine=make) as pool:
        assert pool.workers == 2


@pytest.fixture
def dask_name(kind, request):
    """What stands for the cluster of Dask."""
    if kind != "dask":
        return None
    return request.getfixturevalue("dask_programs").address.replace("tcp", "dask")


@pytest.mark.parametrize("taker", takers.TAKERS)
async def test_flows_batches_and_background_calls_run_on_a_cluster(make, kind, taker, dask_name):
    # The workers of batches live on a loop of their own, so they have to find the cluster there.
    engine = dask_name if kind == "dask" and taker is takers.batches else make
    got, wanted = await taker(engine), await taker("thread")
    assert len(got) == len(wanted)
    assert all(map(np.array_equal, got, wanted))
    if engine is dask_name:
        with pytest.raises(ValueError, match="give it the scheduler's address"):
            await taker(make)
