"""Speeds of a Dask cluster, measured beside the formula and the simulation of docs/clusters.md.

    python tests/support/cluster_points.py          over the loopback
    python tests/support/cluster_points.py 1000     and over a link of 1000 Mbit/s, which needs root

The work of a worker is a pause, so that workers are not in each other's way however few cores there
are. What a call takes of a worker and of this program is measured in the same run: the two figures
that the formula needs. It prints a table in Markdown.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from itertools import repeat

import clusters_testing as cl
import numpy as np
from aioaug import AsyncPool
from aioaug.engines import DaskEngine
from cluster_model import formula, simulated

WORKERS, MEGABYTES = (1, 2, 3), (0.15, 2.4, 9.6)
PAUSE = 0.1  # seconds of a worker for a batch, about those of `typical`
ROUNDS, SECONDS = 3, 3.0
HOST, LINK = "aioaug-far", "aioaug-far-if"
HERE, THERE = "10.99.8.1", "10.99.8.2"
HEADER = (
    "| network | MB each way | workers | t, ms | c, ms | formula/s | simulated/s | measured/s "
    "| measured / formula |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|"
)


def run(*words):
    subprocess.run(words, check=True, capture_output=True)


@contextmanager
def far_host(megabits):
    """A network namespace behind a link that is so fast in each direction."""
    shaping = ("root", "tbf", "rate", f"{megabits}mbit", "burst", "256kb", "latency", "100ms")
    inside = ("ip", "netns", "exec", HOST)
    try:
        run("ip", "netns", "add", HOST)
        run("ip", "link", "add", LINK, "type", "veth", "peer", "eth0", "netns", HOST)
        run("ip", "addr", "add", f"{HERE}/24", "dev", LINK)
        run("ip", "link", "set", LINK, "up")
        run("ip", "-n", HOST, "addr", "add", f"{THERE}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            run("ip", "-n", HOST, "link", "set", device, "up")
        run("tc", "qdisc", "add", "dev", LINK, *shaping)
        run(*inside, "tc", "qdisc", "add", "dev", "eth0", *shaping)
        yield list(inside)
    finally:
        subprocess.run(["ip", "netns", "del", HOST], check=False, capture_output=True)


def loopback(size=256 << 20):
    """Bytes per second from one thread of this program to another one."""
    ours, theirs = socket.socketpair()
    block, room = bytes(1 << 20), bytearray(1 << 20)

    def send():
        for _ in range(size >> 20):
            ours.sendall(block)
        ours.close()

    sender = threading.Thread(target=send)
    begun = time.perf_counter()
    sender.start()
    while theirs.recv_into(room):
        pass
    seconds = time.perf_counter() - begun
    sender.join()
    theirs.close()
    return size / seconds


async def measured(client, megabytes, workers):
    """Batches per second, and the seconds of a worker and of this program for each."""
    batch = np.zeros((1, round(megabytes * 1e6), 1, 1), np.uint8)
    async with (
        AsyncPool(cl.Pause(PAUSE), engine=DaskEngine(client)) as pool,
        pool.imap_batches(repeat(batch), output_buffer_size=4 * workers + 4) as stream,
    ):
        for _ in range(4 * workers):
            await anext(stream)
        spent = pool.stats().seconds["worker"]
        count, begun, own = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - begun < SECONDS:
            await anext(stream)
            count += 1
        seconds, own = time.perf_counter() - begun, time.process_time() - own
        spent = pool.stats().seconds["worker"] - spent
    return count / seconds, spent / count, own / count


async def points(name, speed, prefix, host):
    """The lines of one network, which carries so many bytes per second in each direction."""
    programs = cl.DaskPrograms(prefix=prefix, host=host)
    try:
        for workers in WORKERS:
            programs.add_worker("--host", host)
            async with cl.client_of(programs.address) as client:
                await cl.workers_of(client, workers)
                for megabytes in MEGABYTES:
                    rounds = [await measured(client, megabytes, workers) for _ in range(ROUNDS)]
                    found, seconds, loop = np.median(rounds, axis=0)
                    case = (workers, seconds, megabytes * 1e6 / speed, loop)
                    bound = formula(*case)
                    print(
                        f"| {name} | {megabytes:g} | {workers} | {seconds * 1e3:.0f} "
                        f"| {loop * 1e3:.1f} | {bound:.1f} | {simulated(*case):.1f} "
                        f"| {found:.1f} | {found / bound:.2f} |",
                        flush=True,
                    )
    finally:
        programs.close()


def main():
    print(HEADER)
    asyncio.run(points("loopback", loopback(), [], "127.0.0.1"))
    for megabits in map(int, sys.argv[1:]):
        with far_host(megabits) as prefix:
            asyncio.run(points(f"{megabits} Mbit/s", megabits * 1e6 / 8, prefix, THERE))


if __name__ == "__main__":
    main()
