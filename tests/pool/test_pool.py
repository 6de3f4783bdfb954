"""AsyncPool's contract, method by method."""

from __future__ import annotations

import aioaug_testing as aug
import pytest
from aioaug import AsyncPool


@pytest.fixture(params=["process", "thread", "inline"])
def engine(request):
    return request.param


async def test_map_batches_keeps_order(engine):
    async with AsyncPool(aug.nothing, processes=2, engine=engine) as pool:
        assert await pool.map_batches(list(range(50))) == list(range(50))
        assert await pool.map_batches([]) == []
