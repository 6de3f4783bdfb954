"""`output_buffer_size="auto"`: bounded by workers and bytes."""

from __future__ import annotations

import asyncio

import aioaug
import aioaug_testing as aug
import numpy as np
import pytest
from aioaug import AsyncPool
from aioaug._base.results import Failure, Skipped
from aioaug._streaming.output_buffer import bytes_in
from aioaug.engines.limits import AUTO_BYTES

MB = 1 << 20


def of_size(megabytes):
    return np.zeros(megabytes * MB, np.uint8)


class Sized:
    """A batch that says to be large, and is not."""

    def __init__(self, nbytes):
        self.nbytes = nbytes


class Source:
    """Endless; counts the batches that were read and not consumed yet."""

    def __init__(self, make):
        self.make = make
        self.read = 0

    async def __aiter__(self):
        while True:
            self.read += 1
            yield self.make(self.read)


async def most_held(make, taken, workers=2, chunksize=1):
    """How many batches exist at most beside a consumer that takes some and then waits."""
    source = Source(make)
    async with AsyncPool(aug.nothing, workers, engine="thread") as pool:
        stream = pool.imap_batches(source, chunksize, output_buffer_size="auto")
        async with stream:
            for _ in range(taken):
                await anext(stream)
            before = -1
            while before != source.read:
                before = source.read
                await asyncio.sleep(0.05)
        assert "buffer=auto" in repr(stream)
    return source.read - taken + 1


async def test_small_batches_are_bounded_by_the_workers():
    assert await most_held(lambda _: np.zeros(10), 1) == 200
    assert await most_held(lambda _: np.zeros(10), 30) == 200
    assert await most_held(lambda _: np.zeros(10), 30, workers=1) == 100
    assert await most_held(lambda _: np.zeros(10), 30, chunksize=3) == 600
    assert await most_held(lambda _: None, 30) == 200


async def test_large_batches_are_bounded_by_their_bytes():
    size = 2 * AUTO_BYTES // 8
    assert await most_held(lambda _: Sized(size), 30) == 8
    assert await most_held(lambda _: {"images": [Sized(size // 2)] * 2}, 30) == 8


async def test_the_workers_stay_busy_however_large_batches_are():
    assert await most_held(lambda _: Sized(2 * AUTO_BYTES), 30) == 5


async def test_batches_that_change_their_size():
    small, large = 1000, 2 * AUTO_BYTES // 8
    assert await most_held(lambda number: Sized(large if number > 300 else small), 900) == 8
    assert await most_held(lambda number: Sized(small if number > 300 else large), 900) == 200


async def test_real_memory():
    source = Source(lambda _: of_size(5))
    async with AsyncPool(aug.nothing, 2) as pool:
        async with pool.imap_batches(source, output_buffer_size="auto") as stream:
            await anext(stream)
            await asyncio.sleep(0.5)
            assert source.read * 5 * MB <= 2 * AUTO_BYTES + 5 * MB


async def test_augment_batches_is_bounded_so():
    stream = aioaug.augment_batches(aug.nothing, [1, 2], processes=1, engine="thread")
    assert "buffer=auto" in repr(stream)
    assert [batch async for batch in stream] == [1, 2]


@pytest.mark.parametrize("size", ["much", "", "8"])
async def test_other_words_are_refused(size):
    pool = AsyncPool(aug.nothing, engine="inline")
    with pytest.raises(ValueError, match=f"must be a number, 'auto' or None, got '{size}'"):
        pool.imap_batches([], output_buffer_size=size)


def test_how_large_a_batch_is():
    import imgaug as ia

    array = np.zeros((4, 8, 8, 3), np.uint8)
    assert bytes_in(array) == 768
    assert bytes_in(list(array)) == 768
    assert bytes_in([array[0]] * 1000) == 192_000
    assert bytes_in((array, [b"1234", {"labels": np.zeros(2, np.int64)}])) == 788
    assert bytes_in(ia.UnnormalizedBatch(images=array)) == 768
    left_out, failed = Skipped(ValueError("x")), Failure(ValueError("x"))
    for empty in (None, 1, "text", [], {}, object(), left_out, failed):
        assert bytes_in(empty) == 0
