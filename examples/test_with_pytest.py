"""Tests of code that uses aioaug, for pytest with pytest-asyncio: `pytest test_with_pytest.py`."""

from collections.abc import AsyncIterator

import aioaug
import imgaug.augmenters as iaa
import numpy as np
import pytest
import pytest_asyncio

AUGMENTER = iaa.Affine(rotate=(-20, 20))
BATCHES = [np.full((2, 16, 16, 3), number, np.uint8) for number in range(4)]


async def brightness(pool: aioaug.AsyncPool) -> list[float]:
    """The code that is tested."""
    async with pool.imap_batches(BATCHES, output_buffer_size="auto") as stream:
        return [float(batch.mean()) async for batch in stream]


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[aioaug.AsyncPool]:
    """A pool for each test, without processes: breakpoints and coverage see the augmenter."""
    async with aioaug.AsyncPool(AUGMENTER, seed=1, engine="inline") as pool:
        yield pool


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def processes() -> AsyncIterator[aioaug.AsyncPool]:
    """A pool with processes for all tests of this module, which then share one event loop."""
    async with aioaug.AsyncPool(AUGMENTER, processes=1, seed=1) as pool:
        yield pool


@pytest.mark.asyncio
async def test_brightness(pool: aioaug.AsyncPool) -> None:
    first, *others = await brightness(pool)
    assert first == 0
    assert others == sorted(others)


@pytest.mark.asyncio(loop_scope="module")
async def test_processes_give_the_same(processes: aioaug.AsyncPool) -> None:
    async with aioaug.AsyncPool(AUGMENTER, seed=1, engine="inline") as inline:
        assert await brightness(processes) == await brightness(inline)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_bad_batch(processes: aioaug.AsyncPool) -> None:
    with pytest.raises(TypeError, match="got str"):
        await processes.map_batches(["no image"])
