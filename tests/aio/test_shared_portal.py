"""The loop that all blocking callers share: one for all, gone after the last, still at the exit."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import aioaug
import aioaug_testing as aug
import numpy as np
import psutil
import pytest
from aioaug import ClosedError, batch, blocking
from aioaug._aio.bridge import BlockingBridge, call_once
from aioaug._aio.tasks import in_thread
from aioaug.images import ParallelImageDataGenerator


async def loop():
    return asyncio.get_running_loop()


def threads():
    return [thread for thread in threading.enumerate() if "portal" in thread.name]


def test_a_bridge_keeps_the_loop():
    first, second = BlockingBridge("test"), BlockingBridge("test")
    assert (first.acquired, threads()) == (False, [])
    assert first.call(loop) is second.call(loop) is call_once(loop)
    first.release()
    first.release()
    assert (first.acquired, second.acquired, len(threads())) == (False, True, 1)
    assert first.call(loop) is second.call(loop)
    with pytest.raises(ClosedError):
        asyncio.run(first.call_async(loop))
    ended = []

    async def work():
        ended.append(asyncio.get_running_loop())

    running = second.call(loop)
    second.end(work)
    second.end(work)
    assert (ended, threads()) == ([running], [])
    assert not second.acquired


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
    bridge, began, cancelled = BlockingBridge("test"), threading.Event(), threading.Event()

    async def work():
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    task = asyncio.create_task(bridge.call_async(work))
    await in_thread(began.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await in_thread(cancelled.wait)
    await in_thread(bridge.release)


def test_an_interrupt_cancels():
    bridge, cancelled = BlockingBridge("test"), threading.Event()

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with pytest.raises(KeyboardInterrupt):
        bridge.call(work)
    assert cancelled.wait(5)
    bridge.release()


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


def at_step(step, handler):
    """Calls a handler before the n-th line that this thread runs in the package, as a signal may.

    Once; tracing ends with it.
    """
    here = str(Path(aioaug.__file__).parent)

    def trace(frame, event, _):
        nonlocal step
        if step < 0 or not frame.f_code.co_filename.startswith(here):
            return None
        caller = frame
        while caller is not None:
            if caller.f_code.co_name == "__del__":  # what is raised there is only reported
                return None
            caller = caller.f_back
        step -= event == "line"
        if step < 0:
            sys.settrace(None)
            handler()
        return trace

    sys.settrace(trace)


def interrupt():
    raise KeyboardInterrupt


def use_twins():
    with blocking.Pool(aug.nothing, engine="thread", processes=1) as pool:
        assert pool.map_batches([1]) == [1]
        assert list(pool.imap_batches(iter(range(3)))) == [0, 1, 2]
        half = pool.imap_batches(iter(range(9)), output_buffer_size=2)
        assert next(half) == 0
        assert pool.map_batches_async([1]).get() == [1]
    assert call_once(loop) is not None


@pytest.mark.filterwarnings("ignore:.* was dropped while it was open:ResourceWarning")
@pytest.mark.parametrize(
    ("first", "stride"),
    [
        (0, 61),
        *(
            pytest.param(first, 4, marks=[pytest.mark.slow, pytest.mark.timeout(600)])
            for first in range(4)
        ),
    ],
)
def test_an_interrupt_at_any_step_breaks_nothing(first, stride):
    steps = first
    while True:
        at_step(steps, interrupt)
        try:
            use_twins()
        except KeyboardInterrupt as error:
            error.__traceback__ = None
        else:
            break
        finally:
            sys.settrace(None)
        gc.collect()
        deadline = time.monotonic() + 10
        while threads() and time.monotonic() < deadline:
            time.sleep(0.001)
            gc.collect()
        assert not threads(), f"the loop was not given back after an interrupt at step {steps}"
        steps += stride
    assert steps > 100
    use_twins()
    assert threads() == []


@pytest.mark.parametrize(
    ("first", "stride"),
    [
        (0, 31),
        *(
            pytest.param(first, 7, marks=[pytest.mark.slow, pytest.mark.timeout(600)])
            for first in range(7)
        ),
    ],
)
def test_twins_in_the_handler_of_a_signal(first, stride):
    """Whatever the main thread is doing with them at the time, the same one or another one."""
    handled, steps = [], first

    def handler():
        assert pool.map_batches([5]) == [5]
        with blocking.Pool(aug.nothing, engine="thread", processes=1) as own:
            assert list(own.imap_batches(iter(range(3)))) == [0, 1, 2]
        handled.append(steps)

    while not handled or handled[-1] == steps - stride:
        with blocking.Pool(aug.nothing, engine="thread", processes=1) as pool:
            at_step(steps, handler)
            try:
                assert pool.map_batches([1]) == [1]
                use_twins()
            finally:
                sys.settrace(None)
        steps += stride
    assert len(handled) > 10
    assert threads() == []


STORM = """
import sys
import aioaug_testing as aug
from aioaug import blocking

def numbers():
    number = 0
    while True:
        yield number
        number += 1

def work():
    with blocking.Pool(aug.rest_a_little, processes=2) as pool:
        for number in pool.imap_batches(numbers(), output_buffer_size=8):
            if number == 0:
                print("running", flush=True)
            if number % 7 == 3:
                pool.map_batches([1, 2])
            if number % 11 == 5:
                pool.map_batches_async([1, 2]).get()
            if number % 13 == 6:
                next(pool.imap_batches(iter(range(5)), output_buffer_size=2))
            if number % 17 == 8:
                blocking.Pool(aug.nothing, engine="thread").map_batches([1])

if __name__ == "__main__":
    interrupts = 0
    while interrupts < int(sys.argv[1]):
        try:
            try:
                work()
            except KeyboardInterrupt:
                interrupts += 1
        except KeyboardInterrupt:
            interrupts += 1
"""


@pytest.mark.parametrize(
    ("seed", "interrupts"),
    [
        (1, 300),
        pytest.param(2, 300, marks=pytest.mark.slow),
        pytest.param(3, 1, marks=pytest.mark.slow),
        pytest.param(4, 600, marks=pytest.mark.slow),
        pytest.param(5, 600, marks=pytest.mark.slow),
    ],
)
def test_a_storm_of_interrupts(seed, interrupts, tmp_path):
    """Some 600 of them until the program has ended, and more than that until it may end."""
    program = tmp_path / "program.py"
    program.write_text(STORM)
    folders = [Path(aioaug.__file__).parent.parent, Path(aug.__file__).parent]
    running = subprocess.Popen(
        [sys.executable, "-W", "ignore", program, str(interrupts)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout.readline() == "running\n"
    dice = random.Random(seed)
    family, sent = set(), 0
    deadline = time.monotonic() + 40
    while running.poll() is None and time.monotonic() < deadline:
        running.send_signal(signal.SIGINT)
        sent += 1
        if sent % 20 == 1:
            with suppress(psutil.NoSuchProcess):
                family |= set(psutil.Process(running.pid).children(recursive=True))
        time.sleep(dice.choice([0, 0, 0.001, 0.005, 0.02, 0.05]) * dice.random())
    try:
        _, err = running.communicate(timeout=15)
    finally:
        running.kill()
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []
    assert "Exception in thread" not in err
    print(f"{sent} interrupts")
