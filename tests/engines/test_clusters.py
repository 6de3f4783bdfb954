"""The parts of engines on clusters that need no cluster; `tests/clusters` has real ones."""

from __future__ import annotations

import asyncio
import pickle
import sys

import numpy as np
import pytest
from aioaug import AsyncPool, MissingExtra, WorkerDied
from aioaug._aio.tasks import in_thread
from aioaug._worker import parcels
from aioaug._worker.parcels import Parcel, StateCopies, StateMissing
from aioaug.engines import DaskEngine, RayEngine
from aioaug.engines.cluster.base import ClusterEngine
from aioaug.engines.cluster.byte_budget import ByteBudget
from aioaug.engines.scheduler import Scheduler
from aioaug.testing import calls, check_engine


class ThreadCluster(ClusterEngine):
    """A cluster in this process: a call is a thread that runs what a worker would run."""

    def __init__(self, state, *, workers=2, max_tasks=None, **options):
        super().__init__(state, workers=workers, max_tasks=max_tasks, **options)
        self.names = [f"{self._token}-{number}" for number in range(2)]
        self.sent = []
        self.hold = None  # set: calls wait for it before they run

    async def _open(self, state):
        for name in self.names:
            parcels.keep_state(name, state)
            self._joined(name, 1)

    async def _run(self, call):
        self.sent.append(call)
        if self.hold is not None:
            await self.hold.wait()
        running = asyncio.create_task(
            in_thread(parcels.run_parcel, call.worker.address, call.parcel)
        )
        return await running

    async def _shut(self, *, kill):
        for name in self.names:
            parcels.drop_state(name)


async def test_it_keeps_what_engines_promise():
    await check_engine(ThreadCluster)


@pytest.mark.parametrize(("kind", "module"), [("dask", "distributed"), ("ray", "ray")])
def test_without_the_extra_the_command_is_named(monkeypatch, kind, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=rf"pip install 'aioaug\[{kind}\]'$"):
        {"dask": DaskEngine, "ray": RayEngine}[kind]()
    with pytest.raises(MissingExtra, match=rf"pip install 'aioaug\[{kind}\]'$"):
        AsyncPool(calls.count, engine=f"{kind}://host:1")


def test_other_names_are_refused():
    with pytest.raises(ValueError, match="'dask://HOST:PORT'"):
        AsyncPool(calls.count, engine="spark")


async def _with_held_calls(engine, count):
    """So many calls under way, of which none has come to its end."""
    engine.hold = asyncio.Event()
    work = [asyncio.create_task(engine.submit(calls.add, n, 0)) for n in range(count)]
    while len(engine.sent) < count:
        await asyncio.sleep(0)
    return work


async def test_of_a_dead_workers_calls_each_is_tried_alone_before_it_is_blamed():
    async with ThreadCluster(calls.Tally()) as engine:
        work = await _with_held_calls(engine, 4)  # two on each worker
        lost = engine.sent[0].worker
        engine._left(lost.address)
        while len(engine.sent) < 5:
            await asyncio.sleep(0)
            engine.hold.set()
        assert await asyncio.gather(*work) == [0, 1, 2, 3]
        again = engine.sent[4:]
        assert {call.alone for call in again} == {True}
        assert {call.worker for call in again} == set(engine._members.values())


async def test_a_call_that_was_alone_is_blamed():
    async with ThreadCluster(calls.Tally()) as engine:
        (work,) = await _with_held_calls(engine, 1)
        engine._left(engine.sent[0].worker.address)
        while len(engine.sent) < 2:
            await asyncio.sleep(0)
        engine._left(engine.sent[1].worker.address)
        with pytest.raises(WorkerDied):
            await work
        engine._joined(engine.names[0], 1)  # another one comes in the place of both
        engine.hold.set()
        assert await engine.submit(calls.add, 1, 2) == 3


async def test_a_worker_that_drains_costs_nobody_a_try():
    async with ThreadCluster(calls.Tally()) as engine:
        work = await _with_held_calls(engine, 2)
        leaving = engine.sent[0].worker
        engine._draining(leaving.address)
        assert engine.workers == 1
        engine._left(leaving.address)
        engine.hold.set()
        assert await asyncio.gather(*work) == [0, 1]
        assert not any(call.alone for call in engine.sent)


async def test_a_budget_of_bytes_lets_calls_through_in_order():
    budget, done = ByteBudget(10), []

    async def use(name, size, end):
        async with budget.hold(size):
            done.append(name)
            await end.wait()

    ends = [asyncio.Event() for _ in range(4)]
    sizes = [6, 6, 3, 99]
    tasks = [
        asyncio.create_task(use(name, size, end))
        for name, (size, end) in enumerate(zip(sizes, ends, strict=True))
    ]
    for _ in range(5):
        await asyncio.sleep(0)
    assert (done, budget.used) == ([0], 6)  # the third one would fit, but came later
    tasks[1].cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert (done, budget.used) == ([0, 2], 9)
    ends[0].set()
    ends[2].set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert (done, budget.used) == ([0, 2, 3], 99)  # larger than all of it, and alone
    ends[3].set()
    await asyncio.wait(tasks)
    assert budget.used == 0


async def test_a_worker_that_was_withdrawn_may_come_back():
    line = Scheduler(lambda worker: 2)
    line.open(["a", "b"])
    turns = [line.join() for _ in range(5)]
    assert [await line.acquire(turn, 2) for turn in turns[:3]] == ["a", "b", "a"]
    line.withdraw("a")
    assert await line.acquire(turns[3], 2) == "b"
    line.release(turns[0], "a")
    waiting = asyncio.create_task(line.acquire(turns[4], 2))
    await asyncio.sleep(0)
    assert not waiting.done()  # "a" has room, but is to have no more
    line.open(["a"])
    assert await waiting == "a"
    line.withdraw("b")
    line.release(turns[1], "b")
    line.release(turns[3], "b")
    assert line.busy == {"a"}
    assert line.idle == 0


def test_arrays_of_a_parcel_are_not_copied():
    array = np.zeros((64, 64, 3), np.uint8)
    buffers = []
    data = pickle.dumps(Parcel.of({"images": array}), 5, buffer_callback=buffers.append)
    assert len(data) < 1000
    assert [buffer.raw().nbytes for buffer in buffers] == [array.nbytes]
    back = pickle.loads(data, buffers=[buffer.raw() for buffer in buffers])
    assert np.shares_memory(back.open()["images"], array)


def test_an_interrupted_copy_of_the_state_is_not_used_again():
    copies = StateCopies(pickle.dumps(calls.Tally()))
    seen = []

    def interrupt(state):
        seen.append(state)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copies.run(interrupt, ())
    assert copies.run(lambda state: state, ()) is not seen[0]
    with pytest.raises(ZeroDivisionError):
        copies.run(lambda state: 1 // 0, ())


def test_what_a_worker_lacks_is_said():
    with pytest.raises(StateMissing, match="no augmenter nothing"):
        parcels.run_parcel("nothing", Parcel.of((calls.add, (1, 2))))
    parcels.keep_state("broken", b"no pickle")
    with pytest.raises(Exception, match="cannot be unpickled"):
        parcels.describe("broken")["failure"].open().unwrap()
    parcels.drop_state("broken")
