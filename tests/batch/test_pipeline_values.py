"""What pipelines keep beside batches: order, other sizes, variables, options, folds, bad items."""

import asyncio
import itertools

import numpy as np
import pytest
from aioaug import batch as package
from aioaug._aio.tasks import in_thread
from aioaug.batch import PP, B, C, D, Dataset, DatasetIndex, F, FilesIndex, I, L, P, Pipeline, R, V
from batch_testing import Pictures, Two, fails_on_two


@pytest.fixture(autouse=True)
def _workers_end(no_leaks):
    yield
    package.shutdown()


class Trained(Pictures):
    @package.action
    async def wait_longer_the_earlier(self):
        for _ in range(20 - 2 * self.iteration):
            await asyncio.sleep(0)
        if self.iteration == 3:
            raise LookupError("spoilt")
        return self

    @package.action(ordered=True)
    async def train(self, log):
        log.append(self.iteration)
        await asyncio.sleep(0)
        log.append(-self.iteration)
        return self


@pytest.fixture
def dataset():
    return Dataset(10, Trained, preloaded=(np.arange(10.0), np.arange(10)))


async def test_ordered_actions_are_done_in_the_order_of_batches(dataset):
    log = []
    pipeline = dataset.p.wait_longer_the_earlier().train(log)
    assert Trained.train.action["ordered"] is True
    async with pipeline.gen_batch_async(2, prefetch=4) as stream:
        for number in range(1, 6):
            if number == 3:  # it is passed over
                with pytest.raises(LookupError):
                    await anext(stream)
            else:
                assert (await anext(stream)).iteration == number
    assert log == [1, -1, 2, -2, 4, -4, 5, -5]


class Marked(Two):
    async def note(self, log):
        for _ in range(5):
            log.append(self.iteration)
            await asyncio.sleep(0)

    @package.action(ordered=True)
    @package.apply_parallel(src="images")
    async def ordered(self, image, log):
        await self.note(log)

    @package.apply_parallel(src="images")
    @package.action(use_lock=True)
    async def locked(self, image, log):
        await self.note(log)

    @package.action(use_lock=True)
    @package.inbatch_parallel(init="indices")
    async def locked_too(self, label, log):
        await self.note(log)

    @package.action(use_lock=True)
    async def locked_as_a_whole(self, log):
        await self.note(log)
        return self


@pytest.mark.parametrize("name", ["ordered", "locked", "locked_too", "locked_as_a_whole"])
async def test_what_is_called_for_each_item_keeps_its_lock_and_order(name):
    log = []
    dataset = Dataset(10, Marked, preloaded=(np.arange(10), None))
    await getattr(dataset.p, name)(log).run_async(2, prefetch=4)
    assert len(list(itertools.groupby(log))) == 5  # no other batch came in between
    assert name != "ordered" or log == sorted(log)
    wanted = {"use_lock": name != "ordered" or None, "ordered": name == "ordered"}
    assert {**getattr(Marked, name).action, **wanted} == getattr(Marked, name).action


@pytest.mark.parametrize("prefetch", [0, 3])
def test_rebatch(dataset, prefetch):
    sizes = []
    before = dataset.p.call(sizes.append, B.size).noisy(src="images")
    pipeline = before.rebatch(4).call(sizes.append, -B.size).noisy(src="images")
    batches = list(pipeline.gen_batch(3, shuffle=1, n_epochs=2, prefetch=prefetch))
    assert [len(batch) for batch in batches] == [4] * 5
    assert [type(batch) for batch in batches] == [Trained] * 5
    assert sorted(sizes) == [-4] * 5 + [2] + [3] * 6
    again = list(pipeline.gen_batch(3, shuffle=1, n_epochs=2))
    assert [batch.images.tolist() for batch in again] == [b.images.tolist() for b in batches]
    halves = (Pipeline().rebatch(6) + Pipeline().rebatch(5)) << dataset
    assert [len(batch) for batch in halves.gen_batch(3)] == [5, 5]
    assert [len(pipeline.next_batch(10)) for _ in range(4)] == [4] * 4
    with pytest.raises(ValueError, match="batch_size"):
        pipeline.rebatch(0)
    spoilt = dataset.p.failing_alone().rebatch(4)
    with pytest.raises(KeyError, match="spoilt"):
        list(spoilt.gen_batch(3, prefetch=prefetch))


async def test_rebatch_ends_early_with_all_that_it_reads(dataset):
    async with dataset.p.plus().rebatch(4).plus().gen_batch_async(3, prefetch=2) as stream:
        assert (await anext(stream)).images.tolist() == [2, 3, 4, 5]


@pytest.mark.parametrize("prefetch", [0, 3])
async def test_variables_and_options(dataset, prefetch):
    pipeline = (
        dataset.pipeline({"factor": 10})
        .init_variable("numbers", [])
        .init_variable("sum", 0)
        .update(B.images, B.images * C.factor)
        .update(V("numbers", mode="a"), I())
        .update(V.sum, V.sum + F(np.sum)(B.labels))
        .call(lambda number: {"last": number}, I("total"), save_to=V("table", mode="w"))
        .update(V.table["ratio"], I("ratio"))
    )
    batches = await in_thread(lambda: list(pipeline.gen_batch(4, prefetch=prefetch)))
    assert batches[0].images.tolist() == [0, 10, 20, 30]
    assert pipeline.v("numbers") == [1, 2, 3]
    assert pipeline.get_variable("sum") == 45
    assert pipeline.v("table") == {"last": 3, "ratio": 1}
    pipeline.reset("vars")
    assert pipeline.variables == {"numbers": [], "sum": 0}
    pipeline.set_config({"factor": 0}).set_variable("sum", 1)
    await pipeline.run_async(10, prefetch=prefetch)
    assert pipeline.v("sum") == 46
    with pytest.raises(KeyError, match="nothing"):
        await dataset.p.note([], what=C.nothing).run_async(10)
    with pytest.raises(TypeError, match="save_to"):
        dataset.p.update("images", 1)


def test_values_of_batches(dataset):
    dataset.scale = 3
    found = []
    pipeline = dataset.p.call(
        lambda *args: found.append(args),
        *(D.scale, D().size, C("nothing", default=7), F(lambda: 5), PP(R("integers", 9))),
        *(P(R("uniform", 1, 2) * 10), L("labels").real, L("labels").real * 2),
    )
    batch = pipeline.next_batch(2)
    scale, size, default, called, each, scaled, real, more = found[0]
    assert (scale, size, default, called, real, more) == (3, 10, 7, 5, [0, 1], [0, 1, 0, 1])
    assert len(each.values) == len(scaled.values) == 2
    assert all(10 <= value < 20 for value in scaled.values)
    batch.images = np.array([[1, 2], [3, 4]])
    L("images")[0].set(batch, [5, 6])
    B.images[1, 1].set(batch, 7)
    B.own.set(batch, "x")
    assert (batch.images.tolist(), batch.own) == ([[5, 2], [6, 7]], "x")
    for wrong in (R("normal"), B(), B.x + 1, I(), F(len)):
        with pytest.raises(TypeError, match="cannot be assigned"):
            wrong.set(batch, 1)
    with pytest.raises(ValueError, match="no pipeline"):
        V.x.get(Two([1]))
    with pytest.raises(ValueError, match="not known"):
        I("nothing").get(batch)


def test_folds(dataset):
    dataset.cv_split(n_splits=3)
    parts = [dataset.cv(n).test.indices.tolist() for n in range(3)]
    assert parts == [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert dataset.cv1.train.indices.tolist() == [0, 1, 2, 3, 7, 8, 9]
    assert dataset.train.cv1 is dataset.cv1.train
    assert dataset.test.cv1 is dataset.cv1.test
    assert dataset.cv1.test.next_batch(3).labels.tolist() == [4, 5, 6]
    dataset.cv_split(n_splits=2, shuffle=1)
    for owner in (dataset, dataset.train, dataset.test):
        with pytest.raises(AttributeError, match="cv_split"):
            _ = owner.cv2
    for wrong in ({"n_splits": 11}, {"n_splits": 1}, {"method": "loo"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            dataset.cv_split(**wrong)


def test_parts_of_indices(dataset, tmp_path):
    index = DatasetIndex(list("abcde"))
    assert index.calc_split([0.4, 0.6]) == (2, 3, 0)
    assert sorted(index.shuffle(3)) == [0, 1, 2, 3, 4]
    assert index.shuffle(3).tolist() == index.shuffle(3).tolist() != index.shuffle(4).tolist()
    assert index.create_batch([1, 0]).indices.tolist() == ["b", "a"]
    assert index.create_batch(["c"], pos=False).indices.tolist() == ["c"]
    other = Dataset.from_dataset(dataset, [3, 4], batch_class=Two)
    assert (other.batch_class, other.next_batch(2).images.tolist()) == (Two, [3, 4])
    assert Dataset.build_index(index) is index
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").touch()
    files = FilesIndex(path=f"{tmp_path}/*/*", folders=True, sort=True, no_ext=True)
    assert files.indices.tolist() == ["cats/1", "dogs/1"]
    batch = Two(files).load(src=files.folders, dst="masks")
    assert batch.masks.tolist() == ["cats", "dogs"]


@pytest.mark.parametrize("target", ["for", "threads", "mpc"])
def test_bad_items_are_left_out(target):
    made = Two(list("abcd"))
    made.data_setter = (np.arange(4), np.arange(4) * 1.5)
    with pytest.warns(RuntimeWarning, match="1 of 4 items.*cannot take 2"):
        made.apply_parallel(
            fails_on_two, src=["images", "images"], dst=["images", "more"], target=target,
            on_error="skip",
        )  # fmt: skip
    assert (made.indices.tolist(), made.images.tolist()) == (["a", "b", "d"], [0, 1, 3])
    assert (made.more.tolist(), made["d"].masks) == ([0, 1, 3], 4.5)
    with pytest.raises(package.ParallelError):
        Two([1]).apply_parallel(fails_on_two, src=np.array([2]), dst="images", on_error="skip")
    with pytest.raises(ValueError, match="on_error"):
        made.apply_parallel(fails_on_two, src="images", on_error="ignore")
    with pytest.raises(ValueError, match="on_error"):
        made.apply_parallel(fails_on_two, init="indices", dst="a", on_error="skip")
