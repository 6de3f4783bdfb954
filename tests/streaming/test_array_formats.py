"""`aioaug.arrays` and `ArrayFormat`: what a model gets, beside the plain formula."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections import namedtuple

import aioaug
import numpy as np
import pytest
from imgaug import augmenters as iaa
from imgaug.augmentables import UnnormalizedBatch
from transport_testing import in_a_segment

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RNG = np.random.default_rng(1)
IMAGES = RNG.integers(0, 256, (8, 64, 48, 3), np.uint8)
BATCHES = [IMAGES, IMAGES[::-1].copy(), IMAGES[:5].copy()]
Named = namedtuple("Named", "images labels")


def plainly(images, highest=255.0):
    return (images / highest - np.array(MEAN)) / np.array(STD)


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("kind", ["u1", "u2", "f4", "views", "list"])
def test_the_formula(layout, dtype, kind):
    images, highest = IMAGES, 255.0
    if kind == "u2":
        images, highest = IMAGES.astype("u2") * 257, 65535.0
    elif kind == "f4":
        images, highest = (IMAGES / 255).astype("f4"), 1.0
    elif kind == "views":
        images = IMAGES[:, ::-1, :, ::-1]
    got = aioaug.ArrayFormat(layout, dtype, MEAN, STD)(list(images) if kind == "list" else images)
    wanted = plainly(images, highest)
    assert got.dtype == dtype
    assert got.flags.c_contiguous
    got = got if layout == "NHWC" else got.transpose(0, 2, 3, 1)
    tolerance = 2e-3 if dtype == "float16" else 1e-6
    np.testing.assert_allclose(got, wanted, atol=tolerance, rtol=tolerance)


def test_grey_images_and_one_number_for_all_channels():
    made = aioaug.ArrayFormat("NCHW", mean=0.5, std=2)(IMAGES[..., 0])
    assert (made.shape, made.dtype) == ((8, 1, 64, 48), np.float32)
    np.testing.assert_allclose(made[:, 0], (IMAGES[..., 0] / 255 - 0.5) / 2, atol=1e-6)
    assert aioaug.ArrayFormat("NCHW")(IMAGES[..., 0]).shape == (8, 1, 64, 48)
    np.testing.assert_allclose(
        aioaug.ArrayFormat(dtype="float32")(IMAGES[..., 0]), IMAGES[..., 0] / 255, atol=1e-6
    )


@pytest.mark.parametrize("layout", ["NHWC", "NCHW", None])
def test_nothing_to_compute_is_nothing_to_copy(layout):
    got = aioaug.ArrayFormat(layout)(IMAGES)
    assert np.shares_memory(got, IMAGES)
    assert got.shape == ((8, 3, 64, 48) if layout == "NCHW" else IMAGES.shape)


def test_it_makes_nothing_but_the_result():
    images = RNG.integers(0, 256, (32, 96, 96, 3), np.uint8)
    form = aioaug.ArrayFormat("NCHW", "float32", MEAN, STD)
    form(images[:1])
    tracemalloc.start()
    result = form(images)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < result.nbytes + 10 * images[0].nbytes  # a second pass would need 4 MB


@pytest.mark.parametrize(
    "batch",
    [
        (IMAGES, [1, 2]),
        {"images": IMAGES, "labels": [1, 2]},
        Named(IMAGES, [1, 2]),
    ],
    ids=["tuple", "dict", "named tuple"],
)
def test_batches_keep_their_form(batch):
    got = aioaug.ArrayFormat("NCHW")(batch)
    assert type(got) is type(batch)
    rest = got["labels"] if isinstance(got, dict) else got[1]
    images = got["images"] if isinstance(got, dict) else got[0]
    assert rest == [1, 2]
    assert images.shape == (8, 3, 64, 48)


def test_batches_of_imgaug():
    batch = iaa.Identity().augment_batch_(UnnormalizedBatch(images=IMAGES).to_normalized_batch())
    got = aioaug.ArrayFormat("NCHW")(batch)
    assert got.images_aug.shape == (8, 3, 64, 48)
    assert batch.images_aug.shape == IMAGES.shape


@pytest.mark.parametrize("where", ["here", "in the workers"])
async def test_the_stream_of_a_pool(where):
    form = {"layout": "NCHW", "dtype": "float32", "mean": MEAN, "std": STD}
    dump = aioaug.ArrayFormat(**form) if where == "in the workers" else None
    async with aioaug.AsyncPool(iaa.Fliplr(0.5), processes=1, seed=1, dump=dump) as pool:
        batches = [(each, np.arange(len(each))) for each in BATCHES * 2]
        stream = pool.imap_batches(batches)
        if dump is None:
            stream = aioaug.arrays(stream, **form)
        async with stream:
            got = [batch async for batch in stream]
    async with aioaug.AsyncPool(iaa.Fliplr(0.5), engine="inline", seed=1) as pool:
        plain = await pool.map_batches(batches)
    for (images, labels), (wanted, _) in zip(got, plain, strict=True):
        assert images.flags.c_contiguous
        np.testing.assert_allclose(images.transpose(0, 2, 3, 1), plainly(wanted), atol=1e-6)
        np.testing.assert_array_equal(labels, np.arange(len(labels)))
    if dump is not None:
        assert any(in_a_segment(images) for images, _ in got)


async def test_views_lie_in_the_segment_and_go_by_dlpack():
    async with aioaug.AsyncPool(iaa.Fliplr(1), processes=1, seed=1) as pool:
        batches = [np.repeat(each, 2, axis=0) for each in BATCHES]
        async with aioaug.arrays(pool.imap_batches(batches), layout="NCHW") as stream:
            async for images in stream:
                assert in_a_segment(images)
                taken = np.from_dlpack(images)
                assert np.shares_memory(taken, images)
                np.testing.assert_array_equal(
                    taken.transpose(0, 2, 3, 1)[0], images.transpose(0, 2, 3, 1)[0]
                )


async def test_a_cancelled_request_loses_no_batch_and_does_not_count_it():
    async with aioaug.AsyncPool(iaa.Identity(), engine="inline", seed=1) as pool:
        async with aioaug.arrays(pool.imap_batches(BATCHES), dtype="float32") as stream:
            request = asyncio.create_task(anext(stream))
            while stream._converting is None:
                await asyncio.sleep(0)
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
            assert stream.state()["next"] == 0
            got = [len(images) async for images in stream]
            assert stream.state()["next"] == 3
    assert got == [8, 8, 5]


async def test_errors_are_raised_in_the_place_of_their_batch():
    batches = [IMAGES, IMAGES[..., :2], IMAGES]
    async with aioaug.AsyncPool(iaa.Identity(), engine="inline", seed=1) as pool:
        async with aioaug.arrays(pool.imap_batches(batches), mean=MEAN, std=STD) as stream:
            await anext(stream)
            with pytest.raises(ValueError, match="mean has 3 numbers, but images have 2 channels"):
                await anext(stream)
            await anext(stream)
            with pytest.raises(StopAsyncIteration):
                await anext(stream)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "CHWN"}, "layout"),
        ({"dtype": "uint8"}, "dtype must be one of floats"),
        ({"std": 0}, "std must be above 0"),
        ({"mean": "x"}, "could not convert"),
        ({"mean": (1, 2), "std": (1, 2, 3)}, "mean and std must have one number"),
    ],
)
def test_what_it_does_not_take(options, message):
    with pytest.raises(ValueError, match=message):
        aioaug.ArrayFormat(**options)


def test_images_that_it_does_not_take():
    form = aioaug.ArrayFormat("NCHW", "float32")
    with pytest.raises(ValueError, match="several shapes"):
        form([IMAGES[0], IMAGES[0, 1:]])
    with pytest.raises(ValueError, match="no range"):
        form(IMAGES.astype(np.int32))
    with pytest.raises(TypeError, match="must have images"):
        form({"x": IMAGES})
    with pytest.raises(TypeError, match="async iterator"):
        aioaug.arrays(BATCHES)
