"""What is Dask's own: workers that come and go, schedulers that go, versions, addresses."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import clusters_testing as cl
import numpy as np
import pytest
from aioaug import AsyncPool
from aioaug._worker import parcels
from aioaug.engines import DaskEngine
from aioaug.engines.cluster import fitting
from aioaug.errors import ClusterLost, ClusterMismatch

pytest.importorskip("distributed")


@pytest.fixture
def programs():
    """A cluster of a test's own, which it may break."""
    made = cl.DaskPrograms()
    yield made
    made.close()


async def test_an_address_does_for_a_client(dask_programs):
    place = dask_programs.address.removeprefix("tcp://")
    async with AsyncPool(cl.slowly, engine=f"dask://{place}") as pool:
        assert (await pool.augment_batch(cl.batches(1)[0])).max() == 1
    async with cl.client_of(dask_programs.address) as client:
        await cl.gone(client)


def test_workers_need_no_file_of_a_script(dask_programs, tmp_path):
    done = cl.run_script(tmp_path, dask_programs.address.replace("tcp", "dask"))
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


async def test_nobody_at_the_address_is_said():
    engine = DaskEngine(f"tcp://127.0.0.1:{cl.free_port()}", reconnect=0.5)
    with pytest.raises(ClusterLost, match="no scheduler of Dask answers"):
        async with AsyncPool(cl.slowly, engine=engine):
            pass


def test_a_client_that_does_not_fit_is_refused(dask_programs):
    program = (
        "import sys; from distributed import Client; from aioaug.engines import DaskEngine\n"
        "DaskEngine(Client(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, dask_programs.address],
        env=os.environ | {"PYTHONPATH": str(cl.ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "ValueError: client: it blocks" in done.stderr
    with pytest.raises(TypeError, match=r"distributed\.Client or an address, got int"):
        DaskEngine(3)


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "indirect"])
async def test_parcels_go_through_the_scheduler_only_where_they_have_to(dask_programs, direct):
    def scattered(dask_scheduler):
        return sum("Parcel" in str(key) for key in dask_scheduler.tasks)

    batches, seen, got = cl.batches(12), 0, []
    async with AsyncPool(cl.pipeline(), seed=5, engine="inline") as pool:
        wanted = await pool.map_batches(batches)
    async with cl.client_of(dask_programs.address) as client:
        engine = DaskEngine(client, direct=direct)
        async with AsyncPool(cl.pipeline(), seed=5, engine=engine) as pool:
            async with pool.imap_batches(iter(batches), output_buffer_size=8) as stream:
                async for batch in stream:
                    got.append(batch)
                    seen += await client.run_on_scheduler(scattered)
        await cl.gone(client)
    assert all(map(np.array_equal, got, wanted))
    assert len(got) == len(wanted)
    assert bool(seen) is not direct


async def test_estimates_of_sizes_leave_the_generator_of_batches_alone(dask_programs):
    def estimated():
        import random

        from dask.sizeof import sizeof

        before = random.getstate()
        sizeof(list(range(1000)))  # as those of Dask's own messages, at any time
        return random.getstate() == before

    async with cl.client_of(dask_programs.address) as client:
        async with AsyncPool(cl.slowly, engine=DaskEngine(client)) as pool:
            await pool.augment_batch(cl.batches(1)[0])
            assert set((await client.run(estimated)).values()) == {True}
        await cl.gone(client)


async def test_workers_keep_nothing_of_calls_that_were_dropped(dask_programs):
    def held():
        import gc

        gc.collect()
        kinds = [type(each).__name__ for each in gc.get_objects()]
        return kinds.count("WorkerEnd"), kinds.count("Parcel")

    async with cl.client_of(dask_programs.address) as client:
        await cl.workers_of(client, 2)
        async with AsyncPool(cl.slowly, engine=DaskEngine(client)) as pool:
            assert (await pool.augment_batch(cl.batches(1)[0])).max() == 1
            for _ in range(3):
                calls = [asyncio.create_task(pool.augment_batch(one)) for one in cl.batches(6)]
                await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
                for call in calls:
                    call.cancel()
                await asyncio.gather(*calls, return_exceptions=True)
            assert (await pool.augment_batch(cl.batches(1)[0])).max() == 1
            wanted = {(1, 0)}
            await cl.until(lambda: client.run(held), lambda found: set(found.values()) == wanted)
        await cl.until(lambda: client.run(held), lambda found: set(found.values()) == {(0, 0)})
        await cl.gone(client)


async def test_what_a_worker_did_not_report_in_time_is_released(dask_programs):
    """Dask keeps the tasks of a worker that died before it said that they were over."""
    async with cl.client_of(dask_programs.address) as client:
        first, _ = await cl.workers_of(client, 2)
        async with AsyncPool(cl.slowly, engine=DaskEngine(client)) as pool:
            assert (await pool.augment_batch(cl.batches(1)[0])).max() == 1
            calls, answer = pool.pool._calls, asyncio.get_running_loop().create_future()
            nowhere = "tcp://127.0.0.1:1"
            task = client.submit(cl.slowly, 1, key="aioaug-never", workers=[nowhere], pure=False)
            calls._under_way[task] = first
            calls._spawn(calls._watch(task, answer))
            del task
        await cl.gone(client)


async def test_workers_may_come_and_go(programs):
    programs.add_worker()
    async with cl.client_of(programs.address) as client:
        (first,) = await cl.workers_of(client, 1)
        async with AsyncPool(cl.process_id, seed=1, engine=DaskEngine(client)) as pool:
            async with pool.imap_batches(iter(cl.batches(400)), output_buffer_size=8) as stream:
                ids = [await anext(stream) for _ in range(5)]
                assert len(set(ids)) == 1
                programs.add_worker()
                while len(set(ids)) < 2:
                    ids.append(await anext(stream))
                await client.retire_workers([first])
                ids = [await anext(stream) for _ in range(12)]
                assert len(set(ids[-4:])) == 1
                assert pool.workers == 1
        await cl.gone(client)


async def test_a_cluster_without_workers_is_waited_for(programs):
    async with cl.client_of(programs.address) as client:
        with pytest.raises(ClusterLost, match=r"no worker for 0\.3 s"):
            async with AsyncPool(cl.slowly, engine=DaskEngine(client, patience=0.3)):
                pass
        pool = AsyncPool(cl.slowly, engine=DaskEngine(client))
        request = asyncio.create_task(pool.augment_batch(cl.batches(1)[0]))
        programs.add_worker()
        assert (await request).max() == 1
        await pool.close()


async def test_a_scheduler_that_goes_is_an_error_soon(programs):
    programs.add_worker()
    async with cl.client_of(programs.address) as client:
        await cl.workers_of(client, 1)
        async with AsyncPool(cl.slowly, engine=DaskEngine(client, reconnect=1.0)) as pool:
            stream = pool.imap_batches(iter(cl.batches(4000)), output_buffer_size=8)
            for _ in range(3):
                await anext(stream)
            programs.scheduler.send_signal(signal.SIGKILL)
            with pytest.raises(ClusterLost, match="went away"):
                async for _ in stream:
                    pass
            await stream.aclose()
            with pytest.raises(ClusterLost):
                await pool.augment_batch(cl.batches(1)[0])


@pytest.mark.slow
@pytest.mark.timeout(400)  # twenty times two workers have to start again
async def test_killed_workers_cost_no_batch(dask_programs):
    batches = cl.batches(500)
    async with AsyncPool(cl.pipeline(), seed=3, engine="inline") as pool:
        wanted = await pool.map_batches(batches)
    async with cl.client_of(dask_programs.address) as client:
        await cl.workers_of(client, 2)
        async with AsyncPool(cl.pipeline(), seed=3, engine=DaskEngine(client)) as pool:
            got, kills = [], 0
            async with pool.imap_batches(iter(batches), output_buffer_size=16) as stream:
                async for batch in stream:
                    got.append(batch)
                    if len(got) % 24 == 0 and kills < 20:
                        ids = await client.run(os.getpid, on_error="ignore")
                        os.kill(list(ids.values())[kills % len(ids)], signal.SIGKILL)
                        kills += 1
        assert kills == 20
        await cl.gone(client)
    assert all(map(np.array_equal, got, wanted))


@pytest.mark.slow
async def test_the_scheduler_has_few_tasks_at_any_time(dask_programs):
    def alive(dask_scheduler):
        from dask.utils import key_split

        spans = dask_scheduler.extensions["spans"].spans.values()
        return (
            len(dask_scheduler.tasks),
            [len(span.metadata["collections"]) for span in spans],
            key_split.cache_info().currsize,
        )

    async with cl.client_of(dask_programs.address) as client:
        await cl.workers_of(client, 2)
        most, spans = 0, set()
        _, _, before = await client.run_on_scheduler(alive)  # names of other pools' calls
        names = before
        async with AsyncPool(cl.pipeline(), engine=DaskEngine(client)) as pool:
            source = iter(cl.batches(2000, side=4))
            async with pool.imap_batches(source, output_buffer_size=64) as stream:
                number = 0
                async for _ in stream:
                    number += 1
                    if number % 50 == 0:
                        tasks, found, named = await client.run_on_scheduler(alive)
                        most, spans = max(most, tasks), spans | {tuple(found)}
                        names = max(names, named)
        assert number == 2000
        assert most <= 24  # two for each call under way, and those that are being released
    assert names - before <= 600  # those of the last 500 calls, and a few more
    assert len(spans) == 1  # what Dask notes of them, and never forgets, is as long at any time


def test_other_versions_are_named():
    here = parcels.versions()
    fitting.check_versions("tcp://a:1", here, here)
    with pytest.raises(ClusterMismatch, match=r"tcp://a:1 has python 2\.7 \(here"):
        fitting.check_versions("tcp://a:1", here | {"python": "2.7"}, here)
    with pytest.raises(ClusterMismatch, match="imgaug missing"):
        fitting.check_versions("tcp://a:1", here | {"imgaug": ""}, here)
    with pytest.warns(RuntimeWarning, match=r"numpy 1\.0 \(here"):
        fitting.check_versions("tcp://a:1", here | {"numpy": "1.0"}, here)


@pytest.fixture
def other_version(monkeypatch):
    here = parcels.versions() | {"aioaug": "9.9"}
    monkeypatch.setattr(parcels, "versions", lambda: here)


async def test_other_versions_stop_a_pool_before_its_first_batch(dask_programs, other_version):
    read = []

    def source():
        read.append(1)
        yield cl.batches(1)[0]

    async with cl.client_of(dask_programs.address) as client:
        with pytest.raises(ClusterMismatch, match=r"aioaug .* \(here 9\.9\)"):
            async with AsyncPool(cl.slowly, engine=DaskEngine(client)) as pool:
                async for _ in pool.imap_batches(source()):
                    pass
        await cl.gone(client)
    assert read == []
