"""What is Ray's own: who begins it, and for how long it is there."""

from __future__ import annotations

import os
import subprocess
import sys

import clusters_testing as cl
import pytest

pytest.importorskip("ray")

# Ray is begun by the pool, not by the program; nothing of it may end before the pool does.
PROGRAM = """
import asyncio
import clusters_testing as cl
from aioaug import AsyncPool

async def main():
    async with AsyncPool(cl.slowly, engine="ray") as pool:
        results = await pool.map_batches(cl.batches(100))
    print(sum(int(batch.max()) for batch in results))

asyncio.run(main())
"""


def test_a_pool_that_begins_ray_keeps_it_until_its_own_end():
    environment = {name: text for name, text in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment | {"PYTHONPATH": f"{cl.ROOT}{os.pathsep}{cl.SUPPORT}"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(sum(range(1, 101)))]
