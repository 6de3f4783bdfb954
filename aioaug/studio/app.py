"""The studio as an app: its page, its pictures, and the pool that augments them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route

from .._aio.tasks import in_thread
from ..pool import AsyncPool
from ..web.requests import cancel_on_disconnect, read_body
from .answers import Endpoint, answering
from .catalog import catalog
from .describing import describe, noting_arguments
from .guards import SameSite
from .live import LiveAnswer, LiveFigures
from .messages import SIDES, BatchQuery, PictureQuery, StudioQuery, framed, read_query
from .pictures import (
    OpenedDataset,
    UploadedPictures,
    batch_of_one,
    batch_of_run,
    batch_of_upload,
)
from .source import ShownBatch, ShownPicture, python_program
from .trees import Node, all_augmenters
from .work import (
    FindSize,
    MakeSheet,
    MakeThumbnail,
    PipelineSpec,
    ShowAugmented,
    ShowOriginals,
    StudioTask,
    check_picture,
)

if TYPE_CHECKING:
    from starlette.requests import Request

    from ..data.decoding import ReferenceBatch


_MOST_JSON = 256 * 1024
_MOST_UPLOAD = 32 * 2**20
_MOST_UPLOADS = 128 * 2**20
_MOST_PIXELS = 50_000_000
_PAGE = 200  # names of pictures in one answer
_THUMBNAIL = 144
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_NAME = re.compile(r"[a-z-]+\.[a-z]+")


class Studio:
    """What the studio's routes have in common. Building it loads the pipelines, which blocks.

    Args:
        pipelines: specs by the names that the page shows them by.
        opened: the pictures.
        workers: as `processes` of `AsyncPool`.
        timeout: seconds that a worker may take for a request.
    """

    def __init__(
        self,
        pipelines: Mapping[str, PipelineSpec],
        opened: OpenedDataset,
        workers: int | None = None,
        timeout: float = 60.0,
    ) -> None:
        catalog()
        self.opened = opened
        self.specs: dict[str, PipelineSpec] = {}
        self.trees: dict[str, Node] = {}
        self.places: dict[str, int] = {}
        with noting_arguments() as noted:
            for name, spec in pipelines.items():
                pipeline, self.specs[name] = spec.load()
                self.trees[name] = describe(pipeline, name, noted)
                self.places[name] = len(all_augmenters(pipeline))
        self.uploads = UploadedPictures(_MOST_UPLOADS)
        self.pool = AsyncPool(
            StudioTask(self.specs), workers, seed=0, timeout=timeout, max_waiting=256,
            abandon_after=2.0,
        )  # fmt: skip
        self.live = LiveFigures(self.pool)
        self._files = _page_files()

    def end_streams(self) -> None:
        """End the answers that never end by themselves, so that the server can stop."""
        self.live.end()

    async def page(self, request: Request) -> Response:
        """A file of the page."""
        name = request.path_params.get("file", "index.html")
        content = self._files.get(name)
        if content is None:
            return Response("not found\n", 404)
        headers = {"cache-control": "no-cache"}
        return Response(content, headers=headers, media_type=_TYPES[Path(name).suffix])

    async def facts(self, request: Request) -> Response:
        """What the page begins with: pipelines, augmenters, and what pictures there are."""
        dataset = self.opened.dataset
        return _json(
            {
                "title": self.opened.title,
                "pictures": len(dataset),
                "classes": list(dataset.classes),
                "pipelines": [
                    {"name": name, "spec": self.specs[name].spec, "tree": tree}
                    for name, tree in self.trees.items()
                ],
                "augmenters": [kind.as_json() for kind in catalog().values()],
                "sides": SIDES,
                "workers": self.pool.workers,
                "most_upload": _MOST_UPLOAD,
            }
        )

    async def names(self, request: Request) -> Response:
        """The names of some pictures."""
        first = request.path_params["first"]
        dataset = self.opened.dataset
        numbers = range(first, min(len(dataset), first + _PAGE))
        return _json({"first": first, "names": [dataset[each].image.name for each in numbers]})

    async def thumbnail(self, request: Request) -> Response:
        """A small JPEG of a picture."""
        number = request.path_params["number"]
        if number >= len(self.opened.dataset):
            raise KeyError(number)
        job = MakeThumbnail(batch_of_one(self.opened.dataset, number), _THUMBNAIL)
        data = await self.pool.augment_batch(job, index=0)
        headers = {"cache-control": "private, max-age=600"}
        return Response(data, headers=headers, media_type="image/jpeg")

    async def upload(self, request: Request) -> Response:
        """Take a picture; it is decoded by workers only, when it is asked for."""
        data = await read_body(request, _MOST_UPLOAD)
        name = unquote(request.headers.get("x-name", "picture"))
        height, width = await in_thread(check_picture, data, _MOST_PIXELS)
        key = await in_thread(self.uploads.add, name, data)
        kept = self.uploads.get(key).name
        return _json({"upload": key, "name": kept, "width": width, "height": height})

    async def show(self, request: Request) -> Response:
        """Pictures, augmented if the query has a pipeline."""
        query = await self._query(request)
        batch, side = await self._batch(query)
        classes = self.opened.dataset.classes
        job: Any = (
            ShowOriginals(batch, classes, side)
            if query.tree is None
            else ShowAugmented(query.tree, batch, classes, query.seed, _index(query), side)
        )
        shown = await self._made(request, job)
        return Response(await in_thread(framed, shown), media_type="application/octet-stream")

    async def python(self, request: Request) -> Response:
        """A program that makes the same pixels."""
        query = await self._query(request)
        if query.tree is None:
            raise ValueError("there is no pipeline to be copied")
        batch, side = await self._batch(query)
        shown: ShownPicture | ShownBatch
        if isinstance(query.subject, BatchQuery):
            shown = ShownBatch(query.subject.number, query.subject.size, query.subject.shuffle)
        else:
            find = FindSize(batch, side)
            resize = await self._made(request, find)
            name = batch.references[0].name
            shown = ShownPicture(query.subject.number, name, resize, query.index)
        program = python_program(query.tree, self.specs, self.opened, shown, query.seed)
        return _json({"source": program})

    async def sheet(self, request: Request) -> Response:
        """A contact sheet as PNG."""
        query = await self._query(request)
        if query.tree is None:
            raise ValueError("a contact sheet needs a pipeline")
        batch, side = await self._batch(query)
        single = isinstance(query.subject, PictureQuery)
        indices = range(query.index, query.index + query.count) if single else [_index(query)]
        shown = len(indices) + 1 if single else len(batch)
        columns = min(shown, 4) if single else min(len(batch), 8)
        classes = self.opened.dataset.classes
        job = MakeSheet(query.tree, batch, classes, query.seed, tuple(indices), side, columns, 240)
        data = await self._made(request, job)
        headers = {"content-disposition": 'attachment; filename="contact-sheet.png"'}
        return Response(data, headers=headers, media_type="image/png")

    async def figures(self, request: Request) -> Response:
        """Figures of the running server, as server-sent events."""
        answer: Any = LiveAnswer(self.live)  # Starlette calls it as it does its own
        return cast("Response", answer)

    async def _made(self, request: Request, job: Any) -> Any:
        """What a worker makes of a job, unless the client goes away before."""
        async with cancel_on_disconnect(request):
            return await self.pool.augment_batch(job, index=0)

    async def _query(self, request: Request) -> StudioQuery:
        body = await read_body(request, _MOST_JSON)
        return read_query(body, self.places, len(self.opened.dataset))

    async def _batch(self, query: StudioQuery) -> tuple[ReferenceBatch, int | None]:
        subject, dataset = query.subject, self.opened.dataset
        if isinstance(subject, BatchQuery):
            make = partial(
                batch_of_run,
                dataset,
                subject.number,
                subject.size,
                shuffle=subject.shuffle,
                seed=query.seed,
            )
            return await in_thread(make), None  # an order of many pictures takes a while
        if subject.upload is not None:
            return batch_of_upload(self.uploads.get(subject.upload)), subject.side
        return batch_of_one(dataset, subject.number or 0), subject.side


def create_studio(
    pipelines: Mapping[str, PipelineSpec],
    opened: OpenedDataset,
    *,
    workers: int | None = None,
    timeout: float = 60.0,
    hosts: Iterable[str] = (),
) -> Starlette:
    """The app. It blocks while it loads the pipelines; its lifespan owns the worker processes.

    Args:
        pipelines: specs by the names that the page shows them by.
        opened: the pictures, as `open_pictures` returns them.
        workers: how many processes, as for `AsyncPool`.
        timeout: seconds that a worker may take for one request.
        hosts: the names, besides those of loopback, that this server is reached by.

    Raises:
        AugmenterSpecError: a pipeline cannot be loaded.
    """
    studio = Studio(pipelines, opened, workers, timeout)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with studio.pool:
            try:
                yield
            finally:
                studio.end_streams()

    def route(path: str, endpoint: Endpoint, method: str = "GET") -> Route:
        return Route(path, answering(endpoint), methods=[method])

    app = Starlette(
        routes=[
            route("/", studio.page),
            route("/page/{file}", studio.page),
            route("/api/studio", studio.facts),
            route("/api/pictures/{first:int}", studio.names),
            route("/api/thumbnails/{number:int}", studio.thumbnail),
            route("/api/uploads", studio.upload, "POST"),
            route("/api/show", studio.show, "POST"),
            route("/api/python", studio.python, "POST"),
            route("/api/sheet", studio.sheet, "POST"),
            route("/api/live", studio.figures),
        ],
        middleware=[Middleware(SameSite, hosts=tuple(hosts))],
        lifespan=lifespan,
    )
    app.state.studio = studio
    return app


def _index(query: StudioQuery) -> int:
    return query.subject.number if isinstance(query.subject, BatchQuery) else query.index


def _page_files() -> dict[str, bytes]:
    folder = Path(__file__).parent / "page"
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.suffix in _TYPES and _NAME.fullmatch(path.name)
    }


def _json(content: Any) -> Response:
    return Response(json.dumps(content).encode(), media_type="application/json")
