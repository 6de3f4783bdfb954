"""`check_engine`: runs all checks on an engine, in a program or in a test of anybody's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..engines import Engine
from ..errors import ConformanceError
from . import checks


async def check_engine(
    make: Callable[..., Engine],
    *,
    beside_the_loop: bool = True,
    in_processes: bool = False,
    limit: float = 60.0,
) -> None:
    """Check that an engine keeps what `aioaug.Engine` promises; return if it does.

    One check runs after the other, each with engines of its own, which it closes. Cancelled, it
    ends the check that runs. It takes some seconds, and needs a running event loop: await it in an
    async test, or pass it to `asyncio.run`.

    Args:
        make: what `engine=` of a pool takes: an engine's class, or a callable that is called with
            the state and the keyword `workers`, and by pools with `max_tasks`, too.
        beside_the_loop: whether the event loop goes on while a call runs. An engine that runs its
            calls on the loop, as `InlineEngine`, cannot be cancelled meanwhile.
        in_processes: whether workers are processes. One is ended in the middle of a call then.
        limit: how many seconds each check may take.

    Raises:
        ConformanceError: an `AssertionError` that names the check and the promise that was not
            kept, or says that the check took longer than `limit`.

    Example::

        async def test_my_engine():
            await aioaug.testing.check_engine(MyEngine)
    """
    wanted = [*checks.EVERY]
    if beside_the_loop:
        wanted += checks.BESIDE_THE_LOOP
    if in_processes:
        wanted += checks.IN_PROCESSES
    for check in wanted:
        try:
            async with asyncio.timeout(limit):
                await check(make)
        except TimeoutError as error:
            raise ConformanceError(
                f"{check.__name__}: it took more than {limit:g} s; either the engine hangs, or it "
                "needs a larger limit="
            ) from error
        except ConformanceError as error:
            raise ConformanceError(f"{check.__name__}: {error}") from error
        except Exception as error:
            raise ConformanceError(f"{check.__name__}: it raised {error!r}") from error
