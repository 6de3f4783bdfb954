"""Real clusters on this machine, as programs of their own, and augmenters for them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aioaug  # noqa: F401  # it mends imgaug
import imgaug.augmenters as iaa
import numpy as np

SUPPORT = Path(__file__).parent
ROOT = SUPPORT.parent.parent


def batches(count, side=24):
    return [np.full((2, side, side, 3), number % 250, np.uint8) for number in range(count)]


def pipeline():
    return iaa.Sequential(
        [iaa.Fliplr(0.5), iaa.Affine(rotate=(-20, 20)), iaa.AdditiveGaussianNoise(scale=5)]
    )


def slowly(batch):
    time.sleep(0.02)
    return batch + 1


def very_slowly(batch):
    time.sleep(1.0)
    return batch


def process_id(batch):
    time.sleep(0.05)
    return os.getpid()


def reader(batch):
    """Who has read these pictures of a dataset; all batches take as long."""
    time.sleep(0.01)
    return os.getpid(), batch.names


def met_again(first, second):
    """The share of pictures that the second of two epochs has read by the worker of the first."""
    before, after = (
        {name: pid for pid, names in each for name in names} for each in (first, second)
    )
    return sum(before[name] == pid for name, pid in after.items()) / len(after)


class Pause:
    """Takes its time, and returns an array as large as the batch."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __call__(self, batch):
        time.sleep(self.seconds)
        return batch


class Deadly:
    """Takes its worker down with the batch that has this number, each time."""

    def __init__(self, number):
        self.number = number

    def __call__(self, batch):
        if batch[0, 0, 0, 0] == self.number:
            os.kill(os.getpid(), signal.SIGKILL)
        return batch


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# A script whose own classes and functions workers need; it says whether all results are right.
SCRIPT = """
import asyncio
import sys
from aioaug import AsyncPool

OFFSET = 5

class Sample:
    def __init__(self, value):
        self.value = value

def moved(value):
    return value + OFFSET

def augment(sample):
    return Sample(moved(sample.value))

async def main():
    async with AsyncPool(augment, engine=sys.argv[1]) as pool:
        results = await pool.map_batches([Sample(number) for number in range(100)])
    assert all(type(each) is Sample for each in results)
    print([each.value for each in results] == list(range(5, 105)))

if __name__ == "__main__":
    asyncio.run(main())
"""


def run_script(place, engine):
    """What the script prints and how it ends, as a file in this folder."""
    path = place / "script.py"
    path.write_text(SCRIPT)
    ours = {name: text for name, text in os.environ.items() if name != "RAY_ADDRESS"}
    return subprocess.run(
        [sys.executable, path, engine],
        env=ours | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


class DaskPrograms:
    """A scheduler and workers, started as their users start them."""

    def __init__(self, prefix=(), host="127.0.0.1"):
        self.prefix = list(prefix)
        self.port = free_port()
        self.address = f"tcp://{host}:{self.port}"
        self.programs = []
        self.scheduler = self._start(
            "scheduler", "--host", host, "--port", str(self.port), "--no-dashboard"
        )

    def add_worker(self, *options, prefix=None, nanny=True):
        return self._start(
            "worker", self.address, "--nthreads", "1", "--no-dashboard",
            "--nanny" if nanny else "--no-nanny", *options, prefix=prefix,
        )  # fmt: skip

    async def ready(self, count):
        async with client_of(self.address) as client:
            await workers_of(client, count)

    def close(self):
        for program in reversed(self.programs):
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()

    def _start(self, kind, *options, prefix=None):
        program = subprocess.Popen(
            [
                *(self.prefix if prefix is None else prefix),
                *(sys.executable, "-m", f"distributed.cli.dask_{kind}"),
                *options,
            ],
            env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{SUPPORT}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        self.programs.append(program)
        return program


@asynccontextmanager
async def client_of(address):
    from distributed import Client

    client = await Client(address, asynchronous=True, set_as_default=False, timeout=20)
    try:
        yield client
    finally:
        await client.close(timeout=1)


async def workers_of(client, count):
    """Wait until so many workers are there; what they are called, with their processes."""
    await client.wait_for_workers(count, timeout=40)
    return await client.run(os.getpid)


async def gone(client, name="aioaug"):
    """Nothing with this name is left on the scheduler, or `AssertionError` in the end."""

    def left(dask_scheduler):
        keys = [*dask_scheduler.tasks, *dask_scheduler.worker_plugins, *dask_scheduler.plugins]
        return [key for key in map(str, keys) if name in key or "Parcel" in key]

    await until(lambda: client.run_on_scheduler(left), lambda found: found == [])


async def until(look, fits, seconds=5):
    """Look until what is found fits, or `AssertionError` in the end."""
    end = time.monotonic() + seconds
    while not fits(found := await look()) and time.monotonic() < end:
        await asyncio.sleep(0.05)
    assert fits(found), found
