"""What a batch may be, and what it comes back as."""

from __future__ import annotations

import copy
import re
import warnings

import aioaug
import aioaug_testing as aug
import numpy as np
import pytest
from aioaug.augmenters import batch_forms
from aioaug.augmenters.layout import LayoutCheck
from forms_testing import Pair
from imgaug_kind import EXAMPLES


def _noop(batch):
    import imgaug.augmenters as iaa

    return batch_forms.augment(batch, iaa.Identity().augment_batch_)


def test_forms_come_back_as_they_went_in():
    image = EXAMPLES.quokka(size=(16, 16))
    points = EXAMPLES.quokka_keypoints(size=(16, 16))
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
        ({"picture": []}, TypeError, "must have some of .*, got 'picture'"),
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


def warnings_of(batches):
    """What is said of them, and with which category."""
    look = LayoutCheck()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for batch in batches:
            look(batch)
    return [(one.category, str(one.message)) for one in caught]


def image(*shape):
    return np.zeros(shape, np.uint8)


@pytest.mark.parametrize(
    ("batch", "says"),
    [
        (image(8, 9, 3), r"\(8, 9, 3\) is .* 8 images of shape \(9, 3\).* use augment_image"),
        (image(8, 9, 1), r"looks like one image \(H,W,C\)"),
        (image(2, 3, 8, 9), r"9 channels.* \(N,C,H,W\).* numpy.moveaxis\(images, 1, -1\)"),
        (image(2, 1, 8, 9), r"\(N,C,H,W\)"),
        ([image(3, 8, 9)], r"\(C,H,W\).* numpy.moveaxis\(image, 0, -1\)"),
    ],
)
def test_images_that_look_as_if_they_had_another_layout(batch, says):
    from imgaug.augmentables.batches import Batch, UnnormalizedBatch
    from imgaug.augmenters.base import SuspiciousMultiImageShapeWarning

    classes = Batch(images=batch), UnnormalizedBatch(images=batch)
    for form in (batch, *classes, (batch, "label"), {"images": batch}, Pair("label", batch)):
        ((category, text),) = warnings_of([form, form])
        assert category is SuspiciousMultiImageShapeWarning
        assert re.search(says, text)


@pytest.mark.parametrize(
    "batch",
    [
        image(8, 9, 10),
        image(2, 8, 9, 3),
        image(2, 8, 9, 1),
        image(2, 8, 9, 4),
        image(2, 3, 3, 3),
        image(1, 1, 1, 8),
        [image(8, 9, 3), image(7, 9, 3)],
        [image(8, 9)],
        [image(3, 3, 3)],
        [],
        ["x"],
        None,
    ],
)
def test_images_of_which_nothing_is_said(batch):
    assert warnings_of([batch]) == []


async def test_a_pool_warns_once():
    import imgaug.augmenters as iaa
    from imgaug.augmenters.base import SuspiciousMultiImageShapeWarning

    async with aioaug.AsyncPool(iaa.Fliplr(1.0), processes=1) as pool:
        with pytest.warns(SuspiciousMultiImageShapeWarning) as caught:
            await pool.map_batches([image(8, 9, 3)] * 3)
            async for _ in pool.imap_batches([image(8, 9, 3)] * 3):
                pass
        assert len(caught) == 1
    async with aioaug.AsyncPool(aug.nothing, processes=1) as pool:
        await pool.map_batches([image(8, 9, 3)])  # what a callable takes is its own affair


@pytest.mark.parametrize("kind", ["Batch", "UnnormalizedBatch"])
@pytest.mark.parametrize("listed", [False, True], ids=["array", "list"])
def test_batches_of_images_alone(kind, listed):
    """They take a shorter way, on which nothing else of the batch may be lost or changed."""
    import imgaug.augmentables.batches
    import imgaug.augmenters as iaa

    images = np.random.default_rng(1).integers(0, 256, (2, 6, 4, 3), np.uint8)
    images = list(images) if listed else images
    batch = getattr(imgaug.augmentables.batches, kind)(images=images, data="a label")
    flip = iaa.Fliplr(1.0)
    expected = flip.augment_batch_(copy.deepcopy(batch))
    for _ in range(2):
        result = batch_forms.augment_with(flip, batch)
        assert type(result) is type(batch) is not result
        assert type(result.images_aug) is type(expected.images_aug)
        np.testing.assert_array_equal(result.images_aug, expected.images_aug)
        np.testing.assert_array_equal(result.images_unaug, images)
        assert result.data == "a label"
        assert batch.images_aug is None
    if kind == "UnnormalizedBatch":
        with pytest.raises(ValueError, match="augmented already"):
            batch_forms.augment_with(flip, result)


@pytest.mark.parametrize("kind", [">u2", ">i2", ">i4", ">f4", ">f8"])
@pytest.mark.parametrize("name", ["Fliplr", "Pad", "AverageBlur"])
def test_pixels_in_another_byte_order(kind, name):
    import imgaug.augmenters as iaa
    from imgaug.augmentables.batches import Batch, UnnormalizedBatch

    augmenter = {
        "Fliplr": iaa.Fliplr(1.0),
        "Pad": iaa.Pad(px=1, keep_size=False),
        "AverageBlur": iaa.AverageBlur(3),
    }[name]
    foreign = np.arange(2 * 6 * 6 * 3).astype(kind).reshape(2, 6, 6, 3)
    native = foreign.astype(foreign.dtype.newbyteorder("="))
    try:
        right = augmenter(images=native)
    except ValueError:
        pytest.skip("imgaug cannot do this with such numbers")

    def run(batch):
        return batch_forms.augment(batch, augmenter.augment_batch_)

    for images in (
        run(foreign),
        run(list(foreign)),
        run(UnnormalizedBatch(images=foreign)).images_aug,
        run(UnnormalizedBatch(images=tuple(foreign))).images_aug,
        run(Batch(images=foreign)).images_aug,
    ):
        assert np.array_equal(images, right)
    assert foreign.dtype == kind
    assert np.array_equal(foreign, native)


def test_heatmaps_in_another_byte_order():
    import imgaug.augmenters as iaa
    from imgaug.augmentables import HeatmapsOnImage

    values = np.linspace(0, 1, 36, dtype=np.float32).reshape(6, 6, 1)
    padded = iaa.Pad(px=1, keep_size=False)
    native, foreign = (HeatmapsOnImage(values, (6, 6, 3)) for _ in range(2))
    foreign.arr_0to1 = values.astype(">f4")
    [done] = batch_forms.augment([foreign], padded.augment_batch_)
    assert np.array_equal(done.arr_0to1, padded.augment_heatmaps([native])[0].arr_0to1)
    assert foreign.arr_0to1.dtype == ">f4"


async def test_boxes_have_what_imgaugs_boxes_have():
    """imgaug makes new boxes, without what a program added to them; the pool does not add it."""
    import imgaug.augmenters as iaa
    from imgaug.augmentables import BoundingBox, BoundingBoxesOnImage

    box = BoundingBox(0, 0, 2, 2, label="a label stays")
    box.added = "and this does not"
    boxes = BoundingBoxesOnImage([box], (4, 4, 3))
    flip = iaa.Fliplr(1.0)
    async with aioaug.AsyncPool(flip, processes=1) as pool:
        [[ours]] = await pool.map_batches([[boxes]])
    [theirs] = flip.augment_bounding_boxes([boxes])
    assert vars(ours.bounding_boxes[0]) == vars(theirs.bounding_boxes[0])
    assert vars(ours.bounding_boxes[0])["label"] == "a label stays"


class Keeping:
    """Keeps what it gets, and has the next call say what became of it."""

    def __init__(self):
        self.kept = None

    def __call__(self, images, *_):
        before, self.kept = self.kept, images
        sums = 0 if before is None else int(before.sum(dtype=np.int64))
        return np.full((1, 64, 64, 1), sums % 251, np.uint8)


@pytest.mark.parametrize("wrap", [lambda images: images, lambda images: (images, [1, 2])])
async def test_images_that_a_caller_has_twice(wrap):
    import imgaug.augmenters as iaa

    images = np.full((2, 256, 256, 3), 10, np.uint8)
    batch = wrap(images)
    async with aioaug.AsyncPool(iaa.Add(1), processes=1) as pool:
        results = await pool.map_batches([batch] * 4, chunksize=4)
        again = await pool.map_batches([batch, [images[0]], batch], chunksize=3)
    for result in (*results, again[0], again[2]):
        augmented = result[0] if isinstance(result, tuple) else result
        assert (augmented == 11).all()
    assert (images == 10).all()


@pytest.mark.parametrize(
    "batch_of",
    [
        lambda images: (images, images),
        lambda images: (images, [images]),
        lambda images: {"images": images, "before": images},
        lambda images: {"images": images, "before": {"images": images}},
    ],
)
async def test_images_that_are_in_a_batch_twice(batch_of):
    import imgaug.augmenters as iaa

    images = np.full((2, 256, 256, 3), 10, np.uint8)
    async with aioaug.AsyncPool(iaa.Add(1), processes=1) as pool:
        result = await pool.augment_batch(batch_of(images))
    first, other = result.values() if isinstance(result, dict) else result
    if isinstance(other, (list, dict)):
        other = other["images"] if isinstance(other, dict) else other[0]
    assert (first == 11).all()
    assert (other == 10).all()


async def test_images_and_their_originals():
    import imgaug.augmenters as iaa
    from imgaug.augmentables.batches import UnnormalizedBatch

    batches = [np.full((2, 256, 256, 3), value, np.uint8) for value in range(4)]
    async with aioaug.AsyncPool(iaa.Add(1), processes=1) as pool:
        results = await pool.map_batches(
            [UnnormalizedBatch(images=batch, data=batch) for batch in batches], chunksize=2
        )
    for value, result in enumerate(results):
        assert (result.images_unaug == value).all()
        assert (result.data == value).all()
        assert (result.images_aug == value + 1).all()


async def test_images_that_may_not_be_written():
    import imgaug.augmenters as iaa

    images = np.full((2, 256, 256, 3), 10, np.uint8)
    images.flags.writeable = False
    async with aioaug.AsyncPool(iaa.Add(1), processes=1) as pool:
        assert (await pool.augment_batch(images) == 11).all()


@pytest.mark.parametrize("as_batch", [False, True])
async def test_images_that_an_augmenter_keeps(as_batch):
    """What it keeps does not change, though new results lie where its images did."""
    import imgaug.augmenters as iaa
    from imgaug.augmentables.batches import UnnormalizedBatch

    images = [np.full((1, 256, 256, 3), value, np.uint8) for value in range(1, 7)]
    batches = [UnnormalizedBatch(images=each) for each in images] if as_batch else images
    augmenter = iaa.Sequential([iaa.Add(1), iaa.Lambda(Keeping())])
    async with aioaug.AsyncPool(augmenter, processes=1) as pool:
        seen = []
        for batch in batches:  # no result is left when the next batch is sent
            result = await pool.augment_batch(batch)
            seen.append(int((result.images_aug if as_batch else result)[0, 0, 0, 0]))
            del result
    assert seen == [0, *((value * 256 * 256 * 3) % 251 for value in range(2, 7))]
