"""A web server that streams augmented pictures to a browser: run it and open the address it prints.

The app owns the pool, each response owns its stream. When the client leaves, its stream ends.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aioaug
import cv2
import imgaug.augmenters as iaa
import numpy as np
import uvicorn
from skimage import data
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

PORT = int(os.environ.get("PORT", "8000"))
FPS = float(os.environ.get("FPS", "10"))

seq = iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-20, 20)), iaa.GaussianBlur((0, 2))])


def augment(images: np.ndarray, rng: np.random.Generator) -> list[bytes]:
    """Runs in a worker process: pictures in, augmented JPEGs out."""
    seq.seed_(int(rng.integers(2**31 - 1)))
    return [cv2.imencode(".jpg", image[..., ::-1])[1].tobytes() for image in seq(images=images)]


async def camera(status: dict[str, int]) -> AsyncIterator[np.ndarray]:
    status["open"] += 1
    try:
        while True:
            status["pulled"] += 1
            yield np.stack([data.chelsea()] * 4)
    finally:
        status["open"] -= 1


class Pictures(StreamingResponse):
    """Shows one picture after the other in the same place, as every browser can."""

    media_type = "multipart/x-mixed-replace; boundary=picture"

    def __init__(self, stream: aioaug.BatchStream) -> None:
        super().__init__(self.parts(stream))
        self.stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.stream:  # however the response ends, the stream ends with it
            await super().__call__(scope, receive, send)

    async def parts(self, stream: aioaug.BatchStream) -> AsyncIterator[bytes]:
        async for batch in stream:
            for jpeg in batch:
                head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}"
                yield head.encode() + b"\r\n\r\n" + jpeg + b"\r\n"
                await asyncio.sleep(1 / FPS)


async def pictures(request: Request) -> Pictures:
    source = camera(request.app.state.status)
    return Pictures(request.app.state.pool.imap_batches(source, output_buffer_size=3))


async def status(request: Request) -> JSONResponse:
    return JSONResponse(request.app.state.status)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    app.state.status = {"open": 0, "pulled": 0}
    async with aioaug.AsyncPool(augment, seed=1) as app.state.pool:
        yield


app = Starlette(routes=[Route("/", pictures), Route("/status", status)], lifespan=lifespan)

if __name__ == "__main__":  # worker processes import this file
    # Without a timeout uvicorn would wait for the last client to leave before it stops.
    uvicorn.run(app, port=PORT, timeout_graceful_shutdown=1)
