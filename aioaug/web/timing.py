"""Waiting for a time: the pace of a stream, and the pauses between attempts."""

from __future__ import annotations

import asyncio


async def wait_until(due: float) -> None:
    """Wait until the running loop's clock shows `due`; at least one turn of the loop."""
    loop = asyncio.get_running_loop()
    turn = loop.create_future()
    timer = loop.call_at(due, _begin, turn)
    try:
        await turn
    finally:
        timer.cancel()


def _begin(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
