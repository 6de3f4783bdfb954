"""The ground floors: seeds, indices, CPUs, forms, outcomes, arguments, optional imports."""

from __future__ import annotations

import asyncio
import pickle
import random
import threading

import aioaug
import aioaug_testing as aug
import numpy as np
import pytest
from aioaug._base import optional, seeding
from aioaug._base.results import Failure, Success, attempt
from aioaug.augmenters import batch_forms
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(deadline=None)
@given(st.integers(0, seeding.SEED_LIMIT), st.integers(0, 10**7))
def test_seeds_are_those_of_imgaug(seed, index):
    from imgaug.multicore import _derive_seed

    seeds = seeding.batch_seeds(seed, index)
    assert seeds.augmenter == _derive_seed(seed + index)
    assert seeds.library == _derive_seed(seed + index, -(10**9))


def test_golden_seeds():
    assert seeding.batch_seeds(1, 0) == (1, 1147483648)
    assert seeding.batch_seeds(2**31 - 1, 1) == (1, 1147483648)
    assert seeding.batch_seeds(10**9, 5) == (1000000005, 5)


def test_indices():
    indices = seeding.IndexAllocator()
    assert [indices.allocate(), indices.allocate(3), indices.allocate()] == [0, 1, 4]
    indices.give_back(2)  # not the newest: it stays taken
    assert indices.next == 5
    for index in (4, 3):
        indices.give_back(index)
    assert indices.allocate() == 3


@pytest.mark.parametrize("engine", ["process", "thread", "inline"])
async def test_foreign_augmenters_are_seeded_by_index(engine):
    async def run(augmenter, workers):
        pool = aioaug.AsyncPool(augmenter, processes=workers, seed=3, engine=engine)
        async with pool:
            return await pool.map_batches(list(range(6)), chunksize=1)

    for augmenter in (aug.with_rng, aug.with_globals):
        first = await run(augmenter, 1)
        assert first == await run(augmenter, 3)
        assert len({numbers[1] for numbers in first}) == 6
    async with aioaug.AsyncPool(aug.with_globals, processes=1, seed=3) as pool:
        assert await pool.map_batches(list(range(6))) == first


@pytest.mark.parametrize("engine", ["thread", "inline"])
async def test_the_users_own_generators_are_left_alone(engine):
    import imgaug
    import imgaug.augmenters as iaa

    imgaug.random.get_global_rng()  # its birth draws from NumPy's

    def state():
        return random.getstate(), str(np.random.get_state()), str(imgaug.random.get_global_rng())

    before = state()
    for augmenter, batch in (
        (aug.with_globals, 0),
        (iaa.AdditiveGaussianNoise(scale=9), np.zeros((1, 8, 8, 3), np.uint8)),
    ):
        async with aioaug.AsyncPool(augmenter, processes=2, engine=engine, seed=1) as pool:
            await pool.map_batches([batch] * 5)
    assert state() == before


@pytest.mark.parametrize("engine", ["process", "thread", "inline"])
async def test_a_callables_input_stays_as_it_is(engine):
    batch = ["mine"]
    async with aioaug.AsyncPool(aug.spoil, processes=1, engine=engine) as pool:
        assert await pool.map_batches([batch]) == [["mine", "spoilt"]]
    assert batch == ["mine"]


def _noop(batch):
    import imgaug.augmenters as iaa

    return batch_forms.augment(batch, iaa.Identity().augment_batch_)


def test_forms_come_back_as_they_went_in():
    import imgaug as ia

    image = ia.quokka(size=(16, 16))
    points = ia.quokka_keypoints(size=(16, 16))
    for batch in (np.stack([image, image]), np.stack([image[..., 0]] * 2)):
        result = _noop(batch)
        assert isinstance(result, np.ndarray)
        assert (result == batch).all()
    for batch in ([image, image[:8]], [image[..., 0]], [points], []):
        result = _noop(batch)
        assert isinstance(result, list)
        assert len(result) == len(batch)
        assert [type(item) for item in result] == [type(item) for item in batch]


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ("picture", TypeError, "got str"),
        ({"images": []}, TypeError, "got dict"),
        (np.zeros((4, 4)), ValueError, r"got shape \(4, 4\)"),
        ([1, 2], TypeError, "got int"),
        ([np.zeros((2, 2, 3)), "x"], TypeError, "got str"),
    ],
)
async def test_forms_that_are_none(batch, error, message):
    import imgaug.augmenters as iaa

    with pytest.raises(error, match=message):
        batch_forms.check(batch)
    async with aioaug.AsyncPool(iaa.Identity(), processes=1) as pool:
        with pytest.raises(error, match=message):
            await pool.map_batches([np.zeros((1, 2, 2, 3), np.uint8), batch])
        stream = pool.imap_batches([np.zeros((1, 2, 2, 3), np.uint8), batch])
        await anext(stream)
        with pytest.raises(error, match=message) as caught:
            await anext(stream)
        assert caught.value.__notes__ == ["while augmenting batch 1"]
        await stream.aclose()


async def test_a_batch_that_was_augmented_already():
    import imgaug.augmenters as iaa
    from imgaug.augmentables.batches import UnnormalizedBatch

    async with aioaug.AsyncPool(iaa.Identity(), processes=1) as pool:
        (done,) = await pool.map_batches([UnnormalizedBatch(images=np.zeros((1, 2, 2, 3), "u1"))])
        with pytest.raises(ValueError, match="images_aug is set"):
            await pool.map_batches([done])


def test_outcomes_survive_pickling():
    assert pickle.loads(pickle.dumps(Success(3))).unwrap() == 3
    for raising in (aug.Failing().two_arguments, aug.Failing().lambda_inside):
        failure = attempt(raising)
        assert isinstance(failure, Failure)
        copy = pickle.loads(pickle.dumps(failure))
        with pytest.raises(aioaug.RemoteError):
            copy.unwrap()
        assert "Traceback" in str(copy.error.__cause__)


def test_cancellation_of_a_worker_is_not_ours():
    def cancelled():
        raise asyncio.CancelledError

    assert isinstance(attempt(cancelled).error, aioaug.RemoteError)


def test_missing_extra():
    with pytest.raises(aioaug.MissingExtra, match=r"pip install 'aioaug\[web\]'$"):
        optional.need("no_such_module_at_all.part", extra="web")
    assert optional.need("json", extra="web").loads("1") == 1


def test_a_broken_optional_module_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "broken_optional.py").write_text("import no_such_module_at_all")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError) as caught:
        optional.need("broken_optional", extra="web")
    assert not isinstance(caught.value, aioaug.MissingExtra)


def test_errors_pickle_and_speak():
    died = pickle.loads(pickle.dumps(aioaug.WorkerDied(-9, "augmenting batch 4", 4)))
    assert str(died) == "a worker process was killed by SIGKILL while augmenting batch 4"
    assert (died.exitcode, died.index) == (-9, 4)
    assert "exited with code 3" in str(aioaug.WorkerDied(3, "starting"))
    assert "vanished" in str(aioaug.WorkerDied(None, "starting"))
    assert "signal 250" in str(aioaug.WorkerDied(-250, "starting"))


def test_run_uses_uvloop_where_it_is():
    async def loop_module():
        return type(asyncio.get_running_loop()).__module__

    pytest.importorskip("uvloop")
    assert aioaug.run(loop_module()).startswith("uvloop")


@pytest.mark.parametrize("engine", ["process", "thread"])
async def test_children_lists_that_imgaug_forgets_to_seed(engine):
    import imgaug.augmenters as iaa

    image = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(1, 16, 16, 3)
    steps = [iaa.Add(20), iaa.Multiply(1.5), iaa.Invert(1.0), iaa.LinearContrast(0.5)]
    augmenter = iaa.Sometimes(0.9, iaa.Sequential(steps, random_order=True))

    async def run(workers):
        pool = aioaug.AsyncPool(augmenter, processes=workers, seed=1, engine=engine)
        async with pool:
            return await pool.map_batches([image] * 24, chunksize=1)

    alone = await run(1)
    assert all((a == b).all() for a, b in zip(alone, await run(3), strict=True))
    assert len({result.tobytes() for result in alone}) > 4


def test_two_threads_augment_at_once_with_seeds_of_their_own():
    import imgaug.augmenters as iaa
    from aioaug._worker.augmentation import Augmentation

    image = np.full((1, 16, 16, 3), 128, np.uint8)
    augmenter = iaa.AdditiveGaussianNoise(scale=30)
    alone = [Augmentation(augmenter, 1, owns_interpreter=False)(i, image) for i in range(40)]
    results = {}

    def work(name):
        own = Augmentation(augmenter, 1, owns_interpreter=False).clone()
        results[name] = [own(i, image) for i in range(40)]

    threads = [threading.Thread(target=work, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for images in results.values():
        assert all((a == b).all() for a, b in zip(images, alone, strict=True))
