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
