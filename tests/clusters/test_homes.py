"""Pictures meet the worker that has read them before, where that holds nothing up."""

from __future__ import annotations

import random

import clusters_testing as cl
import cv2
import numpy as np
import pytest
from aioaug import AsyncPool
from aioaug.data import Files, decode
from aioaug.engines import DaskEngine

pytest.importorskip("distributed")

PER_BATCH = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures for 48 batches."""
    place = tmp_path_factory.mktemp("pictures")
    for number in range(48 * PER_BATCH):
        cv2.imwrite(str(place / f"{number:03}.png"), np.full((8, 8, 3), number, np.uint8))
    return Files(place)


async def epochs(dask_programs, *sources):
    """Who has read what, for each of some sources on one pool."""
    found = []
    async with cl.client_of(dask_programs.address) as client:
        assert len(await cl.workers_of(client, 2)) == 2
        async with AsyncPool(cl.reader, load=decode, engine=DaskEngine(client)) as pool:
            for source in sources:
                async with pool.imap_batches(source, output_buffer_size=24) as stream:
                    found.append([result async for result in stream])
        await cl.gone(client)
    return found


async def test_batches_meet_their_worker_again(dask_programs, folder):
    batches = list(folder.batches(PER_BATCH, shuffle=True, seed=1))
    other_order = random.Random(2).sample(batches, len(batches))
    first, second, third = await epochs(dask_programs, batches, batches, other_order)
    assert len({pid for pid, _ in first}) == 2
    assert cl.met_again(first, second) > 0.75  # by chance it would be a half
    assert cl.met_again(second, third) > 0.75


async def test_another_pool_begins_with_the_same_workers(dask_programs, folder):
    batches = list(folder.batches(PER_BATCH))
    (first,) = await epochs(dask_programs, batches)
    (second,) = await epochs(dask_programs, batches)
    assert cl.met_again(first, second) > 0.65


async def test_a_worker_that_leaves_has_its_batches_taken_over(folder):
    programs = cl.DaskPrograms()
    try:
        for _ in range(2):
            programs.add_worker()
        await programs.ready(2)
        batches = list(folder.batches(PER_BATCH))
        async with cl.client_of(programs.address) as client:
            first, *_ = await cl.workers_of(client, 2)
            async with AsyncPool(cl.reader, load=decode, engine=DaskEngine(client)) as pool:
                async with pool.imap_batches(batches, output_buffer_size=24) as stream:
                    before = [result async for result in stream]
                await client.retire_workers([first])
                async with pool.imap_batches(batches, output_buffer_size=24) as stream:
                    after = [result async for result in stream]
        assert len({pid for pid, _ in before}) == 2
        assert [names for _, names in after] == [names for _, names in before]
        assert len({pid for pid, _ in after[len(after) // 2 :]}) == 1
    finally:
        programs.close()
