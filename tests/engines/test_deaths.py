"""Every way to die at every moment: the right result or a typed error, and a pool that goes on."""

from __future__ import annotations

import asyncio
from importlib import import_module

import aioaug_testing as aug
import pytest
from aioaug import AsyncPool, BatchTimeout, RemoteError, TransportError, WorkerDied
from deeds import DEADLY, DEEDS, ENDLESS, Augmenter, OnUnpickling

MODES = ("ordered", "unordered", "map")
LIMIT = 0.4  # seconds; a batch takes some microseconds
COUNT, GUILTY = 6, 2


def expected(deed):
    if deed in DEADLY:
        return WorkerDied
    if deed in ENDLESS:
        return BatchTimeout
    return (ValueError, MemoryError, RemoteError, TransportError)


def make_pool(augmenter=None, **options):
    return AsyncPool(augmenter or Augmenter(), processes=2, timeout=LIMIT, retries=1, **options)


async def results_of(pool, batches, mode):
    """What comes of each batch; errors as they are."""
    if mode == "map":
        return await pool.map_batches(batches)
    imap = pool.imap_batches if mode == "ordered" else pool.imap_batches_unordered
    async with imap(iter(batches), output_buffer_size=4) as stream:
        return await aug.outcomes(stream)


async def goes_on(pool):
    assert await pool.map_batches(list(range(8))) == list(range(8))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("moment", ["batch", "call", "result"])
@pytest.mark.pairwise
async def test_with_a_batch_in_hand(moment, deed, mode):
    guilty = OnUnpickling(deed) if moment == "batch" else (moment, deed)
    batches = [guilty if number == GUILTY else number for number in range(COUNT)]
    # A list has one error for all of it, so there the error itself takes the batch's place.
    options = {"on_error": lambda index, batch, error: error} if mode == "map" else {}
    async with make_pool(**options) as pool:
        got = await results_of(pool, batches, mode)
        errors = [each for each in got if isinstance(each, Exception)]
        assert sorted(each for each in got if not isinstance(each, Exception)) == [0, 1, 3, 4, 5]
        (error,) = errors
        assert isinstance(error, expected(deed))
        assert f"while augmenting batch {GUILTY}" in error.__notes__
        await goes_on(pool)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.pairwise
async def test_with_nothing_to_do(deed, mode):
    async with make_pool() as pool:
        await pool.map_batches([("later", deed)] * 2, chunksize=1)
        await asyncio.sleep(0.1)
        assert sorted(await results_of(pool, list(range(COUNT)), mode)) == list(range(COUNT))
        await goes_on(pool)


@pytest.mark.parametrize("mode", ["ordered", "unordered"])
@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.pairwise
async def test_with_the_buffer_full(deed, mode):
    """Of `map_batches` no buffer is ever full."""
    async with make_pool() as pool:
        imap = pool.imap_batches if mode == "ordered" else pool.imap_batches_unordered
        batches = [("later", deed), *range(1, COUNT)]
        async with imap(iter(batches), output_buffer_size=3) as stream:
            got = [await anext(stream)]
            await asyncio.sleep(0.1)
            got += [batch async for batch in stream]
        assert got[0] == ("later", deed) or mode == "unordered"
        assert {batch for batch in got if batch != ("later", deed)} == set(range(1, COUNT))
        await goes_on(pool)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.pairwise
async def test_when_the_augmenter_is_unpickled(deed, mode, monkeypatch):
    monkeypatch.setattr(import_module("aioaug._streaming.options"), "_START_SECONDS", 0.6)
    pool = make_pool(OnUnpickling(deed))
    try:
        if mode == "map":
            with pytest.raises(expected(deed)):
                await pool.map_batches([1, 2])
        else:
            imap = pool.imap_batches if mode == "ordered" else pool.imap_batches_unordered
            async with imap([1, 2]) as stream:
                with pytest.raises(expected(deed)):
                    await anext(stream)
    finally:
        await pool.terminate()
    async with make_pool() as another:
        await goes_on(another)
