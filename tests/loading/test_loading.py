"""BatchLoader and BackgroundAugmenter, async and blocking: what imgaug's promise, kept."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import pickle
import queue
import threading
import time

import aioaug
import aioaug_testing as aug
import background_testing as bg
import imgaug as ia
import imgaug.augmenters as iaa
import numpy as np
import pytest
from aioaug import BackgroundAugmenter, BatchLoader, WorkerDied, blocking
from background_testing import LOADED, do

pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated, use Pool:FutureWarning")

THREADED = pytest.mark.parametrize("threaded", [True, False], ids=["threads", "processes"])


def children():
    gc.collect()
    return multiprocessing.active_children()


async def every(thing):
    """All batches up to the `None` behind the last."""
    result = []
    while (batch := await do(thing.get_batch)) is not None:
        result.append(batch)
    assert await do(thing.get_batch) is None
    return result


def numbers(batches):
    return sorted(batch.data for batch in batches)


COMPLETE = list(range(LOADED))


@pytest.mark.parametrize(
    "source",
    [
        bg.batches, bg.list_of_batches, bg.async_batches, bg.async_list_of_batches,
        lambda: bg.batches(), lambda: bg.async_batches(), lambda: bg.list_of_batches(),
        lambda: iter(bg.list_of_batches()),
    ],
    ids=["generator function", "function", "async generator function", "async function",
         "generator", "async generator", "list", "iterator"],
)  # fmt: skip
async def test_sources(start, source):
    if source.__name__ == "<lambda>":
        source = source()
    loader = await start("BatchLoader", source, queue_size=4)
    assert [batch.data for batch in await every(loader)] == COMPLETE


@THREADED
@pytest.mark.parametrize("workers", [1, 2])
async def test_each_worker_calls_the_function(start, threaded, workers):
    loader = await start("BatchLoader", bg.batches, 2, workers, threaded)
    loaded = []
    while not await do(loader.all_finished) or not await do(loader.queue.empty):
        batch = await do(loader.queue.get)
        if batch is not None:
            loaded.append(batch)
    assert numbers(loaded) == sorted(COMPLETE * workers)
    assert await do(loader.queue.get) is None
    assert await do(loader.count_workers_alive) == 0
    assert children() == []


async def test_a_generator_is_shared(start):
    loader = await start("BatchLoader", bg.batches(), 3, 4)
    assert numbers(await every(loader)) == COMPLETE


async def test_where_batches_are_loaded(start):
    in_threads = set(await every(await start("BatchLoader", bg.pids, nb_workers=2)))
    assert in_threads == {os.getpid()}
    loader = await start("BatchLoader", bg.pids, nb_workers=2, threaded=False)
    in_processes = set(await every(loader))
    assert len(in_processes) == 2
    assert os.getpid() not in in_processes


@pytest.mark.parametrize("load", [bg.random_numbers, bg.Drawing().batches])
async def test_processes_have_random_numbers_of_their_own(load, start):
    drawn = []
    for seed in (1, 1, 1000):
        loader = await start("BatchLoader", load, 9, 2, False, seed=seed)
        drawn.append(sorted(await every(loader)))
    assert drawn[0] == drawn[1]
    flat = [number for each in drawn[1:] for three in each for number in three]
    assert len(set(flat)) == len(flat) == 60


async def test_the_queue_is_bounded(start):
    loader = await start("BatchLoader", bg.without_end, 3, 2)
    for _ in range(5):
        while not await do(loader.queue.full):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)  # in which more could come
        assert await do(loader.queue.qsize) == 3
        await do(loader.queue.get)
    assert await do(loader.count_workers_alive) == 2
    assert not await do(loader.all_finished)


async def test_get_without_waiting(start):
    loader = await start("BatchLoader", [], 2)
    assert await every(loader) == []
    assert await do(loader.queue.get_nowait) is None
    slow = await start("BatchLoader", lambda: (time.sleep(0.3) or number for number in range(1)))
    with pytest.raises(queue.Empty):
        await do(slow.queue.get, block=False)
    with pytest.raises(queue.Empty):
        await do(slow.queue.get, timeout=0.01)
    assert await do(slow.queue.get, timeout=5) == 0  # it was not lost


@THREADED
async def test_what_a_loader_raises(start, threaded):
    loader = await start("BatchLoader", bg.fails_after_five, threaded=threaded)
    assert [(await do(loader.get_batch)).data for _ in range(5)] == list(range(5))
    with pytest.raises(ValueError, match="the sixth cannot be loaded"):
        await do(loader.get_batch)
    assert await do(loader.get_batch) is None


async def test_one_that_fails_does_not_stop_the_others(start):
    turns = iter([bg.fails_after_five, bg.batches])
    loader = await start("BatchLoader", lambda: next(turns)(), nb_workers=2)
    loaded, errors = [], 0
    while True:
        try:
            batch = await do(loader.get_batch)
        except ValueError:
            errors += 1
            continue
        if batch is None:
            break
        loaded.append(batch)
    assert (len(loaded), errors) == (LOADED + 5, 1)


async def test_a_loading_process_that_dies(start):
    loader = await start("BatchLoader", bg.dies_after_five, threaded=False)
    for _ in range(5):
        await do(loader.get_batch)
    with pytest.raises(WorkerDied, match="exited with code 7"):
        await do(loader.get_batch)
    assert await do(loader.get_batch) is None


@THREADED
async def test_load_in_workers(start, threaded):
    loader = await start("BatchLoader", range(8), nb_workers=2, threaded=threaded, load=bg.load)
    loaded, errors = [], []
    while True:
        try:
            batch = await do(loader.get_batch)
        except ValueError as error:
            errors.append(str(error))
            continue
        if batch is None:
            break
        loaded.append(batch)
    assert numbers(loaded) == [0, 1, 2, 4, 5, 6, 7]
    assert errors == ["number 3 cannot be loaded"]


@THREADED
async def test_loading_in_workers_is_parallel(start, threaded):
    loader = await start(
        "BatchLoader", lambda: range(16), nb_workers=4, threaded=threaded, load=bg.load_slowly
    )
    loaded = await every(loader)
    assert len(loaded) == 16
    assert bg.most_at_once([times for _, times in loaded]) == 4
    if not threaded:
        assert len({pid for pid, _ in loaded} - {os.getpid()}) == 4


@THREADED
@pytest.mark.parametrize("queue_size", [2, 200])
async def test_terminate(start, threaded, queue_size):
    loader = await start("BatchLoader", bg.without_end, queue_size, 2, threaded)
    await do(loader.queue.get)
    begun = time.monotonic()
    await do(loader.terminate)
    await do(loader.terminate)
    assert time.monotonic() - begun < aug.SOON
    assert await do(loader.all_finished)
    assert await do(loader.count_workers_alive) == 0
    assert await do(loader.queue.get) is None
    assert await do(loader.queue.empty)
    assert children() == []


async def test_terminate_wakes_who_waits(start):
    release = threading.Event()
    loader = await start("BatchLoader", lambda: release.wait(5) and [])
    waiting = asyncio.create_task(do(loader.get_batch))
    await asyncio.sleep(0.1)
    threading.Timer(0.2, release.set).start()
    await do(loader.terminate)
    assert await waiting is None


async def test_async_for():
    async with aioaug.BatchLoader(bg.batches, nb_workers=2) as loader:
        assert numbers([batch async for batch in loader]) == sorted(COMPLETE * 2)
    async with aioaug.BackgroundAugmenter(bg.batches(), iaa.Add(1), nb_workers=1) as background:
        assert len([batch async for batch in background]) == LOADED


async def test_building_starts_nothing():
    calls = []
    loader = aioaug.BatchLoader(lambda: calls.append(1) or bg.batches())
    aioaug.BackgroundAugmenter(loader, iaa.Add(1))
    await asyncio.sleep(0.05)
    assert calls == []
    assert not loader.all_finished()
    assert (await loader.get_batch()).data == 0  # the first request does
    await loader.terminate()
    never = aioaug.BatchLoader(bg.batches)
    await never.terminate()
    assert await never.get_batch() is None


def test_for_loops_and_deprecation():
    with pytest.warns(FutureWarning, match="BatchLoader is deprecated, use Pool"):
        loader = blocking.BatchLoader(bg.batches)
    with pytest.warns(FutureWarning, match="BackgroundAugmenter is deprecated, use Pool"):
        background = blocking.BackgroundAugmenter(loader, iaa.Add(1))
    assert len(list(background)) == LOADED
    background.terminate()
    assert list(loader) == []
    loader.terminate()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"queue_size": 1}, ValueError, "queue_size must be at least 2, got 1"),
        ({"nb_workers": 0}, ValueError, "nb_workers must be at least 1, got 0"),
        ({"load": 3}, TypeError, "load must be callable, got 3"),
        ({"load_batch_func": 3}, TypeError, "got int"),
        ({"load_batch_func": iter([]), "threaded": False}, TypeError, "only functions can go"),
        ({"load_batch_func": bg.async_batches, "threaded": False}, TypeError, "must not be async"),
    ],
)
async def test_wrong_arguments_of_a_loader(way, arguments, error, message):
    with pytest.raises(error, match=message):
        await do(way.BatchLoader, **{"load_batch_func": bg.batches} | arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"queue_size": 0}, ValueError, "queue_size must be at least 1, got 0"),
        ({"nb_workers": 0}, ValueError, "nb_workers must be at least 1, got 0"),
        ({"nb_workers": "all"}, ValueError, "nb_workers must be 'auto' or a number, got 'all'"),
        ({"augseq": 3}, TypeError, "augseq must be"),
        ({"batch_loader": 3}, TypeError, "got int"),
    ],
)
async def test_wrong_arguments_of_an_augmenter(way, arguments, error, message):
    with pytest.raises(error, match=message):
        await do(
            way.BackgroundAugmenter,
            **{"batch_loader": bg.batches(), "augseq": iaa.Add(1)} | arguments,
        )


@pytest.mark.parametrize("workers", [1, 3])
async def test_a_loader_as_source(start, workers):
    loader = await start("BatchLoader", bg.batches, nb_workers=2)
    background = await start("BackgroundAugmenter", loader, iaa.Add(1), 7, workers)
    assert not await do(background.all_finished)
    batches = await every(background)
    assert await do(background.all_finished)
    assert numbers(batches) == sorted(COMPLETE * 2)
    assert all((batch.images_aug == batch.data + 1).all() for batch in batches)
    assert all((batch.images_unaug == batch.data).all() for batch in batches)
    assert children() == []


def queues(kind):
    if kind == "multiprocessing":
        return multiprocessing.get_context("fork").Queue()  # its semaphores have no names
    return queue.Queue()


@pytest.mark.parametrize("kind", ["multiprocessing", "threading"])
@pytest.mark.parametrize("pickled", [True, False])
async def test_a_queue_as_source(start, kind, pickled):
    source = queues(kind)
    for batch in [*bg.list_of_batches(), None]:
        source.put(pickle.dumps(batch) if pickled else batch)
    background = await start("BackgroundAugmenter", source, iaa.Add(1), nb_workers=3)
    assert numbers(await every(background)) == COMPLETE
    if kind == "multiprocessing":
        source.close()
        await do(source.join_thread)


async def test_an_asyncio_queue_as_source():
    source = asyncio.Queue()
    async with aioaug.BackgroundAugmenter(source, iaa.Add(1), nb_workers=1) as background:
        for batch in [*bg.list_of_batches(), None]:
            await source.put(batch)
        assert numbers(await every(background)) == COMPLETE


async def test_terminate_while_the_source_is_silent(start):
    source = queue.Queue()
    source.put(bg.numbered(1))
    background = await start("BackgroundAugmenter", source, iaa.Add(1), nb_workers=1)
    await do(background.get_batch)
    waiting = asyncio.create_task(do(background.get_batch))
    await asyncio.sleep(0.1)
    begun = time.monotonic()
    await do(background.terminate)
    assert time.monotonic() - begun < aug.SOON
    assert await waiting is None
    assert await do(background.get_batch) is None
    assert await do(background.all_finished)
    assert children() == []


async def test_terminate_with_much_to_do(start):
    background = await start("BackgroundAugmenter", [30.0] * 9, aug.sleep_for, nb_workers=2)
    await asyncio.sleep(0.2)
    begun = time.monotonic()
    await do(background.terminate)
    await do(background.terminate)
    assert time.monotonic() - begun < aug.SOON
    assert await do(background.get_batch) is None
    assert children() == []


async def test_what_the_augmenter_raises(start):
    background = await start("BackgroundAugmenter", bg.batches(), bg.plus_hundred, nb_workers=2)
    batches, errors = [], []
    while True:
        try:
            batch = await do(background.get_batch)
        except ValueError as error:
            errors.append(error)
            continue
        if batch is None:
            break
        batches.append(batch)
    assert numbers(batches) == [number for number in COMPLETE if number != 13]
    (error,) = errors
    assert "while augmenting batch 13" in error.__notes__


async def test_what_the_loader_raises_comes_through(start):
    loader = await start("BatchLoader", bg.fails_after_five)
    background = await start("BackgroundAugmenter", loader, iaa.Add(1), nb_workers=1)
    for _ in range(5):
        await do(background.get_batch)
    with pytest.raises(ValueError, match="the sixth cannot be loaded"):
        await do(background.get_batch)
    assert await do(background.get_batch) is None


async def test_the_augmenter_works_ahead_up_to_its_queue_size(start):
    loaded = []

    def source():
        for number in range(50):
            loaded.append(number)
            yield bg.numbered(number)

    background = await start("BackgroundAugmenter", source(), iaa.Add(1), 6, 1)
    for taken in range(1, 4):
        await asyncio.sleep(0.2)
        await do(background.get_batch)
        assert len(loaded) <= 6 + taken
    assert len(loaded) >= 6
    assert await do(background.get_batch) is not None


async def test_a_cancelled_get_batch_loses_nothing():
    async with aioaug.BackgroundAugmenter(bg.batches(), iaa.Add(1), nb_workers=1) as background:
        batches = []
        for turn in range(LOADED):
            get = asyncio.create_task(background.get_batch())
            for _ in range(turn):
                await asyncio.sleep(0)
            get.cancel()
            await asyncio.wait((get,))
            if not get.cancelled():
                batches.append(get.result())
        batches += [batch async for batch in background]
    assert numbers(batches) == COMPLETE


async def test_load_in_the_worker_that_augments(start):
    background = await start(
        "BackgroundAugmenter", iter(range(6)), iaa.Add((1, 50)), nb_workers=2,
        load=bg.numbered, seed=1,
    )  # fmt: skip
    batches = sorted(await every(background), key=lambda batch: batch.data)
    async with aioaug.AsyncPool(iaa.Add((1, 50)), processes=1, seed=1) as pool:
        expected = await pool.map_batches([bg.numbered(number) for number in range(6)])
    assert all(
        np.array_equal(one.images_aug, other.images_aug)
        for one, other in zip(batches, expected, strict=True)
    )
    failing = await start(
        "BackgroundAugmenter", iter(range(5)), bg.plus_hundred, load=bg.load, nb_workers=1
    )
    with pytest.raises(ValueError, match="number 3 cannot be loaded"):
        for _ in range(5):
            assert (await do(failing.get_batch)).images_unaug[0, 0, 0, 0] >= 100


async def test_a_callable_that_asks_for_random_numbers_may_load_too(start):
    background = await start(
        "BackgroundAugmenter", bg.async_batches(), aug.with_rng, load=str, nb_workers=1
    )
    names, drawn = zip(*await every(background), strict=True)
    assert all("Batch" in name for name in names)
    assert len(set(drawn)) == LOADED


async def test_auto_workers(monkeypatch):
    for cpus, workers in [(1, 1), (2, 1), (5, 4)]:
        monkeypatch.setattr("aioaug._base.system.available", lambda cpus=cpus: cpus)
        assert aioaug.BackgroundAugmenter([], iaa.Add(1)).nb_workers == workers


def test_a_loader_of_imgaug_itself_as_source():
    class Loader:  # what an augmenter sees of imgaug's
        def __init__(self):
            self.queue = queue.Queue()
            for batch in [*bg.list_of_batches(), None]:
                self.queue.put(pickle.dumps(batch))

    background = blocking.BackgroundAugmenter(Loader(), iaa.Add(1), nb_workers=1)
    assert len(list(background)) == LOADED
    background.terminate()


def test_large_results_of_small_questions_come_in_shared_memory():
    async def main():
        loader = aioaug.BatchLoader(range(8), threaded=False, load=bg.large)
        async with loader:
            assert [len(batch) async for batch in loader] == [1 << 20] * 8
            (line,) = loader._run._loaders
            return line._engine.meter.bytes

    assert asyncio.run(main()) >= 4 << 20


def test_batches_are_imgaugs_own():
    with blocking.Pool(iaa.Add(1), processes=1) as pool:
        assert isinstance(pool.map_batches([bg.numbered(1)])[0], ia.Batch)


@pytest.mark.parametrize("place", ["at its end", "half way", "left"])
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("load", [None, bg.load_quickly])
async def test_a_source_that_ends_its_own_loader(place, workers, load):
    cleaned = []

    async def source():
        try:
            for number in range(6):
                if place == "half way" and number == 3:
                    await aug.ends_inside(loader.terminate)()
                yield number
        finally:
            await aug.ends_inside(loader.terminate)()
            cleaned.append(place)

    loader = BatchLoader(source, nb_workers=workers, queue_size=100, load=load)
    async with asyncio.timeout(10):
        await loader.get_batch()
        if place != "left":
            while await loader.get_batch() is not None:
                pass
        await loader.terminate()
    assert set(cleaned) == {place}
    assert loader.all_finished()
    assert loader.count_workers_alive() == 0


@pytest.mark.parametrize("place", ["at its end", "half way", "left"])
async def test_a_source_that_ends_its_own_augmenter(place):
    cleaned = []

    async def source():
        try:
            for number in range(20):
                if place == "half way" and number == 5:
                    await aug.ends_inside(background.terminate)()
                yield number
        finally:
            await aug.ends_inside(background.terminate)()
            cleaned.append(place)

    background = BackgroundAugmenter(source(), aug.nothing, queue_size=8, nb_workers=1)
    async with asyncio.timeout(10):
        if place == "left":
            assert await background.get_batch() is not None
        else:  # the source ends it, perhaps before the first batch is there
            while await background.get_batch() is not None:
                pass
        await background.terminate()
    assert cleaned == [place]
    assert background.closed


async def test_a_loader_that_ends_the_augmenter_behind_it():
    async def source():
        try:
            for number in range(20):
                yield number
        finally:
            await aug.ends_inside(background.terminate)()

    async with BatchLoader(source, queue_size=4) as loader:
        background = BackgroundAugmenter(loader, aug.nothing, queue_size=2, nb_workers=1)
        async with asyncio.timeout(10):
            while await background.get_batch() is not None:
                pass
            await background.terminate()
