"""What answers an app's requests: checks, counts and the pool's work."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from .._aio.tasks import in_thread
from .._base.seeding import batch_seeds
from ..data.samples import PictureDataset
from ..errors import MissingExtra, UnreadablePictureError
from ..pool import AsyncPool
from .feeds import DatasetFeed
from .limits import WebLimits
from .live import LiveFrames, StreamQuery, StreamTasks, tells_problems
from .metrics import WebMetrics
from .pictures import PictureAnswer
from .pipelines import PostTask, worker_problem
from .problems import RequestRefused, problem, problem_of
from .requests import (
    SeedAndIndex,
    cancel_on_disconnect,
    deadline,
    posted_pictures,
    query_of,
    response_of,
    seed_and_index,
)
from .routes import WebRoute, openapi
from .streaming import StreamingBatches, stream_websocket
from .tracing import request_span, worker_spans

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send
    from starlette.websockets import WebSocket

Handler = Callable[[Request], Awaitable[Response]]
log = logging.getLogger(__package__)

_REFUSED = 1008


class WebService:
    """Answers the requests of one app. It has no state but counts and what it was built with.

    `pool` is set by the lifespan of the app, before the first request.
    """

    pool: AsyncPool

    def __init__(
        self,
        pipelines: tuple[str, ...],
        pictures: PictureDataset | None,
        feeds: dict[str, DatasetFeed],
        limits: WebLimits,
        token: str | None,
        metrics: WebMetrics | MissingExtra,
    ) -> None:
        self.metrics = metrics
        self._pipelines = pipelines
        self._pictures = pictures
        self._feeds = feeds
        self._limits = limits
        self._token = token
        self._requests = 0
        self._streams = 0

    def endpoint(self, route: WebRoute) -> Handler:
        """The handler of a route, checked, traced, counted, and with problems for its errors."""
        handler: Handler = getattr(self, f"_{route.name}")

        async def endpoint(request: Request) -> Response:
            begun = perf_counter()
            with request_span(f"{route.method} {route.path}", request.headers) as span:
                response = await self._answered(route, handler, request)
                if span is not None:
                    span.set_attribute("http.response.status_code", response.status_code)
            if isinstance(self.metrics, WebMetrics):
                seconds = perf_counter() - begun
                self.metrics.note_answer(route.path, response.status_code, seconds)
            return response

        return endpoint

    async def websocket(self, websocket: WebSocket) -> None:
        """`WS /stream/{pipeline}`."""
        try:
            self._check(websocket)
            stream = self._live(websocket, socket=True)
        except RequestRefused as refused:
            await _deny(websocket, refused)
            return
        query, frames = stream
        with self._open():
            dropped = await stream_websocket(websocket, frames, overflow=query.overflow)
        self._count_dropped(dropped)

    async def _answered(self, route: WebRoute, handler: Handler, request: Request) -> Response:
        try:
            if not route.is_open:
                self._check(request)
            return await handler(request)
        except Exception as error:
            response = problem_of(error)
            if response is None:
                raise
            return response

    # The routes, by their names in the table.

    async def _augment(self, request: Request) -> Response:
        name, limits = self._pipeline(request), self._limits
        with self._admitted():
            async with asyncio.timeout(deadline(request, limits.timeout)):
                at = seed_and_index(query_of(request), self.pool.effective_seed)
                pictures = await posted_pictures(request, limits)
                task = PostTask(name, batch_seeds(at.seed, at.index), pictures)
                return response_of(await self._done(request, task), at)

    async def _stream(self, request: Request) -> Response:
        query, frames = self._live(request, socket=False)
        return LiveResponse(self, frames, query)

    async def _dataset(self, request: Request) -> Response:
        feed = self._feeds.get(request.path_params["name"])
        if feed is None:
            raise RequestRefused(404, f"datasets are {', '.join(self._feeds) or 'none'}")
        seed = self.pool.effective_seed
        with self._admitted():
            async with asyncio.timeout(deadline(request, self._limits.timeout)):
                # Buckets read the sizes of all pictures the first time.
                if "index" not in request.query_params:
                    return _json(await in_thread(feed.about, seed))
                task = await in_thread(feed.task, request.query_params, seed)
                answer = await self._done(request, task)
        if request.headers.get("if-none-match") == answer.etag:
            return Response(status_code=304, headers={"ETag": answer.etag})
        return response_of(answer, SeedAndIndex(seed, task.about["number"]))

    async def _offers(self, request: Request) -> Response:
        return _json(
            {
                "pipelines": list(self._pipelines),
                "datasets": list(self._feeds),
                "images": 0 if self._pictures is None else len(self._pictures),
                "seed": self.pool.effective_seed,
            }
        )

    async def _healthz(self, request: Request) -> Response:
        return _json({"status": "ok"})

    async def _readyz(self, request: Request) -> Response:
        up = 0 if self.pool.closed else len(getattr(self.pool.pool, "pids", ()))
        if up < self.pool.workers:
            return problem(503, f"{up} of {self.pool.workers} workers are up")
        return _json({"status": "ok", "workers": up})

    async def _metrics(self, request: Request) -> Response:
        if isinstance(self.metrics, MissingExtra):
            return problem(501, str(self.metrics))
        text, media_type = self.metrics.text()
        return Response(text, media_type=media_type)

    async def _openapi(self, request: Request) -> Response:
        token = self._token is not None
        return _json(openapi(self._pipelines, self._feeds, self._limits, token=token))

    # What they share.

    async def _done(self, request: Request, task: Any) -> PictureAnswer:
        try:
            async with cancel_on_disconnect(request):
                answer: PictureAnswer = await self.pool.augment_batch(task)
        except (OSError, UnreadablePictureError) as error:
            log.warning("a picture of the server cannot be read: %s", error)
            raise worker_problem(error) from error
        worker_spans(answer)
        return answer

    def _pipeline(self, connection: HTTPConnection) -> str:
        name: str = connection.path_params["pipeline"]
        if name not in self._pipelines:
            raise RequestRefused(404, f"pipelines are {', '.join(self._pipelines)}")
        return name

    def _live(self, connection: HTTPConnection, *, socket: bool) -> tuple[StreamQuery, LiveFrames]:
        name = self._pipeline(connection)
        if self._pictures is None:
            raise RequestRefused(404, "this server has no pictures of its own (images=)")
        if self._streams >= self._limits.streams:
            raise RequestRefused(503, f"{self._streams} streams are open, as many as may be")
        seed = self.pool.effective_seed
        query = StreamQuery(connection.query_params, connection.headers, seed, socket=socket)
        tasks = StreamTasks(name, self._pictures, query)
        stream = self.pool.imap_batches(tasks, output_buffer_size=2 * self.pool.workers)
        tells = not socket and tells_problems(query.media_type)
        return query, LiveFrames(stream, tells=tells)

    def _check(self, connection: HTTPConnection) -> None:
        """Raise `RequestRefused` for pages of other origins, and without the token."""
        origin = connection.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != connection.headers.get("host"):
            raise RequestRefused(403, "pages of other origins may not use this server")
        if self._token is not None:
            given = connection.headers.get("authorization", "").encode()
            if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
                raise RequestRefused(401, "send the token: Authorization: Bearer TOKEN")

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        if self._requests >= self._limits.requests:
            raise RequestRefused(503, f"{self._requests} requests are under way")
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1

    @contextmanager
    def _open(self) -> Iterator[None]:
        self._streams += 1
        self._tell_streams()
        try:
            yield
        finally:
            self._streams -= 1
            self._tell_streams()

    def _tell_streams(self) -> None:
        if isinstance(self.metrics, WebMetrics):
            self.metrics.open.set(self._streams)

    def _count_dropped(self, count: int) -> None:
        if isinstance(self.metrics, WebMetrics):
            self.metrics.dropped.inc(count)


class LiveResponse(StreamingBatches):
    """A stream of an app, which counts it as long as it is open."""

    def __init__(self, service: WebService, frames: LiveFrames, query: StreamQuery) -> None:
        headers = {"X-Aioaug-Seed": str(query.seed), "X-Aioaug-Index": str(query.start)}
        super().__init__(frames, query.media_type, overflow=query.overflow, headers=headers)
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything; the stream has ended when this returns or raises."""
        with self._service._open():
            try:
                await super().__call__(scope, receive, send)
            finally:
                self._service._count_dropped(self.dropped)


async def _deny(websocket: WebSocket, refused: RequestRefused) -> None:
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(problem(refused.status, refused.detail))
    else:
        await websocket.close(_REFUSED)


def _json(value: Any) -> Response:
    return Response(json.dumps(value), media_type="application/json")
