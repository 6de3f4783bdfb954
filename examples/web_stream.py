"""A web server that streams augmented pictures to a browser: run it and open the address it prints.

The app owns the pool, each response owns its stream. When the client leaves, its stream ends.
"""

import asyncio
import os
from collections.abc import AsyncIterator

import aioaug
import cv2
import imgaug.augmenters as iaa
import numpy as np
from aioaug.web import StreamingBatches, pool_lifespan, serve
from skimage import data
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

PORT = int(os.environ.get("PORT", "8000"))
FPS = float(os.environ.get("FPS", "10"))

seq = iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-20, 20)), iaa.GaussianBlur((0, 2))])
seen = {"open": 0, "pulled": 0}


def jpegs(images: np.ndarray) -> list[bytes]:
    """Runs in a worker process: what is sent back in place of the augmented pictures."""
    return [cv2.imencode(".jpg", image[..., ::-1])[1].tobytes() for image in images]


async def camera() -> AsyncIterator[np.ndarray]:
    seen["open"] += 1
    try:
        while True:
            seen["pulled"] += 1
            yield data.chelsea()[np.newaxis]
            await asyncio.sleep(1 / FPS)
    finally:
        seen["open"] -= 1


async def pictures(request: Request) -> StreamingBatches:
    return StreamingBatches(request.state.pool.imap_batches(camera(), output_buffer_size=4))


async def status(request: Request) -> JSONResponse:
    return JSONResponse(seen)


app = Starlette(
    routes=[Route("/", pictures), Route("/status", status)],
    lifespan=pool_lifespan(pool=lambda: aioaug.AsyncPool(seq, seed=1, dump=jpegs)),
)

if __name__ == "__main__":  # worker processes import this file
    serve(app, port=PORT)
