"""One way to write what is done in parallel, for callers that block and for those that await.

It is a generator that yields `Work` and gets the results; what it returns is the result.
"""

from __future__ import annotations

import contextvars
from collections.abc import Generator
from typing import Any

from .._aio.tasks import finish, in_thread
from .calls import Work
from .targets import run, run_async

Steps = Generator[Work, list[Any], Any]


def drive(steps: Steps) -> Any:
    """Take the steps one after another, here."""
    ended, found = _step(steps, None)
    while not ended:
        ended, found = _step(steps, run(found))
    return found


async def drive_async(steps: Steps) -> Any:
    """Take the steps in threads, since they load and copy, and have the work awaited.

    A step that has begun is waited for even when this is cancelled: it may be changing a batch.
    """
    ended, found = await _in_thread(steps, None)
    while not ended:
        ended, found = await _in_thread(steps, await run_async(found))
    return found


async def _in_thread(steps: Steps, results: list[Any] | None) -> tuple[bool, Any]:
    return await finish(in_thread(contextvars.copy_context().run, _step, steps, results))


def _step(steps: Steps, results: list[Any] | None) -> tuple[bool, Any]:
    """Whether the steps are at their end, and the result or the next work."""
    try:
        return False, next(steps) if results is None else steps.send(results)
    except StopIteration as end:
        return True, end.value
