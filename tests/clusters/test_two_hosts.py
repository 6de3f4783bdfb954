"""Two hosts with a network between them: namespaces of the kernel, which root can make."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from itertools import repeat

import clusters_testing as cl
import numpy as np
import psutil
import pytest
from aioaug import AsyncPool
from aioaug.engines import DaskEngine
from aioaug.errors import ClusterLost

distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")

HOSTS = {"aioaug-a": "10.99.7.2", "aioaug-b": "10.99.7.3"}
HERE = "10.99.7.1/24"
BRIDGE = "aioaug-net"
# Dask's patience with a silent connection; it takes no less than eleven.
SILENT = "12s"
BUFFER = 16


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


def link_of(host):
    return f"{host}-if"


def cut(host):
    ip("link", "set", link_of(host), "down")


def join(host):
    ip("link", "set", link_of(host), "up")


def _take_down():
    for words in (*(["netns", "del", host] for host in HOSTS), ["link", "del", BRIDGE]):
        subprocess.run(["ip", *words], check=False, capture_output=True)


# A thousand of these are read in a second where nothing holds the source back.
BATCH = np.zeros((2, 256, 256, 3), np.uint8)


def endless():
    return (batch.copy() for batch in repeat(BATCH))


def sizes(processes):
    found = []
    for each in processes:
        try:
            found.append(psutil.Process(each).memory_info().rss)
        except psutil.NoSuchProcess:  # a worker ends when it has been without its scheduler
            found.append(0)
    return np.array(found)


async def most_growth(processes):
    """By how many bytes each process was larger than now, until this is cancelled."""
    before = most = await asyncio.to_thread(sizes, processes)
    try:
        while True:
            await asyncio.sleep(0.2)
            most = np.maximum(most, await asyncio.to_thread(sizes, processes))
    except asyncio.CancelledError:
        return most - before


@pytest.fixture
def hosts():
    if not shutil.which("ip") or os.geteuid():
        pytest.skip("network namespaces need root and `ip`")
    _take_down()
    try:
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("addr", "add", HERE, "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        for host, address in HOSTS.items():
            ip("netns", "add", host)
            ip("link", "add", link_of(host), "type", "veth", "peer", "eth0", "netns", host)
            ip("link", "set", link_of(host), "master", BRIDGE)
            ip("-n", host, "addr", "add", f"{address}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                ip("-n", host, "link", "set", device, "up")
            join(host)
    except subprocess.CalledProcessError as error:
        _take_down()
        pytest.skip(f"no network namespaces here: {error.stderr.decode()}")
    yield HOSTS
    _take_down()


@pytest.fixture
def programs(hosts, monkeypatch):
    """A scheduler and a worker on one host, and a worker on the other one."""
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP", SILENT)
    with dask.config.set({"distributed.comm.timeouts.tcp": SILENT}):
        first, second = hosts
        made = cl.DaskPrograms(prefix=["ip", "netns", "exec", first], host=hosts[first])
        made.add_worker("--host", hosts[first])
        made.add_worker("--host", hosts[second], prefix=["ip", "netns", "exec", second])
        yield made
        made.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_link_that_is_cut(programs, hosts):
    first, second = hosts
    batches = cl.batches(300)
    async with AsyncPool(cl.pipeline(), seed=3, engine="inline") as pool:
        wanted = await pool.map_batches(batches)
    async with cl.client_of(programs.address) as client:
        addresses = await cl.workers_of(client, 2)
        assert {address.split(":")[1] for address in addresses} == {
            f"//{place}" for place in hosts.values()
        }
        async with AsyncPool(cl.pipeline(), seed=3, engine=DaskEngine(client)) as pool:
            got = []
            async with pool.imap_batches(iter(batches), output_buffer_size=16) as stream:
                async for batch in stream:
                    got.append(batch)
                    if len(got) == 100:  # for three seconds
                        cut(second)
                        asyncio.get_running_loop().call_later(3, join, second)
            assert all(map(np.array_equal, got, wanted))
            assert len(got) == len(wanted)
            stream = pool.imap_batches(endless(), output_buffer_size=BUFFER)
            for _ in range(3 * BUFFER):
                await anext(stream)
            growth = asyncio.create_task(
                most_growth([os.getpid(), programs.scheduler.pid, *addresses.values()])
            )
            await anext(stream)
            cut(first)  # for good
            with pytest.raises(ClusterLost, match="went away"):
                async for _ in stream:
                    pass
            await stream.aclose()
            growth.cancel()
            # A batch may be there as it came, as it was sent, and as a result; none beyond those
            # that may exist at once. What the programs do besides takes the rest.
            grown = await growth
            assert grown.max() < 3 * BUFFER * BATCH.nbytes + (16 << 20)
