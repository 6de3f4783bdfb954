"""A web server that augments the picture of each request: run it, and POST pictures to it.

curl --data-binary @picture.jpg "http://127.0.0.1:8000/?index=7" > augmented.jpg
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict

import aioaug
import cv2
import imgaug.augmenters as iaa
import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PORT = int(os.environ.get("PORT", "8000"))
WAITING = int(os.environ.get("WAITING", "100"))

seq = iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-20, 20)), iaa.GaussianBlur((0, 2))])


def augment(jpeg: bytes, rng: np.random.Generator) -> bytes:
    """Runs in a worker process: a picture file in, an augmented one out."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if image is None:
        raise ValueError("this is no picture")
    seq.seed_(int(rng.integers(2**31 - 1)))
    return cv2.imencode(".jpg", seq(image=image))[1].tobytes()


async def picture(request: Request) -> Response:
    pool: aioaug.AsyncPool = request.app.state.pool
    index = request.query_params.get("index")
    try:
        jpeg = await pool.augment_batch(
            await request.body(), index=None if index is None else int(index)
        )
    except aioaug.PoolBusy:
        return Response("too many requests wait", 503, headers={"Retry-After": "1"})
    except aioaug.BatchTimeout:
        return Response("this picture takes too long", 504)
    except ValueError as error:
        return Response(str(error), 400)
    return Response(jpeg, media_type="image/jpeg")


async def status(request: Request) -> JSONResponse:
    return JSONResponse(asdict(request.app.state.pool.stats()))


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    pool = aioaug.AsyncPool(
        augment, seed=1, timeout=10, retries=0, abandon_after=1, max_waiting=WAITING
    )
    async with pool as app.state.pool:
        yield


app = Starlette(
    routes=[Route("/", picture, methods=["POST"]), Route("/status", status)], lifespan=lifespan
)

if __name__ == "__main__":  # worker processes import this file
    uvicorn.run(app, port=PORT, timeout_graceful_shutdown=1)
