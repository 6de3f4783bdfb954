"""Both ways to iterate: the same bytes, the bound, callbacks, errors, and ends that are clean."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
import warnings

import aioaug
import images_testing
import imgaug
import imgaug.augmenters as iaa
import imgaug_trees
import numpy as np
import pytest
from aioaug._base import system
from aioaug.images import ParallelImageDataGenerator, ParallelProcessParams
from imgaug.augmentables.batches import UnnormalizedBatch
from imgaug.augmentables.bbs import BoundingBox, BoundingBoxesOnImage
from imgaug.augmentables.kps import Keypoint, KeypointsOnImage
from numpy.testing import assert_array_equal

FAST = {"debug": True, "cores": 1}
RANDOM = {
    "rotation_range": 30,
    "width_shift_range": 0.2,
    "height_shift_range": [1, 2],
    "shear_range": 9,
    "zoom_range": 0.3,
    "horizontal_flip": True,
    "channel_shift_range": 30,
    "brightness_range": (0.5, 1.5),
    "contrast_range": (0.5, 1.5),
    "noise": ["gauss", "poisson", "s&p", "speckle"],
    "rescale": 1 / 255,
}
SMALL = {"target_size": (16, 24), "batch_size": 4}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return images_testing.make_pictures(tmp_path_factory.mktemp("pictures"), {"a": 6, "b": 7})


@pytest.fixture
def four_cpus(monkeypatch):
    monkeypatch.setattr(system, "available", lambda: 4)


def copied(batch):
    return tuple(np.array(part) for part in batch)


def digest(batches):
    return [tuple(part.tobytes() for part in batch) for batch in batches]


def epochs(iterator, count=2):
    with iterator:
        return [digest(map(copied, iterator)) for _ in range(count)]


async def opened(generator, pictures, **given):
    """A flow from a directory; reading it blocks, which tests do not allow on the loop."""
    made = []
    thread = threading.Thread(
        target=lambda: made.append(generator.flow_from_directory(pictures, **SMALL | given))
    )
    thread.start()
    while not made:
        await asyncio.sleep(0)
    thread.join()
    return made[0]


async def async_epochs(iterator, count=2):
    async with iterator:
        return [digest([copied(batch) async for batch in iterator]) for _ in range(count)]


# The same bytes.


async def test_the_same_bytes_however_they_are_made(pictures, four_cpus):
    def flow(seed=3, **options):
        return opened(ParallelImageDataGenerator(**RANDOM, **options), pictures, seed=seed)

    expected = await async_epochs(await flow(cores=1))
    assert len(expected[0]) == 4
    assert len({x for made in expected for x, _ in made}) == 8  # nothing repeats
    for options in [{"cores": 2}, {"cores": 3, "max_batches_pending": 1}, {"debug": True}]:
        assert await async_epochs(await flow(**options)) == expected
    iterator, blocking = await flow(cores=2), []
    thread = threading.Thread(target=lambda: blocking.extend(epochs(iterator)))
    thread.start()
    while thread.is_alive():
        await asyncio.sleep(0.001)
    assert blocking == expected
    other = await async_epochs(await flow(seed=4, debug=True))
    assert not {x for made in other for x, _ in made} & {x for made in expected for x, _ in made}


def test_the_same_bytes_of_arrays():
    x = np.random.default_rng(0).uniform(0, 255, (7, 8, 8, 3)).astype(np.float32)
    made = []
    for options in [FAST, {"cores": 2}]:
        with ParallelImageDataGenerator(**RANDOM, **options).flow(
            x, np.arange(7), batch_size=3, seed=1
        ) as iterator:
            made.append(digest(copied(next(iterator)) for _ in range(7)))
    assert made[0] == made[1]


def test_without_a_seed_there_is_one_to_repeat(pictures):
    generator = ParallelImageDataGenerator(rotation_range=40, **FAST)
    iterator = generator.flow_from_directory(pictures, **SMALL)
    assert iterator.seed is None
    again = generator.flow_from_directory(pictures, **SMALL, seed=iterator.effective_seed)
    other = generator.flow_from_directory(pictures, **SMALL)
    made = epochs(iterator)
    assert epochs(again) == made
    assert epochs(other) != made


def test_single_batches_are_those_of_the_epoch(pictures):
    generator = ParallelImageDataGenerator(**RANDOM, **FAST)
    with generator.flow_from_directory(pictures, **SMALL, seed=3) as iterator:
        expected = [digest(map(copied, iterator)) for _ in range(2)]
    for order in [(0, 1, 2, 3), (3, 1, 0, 2), (0, 0, 1, 3), (2, 3, -1, 0)]:
        with generator.flow_from_directory(pictures, **SMALL, seed=3) as iterator:
            for made in expected:
                assert digest(copied(iterator[i]) for i in order) == [made[i] for i in order]
                iterator.on_epoch_end()
    with pytest.raises(ValueError, match="no batch 4"):
        iterator[4]


def test_images_and_masks_stay_together(pictures):
    moving = {key: RANDOM[key] for key in list(RANDOM)[:6]}
    images = ParallelImageDataGenerator(**moving, **FAST)
    masks = ParallelImageDataGenerator(**moving, **FAST)
    given = {**SMALL, "class_mode": None, "seed": 5}
    one, other = (each.flow_from_directory(pictures, **given) for each in (images, masks))
    with one, other:
        for _ in range(2):
            for x, mask in zip(one, other, strict=True):
                assert_array_equal(x, mask)


def test_global_generators_are_left_alone(pictures):
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.rand()
    random.seed(1)
    np.random.seed(1)
    generator = ParallelImageDataGenerator(
        **RANDOM, **FAST, preprocessing_function=images_testing.draw
    )
    epochs(generator.flow_from_directory(pictures, **SMALL, seed=1))
    assert (random.random(), np.random.rand()) == expected


def test_callbacks_that_draw_are_repeatable(pictures):
    made = []
    for options in [FAST, {"debug": True, "cores": 2}, {"cores": 2}]:
        generator = ParallelImageDataGenerator(
            preprocessing_function=images_testing.draw, **options
        )
        made.append(epochs(generator.flow_from_directory(pictures, **SMALL, seed=7)))
    assert made[0] == made[1] == made[2]


def test_a_worker_that_dies_is_replaced(pictures):
    generator = ParallelImageDataGenerator(cores=1, preprocessing_function=images_testing.die)
    with generator.flow_from_directory(pictures, **SMALL) as iterator:
        with pytest.raises(aioaug.WorkerDied, match="exited with code 3"):
            next(iterator)


def test_a_restarted_worker_makes_the_same(pictures):
    generator = ParallelImageDataGenerator(**RANDOM, cores=1)
    expected = epochs(generator.flow_from_directory(pictures, **SMALL, seed=3), 1)
    with generator.flow_from_directory(pictures, **SMALL, seed=3) as iterator:
        made = [copied(next(iterator))]
        for child in multiprocessing.active_children():
            os.kill(child.pid, 9)
        made += [copied(batch) for batch in (next(iterator) for _ in range(3))]
    assert digest(made) == expected[0]


# The order of things.


def test_epochs_are_shuffled_each_on_its_own(pictures):
    generator = ParallelImageDataGenerator(**FAST, preprocessing_function=names_of)
    with generator.flow_from_directory(pictures, **SMALL, class_mode=None, seed=1) as iterator:
        orders = [np.concatenate([x[:, 0, 0, 0] for x in iterator])[:13] for _ in range(3)]
    assert all(sorted(order) == sorted(orders[0]) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def names_of(params, x, class_id, filename):
    return x * 0 + 100 * class_id + int(filename[-7:-4])


def test_directories_end_with_the_epoch_and_flows_go_on(pictures):
    generator = ParallelImageDataGenerator(**FAST)
    with generator.flow_from_directory(pictures, **SMALL) as finite:
        assert [sum(1 for _ in finite) for _ in range(3)] == [len(finite)] * 3 == [4] * 3
        assert (finite.epoch, finite.batch_index, finite.total_batches_seen) == (3, 0, 12)
    with generator.flow(np.zeros((5, 4, 4, 3)), batch_size=2) as endless:
        sizes = [len(x) for x, _ in zip(endless, range(7), strict=False)]
        assert sizes == [2, 2, 1, 2, 2, 1, 2]
        assert len(next(iter(endless))) == 1  # it goes on; zip dropped the one before
        assert endless.epoch == 3


def test_an_epoch_left_half_way(pictures):
    generator = ParallelImageDataGenerator(**FAST, rotation_range=50)
    with generator.flow_from_directory(pictures, **SMALL, seed=1) as iterator:
        whole = [digest(map(copied, iterator)) for _ in range(2)]
    with generator.flow_from_directory(pictures, **SMALL, seed=1) as iterator:
        for number, _ in enumerate(iterator):
            if number == 1:
                break
        assert digest(map(copied, iterator)) == whole[1]  # the next epoch, from its beginning
    with generator.flow_from_directory(pictures, **SMALL, seed=1) as iterator:
        assert digest([copied(next(iterator))]) == whole[0][:1]
        iterator.reset()
        iterator.reset()
        assert digest([copied(next(iterator)) for _ in range(4)]) == whole[1]
        with pytest.raises(StopIteration):
            next(iterator)


@pytest.mark.parametrize("pending", [1, 2, 4])
def test_the_bound_is_strict(pictures, pending, tmp_path, monkeypatch):
    logged = tmp_path / "log"
    monkeypatch.setenv("AIOAUG_TEST_LOG", str(logged))
    generator = ParallelImageDataGenerator(
        cores=2, debug=True, max_batches_pending=pending, preprocessing_function=images_testing.log
    )
    with generator.flow_from_directory(pictures, target_size=(8, 8), batch_size=1) as iterator:
        for taken in range(1, 6):
            next(iterator)
            deadline = time.monotonic() + 10
            made = 0
            while made < taken + pending - 1 and time.monotonic() < deadline:
                made = len(logged.read_text().splitlines())
                time.sleep(0.005)
            time.sleep(0.02)
            assert len(logged.read_text().splitlines()) == taken + pending - 1


def test_only_names_and_seeds_go_to_workers(pictures):
    generator = ParallelImageDataGenerator(cores=1)
    with generator.flow_from_directory(pictures, target_size=(256, 256), seed=1) as iterator:
        x, _ = next(iterator)
        stats = iterator._producer._pool.stats()
    assert stats.bytes < 2 * x.nbytes  # once, on its way back
    job = iterator._schedule.job(0, 0)
    import pickle

    assert len(pickle.dumps(job)) < 3000


# Callbacks.


def made_with(pictures, processes=False, flow=None, **options):
    options = {"cores": 1, "debug": not processes} | options
    generator = ParallelImageDataGenerator(**options)
    given = {**SMALL, "shuffle": False, "class_mode": "sparse", "seed": 2} | (flow or {})
    with generator.flow_from_directory(pictures, **given) as iterator:
        return next(iterator)


def test_callbacks_run_in_processes_or_in_threads(pictures):
    x, _ = made_with(pictures, True, preprocessing_function=images_testing.mark_pid)
    assert x[0, 0, 0, 0] != os.getpid() % 251
    seen = []

    def closure(params, x):
        seen.append((os.getpid(), threading.current_thread() is threading.main_thread()))
        return x

    made_with(pictures, preprocessing_function=closure)
    assert (os.getpid(), False) in seen


@pytest.mark.parametrize("name", ["preprocessing_function", "noaug_preprocessing_function"])
def test_callbacks_get_what_they_name(pictures, name):
    x, _ = made_with(pictures, **{name: images_testing.two_arguments})
    assert np.all(x == 7)
    x, _ = made_with(pictures, **{name: images_testing.any_keywords})
    assert np.all(x == 5)
    x, y = made_with(pictures, **{name: images_testing.all_arguments}, flow={"batch_size": 8})
    assert x[:, 0, 0].tolist() == [[label, 0, 8] for label in y]
    assert y.tolist() == [0] * 6 + [1] * 2


def test_what_callbacks_are_told_of_the_flow(pictures):
    options = {"rotation_range": 5, "validation_split": 0.25}
    flow = {"subset": "training"}
    for processes in (False, True):
        made_with(
            pictures, processes, preprocessing_function=images_testing.told, flow=flow, **options
        )


def test_callbacks_come_before_and_after_the_transformation(pictures):
    x, _ = made_with(pictures, noaug_preprocessing_function=images_testing.remember)
    assert x[0, 0, 0].tolist() == [1, 16, 24]  # bytes, resized
    x, _ = made_with(pictures, preprocessing_function=images_testing.remember)
    assert x[0, 0, 0].tolist() == [4, 16, 24]  # floats
    flow = {"interpolation": None, "batch_shape": (4, 40, 50, 3)}
    x, _ = made_with(pictures, noaug_preprocessing_function=images_testing.remember, flow=flow)
    assert x[0, 0, 0].tolist() == [1, 40, 50]  # as it is in the file
    plain, _ = made_with(pictures)
    order = {"preprocessing_function": images_testing.brighter_by_100, "rescale": 0.5}
    x, _ = made_with(pictures, **order)
    assert_array_equal(x, (plain + 100) / 2)


@pytest.mark.parametrize("processes", [False, True])
def test_methods_of_a_subclass_are_called_in_workers(processes):
    generator = images_testing.Sevens(cores=1, debug=not processes)
    with generator.flow(np.zeros((3, 4, 4, 3))) as iterator:
        assert np.all(next(iterator) == 7)


def test_the_environment_of_workers(pictures):
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    x, _ = made_with(pictures, True, preprocessing_function=images_testing.environment)
    assert np.all(x == 1)
    x, _ = made_with(
        pictures,
        True,
        preprocessing_function=images_testing.environment,
        disable_gpu_in_subprocesses=False,
    )
    assert np.all(x == (before == "-1"))
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == before


def test_whole_batches(pictures):
    options = {
        "get_batch_function": images_testing.whole_batch,
        "preprocessing_function": images_testing.nothing_at_all,  # not called
    }
    for processes in (False, True):
        x, y = made_with(pictures, processes, **options)
        assert (x.shape, y.tolist()) == ((4, 2, 2, 1), [0] * 4)
    with pytest.raises(TypeError, match="get_batch_function must return"):
        made_with(pictures, get_batch_function=images_testing.not_a_batch)


@pytest.mark.parametrize("processes", [False, True])
def test_whole_batches_of_other_forms(pictures, processes):
    x = made_with(pictures, processes, get_batch_function=images_testing.images_alone)
    assert x.shape == (4, 2, 2, 1)
    xs, y = made_with(pictures, processes, get_batch_function=images_testing.two_images)
    assert [one.shape for one in xs] == [(4, 2, 2, 1)] * 2
    assert y == [0] * 4


@pytest.mark.parametrize("processes", [False, True])
@pytest.mark.parametrize("function", [images_testing.seven, images_testing.with_a_default, np.sign])
def test_callbacks_of_keras_take_a_picture_alone(processes, function):
    x = np.full((2, 4, 4, 3), 5.0)
    generator = ParallelImageDataGenerator(
        cores=1, debug=not processes, preprocessing_function=function
    )
    with generator.flow(x) as flow:
        assert np.all(next(flow) == function(5.0))


def test_callbacks_of_arrays():
    generator = ParallelImageDataGenerator(
        **FAST, preprocessing_function=images_testing.any_keywords
    )
    with generator.flow(np.zeros((3, 4, 4, 3))) as iterator:
        assert np.all(next(iterator) == 5)
    generator = ParallelImageDataGenerator(cores=1, preprocessing_function=images_testing.mark_pid)
    with generator.flow(np.zeros((3, 4, 4, 3))) as iterator:
        assert np.all(next(iterator) != os.getpid() % 251)


def test_shutting_down_without_waiting(pictures):
    generator = ParallelImageDataGenerator(cores=1, preprocessing_function=images_testing.slowly)
    iterator = generator.flow_from_directory(pictures, **SMALL)
    next(iterator)
    iterator.shutdown(wait=False)
    with pytest.raises(aioaug.ClosedError):
        next(iterator)


def test_validation_without_augmentation(pictures):
    options = {"rotation_range": 90, "validation_split": 0.5, "augmenter": iaa.Invert(1.0)}
    plain, _ = made_with(pictures, validation_split=0.5, flow={"subset": "validation"})
    for enabled in (True, False):
        x, _ = made_with(
            pictures,
            validation_augmentation_enabled=enabled,
            flow={"subset": "validation"},
            **options,
        )
        assert np.array_equal(x, plain) is not enabled
    training, _ = made_with(
        pictures,
        validation_augmentation_enabled=False,
        flow={"subset": "training"},
        **options,
    )
    options |= {"random_transforms_enabled": False}
    still, _ = made_with(pictures, flow={"subset": "training"}, **options)
    assert not np.array_equal(training, still)
    plain, _ = made_with(pictures, validation_split=0.5, flow={"subset": "training"})
    assert_array_equal(still, plain)


def test_cores(pictures, four_cpus):
    def workers(**options):
        generator = ParallelImageDataGenerator(validation_split=0.5, **options)
        return generator.workers_for(None), generator.workers_for("validation")

    assert workers() == (1, 1)
    assert workers(cores=0.6) == (2, 1)
    assert workers(cores=1.0) == (4, 2)
    assert workers(cores=3) == (3, 1)
    assert workers(cores=99) == (4, 2)
    assert workers(cores=-1) == (4, 2)


def test_a_fit_is_seen_by_batches_to_come(pictures):
    for options in ({"cores": 1}, FAST):
        generator = ParallelImageDataGenerator(featurewise_center=True, **options)
        generator.fit(np.full((1, 4, 4, 3), 100.0))
        with generator.flow_from_directory(pictures, **SMALL, shuffle=False) as iterator:
            before = next(iterator)[0].copy()
            iterator.reset()
            generator.fit(np.full((1, 4, 4, 3), 30.0))
            assert_array_equal(next(iterator)[0], before + 70)


# One more step.


@pytest.mark.parametrize("processes", [False, True])
def test_a_function_as_one_more_step(pictures, processes):
    plain, _ = made_with(pictures, processes)
    x, _ = made_with(pictures, processes, augmenter=images_testing.invert)
    assert_array_equal(x, 255 - plain)


def test_imgaug_as_one_more_step(pictures):
    steps = [iaa.Affine(rotate=(-90, 90)), iaa.AdditiveGaussianNoise(9), imgaug_trees.Keeping()]
    made = []
    for options in ({"cores": 2}, {"cores": 2, "debug": True}):
        imgaug.random.seed(len(made))  # which must not tell
        generator = ParallelImageDataGenerator(augmenter=iaa.Sequential(steps), **options)
        made.append(epochs(generator.flow_from_directory(pictures, **SMALL, seed=3)))
    assert made[0] == made[1]
    assert len({x for one in made[0] for x, _ in one}) == 8
    noisy = [made_with(pictures, True, augmenter=images_testing.shift_by_noise) for _ in range(2)]
    assert_array_equal(noisy[0][0], noisy[1][0])


@pytest.mark.parametrize("processes", [False, True])
def test_boxes_and_keypoints_are_moved_along(processes):
    images = np.zeros((5, 20, 30, 3), np.uint8)
    keypoints, boxes = [], []
    for i, image in enumerate(images):
        image[4, 3 + i] = 255
        keypoints.append(KeypointsOnImage([Keypoint(3.5 + i, 4.5)], image.shape))
        boxes.append(BoundingBoxesOnImage([BoundingBox(3 + i, 4, 4 + i, 5)], image.shape))
    batch = UnnormalizedBatch(images=images, keypoints=keypoints, bounding_boxes=boxes)
    generator = ParallelImageDataGenerator(
        augmenter=iaa.Fliplr(0.5), rescale=1 / 255, cores=1, debug=not processes
    )
    flipped = 0
    with generator.flow(batch, np.arange(5), batch_size=3, shuffle=True, seed=1) as iterator:
        for _ in range(4):
            made, y = next(iterator)
            assert made.images_aug.dtype == np.float32
            for image, points, found, label in zip(
                made.images_aug, made.keypoints_aug, made.bounding_boxes_aug, y, strict=True
            ):
                ((row, column),) = np.argwhere(image[..., 0] == 1)
                point, box = points.keypoints[0], found.bounding_boxes[0]
                assert (point.x, point.y) == (column + 0.5, row + 0.5)
                assert (box.x1, box.x2) == (column, column + 1)
                assert column in (3 + label, 26 - label)
                flipped += column == 26 - label
    assert 0 < flipped < 10
    assert batch.images_aug is None
    assert iterator.x is batch
    listed = ParallelImageDataGenerator().flow(UnnormalizedBatch(images=[*images, images[0, 1:]]))
    assert listed.image_shape == (20, 30, 3)
    with pytest.raises(ValueError, match="only augmenter can move"):
        ParallelImageDataGenerator(rotation_range=5).flow(batch)


# Errors and ends.


@pytest.mark.parametrize("processes", [False, True])
def test_an_error_ends_the_epoch(pictures, processes):
    generator = ParallelImageDataGenerator(
        cores=1, debug=not processes, preprocessing_function=images_testing.fail_on_class_1
    )
    given = {**SMALL, "shuffle": False, "batch_size": 3}
    with generator.flow_from_directory(pictures, **given) as iterator:
        for _ in range(2):
            got = 0
            with pytest.raises(ZeroDivisionError, match="not this class"):
                for _ in iterator:
                    got += 1
            assert got == 2
        assert iterator.epoch == 2
    with pytest.raises(TypeError, match="preprocessing_function returned None"):
        made_with(pictures, preprocessing_function=images_testing.nothing_at_all)
    with pytest.raises(ValueError, match=r"000\.png has the shape \(8, 8, 3\)"):
        made_with(pictures, preprocessing_function=images_testing.cut_to_8)


async def test_an_error_ends_the_epoch_of_async_for(pictures):
    generator = ParallelImageDataGenerator(
        **FAST, preprocessing_function=images_testing.fail_on_class_1
    )
    flow = await opened(generator, pictures, batch_size=3, shuffle=False)
    async with flow as iterator:
        with pytest.raises(ZeroDivisionError):
            async for _ in iterator:
                pass


async def test_async_for_alone_leaves_nothing(pictures):
    generator = ParallelImageDataGenerator(cores=2)
    flow = await opened(generator, pictures)
    for _ in range(2):
        assert len([x async for x, _ in flow]) == 4
        assert not flow.is_running
        assert not flow.is_shutdown
    assert len(await anext(flow)) == 2
    assert flow.is_running
    await flow.aclose()
    await flow.aclose()
    assert flow.is_shutdown
    with pytest.raises(aioaug.ClosedError):
        await anext(flow)


async def test_leaving_async_with_half_way(pictures):
    generator = ParallelImageDataGenerator(cores=2, preprocessing_function=images_testing.slowly)
    flow = await opened(generator, pictures)
    with pytest.raises(KeyError):
        async with flow:
            async for _ in flow:
                raise KeyError("enough")
    assert flow.is_shutdown


async def test_a_cancelled_request_loses_nothing(pictures):
    generator = ParallelImageDataGenerator(**FAST, preprocessing_function=images_testing.slowly)
    flow = await opened(generator, pictures, seed=1)
    (expected,) = await async_epochs(flow, 1)
    flow = await opened(generator, pictures, seed=1)
    made = []
    async with flow:
        while len(made) < 4:
            try:
                made.append(copied(await asyncio.wait_for(anext(flow), 0.013)))
            except TimeoutError:
                continue
    assert digest(made) == expected


async def test_closing_while_somebody_waits(pictures):
    generator = ParallelImageDataGenerator(**FAST, preprocessing_function=images_testing.slowly)
    flow = await opened(generator, pictures)
    waiting = asyncio.create_task(anext(flow))
    while not flow.is_running:
        await asyncio.sleep(0.001)
    await flow.aclose()
    with pytest.raises(aioaug.ClosedError):
        await waiting


async def test_one_loop_at_a_time(pictures):
    generator = ParallelImageDataGenerator(**FAST)
    flow = await opened(generator, pictures)
    async with flow:
        with pytest.raises(RuntimeError, match="on an event loop"):
            next(flow)
        with pytest.raises(RuntimeError, match="aclose"):
            flow.shutdown()


def test_async_for_over_what_blocking_code_began(pictures):
    generator = ParallelImageDataGenerator(**FAST)
    with generator.flow_from_directory(pictures, **SMALL, seed=1) as iterator:
        expected = [digest(map(copied, iterator)) for _ in range(2)]
    iterator = generator.flow_from_directory(pictures, **SMALL, seed=1)
    made = digest(map(copied, iterator))

    async def rest():
        return digest([copied(batch) async for batch in iterator])

    assert [made, asyncio.run(rest())] == expected
    asyncio.run(iterator.aclose())
    assert iterator.is_shutdown


def test_several_threads_share_an_iterator(pictures):
    generator = ParallelImageDataGenerator(**FAST, rotation_range=9)
    with generator.flow_from_directory(pictures, **SMALL, seed=1) as iterator:
        expected = set(digest(map(copied, iterator)))
        iterator = generator.flow_from_directory(pictures, **SMALL, seed=1)
        made = []
        threads = [
            threading.Thread(target=lambda: made.append(copied(next(iterator)))) for _ in range(4)
        ]
        with iterator:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert set(digest(made)) == expected


async def test_an_iterator_that_is_dropped_half_way_warns_once(pictures):
    iterator = await opened(ParallelImageDataGenerator(cores=1), pictures)
    async for _ in iterator:
        break
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del iterator
        gc.collect()
        async with asyncio.timeout(20):
            while multiprocessing.active_children():
                await asyncio.sleep(0.01)
    assert ["ImageIterator was dropped" in str(one.message) for one in caught] == [True]


def test_an_iterator_that_outlives_its_loop_goes_on(pictures):
    iterator = ParallelImageDataGenerator(cores=1).flow_from_directory(pictures, **SMALL, seed=1)

    async def begin():
        async for _ in iterator:
            break

    for _ in range(2):
        asyncio.run(begin())
    assert (iterator.epoch, iterator.batch_index) == (1, 1)
    with iterator:
        assert len(list(iterator)) == len(iterator)


def test_an_iterator_that_is_dropped_warns(pictures):
    iterator = ParallelImageDataGenerator(cores=1).flow_from_directory(pictures, **SMALL)
    next(iterator)
    with pytest.warns(ResourceWarning, match="shutdown"):
        del iterator
        gc.collect()


def test_params_are_documented_and_pickle():
    import pickle

    generator = ParallelImageDataGenerator(rotation_range=3, validation_split=0.2)
    params = ParallelProcessParams(image_data_generator=generator, class_indices={"a": 0})
    again = pickle.loads(pickle.dumps(params))
    assert again.class_indices == {"a": 0}
    assert again.n_classes == 1
    assert again.image_data_generator.rotation_range == 3
    public = [name for name in dir(ParallelProcessParams) if not name.startswith("_")]
    for kind in (ParallelImageDataGenerator, type(generator.flow(np.zeros((1, 2, 2, 3))))):
        public += [name for name in dir(kind) if not name.startswith("_")]
        for name in vars(kind):
            if not name.startswith("_") and callable(getattr(kind, name)):
                assert getattr(kind, name).__doc__


PROGRAM = """
import sys
from aioaug.images import ParallelImageDataGenerator

if __name__ == "__main__":
    flow = ParallelImageDataGenerator(cores=1).flow_from_directory(
        sys.argv[1], target_size=(8, 8), batch_size=2
    )
    next(flow)
    print("done", flush=True)
"""


FORKING = """
    import multiprocessing, warnings
    warnings.simplefilter("ignore")  # of forking beside threads
    child = multiprocessing.get_context("fork").Process(target=abs, args=(1,))
    child.start()
    child.join(10)
    assert child.exitcode == 0, child.exitcode
    next(flow)
"""


@pytest.mark.parametrize("more", ["", FORKING], ids=["plain", "forking"])
def test_a_program_that_never_shuts_down_still_ends(pictures, tmp_path, more):
    (tmp_path / "program.py").write_text(PROGRAM + more)
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py", pictures],
        capture_output=True,
        text=True,
        timeout=30,
        env=os.environ | {"PYTHONPATH": os.path.dirname(os.path.dirname(aioaug.__file__))},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
