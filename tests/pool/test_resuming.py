"""Sources that are read by number: streams of them go on without reading anything again."""

from __future__ import annotations

import json

import aioaug_testing as aug
import pytest
from aioaug import AsyncPool
from data_testing import Counted


async def taken(stream, count=None):
    got = []
    async with stream:
        async for batch in stream:
            got.append(batch)
            if len(got) == count:
                break
    return got


async def run(source, count=None, *, workers=2, ordered=True, seed=5, engine="thread", **options):
    """Results, and the state behind the last one."""
    async with AsyncPool(aug.with_rng, workers, seed=seed, engine=engine) as pool:
        imap = pool.imap_batches if ordered else pool.imap_batches_unordered
        stream = imap(source, output_buffer_size=4, **options)
        got = await taken(stream, count)
        following = await pool.map_batches([0])  # it has the index after those of the stream
        return got, json.loads(json.dumps(stream.state())), following


@pytest.mark.parametrize("end", [20, None])
@pytest.mark.parametrize("shard", [None, (1, 3)])
async def test_nothing_is_read_again(end, shard):
    whole, _, _ = await run(Counted(end), 6, shard=shard)
    first, state, _ = await run(Counted(end), 4, shard=shard)
    source = Counted(end)
    rest, _, _ = await run(source, 2, workers=3, shard=shard, state=state)
    assert first + rest == whole
    rank, world = shard or (0, 1)
    assert [batch for batch, _ in whole] == [rank + world * position for position in range(6)]
    assert min(source.read) == 4 * world + rank
    assert {number % world for number in source.read} == {rank}


@pytest.mark.parametrize("kind", [Counted, lambda count: list(range(count)), range])
@pytest.mark.parametrize("count", [7, 8, 9])
@pytest.mark.parametrize("k", [1, 2, 3])
async def test_every_kind_of_source_gives_the_same(kind, count, k):
    """Also those that are not read by number, and at the end, where nothing is left."""
    for options in ({"shard": (2, 3)}, {}):
        left, _, after = await run(iter(range(count)), **options)
        k = min(k, len(left))
        first, state, _ = await run(kind(count), k, **options)
        rest, _, after_rest = await run(kind(count), state=state, **options)
        assert (first + rest, after_rest) == (left, after)


async def test_what_came_early_is_not_read_again():
    """Out of order, later batches may have been delivered before earlier ones."""
    source = Counted(9)
    state = {"seed": 5, "first": 0, "next": 3, "ahead": [4, 7], "shard": [0, 1]}
    rest, _, _ = await run(source, ordered=False, state=state)
    assert sorted(batch for batch, _ in rest) == [3, 5, 6, 8]
    assert source.read == [3, 5, 6, 8]


async def test_an_error_of_the_sequence_does_not_look_like_its_end():
    class Broken(Counted):
        def __getitem__(self, number):
            return super().__getitem__(number) if number < 5 else [][number]

    async with AsyncPool(aug.nothing, 1, engine="inline") as pool:
        stream = pool.imap_batches(Broken(9), shard=(0, 2))
        with pytest.raises(IndexError):
            await taken(stream)


async def test_a_source_that_is_a_share_itself():
    """Its batches have the indices that they would have beside those of the other ranks."""
    source = Counted(4)
    source.shard = (1, 2)
    got, state, _ = await run(source, 2)
    assert state["shard"] == [1, 2]
    by_index, _, _ = await run(iter(range(8)), shard=(1, 2))
    assert [number for _, number in got] == [number for _, number in by_index[:2]]
    rest, _, _ = await run(source, state=state)
    assert [batch for batch, _ in got + rest] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match=r"the source has shard=\(1, 2\) already"):
        await run(source, shard=(0, 2))
