"""Same seed, same bytes as imgaug.multicore.Pool, compared live, whichever way batches take."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
from pathlib import Path

import imgaug_reference as reference
import pytest
from aioaug import AsyncPool, blocking

QUARTER = reference.COUNT // 4


@pytest.fixture(scope="session")
def expected(tmp_path_factory):
    path = tmp_path_factory.mktemp("reference") / "result.pickle"
    root = str(Path(__file__).parents[2])
    subprocess.run(
        [sys.executable, reference.__file__, str(path)],
        env={**os.environ, "PYTHONPATH": root},
        check=True,
        timeout=50,
    )
    return pickle.loads(path.read_bytes())


@pytest.fixture(scope="session")
def batches():
    return reference.batches()


def pool_of(workers, **options):
    return AsyncPool(reference.augmenter(), processes=workers, seed=reference.SEED, **options)


async def every_way(pool, batches, chunksize):
    """A quarter of the batches through each of the four methods; unordered ones are sorted."""
    quarters = [batches[start : start + QUARTER] for start in range(0, len(batches), QUARTER)]
    imap_chunks = chunksize or 1
    result = await pool.map_batches(quarters[0], chunksize=chunksize)
    async with pool.imap_batches(iter(quarters[1]), chunksize=chunksize) as stream:
        result += [batch async for batch in stream]
    unordered = pool.imap_batches_unordered(
        (batch for batch in quarters[2]), chunksize=imap_chunks, output_buffer_size=5
    )
    result += sorted([batch async for batch in unordered], key=lambda batch: batch.data["number"])
    result += await pool.map_batches_async(quarters[3], chunksize=chunksize)
    return result


def assert_same(result, expected):
    assert [batch.data["number"] for batch in result] == list(range(len(expected)))
    for number, (batch, numbers) in enumerate(zip(result, expected, strict=True)):
        for column, data in reference.numbers_of(batch).items():
            assert data == numbers[column], f"{column} of batch {number} differs"


def test_the_reference_is_augmented(expected, batches):
    unchanged = reference.numbers_of(_unaugmented(batches[0]))
    assert expected[0].keys() == unchanged.keys()
    for column in reference.COLUMNS:
        firsts = {expected[i][column][0] for i in range(reference.COUNT)}
        assert len(firsts) > 1, f"{column} does not vary"


def _unaugmented(batch):
    for column in reference.COLUMNS:
        setattr(batch, f"{column}_aug", getattr(batch, f"{column}_unaug"))
    try:
        return _Copy(batch)
    finally:
        for column in reference.COLUMNS:
            setattr(batch, f"{column}_aug", None)


class _Copy:
    def __init__(self, batch):
        self.__dict__.update(vars(batch))


@pytest.mark.pairwise
@pytest.mark.parametrize("maxtasksperchild", [None, 2])
@pytest.mark.parametrize("chunksize", [1, 2, 7, None])
@pytest.mark.parametrize("workers", [1, 2, 3])
async def test_processes(workers, chunksize, maxtasksperchild, batches, expected):
    async with pool_of(workers, maxtasksperchild=maxtasksperchild) as pool:
        assert_same(await every_way(pool, batches, chunksize), expected)


@pytest.mark.parametrize("chunksize", [1, 7])
@pytest.mark.parametrize(("engine", "workers"), [("thread", 1), ("thread", 3), ("inline", 1)])
async def test_other_engines(engine, workers, chunksize, batches, expected):
    async with pool_of(workers, engine=engine) as pool:
        assert_same(await every_way(pool, batches, chunksize), expected)


async def test_spawned_workers(batches, expected):
    async with pool_of(2, start_method="spawn") as pool:
        assert_same(await pool.map_batches(batches[:6]), expected[:6])


async def test_normalized_batches(batches, expected):
    async with pool_of(2) as pool:
        normalized = [batch.to_normalized_batch() for batch in batches[:6]]
        assert_same(await pool.map_batches(normalized), expected[:6])
        assert normalized[0].images_aug is None


async def test_plain_images(batches):
    images = [batch.images_unaug for batch in batches[:4]]
    async with pool_of(2) as pool:
        wrapped = [type(batches[0])(images=item) for item in images]
        expected = [batch.images_aug for batch in await pool.map_batches(wrapped)]
    async with pool_of(2) as pool:
        result = await pool.map_batches(images)
    for got, wanted in zip(result, expected, strict=True):
        assert all((a == b).all() for a, b in zip(got, wanted, strict=True))


async def test_inputs_stay_as_they_are(batches):
    before = [image.copy() for image in batches[0].images_unaug]
    for engine in ("process", "thread", "inline"):
        async with pool_of(1, engine=engine) as pool:
            (result,) = await pool.map_batches(batches[:1])
        assert batches[0].images_aug is None
        assert result is not batches[0]
        assert type(result) is type(batches[0])
        for image, copy in zip(batches[0].images_unaug, before, strict=True):
            assert (image == copy).all()


async def test_a_map_inside_a_stream_never_reuses_an_index(batches, expected):
    """Indices are given out when a batch is taken from its source, and never twice."""
    taken = []
    async with pool_of(2) as pool:

        async def source():
            for batch in batches[:4]:
                taken.append(pool._indices.next)
                yield batch

        stream = pool.imap_batches(source(), output_buffer_size=1)
        first = await anext(stream)
        mapped = await pool.map_batches(batches[1:3])
        rest = [batch async for batch in stream]
    assert_same([first, *mapped], expected[:3])
    assert len(rest) == 3
    assert taken == [0, 3, 4, 5]


async def test_two_streams_at_once_share_no_index(batches):
    async with pool_of(2) as pool:
        streams = [pool.imap_batches(iter([batches[0]] * 8)) for _ in range(2)]
        results = await asyncio.gather(*(_all(stream) for stream in streams))
    looks = {reference.numbers_of(batch)["images"][0] for batch in results[0] + results[1]}
    assert len(looks) == 16


async def test_unseeded_pools_differ_and_can_be_repeated(batches):
    async with AsyncPool(reference.augmenter(), processes=1) as pool:
        seed = pool.effective_seed
        first = await pool.map_batches(batches[:3])
    async with AsyncPool(reference.augmenter(), processes=2) as pool:
        assert pool.effective_seed != seed
        other = await pool.map_batches(batches[:3])
    async with AsyncPool(reference.augmenter(), processes=2, seed=seed) as pool:
        again = await pool.map_batches(batches[:3])
    numbers = [[reference.numbers_of(batch) for batch in run] for run in (first, other, again)]
    assert numbers[0] == numbers[2] != numbers[1]


async def _all(stream):
    return [batch async for batch in stream]


def test_the_blocking_pool(expected, batches):
    """By changing an import."""
    with blocking.Pool(reference.augmenter(), processes=2, seed=reference.SEED) as pool:
        result = pool.map_batches(batches[:QUARTER])
        result += pool.imap_batches(batch for batch in batches[QUARTER : 2 * QUARTER])
        unordered = pool.imap_batches_unordered(
            (batch for batch in batches[2 * QUARTER : 3 * QUARTER]), output_buffer_size=5
        )
        result += sorted(unordered, key=lambda batch: batch.data["number"])
        result += pool.map_batches_async(batches[3 * QUARTER :]).get()
    assert_same(result, expected)
