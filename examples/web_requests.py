"""A web server that augments the picture of each request: run it, and POST pictures to it.

curl --data-binary @picture.jpg "http://127.0.0.1:8000/?index=7" > augmented.jpg
"""

import os
from dataclasses import asdict

import aioaug
import imgaug.augmenters as iaa
from aioaug.web import augment_response, pool_lifespan, serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PORT = int(os.environ.get("PORT", "8000"))
WAITING = int(os.environ.get("WAITING", "100"))

seq = iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-20, 20)), iaa.GaussianBlur((0, 2))])
pool = aioaug.AsyncPool(seq, seed=1, timeout=10, retries=0, abandon_after=1, max_waiting=WAITING)


async def picture(request: Request) -> Response:
    # The workers decode, augment and encode. Errors become answers: 400, 415, 503 or 504.
    return await augment_response(request.state.pool, request)


async def status(request: Request) -> JSONResponse:
    return JSONResponse(asdict(request.state.pool.stats()))


app = Starlette(
    routes=[Route("/", picture, methods=["POST"]), Route("/status", status)],
    lifespan=pool_lifespan(pool=pool),
)

if __name__ == "__main__":  # worker processes import this file
    serve(app, port=PORT)
