"""Servers as they are run, for tests and figures: an app, and each command that serves it."""

from __future__ import annotations

import asyncio
import sys
import time

import httpx
from web_testing import PATIENCE, picture

APP = """
import os, time
import aioaug
import imgaug.augmenters as iaa
from aioaug.web import WebLimits, create_app, serve

def rest(images, random_state, parents, hooks):
    time.sleep(30)
    return images

# Frames that are as large as sockets' buffers do not hide.
large = iaa.Resize(600)
light = iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-9, 9))])
app = create_app(
    {"light": light, "large": large, "rest": iaa.Lambda(func_images=rest)},
    images=os.environ["PICTURES"], seed=3, processes=2, limits=WebLimits(streams=300),
)

if __name__ == "__main__":
    serve(app, port=0)
"""
READY = r"(?:unning on|istening at:) (http://[\d.]+:\d+)"
SERVERS = [
    *("uvicorn", "uvicorn workers", "uvicorn reload"),
    *("gunicorn", "gunicorn preload", "hypercorn"),
]
KINDS = ["mixed", "events", "lines", "npy"]


def make_pictures(folder, count=5):
    """A folder of pictures for the app, which its environment names as PICTURES."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.png").write_bytes(picture(number))
    return str(folder)


def command_of(server):
    """The command line that serves the app `webapp:app`."""
    python = [sys.executable, "-m"]
    uvicorn = [*python, "uvicorn", "webapp:app", "--port", "0"]
    uvicorn += ["--timeout-graceful-shutdown", "1"]
    gunicorn = [*python, "gunicorn", "webapp:app", "-k", "uvicorn_worker.UvicornWorker"]
    gunicorn += ["-w", "2", "-b", "127.0.0.1:0", "--graceful-timeout", "1"]
    return {
        "uvicorn": uvicorn,
        "uvicorn workers": [*uvicorn, "--workers", "2"],
        "uvicorn reload": [*uvicorn, "--reload"],
        "gunicorn": gunicorn,
        "gunicorn preload": [*gunicorn, "--preload"],
        "hypercorn": [*python, "hypercorn", "webapp:app", "-b", "127.0.0.1:0"],
    }[server]


def figures(address):
    """The figures of `/metrics`, by their names."""
    text = httpx.get(f"{address}/metrics", timeout=30).text
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name.removeprefix("aioaug_"): float(number) for name, number in lines}


def is_idle(address):
    """Whether the pool does nothing, and nothing is open."""
    now = figures(address)
    return not (now["busy"] or now["segments"] or now["streams_open"] or now["running"])


def wait_for(url):
    """The first answer to a POST of a server that starts."""
    deadline = time.monotonic() + 3 * PATIENCE
    while True:
        try:
            return httpx.post(url, content=picture(), timeout=PATIENCE)
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


async def read_to_the_end(reader):
    """The last bytes of a body, when the server has ended it."""
    tail = b""
    while data := await reader.read(1 << 16):
        tail = (tail + data)[-20:]
    return tail


async def post_on(address, path="/augment/light"):
    """POST one after the other until the server is gone; the statuses of the answers."""
    statuses = []
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        while True:
            try:
                statuses.append((await client.post(path, content=picture())).status_code)
            except httpx.TransportError:
                return statuses


def body_head():
    """The header that says how long the test's picture is."""
    return f"Content-Length: {len(picture())}\r\n"


async def idle_again(address):
    """Wait until the pool does nothing any more, and tell how long it took."""
    begun = time.monotonic()
    while not await asyncio.to_thread(is_idle, address):
        assert time.monotonic() - begun < PATIENCE
        await asyncio.sleep(0.02)
    return time.monotonic() - begun
