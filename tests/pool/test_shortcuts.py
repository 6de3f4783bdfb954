"""Ways to the pool without an event loop of one's own."""

from __future__ import annotations

import asyncio

import aioaug
import pytest


def test_run_uses_uvloop_where_it_is():
    async def loop_module():
        return type(asyncio.get_running_loop()).__module__

    pytest.importorskip("uvloop")
    assert aioaug.run(loop_module()).startswith("uvloop")
