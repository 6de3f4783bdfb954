"""`apply_parallel` and its decorators: on every target the same, whatever goes wrong."""

import asyncio
import itertools
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
from functools import partial

import numpy as np
import pytest
from aioaug import TransportError, WorkerDied, batch
from aioaug._aio.tasks import in_thread
from aioaug.batch import B, Batch, P, ParallelError, R, apply_parallel, inbatch_parallel
from aioaug.batch.calls import Task
from batch_testing import (
    TARGETS,
    Below,
    Pictures,
    Two,
    both,
    computes,
    dies_on_two,
    double,
    fails_on_two,
    global_noise,
    nested,
    nested_processes,
    pid,
    ragged,
    returns_error,
    scaled,
    scaled_async,
    sleeps,
    summed,
    unpicklable,
    where,
)
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(autouse=True)
def _workers_end(no_leaks):
    """The workers that all batches share live on, so that for each test they have to be ended."""
    yield
    batch.shutdown()


def make(size=4, seed=7, kind=Two):
    made = kind(np.arange(size) + 2, preloaded=(np.arange(size + 2.0), np.arange(size + 2) * 10))
    made.random_seed = seed
    return made


def in_a_thread(call):
    found = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


every_target = pytest.mark.parametrize("target", TARGETS)


@every_target
@pytest.mark.parametrize("way", ["here", "in a thread", "awaited"])
async def test_every_target_gives_the_same(target, way):
    options = {"k": P([1, 10, 100, 1000]), "p": 0.5, "requires_rng": True, "target": target}
    for sources in ({"src": ["images", "masks"]}, {"src": "images", "dst": "more"}):
        expected, found = make(), make()
        expected.apply_parallel(scaled, **sources, **(options | {"target": "for"}))
        call = partial(found.apply_parallel, scaled, **sources, **options)
        if way == "awaited":
            assert await found.apply_parallel_async(scaled, **sources, **options) is found
        else:
            # Blocking calls belong into a thread, where there is a loop; but they do work.
            assert await in_thread(call if way == "here" else partial(in_a_thread, call))
        assert found.components == expected.components
        for name in expected.components:
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_blocking_calls_work_without_a_loop():
    results = [
        make().apply_parallel(scaled, src="images", target=target, requires_rng=True).images
        for target in TARGETS
    ]
    assert all(np.array_equal(results[0], other) for other in results)


def test_async_works_blocking_inside_of_a_running_loop():
    async def main():
        return make().apply_parallel(scaled_async, src="images", target="async", k=2)

    assert asyncio.run(main()).images.tolist() == [4, 6, 8, 10]


@given(
    size=st.integers(1, 24),
    seed=st.integers(0, 2**40),
    p=st.none() | st.floats(0, 1),
    workers=st.integers(1, 4),
    target=st.sampled_from(TARGETS),
)
@settings(max_examples=40, deadline=None)
def test_neither_target_nor_workers_matter(size, seed, p, workers, target):
    options = {"src": "images", "dst": "out", "p": p, "requires_rng": True}
    expected = make(size, seed).apply_parallel(scaled, **options)
    found = make(size, seed).apply_parallel(scaled, **options, target=target, n_workers=workers)
    np.testing.assert_array_equal(found.out, expected.out)


@every_target
def test_an_item_draws_from_a_stream_of_its_own(target):
    """`self.random` of batchflow fails in threads, and in a process begins anew for each item."""
    first, again = make(kind=Pictures), make(kind=Pictures)
    found = first.noisy(src="images", target=target).noisy(src="images", dst="twice").images
    np.testing.assert_array_equal(again.noisy(src="images", target="for").images, found)
    noise = found - np.arange(2, 6)
    assert len(set(noise)) == 4
    assert (first.twice - found != noise).all()  # the second call has other streams


def test_global_generators_of_workers_are_seeded_for_each_item():
    """Workers that are forks, or seeded alike, would draw the same for different items."""
    found = [
        make(8, seed).apply_parallel(
            global_noise, src="images", dst="out", target="mpc", n_workers=workers
        )
        for seed, workers in ((7, 2), (7, 4), (8, 4))
    ]
    first, again, other = (made.out for made in found)
    assert len(set(first.ravel())) == 16
    np.testing.assert_array_equal(first, again)
    assert not set(first.ravel()) & set(other.ravel())


@every_target
def test_a_list_shares_mask_and_streams(target):
    made = make(20)
    made.load(src=np.zeros(22), dst="images").load(src=np.zeros(22), dst="masks")
    made.apply_parallel(
        scaled, src=["images", "masks"], dst=["a", "b"], p=0.5, requires_rng=True, target=target
    )
    np.testing.assert_array_equal(made.a, made.b)
    assert 0 < np.count_nonzero(made.a) < 20
    assert len(set(made.a)) == np.count_nonzero(made.a) + 1


@every_target
def test_a_tuple_passes_rows_jointly(target):
    made = make().apply_parallel(both, src=("images", "masks"), dst=("z", "a"), target=target)
    assert made.components == ("images", "masks", "z", "a")
    np.testing.assert_array_equal(made.z, made.images + made.masks)
    np.testing.assert_array_equal(made.a, made.images - made.masks)
    made.apply_parallel(summed, src=("images", "masks"), dst="sum", target=target)
    np.testing.assert_array_equal(made.sum, made.z)


@every_target
def test_ragged_results_are_objects(target):
    made = make().apply_parallel(ragged, src="images", dst="out", target=target)
    assert made.out.dtype == object
    assert [each.tolist() for each in made.out] == [[2] * 3, [3] * 4, [4] * 5, [5] * 6]


def test_items_that_are_not_chosen_pass_as_they_are():
    made = make(2000).apply_parallel(double, src="images", dst="out", p=0.25)
    applied = made.out == made.images * 2
    assert (applied | (made.out == made.images)).all()
    assert 0.2 < applied.mean() < 0.3
    again = make(2000).apply_parallel(double, src="images", dst="out", p=0.25)
    np.testing.assert_array_equal(made.out, again.out)
    assert make().apply_parallel(double, src="images", p=P([0, 1, 0, 1])).images.tolist() == [
        2, 6, 4, 10,
    ]  # fmt: skip


def test_functions_need_not_take_src_and_dst():
    made = make()
    made.apply_parallel(lambda item: item + 1, src="images", dst="out")
    made.apply_parallel(np.sqrt, src="images", dst="roots")
    made.apply_parallel(where, src="images", dst="what", k=1)
    assert made.what[0] == {"dst": "what", "k": 1, "src": "images"}


def test_rng_seeds():
    first, again, other = make(), make(seed=8), make()
    for each in (first, again):
        each.apply_parallel(scaled, src="images", rng_seeds=[1, 2, 3, 4])
    other.apply_parallel(scaled, src="images", rng_seeds=P([1, 2, 3, 5]))
    np.testing.assert_array_equal(first.images, again.images)
    assert (first.images == other.images).tolist() == [True, True, True, False]
    assert len(set(first.images % 1)) == 4  # batchflow gives all of them the same stream
    one = make().apply_parallel(scaled, src="images", rng_seeds=1)
    assert len(set((one.images % 1).round(9))) == 1


def test_expressions():
    made = make()
    made.apply_parallel(scaled, src="images", dst="a", k=P(R("normal", 0, 1)))
    assert len(set(made.a / made.images)) == 4
    made.apply_parallel(scaled, src="images", dst="b", k=R("normal", 0, 1))
    assert len(set((made.b / made.images).round(9))) == 1
    made.apply_parallel(scaled, src="images", dst="c", k=B.size)
    assert made.c.tolist() == (made.images * 4).tolist()
    made.apply_parallel(scaled, src="images", dst="d", k=P(B("masks")))
    assert made.d.tolist() == (made.images * made.masks).tolist()
    assert make().apply_parallel(scaled, src="images", k=P(R([1, 2], p=[0, 1]))).images[0] == 4
    assert R("normal", size=3).get(made, size=2).shape == (2, 3)
    assert (
        make().apply_parallel(np.multiply, None, None, "images", "out", P([1, 2, 3, 4])).out[3]
        == 20
    )
    for wrong in ([1, 2, 3], 5):
        with pytest.raises((ValueError, TypeError), match="k"):
            make().apply_parallel(scaled, src="images", k=P(wrong))
    with pytest.raises(ValueError, match="gaussian"):
        R("gaussian")


def test_inits():
    made = make(kind=Pictures)
    for init, expected in {
        "indices": [2, 3, 4, 5],
        (7, 8, 9, 10): [7, 8, 9, 10],
        lambda **kwargs: list(kwargs["dst"]): list("abcd"),
        lambda **kwargs: [((n,), {"k": n}) for n in range(4)]: [0, 1, 4, 9],
    }.items():
        function = scaled if expected[0] != "a" else str
        made.apply_parallel(function, init=init, dst="abcd")
        assert made.abcd.tolist() == expected
    # batchflow asks an array whether it is true.
    assert made.apply_parallel(double, init=np.arange(4), dst="abcd").abcd.tolist() == [0, 2, 4, 6]
    assert made.apply_parallel(double, init="data", src="labels").labels.tolist()[0] == 40
    made.apply_parallel(lambda item: item.images, init="items", dst="abcd")
    assert made.abcd.tolist() == made.images.tolist()
    with pytest.raises(AttributeError, match="nothing_like_it"):
        made.apply_parallel(double, init="nothing_like_it", dst="abcd")


def test_posts():
    made = make(kind=Pictures)
    found = made.apply_parallel(scaled, src="images", post="collected", k=2)
    assert found is made
    assert made.results == [4, 6, 8, 10]
    assert made.passed == {"src": "images", "dst": None, "k": 2}
    assert made.apply_parallel(fails_on_two, src="images", post=lambda found, **_: found)[1:] == [
        3, 4, 5,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="nothing_like_it"):
        made.apply_parallel(double, src="images", post="nothing_like_it")


@every_target
def test_errors_come_from_the_item_s_own(target):
    made = make()
    before = made.images.copy()
    with pytest.raises(RuntimeError, match="Could not assemble the batch") as caught:
        made.apply_parallel(fails_on_two, src="images", dst="out", target=target)
    error = caught.value
    assert isinstance(error, ParallelError)
    assert isinstance(error.__cause__, LookupError)
    assert list(error.errors) == [0]
    assert "while applying fails_on_two to item 0 (index 2)" in error.__cause__.__notes__
    assert "in fails_on_two" in "".join(traceback.format_exception(error))
    assert made.components == ("images", "masks")
    np.testing.assert_array_equal(made.images, before)


@every_target
def test_all_errors_are_kept(target, capfd):
    """batchflow prints the first one, and forgets the others."""
    with pytest.raises(ParallelError) as caught:
        make().apply_parallel(scaled, src="images", k=P([1, "x", 1, None]), target=target)
    assert {n: type(error) for n, error in caught.value.errors.items()} == {
        1: TypeError,
        3: TypeError,
    }
    assert "2 items, the first of them 1" in str(caught.value)
    assert capfd.readouterr() == ("", "")


@every_target
def test_a_returned_exception_is_a_failure(target):
    with pytest.raises(ParallelError, match="an answer"):
        make().apply_parallel(returns_error, src=np.arange(3), dst="out", target=target)


def test_an_empty_batch():
    made = Two(np.array([], int), preloaded=(np.zeros((3, 4), np.uint8), np.arange(3)))
    for target in TARGETS:
        made.apply_parallel(double, src="images", dst="out", p=0.5, target=target)
        made.apply_parallel(both, src=("images", "masks"), dst=("a", "b"), target=target)
    assert (made.images.shape, made.images.dtype) == ((0, 4), np.uint8)
    assert (made.out.shape, made.out.dtype) == ((0, 4), np.uint8)
    assert len(made.a) == 0


def test_several_values_may_be_an_array():
    made = make().apply_parallel(lambda item: np.array([item, -item]), src="images", dst=("a", "b"))
    assert (made.a.tolist(), made.b.tolist()) == ([2, 3, 4, 5], [-2, -3, -4, -5])


def test_several_values_need_several_names():
    with pytest.raises(ValueError, match="2 values for item 0"):
        make().apply_parallel(double, src="images", dst=("a", "b"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "gpu"}, "'gpu'"),
        ({"p": 1.5}, "p must be from 0 to 1, got 1.5"),
        ({"p": -1}, "got -1"),
        ({"p": P([1])}, "p has 1 values for 4 items"),
        ({"rng_seeds": [1]}, "rng_seeds has 1 values"),
        ({"n_workers": 0}, "n_workers must be at least 1"),
        ({"timeout": -1}, "timeout"),
        ({"src": ["images"], "dst": "masks"}, "lists of equal length"),
        ({"src": ["images", "masks"], "dst": ["images"]}, "lists of equal length"),
        ({"src": ["images", "masks"], "dst": ("a", "b")}, "lists of equal length"),
        ({"src": np.arange(4), "dst": None}, "dst must say"),
        ({"dst": "size"}, "'size' exists already"),
    ],
)
def test_wrong_arguments(arguments, message):
    made = make()
    with pytest.raises(ValueError, match=message):
        made.apply_parallel(scaled, **{"src": "images", **arguments})
    assert made.components == ("images", "masks")
    with pytest.raises(TypeError, match="callable"):
        made.apply_parallel("no function", src="images")


def test_lists_and_positional_arguments():
    """batchflow: multiple values for func."""
    made = make().apply_parallel(np.multiply, None, None, ["images", "masks"], None, 3)
    assert made.images.tolist() == [6, 9, 12, 15]
    assert made.masks.tolist() == [60, 90, 120, 150]


def test_without_a_source_all_components_are_meant():
    made = make().apply_parallel(double, p=1.0)
    assert (made.images.tolist(), made.masks.tolist()) == ([4, 6, 8, 10], [40, 60, 80, 100])
    raw = Batch([1, 2], preloaded=np.arange(4)).apply_parallel(double)
    assert raw.data.tolist() == [2, 4]


def make_masks_fn(image):
    return image > 3


def apply_mask(pair):
    image, mask = pair
    return image * mask


def rotate(item, angle=90):
    return (item + angle) % 360


class MyBatch(Pictures):
    apply_defaults = {**Pictures.apply_defaults, "src": "images"}

    @staticmethod
    def some_static_method(item):
        return item * 2

    def some_method(self, item):
        return item * 3


def test_the_document_s_examples():
    batch = make(seed=3, kind=MyBatch)
    batch.add_components("features", np.arange(4))
    batch.apply_parallel(make_masks_fn, src="images", dst="masks")
    batch.apply_parallel(apply_mask, src=("images", "masks"), dst="images_with_masks")
    assert batch.images_with_masks.tolist() == [0, 0, 4, 5]
    batch.apply_parallel(rotate, src=["images", "masks"], dst=["images", "masks"], p=0.2)
    turned = batch.images > 89
    assert turned.any()
    assert (turned == (batch.masks > 89)).all()
    before = batch.images.copy()
    batch.apply_parallel(MyBatch.some_static_method, p=0.5)
    assert set((batch.images / before).tolist()) <= {1.0, 2.0}
    batch.apply_parallel(B.some_method, src="features", p=0.5)
    assert set((batch.features[1:] / np.arange(1, 4)).tolist()) <= {1.0, 3.0}


# -- threads, processes and loops --


@every_target
def test_timeout(target):
    """batchflow waits anyway."""
    with pytest.raises(ParallelError) as caught:
        make().apply_parallel(sleeps, init=[0, 0.5, 0.5], dst="out", timeout=0.1, target=target)
    assert list(caught.value.errors)[-1] == 2
    assert isinstance(caught.value.errors[2], TimeoutError)
    assert make().apply_parallel(double, src="images", target=target).images[0] == 4


def test_processes_live_on():
    pids = [
        set(make(16).apply_parallel(pid, src="images", dst="pids", target="m").pids.tolist())
        for _ in range(3)
    ]
    assert len(set.union(*pids)) <= 4


def test_threads_limit():
    running, most = 0, 0
    lock = threading.Lock()

    def watched(item):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        return item

    make(12).apply_parallel(watched, src="images", target="threads", n_workers=3)
    assert 2 <= most <= 3


async def test_a_coroutine_that_was_cancelled_by_itself_ends_no_other():
    async def cancelled(item):
        if item == 3:
            raise asyncio.CancelledError
        await asyncio.sleep(0)
        return item

    def outcomes(results, **_):
        return [str(found) for found in results]

    wanted = ["2.0", "its coroutine was cancelled", "4.0", "5.0"]
    options = {"src": "images", "post": outcomes}
    assert await make().apply_parallel_async(cancelled, **options) == wanted
    assert await in_thread(partial(make().apply_parallel, cancelled, **options)) == wanted


async def test_async_limit():
    running, most = 0, 0

    async def watched(item):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return item

    await make(12).apply_parallel_async(watched, src="images", target="async", n_workers=3)
    assert most <= 3
    all_of_them = asyncio.Barrier(12)

    async def together(item):
        await all_of_them.wait()

    await make(12).apply_parallel_async(together, src="images", target="async")


def test_a_death_fails_its_item_alone():
    with pytest.raises(ParallelError) as caught:
        make(6).apply_parallel(dies_on_two, src="images", target="mpc")
    assert {n: type(error) for n, error in caught.value.errors.items()} == {0: WorkerDied}
    assert caught.value.__cause__.exitcode == 9


def test_what_cannot_be_carried():
    lock = threading.Lock()
    with pytest.raises(ParallelError) as caught:
        make().apply_parallel(lambda item: lock, src="images", target="mpc")
    assert len(caught.value.errors) == 4
    assert isinstance(caught.value.__cause__, TransportError)
    with pytest.raises(ParallelError) as caught:
        make().apply_parallel(unpicklable, src=np.arange(4), dst="out", target="mpc")
    assert list(caught.value.errors) == [1]


def test_calls_within_calls():
    for target in TARGETS:
        made = make().apply_parallel(nested, src="images", target=target)
        assert made.images.tolist() == [8, 9, 10, 11]
    with pytest.raises(ParallelError, match="inside a worker"):
        make().apply_parallel(nested_processes, src="images", target="mpc")


@every_target
async def test_the_loop_goes_on(target):
    beats, seen = 0, []

    async def heart():
        nonlocal beats
        while True:
            await asyncio.sleep(0)
            beats += 1

    def watched(item):
        seen.append(beats)
        return computes(0.001)

    function = {"for": watched, "async": watched}.get(target, sleeps)
    other = asyncio.create_task(heart())
    await make(20).apply_parallel_async(function, init=[0.01] * 20, dst="out", target=target)
    other.cancel()
    assert beats > 20
    assert all(before < after for before, after in itertools.pairwise(seen))


async def test_cancelling():
    done = []

    async def slowly(item):
        await asyncio.sleep(10)

    def briefly(item):
        time.sleep(0.02)
        done.append(item)

    for function, target in ((slowly, "async"), (briefly, "threads"), (sleeps, "mpc")):
        made = make(60)
        init = {"init": [0.02] * 200} if target == "mpc" else {"src": "images"}
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await made.apply_parallel_async(
                    function, **init, dst="out", target=target, n_workers=2
                )
        assert made.components == ("images", "masks")
    count = len(done)
    assert count < 60
    await asyncio.sleep(0.1)
    assert len(done) <= count + 2
    assert (await make().apply_parallel_async(double, src="images", target="m")).images[0] == 4


SLOW = {"init": [20] * 4, "dst": "out", "target": "mpc", "n_workers": 2}


async def test_cancelled_work_is_not_waited_for():
    """The next call gets workers of its own, as after a timeout."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await make().apply_parallel_async(sleeps, **SLOW)
    async with asyncio.timeout(10):
        made = await make().apply_parallel_async(double, src="images", target="mpc", n_workers=2)
    assert made.images.tolist() == [4, 6, 8, 10]


def test_interrupted_work_is_not_waited_for():
    thread, number = threading.get_ident(), signal.SIGINT
    timer = threading.Timer(1, signal.pthread_kill, (thread, number))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        make().apply_parallel(sleeps, **SLOW)
    timer.join()
    made = make().apply_parallel(double, src="images", target="mpc", n_workers=2, timeout=10)
    assert made.images.tolist() == [4, 6, 8, 10]


def test_plain_functions_do_not_hold_the_loop_of_others():
    """Blocking calls share a loop: what stands still on it holds up everybody."""
    begun, free = threading.Event(), threading.Event()

    def holding(item):
        begun.set()
        assert free.wait(20)
        return item

    held = threading.Thread(
        target=make().apply_parallel, args=(holding,), kwargs={"src": "images", "target": "async"}
    )
    held.start()
    assert begun.wait(10)
    other = threading.Thread(
        target=make().apply_parallel, args=(scaled_async,), kwargs={"src": "images"}
    )
    other.start()
    other.join(10)
    stuck = other.is_alive()
    free.set()
    held.join(20)
    other.join(20)
    assert not stuck


def test_plain_functions_may_return_coroutines():
    made = make(kind=Pictures)

    async def noisy(item):
        return item + made.random.random()

    found = made.apply_parallel(lambda item: noisy(item), src="images", dst="out", target="async")
    expected = make(kind=Pictures).noisy(src="images", target="for")
    np.testing.assert_array_equal(found.out, expected.images)


def test_shutdown_and_anew():
    batch.shutdown()
    batch.shutdown()
    assert make().apply_parallel(double, src="images", target="mpc").images[0] == 4


async def test_shutdown_waits_for_calls():
    call = asyncio.create_task(
        make().apply_parallel_async(sleeps, init=[0.2] * 2, dst="out", target="mpc")
    )
    await asyncio.sleep(0.1)
    await batch.shutdown_async()
    assert (await call).out.tolist() == [0.2, 0.2]


PROGRAM = """
import os, sys
import numpy as np
from aioaug.batch import Batch
from batch_testing import double, sleeps, scaled_async

if __name__ == "__main__":
    made = Batch(np.arange(3), preloaded=np.arange(3.0))
    made.apply_parallel(double, target="mpc")
    made.apply_parallel(scaled_async)
    if "fork" in sys.argv:
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
        else:
            made.apply_parallel(scaled_async)
            os._exit(0)
    if "busy" in sys.argv:
        try:
            made.apply_parallel(sleeps, init=[30], dst="out", target="mpc", timeout=0.1)
        except RuntimeError:
            pass
    print(made.data.tolist())
"""


@pytest.mark.parametrize("argument", ["plain", "busy", "fork"])
def test_a_program_just_ends(argument, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    path = f"{__file__.rpartition('/')[0]}/../support"
    environment = {"PYTHONPATH": f"{path}:{batch.__file__.rpartition('/aioaug/')[0]}"}
    warnings = [] if argument == "fork" else ["-W", "error"]
    result = subprocess.run(
        [sys.executable, *warnings, tmp_path / "program.py", argument],
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (result.returncode, result.stdout) == (0, "[0.0, 2.0, 4.0]\n"), result.stderr
    assert argument == "fork" or result.stderr == ""


# -- decorators --


@every_target
def test_decorated_methods(target):
    made = make(kind=Pictures)
    made.create_attrs(bias=100)
    assert made.plus(by=1, target=target).images.tolist() == [103, 104, 105, 106]
    # batchflow takes a positional argument for the init.
    assert made.plus(2, target=target).images.tolist() == [205, 206, 207, 208]
    assert made._plus_(1, by=1) == 102
    assert made.halved(target=target).halves.tolist() == [102.5, 103, 103.5, 104]
    assert made.awaited().threads.tolist() == [410, 412, 414, 416]
    assert Pictures.plus.action["method"].__name__ == "plus"
    assert Pictures._plus_.__name__ == "_plus_"


def test_methods_in_processes_get_the_data_of_their_batch_when_they_ask_for_it():
    made = make(kind=Pictures)
    made.create_attrs(bias=1)
    assert made.beside(target="mpc").found.tolist() == [142, 143, 144, 145]
    copies = made.itself(target="mpc").found
    assert [copy.labels.tolist() for copy in copies] == [[20, 30, 40, 50]] * 4
    assert made.summed_labels().results == [142, 143, 144, 145]
    with pytest.raises(ParallelError, match="assemble") as caught:
        made.beside(target="mpc", no_such_argument=1)
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize("kind", ["plus", "named"])
def test_methods_in_processes_travel_without_the_data_of_their_batch(kind, monkeypatch):
    sent = []
    for_workers = Task.for_workers
    monkeypatch.setattr(
        Task,
        "for_workers",
        lambda task: sent.append(len(pickle.dumps(for_workers(task)[0]))) or for_workers(task),
    )
    made = Pictures(np.arange(2), preloaded=(np.zeros((2, 100_000)), np.zeros((2, 100_000))))
    getattr(made, kind)(target="mpc")
    assert max(sent) < 5_000
    assert made.data is not None


async def test_methods_of_a_class_above_and_in_their_place():
    made = make(kind=Below)
    for target in ("for", "mpc"):  # a bound method would be looked up in the class below
        made.load(src=np.arange(6.0), dst="images")
        await in_thread(made.above, target)
        assert (made.images.tolist(), made.results) == ([3, 4, 5, 6], [4, 6, 8, 10])
    made.create_attrs(loads=0)
    await made.load_async(src=np.arange(6.0), dst="images")
    assert made.loads == 1


async def test_decorated_methods_have_twins():
    made = make(kind=Pictures)
    await made.plus_async(by=1, target="mpc")
    await (await made.awaited_async()).described_async()
    assert made.images.tolist() == [3, 4, 5, 6]
    assert made.threads.tolist() == [6, 8, 10, 12]
    assert made.texts.tolist() == ["4", "5", "6", "7"]
    await made.to_array_async(src="images", dtype="int16")
    assert made.images.dtype == np.int16


def test_defaults_of_a_class():
    class Kind(Pictures):
        apply_defaults = {**Pictures.apply_defaults, "src": "labels", "target": "for"}

        @apply_parallel
        def thread(self, item, src=None):
            return f"{threading.current_thread().name} {src}"

    made = make(kind=Kind)
    assert made.thread(dst="names").names[0] == "MainThread labels"
    assert "aioaug" in made.thread(dst="others", target="t").others[0]
    assert made.noisy(dst="x").x[0] >= 20


def test_decorators_take_named_arguments_only():
    for decorator in (apply_parallel, batch.action):
        with pytest.raises(ValueError, match="named arguments"):
            decorator("images")


def test_inbatch_parallel():
    made = make(kind=Pictures)
    for target in TARGETS:
        made.named(by=3, target=target)
        assert made.results == [6, 9, 12, 15]
        assert made.passed == {"more": 5, "by": 3}
        assert made.named(2, target=target).results == [4, 6, 8, 10]
        assert made.named(P([1, 2, 3, 4]), target=target).results == [2, 6, 12, 20]
    assert made.once().once().calls == 2


def test_inbatch_parallel_inits():
    made = make(kind=Pictures).added()
    assert made.results == [3, 7, 11, 7, 8]


async def test_inbatch_parallel_has_a_twin():
    made = await make(kind=Pictures).named_async(by=2)
    assert made.results == [4, 6, 8, 10]
    assert (await made.once_async()).calls == 1


def test_inbatch_parallel_errors(capfd):
    made = Pictures([0, 1, 2], preloaded=(np.arange(3), None))
    for options in ({}, {"target": "t"}, {"target": "m"}):
        with pytest.raises(ParallelError, match="Parallel action failed") as caught:
            made.failing(**options)
        assert list(caught.value.errors) == [0, 2]
        assert isinstance(caught.value.__cause__, KeyError)
    assert capfd.readouterr() == ("", "")
    with pytest.raises(KeyError, match="item 0"):
        made.failing(debug=True)
    with pytest.raises(ValueError, match="nothing_like_it"):
        made.badly_made()
    with pytest.raises(ValueError, match="gpu"):
        inbatch_parallel(init="indices", target="gpu")
    with pytest.raises(ValueError, match="debug"):
        inbatch_parallel(init="indices", debug=True)
    with pytest.raises(ValueError, match="init"):
        inbatch_parallel(init=None, target="for")(lambda item: item)()


def test_inbatch_parallel_of_a_function():
    @inbatch_parallel(init=[1, 2, 3], post=lambda results, *args: (results, args))
    def plus(item, more):
        return item + more

    assert plus(10) == ([11, 12, 13], (10,))
