"""Servers and clients for the tests of aioaug.web: on loopback, with real sockets."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import numpy as np
import prometheus_client  # noqa: F401  # else the first app of a test does it on the loop, and reads /proc
import psutil
import uvicorn
from PIL import Image
from programs_testing import PATIENCE, environment, session_of, still_running


def picture(seed=0, height=60, width=80, kind="PNG"):
    """The bytes of a picture file; PNG keeps the pixels."""
    dice = np.random.default_rng(seed)
    small = dice.integers(0, 256, (6, 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize((width, height)).save(file, kind)
    return file.getvalue()


def pixels_of(content):
    return np.array(Image.open(io.BytesIO(content)).convert("RGB"))


@asynccontextmanager
async def serving(app, **options):
    """uvicorn on this event loop; gives the address."""
    options = {"log_level": "error", "timeout_graceful_shutdown": 1, **options}
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="on", **options))
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            assert not task.done(), "the server did not start"
            await asyncio.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def connected(address, path, head="", method="GET", limit=1 << 14):
    """A socket over which a request was sent; nothing is read but when the test does."""
    host, _, port = address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=limit)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\n{head}\r\n".encode())
    try:
        yield reader, writer
    finally:
        writer.transport.abort()  # with a reset, as a program that is killed


async def until(true, seconds=PATIENCE):
    """Wait until something holds, and tell how long it took."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < seconds, "it does not come to hold"
        gc.collect()
        await asyncio.sleep(0.01)
    return time.monotonic() - begun


def idle(pool):
    stats = pool.stats()
    return not (stats.busy or stats.segments or stats.waiting or stats.running)


@contextmanager
def program(folder, body, command=None, ready=r"running on (http://127.0.0.1:\d+)"):
    """A server in a session of its own; gives the process and its address."""
    script = Path(folder) / "webapp.py"
    script.write_text(textwrap.dedent(body))
    log = Path(folder) / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            command or [sys.executable, str(script)],
            cwd=folder,
            env=environment() | {"PYTHONUNBUFFERED": "1"},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process, _address(process, log, re.compile(ready))
    finally:
        for one in session_of(process.pid):
            with suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()


def _address(process, log, ready):
    deadline = time.monotonic() + 2 * PATIENCE
    while time.monotonic() < deadline:
        text = log.read_text()
        if found := ready.search(text):
            return found[1].replace("0.0.0.0", "127.0.0.1")
        assert process.poll() is None, text
        time.sleep(0.02)
    raise AssertionError(log.read_text())


def stopped(process, number=signal.SIGTERM):
    """Tell a server to stop; how long it took, with all of its processes."""
    family = [one for one in session_of(process.pid) if one.pid != process.pid]
    begun = time.monotonic()
    os.kill(process.pid, number)
    process.wait(PATIENCE)
    assert not still_running(family, PATIENCE)
    return time.monotonic() - begun
