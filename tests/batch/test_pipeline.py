"""Indices, datasets and pipelines, for callers that block and for coroutines."""

import asyncio
import time

import numpy as np
import pytest
from aioaug import batch as package
from aioaug._aio.tasks import in_thread
from aioaug.batch import B, Batch, Dataset, DatasetIndex, FilesIndex, P, Pipeline, R
from batch_testing import Pictures, Two


@pytest.fixture(autouse=True)
def _workers_end(no_leaks):
    yield
    package.shutdown()


@pytest.fixture
def dataset():
    return Dataset(10, Pictures, preloaded=(np.arange(10.0), np.arange(10)))


def images(batches):
    return [batch.images.tolist() for batch in batches]


# -- indices and datasets --


def test_index():
    index = DatasetIndex(["a", "b", "c"])
    assert (index.size, index.get_pos("b"), index.get_pos(["c", "a"]).tolist()) == (3, 1, [2, 0])
    assert index.get_pos(label for label in "cb").tolist() == [2, 1]
    days = DatasetIndex(np.array(["2024-02-28", "2024-02-29"], "M8[D]"))
    assert days.get_pos(np.array("2024-02-29", "M8[s]")) == 1
    assert index.subset_by_pos([2]).tolist() == ["c"]
    assert DatasetIndex.concat(index, DatasetIndex(["d"])).indices.tolist() == list("abcd")
    assert DatasetIndex(lambda: [1, 2]).index.tolist() == [1, 2]
    assert DatasetIndex(7).create_subset(index).indices.tolist() == list("abc")
    for wrong, error in (([], ValueError), (0, ValueError), ([[1]], TypeError)):
        with pytest.raises(error, match="index"):
            DatasetIndex(wrong)
    with pytest.warns(UserWarning, match="more than once"):
        assert DatasetIndex([1, 1]).get_pos(1) == 0


def test_files_index(tmp_path):
    for name in ("b.tar.gz", "a.png", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "c.png").touch()
    index = FilesIndex(path=[f"{tmp_path}/*", f"{tmp_path}/more/*"], no_ext=True, sort=True)
    assert index.indices.tolist() == ["a", "b.tar", "c"]
    assert index.get_fullpath("c") == f"{tmp_path}/more/c.png"
    part = index.create_subset(["c"])
    assert (type(part), part.paths) == (FilesIndex, {"c": f"{tmp_path}/more/c.png"})
    assert FilesIndex(path=f"{tmp_path}/*", dirs=True).indices.tolist() == ["more"]
    assert FilesIndex([3, 4], paths=["x", "y"]).paths == {3: "x", 4: "y"}
    both = FilesIndex.concat(part, FilesIndex(["d"], paths={"d": "x"}))
    assert both.get_fullpath("d") == "x"
    (tmp_path / "more" / "a.png").touch()
    with pytest.raises(ValueError, match=r"two items are called 'a.png'"):
        FilesIndex(path=[f"{tmp_path}/*", f"{tmp_path}/more/*"])
    with pytest.warns(UserWarning, match="no items"):
        assert FilesIndex(path=f"{tmp_path}/nothing/*").indices.tolist() == []
    for path, error in (([], ValueError), (1, TypeError), ([None], TypeError)):
        with pytest.raises(error, match="path"):
            FilesIndex(path=path)
    with pytest.raises(ValueError, match="path"):
        FilesIndex([1])


def test_batches_of_a_dataset(dataset):
    assert images([dataset.next_batch(4) for _ in range(3)]) == [
        [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1],
    ]  # fmt: skip
    dataset.reset("iter")
    assert images([dataset.next_batch(4)]) == [[0, 1, 2, 3]]
    assert images(dataset.gen_batch(4, n_epochs=1)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert images(dataset.gen_batch(4, n_epochs=1, drop_last=True)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(list(dataset.gen_batch(4, n_iters=7))) == 7
    dataset.reset()
    with pytest.raises(StopIteration):
        [dataset.next_batch(5, n_epochs=1) for _ in range(3)]
    for arguments in ({"batch_size": 11}, {"batch_size": 0}, {"batch_size": 2, "n_iters": -1}):
        with pytest.raises(ValueError, match=r"batch_size|n_iters"):
            dataset.next_batch(**arguments)
    with pytest.raises(ValueError, match="only one"):
        dataset.next_batch(2, n_iters=1, n_epochs=1)
    first = images(dataset.gen_batch(5, shuffle=3, n_epochs=2))
    assert first == images(dataset.gen_batch(5, shuffle=3, n_epochs=2))
    assert sorted(first[0] + first[1]) == list(range(10))
    assert first[0] != [0, 1, 2, 3, 4]
    assert dataset.create_batch([7, 2], own=1).get_attrs() == {"own": 1}
    assert dataset.create_batch([1], pos=True).indices.tolist() == [1]


async def test_batches_awaited(dataset):
    assert (await dataset.next_batch_async(4)).images.tolist() == [0, 1, 2, 3]
    dataset.reset()
    with pytest.raises(StopAsyncIteration):
        for _ in range(3):
            await dataset.next_batch_async(5, n_epochs=1)
    async with dataset.gen_batch_async(4) as stream:
        found = [batch async for batch in stream]
    assert images(found) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_split(dataset):
    dataset.split([0.6, 0.2], shuffle=1)
    parts = dataset.train, dataset.test, dataset.validation
    assert [len(part) for part in parts] == [6, 2, 2]
    assert sorted(n for part in parts for n in part.indices) == list(range(10))
    batch = dataset.test.next_batch(2)
    assert batch.images.tolist() == dataset.test.indices.tolist()
    assert type(batch) is Pictures
    assert dataset.is_split
    for shares in (1.2, [0.5, 0.6], [-0.1], [0.25] * 4):
        with pytest.raises(ValueError, match="shares"):
            dataset.split(shares)
    with pytest.raises(IndexError):
        dataset.create_subset([11])
    with pytest.raises(TypeError, match="batch_class"):
        Dataset(10, dict)


# -- pipelines --


def test_pipeline(dataset):
    log = []
    pipeline = dataset.pipeline().plus(by=1).note(log, what=B.size)
    assert log == []
    assert pipeline.run(4) is pipeline
    assert log == [4, 4, 2]
    assert images(pipeline.gen_batch(5)) == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]
    assert images([pipeline.next_batch(5), pipeline.next_batch(5)])[1] == [6, 7, 8, 9, 10]
    pipeline.reset()
    batch = pipeline.next_batch(5)
    assert batch.images.tolist() == [1, 2, 3, 4, 5]
    assert (batch.pipeline, batch.iteration, batch.dataset) == (pipeline, 1, dataset)
    assert len([pipeline.next_batch(5) for _ in range(30)]) == 30
    pipeline.reset()
    with pytest.raises(StopIteration):
        [pipeline.next_batch(5, n_epochs=1) for _ in range(3)]


def test_pipelines_are_joined_and_bound(dataset):
    free = Pipeline().plus(by=1)
    twice = free + Pipeline().plus(by=10)
    assert (len(free), len(twice)) == (1, 2)
    assert images((dataset >> twice).gen_batch(10)) == [[n + 11 for n in range(10)]]
    assert images((free << dataset).gen_batch(10)) == [[n + 1 for n in range(10)]]
    with pytest.raises(ValueError, match="no dataset"):
        free.run(3)
    with pytest.raises(AttributeError, match="no action 'nothing'"):
        dataset.p.nothing()
    with pytest.raises(AttributeError, match="no action 'forms'"):
        _ = dataset >> Pipeline().forms()


@pytest.mark.parametrize("prefetch", [0, 3])
@pytest.mark.parametrize("target", ["for", "threads", "mpc"])
async def test_what_is_drawn_does_not_depend_on_the_way(dataset, prefetch, target):
    scale = P(R("uniform", 1, 2))
    pipeline = dataset.p.noisy(src="images", target=target, p=0.7).plus(by=scale, target=target)
    alike = dataset.p.noisy(src="images", target="for", p=0.7).plus(by=scale)
    expected = images(await in_thread(lambda: list(alike.gen_batch(3, shuffle=5, n_epochs=2))))
    async with pipeline.gen_batch_async(3, shuffle=5, n_epochs=2, prefetch=prefetch) as stream:
        assert images([batch async for batch in stream]) == expected
    await pipeline.run_async(3, shuffle=5)


@pytest.mark.parametrize("prefetch", [0, 3])
def test_prefetching_blocks_for_those_who_want(dataset, prefetch):
    pipeline = dataset.p.noisy(src="images").plus()
    found = images(pipeline.gen_batch(3, shuffle=5, prefetch=prefetch))
    assert found == images(pipeline.gen_batch(3, shuffle=5))
    early = pipeline.gen_batch(3, prefetch=prefetch)
    next(early)
    early.close()
    with pytest.raises(KeyError, match="spoilt"):
        list(dataset.p.failing_alone().gen_batch(3, prefetch=prefetch))


async def test_the_loop_goes_on_while_a_pipeline_runs():
    running = []

    class Slow(Two):
        @package.action
        def rest(self, most):
            running.append(1)
            most.append(len(running))
            time.sleep(0.05)
            running.pop()
            return self

    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticker = asyncio.create_task(tick())
    most = []
    await Dataset(9, Slow, preloaded=(np.arange(9), None)).p.rest(most).run_async(1, prefetch=2)
    assert 2 <= max(most) <= 3
    assert ticks > 5
    ticker.cancel()


def test_the_pipeline_is_known_in_threads():
    """batchflow keeps it for one thread."""
    found = []

    class Curious(Two):
        @package.apply_parallel(src="images", target="threads")
        def look(self, item):
            found.append((self.pipeline, self.dataset))
            return item

    dataset = Dataset(3, Curious, preloaded=(np.arange(3), None))
    pipeline = dataset.p.look().run(3)
    assert found == [(pipeline, dataset)] * 3


async def test_coroutines_as_actions(dataset):
    log = []
    await dataset.p.coroutine_action(log).run_async(5)
    assert log == ["MainThread"] * 2
    dataset_in_a_thread = dataset.p.coroutine_action(log)
    await in_thread(dataset_in_a_thread.run, 5)
    assert all("portal" in name for name in log[2:])


async def test_locks(dataset):
    log = []
    await dataset.p.alone(log).run_async(2, prefetch=4)
    assert log == [1, -1] * 5
    pipeline = dataset.p.failing_alone()  # batchflow does not release it
    for _ in range(2):
        with pytest.raises(KeyError, match="spoilt") as caught:
            await asyncio.wait_for(pipeline.run_async(5), 5)
        assert "in action 'failing_alone' of batch 1" in caught.value.__notes__
    assert Pictures.alone.action["use_lock"] is True


def test_arguments_that_are_not_worked_out(dataset):
    lazy, log = [], []
    dataset.p.lazily(lazy, what=R("normal")).note(log, what=R("normal")).run(10)
    assert isinstance(lazy[0], R)
    assert isinstance(log[0], float)
    assert Pictures.lazily.action["no_eval"] == ["what"]


async def test_errors(dataset):
    with pytest.raises(TypeError, match="'returns_nothing' must return a batch, got None"):
        dataset.p.returns_nothing().run(2)
    with pytest.raises(TypeError, match="shuffle"):
        dataset.p.plus().run(2, shuffle="yes")
    with pytest.raises(ValueError, match="prefetch"):
        dataset.p.plus().run(2, prefetch=-1)
    async with dataset.p.plus().failing_alone().gen_batch_async(5) as stream:
        for _ in range(2):  # an error takes the place of its batch
            with pytest.raises(KeyError):
                await anext(stream)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


# Each would end a generator, a future, a stream, a task or the program of whoever waits for it.
@pytest.mark.parametrize(
    "error",
    [StopIteration, StopAsyncIteration, GeneratorExit, asyncio.CancelledError, SystemExit],
    ids=lambda kind: kind.__name__,
)
async def test_errors_that_mean_something_to_those_who_wait(dataset, error):
    pipeline = dataset.p.raising(error("spoilt"))
    with pytest.raises(RuntimeError, match=error.__name__) as caught:
        await pipeline.run_async(5)
    assert "in action 'raising' of batch 1" in caught.value.__notes__
    with pytest.raises(RuntimeError, match=error.__name__):
        await in_thread(lambda: pipeline.run(5, prefetch=1))
    with pytest.raises(RuntimeError, match=error.__name__):
        async with pipeline.gen_batch_async(5) as stream:
            [batch async for batch in stream]

    def post(results, **kwargs):
        raise error("spoilt")

    with pytest.raises(RuntimeError, match=error.__name__) as caught:
        await dataset.p.apply_parallel(abs, src="images", post=post).run_async(5)
    assert "in action 'apply_parallel' of batch 1" in caught.value.__notes__
    if issubclass(error, Exception):
        for way in (lambda: pipeline.run(5), lambda: pipeline.next_batch(5)):
            with pytest.raises(RuntimeError, match=error.__name__):
                await in_thread(way)
        with pytest.raises(RuntimeError, match=error.__name__):
            await dataset.p.raising_awaited(error("spoilt")).run_async(5)


async def test_from_files(tmp_path):
    whole = Batch(np.arange(6)).add_components(("images", "labels"), (np.arange(6.0), np.arange(6)))
    path = str(tmp_path / "all.npz")
    await whole.dump_async(dst=path, fmt="npz")
    found = []
    pipeline = Dataset(6, Pictures).pipeline().load(src=path, fmt="npz").plus(by=1)
    async for batch in pipeline.gen_batch_async(4, prefetch=1):
        found += batch.images.tolist()
    assert found == [1, 2, 3, 4, 5, 6]
    out = np.zeros(6)
    await pipeline.dump(dst=out, components="labels").run_async(3)
    assert out.tolist() == [0, 1, 2, 3, 4, 5]


async def test_cancelling_a_run():
    log, both = [], asyncio.Event()

    class Slow(Two):
        @package.action
        async def rest(self):
            log.append(1)
            if len(log) == 2:
                both.set()
            await asyncio.Event().wait()

    slow = Dataset(6, Slow, preloaded=(np.arange(6), None)).p.rest()
    run = asyncio.create_task(slow.run_async(1, prefetch=1))
    await both.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert len(log) == 2
