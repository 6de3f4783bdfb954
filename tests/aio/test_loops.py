"""One thing, several event loops: refused while the first one is open, anew after it is closed."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
import warnings
from pathlib import Path

import aioaug
import aioaug_testing as aug
import background_testing as bg
import numpy as np
import pytest
from aioaug import AsyncPool, ClosedError, batch, blocking
from aioaug._aio.tasks import drop_tasks
from aioaug.images import ParallelImageDataGenerator
from programs_testing import environment

FACTORIES = [asyncio.new_event_loop]
try:
    import uvloop
except ImportError:
    pass
else:
    FACTORIES.append(uvloop.new_event_loop)


@pytest.fixture(params=FACTORIES, ids=lambda factory: factory.__module__.split(".")[0])
def run(request):
    """`asyncio.run` on either loop, in no more than `aug.SOON`."""

    def run(work):
        async def bounded():
            async with asyncio.timeout(aug.SOON):
                return await work

        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(bounded())

    run.factory = request.param
    return run


@pytest.fixture(params=["process", "thread", "inline"])
def engine(request):
    return request.param


@pytest.fixture
def elsewhere(run):
    """Runs coroutines on a loop of its own, that stays open, in a thread."""
    loop = run.factory()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def there(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(aug.SOON)

    yield there
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def children():
    gc.collect()
    return {child.pid for child in multiprocessing.active_children()}


async def a_list(stream):
    return [batch async for batch in stream]


def endless():
    number = 0
    while True:
        yield number
        number += 1


def test_a_pool_goes_on_where_its_loop_is_closed(run, engine):
    pool = AsyncPool(aug.with_rng, processes=2, seed=3, engine=engine)
    reference = AsyncPool(aug.with_rng, processes=1, seed=3, engine="inline")
    expected = run(reference.map_batches([1, 2, 3, 4, 5, 6]))
    run(reference.close())
    got = run(pool.map_batches([1, 2]))
    before = children()
    got += run(a_list(pool.imap_batches([3, 4])))
    if engine == "process":
        assert len(before) == len(children()) == 2
        assert not before & children()
    got += run(pool.map_batches([5, 6]))
    assert got == expected
    assert pool.stats().batches == 6
    run(pool.close())
    assert children() == set()
    with pytest.raises(ClosedError):
        run(pool.map_batches([7]))


def test_a_pool_may_be_entered_on_the_next_loop(run):
    pool = AsyncPool(aug.nothing, processes=1)
    run(pool.map_batches([1]))

    async def main():
        async with pool:
            return await pool.map_batches([2])

    assert run(main()) == [2]
    assert children() == set()


@pytest.mark.parametrize("end", ["close", "terminate", "stop"])
@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.pairwise
def test_ends_from_a_later_loop(run, engine, end, busy):
    pool = AsyncPool(aug.slow, processes=2, engine=engine)

    async def use():
        await pool.map_batches([1, 2])
        if busy:
            await anext(pool.imap_batches(endless(), output_buffer_size=4))

    async def finish():
        ending = getattr(pool, end)()
        if ending is not None:
            await ending
        await pool.join()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the stream that was dropped open
        run(use())
        run(finish())
    assert children() == set()
    run(finish())


@pytest.mark.parametrize("later", [0, 0.001, 0.01, 0.02, 0.03, 0.2])  # the worker starts
def test_an_end_that_a_loop_took_with_it(run, later):
    pool = AsyncPool(aug.sleep_for, processes=1)

    async def begin():
        pool.map_batches_async([60.0])
        await asyncio.sleep(later)
        closing = asyncio.ensure_future(pool.close())
        await asyncio.sleep(0)
        return closing

    loop = run.factory()
    closing = loop.run_until_complete(begin())
    loop.close()  # without a word to its tasks
    run(pool.join())
    assert not closing.done()
    assert children() == set()
    drop_tasks((closing,))


@pytest.mark.parametrize("idle", [True, False])
def test_another_loop_is_refused(run, engine, elsewhere, idle):
    pool = AsyncPool(aug.slow, processes=1, engine=engine)
    stream = pool.imap_batches(endless(), output_buffer_size=2)
    assert elsewhere(anext(stream)) == 0

    def work():
        with pytest.raises(ClosedError):
            elsewhere(a_list(stream))

    working = [] if idle else [threading.Thread(target=work)]
    calls = [
        lambda: pool.map_batches([1]),
        lambda: anext(pool.imap_batches([1])),
        lambda: anext(stream),
        stream.aclose,
        pool.__aenter__,
        pool.close,
        pool.terminate,
    ]
    for thread in working:
        thread.start()
    for call in calls:
        with pytest.raises(RuntimeError, match=r"another event loop: build one for each.*blocking"):
            run(call())
    elsewhere(pool.terminate())
    for thread in working:
        thread.join()


def test_a_stream_that_was_refused_elsewhere_is_dropped_on_its_own_loop(run, elsewhere):
    closed = threading.Event()

    def numbers():
        try:
            yield from endless()
        finally:
            closed.set()

    pool = AsyncPool(aug.nothing, processes=1, engine="thread")
    stream = pool.imap_batches(numbers(), output_buffer_size=2)
    assert elsewhere(anext(stream)) == 0
    with pytest.raises(RuntimeError, match="another event loop"):
        run(anext(stream))
    with pytest.warns(ResourceWarning, match="BatchStream was dropped while it was open"):
        del stream
        gc.collect()
    assert closed.wait(aug.SOON)
    elsewhere(pool.close())


def test_an_idle_loop_that_is_still_open(run):
    pool = AsyncPool(aug.nothing, processes=1)
    loop = run.factory()
    assert loop.run_until_complete(pool.map_batches([1])) == [1]
    with pytest.raises(RuntimeError, match="another event loop"):
        run(pool.map_batches([1]))
    loop.run_until_complete(pool.close())
    loop.close()
    assert children() == set()


def test_a_pool_that_was_ended_belongs_to_no_loop(run, elsewhere):
    pool = AsyncPool(aug.nothing, processes=1)
    elsewhere(pool.map_batches([1]))
    elsewhere(pool.close())
    run(pool.close())
    run(pool.terminate())
    run(pool.join())


@pytest.mark.parametrize("way", ["cancelled", "dropped"])
@pytest.mark.parametrize("kind", ["list", "thread", "async"])
@pytest.mark.pairwise
def test_a_stream_cannot_go_on(run, engine, way, kind, recwarn):
    async def numbers():
        for number in endless():
            yield number

    source = {"list": list(range(1000)), "thread": endless(), "async": numbers()}[kind]
    pool = AsyncPool(aug.slow, processes=2, engine=engine)
    stream = pool.imap_batches(source, output_buffer_size=4)
    later = pool.imap_batches([7])
    if way == "cancelled":
        assert run(anext(stream)) == 0
    else:
        loop = run.factory()
        assert loop.run_until_complete(anext(stream)) == 0
        loop.close()
    for _ in range(2):
        with pytest.raises(ClosedError, match="event loop that this was begun on was closed"):
            run(anext(stream))
    run(stream.aclose())
    assert stream.skipped == ()
    assert run(a_list(later)) == [7]
    run(pool.close())
    assert children() == set()
    gc.collect()


def test_a_future_of_a_closed_loop(run, engine):
    pool = AsyncPool(aug.sleep_for, processes=1, engine=engine)
    loop = run.factory()

    async def begin():
        future = pool.map_batches_async([0.4] * 4)
        await asyncio.sleep(0.2)
        return future

    future = loop.run_until_complete(begin())
    loop.close()
    assert not future.done()
    assert run(pool.map_batches([0.0])) == [0.0]
    run(pool.close())
    del future
    gc.collect()


def test_background_processes_begin_anew(run):
    background = aioaug.BackgroundProc(bg.draws, n_proc=2, seed=5)
    reference = aioaug.BackgroundProc(bg.draws, n_proc=1, seed=5)

    async def get(source, count):
        return [float((await source.get())[0][0]) for _ in range(count)]

    expected = run(get(reference, 12))
    run(reference.shutdown())
    first = run(get(background, 2))
    before = children()
    second = run(get(background, 2))
    assert len(before) == len(children()) == 2
    assert not before & children()
    assert set(first + second) <= set(expected)
    assert len(set(first + second)) == 4
    run(background.reset())
    run(background.shutdown())
    run(background.shutdown())
    assert children() == set()


def test_a_queue_of_work_goes_on(run):
    queue = aioaug.SharedQ(n_proc=1)

    async def begin():
        queue.startproc([np.float32], [(4,)], bg.fill_with, (1.0,))
        queue.startproc([np.float32], [(4,)], bg.fill_with, (2.0, 60.0))
        await asyncio.wait(queue._jobs, return_when="FIRST_COMPLETED")

    async def go_on():
        queue.startproc([np.float32], [(4,)], bg.fill_with, (3.0,))
        (first,) = await queue.get()
        with pytest.raises(ClosedError, match="event loop of this piece of work was closed"):
            await queue.get()
        (third,) = await queue.get()
        return first[0], third[0]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # too few pieces of work were started
        run(begin())
        assert run(go_on()) == (1.0, 3.0)
    run(queue.shutdown())
    assert children() == set()


def of_processes():
    return aioaug.BackgroundProc(bg.draws)


def of_work():
    return aioaug.SharedQ(n_proc=1)


def of_threads():
    return aioaug.BatchLoader(endless, queue_size=2)


def of_names():
    return aioaug.BatchLoader(range(1000), threaded=False, load=aug.nothing, queue_size=2)


def of_calls():
    return aioaug.BatchLoader(bg.without_end, threaded=False, queue_size=2)


def of_augmented():
    return aioaug.BackgroundAugmenter(endless(), aug.nothing, queue_size=2, nb_workers=1)


def of_images():
    pictures = np.zeros((8, 8, 8, 3), np.uint8)
    return ParallelImageDataGenerator(cores=1).flow(pictures, batch_size=2)


async def use(thing):
    """Whatever one does with it."""
    if isinstance(thing, aioaug.SharedQ):
        thing.startproc([np.float32], [(4,)], bg.fill_with, (1.0,))
    elif isinstance(thing, aioaug.BackgroundProc):
        await thing.get()
    else:
        assert await anext(thing) is not None


KINDS = [of_processes, of_work, of_threads, of_names, of_calls, of_augmented, of_images]
kinds = pytest.mark.parametrize("make", KINDS)


@kinds
def test_everything_ends_from_a_later_loop(run, make):
    thing = make()
    run(use(thing))
    run(thing.aclose())
    run(thing.aclose())
    assert children() == set()


@kinds
def test_everything_refuses_another_loop(run, make, elsewhere):
    thing = make()
    elsewhere(use(thing))
    for call in (lambda: use(thing), thing.aclose):
        with pytest.raises(RuntimeError, match="in use on another event loop"):
            run(call())
    elsewhere(thing.aclose())
    run(thing.aclose())


@pytest.mark.parametrize("make", [of_threads, of_names, of_calls, of_augmented])
def test_loaders_cannot_go_on(run, make):
    thing = make()
    run(use(thing))
    for _ in range(2):
        with pytest.raises(ClosedError, match="what was under way is lost"):
            run(thing.get_batch())
    if isinstance(thing, aioaug.BatchLoader):
        with pytest.raises(ClosedError, match="what was under way is lost"):
            run(thing.queue.get())
    run(thing.terminate())
    assert run(thing.get_batch()) is None
    assert children() == set()


def test_what_was_loaded_to_the_end_can_be_taken_later(run):
    loader = aioaug.BatchLoader(range(5), queue_size=10)

    async def load():
        first = await loader.get_batch()
        while not loader.all_finished():
            await asyncio.sleep(0)
        return first

    assert run(load()) == 0
    assert run(a_list(loader)) == [1, 2, 3, 4]
    run(loader.terminate())


def test_images_go_on(run):
    pictures = np.random.default_rng(1).integers(0, 255, (12, 8, 8, 3), np.uint8)

    def flow():
        generator = ParallelImageDataGenerator(cores=2, rotation_range=90)
        return generator.flow(pictures, batch_size=2, seed=3)

    async def take(batches, count):
        return [await anext(batches) for _ in range(count)]

    whole, parts = flow(), flow()
    expected = run(take(whole, 9))
    run(whole.aclose())
    got = [batch for count in (2, 1, 4) for batch in run(take(parts, count))]
    got += [next(parts), next(parts)]  # in a thread of its own now, that loop being closed
    assert len(got) == 9
    for made, right in zip(got, expected, strict=True):
        assert np.array_equal(made, right)
    parts.shutdown()
    assert children() == set()


def test_images_are_shut_down_after_their_loop(run):
    batches = of_images()
    run(use(batches))
    batches.shutdown()
    assert children() == set()
    assert batches.is_shutdown


def test_batches_use_the_loop_that_is_there(run):
    made = batch.Batch(np.arange(4), numbers=np.arange(4))
    dataset = batch.Dataset(8, batch.Batch)

    async def apply(target):
        return list((await made.apply_parallel_async(abs, src="numbers", dst="n", target=target)).n)

    for target in ("for", "threads", "mpc"):
        for _ in range(2):
            assert run(apply(target)) == [0, 1, 2, 3]
    stream = dataset.p.gen_batch_async(2, prefetch=2)
    run(anext(stream))
    with pytest.raises(ClosedError, match="event loop that this was begun on was closed"):
        run(anext(stream))
    run(stream.aclose())
    batch.shutdown()


SUPPORT = Path(aug.__file__).parent


def run_program(folder, body, *command):
    """What a program of its own wrote to either stream, all warnings shown."""
    program = folder / "test_program.py"
    program.write_text(textwrap.dedent(body))
    paths = os.pathsep.join([str(Path(aioaug.__file__).parent.parent), str(SUPPORT)])
    done = subprocess.run(
        [sys.executable, *command, program.name],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        timeout=50,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("runner", ["asyncio.run", "aioaug.run"])
def test_a_script_that_runs_one_thing_after_the_other(tmp_path, runner):
    body = f"""
        import asyncio, aioaug, aioaug_testing
        if __name__ == "__main__":
            pool = aioaug.AsyncPool(aioaug_testing.nothing, processes=2)
            for number in range(3):
                print({runner}(pool.map_batches([number])))
            {runner}(pool.close())
    """
    assert run_program(tmp_path, body) == (0, "[0]\n[1]\n[2]\n", "")


def test_a_pool_of_a_test_module(tmp_path):
    body = """
        import aioaug, aioaug_testing, asyncio, pytest

        pool = aioaug.AsyncPool(aioaug_testing.nothing, processes=1)

        @pytest.mark.asyncio
        @pytest.mark.parametrize("number", range(4))
        async def test_one(number):
            assert await pool.map_batches([number]) == [number]

        def test_the_end():
            asyncio.run(pool.terminate())
    """
    scope = "asyncio_default_fixture_loop_scope=function"
    options = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "-o", scope]
    code, out, err = run_program(tmp_path, body, *options)
    assert (code, err) == (0, ""), out
    assert "5 passed" in out


def test_views_that_have_a_loop_each(run):
    """As of Flask and Django: each request runs its coroutine on a loop of its own."""
    pool = AsyncPool(aug.slow, processes=2)
    twin = blocking.Pool(aug.slow, processes=2)
    assert [run(pool.map_batches([number])) for number in range(3)] == [[0], [1], [2]]
    outcomes, together = [], threading.Barrier(4)

    def view(number):
        async def coroutine():
            await asyncio.to_thread(together.wait)
            try:
                return await pool.map_batches([number] * 20)
            except RuntimeError as error:
                return str(error)

        outcomes.append(run(coroutine()))
        assert twin.map_batches([number]) == [number]

    views = [threading.Thread(target=view, args=(number,)) for number in range(4)]
    for thread in views:
        thread.start()
    for thread in views:
        thread.join()
    refused = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert len(refused) == 3
    assert all("in use on another event loop" in outcome for outcome in refused)
    run(pool.close())
    twin.close()
    assert children() == set()


FORKS_BEFORE_USE = """
import os, sys
import aioaug, aioaug_testing as aug
from aioaug import blocking

pool = aioaug.AsyncPool(aug.nothing, processes=1, seed=1)
stream = pool.imap_batches([1, 2])
background = aioaug.BackgroundAugmenter([3], aug.nothing, nb_workers=1)
twin = blocking.Pool(aug.nothing, processes=1)

async def use():
    async with pool:
        batches = [batch async for batch in stream]
        async with background:
            return await pool.map_batches([batches, await background.get_batch()])

if __name__ == "__main__":
    for _ in range(2):
        if not os.fork():
            print(aioaug.run(use()), twin.map_batches([4]), flush=True)
            twin.close()
            sys.exit()
        os.wait()
    print(aioaug.run(use()), twin.map_batches([4]), flush=True)
    twin.close()
"""


def test_what_is_built_before_a_fork_belongs_to_who_uses_it(tmp_path):
    """As by a server that imports its app and forks its workers then."""
    (tmp_path / "script.py").write_text(FORKS_BEFORE_USE)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["[[1, 2], 3] [4]"] * 3
