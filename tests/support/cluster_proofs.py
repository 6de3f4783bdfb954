"""Proofs about clusters that take minutes, so that no test does them; each prints its figures.

python tests/support/cluster_proofs.py kills ray     20 of its workers die in 500 batches
python tests/support/cluster_proofs.py memory dask 40000   so many batches: nothing grows
python tests/support/cluster_proofs.py homes dask 24       pictures meet their worker again
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import clusters_testing as cl
import cv2
import numpy as np
from aioaug import AsyncPool
from aioaug.data import Files, decode
from aioaug.engines import DaskEngine, RayEngine

BATCHES, KILLS, MANY = 500, 20, 10_000
TINY = 500  # different ones


def children(parent):
    """The processes that another one has started, by their number, with their names."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            rest = (path / "stat").read_text().rpartition(")")[2].split()
            if int(rest[1]) == parent:
                found[int(path.name)] = (path / "cmdline").read_bytes().decode()
    return found


def megabytes(pid):
    """The memory that is a process's own."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


class Dask:
    """A scheduler and two workers."""

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[DaskEngine]:
        programs = cl.DaskPrograms()
        try:
            for _ in range(2):
                programs.add_worker()
            self.scheduler = programs.scheduler.pid
            async with cl.client_of(programs.address) as client:
                await cl.workers_of(client, 2)
                self.client = client
                yield DaskEngine(client)
        finally:
            programs.close()

    async def workers(self):
        found = await self.client.run(os.getpid, on_error="ignore")
        return list(found.values())


class Ray:
    """Ray with two CPUs; what schedules there is its `raylet`, and the store of objects."""

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[RayEngine]:
        import ray

        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=200 << 20,
            runtime_env={"env_vars": {"PYTHONPATH": f"{cl.ROOT}:{cl.SUPPORT}"}},
        )
        ours = children(os.getpid())
        self.scheduler = next(pid for pid, name in ours.items() if "/raylet/raylet" in name)
        try:
            yield RayEngine()
        finally:
            ray.shutdown()

    async def workers(self):
        found = await asyncio.to_thread(children, self.scheduler)
        return [pid for pid, name in found.items() if name.startswith("ray::_run_here")]


async def kills(cluster):
    """Workers die in the middle of a stream: the output is that of a clean run."""
    batches = cl.batches(BATCHES)
    async with AsyncPool(cl.pipeline(), seed=3, engine="inline") as pool:
        wanted = await pool.map_batches(batches)
    got, killed, began = [], 0, time.monotonic()
    async with (
        cluster.engine() as engine,
        AsyncPool(cl.pipeline(), seed=3, engine=engine) as pool,
        pool.imap_batches(iter(batches), output_buffer_size=16) as stream,
    ):
        async for batch in stream:
            got.append(batch)
            if (
                killed < KILLS
                and len(got) >= (killed + 1) * 20
                and (ids := await cluster.workers())
            ):
                os.kill(ids[killed % len(ids)], signal.SIGKILL)
                killed += 1
    equal = len(got) == len(wanted) and all(map(np.array_equal, got, wanted))
    seconds = time.monotonic() - began
    print(f"{len(got)} batches, {killed} workers killed, {seconds:.0f} s: equal: {equal}")


async def memory(cluster, many=MANY):
    """Many batches: what this program and the scheduler hold, as they go."""
    source = itertools.islice(itertools.cycle(cl.batches(TINY)), many)
    async with (
        cluster.engine() as engine,
        AsyncPool(cl.pipeline(), seed=3, engine=engine) as pool,
        pool.imap_batches(source, output_buffer_size=16) as stream,
    ):
        number = 0
        async for _ in stream:
            number += 1
            if number % (many // 20) == 0:
                here, there = megabytes(os.getpid()), megabytes(cluster.scheduler)
                print(f"{number} batches: program {here:.0f} MiB, scheduler {there:.0f} MiB")


async def homes(cluster, buffer=24):
    """Epoch after epoch: the share of pictures that their last worker reads again."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(192 * 4):
            picture = np.full((8, 8, 3), number % 250, np.uint8)
            cv2.imwrite(str(Path(folder, f"{number:04}.png")), picture)
        batches, others = (
            list(Files(folder).batches(4, shuffle=True, seed=seed)) for seed in range(2)
        )
        order = random.Random(2).sample(batches, len(batches))
        async with cluster.engine() as engine:
            first, again, moved, mixed = await _epochs(
                engine, buffer, batches, batches, order, others
            )
            (anew,) = await _epochs(engine, buffer, batches)
    for name, before, after in (
        ("same", first, again),
        ("another order", again, moved),
        ("shuffled", moved, mixed),
        ("another pool", first, anew),
    ):
        print(f"{name}: {cl.met_again(before, after):.2f}")


async def _epochs(engine, buffer, *sources):
    found = []
    async with AsyncPool(cl.reader, load=decode, engine=engine) as pool:
        for source in sources:
            async with pool.imap_batches(source, output_buffer_size=buffer) as stream:
                found.append([result async for result in stream])
    return found


if __name__ == "__main__":
    proofs, clusters = (
        {"kills": kills, "memory": memory, "homes": homes},
        {"dask": Dask, "ray": Ray},
    )
    asyncio.run(proofs[sys.argv[1]](clusters[sys.argv[2]](), *map(int, sys.argv[3:])))
