"""Requests with pictures: an app of `aioaug.web`, and the same one on an executor of processes.

Each server is a process of its own, with two workers. Clients send JPEGs of 224 x 224 as files in a
form, each client one after the other on one connection, and get them back flipped and turned. The
processor time of servers and workers is measured, too: other programs disturb it little.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from .._base.optional import need
from .tables import table

OURS, EXECUTOR = WAYS = "aioaug.web", "run_in_executor"
WORKERS = 2
_SIDE = 224
_QUALITY = 90
_BOUNDARY = "aioaug-bench"
_WARM = 1.0
_START = 30.0  # seconds that a server may take


class WebFigures(NamedTuple):
    """What was measured of a way in a round, all times in seconds."""

    per_second: float
    p50: float
    p99: float
    cpu: float  # of the server and its workers, for a request


def measure_web(rounds: int, seconds: float, clients: int) -> Iterator[tuple[str, WebFigures]]:
    """Measure all ways in turns, each for so many seconds with so many clients."""
    body = _form()
    for _ in range(rounds):
        for way in WAYS:
            with _server(way) as (process, port):
                yield way, asyncio.run(_measure(process, port, body, seconds, clients))


def as_web_table(figures: Mapping[str, Sequence[WebFigures]], markdown: bool) -> str:
    """The medians of all rounds as a table."""
    rows = [["way", "requests/s", "p50", "p99", "processor time"]]
    for way, found in figures.items():
        middle = WebFigures(*(median(column) for column in zip(*found, strict=True)))
        times = (f"{value * 1e3:.1f} ms" for value in middle[1:])
        rows.append([way, f"{middle.per_second:.0f}", *times])
    return table(rows, markdown)


def pipeline() -> Any:
    """What both ways do to a picture."""
    import imgaug.augmenters as iaa

    return iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-20, 20))])


def our_app() -> Any:
    """The app of aioaug."""
    from ..web import create_app

    return create_app({"light": pipeline()}, seed=1, processes=WORKERS)


def executor_app() -> Any:
    """What one writes without it: the same work in a `ProcessPoolExecutor`.

    It does what a simple app needs: the file is taken out of the form, what is no picture is
    refused, and workers draw other numbers from one another.
    """
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.responses import Response
    from starlette.routing import Route

    async def augment(request: Any) -> Any:
        loop = asyncio.get_running_loop()
        async with request.form(max_files=1) as form:
            posted = await form["image"].read()
        jpeg = await loop.run_in_executor(app.state.workers, _augment, posted)
        if jpeg is None:
            raise HTTPException(415, "not a picture")
        return Response(jpeg, media_type="image/jpeg")

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        with ProcessPoolExecutor(WORKERS, initializer=_prepare) as app.state.workers:
            yield

    routes = [Route("/augment/light", augment, methods=["POST"])]
    app = Starlette(routes=routes, lifespan=lifespan)  # the functions above refer to it
    return app


def _prepare() -> None:
    import cv2
    import imgaug

    cv2.setNumThreads(0)
    imgaug.seed(os.getpid())  # forked workers have the same generator
    _pipelines.append(pipeline())


_pipelines: list[Any] = []


def _augment(jpeg: bytes) -> bytes | None:
    import cv2
    import numpy as np

    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return None
    augmented = _pipelines[0](image=image)
    _, encoded = cv2.imencode(".jpg", augmented, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    return bytes(encoded)


def _form() -> bytes:
    """The body of a request, with the boundary below."""
    head = 'Content-Disposition: form-data; name="image"; filename="image.jpg"\r\n'
    start = f"--{_BOUNDARY}\r\n{head}Content-Type: image/jpeg\r\n\r\n"
    return start.encode() + _jpeg() + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _jpeg() -> bytes:
    import cv2
    from skimage import data

    small = cv2.resize(data.astronaut(), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    encoded: bytes = cv2.imencode(".jpg", small)[1].tobytes()
    return encoded


@contextmanager
def _server(way: str) -> Iterator[tuple[Any, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", __name__, way, str(port)])
    try:
        yield need("psutil", extra="bench").Process(process.pid), port
    finally:
        process.terminate()
        process.wait()


async def _measure(server: Any, port: int, body: bytes, seconds: float, clients: int) -> WebFigures:
    async with asyncio.TaskGroup() as group:  # all workers import what they need
        for _ in range(clients):
            group.create_task(_send(port, body, _WARM, []))
    before, begun = _used(server), perf_counter()
    times: list[float] = []
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(_send(port, body, seconds, times))
    elapsed, used = perf_counter() - begun, _used(server) - before
    ordered = sorted(times)
    at = (len(ordered) - 1) * 99 // 100
    return WebFigures(
        len(times) / elapsed, ordered[len(ordered) // 2], ordered[at], used / len(times)
    )


async def _send(port: int, body: bytes, seconds: float, times: list[float]) -> None:
    """Send one request after the other for so long, at least one, and note how long each took."""
    reader, writer = await _connected(port)
    kind = f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n"
    head = f"POST /augment/light HTTP/1.1\r\nHost: x\r\n{kind}Content-Length: {len(body)}\r\n\r\n"
    whole = head.encode() + body
    end = perf_counter() + seconds
    while True:
        begun = perf_counter()
        writer.write(whole)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the server answered {answer!r}")
        lines = answer.lower().split(b"\r\n")
        length = next(line for line in lines if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        times.append(perf_counter() - begun)
        if perf_counter() >= end:
            break
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def _connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    from ..web.timing import wait_until

    loop = asyncio.get_running_loop()
    end = loop.time() + _START
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            if loop.time() > end:
                raise
            await wait_until(loop.time() + 0.05)  # the server is not up yet


def _used(server: Any) -> float:
    """Seconds of processors of a server and all that it started."""
    family = (server, *server.children(recursive=True))
    return sum(sum(each.cpu_times()[:2]) for each in family)


def main(way: str, port: int) -> None:
    """Run the server of a way until it is told to stop."""
    from ..web import serve

    app = our_app() if way == OURS else executor_app()
    serve(app, port=port, log_level="error", access_log=False)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
