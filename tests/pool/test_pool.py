"""AsyncPool's contract, method by method."""

from __future__ import annotations

import random

import aioaug_testing as aug
import imgaug.augmenters as iaa
import numpy as np
import pytest
from aioaug import AsyncPool
from aioaug.engines import InlineEngine, ThreadEngine


@pytest.fixture(params=["process", "thread", "inline"])
def engine(request):
    return request.param


async def test_map_batches_keeps_order(engine):
    async with AsyncPool(aug.nothing, processes=2, engine=engine) as pool:
        assert await pool.map_batches(list(range(50))) == list(range(50))
        assert await pool.map_batches([]) == []


class OwnThreadEngine(ThreadEngine):
    """As a user may derive one."""


@pytest.mark.parametrize(
    "engine",
    [
        "thread",
        "inline",
        ThreadEngine,
        InlineEngine,
        OwnThreadEngine,
        lambda *args, **options: ThreadEngine(*args, **options),
    ],
)
async def test_whoever_makes_the_engine_what_it_shares_is_left_alone(engine):
    """The batch that was passed in, and the generators that everybody in the program uses."""
    batch = np.zeros(8, np.uint8)
    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist()
    async with AsyncPool(aug.changes_and_draws, processes=1, engine=engine, seed=1) as pool:
        (result,) = await pool.map_batches([batch])
    assert result.any()
    assert not batch.any()
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


@pytest.mark.parametrize("engine", ["thread", ThreadEngine, InlineEngine])
def test_engines_say_which_options_they_take(engine):
    with pytest.raises(ValueError, match="copy: only for workers that are processes"):
        AsyncPool(aug.nothing, engine=engine, copy=True)


async def test_a_pool_says_what_it_is():
    pool = AsyncPool(aug.nothing, processes=2, engine="thread", seed=5)
    about = "augmenter=nothing workers=2 engine=ThreadEngine seed=5"
    assert repr(pool) == f"<AsyncPool {about} new>"
    async with pool:
        assert repr(pool) == f"<AsyncPool {about} open>"
    assert repr(pool) == f"<AsyncPool {about} closed>"
    assert "augmenter=Fliplr workers=3 engine=ProcessEngine" in repr(AsyncPool(iaa.Fliplr(1), 3))


async def test_whether_a_pool_is_closed(engine):
    pool = AsyncPool(aug.nothing, processes=1, engine=engine)
    assert not pool.closed
    async with pool:
        await pool.map_batches([1])
        assert not pool.closed
    assert pool.closed
