"""Batches through imgaug: images, masks and keypoints of an item change alike."""

import aioaug
import imgaug.augmenters as iaa
import numpy as np
import pytest
from aioaug import batch as package
from aioaug._aio.tasks import in_thread
from aioaug.batch import Batch
from aioaug.images import ParallelImageDataGenerator
from batch_testing import TARGETS, Three, Two, double
from imgaug.augmentables import Keypoint, KeypointsOnImage
from skimage import data

SEQ = iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-30, 30), translate_px=(-9, 9))])


@pytest.fixture(autouse=True)
def _workers_end(no_leaks):
    yield
    package.shutdown()


def make(size=20, seed=1):
    """Pictures of a dot; the mask and the keypoint say where it is."""
    rng = np.random.default_rng(0)
    images = np.zeros((size, 64, 80, 3), np.uint8)
    masks = np.zeros((size, 64, 80, 1), np.int32)
    points = rng.integers(25, 40, (size, 1, 2))
    for image, mask, ((x, y),) in zip(images, masks, points, strict=True):
        image[y - 2 : y + 3, x - 2 : x + 3] = 255
        mask[y - 2 : y + 3, x - 2 : x + 3] = 1
    made = Three.from_data(data=(images, masks, points.astype(np.float32)))
    made.random_seed = seed
    return made


def assert_aligned(made, before):
    assert made.images.shape == before.images.shape
    assert (made.images.dtype, made.masks.dtype, made.keypoints.dtype) == (
        np.uint8, np.int32, np.float32,
    )  # fmt: skip
    for image, mask, ((x, y),) in zip(made.images, made.masks, made.keypoints, strict=True):
        rows, columns = np.nonzero(image[..., 0] > 127)
        assert abs(rows.mean() - y) < 1.6
        assert abs(columns.mean() - x) < 1.6
        assert (mask[..., 0] == (image[..., 0] > 127)).mean() > 0.99
    assert np.abs(made.keypoints - before.keypoints).max() > 5


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in one.components)


@pytest.mark.parametrize("target", TARGETS)
def test_all_columns_stay_aligned(target):
    made = make().augment(SEQ, target=target, n_workers=2)
    assert_aligned(made, make())
    assert same(made, make().augment(SEQ, target="for"))
    assert not same(made, make(seed=2).augment(SEQ))


@pytest.mark.parametrize("target", TARGETS)
async def test_awaited(target):
    made = await make().augment_async(SEQ, target=target)
    assert same(made, await in_thread(lambda: make().augment(SEQ)))


def test_sizes_of_batches():
    assert same(make(5).augment(SEQ), make(5).augment(SEQ, n_workers=1))
    empty = Three(np.array([], int), preloaded=make().data)
    assert empty.augment(SEQ).images.shape == (0, 64, 80, 3)


def test_forms():
    pictures = np.empty(2, object)
    pictures[:] = [data.chelsea(), data.coffee()]
    points = np.empty(2, object)
    points[:] = [
        KeypointsOnImage([Keypoint(x=10, y=20)], shape=picture.shape) for picture in pictures
    ]
    made = Two.from_data(data=(pictures, None)).add_components("keypoints", points)
    flip = iaa.Fliplr(1.0)
    made.augment(flip)
    np.testing.assert_array_equal(made.images[0], data.chelsea()[:, ::-1])
    assert [one.keypoints[0].x for one in made.keypoints] == [451 - 10, 600 - 10]
    assert made.masks is None
    other = Batch.from_data(data=None, index=[0, 1])
    other.add_components(("photos", "other"), (np.stack([data.astronaut()] * 2), [1, 2]))
    other.augment(flip, photos="images")
    np.testing.assert_array_equal(other.photos[1], data.astronaut()[:, ::-1])
    assert other.other == [1, 2]


def test_wrong_arguments():
    made = make()
    with pytest.raises(TypeError, match="imgaug"):
        made.augment(lambda batch: batch)
    with pytest.raises(TypeError, match="int"):
        made.augment(5)
    for columns in ({"nothing": "images"}, {"masks": "images"}, {"masks": "colours"}):
        with pytest.raises(ValueError, match=r"nothing|several|colours"):
            made.augment(SEQ, **columns)
    with pytest.raises(ValueError, match="nothing to augment"):
        Batch([1]).add_components("x", [1]).augment(SEQ)
    made.masks = made.masks.astype(float)
    with pytest.raises(RuntimeError, match="heatmaps"):
        made.augment(SEQ)


@pytest.mark.parametrize("engine", ["process", "thread", "inline"])
async def test_a_pool_takes_batches(engine):
    before = make()
    async with aioaug.AsyncPool(SEQ, processes=2, seed=1, engine=engine) as pool:
        first, second = await pool.map_batches([before, make()])
    assert type(first) is Three
    assert same(before, make())
    assert_aligned(first, before)
    assert not same(first, second)
    first.add_components("more", [1])
    async with aioaug.AsyncPool(SEQ, processes=1, seed=1, engine="inline") as pool:
        assert same((await pool.map_batches([make()]))[0], first)
    found = [one async for one in aioaug.augment_batches(SEQ, make(), seed=1, engine=engine)]
    assert same(found[0], first)


async def test_from_what_a_generator_of_pictures_yields():
    pictures, labels = np.stack([data.chelsea()[::4, ::4]] * 6), np.eye(6)
    generator = ParallelImageDataGenerator(cores=1, horizontal_flip=True, rescale=1 / 255)
    async with generator.flow(pictures, labels, batch_size=3, shuffle=False, seed=1) as source:
        pair = await anext(source)
        made = Two.from_data(data=pair)
        await made.apply_parallel_async(double, src="images", dst="brighter", target="mpc")
    assert made.size == 3
    np.testing.assert_array_equal(made.masks, labels[:3])
    np.testing.assert_array_equal(made.brighter, pair[0] * 2)
    assert made.images.max() <= 1
