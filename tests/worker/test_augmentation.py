"""Augmenters in a worker: seeded by the batch alone, and nobody else is touched."""

from __future__ import annotations

import random
import threading

import aioaug
import aioaug_testing as aug
import imgaug.augmenters  # noqa: F401 - before there is an event loop that the import would block
import numpy as np
import pytest


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


async def test_functions_inside_of_imgaugs_augmenters_are_seeded_in_processes():
    import imgaug.augmenters as iaa

    augmenter = iaa.Sequential([iaa.Fliplr(0.5), iaa.Lambda(func_images=aug.add_from_globals)])
    batches = [np.zeros((3, 4, 4, 3), np.uint8)] * 6
    runs = []
    for workers in (1, 2):
        async with aioaug.AsyncPool(augmenter, processes=workers, seed=3) as pool:
            results = await pool.map_batches(batches, 1)
            runs.append([[int(image[0, 0, 0]) for image in images] for images in results])
    assert runs[0] == runs[1]
    assert len({tuple(values) for values in runs[0]}) > 4


def test_what_draws_from_generators_that_are_not_imgaugs():
    import imgaug.augmenters as iaa
    from aioaug.fast.trees import draws_from_its_own

    class Own(iaa.Sequential):
        pass

    alone = [
        iaa.Fliplr(0.5),
        iaa.Sequential([iaa.OneOf([iaa.Clouds(), iaa.Affine(rotate=(-9, 9))]), iaa.Canny()]),
        iaa.Convolve(matrix=np.ones((3, 3))),
    ]
    others = [
        Own([iaa.Fliplr(0.5)]),
        iaa.Sequential([Own([])]),
        iaa.Sometimes(0.5, iaa.Lambda(func_images=aug.add_from_globals)),
        iaa.Convolve(matrix=lambda image, channels, rng: np.ones((3, 3))),
        iaa.imgcorruptlike.GaussianNoise(2),
        aug.with_globals,
    ]
    assert [draws_from_its_own(augmenter) for augmenter in alone] == [True] * 3
    assert [draws_from_its_own(augmenter) for augmenter in others] == [False] * 6


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
