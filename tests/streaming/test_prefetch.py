"""`aioaug.prefetch`: batches that are fetched while the body of the loop runs."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path

import aioaug
import numpy as np
import pytest

BATCHES = [np.full((2, 4, 4, 3), number, np.uint8) for number in range(8)]
PATIENCE = 20  # seconds that only a failure takes


class Numbers:
    """An async iterator that counts what it was asked for."""

    def __init__(self, count):
        self.asked, self.closed, self.count = 0, False, count

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.asked == self.count:
            raise StopAsyncIteration
        self.asked += 1
        await asyncio.sleep(0)
        return self.asked

    async def aclose(self):
        self.closed = True


def as_allowed(batch, path):
    """Wait until the file `allowed` is longer than `done`, and make that longer."""
    allowed, done = Path(path, "allowed"), Path(path, "done")
    while allowed.stat().st_size <= done.stat().st_size:
        time.sleep(0.001)
    with done.open("ab") as file:
        file.write(b".")
    return batch


def refuse_three(batch):
    if batch[0, 0, 0, 0] == 3:
        raise ValueError("three")
    return batch


@pytest.mark.parametrize("n", [1, 3])
async def test_so_many_are_fetched_while_the_body_runs(n):
    source = Numbers(9)
    async with aioaug.prefetch(source, n) as numbers:
        got = []
        async for number in numbers:
            got.append(number)
            for _ in range(2 * n + 2):
                await asyncio.sleep(0)
            assert source.asked == min(number + n, 9)
    assert got == list(range(1, 10))
    assert source.closed


async def test_it_is_the_stream():
    async with aioaug.AsyncPool(refuse_three, engine="inline", seed=1) as pool:
        async with aioaug.prefetch(pool.imap_batches(BATCHES), 2) as batches:
            got = []
            while True:
                try:
                    got.append(int((await anext(batches))[0, 0, 0, 0]))
                except ValueError as error:
                    got.append(str(error))
                except StopAsyncIteration:
                    break
    assert got == [0, 1, 2, "three", 4, 5, 6, 7]


async def test_what_was_only_fetched_comes_again():
    for taken in range(5):
        async with aioaug.AsyncPool(refuse_three, engine="inline", seed=1) as pool:
            async with aioaug.prefetch(pool.imap_batches(BATCHES), 2) as batches:
                for _ in range(min(taken, 3)):
                    await anext(batches)
                if taken > 3:
                    with pytest.raises(ValueError, match="three"):
                        await anext(batches)
                await asyncio.sleep(0)
                state = batches.state()
        async with aioaug.AsyncPool(refuse_three, engine="inline", seed=1) as pool:
            async with pool.imap_batches(BATCHES[:], state=state) as stream:
                if taken <= 3:
                    assert state["next"] == taken
                else:
                    assert [int(batch[0, 0, 0, 0]) async for batch in stream] == [4, 5, 6, 7]


async def test_a_request_that_is_cancelled_loses_no_batch():
    async with aioaug.prefetch(Numbers(5)) as numbers:
        request = asyncio.create_task(anext(numbers))
        await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert [number async for number in numbers] == [1, 2, 3, 4, 5]


async def test_to_leave_it_ends_the_stream():
    async with aioaug.AsyncPool(refuse_three, engine="inline", seed=1) as pool:
        stream = pool.imap_batches(BATCHES)
        async with aioaug.prefetch(stream) as batches:
            await anext(batches)
        assert "closed" in repr(stream)
        with pytest.raises(StopAsyncIteration):
            await anext(batches)
        await batches.aclose()


async def test_a_worker_goes_on_while_the_body_blocks_the_loop(tmp_path):
    allowed, done = tmp_path / "allowed", tmp_path / "done"
    allowed.write_bytes(b"...")
    done.touch()
    batches = [np.full((8, 224, 224, 3), number, np.uint8) for number in range(12)]
    augmenter = partial(as_allowed, path=str(tmp_path))
    async with aioaug.AsyncPool(augmenter, processes=1, seed=1) as pool:
        stream = pool.imap_batches(batches, output_buffer_size=12)
        async with aioaug.prefetch(stream) as prefetched:
            await anext(prefetched)
            time.sleep(0.01)  # the body blocks the loop, and this is noticed  # noqa: ASYNC251
            await anext(prefetched)
            end = time.monotonic() + PATIENCE
            # The fourth batch is in the worker's hands, and the fifth is there as well.
            while [*pool.pool._scheduler._load.values()] != [2] and time.monotonic() < end:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.5)  # a thread lays it into shared memory before it is sent
            with allowed.open("ab") as file:
                file.write(b"..")
            while done.stat().st_size < 5 and time.monotonic() < end:
                time.sleep(0.001)  # noqa: ASYNC251
            assert done.stat().st_size == 5
            with allowed.open("ab") as file:
                file.write(b"." * 12)
            assert len([batch async for batch in prefetched]) == 10


def test_what_it_does_not_take():
    with pytest.raises(TypeError, match="stream must be an async iterator"):
        aioaug.prefetch(BATCHES)
    with pytest.raises(ValueError, match="n must be"):
        aioaug.prefetch(Numbers(1), 0)
