"""`load`, `dump` and `initializer`: what a pool's workers do beside augmenting."""

from __future__ import annotations

import asyncio

import imgaug.augmenters as iaa
import numpy as np
import pytest
import worker_functions as fns
from aioaug import AsyncPool, ClosedError, WorkerDied
from aioaug.blocking import Pool

ENGINES = ["process", "thread", "inline"]
every_engine = pytest.mark.parametrize("engine", ENGINES)
NOISE = iaa.Sequential([iaa.Fliplr(0.5), iaa.Add((-40, 40))])


async def collect(source, augmenter=fns.nothing, workers=2, *, engine="thread", **options):
    async with AsyncPool(augmenter, workers, seed=4, engine=engine, **options) as pool:
        return [batch async for batch in pool.imap_batches(source)]


@every_engine
@pytest.mark.parametrize("kind", ["", "_async"])
async def test_batches_are_loaded_and_dumped_in_the_workers(engine, kind):
    numbers = [0, 1, 2, 4]
    plain = await collect([fns.load(number) for number in numbers], NOISE)
    functions = {name: getattr(fns, name + kind) for name in ("load", "dump")}
    made = await collect(numbers, NOISE, engine=engine, **functions)
    assert made == [fns.dump(batch) for batch in plain]  # the augmenter draws the same numbers


@every_engine
async def test_single_batches_and_lists(engine):
    async with AsyncPool(NOISE, 2, seed=4, engine=engine, load=fns.load, dump=len) as pool:
        assert await pool.map_batches([1, 2]) == [2, 2]
        assert await pool.augment_batch(1, index=0) == 2
        with pytest.raises(TypeError, match="augment_image needs an augmenter of images and no lo"):
            await pool.augment_image(np.zeros((4, 4, 3), np.uint8))


@every_engine
async def test_what_is_passed_in_stays_as_it_is(engine):
    source = [[0], [1]]
    await collect(source, NOISE, engine=engine, load=fns.load_and_spoil)
    assert source == [[0], [1]]


@every_engine
async def test_errors_are_those_of_the_batch(engine):
    with pytest.raises(LookupError, match="no batch 3") as failure:
        await collect([2, 3], engine=engine, load=fns.load)
    assert "while augmenting batch 1" in failure.value.__notes__
    left = await collect([3, 2], NOISE, engine=engine, load=fns.load_async, on_error="skip")
    assert len(left) == 1
    with pytest.raises(AttributeError, match="tobytes"):
        await collect([2], engine=engine, dump=fns.dump_async)
    with pytest.raises(TypeError, match="a batch must be"):  # what load returned is checked
        await collect([2], NOISE, engine=engine, load=str)


async def test_a_load_that_kills_its_worker():
    with pytest.raises(WorkerDied, match="code 7 while augmenting batch 0"):
        await collect([13], engine="process", load=fns.load, retries=0)


async def test_random_numbers_follow_from_the_batch_alone():
    options = {"load": fns.drawing, "dump": fns.drawing}
    results = [
        await collect([1, 2, 3], fns.drawing, workers, engine=engine, **options)
        for engine, workers in (("process", 2), ("thread", 3), ("inline", 1))
    ]
    assert results[0] == results[1] == results[2]
    drawn = [
        number
        for (((_, at_load), at_augmenting), at_dump) in results[0]
        for number in (at_load, at_augmenting, at_dump)
    ]
    assert len(set(drawn)) == 9


async def test_without_rng_the_generators_of_a_process_follow_from_the_batch():
    options = {"load": fns.drawing_from_globals, "dump": fns.drawing_from_globals}
    first, second = [
        await collect([1, 2, 3], fns.nothing, workers, engine="process", **options)
        for workers in (1, 2)
    ]
    assert first == second
    drawn = [number for ((_, *at_load), *at_dump) in first for number in (*at_load, *at_dump)]
    assert len(set(drawn)) == 12


@every_engine
async def test_coroutines_of_a_worker_share_a_loop(engine):
    [_, batches] = await collect(["a", "b"], workers=1, engine=engine, load=fns.loop_of)
    assert batches == ["a", "b"]


@pytest.mark.parametrize("engine", ["thread", "inline"])
@pytest.mark.parametrize("kill", [False, True])
async def test_the_loops_of_workers_end_with_their_pool(engine, kill):
    fns.loops.clear(), fns.left.clear()
    pool = AsyncPool(fns.nothing, 2, engine=engine, load=fns.leave_a_task)
    async with pool:
        with pytest.raises(LookupError) as failure:
            await pool.map_batches([1, 2, 3])
        if kill:
            await pool.terminate()
    # What keeps the workers alive, here the traceback, does not keep their loops open.
    assert failure.value.__traceback__ is not None
    assert fns.loops
    assert all(loop.is_closed() for loop in fns.loops)
    assert all(task.cancelled() for task in fns.left)


async def test_loops_of_workers_that_could_not_begin_are_closed():
    fns.loops.clear()
    pool = AsyncPool(fns.nothing, 2, engine="thread", initializer=fns.refuse_async)
    with pytest.raises(LookupError, match="cannot begin") as failure:
        async with pool:
            pass
    assert failure.value.__traceback__ is not None
    assert len(fns.loops) == 2
    assert all(loop.is_closed() for loop in fns.loops)


async def test_a_loop_that_is_at_work_is_closed_when_it_has_ended():
    fns.loops.clear(), fns.reached.clear(), fns.release.clear()
    async with AsyncPool(fns.nothing, 1, engine="thread", load=fns.wait_for_release) as pool:
        result = asyncio.ensure_future(pool.map_batches([1]))
        while not fns.reached.is_set():
            await asyncio.sleep(0.001)
        await pool.terminate()
    with pytest.raises((ClosedError, asyncio.CancelledError)):
        await result
    [loop] = fns.loops
    assert not loop.is_closed()
    fns.release.set()
    while not loop.is_closed():
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("initializer", [fns.initialize, fns.initialize_async])
async def test_each_worker_process_is_prepared_once(initializer):
    options = {"engine": "process", "initializer": initializer}
    prepared = await collect(range(4), fns.begun_before, maxtasksperchild=2, **options)
    assert {times for times, _ in prepared} == {1}
    assert len({worker for _, worker in prepared}) > 1


@pytest.mark.parametrize("engine", ["thread", "inline"])
@pytest.mark.parametrize("initializer", [fns.initialize, fns.initialize_async])
async def test_each_other_worker_is_prepared_once(engine, initializer):
    fns.begun.clear()
    await collect(range(4), engine=engine, initializer=initializer)
    assert len(fns.begun) == (2 if engine == "thread" else 1)


@every_engine
async def test_an_initializer_that_fails(engine):
    pool = AsyncPool(fns.nothing, 2, engine=engine, initializer=fns.refuse)
    with pytest.raises(LookupError, match="cannot begin") as failure:
        async with pool:
            pass
    assert "while the pool's initializer ran in a worker" in failure.value.__notes__


async def test_their_seconds_stand_among_those_of_the_augmenters():
    options = {"engine": "thread", "load": fns.load, "dump": fns.dump, "profile": True}
    async with AsyncPool(NOISE, 1, **options) as pool:
        await pool.map_batches([1, 2])
        assert {"load", "dump", "Add"} <= pool.stats().augmenters.keys()


@pytest.mark.parametrize("name", ["load", "dump", "initializer"])
def test_what_cannot_be_called(name):
    with pytest.raises(TypeError, match=f"{name} must be callable, got 3"):
        AsyncPool(fns.nothing, **{name: 3})


def test_blocking():
    with Pool(NOISE, 2, seed=4, engine="thread", load=fns.load_async, dump=fns.dump) as pool:
        assert [len(batch) for batch in pool.imap_batches([1, 2])] == [2 * 8 * 8 * 3] * 2
