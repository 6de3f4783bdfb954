"""What goes wrong reaches the caller as itself, at its place, and the pool goes on."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import traceback
import warnings

import aioaug_testing as aug
import pytest
from aioaug import AsyncPool, RemoteError, RemoteTraceback, TransportError, WorkerDied


@pytest.fixture(params=["process", "thread", "inline"])
def engine(request):
    return request.param


async def failing_at(engine, action, chunksize=1, count=8, **options):
    """Batch 3 does `action`, the others pass; returns the error."""
    batches = [action if number == 3 else number for number in range(count)]
    async with AsyncPool(aug.Failing(), processes=2, engine=engine, **options) as pool:
        got = await aug.outcomes(pool.imap_batches(iter(batches), chunksize=chunksize))
        error = got.pop(3)
        assert got == [number for number in range(count) if number != 3]
        with pytest.raises(type(error)):
            await pool.map_batches(batches)
        assert await pool.map_batches(list(range(20))) == list(range(20))  # usable as before
    assert "while augmenting batch 3" in error.__notes__
    return error


@pytest.mark.parametrize("chunksize", [1, 4, None])
async def test_the_augmenters_own_error(engine, chunksize):
    error = await failing_at(engine, "value_error", chunksize)
    assert type(error) is ValueError
    assert str(error) == "spoilt batch"
    assert "in value_error" in "".join(traceback.format_exception(error))
    if engine == "process":
        assert isinstance(error.__cause__, RemoteTraceback)


@pytest.mark.parametrize("chunksize", [1, 4])
@pytest.mark.parametrize(
    ("action", "name"), [("two_arguments", "TwoArguments"), ("lock_inside", "ValueError")]
)
async def test_an_error_that_cannot_be_carried(action, name, chunksize):
    error = await failing_at("process", action, chunksize)
    assert type(error) is RemoteError
    assert error.type_name == name
    assert f"in {action}" in error.traceback
    assert str(error).startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("action", "name"),
    [
        ("system_exit", "SystemExit"),
        ("keyboard_interrupt", "KeyboardInterrupt"),
        ("stop_iteration", "StopIteration"),
        ("stop_async_iteration", "StopAsyncIteration"),
    ],
)
async def test_an_error_that_would_be_misread(engine, action, name):
    error = await failing_at(engine, action)
    assert type(error) is RemoteError
    assert error.type_name == name


@pytest.mark.parametrize("chunksize", [1, 4])
@pytest.mark.parametrize("action", ["unpicklable", "unpicklable_here"])
async def test_a_result_that_cannot_be_carried(action, chunksize):
    error = await failing_at("process", action, chunksize)
    assert type(error) is TransportError
    assert "refuses to be" in str(error)


@pytest.mark.parametrize("chunksize", [1, 4])
@pytest.mark.parametrize("poison", [aug.Unpicklable(), aug.UnpicklableLater()])
async def test_a_batch_that_cannot_be_carried(poison, chunksize):
    async with AsyncPool(aug.nothing, processes=2) as pool:
        got = await aug.outcomes(pool.imap_batches([0, 1, poison, 3, 4, 5], chunksize=chunksize))
        assert type(got[2]) is TransportError
        assert got[:2] + got[3:] == [0, 1, 3, 4, 5]
        assert got[2].__notes__ == ["while augmenting batch 2"]


@pytest.mark.parametrize("chunksize", [1, 4])
@pytest.mark.parametrize(("action", "exitcode"), [("exit_at_once", 7), ("killed", -9)])
async def test_a_worker_that_dies(action, exitcode, chunksize):
    error = await failing_at("process", action, chunksize, retries=1)
    assert type(error) is WorkerDied
    assert (error.exitcode, error.index) == (exitcode, 3)
    assert "while augmenting batch 3" in str(error)


async def test_a_batch_that_kills_when_it_is_unpickled():
    async with AsyncPool(aug.nothing, processes=2, retries=0) as pool:
        got = await aug.outcomes(pool.imap_batches([0, aug.DiesWhenUnpickled(), 2], chunksize=3))
        assert (got[0], type(got[1]), got[2]) == (0, WorkerDied, 2)


@pytest.mark.parametrize("chunksize", [1, 5])
async def test_a_death_costs_one_try_and_changes_nothing(tmp_path, chunksize):
    clean = tmp_path / "no death"
    clean.touch()

    async def run(path):
        augmenter = aug.DiesOnce(str(path), 4)
        async with AsyncPool(augmenter, processes=2, seed=5) as pool:
            return [b async for b in pool.imap_batches(range(20), chunksize=chunksize)]

    died = tmp_path / "died"
    assert await run(died) == await run(clean)
    assert died.exists()


async def test_idle_workers_that_were_killed_are_replaced():
    import os
    import signal

    async with AsyncPool(aug.pid_of, processes=2, retries=0) as pool:
        pids = set(await pool.map_batches([0] * 20))
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.3)  # the executors notice; without it a retry would be spent
        again = set(await pool.map_batches([0] * 20))
    assert again
    assert not pids & again


async def test_errors_of_sources(engine):
    def loader():
        yield from range(4)
        raise KeyError("no more")

    async def async_loader():
        for number in range(4):
            yield number
        raise KeyError("no more")

    async with AsyncPool(aug.nothing, processes=2, engine=engine) as pool:
        for source in (loader(), async_loader()):
            for imap in (pool.imap_batches, pool.imap_batches_unordered):
                for chunksize in (1, 3):
                    stream = imap(source, chunksize=chunksize)
                    got = await aug.outcomes(stream)
                    if got:  # a generator can be used up only once
                        *numbers, error = got
                        assert sorted(numbers) == list(range(4))
                        assert type(error) is KeyError
                        assert "loader" in "".join(traceback.format_exception(error))
        assert await pool.map_batches([1]) == [1]


async def test_an_error_in_a_sources_cleanup_is_not_lost(engine):
    def loader():
        try:
            yield from range(10)
        finally:
            raise KeyError("cleanup")

    async with AsyncPool(aug.nothing, processes=1, engine=engine) as pool:
        stream = pool.imap_batches(loader(), output_buffer_size=2)
        await anext(stream)
        with pytest.raises(KeyError, match="cleanup"):
            await stream.aclose()
        await stream.aclose()


async def test_an_augmenter_that_cannot_be_pickled():
    with pytest.raises(TransportError, match="cannot be pickled"):
        async with AsyncPool(aug.Locked(), processes=1):
            pass
    async with AsyncPool(lambda batch: batch + 1, processes=1, engine="thread") as pool:
        assert await pool.map_batches([1]) == [2]


async def test_an_augmenter_that_cannot_be_unpickled():
    class Here:
        def __reduce__(self):
            return aug._fail, ("not over there",)

        def __call__(self, batch):
            return batch

    with pytest.raises(TransportError, match="not over there"):
        async with AsyncPool(Here(), processes=2):
            pass


ENDINGS = [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError]


@pytest.mark.parametrize("place", ["pickled", "unpickled"])
@pytest.mark.parametrize("error", ENDINGS)
async def test_an_augmenter_whose_pickling_raises_what_ends_programs(error, place):
    with pytest.raises(TransportError, match=f"cannot be {place}: {error.__name__}"):
        async with AsyncPool(aug.Ending(error, place), processes=2):
            pass


@pytest.mark.parametrize("place", ["pickled", "unpickled"])
@pytest.mark.parametrize("error", ENDINGS)
async def test_a_batch_or_result_whose_pickling_raises_what_ends_programs(error, place):
    bad = aug.Ending(error, place)
    async with AsyncPool(aug.ending, processes=2) as pool:
        for _ in range(2):  # large batches travel another way than small ones
            for batch in (bad, (error, place)):
                with pytest.raises(TransportError, match=f"cannot be {place}: {error.__name__}"):
                    await pool.map_batches([batch])
                assert await pool.map_batches([1, 2]) == [1, 2]
            await pool.map_batches([0] * 20)


@pytest.mark.parametrize("error", ENDINGS)
async def test_an_exception_whose_pickling_raises_what_ends_programs(error):
    async with AsyncPool(aug.ending, processes=1) as pool:
        with pytest.raises(RemoteError, match="EndingError"):
            await pool.map_batches([(error, "raised")])
        assert await pool.map_batches([1]) == [1]


async def test_an_augmenter_that_kills_its_worker():
    class Here:
        def __reduce__(self):
            import os

            return os._exit, (3,)

        def __call__(self, batch):
            return batch

    with pytest.raises(WorkerDied, match="exited with code 3 while starting"):
        async with AsyncPool(Here(), processes=2):
            pass


async def test_callbacks_get_each_end_once():
    done, failed = [], []
    async with AsyncPool(aug.Failing(), processes=2) as pool:
        good = pool.map_batches_async([1, 2], callback=done.append, error_callback=failed.append)
        assert not good.done()
        assert await good == [1, 2]
        bad = pool.map_batches_async(
            [1, "value_error"], callback=done.append, error_callback=failed.append
        )
        with pytest.raises(ValueError, match="spoilt"):
            await bad
        await asyncio.sleep(0)
    assert done == [[1, 2]]
    assert [type(error) for error in failed] == [ValueError]


async def test_deaths_in_the_middle_of_large_answers():
    """A worker that is killed while it writes its answer is noticed, every time."""
    async with AsyncPool(aug.large, processes=2, retries=100, max_bytes=0) as pool:
        killer = asyncio.create_task(_kill_a_worker_now_and_then())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of max_bytes
            for _ in range(30):
                results = await pool.map_batches([2_000_000] * 6, chunksize=1)
                assert [len(result) for result in results] == [2_000_000] * 6
        killer.cancel()


async def _kill_a_worker_now_and_then():
    choose = random.Random(0).choice
    while True:
        await asyncio.sleep(0.1)
        choose(multiprocessing.active_children()).kill()
