"""A Litestar app that augments the pictures that its clients send, and streams its own.

curl --data-binary @picture.jpg "http://127.0.0.1:8000/augment?index=7" > augmented.jpg
"""

import asyncio
import os
from collections.abc import AsyncIterator

import aioaug
import cv2
import imgaug.augmenters as iaa
import numpy as np
from aioaug.web import StreamingBatches, augment_response, pool_lifespan, serve
from litestar import Litestar, asgi
from litestar.types import Receive, Scope, Send
from skimage import data
from starlette.requests import Request

PORT = int(os.environ.get("PORT", "8000"))

seq = iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-20, 20))])


def jpegs(images: np.ndarray) -> list[bytes]:
    """Runs in a worker process: what is sent back in place of the augmented pictures."""
    return [cv2.imencode(".jpg", image[..., ::-1])[1].tobytes() for image in images]


async def camera() -> AsyncIterator[np.ndarray]:
    while True:
        yield data.chelsea()[np.newaxis]
        await asyncio.sleep(0.1)


@asgi("/augment", copy_scope=True)
async def augment(scope: Scope, receive: Receive, send: Send) -> None:
    response = await augment_response(scope["litestar_app"].state.pool, Request(scope, receive))
    await response(scope, receive, send)


@asgi("/live", copy_scope=True)
async def live(scope: Scope, receive: Receive, send: Send) -> None:
    batches = scope["litestar_app"].state.live.imap_batches(camera(), output_buffer_size=4)
    await StreamingBatches(batches, overflow="latest")(scope, receive, send)


app = Litestar(
    [augment, live],
    lifespan=[
        pool_lifespan(
            pool=lambda: aioaug.AsyncPool(seq, seed=1, timeout=10, abandon_after=1),
            live=lambda: aioaug.AsyncPool(seq, seed=1, processes=1, dump=jpegs),
        )
    ],
)

if __name__ == "__main__":  # worker processes import this file
    serve(app, port=PORT)
