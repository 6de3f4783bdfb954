"""What loaders and augmenters that run ahead have in common: how they are used and left."""

from __future__ import annotations

from typing import Any, Self

from .._tasks import AsyncResource


class Ahead(AsyncResource):
    """Batches by `get_batch` or `async for`, started by the first of them, ended by `terminate`."""

    _over = False

    @property
    def closed(self) -> bool:
        """Whether nothing runs any more, after the last batch or after `terminate`."""
        return self._over

    async def start(self) -> None:
        """Start all workers. Idempotent, and without effect after the end."""
        raise NotImplementedError

    async def get_batch(self) -> Any:
        """The next batch, or `None`, again and again, when there are no more."""
        raise NotImplementedError

    async def terminate(self) -> None:
        """End at once. Idempotent; cancelled, it finishes first."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """The same as `terminate`."""
        await self.terminate()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        batch = await self.get_batch()
        if batch is None:
            raise StopAsyncIteration
        return batch

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def _leave(self, error: BaseException | None) -> None:
        await self.terminate()
