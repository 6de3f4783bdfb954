"""Responses that own their streams, over real sockets: whatever happens to a client, they end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import weakref

import aioaug_testing as aug
import httpx
import numpy as np
import pytest
from aioaug import AsyncPool, ClosedError
from aioaug._base.results import Success
from aioaug.web import (
    Broadcast,
    OverflowStream,
    StreamingBatches,
    pool_lifespan,
    stream_websocket,
)
from aioaug.web.overflow import FrameQueue
from aioaug.web.shutdown import watching_shutdown
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route, WebSocketRoute
from web_testing import connected, idle, serving, until
from websockets.asyncio.client import connect


class Camera:
    """An endless source that knows how many are open; frames are as large as is asked for."""

    open = pulled = 0

    def __init__(self, size=100_000):
        self.size = size

    async def __call__(self):
        self.open += 1
        try:
            while True:
                self.pulled += 1
                yield os.urandom(self.size)  # gzip finds nothing in it
        finally:
            self.open -= 1


async def passing(request, call_next):
    return await call_next(request)


MIDDLEWARE = {
    "plain": [],
    "base": [Middleware(BaseHTTPMiddleware, dispatch=passing)],
    "gzip": [Middleware(GZipMiddleware)],
    "both": [Middleware(GZipMiddleware), Middleware(BaseHTTPMiddleware, dispatch=passing)],
}


def app_of(camera, pool, middleware=(), overflow="block", media_type="application/x-npy"):
    async def stream(request):
        batches = request.state.pool.imap_batches(camera(), output_buffer_size=4)
        return StreamingBatches(batches, media_type, overflow=overflow)

    async def counted(request):
        batches = request.state.pool.imap_batches([b"\xff\xd8\xff1", b"\x89PNG2", {"n": 3}][:2])
        return StreamingBatches(batches, request.query_params["as"])

    async def socket(websocket):
        batches = websocket.state.pool.imap_batches(camera(), output_buffer_size=4)
        app.state.dropped = await stream_websocket(websocket, batches, overflow=overflow)

    async def three(websocket):
        await stream_websocket(websocket, websocket.state.pool.imap_batches([b"1", {"n": 2}, b"3"]))

    async def failing(websocket):
        await stream_websocket(websocket, websocket.state.pool.imap_batches([b"1", object]))

    app = Starlette(
        routes=[
            Route("/", stream),
            Route("/counted", counted),
            WebSocketRoute("/ws", socket),
            WebSocketRoute("/three", three),
            WebSocketRoute("/failing", failing),
        ],
        lifespan=pool_lifespan(pool=pool),
        middleware=list(middleware),
    )
    return app


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("plain", "base", "gzip")]


@pytest.mark.parametrize("middleware", ["both", *SLOW])
async def test_streams_end_when_clients_go_in_the_middle_or_stall(middleware):
    camera, pool = Camera(50_000), AsyncPool(aug.nothing, processes=1)
    async with serving(app_of(camera, pool, MIDDLEWARE[middleware])) as address:
        for read in (True, False):
            clients = [connected(address, "/", "Accept-Encoding: gzip\r\n") for _ in range(5)]
            for client in clients:
                reader, _ = await client.__aenter__()
                if read:
                    assert (await reader.readexactly(10_000)).startswith(b"HTTP/1.1 200")
            await until(lambda: camera.open == 5)
            if not read:  # nobody takes anything: all of it comes to a stand
                await until_still(camera)
            for client in clients:
                await client.__aexit__(None, None, None)
            await until(lambda: camera.open == 0)
            await until(lambda: idle(pool))
        pulled = camera.pulled
        await asyncio.sleep(0.1)
        assert camera.pulled == pulled


async def until_still(camera):
    before = -1
    while camera.pulled != before:
        before = camera.pulled
        await asyncio.sleep(0.2)


@pytest.mark.slow
async def test_a_slow_client_misses_frames_and_memory_stays():
    camera, pool = Camera(), AsyncPool(aug.nothing, processes=1)
    app = app_of(camera, pool, overflow="latest")
    async with serving(app) as address, connected(address, "/") as (reader, _):
        await reader.readexactly(1000)
        await until(lambda: camera.pulled > 300)  # it goes on, 30 MB of it, though nobody reads
        assert pool.stats().batches > 200
    async with serving(app_of(camera, AsyncPool(aug.nothing, processes=1))):
        pass  # the first one's lifespan has ended its pool
    assert pool.closed


@pytest.mark.parametrize(
    ("media_type", "wanted"),
    [
        (
            "multipart/x-mixed-replace",
            b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 4\r\n\r\n\xff\xd8\xff1\r\n"
            b"--frame\r\nContent-Type: image/png\r\nContent-Length: 5\r\n\r\n\x89PNG2\r\n",
        ),
        (
            "text/event-stream",
            b'data: {"content":"data:image/jpeg;base64,/9j/MQ=="}\n\n'
            b'data: {"content":"data:image/png;base64,iVBORzI="}\n\n',
        ),
        (
            "application/x-ndjson",
            b'{"content":"data:image/jpeg;base64,/9j/MQ=="}\n'
            b'{"content":"data:image/png;base64,iVBORzI="}\n',
        ),
        ("application/x-npy", b"\xff\xd8\xff1\x89PNG2"),
    ],
)
async def test_formats(media_type, wanted):
    app = app_of(Camera(), AsyncPool(aug.nothing, 1, engine="thread"), media_type=media_type)
    async with serving(app) as address, httpx.AsyncClient(base_url=address) as client:
        answer = await client.get("/counted", params={"as": media_type})
        assert answer.content == wanted
        assert answer.headers["content-type"].startswith(media_type)
        assert answer.headers["cache-control"] == "no-store"


async def test_arrays_are_sent_as_numpy_reads_them(tmp_path):
    arrays = [np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3), np.zeros((1, 600, 600, 3))]

    async def stream(request):
        batches = request.state.pool.imap_batches(arrays)
        return StreamingBatches(batches, "application/x-npy", headers={"X-More": "1"})

    lifespan = pool_lifespan(pool=AsyncPool(aug.nothing, 1, engine="thread"))
    app = Starlette(routes=[Route("/", stream)], lifespan=lifespan)
    async with serving(app) as address, httpx.AsyncClient(base_url=address) as client:
        answer = await client.get("/")
    (tmp_path / "arrays").write_bytes(answer.content)
    compare(tmp_path / "arrays", arrays)
    assert answer.headers["x-more"] == "1"


def compare(path, arrays):
    with path.open("rb") as file:
        for wanted in arrays:
            assert np.array_equal(np.load(file), wanted)


def test_what_cannot_be_streamed_is_refused_at_once():
    with pytest.raises(ValueError, match="media_type must be one of 'multipart/x-mixed-replace'"):
        StreamingBatches(Camera()(), "text/html")
    with pytest.raises(TypeError, match="stream must be an async iterator"):
        StreamingBatches([1, 2])
    with pytest.raises(ValueError, match="overflow must be one of 'block', 'drop_oldest'"):
        StreamingBatches(Camera()(), overflow="newest")
    with pytest.raises(ValueError, match="pool_lifespan needs a pool"):
        pool_lifespan()
    with pytest.raises(TypeError, match="light must be an AsyncPool or a function"):
        pool_lifespan(light=1)


async def test_websockets():
    camera, pool = Camera(), AsyncPool(aug.Failing(), 1, engine="thread")
    app = app_of(camera, pool, overflow="drop_oldest")
    async with serving(app) as address:
        base = address.replace("http", "ws")
        async with connect(f"{base}/ws", compression=None) as client:
            assert len(await client.recv()) == 100_000
            await client.send("what a client says is not looked at")
            await until(lambda: camera.pulled > 300)  # the client does not read
            client.transport.abort()
        await until(lambda: camera.open == 0)
        await until(lambda: app.state._state.get("dropped", 0) > 50)
        async with connect(f"{base}/three") as client:
            got = [message async for message in client]
            assert got == [b"1", json.dumps({"n": 2}), b"3"]
            assert client.protocol.close_code == 1000
        async with connect(f"{base}/failing") as client:
            assert [message async for message in suppressed(client)] == [b"1"]
            assert client.protocol.close_code == 1011
        await until(lambda: idle(pool))


async def suppressed(client):
    from websockets.exceptions import ConnectionClosedError

    try:
        async for message in client:
            yield message
    except ConnectionClosedError:
        pass


# Overflow.


async def numbers(count, closed=None):
    try:
        for number in range(count):
            await asyncio.sleep(0)
            yield number
    finally:
        if closed is not None:
            closed.append(True)


async def test_overflow():
    closed = []
    async with OverflowStream(numbers(20, closed), "drop_oldest", 3) as stream:
        assert await anext(stream) == 0
        await until(lambda: stream.dropped == 16)
        assert [each async for each in stream] == [17, 18, 19]
    async with OverflowStream(numbers(20, closed), "latest") as stream:
        assert await anext(stream) == 0
        await until(lambda: stream.dropped == 18)
        assert [each async for each in stream] == [19]
    async with OverflowStream(numbers(5, closed)) as stream:
        assert [each async for each in stream] == [0, 1, 2, 3, 4]
        assert stream.dropped == 0
    async with OverflowStream(numbers(10**9, closed), "latest") as stream:
        await anext(stream)
    assert len(closed) == 4
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_errors_come_in_their_places():
    async with AsyncPool(aug.Failing(), 1, engine="thread") as pool:
        async with OverflowStream(
            pool.imap_batches([1, "value_error", 3]), "drop_oldest"
        ) as stream:
            assert await anext(stream) == 1
            with pytest.raises(ValueError, match="spoilt batch"):
                await anext(stream)
            assert await anext(stream) == 3
        stream = OverflowStream(pool.imap_batches(numbers(10**9)), "latest")
        await anext(stream)
    # The pool is closed under it, which its stream says each time.
    with pytest.raises(ClosedError):
        while True:
            await anext(stream)
    await stream.aclose()


async def test_a_full_queue_holds_up_its_maker():
    queue = FrameQueue("block", 2)
    made = asyncio.create_task(put_all(queue, 5))
    await until(lambda: len(queue._items) == 2)
    assert [await queue.take() for _ in range(5)] == [0, 1, 2, 3, 4]
    await made
    assert queue.dropped == 0


async def put_all(queue, count):
    for number in range(count):
        await queue.put(Success(number))


async def test_broadcast():
    closed, pulled = [], []

    async def source():
        try:
            for number in range(10**9):
                pulled.append(number)
                await asyncio.sleep(0)
                yield number
        finally:
            closed.append(True)

    async with Broadcast(source()) as broadcast:
        await asyncio.sleep(0.02)
        assert not pulled  # nobody listens
        slow = broadcast.subscribe("block", 4)
        await until(lambda: len(pulled) >= 5)
        count = len(pulled)
        await asyncio.sleep(0.02)
        assert len(pulled) == count  # it waits for the slow one
        async with broadcast.subscribe("latest") as quick:
            assert [await anext(slow) for _ in range(100)] == list(range(100))
            assert await anext(quick) > 80
            assert quick.dropped > 50
            assert broadcast.subscribers == 2
        await slow.aclose()
        assert broadcast.subscribers == 0
        await asyncio.sleep(0.02)
        count = len(pulled)
        await asyncio.sleep(0.02)
        assert len(pulled) == count
        async with broadcast.subscribe() as late:
            assert await anext(late) >= count - 1
            waiting = broadcast.subscribe()
    assert closed == [True]
    assert [each async for each in waiting][1:] == []
    with pytest.raises(ClosedError, match="this Broadcast has ended"):
        broadcast.subscribe()


# The end of the process.


async def test_whoever_watches_hears_of_the_signal_and_so_does_the_server():
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        mine = signal.getsignal(signal.SIGTERM)
        with watching_shutdown() as first, watching_shutdown() as second:
            assert not first.is_set()
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(asyncio.gather(first.wait(), second.wait()), 5)
            with watching_shutdown() as late:
                assert late.is_set()
        assert heard == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is mine
        with watching_shutdown() as again:
            assert not again.is_set()
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_handlers_of_the_event_loop_hear_of_it_too():
    loop, heard = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, heard.set)
    try:
        with watching_shutdown() as told:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(asyncio.gather(told.wait(), heard.wait()), 5)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def test_where_the_process_would_end_nothing_is_changed():
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with watching_shutdown():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


# A client that stalls, by counts of frames and not by the clock.


class HeldClient:
    """The other end of a response: it takes messages only while it is let."""

    def __init__(self):
        self.taken, self.sending = [], asyncio.Event()
        self.going, self.gone = asyncio.Event(), asyncio.Event()
        self.going.set()

    async def receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sending.set()
        await self.going.wait()
        self.taken.append(bytes(message.get("body", b"")))

    @property
    def numbers(self):
        return [int.from_bytes(body[:8], "big") for body in self.taken if body]


async def soon(true):
    """Wait for what takes some turns of the event loop only."""
    async with asyncio.timeout(15):
        while not true():
            await asyncio.sleep(0)


class StepCamera:
    """A source that gives a frame each time that the test wants one, and knows who is alive."""

    def __init__(self):
        self.given, self.alive = 0, weakref.WeakSet()
        self._shots = asyncio.Semaphore(0)

    def shoot(self):
        self._shots.release()

    async def __call__(self):
        while True:
            await self._shots.acquire()
            frame = Frame(self.given.to_bytes(8, "big") + bytes(100))
            self.alive.add(frame)
            self.given += 1
            yield frame
            del frame


class Frame(bytearray):
    """Bytes that can be counted."""

    __eq__, __hash__ = object.__eq__, object.__hash__


@pytest.mark.parametrize("overflow", ["latest", "drop_oldest", "block"])
async def test_while_a_client_stalls_others_miss_nothing_and_few_frames_are_kept(overflow):
    cameras, clients = [StepCamera(), StepCamera()], [HeldClient(), HeldClient()]
    stalled, other = clients
    async with AsyncPool(aug.nothing, 2, engine="inline") as pool:
        streams = [pool.imap_batches(camera(), output_buffer_size=2) for camera in cameras]
        responses = [
            StreamingBatches(streams[0], "application/x-npy", overflow=overflow, size=4),
            StreamingBatches(streams[1], "application/x-npy"),
        ]
        running = [
            asyncio.create_task(response({}, client.receive, client.send))
            for response, client in zip(responses, clients, strict=True)
        ]
        for number in range(3):
            for camera, client in zip(cameras, clients, strict=True):
                camera.shoot()
                await soon(lambda c=client, n=number: c.numbers[-1:] == [n])
        stalled.going.clear()
        stalled.sending.clear()
        cameras[0].shoot()
        await stalled.sending.wait()  # and waits until this frame, the third, is taken
        most = 0
        for number in range(3, 63):
            for camera in cameras:
                camera.shoot()
            await soon(lambda n=number: other.numbers[-1] == n)  # each one, at once
            most = max(most, len(cameras[0].alive))
        kept = {"latest": 1, "drop_oldest": 4, "block": 0}[overflow]
        # Besides those: the one that is sent, those in the pool, and one between each two of them.
        assert most <= kept + 8
        if overflow != "block":
            await soon(lambda: cameras[0].given == 64)
            await soon(lambda: responses[0].dropped == 60 - kept)
        stalled.going.set()
        await soon(lambda: len(stalled.numbers) > 4)
        first = {"latest": 63, "drop_oldest": 60, "block": 4}[overflow]
        assert stalled.numbers[:5] == [0, 1, 2, 3, first]
        for client in clients:
            client.gone.set()
        await asyncio.gather(*running)
        await until(lambda: idle(pool) and not cameras[0].alive)
