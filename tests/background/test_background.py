"""BackgroundProc, SharedQ and SharedMem, async and blocking: what ELEKTRONN2's promise, kept."""

from __future__ import annotations

import asyncio
import builtins
import gc
import multiprocessing
import os
import re
import signal
import threading
import time

import aioaug
import aioaug_testing as aug
import background_testing as bg
import numpy as np
import pytest
from aioaug import ClosedError, SharedMem, WorkerDied, background, blocking
from background_testing import do
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

DTYPES = [
    *np.typecodes["AllInteger"], *np.typecodes["AllFloat"], "?", "m8[s]", "M8[D]", "U3", "S2",
    ">i4", [("a", "i2"), ("b", "f8")],
]  # fmt: skip

# What multiprocessing allots arrays from lives as long as the program: it must not be a test's.
multiprocessing.get_context("fork").Array("d", 6)


@pytest.fixture
async def queue(start):
    return await start("SharedQ")


def children():
    gc.collect()
    return multiprocessing.active_children()


async def put(queue, *args, **kwargs):
    """`startproc` of the async queue has to be called on the loop."""
    if isinstance(queue, aioaug.SharedQ):
        queue.startproc(*args, **kwargs)
    else:
        await do(queue.startproc, *args, **kwargs)


async def test_get(start):
    proc = await start("BackgroundProc", bg.two_arrays, n_proc=2, target_args=(5,))
    results = [await do(proc.get) for _ in range(6)]
    for result in results:
        assert isinstance(result, tuple)
        assert [array.shape for array in result] == [(5, 3), (5,)]
        assert [array.dtype for array in result] == [np.float32, np.int64]
        result[0][...] = 0  # nobody else's
    assert all(not result[0].any() for result in results)
    assert (await do(proc.get))[0].any()


async def test_the_order_of_arguments_in_elektronn2s_example(start):
    data, label = bg.two_arrays(6)
    proc = await start(
        "BackgroundProc",
        [np.float32, np.int16],
        [data.shape, label.shape],
        bg.two_arrays,
        n_proc=2,
        target_args=(6,),
        target_kwargs={},
        profile=False,
    )
    for _ in range(100):
        data, label = await do(proc.get)
        assert (data.shape, data.dtype, label.dtype) == ((6, 3), np.float32, np.int16)


async def test_one_array_is_a_tuple_too_and_is_cast(start):
    proc = await start("BackgroundProc", bg.one_array, dtypes=[np.int16], shapes=[(4, 2, 3)])
    (array,) = await do(proc.get)
    assert array.dtype == np.int16
    assert array.shape == (4, 2, 3)  # broadcast
    assert (array == 7).all()


async def test_none_is_skipped(start):
    proc = await start("BackgroundProc", bg.some_none)
    assert [array.shape for array in await do(proc.get)] == [(3,), (2,)]


async def test_what_is_missing_is_seen_by_one_call_here(start, tmp_path):
    proc = await start("BackgroundProc", bg.Marked(tmp_path / "calls").counted)
    await do(proc.get)
    here = (tmp_path / "calls").read_text().split().count(str(os.getpid()))
    assert here == 1


async def test_nothing_is_called_here_if_all_is_declared(start, tmp_path):
    proc = await start("BackgroundProc", bg.Marked(tmp_path / "calls").counted, [float], [(1,)])
    await do(proc.get)
    assert str(os.getpid()) not in (tmp_path / "calls").read_text().split()


async def test_a_result_that_does_not_fit(start):
    proc = await start("BackgroundProc", bg.wrong_shape, [float], [(3, 2)])
    with pytest.raises(ValueError, match=r"must have the shape \(3, 2\), got \(2, 2\)"):
        await do(proc.get)
    proc = await start("BackgroundProc", bg.two_arrays, [float], [(3, 2)])
    with pytest.raises(ValueError, match="returned 2 arrays where 1 were declared"):
        await do(proc.get)


async def test_processes_stay(start):
    proc = await start("BackgroundProc", bg.pid, n_proc=2)
    pids = [int((await do(proc.get))[0]) for _ in range(20)]
    assert set(pids) <= {child.pid for child in children()}
    assert len(children()) == 2
    assert os.getpid() not in pids


async def test_the_first_result_is_made_before_it_is_asked_for(start, tmp_path):
    calls = tmp_path / "calls"
    await start("BackgroundProc", bg.Marked(calls).counted, [float], [(1,)])
    async with asyncio.timeout(aug.SOON):
        while not calls.exists():
            await asyncio.sleep(0.01)


async def test_results_are_made_at_once(start):
    proc = await start("BackgroundProc", bg.span, [float], [(2,)], n_proc=4)
    assert bg.most_at_once([(await do(proc.get))[0].tolist() for _ in range(12)]) == 4


async def test_one_result_ahead_in_each_process(start, tmp_path):
    proc = await start(
        "BackgroundProc", bg.Marked(tmp_path / "calls").counted, [float], [(1,)], n_proc=2
    )
    await do(proc.get)
    async with asyncio.timeout(aug.SOON):
        while len((tmp_path / "calls").read_text().split()) < 3:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    assert len((tmp_path / "calls").read_text().split()) == 3


async def test_a_timeout_loses_nothing(start, tmp_path):
    calls = tmp_path / "calls"
    proc = await start("BackgroundProc", bg.Marked(calls).counted_slowly, [float], [(1,)])
    with pytest.raises(background.TimeoutError, match=r"no result within 0\.05 seconds") as caught:
        await do(proc.get, timeout=0.05)
    assert isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value, builtins.TimeoutError)
    await do(proc.get, timeout=aug.SOON)
    assert len(calls.read_text().split()) <= 2  # the one that was under way, and one ahead
    for forever in (False, None, 0):
        assert await do(proc.get, forever)


async def test_a_cancelled_get_loses_nothing():
    async with aioaug.BackgroundProc(bg.draws, seed=1) as proc:
        results = []
        for turn in range(12):
            get = asyncio.create_task(proc.get())
            for _ in range(turn):
                await asyncio.sleep(0)
            get.cancel()
            await asyncio.wait((get,))
            if not get.cancelled():
                results.append(get.result()[0])
        while len(results) < 14:
            results.append((await proc.get())[0])
    async with aioaug.BackgroundProc(bg.draws, seed=1) as proc:
        expected = [(await proc.get())[0] for _ in range(14)]
    assert np.array_equal(results, expected)


@pytest.mark.parametrize("target", [bg.draws, bg.Drawing().three])
async def test_no_two_results_share_random_numbers(target, start):
    proc = await start("BackgroundProc", target, n_proc=2)
    drawn = np.concatenate([(await do(proc.get))[0] for _ in range(20)])
    assert len(set(drawn)) == 60


@pytest.mark.parametrize("target", [bg.draws, bg.Drawing().three])
async def test_the_same_seed_gives_the_same_results(target, start):
    first = await start("BackgroundProc", target, n_proc=1, seed=5)
    second = await start("BackgroundProc", target, n_proc=3, seed=5)
    other = await start("BackgroundProc", target, n_proc=1, seed=1000)
    results = [
        {float((await do(proc.get))[0][0]) for _ in range(5)} for proc in (first, second, other)
    ]
    assert len(results[0] & results[1]) >= 3  # not in order, and some are under way
    assert not results[0] & results[2]


async def test_the_targets_exception_reaches_get(start, tmp_path):
    target = bg.Marked(tmp_path / "calls").fails_at_second_call
    proc = await start("BackgroundProc", target, [float], [(1,)])
    await do(proc.get)
    with pytest.raises(ValueError, match="the second call") as caught:
        await do(proc.get)
    assert "fails_at_second_call" in str(caught.value.__cause__)
    await do(proc.get)  # it goes on


async def test_an_exception_where_the_form_is_seen(way, tmp_path):
    (tmp_path / "calls").write_text("one before\n")
    with pytest.raises(ValueError, match="the second call"):
        proc = await do(way.BackgroundProc, bg.Marked(tmp_path / "calls").fails_at_second_call)
        await do(proc.get)


async def test_a_process_that_dies_is_replaced(start, tmp_path):
    target = bg.Marked(tmp_path / "calls").dies_at_second_call
    proc = await start("BackgroundProc", target, [float], [(1,)])
    await do(proc.get)
    with pytest.raises(WorkerDied, match="exited with code 5"):
        await do(proc.get)
    await do(proc.get)


async def test_interrupts_and_reset(start):
    proc = await start("BackgroundProc", bg.nap, [float], [()], n_proc=2, target_args=(0.1,))
    for child in children():
        os.kill(child.pid, signal.SIGINT)
    await do(proc.reset)
    for _ in range(4):
        assert (await do(proc.get, timeout=5))[0] == 0.1


def test_an_interrupt_of_a_blocking_get():
    with blocking.BackgroundProc(bg.nap, [float], [()], target_args=(0.5,)) as proc:
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            proc.get()
        assert proc.get(timeout=5)
        proc.reset()
        assert proc.get(timeout=5)


async def test_reset_drops_what_is_ready(start, tmp_path):
    proc = await start(
        "BackgroundProc", bg.Marked(tmp_path / "calls").fails_at_second_call, [float], [(1,)]
    )
    await do(proc.get)
    await asyncio.sleep(0.3)  # by now the second call has failed
    await do(proc.reset)
    await do(proc.get)


async def test_shutdown(way):
    proc = await do(way.BackgroundProc, bg.one_array)
    await do(proc.get)
    await do(proc.shutdown)
    await do(proc.shutdown)
    assert children() == []
    for call in (proc.get, proc.reset):
        with pytest.raises(ClosedError, match="shut down"):
            await do(call)


async def test_shutdown_of_one_that_is_busy(way):
    proc = await do(way.BackgroundProc, bg.nap, [float], [()], target_args=(60,))
    waiting = asyncio.create_task(do(proc.get))
    await asyncio.sleep(0.2)
    begun = time.monotonic()
    await do(proc.shutdown)
    with pytest.raises(ClosedError):
        await waiting
    assert time.monotonic() - begun < aug.SOON


async def test_fifty_cycles(way):
    for cycle in range(50):
        proc = await do(way.BackgroundProc, bg.two_arrays, [float, int], [(4, 3), (4,)])
        if cycle % 2:
            await do(proc.get)
        await do(proc.shutdown)
    assert children() == []  # the rest is seen by the fixture no_leaks


async def test_large_objects_are_not_copied(start):
    size = 200 << 20
    proc = await start("BackgroundProc", bg.Data(size).private_memory, [np.int64], [()])
    assert (await do(proc.get))[0] < size // 2
    assert (await do(proc.get))[0] < size // 2


async def test_bound_methods(start):
    proc = await start("BackgroundProc", bg.Data(1 << 20).part, target_kwargs={"start": 100})
    assert (await do(proc.get))[0].tolist() == list(range(101, 111))
    proc = await start("BackgroundProc", bg.Data(1 << 20).spoil, [np.uint8], [(1,)])
    with pytest.raises(ValueError, match="read-only"):
        await do(proc.get)


async def test_every_dtype(start):
    proc = await start("BackgroundProc", bg.of_dtypes, target_args=(DTYPES,))
    for dtype, array in zip(DTYPES, await do(proc.get), strict=True):
        assert array.dtype == np.dtype(dtype)
        assert np.array_equal(array, bg.example(dtype))


async def test_fortran_order(start):
    proc = await start("BackgroundProc", bg.of_dtype, target_args=("i4", "F"))
    assert (await do(proc.get))[0].tolist() == bg.example("i4").tolist()


@pytest.mark.parametrize("way", [aioaug, blocking], ids=["async", "blocking"])
@pytest.mark.parametrize("profile", [True, False])
async def test_profile(way, profile, capfd):
    proc = await do(way.BackgroundProc, bg.one_array, profile=profile)
    await do(proc.get)
    await do(proc.get)
    await do(proc.shutdown)
    queue = await do(way.SharedQ, profile=profile)
    await put(queue, [float], [(2,)], bg.fill)
    await do(queue.get)
    await do(queue.shutdown)
    out, err = capfd.readouterr()
    assert err == ""
    if not profile:
        assert out == ""
        return
    time_ = r"[\d.]+ ms"
    for name, count in [("BackgroundProc", 2), ("SharedQ", 1)]:
        lines = [line for line in out.splitlines() if line.startswith(f"{name}: ")]
        assert len(lines) == count + 1
        assert re.fullmatch(rf"{name}: start {time_}", lines[0])
        for line in lines[1:]:
            assert re.fullmatch(rf"{name}: target {time_}, waiting {time_}", line)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"target": 3}, TypeError, "target must be callable, got 3"),
        ({"n_proc": 0}, ValueError, "n_proc must be at least 1, got 0"),
        ({"n_proc": 1.5}, TypeError, "n_proc must be an int, got 1.5"),
        ({"dtypes": np.float32}, TypeError, "dtypes must be a list"),
        ({"dtypes": ["f4"], "shapes": [(1,), (2,)]}, ValueError, "same length, got 1 and 2"),
        ({"shapes": [(-1,)]}, ValueError, "must not be negative"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
    ],
)
async def test_wrong_arguments(way, arguments, error, message):
    with pytest.raises(error, match=message):
        await do(way.BackgroundProc, **{"target": bg.one_array} | arguments)


async def test_a_target_that_does_not_pickle(way):
    lock = threading.Lock()
    with pytest.raises(aioaug.TransportError, match="a lock that a function holds"):
        proc = await do(way.BackgroundProc, lambda: np.zeros(1 + lock.locked()))
        await do(proc.get)


async def test_first_in_first_out(queue):
    await put(queue, [float], [(2,)], bg.fill, (1, 0.3))
    await put(queue, ["i2", np.uint8], [(2,), (3, 1)], bg.fill, (2,))
    first = await do(queue.get)
    assert isinstance(first, list)
    assert [array.tolist() for array in first] == [[1.0, 1.0]]
    second = await do(queue.get)
    assert [(array.dtype, array.tolist()) for array in second] == [
        (np.int16, [2, 2]),
        (np.uint8, [[2], [2], [2]]),
    ]


async def test_the_automatic_use_of_elektronn2s_example(way):
    queue = await do(way.SharedQ, n_proc=2)
    for number in range(2):
        await put(queue, [float], [(2,)], bg.fill, (number,))
    for number in range(5):
        await put(queue, [float], [(2,)], bg.fill, (number + 2,))
        (item,) = await do(queue.get)  # and no warning
        assert item.tolist() == [number, number]
    await do(queue.shutdown)


async def test_startproc_returns_at_once(queue):
    begun = time.monotonic()
    await put(queue, [float], [(2,)], bg.fill, (1, 60))
    assert time.monotonic() - begun < aug.SOON


async def test_data_is_there_already(queue):
    await put(queue, [float], [(2, 2)], bg.fill, (1,), {"data": np.arange(4).reshape(2, 2)})
    assert (await do(queue.get))[0].tolist() == [[1, 2], [3, 4]]


async def test_an_empty_queue(queue):
    with pytest.raises(IndexError, match="no work was started"):
        await do(queue.get)


async def test_failures_of_a_queue(queue):
    await put(queue, [float], [(2,)], bg.fail)
    await put(queue, [float], [(2,)], bg.die)
    await put(queue, [float], [(2,)], bg.fill, (3,))
    with pytest.raises(ValueError, match="cannot be filled"):
        await do(queue.get)
    with pytest.raises(WorkerDied, match="exited with code 4"):
        await do(queue.get)
    assert (await do(queue.get))[0].tolist() == [3, 3]
    with pytest.raises(TypeError, match="target must be callable"):
        await put(queue, [float], [(2,)], None)
    with pytest.raises(ValueError, match="same length"):
        await put(queue, [float], [], bg.fill)


async def test_too_few_under_way(way):
    queue = await do(way.SharedQ, n_proc=2)
    for _ in range(4):
        await put(queue, [float], [(1,)], bg.fill)
    await do(queue.get)
    await do(queue.get)
    with pytest.warns(RuntimeWarning, match="should have started 1 new workers"):
        await do(queue.get)
    with pytest.warns(RuntimeWarning, match="should have started 2 new workers"):
        await do(queue.get)
    await do(queue.shutdown)


async def test_a_cancelled_get_of_a_queue(way):
    async with aioaug.SharedQ() as queue:
        queue.startproc([float], [(1,)], bg.fill, (1, 0.2))
        with pytest.raises(builtins.TimeoutError):
            async with asyncio.timeout(0.05):
                await queue.get()
        assert (await queue.get())[0].tolist() == [1]


async def test_shutdown_of_a_queue(way):
    queue = await do(way.SharedQ)
    for _ in range(3):
        await put(queue, [float], [(1,)], bg.fill, (1, 60))
    waiting = asyncio.create_task(do(queue.get))
    await asyncio.sleep(0.2)
    begun = time.monotonic()
    await do(queue.shutdown)
    await do(queue.shutdown)
    with pytest.raises(ClosedError):
        await waiting
    assert time.monotonic() - begun < aug.SOON
    with pytest.raises(ClosedError):
        await do(queue.get)
    with pytest.raises(ClosedError):
        await put(queue, [float], [(1,)], bg.fill)


async def test_results_of_a_queue_are_in_shared_memory():
    async with aioaug.SharedQ() as queue:
        for _ in range(3):
            queue.startproc(["u1"], [(1 << 20,)], bg.fill, (7,))
            (array,) = await queue.get()
            assert (array == 7).all()
        assert queue._engine.meter.bytes >= 2 << 20
        array[0] = 1  # writable


@given(hnp.arrays(st.sampled_from(["?", "f2", "u8", "c16", ">i4", "M8[s]", "U2"]),
                  hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)))  # fmt: skip
@settings(deadline=None, max_examples=50)
def test_there_and_back(array):
    for ordered in (array, np.asfortranarray(array)):
        handle = SharedMem.ndarray2shm(ordered)
        assert len(handle) == array.size
        back = SharedMem.shm2ndarray(handle, array.shape)
        assert back.dtype == array.dtype
        assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_handles_of_every_dtype(dtype):
    handle = SharedMem.puthandle(dtype, (3, 4), data=bg.example(dtype), lock=True)
    assert np.array_equal(SharedMem.shm2ndarray(handle, (3, 4)), bg.example(dtype))
    handle = SharedMem.puthandle(np.dtype(dtype), 3)
    assert len(handle) == 3
    assert np.array_equal(handle[:], np.zeros(3, dtype))


def test_handles():
    handle = blocking.SharedQ.puthandle("i2", (2, 3), data=[1.7, 2, 3])
    view = blocking.BackgroundProc.shm2ndarray(handle, (2, 3))
    assert view.tolist() == [[1, 2, 3], [1, 2, 3]]
    handle[0] = 9
    assert view[0, 0] == 9
    with handle.get_lock():
        pass
    del handle
    view += 1  # the memory is there for as long as the view
    with pytest.raises(TypeError, match="must not hold Python objects"):
        SharedMem.puthandle(object, 3)
    with pytest.raises(TypeError, match="mp_array must be"):
        SharedMem.shm2ndarray(object())


@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.parametrize("lock", [True, False])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_what_a_child_writes_is_seen(method, lock):
    context = multiprocessing.get_context(method)
    done = context.Event()
    handle = SharedMem.puthandle(
        np.float16, (2, 3), data=3, lock=context.RLock() if lock else False
    )
    view = SharedMem.shm2ndarray(handle, (2, 3))
    child = context.Process(target=bg.double, args=(handle, done))
    child.start()
    assert done.wait(30)
    child.join()
    child.close()
    assert (view == 6).all()


@pytest.mark.parametrize("lock", [True, False])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_arrays_of_multiprocessing(lock):
    context = multiprocessing.get_context("fork")
    done = context.Event()
    mp_array = context.Array("d", [1, 2, 3, 4, 5, 6], lock=lock)
    child = context.Process(target=bg.double_mp, args=(mp_array, done))
    child.start()
    assert done.wait(30)
    child.join()
    child.close()
    assert SharedMem.shm2ndarray(mp_array).tolist() == [2, 4, 6, 8, 10, 12]


def test_what_is_dropped_is_ended_and_warned_of():
    proc = blocking.BackgroundProc(bg.one_array)
    proc.get()
    assert children()
    with pytest.warns(ResourceWarning, match="a BackgroundProc was dropped while it was open"):
        del proc
        gc.collect()
    deadline = time.monotonic() + 20
    while children() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert children() == []


async def test_arrays_of_targets_have_a_lock_to_take():
    async with background.SharedQ() as queue:
        queue.startproc([np.float32], [(2, 2)], bg.fills_with_lock)
        (found,) = await queue.get()
    assert type(found) is np.ndarray
    assert found.tolist() == [[3, 3], [3, 3]]


async def test_dtypes_and_shapes_are_known_once_they_are_seen():
    async with background.BackgroundProc(bg.two_arrays, n_proc=1) as process:
        await process.get()
        assert process.shapes == [array.shape for array in bg.two_arrays()]
        assert process.dtypes == [array.dtype for array in bg.two_arrays()]
        (running,) = process.procs
        assert running.is_alive()
        assert running.pid in {child.pid for child in multiprocessing.active_children()}
    assert process.procs == []
    assert not running.is_alive()
    assert background.BackgroundProc(bg.two_arrays).shapes is None
