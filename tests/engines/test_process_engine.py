"""Nothing is left of cancelled calls, of workers that died and of programs that were killed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import aioaug
import aioaug_testing as aug
import psutil
import pytest
import transport_testing as transport
from aioaug import AsyncPool
from aioaug.engines import ProcessEngine
from aioaug.engines.assignment import Assignment
from transport_testing import (
    KB,
    MB,
    all_free,
    mapped,
    numbered,
    quiet,
    same,
    segment_pool_of,
)

# Programs that were killed.


KILLED = """
import asyncio, multiprocessing, os, sys
multiprocessing.current_process()._config["semprefix"] = "/" + sys.argv[1]
sys.path[:0] = sys.argv[2:]
import aioaug, numpy, psutil, transport_testing

async def main():
    array = numpy.ones(1 << 20, numpy.uint8)

    def source():
        while True:
            yield array

    async with aioaug.AsyncPool(transport_testing.doze, processes=2) as pool:
        held, count = [], 0
        async for batch in pool.imap_batches(source(), output_buffer_size=12):
            held = [*held[-5:], batch]
            count += 1
            if count == 30:
                children = psutil.Process().children(recursive=True)
                print(*(child.pid for child in children), flush=True)

asyncio.run(main())
"""


def kill_in_mid_stream(count):
    """SIGKILL so many programs in mid-stream, one after the other; nothing is left of any."""
    paths = [str(Path(__file__).parents[1] / "support"), str(Path(aioaug.__file__).parents[1])]
    for number in range(count):
        name = f"mp-test-{os.getpid()}-{number}"
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, name, *paths], stdout=subprocess.PIPE, text=True
        ) as program:
            try:
                pids = program.stdout.readline().split()
                family = [psutil.Process(int(pid)) for pid in pids]
                assert len(family) >= 3  # two workers and what started them
                holders = [child for child in family if list(mapped(child.pid))]
                assert len(holders) == 2
                time.sleep(0.01 * (number % 5))
            finally:
                program.kill()
            assert program.wait() == -signal.SIGKILL
        while remains(family, name):  # until the test times out
            time.sleep(0.02)


def remains(processes, name):
    left = [entry for entry in os.listdir("/dev/shm") if name in entry or "aioaug" in entry]
    for process in processes:
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
        except psutil.NoSuchProcess:
            pass
    return left


def test_nothing_is_left_of_a_killed_program():
    kill_in_mid_stream(3)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_is_left_of_twenty_killed_programs():
    kill_in_mid_stream(20)


# Cancelled, killed.


@pytest.mark.parametrize("copy", [False, True])
async def test_cancelling_at_random_points(copy):
    dice = random.Random(1)
    array = numbered(1, MB)
    async with AsyncPool(transport.doze, processes=2, copy=copy) as pool:
        segment_pool = segment_pool_of(pool)
        cancelled = 0
        for _ in range(30):
            calls = [asyncio.create_task(pool.map_batches([array])) for _ in range(10)]
            dice.shuffle(calls)
            for call in calls:
                await asyncio.sleep(dice.choice([0, 0, 0.001, 0.003]))
                if dice.random() < 0.8:
                    call.cancel()
            results = await asyncio.gather(*calls, return_exceptions=True)
            for result in results:
                if isinstance(result, asyncio.CancelledError):
                    cancelled += 1
                else:
                    assert same(result[0], array + 1)
            del results, calls, result
        await quiet(pool.pool)
        assert cancelled > 100
        assert segment_pool.free == segment_pool.count
        assert not pool.pool._scheduler.busy
        assert same(await pool.map_batches([array] * 4), [array + 1] * 4)


async def test_cancelling_in_the_moment_of_the_answer(monkeypatch):
    """The answer is there, and the task that waits for it is cancelled before it goes on."""
    array = numbered(1, 100 * KB)
    async with ProcessEngine(transport.State(), workers=1) as engine:
        calls, succeed = [], Assignment.succeed

        def succeed_and_cancel(*args):
            succeed(*args)
            calls[-1].cancel()

        monkeypatch.setattr(Assignment, "succeed", succeed_and_cancel)
        for _ in range(20):
            calls.append(asyncio.create_task(engine.submit(transport.echo, array)))
            with pytest.raises(asyncio.CancelledError):
                await calls[-1]
        await quiet(engine)
        assert engine._segment_pool.free == engine._segment_pool.count


async def test_cancelling_while_the_answer_waits_to_be_copied():
    array = numbered(1, 100 * KB)
    async with ProcessEngine(transport.State(), workers=1, copy=True) as engine:
        unpack = engine._transport.unpack
        loop = asyncio.get_running_loop()

        async def unpack_later(*args):
            cancelled = threading.Event()

            def cancel():
                call.cancel()
                loop.call_later(0.02, cancelled.set)

            for _ in range(2):
                engine._threads.submit(cancelled.wait)  # both threads have other things to do
            loop.call_later(0.005, cancel)
            return await unpack(*args)

        engine._transport.unpack = unpack_later
        for _ in range(12):
            call = asyncio.create_task(engine.submit(transport.echo, array))
            with pytest.raises(asyncio.CancelledError):
                await call
        await asyncio.sleep(0.05)
        await quiet(engine)
        assert engine._segment_pool.free == engine._segment_pool.count


@pytest.mark.parametrize("chunksize", [1, 4])
async def test_a_worker_that_dies_with_a_segment_in_hand(tmp_path, chunksize):
    numbers = [2, 3, 11, 30]
    batches = [(number, numbered(number)) for number in range(40)]
    augmenter = transport.DiesOnce(str(tmp_path), numbers)
    async with AsyncPool(augmenter, processes=2) as pool:
        segment_pool = segment_pool_of(pool)
        results = await pool.map_batches(batches, chunksize)
        assert sorted(int(path.name) for path in tmp_path.iterdir()) == numbers
        assert same(results, [(number, array + 1) for number, array in batches])
        made = segment_pool.numbers
        del results
        assert await all_free(pool)
        await pool.map_batches(batches, chunksize)
        assert (
            chunksize > 1 or segment_pool.numbers >= made
        )  # the dead worker's are as good as others
        assert await all_free(pool)


async def test_how_workers_ended_is_known_whoever_else_looks():
    """`active_children`, and each start of a process, ask for all of them, in any thread."""
    looking = True

    def look():
        while looking:
            multiprocessing.active_children()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(8):
            async with aioaug.AsyncPool(aug.Failing(), 1, retries=0) as pool:
                with pytest.raises(aioaug.WorkerDied) as info:
                    await pool.map_batches(["killed"])
                assert info.value.exitcode == -signal.SIGKILL
    finally:
        looking = False
        thread.join()
