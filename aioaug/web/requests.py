"""Pieces for handlers: a request's pictures augmented, and an end when its client has gone."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from .._aio.tasks import finish, settled
from .._base.seeding import SEED_LIMIT
from ..pool import AsyncPool
from .limits import WebLimits
from .pictures import Bundle, Encoding, PictureAnswer, PostedPictures
from .problems import ClientGone, RequestRefused, problem, problem_of

# Larger bodies go to workers through shared memory, as arrays.
_SHARED = 1 << 16
_SHORTEST = 0.001
# Seconds after which it is looked whether the client is still there. To look costs a task, which
# takes as long as the rest of a small request, and most are answered before.
_LOOK_AFTER = 0.2
_LONGEST_NUMBER = 20  # digits that are looked at


def cancel_on_disconnect(request: Request) -> DisconnectGuard:
    """Cancel the body of an `async with` when the client of a request goes away.

    Starlette and FastAPI let a handler run to its end then. Entering it reads the body of the
    request, if nobody did: servers tell of the disconnection behind it. The client is watched from
    0.2 s on, so what is shorter always comes to its end. Leaving it raises
    `ClientGone`, which frameworks answer quietly, in place of the cancellation. A cancellation of
    another origin passes. With `abandon_after` the pool's worker is free soon, too.

    Example::

        async with cancel_on_disconnect(request):
            result = await pool.augment_batch(batch)
    """
    return DisconnectGuard(request)


class DisconnectGuard:
    """What `cancel_on_disconnect` returns."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._timer: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._task: asyncio.Task[Any] | None = None
        self._gone = False
        self._cancelling = 0

    async def __aenter__(self) -> Self:
        if not getattr(self._request, "_stream_consumed", False):
            try:
                await self._request.body()
            except ClientDisconnect:
                raise ClientGone from None
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task else 0
        self._timer = asyncio.get_running_loop().call_later(_LOOK_AFTER, self._begin)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
            await finish(settled((self._watcher,)))
        if self._gone and self._task is not None:
            # As in asyncio.timeout: only if nobody else cancelled the task, too.
            others = self._task.uncancel() > self._cancelling
            if not others and kind in (None, asyncio.CancelledError):
                raise ClientGone from error

    def _begin(self) -> None:
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._task is not None:
            self._task.cancel()


@dataclass(frozen=True)
class SeedAndIndex:
    """What the random numbers of an answer follow from."""

    seed: int
    index: int

    @property
    def headers(self) -> dict[str, str]:
        """What an answer says of it, so that it can be asked for again."""
        return {"X-Aioaug-Seed": str(self.seed), "X-Aioaug-Index": str(self.index)}


async def augment_response(
    pool: AsyncPool,
    request: Request,
    *,
    limits: WebLimits | None = None,
    timeout: float | None = None,  # noqa: ASYNC109
) -> Response:
    """Augment the pictures that a request brings, and answer with them.

    The pool may have any augmenter of pictures, and no `load=` and `dump=`: files are decoded and
    encoded in its workers. The body is a picture file, or a form with one or more fields `image`,
    and a field `options` of JSON: `format`, `quality`, and `annotations`, a list of what is marked
    on each image, see `PictureMarks`. The query may have `format`, `quality`, `bundle` (`auto`,
    `multipart`, `zip`, `json`), and `index` and `seed`, which make the answer the same again on any
    server: without them the index is drawn. The answer names both in `X-Aioaug-Index` and
    `X-Aioaug-Seed`, and has an `ETag`. Several pictures, or annotations, come as multipart/mixed.

    Errors of the request are answered with 4xx as problem+json, `PoolBusy` with 503, and a timeout,
    the client's `X-Timeout` included, with 504. A client that goes away cancels the work. What the
    augmenter raises, this raises.

    Args:
        timeout: seconds, instead of those of `limits`.

    Example::

        @app.post("/augment")
        async def augment(request: Request):
            return await augment_response(request.app.state.pool, request)
    """
    limits = limits or WebLimits()
    try:
        async with asyncio.timeout(deadline(request, timeout or limits.timeout)):
            at = seed_and_index(query_of(request), pool.effective_seed)
            posted = await posted_pictures(request, limits)
            async with cancel_on_disconnect(request):
                answer = await pool.augment_batch(posted, index=pool_index(pool, at))
    except Exception as error:
        response = problem_of(error)
        if response is None:
            raise
        return response
    if not isinstance(answer, PictureAnswer):
        return problem(500, "the pool is not one of pictures")
    return response_of(answer, at)


def response_of(answer: PictureAnswer, at: SeedAndIndex, *more: Mapping[str, str]) -> Response:
    """The response for what a worker made."""
    headers = {**at.headers, "ETag": answer.etag, "X-Content-Type-Options": "nosniff"}
    for each in more:
        headers.update(each)
    return Response(answer.body, 200, headers, answer.media_type)


async def posted_pictures(request: Request, limits: WebLimits) -> PostedPictures:
    """The body of a request for a worker, and the options in its query."""
    encoding, bundle = encoding_of(query_of(request)), bundle_of(request)
    body: Any = await read_body(request, limits.body)
    if len(body) > _SHARED:
        import numpy as np

        body = np.frombuffer(body, np.uint8)
    kind = request.headers.get("content-type", "")
    return PostedPictures(body, kind, encoding, bundle, limits)


async def read_body(request: Request, most: int) -> bytes:
    """The body; `RequestRefused` 413 as soon as it is known to be larger than `most` bytes."""
    said = request.headers.get("content-length", "0")
    if not said.isdecimal() or len(said) > _LONGEST_NUMBER:
        raise RequestRefused(400, "Content-Length is no number")
    if int(said) > most:
        raise RequestRefused(413, f"a body of {most:,} bytes at most, got {int(said):,}")
    parts, length = [], 0
    try:
        async for part in request.stream():
            length += len(part)
            if length > most:
                raise RequestRefused(413, f"a body of {most:,} bytes at most")
            parts.append(part)
    except ClientDisconnect:
        raise ClientGone from None
    return b"".join(parts)


def query_of(request: Request) -> Mapping[str, str]:
    """What the query of a request says. Starlette takes ten times as long for one that is empty."""
    return request.query_params if request.scope.get("query_string") else {}


def deadline(request: Request, most: float) -> float:
    """The seconds that a request may take: what `X-Timeout` says, but no more than `most`."""
    said = request.headers.get("x-timeout")
    if said is None:
        return most
    try:
        seconds = float(said)
    except ValueError:
        seconds = math.nan
    if not _SHORTEST <= seconds < math.inf:
        raise RequestRefused(400, f"X-Timeout must be a number of seconds from {_SHORTEST}")
    return min(seconds, most)


def seed_and_index(query: Mapping[str, str], seed: int) -> SeedAndIndex:
    """The seed and index that a query asks for, or this seed and an index that is drawn."""
    return SeedAndIndex(
        number_of(query, "seed", seed, most=SEED_LIMIT),
        number_of(query, "index", secrets.randbelow(SEED_LIMIT), most=SEED_LIMIT),
    )


def number_of(query: Mapping[str, str], name: str, default: int, *, low: int = 0, most: int) -> int:
    """A whole number from a query; `RequestRefused` 400 if it is none, or out of range."""
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > _LONGEST_NUMBER:
        raise RequestRefused(400, f"{name} must be a number from {low} to {most}")
    if not low <= int(text) <= most:
        raise RequestRefused(400, f"{name} must be a number from {low} to {most}, got {text}")
    return int(text)


def pool_index(pool: AsyncPool, at: SeedAndIndex) -> int:
    """The index under the pool's own seed that has these numbers: they follow from the sum."""
    return (at.seed + at.index - pool.effective_seed) % SEED_LIMIT


def encoding_of(query: Mapping[str, str], accept: str = "") -> Encoding:
    """The format that the query, or else the header Accept, asks for."""
    default = next((kind for kind in ("png", "webp") if f"image/{kind}" in accept), "jpeg")
    quality = number_of(query, "quality", Encoding().quality, low=1, most=100)
    return Encoding(query.get("format", default), quality).checked()  # type: ignore[arg-type]


def bundle_of(request: Request) -> Bundle:
    """How several pictures are put together: by the query, or else the header Accept."""
    accept = request.headers.get("accept", "")
    asked = query_of(request).get("bundle")
    if asked is None:
        if "application/zip" in accept:
            return "zip"
        return "json" if "application/json" in accept else "auto"
    if asked not in ("auto", "multipart", "zip", "json"):
        raise RequestRefused(400, "bundle must be one of auto, multipart, zip, json")
    return asked  # type: ignore[return-value]
