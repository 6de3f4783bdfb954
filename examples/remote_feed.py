"""Trains on batches that another process augments: it is started here, and killed in the middle.

On two machines, the server is a file with `app = create_app(...)`, run by uvicorn on one of them.
"""

import asyncio
import os
import socket
import subprocess
import sys

import aioaug.data
import imgaug.augmenters as iaa
import skimage
from aioaug.web import DatasetFeed, create_app, serve
from aioaug.web.client import batches

PICTURES = os.path.join(os.path.dirname(skimage.__file__), "data")
NAMES = [
    "astronaut",
    "brick",
    "camera",
    "chelsea",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "ihc",
    "moon",
    "page",
    "text",
]
EPOCHS = int(os.environ.get("EPOCHS", "3"))


def serve_batches(port: int) -> None:
    """What the server does: a dataset by name, and the pipeline that augments it."""
    files = aioaug.data.Files([f"{name}.png" for name in NAMES], root=PICTURES)
    feed = files.batches(2, shuffle=True, seed=1, epochs=None, resize=(96, 96))
    seq = iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-20, 20))])
    app = create_app({"light": seq}, datasets={"train": DatasetFeed(feed, "light")}, seed=1)
    serve(app, port=port, log_level="error")


def start(port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, __file__, str(port)])


async def train(port: int) -> None:
    server, count = start(port), 0
    try:
        async with batches(f"http://127.0.0.1:{port}/dataset/train", epochs=EPOCHS) as feed:
            async for batch in feed:
                count += 1
                print(f"epoch {batch.epoch}, batch {batch.index}: {batch.images.shape}")
                if count == 3:  # the feed waits for the next one, and goes on where it was
                    server.kill()
                    server.wait()
                    server = start(port)
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve_batches(int(sys.argv[1]))
    else:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            number = free.getsockname()[1]
        asyncio.run(train(number))
