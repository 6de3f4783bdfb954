"""Servers under load, as they are run: clients that drop, stall and give up, and signals."""

from __future__ import annotations

import asyncio
import importlib.util
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest
from programs_testing import session_of
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
from web_testing import connected, picture, program, stopped, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("PICTURES", make_pictures(tmp_path / "pictures"))
    return tmp_path


def test_two_hundred_clients_drop_in_the_middle(pictures):
    with program(pictures, APP) as (process, address):
        me = psutil.Process(process.pid)

        async def drop(count):
            clients = [connected(address, "/stream/light?as=mixed") for _ in range(count)]
            for client in clients:
                reader, _ = await client.__aenter__()
                await reader.readexactly(200)
            for client in clients:
                await client.__aexit__(None, None, None)
            return await idle_again(address)

        asyncio.run(drop(5))
        before = me.num_fds()
        took = asyncio.run(drop(200))
        print(f"\nidle {took:.2f} s after 200 clients were gone")
        deadline = time.monotonic() + 10
        while me.num_fds() > before + 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert httpx.get(f"{address}/readyz").status_code == 200
        print(f"stopped in {stopped(process):.2f} s")


def test_a_stalled_client_costs_nothing(pictures):
    """Its memory stays, others get all of theirs, and what it reads afterwards is new.

    How quick the others are, and how old the first frame is, tells `tests/support/web_figures.py`.
    """

    async def main(address, process):
        me = psutil.Process(process.pid)
        path = "/stream/large?as=events&overflow=latest&format=npy&fps=50"
        async with connected(address, path, limit=1 << 22) as (reader, _):
            await reader.readexactly(1000)
            await others_read_while_it_misses(20)  # until the sockets are full
            before = me.memory_info().rss
            await others_read_while_it_misses(50)
            grown = me.memory_info().rss - before
            # What the sockets hold was sent long ago; behind it comes the newest.
            await reader.readuntil(b"\n\n")
            behind = []
            while len(behind) < 40 and (not behind or behind[-1] == behind[0] + len(behind) - 1):
                behind.append(index_of(await reader.readuntil(b"\n\n")))
        await until(lambda: figures(address)["frames_dropped_total"] > 20)
        return grown, behind

    async def others_read_while_it_misses(count):
        made = (await asyncio.to_thread(figures, address))["batches_total"]
        async with connected(address, "/stream/light?as=mixed&fps=50") as (reader, _):
            ours, both = 0, 0
            while both - ours < count:
                for _ in range(10):
                    await reader.readuntil(b"--frame")
                ours += 10
                both = (await asyncio.to_thread(figures, address))["batches_total"] - made

    with program(pictures, APP) as (process, address):
        grown, behind = asyncio.run(main(address, process))
        assert grown < 30 << 20
        assert behind[-1] > behind[0] + 20  # it has missed what came while it stalled
        stopped(process)


def index_of(event):
    line = next(line for line in event.splitlines() if line.startswith(b"id: "))
    return int(line.rpartition(b"-")[2])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load(pictures, number):
    async def main(address, process):
        clients = [connected(address, f"/stream/light?as={kind}") for kind in KINDS * 10]
        readers = [(await client.__aenter__())[0] for client in clients]
        reading = [asyncio.create_task(read_to_the_end(reader)) for reader in readers]
        posting = [asyncio.create_task(post_on(address)) for _ in range(5)]
        await asyncio.sleep(1)
        took = await asyncio.to_thread(stopped, process, number)
        ends = await asyncio.gather(*reading)
        await asyncio.gather(*posting)
        for client in clients:
            await client.__aexit__(None, None, None)
        return took, ends

    with program(pictures, APP) as (process, address):
        took, ends = asyncio.run(main(address, process))
    print(f"\nstopped in {took:.2f} s")
    # Each was told that this is all: the last chunk of a body has no length.
    assert all(end.endswith(b"0\r\n\r\n") for end in ends)


def test_twenty_requests_that_are_given_up(pictures):
    async def main(address):
        clients = [connected(address, "/augment/rest", body_head(), "POST") for _ in range(20)]
        for client in clients:
            _, writer = await client.__aenter__()
            writer.write(picture())
        await until(lambda: figures(address)["busy"] == 2)
        for client in clients:
            await client.__aexit__(None, None, None)
        begun = time.monotonic()
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            answer = await client.post("/augment/light", content=picture())
        return answer.status_code, time.monotonic() - begun

    with program(pictures, APP) as (process, address):
        status, took = asyncio.run(main(address))
        print(f"\nthe next one was answered after {took:.2f} s")
        assert status == 200
        assert took < 30  # when those that were given up would have been done
        stopped(process)


def test_health_is_told_while_streams_run(pictures):
    """Not how quickly: other programs share this machine. But not after the streams."""

    async def main(address):
        clients = [connected(address, "/stream/light?as=mixed") for _ in range(8)]
        reading = []
        for client in clients:
            reader, _ = await client.__aenter__()
            reading.append(asyncio.create_task(read_to_the_end(reader)))
        times = []
        async with httpx.AsyncClient(base_url=address) as asking:
            for _ in range(200):
                begun = time.monotonic()
                assert (await asking.get("/healthz")).status_code == 200
                times.append(time.monotonic() - begun)
        for client in clients:
            await client.__aexit__(None, None, None)
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        return sorted(times)

    with program(pictures, APP) as (process, address):
        times = asyncio.run(main(address))
        print(f"\n/healthz: p50 {times[100] * 1e3:.1f} ms, p99 {times[197] * 1e3:.1f} ms")
        stopped(process)


@pytest.mark.parametrize("server", SERVERS)
def test_servers_start_serve_and_stop(pictures, server):
    if server.startswith("gunicorn") and importlib.util.find_spec("uvicorn_worker") is None:
        pytest.skip("uvicorn-worker is not installed; `.ci/run web` has it")
    with program(pictures, APP, command_of(server), READY) as (process, address):
        with ThreadPoolExecutor(8) as threads:
            url = f"{address}/augment/light?index=5&seed=2"
            wait_for(url)
            answers = list(threads.map(lambda _: httpx.post(url, content=picture()), range(16)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        with httpx.stream("GET", f"{address}/stream/light?as=mixed") as response:
            assert next(response.iter_raw())
            took = stopped(process)
    print(f"\n{server}: stopped in {took:.2f} s, a stream being open")


FEED = """
import os
import aioaug
import imgaug.augmenters as iaa
from aioaug import data
from aioaug.web import DatasetFeed, create_app, serve

batches = data.Files(os.environ["PICTURES"]).batches(2, shuffle=True, seed=4, epochs=6)
light = iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-9, 9))])
app = create_app(
    {"light": light}, datasets={"train": DatasetFeed(batches, "light")}, seed=9, processes=1
)

if __name__ == "__main__":
    serve(app, port=int(os.environ.get("PORT", "0")))
"""


def test_a_feed_that_is_killed_in_the_middle_gives_each_batch_once(pictures, monkeypatch):
    import numpy as np
    from aioaug.web.client import batches

    async def main(address, kill):
        got = []
        async with batches(f"{address}/dataset/train", ahead=3) as feed:
            async for batch in feed:
                got.append(batch)
                if len(got) == 7 and kill is not None:
                    await asyncio.to_thread(kill)
        return got

    with program(pictures, FEED) as (process, address):
        whole = asyncio.run(main(address, None))
        port = address.rpartition(":")[2]
        stopped(process)
    monkeypatch.setenv("PORT", port)
    (pictures / "second").mkdir()
    (pictures / "third").mkdir()
    with program(pictures / "second", FEED) as (process, address):
        running = []

        def kill():
            for one in session_of(process.pid):
                one.kill()
            process.wait()
            context = program(pictures / "third", FEED)
            running.append((context, context.__enter__()))

        try:
            again = asyncio.run(main(address, kill))
        finally:
            for context, (second, _) in running:
                stopped(second)
                context.__exit__(None, None, None)
    assert len(again) == len(whole) == 18
    for one, other in zip(again, whole, strict=True):
        assert (one.epoch, one.index, one.names) == (other.epoch, other.index, other.names)
        assert np.array_equal(one.images, other.images)


def test_two_processes_give_the_same_bytes(pictures):
    (pictures / "other").mkdir()
    with program(pictures, APP) as (first, one), program(pictures / "other", APP) as (second, two):
        for index in range(5):
            answers = [
                httpx.post(f"{address}/augment/light?index={index}", content=picture(index))
                for address in (one, two)
            ]
            assert answers[0].content == answers[1].content
            assert answers[0].headers["etag"] == answers[1].headers["etag"]
        stopped(first)
        stopped(second)


def test_the_benchmark_of_web_apps():
    command = [sys.executable, "-m", "aioaug", "bench", "web", "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["way", "aioaug.web", "run_in_executor"]
    assert all(float(row[1]) > 0 and float(row[6]) > 0 for row in rows[1:])
