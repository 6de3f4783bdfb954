"""Figures of servers under load: `python tests/support/web_figures.py [WHAT...]`.

stall      a client that takes nothing for 30 s, with "block" and with "latest"
fresh      how old the first frame is behind what sockets held, after each of several stalls
drop       200 clients that are gone in the middle of their streams
signals    SIGTERM under load, 20 times, and a change of the program under `--reload`
servers    each server started, asked and stopped
health     p99 of /healthz while streams run at full speed
cancelled  20 requests of 30 s that are given up, and the next one
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import statistics
import struct
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import httpx
import psutil
from programs_testing import session_of, still_running
from servers_testing import (
    APP,
    KINDS,
    READY,
    SERVERS,
    body_head,
    command_of,
    figures,
    idle_again,
    make_pictures,
    post_on,
    read_to_the_end,
    wait_for,
)
from web_testing import connected, picture, program, until

ROUNDS = 20
FPS = 10
# Workers wait instead of computing: figures do not depend on what else the machine does then.
CAMERAS = """
import asyncio, itertools, struct, time
import aioaug, numpy as np
from aioaug.web import StreamingBatches, pool_lifespan, serve
from starlette.applications import Starlette
from starlette.routing import Route

PIXELS = bytes(224 * 224 * 3)

def work(frame):
    time.sleep(0.04)
    return frame[:16] + struct.pack("<d", time.time()) + PIXELS

async def camera(fps):
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for number in itertools.count():
        if fps:
            await asyncio.sleep(max(begun + number / fps - loop.time(), 0))
        yield struct.pack("<qd", number, time.time())

async def stream(request):
    fps = int(request.query_params.get("fps", 0))
    batches = request.state.pool.imap_batches(camera(fps), output_buffer_size=4)
    overflow = request.query_params.get("overflow", "block")
    return StreamingBatches(batches, "application/x-npy", overflow=overflow)

def make_pool():
    return aioaug.AsyncPool(work, processes=2, seed=1)

app = Starlette(routes=[Route("/", stream)], lifespan=pool_lifespan(pool=make_pool))
if __name__ == "__main__":
    serve(app, port=0)
"""


@contextmanager
def served(body=APP, command=None, ready=READY):
    """A server in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PICTURES"] = make_pictures(Path(folder) / "pictures")
        with program(folder, body, command, ready) as (process, address):
            yield process, address, Path(folder) / "webapp.py"


def family_of(process):
    """A server's processes."""
    return [psutil.Process(each.pid) for each in session_of(process.pid)]


def memory(process):
    """Bytes of all of them that nobody else has."""
    return sum(each.memory_full_info().uss for each in family_of(process))


def seconds_of(processes):
    """CPU time that they took so far."""
    return sum(sum(each.cpu_times()[:2]) for each in processes)


def ended(process, number=signal.SIGTERM):
    """The seconds until a server that is told to stop is gone, with all of its processes."""
    family = family_of(process)
    begun = time.monotonic()
    os.kill(process.pid, number)
    process.wait(60)
    assert not still_running(family, 60)
    took = time.monotonic() - begun
    assert not session_of(process.pid)
    return took


async def frame_of(reader):
    """The next frame: its number, when the camera gave it, and when a worker was done with it."""
    size = int(await reader.readline(), 16)
    data = await reader.readexactly(size + 2)
    return struct.unpack("<qdd", data[:24])


class Readers:
    """Clients that read as quickly as they can, and count."""

    def __init__(self, readers):
        self._counts = [0] * len(readers)
        self.ages = []
        self._reads = True
        self.tasks = [
            asyncio.create_task(self._read(place, reader)) for place, reader in enumerate(readers)
        ]

    async def _read(self, place, reader):
        while self._reads:
            _, given, _ = await frame_of(reader)
            self.ages.append((time.time() - given) * FPS)
            self._counts[place] += 1

    async def stop(self):
        """Take nothing any more, from the next frame on."""
        self._reads = False
        await asyncio.gather(*self.tasks)

    async def rate(self, seconds):
        """Frames a second from now on."""
        before, begun = sum(self._counts), time.monotonic()
        await asyncio.sleep(seconds)
        return (sum(self._counts) - before) / (time.monotonic() - begun)


async def stalled(address, process, overflow, seconds=30):
    async with AsyncExitStack() as stack:

        async def opened(path):
            client = connected(address, path, limit=1 << 14)
            reader, _ = await stack.enter_async_context(client)
            await reader.readuntil(b"\r\n\r\n")
            return reader

        others = Readers([await opened("/") for _ in range(2)])
        reader = await opened(f"/?fps={FPS}&overflow={overflow}")
        own = Readers([reader])
        await asyncio.sleep(3)
        before = await others.rate(seconds / 2)
        await own.stop()
        await asyncio.sleep(3)  # until the sockets are full
        held = memory(process)
        during = await others.rate(seconds)
        grown = memory(process) - held
        numbers, age = [], 0.0
        # The sockets hold a few that were sent long ago; behind them comes the newest one.
        while len(numbers) < 2 or numbers[-1] == numbers[-2] + 1:
            number, given, _ = await frame_of(reader)
            numbers.append(number)
            age = (time.time() - given) * FPS
            if overflow == "block" and len(numbers) > 40:
                break
        reading = Readers([reader])
        after = await others.rate(seconds / 2)
        await others.stop()
        await reading.stop()
    normal = (before + after) / 2
    print(f"{overflow}: others {before:.1f}, {during:.1f} while one stalls, {after:.1f} frames/s")
    print(f"  {during / normal:.1%} of the rate; {grown / 1024:+.0f} KB in {seconds} s")
    if overflow == "latest":
        held, missed = len(numbers) - 1, numbers[-1] - numbers[-2] - 1
        print(f"  {held} frames from sockets, {missed} missed, then one of {age:.2f} frames ago;")
        print(f"  before it stalled, they were {statistics.median(own.ages):.2f} frames old")


def stall():
    for overflow in ("latest", "block"):
        with served(CAMERAS) as (process, address, _):
            asyncio.run(stalled(address, process, overflow))


async def behind_stalls(address, count):
    """Of the first new frame after each stall: frames since the camera gave it, and it was done.

    And until the next one was done, which is below 0 if that was there already when this one came.
    The last figure is for frames that are sent as soon as they are done: their way to us.
    """
    ages, since_done, until_next, ways = [], [], [], []
    client = connected(address, f"/?fps={FPS}&overflow=latest", limit=1 << 14)
    async with client as (reader, writer):
        # Of its own accord the kernel would take seconds of frames.
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        await reader.readuntil(b"\r\n\r\n")
        for place in range(count):
            for _ in range(20):
                number, _, done = await frame_of(reader)
                ways.append((time.time() - done) * FPS)
            await asyncio.sleep(6 + place / count / FPS)  # until the sockets are full, and longer
            follows = True
            while follows:
                before = number
                number, given, done = await frame_of(reader)
                follows = number == before + 1
            came = time.time()
            ages.append((came - given) * FPS)
            since_done.append((came - done) * FPS)
            following, _, done = await frame_of(reader)
            until_next.append((done - came) * FPS if following == number + 1 else -1.0)
    return ages, since_done, until_next, statistics.median(ways)


def fresh(count=10):
    with served(CAMERAS) as (_, address, _):
        ages, since_done, until_next, way = asyncio.run(behind_stalls(address, count))
    print(f"{count} stalls: the first frame behind what sockets held was done")
    print(
        f"  {min(since_done):.2f} to {max(since_done):.2f} frames ago, {way:.2f} of it on its way;"
    )
    print(f"  the camera gave it {min(ages):.2f} to {max(ages):.2f} frames ago;")
    newest = sum(each + way >= 0 for each in until_next)
    print(f"  it was the newest when it was sent {newest} of {count} times, and at worst")
    print(f"  the next one was done {-min(until_next):.2f} frames before it came")


def drop(count=200):
    async def dropped(address, process):
        async with AsyncExitStack() as stack:
            for number in range(count):
                client = connected(address, f"/stream/light?as={KINDS[number % 4]}")
                reader, _ = await stack.enter_async_context(client)
                await reader.readexactly(200)
            held = [each.num_fds() for each in family_of(process)]
        begun = time.monotonic()
        await asyncio.sleep(0.5)
        family = family_of(process)
        work = seconds_of(family)
        await asyncio.sleep(1)
        work = seconds_of(family) - work
        now = await asyncio.to_thread(figures, address)
        took = time.monotonic() - begun
        names = ("busy", "waiting", "running", "segments", "streams_open")
        print(f"  {sum(held)} descriptors with them; {work:.3f} s of CPU from 0.5 s to 1.5 s;")
        print(f"  {took:.1f} s after: " + ", ".join(f"{name} {now[name]:g}" for name in names))

    async def once(address):
        async with connected(address, "/stream/light") as (reader, _):
            await reader.readexactly(200)
        await idle_again(address)

    with served() as (process, address, _):
        asyncio.run(once(address))
        before = sum(each.num_fds() for each in family_of(process))
        for _ in range(3):
            print(f"{count} clients are gone in the middle of their streams")
            asyncio.run(dropped(address, process))
            after = sum(each.num_fds() for each in family_of(process))
            print(f"  descriptors: {before} before, {after} after")


async def under_load(address, act):
    """What `act` returns, called in a thread while streams and requests are under way."""
    async with AsyncExitStack() as stack:
        reading = []
        for kind in KINDS * 5:
            client = connected(address, f"/stream/light?as={kind}")
            reader, _ = await stack.enter_async_context(client)
            reading.append(asyncio.create_task(read_to_the_end(reader)))
        posting = [asyncio.create_task(post_on(address)) for _ in range(5)]
        await asyncio.sleep(1)
        result = await asyncio.to_thread(act)
        for task in (*reading, *posting):
            task.cancel()
        await asyncio.gather(*reading, *posting, return_exceptions=True)
    return result


def told(name, times):
    print(
        f"{name}: median {statistics.median(times):.2f} s, at most {max(times):.2f} s"
        f" ({len(times)} times)",
        flush=True,
    )


def signals():
    times = []
    for _ in range(ROUNDS):
        with served() as (process, address, _):
            times.append(asyncio.run(under_load(address, lambda: ended(process))))
    told("SIGTERM under load, until the last process is gone", times)
    changes, times = [], []
    for _ in range(ROUNDS):
        with served(APP, command_of("uvicorn reload")) as (process, address, script):
            wait_for(f"{address}/augment/light")
            changes.append(asyncio.run(under_load(address, lambda: changed(process, script))))
            assert wait_for(f"{address}/augment/light").status_code == 200
            times.append(asyncio.run(under_load(address, lambda: ended(process))))
    told("a change under --reload and load, until the old processes are gone", changes)
    told("SIGTERM under --reload and load, until the last process is gone", times)


def changed(process, script):
    """The seconds until a server that watches its program has ended its processes."""
    family = [each for each in family_of(process) if each.pid != process.pid]
    old = [each for each in family if "resource_tracker" not in " ".join(each.cmdline())]
    begun = time.monotonic()
    script.write_text(script.read_text() + "\n")
    assert not still_running(old, 60)
    return time.monotonic() - begun


def posted(url):
    return httpx.post(url, content=picture())


def servers():
    for server in SERVERS:
        begun = time.monotonic()
        with served(APP, command_of(server)) as (process, address, _):
            url = f"{address}/augment/light?index=5&seed=2"
            wait_for(url)
            started = time.monotonic() - begun
            with ThreadPoolExecutor(8) as threads:
                answers = list(threads.map(posted, [url] * 40))
            assert {answer.status_code for answer in answers} == {200}
            assert len({answer.content for answer in answers}) == 1
            with httpx.stream("GET", f"{address}/stream/light?as=mixed") as response:
                assert next(response.iter_raw())
                took = ended(process)
        print(f"{server}: started {started:.1f} s, stopped {took:.2f} s", flush=True)


async def asked(address, count):
    async with AsyncExitStack() as stack:
        reading = []
        for kind in KINDS * 2:
            client = connected(address, f"/stream/light?as={kind}")
            reader, _ = await stack.enter_async_context(client)
            reading.append(asyncio.create_task(read_to_the_end(reader)))
        await asyncio.sleep(1)
        before = (await asyncio.to_thread(figures, address))["batches_total"]
        begun, times = time.monotonic(), []
        async with httpx.AsyncClient(base_url=address) as client:
            for _ in range(count):
                at = time.monotonic()
                assert (await client.get("/healthz")).status_code == 200
                times.append(time.monotonic() - at)
        rate = (await asyncio.to_thread(figures, address))["batches_total"] - before
        rate /= time.monotonic() - begun
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    return sorted(times), rate


def health(count=1000):
    with served() as (_, address, _):
        times, rate = asyncio.run(asked(address, count))
    middle, late = times[count // 2], times[count * 99 // 100]
    print(f"/healthz beside {rate:.0f} frames/s: p50 {middle * 1e3:.1f}, p99 {late * 1e3:.1f} ms")


async def given_up(address):
    async with AsyncExitStack() as stack:
        for _ in range(20):
            client = connected(address, "/augment/rest", body_head(), "POST")
            _, writer = await stack.enter_async_context(client)
            writer.write(picture())
        await until(lambda: figures(address)["busy"] == 2)
    begun = time.monotonic()
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        answer = await client.post("/augment/light", content=picture())
    assert answer.status_code == 200
    return time.monotonic() - begun


def cancelled():
    with served() as (_, address, _):
        times = [asyncio.run(given_up(address)) for _ in range(5)]
    told("20 requests of 30 s are given up, and the next one is answered", times)


FIGURES = {
    each.__name__: each for each in (stall, fresh, drop, signals, servers, health, cancelled)
}

if __name__ == "__main__":
    for name in sys.argv[1:] or FIGURES:
        FIGURES[name]()
