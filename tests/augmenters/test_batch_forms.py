"""What a batch may be, and what it comes back as."""

from __future__ import annotations

import aioaug
import numpy as np
import pytest
from aioaug.augmenters import batch_forms


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
