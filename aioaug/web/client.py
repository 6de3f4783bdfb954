"""Batches of a dataset from a server's `/dataset/NAME`, for training elsewhere."""

from __future__ import annotations

import asyncio
import io
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from .. import _pictures
from .._aio.tasks import AsyncBatches, ended, finish, in_thread
from .._base.arguments import seconds_or_none, whole, whole_or_none
from .._base.optional import need
from ..errors import ClosedError
from .frames import ARRAYS
from .multipart import parts_of
from .problems import RequestRefused
from .timing import wait_until

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
_COME_BACK = (408, 429, 502, 503, 504)


@dataclass(frozen=True)
class RemoteBatch:
    """A batch as the server's pipeline made it.

    `images` are an array (N,H,W,C) where they have one size, else a list of arrays (H,W,C).
    `labels` are numbers, or what JSON has of other labels. `names` and `indices` are those of the
    pictures in the dataset, `epoch` and `index` say which batch it is.
    """

    images: Any
    labels: list[Any]
    names: list[str]
    indices: list[int]
    epoch: int
    index: int


def batches(
    url: str,
    *,
    epochs: int | None = None,
    state: Mapping[str, int] | None = None,
    ahead: int = 2,
    patience: float = 60.0,
    timeout: float = 30.0,
    format: str = "npy",
    token: str | None = None,
) -> RemoteBatches:
    """The batches of a dataset that a server gives out, in order, to be read with `async for`.

    Args:
        url: of the dataset, such as `http://trainer:8000/dataset/train`.
        epochs: how many there are; `None` takes the server's number, which may be no end.
        state: what `state()` of another one returned, to go on from there.
        ahead: how many batches are fetched while one is used.
        patience: for how many seconds a batch is tried again while the server does not answer, is
            busy, or is started again; then the last error is raised.
        timeout: seconds until an answer that does not come is given up, and asked for again.
        format: `"npy"` for the very pixels, or `"jpeg"`, `"png"`, `"webp"`, of less traffic.
        token: of the server.

    Raises:
        ValueError, TypeError: an argument is out of range or of the wrong type.

    Example::

        async with batches("http://10.0.0.7:8000/dataset/train", epochs=3) as feed:
            async for batch in feed:
                await train(batch.images, batch.labels)
    """
    return RemoteBatches(url, epochs, state, ahead, patience, timeout, format, token)


class RemoteBatches(AsyncBatches):
    """What `batches` returns. One task may read it.

    Each batch comes once, in order, also if the server dies and is started again in between. If it
    has other seeds or another length then, `ValueError` is raised, since batches would not go on.
    What the server refuses is raised as `RequestRefused`. A request for a batch that is cancelled
    loses none. Leaving the block ends what is under way; so does `aclose`, which is idempotent.
    """

    def __init__(
        self,
        url: str,
        epochs: int | None,
        state: Mapping[str, int] | None,
        ahead: int,
        patience: float,
        timeout: float,
        format_: str,
        token: str | None,
    ) -> None:
        self._url = url.rstrip("/")
        self._epochs = whole_or_none("epochs", epochs, low=0)
        self._next = whole("the state's next", (state or {"next": 0})["next"], low=0)
        self._ahead = whole("ahead", ahead, low=0)
        self._patience = seconds_or_none("patience", patience) or 0.0
        self._timeout = seconds_or_none("timeout", timeout)
        self._format = format_
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._httpx = need("httpx", extra="feed")
        self._client: Any = None
        self._about: dict[str, Any] | None = None
        self._waiting: deque[asyncio.Task[RemoteBatch]] = deque()
        self._closed = False

    def state(self) -> dict[str, int]:
        """Where it is, to go on from there in another run: batches that were handed out count."""
        return {"next": self._next}

    async def __anext__(self) -> RemoteBatch:
        if self._closed:
            raise ClosedError("these batches have been closed")
        if self._client is None:
            self._client = await in_thread(self._make_client)
        if self._about is None:
            self._about = json.loads((await self._persistently({})).content)
        self._fill(self._about)
        if not self._waiting:
            raise StopAsyncIteration
        task = self._waiting[0]
        await asyncio.wait((task,))
        self._waiting.popleft()
        try:
            batch = task.result()
        except BaseException:
            await self._drop()  # the next request asks for it again
            raise
        self._next += 1
        return batch

    def _make_client(self) -> Any:
        """It reads certificates, which would hold up the event loop."""
        return self._httpx.AsyncClient(headers=self._headers, timeout=self._timeout)

    async def aclose(self) -> None:
        """End all requests. When it is cancelled it does so first."""
        self._closed = True
        await finish(self._close())

    async def __aenter__(self) -> Self:
        return self

    async def _leave(self, error: BaseException | None) -> None:
        await self.aclose()

    def _fill(self, about: Mapping[str, Any]) -> None:
        epochs = self._epochs if self._epochs is not None else about["epochs"]
        end = None if epochs is None else epochs * about["per_epoch"]
        while len(self._waiting) <= self._ahead:
            number = self._next + len(self._waiting)
            if not about["per_epoch"] or (end is not None and number >= end):
                return
            self._waiting.append(asyncio.create_task(self._batch(number, about)))

    async def _batch(self, number: int, about: Mapping[str, Any]) -> RemoteBatch:
        epoch, index = divmod(number, about["per_epoch"])
        query = {"epoch": epoch, "index": index, "format": self._format}
        answer = await self._persistently(query)
        head, batch = await in_thread(_read, answer.headers["content-type"], answer.content)
        wanted = {"number": number, **{name: about[name] for name in ("seed", "order")}}
        found = {name: head[name] for name in wanted}
        if found != wanted:
            raise ValueError(f"{self._url} has become another dataset: {found}, not {wanted}")
        return batch

    async def _persistently(self, query: Mapping[str, Any]) -> Any:
        """The answer to a request, which is made again while there is hope."""
        loop = asyncio.get_running_loop()
        end, pause = loop.time() + self._patience, _FIRST_PAUSE
        while True:
            try:
                answer = await self._client.get(self._url, params=query)
                if answer.status_code == 200:
                    return answer
                if answer.status_code not in _COME_BACK:
                    raise RequestRefused(answer.status_code, _detail(answer))
                failure: Exception = RequestRefused(answer.status_code, _detail(answer))
                asked = answer.headers.get("retry-after", "")
                wait = min(float(asked), _LONGEST_PAUSE) if asked.isdecimal() else pause
            except self._httpx.TransportError as error:
                failure, wait = error, pause
            if loop.time() + wait > end:
                raise failure
            await wait_until(loop.time() + wait)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _drop(self) -> None:
        tasks = tuple(self._waiting)
        self._waiting.clear()
        for task in tasks:
            task.cancel()
        await ended(tasks)
        for task in tasks:
            if not task.cancelled():
                task.exception()  # nobody asks for it any more

    async def _close(self) -> None:
        await self._drop()
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _read(media_type: str, body: bytes) -> tuple[dict[str, Any], RemoteBatch]:
    """What an answer says of its batch, and the batch."""
    import numpy as np

    first, *rest = parts_of(media_type, body)
    head = json.loads(first.content)
    if [part.name for part in rest] == ["images.npy"]:
        images: Any = np.load(io.BytesIO(rest[0].content))
    else:
        images = [
            np.load(io.BytesIO(part.content))
            if part.media_type == ARRAYS
            else _pictures.decode_pixels(part.content, "rgb")
            for part in rest
        ]
        if images and len({image.shape for image in images}) == 1:
            images = np.stack(images)
    numbers = ("labels", "names", "indices", "epoch", "index")
    return head, RemoteBatch(images, *(head[name] for name in numbers))


def _detail(answer: Any) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.url}: {answer.reason_phrase}"
