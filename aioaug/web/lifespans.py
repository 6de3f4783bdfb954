"""A lifespan for one's own app, which owns pools."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from ..pool import AsyncPool
from .shutdown import watching_shutdown


def pool_lifespan(
    **pools: AsyncPool | Callable[[], AsyncPool],
) -> Callable[[Any], AbstractAsyncContextManager[dict[str, Any]]]:
    """A lifespan for Starlette, FastAPI or Litestar that starts pools, and ends them last.

    Each pool is at `app.state.NAME` and, in Starlette and FastAPI, at `request.state.NAME`. Their
    workers start before the first request. Responses of this package that stream end when the
    server gets SIGTERM or SIGINT, so it does not wait for them.

    In place of a pool, a function may make it. That is needed where the pool uses functions of the
    module in which it is built, and a server imports that module: workers import it, too, to find
    them, and may build no pool.

    Raises:
        ValueError, TypeError: there is no pool, or one of them is none.

    Example::

        app = FastAPI(lifespan=pool_lifespan(pool=AsyncPool(augmenter, seed=1)))
    """
    if not pools:
        raise ValueError("pool_lifespan needs a pool: pool_lifespan(pool=AsyncPool(...))")
    for name, pool in pools.items():
        if not isinstance(pool, AsyncPool) and not callable(pool):
            kinds = "an AsyncPool or a function that makes one"
            raise TypeError(f"{name} must be {kinds}, got {type(pool).__name__}")

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            started = {}
            for name, pool in pools.items():
                made = pool if isinstance(pool, AsyncPool) else pool()
                started[name] = await stack.enter_async_context(made)
                setattr(app.state, name, made)
            stack.enter_context(watching_shutdown())
            yield started

    return lifespan
