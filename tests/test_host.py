"""The loop that all blocking callers share: one for all, gone after the last, still at the exit."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import aioaug
import aioaug_testing as aug
import numpy as np
import pytest
from aioaug import ClosedError, batch, blocking, host
from aioaug._tasks import in_thread
from aioaug.images import ParallelImageDataGenerator


async def loop():
    return asyncio.get_running_loop()


def threads():
    return [thread for thread in threading.enumerate() if "portal" in thread.name]


def test_a_lease_keeps_the_loop():
    first, second = host.Lease(), host.Lease()
    assert (first.taken, threads()) == (False, [])
    assert first.call(loop) is second.call(loop) is host.call(loop)
    first.give_back()
    first.give_back()
    assert (first.taken, second.taken, len(threads())) == (False, True, 1)
    with pytest.raises(ClosedError):
        first.call(loop)
    ended = []

    async def work():
        ended.append(asyncio.get_running_loop())

    running = second.call(loop)
    second.end(work)
    second.end(work)
    assert (ended, threads()) == ([running], [])
    assert not second.take()


def test_twins_images_and_batches_share_it():
    flow = ParallelImageDataGenerator(cores=1).flow(np.zeros((4, 8, 8, 3), np.uint8))
    made = batch.Batch(np.arange(2), numbers=np.arange(2))
    with flow, blocking.Pool(aug.nothing, engine="thread") as pool:
        next(flow)
        pool.map_batches([1])

        async def where(item):
            return threading.current_thread().name

        (name,) = set(made.apply_parallel(where, src="numbers", dst="names").names)
        assert [thread.name for thread in threads()] == [name]
        batch.shutdown()
        pool.map_batches([1])
        next(flow)
    assert threads() == []


async def test_what_is_cancelled_is_cancelled_over_there():
    lease, began, cancelled = host.Lease(), threading.Event(), threading.Event()

    async def work():
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    task = asyncio.create_task(lease.call_async(work))
    await in_thread(began.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await in_thread(cancelled.wait)
    await in_thread(lease.give_back)


def test_an_interrupt_cancels():
    lease, cancelled = host.Lease(), threading.Event()

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with pytest.raises(KeyboardInterrupt):
        lease.call(work)
    assert cancelled.wait(5)
    lease.give_back()


PROGRAM = """
import os, sys, threading
import numpy as np
import aioaug_testing as aug
from aioaug import ClosedError, batch, blocking

def wait(pool):
    try:
        with pool:
            began.set()
            pool.map_batches([60.0])
    except ClosedError as error:
        print(error, flush=True)

if __name__ == "__main__":
    way = sys.argv[1]
    if way == "thread":
        began = threading.Event()
        pool = blocking.Pool(aug.sleep_for, processes=1)
        threading.Thread(target=wait, args=(pool,)).start()
        began.wait()
    elif way == "generator":
        dataset = batch.Dataset(8, batch.Batch)
        batches = dataset.p.gen_batch(2, prefetch=1)
        next(batches)
    elif way == "child":
        pool = blocking.Pool(aug.nothing, engine="thread")
        pool.map_batches([1])
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
            print(pool.map_batches([2]))
        else:
            own = blocking.Pool(aug.nothing, processes=1)
            own.map_batches_async([1, 2])
            own.map_batches([1])
"""


@pytest.mark.parametrize(
    ("way", "output"), [("thread", "the program ends\n"), ("generator", ""), ("child", "[2]\n")]
)
def test_programs_that_end_in_the_middle(way, output, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    folders = [Path(aioaug.__file__).parent.parent, Path(aug.__file__).parent]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", program, way],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, output, "")
