"""A FastAPI app that augments the pictures that its clients send.

curl --data-binary @picture.jpg "http://127.0.0.1:8000/augment?index=7" > augmented.jpg
"""

import os

import aioaug
import cv2
import imgaug.augmenters as iaa
import numpy as np
from aioaug.web import augment_response, cancel_on_disconnect, pool_lifespan, serve
from fastapi import FastAPI, Request, Response

PORT = int(os.environ.get("PORT", "8000"))

seq = iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-20, 20)), iaa.GaussianBlur((0, 2))])
pool = aioaug.AsyncPool(seq, seed=1, timeout=10, abandon_after=1, max_waiting=100)
app = FastAPI(lifespan=pool_lifespan(pool=pool))


@app.post("/augment")
async def augment(request: Request) -> Response:
    """A picture, or a form of several with what is marked on them; decoded in the workers."""
    return await augment_response(request.state.pool, request)


@app.get("/test-card/{size}")
async def test_card(size: int, request: Request) -> Response:
    """Any work with the pool, which ends if the client goes away."""
    card = np.indices((min(size, 1000),) * 2).sum(axis=0).astype(np.uint8)
    async with cancel_on_disconnect(request):
        augmented = await request.state.pool.augment_image(card)
    return Response(cv2.imencode(".png", augmented)[1].tobytes(), media_type="image/png")


if __name__ == "__main__":  # worker processes import this file
    serve(app, port=PORT)
