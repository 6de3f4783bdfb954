"""`create_app`: pipelines as a web app that owns its pool."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route, WebSocketRoute

from .._base.seeding import check_seed
from .._base.system import worker_count
from ..data.folders import Files
from ..data.samples import PictureDataset
from ..pool import AsyncPool
from .feeds import DatasetFeed
from .limits import WebLimits
from .metrics import WebMetrics, web_metrics
from .pipelines import PipelineSet
from .problems import problem, problem_of
from .routes import ROUTES
from .service import WebService
from .shutdown import watching_shutdown
from .tracing import is_tracing

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

Images = PictureDataset | str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def create_app(
    pipelines: Mapping[str, Any],
    images: Images | None = None,
    *,
    datasets: Mapping[str, DatasetFeed] | None = None,
    seed: int | None = None,
    processes: int | None = None,
    limits: WebLimits | None = None,
    token: str | None = None,
    profile: bool | None = None,
) -> Starlette:
    """An ASGI app that augments pictures: for uvicorn, hypercorn and gunicorn's uvicorn workers.

    It has `POST /augment/{pipeline}` for pictures and what is marked on them, `GET` and `WS
    /stream/{pipeline}` for the server's own pictures, `GET /dataset/{name}` for trainers,
    `/pipelines`, `/healthz`, `/readyz`, `/metrics` and `/openapi.json`; the page "Web apps" of the
    documentation describes them. Errors are problem+json. Decoding, augmenting and encoding run in
    the worker processes of one pool, which its lifespan owns: nothing starts before.

    Answers depend on the pipeline, the picture, the seed and the index alone, on any server. What a
    client sends is data: it names one of `pipelines`, and gives numbers. Pages of other origins are
    refused, and there is no CORS.

    Args:
        pipelines: augmenters by name, of any kind that a pool takes.
        images: for `/stream`: a folder, a list of paths, or a dataset of `aioaug.data`, whose
            labels are sent, too.
        datasets: for `/dataset`, by name.
        seed: 0 to 2**31 - 1, of requests that name none; `None` draws one for each process.
        processes: as for `AsyncPool`.
        limits: how much clients may ask for.
        token: if given, clients send `Authorization: Bearer TOKEN`; not for `/healthz`, `/readyz`.
        profile: measure each of imgaug's augmenters for the spans of OpenTelemetry; `None` does so
            if a provider of spans is set when the app is made.

    Raises:
        ValueError, TypeError: an argument is of the wrong type or out of range, or a feed names a
            pipeline that there is not.
        OSError: the folder cannot be read.

    Example::

        app = create_app({"light": iaa.Fliplr(0.5)}, images="pictures/", seed=1)
    """
    datasets = dict(datasets or {})
    _check(pipelines, datasets, token)
    limits = limits or WebLimits()
    functions = PipelineSet(pipelines, is_tracing() if profile is None else profile)
    make_pool = _pool_maker(functions, processes, check_seed(seed), limits)
    service = WebService(
        tuple(pipelines), _pictures_of(images), datasets, limits, token, web_metrics()
    )
    return Starlette(
        routes=_routes(service),
        lifespan=_lifespan(service, make_pool),
        exception_handlers={404: _answer, 405: _answer, Exception: _fault},
    )


def _pool_maker(
    functions: PipelineSet, processes: int | None, seed: int, limits: WebLimits
) -> Callable[[], AsyncPool]:
    worker_count(processes)  # raises here what would else be raised when the server starts
    # A worker that unpickles a function of the app's module imports that, and may build no pool.
    return partial(
        AsyncPool,
        functions,
        processes,
        seed=seed,
        timeout=limits.timeout,
        retries=1,
        abandon_after=1,
        max_waiting=limits.waiting,
    )


def _check(
    pipelines: Mapping[str, Any], datasets: Mapping[str, DatasetFeed], token: str | None
) -> None:
    if not pipelines or not all(isinstance(name, str) and name for name in pipelines):
        raise ValueError("pipelines must be augmenters by name, at least one")
    if token is not None and not token:
        raise ValueError("token must not be empty; leave it out for none")
    for name, feed in datasets.items():
        if feed.pipeline not in pipelines:
            raise ValueError(f"dataset {name!r} names the pipeline {feed.pipeline!r}, of none here")


def serve(app: Any, host: str = "127.0.0.1", port: int = 8000, **options: Any) -> None:
    """Run an app by uvicorn until SIGTERM or SIGINT, on this machine alone by default.

    Streams end when it is told to stop, and clients that take nothing are cut off a second later.
    `options` are those of `uvicorn.run`; for several processes, give it the app as a string.
    """
    from .._base.optional import need

    options = {"timeout_graceful_shutdown": 1, **options}
    need("uvicorn", extra="web").run(app, host=host, port=port, **options)


def _routes(service: WebService) -> list[BaseRoute]:
    routes: list[BaseRoute] = [
        Route(route.path, service.endpoint(route), methods=[route.method]) for route in ROUTES
    ]
    return [*routes, WebSocketRoute("/stream/{pipeline}", service.websocket)]


def _lifespan(service: WebService, make_pool: Callable[[], AsyncPool]) -> Any:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        metrics = service.metrics
        async with make_pool() as app.state.pool:
            with watching_shutdown():
                service.pool = app.state.pool
                if isinstance(metrics, WebMetrics):
                    metrics.start(service.pool)
                try:
                    yield
                finally:
                    if isinstance(metrics, WebMetrics):
                        metrics.stop()

    return lifespan


def _pictures_of(images: Images | None) -> PictureDataset | None:
    if images is None or isinstance(images, PictureDataset):
        return images
    return Files(images)


async def _answer(request: Request, error: Exception) -> Response:
    return problem_of(error) or problem(500)


async def _fault(request: Request, error: Exception) -> Response:
    # Not what it says: that may have names of files. The server logs it.
    return problem(500, "the server failed on this request; its log says why")
