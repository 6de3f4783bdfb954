"""Labels of files in batches of a pool: they go to the workers, and come back moved."""

from __future__ import annotations

import aioaug
import imgaug.augmenters as iaa
import numpy as np
import pytest
from aioaug.data import Coco, PictureLabels, Voc, VocWriter, Yolo, YoloWriter
from labels_testing import coco_file, write


@pytest.fixture
def dataset(tmp_path):
    return Coco(coco_file(tmp_path / "coco"), tmp_path / "coco" / "images")


@pytest.mark.parametrize("engine", ["process", "thread"])
async def test_labels_are_mirrored_with_their_pictures(dataset, engine):
    async with aioaug.AsyncPool(iaa.Fliplr(1.0), processes=2, seed=1, engine=engine) as pool:
        batches = [batch async for batch in pool.imap_batches(dataset.batches(2))]
    labels = [label for batch in batches for label in batch.labels]
    images = [image for batch in batches for image in batch.images]
    assert len(labels) == len(images) == len(dataset)
    compared = 0
    for sample, label, image in zip(dataset, labels, images, strict=True):
        assert isinstance(label, PictureLabels)
        height, width = image.shape[:2]
        assert label.size == (width, height)
        by_id = {each.id: each for each in label.annotations}
        for before in sample.labels.annotations:
            after = by_id.get(before.id)
            box = before.bounds()
            if after is None or box is None or before.mask is not None:
                continue
            assert after.category == before.category
            x1, y1, x2, y2 = box
            wanted = (width - x2, y1, width - x1, y2)
            np.testing.assert_allclose(
                after.bounds(), np.clip(wanted, 0, [width, height] * 2), atol=0.01
            )
            compared += 1
    assert compared >= 2


async def test_labels_are_resized_with_their_pictures(dataset):
    async with aioaug.AsyncPool(iaa.Identity(), processes=1) as pool:
        [batch] = [each async for each in pool.imap_batches(dataset.batches(9, resize=(50, 100)))]
    assert batch.images.shape[1:] == (50, 100, 3)
    for sample, label in zip(dataset, batch.labels, strict=True):
        assert label.size == (100, 50)
        width, height = sample.labels.size
        scale = np.array([100 / width, 50 / height] * 2)
        by_id = {each.id: each for each in label.annotations}
        for before in sample.labels.annotations:
            if before.id in by_id and before.mask is None and before.bounds() is not None:
                wanted = np.clip(np.array(before.bounds()) * scale, 0, [100, 50] * 2)
                np.testing.assert_allclose(by_id[before.id].bounds(), wanted, atol=0.01)


def _last(name):
    return name.rpartition("/")[2]


@pytest.fixture(params=[(YoloWriter, Yolo), (VocWriter, Voc)], ids=["yolo", "voc"])
def other(dataset, tmp_path, request):
    writer, reader = request.param
    return reader(write(tmp_path / "other", dataset, writer(dataset.classes), _last))


async def test_other_formats_go_through_a_pool(other):
    async with aioaug.AsyncPool(iaa.Flipud(1.0), processes=1, seed=1) as pool:
        [batch] = [each async for each in pool.imap_batches(other.batches(9))]
    assert len(batch.labels) == len(other) == 2
    for sample, label, image in zip(other, batch.labels, batch.images, strict=True):
        height = image.shape[0]
        before = sample.labels.in_pixels(image.shape).boxes
        wanted = before[:, [0, 3, 2, 1]] * [1, -1, 1, -1] + [0, height, 0, height]
        np.testing.assert_allclose(label.in_pixels(image.shape).boxes, wanted, atol=0.02)
