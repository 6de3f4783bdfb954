"""The blocking twins: one mechanism, from anywhere, and imgaug.multicore.Pool's own behaviour."""

from __future__ import annotations

import asyncio
import gc
import inspect
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import aioaug
import aioaug_testing as aug
import background_testing as bg
import imgaug.augmenters as iaa
import numpy as np
import pytest
from aioaug import ClosedError, blocking
from aioaug.blocking.twin import BlockingTwin
from aioaug.images import ParallelImageDataGenerator

TWINS = [
    getattr(blocking, name)
    for name in blocking.__all__
    if issubclass(getattr(blocking, name), BlockingTwin)
]


def children():
    gc.collect()
    return multiprocessing.active_children()


def loops():
    return [thread for thread in threading.enumerate() if "portal" in thread.name]


@pytest.fixture
def pool():
    with blocking.Pool(aug.nothing, processes=2) as pool:
        yield pool


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.__name__)
def test_twins_have_the_methods_and_signatures_of_their_originals(twin):
    original = twin._of
    apart = {"aclose", "start", "owned_stream", "stop", "reserve", "cancel", "put", "end"}
    apart |= {"abandon", "planned_stream", "expect_blocked_loop"}
    for name, method in vars(original).items():
        if name.startswith("_") or name in apart or not inspect.isfunction(method):
            continue
        made = getattr(twin, name)
        assert not inspect.iscoroutinefunction(made), name
        assert inspect.signature(made) == inspect.signature(method)
        assert made.__doc__ == method.__doc__
    assert inspect.signature(twin) == inspect.signature(original)
    assert twin.__doc__


def test_signatures_begin_as_the_originals_do():
    expected = {
        blocking.Pool: ["augseq", "processes", "maxtasksperchild", "seed"],
        blocking.BatchLoader: ["load_batch_func", "queue_size", "nb_workers", "threaded"],
        blocking.BackgroundAugmenter: ["batch_loader", "augseq", "queue_size", "nb_workers"],
        blocking.BackgroundProc: [
            "target", "dtypes", "shapes", "n_proc", "target_args", "target_kwargs", "profile",
        ],
        blocking.SharedQ: ["n_proc", "profile"],
    }  # fmt: skip
    for twin, names in expected.items():
        parameters = inspect.signature(twin).parameters.values()
        positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert positional == names


def test_the_generator_of_images_is_there_when_it_is_asked_for(tmp_path):
    assert blocking.ParallelImageDataGenerator is ParallelImageDataGenerator
    with pytest.raises(AttributeError, match="has no attribute 'Pole'"):
        _ = blocking.Pole
    program = "import sys, aioaug.blocking; print(sys.modules.keys() & {'aioaug.images', 'numpy'})"
    assert run_program(tmp_path / "imports.py", program).stdout == "set()\n"


def test_building_a_pool_starts_nothing():
    pool = blocking.Pool(aug.nothing, 2, 20, 1)
    assert (pool.augseq, pool.processes, pool.maxtasksperchild, pool.seed) == (
        aug.nothing, 2, 20, 1,
    )  # fmt: skip
    assert blocking.Pool(aug.nothing).seed is None
    assert (children(), loops()) == ([], [])
    assert pool.map_batches([1, 2]) == [1, 2]
    assert len(children()) == 2
    pool.close()
    assert (children(), loops()) == ([], [])


def test_map_batches(pool):
    batches = list(range(100))
    assert pool.map_batches(batches) == batches
    assert pool.map_batches(batches, chunksize=7) == batches
    assert pool.map_batches([]) == []
    for wrong in (tuple(batches), iter(batches)):
        with pytest.raises(TypeError, match="imap_batches takes generators"):
            pool.map_batches(wrong)


def test_map_batches_async():
    called, failed = [], []
    with blocking.Pool(aug.Failing(), processes=1) as pool:
        result = pool.map_batches_async([1, 2], callback=called.append)
        assert isinstance(result, blocking.AsyncResult)
        result.wait()
        assert result.ready()
        assert result.successful()
        assert result.get() == result.get(timeout=1) == [1, 2]
        bad = pool.map_batches_async([1, "value_error"], None, called.append, failed.append)
        with pytest.raises(ValueError, match="spoilt batch"):
            bad.get()
        assert not bad.successful()
    assert called == [[1, 2]]
    assert [str(error) for error in failed] == ["spoilt batch"]


def test_a_result_that_is_not_ready():
    pool = blocking.Pool(aug.sleep_for, processes=1)
    begun = time.monotonic()
    result = pool.map_batches_async([30.0])
    assert time.monotonic() - begun < aug.SOON
    result.wait(0.05)
    assert not result.ready()
    with pytest.raises(ValueError, match="not ready"):
        result.successful()
    for kind in (TimeoutError, multiprocessing.TimeoutError, aioaug.AioaugError):
        with pytest.raises(kind, match=r"no result within 0\.01 seconds"):
            result.get(timeout=0.01)
    pool.terminate()
    with pytest.raises(ClosedError, match="terminated"):
        result.get()


@pytest.mark.parametrize("way", ["imap_batches", "imap_batches_unordered"])
def test_imap_batches(pool, way):
    stream = getattr(pool, way)((number for number in range(50)), 3, output_buffer_size=8)
    assert iter(stream) is stream
    assert sorted(stream) == list(range(50))
    assert next(stream, None) is None
    assert sorted(getattr(pool, way)(iter(range(9)), chunksize=None)) == list(range(9))


def test_the_bound_and_the_laziness(pool):
    loaded = []

    def source():
        for number in range(30):
            loaded.append(number)
            yield number

    stream = pool.imap_batches(source(), output_buffer_size=5)
    time.sleep(0.1)
    assert loaded == []
    for taken, number in enumerate(stream, 1):
        time.sleep(0.01)
        assert number == taken - 1
        assert len(loaded) <= taken - 1 + 5
    assert len(loaded) == 30


@pytest.mark.parametrize("way", ["dropped", "closed", "with", "kept"])
def test_generators_may_be_left_half_way(way):
    closed = threading.Event()

    def source():
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            closed.set()

    with blocking.Pool(aug.nothing, processes=2) as pool:
        stream = pool.imap_batches(source(), output_buffer_size=4)
        if way == "with":
            with stream:
                next(stream)
            assert closed.is_set()
        for number in stream if way != "with" else ():
            if number == 3:
                break
        if way == "closed":
            stream.close()
            assert closed.is_set()
        if way == "dropped":
            del stream
            assert closed.wait(5)
        assert pool.map_batches([1, 2, 3]) == [1, 2, 3]
    assert closed.is_set()


def test_a_generator_that_outlives_the_name_of_its_pool():
    def numbers():
        yield from blocking.Pool(aug.nothing, processes=1).imap_batches(iter(range(5)))

    with pytest.warns(ResourceWarning, match="Pool was dropped while it was open"):
        assert list(numbers()) == list(range(5))
        gc.collect()


def test_exceptions():
    with blocking.Pool(aug.Failing(), processes=2) as pool:
        with pytest.raises(ValueError, match="spoilt batch") as caught:
            pool.map_batches([1, "value_error", 2])
        assert "while augmenting batch 1" in caught.value.__notes__
        stream = pool.imap_batches(iter([1, "value_error", 2]))
        assert next(stream) == 1
        with pytest.raises(ValueError, match="spoilt batch"):
            next(stream)
        assert next(stream) == 2
        with pytest.raises(aioaug.WorkerDied):
            pool.map_batches(["killed"])
        assert pool.map_batches([5]) == [5]

        def broken():
            yield 1
            raise KeyError("source")

        stream = pool.imap_batches(broken())
        assert next(stream) == 1
        with pytest.raises(KeyError, match="source"):
            next(stream)


def test_the_index_runs_on_and_seeds_repeat():
    batches = [np.full((2, 16, 16, 3), 128, np.uint8)] * 8
    augmenter = iaa.AdditiveGaussianNoise(scale=20)
    results = []
    for cut in (8, 5, 0):
        with blocking.Pool(augmenter, processes=2, seed=3) as pool:
            results.append(np.array(pool.map_batches(batches[:cut])
                                    + list(pool.imap_batches(iter(batches[cut:])))))  # fmt: skip
    assert all(np.array_equal(results[0], result) for result in results)
    assert len({batch.tobytes() for batch in results[0]}) == 8


def test_ends_of_a_pool():
    never = blocking.Pool(aug.nothing)
    never.close()
    never.terminate()
    with blocking.Pool(aug.nothing, processes=1) as pool:
        assert pool.pool is pool.pool
        pool.map_batches([1])
        with pytest.raises(ValueError, match="still running"):
            pool.join()
        with pytest.raises(RuntimeError, match="started already"):
            pool.__enter__()
        pool.close()
        pool.close()
        pool.join()
    for call in (pool.map_batches, pool.map_batches_async, pool.imap_batches):
        with pytest.raises(ClosedError):
            call([1])
    with pytest.raises(ClosedError):
        _ = pool.pool
    with pytest.raises(ValueError, match="processes must not be 0"):
        blocking.Pool(aug.nothing, processes=0)
    with pytest.raises(AttributeError, match="Pool has no attribute 'owned_stream'"):
        _ = pool.owned_stream


def test_terminate_is_quick():
    pool = blocking.Pool(aug.sleep_for, processes=2)
    pool.map_batches_async([60.0] * 4)
    time.sleep(0.2)
    begun = time.monotonic()
    pool.terminate()
    assert time.monotonic() - begun < aug.SOON
    assert children() == []


def test_an_exception_in_the_block_terminates():
    begun = time.monotonic()
    with pytest.raises(KeyError):
        with blocking.Pool(aug.sleep_for, processes=1) as pool:
            pool.map_batches_async([60.0] * 4)
            raise KeyError
    assert time.monotonic() - begun < aug.SOON
    assert children() == []


def test_an_interrupt():
    with blocking.Pool(aug.sleep_for, processes=1) as pool:
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            pool.map_batches([1.0, 60.0])
        assert pool.map_batches([0.01]) == [0.01]


def test_many_threads_at_once():
    with blocking.Pool(aug.nothing, processes=2) as pool:
        results = {}

        def work(first):
            results[first] = pool.map_batches(list(range(first, first + 20)))

        threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 200, 20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == {first: list(range(first, first + 20)) for first in range(0, 200, 20)}


def test_under_a_running_loop():
    """As in a notebook."""

    async def cell():
        with blocking.Pool(aug.nothing, processes=1) as pool:
            return pool.map_batches([1, 2]), list(pool.imap_batches(iter([3])))

    assert asyncio.run(cell()) == ([1, 2], [3])


def test_from_a_callback_it_is_refused():
    with blocking.Pool(aug.nothing, processes=1) as pool:
        refused = []

        def again(batches):
            try:
                pool.map_batches(batches)
            except RuntimeError as error:
                refused.append(str(error))

        pool.map_batches_async([1], callback=again).wait()
        pool.close()
    assert "event loop thread" in refused[0]


def test_one_loop_for_all_that_are_open():
    with blocking.Pool(aug.nothing, processes=1) as one:
        one.map_batches([1])
        other = blocking.SharedQ()
        other.startproc([float], [(1,)], bg.fill)
        other.get()
        (loop,) = loops()
        one.close()
        assert loops() == [loop]
        other.shutdown()
    assert loops() == []


def test_a_pool_that_is_dropped_is_ended():
    pool = blocking.Pool(aug.nothing, processes=1)
    pool.map_batches([1])
    with pytest.warns(ResourceWarning, match="a Pool was dropped while it was open"):
        del pool
        gc.collect()
    until_nothing_is_left()


def test_streams_as_sources(pool):
    with blocking.Pool(iaa.Identity(), processes=1) as second:
        first = pool.imap_batches(iter(bg.list_of_batches()))
        assert [batch.data for batch in second.imap_batches(first)] == list(range(bg.LOADED))
    assert pool.stats().batches == bg.LOADED


class Ring:
    """Refers to itself, so that what it has waits for the collector."""

    def __init__(self, *things):
        self.things = (self, *things)


def pool_with_a_stream():
    pool = blocking.Pool(aug.nothing, processes=1)
    stream = pool.imap_batches(iter(range(50)), output_buffer_size=2)
    next(stream)
    return pool, stream


def images_made_ahead():
    flow = ParallelImageDataGenerator(cores=1).flow(np.zeros((9, 4, 4, 3)), batch_size=1)
    next(flow)
    return flow


def images_by_number():
    flow = ParallelImageDataGenerator(cores=1).flow(np.zeros((9, 4, 4, 3)), batch_size=1)
    assert flow[0].shape == flow[1].shape
    return flow


def background_proc():
    proc = blocking.BackgroundProc(bg.one_array)
    proc.get()
    return proc


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (pool_with_a_stream, "Pool"),
        (images_made_ahead, "ImageIterator"),
        (images_by_number, "ImageIterator"),
        (background_proc, "BackgroundProc"),
    ],
)
def test_in_a_cycle_it_is_dropped_as_one(make, name):
    gc.disable()
    try:
        Ring(make())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            gc.collect()
    finally:
        gc.enable()
    assert [str(one.message).split()[1] for one in caught] == [name]
    until_nothing_is_left()


def until_nothing_is_left():
    deadline = time.monotonic() + 10
    while (children() or loops()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (children(), loops()) == ([], [])


FORGOTTEN = """
import sys
import aioaug_testing as aug
import background_testing as bg
import numpy as np
from aioaug import blocking
from aioaug.images import ParallelImageDataGenerator

def main():
    global kept
    local = make()
    if sys.argv[2] == "kept":
        kept = local
    use(local)

def use(kept):
    if name == "SharedQ":
        kept.startproc([float], [(1,)], bg.fill)
        kept.get()
        kept.startproc([float], [(1,)], bg.fill, (1, 60.0))
    if name == "Pool":
        kept.map_batches([1])
        kept.map_batches_async([1, 2, 3])
    if name == "BackgroundProc":
        kept.get()
    if name == "ImageIterator":
        next(kept)

if __name__ == "__main__":
    name = sys.argv[1]
    make = {
        "Pool": lambda: blocking.Pool(aug.nothing),
        "BatchLoader": lambda: blocking.BatchLoader(bg.without_end, 3, 2, threaded=False),
        "BackgroundAugmenter": lambda: blocking.BackgroundAugmenter(bg.without_end(), aug.nothing),
        "BackgroundProc": lambda: blocking.BackgroundProc(bg.two_arrays),
        "SharedQ": lambda: blocking.SharedQ(),
        "ImageIterator": lambda: ParallelImageDataGenerator().flow(np.zeros((9, 4, 4, 3))),
    }[name]
    main()
"""

FORGOTTEN_ASYNC = """
import asyncio
import aioaug
import aioaug_testing as aug
import background_testing as bg

async def main():
    global kept
    kept = [aioaug.AsyncPool(aug.nothing), aioaug.BackgroundProc(bg.two_arrays)]
    await kept[0].map_batches([1])
    await kept[1].get()

if __name__ == "__main__":
    asyncio.run(main())
"""


def run_program(path, text, *args, options=()):
    path.write_text(text)
    folders = [Path(aioaug.__file__).parent.parent, Path(aug.__file__).parent]
    return subprocess.run(
        [sys.executable, "-W", "ignore", *options, path, *args],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))},
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.parametrize(
    "name",
    [
        "Pool",
        "BackgroundProc",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("ImageIterator", "BatchLoader", "BackgroundAugmenter", "SharedQ")
        ),
    ],
)
def test_what_is_forgotten_does_not_hold_up_the_exit(tmp_path, name):
    options = ("-W", "always::ResourceWarning")
    done = run_program(tmp_path / "forgets.py", FORGOTTEN, name, "kept", options=options)
    assert (done.returncode, done.stderr) == (0, "")
    done = run_program(tmp_path / "forgets.py", FORGOTTEN, name, "dropped", options=options)
    said = [line for line in done.stderr.splitlines() if not line.startswith("  ")]
    assert (done.returncode, len(said)) in [(0, 0), (0, 2)], done.stderr
    assert all(f"{name} was dropped" in line or "tracemalloc" in line for line in said)


FORKS = """
import os
import aioaug_testing as aug
from aioaug import blocking

if __name__ == "__main__":
    pool = blocking.Pool(aug.nothing, processes=1)
    stream = pool.imap_batches(iter(range(9)))
    next(stream)
    if not os.fork():
        for call in (pool.map_batches, stream.__next__, pool.close):
            try:
                call()
            except RuntimeError as error:
                print(error)
        with blocking.Pool(aug.nothing, engine="thread") as own:
            print(own.map_batches([1]))
    else:
        os.wait()
        print(pool.map_batches([2]), list(stream))
        pool.close()
"""


def test_forks(tmp_path):
    done = run_program(tmp_path / "forks.py", FORKS)
    assert done.returncode == 0  # multiprocessing complains of what is not the child's
    lines = done.stdout.splitlines()
    assert ["belongs to process" in line for line in lines] == [True, True, True, False, False]
    assert lines[3:] == ["[1]", f"[2] {list(range(1, 9))}"]


def test_what_is_forgotten_without_twins_does_not_either(tmp_path):
    done = run_program(tmp_path / "forgets.py", FORGOTTEN_ASYNC)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_figures_of_the_comparison():
    done = subprocess.run(
        [sys.executable, "-m", "aioaug.bench.twins"],
        env={**os.environ, "ROUNDS": "1", "BATCHES": "20"},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (done.returncode, done.stderr) == (0, "")
    pool, proc = done.stdout.splitlines()
    assert "blocking Pool / AsyncPool" in pool
    assert float(proc.split()[-1]) > 5
